#!/usr/bin/env python3
"""Writes the models beside it, as a later XGBoost than Debian's writes them, and what it predicts.

    pip install numpy pandas xgboost-cpu==3.2.0 && ./make.py

NAME.ubj and NAME.json are one model; a line of NAME.txt is a row, its margin and its score.
categorical.ubj and targets.ubj are of kinds that are not served.
"""

import pathlib

import numpy
import pandas
import xgboost

HERE = pathlib.Path(__file__).parent
COLUMNS = 6
MODELS = {
    "logistic": {"objective": "binary:logistic", "max_depth": 5},
    "rank": {"objective": "rank:ndcg", "max_depth": 4},
    "poisson": {"objective": "count:poisson", "max_depth": 3, "num_parallel_tree": 2, "subsample": 0.7},
    "pruned": {"objective": "binary:logistic", "tree_method": "exact", "max_depth": 6, "gamma": 2},
}


def make_refused(x, y):
    frame = pandas.DataFrame({"a": pandas.Series(numpy.arange(400) % 7, dtype="category"), "b": x[:, 0]})
    label = (numpy.arange(400) % 7 % 2).astype(float)
    data = xgboost.DMatrix(frame, label=label, enable_categorical=True)
    parameters = {"nthread": 1, "max_depth": 2, "tree_method": "hist"}
    xgboost.train(parameters, data, 1).save_model(HERE / "categorical.ubj")
    data = xgboost.DMatrix(x, label=numpy.stack([y, 1 - y], 1))
    parameters["multi_strategy"] = "multi_output_tree"
    xgboost.train(parameters, data, 1).save_model(HERE / "targets.ubj")


def main():
    r = numpy.random.default_rng(1)
    x = numpy.round(r.normal(size=(400, COLUMNS)), 1).astype(numpy.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + r.normal(size=400) / 2 > 0).astype(float)
    x[r.random(x.shape) < 0.1] = numpy.nan
    make_refused(x, y)
    rows = x[:200].copy()
    rows[::3] = numpy.nextafter(rows[::3], numpy.float32(9))
    for name, parameters in MODELS.items():
        data = xgboost.DMatrix(x, label=y, feature_names=[f"f{i}" for i in range(COLUMNS)])
        if parameters["objective"].startswith("rank"):
            data.set_group([100] * 4)
        model = xgboost.train({"nthread": 1, "seed": 1, **parameters}, data, 8)
        margins = model.inplace_predict(rows, predict_type="margin", validate_features=False)
        scores = model.inplace_predict(rows, validate_features=False)
        for suffix in ("ubj", "json"):
            model.save_model(HERE / f"{name}.{suffix}")
        with open(HERE / f"{name}.txt", "w") as f:
            for row, margin, score in zip(rows, margins, scores):
                print(*(float(v).hex() for v in (*row, margin, score)), file=f)


main()
