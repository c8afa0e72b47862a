"""`flotilla train`: from a training set to a model file, a report and a version that serves.

What is expected comes from XGBoost's own library, from scikit-learn, and from the set read with h5py.
"""
import array
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import h5py  # noqa: E402
import numpy  # noqa: E402
import xgb  # noqa: E402
from fleet import BIN, Fleet, wait_until  # noqa: E402
from ranking import Application, vectors_of  # noqa: E402
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score  # noqa: E402

FEATURES = """
features:
  - {name: price,    scope: proposition, attribute: {field: price}}
  - {name: rank,     scope: proposition, attribute: {field: rank}}
  - {name: ctr,      scope: proposition, rate: {of: click, per: impression, windows: [30d], weight: 10, prior: 0.1}}
  - {name: clicks,   scope: user, count: {event: click, windows: [1d]}}
  - {name: colour,   scope: proposition, attribute: {field: colour}}
  - {name: position, scope: candidate, position: {at_serving: 0}}
"""
PROPOSITIONS, USERS, IMPRESSIONS, LISTED = 60, 40, 1500, 8
START_MS = 1_700_000_000_000
STEP_MS = 120_000
LABELS = ("--labels", "click=1", "--label-window", "90s")
LIMIT_S = 240


def world(seed=1, positive=True):
    """Lines of a stream: what is clicked hangs on the price, on what nobody sees, and on the place."""
    rng = random.Random(seed)
    prices = [round(rng.uniform(1, 9), 2) for _ in range(PROPOSITIONS)]
    charms = [rng.gauss(0, 1) for _ in range(PROPOSITIONS)]
    yield from ({"proposition": {"id": f"p{i}", "timestamp": START_MS, "attributes": {"price": prices[i],
                                                                                      "rank": i % 7}}}
                for i in range(PROPOSITIONS))
    for n in range(IMPRESSIONS):
        at, user = START_MS + 1000 + n * STEP_MS, f"u{rng.randrange(USERS)}"
        listed = rng.sample(range(PROPOSITIONS), LISTED)
        common = {"user_id": user, "request_id": f"r{n}"}
        yield {"event": {"event_id": f"i{n}", "event": "impression", "timestamp": at,
                         "propositions": [f"p{i}" for i in listed], **common}}
        for place, i in enumerate(listed):
            margin = charms[i] - 0.5 * (prices[i] - 5) - 0.3 * place
            if positive and rng.random() < 1 / (1 + math.exp(-margin)):
                yield {"event": {"event_id": f"c{n}-{i}", "event": "click", "timestamp": at + 1000 + place,
                                 "propositions": [f"p{i}"], **common}}


class Set:
    """A training set, read with h5py."""

    def __init__(self, folder):
        self.info = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        names = self.info["columns"]
        self.names = [c["name"] if isinstance(c, dict) else c for c in names]
        parts = [h5py.File(path) for path in sorted(folder.glob("part-*.h5"))]
        self.values = numpy.column_stack([numpy.concatenate([p[f"features/{name}"][:] for p in parts])
                                          for name in self.names])
        self.labels = numpy.concatenate([p["rows/label"][:] for p in parts])
        self.times = numpy.concatenate([p["requests/timestamp"][:] for p in parts])
        counts = numpy.concatenate([p["requests/rows"][:] for p in parts])
        self.first = numpy.concatenate([[0], numpy.cumsum(counts.astype(int))])

    def served(self, columns):
        """The rows as they are served: every candidate at place 0."""
        values = self.values.copy()
        values[:, self.names.index("position")] = 0
        return values[:, [self.names.index(c) for c in columns]]

    def cut(self, share, end):
        """Of the requests with a click before `end` the last share, and all from the first of those on."""
        clicked = [i for i in range(end) if (self.labels[self.first[i]:self.first[i + 1]] > 0).any()]
        return clicked[round(len(clicked) * (1 - share))]

    def test_request(self, share=0.2):
        """The first of the test part; no two requests have one time."""
        return self.cut(share, len(self.times))

    def valid_request(self):
        return self.cut(0.125, self.test_request())


class Case(unittest.TestCase):
    """Without any server."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="flotilla-train."))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "features.yaml").write_text(FEATURES, encoding="utf-8")
        cls.stream("stream.jsonl", world())
        cls.set = cls.backfill("stream.jsonl", "set")

    @classmethod
    def stream(cls, name, lines):
        fleets.write_lines(cls.folder / name, lines)

    @classmethod
    def backfill(cls, stream, name):
        cls.run_flotilla("backfill", "--features", cls.folder / "features.yaml", "--stream", cls.folder / stream,
                         "--out", cls.folder / name, *LABELS)
        return cls.folder / name

    @classmethod
    def command(cls, *arguments):
        return [str(a) for a in (BIN / "flotilla", *arguments, "--set", "features.file=none")]

    @classmethod
    def run_flotilla(cls, *arguments, status=0):
        done = subprocess.run(cls.command(*arguments), capture_output=True, encoding="utf-8", timeout=LIMIT_S,
                              env=fleets.environment(), check=False)
        if done.returncode != status:
            raise AssertionError(f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def train(self, *options, status=0, given=None):
        return self.run_flotilla("train", "--data", given or self.set, "--model", "shop", "--no-register", *options,
                                 status=status)

    def file(self, name):
        return self.folder / name


class Files(Case):
    def test_the_same_set_seed_and_trials_give_the_same_file(self):
        for name, seed in (("a.ubj", 3), ("b.ubj", 3), ("c.ubj", 4)):
            self.train("--trials", 6, "--seed", seed, "--rounds", 60, "--out", self.file(name))
        a, b, c = (self.file(name).read_bytes() for name in ("a.ubj", "b.ubj", "c.ubj"))
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_what_the_report_says_is_what_scikit_learn_says_of_the_librarys_predictions(self):
        out = self.file("model.ubj")
        said = self.train("--trials", 1, "--calibration", "none", "--out", out, "--test-share", "0.25").stdout
        model, data = xgb.Booster.load(out), Set(self.set)
        columns = [c for c in data.names if c != "colour"]      # which has no value
        self.assertIn("not used, without a value in every training row: colour", said)
        request = data.test_request(0.25)
        first = data.first[request]
        scores = numpy.array(model.scores(data.served(columns)[first:].tolist()))
        labels = data.labels[first:]
        expected = {"AUC": roc_auc_score(labels, scores), "log loss": log_loss(labels, scores.astype(float))}
        lists = [(data.labels[a:b], scores[a - first:b - first])
                 for a, b in zip(data.first[request:], data.first[request + 1:])]
        clicked = [(y, s) for y, s in lists if y.any()]
        expected["NDCG@10"] = numpy.mean([ndcg_score([y], [s], k=10) for y, s in clicked])
        for name, value in expected.items():
            got = re.search(rf"^{re.escape(name)} +([\d.]+)", said, re.MULTILINE)
            self.assertIsNotNone(got, said)
            self.assertAlmostEqual(value, float(got[1]), delta=6e-5, msg=name)

    def test_from_files_in_one_step_is_as_from_their_set(self):
        options = ("--trials", 1, "--rounds", 40)
        self.train(*options, "--out", self.file("two.ubj"))
        self.run_flotilla("train", "--model", "shop", "--no-register", "--features", self.file("features.yaml"),
                          "--stream", self.file("stream.jsonl"), *LABELS, *options, "--out", self.file("one.ubj"))
        self.assertEqual(self.file("two.ubj").read_bytes(), self.file("one.ubj").read_bytes())

    def test_parameters_that_are_given_are_those_of_the_model(self):
        self.train("--trials", 3, "--param", "max_depth=2", "--param", "eta=0.3", "--rounds", 7, "--patience", 7,
                   "--objective", "rank:ndcg", "--out", self.file("deep.ubj"))
        shown = self.folder / "deep.json"
        xgb.Booster.load(self.file("deep.ubj")).save(shown)
        model = json.loads(shown.read_text(encoding="utf-8"))["learner"]
        self.assertEqual("rank:ndcg", model["objective"]["name"])
        trees = model["gradient_booster"]["model"]["trees"]
        self.assertTrue(0 < len(trees) <= 7)
        self.assertLessEqual(max(len(tree["split_conditions"]) for tree in trees), 7)      # nodes, of depth 2

    def test_the_report_is_a_page_of_its_own(self):
        said = self.train("--trials", 2, "--rounds", 40, "--report", self.file("report.html")).stdout
        page = self.file("report.html").read_text(encoding="utf-8")
        self.assertIn("<svg", page)
        self.assertIn(f"report: {self.file('report.html')}", said)
        self.assertEqual([], [p for p in self.folder.iterdir() if p.suffix == ".part"])


class Endings(Case):
    def test_asked_to_stop_it_ends_with_what_as_many_trials_give(self):
        out = self.file("stopped.ubj")
        with subprocess.Popen(self.command("train", "--data", self.set, "--model", "shop", "--no-register",
                                           "--trials", 1000, "--out", out),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                              env=fleets.environment()) as process:
            for line in process.stderr:
                if line.startswith("trial 1:"):
                    break
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=LIMIT_S)
        self.assertEqual(0, process.returncode)
        trials = re.search(r"stopped when asked, after (\d+) trials", said)
        self.assertIsNotNone(trials, said)
        self.train("--trials", trials[1], "--out", self.file("counted.ubj"))
        self.assertEqual(self.file("counted.ubj").read_bytes(), out.read_bytes())

    def test_killed_it_leaves_no_file(self):
        out = self.file("killed.ubj")
        with subprocess.Popen(self.command("train", "--data", self.set, "--model", "shop", "--no-register",
                                           "--trials", 1000, "--out", out),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
                              env=fleets.environment()) as process:
            process.stderr.readline()
            process.kill()
        self.assertFalse(out.exists())
        self.train("--trials", 1, "--rounds", 5, "--out", out)
        self.assertTrue(out.exists())

    def test_wrong_usage_says_what_would_be_right(self):
        for options, words in (
                (("--objective", "multi:softmax"), "give binary:logistic, rank:ndcg"),
                (("--calibration", "beta"), "give auto, none, platt or isotonic"),
                (("--calibration", "platt", "--objective", "rank:ndcg"), "rank:ndcg gives no probability"),
                (("--param", "nthread=8"), "there is no parameter \"nthread\""),
                (("--param", "eta=7"), "give eta=a number from 0.0001 to 1"),
                (("--test-share", "1"), "above 0 and below 1"),
                (("--test-from", "yesterday"), "give a time as 20"),
                (("--time", "5"), "30s, 5m, 1h"),
                (("--trials", "0"), "from 1 to 1000"),
                (("--work", "x"), "--work says how a training set is made, and --data gives one"),
                (("--labels", "click=1"), "leave out one of them")):
            with self.subTest(options=options):
                self.assertIn(words, self.train(*options, status=2).stderr)
        self.assertIn("a name has", self.run_flotilla("train", "--data", self.set, "--model", "a b", "--no-register",
                                                      status=2).stderr)
        self.assertIn("set.json", self.train(given=self.folder, status=1).stderr)

    def test_files_that_cannot_be_written_are_noticed_before_the_work(self):
        for option in ("--out", "--report"):
            for path, words in ((self.file("absent/x"), "No such file or directory"), (self.folder, "Is a directory")):
                with self.subTest(option=option, path=path):
                    said = self.train(option, path, status=1)
                    self.assertEqual("", said.stdout)
                    self.assertIn(f"{option}: cannot write {path}: {words}", said.stderr)

    def test_a_link_is_followed_and_a_pipe_is_written_to(self):
        quick = ("--trials", 1, "--rounds", 5)
        link, place, pipe = self.file("link.ubj"), self.file("place.ubj"), self.file("pipe")
        place.write_text("before", encoding="utf-8")
        link.symlink_to(place)
        self.train(*quick, "--out", link)
        self.assertTrue(link.is_symlink())
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            self.train(*quick, "--out", pipe)
            self.assertEqual(place.read_bytes(), reader.communicate(timeout=LIMIT_S)[0])
        self.assertTrue(pipe.is_fifo())

    def test_without_a_click_there_is_nothing_to_learn_and_it_says_so(self):
        self.stream("silent.jsonl", world(positive=False))
        silent = self.backfill("silent.jsonl", "silent")
        said = self.train(given=silent, status=3).stderr
        self.assertIn("none has a row with a label above 0", said)
        self.assertIn("label rules", said)

    def test_a_registry_that_is_away_is_noticed_before_the_work(self):
        said = self.run_flotilla("train", "--data", self.set, "--model", "shop", "--set",
                                 "postgres.url=postgresql://x@127.0.0.1:1/x", status=1)
        self.assertEqual("", said.stdout)
        self.assertIn("the registry, where the model is to go (or say --no-register and --out FILE)", said.stderr)


def calibrated(calibration, margins, scores):
    """As the published score is defined (common/model/calibration.h), with NumPy."""
    if calibration is None:
        return array.array("f", scores)
    margins = numpy.array(margins, dtype=numpy.float64)
    if calibration["kind"] == "platt":
        values = 1 / (1 + numpy.exp(-(calibration["slope"] * margins + calibration["intercept"])))
    else:
        values = numpy.interp(margins, calibration["margins"], calibration["values"])
    return array.array("f", values.astype(numpy.float32).tolist())


class Registered(unittest.TestCase):
    """From the log in Kafka to answers of a ranker."""

    def begin(self):
        self.fleet = Fleet(self, FEATURES).create_topics().migrate()
        self.fleet.configure(json.dumps({"placements": {"default": {"model": "shop"}}}))
        self.fleet.send_stream(list(world()))

    def train(self, *options):
        return self.fleet.run("train", "--model", "shop", *options, limit_s=LIMIT_S)

    def value(self, column, version):
        return self.fleet.rows(f"SELECT {column} FROM model_versions WHERE model = 'shop' AND version = {version}")

    def check_registry(self, data):
        """Version 3 is known with all that it was made of."""
        request = data.test_request()
        columns = [c for c in data.names if c != "colour"]
        self.assertEqual([["1", "third", str(len(data.times)), str(len(data.labels)), str((data.labels > 0).sum())]],
                         self.value("parent, note, training_requests, training_rows, training_positives", 3))
        self.assertEqual([[str(data.times[0]), str(data.times[-1]), str(data.times[request])]], self.value(
            ", ".join(f"round(extract(epoch FROM {c}) * 1000)" for c in ("training_from", "training_to",
                                                                        "test_from")), 3))
        parameters, drift = (json.loads(text) for text in self.value("parameters, drift_reference", 3)[0])
        self.assertEqual(("binary:logistic", 60, "isotonic"),
                         tuple(parameters[name] for name in ("objective", "rounds", "calibration")))
        self.assertEqual(columns, [c["name"] for c in drift["columns"]])
        prices = data.served(["price"])[data.first[data.valid_request()]:, 0]
        price = drift["columns"][0]
        self.assertEqual(numpy.bincount(numpy.searchsorted(numpy.array(price["edges"], dtype=numpy.float32), prices),
                                        minlength=len(price["counts"])).tolist(), price["counts"])
        rows = self.fleet.rows("SELECT scorer, metric, value, low, high FROM model_metrics WHERE version = 3 AND "
                               "segment = '' AND metric = 'ndcg@10' ORDER BY scorer")
        found = {scorer: [float(v) for v in values] for scorer, _, *values in rows}
        for scorer in ("model", "as shown", "rules"):
            value, low, high = found[scorer]
            self.assertTrue(low < value < high, found)
        self.assertGreater(found["model"][0], found["rules"][0])

    def test_a_role_that_may_not_write_is_noticed_before_the_work(self):
        self.fleet = Fleet(self, FEATURES).create_database()
        absent = self.train("--trials", 1, "--out", self.fleet.folder / "m.ubj")
        self.assertEqual(1, absent.returncode)
        self.assertIn("model_versions", absent.stderr)
        self.fleet.flotilla("migrate")
        reader = f"reader_{self.fleet.database}"
        self.fleet.stack.sql(f"CREATE ROLE {reader} LOGIN IN ROLE flotilla_reader")
        self.addCleanup(self.fleet.stack.sql, f"DROP ROLE {reader}")
        refused = self.fleet.run("train", "--model", "shop", settings={
            "postgres.url": self.fleet.stack.postgres_url(self.fleet.database, user=reader)})
        self.assertEqual((1, ""), (refused.returncode, refused.stdout))
        self.assertIn("this role may not write model_versions", refused.stderr)

    def test_a_model_that_could_not_be_registered_is_kept(self):
        self.fleet = Fleet(self, FEATURES).migrate()
        self.fleet.stack.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
                             "'no more versions'; END $$", self.fleet.database)
        self.fleet.stack.sql("CREATE TRIGGER refusal BEFORE INSERT ON model_versions FOR EACH STATEMENT EXECUTE "
                             "FUNCTION refuse()", self.fleet.database)
        stream = self.fleet.folder / "stream.jsonl"
        fleets.write_lines(stream, world())
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.fleet.folder)
        failed = self.train("--stream", stream, *LABELS, "--trials", 1, "--rounds", 5)
        self.assertEqual(1, failed.returncode, failed.stderr)
        self.assertIn("the model is kept in shop.unregistered.ubj", failed.stderr)
        self.assertIn("no more versions", failed.stderr)
        self.assertEqual(4, len(xgb.Booster.load("shop.unregistered.ubj").scores([[1.0] * 5] * 4)))

    def test_a_model_from_the_log_serves_what_the_library_predicts_bit_for_bit(self):
        self.begin()
        out = self.fleet.folder
        made = {}
        for version, (calibration, *more) in enumerate((("none",), ("platt",), ("isotonic", "--note", "third")), 1):
            source = ("--work", out / "set", *LABELS) if version == 1 else ("--data", out / "set")
            said = self.train("--trials", 1, "--rounds", 60, *source, "--calibration", calibration,
                              "--out", out / f"{version}.ubj", *more)
            self.assertEqual(0, said.returncode, said.stdout + said.stderr)
            self.assertIn(f"registered shop version {version}", said.stdout)
            if version == 1:
                self.fleet.rows("INSERT INTO rollout_plans VALUES ('shop', now(), 'a', 'b', 's', 1, 0, false, '[]', "
                                "'models', 0, 0)")
            made[version] = xgb.Booster.load(out / f"{version}.ubj")
        self.check_registry(Set(out / "set"))
        app = Application(self, self.fleet)
        self.fleet.start("ranker")
        candidates = [f"p{i}" for i in range(PROPOSITIONS)]
        for version, model in made.items():
            self.fleet.flotilla("models", "promote", "shop", version)
            wait_until(lambda v=version: app.ask(user_id="u1", candidates=candidates)["version"] == v,
                       f"version {version} does not serve", LIMIT_S)
            text = self.value("convert_from(calibration, 'UTF8')", version)
            calibration = json.loads(text[0][0]) if version > 1 else None
            for user in range(5):
                _, answer, log = app.ask_logged(user_id=f"u{user}", candidates=candidates, limit=100)
                columns = [c for c in log["features"] if c != "colour"]
                rows = [[vector[c] for c in columns] for vector in vectors_of(log)]
                margins = model.margins(rows)
                self.assertEqual(calibrated(calibration, margins, model.scores(rows)), array.array("f", log["scores"]))
                order = [c for _, c in sorted(zip(margins, candidates), key=lambda x: -x[0])]
                self.assertEqual(order, [item["proposition_id"] for item in answer["items"]])


if __name__ == "__main__":
    unittest.main()
