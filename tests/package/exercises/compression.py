"""Right answers to the exercises of chapter 15, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import compression as e


def factor(weight, H, r, part=slice(None)):
    Vt = np.linalg.svd(H @ weight.T, full_matrices=False)[2][part][:r]
    return Vt @ weight, Vt.T


def last(weight, H, r):
    Vt = np.linalg.svd(H @ weight.T, full_matrices=False)[2][-r:]
    return Vt @ weight, Vt.T


def plain(weight, H, r):
    U, s, Vt = np.linalg.svd(weight, full_matrices=False)
    return Vt[:r], U[:, :r] * s[:r]


def diagonal(weight, H, r):
    scale = np.linalg.norm(H, axis=0)
    first, second = plain(weight * scale, H, r)
    return first / scale, second


def by_gram(weight, H, r):
    U = np.linalg.eigh(weight @ H.T @ H @ weight.T)[1][:, ::-1][:, :r]
    return U.T @ weight, U


RIGHT = [
    (e.eighty_percent, 2388),
    (e.by_hand, 2),
    (e.double, 0.373),
    (e.double, 32 / 64 - 8 / 64 - 32 / (64 * 256)),
    (e.factor, factor),
    (e.factor, by_gram),
]
WRONG = [
    (e.eighty_percent, 2388.1, "whole"),
    (e.eighty_percent, 2389, "round down"),
    (e.eighty_percent, 3276, "full rank"),
    (e.eighty_percent, 2985, "break-even"),
    (e.eighty_percent, 597, "saves 80 %"),
    (e.eighty_percent, 4000, "more than 80 %"),
    (e.eighty_percent, 1000, "still fits"),
    (e.eighty_percent, "most", "one number"),
    (e.by_hand, 3, "plain"),
    (e.by_hand, 4, "square"),
    (e.by_hand, 1, "weigh"),
    (e.by_hand, 9, "squares"),
    (e.by_hand, 2.5, "root"),
    (e.double, 0.127, "afterwards"),
    (e.double, 0.375, "scales of the scales"),
    (e.double, 4.127, "in all"),
    (e.double, 0.5, "before"),
    (e.double, 3.0, "64 entries"),
    (e.factor, plain, "not used"),
    (e.factor, diagonal, "correlations"),
    (e.factor, last, "last singular"),
    (e.factor, lambda weight, H, r: factor(weight, H, r)[::-1], "other order"),
    (e.factor, lambda weight, H, r: factor(weight, H, r)[0], "two matrices"),
    (e.factor, lambda weight, H, r: (0 * a for a in factor(weight, H, r)), "two matrices"),
    (e.factor, lambda weight, H, r: (factor(weight, H, r)[0], 0 * factor(weight, H, r)[1]), "least possible"),
    (e.factor, lambda weight, H, r: factor(weight, H, r, slice(1, None)), "least possible"),
    (e.factor, 3, "without calling"),
]
