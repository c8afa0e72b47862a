#!/usr/bin/env python3
"""Reads a training set of `flotilla backfill` without any of Flotilla's code: what XGBoost and others train on.

  training_set.py SET [FILE.parquet]

Needs h5py and numpy (Debian: python3-h5py); a file as well pandas and pyarrow. Rows of a request stand together, in the
order of the requests' times. With XGBoost: xgboost.DMatrix(X, y, weight=..., feature_names=names), and for ranking
set_group(groups).
"""
import json
import sys
from pathlib import Path

import h5py
import numpy

folder, *table = map(Path, sys.argv[1:])
document = json.loads((folder / "set.json").read_text(encoding="utf-8"))
names = [column["name"] for column in document["columns"]]

vectors, labels, groups, requests, users, propositions = [], [], [], [], [], []
for part in document["parts"]:
    with h5py.File(folder / part["file"]) as file:
        # What was never shown has no label: nobody knows whether it would have been clicked.
        label = file["rows/label"][:]
        shown = ~numpy.isnan(label)
        of = numpy.repeat(numpy.arange(part["requests"]), file["requests/rows"][:])[shown]
        vectors.append(numpy.column_stack([file["features"][name][:][shown] for name in names]))
        labels.append(label[shown])
        groups.append(numpy.bincount(of, minlength=part["requests"]))
        # Texts are in dictionaries, or of one width; NumPy has them as bytes.
        requests.append(file["requests/id"][:][of])
        users.append(file["requests/user"][:][of])
        propositions.append(file["propositions/id"][:][file["rows/proposition"][:][shown]])

X = numpy.concatenate(vectors or [numpy.empty((0, len(names)), numpy.float32)])
y = numpy.concatenate(labels or [numpy.empty(0, numpy.float32)])
groups = numpy.concatenate(groups or [numpy.empty(0, int)])
groups = groups[groups > 0]
print(f"X {X.shape[0]} x {X.shape[1]} {X.dtype}, y {len(y)} ({int((y > 0).sum())} positive), groups {len(groups)}")
for name, column in zip(names, X.T):
    print(f"{name}: {numpy.isnan(column).mean():.1%} missing, mean {numpy.nanmean(column):.6g}"
          if not numpy.isnan(column).all() else f"{name}: never there")

if table:
    import pandas

    keys = {name: numpy.char.decode(numpy.concatenate(texts), "utf-8")
            for name, texts in (("request", requests), ("user", users), ("proposition", propositions))}
    pandas.DataFrame(keys | {"label": y} | dict(zip(names, X.T))).to_parquet(table[0])
    print(f"{table[0]}: {len(y)} rows")
