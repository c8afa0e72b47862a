"""A training set of `flotilla backfill` is read without any of Flotilla's code, as deploy/examples/training_set.py does.

What is in it is worked out by hand.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import xgb  # noqa: E402

FLOTILLA = Path(os.environ.get("BIN_DIR", ROOT / "build/workers")).resolve() / "flotilla"
EXAMPLE = ROOT / "deploy/examples/training_set.py"
LIMIT_S = 60
START = 1_700_000_000_000
FEATURES = """features:
  - {name: price, scope: proposition, attribute: {field: price}}
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: weight, scope: proposition, attribute: {field: weight}}
"""
# Takes pandas' place: what would be in the table is written as JSON.
TABLES = """import json
class DataFrame:
    def __init__(self, columns):
        self.columns = {name: values.tolist() for name, values in columns.items()}
    def to_parquet(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.columns, file)
"""


def proposition(id, **attributes):
    return {"proposition": {"id": id, "timestamp": 1, "attributes": attributes}}


def request(id, user, at, *candidates):
    return {"request": {"request_id": id, "user_id": user, "timestamp": START + at, "candidates": list(candidates)}}


def event(name, user, at, *propositions, request_id=None):
    made = {"event_id": f"{name} {at}", "event": name, "user_id": user, "timestamp": START + at,
            "propositions": list(propositions)}
    return {"event": {**made, "request_id": request_id} if request_id else made}


# "c" of the first request is not shown; of the second all are, and "b" is clicked; the third is never shown.
STORY = [
    proposition("a", price=1.5), proposition("ü", price=2.5), proposition("c", price=4),
    request("r1", "Zoë", 0, "a", "ü", "c"), event("impression", "Zoë", 10, "a", "ü", request_id="r1"),
    event("click", "Zoë", 20, "ü", request_id="r1"),
    request("r2", "Zoë", 1000, "ü", "d"), event("impression", "Zoë", 1010, "d", "ü", request_id="r2"),
    request("r3", "u", 2000, "a"),
    event("later", "u", 10_000_000)]
ROWS = [("r1", "Zoë", "a", 0, 1.5, 0), ("r1", "Zoë", "ü", 1, 2.5, 0),
        ("r2", "Zoë", "ü", 0, 2.5, 1), ("r2", "Zoë", "d", 0, None, 1)]


class TrainingSets(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="flotilla training set ")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "features.yaml").write_text(FEATURES, encoding="utf-8")
        (self.folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in STORY), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOTILLA_")}
        self.run_well([FLOTILLA, "backfill", "--features", self.folder / "features.yaml", "--stream",
                       self.folder / "log.jsonl", "--out", self.folder / "set", "--labels", "click=1",
                       "--label-window", "1m"], environment)

    def run_well(self, command, environment):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, env=environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def test_the_example_says_what_is_in_it(self):
        printed = self.run_well([sys.executable, EXAMPLE, self.folder / "set"], os.environ)
        self.assertEqual(["X 4 x 3 float32, y 4 (1 positive), groups 2", "price: 25.0% missing, mean 2.16667",
                          "clicks_1h: 0.0% missing, mean 0.5", "weight: never there"], printed.splitlines())

    def test_the_example_makes_a_table_that_xgboost_trains_on(self):
        (self.folder / "pandas.py").write_text(TABLES, encoding="utf-8")
        table = self.folder / "table.parquet"
        self.run_well([sys.executable, EXAMPLE, self.folder / "set", table],
                      os.environ | {"PYTHONPATH": str(self.folder)})
        columns = json.loads(table.read_text(encoding="utf-8"))
        self.assertEqual(["request", "user", "proposition", "label", "price", "clicks_1h", "weight"], list(columns))
        rows = [tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row[:-1])
                for row in zip(*columns.values())]
        self.assertEqual(ROWS, rows)
        self.assertTrue(all(math.isnan(weight) for weight in columns["weight"]))
        vectors = [[columns[name][i] for name in ("price", "clicks_1h", "weight")] for i in range(len(rows))]
        xgb.Booster(vectors, columns["label"], 2, objective="binary:logistic")


if __name__ == "__main__":
    unittest.main()
