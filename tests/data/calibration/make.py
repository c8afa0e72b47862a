#!/usr/bin/env python3
"""Writes rows and what they are calibrated to beside it: by SciPy's optimiser and by scikit-learn.

    ./make.py

NAME.rows has a line for each row: margin, label, weight. platt.fits has slope and intercept of each
NAME; NAME.pools has scikit-learn's pools: the weighted mean of their margins, and their value.
"""

import pathlib

import numpy
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

HERE = pathlib.Path(__file__).parent


def cases():
    r = numpy.random.default_rng(7)
    for name, n, slope, bias in (("plain", 800, 1, 0), ("rare", 1500, 0.7, -3), ("ties", 600, 2, 0.5)):
        margins = r.normal(size=n) * 2 - (name == "rare")
        if name == "ties":
            margins = numpy.round(margins, 1)
        margins = margins.astype(numpy.float32).astype(float)
        labels = (r.random(n) < 1 / (1 + numpy.exp(-slope * margins - bias))).astype(float)
        weights = numpy.ones(n) if name == "plain" else numpy.round(r.exponential(size=n) + 0.125, 3)
        yield name, margins, labels, weights


def platt(margins, labels, weights):
    """Platt's targets, and the least negative log likelihood."""
    positive, negative = weights[labels > 0].sum(), weights[labels == 0].sum()
    target = numpy.where(labels > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(x):
        z = x[0] * margins + x[1]
        return (weights * (numpy.logaddexp(0, z) - target * z)).sum()

    def slope(x):
        off = weights * (1 / (1 + numpy.exp(-x[0] * margins - x[1])) - target)
        return numpy.array([(off * margins).sum(), off.sum()])

    return minimize(loss, [0, 0], jac=slope, method="BFGS", options={"gtol": 1e-9}).x


def pools(margins, labels, weights):
    doubt = 1 / (weights.sum() + 2)
    model = IsotonicRegression(y_min=doubt, y_max=1 - doubt)
    values = model.fit(margins, labels, sample_weight=weights).predict(margins)
    for value in numpy.unique(values.round(12)):
        of = abs(values - value) < 1e-11
        yield numpy.average(margins[of], weights=weights[of]), values[of].mean()


def write(path, rows):
    path.write_text("".join(" ".join(float(v).hex() for v in row) + "\n" for row in rows), encoding="ascii")


def main():
    fits = []
    for name, *rows in cases():
        write(HERE / f"{name}.rows", zip(*rows))
        write(HERE / f"{name}.pools", pools(*rows))
        fits.append(f"{name} " + " ".join(float(v).hex() for v in platt(*rows)) + "\n")
    (HERE / "platt.fits").write_text("".join(fits), encoding="ascii")


main()
