"""Checkers for the exercises of chapter 4, Factorisations and their jobs."""

import numpy as np

from ._answers import array, checker, not_yet, number, right


@checker
def pascal(answer: object) -> str:
    """Check the unit lower triangular factor L of the symmetric 4×4 matrix of Pascal's triangle."""
    L = array(answer, (4, 4), "the factor L")
    P = np.array([[1, 1, 1, 1], [1, 2, 3, 4], [1, 3, 6, 10], [1, 4, 10, 20]], dtype=float)
    exact = np.linalg.cholesky(P)
    if np.allclose(L, exact, atol=1e-9):
        return right("the factor of Pascal's matrix is Pascal's triangle.")
    if np.allclose(L, exact.T, atol=1e-9):
        return not_yet("that is U; L is lower triangular.")
    if np.allclose(L, P):
        return not_yet("that is the matrix itself; which triangle is multiplied by which?")
    if np.allclose(L, np.tril(P)):
        return not_yet("you took the lower part of the matrix; elimination changes it after the first column.")
    if np.allclose(L, np.linalg.inv(exact), atol=1e-9):
        return not_yet("with these signs L undoes the elimination the wrong way: it is the inverse of L.")
    if np.abs(np.triu(L, 1)).max() > 1e-9 or not np.allclose(np.diag(L), 1):
        return not_yet("L is lower triangular with ones on its diagonal.")
    return not_yet("L Lᵀ is not the matrix: check the multipliers, column by column.")


@checker
def growth(answer: object) -> str:
    """Check the last pivot of the 20×20 matrix on which every step doubles the last column."""
    value = number(answer)
    if np.isclose(value, 2**19, rtol=1e-9):
        return right("nineteen steps, nineteen doublings, although no multiplier is larger than 1.")
    if np.isclose(value, 2**20, rtol=1e-9):
        return not_yet("one doubling too many: how many steps does elimination take on 20 rows?")
    if np.isclose(value, 2**18, rtol=1e-9):
        return not_yet("one doubling is missing: how many steps does elimination take on 20 rows?")
    if value in (19, 20):
        return not_yet("you added 1 in each step; look at what the rows below have in the last column by then.")
    if value == 1:
        return not_yet("the last entry is 1 before elimination, not after it.")
    return not_yet("eliminate on the 4×4 case by hand and watch the last column.")


@checker
def mirrors(answer: object) -> str:
    """Check the factors (Q, R) of the 3×2 matrix with the columns (1, 2, 2) and (5, −1, 0)."""
    A = np.array([[1.0, 5], [2, -1], [2, 0]])
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet("pass the two factors as a pair, (Q, R).")
    Q, R = array(answer[0], (3, 2), "Q"), array(answer[1], (2, 2), "R")
    if not np.allclose(Q @ R, A, atol=2e-3):
        return not_yet("Q R is not the matrix.")
    if abs(R[1, 0]) > 1e-9:
        return not_yet("R is not upper triangular.")
    if not np.allclose(Q.T @ Q, np.eye(2), atol=2e-3):
        return not_yet("the columns of Q are not orthonormal: what are their lengths?")
    if (np.diag(R) < 0).any():
        return not_yet("a diagonal entry of R is negative; turn the sign of that row of R and of the column of Q.")
    return right("whole numbers in R, and two columns of length 1.")


@checker
def jacobi(answer: object) -> str:
    """Check the t of smaller size for which a rotation with s = tc makes [[1, 2], [2, −2]] diagonal."""
    value = number(answer)
    if np.isclose(value, -0.5, rtol=1e-6):
        return right("the rotation with c = 2/√5 and s = −1/√5 leaves 2 and −3 on the diagonal.")
    if np.isclose(value, 2):
        return not_yet(
            "that is the other root: it does the same, with the larger angle, and exchanges the two numbers."
        )
    if np.isclose(value, 0.5):
        return not_yet("the sign is wrong: which sign has τ, and which the root of smaller size?")
    if np.isclose(value, -0.75) or np.isclose(value, 0.75):
        return not_yet("that is τ, up to its sign; t solves t² + 2τt − 1 = 0.")
    return not_yet("find τ from the entries, and then the two roots of t² + 2τt − 1.")
