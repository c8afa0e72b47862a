"""The worker `recorder` on a real Kafka and a real PostgreSQL: row for row what the topics say, whatever fails.

The records come straight from Kafka's own client, so no other worker has a part in it. A random test prints its SEED.
"""
import json
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402

CATCH_UP_S = 60
START_MS = 1_700_000_000_000
PARTITIONS = 3 * 4 + 1          # features, dead-letters, rankings; models


def feature_record(rng, number):
    """(key, value) for the topic features: few keys, so that most records replace one."""
    user = f"u{rng.randrange(300)}"
    return user, {"scope": "user", "key": [user], "as_of": START_MS + number,
                  "values": {"clicks_1h": float(number), "spend_1d": rng.uniform(-1e6, 1e6)}}


def dead_letter(rng, number):
    return f"k{number}", {"topic": "events", "partition": rng.randrange(4), "offset": number, "timestamp": START_MS,
                          "worker": "features", "reason": rng.choice(["undecodable", "missing_key"]),
                          "detail": f"record {number}", "value": {"bytes": f"\u00ff{number}"}}


def ranking(rng, number):
    user = f"u{rng.randrange(300)}"
    items = [{"proposition_id": f"p{rng.randrange(99)} \"Ä\"", "score": rng.uniform(-9, 9), "propensity": rng.random(),
              "contributions": {name: rng.uniform(-2, 2) for name in ("bias", "clicks")[:rng.randrange(3)]}}
             for _ in range(rng.randrange(4))]
    return user, {"request_id": f"r{number}", "user_id": user, "timestamp": START_MS + number, "placement": "home",
                  "model": "shop", "version": rng.randrange(2**40), "variant": rng.choice(["champion", "ab"]),
                  "degraded": rng.choice([None, "", "overload"]), "items": items,
                  "unknown": [f"x,{{{n}\\" for n in range(rng.randrange(3))]}


def rollout_plan(rng, number):
    challengers = [{"name": f"c{n}", "version": n + 2, "mode": "ab", "share": rng.random()}
                   for n in range(rng.randrange(3))]
    return "shop", {"model": "shop", "timestamp": START_MS + number, "actor": "me", "reason": f"number {number}",
                    "salt": "s", "champion": number, "previous": max(number - 1, 0), "pinned": rng.random() < 0.5,
                    "challengers": challengers}


def canonical(records):
    return sorted(json.dumps(record, sort_keys=True) for record in records)


class Load(threading.Thread):
    """Produces records until it is told to end."""

    def __init__(self, fleet, rng):
        super().__init__()
        self.fleet = fleet
        self.rng = rng
        self.ending = threading.Event()
        self.produced = 0
        self.problem = None

    def run(self):
        try:
            while not self.ending.wait(0.05):
                self.produce(200)
        except Exception as e:      # is raised again where the test waits for the end
            self.problem = e

    def produce(self, count):
        numbers = range(self.produced, self.produced + count)
        self.fleet.produce_json("features", [feature_record(self.rng, n) for n in numbers])
        self.fleet.produce_json("dead-letters", [dead_letter(self.rng, n) for n in numbers[::4]])
        self.fleet.produce_json("rankings", [ranking(self.rng, n) for n in numbers[::2]])
        self.fleet.produce_json("models", [rollout_plan(self.rng, n) for n in numbers[::50]])
        self.produced += count

    def end(self):
        self.ending.set()
        self.join()
        if self.problem:
            raise self.problem


class Case(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self, **{"recorder.batch_rows": 500}).create_topics().migrate()
        self.addCleanup(self.heal)
        self.load = None

    def heal(self):
        """The server is that of all tests: it must be left as it was."""
        if self.load and self.load.is_alive():
            self.load.ending.set()
            self.load.join()
        self.fleet.stack.run("postgres-start")
        self.read_only(False)

    def start_load(self, seed):
        self.load = Load(self.fleet, fleets.seeded(self, seed))
        self.load.start()

    def read_only(self, on):
        value = "on" if on else "off"
        stack = self.fleet.stack
        stack.sql(f"ALTER DATABASE {self.fleet.database} SET default_transaction_read_only = {value}")
        # Sessions that are open do not hear of it.
        stack.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.fleet.database}'")

    def rows_written(self):
        return int(self.fleet.rows("SELECT count(*) FROM dead_letters")[0][0])

    def wait_for_rows(self, more_than):
        wait_until(lambda: self.rows_written() > more_than, "the recorder writes nothing", CATCH_UP_S)

    def letters_in_topic(self):
        """What the topic has, each as its row should be."""
        return sorted((d["topic"], d["partition"], d["offset"], d["worker"], d["reason"], d["detail"],
                       fleets.bytes_of(d["value"])) for d in self.fleet.dead_letters())

    def letters_in_table(self):
        rows = self.fleet.rows("SELECT topic, partition, \"offset\", worker, reason, detail, encode(value, 'hex') "
                               "FROM dead_letters")
        return sorted((r[0], int(r[1]), int(r[2]), *r[3:6], None if r[6] is None else bytes.fromhex(r[6]))
                      for r in rows)

    def rankings_in_table(self):
        return self.records_in_table("rankings", "request_id, user_id, at AS \"timestamp\", placement, model, version, "
                                                 "variant, degraded, items, unknown")

    def plans_in_table(self):
        return self.records_in_table("rollout_plans", "model, at AS \"timestamp\", actor, reason, salt, champion, "
                                                      "previous, pinned, challengers")

    def records_in_table(self, table, columns):
        """The rows as their records are, sorted."""
        rows = self.fleet.rows(f"SELECT to_jsonb(r) || jsonb_build_object('timestamp', round(extract(epoch FROM "
                               f"r.\"timestamp\") * 1000)::bigint) FROM (SELECT {columns} FROM {table}) AS r")
        return canonical(json.loads(row[0]) for row in rows)

    def assertRecorded(self):
        """The tables are equal to their topics, row for row; they stay so."""
        published, letters = fleets.by_key(self.fleet.published()), self.letters_in_topic()
        rankings, plans = canonical(self.fleet.tail("rankings")), canonical(self.fleet.tail("models"))
        try:
            wait_until(lambda: self.rows_written() >= len(letters)
                       and fleets.by_key(self.fleet.recorded()) == published
                       and len(self.rankings_in_table()) >= len(rankings)
                       and len(self.plans_in_table()) >= len(plans), "the tables do not follow", CATCH_UP_S)
        except TimeoutError:
            pass                                    # the comparison below says what differs
        self.maxDiff = 2000
        self.assertEqual(published, fleets.by_key(self.fleet.recorded()))
        self.assertEqual(letters, self.letters_in_table())
        self.assertEqual(rankings, self.rankings_in_table())
        self.assertEqual(plans, self.plans_in_table())
        self.assertEqual([], [w.text()[-2000:] for w in self.fleet.workers if w.process.poll() not in (None, 0, -9)])

    def end_load(self):
        self.load.end()
        self.assertGreater(self.load.produced, 0)
        self.assertRecorded()


class PostgresFails(Case):
    def test_killed_and_restarted_under_load_nothing_is_lost_or_doubled(self):
        self.fleet.start("recorder")
        self.start_load(1)
        for _ in range(6):
            self.wait_for_rows(self.rows_written())
            self.fleet.stack.run("postgres-kill")
            time.sleep(self.load.rng.uniform(0, 0.5))
            self.fleet.stack.run("postgres-start")
        self.wait_for_rows(self.rows_written())
        self.end_load()

    def test_while_it_is_stopped_the_recorder_waits_says_so_and_goes_on(self):
        recorder = self.fleet.start("recorder")
        self.start_load(2)
        self.wait_for_rows(0)
        self.fleet.stack.run("postgres-stop")
        waiting = "flotilla_recorder_waiting_for_postgres"
        wait_until(lambda: recorder.metrics().get(waiting) == 1, "it does not say that it waits", 30)
        self.assertIn("PostgreSQL", recorder.get("/readyz")[1] + recorder.get("/status")[1])
        before = self.load.produced
        wait_until(lambda: self.load.produced > before + 2000, "the load has ended", 30)
        away = [r for r in recorder.records() if r.get("event") == "postgres_away"]
        self.assertTrue(1 <= len(away) <= 5, f"a line a problem, not one a try: {away}")
        self.fleet.stack.run("postgres-start")
        self.wait_for_rows(self.rows_written())
        wait_until(lambda: recorder.metrics().get(waiting) == 0, "it still says that it waits", 30)
        self.end_load()

    def test_read_only_for_a_while_it_waits_and_goes_on(self):
        recorder = self.fleet.start("recorder")
        self.start_load(3)
        self.wait_for_rows(0)
        self.read_only(True)
        wait_until(lambda: recorder.metrics().get("flotilla_recorder_waiting_for_postgres") == 1,
                   "it does not say that it waits", 30)
        before = self.rows_written()
        produced = self.load.produced
        wait_until(lambda: self.load.produced > produced + 1000, "the load has ended", 30)
        self.assertEqual(before, self.rows_written())
        self.read_only(False)
        self.wait_for_rows(before)
        self.end_load()

    def test_sessions_that_are_ended_by_the_server_are_opened_again(self):
        self.fleet.start("recorder")
        self.start_load(4)
        for _ in range(5):
            self.wait_for_rows(self.rows_written())
            self.fleet.stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                 f"WHERE datname = '{self.fleet.database}'")
        self.end_load()

    def test_a_recorder_that_is_started_before_postgresql_waits_for_it(self):
        self.fleet.stack.run("postgres-stop")
        recorder = self.fleet.start("recorder", ready=False)
        wait_until(lambda: recorder.get("/readyz")[0] == 503, "it has no window", 30)
        self.start_load(5)
        self.fleet.stack.run("postgres-start")
        recorder.wait_ready()
        self.end_load()


class RecorderFails(Case):
    def chaos(self, seed, **settings):
        """Killed at random, sometimes one of two, sometimes before it has written anything."""
        self.start_load(seed)
        rng = self.load.rng
        for number in range(8):
            how = rng.choice(["kill", "kill", "stop"])
            self.fleet.start("recorder", ready=rng.random() < 0.6, **settings)
            time.sleep(rng.uniform(0.05, 0.6))
            running = self.fleet.running("recorder")
            victim = rng.choice(running) if settings == {} else running[0]
            print(f"{number}: {how} one of {len(running)}")
            if len(running) > 1 or rng.random() < 0.7 or settings:
                getattr(victim, how)()
        self.fleet.start("recorder", **settings)
        self.end_load()

    def test_killed_at_random_nothing_is_lost_or_doubled(self):
        self.chaos(6)

    def test_killed_at_random_under_a_name_of_its_own_nothing_is_lost_or_doubled(self):
        self.chaos(7, instance="only")

    def test_one_that_was_paused_and_replaced_writes_nothing_when_it_wakes(self):
        paused = self.fleet.start("recorder")
        self.start_load(8)
        self.wait_for_rows(0)
        paused.process.send_signal(fleets.signal.SIGSTOP)
        successor = self.fleet.start("recorder")
        # The group gives the partitions away once the session of the paused one has ended.
        wait_until(lambda: any(r.get("event") == "assigned" and r["partitions"] == PARTITIONS
                               for r in successor.records()), successor.text, 30)
        self.wait_for_rows(self.rows_written())
        paused.process.send_signal(fleets.signal.SIGCONT)
        self.wait_for_rows(self.rows_written())
        self.end_load()

    def test_one_that_froze_in_the_middle_of_a_copy_holds_nobody_up(self):
        """Such a session waits for its client: no timeout of PostgreSQL ends it."""
        self.fleet.start("recorder").stop()
        stack = self.fleet.stack
        frozen = subprocess.Popen(["psql", "-qX", "-v", "ON_ERROR_STOP=1", stack.postgres_url(self.fleet.database)],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(frozen.stderr.close)
        self.addCleanup(frozen.wait)
        self.addCleanup(frozen.kill)
        frozen.stdin.write("BEGIN; UPDATE consumer_offsets SET updated_at = now();\n"
                           "COPY dead_letters FROM STDIN;\n")
        frozen.stdin.flush()
        wait_until(lambda: self.fleet.rows("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                                           "AND query LIKE 'COPY%' AND state = 'active'"), "there is no COPY", 10)
        self.start_load(10)
        self.fleet.start("recorder", **{"postgres.timeout_ms": 2000})
        self.wait_for_rows(0)
        self.end_load()

    def test_both_are_killed_at_random(self):
        self.start_load(9)
        rng = self.load.rng
        for _ in range(3):
            recorder = self.fleet.start("recorder", ready=False, instance="only")
            time.sleep(rng.uniform(0.2, 1))
            self.fleet.stack.run("postgres-kill")
            recorder.kill()
            self.fleet.stack.run("postgres-start")
        self.fleet.start("recorder", instance="only")
        self.end_load()


class Records(Case):
    def row(self, user):
        rows = self.fleet.rows(f"SELECT \"values\" FROM feature_values WHERE scope = 'user' AND key = '{{{user}}}'")
        return json.loads(rows[0][0]) if rows else None

    def test_a_value_is_found_by_its_name_with_plain_sql(self):
        self.fleet.produce_json("features", [("u", {"scope": "user", "key": ["u"], "as_of": START_MS,
                                                    "values": {"clicks_1h": 3.5}})])
        self.fleet.start("recorder")
        wait_until(lambda: self.row("u"), "the row does not come", CATCH_UP_S)
        self.assertEqual([["3.5", "2023-11-14 22:13:20"]], self.fleet.rows(
            "SELECT value, as_of AT TIME ZONE 'UTC' FROM feature_value "
            "WHERE scope = 'user' AND key = '{u}' AND name = 'clicks_1h'"))

    def test_a_key_without_values_has_no_row_and_may_come_back(self):
        def publish(**values):
            self.fleet.produce_json("features", [(user, {"scope": "user", "key": [user], "as_of": START_MS,
                                                         "values": {} if value is None else {"v": value}})
                                                 for user, value in values.items()])

        def rows():
            return {user: self.row(user) for user in "abcd" if self.row(user)}

        self.fleet.start("recorder")
        for published, expected in [({"a": 1, "b": 2}, {"a": {"v": 1}, "b": {"v": 2}}),
                                    ({"a": None, "c": None, "b": 3}, {"b": {"v": 3}}),
                                    ({"a": 4, "b": None, "d": 5}, {"a": {"v": 4}, "d": {"v": 5}})]:
            publish(**published)
            wait_until(lambda: rows() == expected, rows, CATCH_UP_S)

    def test_what_postgresql_cannot_hold_becomes_a_row_of_dead_letters(self):
        self.fleet.produce("features", [
            ("a", b"\xff no record"),
            ("b", json.dumps({"scope": "user", "key": ["nul\u0000"], "as_of": 1, "values": {}}).encode()),
            ("c", json.dumps({"scope": "user", "key": ["x" * 5000], "as_of": 1, "values": {}}).encode()),
            ("d", json.dumps({"scope": "user", "key": ["u"], "as_of": 2**62, "values": {}}).encode()),
            ("e", json.dumps({"scope": "user", "key": ["good"], "as_of": 1, "values": {"v": 1}}).encode())])
        self.fleet.start("recorder")
        wait_until(lambda: self.row("good"), "the good one does not come", CATCH_UP_S)
        wait_until(lambda: self.rows_written() == 4, self.letters_in_table, CATCH_UP_S)
        rows = self.fleet.rows("SELECT convert_from(key, 'UTF8'), topic, worker, reason FROM dead_letters ORDER BY 1")
        self.assertEqual([(key, self.fleet.topic("features"), "recorder") for key in "abcd"],
                         [tuple(row[:3]) for row in rows])
        self.assertEqual("undecodable", rows[0][3])

    def test_of_rankings_what_postgresql_cannot_hold_becomes_a_row_of_dead_letters(self):
        good = ranking(fleets.seeded(self, 11), 1)[1]
        item = {"proposition_id": "nul\u0000", "score": 1, "propensity": 1, "contributions": {}}
        long_id = "x" * 4000
        bad = [{**good, "request_id": "nul\u0000"}, {**good, "items": [item]}, {**good, "unknown": ["nul\u0000"]},
               {**good, "timestamp": 2**62}, {**good, "request_id": long_id}, {**good, "user_id": long_id}]
        names = "abcdef"
        self.fleet.produce("rankings", [(key, json.dumps(record).encode()) for key, record in zip(names, bad)])
        self.fleet.produce("rankings", [("good", json.dumps(good).encode())])
        self.fleet.start("recorder")
        wait_until(lambda: self.rows_written() == len(bad) and self.rankings_in_table(), self.letters_in_table,
                   CATCH_UP_S)
        self.assertEqual(canonical([good]), self.rankings_in_table())
        rows = self.fleet.rows("SELECT convert_from(key, 'UTF8'), topic, worker, reason FROM dead_letters ORDER BY 1")
        reasons = ["invalid_value"] * 4 + ["too_large"] * 2
        self.assertEqual([[key, self.fleet.topic("rankings"), "recorder", reason]
                          for key, reason in zip(names, reasons)], rows)

    def test_a_topic_that_was_made_anew_is_recorded_from_its_beginning_once_its_offset_is_deleted(self):
        rng = fleets.seeded(self, 12)
        plans = [rollout_plan(rng, number)[1] for number in range(3)]
        self.fleet.produce_json("models", [("shop", plan) for plan in plans[:2]])
        self.fleet.start("recorder")
        wait_until(lambda: len(self.plans_in_table()) == 2, "the rows do not come", CATCH_UP_S)
        self.fleet.running()[0].stop()
        self.fleet.stack.kafka_tool("org.apache.kafka.tools.TopicCommand", "--delete", "--topic",
                                    self.fleet.topic("models"))
        self.fleet.create_topics()
        self.fleet.produce_json("models", [("shop", plans[2])])
        refusing = self.fleet.start("recorder", ready=False)
        self.assertNotEqual(0, refusing.wait_end(60))
        self.assertIn("delete its row from consumer_offsets", refusing.text())
        self.fleet.rows(f"DELETE FROM consumer_offsets WHERE topic = '{self.fleet.topic('models')}'")
        self.fleet.start("recorder")
        wait_until(lambda: self.plans_in_table() == canonical(plans), self.plans_in_table, CATCH_UP_S)

    def test_what_was_shown_is_found_by_request_and_by_user_with_plain_sql(self):
        record = {"request_id": "r1", "user_id": "u1", "timestamp": START_MS, "placement": "home", "model": "shop",
                  "version": 3, "variant": "champion", "degraded": None, "unknown": ["x"],
                  "items": [{"proposition_id": "p1", "score": 0.5, "propensity": 1, "contributions": {"bias": 0.25}}]}
        self.fleet.produce_json("rankings", [("u1", record)])
        self.fleet.start("recorder")
        wait_until(self.rankings_in_table, "the row does not come", CATCH_UP_S)
        self.assertEqual([["p1", "0.25", "2023-11-14 22:13:20"]], self.fleet.rows(
            "SELECT items->0->>'proposition_id', items->0->'contributions'->>'bias', at AT TIME ZONE 'UTC' "
            "FROM rankings WHERE request_id = 'r1'"))
        self.assertEqual([["1"]], self.fleet.rows("SELECT count(*) FROM rankings WHERE user_id = 'u1' "
                                                  "AND at > '2023-11-01' AND degraded IS NULL AND 'x' = ANY(unknown)"))


if __name__ == "__main__":
    unittest.main()
