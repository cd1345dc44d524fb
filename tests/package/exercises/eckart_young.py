"""Right answers to the exercises of chapter 6, and the usual wrong ones with a word of what the checker says."""

import numpy as np
from numpy.linalg import lstsq as lstsq_of_numpy

from book.claims import rank
from lowrank_helpers.exercises import eckart_young as ey


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
    Q, R = np.linalg.qr(A)
    B = np.linalg.solve(R, Q.T @ M)
    P, S = np.linalg.qr(B.T)
    return np.linalg.solve(S, (M @ P).T).T, B


def by_normal_equations(A, M):
    B = np.linalg.solve(A.T @ A, A.T @ M)
    return np.linalg.solve(B @ B.T, B @ M.T).T, B


def by_lstsq(A, M):
    B = np.linalg.lstsq(A, M, rcond=None)[0]
    return np.linalg.lstsq(B.T, M.T, rcond=None)[0].T, B


def by_pinv(A, M):
    B = np.linalg.pinv(A) @ M
    return M @ np.linalg.pinv(B), B


def scaled(A, M):
    """The forbidden routine on columns of length 1, where it errs nowhere."""
    lengths = np.linalg.norm(A, axis=0)
    return lstsq_of_numpy(A / lengths, M)[0] / lengths[:, None]


def with_scaled(A, M):
    B = scaled(A, M)
    return scaled(B.T, M.T).T, B


def hidden(A, M):
    """The forbidden routine, in a function that a function inside calls."""

    def half(X, Y):
        return scaled(X, Y)

    return half(half(A, M).T, M.T).T, half(A, M)


def enclosing(routine):
    """The forbidden routine, out of the function around."""

    def step(A, M):
        B = routine(A, M)
        return routine(B.T, M.T).T, B

    return step


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


MEET = np.array([1.0, -1.0, -4.0]) / 18**0.5

RIGHT = [
    (ey.meet, MEET),
    (ey.meet, -MEET),
    (ey.meet, MEET[:, None]),
    (ey.meet, MEET.round(3)),
    (ey.unsymmetric, [[0.5, -0.5], [0.5, -0.5]]),
    (ey.unsymmetric, [[0.64, 0.48], [-0.48, -0.36]]),
    (ey.unsymmetric, [[0.75, -0.433], [0.433, -0.25]]),
    (ey.escape, escape),
    (ey.als_step, als_step),
    (ey.als_step, by_normal_equations),
    (ey.rotation, kabsch),
]
WRONG = [
    (ey.meet, np.array([1.0, -1.0, 0.0]) / 2**0.5, "span"),
    (ey.meet, np.array([2.0, 1.0, -2.0]) / 3, "X z"),
    (ey.meet, [1.0, -1.0, -4.0], "length"),
    (ey.meet, np.array([2.0, -2.0, 1.0]) / 3, "span"),
    (ey.meet, [1.0, 0.0, 0.0], "neither"),
    (ey.meet, [0.0, 0.0, 0.0], "unit"),
    (ey.meet, [1.0, -1.0], "shape"),
    (ey.unsymmetric, [[1.0, 0.0], [0.0, 0.0]], "symmetric"),
    (ey.unsymmetric, [[0.0, 0.0], [0.0, -1.0]], "symmetric"),
    (ey.unsymmetric, [[0.5, 0.5], [0.5, 0.5]], "error"),
    (ey.unsymmetric, [[1.0, -1.0], [1.0, -1.0]], "error"),
    (ey.unsymmetric, [[1.0, 0.01], [0.0, 0.0]], "a little above"),
    (ey.unsymmetric, [[1.0, 0.0], [0.0, -1.0]], "rank is 2"),
    (ey.unsymmetric, [1.0, 0.0], "shape"),
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
    (ey.als_step, by_lstsq, "threshold"),
    (ey.als_step, by_pinv, "threshold"),
    (ey.als_step, with_scaled, "uses lstsq"),
    (ey.als_step, hidden, "uses lstsq"),
    (ey.als_step, enclosing(scaled), "uses lstsq"),
    (ey.als_step, lambda A, M: np.linalg.inv(A), "raised LinAlgError"),
    (ey.als_step, lambda A, M: als_step(A, M)[0], "pair"),
    (ey.rotation, procrustes, "reflection"),
    (ey.rotation, lambda A, B: kabsch(A, B).T, "transpose"),
    (ey.rotation, lambda A, B: kabsch(A, B, 0), "sign"),
    (ey.rotation, lambda A, B: np.linalg.lstsq(A, B + 0.1, rcond=None)[0], "stretch"),
    (ey.rotation, lambda A, B: np.full((3, 3), np.nan), "not finite"),
]
