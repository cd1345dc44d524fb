"""Right answers to the exercises of chapter 13, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import matrix_completion as e


def unique(seen):
    rows = np.zeros(seen.shape[0], dtype=bool)
    rows[0] = True
    for _ in range(len(rows)):
        columns = seen[rows].any(axis=0)
        rows |= seen[:, columns].any(axis=1)
    return bool(rows.all() and columns.all())


def one_step(seen):
    columns = seen[0]
    return bool(seen[:, columns].any(axis=1).all() and seen[seen[:, columns].any(axis=1)].any(axis=0).all())


def newcomer(H, c, mu, a, lam, bias=True, fill=None):
    a = a if fill is None else np.where(np.isnan(a), fill, a)
    seen = ~np.isnan(a)
    F = np.vstack([H, np.ones(H.shape[1])]) if bias else H
    x = np.linalg.solve(F[:, seen] @ F[:, seen].T + lam * np.eye(len(F)), F[:, seen] @ (a - mu - c)[seen])
    return mu + c + x @ F


def free_bias(H, c, mu, a, lam):
    seen = ~np.isnan(a)
    F = np.vstack([H, np.ones(H.shape[1])])
    penalty = np.diag([lam] * len(H) + [1e-12])
    return mu + c + np.linalg.solve(F[:, seen] @ F[:, seen].T + penalty, F[:, seen] @ (a - mu - c)[seen]) @ F


def sigma(A):
    return np.linalg.svd(np.nan_to_num(A), compute_uv=False)


def ease(X, lam):
    S = np.linalg.solve(X @ X.T + lam * np.eye(len(X)), X)
    return X - S * lam / (1 - (X * S).sum(axis=0))


def weights(X, lam):
    return np.linalg.inv(X.T @ X + lam * np.eye(X.shape[1]))


RIGHT = [
    (e.by_hand, 5),
    (e.unique, unique),
    (e.newcomer, newcomer),
    (e.largest_penalty, lambda A: sigma(A)[0]),
    (e.ease, ease),
    (e.windows, "line"),
    (e.windows, " Line "),
]
WRONG = [
    (e.by_hand, 2, "row 1, column 2"),
    (e.by_hand, 15, "column 3"),
    (e.by_hand, 10, "row 2 by 5/2"),
    (e.by_hand, 0, "not a zero"),
    (e.by_hand, 7, "multiples"),
    (e.unique, lambda seen: bool(seen.sum() >= sum(seen.shape) - 1), "connect all"),
    (e.unique, lambda seen: bool(seen.any(axis=0).all() and seen.any(axis=1).all()), "connect all"),
    (e.unique, lambda seen: bool(seen.sum() > sum(seen.shape) - 1), "a tree is connected"),
    (e.unique, one_step, "five entries"),
    (e.unique, lambda seen: unique(seen) or seen.shape == (4, 4), "two components"),
    (e.unique, lambda seen: unique(seen) or seen.shape == (3, 2), "a row that"),
    (e.unique, lambda seen: 1, "True or False"),
    (e.newcomer, lambda H, c, mu, a, lam: newcomer(H, c, mu, a, lam, fill=0.0), "zeros"),
    (e.newcomer, lambda H, c, mu, a, lam: newcomer(H, c, mu, a, lam, fill=mu + c), "filling"),
    (e.newcomer, lambda H, c, mu, a, lam: newcomer(H, c, mu, a, lam / 2), "halved"),
    (e.newcomer, lambda H, c, mu, a, lam: newcomer(H, c, mu, a, lam, bias=False), "row of ones"),
    (e.newcomer, free_bias, "penalised here"),
    (e.newcomer, lambda H, c, mu, a, lam: newcomer(H, c, mu, a, lam) - mu - c, "again"),
    (e.newcomer, lambda H, c, mu, a, lam: mu + c, "not the predictions"),
    (e.newcomer, lambda H, c, mu, a, lam: H, "shape"),
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
    (e.windows, "years", "does not know"),
    (e.windows, "windows", "close"),
    (e.windows, 3, '"years"'),
]
