"""Right answers to the exercises of chapter 7, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import randomized_svd as rs


def adaptive(A, wanted, rng, block=8):
    Q, rest = np.zeros((A.shape[0], 0)), A.copy()
    while np.linalg.norm(rest) > wanted and Q.shape[1] < min(A.shape):
        Y = rest @ rng.standard_normal((A.shape[1], block))
        for _ in range(2):
            Y = np.linalg.qr(Y - Q @ (Q.T @ Y))[0]
        Y = Y[:, : min(A.shape) - Q.shape[1]]
        Q, rest = np.hstack([Q, Y]), rest - Y @ (Y.T @ rest)
    return Q


def one_block_only(A, tol, rng):
    return np.linalg.qr(A @ rng.standard_normal((A.shape[1], 8)))[0]


def never_orthogonalised(A, tol, rng):
    Q = adaptive(A, tol, rng)
    return Q @ (np.eye(Q.shape[1]) + 0.1)


def one_pass(blocks, Omega, Psi, solve=lambda Z, W: np.linalg.lstsq(Z, W, rcond=None)[0], shift=0):
    Y, W, top = [], 0, 0
    for rows in blocks:
        Y.append(rows @ Omega)
        W = W + np.roll(Psi, shift, axis=1)[:, top : top + len(rows)] @ rows
        top += len(rows)
    Q = np.linalg.qr(np.vstack(Y))[0]
    return Q, solve(Psi @ Q, W)


def two_passes(blocks, Omega, Psi):
    A = np.vstack(list(blocks))
    Q = np.linalg.qr(A @ Omega)[0]
    return Q, Q.T @ A


def exhausted(blocks, Omega, Psi):
    Y = np.vstack([rows @ Omega for rows in blocks])
    return Y, np.vstack(list(blocks))


RIGHT = [
    (rs.passes, 240),
    (rs.columns, 101),
    (rs.adaptive, adaptive),
    (rs.one_pass, one_pass),
]
WRONG = [
    (rs.passes, 200, "QᵀA"),
    (rs.passes, 80, "each power iteration"),
    (rs.passes, 160, "on top"),
    (rs.passes, 120, "three passes"),
    (rs.passes, 40, "single pass"),
    (rs.passes, 30, "one byte"),
    (rs.passes, 1000, "count the bytes"),
    (rs.columns, 81, "oversampling"),
    (rs.columns, 100, "ℓ − r − 1"),
    (rs.columns, 99, "ℓ − r + 1"),
    (rs.columns, 57, "its square"),
    (rs.columns, 100.5, "whole"),
    (rs.columns, 500, "quarter"),
    (rs.adaptive, one_block_only, "above the tolerance"),
    (rs.adaptive, never_orthogonalised, "not orthonormal"),
    (rs.adaptive, lambda A, tol, rng: np.linalg.qr(A)[0], "are enough"),
    (rs.adaptive, lambda A, tol, rng: A[0], "rows"),
    (rs.one_pass, two_passes, "second time"),
    (rs.one_pass, lambda b, O, P: one_pass(b, O, P, lambda Z, W: Z.T @ W), "transpose"),
    (rs.one_pass, lambda b, O, P: one_pass(b, O, P, shift=1), "belong to its rows"),
    (rs.one_pass, lambda b, O, P: one_pass(b, O, P)[0], "pair"),
    (rs.one_pass, exhausted, "ValueError"),
]
