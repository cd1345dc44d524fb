"""Matrix completion beside its peers, in one run: a synthetic table, ratings, and implicit feedback.

    python -m benchmarks.peers.completion [--parts ratings …] [--splits "fold 0" …] [--again] [--output FILE]

Peers take part if they are installed, and are named as missing if not. In an environment of their own:
``pip install fancyimpute scikit-surprise implicit cmfrec pandas "scikit-learn<1.8"``. The result goes into
lowrank_helpers/data/results/completion.json if it is of MovieLens and has all peers but cmfrec, which does not build
everywhere; else into _build/.

- synthetic: 500×500 of rank 5, 30 % seen, without noise and with 10 %: relative error where unseen, and seconds,
  the contenders in turns; fancyimpute as it comes, and run to the end.
- ratings: root mean square error on five random folds and on each user's latest fifth. All contenders but those with
  "defaults" in their names choose one of nine settings on a tenth of each training part, never on the test part. What
  is stored is kept, so that the splits can be run in pieces. LOWRANK_DATA names the folder with MovieLens; without it,
  the generated ratings serve.
- implicit: lists of ten films for what users liked (4 stars and more) among their latest fifth, by the contenders of
  benchmarks.findings.clicks, each with 27 settings.
- speed: EASE by films × films and by users × users; ours beside the library implicit.

Seconds are those of one processor, not of the clock: so other work on the machine does not count. Run it with
OMP_NUM_THREADS=1.
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
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import scipy
import scipy.sparse
from threadpoolctl import threadpool_limits

from benchmarks.findings import clicks
from benchmarks.findings.clicks import Method
from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    implicit_als,
    predict,
    predict_interval,
    soft_impute,
)
from lowrank_helpers.datasets import load, low_rank

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = RESULTS / "completion.json"
PARTS = ("synthetic", "synthetic, 10 % noise", "speed", "implicit", "ratings")
DISTRIBUTIONS = {
    "fancyimpute": "fancyimpute",
    "cmfrec": "cmfrec",
    "surprise": "scikit-surprise",
    "implicit": "implicit",
}
PEERS = tuple(DISTRIBUTIONS)
SPLITS = ("fold 0", "fold 1", "fold 2", "fold 3", "fold 4", "latest fifth")
PENALTIES = (3.0, 5.0, 7.0, 9.0, 12.0, 15.0, 18.0, 22.0, 27.0)
OPTIONS: dict[str, dict[str, tuple[float, ...]]] = {  # nine settings each
    "mean": {},
    "biases": {"users": (0.0, 6.0, 25.0), "items": (1.0, 2.5, 6.0)},
    "ALS, rank 1": {"penalty": PENALTIES},
    "ALS, rank 8": {"penalty": PENALTIES},
    "ALS, rank 32": {"penalty": PENALTIES},
    "ALS, implicit features, rank 16": {"penalty": (9.0, 14.0, 22.0), "omega": (0.12, 0.35, 1.0)},
    "Gibbs sampling, rank 8, defaults": {},
    "Surprise SVD, rank 32": {"penalty": (0.06, 0.09, 0.13), "rate": (0.0015, 0.004, 0.01)},
    "Surprise SVD, defaults": {},
    "Surprise BaselineOnly, defaults": {},
}


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the seconds of one processor that it took, whatever else this machine was doing."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


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

        def soft(threshold: float, iterations: int) -> Any:
            model = SoftImpute(5.0, threshold, iterations, init_fill_method="zero", verbose=False)
            return model.fit_transform(A)

        contenders["fancyimpute IterativeSVD, defaults"] = lambda: IterativeSVD(5, verbose=False).fit_transform(A)
        contenders["fancyimpute IterativeSVD, to the end"] = lambda: IterativeSVD(
            5, convergence_threshold=1e-10, max_iters=2000, verbose=False
        ).fit_transform(A)
        contenders["fancyimpute SoftImpute, penalty 5"] = lambda: soft(0.001, 100)
        contenders["fancyimpute SoftImpute, penalty 5, to the end"] = lambda: soft(1e-5, 2000)
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


def biases(ratings: Any, part: Any, users: float, items: float) -> Callable[[Any], Any]:
    """Mean and damped means of what is left, of items and of users in turns, as in chapter 13."""
    i, j, mu = ratings.users[part], ratings.items[part], ratings.ratings[part].mean()
    m, n = ratings.shape
    b, c = np.zeros(m), np.zeros(n)
    above, below = (
        np.maximum(np.bincount(j, minlength=n) + items, 1),
        np.maximum(np.bincount(i, minlength=m) + users, 1),
    )
    for _ in range(10):
        c = np.bincount(j, ratings.ratings[part] - mu - b[i], minlength=n) / above
        b = np.bincount(i, ratings.ratings[part] - mu - c[j], minlength=m) / below
    return lambda where: mu + b[ratings.users[where]] + c[ratings.items[where]]


def factors(ratings: Any, part: Any, rank: int, penalty: float, omega: float = 0.0) -> Callable[[Any], Any]:
    iterations = 10 if omega else 5  # converged or not: predictions settle long before the objective
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        fit = als_complete(
            table(ratings, part), rank, penalty=penalty, biases=True, implicit_features=omega, max_iterations=iterations
        )
    return lambda where: predict(fit, ratings.users[where], ratings.items[where])


def surprise(ratings: Any, part: Any, model: Any) -> Callable[[Any], Any]:
    import pandas
    from surprise import Dataset, Reader

    frame = pandas.DataFrame({"u": ratings.users[part], "i": ratings.items[part], "r": ratings.ratings[part]})
    model.fit(Dataset.load_from_df(frame, Reader(rating_scale=(0.5, 5))).build_full_trainset())

    def predicted(where: Any) -> Any:
        pairs = zip(ratings.users[where].tolist(), ratings.items[where].tolist(), strict=True)
        return np.array([model.predict(u, i).est for u, i in pairs])

    return predicted


def fitted(name: str, ratings: Any, part: Any, options: dict[str, float]) -> Callable[[Any], Any]:
    """Fit the contender of this name to a part of the ratings; what it returns predicts others."""
    if name == "mean":
        mean = ratings.ratings[part].mean()
        return lambda where: np.full(len(where), mean)
    if name == "biases":
        return biases(ratings, part, **options)
    if name.startswith("ALS"):
        return factors(ratings, part, int(name.split()[-1]), **options)
    if name.startswith("Gibbs"):
        draws = bayesian_complete(table(ratings, part), 8, rng=0)
        return lambda where: np.array(predict_interval(draws, ratings.users[where], ratings.items[where]))
    from surprise import SVD, BaselineOnly

    if name.startswith("Surprise BaselineOnly"):
        return surprise(ratings, part, BaselineOnly(verbose=False))
    given: dict[str, Any] = {}
    if options:
        given = {"reg_all": options["penalty"], "lr_all": options["rate"], "n_factors": 32, "n_epochs": 120}
    return surprise(ratings, part, SVD(random_state=0, **given))


def seconds(ratings: Any, rows: dict[str, Any]) -> dict[str, float]:
    """Seconds of one processor for one fit to four of five folds, with the setting that fold 0 chose."""
    _, rest, _ = places(ratings, "fold 0")
    return {name: round(timed(lambda n=name: fitted(n, ratings, rest, rows[n]["chosen"]))[1], 3) for name in rows}


def places(ratings: Any, split: str) -> tuple[Any, Any, Any]:
    """The test part of a split, what is left, and the part of that on which settings are chosen: a random tenth, or,
    where the test is each user's latest fifth, the latest fifth of the rest."""
    if split == "latest fifth":
        test, rest = np.nonzero(ratings.held)[0], np.nonzero(~ratings.held)[0]
        order = rest[np.lexsort((ratings.timestamps[rest], ratings.users[rest]))]
        size = np.bincount(ratings.users[rest])
        place = np.arange(len(rest)) - np.repeat(np.cumsum(size) - size, size)
        return test, rest, np.sort(order[place >= np.repeat(size - size // 5, size)])
    fold = int(split.split()[-1])
    mixed = np.random.default_rng(0).permutation(len(ratings.ratings))
    test, rest = np.sort(mixed[fold::5]), np.sort(np.concatenate([mixed[k::5] for k in range(5) if k != fold]))
    return test, rest, np.random.default_rng(fold).permutation(rest)[: len(rest) // 10]


def rated(ratings: Any, name: str, split: str) -> dict[str, Any]:
    """Choose a contender's setting where it may be chosen, fit it to all but the test part, and test it once."""
    test, rest, inner = places(ratings, split)
    settings = [dict(zip(OPTIONS[name], values, strict=True)) for values in product(*OPTIONS[name].values())]
    outer = np.setdiff1d(rest, inner)
    tried = [
        rmse(ratings, inner, fitted(name, ratings, outer, options)(inner)) for options in settings if len(settings) > 1
    ]
    options = settings[int(np.argmin(tried))] if tried else {}
    predictions = fitted(name, ratings, rest, options)(test)
    result = {"chosen": options, "validation": [round(x, 5) for x in tried]}
    if name.startswith("Gibbs"):
        predictions, lower, upper = predictions
        seen = ratings.ratings[test]
        result["covered"] = round(float(np.mean((lower <= seen) & (seen <= upper))), 4)
    result["rmse"] = round(rmse(ratings, test, predictions), 5)
    if split == "latest fifth":
        inside = np.clip(predictions, ratings.ratings.min(), ratings.ratings.max())
        errors = np.bincount(ratings.users[test], (inside - ratings.ratings[test]) ** 2, minlength=ratings.shape[0])
        result["squared error of each user"] = [round(float(x), 3) for x in errors]
        result["ratings of each user"] = np.bincount(ratings.users[test], minlength=ratings.shape[0]).tolist()
    return result


FILMS = {
    "popularity": clicks.METHODS["popularity"],
    "item neighbours": clicks.METHODS["item neighbours"]._replace(
        grid={"other": (0.25, 0.5, 0.75), "shrinkage": (8.0, 32.0, 128.0), "power": (0.5, 1.0, 2.0)}
    ),
    "EASE": clicks.METHODS["EASE"]._replace(grid={"penalty": tuple(round(8 * 1.35**k, 1) for k in range(27))}),
    "implicit ALS, rank 64": Method(
        partial(clicks.factors, rank=64),
        {"penalty": (5.0, 20.0, 80.0), "ratio": (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0, 80.0)},
    ),
}


def liked(ratings: Any, part: Any) -> Any:
    """Who gave four stars or more to what, in a part of the ratings, as a table of ones."""
    part = part[ratings.ratings[part] >= 4]
    entries = np.ones(len(part)), (ratings.users[part], ratings.items[part])
    return scipy.sparse.csr_array(entries, shape=ratings.shape)


def suggestions(ratings: Any) -> dict[str, Any]:
    """The contest of benchmarks.findings.clicks for films that users liked, on their latest fifth."""
    test, rest, inner = places(ratings, "latest fifth")
    known, found = liked(ratings, rest), liked(ratings, test).toarray() > 0
    outer = liked(ratings, np.setdiff1d(rest, inner))
    validation = liked(ratings, inner).toarray() > 0
    result = {name: clicks.contest(method, outer, validation, known, found) for name, method in FILMS.items()}
    return {"grids": {name: method.grid for name, method in FILMS.items()}, "methods": result}


def speed(ratings: Any, rounds: int) -> dict[str, Any]:
    """EASE by either system, with the same scores; our factors beside those of the library implicit, with the same
    objective: ours makes half as many iterations, which bring it to about the same value."""
    train = liked(ratings, places(ratings, "latest fifth")[1])
    confidence, penalty = 10.0, 10.0
    ones = train.toarray()

    def primal() -> Any:
        """From one inverse of films × films."""
        inverse = np.linalg.inv((train.T @ train).toarray() + 300.0 * np.eye(train.shape[1]))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return train @ weights

    def ours() -> Any:
        fit = implicit_als(train, 32, penalty=penalty, confidence=confidence, max_iterations=5, rng=0)
        return fit.W, fit.H

    def theirs() -> Any:
        from implicit.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(
            factors=32, regularization=penalty, alpha=1 + confidence, iterations=10, num_threads=1, random_state=0
        )
        with threadpool_limits(1, "blas"):  # as it asks for: it has threads of its own
            model.fit(scipy.sparse.csr_matrix(train), show_progress=False)
        return model.user_factors, model.item_factors.T

    def objective(W: Any, H: Any) -> float:
        W, H = W.astype(float), H.astype(float)
        misfit = ((1 + confidence * ones) * (ones - W @ H) ** 2).sum()
        return float(misfit + penalty * ((W**2).sum() + (H**2).sum()))

    dual, quick = zip(*(timed(lambda: clicks.ease(train, 300.0)) for _ in range(rounds)), strict=True)
    whole, slow = timed(primal)
    result: dict[str, Any] = {
        "EASE, films × films": {"seconds": slow},
        "EASE, users × users": {
            "seconds": statistics.median(quick),
            "below 1e-9 apart": bool(np.abs(whole - dual[0]).max() < 1e-9),
        },
    }
    contenders = {"ours, rank 32, 5 iterations": ours}
    if installed("implicit"):
        contenders["implicit, rank 32, 10 iterations"] = theirs
    for name, run in contenders.items():
        found, seconds = zip(*(timed(run) for _ in range(rounds)), strict=True)
        result[name] = {"seconds": statistics.median(seconds), "objective": objective(*found[-1])}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS))
    parser.add_argument("--again", action="store_true", help="measure ratings that are stored once more")
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

    def save() -> None:
        store(options.output, result)

    parts: dict[str, Callable[[], Any]] = {
        "synthetic": lambda: synthetic(options.rounds, 0.0),
        "synthetic, 10 % noise": lambda: synthetic(options.rounds, 0.1),
        "speed": lambda: speed(ratings, options.rounds),
        "implicit": lambda: suggestions(ratings),
    }
    for part in options.parts:
        if part != "ratings":
            result[part] = parts[part]()
            print(part, json.dumps(result[part], indent=1)[:2000], flush=True)
            save()
            continue
        splits = result.setdefault("ratings", {"tried": OPTIONS, "splits": {}})["splits"]
        names = [name for name in OPTIONS if installed("surprise") or not name.startswith("Surprise")]
        for split, name in product(options.splits, names):
            row = splits.setdefault(split, {})
            if options.again or name not in row:
                row[name] = rated(ratings, name, split)
                print(split, name, row[name]["chosen"], row[name]["rmse"], flush=True)
                save()
        if "fold 0" in splits and set(names) <= set(splits["fold 0"]):
            result["ratings"]["seconds"] = seconds(ratings, splits["fold 0"])
            save()


if __name__ == "__main__":
    main()
