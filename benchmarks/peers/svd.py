"""Truncated SVDs side by side: time, passes over A, and error, of ours and of the libraries people use.

    python -m benchmarks.peers.svd [--rounds 5] [--cases fast slow …] [--small]

Rank 50 throughout (10 with --small). Contenders run in turns, round by round, with the threads that the environment
grants (OMP_NUM_THREADS=2 for the book's table), and the median of the rounds counts. For each:

- passes: products with A or Aᵀ, and columns: vectors multiplied in them, counted where the library takes an operator,
  and taken from its source where it does not;
- excess: ‖A − X‖_F over that of a best approximation, less 1; spectral: ‖A − X‖₂ over σ_{r+1}.

The result goes into lowrank_helpers/data/results/svd.json; cases that were not run keep the figures that are there.
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
import scipy
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd as their_randomized_svd

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.datasets import load
from lowrank_helpers.svd import block_krylov_svd, randomized_svd

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

RESULT = RESULTS / "svd.json"
OVERSAMPLE = 10
PAUSE = 0.3  # seconds before each run: threads of the last contender's BLAS go on spinning for a while
Low = tuple[Any, Any]  # factors L (m, r) and Vt (r, n) of the approximation, the rows of Vt orthonormal
Contender = Callable[[Any, int], Low]


# ------------------------------------------------------------------------------------------------------------- cases


def with_spectrum(s: Any, m: int, n: int) -> Any:
    """An m×n matrix with these singular values and random singular vectors."""
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    return (U * s) @ V.T


def noisy(n: int, rank: int) -> Any:
    """Rank 50 with singular values from 1 to 0.1, and noise of spectral norm near 0.02."""
    noise = np.random.default_rng(1).standard_normal((n, n))
    return with_spectrum(np.linspace(1, 0.1, rank), n, n) + 0.01 / math.sqrt(n) * noise


def sparse(m: int, n: int, density: float) -> Any:
    """Counts at random places, rows and columns as frequent as words are (Zipf), in CSR format."""
    rng, entries = np.random.default_rng(2), round(density * m * n)
    rows, columns = (rng.choice(k, entries, p=(w := 1 / np.arange(10, k + 10)) / w.sum()) for k in (m, n))
    return scipy.sparse.coo_array((1 + rng.poisson(1.0, entries).astype(float), (rows, columns)), (m, n)).tocsr()


def words(small: bool) -> Any:
    """Real data: the tf-idf of the docstrings that come with the package, as chapter 10 makes it, in CSR format."""
    texts = load("docstrings").texts[: 300 if small else None]
    return TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2).fit_transform(texts).tocsr()


def cases(small: bool) -> dict[str, Callable[[], Any]]:
    """The matrices, each made when its turn comes."""
    n, rank = (200, 10) if small else (2000, 50)
    m, k = (600, 100) if small else (20000, 1000)
    i, tall = np.arange(1, n + 1), np.arange(1, k + 1)
    return {
        "fast": lambda: with_spectrum(10 ** (-i / 20), n, n),
        "slow": lambda: with_spectrum(1 / i, n, n),
        "noisy": lambda: noisy(n, rank),
        "tall": lambda: with_spectrum(1 / tall, m, k),
        "fast, float32": lambda: with_spectrum(10 ** (-i / 20), n, n).astype(np.float32),
        "slow, float32": lambda: with_spectrum(1 / i, n, n).astype(np.float32),
        "sparse": lambda: sparse(500, 200, 0.05) if small else sparse(50000, 20000, 1e-3),
        "tf-idf": lambda: words(small),
    }


# -------------------------------------------------------------------------------------------------------- contenders


def full(A: Any, r: int) -> Low:
    """LAPACK's full SVD through numpy, truncated."""
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :r] * s[:r], Vt[:r]


def iterative(solver: str) -> Contender:
    """One of the solvers of scipy.sparse.linalg.svds, as it comes."""

    def solve(A: Any, r: int) -> Low:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LOBPCG says when it stops short of its tolerance; the table shows it
            U, s, Vt = svds(A, r, solver=solver)
        return U * s, Vt

    return solve


def theirs(iterations: int | str) -> Contender:
    """scikit-learn's randomized_svd, with LU factorisations between the products."""

    def solve(A: Any, r: int) -> Low:
        U, s, Vt = their_randomized_svd(A, r, n_oversamples=OVERSAMPLE, n_iter=iterations, random_state=0)
        return U * s, Vt

    return solve


def truncated(A: Any, r: int) -> Low:
    """scikit-learn's TruncatedSVD, as it comes."""
    estimator = TruncatedSVD(r, random_state=0)
    return estimator.fit_transform(A), estimator.components_


def torch_lowrank(tensor: Any, iterations: int) -> Contender:
    """torch.svd_lowrank, of a tensor made beforehand."""

    def solve(_: Any, r: int) -> Low:
        torch.manual_seed(0)
        U, s, V = torch.svd_lowrank(tensor, r + OVERSAMPLE, niter=iterations)
        return (U[:, :r] * s[:r]).numpy(), V[:, :r].T.numpy()

    return solve


def as_tensor(A: Any) -> Any:
    """A as torch reads it: a dense one shares its memory."""
    if not scipy.sparse.issparse(A):
        return torch.from_numpy(A)
    coo = A.tocoo()
    places = torch.from_numpy(np.stack(coo.coords).astype(np.int64))
    return torch.sparse_coo_tensor(places, torch.from_numpy(coo.data), A.shape, check_invariants=True).coalesce()


def ours(iterations: int) -> Contender:
    """Our subspace iteration."""

    def solve(A: Any, r: int) -> Low:
        U, s, Vt = randomized_svd(A, r, oversample=OVERSAMPLE, power_iterations=iterations, rng=0)
        return U * s, Vt

    return solve


def our_krylov(block: int, steps: int) -> Contender:
    """Our block Krylov method."""

    def solve(A: Any, r: int) -> Low:
        U, s, Vt = block_krylov_svd(A, r, block=block, steps=steps, rng=0)
        return U * s, Vt

    return solve


def products_alone(passes: int, columns: int) -> Contender:
    """No SVD: as many products as a method makes, which no method of that many passes can undercut."""

    def multiply(A: Any, _: int) -> Low:
        X = np.random.default_rng(0).standard_normal((A.shape[1], columns)).astype(A.dtype)
        Y = A @ X
        for _ in range(passes // 2 - 1):
            X = A.T @ Y
            Y = A @ X
        A.T @ Y
        return None, None

    return multiply


def contenders(A: Any, r: int) -> dict[str, tuple[Contender, int, int]]:
    """Name, function, passes and columns in each where they are known from the source (0: counted)."""
    auto = 7 if r < 0.1 * min(A.shape) else 4  # as scikit-learn chooses
    wide = r + OVERSAMPLE
    half, small, few = (-(-part * r // 10) for part in (5, 4, 3))  # blocks of a half of the rank, and fewer
    found: dict[str, tuple[Contender, int, int]] = {
        "numpy, full": (full, 0, 0),
        "ARPACK": (iterative("arpack"), 0, 0),
        "PROPACK": (iterative("propack"), 0, 0),
        "LOBPCG": (iterative("lobpcg"), 0, 0),
        "scikit-learn, 4": (theirs(4), 10, wide),
        "scikit-learn, auto": (theirs("auto"), 2 * auto + 2, wide),
        "TruncatedSVD": (truncated, 13, wide),
        "ours, subspace 2": (ours(2), 0, 0),
        "ours, subspace 4": (ours(4), 0, 0),
        f"ours, Krylov {half}×6": (our_krylov(half, 6), 0, 0),  # the defaults at rank 50
    }
    for block, steps in ((half, 4), (small, 5), (small, 6), (small, 8), (small, 10), (few, 8), (few, 12)):
        found[f"ours, Krylov {block}×{steps}"] = (our_krylov(block, steps), 0, 0)
    found |= {
        "products of subspace 4": (products_alone(10, wide), 10, wide),
        f"products of Krylov {small}×6": (products_alone(12, small), 12, small),
    }
    if torch is not None:
        tensor = as_tensor(A)
        found |= {f"torch, {q}": (torch_lowrank(tensor, q), 2 * q + 2, wide) for q in (2, 4)}
    if scipy.sparse.issparse(A):
        del found["numpy, full"]
    return found


# ------------------------------------------------------------------------------------------------------- measurement


def counted(A: Any, solve: Contender, r: int) -> tuple[int, int]:
    """Run a method on A as an operator that counts: products, and columns in them."""
    widths: list[int] = []

    def by(factor: Any) -> Callable[[Any], Any]:
        def product(X: Any) -> Any:
            if X.any():  # ours tries an operator with a zero first
                widths.append(X.shape[1] if X.ndim == 2 else 1)
            return factor @ X

        return product

    times, transposed = by(A), by(A.T)
    operator = LinearOperator(
        A.shape, matvec=times, rmatvec=transposed, matmat=times, rmatmat=transposed, dtype=A.dtype
    )
    solve(operator, r)
    return len(widths), sum(widths)


def best(A: Any, r: int) -> tuple[float, float]:
    """Frobenius and spectral error of a best approximation of rank r."""
    if scipy.sparse.issparse(A):
        s = np.sort(svds(A, r + 1, return_singular_vectors=False))[::-1]
        return math.sqrt(float((A.data**2).sum() - (s[:r] ** 2).sum())), float(s[r])
    s = np.linalg.svd(A.astype(float), compute_uv=False)
    return float(np.linalg.norm(s[r:])), float(s[r])


def errors(A: Any, low: Low) -> tuple[float, float]:
    """Frobenius and spectral norm of A − L Vt, in float64; for a sparse A without forming it."""
    L, Vt = np.asarray(low[0], dtype=float), np.asarray(low[1], dtype=float)
    if scipy.sparse.issparse(A):
        square = (A.data**2).sum() - 2 * np.vdot(A @ Vt.T, L) + (L**2).sum()
        difference = LinearOperator(
            A.shape,
            matvec=lambda x: A @ x - L @ (Vt @ x),
            rmatvec=lambda y: A.T @ y - Vt.T @ (L.T @ y),
            dtype=np.dtype(float),
        )
    else:
        difference = A.astype(float) - L @ Vt
        square = float((difference**2).sum())
    top = svds(difference, 1, return_singular_vectors=False, tol=1e-4, v0=np.ones(min(A.shape)))
    return math.sqrt(square), float(top[0])


def measure(A: Any, r: int, rounds: int) -> dict[str, Any]:
    """Run all contenders in turns, and gather what they took and what they reached."""
    frobenius, spectral = best(A, r)
    entrants = contenders(A, r)
    seconds: dict[str, list[float]] = {}
    lows: dict[str, Low] = {}
    for turn in range(rounds + 1):
        for name, (solve, _, _) in entrants.items():
            if turn > 1 and name == "numpy, full":  # as long as all others together: once, after warming up
                continue
            time.sleep(PAUSE)
            start = time.perf_counter()
            lows[name] = solve(A, r)
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    rows: dict[str, dict[str, float]] = {}
    for name, (solve, passes, columns) in entrants.items():
        later = seconds[name][1:]  # the first round warms up
        row: dict[str, float] = {"seconds": statistics.median(later), "seconds, least": min(later)}
        if name != "numpy, full":
            row["passes"], row["columns"] = (passes, passes * columns) if passes else counted(A, solve, r)
        if lows[name][0] is not None:
            reached = errors(A, lows[name])
            row["excess"], row["spectral"] = reached[0] / frobenius - 1, reached[1] / spectral
        rows[name] = row
    return {"shape": list(A.shape), "dtype": str(A.dtype), "rank": r, "rounds": rounds, "contenders": rows}


def show(name: str, result: dict[str, Any]) -> None:
    """Print one case as a table."""
    print(f"\n{name}: {' × '.join(map(str, result['shape']))}, {result['dtype']}, rank {result['rank']}")
    for contender, row in result["contenders"].items():
        passes = f"{row['passes']:7d}" if "passes" in row else 7 * " "
        reached = f"{row['excess']:12.1e}{row['spectral']:12.6f}" if "excess" in row else ""
        print(f"{contender:26s}{row['seconds']:9.4f} s{passes}{reached}")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cases", nargs="+", choices=list(cases(True)), default=list(cases(True)))
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    if options.small and options.out == RESULT:
        parser.error("--small needs --out: its figures are no figures of the book")
    makers = cases(options.small)
    before = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {"cases": {}}
    results = before["cases"]
    for case in results.values():
        case.setdefault("threads", before["threads"])
    for name in options.cases:
        run = provenance()
        results[name] = measure(makers[name](), 10 if options.small else 50, options.rounds)
        results[name] |= {key: run[key] for key in ("date", "threads", "load of the machine at the start")}
        show(name, results[name])
    libraries = ("numpy", "scipy", "scikit-learn", *(["torch"] if torch else []))
    result = provenance(*libraries) | {"cases": {name: results[name] for name in makers if name in results}}
    store(options.out, result)


if __name__ == "__main__":
    main()
