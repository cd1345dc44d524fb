"""Right answers to the exercises of side trip A3, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import graphs


def fiedler(W):
    return np.linalg.eigh(np.diag(W.sum(axis=1)) - W)[1][:, 1]


def swept(W, sizes_count=True):
    n, order, best = len(W), np.argsort(fiedler(W)), (np.inf, 0)
    for s in range(1, n):
        cut = W[order[:s]][:, order[s:]].sum()
        best = min(best, (cut * n / (s * (n - s)) if sizes_count else cut, s))
    return np.isin(np.arange(n), order[: best[1]])


def by_trying_all(W):
    if len(W) > 20:
        raise MemoryError(f"2**{len(W)} splits")
    return swept(W)


RIGHT = [
    (graphs.cube, 512),
    (graphs.sweep, swept),
    (graphs.sweep, lambda W: ~swept(W)),
]
WRONG = [
    (graphs.cube, 1024, "number of corners"),
    (graphs.cube, 5120, "all edges"),
    (graphs.cube, 256, "half"),
    (graphs.cube, 2560, "smallest positive"),
    (graphs.cube, 8, "square"),
    (graphs.sweep, lambda W: swept(W, sizes_count=False), "hermit"),
    (graphs.sweep, lambda W: fiedler(W) > np.median(fiedler(W)), "median"),
    (graphs.sweep, lambda W: np.arange(len(W)) < 1, "another place"),
    (graphs.sweep, lambda W: fiedler(W), "True and False"),
    (graphs.sweep, lambda W: np.ones(len(W)), "empty"),
    (graphs.sweep, by_trying_all, "MemoryError"),
    (graphs.sweep, lambda W: swept(W)[1:], "shape"),
]
