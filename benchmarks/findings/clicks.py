"""Ten suggestions from clicks: popularity, item neighbours, EASE and factors, all tuned alike, on several splits.

    python -m benchmarks.findings.clicks [--splits 5] [--first 0] [--output FILE]

Of each file a fifth of the functions it uses is hidden for the test, and of the rest again a fifth for validation.
Every contender tries the same number of settings; the one with the best NDCG@10 on the validation part is fitted to all
that is not hidden, and tested once. The splits can be run in pieces: what is stored is kept.
benchmarks.peers.completion asks the same of films that were liked.
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.completion import implicit_als
from lowrank_helpers.datasets import load

RESULT = RESULTS / "clicks.json"
Array = NDArray[np.float64]
K = 10
RATIOS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)


class Method(NamedTuple):
    """A contender: its scores for every row and column, and the values that are tried for each of its settings."""

    scores: Callable[..., Array]
    grid: Mapping[str, tuple[float, ...]]


def popularity(X: Any) -> Array:
    return np.tile(np.asarray(X.sum(axis=0), dtype=float), (X.shape[0], 1))


def neighbours(X: Any, other: float, shrinkage: float, power: float) -> Array:
    """Similarities (n_ij / ((n_i + s) (n_j + s)^other))^power to each i that a row has, n_ij rows having both i and j.

    With a power above 1 a few near ones count for more than many distant ones. What a row already has keeps its
    similarity to itself, and is not suggested anyway.
    """
    counts = np.maximum(np.asarray(X.sum(axis=0)), 1) + shrinkage
    together = (X.T @ X).tocoo()
    i, j = together.coords
    near = (together.data / (counts[i] * counts[j] ** other)) ** power
    return np.asarray((X @ scipy.sparse.csr_array((near, (i, j)), shape=together.shape)).toarray())


def ease(X: Any, penalty: float) -> Array:
    """Ridge regression of every column on all others, with a system of rows × rows, not of columns × columns."""
    X = X.toarray()
    S = np.linalg.solve(X @ X.T + penalty * np.eye(len(X)), X)
    return np.asarray(X - penalty * S / (1 - (X * S).sum(axis=0)))


def factors(X: Any, rank: int, penalty: float, ratio: float) -> Array:
    """Implicit ALS; the confidence is penalty / ratio, since what is good for one depends on the other."""
    fit = implicit_als(X, rank, penalty=penalty, confidence=penalty / ratio, max_iterations=8, rng=0)
    return np.asarray(fit.W @ fit.H)


METHODS = {
    "popularity": Method(popularity, {}),
    "item neighbours, power 1": Method(
        partial(neighbours, power=1.0), {"other": (0.1, 0.25, 0.5), "shrinkage": tuple(2.0**k for k in range(-1, 8))}
    ),
    "item neighbours": Method(
        neighbours, {"other": (0.05, 0.2, 0.5), "shrinkage": (1.0, 5.0, 25.0), "power": (1.0, 2.5, 6.0)}
    ),
    "EASE": Method(ease, {"penalty": tuple(round(float(2.0 ** (k / 2)), 2) for k in range(-6, 21))}),
    "implicit ALS, rank 128": Method(
        partial(factors, rank=128),
        {"penalty": (20.0, 60.0, 180.0), "ratio": RATIOS},
    ),
}


def ranked(scores: Array, X: Any, wanted: NDArray[np.bool_]) -> dict[str, Array]:
    """Precision, recall and NDCG at 10 of each row, from its ten best columns that it did not have."""
    scores = np.where(X.toarray() > 0, -np.inf, scores)
    ten = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    hits = np.take_along_axis(wanted, ten, axis=1)
    many = wanted.sum(axis=1)
    discount = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.cumsum(discount)[np.clip(many, 1, K) - 1]
    return {
        "precision": hits.mean(axis=1),
        "recall": hits.sum(axis=1) / np.maximum(many, 1),
        "ndcg": (hits * discount).sum(axis=1) / ideal,
    }


def hidden(table: Any, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark a fifth of each row's entries, and at least one where there are two."""
    order = np.lexsort((rng.random(table.nnz), table.row))
    size = np.bincount(table.row, minlength=table.shape[0])
    place = np.arange(table.nnz) - np.repeat(np.cumsum(size) - size, size)
    share = np.where(size > 1, np.maximum(size // 5, 1), 0)
    mark = np.zeros(table.nnz, dtype=bool)
    mark[order] = place < np.repeat(share, size)
    return mark


def of(table: Any, mask: NDArray[np.bool_]) -> Any:
    """The entries of a table where the mask is, as ones."""
    return scipy.sparse.csr_array((np.ones(mask.sum()), (table.row[mask], table.col[mask])), shape=table.shape)


def contest(
    method: Method, fitted: Any, validation: NDArray[np.bool_], known: Any, test: NDArray[np.bool_]
) -> dict[str, Any]:
    """Choose a method's setting on the validation part, fit it to all that is known, and measure each list once."""
    checked, tested = validation.any(axis=1), test.any(axis=1)
    settings = [dict(zip(method.grid, values, strict=True)) for values in product(*method.grid.values())]
    tried = [
        ranked(method.scores(fitted, **s), fitted, validation)["ndcg"][checked].mean() for s in settings if method.grid
    ]
    best = settings[int(np.argmax(tried))] if tried else {}
    measures = {key: value[tested] for key, value in ranked(method.scores(known, **best), known, test).items()}
    return {
        "chosen": best,
        "validation": [round(float(x), 4) for x in tried],
        "ndcg of each": [round(float(x), 4) for x in measures["ndcg"]],
        **{key: round(float(value.mean()), 5) for key, value in measures.items()},
    }


def split(table: Any, seed: int) -> tuple[Any, NDArray[np.bool_], Any, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    test = hidden(table, rng)
    known = of(table, ~test).tocoo()
    validation = hidden(known, rng)
    return of(known, ~validation), of(known, validation).toarray() > 0, known.tocsr(), of(table, test).toarray() > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first of them")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    table = load("usage").uses[::4].tocoo()
    kept = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    result: dict[str, Any] = {
        **provenance("numpy", "scipy"),
        "data": "usage, one file in four",
        "shape": list(table.shape),
        "uses": int(table.nnz),
        "grids": {name: {key: list(values) for key, values in method.grid.items()} for name, method in METHODS.items()},
        "splits": kept.get("splits", {}),
        "ndcg of each file, summed over splits": kept.get("ndcg of each file, summed over splits", {}),
    }
    for seed in range(options.first, options.first + options.splits):
        parts, rows = split(table, seed), result["splits"].setdefault(str(seed), {})
        for name, method in METHODS.items():
            if name not in rows:
                row = rows[name] = contest(method, *parts)
                each = np.array(row.pop("ndcg of each"))
                sums = result["ndcg of each file, summed over splits"]
                sums[name] = [round(float(x), 4) for x in each + sums.get(name, 0.0)]
                print(seed, name, row["chosen"], row["precision"], row["recall"], row["ndcg"], flush=True)
                store(options.output, result, indent=None)


if __name__ == "__main__":
    main()
