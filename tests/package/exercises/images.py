"""Right answers to the exercises of chapter 8, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import images


def decibels(P, Q, peak=255):
    mean = np.mean((P.astype(float) - Q.astype(float)) ** 2)
    return np.inf if mean == 0 else 10 * np.log10(peak**2 / mean)


def shrinker(s, shape, noise):
    small, large = sorted(shape)
    beta, unit = small / large, noise * large**0.5
    y = s / unit
    root = np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0)
    return unit * np.where(y > 1 + beta**0.5, np.sqrt(root) / y, 0)


def by_rows(s, shape, noise):
    m, n = shape
    beta, unit = min(m, n) / max(m, n), noise * m**0.5
    y = s / unit
    root = np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0)
    return unit * np.where(y > 1 + beta**0.5, np.sqrt(root) / y, 0)


def without_units(s, shape, noise):
    return shrinker(s, shape, noise) / (noise * max(shape) ** 0.5)


def hard(s, shape, noise):
    small, large = sorted(shape)
    return np.where(s > (small**0.5 + large**0.5) * noise, s, 0)


def wrapping(P, Q):
    with np.errstate(over="ignore"):
        return 10 * np.log10(255**2 / np.mean((P - Q) ** 2))


RIGHT = [
    (images.break_even, 345),
    (images.decibels, decibels),
    (images.stripes, 2),
    (images.shrinker, shrinker),
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
    (images.shrinker, lambda s, shape, noise: s, "as they were"),
    (images.shrinker, by_rows, "larger side"),
    (images.shrinker, without_units, "multiply"),
    (images.shrinker, hard, "too large"),
    (images.shrinker, lambda s, shape, noise: np.maximum(s - noise, 0), "inside the noise"),
    (images.shrinker, lambda s, shape, noise: hard(s, shape, noise) / 2, "check g"),
    (images.shrinker, lambda s, shape, noise: s[:2], "shape"),
    (images.shrinker, lambda s, shape, noise: None, "return"),
]
