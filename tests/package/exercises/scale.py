"""Right answers to the exercises of chapter 19, and the usual wrong ones with a word of what the checker says."""

import itertools

import numpy as np

from lowrank_helpers.exercises import scale


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


RIGHT = [(scale.power_sgd, power_sgd), (scale.power_sgd, own_residual)]
WRONG = [
    (scale.power_sgd, not_orthonormal, "orthonormal"),
    (scale.power_sgd, no_feedback, "cut off before"),
    (scale.power_sgd, nothing_kept, "is 0"),
    (scale.power_sgd, old_residual_forgotten, "old E"),
    (scale.power_sgd, wrong_residual, "its own G + E"),
    (scale.power_sgd, transposed, "transposed"),
    (scale.power_sgd, left_factor_kept, "of the old one"),
    (scale.power_sgd, old_start, "goes on from there"),
    (scale.power_sgd, mean_formed, "stay where they are"),
    (scale.power_sgd, each_for_itself, "different approximations"),
    (scale.power_sgd, own_bases, "P Pᵀ M"),
    (scale.power_sgd, asked_for_more, "are enough"),
    (scale.power_sgd, asked_for_ever, "eight times"),
    (scale.power_sgd, asked_by_some, "different places"),
    (scale.power_sgd, lambda G, E, Q, average: G, "three matrices"),
]
