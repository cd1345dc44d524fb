"""Right answers to the exercises of chapter 15, and the usual wrong ones with a word of what the checker says."""

import functools

import numpy as np

from lowrank_helpers.exercises import compression as e


def factor(weight, bias, H, r, centre=True, fit=True, part=slice(None)):
    mean = H.mean(axis=0)
    outputs = (H - mean if centre else H) @ weight.T
    Vt = np.linalg.svd(outputs, full_matrices=False)[2][part][:r]
    first, second = Vt @ weight, Vt.T
    return first, second, bias + (weight - second @ first) @ mean if fit else bias


def plain(weight, bias, H, r):
    U, s, Vt = np.linalg.svd(weight, full_matrices=False)
    Z = (U[:, :r] * s[:r]) @ Vt[:r]
    return Vt[:r], U[:, :r] * s[:r], bias + (weight - Z) @ H.mean(axis=0)


def by_gram(weight, bias, H, r):
    mean = H.mean(axis=0)
    U = np.linalg.eigh(weight @ np.cov(H.T) @ weight.T)[1][:, ::-1][:, :r]
    return U.T @ weight, U, bias + (weight - U @ U.T @ weight) @ mean


RIGHT = [
    (e.eighty_percent, 2388),
    (e.by_hand, 2),
    (e.double, 0.373),
    (e.double, 32 / 64 - 8 / 64 - 32 / (64 * 256)),
    (e.twins, [5, -3]),
    (e.with_bias, factor),
    (e.with_bias, by_gram),
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
    (e.twins, [3, -1], "three times"),
    (e.twins, [7 / 3, -1 / 3], "other side"),
    (e.twins, [3, -3], "must stay"),
    (e.twins, [6, 0], "multiple"),
    (e.twins, 5, "shape"),
    (e.with_bias, plain, "not used"),
    (e.with_bias, functools.partial(factor, centre=False, fit=False), "the weights are those"),
    (e.with_bias, functools.partial(factor, centre=False), "the best one for these weights"),
    (e.with_bias, functools.partial(factor, fit=False), "the bias has to take"),
    (e.with_bias, functools.partial(factor, part=slice(1, None)), "least possible"),
    (e.with_bias, lambda *a: (factor(*a)[1], factor(*a)[0], factor(*a)[2]), "other order"),
    (e.with_bias, lambda *a: factor(*a)[:2], "two weights and a bias"),
    (e.with_bias, lambda *a: (factor(*a)[0], 0 * factor(*a)[1], factor(*a)[2]), "least possible"),
    (e.with_bias, 3, "without calling"),
]
