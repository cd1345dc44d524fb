"""Right answers to the exercises of chapter 3, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers import linalg
from lowrank_helpers.exercises import pseudoinverse

U = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
ROW, SKEW = np.array([[1.0, 0.0]]), np.array([[1.0], [1.0]])


def leverages(A):
    return np.einsum("ij,ji->i", A, linalg.pinv(A))


def ridge(penalise_level=False, centre_A=True, centre_y=True, power=1.0, factor=1.0, level="mean"):
    def free_level(A, y, lam):
        lam = factor * lam**power
        if penalise_level:
            beta = linalg.tikhonov(np.hstack([np.ones((len(A), 1)), A]), y, lam)
            return beta[0], beta[1:]
        a, mean = A.mean(axis=0), y.mean()
        b = linalg.tikhonov(A - a * centre_A, y - mean * centre_y, lam) if lam else np.linalg.lstsq(A - a, y - mean)[0]
        return (mean - a @ b if level == "mean" else mean if level == "y" else 0.0), b

    return free_level


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
    (pseudoinverse.rank_one, U / 15),
    (pseudoinverse.rank_one, (U / 15).tolist()),
    (pseudoinverse.reverse_order, (ROW, SKEW)),
    (pseudoinverse.reverse_order, ([[1, 2]], [[3], [1]])),
    (pseudoinverse.leverages, leverages),
    (pseudoinverse.free_level, ridge()),
    (pseudoinverse.gradient_descent, descend()),
    (pseudoinverse.large_residual, 2),
    (pseudoinverse.large_residual, 1.93),
]
WRONG = [
    (pseudoinverse.rank_one, U.T / 15, "2×3"),
    (pseudoinverse.rank_one, 1 / U, "each entry"),
    (pseudoinverse.rank_one, U, "transpose"),
    (pseudoinverse.rank_one, U / 3, "one factor only"),
    (pseudoinverse.rank_one, U / 5, "one factor only"),
    (pseudoinverse.rank_one, U / 15**0.5, "square is due"),
    (pseudoinverse.rank_one, U / 30, "0.5 times A"),
    (pseudoinverse.rank_one, np.array([[1.0, 0, 0], [0, 0, 0]]), "(P3), (P4)"),
    (pseudoinverse.rank_one, np.zeros((2, 3)), "(P1)"),
    (pseudoinverse.rank_one, "a matrix", "array of numbers"),
    (pseudoinverse.rank_one, np.full((2, 3), np.nan), "finite"),
    (pseudoinverse.rank_one, None, "(2, 3)"),
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
    (pseudoinverse.leverages, leverages(U), "without calling"),
    (pseudoinverse.free_level, ridge(penalise_level=True), "penalised"),
    (pseudoinverse.free_level, ridge(power=2.0), "λ²"),
    (pseudoinverse.free_level, ridge(power=0.5), "stacked form only"),
    (pseudoinverse.free_level, ridge(factor=12.0), "averaged"),
    (pseudoinverse.free_level, ridge(factor=0.0), "plain least squares"),
    (pseudoinverse.free_level, ridge(centre_A=False), "not the columns"),
    (pseudoinverse.free_level, ridge(centre_A=False, centre_y=False), "without any level"),
    (pseudoinverse.free_level, ridge(level="y"), "mean of y alone"),
    (pseudoinverse.free_level, ridge(level="zero"), "c is not the mean"),
    (pseudoinverse.free_level, ridge(factor=3.0), "derivative by c"),
    (pseudoinverse.free_level, lambda A, y, lam: np.zeros(4), "pair"),
    (pseudoinverse.free_level, lambda A, y, lam: None, "return"),
    (pseudoinverse.gradient_descent, descend(sign=-1.0), "climb"),
    (pseudoinverse.gradient_descent, descend(scale=2.0), "twice"),
    (pseudoinverse.gradient_descent, descend(plain=True), "step size is missing"),
    (pseudoinverse.gradient_descent, descend(norm="fro"), "Frobenius"),
    (pseudoinverse.gradient_descent, descend(start=1.0), "null space"),
    (pseudoinverse.gradient_descent, descend(scale=0.3), "η·AᵀM"),
    (pseudoinverse.gradient_descent, descend(stale=True), "new B"),
    (pseudoinverse.gradient_descent, lambda A, M, steps: descend()(A, M, min(steps, 3)), "six digits"),
    (pseudoinverse.gradient_descent, 3, "without calling"),
    (pseudoinverse.large_residual, 1, "ρ = 0"),
    (pseudoinverse.large_residual, 0, "does not grow"),
    (pseudoinverse.large_residual, -2, "sign"),
    (pseudoinverse.large_residual, 7, "slope"),
    (pseudoinverse.large_residual, float("nan"), "finite"),
]
