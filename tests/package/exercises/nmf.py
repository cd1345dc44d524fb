"""Right answers to the exercises of chapter 11, and the usual wrong ones with a word of what the checker says."""

import warnings

import numpy as np

from lowrank_helpers.decomposition import nmf
from lowrank_helpers.exercises import nmf as e


def outermost(A):
    sums = A.sum(axis=0)
    place = np.where(sums > 0, A[0] / np.where(sums > 0, sums, 1), np.nan)
    W = A[:, [np.nanargmin(place), np.nanargmax(place)]]
    return W, np.maximum(np.linalg.lstsq(W, A, rcond=None)[0], 0)


def longest(A):
    """The two columns that successive projection picks where nobody has divided by the sums."""
    first = int(np.argmax((A**2).sum(axis=0)))
    q = A[:, first] / np.linalg.norm(A[:, first])
    W = A[:, [first, int(np.argmax(((A - np.outer(q, q @ A)) ** 2).sum(axis=0)))]]
    return W, np.linalg.lstsq(W, A, rcond=None)[0]


def cut_off(A):
    W, H = longest(A)
    return W, np.maximum(H, 0)


def singular(A):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :2] * s[:2], Vt[:2]


def downhill(A):
    """What the exercise forbids: a method that only comes near."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = nmf(A, 2, max_iterations=2000)
    return found.W, found.H


def between(A):
    """Exact, without a sign, and not of the table: both columns a little further out."""
    W, H = outermost(A)
    e = 0.05 * min((W[:, 0] / W[:, 1]).min(), (W[:, 1] / W[:, 0]).min())
    Q = np.array([[1, -e], [-e, 1]])
    return W @ Q, np.linalg.inv(Q) @ H


def best(R, w, lam):
    return np.maximum(w @ R - lam, 0) / (w @ w)


RIGHT = [
    (e.by_hand, 0.5),
    (e.two_parts, outermost),
    (e.two_parts, lambda A: (outermost(A)[0][:, ::-1] * 3, outermost(A)[1][::-1] / 3)),
    (e.penalised, best),
    (e.penalised, lambda R, w, lam: best(R, w, lam)[:, None]),
]
WRONG = [
    (e.by_hand, 1.0, "one half"),
    (e.by_hand, 7, "before"),
    (e.by_hand, 2, "updated W"),
    (e.by_hand, 15, "denominator"),
    (e.by_hand, 0.3, "quotient"),
    (e.by_hand, [1.5, 3.5], "one number"),
    (e.two_parts, longest, "between them: H"),
    (e.two_parts, cut_off, "two others"),
    (e.two_parts, singular, "negative entry"),
    (e.two_parts, downhill, "downhill"),
    (e.two_parts, between, "two columns of A"),
    (e.two_parts, lambda A: outermost(A)[0], "two matrices"),
    (e.two_parts, lambda A: (outermost(A)[0].T, outermost(A)[1]), "shape"),
    (e.penalised, lambda R, w, lam: (w @ R - lam) / (w @ w), "negative"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R - lam, 0), "even without"),
    (e.penalised, lambda R, w, lam: best(R, w, 0), "ignores"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R / (w @ w) - lam, 0), "before the division"),
    (e.penalised, lambda R, w, lam: best(R, w, 2 * lam), "factor of 2"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R, 0) / (w @ w + lam), "Tikhonov"),
    (e.penalised, lambda R, w, lam: best(R, w, 1.3 * lam), "derivative"),
    (e.penalised, lambda R, w, lam: R, "shape"),
]
