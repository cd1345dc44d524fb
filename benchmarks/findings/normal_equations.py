"""How many digits the normal equations lose, and how many two corrections bring back.

    python -m benchmarks.findings.normal_equations

Systems with 200 rows and 20 unknowns, for κ = 10⁴ and 10⁶ also with 60 and 50, and with 400 and 5: singular values
spread evenly on a logarithmic scale from 1 to 1/κ, singular vectors and solution drawn with the seeds 0 to 19, and a
residual of 0, of a thousandth and of all of the size of the fit. Kept is minus the decimal logarithm of the relative
error of the solution. No contender has a setting but the number of corrections, of which three are tried and kept. The
result goes into lowrank_helpers/data/results/normal_equations.json.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store

SHAPES = {(200, 20): (2, 4, 6, 7, 8), (60, 50): (4, 6), (400, 5): (4, 6)}
SEEDS, RESIDUALS = range(20), (0.0, 1e-3, 1.0)


def normal_equations(A: Any, M: Any) -> Any:
    """AᵀA B = AᵀM, as it stands."""
    return np.linalg.solve(A.T @ A, A.T @ M)


def columns_of_length_one(A: Any, M: Any) -> Any:
    """The same after each column was scaled to length 1."""
    lengths = np.linalg.norm(A, axis=0)
    return normal_equations(A / lengths, M) / lengths[:, None]


def corrected(A: Any, M: Any, times: int) -> Any:
    """The same, and then so many times the same for what is left, M − AB."""
    gram = A.T @ A
    B = np.linalg.solve(gram, A.T @ M)
    for _ in range(times):
        B = B + np.linalg.solve(gram, A.T @ (M - A @ B))
    return B


def by_qr(A: Any, M: Any) -> Any:
    """The triangle of (A M)."""
    k = A.shape[1]
    T = np.linalg.qr(np.hstack([A, M]), mode="r")
    return np.linalg.solve(T[:k, :k], T[:k, k:])


CONTENDERS: dict[str, Callable[[Any, Any], Any]] = {
    "normal equations": normal_equations,
    "columns of length 1": columns_of_length_one,
    "corrected once": lambda A, M: corrected(A, M, 1),
    "corrected twice": lambda A, M: corrected(A, M, 2),
    "corrected three times": lambda A, M: corrected(A, M, 3),
    "QR": by_qr,
    "lstsq, defaults": lambda A, M: np.linalg.lstsq(A, M, rcond=None)[0],
}


def system(seed: int, shape: tuple[int, int], power: int, residual: float) -> tuple[Any, Any, Any]:
    """A matrix of condition 10^power, a right-hand side, and the solution."""
    rng = np.random.default_rng(seed)
    m, k = shape
    U = np.linalg.qr(rng.standard_normal((m, k + 1)))[0]
    W = np.linalg.qr(rng.standard_normal((k, k)))[0]
    A = U[:, :k] * np.logspace(0, -power, k) @ W
    truth = rng.standard_normal((k, 1))
    fit = A @ truth
    return A, fit + residual * np.linalg.norm(fit) * U[:, k:], truth


def digits(shape: tuple[int, int], power: int, residual: float) -> dict[str, list[float]]:
    """For each contender the digits that are right, one number for each seed."""
    found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for seed in SEEDS:
        A, M, truth = system(seed, shape, power, residual)
        for name, solve in CONTENDERS.items():
            error = np.linalg.norm(solve(A, M) - truth) / np.linalg.norm(truth)
            found[name].append(round(float(-np.log10(error)), 2))
    return found


def main() -> None:
    """Measure and store."""
    study = provenance("numpy") | {
        "seeds": list(SEEDS),
        "cases": [
            {"shape": shape, "power": power, "residual": residual, "digits": digits(shape, power, residual)}
            for shape, powers in SHAPES.items()
            for residual in RESIDUALS
            for power in powers
        ],
    }
    store(RESULTS / "normal_equations.json", study)


if __name__ == "__main__":
    main()
