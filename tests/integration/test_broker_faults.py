"""What workers do about a broker: each of its faults has an outcome (tests/crash/README.md), and none is a wrong value.

Either all values are right afterwards, or the worker refuses, and its log says what, why, and what to do. Faults that
heal by themselves are suffered at random in tests/crash as well.
"""
import os
import signal
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/crash")]

import cluster  # noqa: E402
import proxied  # noqa: E402
import small_disk  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from fleet import Expected, Fleet, assert_equal_values, wait_until  # noqa: E402
from kafka_admin import KafkaAdmin  # noqa: E402

END_LIMIT_S = 90
WORDS_LIMIT_S = 60
START_MS = 1_700_000_000_000
FROZEN_S = 30
ANSWERED_S = 2              # many times fetch.wait.max.ms

FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [365d]}}
  - {name: spend, scope: user, sum: {event: click, windows: [365d]}}
  - {name: prop_clicks, scope: proposition, count: {event: click, windows: [365d]}}
  - {name: tier_clicks, scope: user.tier, count: {event: click, windows: [365d]}}
"""
USERS, PROPOSITIONS = 9, 7


def tearDownModule():
    proxied.stop()
    cluster.stop()


def clicks(first, count, users=USERS, filler=""):
    """Lines of a stream: every user and proposition in turn."""
    return [{"event": {"event_id": f"e{i}", "event": "click", "user_id": f"u{i % users}", "timestamp": START_MS + i,
                       "propositions": [f"p{i % PROPOSITIONS}{filler}"], "value": i / 4},
             "kafka_timestamp": START_MS + i} for i in range(first, first + count)]


class Case(unittest.TestCase):
    def begin(self, stack=None, events=200, **settings):
        """A fleet whose one worker has taken in some events."""
        self.fleet = Fleet(self, FEATURES, stack=stack, **settings).create_topics()
        self.admin = KafkaAdmin(self.fleet)
        self.sent = []
        self.fleet.send_entities([{"user": {"id": f"u{i}", "timestamp": 1, "attributes": {"tier": f"t{i % 2}"}}}
                                  for i in range(USERS)])
        self.start()
        self.send(clicks(0, events))
        self.fleet.settle()

    def start(self, ready=True):
        self.worker = self.fleet.start("features", ready=ready, instance="only")

    def send(self, lines):
        self.fleet.send("events", lines)
        self.sent += lines

    def send_more(self, **more):
        self.send(clicks(len(self.sent), 60, **more))

    def assertEnds(self, *words):
        """The worker has ended, or does, by itself: its last error has these words."""
        self.assertEqual(1, self.worker.wait_end(END_LIMIT_S), self.worker.text()[-2000:])
        said = [r["error"] for r in self.worker.records() if r.get("event") == "fatal"]
        self.assertEqual(1, len(said), self.worker.text()[-2000:])
        for word in words:
            self.assertIn(word, said[0])

    def assertRefuses(self, *words):
        """So does each that is started."""
        self.start(ready=False)
        self.assertEnds(*words)

    def assertRight(self, lines=None, touch=True):
        """All values are those of the oracle; touch: also after a restart, which reads the checkpoints, once each key
        was touched again."""
        lines = self.sent if lines is None else lines
        self.fleet.settle()
        assert_equal_values(self, Expected(FEATURES, self.attributes() + lines), self.fleet.published())
        if touch:
            self.worker.kill()
            self.start()
            more = clicks(len(self.sent), USERS * PROPOSITIONS)
            self.send(more)
            self.assertRight(lines if lines is self.sent else lines + more, touch=False)

    def attributes(self):
        return [{"user": {"id": f"u{i}", "timestamp": 1, "attributes": {"tier": f"t{i % 2}"}}} for i in range(USERS)]

    def wait_until_not_ready(self):
        """It does not end, and says on /readyz what it waits for: a turn, a commit, attributes, its group."""
        def says_so():
            self.assertTrue(self.worker.is_running(), self.worker.text()[-2000:])
            status, text = self.worker.get("/readyz")
            return status == 503 and ": " in text
        wait_until(says_so, lambda: f"{self.worker.get('/readyz')}\n{self.worker.text()[-2000:]}", WORDS_LIMIT_S)


# ---------------------------------------------------------------- topics that are deleted under a worker

class DeletedTopics(Case):
    def test_a_log_that_is_deleted_ends_the_worker_which_then_refuses_until_all_is_counted_anew(self):
        for name, kept in (("events", False), ("feature.deltas", True)):
            with self.subTest(name):
                self.begin()
                self.admin.delete_topics(name)
                self.assertEnds("a topic was deleted while it was read", self.fleet.topic(name),
                                "flotilla topics create")
                self.assertRefuses(f"there is no topic {self.fleet.topic(name)}", "flotilla topics create")
                self.fleet.create_topics()
                self.assertRefuses("has checkpoints but no committed offset", "all state is built again from events")
                self.admin.count_anew()
                before = self.sent if kept else []
                self.start()
                more = clicks(len(self.sent), USERS * PROPOSITIONS)     # touches every key
                self.send(more)
                self.assertRight(before if before is self.sent else more)

    def test_checkpoints_that_are_deleted_and_made_anew_unnoticed_are_built_again_from_the_log(self):
        for name, events in (("state.user", "events"), ("state.shared", "feature.deltas")):
            with self.subTest(name):
                self.begin()
                self.admin.delete_topics(name)
                self.fleet.create_topics()
                self.send(clicks(len(self.sent), 2, users=1))           # most keys are not written again
                self.fleet.settle()
                self.worker.kill()
                self.start()
                said = [r for r in self.worker.records() if r.get("event") == "checkpoints_not_whole"]
                self.assertIn(self.fleet.topic(events), {r["topic"] for r in said})
                self.send_more()
                self.assertRight()

    def test_checkpoints_that_cannot_be_written_end_the_worker_and_are_built_again_from_the_log(self):
        self.begin()
        self.admin.delete_topics("state.user")
        self.send_more()
        self.assertEnds("flotilla topics create")
        self.assertRefuses(f"there is no topic {self.fleet.topic('state.user')}", "flotilla topics create")
        self.fleet.create_topics()
        self.start()
        self.assertRight()

    def test_values_that_cannot_be_written_end_the_worker_and_are_written_once_the_topic_is_there(self):
        self.begin()
        self.admin.delete_topics("features")
        self.send_more()
        self.assertEnds("flotilla topics create")
        self.fleet.create_topics()
        self.start()
        self.send(clicks(len(self.sent), USERS * PROPOSITIONS))         # what is not touched is not published again
        self.assertRight()


# ---------------------------------------------------------------- logs that are shorter than they must be

class Retention(Case):
    def begin_without_checkpoints(self):
        self.begin(checkpoint_interval_ms=600_000, shared_checkpoint_interval_ms=600_000)

    def test_events_that_a_restart_needs_and_that_were_deleted_are_refused_until_the_rest_is_counted_anew(self):
        self.begin_without_checkpoints()
        self.worker.kill()
        self.admin.delete_records("events")
        self.assertRefuses(self.fleet.topic("events"), "retention.ms is too short", "Restore it; or, to count what is "
                           "left", "all state is built again from events")
        self.admin.count_anew()
        self.start()
        more = clicks(len(self.sent), USERS * PROPOSITIONS)
        self.send(more)
        self.assertRight(more)

    def test_events_that_are_deleted_before_a_running_worker_has_read_them_end_it(self):
        self.begin()
        self.worker.process.send_signal(signal.SIGSTOP)
        self.send_more()
        time.sleep(ANSWERED_S)                  # the request that it had sent before is answered with these
        self.send_more()
        self.admin.delete_records("events")
        self.worker.process.send_signal(signal.SIGCONT)
        self.assertEnds("retention.ms")
        self.assertRefuses(self.fleet.topic("events"), "retention.ms is too short")

    def test_events_whose_values_are_in_checkpoints_may_be_deleted(self):
        self.begin()
        self.worker.kill()
        self.admin.delete_records("events")
        self.start()
        self.send_more()
        self.assertRight()

    def test_checkpoints_and_the_beginning_of_the_log_both_gone_are_refused(self):
        self.begin()
        self.worker.kill()
        self.admin.delete_topics("state.user")
        self.fleet.create_topics()
        self.admin.delete_records("events")
        self.assertRefuses(self.fleet.topic("events"), "its checkpoints are not whole", "begins only at offset",
                           "all state is built again from events")


# ---------------------------------------------------------------- records that are too large for a topic

class Limits(Case):
    def test_a_limit_below_a_batch_ends_the_worker_and_topics_check_names_the_topic(self):
        for name in ("features", "state.user"):
            with self.subTest(name):
                self.begin()
                self.admin.set_config(name, "max.message.bytes", 300)
                self.send(clicks(len(self.sent), 60, users=50, filler="x" * 200))
                self.assertEnds("max.message.bytes", "flotilla topics check")
                checked = self.fleet.run("topics", "check")
                self.assertNotEqual(0, checked.returncode)
                self.assertIn(f"{self.fleet.topic(name)}: max.message.bytes is 300", checked.stdout)
                needed = "16777216" if name == "state.user" else "1048588"
                self.admin.set_config(name, "max.message.bytes", needed)
                self.start()
                self.assertRight()


# ---------------------------------------------------------------- brokers and networks that do not answer

class Silence(Case):
    def test_a_broker_that_is_frozen_for_30_s_is_waited_for_and_nothing_is_lost_or_doubled(self):
        self.begin(**{"kafka.session.timeout.ms": 6000})
        self.send_more()
        self.fleet.stack.signal_kafka(signal.SIGSTOP)
        began = time.monotonic()
        try:
            self.wait_until_not_ready()
            self.assertEqual(200, self.worker.get("/healthz")[0])
            time.sleep(max(0, began + FROZEN_S - time.monotonic()))
        finally:
            self.fleet.stack.signal_kafka(signal.SIGCONT)
        self.come_back()
        self.assertRight()

    def test_a_network_that_is_silent_is_waited_for_and_nothing_is_lost_or_doubled(self):
        stack = proxied.stack()
        self.begin(stack=stack)
        self.send_more()
        stack.proxy.silence()
        try:
            self.send_more()
            self.wait_until_not_ready()
        finally:
            stack.proxy.heal()
        self.come_back()
        self.assertRight()

    def come_back(self):
        """A worker whose transaction Kafka has ended meanwhile may have to end, too: then it is started again, as a
        supervisor does."""
        wait_until(lambda: not self.worker.is_running() or (self.worker.get("/readyz")[0] == 200 and self.fleet.lag() == 0),
                   lambda: self.worker.text()[-2000:], WORDS_LIMIT_S)
        if not self.worker.is_running():
            self.assertEqual(1, self.worker.process.returncode)
            self.start()

    @unittest.skipIf(small_disk.why_not(), small_disk.why_not() or "")
    def test_a_disk_that_is_full_ends_the_broker_and_the_worker_waits_for_the_next(self):
        stack = proxied.stack()
        self.begin(stack=stack)
        # What nobody reads here fills the log, so that it is written to at once.
        writer = Producer({"bootstrap.servers": stack.brokers, "message.timeout.ms": 5000, "log_level": 0})
        stack.disk.fill()

        def has_ended():
            writer.produce(self.fleet.topic("rankings"), os.urandom(50_000))
            writer.poll(0)
            return not stack.is_running("kafka")
        try:
            wait_until(has_ended, "the broker goes on", WORDS_LIMIT_S)
            self.wait_until_not_ready()
        finally:
            stack.disk.free()
            stack.run("kafka-start")
        self.come_back()
        self.send_more()
        self.assertRight()


# ---------------------------------------------------------------- three brokers

class ThreeBrokers(Case):
    def begin_on_cluster(self):
        self.cluster = cluster.stack()
        self.begin(stack=self.cluster)

    def test_one_lost_and_leaders_and_coordinators_moved_nothing_is_lost_or_doubled(self):
        self.begin_on_cluster()
        topics = [self.fleet.topic(name) for name in ("events", "feature.deltas")]
        leader = self.cluster.leaders(topics[0])[0]
        node = self.cluster.nodes[leader]
        node.kill()
        self.send_more()
        Silence.come_back(self)
        self.fleet.settle()
        self.assertNotIn(leader, self.cluster.leaders(topics[0]).values())
        self.assertRight(touch=False)
        node.start()
        for topic in (*topics, "__transaction_state", "__consumer_offsets"):
            self.cluster.wait_in_sync(topic)
            self.cluster.move_leaders(topic, leader)
            self.send_more()
        self.come_back_and_compare()

    def come_back_and_compare(self):
        Silence.come_back(self)
        self.assertRight()


if __name__ == "__main__":
    unittest.main()
