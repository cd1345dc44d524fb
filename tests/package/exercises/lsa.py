"""Right answers to the exercises of chapter 10, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lsa as e


def unit_place(D, s, y):
    place = y @ D / s
    return place / np.linalg.norm(place)


RIGHT = [
    (e.by_hand, 3),
    (e.bridge, -0.079),
    (e.new_word, lambda D, s, y: y @ D / s),
    (e.new_word, lambda D, s, y: np.linalg.lstsq(D, y, rcond=None)[0] * s),
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
    (e.bridge, 1, "k = 1"),
    (e.bridge, 0, "k = 3"),
    (e.bridge, -0.1464, "inner product"),
    (e.bridge, -1 / 3, "rows of U"),
    (e.bridge, 0.079, "sign"),
    (e.bridge, 0.5, "eigenvalues"),
    (e.new_word, lambda D, s, y: y @ D, "still has"),
    (e.new_word, lambda D, s, y: y @ D / s**2, "too often"),
    (e.new_word, lambda D, s, y: np.linalg.lstsq(D, y, rcond=None)[0], "too often"),
    (e.new_word, unit_place, "length"),
    (e.new_word, lambda D, s, y: y @ D * s, "does not come out"),
    (e.new_word, lambda D, s, y: D @ y, "raised"),
    (e.new_word, 3.0, "without calling"),
]
