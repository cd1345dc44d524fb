"""Right answers to the exercises of chapter 19, and the usual wrong ones with a word of what the checker says."""

import itertools

import numpy as np

from lowrank_helpers.exercises import scale as e


def signed(R):
    return np.where(np.diag(R) < 0, -1, 1)[:, None] * R


def triangle(blocks):
    R = None
    for rows in blocks:
        R = np.linalg.qr(rows if R is None else np.vstack([R, rows]), mode="r")
    return signed(R)


def unsigned(blocks):
    return -triangle(blocks)


def from_gram(blocks):
    """By an eigendecomposition, which does not fail where Cholesky does."""
    values, V = np.linalg.eigh(sum(rows.T @ rows for rows in blocks))
    return signed(np.linalg.qr(np.sqrt(np.maximum(values, 0))[:, None] * V.T, mode="r"))


def stacked(blocks):
    return signed(np.linalg.qr(np.vstack(list(blocks)), mode="r"))


def all_triangles(blocks):
    return signed(np.linalg.qr(np.vstack([np.linalg.qr(rows, mode="r") for rows in blocks]), mode="r"))


def last(blocks):
    return signed(np.linalg.qr(np.vstack([np.eye(2)[:1], list(blocks)[-1]]), mode="r"))


def power_sgd(G, E, Q, average):
    M = G + E
    P = np.linalg.qr(average(M @ Q))[0]
    Q = average(M.T @ P)
    return P @ Q.T, M - P @ Q.T, Q


def own_residual(G, E, Q, average):
    """Each keeps what is missing of its own matrix in the common space: the mean of that is the same."""
    M = G + E
    P = np.linalg.qr(average(M @ Q))[0]
    Q = average(M.T @ P)
    return P @ Q.T, M - P @ (P.T @ M), np.linalg.qr(Q)[0]


def not_orthonormal(G, E, Q, average):
    M = G + E
    P = average(M @ Q)
    Q = average(M.T @ P)
    return P @ Q.T, M - P @ Q.T, Q


def no_feedback(G, E, Q, average):
    return power_sgd(G, 0 * E, Q, average)


def nothing_kept(G, E, Q, average):
    applied, E, Q = power_sgd(G, E, Q, average)
    return applied, 0 * E, Q


def old_residual_forgotten(G, E, Q, average):
    applied, _, Q = power_sgd(G, E, Q, average)
    return applied, G - applied, Q


def wrong_residual(G, E, Q, average):
    applied, E, Q = power_sgd(G, E, Q, average)
    return applied, -E, Q


def transposed(G, E, Q, average):
    applied, E, Q = power_sgd(G, E, Q, average)
    return applied.T, E, Q


def left_factor_kept(G, E, Q, average):
    M = G + E
    P = np.linalg.qr(average(M @ Q))[0]
    Q = average(M.T @ P)
    return P @ Q.T, M - P @ Q.T, P


def old_start(G, E, Q, average):
    applied, E, _ = power_sgd(G, E, Q, average)
    return applied, E, Q


def mean_formed(G, E, Q, average):
    M = average(G + E)
    return power_sgd(M, 0 * M, Q, lambda X: X)


def each_for_itself(G, E, Q, average):
    return power_sgd(G, E, Q, lambda X: X)


def own_bases(G, E, Q, average):
    M = G + E
    P = average(np.linalg.qr(M @ Q)[0])
    Q = average(M.T @ P)
    return P @ Q.T, M - P @ Q.T, Q


def asked_for_more(G, E, Q, average):
    average(Q[:1])
    return power_sgd(G, E, Q, average)


def asked_for_ever(G, E, Q, average):
    while True:
        average(Q[:1])


TURNS = itertools.count()


def asked_by_some(G, E, Q, average):
    return power_sgd(G, E, Q, average if next(TURNS) % 2 else lambda X: X)


RIGHT = [
    (e.bill, 8_100_000),
    (e.triangle, triangle),
    (e.shipped, 33),
    (e.power_sgd, power_sgd),
    (e.power_sgd, own_residual),
]
WRONG = [
    (e.bill, 162_000, "one machine"),
    (e.bill, 7_500_000, "missing"),
    (e.bill, 8_000_000, "missing"),
    (e.bill, 10_600_000, "draws"),
    (e.bill, 7_850_000, "comes back"),
    (e.bill, 64_800_000, "bytes"),
    (e.bill, 1e10, "stay where"),
    (e.bill, 1, "goes up"),
    (e.triangle, unsigned, "negative"),
    (e.triangle, from_gram, "lost its digits"),
    (e.triangle, stacked, "held at once"),
    (e.triangle, all_triangles, "held at once"),
    (e.triangle, last, "every block"),
    (e.triangle, lambda blocks: np.vstack(list(blocks)), "shape"),
    (e.triangle, lambda blocks: np.linalg.cholesky(sum(X.T @ X for X in blocks)), "Gram matrix of all"),
    (e.shipped, 21, "come back"),
    (e.shipped, 12, "before"),
    (e.shipped, 11, "rank"),
    (e.shipped, 27, "twice"),
    (e.shipped, 54, "none of its users"),
    (e.shipped, 42, "by both parts"),
    (e.shipped, 51, "once"),
    (e.shipped, 13, "list the items"),
    (e.power_sgd, not_orthonormal, "orthonormal"),
    (e.power_sgd, no_feedback, "cut off before"),
    (e.power_sgd, nothing_kept, "is 0"),
    (e.power_sgd, old_residual_forgotten, "old E"),
    (e.power_sgd, wrong_residual, "its own G + E"),
    (e.power_sgd, transposed, "transposed"),
    (e.power_sgd, left_factor_kept, "of the old one"),
    (e.power_sgd, old_start, "goes on from there"),
    (e.power_sgd, mean_formed, "stay where they are"),
    (e.power_sgd, each_for_itself, "different approximations"),
    (e.power_sgd, own_bases, "P Pᵀ M"),
    (e.power_sgd, asked_for_more, "are enough"),
    (e.power_sgd, asked_for_ever, "eight times"),
    (e.power_sgd, asked_by_some, "different places"),
    (e.power_sgd, lambda G, E, Q, average: G, "three matrices"),
]
