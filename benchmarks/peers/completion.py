"""Matrix completion beside its peers, in one run: a synthetic table, ratings, and implicit feedback.

    python -m benchmarks.peers.completion [--rounds 5] [--folds 5] [--data ratings] [--parts implicit …] [--output FILE]

Peers take part if they are installed, and are named as missing if not. In an environment of their own:
``pip install fancyimpute scikit-surprise implicit cmfrec pandas "scikit-learn<1.8"``. The result goes into
lowrank_helpers/data/results/completion.json if it is of MovieLens and has all peers but cmfrec, which does not build
everywhere; else into _build/.

- synthetic: 500×500 of rank 5, 30 % seen, without noise and with 10 %: relative error where unseen, and seconds,
  the contenders in turns.
- ratings: root mean square error and fit seconds over folds. Rank and penalties are chosen on a tenth of each training
  part, never on the test part. LOWRANK_DATA names the folder with MovieLens; without it, the generated ratings serve.
- implicit: precision at 10, for what users liked (4 stars and more) among their latest fifth; popularity, a scaled SVD
  and EASE (Steck, 2019) beside it. Their one setting each is the usual one, not searched for. Ours makes half as many
  iterations as the library implicit, which bring it to about the same objective: that stands beside the seconds.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
import scipy.sparse
from threadpoolctl import threadpool_limits

from benchmarks.peers.provenance import RESULTS, provenance
from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    implicit_als,
    predict,
    predict_interval,
    soft_impute,
)
from lowrank_helpers.datasets import load, low_rank
from lowrank_helpers.svd import block_krylov_svd

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = RESULTS / "completion.json"
PARTS = ("synthetic", "synthetic, 10 % noise", "implicit", "ratings")
DISTRIBUTIONS = {
    "fancyimpute": "fancyimpute",
    "cmfrec": "cmfrec",
    "surprise": "scikit-surprise",
    "implicit": "implicit",
}
PEERS = tuple(DISTRIBUTIONS)
ALS_GRID = [(r, p, 0.0) for r in (1, 2, 4, 8) for p in (5.0, 10.0)]
FEATURES_GRID = [(r, p, o) for r in (8, 16, 32) for p in (14.0, 20.0) for o in (0.25, 0.5)]


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def synthetic(rounds: int, noise: float) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    full = low_rank(500, 500, 5, rng=rng)
    seen = rng.random(full.shape) < 0.3
    A = np.where(seen, full + noise * rng.standard_normal(full.shape), np.nan)
    i, j = np.nonzero(seen)

    def completed(result: Any) -> Any:
        return result.W @ result.H

    def few_iterations() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it stops early, on purpose
            return completed(als_complete(A, 5, max_iterations=3, rng=0))

    contenders: dict[str, Callable[[], Any]] = {
        "ours, ALS": lambda: completed(als_complete(A, 5, rng=0)),
        "ours, ALS, 3 iterations": few_iterations,
        "ours, soft-impute, penalty 5": lambda: completed(soft_impute(A, 5.0)),
    }
    if installed("fancyimpute"):
        from fancyimpute import IterativeSVD, SoftImpute

        contenders["fancyimpute SoftImpute"] = lambda: SoftImpute(verbose=False).fit_transform(A)
        contenders["fancyimpute SoftImpute, penalty 5"] = lambda: SoftImpute(
            shrinkage_value=5.0, init_fill_method="zero", verbose=False
        ).fit_transform(A)
        contenders["fancyimpute IterativeSVD"] = lambda: IterativeSVD(5, verbose=False).fit_transform(A)
    if installed("cmfrec"):
        from cmfrec import CMF

        table = scipy.sparse.coo_array((A[i, j], (i, j)), shape=A.shape)

        def cmf() -> Any:
            model = CMF(k=5, lambda_=1e-6, niter=10, user_bias=False, item_bias=False, center=False, verbose=False)
            model.fit(scipy.sparse.coo_matrix(table))
            return model.A_ @ model.B_.T

        contenders["cmfrec, 10 iterations"] = cmf
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    errors = {}
    for _ in range(rounds):
        for name, run in contenders.items():
            X, t = timed(run)
            seconds[name].append(t)
            # where the entries were seen, some peers return them instead of their own: so the unseen ones count
            errors[name] = float(np.linalg.norm((X - full)[~seen]) / np.linalg.norm(full[~seen]))
    return {name: {"seconds": statistics.median(seconds[name]), "error": errors[name]} for name in contenders}


def table(ratings: Any, part: Any) -> scipy.sparse.coo_array:
    entries = ratings.ratings[part], (ratings.users[part], ratings.items[part])
    return scipy.sparse.coo_array(entries, shape=ratings.shape)


def rmse(ratings: Any, part: Any, predictions: Any) -> float:
    inside = np.clip(predictions, ratings.ratings.min(), ratings.ratings.max())
    return float(np.sqrt(np.mean((inside - ratings.ratings[part]) ** 2)))


def fit_als(ratings: Any, part: Any, options: tuple[int, float, float]) -> Any:
    rank, penalty, omega = options
    iterations = 10 if omega else 5  # converged or not: predictions settle long before the objective
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return als_complete(
            table(ratings, part), rank, penalty=penalty, biases=True, implicit_features=omega, max_iterations=iterations
        )


def chosen(ratings: Any, part: Any, grid: list[tuple[int, float, float]], rng: np.random.Generator) -> Any:
    """Return the options of the grid that do best on a tenth of the training part."""
    mixed = rng.permutation(part)
    inner, rest = mixed[: len(part) // 10], mixed[len(part) // 10 :]
    scores = [
        rmse(ratings, inner, predict(fit_als(ratings, rest, options), ratings.users[inner], ratings.items[inner]))
        for options in grid
    ]
    return grid[int(np.argmin(scores))]


def surprise_svd(ratings: Any, train: Any, test: Any) -> tuple[Any, float]:
    import pandas
    from surprise import SVD, Dataset, Reader

    frame = pandas.DataFrame({"u": ratings.users[train], "i": ratings.items[train], "r": ratings.ratings[train]})
    data = Dataset.load_from_df(frame, Reader(rating_scale=(0.5, 5))).build_full_trainset()
    model, seconds = timed(lambda: SVD(random_state=0).fit(data))
    pairs = zip(ratings.users[test].tolist(), ratings.items[test].tolist(), strict=True)
    return np.array([model.predict(u, i).est for u, i in pairs]), seconds


def cmfrec_features(ratings: Any, train: Any, test: Any) -> tuple[Any, float]:
    from cmfrec import CMF

    data = scipy.sparse.coo_matrix(table(ratings, train))
    model = CMF(k=40, lambda_=10.0, add_implicit_features=True, w_implicit=0.5, nthreads=2, verbose=False)
    _, seconds = timed(lambda: model.fit(data))
    return model.predict(ratings.users[test], ratings.items[test]), seconds


def rated(ratings: Any, folds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    mixed = rng.permutation(len(ratings.ratings))
    scores: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    grids = {"ALS, biases": ALS_GRID, "ALS, implicit features": FEATURES_GRID}
    grids["ALS, implicit features, rank 8"] = [options for options in FEATURES_GRID if options[0] == 8]
    picked: dict[str, list[Any]] = {name: [] for name in grids}
    covered = []

    def note(name: str, error: float, time_taken: float) -> None:
        scores.setdefault(name, []).append(error)
        seconds.setdefault(name, []).append(time_taken)

    for fold in range(folds):
        test, train = np.sort(mixed[fold::5]), np.sort(np.concatenate([mixed[k::5] for k in range(5) if k != fold]))
        users, items = ratings.users[test], ratings.items[test]
        mean = ratings.ratings[train].mean()
        note("mean", rmse(ratings, test, np.full(len(test), mean)), 0.0)
        for name, grid in grids.items():
            options = chosen(ratings, train, grid, rng)
            picked[name].append(options)
            result, t = timed(lambda options=options, train=train: fit_als(ratings, train, options))
            note(name, rmse(ratings, test, predict(result, users, items)), t)
        draws, t = timed(lambda train=train: bayesian_complete(table(ratings, train), 8, rng=0))
        mean, lower, upper = predict_interval(draws, users, items)
        note("Bayesian, rank 8", rmse(ratings, test, mean), t)
        covered.append(float(np.mean((lower <= ratings.ratings[test]) & (ratings.ratings[test] <= upper))))
        if installed("surprise") and installed("pandas"):
            predictions, t = surprise_svd(ratings, train, test)
            note("Surprise SVD", rmse(ratings, test, predictions), t)
        if installed("cmfrec"):
            predictions, t = cmfrec_features(ratings, train, test)
            note("cmfrec, implicit features", rmse(ratings, test, predictions), t)
    figures = {n: {"rmse": statistics.mean(scores[n]), "seconds": statistics.median(seconds[n])} for n in scores}
    return {"methods": figures, "chosen (rank, penalty, omega)": picked, "covered by 90 % intervals": covered}


def precision(scores: Any, train: Any, liked: Any) -> float:
    """The share of liked ones among the ten best not seen in training, over users who liked something later."""
    scores = np.where(train.toarray() > 0, -np.inf, scores)
    best = np.argpartition(-scores, 10, axis=1)[:, :10]
    later = liked.toarray() > 0
    users = np.nonzero(later.any(axis=1))[0]
    return float(np.take_along_axis(later[users], best[users], axis=1).mean())


def implicit_feedback(ratings: Any, rounds: int) -> dict[str, dict[str, float]]:
    good = ratings.ratings >= 4
    train, liked = (
        scipy.sparse.csr_array(
            (np.ones(int(part.sum())), (ratings.users[part], ratings.items[part])), shape=ratings.shape
        )
        for part in (good & ~ratings.held, good & ratings.held)
    )

    def ours(rank: int) -> Any:
        result = implicit_als(train, rank, penalty=10.0, confidence=10.0, max_iterations=5, rng=0)
        return result.W @ result.H, result.W, result.H

    def theirs(rank: int) -> Any:
        from implicit.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=rank, regularization=10.0, alpha=11.0, iterations=10, num_threads=2, random_state=0
        )
        with threadpool_limits(1, "blas"):  # as it asks for: it has threads of its own
            model.fit(scipy.sparse.csr_matrix(train), show_progress=False)
        return model.user_factors @ model.item_factors.T, model.user_factors, model.item_factors.T

    def objective(W: Any, H: Any) -> float:
        W, H, ones = W.astype(float), H.astype(float), train.toarray()
        return float(((1 + 10.0 * ones) * (ones - W @ H) ** 2).sum() + 10.0 * ((W**2).sum() + (H**2).sum()))

    def scaled(rank: int, power: float) -> Any:
        """A truncated SVD of the table with each column divided by a power of its norm, read off item by item."""
        norms = np.sqrt(np.maximum(np.asarray(train.sum(axis=0)), 1))
        _, _, Vt = block_krylov_svd(train * norms ** (power - 1), rank, rng=0)
        return (train @ Vt.T) @ Vt

    def ease(penalty: float) -> Any:
        """Ridge regression of every item on all others: from one inverse, with a diagonal of zeros."""
        gram = (train.T @ train).toarray()
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return train @ weights

    def popular() -> Any:
        return np.tile(np.asarray(train.sum(axis=0)), (train.shape[0], 1))

    contenders: dict[str, Callable[[], Any]] = {"popularity": popular}
    for rank in (16, 32):
        contenders[f"ours, rank {rank}"] = lambda rank=rank: ours(rank)
        if installed("implicit"):
            contenders[f"implicit, rank {rank}"] = lambda rank=rank: theirs(rank)
        contenders[f"scaled SVD, rank {rank}, power 0.4"] = lambda rank=rank: scaled(rank, 0.4)
    contenders["EASE, penalty 300"] = lambda: ease(300.0)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    figures: dict[str, dict[str, float]] = {}
    for turn in range(rounds):
        for name, run in contenders.items():
            if turn and name.startswith("EASE"):  # as long as all others together: once
                continue
            found, t = timed(run)
            seconds[name].append(t)
            predictions, *factors = found if isinstance(found, tuple) else (found,)
            figures[name] = {"precision at 10": precision(predictions, train, liked)}
            if factors:
                figures[name]["objective"] = objective(*factors)
    return {name: {"seconds": statistics.median(seconds[name])} | figures[name] for name in contenders}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    offline = "ratings" if os.environ.get("LOWRANK_DATA") else "generated"
    parser.add_argument("--data", choices=["generated", "ratings", "ml-100k"], default=offline)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    if options.output is None:  # the book's figures are of MovieLens and have the peers that install everywhere
        complete = options.data == "ratings" and all(installed(name) for name in PEERS if name != "cmfrec")
        options.output = RESULT if complete else ROOT / "_build" / RESULT.name
        options.output.parent.mkdir(exist_ok=True)
    ratings = load("ratings") if options.data == "generated" else load(options.data, online=True)
    kept = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    result: dict[str, Any] = kept | {
        **provenance("numpy", "scipy", *(DISTRIBUTIONS[name] for name in PEERS if installed(name))),
        "missing": [name for name in PEERS if not installed(name)],
        "data": options.data,
    }
    parts: dict[str, Callable[[], Any]] = {
        "synthetic": lambda: synthetic(options.rounds, 0.0),
        "synthetic, 10 % noise": lambda: synthetic(options.rounds, 0.1),
        "implicit": lambda: implicit_feedback(ratings, options.rounds),
        "ratings": lambda: rated(ratings, options.folds),
    }
    for name in options.parts:
        result[name] = parts[name]()
        print(name, json.dumps(result[name], indent=1), flush=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
