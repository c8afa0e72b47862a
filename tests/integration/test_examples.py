"""The applications of deploy/examples, as they are: with a real ranker, and with answers that come twice."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import ranking  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402

EXAMPLES = ROOT / "deploy/examples"
SCHEMA = ROOT / "schemas/ranking.avsc"
LIMIT_S = 60
FEATURES = """
features:
  - {name: price, scope: proposition, attribute: {field: price}}
"""
# The rules show what is cheap first.
PLACEMENTS = {"default": {"rules": {"popularity": {"value": "price", "weight": -1}}}}


class Examples(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self, FEATURES).create_topics()
        self.fleet.configure(json.dumps({"placements": PLACEMENTS}))
        self.fleet.send("propositions", [{"id": p, "timestamp": 1, "attributes": {"price": price}}
                                         for p, price in (("dear", 9.0), ("cheap", 1.0), ("fair", 3.0))])

    def compiled(self):
        """rank.c, built by the command that its first comment says."""
        folder = tempfile.TemporaryDirectory(prefix="flotilla example ")
        self.addCleanup(folder.cleanup)
        source = (EXAMPLES / "rank.c").read_text(encoding="utf-8")
        (Path(folder.name) / "rank.c").write_text(source, encoding="utf-8")
        command = next(line.strip(" *") for line in source.splitlines() if "pkg-config" in line)
        built = subprocess.run(command, shell=True, cwd=folder.name, capture_output=True, encoding="utf-8",
                               timeout=LIMIT_S)
        self.assertEqual((0, ""), (built.returncode, built.stderr), command)
        return [Path(folder.name) / "rank"]

    def python(self):
        return [sys.executable, EXAMPLES / "rank.py"]

    def begin(self, program, *users):
        return subprocess.Popen([*program, self.fleet.stack.brokers, self.fleet.prefix, SCHEMA, *users],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                encoding="utf-8", env=fleets.environment() | {"LC_ALL": "C.UTF-8"})

    def printed(self, process):
        """The lines that it has printed when it ends."""
        out, problem = process.communicate(timeout=LIMIT_S)
        self.assertEqual((0, ""), (process.returncode, problem))
        return out.splitlines()

    def test_in_python_each_user_is_answered_once(self):
        self.fleet.start("ranker")
        lines = self.printed(self.begin(self.python(), "u1", "Ä", "u3"))
        self.assertEqual(sorted(f"{user} cheap fair dear" for user in ("u1", "Ä", "u3")), sorted(lines))

    def test_in_c_the_user_is_answered(self):
        program = self.compiled()
        self.fleet.start("ranker")
        for user in ("u1", "Ä"):
            self.assertEqual([f"{user} cheap fair dear"], self.printed(self.begin(program, user)))

    def requests(self, count):
        """What the examples have sent, once so many are there."""
        return wait_until(lambda: len(sent := self.fleet.tail("rank.requests")) == count and sent,
                          "the requests do not come", LIMIT_S)

    def test_answers_that_come_twice_or_to_others_are_skipped(self):
        """The ranker is killed behind an answer and gives it again: here the test answers in its place."""
        processes = [self.begin(self.python(), "u1", "u2"), self.begin(self.compiled(), "u1")]
        requests = self.requests(3)
        answers = [{"request_id": request["request_id"], "user_id": request["user_id"], "timestamp": 1,
                    "placement": "default", "model": "rules", "version": 0, "variant": "rules",
                    "items": [{"proposition_id": p, "score": 1} for p in ("a", "b")]}
                   for request in requests + [{"request_id": "of somebody else", "user_id": "u1"}]]
        self.assertEqual(4, len({answer["request_id"] for answer in answers}))
        self.fleet.produce("rankings", [(answer["user_id"], ranking.encoded("ranking", answer))
                                        for answer in answers[::-1] for _ in range(2)])
        self.assertEqual([["u1 a b", "u2 a b"], ["u1 a b"]], [sorted(self.printed(p)) for p in processes])

    def test_where_nobody_answers_they_end_and_say_so(self):
        for process in [self.begin(self.python(), "u1"), self.begin(self.compiled(), "u1")]:
            out, problem = process.communicate(timeout=LIMIT_S)
            self.assertEqual((1, ""), (process.returncode, out))
            self.assertIn("flotilla status", problem)


if __name__ == "__main__":
    unittest.main()
