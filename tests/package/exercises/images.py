"""Right answers to the exercises of chapter 8, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import images


def decibels(P, Q, peak=255):
    mean = np.mean((P.astype(float) - Q.astype(float)) ** 2)
    return np.inf if mean == 0 else 10 * np.log10(peak**2 / mean)


SEEN = np.array([74, 51, 40, 30, 26, 25, 23])


def wrapping(P, Q):
    with np.errstate(over="ignore"):
        return 10 * np.log10(255**2 / np.mean((P - Q) ** 2))


RIGHT = [
    (images.break_even, 345),
    (images.decibels, decibels),
    (images.stripes, 2),
    (images.pythagoras, [70, 45, 32, 18, 10, 7, 0]),
    (images.pythagoras, np.sqrt(np.maximum(SEEN**2 - 24**2, 0))),
]
WRONG = [
    (images.break_even, 346, "round down"),
    (images.break_even, 691, "compares numbers"),
    (images.break_even, 86, "float64"),
    (images.break_even, 172, "float32"),
    (images.break_even, 1382, "upside down"),
    (images.break_even, 345.6, "whole"),
    (images.break_even, 10, "set the bytes"),
    (images.break_even, float("nan"), "finite"),
    (images.decibels, wrapping, "modulo 256"),
    (images.decibels, lambda P, Q: decibels(P, Q) / 2, "squares"),
    (images.decibels, lambda P, Q: decibels(P, Q, 1), "peak"),
    (images.decibels, lambda P, Q: -decibels(P, Q), "sign"),
    (images.decibels, lambda P, Q: decibels(P, Q) - 10 * np.log10(P.size), "mean"),
    (images.decibels, lambda P, Q: 30.0, "formula"),
    (images.decibels, lambda P, Q: min(decibels(P, Q), 99.0), "equal pictures"),
    (images.decibels, 30, "without calling"),
    (images.stripes, 1, "proportional"),
    (images.stripes, 200, "shifted"),
    (images.stripes, 2.5, "whole"),
    (images.stripes, 4, "cosine of a sum"),
    (images.stripes, "two", "one number"),
    (images.pythagoras, SEEN, "as they were"),
    (images.pythagoras, [74, 51, 40, 30, 0, 0, 0], "threshold"),
    (images.pythagoras, [74, 51, 40, 30, 26, 25, 0], "threshold"),
    (images.pythagoras, np.maximum(SEEN - 24, 0), "difference"),
    (images.pythagoras, np.array([70, 45, 32, 18, 10, 7, 0]) / 12, "multiply"),
    (images.pythagoras, np.sqrt(np.maximum(SEEN**2 - 12**2, 0)), "square"),
    (images.pythagoras, np.sqrt(SEEN**2 + 24**2), "longest"),
    (images.pythagoras, [70, 45, 32, 18, 10, 7, 23], "inside the noise"),
    (images.pythagoras, [70, 45, 32, 18, 11, 7, 0], "hypotenuse"),
    (images.pythagoras, [70, 45, 32, 18, 10, 7], "shape"),
    (images.pythagoras, [70, 45, 32, 18, 10, 7, float("nan")], "finite"),
]
