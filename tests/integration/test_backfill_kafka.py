"""`flotilla backfill` from a real Kafka: the same set as from files, and what rankers scored is what it computes.

A random test prints its SEED; with it, it does the same again.
"""
import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/oracle")]
import fleet as fleets  # noqa: E402
import streams  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from kafka_admin import KafkaAdmin  # noqa: E402
from ranking import Application, entity, now_ms  # noqa: E402
from training_sets import TrainingSet, assert_equal_sets  # noqa: E402

LIVE = """
features:
  - {name: clicks,     scope: user, count: {event: click, windows: [10s, 1h]}}
  - {name: spend,      scope: user, sum: {event: convert, windows: [1h]}}
  - {name: since,      scope: user*proposition, recency: {event: click}}
  - {name: heat,       scope: user, decay: {event: click, half_life: 30s}}
  - {name: genre_ctr,  scope: user*proposition.genres,
     rate: {of: click, per: impression, windows: [1h], weight: 5, prior: 0.2}}
  - {name: on_device,  scope: user*context.device, count: {event: click, windows: [1h]}}
  - {name: variety,    scope: user, distinct: {event: click, of: proposition, window: 1h}}
  - {name: prop_ctr,   scope: proposition,
     rate: {of: click, per: impression, windows: [1h], weight: 3, prior: global}}
  - {name: price,      scope: proposition, attribute: {field: price}}
  - {name: hour,       scope: context, time: {part: hour_of_day, zone: UTC}}
  - {name: standing,   scope: candidate, standing: {of: since}}
  - {name: position,   scope: candidate, position: {at_serving: 0}}
"""
SHARED = {"prop_ctr_1h", "price", "genre_ctr_1h"}


class Same(unittest.TestCase):
    SEED = 6                    # its times are such that Kafka can hold them

    def backfill(self, fleet, name, *options, status=0):
        directory = fleet.folder / name
        run = fleet.run("backfill", "--out", directory, *options)
        self.assertEqual(status, run.returncode, run.stdout + run.stderr)
        return directory, run.stdout

    def test_of_several_partitions_the_set_is_that_of_the_file(self):
        """Users' records come from four partitions at once; events of the same user keep their order."""
        features, lines = streams.generate(self.SEED, "small")
        stamped = [{**line, "kafka_timestamp": line.get("kafka_timestamp", line["event"]["timestamp"])}
                   if "event" in line else line for line in lines]
        self.assertTrue(fleets.is_after_1970(stamped))
        fleet = Fleet(self, features).create_topics()
        fleet.send_entities(lines)
        fleet.send("events", [line for line in stamped if "event" in line])
        fleet.send("rank.requests", [line["request"] for line in lines if "request" in line])
        everything = ["--with-unshown", "--incomplete", "--label-window", "1d"]
        from_kafka, _ = self.backfill(fleet, "kafka", *everything)
        stream = fleet.folder / "stream.jsonl"
        streams.write_lines(stream, lines)
        from_file, _ = self.backfill(fleet, "file", "--stream", stream, *everything)
        one, other = TrainingSet(from_kafka), TrainingSet(from_file)
        # Requests of one millisecond, and impressions, whose ids are numbers by arrival, may stand in another order.
        self.assertEqual(sorted(at for _, at, _, _ in one.requests), sorted(at for _, at, _, _ in other.requests))
        asked = {line["request"]["request_id"] for line in lines if "request" in line}
        rows = [{id: (s.vectors[first:end], list(s.propositions[first:end]), s.labels[first:end], s.places[first:end])
                 for id, _, first, end in s.requests if id in asked} for s in (one, other)]
        self.assertEqual(set(rows[0]), set(rows[1]))
        self.assertGreater(len(rows[0]), 100)
        for id, (vectors, propositions, labels, places) in rows[0].items():
            expected = rows[1][id]
            self.assertEqual(expected[1], propositions)
            np.testing.assert_array_equal(expected[2], labels)
            np.testing.assert_array_equal(expected[3], places)
            # Sums of what came in another order differ in the last bits.
            np.testing.assert_allclose(vectors, expected[0], rtol=1e-6, atol=1e-9)

    def test_who_asks_again_reads_kafka_no_more(self):
        """With its journal kept, a second set comes of the very same records, though others have come since."""
        fleet = Fleet(self, LIVE).create_topics()
        shown = {"event_id": "i", "event": "impression", "user_id": "u", "timestamp": 1_700_000_000_000,
                 "propositions": ["a"]}
        fleet.send("events", [{"event": shown}, {"event": {**shown, "event_id": "j", "timestamp": 1_700_009_000_000}}])
        journal = ["--journal", fleet.folder / "journal", "--keep-journal", "--incomplete"]
        first, _ = self.backfill(fleet, "first", *journal)
        fleet.send("events", [{"event": {**shown, "event_id": "k", "timestamp": 1_700_010_000_000}}])
        second, printed = self.backfill(fleet, "second", *journal)
        self.assertIn("it was read before", printed)
        assert_equal_sets(self, first, second)
        third, _ = self.backfill(fleet, "third", "--incomplete")
        self.assertEqual((2, 3), (len(TrainingSet(first).requests), len(TrainingSet(third).requests)))


class Live(unittest.TestCase):
    USERS, PROPOSITIONS, STEPS = 5, 8, 120

    def setUp(self):
        self.rng = fleets.seeded(self, 5)
        self.fleet = Fleet(self, LIVE).create_topics()
        self.app = Application(self, self.fleet)
        self.clock = 0
        for i in range(self.PROPOSITIONS):
            self.app.entity("proposition", entity(f"p{i}", self.now(), price=float(i), genres=[f"g{i % 3}"]))
        self.fleet.start("features", ready=False)
        self.fleet.start("ranker")

    def now(self):
        """Later than any time before: of what happens in one millisecond a ranker may see the event first."""
        self.clock = max(self.clock + 1, now_ms())
        return self.clock

    def happen(self, name, user, propositions, **more):
        now = self.now()
        self.app.event({"event_id": f"{name}{now}", "event": name, "user_id": user, "timestamp": now,
                        "propositions": propositions, "context": {"device": "tv"}, "value": 2.5, **more}, now)

    def live(self):
        """Users who ask, see and click, one after the other. The requests that were logged."""
        asked = []
        for _ in range(self.STEPS):
            user = f"u{self.rng.randrange(self.USERS)}"
            candidates = self.rng.sample([f"p{i}" for i in range(self.PROPOSITIONS)], 4)
            now = self.now()
            request = self.app.send({"user_id": user, "timestamp": now, "candidates": candidates,
                                     "context": {"device": "tv"}}, now)
            answer = self.app.wait_answers([request])[0]
            asked.append(request)
            shown = [item["proposition_id"] for item in answer["items"]]
            self.happen("impression", user, shown, request_id=request["request_id"])
            if self.rng.random() < 0.5:
                self.happen(self.rng.choice(["click", "convert"]), user, [self.rng.choice(shown)],
                            request_id=request["request_id"])
        return [self.app.wait_log(request) for request in asked]

    def test_what_rankers_scored_is_what_the_log_gives(self):
        logs = self.live()
        run = self.fleet.run("backfill", "--out", self.fleet.folder / "set", "--incomplete", "--label-window", "1h")
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        got = TrainingSet(self.fleet.folder / "set")
        self.assertEqual(([1] * self.STEPS, self.STEPS), (got.sources, got.counts["logged"]["requests"]))
        for column in got.counts["logged"]["columns"]:
            self.assertEqual(column["name"] in SHARED, column["may_lag"], column)
            self.assertEqual(4 * self.STEPS, column["values"], column)
            if not column["may_lag"]:
                self.assertEqual((0, 0), (column["different"], column["event_came_late"]), column)
        by_id = {log["request_id"]: log for log in logs}
        for id, _, first, end in got.requests:
            log = by_id[id]
            order = [log["features"].index(name) for name in got.columns if name != "position"]
            vectors = np.frombuffer(log["vectors"], dtype="<f4").reshape(len(log["candidates"]), -1)
            ours = got.vectors[first:end, [i for i, name in enumerate(got.columns) if name != "position"]]
            np.testing.assert_array_equal(vectors[:, order], ours)
            np.testing.assert_array_equal(np.array(log["scores"], dtype=np.float32), got.scores[first:end])
            places = {log["candidates"][c]: place for place, c in enumerate(log["shown"])}
            self.assertEqual([places.get(p, -1) for p in got.propositions[first:end]], list(got.places[first:end]))
        self.assertEqual([1.0] * int((got.places >= 0).sum()), list(got.propensities[got.places >= 0]))

    def test_a_late_event_explains_what_was_scored_without_it(self):
        """The click happened before the request, but arrived behind it."""
        click_at, ask_at = self.now(), self.now() + 1
        request = self.app.send({"user_id": "u0", "timestamp": ask_at, "candidates": ["p0", "p1"],
                                 "context": {"device": "tv"}}, ask_at)
        shown = [item["proposition_id"] for item in self.app.wait_answers([request])[0]["items"]]
        self.app.wait_log(request)
        self.app.event({"event_id": "late", "event": "click", "user_id": "u0", "timestamp": click_at,
                        "propositions": ["p0"]}, ask_at + 1000)
        wait_until(lambda: now_ms() > ask_at, "the time of the request", 10)
        self.clock = ask_at
        self.happen("impression", "u0", shown, request_id=request["request_id"])
        run = self.fleet.run("backfill", "--out", self.fleet.folder / "set", "--incomplete", "--label-window", "1h")
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        self.assertIn("late or close", run.stdout)
        columns = {c["name"]: c for c in TrainingSet(self.fleet.folder / "set").counts["logged"]["columns"]}
        self.assertEqual((0, 2), (columns["clicks_1h"]["different"], columns["clicks_1h"]["event_came_late"]))

    def test_where_retention_removed_events_a_ranker_knew_more_and_that_is_no_defect(self):
        now = self.now()
        self.app.event({"event_id": "gone", "event": "click", "user_id": "u0", "timestamp": now - 8000,
                        "propositions": ["p0"]}, now - 8000)
        request = self.app.send({"user_id": "u0", "timestamp": now, "candidates": ["p0", "p1"],
                                 "context": {"device": "tv"}}, now)
        shown = [item["proposition_id"] for item in self.app.wait_answers([request])[0]["items"]]
        self.app.wait_log(request)
        KafkaAdmin(self.fleet).delete_records("events")
        self.happen("impression", "u0", shown, request_id=request["request_id"])
        run = self.fleet.run("backfill", "--out", self.fleet.folder / "set", "--incomplete", "--label-window", "1h")
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        self.assertIn("1 events were removed by retention", run.stdout)
        self.assertNotIn("DEFECT", run.stdout)
        got = TrainingSet(self.fleet.folder / "set")
        self.assertEqual([1.0, 1.0], list(got.column("clicks_1h")))
        columns = {c["name"]: c for c in got.counts["logged"]["columns"]}
        self.assertEqual(2, columns["clicks_1h"]["different"])


if __name__ == "__main__":
    unittest.main()
