"""Right answers to the exercises of chapter 3, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers import linalg
from lowrank_helpers.exercises import pseudoinverse

PLANE = np.array([[1.0, 3.0], [2.0, 3.0], [2.0, 0.0]])
P = np.array([[5, 4, -2], [4, 5, 2], [-2, 2, 8]]) / 9
ROW, SKEW = np.array([[1.0, 0.0]]), np.array([[1.0], [1.0]])


def leverages(A):
    return np.einsum("ij,ji->i", A, linalg.pinv(A))


def descend(sign=1.0, start=0.0, norm=2, scale=1.0, plain=False, stale=False):
    def run(A, M, steps):
        B = np.full((A.shape[1], M.shape[1]), start)
        step = sign * (1.0 if plain else scale / np.linalg.norm(A, norm) ** 2)
        residual = A @ B - M
        for _ in range(steps):
            residual = residual if stale else A @ B - M
            B = B - step * A.T @ residual
        return B

    return run


RIGHT = [
    (pseudoinverse.projection, P),
    (pseudoinverse.projection, P.round(5).tolist()),
    (pseudoinverse.reverse_order, (ROW, SKEW)),
    (pseudoinverse.reverse_order, ([[1, 2]], [[3], [1]])),
    (pseudoinverse.leverages, leverages),
    (
        pseudoinverse.leverages,
        lambda A: (np.linalg.svd(A, full_matrices=False)[0][:, : linalg.numerical_rank(A)] ** 2).sum(1),
    ),
    (pseudoinverse.gradient_descent, descend()),
    (pseudoinverse.large_residual, (100 / 101, 200 / 101)),
    (pseudoinverse.large_residual, [0.990099, 1.980198]),
]
WRONG = [
    (pseudoinverse.projection, np.eye(2), "2×2"),
    (pseudoinverse.projection, linalg.pinv(PLANE), "shape of A⁺"),
    (pseudoinverse.projection, 9 * P, "nine times"),
    (pseudoinverse.projection, np.eye(3) - P, "takes the plane to 0"),
    (pseudoinverse.projection, PLANE @ PLANE.T, "AAᵀ"),
    (pseudoinverse.projection, sum(np.outer(a, a) / (a @ a) for a in PLANE.T), "orthogonal columns"),
    (pseudoinverse.projection, P + np.outer(P @ [1, 0, 0], [2, -2, 1]), "slant"),
    (pseudoinverse.projection, np.eye(3), "orthogonal to it to 0"),
    (pseudoinverse.projection, np.ones((3, 3)), "PP ≠ P"),
    (pseudoinverse.projection, np.diag([1.0, 1.0, 0.0]), "moves the columns"),
    (pseudoinverse.projection, np.full((3, 3), np.nan), "finite"),
    (pseudoinverse.projection, None, "(3, 3)"),
    (pseudoinverse.reverse_order, ROW, "pair"),
    (pseudoinverse.reverse_order, (SKEW, ROW), "shape (1, 2)"),
    (pseudoinverse.reverse_order, (ROW, [[0.0], [0.0]]), "zero"),
    (pseudoinverse.reverse_order, (ROW, [[0.0], [3.0]]), "orthogonal"),
    (pseudoinverse.reverse_order, (ROW, [[-2.0], [0.0]]), "parallel"),
    (pseudoinverse.leverages, lambda A: A @ linalg.pinv(A), "whole projector"),
    (pseudoinverse.leverages, lambda A: np.diag(linalg.pinv(A) @ A), "columns"),
    (pseudoinverse.leverages, lambda A: (A**2).sum(axis=1), "squared lengths"),
    (pseudoinverse.leverages, lambda A: np.sqrt(leverages(A)), "square roots"),
    (pseudoinverse.leverages, lambda A: 3 * leverages(A), "add up to 6"),
    # dummy columns have an AᵀA of small integers, whose elimination meets an exact 0: it raises everywhere
    (pseudoinverse.leverages, lambda A: np.diag(A @ np.linalg.solve(A.T @ A, A.T)), "full column rank"),
    (pseudoinverse.leverages, lambda A: leverages(A) if A.shape[1] < 4 else A[:, 0], "rank is 3"),
    (pseudoinverse.leverages, lambda A: leverages(A) * (A.shape[0] > 2), "wide"),
    (pseudoinverse.leverages, leverages(PLANE), "without calling"),
    # what the exercise forbids: an m × m matrix, the projector or a full set of singular vectors
    (pseudoinverse.leverages, lambda A: np.diag(A @ linalg.pinv(A)), "20 GB"),
    (pseudoinverse.leverages, lambda A: (np.linalg.svd(A)[0][:, : linalg.numerical_rank(A)] ** 2).sum(1), "20 GB"),
    (pseudoinverse.leverages, lambda A: leverages(A) * (len(A) < 1000), "2000 rows"),
    (pseudoinverse.gradient_descent, descend(sign=-1.0), "climb"),
    (pseudoinverse.gradient_descent, descend(scale=2.0), "twice"),
    (pseudoinverse.gradient_descent, descend(plain=True), "step size is missing"),
    (pseudoinverse.gradient_descent, descend(norm="fro"), "Frobenius"),
    (pseudoinverse.gradient_descent, descend(start=1.0), "null space"),
    (pseudoinverse.gradient_descent, descend(scale=0.3), "η·AᵀM"),
    (pseudoinverse.gradient_descent, descend(stale=True), "new B"),
    (pseudoinverse.gradient_descent, lambda A, M, steps: descend()(A, M, min(steps, 3)), "six digits"),
    (pseudoinverse.gradient_descent, 3, "without calling"),
    (pseudoinverse.large_residual, 2, "two numbers"),
    (pseudoinverse.large_residual, (200 / 101, 100 / 101), "other order"),
    (pseudoinverse.large_residual, (0.99, 1.98), "exactly"),
    (pseudoinverse.large_residual, (1, 1), "before the change"),
    (pseudoinverse.large_residual, (1, 2), "δ² is missing"),
    (pseudoinverse.large_residual, (1, 2.0 - 1e-9), "δ² is missing"),
    (pseudoinverse.large_residual, (0.01 / 0.0101**0.5, 0.02 / 0.0101**0.5), "divided by the squared length"),
    (pseudoinverse.large_residual, (0.01, 0.02), "divided by the squared length"),
    (pseudoinverse.large_residual, (100 / 101, 1), "ρ = 1"),
    (pseudoinverse.large_residual, (1, 200 / 101), "ρ = 0"),
    (pseudoinverse.large_residual, (3, 4), "inner product"),
    (pseudoinverse.large_residual, (float("nan"), 1), "finite"),
]
