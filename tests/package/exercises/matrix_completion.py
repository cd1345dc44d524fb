"""Right answers to the exercises of chapter 13, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import matrix_completion as e


def sigma(A):
    return np.linalg.svd(np.nan_to_num(A), compute_uv=False)


def ease(X, lam):
    S = np.linalg.solve(X @ X.T + lam * np.eye(len(X)), X)
    return X - S * lam / (1 - (X * S).sum(axis=0))


def weights(X, lam):
    return np.linalg.inv(X.T @ X + lam * np.eye(X.shape[1]))


RIGHT = [
    (e.by_hand, 1),
    (e.largest_penalty, lambda A: sigma(A)[0]),
    (e.ease, ease),
]
WRONG = [
    (e.by_hand, 4, "rank 1"),
    (e.by_hand, 0, "not a zero"),
    (e.by_hand, -1, "outside"),
    (e.by_hand, 2, "lowest point"),
    (e.by_hand, 3, "each side"),
    (e.largest_penalty, lambda A: sigma(A)[-1], "smallest"),
    (e.largest_penalty, lambda A: np.linalg.norm(np.nan_to_num(A)), "Frobenius"),
    (e.largest_penalty, lambda A: sigma(A).sum(), "nuclear"),
    (e.largest_penalty, lambda A: sigma(A)[0] / 2, "½"),
    (e.largest_penalty, lambda A: np.nanmax(np.abs(A)), "largest entry"),
    (e.largest_penalty, lambda A: np.nan, "finite"),
    (e.ease, lambda X, lam: X - X @ weights(X, lam), "divide"),
    (e.ease, lambda X, lam: X - lam * X @ weights(X, lam), "divide"),
    (e.ease, lambda X, lam: X - ease(X, lam), "minus something"),
    (e.ease, lambda X, lam: X - (X - ease(X, lam)) * lam, "factor λ"),
    (e.ease, lambda X, lam: X - X @ weights(X, lam) / weights(X, lam).diagonal(), "items × items"),
    (e.ease, lambda X, lam: X, "compare them"),
    (e.ease, lambda X, lam: X.T, "shape"),
]
