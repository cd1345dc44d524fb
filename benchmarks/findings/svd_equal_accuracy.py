"""How long each method takes for a truncated SVD of rank 50 of the same accuracy, each at its own best setting.

    OMP_NUM_THREADS=1 python -m benchmarks.findings.svd_equal_accuracy [--small --out FILE]

For each kind of matrix there is one to tune on and there are others to test on. On the first, every method that has a
setting tries eight; of those that stay below a third of the wanted excess for three starts the fastest is chosen. Then
all run in turns, five rounds, with the chosen setting, on a matrix that the choice has not seen: a new one each round
where it is drawn at random, else a new start.
Seconds are those of the processor, on one thread; a busy machine still lengthens them, for all in turns.
With --cases the other kinds keep what was stored.
Excess is ‖A − X‖_F over that of a best approximation, less 1; passes are products with A or Aᵀ, counted where the
library takes an operator. Observations of chapter 7 read the result.
"""

import argparse
import json
import math
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import torch
from scipy.sparse.linalg import svds
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd as their_randomized_svd

from benchmarks.peers.provenance import RESULTS, provenance, store
from benchmarks.peers.svd import OVERSAMPLE, Low, as_tensor, best, counted, full
from lowrank_helpers import datasets
from lowrank_helpers.svd import block_krylov_svd, randomized_svd

RESULT = RESULTS / "svd_equal_accuracy.json"
TARGETS, SPARE, STARTS, ROUNDS = (1e-3, 1e-8), 3, 3, 5
TOLERANCES = (0.0, 1e-12, 1e-8, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ITERATIONS = (0, 1, 2, 4, 7, 12, 20, 40)
STEPS = (2, 3, 4, 5, 6, 8, 12, 20)
LIMITS = (2, 3, 5, 8, 12, 20, 40, 80)
Matrix = Any
Solve = Callable[[Matrix, int, Any, int], Low]  # a matrix, the rank, a setting, a seed


# ---------------------------------------------------------------------------------------------------------- matrices


def with_spectrum(s: Any, m: int, n: int, seed: int) -> Matrix:
    """An m×n matrix with these singular values and random singular vectors."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((k, len(s))))[0] for k in (m, n))
    return (U * s) @ V.T


def words(half: int) -> Matrix:
    """The tf-idf of a half of the docstrings that come with the package: odd ones to tune on, even ones to test on."""
    texts = datasets.load("docstrings").texts[half::2]
    return TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2).fit_transform(texts).tocsr()


def photograph(name: str) -> Matrix:
    """Its grey values, less their mean."""
    grey = datasets.gray(datasets.load(name))
    return np.ascontiguousarray(grey - grey.mean())


def cases(small: bool) -> dict[str, Callable[[int], Matrix]]:
    """For each kind of matrix the one of a number: 0 to tune on, 1 to 5 to test on."""
    n, m, k = (200, 600, 100) if small else (1000, 8000, 400)
    i = np.arange(1, n + 1)
    return {
        "fast": lambda seed: with_spectrum(10 ** (-i / 20), n, n, seed),
        "slow": lambda seed: with_spectrum(1 / i, n, n, seed),
        "tall": lambda seed: with_spectrum(1 / np.arange(1, k + 1), m, k, seed),
        "tf-idf": lambda seed: words(0 if seed else 1)[: 500 if small else None],
        "photograph": lambda seed: photograph("flower" if seed else "china"),
    }


# ----------------------------------------------------------------------------------------------------------- methods


def gram(A: Matrix, r: int, _: Any, __: int) -> Low:
    """The leading eigenvectors of the smaller of AᵀA and AAᵀ: exact, but for half of the digits of small values."""
    if A.shape[0] < A.shape[1]:
        L, Vt = gram(A.T, r, None, 0)
        Q, R = np.linalg.qr(L)
        return Vt.T @ R.T, Q.T
    G = A.T @ A
    G = G.toarray() if scipy.sparse.issparse(G) else G
    n = len(G)
    V = scipy.linalg.eigh(G, subset_by_index=[n - r, n - 1])[1]
    return A @ V, V.T


def one_at_a_time(solver: str) -> Solve:
    """A solver of scipy.sparse.linalg.svds; the setting is its tolerance, that of LOBPCG its limit of iterations.

    LOBPCG's tolerance is left unset. On AᵀA that is n√ε, which stops it before an excess of 1e-8 on a fast decay.
    """

    def solve(A: Matrix, r: int, setting: Any, seed: int) -> Low:
        option = {"maxiter": setting} if solver == "lobpcg" else {"tol": setting}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            U, s, Vt = svds(A, r, solver=solver, rng=np.random.default_rng(seed), **option)
        return U * s, Vt

    return solve


def theirs(surplus: Callable[[int], int]) -> Solve:
    """scikit-learn's randomized_svd with so many surplus columns for a rank; the setting is n_iter."""

    def solve(A: Matrix, r: int, iterations: Any, seed: int) -> Low:
        U, s, Vt = their_randomized_svd(A, r, n_oversamples=surplus(r), n_iter=iterations, random_state=seed)
        return U * s, Vt

    return solve


def torches(A: Matrix, r: int, iterations: Any, seed: int) -> Low:
    """torch.svd_lowrank; the setting is niter. The tensor is made before the clock runs."""
    torch.manual_seed(seed)
    U, s, V = torch.svd_lowrank(A, r + OVERSAMPLE, niter=iterations)
    return (U[:, :r] * s[:r]).numpy(), V[:, :r].T.numpy()


def powers(A: Matrix, r: int, iterations: Any, seed: int) -> Low:
    """Our subspace iteration; the setting is power_iterations."""
    U, s, Vt = randomized_svd(A, r, oversample=OVERSAMPLE, power_iterations=iterations, rng=seed)
    return U * s, Vt


def krylov(A: Matrix, r: int, steps: Any, seed: int) -> Low:
    """Our block Krylov method with its default block, half of the rank; the setting is steps."""
    U, s, Vt = block_krylov_svd(A, r, steps=steps, rng=seed)
    return U * s, Vt


METHODS: dict[str, tuple[Solve, tuple[Any, ...]]] = {
    "LAPACK, all of it": (lambda A, r, _, __: full(A, r), ()),
    "Gram matrix": (gram, ()),
    "ARPACK": (one_at_a_time("arpack"), TOLERANCES),
    "PROPACK": (one_at_a_time("propack"), TOLERANCES),
    "LOBPCG, tol unset": (one_at_a_time("lobpcg"), LIMITS),
    "scikit-learn": (theirs(lambda r: OVERSAMPLE), ITERATIONS),
    "scikit, surplus r": (theirs(lambda r: r), ITERATIONS),
    "torch": (torches, ITERATIONS),
    "ours, powers": (powers, ITERATIONS),
    "ours, Krylov": (krylov, STEPS),
}


# ------------------------------------------------------------------------------------------------------- measurement


class Problem:
    """A matrix as each method reads it, and its least error."""

    def __init__(self, A: Matrix, r: int) -> None:
        self.A, self.r, self.least = A, r, best(A, r)[0]
        self.square = float((A.data**2).sum()) if scipy.sparse.issparse(A) else 0.0
        self.tensor = as_tensor(A)

    def run(self, name: str, setting: Any, seed: int) -> tuple[float, float]:
        """Seconds, and excess; infinitely much where the library gives up."""
        A = self.tensor if name == "torch" else self.A
        start = time.process_time()
        try:
            low = METHODS[name][0](A, self.r, setting, seed)
        except (
            ArithmeticError,
            RuntimeError,
            ValueError,
            np.linalg.LinAlgError,
        ):  # "did not converge" has another name in each solver
            return time.process_time() - start, float("inf")
        taken = time.process_time() - start
        return taken, max(self.error(*low) / self.least - 1, 0.0)

    def error(self, L: Any, Vt: Any) -> float:
        """‖A − L Vt‖_F; of a sparse A without forming it, the rows of Vt being orthonormal."""
        if not scipy.sparse.issparse(self.A):
            return float(np.linalg.norm(self.A - L @ Vt))
        return math.sqrt(self.square - 2 * float(np.vdot(self.A @ Vt.T, L)) + float((L**2).sum()))

    def passes(self, name: str, setting: Any) -> int | None:
        """Products with A or Aᵀ: those of the Gram matrix are two; LAPACK does not work by products."""
        if name in ("scikit-learn", "scikit, surplus r", "torch"):
            return 2 * int(setting) + 2
        if name in ("LAPACK, all of it", "Gram matrix"):
            return 2 if name == "Gram matrix" else None
        return counted(self.A, lambda A, r: METHODS[name][0](A, r, setting, 100), self.r)[0]


def tune(problem: Problem, name: str) -> dict[str, Any]:
    """For each target the fastest setting that is a factor below it for every start, or None."""
    found: dict[str, tuple[float, Any]] = {}
    for setting in METHODS[name][1]:
        runs = [problem.run(name, setting, 0)]
        if len(found) == len(TARGETS) and runs[0][0] > 1.5 * max(taken for taken, _ in found.values()):
            continue  # too slow to be chosen, whatever it reaches
        runs += [problem.run(name, setting, seed) for seed in range(1, STARTS)]
        seconds, excess = min(run[0] for run in runs), max(run[1] for run in runs)
        for target in TARGETS:
            if excess <= target / SPARE and seconds < found.get(f"{target:.0e}", (float("inf"),))[0]:
                found[f"{target:.0e}"] = (seconds, setting)
    return {f"{target:.0e}": found.get(f"{target:.0e}", (0.0, None))[1] for target in TARGETS}


def measure(make: Callable[[int], Matrix], r: int) -> dict[str, Any]:
    """Choose on one matrix, and run all methods in turns on others."""
    problem = Problem(make(0), r)
    rows: dict[str, Any] = {}
    for name, (_, grid) in METHODS.items():
        if name == "LAPACK, all of it" and scipy.sparse.issparse(problem.A):
            continue  # it would make A dense
        chosen = tune(problem, name) if grid else {f"{target:.0e}": "–" for target in TARGETS}
        rows[name] = {
            target: {"setting": setting, "seconds": [], "excess": [], "passes": None}
            for target, setting in chosen.items()
        }
    shape = [list(problem.A.shape)]
    for turn in range(1, ROUNDS + 1):
        problem = Problem(make(turn), r)
        for name, row in rows.items():
            last: dict[Any, tuple[float, float]] = {}
            for entry in row.values():
                if entry["setting"] is None:
                    continue
                if turn == 1:
                    entry["passes"] = problem.passes(name, entry["setting"])  # which warms up
                if entry["setting"] not in last:
                    last[entry["setting"]] = problem.run(name, entry["setting"], 100 + turn)
                for key, value in zip(("seconds", "excess"), last[entry["setting"]], strict=True):
                    entry[key].append(value)
    return {"tuned on": shape[0], "tested on": list(problem.A.shape), "methods": rows}


def show(name: str, result: dict[str, Any]) -> None:
    """Print one case as a table."""
    print(f"\n{name}: {result['tested on']}")
    for method, row in result["methods"].items():
        for target, entry in row.items():
            if entry["seconds"]:
                taken = 1000 * statistics.median(entry["seconds"])
                print(
                    f"  {method:18s} {target}  {entry['setting']!s:6s} {taken:7.0f} ms"
                    f"  excess {max(entry['excess']):.0e}  passes {entry['passes']}"
                )
            else:
                print(f"  {method:18s} {target}  not reached")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cases", nargs="+", choices=list(cases(True)), default=list(cases(True)))
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    if options.small and options.out == RESULT:
        parser.error("--small needs --out: its figures are no figures of the book")
    stored = json.loads(options.out.read_text("utf-8"))["cases"] if options.out.exists() else {}
    found: dict[str, Any] = {name: stored[name] for name in cases(True) if name in stored}
    for name in options.cases:
        found[name] = measure(cases(options.small)[name], 10 if options.small else 50)
        show(name, found[name])
    result = provenance("numpy", "scipy", "scikit-learn", "torch") | {
        "rank": 10 if options.small else 50,
        "targets": [f"{target:.0e}" for target in TARGETS],
        "rounds": ROUNDS,
        "seeds": {"tuned with": list(range(STARTS)), "tested with": [100 + turn for turn in range(1, ROUNDS + 1)]},
        "grids": {name: list(grid) for name, (_, grid) in METHODS.items()},
        "cases": found,
    }
    store(options.out, result)


if __name__ == "__main__":
    main()
