"""`flotilla features vector` against the oracle: the same lines from the same files.

Random features and streams (tests/support/streams.py) by seed, and all of RankLens. BIN_DIR is the folder of the
binaries (build/workers unless set); SHARED_DIR, where RankLens lies (`shared` beside the repository unless set).
More seeds than usual: SEEDS=100-199, SIZE=large. A failing seed is made again with streams.py.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORACLE = ROOT / "tests/oracle/oracle.py"
sys.path.insert(0, str(ROOT / "tests/support"))
import streams  # noqa: E402

FLOTILLA = Path(os.environ.get("BIN_DIR", ROOT / "build/workers")).resolve() / "flotilla"
RANKLENS = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared")) / "data/ranklens/events.jsonl.gz"
RANKLENS_VECTORS = 235_200
RUN_LIMIT_S = 600
# The command takes every FLOTILLA_… for a setting of its own.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FLOTILLA_")}


def chosen_seeds():
    """(size, seed) of those that are asked for, else of a few that are quick and fewer that are not."""
    asked = os.environ.get("SEEDS")
    if not asked:
        return [("small", seed) for seed in range(1, 25)] + [("medium", seed) for seed in (1, 2)]
    first, _, last = asked.partition("-")
    size = os.environ.get("SIZE", "small")
    return [(size, seed) for seed in range(int(first), int(last or first) + 1)]


def separate_files(folder, lines):
    """The stream's records as the options of separate files."""
    options = []
    for kind in ("event", "user", "proposition", "request"):
        path = folder / f"{kind}s.jsonl"
        streams.write_lines(path, [line[kind] for line in lines if kind in line])
        options += [f"--{kind}s", path]
    return options


class Case(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="flotilla vector ")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)

    def flotilla(self, *arguments):
        """What it prints, as a file."""
        output = self.folder / "got.jsonl"
        with open(output, "w", encoding="utf-8") as out:
            run = subprocess.run([FLOTILLA, "features", *arguments], stdout=out, stderr=subprocess.PIPE,
                                 encoding="utf-8", env=ENVIRONMENT, timeout=RUN_LIMIT_S)
        self.assertEqual(0, run.returncode, run.stderr)
        return output

    def assertSame(self, features, *options):
        """The command's values equal the oracle's, which says how many it compared."""
        got = self.flotilla("vector", "--features", features, *options)
        run = subprocess.run([sys.executable, ORACLE, "--features", features, *options, "--compare", got],
                             capture_output=True, encoding="utf-8", timeout=RUN_LIMIT_S)
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        self.assertRegex(run.stdout, r"^[1-9]\d* values compared, 0 differences")

    def generate(self, size, seed):
        """(features file, stream file, lines)"""
        features, stream = self.folder / "features.yaml", self.folder / "stream.jsonl"
        text, lines = streams.generate(seed, size)
        features.write_text(text, encoding="utf-8")
        streams.write_lines(stream, lines)
        return features, stream, lines


class RandomStreams(Case):
    def test_vectors_of_random_streams_equal_the_oracles(self):
        for size, seed in chosen_seeds():
            with self.subTest(size=size, seed=seed):
                features, stream, _ = self.generate(size, seed)
                self.assertSame(features, "--stream", stream)

    def test_published_values_after_random_streams_equal_the_oracles(self):
        for size, seed in chosen_seeds():
            with self.subTest(size=size, seed=seed):
                features, stream, lines = self.generate(size, seed)
                streams.write_lines(stream, [line for line in lines if "request" not in line])     # they change nothing
                self.assertSame(features, "--stream", stream, "--values")

    def test_vectors_of_separate_files_equal_the_oracles(self):
        for size, seed in chosen_seeds()[:8]:
            with self.subTest(size=size, seed=seed):
                features, _, lines = self.generate(size, seed)
                options = separate_files(self.folder, lines)
                self.assertSame(features, *options)
                self.assertSame(features, *options, "--training")

    def test_values_of_separate_files_equal_the_oracles(self):
        size, seed = chosen_seeds()[0]
        features, _, lines = self.generate(size, seed)
        events, users, propositions, _ = [separate_files(self.folder, lines)[i:i + 2] for i in (0, 2, 4, 6)]
        self.assertSame(features, *events, *users, *propositions, "--values")
        self.assertSame(features, *events, "--values")

    def test_fingerprints_equal_the_oracles(self):
        for size, seed in chosen_seeds():
            with self.subTest(size=size, seed=seed):
                features, _, _ = self.generate(size, seed)
                run = subprocess.run([sys.executable, ORACLE, "--features", features, "--fingerprints"],
                                     capture_output=True, encoding="utf-8", check=True)
                expected = [tuple(line.split()) for line in run.stdout.splitlines()]
                listed = self.flotilla("list", features, "--json").read_text(encoding="utf-8")
                got = [json.loads(line) for line in listed.splitlines()]
                self.assertEqual(expected, [(f["name"], f["fingerprint"]) for f in got])


@unittest.skipUnless(RANKLENS.exists(), f"RankLens is not there: {RANKLENS}")
class RankLens(Case):
    FEATURES = ROOT / "tests/oracle/features.ranklens.yaml"

    def stream(self, *without):
        """RankLens as a stream, in a file of this run."""
        path = self.folder / "ranklens.jsonl"
        run = subprocess.run([sys.executable, ROOT / "tests/oracle/ranklens_to_stream.py", RANKLENS],
                             capture_output=True, encoding="utf-8", check=True)
        lines = run.stdout.splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(tuple(without))), encoding="utf-8")
        return path

    def test_all_vectors_of_ranklens_equal_the_oracles(self):
        stream = self.stream()
        self.assertSame(self.FEATURES, "--stream", stream)
        with open(self.folder / "got.jsonl", encoding="utf-8") as got:
            self.assertEqual(RANKLENS_VECTORS, sum(1 for _ in got))

    def test_published_values_after_ranklens_equal_the_oracles(self):
        self.assertSame(self.FEATURES, "--stream", self.stream('{"request"'), "--values")


if __name__ == "__main__":
    unittest.main()
