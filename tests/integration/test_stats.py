"""common/stats, through stats_probe.c, held against scikit-learn, SciPy, NumPy and the golden values of the data set
that drift is tested with."""
import csv
import gzip
import io
import json
import math
import os
import sys
import unittest
from pathlib import Path

import numpy
import scipy.stats
from sklearn import metrics

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from stats import ask  # noqa: E402

SHARED = Path(os.environ.get("SHARED_DIR", ROOT / "../shared")).resolve()
EMPTY = {"k": 10, "replicates": 0, "level": 0.95, "seed": 1, "regression": False}


class Rows:
    """Requests of 1 to 30 rows with labels and three scorers: fine probabilities, coarse ones, margins."""

    def __init__(self, seed, requests=400, weighted=False, graded=False):
        r = self.random = numpy.random.default_rng(seed)
        sizes = r.integers(1, 31, requests)
        self.first = numpy.concatenate([[0], numpy.cumsum(sizes)])
        self.request = numpy.repeat(numpy.arange(requests), sizes)
        n = int(self.first[-1])
        margins = r.normal(-1.5, 1.2, n)
        self.labels = (r.random(n) < 1 / (1 + numpy.exp(-margins))).astype(float)
        if graded:
            self.labels *= r.integers(1, 6, n)
        noisy = 1 / (1 + numpy.exp(-(margins + r.normal(0, 1, n))))
        self.fine = noisy.astype(numpy.float32).astype(float)
        self.coarse = (numpy.floor(noisy * 8) / 8 + 0.0625).astype(numpy.float32).astype(float)
        self.margins = r.normal(0, 5, n).astype(numpy.float32).astype(float)
        self.weights = r.integers(1, 8, requests).astype(float) / 2 if weighted else None
        self.row_weights = self.weights[self.request] if weighted else numpy.ones(n)

    def scorers(self):
        return [{"scores": self.fine, "probability": True, "threshold": 0.4},
                {"scores": self.coarse, "probability": True},
                {"scores": self.margins, "probability": False}]

    def ask(self, do="metrics", **options):
        request = {"do": do, "first": self.first, "labels": self.labels, "scorers": self.scorers(), **EMPTY, **options}
        if self.weights is not None:
            request["weights"] = self.weights
        return ask(request)

    def requests(self, *columns):
        """The columns of each request."""
        for i in range(len(self.first) - 1):
            yield [column[self.first[i]:self.first[i + 1]] for column in columns]


class MetricsByRow(unittest.TestCase):
    def check(self, rows):
        y, w = rows.labels > 0, rows.row_weights
        answers = rows.ask()
        for answer, scorer in zip(answers, rows.scorers()):
            scores = scorer["scores"]
            auc = metrics.roc_auc_score(y, scores, sample_weight=w)
            self.assertAlmostEqual(auc, answer["auc"][0], 12)
            self.assertAlmostEqual(2 * auc - 1, answer["gini"][0], 12)
            false_rate, true_rate, _ = metrics.roc_curve(y, scores, sample_weight=w, drop_intermediate=False)
            self.assertAlmostEqual(numpy.max(numpy.abs(true_rate - false_rate)), answer["ks"][0], 12)
            self.assertEqual(len(y), answer["rows"])
            self.assertEqual(int(y.sum()), answer["positives"])
        for answer, scorer in zip(answers[:2], rows.scorers()):
            scores = scorer["scores"]
            self.assertAlmostEqual(metrics.log_loss(y, scores, sample_weight=w, eps=1e-15), answer["log_loss"][0], 12)
            over = scores >= answer["threshold"]
            for name, judge in (("accuracy", metrics.accuracy_score), ("precision", metrics.precision_score),
                                ("recall", metrics.recall_score), ("f1", metrics.f1_score)):
                self.assertAlmostEqual(judge(y, over, sample_weight=w), answer[name][0], 12, name)
        self.assertEqual(numpy.float32(0.4), numpy.float32(answers[0]["threshold"]))
        for name in ("log_loss", "accuracy", "precision", "recall", "f1", "ece", "rmse", "mae", "r2"):
            self.assertIsNone(answers[2][name][0], name)
        return answers

    def test_they_are_scikit_learns(self):
        self.check(Rows(1))

    def test_they_are_scikit_learns_with_weights(self):
        self.check(Rows(2, weighted=True))

    def test_ks_is_scipys(self):
        rows = Rows(3)
        y = rows.labels > 0
        for answer, scorer in zip(rows.ask(), rows.scorers()):
            expected = scipy.stats.ks_2samp(scorer["scores"][y], scorer["scores"][~y]).statistic
            self.assertAlmostEqual(expected, answer["ks"][0], 12)

    def test_the_threshold_that_is_not_given_has_the_best_f1(self):
        for weighted in (False, True):
            rows = Rows(4, weighted=weighted)
            rows.coarse = rows.fine
            y, answer = rows.labels > 0, rows.ask()[1]
            precision, recall, thresholds = metrics.precision_recall_curve(y, rows.fine, sample_weight=rows.row_weights)
            with numpy.errstate(invalid="ignore"):
                f1 = numpy.nan_to_num(2 * precision * recall / (precision + recall))
            self.assertAlmostEqual(f1.max(), answer["f1"][0], 12)
            self.assertAlmostEqual(thresholds[f1[:-1].argmax()], answer["threshold"], 12)

    def test_calibration_error_is_that_of_ten_bins_of_equal_numbers(self):
        # Bins are of equal numbers only where no score comes twice and ten divides their number.
        rows = Rows(5)
        n = len(rows.labels) // 10 * 10
        rows.first = numpy.append(rows.first[rows.first < n], n)
        rows.labels, rows.coarse, rows.margins = rows.labels[:n], rows.coarse[:n], rows.margins[:n]
        rows.fine = rows.random.permutation((numpy.arange(n) + 0.5) / n).astype(numpy.float32).astype(float)
        y, predicted = rows.labels > 0, rows.fine
        parts = numpy.split(numpy.argsort(predicted), 10)
        expected = sum(abs(y[part].mean() - predicted[part].mean()) for part in parts) / 10
        self.assertAlmostEqual(expected, rows.ask()[0]["ece"][0], 12)

    def test_regression_is_scikit_learns(self):
        for weighted in (False, True):
            rows = Rows(6, weighted=weighted)
            rows.labels = rows.random.normal(1000, 3, len(rows.labels)).astype(numpy.float32).astype(float)
            rows.fine = (rows.labels + rows.random.normal(0, 2, len(rows.labels))).astype(numpy.float32).astype(float)
            answer, w = rows.ask(regression=True)[0], rows.row_weights
            squared = metrics.mean_squared_error(rows.labels, rows.fine, sample_weight=w)
            self.assertAlmostEqual(math.sqrt(squared), answer["rmse"][0], 10)
            self.assertAlmostEqual(metrics.mean_absolute_error(rows.labels, rows.fine, sample_weight=w),
                                   answer["mae"][0], 10)
            self.assertAlmostEqual(metrics.r2_score(rows.labels, rows.fine, sample_weight=w), answer["r2"][0], 8)
            self.assertIsNone(answer["auc"][0])

    def test_one_class_has_no_auc_and_bad_probabilities_no_log_loss(self):
        rows = Rows(7)
        rows.labels[:] = 0
        for name in ("auc", "ks", "gini", "recall", "ndcg", "mrr"):
            self.assertIsNone(rows.ask()[0][name][0], name)
        rows = Rows(7)
        rows.fine[3] = 1.5
        answer = rows.ask()[0]
        self.assertIsNone(answer["log_loss"][0])
        self.assertIsNotNone(answer["auc"][0])

    def test_a_missing_score_is_the_lowest_and_rows_without_a_label_are_not_there(self):
        rows = Rows(8)
        lowest = rows.random.random(len(rows.labels)) < 0.1
        unknown = rows.random.random(len(rows.labels)) < 0.3
        y = (rows.labels > 0)[~unknown]
        scores = numpy.where(lowest, -1e30, rows.margins)[~unknown]
        rows.labels[unknown] = math.nan
        rows.margins[lowest] = math.nan
        answer = rows.ask()[2]
        self.assertAlmostEqual(metrics.roc_auc_score(y, scores), answer["auc"][0], 12)
        self.assertEqual(int((~unknown).sum()), answer["rows"])


class MetricsByRequest(unittest.TestCase):
    def means(self, rows, judge):
        """For each scorer the mean of judge(labels, scores) over requests with a positive."""
        weights = rows.weights if rows.weights is not None else numpy.ones(len(rows.first) - 1)
        for scorer in rows.scorers():
            found = [(judge(y, s), w) for (y, s), w in zip(rows.requests(rows.labels, scorer["scores"]), weights)
                     if (y > 0).any()]
            yield sum(v * w for v, w in found) / sum(w for _, w in found)

    def check(self, rows, name, judge, **options):
        for expected, answer in zip(self.means(rows, judge), rows.ask(**options)):
            self.assertAlmostEqual(expected, answer[name][0], 12, name)

    def test_ndcg_is_scikit_learns(self):
        def judge(y, s):
            # It has no NDCG of a single row, which is 1.
            return metrics.ndcg_score([2 ** y - 1], [s], k=10) if len(y) > 1 else 1.0
        self.check(Rows(11), "ndcg", judge)
        self.check(Rows(12, weighted=True, graded=True), "ndcg", judge)

    def test_map_is_scikit_learns_where_no_scores_are_equal(self):
        rows = Rows(13)
        rows.coarse = rows.margins[::-1].copy()
        self.check(rows, "map", lambda y, s: metrics.average_precision_score(y > 0, s))

    def test_mrr_precision_and_recall_are_those_of_sorted_lists(self):
        rows = Rows(14)
        rows.coarse = rows.margins[::-1].copy()

        def ordered(y, s):
            return (y > 0)[numpy.argsort(-s)]
        self.check(rows, "mrr", lambda y, s: 1 / (1 + ordered(y, s).argmax()))
        self.check(rows, "precision_at_k", lambda y, s: ordered(y, s)[:4].sum() / min(4, len(y)), k=4)
        self.check(rows, "recall_at_k", lambda y, s: ordered(y, s)[:4].sum() / (y > 0).sum(), k=4)

    def test_equal_scores_give_the_mean_over_their_orders(self):
        rows = Rows(15, requests=60)
        answer, orders = rows.ask(k=5)[1], 4000
        found = {name: [] for name in ("map", "mrr", "precision_at_k", "recall_at_k")}
        for y, s in rows.requests(rows.labels > 0, rows.coarse):
            if not y.any():
                continue
            keys = numpy.lexsort((rows.random.random((orders, len(y))), numpy.broadcast_to(-s, (orders, len(y)))))
            shown = y[keys]
            precision = numpy.cumsum(shown, 1) / numpy.arange(1, len(y) + 1)
            found["map"].append(((precision * shown).sum(1) / y.sum()))
            found["mrr"].append(1 / (1 + shown.argmax(1)))
            found["precision_at_k"].append(shown[:, :5].sum(1) / min(5, len(y)))
            found["recall_at_k"].append(shown[:, :5].sum(1) / y.sum())
        for name, values in found.items():
            means = numpy.mean(values, 0)
            error = means.std() / math.sqrt(orders)
            self.assertLess(abs(means.mean() - answer[name][0]), 5 * error, name)

    def test_random_orders_are_what_shuffling_gives(self):
        rows, means = Rows(16, requests=30), []
        answer = rows.ask("random", k=5)[0]
        for _ in range(300):
            shuffled = rows.random.random(len(rows.labels))
            means.append(numpy.mean([metrics.ndcg_score([y], [s], k=5) if len(y) > 1 else 1.0
                                     for y, s in rows.requests(rows.labels, shuffled) if (y > 0).any()]))
        self.assertLess(abs(numpy.mean(means) - answer["ndcg"][0]), 5 * numpy.std(means) / math.sqrt(len(means)))
        self.assertEqual(0.5, answer["auc"][0])
        self.assertIsNone(answer["ks"][0])

    def test_on_ranklens_random_orders_and_those_shown_are_what_its_baselines_print(self):
        folder = SHARED / "data/ranklens"
        if not folder.is_dir():
            self.skipTest(f"{folder} is not there (SHARED_DIR)")
        with gzip.open(folder / "events.jsonl.gz", "rt", encoding="utf-8") as lines:
            events = [json.loads(line) for line in lines]
        clicked = {(e["ranking"], e["item"]) for e in events if e["event"] == "interaction"}
        shown = [e for e in sorted((e for e in events if e["event"] == "ranking"), key=lambda e: int(e["timestamp"]))]
        lists = [[float((e["id"], item["id"]) in clicked) for item in e["items"]] for e in shown]
        lists = [labels for labels in lists if any(labels)]
        test = lists[round(len(lists) * 0.8):]
        rows = Rows(17, requests=1)
        rows.first = numpy.concatenate([[0], numpy.cumsum([len(x) for x in test])])
        rows.labels = numpy.concatenate(test)
        places = numpy.concatenate([numpy.arange(len(x), dtype=float) for x in test])
        rows.fine = rows.coarse = rows.margins = -places
        printed = (folder / "baselines.txt").read_text(encoding="utf-8")
        for name, answer in (("random (exact expectation)", rows.ask("random")[0]), ("as shown", rows.ask()[2])):
            line = next(text for text in printed.splitlines() if text.startswith(name))
            ndcg, mrr = line.rsplit("last20%", 1)[1].split()[:2]
            self.assertEqual((ndcg, mrr), (f"{answer['ndcg'][0]:.4f}", f"{answer['mrr'][0]:.4f}"), name)


class Intervals(unittest.TestCase):
    def test_they_are_those_of_a_bootstrap_by_cluster_made_here(self):
        rows = Rows(21, requests=300)
        users = rows.random.integers(0, 90, 300)
        answers = rows.ask(replicates=2000, clusters=users)
        y = rows.labels > 0
        of_row = users[rows.request]
        by_user = [numpy.flatnonzero(of_row == user) for user in numpy.unique(users)]
        found = {"auc": [], "log_loss": [], "difference": []}
        for _ in range(500):
            drawn = numpy.concatenate([by_user[i] for i in rows.random.integers(0, len(by_user), len(by_user))])
            auc = metrics.roc_auc_score(y[drawn], rows.fine[drawn])
            found["auc"].append(auc)
            found["log_loss"].append(metrics.log_loss(y[drawn], rows.fine[drawn]))
            found["difference"].append(metrics.roc_auc_score(y[drawn], rows.margins[drawn]) - auc)
        for (low, high), values in (((answers[0]["auc"][1:3]), found["auc"]),
                                    ((answers[0]["log_loss"][1:3]), found["log_loss"]),
                                    ((answers[2]["auc"][4:6]), found["difference"])):
            width = numpy.quantile(values, 0.975) - numpy.quantile(values, 0.025)
            self.assertAlmostEqual(numpy.quantile(values, 0.025), low, delta=0.2 * width)
            self.assertAlmostEqual(numpy.quantile(values, 0.975), high, delta=0.2 * width)

    def test_the_same_seed_gives_the_same_and_another_does_not(self):
        rows = Rows(22, requests=50)
        first = rows.ask(replicates=100, seed=7)
        self.assertEqual(first, rows.ask(replicates=100, seed=7))
        self.assertNotEqual(first, rows.ask(replicates=100, seed=8))

    def test_what_cannot_be_is_refused_with_what_would_be(self):
        rows = Rows(23, requests=5)
        self.assertIn("k must be at least 1", rows.ask(k=0)["error"])
        self.assertIn("between 0 and 1", rows.ask(level=1.0)["error"])
        self.assertIn("0 to 100000", rows.ask(replicates=-1)["error"])


class Drift(unittest.TestCase):
    def bins(self, values):
        return ask({"do": "reference", "values": values})["columns"][0]

    def place(self, bins, x):
        return sum(edge < x for edge in bins["edges"])

    def test_psi_is_golden_on_a_stream_with_a_known_change(self):
        folder = SHARED / "data/elec2"
        if not folder.is_dir():
            self.skipTest(f"{folder} is not there (SHARED_DIR)")
        with gzip.open(folder / "elec2.csv.gz", "rt", encoding="utf-8") as text:
            table = list(csv.DictReader(io.StringIO(text.read())))
        with open(folder / "golden_psi.tsv", encoding="utf-8") as text:
            golden = list(csv.DictReader(text, delimiter="\t"))
        self.assertGreater(len(golden), 15)
        references = {}
        for row in golden:
            values = numpy.array([float(line[row["feature"]]) for line in table], dtype=numpy.float32)
            bins = references.setdefault(row["feature"], self.bins(values[:int(row["m"])].astype(float)))
            self.assertEqual(int(row["bins"]), len(bins["counts"]))
            start = int(row["window_start"])
            counts = [0] * len(bins["counts"])
            for x in values[start:start + int(row["n"])]:
                counts[self.place(bins, x)] += 1
            found = ask({"do": "psi", "counts": counts, "reference": bins["counts"]})
            self.assertAlmostEqual(float(row["psi"]), found, delta=1e-8 * float(row["psi"]) + 1e-11)

    def test_edges_are_those_of_the_rule(self):
        random = numpy.random.default_rng(31)
        for n in (1, 2, 7, 10, 99, 1000, 12345):
            values = numpy.round(random.normal(0, 2, n), 1).astype(numpy.float32)
            if n > 50:
                values[: n // 3] = 0
                values[n // 3: n // 2] = 7.5
            values = random.permutation(values)
            ordered = numpy.sort(values)
            edges = {ordered[math.ceil(k * n / 10) - 1] for k in range(1, 10)}
            for v, times in zip(*numpy.unique(values, return_counts=True)):
                if times * 10 >= n:
                    edges |= {v, numpy.nextafter(v, numpy.float32(-math.inf), dtype=numpy.float32)}
            expected = sorted(float(x) for x in edges)
            bins = self.bins(values.astype(float))
            self.assertEqual(expected, [float(numpy.float32(x)) for x in bins["edges"]])
            places = numpy.searchsorted(numpy.array(expected), values.astype(float), side="left")
            self.assertEqual(numpy.bincount(places, minlength=len(expected) + 1).tolist(), bins["counts"])

    def test_missing_and_infinite_values_are_counted_apart(self):
        answer = ask({"do": "reference", "values": [1.0, math.nan, 1e39, 2.0, math.nan, -1e39, 1.0]})
        bins = answer["columns"][0]
        self.assertEqual((7, 2, 2), (answer["rows"], bins["missing"], bins["infinite"]))
        self.assertEqual(3, sum(bins["counts"]))


if __name__ == "__main__":
    unittest.main()
