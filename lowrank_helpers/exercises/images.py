"""Checkers for the exercises of chapter 8, images."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right

Array = NDArray[np.float64]


@checker
def break_even(answer: object) -> str:
    """Check the largest rank at which 16-bit factors of a 1080×1920 picture of bytes take fewer bytes than it."""
    value = number(answer)
    if value == 345:
        return right("a rank of 345 of 1080 still saves a few bytes, and 346 none.")
    if value == 346:
        return not_yet("at that rank the factors take more bytes than the pixels: round down.")
    if value in (691, 692):
        return not_yet("that compares numbers; a number of the factors takes two bytes, a pixel one.")
    if value in (86, 87):
        return not_yet("that is for float64 factors; these have 16 bits, two bytes.")
    if value in (172, 173):
        return not_yet("that is for float32 factors; these have 16 bits, two bytes.")
    if value in (1382, 1383):
        return not_yet("the ratio of bytes is upside down: wider numbers make factors dearer.")
    if value != int(value):
        return not_yet("a rank is a whole number.")
    return not_yet("set the bytes of the two factors, 2·r·(m + n), against one byte for each pixel.")


@checker
def decibels(answer: object) -> str:
    """Check a function (P, Q) that returns the PSNR of two uint8 pictures, infinite for equal ones."""
    P = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Q = np.random.default_rng(2).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    square = np.mean((P.astype(float) - Q.astype(float)) ** 2)
    best = 10 * np.log10(255**2 / square)
    value = number(call(answer, P, Q))
    if not np.isclose(value, best, atol=1e-6):
        with np.errstate(over="ignore"):
            wrapped = np.mean((P - Q) ** 2)
        if np.isclose(value, 10 * np.log10(255**2 / wrapped), atol=1e-3):
            return not_yet("P − Q wraps modulo 256 as long as both are uint8, and so does its square: convert first.")
        if np.isclose(value, 10 * np.log10(255 / np.sqrt(square)), atol=1e-6):
            return not_yet("10·log₁₀ goes with the ratio of squares; for the ratio of lengths it is 20·log₁₀.")
        if np.isclose(value, 10 * np.log10(1 / square), atol=1e-6):
            return not_yet("the peak of these pictures is 255, not 1.")
        if np.isclose(value, -best, atol=1e-6):
            return not_yet("the sign: the peak stands above, the error below.")
        if np.isclose(value, 10 * np.log10(255**2 / (square * P.size)), atol=1e-6):
            return not_yet("divide the squared error by the number of values: it is the mean that counts.")
        return not_yet("the formula is 10·log₁₀ of 255² over the mean squared difference of all values.")
    with np.errstate(divide="ignore"):
        same = call(answer, P, P)
    if not (np.ndim(same) == 0 and same == np.inf):
        return not_yet("two equal pictures have no error; what is the limit of the formula there?")
    return right("bytes are converted before they are subtracted, and equal pictures are infinitely close.")


@checker
def stripes(answer: object) -> str:
    """Check the rank of the picture cos(0.3 i + 0.2 j)."""
    value = number(answer)
    if value == 2:
        return right("the cosine of a sum is two products, at any angle.")
    if value == 1:
        return not_yet("one row times one column would make all rows proportional; these are shifted.")
    if value == 200:
        return not_yet("the rows are shifted copies, but far from independent: use the formula for cos(x + y).")
    if value != int(value):
        return not_yet("a rank is a whole number.")
    return not_yet("write the cosine of a sum with cosines and sines of its two parts.")


@checker
def shrinker(answer: object) -> str:
    """Check a function (s, shape, noise) that returns the optimally shrunken singular values."""
    for (m, n), noise in (((50, 50), 1.0), ((100, 25), 0.5), ((30, 120), 2.0)):
        large, beta = max(m, n), min(m, n) / max(m, n)
        unit = noise * large**0.5
        s = unit * np.array([6.0, 3.0, 2.4, 1.8, 0.9])
        got = array(call(answer, s, (m, n), noise), (5,), "the result")
        if np.allclose(got, _shrunken(s / unit, beta) * unit, rtol=1e-7, atol=1e-9 * unit):
            continue
        where = f"for shape {(m, n)} and noise {noise}"
        rows = noise * m**0.5
        if np.allclose(got, s):
            return not_yet("the values came back as they were.")
        if np.allclose(got, _shrunken(s / rows, n / m) * rows) or np.allclose(got, _shrunken(s / rows, beta) * rows):
            return not_yet(f"{where}: the larger side goes under the root, whether it is the number of rows or not.")
        if np.allclose(got, _shrunken(s / unit, beta)):
            return not_yet("you return g; multiply it by √n σ, in whose units it is.")
        if np.allclose(got, np.where(s / unit > 1 + beta**0.5, s, 0)):
            return not_yet("you keep the values above the noise as they are; they are too large by then.")
        if (got[s / unit <= 1 + beta**0.5] != 0).any():
            return not_yet(f"{where}: a value inside the noise, up to (1 + √β)√n σ, should become 0.")
        return not_yet(f"{where} the first value {s[0]:.4g} becomes {got[0]:.4g}; check g(y) and its units.")
    return right("square, tall and wide, with noise of any size.")


def _shrunken(y: Array, beta: float) -> Array:
    root = np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0)
    result: Array = np.where(y > 1 + beta**0.5, np.sqrt(root) / y, 0.0)
    return result
