"""deploy/local/demo.sh as a user runs it: to its end, and nothing is left behind."""
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import stack  # noqa: E402
import streams  # noqa: E402
from fleet import Expected, assert_equal_values, attributes_first, wait_until  # noqa: E402

NEEDS_SERVERS = True                # brings its own, but wants the processors too
DEMO = ROOT / "deploy/local/demo.sh"
START_LIMIT_S = 400                 # it may have to build
VALUES = ("SELECT json_build_object('scope', scope, 'key', key, 'values', \"values\", 'as_of', "
          "round(extract(epoch FROM as_of) * 1000)::bigint) FROM feature_values")


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="flotilla demo ")
        self.addCleanup(temporary.cleanup)
        os.chmod(temporary.name, 0o755)
        self.folder = Path(temporary.name)
        self.directory = self.folder / "its data"
        self.addCleanup(self.demo, "--reset", check=False)

    def command(self, *options):
        return ["bash", DEMO, "--dir", self.directory, *options]

    def demo(self, *options, check=True):
        run = subprocess.run(self.command(*options), stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                             env=fleets.environment(), timeout=START_LIMIT_S)
        if check:
            self.assertEqual(0, run.returncode, run.stdout[-3000:] + run.stderr[-3000:])
        return run.stdout + run.stderr

    def servers(self):
        return stack.Stack(self.directory / "stack")

    def rows(self, statement):
        servers = self.servers()
        return servers.sql(statement, servers.env["POSTGRES_URL"].rpartition("/")[2])

    def records(self, topic):
        run = subprocess.run([fleets.BIN / "flotilla", "tail", topic, "--from", "beginning", "--exit-at-end",
                              "--config", self.directory / "flotilla.yaml"], stdin=subprocess.DEVNULL,
                             capture_output=True, encoding="utf-8", env=fleets.environment(), timeout=60)
        self.assertEqual(0, run.returncode, run.stderr[-3000:])
        return fleets.json_lines(run.stdout)

    def processes(self):
        """Those that have to do with the directory, by their command line or where they work."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                place = os.readlink(process / "cwd")
            except OSError:
                continue
            if int(process.name) != os.getpid() and (str(self.folder) in command or str(self.folder) in place):
                found.append(f"{process.name} {command[:200]}")
        return found

    def assertNothingRuns(self):
        self.assertEqual([], self.processes())

    def values_are_there(self):
        return int(self.rows("SELECT count(*) FROM feature_values")[0][0]) > 10


class Shop(Case):
    def came_of_rankings(self, kind):
        """Events of a kind, each with the ranking that it names."""
        rankings = {record["request_id"]: record for record in self.records("rankings")}
        return [(event, rankings[event["request_id"]]) for event in self.records("events")
                if event["event"] == kind and event["request_id"] in rankings]

    def assertRankingsAreByRulesAndShownAsAnswered(self, said):
        wait_until(lambda: len(self.came_of_rankings("impression")) >= 50, said, 60)
        shown = self.came_of_rankings("impression")
        for event, ranking in shown:
            self.assertEqual(event["propositions"], [item["proposition_id"] for item in ranking["items"]])
            self.assertEqual(event["user_id"], ranking["user_id"])
            self.assertEqual(("rules", 0), (ranking["model"], ranking["version"]))
            self.assertIn(ranking["placement"], ("home", "genre", "search"))
            self.assertIn(ranking["degraded"], ("no_model", "overload", "deadline"))
        self.assertIn("no_model", [ranking["degraded"] for _, ranking in shown])
        for click, ranking in wait_until(lambda: self.came_of_rankings("click"), said, 60):
            self.assertIn(click["propositions"][0], [item["proposition_id"] for item in ranking["items"]])

    def test_it_fills_postgresql_ends_with_down_and_starts_again_in_seconds(self):
        said = self.demo("--detach")
        wait_until(self.values_are_there, said, 60)
        self.assertEqual(5, sum("flotilla-" in process for process in self.processes()), self.processes())
        for part in ("psql", "/metrics", "rank --user", "models status"):
            self.assertIn(part, said)
        self.assertRankingsAreByRulesAndShownAsAnswered(said)
        before = int(self.rows("SELECT count(*) FROM feature_values")[0][0])
        self.demo("--down")
        self.assertNothingRuns()
        began = time.monotonic()
        self.demo("--detach")
        self.assertLess(time.monotonic() - began, 45)
        self.assertGreaterEqual(int(self.rows("SELECT count(*) FROM feature_values")[0][0]), before)
        self.demo("--reset")
        self.assertNothingRuns()
        self.assertFalse(self.directory.exists())

    def test_ctrl_c_ends_it_with_nothing_left_running(self):
        log = self.folder / "said"
        with open(log, "wb") as out:
            # Like a terminal: a process group that gets the signal as a whole.
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env=fleets.environment(), start_new_session=True,
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
        try:
            for line in (r"events/s", r"answers [1-9]\d*/s, latency median [\d.]+ ms, p99 [\d.]+ ms",
                         r"ranked by +rules 100 %; degraded: .*no_model", r"\nu\d+ +(home|genre|search): [A-Z]"):
                wait_until(lambda: re.search(line, log.read_text()), log.read_text, START_LIMIT_S)
            self.assertIsNone(process.poll(), log.read_text())
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
        finally:
            process.kill()
            process.wait()
        self.assertIn(process.returncode, (0, 130), log.read_text())
        self.assertNothingRuns()

    def test_what_is_wrong_with_the_options_is_said_and_nothing_is_started(self):
        for options in (("--sail",), ("--features", "/no/such/file"), ("--events", "/no/such/file")):
            run = subprocess.run(self.command(*options), capture_output=True, encoding="utf-8",
                                 env=fleets.environment(), timeout=60)
            self.assertNotEqual(0, run.returncode)
            self.assertIn(shlex.quote(options[-1]).strip("'"), run.stderr)
        self.assertNothingRuns()


class OwnFiles(Case):
    def test_the_users_own_files_become_the_values_that_the_oracle_computes(self):
        features, lines = streams.generate(6, "small")
        lines = attributes_first(lines)
        self.assertTrue(fleets.is_after_1970(lines))
        files = {"features": self.folder / "my features.yaml"}
        files["features"].write_text(features, encoding="utf-8")
        for side in ("user", "proposition", "event"):
            files[side + "s"] = self.folder / f"my {side}s.jsonl"
            fleets.write_lines(files[side + "s"], [line if side == "event" else line[side]
                                                   for line in lines if side in line])
        options = [word for name, path in files.items() for word in (f"--{name}", path)]
        expected = Expected(features, lines)
        for _ in range(2):              # the second time, they are there already
            self.demo("--detach", *options)
            try:
                wait_until(lambda: not expected.differences(self.values(), expected.global_priors())[1], "", 30)
            except TimeoutError:
                pass                    # what differs is said here
            assert_equal_values(self, expected, self.values(), exclude=expected.global_priors())
            self.demo("--down")
            self.assertNothingRuns()

    def values(self):
        return [fleets.plain(fleets.json.loads(row[0])) for row in self.rows(VALUES)]


if __name__ == "__main__":
    unittest.main()
