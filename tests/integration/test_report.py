"""The page of a report in a real browser: headless Chromium lays out reports on made-up test parts (report_probe.c), on
a phone's width and on a desk's, in light and dark, and says what it found.

UNIT_DIR is the folder of report_probe (build/tests unless set). A browser is given no network.
"""
import functools
import html
import html.parser
import json
import os
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(os.environ.get("UNIT_DIR", ROOT / "build/tests")).resolve() / "report_probe"
WIDTHS = (390, 1280)
PAGE_BYTES = 500_000
LIMIT_S = 120
# WCAG 2.1, 1.4.3: of text on its background.
CONTRAST = 4.5
VOID = {"meta", "link", "br", "img", "hr", "input"}
BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]

# Opens a page in frames of each width and writes down what it sees. What a page would load is refused and noted.
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="result"></pre><script>
const page = %s, widths = %s, results = [];
const policy = '<meta http-equiv="Content-Security-Policy" content="default-src \\'none\\'; ' +
    'style-src \\'unsafe-inline\\'; img-src data:">';
function luminance(text) {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(element, view) {
    let ground = element;
    while (/rgba\\(.*, 0\\)/.test(view.getComputedStyle(ground).backgroundColor) && ground.parentElement)
        ground = ground.parentElement;
    const style = view.getComputedStyle(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [luminance(ink), luminance(view.getComputedStyle(ground).backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}
function look(frame, refused) {
    const view = frame.contentWindow, doc = frame.contentDocument, ids = [...doc.querySelectorAll("[id]")];
    const texts = [...doc.querySelectorAll("h1, h2, p, td, th, dt, dd, small, summary, figcaption, svg text")];
    return {
        width: view.innerWidth,
        wide: doc.documentElement.scrollWidth,
        height: doc.documentElement.scrollHeight,
        refused: refused,
        loaded: view.performance.getEntriesByType("resource").map(e => e.name),
        scripts: doc.scripts.length,
        handlers: [...doc.querySelectorAll("*")]
            .filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).length,
        images: doc.querySelectorAll("img, iframe, object, embed").length,
        pictures: [...doc.querySelectorAll("svg")].map(e => {
            const box = e.getBoundingClientRect(), marks = e.querySelectorAll("circle, path, rect");
            const outside = [...e.querySelectorAll("circle, rect, path, text")].filter(m => {
                const b = m.getBoundingClientRect();
                return b.left < box.left - 3 || b.right > box.right + 3 || b.top < box.top - 3 ||
                    b.bottom > box.bottom + 3;
            });
            return {name: e.querySelector("title").textContent, width: box.width, height: box.height,
                    marks: marks.length, outside: outside.map(m => m.outerHTML.slice(0, 200))};
        }),
        repeated: ids.filter(e => doc.querySelectorAll('[id="' + CSS.escape(e.id) + '"]').length > 1).map(e => e.id),
        faint: texts.filter(e => e.checkVisibility() && e.textContent.trim() && contrast(e, view) < %s)
            .map(e => e.textContent.slice(0, 60)),
        text: doc.body.innerText,
        dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    };
}
for (const width of widths) {
    const frame = document.createElement("iframe"), refused = [];
    frame.style.cssText = "border:0;height:900px;width:" + width + "px";
    frame.srcdoc = page.replace("<head>", "<head>" + policy);
    frame.onload = () => {
        frame.contentDocument.addEventListener("securitypolicyviolation", e => refused.push(e.blockedURI));
        results.push(look(frame, refused));
        if (results.length === widths.length)
            document.getElementById("result").textContent = JSON.stringify(results);
    };
    document.body.append(frame);
}
</script>"""


@functools.cache
def made(case, form):
    run = subprocess.run([PROBE, case, form], capture_output=True, encoding="utf-8", timeout=LIMIT_S)
    if run.returncode:
        raise AssertionError(run.stderr)
    return run.stdout


def cases():
    return subprocess.run([PROBE], capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=True).stdout.split()


class Balance(html.parser.HTMLParser):
    """Tags that end in the order in which they began."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.wrong = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = {case: made(case, "html") for case in cases()}
        cls.seen = {}

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="flotilla report ")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def browse(self, *options):
        """What the browser writes to its output and to its log."""
        run = subprocess.run([*BROWSER, f"--user-data-dir={self.folder / 'profile'}", *options], capture_output=True,
                             encoding="utf-8", errors="replace", timeout=LIMIT_S)
        self.assertEqual(0, run.returncode, run.stderr)
        return run.stdout, run.stderr

    def measure(self, page, *options):
        """What it sees at each width, and that its console stayed empty."""
        wrapper = self.folder / "measure.html"
        text = json.dumps(page).replace("</", "<\\/")
        wrapper.write_text(MEASURE % (text, json.dumps(WIDTHS), CONTRAST), encoding="utf-8")
        dom, log = self.browse("--virtual-time-budget=20000", *options, "--dump-dom", wrapper.as_uri())
        self.assertNotIn("CONSOLE", log)
        found = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
        self.assertTrue(found and found[1], dom[-2000:])
        return json.loads(html.unescape(found[1]))

    def seen_of(self, case):
        """What is seen of a page in light, looked at once."""
        if case not in self.seen:
            self.seen[case] = self.measure(self.pages[case])
        return self.seen[case]

    def test_each_page_fits_phone_and_desk_and_needs_nothing_from_elsewhere(self):
        for case in self.pages:
            with self.subTest(case):
                for width, seen in zip(WIDTHS, sorted(self.seen_of(case), key=lambda s: s["width"])):
                    self.assertEqual(width, seen["width"])
                    self.assertLessEqual(seen["wide"], width, "it scrolls sideways")
                    self.assertGreater(seen["height"], 900)
                    for nothing in ("refused", "loaded", "repeated", "faint"):
                        self.assertEqual([], seen[nothing], nothing)
                    self.assertEqual((0, 0, 0), (seen["scripts"], seen["handlers"], seen["images"]))
                    self.assertFalse(seen["dark"])
                    self.assertNotRegex(seen["text"], r"(?i)\b(nan|inf|infinity|null|undefined)\b")

    def test_pictures_have_a_size_marks_and_nothing_outside_of_them(self):
        for case in self.pages:
            with self.subTest(case):
                for seen in self.seen_of(case):
                    self.assertGreaterEqual(len(seen["pictures"]), 2)
                    for picture in seen["pictures"]:
                        self.assertGreater(picture["width"], 250, picture)
                        self.assertGreater(picture["height"], 40, picture)
                        self.assertGreater(picture["marks"], 0, picture)
                        self.assertEqual([], picture["outside"], picture["name"])

    def test_dark_pages_can_be_read_as_well(self):
        for case in ("normal", "regression"):
            with self.subTest(case):
                for seen in self.measure(self.pages[case], "--blink-settings=preferredColorScheme=0"):
                    self.assertTrue(seen["dark"])
                    self.assertEqual([], seen["faint"])

    def test_a_page_can_be_printed(self):
        page, paper = self.folder / "page.html", self.folder / "page.pdf"
        page.write_text(self.pages["normal"], encoding="utf-8")
        self.browse(f"--print-to-pdf={paper}", page.as_uri())
        self.assertTrue(paper.read_bytes().startswith(b"%PDF"))

    def test_tags_end_in_the_order_in_which_they_began_and_pictures_are_xml(self):
        for case, page in self.pages.items():
            with self.subTest(case):
                balance = Balance()
                balance.feed(page)
                self.assertEqual(([], []), (balance.open, balance.wrong))
                pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
                self.assertGreaterEqual(len(pictures), 2)
                for picture in pictures:
                    root = xml.fromstring(picture)
                    self.assertEqual(["title", "desc"], [child.tag.rpartition("}")[2] for child in root[:2]])
                    self.assertNotRegex(picture, r'"[^"]*\b(nan|inf)\b[^"]*"')

    def test_no_page_is_larger_than_can_be_sent(self):
        for case, page in self.pages.items():
            with self.subTest(case):
                self.assertLess(len(page.encode()), PAGE_BYTES)

    def test_hostile_names_stand_on_the_page_as_they_are(self):
        seen = self.seen_of("hostile")[0]
        self.assertIn('</script><script>alert("1")</script> & `co', seen["text"])
        self.assertIn("<script>alert(1)</script>&amp;\"'", seen["text"])


class Terminal(unittest.TestCase):
    def test_eighty_columns_are_enough(self):
        for case in cases():
            with self.subTest(case):
                text = made(case, "80")
                self.assertEqual([], [line for line in text.splitlines() if len(line) > 80])
                self.assertNotRegex(text, r"(?i)\b(nan|inf)\b")

    def test_it_begins_with_the_verdict(self):
        self.assertRegex(made("normal", "80"), r"\ABetter than rules: NDCG@10 0\.\d{4} against 0\.\d{4}, better by")
        self.assertRegex(made("worse", "80"), r"\AWorse than rules: ")
        self.assertRegex(made("no-rules", "80"), r"\ANothing to compare it with: ")
        self.assertRegex(made("one-class", "80"), r"\AIt cannot be judged: ")

    def test_what_it_brings_is_said_only_where_something_was_explored(self):
        self.assertRegex(made("explored", "120"),
                         r"What it brings  It would bring about [\d,.]+ \[[\d,.]+, [\d,.]+\] clicks")
        self.assertRegex(made("normal", "120"), r"What it brings  What it would bring cannot be told")


if __name__ == "__main__":
    unittest.main()
