"""dead_letters.max_share: a producer of nothing but rubbish does not have its topic copied into dead-letters."""
import json
import time
import unittest

from fleet import Fleet, wait_until

CLICKS = "features:\n  - {name: clicks, scope: user, count: {event: click, windows: [365d]}}\n"
RUBBISH = 3000
MOST = 0.1


def click(number, user):
    return {"event_id": f"e{number}", "event": "click", "user_id": user, "timestamp": int(time.time() * 1000),
            "propositions": [], "context": {}}


class Flood(unittest.TestCase):
    def fleet(self, partitions=2):
        return Fleet(self, CLICKS, partitions).create_topics()

    def rubbish(self, fleet, user, count=RUBBISH):
        fleet.kcat("-P", "-t", fleet.topic("events"), "-X", "topic.partitioner=murmur2_random", "-K", "\t",
                   stdin=f"{user}\trubbish\n" * count)

    def users_of_both_partitions(self, fleet):
        """Two users whose events land in different partitions, and where those of the first do."""
        fleet.produce_json("events", [(f"u{n}", click(n, f"u{n}")) for n in range(8)])
        lines = fleet.kcat("-C", "-e", "-q", "-t", fleet.topic("events"), "-f", "%k %p\n").split("\n")
        partition = dict(line.split() for line in lines if line)
        first = partition["u0"]
        return "u0", next(user for user, other in partition.items() if other != first), int(first)

    def clicks(self, fleet):
        return {r["key"][0]: r["values"]["clicks_365d"] for r in fleet.published()}

    def test_a_partition_of_rubbish_is_not_read_further_the_worker_says_so_and_the_other_goes_on(self):
        fleet = self.fleet()
        bad, good, partition = self.users_of_both_partitions(fleet)
        worker = fleet.start("features", **{"dead_letters.max_share": MOST})
        self.rubbish(fleet, bad)
        wait_until(lambda: worker.get("/readyz")[0] == 503, "the worker is still ready", 60)
        status, text = worker.get("/readyz")
        self.assertEqual(503, status)
        for word in (f"partition {partition} of {fleet.topic('events')}", "dead letters", "dead_letters.max_share"):
            self.assertIn(word, text)
        fleet.produce_json("events", [(good, click(100, good))])
        wait_until(lambda: self.clicks(fleet).get(good) == 2, lambda: f"{self.clicks(fleet)}", 60)
        # From 0 it takes ln(1/0.9) of a thousand records of which every one is bad to come over a tenth.
        self.assertEqual(106, len(fleet.dead_letters()))
        waiting = {p["partition"]: p["waiting"] for p in json.loads(worker.get("/status")[1])["partitions"]
                   if p["topic"] == fleet.topic("events")}
        self.assertEqual({partition: True, 1 - partition: False}, waiting)
        self.assertEqual(1, worker.metrics()["flotilla_features_waiting_partitions"])
        worker.stop()
        fleet.start("features")
        fleet.settle()
        self.assertEqual(RUBBISH, len(fleet.dead_letters()))
        self.assertEqual(RUBBISH, len({(d["partition"], d["offset"]) for d in fleet.dead_letters()}))

    def test_a_share_below_the_cap_goes_on_and_without_a_cap_everything_does(self):
        fleet = self.fleet(1)
        worker = fleet.start("features", **{"dead_letters.max_share": 0.5})
        for block in range(10):
            fleet.produce_json("events", [("u", click(block * 100 + n, "u")) for n in range(80)])
            self.rubbish(fleet, "u", 20)
        fleet.settle()
        self.assertEqual(200, worker.get("/readyz")[0])
        self.assertEqual(200, len(fleet.dead_letters()))
        worker.stop()
        worker = fleet.start("features")
        self.rubbish(fleet, "u")
        fleet.settle()
        self.assertEqual(200, worker.get("/readyz")[0])
        self.assertEqual(200 + RUBBISH, len(fleet.dead_letters()))

    def test_a_share_that_is_none_is_refused(self):
        fleet = self.fleet(1)
        for share in ("2", "-0.1", "much", ""):
            worker = fleet.start("features", ready=False, **{"dead_letters.max_share": share})
            self.assertEqual(2, worker.wait_end())
            self.assertIn("dead_letters.max_share", worker.text())
