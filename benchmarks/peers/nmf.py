"""NMF against scikit-learn: seconds to 1 % and to 0.1 % above the best loss, from the same five starts, in one run.

    python -m benchmarks.peers.nmf [--rounds 3] [--tiny]

Two matrices, the digits (1797 × 64, dense, k = 16) and tf-idf of 5283 docstrings (sparse, k = 20), and
two losses: Frobenius, where scikit-learn's coordinate descent meets our extrapolated HALS, and Kullback-Leibler, where
its multiplicative updates meet SQUAREM. Each method goes on from the same random W and H; the rounds and the
methods take turns. scikit-learn's updates are called one by one and its loss is computed outside the clock; ours pay
for theirs. The best loss is the least that any of the two reached from any start. A time is the median over the starts
that reached the target, each the median of the rounds. Since starts end in different minima, the table also has, for
each start, how long ours takes to the loss that the peer ends with. The result is written into
lowrank_helpers/data/results/nmf.json.
"""

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import _nmf
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.datasets import load
from lowrank_helpers.decomposition import _nmf_multiplicative as updates
from lowrank_helpers.decomposition._nmf_hals import hals
from lowrank_helpers.decomposition._nmf_start import random_start

RESULT = RESULTS / "nmf.json"
TARGETS = (0.01, 0.001)
ITERATIONS = {
    ("digits", "frobenius"): 300,
    ("digits", "kullback-leibler"): 300,
    ("tf-idf", "frobenius"): 150,
    ("tf-idf", "kullback-leibler"): 100,
}
History = list[tuple[float, float]]
Method = Callable[[Any, np.ndarray, np.ndarray, int], History]


def matrices(tiny: bool) -> dict[str, tuple[Any, int]]:
    """Both matrices, each with its rank."""
    if tiny:
        texts = [f"word{i % 7} word{i % 5} word{i % 3}" for i in range(40)]
        A = TfidfVectorizer().fit_transform(texts)
        A.sort_indices()
        return {"digits": (load_digits().data[:60], 4), "tf-idf": (A, 3)}
    A = TfidfVectorizer(stop_words="english", min_df=2, token_pattern=r"[A-Za-z]{3,}").fit_transform(
        load("docstrings").texts
    )
    A.sort_indices()  # scikit-learn's updates, called one by one, mix up the entries of a row without this
    return {"digits": (load_digits().data, 16), "tf-idf": (A, 20)}


def ours(steps: Any, iterations: int) -> History:
    """Time so far and loss, after each iteration."""
    history, begin = [], time.perf_counter()
    for _ in range(iterations + 1):
        value = next(steps)[2]
        history.append((time.perf_counter() - begin, value))
    return history


def our_hals(A: Any, W: np.ndarray, H: np.ndarray, iterations: int) -> History:
    """Extrapolated HALS."""
    return ours(hals(A, W, H), iterations)


def our_squarem(A: Any, W: np.ndarray, H: np.ndarray, iterations: int) -> History:
    """SQUAREM; each iteration is two pairs of updates, so there are half as many."""
    begin = time.perf_counter()
    loss = updates.kullback_leibler(A)
    setup = time.perf_counter() - begin
    return [(setup + seconds, value) for seconds, value in ours(updates.squarem(loss, W, H), iterations // 2)]


def their_descent(A: Any, W: np.ndarray, H: np.ndarray, iterations: int) -> History:
    """scikit-learn's coordinate descent, update by update."""
    W, Ht = W.copy(), np.ascontiguousarray(H.T)
    history, seconds, state = [], 0.0, np.random.RandomState(0)
    for _ in range(iterations):
        begin = time.perf_counter()
        _nmf._update_coordinate_descent(A, W, Ht, 0, 0, False, state)
        _nmf._update_coordinate_descent(A.T, Ht, W, 0, 0, False, state)
        seconds += time.perf_counter() - begin
        history.append((seconds, frobenius_loss(A, W, Ht.T)))
    return history


def frobenius_loss(A: Any, W: np.ndarray, H: np.ndarray) -> float:
    """½‖A − W H‖², by Gram matrices: its relative rounding is far below the targets."""
    size = A.multiply(A).sum() if scipy.sparse.issparse(A) else (A**2).sum()
    return float(0.5 * (size - 2 * np.vdot(W, A @ H.T) + np.vdot(W.T @ W, H @ H.T)))


def their_updates(A: Any, W: np.ndarray, H: np.ndarray, iterations: int) -> History:
    """scikit-learn's multiplicative updates for the Kullback-Leibler loss, update by update."""
    W, H = W.copy(), H.copy()
    history, seconds = [], 0.0
    evaluate, _ = updates.kullback_leibler(scipy.sparse.csr_array(A) if scipy.sparse.issparse(A) else A)
    for i in range(iterations):
        begin = time.perf_counter()
        W, *_ = _nmf._multiplicative_update_w(A, W, H, 1, 0, 0, 1, update_H=True)
        H = _nmf._multiplicative_update_h(A, W, H, 1, 0, 0, 1)
        seconds += time.perf_counter() - begin
        if i % 5 == 4:
            history.append((seconds, evaluate(W, H)[0]))
    return history


METHODS: dict[str, dict[str, Method]] = {
    "frobenius": {"ours, extrapolated HALS": our_hals, "scikit-learn, coordinate descent": their_descent},
    "kullback-leibler": {"ours, SQUAREM": our_squarem, "scikit-learn, multiplicative updates": their_updates},
}


def compare(A: Any, rank: int, methods: dict[str, Method], rounds: int, iterations: int, starts: int) -> dict[str, Any]:
    """Run all methods from all starts in turns, and tabulate."""
    begun = [random_start(A, rank, np.random.default_rng(seed)) for seed in range(starts)]
    histories: dict[str, list[list[History]]] = {name: [[] for _ in begun] for name in methods}
    for _ in range(rounds):
        for number, (W, H) in enumerate(begun):
            for name, method in methods.items():
                histories[name][number].append(method(A, W, H, iterations))
    best = min(value for runs in histories.values() for run in runs for history in run for _, value in history)
    rows: dict[str, Any] = {}
    for name, runs in histories.items():
        rows[name] = {"excess of the last loss, by start": [round(run[0][-1][1] / best - 1, 5) for run in runs]}
        for target in TARGETS:
            reached = [seconds for run in runs if (seconds := time_to(run, best * (1 + target))) is not None]
            rows[name][f"seconds to {target:.1%}"] = round(statistics.median(reached), 4) if reached else None
            rows[name][f"starts that reach {target:.1%}"] = len(reached)
    mine, peer = methods
    pairs = list(zip(histories[mine], histories[peer], strict=True))
    rows[mine]["time to the loss that the peer ends with, as a share of the peer's, by start"] = [
        None if (seconds := time_to(run, other[0][-1][1])) is None
        else round(seconds / statistics.median(history[-1][0] for history in other), 3)
        for run, other in pairs
    ]  # fmt: skip
    return {"shape": list(A.shape), "rank": rank, "iterations": iterations, "best loss": best, "methods": rows}


def time_to(run: list[History], target: float) -> float | None:
    """The median over rounds of the time at which the loss is first at most the target; None if it never is."""
    times = [next((seconds for seconds, value in history if value <= target), None) for history in run]
    known = [seconds for seconds in times if seconds is not None]
    return statistics.median(known) if known else None


def main(arguments_given: list[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args(arguments_given)
    result: dict[str, Any] = {
        **provenance("numpy", "scipy", "scikit-learn", threads=arguments.threads),
        "rounds": arguments.rounds,
        "cases": {},
    }
    for name, (A, rank) in matrices(arguments.tiny).items():
        for loss, methods in METHODS.items():
            iterations = 20 if arguments.tiny else ITERATIONS[name, loss]
            with threadpool_limits(arguments.threads):
                case = compare(A, rank, methods, arguments.rounds, iterations, 2 if arguments.tiny else 5)
            result["cases"][f"{name}, {loss}"] = case
            print(f"{name}, {loss}: {case['shape']}, rank {rank}, best loss {case['best loss']:.6g}")
            for method, row in case["methods"].items():
                cells = [f"{row[f'seconds to {t:.1%}']} s from {row[f'starts that reach {t:.1%}']}" for t in TARGETS]
                print(f"  {method:40s}{cells[0]:>22s}{cells[1]:>22s}", flush=True)
    store(arguments.out, result)


if __name__ == "__main__":
    main()
