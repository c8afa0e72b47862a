"""Training sets as tests read them: with h5py alone, no code of the project's."""
import json
from pathlib import Path

import h5py
import numpy as np


def parts_of(directory):
    return sorted(Path(directory).glob("part-*.h5"))


def columns_of(part):
    """{path: array} of every dataset of a part; texts as str."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            values = node[()]
            if values.dtype.kind in "SO":
                values = np.array([v.decode() if isinstance(v, bytes) else v for v in values.ravel()], dtype=object)
            found[name] = values

    with h5py.File(part, "r") as file:
        file.visititems(visit)
    return found


class TrainingSet:
    """A finished set, all of it: info (set.json), vectors (rows x columns), and what stands beside them."""

    def __init__(self, directory):
        self.info = json.loads((Path(directory) / "set.json").read_text(encoding="utf-8"))
        self.counts = self.info["counts"]
        self.requests = []              # (id, timestamp, rows from, rows to)
        self.users, self.sources, self.shares, self.user_seen, self.segments = [], [], [], [], []
        vectors, propositions, labels, places, seen, segments = [], [], [], [], [], []
        scores, propensities = [], []
        row = 0
        for part in parts_of(directory):
            c = columns_of(part)
            names = sorted(name for name in c if name.startswith("features/"))
            self.columns = [name.split("/", 1)[1] for name in names]
            vectors.append(np.column_stack([c[name] for name in names]))
            propositions.append(c["propositions/id"][c["rows/proposition"]])
            segments.append(c["propositions/segments"][c["rows/proposition"]]
                            if c["propositions/segments"].dtype == object else None)
            labels.append(c["rows/label"])
            places.append(c["rows/place"])
            seen.append(c["rows/seen"])
            scores.append(c["rows/score"])
            propensities.append(c["rows/propensity"])
            for i, (id, timestamp, rows) in enumerate(zip(c["requests/id"], c["requests/timestamp"],
                                                          c["requests/rows"])):
                self.requests.append((id, int(timestamp), row, row + int(rows)))
                row += int(rows)
            self.users += list(c["requests/user"])
            self.sources += [int(s) for s in c["requests/source"]]
            self.shares += [float(s) for s in c["requests/share"]]
            self.user_seen += [int(s) for s in c["requests/seen"]]
            self.segments += self.request_segments(c)
        self.vectors = np.concatenate(vectors)
        self.propositions = np.concatenate(propositions)
        self.labels = np.concatenate(labels)
        self.places = np.concatenate(places)
        self.seen = np.concatenate(seen)
        self.scores = np.concatenate(scores)
        self.propensities = np.concatenate(propensities)

    @staticmethod
    def request_segments(c):
        """Of each request, as a dictionary."""
        texts = c["segments/json"][c["requests/segments"]] if "segments/json" in c else c["requests/segments"]
        return [json.loads(text) if text else {} for text in texts]

    def rows(self, id):
        """[(proposition, label, place)] of a request; labels that are not there are None."""
        for found, _, first, end in self.requests:
            if found == id:
                return [(self.propositions[i], None if np.isnan(self.labels[i]) else float(self.labels[i]),
                         int(self.places[i])) for i in range(first, end)]
        raise AssertionError(f"request {id} is not in the set: {[r[0] for r in self.requests[:20]]}")

    def column(self, name):
        return self.vectors[:, self.columns.index(name)]


def assert_equal_sets(test, one, other, same_source=True):
    """Both directories hold the same set, column for column, part for part. -0 is 0, whichever of them came first.
    same_source: what was read, and where the first of what was left out stood, is the same, too."""
    one_parts, other_parts = parts_of(one), parts_of(other)
    test.assertEqual([p.name for p in one_parts], [p.name for p in other_parts])
    for a, b in zip(one_parts, other_parts):
        a, b = columns_of(a), columns_of(b)
        test.assertEqual(sorted(a), sorted(b))
        for name in a:
            is_float = a[name].dtype.kind == "f"
            test.assertTrue(np.array_equal(a[name], b[name], equal_nan=is_float), name)
    infos = [json.loads((Path(d) / "set.json").read_text(encoding="utf-8")) for d in (one, other)]
    for info in infos:
        info.pop("parts", None)         # what is in them is compared above
        if not same_source:
            info.pop("options")
            info["counts"].pop("read")
    test.assertEqual(*infos)
