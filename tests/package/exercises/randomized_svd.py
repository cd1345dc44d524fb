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


def from_the_svd(A, tol, rng):
    """What the exercise forbids: the fewest columns there are, and nothing random."""
    U, s, _ = np.linalg.svd(A, full_matrices=False)
    tails = np.sqrt(np.cumsum(s[::-1] ** 2))
    return U[:, : len(s) - np.searchsorted(tails, tol, side="right")]


def nystrom(multiply, Omega, power=-0.5, floor=1e-12):
    Y = multiply(Omega)
    C = Omega.T @ Y
    d, V = np.linalg.eigh((C + C.T) / 2)
    keep = d > floor * d[-1]
    return Y @ (V[:, keep] * d[keep] ** power)


def in_two_passes(multiply, Omega):
    Q = np.linalg.qr(multiply(Omega))[0]
    return Q @ np.linalg.cholesky(Q.T @ multiply(Q))


def all_of_it(multiply, Omega):
    d, V = np.linalg.eigh(multiply(np.eye(len(Omega))))
    return V[:, -Omega.shape[1] :] * np.sqrt(d[-Omega.shape[1] :])


RIGHT = [
    (rs.columns, 101),
    (rs.one_column, 4 / 3),
    (rs.adaptive, adaptive),
    (rs.nystrom, nystrom),
]
WRONG = [
    (rs.one_column, 2, "plain sketch"),
    (rs.one_column, 1 / 3, "excess"),
    (rs.one_column, 1, "least value"),
    (rs.one_column, 1.6, "twice"),
    (rs.one_column, 12 / 11, "two iterations"),
    (rs.one_column, 68 / 65, "average"),
    (rs.one_column, (4 / 3) ** 0.5, "root"),
    (rs.one_column, 5, "leave the σ"),
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
    (rs.adaptive, from_the_svd, "not from an SVD"),
    (rs.nystrom, in_two_passes, "more than once"),
    (rs.nystrom, all_of_it, "80 columns"),
    (rs.nystrom, lambda multiply, Omega: nystrom(multiply, Omega, power=0.0), "stands between"),
    (rs.nystrom, lambda multiply, Omega: nystrom(multiply, Omega, power=-1.0), "square root"),
    (rs.nystrom, lambda multiply, Omega: nystrom(multiply, Omega, power=0.5), "is not Y"),
    (rs.nystrom, lambda multiply, Omega: multiply(Omega).T, "rows"),
    (rs.nystrom, lambda multiply, Omega: Omega, "is not Y"),
]
