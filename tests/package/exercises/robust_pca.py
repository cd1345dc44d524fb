"""Right answers to the exercises of chapter 12, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import robust_pca as e


def sizes(Y, lam):
    return np.linalg.norm(Y, 2), np.abs(Y).max() / lam


def bound(Y, M, lam):
    size = max(sizes(Y, lam))
    return abs((Y * M).sum()) / size if size else 0.0


def shorten(A, tau, axis=0, least=0.0):
    length = np.linalg.norm(A, axis=axis, keepdims=True)
    return A * np.maximum(length - tau, least) / np.where(length > 0, length, 1)


RIGHT = [
    (e.by_hand, 0.5),
    (e.negative, 5),
    (e.bound, bound),
    (e.columns, shorten),
    (e.columns, lambda A, tau: A * np.maximum(1 - tau / np.maximum(np.linalg.norm(A, axis=0), 1e-300), 0)),
]
WRONG = [
    (e.by_hand, 1.5, "hard"),
    (e.by_hand, 0, "entries"),
    (e.by_hand, 1, "direction"),
    (e.by_hand, -0.5, "smaller"),
    (e.by_hand, 7, "lower"),
    (e.negative, 4, "exactly 1"),
    (e.negative, 2, "opposite"),
    (e.negative, 9, "smaller table"),
    (e.negative, 4.5, "whole"),
    (e.bound, lambda Y, M, lam: (Y * M).sum(), "as it comes"),
    (e.bound, lambda Y, M, lam: abs((Y * M).sum()) / max(1, *sizes(Y, lam)), "scaled up"),
    (e.bound, lambda Y, M, lam: abs((Y * M).sum()) / sizes(Y, lam)[0], "entry exceeds"),
    (e.bound, lambda Y, M, lam: abs((Y * M).sum()) / sizes(Y, lam)[1], "spectral norm exceeds"),
    (e.bound, lambda Y, M, lam: (Y * M).sum() / max(*sizes(Y, lam), 1e-300), "with Y"),
    (e.bound, lambda Y, M, lam: bound(Y, M, lam) / 2, "larger multiple"),
    (e.bound, lambda Y, M, lam: bound(Y, M, lam) * 2, "proves"),
    (e.columns, lambda A, tau: np.sign(A) * np.maximum(np.abs(A) - tau, 0), "one by one"),
    (e.columns, lambda A, tau: A * (np.linalg.norm(A, axis=0) > tau), "hard"),
    (e.columns, lambda A, tau: shorten(A, tau, axis=1), "rows"),
    (e.columns, lambda A, tau: shorten(A, tau, least=-np.inf), "turn round"),
    (e.columns, lambda A, tau: A / 2, "direction"),
    (e.columns, lambda A, tau: A[:, 0], "shape"),
]
