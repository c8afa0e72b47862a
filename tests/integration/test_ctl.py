"""`flotilla`, the operator's hand: what a person and a script rely on."""
import json
import re
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402

NOBODY = "127.0.0.1:1"          # no server listens there
SECRET = "correct horse"
TOPICS = ("events", "users", "propositions", "feature.deltas", "feature.totals", "state.user", "state.shared",
          "features", "dead-letters")
OF_RANKERS = ("rank.requests", "rankings", "score.log", "models", "model.artifacts")
FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h], weight: 1, prior: global}}
"""
TIME = 1_700_000_000_000


def run(*arguments, program="flotilla", stdin="", **variables):
    return subprocess.run([fleets.BIN / program, *map(str, arguments)], input=stdin, capture_output=True,
                          encoding="utf-8", env={**fleets.environment(), **variables}, timeout=60)


def commands():
    """Those that the help lists."""
    listed = run("--help").stdout.split("with every command")[0]
    return re.findall(r"^  ([a-z-]+(?: [a-z]+)?)  +\S", listed, re.MULTILINE)


def event(number, user="u"):
    return {"event_id": f"e{number}", "event": "click", "user_id": user, "timestamp": TIME, "propositions": ["p"]}


class Help(unittest.TestCase):
    def test_every_command_says_what_it_does_with_an_example_of_itself(self):
        self.assertGreaterEqual(len(commands()), 11)
        for command in commands():
            with self.subTest(command):
                said = run(*command.split(), "--help")
                self.assertEqual((0, ""), (said.returncode, said.stderr))
                self.assertRegex(said.stdout, rf"example: (.* )?flotilla {command}\b")

    def test_every_option_that_is_named_exists(self):
        for command in commands():
            for option in re.findall(r"^  --([a-z-]+)", run(*command.split(), "--help").stdout, re.MULTILINE):
                with self.subTest(command=command, option=option):
                    said = run(*command.split(), f"--{option}=x", "--no-such-option")
                    self.assertNotIn(f"no option --{option}:", said.stderr)
                    self.assertEqual(2, said.returncode)

    def test_workers_have_help_and_version_too(self):
        for program in ("flotilla", "flotilla-features", "flotilla-ranker", "flotilla-recorder"):
            with self.subTest(program):
                self.assertEqual(0, run("--help", program=program).returncode)
                self.assertRegex(run("--version", program=program).stdout, r"\d+\.\d+")

    def test_all_settings_are_listed_with_their_meaning(self):
        said = run("--help-settings")
        self.assertEqual(0, said.returncode)
        for name in ("kafka.brokers", "kafka.prefix", "postgres.url", "features.file", "publish_interval_ms"):
            self.assertRegex(said.stdout, rf"(?m)^  {re.escape(name)} +\S")


class ExitStatus(unittest.TestCase):
    def assertStatus(self, status, *arguments, stdin="", program="flotilla"):
        """It ends with this status, and unless all is well says why in a line or two."""
        ended = run(*arguments, stdin=stdin, program=program)
        self.assertEqual(status, ended.returncode, f"{arguments}: {ended.stdout}{ended.stderr}")
        if status != 0:
            self.assertTrue((ended.stderr + ended.stdout).strip(), f"{arguments} says nothing")
        return ended

    def test_wrong_usage_and_wrong_settings_are_2(self):
        for arguments in ((), ("sail",), ("topics",), ("topics", "sail"), ("send",), ("send", "events"),
                          ("migrate", "now"), ("tail", "no.such.topic"), ("tail", "features", "--from", "x"),
                          ("status", "--no-such-option"), ("status", "--set", "no.such.setting=1"),
                          ("status", "--set", "kafka.partitions=many"), ("status", "--set"),
                          ("status", "--config", "/no/such/file"), ("status", "--set", "kafka.no.such.property=1")):
            with self.subTest(arguments):
                self.assertStatus(2, *arguments)

    def test_all_wrong_settings_are_named_at_once(self):
        for program in ("flotilla-features", "flotilla-recorder"):
            said = self.assertStatus(2, "--check", "--set", "kafka.partitions=0", "--set", "sail=1", program=program)
            self.assertIn("kafka.partitions", said.stderr)
            self.assertIn("sail", said.stderr)

    def test_definitions_that_are_wrong_are_3(self):
        self.assertStatus(3, "features", "check", "/dev/stdin", stdin="features:\n  - {name: x}\n")
        self.assertStatus(0, "features", "check", "/dev/stdin", stdin=FEATURES)

    def test_a_server_that_is_away_is_1_and_named(self):
        def try_it(arguments):
            return self.assertStatus(1, *arguments, "--set", f"kafka.brokers={NOBODY}",
                                     stdin=json.dumps(event(1)) + "\n")
        with ThreadPoolExecutor() as all_at_once:       # each waits a while for the server
            for said in all_at_once.map(try_it, (("status",), ("topics", "check"), ("topics", "create"),
                                                 ("tail", "features"), ("send", "events", "-"))):
                self.assertIn(NOBODY, said.stderr)
        said = self.assertStatus(1, "migrate", "--set", f"postgres.url=postgresql://x@{NOBODY}/x")
        self.assertIn(NOBODY, said.stderr)

    def test_a_file_that_is_not_there_is_1_and_named(self):
        said = self.assertStatus(1, "send", "events", "/no/such/file", "--set",
                                 f"kafka.brokers={fleets.stacks.stack().brokers}")
        self.assertIn("/no/such/file", said.stderr)


class Topics(unittest.TestCase):
    def test_topics_are_missing_then_made_then_there(self):
        fleet = Fleet(self)
        missing = fleet.run("topics", "check")
        self.assertEqual(3, missing.returncode)
        for topic in TOPICS + OF_RANKERS:
            self.assertIn(fleet.topic(topic), missing.stdout)
        fleet.create_topics()
        self.assertEqual(0, fleet.run("topics", "check").returncode)
        fleet.create_topics()           # again: nothing is left to do
        self.assertEqual(3, fleet.run("topics", "check", settings={"kafka.partitions": 5}).returncode)

    def test_two_at_once_make_them_once(self):
        fleet = Fleet(self)
        command = [fleets.BIN / "flotilla", "topics", "create", *fleet.options()]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                                 env=fleets.environment()) for _ in range(2)]
        for process in both:
            said, _ = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, said)
        self.assertEqual(0, fleet.run("topics", "check").returncode)


class Send(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self).create_topics()

    def send(self, lines, *options, topic="events"):
        return self.fleet.run("send", topic, "-", *options, stdin="\n".join(lines) + "\n")

    def sent(self, topic="events"):
        return [record["event_id"] for record in self.fleet.tail(topic)]

    def test_a_bad_line_is_named_by_its_number_and_stops_it(self):
        for bad in ("{", '{"event_id": "x"}', "[]", '{"event": {"event_id": 1}, "kafka_timestamp": 5}', "\x00"):
            with self.subTest(bad):
                ended = self.send([json.dumps(event(1)), "", bad, json.dumps(event(2))])
                self.assertEqual(1, ended.returncode)
                self.assertRegex(ended.stderr, r"\b(line 3|-:3|stdin:3|standard input:3)\b")
        self.assertEqual({"e1"}, set(self.sent()))

    def test_bad_lines_are_skipped_and_counted_where_that_is_asked_for(self):
        ended = self.send([json.dumps(event(1)), "{", json.dumps(event(2)), "null"], "--skip-bad")
        self.assertEqual(0, ended.returncode, ended.stderr)
        self.assertRegex(ended.stdout + ended.stderr, r"\b2 bad lines")
        self.assertEqual(["e1", "e2"], self.sent())

    def test_what_is_sent_comes_back_as_it_was(self):
        full = {**event(1), "request_id": "r", "value": -0.1, "context": {"device": "tv\n\"", "Ä": "🎬"}}
        plain = {**event(2), "request_id": None, "value": None, "context": {}}
        self.send([json.dumps(full), json.dumps({"event": plain, "kafka_timestamp": 12345})])
        self.assertEqual([full, plain], self.fleet.tail("events"))
        placed = fleets.json_lines(self.fleet.flotilla("tail", "events", "--from", "beginning", "--exit-at-end",
                                                       "--with-offsets"))
        self.assertEqual(["u", "u"], [line["key"] for line in placed])
        self.assertEqual(12345, placed[1]["timestamp"])
        self.assertEqual(plain, placed[1]["value"])

    def test_one_user_s_events_stay_in_order_in_the_partition_that_java_clients_choose(self):
        self.send([json.dumps(event(n, f"u{n % 7}")) for n in range(500)])
        self.fleet.produce_json("events", [(f"u{n % 7}", event(n, f"u{n % 7}")) for n in range(500, 600)])
        placed = fleets.json_lines(self.fleet.flotilla("tail", "events", "--from", "beginning", "--exit-at-end",
                                                       "--with-offsets"))
        partitions = {}
        for line in placed:
            partitions.setdefault(line["key"], set()).add(line["partition"])
        self.assertEqual([1] * 7, [len(p) for p in partitions.values()])
        for user in partitions:
            numbers = [int(line["value"]["event_id"][1:]) for line in placed if line["key"] == user]
            self.assertEqual(sorted(numbers), numbers)

    def test_entities_and_tombstones_are_sent(self):
        self.send(['{"id": "a", "timestamp": 1, "attributes": {"tier": "gold", "n": 1.5, "l": ["x"]}}'], topic="users")
        self.fleet.flotilla("send", "users", "-", "--tombstones", stdin='"a"\n{"id": "b"}\n')
        records = self.fleet.tail("users")
        self.assertIn({"key": "a", "value": None}, records)
        self.assertIn({"key": "b", "value": None}, records)
        self.assertEqual({"tier": "gold", "n": 1.5, "l": ["x"]},
                         next(r for r in records if "id" in r)["attributes"])


class Running(unittest.TestCase):
    """With workers that run."""

    def start(self):
        fleet = Fleet(self, FEATURES).create_topics().migrate()
        fleet.start("features", instance="one")
        fleet.start("recorder", instance="two")
        fleet.send("propositions", [{"id": "p", "timestamp": 1, "attributes": {}}])
        fleet.send("users", [{"id": "u", "timestamp": 1, "attributes": {}}])
        fleet.send("events", [event(n) for n in range(5)])
        fleet.produce("events", [("u", b"no record")])
        fleet.settle()
        wait_until(lambda: len(fleet.recorded()) == 2, "the rows do not come", 30)
        return fleet

    def test_every_topic_is_read_as_lines_of_json(self):
        fleet = self.start()
        wait_until(lambda: len(fleet.tail("state.user")) > 0 and len(fleet.tail("state.shared")) > 0,
                   "no checkpoints come", 30)
        for topic in TOPICS:
            with self.subTest(topic):
                records = fleet.tail(topic)
                self.assertTrue(records)
                self.assertTrue(all(isinstance(record, dict) for record in records))
        self.assertEqual("undecodable", fleet.dead_letters()[0]["reason"])
        self.assertEqual(["no record"], [fleets.bytes_of(d["value"]).decode() for d in fleet.dead_letters()])

    def status_without_lag(self, fleet):
        """What it shows once all is read and written, which it must show without further records."""
        seen = []

        def is_done():
            seen[:] = [json.loads(fleet.flotilla("status", "--json"))]
            return {p["lag"] for p in seen[0]["partitions"]} == {0}
        wait_until(is_done, lambda: f"lag: {[p for p in seen[0]['partitions'] if p['lag'] != 0]}", 10)
        return seen[0]

    def test_status_shows_workers_partitions_and_lag_to_programs_and_to_people(self):
        fleet = self.start()
        status = self.status_without_lag(fleet)
        self.assertTrue(status["ok"], status)
        self.assertEqual({("features", "one"), ("recorder", "two")},
                         {(w["worker"], w["instance"]) for w in status["workers"]})
        self.assertTrue(all(w["ready"] and w["state"] == "run" for w in status["workers"]))
        self.assertEqual(21, len(status["partitions"]))     # of 5 topics, and of models, which has one
        people = fleet.flotilla("status")
        for part in ("one", "two", "features", "recorder", "run", fleet.topic("events"), "127.0.0.1:"):
            self.assertIn(part, people)

    def test_status_says_what_is_missing_when_a_worker_is_gone(self):
        fleet = self.start()
        fleet.workers[0].stop()
        fleet.send("events", [event(99)])
        ended = fleet.run("status", "--json")
        status = json.loads(ended.stdout)
        self.assertFalse(status["ok"])
        self.assertEqual(1, sum(p["lag"] or 0 for p in status["partitions"] if p["topic"] == fleet.topic("events")))

    def test_values_are_got_by_scope_and_key(self):
        fleet = self.start()
        got = fleet.flotilla("features", "get", "user", "u")
        self.assertIn("clicks_1h", got)
        self.assertRegex(got, r"\b5\b")

    def test_metrics_have_help_type_and_what_the_issue_asks_for(self):
        fleet = self.start()
        for worker in fleet.running():
            text = worker.get("/metrics")[1]
            names = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}
            for name in names:
                family = re.sub(r"_(bucket|sum|count)$", "", name)
                for word in ("HELP", "TYPE"):
                    self.assertTrue(f"# {word} {family} " in text or f"# {word} {name} " in text, f"{word} of {name}")
                self.assertRegex(name, r"^(flotilla|process)_[a-z_]+$")
            self.assertEqual((200, 200), (worker.get("/healthz")[0], worker.get("/readyz")[0]))
        text = fleet.workers[0].get("/metrics")[1]
        for part in ("lag", "freshness", "commit_seconds", "epochs_total", "restore", "dead_letters_total", "keys",
                     "bytes"):
            self.assertRegex(text, rf"(?m)^# TYPE \w*{part}")


class Tables(unittest.TestCase):
    def applied(self, fleet):
        return fleet.rows("SELECT version FROM schema_migrations ORDER BY 1")

    def test_migrating_twice_changes_nothing(self):
        fleet = Fleet(self).migrate()
        before = self.applied(fleet)
        self.assertGreater(len(before), 0)
        fleet.flotilla("migrate")
        self.assertEqual(before, self.applied(fleet))

    def test_several_migrations_at_once_wait_for_each_other(self):
        fleet = Fleet(self).create_database()
        command = [fleets.BIN / "flotilla", "migrate", *fleet.options()]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                                    env=fleets.environment()) for _ in range(4)]
        for process in started:
            said, _ = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, said)
        versions = self.applied(fleet)
        self.assertEqual(len({v[0] for v in versions}), len(versions))

    def test_migrations_of_two_fleets_at_once_share_the_roles(self):
        both = [Fleet(self).create_database() for _ in range(2)]
        started = [subprocess.Popen([fleets.BIN / "flotilla", "migrate", *fleet.options()], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, encoding="utf-8", env=fleets.environment())
                   for fleet in both]
        for process in started:
            said, _ = process.communicate(timeout=60)
            self.assertEqual(0, process.returncode, said)

    def test_the_least_rights_suffice_for_the_recorder_and_are_all_it_gets(self):
        fleet = Fleet(self).create_topics().migrate()
        fleet.stack.sql("GRANT flotilla_recorder TO recorder")
        fleet.settings["postgres.url"] = fleet.stack.postgres_url(fleet.database, "recorder")
        fleet.start("recorder")
        record = {"scope": "user", "key": ["u"], "as_of": TIME, "values": {"v": 1.0}}
        fleet.produce_json("features", [("u", record)])
        wait_until(lambda: fleet.recorded() == [record], fleet.recorded, 30)
        for statement in ("TRUNCATE feature_values", "DROP TABLE dead_letters", "CREATE TABLE mine ()",
                          "DELETE FROM schema_migrations", "DELETE FROM dead_letters", "SELECT * FROM dead_letters"):
            with self.subTest(statement), self.assertRaisesRegex(RuntimeError, "permission denied|must be owner"):
                fleet.stack.sql(statement, fleet.database, "recorder")


class Secrets(unittest.TestCase):
    SETTINGS = ("--set", f"kafka.brokers={NOBODY}", "--set", "kafka.socket.timeout.ms=1000")
    VARIABLES = {"FLOTILLA_KAFKA_SASL_PASSWORD": SECRET, "FLOTILLA_KAFKA_SSL_KEY_PASSWORD": SECRET,
                 "FLOTILLA_POSTGRES_URL": f"postgresql://x:{SECRET.replace(' ', '%20')}@{NOBODY}/x"}

    def assertSilent(self, ended):
        for text in (ended.stdout, ended.stderr):
            self.assertNotIn(SECRET, text)
            self.assertNotIn(SECRET.replace(" ", "%20"), text)

    def test_no_command_prints_one(self):
        def try_it(arguments):
            return run(*arguments, *self.SETTINGS, stdin=json.dumps(event(1)) + "\n", **self.VARIABLES)
        with ThreadPoolExecutor() as all_at_once:       # each waits a while for the server
            for ended in all_at_once.map(try_it, (
                    ("status",), ("status", "--json"), ("migrate",), ("topics", "check"), ("send", "events", "-"),
                    ("features", "get", "user", "u"), ("tail", "features"))):
                self.assertSilent(ended)
                self.assertEqual(1, ended.returncode)

    def test_the_effective_configuration_has_them_masked(self):
        for program in ("flotilla-features", "flotilla-recorder"):
            ended = run("--check", *self.SETTINGS, program=program, **self.VARIABLES)
            self.assertSilent(ended)
        self.assertIn("***", ended.stdout)

    def test_other_forms_of_the_address_do_not_give_it_away(self):
        for url in (f"host=127.0.0.1 port=1 user=x password='{SECRET}' dbname=x",
                    f"postgresql://{NOBODY}/x?user=x&password={SECRET.replace(' ', '%20')}",
                    f"postgresql://x:{SECRET.replace(' ', '%20')}@127.0.0.1:notaport/x",
                    f"password={SECRET.split(' ', maxsplit=1)[0]} nonsense"):
            for arguments, program in ((("migrate",), "flotilla"), (("--check",), "flotilla-recorder")):
                with self.subTest(url=url, program=program):
                    ended = run(*arguments, program=program, FLOTILLA_POSTGRES_URL=url)
                    self.assertSilent(ended)
                    self.assertNotIn(SECRET.split(" ", maxsplit=1)[0], ended.stdout + ended.stderr)

    def test_workers_log_none(self):
        fleet = Fleet(self, FEATURES)
        for name, value in (("kafka.ssl.key.password", SECRET), ("postgres.url", self.VARIABLES["FLOTILLA_POSTGRES_URL"])):
            path = fleet.folder / name
            path.write_text(value, encoding="utf-8")
            fleet.settings[f"{name}_file"] = path
        del fleet.settings["postgres.url"]
        fleet.create_topics()
        workers = [fleet.start("features"), fleet.start("recorder", ready=False)]
        wait_until(lambda: any(r.get("event") == "postgres_away" for r in workers[1].records()),
                   workers[1].text, 30)
        for worker in workers:
            for text in (worker.text(), worker.get("/status")[1], worker.get("/metrics")[1], worker.get("/readyz")[1]):
                self.assertNotIn(SECRET, text)
                self.assertNotIn(SECRET.replace(" ", "%20"), text)


if __name__ == "__main__":
    unittest.main()
