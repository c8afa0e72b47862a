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
START_LIMIT_S = 900                 # it may have to build
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

    def assertRankingsAreShownAsAnswered(self, said):
        wait_until(lambda: len(self.came_of_rankings("impression")) >= 50, said, 60)
        rankers = set()
        for event, ranking in self.came_of_rankings("impression"):
            self.assertEqual(event["propositions"], [item["proposition_id"] for item in ranking["items"]])
            self.assertEqual(event["user_id"], ranking["user_id"])
            self.assertIn(ranking["placement"], ("home", "genre", "search"))
            rankers.add((ranking["model"], ranking["version"]))
        self.assertEqual({("rules", 0), ("shop", 1)}, rankers)
        for click, ranking in wait_until(lambda: self.came_of_rankings("click"), said, 60):
            self.assertIn(click["propositions"][0], [item["proposition_id"] for item in ranking["items"]])

    def plan(self):
        return self.rows("SELECT champion, challengers, reason FROM rollout_plans ORDER BY recorded_at")

    def test_a_model_is_trained_wins_and_is_promoted_and_serves_again_in_seconds(self):
        said = self.demo("--detach")
        for part in ("psql", "/metrics", "rank --user", "models status", "the training set is there",
                     "trained and registered: shop version 1", "canary: version 1", "rows ", "not used",
                     "promoted: version 1 brings +", "excludes zero"):
            self.assertIn(part, said)
        self.assertEqual(5, sum("flotilla-" in process for process in self.processes()), self.processes())
        self.assertTrue(self.values_are_there())
        self.assertRankingsAreShownAsAnswered(said)
        wait_until(lambda: len(self.plan()) >= 2, self.plan, 60)
        (_, canary, _), (champion, none, why) = self.plan()[:2]
        self.assertEqual([("canary", 0.5)], [(c["mode"], c["share"]) for c in fleets.json.loads(canary)])
        self.assertEqual(("1", []), (champion, fleets.json.loads(none)))
        self.assertRegex(why, r"^\+[\d.]+ clicks a page against rules, 95 % interval [\d.]+ to [\d.]+, by user$")
        self.assertIn("</html>", (self.directory / "report.html").read_text(encoding="utf-8"))
        before = int(self.rows("SELECT count(*) FROM feature_values")[0][0])
        self.demo("--down")
        self.assertNothingRuns()
        began = time.monotonic()
        said = self.demo("--detach")
        self.assertLess(time.monotonic() - began, 60)
        self.assertIn("model: 1 champion, as it was left", said)
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
                         r"ranked by .*shop v1", r"clicks +model v1 [\d.]+ a page .*, rules [\d.]+ .*: [+-][\d.]+ \[",
                         r"gain +model v1 [\d.]+ % .* of what is possible", r"\nu\d+ +(home|genre|search): [A-Z]"):
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
        for turn in range(2):            # the second time, they are there already
            said = self.demo("--detach", *options)
            self.assertIn("served: version 1" if turn == 0 else "model: 1 champion", said)
            try:
                wait_until(lambda: not expected.differences(self.values(), expected.global_priors())[1], "", 30)
            except TimeoutError:
                pass                    # what differs is said here
            assert_equal_values(self, expected, self.values(), exclude=expected.global_priors())
            self.demo("--down")
            self.assertNothingRuns()

    def test_where_nothing_can_be_learned_that_is_said_and_rules_rank(self):
        """Nobody ever clicked."""
        events = self.folder / "events.jsonl"
        fleets.write_lines(events, [
            {"event_id": f"e{i}", "event": "impression", "user_id": "u1", "timestamp": 1750000000000 + 60_000 * i,
             "propositions": ["p1", "p2"], "request_id": f"r{i}"} for i in range(40)])
        features = self.folder / "features.yaml"
        features.write_text("features:\n  - {name: n, scope: user, count: {event: impression, windows: [1h]}}\n")
        options = ("--detach", "--events", events, "--features", features)
        said = self.demo(*options)
        for part in ("no model this time", "rules go on ranking"):
            self.assertIn(part, said)
        self.assertEqual([], self.rows("SELECT model, version FROM model_versions"))
        self.assertIn("model: none, as it was left", self.demo(*options))

    def test_a_strangers_events_alone_become_a_model_that_answers(self):
        """Without any definitions: of a shop's files, whose events have names of its own."""
        subprocess.run([fleets.BIN / "flotilla", "simulate", "--users", "200", "--propositions", "60", "--days", "3",
                        "--events", "30000", "--out", self.folder], check=True, stdout=subprocess.DEVNULL)
        events = self.folder / "events.jsonl"
        events.write_text(events.read_text().replace('"event":"impression"', '"event":"page view"')
                          .replace('"event":"click"', '"event":"app:click"'))
        said = self.demo("--detach", *(word for name in ("events", "propositions", "users")
                                       for word in (f"--{name}", self.folder / f"{name}.jsonl")))
        for part in ("Seen: ", "page view", "definitions were made of that", "everything has been taken in", "left out",
                     "not used", "trained and registered: own version 1", "served: version 1", "flotilla rank --user u",
                     "Ranked by version 1 of model own as its champion"):
            self.assertIn(part, said)
        self.assertEqual([["own", "1"]], self.rows("SELECT model, version FROM model_versions"))

    def values(self):
        return [fleets.plain(fleets.json.loads(row[0])) for row in self.rows(VALUES)]


if __name__ == "__main__":
    unittest.main()
