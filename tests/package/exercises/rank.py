"""Right answers to the exercises of chapter 2, and the usual wrong ones with a word of what the checker says."""

from math import comb

import numpy as np

from book.margins import above
from lowrank_helpers import linalg
from lowrank_helpers.exercises import rank


def cr(A, rtol=1e-12, relative=True):
    """C: the leftmost independent columns of A, R: by least squares."""
    kept = []
    least = rtol * np.linalg.norm(A) if relative else rtol
    for j in range(A.shape[1]):
        C = A[:, kept]
        rest = A[:, j] - C @ np.linalg.lstsq(C, A[:, j], rcond=None)[0] if kept else A[:, j]
        if above(np.linalg.norm(rest), least):
            kept.append(j)
    C = A[:, kept]
    return C, np.linalg.lstsq(C, A, rcond=None)[0] if kept else np.zeros((0, A.shape[1]))


def rightmost(A):
    C, R = cr(A[:, ::-1])
    return C, R[:, ::-1]


def not_the_zero_column(A):
    C, R = cr(A)
    return (np.hstack([A[:, :1], C]), np.vstack([0 * R[:1], R])) if len(R) and not A[:, 0].any() else (C, R)


RIGHT = [
    (rank.outer_sums, [2, 3, 2, 50]),
    (rank.outer_sums, np.array([2, 3, 2, 50])),
    (rank.symmetric, lambda n, r: n * r - r * (r - 1) // 2),
    (rank.columns_and_rows, cr),
    (rank.columns_and_rows, lambda A: list(cr(A))),
    (rank.entrywise_powers, lambda r, k: comb(r + k - 1, k)),
]
WRONG = [
    (rank.outer_sums, [1, 3, 2, 50], "not a product"),
    (rank.outer_sums, [2, 4, 2, 50], "collect"),
    (rank.outer_sums, [2, 2, 2, 50], "squaring the matrix"),
    (rank.outer_sums, [2, 3, 50, 50], "addition theorem"),
    (rank.outer_sums, [2, 3, 2, 2], "triangular"),
    (rank.outer_sums, [3, 3, 2, 20], "the first and the fourth"),
    (rank.outer_sums, [2, 3, 2], "shape"),
    (rank.outer_sums, None, "shape"),
    (rank.outer_sums, "two", "array of numbers"),
    (rank.symmetric, lambda n, r: r * (2 * n - r), "all n×n"),
    (rank.symmetric, lambda n, r: n * r, "stores"),
    (rank.symmetric, lambda n, r: n * r - r * (r + 1) // 2, "diagonal"),
    (rank.symmetric, lambda n, r: r * (n - r), "block E itself"),
    (rank.symmetric, lambda n, r: n * (n + 1) // 2, "whatever their rank"),
    (rank.symmetric, lambda n, r: r * (2 * n - r) / 2, "whole number"),
    (rank.symmetric, lambda n, r: 2, "free entries"),
    (rank.columns_and_rows, linalg.rank_factorization, "not the leftmost"),
    (rank.columns_and_rows, lambda A: ([[1], [1, 2]], [[1]]), "shapes are"),
    (rank.columns_and_rows, lambda A: (2 * cr(A)[0], cr(A)[1] / 2), "no column of A"),
    (rank.columns_and_rows, lambda A: (A, np.eye(A.shape[1])), "more columns"),
    (rank.columns_and_rows, lambda A: (A[:, :1], np.ones((1, A.shape[1]))), "fewer columns"),
    (rank.columns_and_rows, rightmost, "not the leftmost"),
    (rank.columns_and_rows, not_the_zero_column, "first column is zero"),
    (rank.columns_and_rows, lambda A: cr(A, relative=False), "relative"),
    (rank.columns_and_rows, lambda A: cr(A)[::-1], "shapes"),
    (rank.columns_and_rows, lambda A: (cr(A)[0], 2 * cr(A)[1]), "is not A"),
    (rank.columns_and_rows, lambda A: (cr(A)[0], np.zeros(A.shape)), "does not exist"),
    (rank.columns_and_rows, lambda A: A, "two matrices"),
    (rank.columns_and_rows, lambda A: (np.nan * cr(A)[0], cr(A)[1]), "not finite"),
    (rank.columns_and_rows, None, "without calling"),
    (rank.entrywise_powers, lambda r, k: r**k, "ordered"),
    (rank.entrywise_powers, lambda r, k: r * k, "faster"),
    (rank.entrywise_powers, lambda r, k: r, "does change"),
    (rank.entrywise_powers, lambda r, k: comb(r + k, k), "up to degree"),
    (rank.entrywise_powers, lambda r, k: comb(r, k), "different variables"),
    (rank.entrywise_powers, lambda r, k: r + k, "monomials"),
    (rank.entrywise_powers, 3, "without calling"),
]
