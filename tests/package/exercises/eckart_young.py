"""Right answers to the exercises of chapter 6, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from book.claims import rank
from lowrank_helpers.exercises import eckart_young as ey


def truncated(M, rank):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return (U[:, :rank] * s[:rank]) @ Vt[:rank]


def escape(A, B, M):
    """The direction of the proof of thm-landscape."""
    U, s, Vt = np.linalg.svd(M - A @ B)
    r = A.shape[1]
    if rank(A) < r:
        w = np.linalg.svd(A)[2][-1]
        z = w * (1 + np.sum((B.T @ w) ** 2)) / s[0]
    elif rank(B) < r:
        z = np.linalg.svd(B.T)[2][-1]
        w = z * (1 + np.sum((A @ z) ** 2)) / s[0]
    else:
        P, t, Qt = np.linalg.svd(A @ B)
        z, w = B @ Qt[r - 1] / t[r - 1], A.T @ P[:, r - 1] / t[r - 1]
    return np.outer(U[:, 0], w), np.outer(z, Vt[0])


def escape_at_full_rank(A, B, M):
    """Right where A and B have full rank, useless elsewhere."""
    U, _, Vt = np.linalg.svd(M - A @ B)
    P, t, Qt = np.linalg.svd(A @ B)
    k = A.shape[1] - 1
    z, w = B @ Qt[k] / max(t[k], 1e-3), A.T @ P[:, k] / max(t[k], 1e-3)
    return np.outer(U[:, 0], w) + 1e-9, np.outer(z, Vt[0]) + 1e-9


def als_step(A, M):
    B = np.linalg.lstsq(A, M, rcond=None)[0]
    return np.linalg.lstsq(B.T, M.T, rcond=None)[0].T, B


def kabsch(A, B, which=-1):
    U, _, Vt = np.linalg.svd(A.T @ B)
    U[:, which] *= np.linalg.det(U @ Vt)
    return U @ Vt


def procrustes(A, B):
    U, _, Vt = np.linalg.svd(A.T @ B)
    return U @ Vt


def half_step(A, M):
    return A, als_step(A, M)[1]


def wrong_second_half(A, M):
    B = als_step(A, M)[1]
    return M @ B.T, B


RIGHT = [
    (ey.spectrum, 0.1**0.5),
    (ey.spectrum, 0.316),
    (ey.weighted, lambda D, M, r: np.linalg.solve(D, truncated(D @ M, r))),
    (ey.escape, escape),
    (ey.als_step, als_step),
    (ey.rotation, kabsch),
    (ey.pixels, 11),
]
WRONG = [
    (ey.spectrum, 0.32, "three digits"),
    (ey.spectrum, 0.1, "squared norm"),
    (ey.spectrum, 1 / 3, "spectral"),
    (ey.spectrum, 0.25, "nuclear"),
    (ey.spectrum, 5**0.5, "divide"),
    (ey.spectrum, 2 / 50**0.5, "whole tail"),
    (ey.spectrum, 0.9, "kept"),
    (ey.spectrum, 7, "third on"),
    (ey.spectrum, "a third", "one number"),
    (ey.spectrum, float("nan"), "finite"),
    (ey.weighted, lambda D, M, r: truncated(M, r), "nothing of the weights"),
    (ey.weighted, lambda D, M, r: truncated(D @ M, r), "best approximation of D M"),
    (ey.weighted, lambda D, M, r: np.linalg.solve(D.T, truncated(D @ M, r)), "transpose"),
    (ey.weighted, lambda D, M, r: M, "rank above r"),
    (ey.weighted, lambda D, M, r: np.linalg.solve(D, truncated(D @ M, 1)), "times the least one"),
    (ey.weighted, lambda D, M, r: None, "return"),
    (ey.weighted, lambda D, M, r: M.T, "shape"),
    (ey.escape, lambda A, B, M: (np.ones(A.shape), np.zeros(B.shape)), "both factors"),
    (ey.escape, lambda A, B, M: (-A, -B), "does not fall"),
    (ey.escape, lambda A, B, M: A, "pair"),
    (ey.escape, lambda A, B, M: (B, A), "shape"),
    (ey.escape, escape_at_full_rank, "A = 0 and B = 0"),
    (ey.escape, 3, "without calling"),
    (ey.als_step, lambda A, M: als_step(A, M)[::-1], "first"),
    (ey.als_step, lambda A, M: (A, A.T @ M), "orthonormal"),
    (ey.als_step, lambda A, M: (A, np.ones((A.shape[1], M.shape[1]))), "AᵀAB"),
    (ey.als_step, half_step, "unchanged"),
    (ey.als_step, wrong_second_half, "B Bᵀ"),
    (ey.als_step, lambda A, M: (A + 1, als_step(A, M)[1]), "ABBᵀ"),
    (ey.als_step, lambda A, M: np.linalg.inv(A), "raised LinAlgError"),
    (ey.als_step, lambda A, M: als_step(A, M)[0], "pair"),
    (ey.rotation, procrustes, "reflection"),
    (ey.rotation, lambda A, B: kabsch(A, B).T, "transpose"),
    (ey.rotation, lambda A, B: kabsch(A, B, 0), "sign"),
    (ey.rotation, lambda A, B: np.linalg.lstsq(A, B + 0.1, rcond=None)[0], "stretch"),
    (ey.rotation, lambda A, B: np.full((3, 3), np.nan), "not finite"),
    (ey.pixels, 10, "indices"),
    (ey.pixels, 4, "as many numbers"),
    (ey.pixels, 53, "side"),
    (ey.pixels, 10.5, "whole"),
    (ey.pixels, 20, "tails"),
    (ey.pixels, "eleven", "one number"),
]
