"""Right answers to the exercises of chapter 9, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import pca as e


def first(points):
    v = np.linalg.svd(points, full_matrices=False)[2][0]
    return v[1] / v[0]


def slope(x, y):
    return first(np.column_stack([x - x.mean(), y - y.mean()]))


def through_the_origin(x, y):
    return first(np.column_stack([x, y]))


def centred(K):
    J = np.eye(len(K)) - 1 / len(K)
    return J @ K @ J


def scores(K, r, power=0.5, order=-1):
    lam, U = np.linalg.eigh(K)
    top = np.argsort(lam)[::order][:r]
    return U[:, top] * np.maximum(lam[top], 0) ** power


RIGHT = [
    (e.by_hand, 0.8),
    (e.slope, slope),
    (e.slope, lambda x, y: -1 / np.divide(*np.linalg.eigh(np.cov(x, y))[1][::-1, 0])),
    (e.dual, lambda K, r: scores(centred(K), r)),
    (e.dual, lambda K, r: -scores(centred(K), r)),
    (e.worth, 17),
]
WRONG = [
    (e.by_hand, 80, "percentage"),
    (e.by_hand, 2 / 3, "squares"),
    (e.by_hand, 0.9014, "without centring"),
    (e.by_hand, 0.2, "second"),
    (e.by_hand, 16, "total"),
    (e.by_hand, 0.5, "perpendicular"),
    (e.by_hand, "most of it", "one number"),
    (e.slope, lambda x, y: np.polyfit(x, y, 1)[0], "vertical"),
    (e.slope, lambda x, y: 1 / np.polyfit(y, x, 1)[0], "horizontal"),
    (e.slope, lambda x, y: 1 / slope(x, y), "upside down"),
    (e.slope, lambda x, y: -1 / slope(x, y), "perpendicular to"),
    (e.slope, through_the_origin, "origin"),
    (e.slope, lambda x, y: y.std() / x.std() + 0.1, "not the least"),
    (e.slope, lambda x, y: np.polyfit(x, y, 1), "one number"),
    (e.slope, 2.0, "without calling"),
    (e.dual, scores, "without centring"),
    (e.dual, lambda K, r: scores(centred(K), r, 0), "lengths"),
    (e.dual, lambda K, r: scores(centred(K), r, 1), "roots"),
    (e.dual, lambda K, r: scores(centred(K), r, order=1), "smallest"),
    (e.dual, lambda K, r: scores(K - K.mean(axis=0), r), "both sides"),
    (e.dual, lambda K, r: K, "shape"),
    (e.worth, 48, "noise in its variance"),
    (e.worth, 64, "standard deviation"),
    (e.worth, 16, "best number"),
    (e.worth, 10, "clean ones"),
    (e.worth, 5, "twice"),
    (e.worth, 16.5, "whole"),
]
