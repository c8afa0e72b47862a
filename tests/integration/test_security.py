"""Kafka and PostgreSQL that demand TLS, a login and rights: what suffices, what is refused and how that is said, and
that no secret is ever shown."""
import json
import os
import re
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import models  # noqa: E402
import secure  # noqa: E402
from fleet import wait_until  # noqa: E402
from secure import SecureFleet  # noqa: E402

NEEDS_SERVERS = True
LIMIT_S = 60
TIME = 1_700_000_000_000

# Every topic is read and written by these.
FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [365d]}}
  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [365d], weight: 10, prior: global}}
  - {name: tier, scope: user.tier, count: {event: click, windows: [365d]}}
  - {name: genre, scope: proposition.genre, count: {event: click, windows: [365d]}}
"""
ENTITIES = [{"user": {"id": "u", "timestamp": 1, "attributes": {"tier": "gold"}}},
            {"proposition": {"id": "p", "timestamp": 1, "attributes": {"genre": "drama"}}}]
NO_EVENT = b"\xff\xfe no event"


def tearDownModule():
    secure.stop()


def click(number, user="u"):
    return {"event": {"event_id": f"e{number}", "event": "click", "user_id": user, "timestamp": TIME + number,
                      "propositions": ["p"]}, "kafka_timestamp": TIME + number}


def clicks_of(fleet, user="u"):
    """What PostgreSQL has of the counted clicks."""
    return {r["key"][0]: r["values"]["clicks_365d"] for r in fleet.recorded() if r["scope"] == "user"}.get(user)


def wait_for_clicks(fleet, number, user="u"):
    wait_until(lambda: clicks_of(fleet, user) == number,
               lambda: f"{fleet.recorded()}\n" + "\n".join(w.text()[-1500:] for w in fleet.workers), LIMIT_S)


def use_librdkafka_that_knows_scram(test):
    """For all programs that a test starts from now on. With Kafka 3, Debian's does."""
    before = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = str(secure.stack().newer_librdkafka())

    def restore():
        if before is None:
            del os.environ["LD_LIBRARY_PATH"]
        else:
            os.environ["LD_LIBRARY_PATH"] = before
    test.addCleanup(restore)


def at_once(function, items):
    """Calls for all items at the same time; failures are raised."""
    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, items))


# ---------------------------------------------------------------- logins that are right

class Logins(unittest.TestCase):
    def whole_way(self, login, **settings):
        """Topics, tables, an event, its value in PostgreSQL and in what the commands say."""
        fleet = SecureFleet(self, login, FEATURES, **settings).create_topics().migrate()
        fleet.send_entities(ENTITIES)
        fleet.start("recorder")
        fleet.start("features")
        fleet.send("events", [click(1)])
        wait_for_clicks(fleet, 1)
        self.assertEqual(1, json.loads(fleet.flotilla("features", "get", "user", "u", "--json"))["values"]
                         ["clicks_365d"])
        self.assertTrue(json.loads(fleet.flotilla("status", "--json"))["ok"])
        self.assertEqual(["e1"], [r["event_id"] for r in fleet.tail("events")])
        fleet.flotilla("topics", "check")
        return fleet

    def test_the_whole_way_with_plain(self):
        fleet = self.whole_way(secure.stack().plain())
        for program in ("features", "recorder"):
            checked = fleet.check(program)
            self.assertEqual(0, checked.returncode, checked.stderr)
            self.assertIn('kafka.sasl.password: "***"', checked.stdout)
            self.assertIn("postgresql://flotilla:***@localhost", checked.stdout)

    def test_the_whole_way_with_scram(self):
        use_librdkafka_that_knows_scram(self)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            with self.subTest(mechanism):
                self.whole_way(secure.stack().scram(mechanism))

    def test_the_whole_way_with_a_certificate_of_the_clients_own(self):
        self.whole_way(secure.stack().mutual())

    def test_the_whole_way_while_librdkafka_tells_all_it_does(self):
        use_librdkafka_that_knows_scram(self)
        self.whole_way(secure.stack().scram("SCRAM-SHA-512"), **{"kafka.debug": "all", "log.level": "debug"})

    def test_secrets_come_from_files_as_well(self):
        servers = secure.stack()
        fleet = SecureFleet(self, servers.login(), FEATURES).create_topics_as(servers.plain())
        password, url = fleet.folder / "password", fleet.folder / "url"
        password.write_text(servers.passwords["all"] + "\n", encoding="utf-8")
        url.write_text(servers.secure_url(fleet.database) + "\n", encoding="utf-8")
        for path in (password, url):
            path.chmod(0o600)
        fleet.settings.update({"kafka.sasl.mechanisms": "PLAIN", "kafka.sasl.username": "all", "postgres.url": None,
                               "kafka.sasl.password_file": password, "postgres.url_file": url})
        fleet.migrate()
        recorder = fleet.start("recorder")
        self.assertNotIn("secret_is_readable", recorder.text())
        password.chmod(0o640)
        features = fleet.start("features")
        warned = [r for r in features.records() if r.get("event") == "secret_is_readable"]
        self.assertEqual([("kafka.sasl.password", str(password))], [(r["setting"], r["file"]) for r in warned])
        fleet.send("events", [click(1)])
        wait_for_clicks(fleet, 1)


# ---------------------------------------------------------------- logins that are not

class Refused(unittest.TestCase):
    """What a command and a worker say: the reason, and what to do."""

    def cases(self):
        servers = secure.stack()
        other_ca = servers.certificates.path("other-ca.crt")
        clear = {"kafka.brokers": servers.brokers}
        return {
            "a wrong password": (servers.plain(**{"kafka.sasl.password": "wrong"}),
                                 "Invalid username or password", "check kafka.sasl.mechanisms, kafka.sasl.username"),
            "a user that is not there": (servers.plain(**{"kafka.sasl.username": "nobody"}),
                                         "Invalid username or password", "kafka.sasl.username"),
            "another authority": (servers.plain(**{"kafka.ssl.ca.location": other_ca}),
                                  "unable to get local issuer certificate", "kafka.ssl.ca.location"),
            "a name that the certificate has not": (
                servers.plain(**{"kafka.brokers": f"127.0.0.1:{servers.ports['secure']}"}),
                "IP address mismatch", "write the name that it has in kafka.brokers"),
            "a certificate that has expired": (
                servers.plain(**{"kafka.brokers": f"localhost:{servers.ports['expired']}"}),
                "certificate has expired", "renew the broker's certificate"),
            "no certificate of its own": (
                servers.login("mutual", **{"kafka.security.protocol": "SSL"}),
                "certificate required", "set kafka.ssl.certificate.location and kafka.ssl.key.location"),
            "no TLS": (servers.plain(**{"kafka.security.protocol": "SASL_PLAINTEXT"}),
                       "Disconnected", "check kafka.security.protocol"),
            "TLS where there is none": (servers.plain(**clear), "SSL", "kafka.security.protocol"),
        }

    def test_a_command_says_why_and_what_to_do(self):
        fleets_of = {name: SecureFleet(self, login) for name, (login, _, _) in self.cases().items()}
        ended = dict(zip(fleets_of, at_once(lambda fleet: fleet.run("topics", "check"), fleets_of.values())))
        for name, (_, why, remedy) in self.cases().items():
            with self.subTest(name):
                self.assertEqual(1, ended[name].returncode, ended[name].stderr)
                self.assertIn(why, ended[name].stderr)
                self.assertIn(remedy, ended[name].stderr)

    def test_a_worker_waits_and_says_why_and_what_to_do(self):
        for program in ("features", "recorder"):
            started = {name: SecureFleet(self, login, FEATURES).start(program, ready=False)
                       for name, (login, _, _) in self.cases().items()}
            for name, (_, why, remedy) in self.cases().items():
                with self.subTest(program=program, case=name):
                    self.wait_for_reason(started[name], why, remedy)
            for worker in started.values():
                worker.stop()

    def wait_for_reason(self, worker, why, remedy):
        def errors():
            return [r["error"] for r in worker.records() if r.get("event") == "kafka_away"]
        wait_until(lambda: any(why in e for e in errors()), worker.text, LIMIT_S)
        self.assertTrue(any(why in e and remedy in e for e in errors()), errors())
        status, said = worker.get("/readyz")
        self.assertEqual(503, status)
        self.assertIn("waiting for Kafka", said)
        self.assertEqual(200, worker.get("/healthz")[0])

    def test_a_login_that_librdkafka_is_too_old_for_is_told_as_that(self):
        servers = secure.stack()
        ended = SecureFleet(self, servers.scram("SCRAM-SHA-512")).run("topics", "check")
        if servers.env["KAFKA_VERSION"].startswith("3."):
            self.assertEqual(3, ended.returncode)       # it has looked, and there are no topics yet
            return
        self.assertEqual(1, ended.returncode)
        self.assertIn("Kafka 4 takes SCRAM of librdkafka 2.6.1 or newer only", ended.stderr)

    def test_a_worker_that_waits_goes_on_once_its_password_is_right(self):
        use_librdkafka_that_knows_scram(self)
        servers = secure.stack()
        login = servers.login(**{"kafka.sasl.mechanisms": "SCRAM-SHA-256", "kafka.sasl.username": "late",
                                 "kafka.sasl.password": servers.scram_password})
        fleet = SecureFleet(self, login, FEATURES).create_topics_as(servers.plain())
        worker = fleet.start("features", ready=False)
        self.wait_for_reason(worker, "Authentication failed", "kafka.sasl.password")
        servers.admin.allow([("User:late", *right) for right in secure.EVERYTHING])
        servers.admin.scram_user("late", servers.scram_password)
        worker.wait_ready()


# ---------------------------------------------------------------- PostgreSQL

class Postgres(unittest.TestCase):
    def test_a_wrong_authority_name_or_password_is_refused_and_said(self):
        servers = secure.stack()
        fleet = SecureFleet(self, servers.plain()).create_topics().create_database()
        for why, remedy, url in (
                ("certificate verify failed", "sslrootcert of postgres.url must be",
                 servers.secure_url(fleet.database, ca="other-ca.crt")),
                ('does not match host name "127.0.0.1"', "write the name that it is of in postgres.url",
                 servers.secure_url(fleet.database, host="127.0.0.1")),
                ('password authentication failed for user "flotilla"', "check user and password of postgres.url",
                 servers.secure_url(fleet.database, password="wrong")),
                ("no encryption", "sslmode=verify-full", servers.secure_url(fleet.database, mode="disable"))):
            with self.subTest(why):
                ended = fleet.run("migrate", settings={"postgres.url": url})
                self.assertEqual(1, ended.returncode)
                self.assertIn(why, ended.stderr)
                self.assertIn(remedy, ended.stderr)
                recorder = fleet.start("recorder", ready=False, **{"postgres.url": url})
                wait_until(lambda: why in recorder.get("/readyz")[1], recorder.text, LIMIT_S)
                away = [r["error"] for r in recorder.records() if r.get("event") == "postgres_away"]
                self.assertEqual(1, len(away), away)
                self.assertIn(remedy, away[0])
                fleet.watch(recorder)
                recorder.stop()

    def test_an_unwritten_percent_in_the_password_is_found_before_it_is_shown(self):
        servers = secure.stack()
        fleet = SecureFleet(self, servers.plain(), FEATURES)
        port = servers.env["POSTGRES_PORT"]
        for url in (f"postgresql://flotilla:{servers.postgres_password}@localhost:{port}/x",
                    f"postgresql://flotilla:begin@{servers.scram_password}@localhost:{port}/x",
                    f"postgresql://flotilla:begin/{servers.scram_password}@localhost:{port}/x",
                    f"postgresql://flotilla@localhost:{servers.scram_password}/x"):
            with self.subTest(url):
                settings = {"postgres.url": url}
                for ended in (fleet.run("migrate", settings=settings), fleet.check("recorder", **settings)):
                    self.assertEqual(2, ended.returncode)
                    self.assertIn("postgres.url", ended.stderr)


# ---------------------------------------------------------------- secrets on the command line

class CommandLine(unittest.TestCase):
    def run_with(self, *arguments, program="flotilla-recorder", **environment):
        return subprocess.run([fleets.BIN / program, *map(str, arguments)], capture_output=True, encoding="utf-8",
                              env={**fleets.environment(), **environment}, timeout=60)

    def assertRefused(self, ended, part, secret):
        self.assertEqual(2, ended.returncode, ended.stdout + ended.stderr)
        self.assertIn(part, ended.stderr)
        self.assertNotIn(secret, ended.stdout + ended.stderr)

    def test_a_secret_is_refused_there_by_all_programs_and_not_repeated(self):
        for setting, value in (("kafka.sasl.password", "hush7hush"), ("kafka.ssl.key.pem", "hush7hush"),
                               ("kafka.sasl.oauthbearer.config", "principal=hush7hush"),
                               ("postgres.url", "postgresql://me:hush7hush@host/db"),
                               ("postgres.url", "postgresql://host/db?password=hush7hush"),
                               ("postgres.url", "host=h password=hush7hush")):
            for program, words in (("flotilla-features", ("--check",)), ("flotilla-recorder", ("--check",)),
                                   ("flotilla", ("topics", "check"))):
                with self.subTest(setting=setting, value=value, program=program):
                    ended = self.run_with(*words, "--set", f"{setting}={value}", program=program)
                    self.assertRefused(ended, f"{setting}_file=PATH", "hush7hush")

    def test_a_slip_of_the_hand_does_not_show_one(self):
        for words in (("--set", "kafka.sasl.password", "hush7hush"), ("--set", "kafka.sasl.password:hush7hush"),
                      ("--set", "kafka.sasl.pasword=hush7hush"), ("--kafka.sasl.password=hush7hush",),
                      ("kafka.sasl.password=hush7hush",), ("--set", "postgres.password=hush7hush"),
                      ("--set", "postgres.url postgresql://me:hush7hush@host?a=b")):
            with self.subTest(words):
                self.assertRefused(self.run_with("--check", *words), "", "hush7hush")

    def test_a_file_that_cannot_be_one_is_refused_by_its_name(self):
        folder = SecureFleet(self, {}).folder
        empty, large, missing = folder / "empty", folder / "large", folder / "missing"
        empty.write_text("\n", encoding="utf-8")
        large.write_text("x" * 65_537, encoding="utf-8")
        for path, why in ((empty, "is empty"), (large, "is larger than 65536 bytes"), (folder, "Is a directory"),
                          (missing, "No such file")):
            for words, environment in ((("--set", f"kafka.sasl.password_file={path}"), {}),
                                       ((), {"FLOTILLA_KAFKA_SASL_PASSWORD_FILE": str(path)})):
                with self.subTest(why=why, environment=environment):
                    ended = self.run_with("--check", *words, **environment)
                    self.assertEqual(2, ended.returncode)
                    self.assertIn(why, ended.stderr)
                    self.assertIn(str(path), ended.stderr)


# ---------------------------------------------------------------- rights

def rights_of(fleet, program):
    return fleets.json_lines(fleet.flotilla("topics", "acls", program, "--json"))


def give(user, rights):
    secure.stack().admin.allow([(f"User:{user}", r["resource"], r["pattern"], r["name"], r["operation"])
                                for r in rights])


class Rights(unittest.TestCase):
    """The users v0, v1, ... have what is given to them here and nothing else."""
    users = [f"v{i}" for i in range(secure.PRINCIPALS)]

    def user_with(self, rights):
        user = self.users.pop()
        give(user, rights)
        return user

    def test_those_that_are_listed_suffice_for_the_whole_way_a_restart_and_a_second_copy(self):
        servers = secure.stack()
        fleet = SecureFleet(self, servers.plain(), FEATURES, checkpoint_interval_ms=100)
        logins = {program: servers.plain(self.user_with(rights_of(fleet, program)))
                  for program in ("features", "ranker", "recorder", "flotilla")}
        fleet.settings.update(logins["flotilla"])
        fleet.create_topics().migrate()
        fleet.flotilla("topics", "check")
        fleet.send_entities(ENTITIES)
        fleet.start("recorder", **logins["recorder"])
        first = fleet.start("features", **logins["features"])
        fleet.send("events", [click(i) for i in range(3)])
        fleet.produce("events", [("u", NO_EVENT)])
        wait_for_clicks(fleet, 3)
        wait_until(lambda: fleet.rows("SELECT count(*) FROM dead_letters") == [["1"]], "no dead letter", LIMIT_S)
        fleet.start("features", **logins["features"])
        fleet.settle()
        first.kill()
        fleet.send("events", [click(i, user) for i in range(3, 9) for user in ("u", "v")])
        wait_for_clicks(fleet, 9)
        wait_for_clicks(fleet, 6, "v")
        for worker in fleet.running("features"):
            worker.stop()
        fleet.start("features", **logins["features"])
        fleet.send("events", [click(9)])
        wait_for_clicks(fleet, 10)
        self.assertTrue(json.loads(fleet.flotilla("status", "--json"))["ok"])
        fleet.start("ranker", **logins["ranker"])
        self.assertEqual(["p"], [item["proposition_id"] for item in json.loads(fleet.flotilla(
            "rank", "--user", "u", "--candidates", "p", "--json"))["ranking"]["items"]])
        self.assertEqual(1, len(fleet.dead_letters()))
        self.assertIn("1 sent", fleet.flotilla("dead-letters", "replay", "--yes"))

    def lane(self):
        """A fleet whose topics have something of everything, and more to do."""
        fleet = SecureFleet(self, secure.stack().plain(), FEATURES, checkpoint_interval_ms=0,
                            shared_checkpoint_interval_ms=0).create_topics()
        fleet.send_entities(ENTITIES)
        fleet.send("events", [click(1)])
        worker = fleet.start("features")
        wait_until(lambda: {"state.user", "state.shared", "feature.totals", "features"} <=
                   {topic.removeprefix(fleet.prefix) for (topic, _), end in fleet.ends().items() if end},
                   fleet.ends, LIMIT_S)
        worker.stop()
        return fleet

    def assertCannotGoOn(self, fleet, program, missing, rights, number):
        """Without one of its rights a worker ends, or goes nowhere, and says what it may not touch."""
        login = secure.stack().plain(self.user_with([r for r in rights if r != missing]))
        fleet.send("events", [click(100 + number)])
        fleet.produce("events", [("u", NO_EVENT)])
        worker = fleet.start(program, ready=False, **login)

        def refusals():
            """The errors that name what it may not touch, and the way out."""
            return [r for r in worker.records() if r["level"] in ("warn", "error")
                    and missing["name"] in (text := r.get("error") or "") and "flotilla topics acls" in text
                    and ("authorization failed" in text or "not allowed" in text)]
        wait_until(refusals, lambda: f"without {missing}: {worker.text()}", LIMIT_S)
        self.assertEqual([], [r for r in worker.records() if r.get("event") == "fatal" and r not in refusals()])
        if self.ends_or_is_stuck(worker):
            self.assertEqual(1, worker.process.returncode)
        else:
            worker.kill()

    def ends_or_is_stuck(self, worker):
        """True once it has ended, False once the same transaction was aborted several times."""
        def counted():
            """(epochs, aborts)"""
            status, text = worker.get("/metrics")
            found = dict(re.findall(r"^flotilla_transaction_(epochs|aborts)_total (\S+)$", text, re.MULTILINE))
            return (float(found["epochs"]), float(found["aborts"])) if status == 200 and len(found) == 2 else None
        before = counted()

        def is_stuck():
            now = counted()
            return before and now and now[0] == before[0] and now[1] >= before[1] + 3
        wait_until(lambda: not worker.is_running() or is_stuck(), worker.text, LIMIT_S)
        return not worker.is_running()

    def test_each_one_of_the_features_worker_is_necessary(self):
        lanes = at_once(lambda _: self.lane(), range(3))

        def try_some(number):
            fleet = lanes[number]
            rights = rights_of(fleet, "features")
            for i, missing in enumerate(rights):
                if i % len(lanes) == number:
                    self.assertCannotGoOn(fleet, "features", missing, rights, i)
        at_once(try_some, range(len(lanes)))

    def test_each_one_of_the_recorder_is_necessary(self):
        fleet = self.lane().migrate()
        rights = rights_of(fleet, "recorder")
        for i, missing in enumerate(rights):
            self.assertCannotGoOn(fleet, "recorder", missing, rights, i)

    def test_each_one_of_the_operator_is_necessary(self):
        fleet = self.lane().migrate()
        fleet.start("features")
        fleet.start("recorder")
        fleet.produce("events", [("u", NO_EVENT)])
        wait_until(lambda: fleet.rows("SELECT count(*) FROM dead_letters") == [["1"]], "no dead letter", LIMIT_S)
        rights = rights_of(fleet, "flotilla")
        purposes = {r["for"] for r in rights}
        self.assertLessEqual(purposes, {"topics create", "topics check", "tail", "tail, status", "tail, backfill",
                                        "tail, status, backfill", "send, simulate", "status",
                                        "dead-letters replay", "models", "models, tail", "rank, send", "rank, tail"})
        # A model for each topic that is written, so that none finds its version there already.
        model = fleet.folder / "model.json"
        model.write_text(models.text(1, [models.stump(0, 0.5, 1, 2)], names=("clicks_365d",)), encoding="utf-8")
        for topic in ("models", "model.artifacts"):
            fleet.flotilla("models", "register", "--model", fleet.topic(topic), "--file", model)

        def for_the_test(purpose):
            """One of the commands that a right is for."""
            return {"tail, status": "tail", "tail, backfill": "tail", "tail, status, backfill": "tail",
                    "models, tail": "tail", "rank, tail": "tail",
                    "rank, send": "send, simulate"}.get(purpose, purpose)

        def without(missing):
            arguments, stdin = {"topics create": (("topics", "create"), None),
                                "topics check": (("topics", "check"), None),
                                "tail": (("tail", missing["name"], "--from", "beginning", "--exit-at-end"), None),
                                "send, simulate": (("send", missing["name"], "-"), self.record_for(missing["name"])),
                                "models": (("models", "promote", missing["name"], 1), None),
                                "dead-letters replay": (("dead-letters", "replay", "--yes"), None),
                                "status": (("status",), None)}[for_the_test(missing["for"])]
            user = secure.stack().plain(missing["user"])
            prefix = {"kafka.prefix": missing["prefix"]} if missing["operation"] == "Create" else {}
            ended = fleet.run(*arguments, stdin=stdin, settings={**user, **prefix})
            self.assertEqual(1, ended.returncode, f"without {missing}: {ended.stdout}{ended.stderr}")
            self.assertIn("Transactional Id" if missing["resource"] == "transactional-id" else missing["name"],
                          ended.stderr)
            self.assertIn("AUTHORIZATION_FAILED", ended.stderr)
            self.assertIn("flotilla topics acls", ended.stderr)

        wanted = []
        for i, missing in enumerate(rights):
            row = dict(missing)
            if missing["operation"] == "Create":
                # Topics that are there need no right: these are of a fleet that has none yet.
                row["prefix"] = f"{fleet.prefix}new{i}."
                fresh = fleets.json_lines(fleet.flotilla("topics", "acls", "flotilla", "--json",
                                                         settings={"kafka.prefix": row["prefix"]}))
                row["name"] = fresh[i]["name"]
                row["user"] = self.user_with([r for r in fresh if r != fresh[i]])
            else:
                row["user"] = self.user_with([r for r in rights if r != missing])
            wanted.append(row)
        for start in range(0, len(wanted), 6):
            at_once(without, wanted[start:start + 6])

    def record_for(self, topic):
        if topic.endswith("events"):
            return json.dumps(click(1)) + "\n"
        if topic.endswith("rank.requests"):
            return json.dumps({"request_id": "r", "user_id": "u", "timestamp": 1, "context": {}, "candidates": [],
                               "limit": 1}) + "\n"
        return json.dumps({"id": "x", "timestamp": 1, "attributes": {}}) + "\n"


if __name__ == "__main__":
    unittest.main()
