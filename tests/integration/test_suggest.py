"""`flotilla features suggest`: what it makes of samples, that it is always taken, and where it leads.

BIN_DIR is the folder of the binaries (build/workers unless set). More seeds than usual: SEEDS=100-199.
"""
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import streams  # noqa: E402

FLOTILLA = Path(os.environ.get("BIN_DIR", ROOT / "build/workers")).resolve() / "flotilla"
RUN_LIMIT_S = 300
MINUTE_MS, DAY_MS = 60_000, 86_400_000
BEGIN_MS = 1_735_689_600_000        # 2025-01-01
# The command takes every FLOTILLA_… for a setting of its own.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FLOTILLA_")}
# What nobody would call a field, or has called one.
HOSTILE = ("", " ", "a b", "on", "null", "-", "- x", "#", "# x", ": ", "a: b", "[", "]", "{", "}", "{a: b}", "*", "&a",
           "!", "|", ">", "%", "@", "`", "'", '"', "\\", "\\n", "\n", "a\nfeatures:\n  - x", "\r\n", "\t", "\x00",
           "a\x00b", "\x01", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "Ä", "名前", "😀", "a*b", "user*", "*user",
           "a.b", ".", "proposition.x", "user", "global", "candidate", "click", "impression", "1", "1.5", "0x1f", "1e3",
           "~", "yes", "x" * 200, "x" * 201, "ä" * 150, "x" * 5000, "position", "prop_click", "prop_click_1h",
           "impression_1h", "hour_of_day", "2025-01-01", "NaN", "%s%n", "${x}", "a,b", "a]b", "---", "...")


def chosen_seeds():
    first, _, last = os.environ.get("SEEDS", "1-40").partition("-")
    return range(int(first), int(last or first) + 1)


class Case(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="flotilla suggest ")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)

    def run_flotilla(self, *arguments):
        return subprocess.run([FLOTILLA, *map(str, arguments)], capture_output=True, encoding="utf-8",
                              env=ENVIRONMENT, timeout=RUN_LIMIT_S)

    def flotilla(self, *arguments):
        run = self.run_flotilla(*arguments)
        self.assertEqual(0, run.returncode, f"{arguments}\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        return run.stdout

    def stream(self, lines):
        path = self.folder / "stream.jsonl"
        streams.write_lines(path, lines)
        return path

    def definitions(self, text):
        """The features of a text that `flotilla` takes, by name: (scope, kind, definition)."""
        path = self.folder / "suggested.yaml"
        path.write_text(text, encoding="utf-8")
        self.flotilla("features", "check", path)
        listed = [json.loads(line) for line in self.flotilla("features", "list", path, "--json").split("\n")
                  if line]
        return {f["name"]: (f["scope"], f["kind"], f["definition"][f["kind"]]) for f in listed}

    def suggested(self, lines, *options):
        text = self.flotilla("features", "suggest", "--stream", self.stream(lines), *options)
        return text, self.definitions(text)


def shown(number, user, propositions, time_ms, **fields):
    return {"event": {"event_id": f"i{number}", "event": "impression", "user_id": user, "timestamp": time_ms,
                      "propositions": propositions, "request_id": f"r{number}", **fields}}


def chosen(number, user, proposition, time_ms, name="click", **fields):
    return {"event": {"event_id": f"{name}{number}", "event": name, "user_id": user, "timestamp": time_ms,
                      "propositions": [proposition], "request_id": f"r{number}", **fields}}


def record_of(number, **attributes):
    return {"proposition": {"id": f"p{number}", "timestamp": BEGIN_MS, "attributes": attributes}}


def small_shop():
    """400 lists of 5 among 40 propositions over 10 days, each with a click after 10 s, every tenth with an order after
    a minute."""
    lines = [record_of(n, title=f"Thing number {n}", price=n * 1.5, brand=f"brand {n % 10}", genres=[f"g{n % 4}", "all"],
                       released=f"2024-01-{n % 28 + 1:02}", added=BEGIN_MS - n * DAY_MS, sold=n % 2 == 0, shelf=n % 5,
                       currency="EUR", code=f"{n % 9}") for n in range(40)]
    lines += [{"user": {"id": f"u{n}", "timestamp": BEGIN_MS,
                        "attributes": {"tier": ("basic", "gold")[n % 2], "likes": [f"g{n % 4}"], "name": f"Name{n}"}}}
              for n in range(20)]
    for n in range(400):
        time_ms, user, context = BEGIN_MS + n * DAY_MS // 40, f"u{n % 20}", {"device": ("tv", "phone")[n % 2]}
        if n % 4 == 0:
            context["query"] = f"thing {n % 40}"
        listed = [f"p{(n * 7 + k * 3) % 40}" for k in range(5)]
        lines.append(shown(n, user, listed, time_ms, context=context))
        lines.append(chosen(n, user, listed[n % 5], time_ms + 10_000, context=context))
        if n % 10 == 0:
            lines.append(chosen(n, user, listed[n % 5], time_ms + MINUTE_MS, name="order", value=20.5))
    return lines


class Suggestions(Case):
    def test_what_a_small_shop_has_is_found(self):
        text, features = self.suggested(small_shop())
        expected = {
            "user_click": ("user", "count"), "user_order_value": ("user", "sum"), "user_order_mean": ("user", "mean"),
            "prop_click_rate": ("proposition", "rate"), "prop_order_rate": ("proposition", "rate"),
            "pair_click_rate": ("user*proposition", "rate"), "price": ("proposition", "attribute"),
            "price_gap": ("user", "gap"), "price_standing": ("candidate", "standing"),
            "brand_click_rate": ("proposition.brand", "rate"), "user_brand_rate": ("user*proposition.brand", "rate"),
            "taste_genres": ("user", "overlap"),
            "shelf": ("proposition", "attribute"), "user_shelf_rate": ("user*proposition.shelf", "rate"), "released": ("proposition", "age"), "added": ("proposition", "age"),
            "sold": ("proposition", "attribute"), "query_in_title": ("proposition", "match"),
            "user_tier": ("user", "attribute"), "tier_prop_rate": ("user.tier*proposition", "rate"),
            "likes_genres_rate": ("user.likes*proposition.genres", "rate"), "device": ("context", "attribute"),
            "prop_device_rate": ("proposition*context.device", "rate"), "hour_of_day": ("context", "time"),
            "day_of_week": ("context", "time"), "position": ("candidate", "position"),
        }
        self.assertEqual(expected, {name: features[name][:2] for name in expected if name in features})
        self.assertEqual(["basic", "gold"], sorted(features["user_tier"][2]["values"]))
        self.assertEqual({"of": "click", "per": "impression"},
                         {name: features["prop_click_rate"][2][name] for name in ("of", "per")})
        self.assertNotIn("user_price_rate", features)   # a size, not a kind
        self.assertNotIn("currency", features)          # always the same
        self.assertNotIn("user_name", features)         # each user's own
        for said in ("price: number, 40 values, 0 to 58.5, 100 % of propositions",
                     "brand: category, 10 values, 100 % of propositions",
                     "currency: nothing to learn from, 1 value, 100 % of propositions: always the same",
                     "code: category, 9 values, 100 % of propositions: as a number",
                     "order: 40, with 1.0 propositions each, 100 % with a value",
                     # The order comes a minute after: twice that is within 5 minutes.
                     "--labels click=1,order=5 --label-window 5m"):
            self.assertIn(said, text)

    def test_windows_reach_as_far_as_the_data(self):
        """Ten days of events: the longest window is the first usual one that holds them; of eight minutes, too."""
        for span_ms, longest_ms in ((10 * DAY_MS, 30 * DAY_MS), (8 * MINUTE_MS, 15 * MINUTE_MS)):
            lines = []
            for n in range(200):
                time_ms = BEGIN_MS + n * span_ms // 200
                lines += [shown(n, f"u{n % 9}", ["a", "b"], time_ms), chosen(n, f"u{n % 9}", "a", time_ms + 1)]
            _, features = self.suggested(lines)
            for name in ("user_click", "prop_click_rate"):
                self.assertEqual(longest_ms, max(features[name][2]["windows"]), name)

    def test_one_wrong_clock_does_not_stretch_the_windows(self):
        lines = small_shop() + [chosen(9999, "u1", "p1", 1), chosen(9998, "u1", "p1", BEGIN_MS + 9000 * DAY_MS)]
        _, features = self.suggested(lines)
        self.assertEqual(30 * DAY_MS, max(features["user_click"][2]["windows"]))

    def test_a_label_window_is_a_tenth_of_the_log_at_most(self):
        """Answers come days later, in a log of thirty: with twice as long, most labels would be incomplete at its end."""
        lines = []
        for n in range(300):
            at = BEGIN_MS + n * 144 * MINUTE_MS
            lines += [shown(n, f"u{n % 9}", ["a", "b", "c"], at), chosen(n, f"u{n % 9}", "b", at + 4 * DAY_MS)]
        self.assertIn("--labels click=1 --label-window 1d", self.suggested(lines)[0])

    def test_the_event_with_lists_is_what_was_shown_whatever_its_name(self):
        lines = []
        for n in range(100):
            at = BEGIN_MS + n * MINUTE_MS
            lines += [{"event": {**shown(n, f"u{n % 9}", ["a", "b", "c"], at)["event"], "event": "page"}},
                      chosen(n, f"u{n % 9}", "b", at + 500, name="buy"),
                      chosen(n, f"u{n % 9}", "c", at + 600, name="dismiss")]
        text, features = self.suggested(lines)
        self.assertEqual(("buy", "page"), tuple(features["prop_buy_rate"][2][name] for name in ("of", "per")))
        self.assertEqual("dismiss", features["prop_dismiss_rate"][2]["of"])
        self.assertIn("--impression page --labels buy=1 --label-window 1m", text)    # a dismissal is no success

    def test_names_of_any_kind_can_be_pasted_into_a_shell(self):
        """Quoted as a shell reads them; names that a label cannot have, or a comment, are left out."""
        for shown_as, chosen_as, expected in (
                ("page view", "Product Added", ["--impression", "page view", "--labels", "Product Added=1"]),
                ("it's shown", "app:click", ["--impression", "it's shown", "--labels", "app:click=1"]),
                ("Liste", "gewählt $(x)", ["--impression", "Liste", "--labels", "gewählt $(x)=1"]),
                ("impression", "a=b", None), ("impression", "a,b", None), ("a\nb", "click", None),
                ("a\u2028b", "click", None), ("impression", "a\x85b", None), ("impression", " click", None)):
            lines = []
            for n in range(30):
                at = BEGIN_MS + n * MINUTE_MS
                lines += [{"event": {**shown(n, f"u{n % 9}", ["a", "b"], at)["event"], "event": shown_as}},
                          chosen(n, f"u{n % 9}", "a", at + 1, name=chosen_as)]
            text, _ = self.suggested(lines)
            head = [line for line in text.split("\n") if line.startswith("#   flotilla backfill ")]
            if expected is None:
                self.assertEqual([], head, (shown_as, chosen_as))
                self.assertIn("cannot be said to `flotilla backfill`", text)
            else:
                words = shlex.split(head[0].removeprefix("#   flotilla backfill --features FILE "))
                self.assertEqual(expected, words[:len(expected)])

    def test_lines_that_are_wrapped_as_those_of_a_stream_are_read_too(self):
        lines = small_shop()
        options = []
        for kind in ("event", "user", "proposition"):
            path = self.folder / f"{kind}s.jsonl"
            streams.write_lines(path, [line for line in lines if kind in line])
            options += [f"--{kind}s", path]
        self.assertEqual(self.suggested(lines)[0], self.flotilla("features", "suggest", *options))

    def test_lists_that_are_sent_in_pieces_are_warned_of(self):
        lines = []
        for n in range(50):
            for place in range(3):
                piece = shown(n, f"u{n % 9}", [f"p{place}"], BEGIN_MS + n * MINUTE_MS)
                piece["event"]["event_id"] += f"-{place}"
                lines.append(piece)
            lines.append(chosen(n, f"u{n % 9}", "p0", BEGIN_MS + n * MINUTE_MS + 1))
        text, features = self.suggested(lines)
        self.assertIn("67 % of what was shown names a request that an event before it has named", text)
        self.assertIn("prop_click_rate", features)
        self.assertNotIn("of what was shown names", self.suggested(small_shop())[0])

    def test_a_scope_with_too_many_keys_of_a_user_is_commented_out(self):
        """Every user meets 500 propositions with 20 tags of their own each: 10,000 keys where 256 are kept."""
        lines = [record_of(n, tags=[f"t{n} {k}" for k in range(20)], kind=f"k{n % 3}") for n in range(500)]
        for n in range(100):
            listed = [f"p{(n * 50 + k) % 500}" for k in range(50)]
            lines += [shown(n, f"u{n % 2}", listed, BEGIN_MS + n * MINUTE_MS),
                      chosen(n, f"u{n % 2}", listed[0], BEGIN_MS + n * MINUTE_MS + 1)]
        text, features = self.suggested(lines)
        self.assertIn("tags_click_rate", features)
        self.assertNotIn("user_tags_rate", features)
        self.assertIn("  # - {name: user_tags_rate,", text)
        self.assertIn("values of it, 256 are kept", text)
        self.assertIn("user_kind_rate", features)

    def test_the_same_sample_gives_the_same_text(self):
        lines = small_shop()
        first, _ = self.suggested(lines)
        self.assertEqual(first, self.suggested(lines)[0])

    def test_files_of_one_kind_say_what_a_stream_says(self):
        lines = small_shop()
        options = []
        for kind in ("event", "user", "proposition"):
            path = self.folder / f"{kind}s.jsonl"
            streams.write_lines(path, [line[kind] for line in lines if kind in line])
            options += [f"--{kind}s", path]
        self.assertEqual(self.suggested(lines)[0], self.flotilla("features", "suggest", *options))

    def test_a_sample_is_no_larger_than_asked(self):
        text, _ = self.suggested(small_shop(), "--sample", "100")
        self.assertIn("# Seen: 100 events", text)

    def test_records_that_cannot_be_read_are_told_and_passed_over(self):
        path = self.stream(small_shop())
        with open(path, "a", encoding="utf-8") as out:
            out.write('{"event": {"event_id": 7}}\nno json\n')
        run = self.run_flotilla("features", "suggest", "--stream", path)
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("records that could not be read: 2; the first: ", run.stderr)
        self.assertIn("stream.jsonl:", run.stderr)

    def test_nothing_to_suggest_is_an_error_that_says_what_to_bring(self):
        run = self.run_flotilla("features", "suggest", "--stream", self.stream([]))
        self.assertEqual(1, run.returncode)
        self.assertEqual("", run.stdout)
        self.assertIn("bring events that list propositions", run.stderr)

    def test_a_file_that_is_there_is_not_written_over(self):
        out = self.folder / "mine.yaml"
        out.write_text("mine", encoding="utf-8")
        run = self.run_flotilla("features", "suggest", "--stream", self.stream(small_shop()), "--out", out)
        self.assertEqual(1, run.returncode)
        self.assertIn("name a file that is not there yet", run.stderr)
        self.assertEqual("mine", out.read_text(encoding="utf-8"))
        self.flotilla("features", "suggest", "--stream", self.stream(small_shop()), "--out", self.folder / "new.yaml")
        self.flotilla("features", "check", self.folder / "new.yaml")


class OddInputs(Case):
    def value(self, rng):
        return rng.choice((None, True, False, 0, -1, 1.5, 1e300, -1e300, rng.randrange(10), rng.random(),
                           BEGIN_MS + rng.randrange(DAY_MS), "2025-01-01", rng.choice(HOSTILE), rng.choice(HOSTILE) * 3,
                           f"word {rng.randrange(1000)}", [], [rng.choice(HOSTILE)],
                           [f"v{rng.randrange(9)}" for _ in range(rng.randrange(5))]))

    def attributes(self, rng, names):
        """Fields that mostly have one type each, as real ones, and some that have any."""
        one = {name: self.value(random.Random(f"{name}{rng.random() < 0.9}")) for name in names}
        return {name: value if rng.random() < 0.6 else self.value(rng) for name, value in one.items()
                if rng.random() < 0.9}

    def odd_lines(self, seed):
        rng = random.Random(seed)
        fields = [rng.choice(HOSTILE) for _ in range(rng.choice((1, 4, 12, 60)))]
        events = [rng.choice(HOSTILE) for _ in range(rng.choice((1, 2, 5, 90)))] + ["click", "impression"]
        people = rng.choice((1, 3, 50))
        lines = []
        for n in range(rng.choice((1, 5, 100, 400))):
            kind = rng.choice(("event", "event", "event", "proposition", "user", "request"))
            time_ms = rng.choice((BEGIN_MS + n * 1000, 0, -1, 2**62, -2**62)) if rng.random() < 0.1 else \
                BEGIN_MS + n * rng.choice((0, 1, 1000, DAY_MS))
            listed = [f"p{rng.randrange(20)}" for _ in range(rng.choice((0, 1, 1, 5)))]
            context = {rng.choice(fields): rng.choice(HOSTILE) for _ in range(rng.randrange(4))}
            if kind == "event":
                record = {"event_id": str(n), "event": rng.choice(events), "user_id": f"u{rng.randrange(people)}",
                          "timestamp": time_ms, "propositions": listed, "context": context,
                          "request_id": rng.choice((None, f"r{rng.randrange(50)}")),
                          "value": rng.choice((None, 1.5, -1e300))}
            elif kind == "request":
                record = {"request_id": f"r{n}", "user_id": f"u{rng.randrange(people)}", "timestamp": time_ms,
                          "candidates": listed, "limit": 5, "context": context}
            else:
                record = {"id": f"{kind[0]}{rng.randrange(20)}", "timestamp": time_ms,
                          "attributes": self.attributes(rng, fields)}
            lines.append({kind: record})
        return lines

    def test_whatever_the_records_hold_the_definitions_are_taken(self):
        suggestions = 0
        for seed in chosen_seeds():
            with self.subTest(seed=seed):
                run = self.run_flotilla("features", "suggest", "--stream", self.stream(self.odd_lines(seed)))
                if run.returncode == 1 and "nothing that a feature can be made of" in run.stderr:
                    continue
                self.assertEqual(0, run.returncode, run.stderr)
                names = list(self.definitions(run.stdout))
                # One line each, read alike by another reader of YAML, names that stay as they are.
                features = [line for line in run.stdout.split("\n") if line.startswith("  - {name: ")]
                self.assertEqual(len(names), len(features))
                self.assertEqual(names, [feature["name"] for feature in yaml.safe_load(run.stdout)["features"]])
                for name in names:
                    self.assertRegex(name, r"\A[a-z_][a-z0-9_]*\Z")
                suggestions += 1
        self.assertGreater(suggestions, len(chosen_seeds()) // 2)


class TheWholeWay(Case):
    def test_the_simulated_shop_goes_from_suggested_definitions_to_a_model(self):
        """No hand on the way: the commands that the file names in its head are those that are run."""
        shop, features, model = self.folder / "shop", self.folder / "features.yaml", self.folder / "model.ubj"
        self.flotilla("simulate", "--out", shop, "--users", 300, "--propositions", 60, "--events", 20_000,
                      "--start", "2025-03-01", "--seed", 1)
        files = [word for kind in ("events", "users", "propositions") for word in (f"--{kind}", shop / f"{kind}.jsonl")]
        self.flotilla("features", "suggest", *files, "--out", features)
        next_line = next(line for line in features.read_text(encoding="utf-8").splitlines()
                         if line.startswith("#   flotilla backfill "))
        options = shlex.split(next_line.removeprefix("#   flotilla backfill "))
        options[options.index("FILE")], options[options.index("DIR")] = features, self.folder / "set"
        self.flotilla("backfill", *files, *options)
        printed = self.flotilla("train", "--data", self.folder / "set", "--model", "shop", "--trials", 1,
                                "--no-register", "--out", model)
        self.assertGreater(model.stat().st_size, 0)
        self.assertIn("Better than rules", printed)


if __name__ == "__main__":
    unittest.main()
