"""Workers that are killed, ended, frozen, joined and left, and whose clocks jump, while events are sent: every value,
every total of deltas, every dead letter and every row is what the oracle says, and would be noticed if it were not.

The driver is tests/crash: tests/crash/run.sh does the same by chance, and for as long as is wanted.
"""
import json
import random
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/crash")]
import faults  # noqa: E402
import schedule  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from faults_clock import Clock  # noqa: E402
from fleet import Expected  # noqa: E402
from load import LEDGER, Load  # noqa: E402
from round import suffer  # noqa: E402
from topics import Topics, decoded, last_values  # noqa: E402
from world import World  # noqa: E402

NEEDS_SERVERS = True

# Every kind of fault that needs no server of its own.
KILLED = ("worker-kill", "worker-kill-again", "recorder-kill", "worker-stop", "worker-clock")
COMING_AND_GOING = ("worker-kill-all", "worker-joins", "recorder-kill-again", "worker-stop-and-kill")
FROZEN = ("worker-zombie", "recorder-stop", "worker-frozen", "recorder-clock")
MOVING = ("rebalance-storm", "worker-leaves", "recorder-frozen")


class Rounds(unittest.TestCase):
    """The faults of a round overlap."""

    def round(self, seed, names, copies, static):
        world = World(self, seed, copies=copies, recorders=1, static=static).begin()
        world.feed()
        suffered, problems = suffer(world, schedule.of(names, random.Random(seed)))
        print(world.story())
        self.assertEqual(([], set(names)), (problems, set(suffered)))
        world.verify()
        world.verify_again()

    def test_copies_that_are_killed_and_whose_clocks_jump_change_no_value(self):
        self.round(101, KILLED, copies=2, static=True)

    def test_copies_without_names_that_are_killed_at_once_join_and_leave_change_no_value(self):
        self.round(102, COMING_AND_GOING, copies=3, static=False)

    def test_a_copy_that_wakes_after_its_partitions_have_moved_changes_no_value(self):
        self.round(103, FROZEN, copies=2, static=True)

    def test_partitions_that_move_again_before_they_are_restored_change_no_value(self):
        self.round(104, MOVING, copies=1, static=False)

    def test_every_fault_of_workers_and_of_their_clocks_is_in_one_of_the_rounds(self):
        of_workers = {name for name, fault in faults.load().items()
                      if fault.run.__module__ in ("faults_workers", "faults_clock")}
        self.assertEqual(of_workers, {*KILLED, *COMING_AND_GOING, *FROZEN, *MOVING})

    def test_a_seed_gives_the_same_schedule_and_the_same_stream_again(self):
        kinds = faults.chosen(["worker-*"], frozenset(["features"]))
        self.assertEqual(schedule.make(5, kinds), schedule.make(5, kinds))
        self.assertNotEqual(schedule.make(5, kinds), schedule.make(6, kinds))
        first, again, other = Load(5), Load(5), Load(6)
        self.assertEqual((first.features, first.first, first.second), (again.features, again.first, again.second))
        self.assertNotEqual(first.first, other.first)


class Clocks(unittest.TestCase):
    def test_workers_without_work_whose_clock_is_set_back_by_an_hour_do_not_sleep_for_that_hour(self):
        """librdkafka waits until a time of day, and so would the loop that has to see that it is to end."""
        world = World(self, 106, copies=1, recorders=1, static=True)
        copies = world.copies.wanted()
        clocks = [Clock(copy) for copy in copies]
        world.begin()
        for clock in clocks:
            clock.set(-3600)
        for copy in copies:
            copy.wanted = False
            copy.worker.stop()


class WhatIsWrong(unittest.TestCase):
    """A world in which nothing happens, until something of it is wrong."""

    def setUp(self):
        self.world = World(self, 105, copies=1, recorders=1, static=True, feed_s=1).begin()

    def assertNoticed(self, *patterns, records=None):
        with self.assertRaises(AssertionError) as raised:
            self.world.verify(records)
        for pattern in patterns:
            self.assertRegex(str(raised.exception), pattern)

    def produce(self, topic, key, value):
        producer = Producer({"bootstrap.servers": self.world.stack.brokers})
        producer.produce(self.world.fleet.topic(topic), value, key)
        self.assertEqual(0, producer.flush(30))

    def shared_ledgers(self, records):
        """What the oracle says of the ledgers of shared keys."""
        load = self.world.load
        expected = Expected(load.features, load.attributes() + [r.line for r in records if r.line])
        return [(r["scope"], r["key"], name, value) for r in expected.records if not expected.user_of(r)
                for name, value in r["values"].items() if name.startswith(LEDGER)]

    def test_one_event_that_is_lost_is_noticed_in_values_and_in_totals(self):
        sent = self.world.load.first
        whole = self.shared_ledgers(sent)
        fewer = next(some for i in reversed(range(len(sent))) if sent[i].line
                     and self.shared_ledgers(some := sent[:i] + sent[i + 1:]) != whole)
        self.world.feed(fewer)
        self.assertNoticed("values: [1-9]", "totals: [1-9]", records=sent)
        self.world.verify()

    def test_what_is_altered_doubled_or_removed_afterwards_is_noticed_where_it_is(self):
        self.world.feed()
        self.world.verify()
        for copy in self.world.copies.wanted():
            copy.wanted = False
            copy.stop()
        topics = Topics(self.world.fleet)
        with self.subTest("a dead letter twice"):
            message = topics.read("dead-letters")[0]
            self.produce("dead-letters", message.key(), message.value())
            offset = decoded("dead_letter", message.value())["offset"]
            self.assertNoticed(f"dead letters: 1 of .*\n.* at {offset}: expected 1 times, is there 2 times")
        with self.subTest("a value"):
            record = last_values(topics.read("features"))[0]
            name, value = next(iter(record["values"].items()))
            self.produce("features", b"wrong", json.dumps(
                {**record, "values": {**record["values"], name: (value or 0) + 1}}))
            self.assertNoticed(f"values: 1 of .*\n.*{name} expected", "rows: 1 of")
        with self.subTest("a delta twice"):
            message = topics.read("feature.deltas")[-1]
            self.produce("feature.deltas", message.key(), message.value())
            self.assertNoticed("totals: [1-9]")
        with self.subTest("a row that is gone"):
            self.world.fleet.rows("DELETE FROM dead_letters WHERE ctid = (SELECT ctid FROM dead_letters LIMIT 1)")
            self.assertNoticed("rows: 2 of")


if __name__ == "__main__":
    unittest.main()
