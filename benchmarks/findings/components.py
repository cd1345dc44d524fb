"""How many components: eight ways to choose, on tables in which four were planted.

    python -m benchmarks.findings.components [--tables 20]

Tables of 200 rows and 30 columns: a matrix of rank 4 and noise of mean variance 1. The least of the four singular
values planted is `strength` times (200·30)^(1/4), below which no method can see one in white noise as the table grows;
the others are 1.5, 2 and 2.5 times as large. The noise has one variance, or one for each column, which differ by a
factor of exp(4) at most. No way has a setting of its own. Those that hold something out use five folds. By rows, from
the eigenvalues alone, the answer is 0 to 29, which is all; where each number costs a fit of its own, 0 to 8.
The result goes into lowrank_helpers/data/results/components.json: the numbers chosen, table by table.
"""

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.decomposition import optimal_rank

Array = Any
SHAPE, PLANTED, MOST, FOLDS = (200, 30), 4, 8, 5
CASES = [("equal", 1.0), ("equal", 1.6), ("equal", 2.5), ("unequal", 2.5)]


def planted(noise: str, strength: float, rng: np.random.Generator) -> Array:
    """A table with four components."""
    m, n = SHAPE
    U, V = (np.linalg.qr(rng.standard_normal((size, PLANTED)))[0] for size in SHAPE)
    s = strength * (m * n) ** 0.25 * np.array([2.5, 2, 1.5, 1])
    deviation = np.exp(rng.uniform(-1, 1, n)) if noise == "unequal" else np.ones(n)
    deviation /= np.sqrt((deviation**2).mean())
    return (U * s) @ V.T + deviation * rng.standard_normal(SHAPE)


def scaled(X: Array) -> Array:
    """The columns with mean 0 and variance 1."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def share(X: Array, rng: np.random.Generator) -> int:
    """As many as hold 90 % of the variance."""
    s = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    return int(np.searchsorted(np.cumsum(s**2) / (s**2).sum(), 0.9)) + 1


def threshold(X: Array, rng: np.random.Generator) -> int:
    """Singular values above the threshold of Gavish and Donoho."""
    return optimal_rank(np.linalg.svd(X - X.mean(axis=0), compute_uv=False), X.shape)


def evidence(X: Array, rng: np.random.Generator) -> int:
    """Minka's, as scikit-learn computes it."""
    return int(PCA("mle", svd_solver="full").fit(X).n_components_)


def parallel(X: Array, rng: np.random.Generator) -> int:
    """Singular values above all of 19 tables whose columns are shuffled, on columns of variance 1."""
    Z = scaled(X)
    others = np.max([np.linalg.svd(rng.permuted(Z, axis=0), compute_uv=False) for _ in range(19)], axis=0)
    above = np.linalg.svd(Z, compute_uv=False) > others
    return int(above.argmin()) if not above.all() else len(above)


def rows(X: Array, rng: np.random.Generator) -> int:
    """The number under which probabilistic PCA finds the rows held out in five folds likeliest."""
    fold, n = np.arange(len(X)) % FOLDS, X.shape[1]
    total = np.zeros(n)
    for i in range(FOLDS):
        fit, new = X[fold != i], X[fold == i]
        variances, V = np.linalg.eigh(np.cov(fit.T))
        variances, squares = variances[::-1], (((new - fit.mean(axis=0)) @ V[:, ::-1]) ** 2).mean(axis=0)
        for k in range(n):
            law = np.append(variances[:k], np.full(n - k, variances[k:].mean()))
            total[k] -= (np.log(law) + squares / law).sum()
    return int(total.argmax())


def rows_scaled(X: Array, rng: np.random.Generator) -> int:
    """The same, on columns of variance 1."""
    return rows(scaled(X), rng)


def rows_factors(X: Array, rng: np.random.Generator) -> int:
    """The same under factor analysis, which gives each column a noise of its own."""
    fold = np.arange(len(X)) % FOLDS
    total = np.zeros(MOST + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for i in range(FOLDS):
            for k in range(MOST + 1):
                model = FactorAnalysis(k, svd_method="lapack", max_iter=200)
                total[k] += model.fit(X[fold != i]).score(X[fold == i])
    return int(total.argmax())


def entries(X: Array, rng: np.random.Generator) -> int:
    """The number that predicts hidden entries best: five folds of entries, filled in by PCA in 40 steps."""
    fold = rng.permutation(X.size).reshape(X.shape) % FOLDS
    total = np.zeros(MOST + 1)
    for i in range(FOLDS):
        hidden = fold == i
        start = np.where(hidden, np.nanmean(np.where(hidden, np.nan, X), axis=0), X)
        for k in range(MOST + 1):
            Z = start
            for _ in range(40):
                mean = Z.mean(axis=0)
                V = np.linalg.eigh((Z - mean).T @ (Z - mean))[1][:, X.shape[1] - k :]
                Z = np.where(hidden, mean + (Z - mean) @ V @ V.T, X)
            total[k] += ((Z - X)[hidden] ** 2).sum()
    return int(total.argmin())


WAYS: dict[str, Callable[[Array, np.random.Generator], int]] = {
    "90 % of the variance": share,
    "threshold": threshold,
    "Minka's evidence": evidence,
    "parallel analysis": parallel,
    "hidden entries": entries,
    "held-out rows": rows,
    "held-out rows, columns scaled": rows_scaled,
    "held-out rows, factor analysis": rows_factors,
}


def main() -> None:
    """Choose for each table in each way, and store the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", type=int, default=20)
    number = parser.parse_args().tables
    header = provenance("numpy", "scikit-learn")
    cases = []
    for noise, strength in CASES:
        chosen: dict[str, list[int]] = {name: [] for name in WAYS}
        for seed in range(number):
            X = planted(noise, strength, np.random.default_rng([seed, 9]))
            for name, way in WAYS.items():
                chosen[name].append(way(X, np.random.default_rng([seed, 10])))
        cases.append({"noise": noise, "strength": strength, "chosen": chosen})
        print(noise, strength, {name: found.count(PLANTED) for name, found in chosen.items()}, flush=True)
    study = header | {"shape": SHAPE, "planted": PLANTED, "most": MOST, "seeds": list(range(number)), "cases": cases}
    store(RESULTS / "components.json", study)


if __name__ == "__main__":
    main()
