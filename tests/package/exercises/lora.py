"""Right answers to the exercises of chapter 16, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lora as e


def combine(B1, A1, s1, B2, A2, s2, alpha):
    s = alpha / (len(A1) + len(A2))
    return np.hstack([B1 * s1 / s, B2 * s2 / s]), np.vstack([A1, A2])


def by(scale):
    """A combination whose factors of B are the two scales that this function returns."""

    def code(B1, A1, s1, B2, A2, s2, alpha):
        c1, c2 = scale(len(A1), len(A2), s1, s2, alpha)
        return np.hstack([B1 * c1, B2 * c2]), np.vstack([A1, A2])

    return code


def start(G, r):
    U, _, Vt = np.linalg.svd(G)
    return U[:, :r], Vt[r : 2 * r]


RIGHT = [
    (e.count, 16_384),
    (e.floor, [[1, 0.5], [1, 0.5]]),
    (e.combine, combine),
    (e.combine, lambda *a: [10 * combine(*a)[0], combine(*a)[1] / 10]),
    (e.gradient_start, start),
    (e.gradient_start, lambda G, r: [-start(G, r)[0], start(G, r)[1][::-1]]),
]
WRONG = [
    (e.count, 4_096, "four"),
    (e.count, 12_288, "square"),
    (e.count, 8_192, "both"),
    (e.count, 327_680, "frozen"),
    (e.count, 32_768, "twice"),
    (e.count, 7, "r(m + n)"),
    (e.floor, [[2, 0], [0, 0]], "white inputs"),
    (e.floor, [[2, 0], [0, 1]], "rank 2"),
    (e.floor, [[3, 3], [3, 3]], "truncation of DS"),
    (e.floor, [[0.5, 0.5], [0.5, 0.5]], "uuᵀ times D"),
    (e.floor, [[1, 1], [0.5, 0.5]], "on the right"),
    (e.floor, [[2, 1], [2, 1]], "length 1"),
    (e.floor, [[0, 0], [0, 1]], "floor is 2"),
    (e.floor, [1, 0.5], "shape"),
    (e.combine, by(lambda r1, r2, s1, s2, alpha: (s1, s2)), "once more"),
    (e.combine, by(lambda r1, r2, s1, s2, alpha: (1, 1)), "missing"),
    (e.combine, by(lambda r1, r2, s1, s2, alpha: (s1 * r1 / alpha, s2 * r1 / alpha)), "new adapter"),
    (e.combine, by(lambda r1, r2, s1, s2, alpha: (7, 1)), "not the sum"),
    (e.combine, lambda B1, A1, s1, B2, A2, s2, alpha: B1 @ A1, "two matrices"),
    (e.combine, lambda *a: combine(*a)[::-1], "shape"),
    (e.gradient_start, lambda G, r: start(G, r)[0], "two matrices"),
    (e.gradient_start, lambda G, r: (start(G, r)[0], start(G, r)[1].T), "columns of V"),
    (e.gradient_start, lambda G, r: (2 * start(G, r)[0], start(G, r)[1]), "orthonormal"),
    (e.gradient_start, lambda G, r: (np.linalg.svd(G)[0][:, :r], np.linalg.svd(G)[2][:r]), "count twice"),
    (e.gradient_start, lambda G, r: (np.eye(len(G))[:, :r], np.eye(G.shape[1])[:r]), "closer"),
    (e.gradient_start, lambda G, r: start(G, r)[::-1], "shape"),
]
