"""What PostgreSQL may do to a recorder, and what the recorder does then: tests/crash/README.md has it as a table.

Killed, restarted, stopped, read-only and sessions that are ended: see test_recorder.py.
"""
import json
import random
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import confluent_kafka  # noqa: E402
import postgres  # noqa: E402
import small_disk  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from proxy import FROM_SERVER, TO_SERVER, Proxy  # noqa: E402
from test_recorder import CATCH_UP_S, START_MS, Case, feature_record  # noqa: E402

WAITING = "flotilla_recorder_waiting_for_postgres"
SAY_LIMIT_S = 60
SHORT = {"postgres.timeout_ms": 2000}


class Silent(Case):
    """A server that does not answer, and says nothing of it either."""

    def wait_for_waiting(self, recorder):
        wait_until(lambda: recorder.metrics().get(WAITING) == 1, recorder.text, SAY_LIMIT_S)
        self.assertIn("PostgreSQL", recorder.get("/readyz")[1] + recorder.get("/status")[1])

    def test_a_server_that_is_frozen_is_waited_for(self):
        recorder = self.fleet.start("recorder", **SHORT)
        self.start_load(21)
        self.wait_for_rows(0)
        with postgres.frozen(self.fleet.stack):
            self.wait_for_waiting(recorder)
        self.wait_for_rows(self.rows_written())
        self.end_load()

    def proxied(self, *directions):
        """A recorder whose connection falls silent in these directions and is healed once it has noticed."""
        proxy = Proxy(int(self.fleet.stack.env["POSTGRES_PORT"]))
        self.addCleanup(proxy.close)
        url = f"postgresql://flotilla@{proxy.address}/{self.fleet.database}"
        recorder = self.fleet.start("recorder", **SHORT, **{"postgres.url": url})
        self.start_load(22)
        for _ in range(3):
            self.wait_for_rows(self.rows_written())
            proxy.silence(*directions)
            self.wait_for_waiting(recorder)
            proxy.heal()
            wait_until(lambda: recorder.metrics().get(WAITING) == 0, recorder.text, SAY_LIMIT_S)
        self.end_load()

    def test_a_connection_that_is_half_open_is_left_and_what_it_still_delivers_is_not_counted_twice(self):
        self.proxied(TO_SERVER, FROM_SERVER)

    def test_a_commit_whose_answer_is_lost_is_not_made_twice(self):
        self.proxied(FROM_SERVER)


@unittest.skipIf(small_disk.why_not(), small_disk.why_not())
class DiskFull(Case):
    def setUp(self):
        stack = postgres.SmallPostgres(self)
        self.fleet = Fleet(self, stack=stack, **{"recorder.batch_rows": 500}).create_topics().migrate()
        self.addCleanup(self.heal)
        self.load = None

    def heal(self):
        self.fleet.stack.disk.free()
        super().heal()

    def test_while_the_disk_is_full_the_recorder_waits_and_nothing_is_lost_or_doubled(self):
        recorder = self.fleet.start("recorder", **SHORT)
        self.start_load(23)
        for _ in range(2):
            self.wait_for_rows(self.rows_written())
            self.fleet.stack.disk.fill()
            wait_until(lambda: recorder.metrics().get(WAITING) == 1, recorder.text, SAY_LIMIT_S)
            self.assertTrue(recorder.is_running())
            self.fleet.stack.disk.free()
            # Without room for its log the server itself ends; its operator starts it.
            self.fleet.stack.run("postgres-start")
            wait_until(lambda: recorder.metrics().get(WAITING) == 0, recorder.text, SAY_LIMIT_S)
        self.end_load()


class AnotherDatabase(Case):
    """One that stands where the recorder's was: an empty one, or a copy of it."""

    def setUp(self):
        super().setUp()
        self.stack = self.fleet.stack
        self.here = self.fleet.database
        self.away = f"{self.here}_away"
        self.addCleanup(self.stack.sql, f"DROP DATABASE IF EXISTS {self.away} WITH (FORCE)")

    def record(self, first, count):
        """Records of the topic features and dead-letters, and their rows."""
        rng = random.Random(first)
        self.fleet.produce_json("features", [feature_record(rng, n) for n in range(first, first + count)])
        self.fleet.produce_json("dead-letters", [(f"k{n}", {
            "topic": "events", "partition": 0, "offset": n, "timestamp": START_MS, "worker": "features",
            "reason": "undecodable", "detail": f"record {n}", "value": {"bytes": "x"}})
            for n in range(first, first + count)])
        return self

    def swap(self, migrated):
        """An empty database at the address of the recorder's."""
        postgres.rename(self.stack, self.here, self.away)
        self.fleet.create_database()
        if migrated:
            self.fleet.flotilla("migrate")

    def restore(self):
        postgres.end_sessions(self.stack, self.here)
        self.stack.sql(f"DROP DATABASE {self.here} WITH (FORCE)")
        postgres.rename(self.stack, self.away, self.here)

    def identity(self):
        return self.fleet.rows("SELECT id FROM database_identity")[0][0]

    def assertRefused(self, *words, recorder=None):
        recorder = recorder or self.fleet.start("recorder", ready=False)
        self.assertGreater(recorder.wait_end(SAY_LIMIT_S), 0)
        said = [r for r in recorder.records() if r["level"] in ("error", "fatal")][-1]
        for word in words:
            self.assertIn(word, json.dumps(said))
        self.fleet.workers.remove(recorder)     # it has ended as it should

    def recorded_before(self):
        self.record(0, 300).fleet.start("recorder")
        self.assertRecorded()
        self.fleet.running()[0].stop()

    def test_one_without_tables_is_refused_and_the_restored_one_goes_on(self):
        self.recorded_before()
        identity = self.identity()
        self.swap(migrated=False)
        self.record(300, 100)
        self.assertRefused("no tables", identity, "postgres.url", "restore")
        self.assertEqual([["0"]], self.fleet.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        self.restore()
        self.fleet.start("recorder")
        self.assertRecorded()

    def test_one_that_was_migrated_is_refused_untouched_and_the_restored_one_goes_on(self):
        self.recorded_before()
        before = self.identity()
        self.swap(migrated=True)
        self.record(300, 100)
        self.assertRefused(before, self.identity(), f"recorder.database={self.identity()}", "restore")
        self.assertEqual([["0", "0"]], self.fleet.rows(
            "SELECT (SELECT count(*) FROM consumer_offsets), (SELECT count(*) FROM feature_values)"))
        self.restore()
        self.fleet.start("recorder")
        self.assertRecorded()

    def test_one_that_takes_its_place_while_the_recorder_runs_is_refused(self):
        self.record(0, 300)
        recorder = self.fleet.start("recorder")
        self.assertRecorded()
        before = self.identity()
        self.swap(migrated=True)
        self.record(300, 100)
        self.assertRefused(before, f"recorder.database={self.identity()}", recorder=recorder)
        self.assertEqual([["0"]], self.fleet.rows("SELECT count(*) FROM dead_letters"))

    def test_one_that_is_named_in_a_setting_is_begun_anew_and_is_the_right_one_from_then_on(self):
        self.recorded_before()
        before = self.identity()
        self.swap(migrated=True)
        self.fleet.start("recorder", **{"recorder.database": self.identity()})
        self.record(300, 100)
        self.assertRecorded()
        self.fleet.running()[0].stop()
        self.fleet.start("recorder")
        self.record(400, 100)
        self.assertRecorded()
        self.fleet.running()[0].stop()
        after = self.identity()
        self.restore()
        self.assertRefused(before, after)

    def test_one_that_a_single_partition_was_not_recorded_in_is_refused(self):
        self.recorded_before()
        other = "00000000-0000-0000-0000-000000000000"
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.stack.brokers,
                                             "group.id": self.fleet.topic("recorder")})
        self.addCleanup(consumer.close)
        consumer.commit(offsets=[confluent_kafka.TopicPartition(self.fleet.topic("rankings"), 3, 7,
                                                                metadata=f"database {other}")], asynchronous=False)
        self.assertRefused(self.identity(), other, "rankings-3")

    def test_an_older_copy_of_it_goes_on_where_the_copy_ends(self):
        self.recorded_before()
        postgres.rename(self.stack, self.here, self.away)
        self.stack.sql(f"CREATE DATABASE {self.here} OWNER flotilla TEMPLATE {self.away}")
        self.stack.sql(f"DROP DATABASE {self.away}")
        self.stack.sql(f"CREATE DATABASE {self.away} OWNER flotilla TEMPLATE {self.here}")
        self.record(300, 100).fleet.start("recorder")
        self.assertRecorded()
        self.fleet.running()[0].stop()
        self.restore()
        self.record(400, 100).fleet.start("recorder")
        self.assertRecorded()


class SameKey(Case):
    def test_a_key_that_somebody_else_inserts_at_the_same_moment_gets_the_value_of_the_log(self):
        user, value = "u1", {"scope": "user", "key": ["u1"], "as_of": START_MS, "values": {"n": 7.0}}
        other = subprocess.Popen(["psql", "-qX", "-v", "ON_ERROR_STOP=1",
                                  self.fleet.stack.postgres_url(self.fleet.database)], stdin=subprocess.PIPE, text=True)
        self.addCleanup(other.wait)
        self.addCleanup(other.stdin.close)
        other.stdin.write("BEGIN; INSERT INTO feature_values VALUES ('user', '{u1}', now(), '{\"n\": 1}');\n")
        other.stdin.flush()
        wait_until(lambda: self.fleet.rows("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND "
                                           "state = 'idle in transaction'"), "no transaction", 10)
        self.fleet.start("recorder")
        self.fleet.produce_json("features", [(user, value)])
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_until(lambda: self.fleet.rows(waits), "the recorder does not meet the other one", CATCH_UP_S)
        other.stdin.write("COMMIT;\n")
        other.stdin.flush()
        wait_until(lambda: self.fleet.recorded()[0]["values"] == {"n": 7.0}, self.fleet.recorded, CATCH_UP_S)
        self.assertRecorded()


if __name__ == "__main__":
    unittest.main()
