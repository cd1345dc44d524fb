"""Right answers to the exercises of chapter 10, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lsa as e


def rows(A):
    length = np.linalg.norm(A, axis=1, keepdims=True)
    return A / np.where(length == 0, 1, length)


def idf(C):
    return np.log(len(C) / (C > 0).sum(axis=0))


def tf(C):
    return np.where(C > 0, 1 + np.log(np.maximum(C, 1)), 0)


def spoiled(C):
    W = tf(C) * idf(C)
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def cut_to_fit(U, s, Vt, x):
    return U.T @ np.resize(x, len(U)) / s


def wrong_factor(U, s, Vt, x):
    return U.T @ x / s if len(U) == len(x) else Vt @ x / s


def unit_place(U, s, Vt, x):
    place = Vt @ x / s
    return place / np.linalg.norm(place)


RIGHT = [
    (e.by_hand, 3),
    (e.weights, lambda C: rows(tf(C) * idf(C))),
    (e.weights, lambda C: rows(tf(C) * np.log2(len(C) / (C > 0).sum(axis=0)))),
    (e.scaled, lambda U, s, Vt, x: Vt @ x / s),
    (e.scaled, lambda U, s, Vt, x: np.linalg.lstsq(Vt.T * s, x, rcond=None)[0]),
    (e.unlabelled, 1600),
]
WRONG = [
    (e.by_hand, 1, "raw"),
    (e.by_hand, 3**0.5, "place of the query"),
    (e.by_hand, 0.5, "divided"),
    (e.by_hand, 6**0.5 / 2, "mixed"),
    (e.by_hand, 18, "once more"),
    (e.by_hand, 9, "length 1"),
    (e.by_hand, 2, "eigenvector"),
    (e.by_hand, "high", "one number"),
    (e.weights, lambda C: tf(C) * idf(C), "divided by their lengths"),
    (e.weights, lambda C: rows((tf(C) * idf(C)).T).T, "columns"),
    (e.weights, lambda C: rows(C * idf(C)), "counts themselves"),
    (e.weights, lambda C: rows(np.log1p(C) * idf(C)), "log(1 + c)"),
    (e.weights, lambda C: rows(tf(C) * (idf(C) + 1)), "adds 1"),
    (e.weights, lambda C: rows(tf(C)), "missing"),
    (e.weights, lambda C: rows(tf(C) * np.log(C.sum() / C.sum(axis=0))), "occurrences"),
    (e.weights, spoiled, "NaN"),
    (e.weights, lambda C: rows(C), "definition"),
    (e.weights, lambda C: C.T, "shape"),
    (e.scaled, lambda U, s, Vt, x: Vt @ x, "U * s"),
    (e.scaled, lambda U, s, Vt, x: Vt @ x * s, "wrong way"),
    (e.scaled, lambda U, s, Vt, x: Vt @ x / s**2, "too often"),
    (e.scaled, wrong_factor, "U for V"),
    (e.scaled, cut_to_fit, "does not come out"),
    (e.scaled, unit_place, "length"),
    (e.scaled, lambda U, s, Vt, x: Vt.T @ x / s, "raised"),
    (e.scaled, 3.0, "without calling"),
    (e.unlabelled, 400, "contains zero"),
    (e.unlabelled, 100, "harm"),
    (e.unlabelled, 50, "one of"),
]
