"""What another order would have brought, told from what a ranker explored on a real Kafka: the ranker's score.log, the
set that `flotilla backfill` makes of it, and the estimates of common/stats/off_policy.h, against the truth, which is
known since the clicks are made here.

A random test prints its SEED; with it, it does the same again.
"""
import json
import sys
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
from fleet import Fleet  # noqa: E402
from ranking import Application, entity, now_ms  # noqa: E402
from stats import ask  # noqa: E402
from training_sets import TrainingSet  # noqa: E402

FEATURES = """
features:
  - {name: pop,    scope: proposition, attribute: {field: pop}}
  - {name: clicks, scope: user,        count: {event: click, windows: [1h]}}
"""
POPULARITY = {"p0": 8.0, "p1": 5.0, "p2": 4.0, "p3": 3.0, "p4": 2.0, "p5": 1.5, "p6": 1.0, "p7": 0.5}
# What is popular is not what is clicked: the order to be judged is by this.
ATTRACTION = {"p0": 0.2, "p1": 0.1, "p2": 0.5, "p3": 0.3, "p4": 0.6, "p5": 0.25, "p6": 0.7, "p7": 0.4}
EXAMINATION = [1.0, 0.6, 0.4]
REQUESTS, CANDIDATES, EXPLORING, TEMPERATURE = 2500, 5, 0.4, 2.0


def expected_clicks(shown):
    return sum(ATTRACTION[p] * look for p, look in zip(shown, EXAMINATION))


class OffPolicy(unittest.TestCase):
    def setUp(self):
        self.rng = fleets.seeded(self, 11)
        self.fleet = Fleet(self, FEATURES).create_topics()
        exploring = {"rules": {"popularity": {"value": "pop"}},
                     "exploration": {"share": EXPLORING, "temperature": TEMPERATURE}}
        self.fleet.configure(json.dumps({"placements": {"default": exploring}}))
        self.app = Application(self, self.fleet)
        for id, pop in POPULARITY.items():
            self.app.entity("proposition", entity(id, pop=pop))
        self.fleet.start("ranker")

    def run_shop(self):
        """Users ask, see and click. The candidates of each request."""
        asked = [self.app.send({"request_id": f"r{i}", "user_id": f"u{i % 400}", "limit": len(EXAMINATION),
                                "candidates": self.rng.sample(list(POPULARITY), CANDIDATES)})
                 for i in range(REQUESTS)]
        for request, answer in zip(asked, self.app.wait_answers(asked)):
            self.app.wait_log(request)
            shown = [item["proposition_id"] for item in answer["items"]]
            now = now_ms()
            seen = {"user_id": request["user_id"], "timestamp": now, "request_id": request["request_id"],
                    "context": {}, "value": None}
            self.app.send_event({**seen, "event_id": f"i{now}{request['request_id']}", "event": "impression",
                                 "propositions": shown}, now)
            for p, look in zip(shown, EXAMINATION):
                if self.rng.random() < ATTRACTION[p] * look:
                    self.app.send_event({**seen, "event_id": f"c{p}{request['request_id']}", "event": "click",
                                         "propositions": [p]}, now + 1)
        self.app.flush()
        return [request["candidates"] for request in asked]

    def backfill(self):
        directory = self.fleet.folder / "set"
        run = self.fleet.run("backfill", "--out", directory, "--incomplete", "--label-window", "1h",
                             "--labels", "click=1")
        self.assertEqual(0, run.returncode, run.stdout + run.stderr)
        return TrainingSet(directory)

    def test_the_truth_lies_in_the_intervals_of_what_another_order_would_have_brought(self):
        candidates = self.run_shop()
        got = self.backfill()
        self.assertEqual(REQUESTS, len(got.requests))
        attraction = np.array([ATTRACTION[p] for p in got.propositions])
        # A model that is wrong by a factor of two for half of the propositions.
        expected = attraction * np.array([2 if p in ("p0", "p2", "p4", "p6") else 1 for p in got.propositions])
        popularity = np.array([POPULARITY[p] for p in got.propositions])
        found = ask({"do": "off_policy", "first": [first for _, _, first, _ in got.requests] + [len(got.labels)],
                     "places": got.places, "propensities": got.propensities.astype(float),
                     "rewards": got.labels.astype(float),
                     "targets": [{"scores": attraction, "expected": expected},
                                 {"scores": popularity, "expected": expected}]})
        self.assertEqual((REQUESTS, 0, 0), (found["used"], found["unexplored"], found["unknown"]))
        for target, values in zip(found["targets"], (ATTRACTION, POPULARITY)):
            truth = np.mean([expected_clicks(sorted(ids, key=values.get, reverse=True)) for ids in candidates])
            self.assertEqual("", target["reason"])
            low, high = target["mean_weight"][1:]
            self.assertTrue(low < 1 < high, target)
            for name in ("ips", "snips", "dr"):
                value, low, high = target[name]
                print(f"{name}: {value:.3f} [{low:.3f}, {high:.3f}], truth {truth:.3f}")
                self.assertTrue(low <= truth <= high, (name, target[name], truth))
                self.assertLess(high - low, 0.8 * truth)


if __name__ == "__main__":
    unittest.main()
