"""Right answers to the exercises of chapter 19, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import scale as e


def signed(R):
    return np.where(np.diag(R) < 0, -1, 1)[:, None] * R


def triangle(blocks):
    R = None
    for rows in blocks:
        R = np.linalg.qr(rows if R is None else np.vstack([R, rows]), mode="r")
    return signed(R)


def unsigned(blocks):
    return -triangle(blocks)


def from_gram(blocks):
    """By an eigendecomposition, which does not fail where Cholesky does."""
    values, V = np.linalg.eigh(sum(rows.T @ rows for rows in blocks))
    return signed(np.linalg.qr(np.sqrt(np.maximum(values, 0))[:, None] * V.T, mode="r"))


def stacked(blocks):
    return signed(np.linalg.qr(np.vstack(list(blocks)), mode="r"))


def last(blocks):
    return signed(np.linalg.qr(np.vstack([np.eye(2)[:1], list(blocks)[-1]]), mode="r"))


RIGHT = [(e.bill, 8_100_000), (e.triangle, triangle)]
WRONG = [
    (e.bill, 162_000, "one machine"),
    (e.bill, 7_500_000, "missing"),
    (e.bill, 8_000_000, "missing"),
    (e.bill, 10_600_000, "draws"),
    (e.bill, 7_850_000, "comes back"),
    (e.bill, 64_800_000, "bytes"),
    (e.bill, 1e10, "stay where"),
    (e.bill, 1, "goes up"),
    (e.triangle, unsigned, "negative"),
    (e.triangle, from_gram, "lost its digits"),
    (e.triangle, stacked, "held at once"),
    (e.triangle, last, "every block"),
    (e.triangle, lambda blocks: np.vstack(list(blocks)), "shape"),
    (e.triangle, lambda blocks: np.linalg.cholesky(sum(X.T @ X for X in blocks)), "Gram matrix of all"),
]
