"""What a model is worth where the truth is known: the simulated shop, live, through Kafka and the ranker.

A week of history is backfilled and trained on as anybody would; then users come whose clicks follow their true
tastes. Prints which share of the clicks that could be gained over rules the model gains.
"""
import json
import re
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
from fleet import Fleet  # noqa: E402

FEATURES = (ROOT / "deploy/local/shop.features.yaml").read_text(encoding="utf-8")
USERS, PROPOSITIONS, DAYS, TRAINED_DAYS, EVENTS = 1000, 500, 7, 4, 400_000
PAGES = 2000                        # of live users, so many and more
REQUESTS_A_SECOND = 40
TRAIN_LIMIT_S = 400
# Those of the demo.
PARAMETERS = ("--param", "eta=0.1", "--param", "max_depth=6", "--param", "colsample_bytree=0.5",
              "--param", "min_child_weight=80")
POSSIBLE_SHARE = 0.7
SHOP = ("--users", USERS, "--propositions", PROPOSITIONS)
# A home page can show all of the shop. Twins of the same names are ranked by rules.
PLACEMENTS = {name + suffix: {**({} if suffix else {"model": "shop"}), "candidates": PROPOSITIONS,
                              "log": 0 if suffix else 1}
              for name in ("home", "genre", "search") for suffix in ("", "-rules")}


class Gain(unittest.TestCase):
    def train(self, fleet):
        """The version's number."""
        # Of the last days: users and propositions are as well known then as those that will be served.
        since_ms = int(time.time() * 1000) - TRAINED_DAYS * 86_400_000
        fleet.flotilla("backfill", "--out", fleet.folder / "set", "--from", since_ms, "--sample", 0.9,
                       limit_s=TRAIN_LIMIT_S)
        fleet.flotilla("train", "--data", fleet.folder / "set", "--model", "shop", "--trials", 1, *PARAMETERS,
                       "--threads", 2,
                       limit_s=TRAIN_LIMIT_S)
        return json.loads(fleet.flotilla("models", "list", "shop", "--json"))["version"]

    def test_a_model_trained_on_history_gets_most_of_what_rules_leave(self):
        fleet = Fleet(self, FEATURES).create_topics().migrate()
        fleet.configure(json.dumps({"placements": PLACEMENTS}))
        fleet.flotilla("simulate", *SHOP, "--days", DAYS, "--events", EVENTS, limit_s=TRAIN_LIMIT_S)
        version = self.train(fleet)
        fleet.flotilla("models", "promote", "shop", version)
        fleet.start("features")
        fleet.start("ranker")
        fleet.settle()
        rate = REQUESTS_A_SECOND
        said = fleet.flotilla("simulate", *SHOP, "--rate", rate, "--requests", rate, "--twins=-rules",
                              "--events", rate * (PAGES // rate + 10), limit_s=TRAIN_LIMIT_S)
        total = said[said.index("all in all"):]
        print(total, file=sys.stderr)
        share, low, high, pages = map(float, re.search(
            rf"gain +model v{version} ([\d.-]+) % \[([\d.-]+), ([\d.-]+)\] .*\((\d+) pages\)", total).groups())
        self.assertGreaterEqual(pages, PAGES)
        self.assertLess(high - low, 10)
        self.assertGreaterEqual(share / 100, POSSIBLE_SHARE, total)


if __name__ == "__main__":
    unittest.main()
