"""Right answers to the exercises of chapter 5, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import svd

U = np.array([[1, 2, 2], [2, 1, -2], [2, -2, 1]]) / 3
S = np.sqrt(5) * np.array([6, 3])
VT = np.array([[2, 1], [-1, 2]]) / np.sqrt(5)
U_BAD_LAST = np.column_stack([U[:, :2], [1, 1, -2]])
GAP = 1e-3
FLOOR = 1e-8


def values(M):
    return np.linalg.svd(M, compute_uv=False)


def product_values(A, B):
    R1, R2 = np.linalg.qr(A, mode="r"), np.linalg.qr(B.T, mode="r")
    return values(R1 @ R2.T)


def by_gram(A, B):
    eigenvalues = np.linalg.eigvals((A.T @ A) @ (B @ B.T)).real
    return np.sqrt(np.abs(np.sort(eigenvalues)[::-1]))


def by_full_qr(A, B):
    """The right values, by way of square Q."""
    _, R1 = np.linalg.qr(A, mode="complete")
    return values(R1[:3] @ B)


def by_loops(A, B):
    """The product entry by entry, so that no routine for products is called."""
    product = np.empty((len(A), B.shape[1]))
    for i, row in enumerate(A):
        product[i] = (row[:, None] * B).sum(axis=0)
    return values(product)[: A.shape[1]]


def count(test):
    return lambda M, noise: int(test(values(M), noise).sum())


RIGHT = [
    (svd.by_hand, (U, S, VT)),
    (svd.by_hand, (U * [1, -1, -1], S, VT * [[1], [-1]])),
    (svd.by_hand, (U.round(4), S.round(4)[:, None], VT.round(4))),
    (svd.product, product_values),
    (svd.product, lambda A, B: product_values(A, B)[:, None]),
    (svd.certified_rank, count(lambda s, noise: s > noise)),
    (svd.safe_angle, GAP / 2 * np.sqrt(3)),
    (svd.safe_angle, 0.000866025),
]
WRONG = [
    (svd.by_hand, (U, S, VT.T), "not Vᵀ"),
    (svd.by_hand, (U[:, :2], S, VT), "two columns"),
    (svd.by_hand, (U_BAD_LAST, S, VT), "third column"),
    (svd.by_hand, (U * [1, -1, 1], S, VT), "fixes the sign"),
    (svd.by_hand, (U, S**2, VT), "roots"),
    (svd.by_hand, (U, S * [1, -1], VT), "never negative"),
    (svd.by_hand, (U[:, [1, 0, 2]], S[::-1], VT[::-1]), "descending"),
    (svd.by_hand, (U, [13.0, 6.0], VT), "trace"),
    (svd.by_hand, (U, np.diag(S), VT), "not as a matrix"),
    (svd.by_hand, (3 * U, S, VT), "first two columns"),
    (svd.by_hand, (U, S, np.sqrt(5) * VT), "rows of Vt"),
    (svd.by_hand, (U, S), "triple"),
    (svd.by_hand, 5, "triple"),
    (svd.by_hand, (U * np.nan, S, VT), "finite"),
    (svd.by_hand, ("a", S, VT), "array of numbers"),
    (svd.product, lambda A, B: values(A) * values(B), "frames"),
    (svd.product, lambda A, B: values(A @ B), "6 values"),
    (svd.product, lambda A, B: product_values(A, B) ** 2, "squares"),
    (svd.product, lambda A, B: product_values(A, B)[::-1], "descending"),
    (svd.product, by_gram, "lost"),
    (svd.product, lambda A, B: values(A @ B)[: A.shape[1]], "held"),
    (svd.product, lambda A, B: values(np.einsum("ik,kj->ij", np.asarray(A), B))[: A.shape[1]], "held"),
    (svd.product, by_loops, "held"),
    (svd.product, by_full_qr, "held"),
    (svd.product, lambda A, B: values(np.linalg.qr(A, mode="r") @ np.linalg.qr(B.T, mode="r")), "transpose"),
    (svd.product, lambda A, B: A.T @ A, "shape (3,)"),
    (svd.product, lambda A, B: A @ A, "raised ValueError"),
    (svd.product, None, "without calling"),
    (svd.certified_rank, count(lambda s, noise: s > 0), "all singular values"),
    (svd.certified_rank, count(lambda s, noise: s > 0.1 * s[0]), "relative"),
    (svd.certified_rank, count(lambda s, noise: s > 2 * noise), "double"),
    (svd.certified_rank, count(lambda s, noise: s >= noise), "strict"),
    (svd.certified_rank, count(lambda s, noise: s > max(noise, FLOOR)), "1e-9"),
    (svd.certified_rank, lambda M, noise: 3 if M[0, 0] == 100 else 1, "zero matrix"),
    (svd.certified_rank, count(lambda s, noise: np.zeros(4)), "return 0"),
    (svd.certified_rank, lambda M, noise: 2.5, "whole number"),
    (svd.certified_rank, lambda M, noise: values(M), "one number"),
    (svd.safe_angle, GAP * np.tan(np.pi / 6), "small angles"),
    (svd.safe_angle, GAP / 2, "bound"),
    (svd.safe_angle, GAP * np.sqrt(3), "factor of two"),
    (svd.safe_angle, GAP / 2 * np.tan(60), "radians"),
    (svd.safe_angle, np.sqrt(3) / 2, "gap"),
    (svd.safe_angle, -1, "positive"),
    (svd.safe_angle, 1.0, "derivative"),
    (svd.safe_angle, "a", "one number"),
]
