"""`flotilla features suggest` from Kafka: the same as from files, of the newest records, whatever else is there."""
import json
import os
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from fleet import Fleet  # noqa: E402

BEGIN_MS = 1_735_689_600_000        # 2025-01-01
MINUTE_MS = 60_000


def impression(number, event="impression"):
    return {"event_id": f"i{number}", "event": event, "user_id": f"u{number % 7}",
            "timestamp": BEGIN_MS + number * MINUTE_MS, "propositions": [f"p{number % 5}", f"p{number % 5 + 1}"],
            "request_id": f"r{number}"}


def click(number):
    return {"event_id": f"c{number}", "event": "click", "user_id": f"u{number % 7}",
            "timestamp": BEGIN_MS + number * MINUTE_MS + 500, "propositions": [f"p{number % 5}"],
            "request_id": f"r{number}"}


class Topics(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(self, partitions=3).create_topics()

    def file_of(self, name, records):
        path = self.fleet.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    def listed(self, text):
        """The definitions, as `flotilla features list` has them."""
        path = self.fleet.folder / f"suggested-{os.urandom(4).hex()}.yaml"
        path.write_text(text, encoding="utf-8")
        self.fleet.flotilla("features", "check", path)
        return self.fleet.flotilla("features", "list", path, "--json")

    def test_topics_say_what_files_say(self):
        records = {
            "events": [event for n in range(200) for event in (impression(n), click(n))],
            "propositions": [{"id": f"p{n}", "timestamp": 1, "attributes": {"genres": [f"g{n % 3}"], "price": n}}
                             for n in range(6)],
            "users": [{"id": f"u{n}", "timestamp": 1, "attributes": {"tier": ("x", "y")[n % 2]}} for n in range(7)],
            "rank.requests": [{"request_id": f"r{n}", "user_id": f"u{n % 7}", "timestamp": BEGIN_MS + n * MINUTE_MS,
                               "candidates": [f"p{n % 5}", f"p{n % 5 + 1}"], "limit": 2,
                               "context": {"device": ("tv", "pc")[n % 2]}} for n in range(200)],
        }
        for topic, sent in records.items():
            self.fleet.send(topic, sent)
        options = []
        for topic, option in (("events", "--events"), ("propositions", "--propositions"), ("users", "--users"),
                              ("rank.requests", "--requests")):
            options += [option, self.file_of(topic, records[topic])]
        expected = self.listed(self.fleet.flotilla("features", "suggest", *options))
        self.assertIn('"scope":"user*proposition.genres"', expected)
        self.assertEqual(expected, self.listed(self.fleet.flotilla("features", "suggest")))

    def test_the_newest_records_are_looked_at_and_others_passed_over(self):
        """Of 600 old lists, those named `page`, and 200 new ones, a sample has the new; a tombstone, and bytes that are
        no record, are in the way."""
        self.fleet.send("events", [impression(n, event="page") for n in range(600)])
        self.fleet.send("events", [event for n in range(700, 1000) for event in (impression(n), click(n))])
        self.fleet.produce("events", [("u1", b"no record")])
        self.fleet.send("propositions", [{"id": "p1", "timestamp": 1, "attributes": {"price": 1.5}}])
        self.fleet.produce_tombstone("propositions", "p1")
        run = self.fleet.run("features", "suggest", "--sample", 300)
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertNotIn("page: ", run.stdout)
        self.assertIn("impression: ", run.stdout)
        # The sample spans three hours; all events, over 16: a window of a day holds them.
        self.assertIn("the newest of those since 2025-01-01T0", run.stdout)
        self.assertIn("{event: click, windows: [1m, 1h, 1d]}", run.stdout)
        self.assertIn("records that could not be read: 1; the first: ", run.stderr)
        self.listed(run.stdout)

    def test_a_cluster_that_is_away_is_named(self):
        run = self.fleet.run("features", "suggest", settings={"kafka.brokers": "127.0.0.1:1"})
        self.assertEqual(1, run.returncode)
        self.assertIn("kafka.brokers=127.0.0.1:1", run.stderr)


if __name__ == "__main__":
    unittest.main()
