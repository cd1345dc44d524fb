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
def pythagoras(answer: object) -> str:
    """Check the coefficients that replace 74, 51, 40, 30, 26, 25, 23 in square noise whose edge is at 24."""
    seen = np.array([74.0, 51.0, 40.0, 30.0, 26.0, 25.0, 23.0])
    best = np.array([70.0, 45.0, 32.0, 18.0, 10.0, 7.0, 0.0])
    got = array(answer, (7,), "the list of coefficients")
    if np.allclose(got, best, atol=1e-6):
        return right("six triangles with whole sides, and one value inside the noise.")
    if np.allclose(got, seen):
        return not_yet("the values came back as they were.")
    if np.allclose(got, np.where(seen > 12 * 4 / 3**0.5, seen, 0)) or np.allclose(got, np.where(seen > 24, seen, 0)):
        return not_yet("a threshold keeps values whole or not at all; what is asked for are the best coefficients.")
    if np.allclose(got, np.maximum(seen - 24, 0)):
        return not_yet("g is no difference y − 2: it is a side of a triangle.")
    if np.allclose(got, best / 12, atol=1e-2):
        return not_yet("that is g; multiply it by √n σ, in whose units it is.")
    if np.allclose(got, np.sqrt(np.maximum(seen**2 - 12**2, 0)), atol=1e-2):
        return not_yet("the noise ends at 2√n σ where the matrix is square, not at √n σ.")
    if np.allclose(got, np.sqrt(seen**2 + 24**2), atol=1e-2):
        return not_yet("what we see is the longest side of the triangle, and the signal one of the others.")
    if np.allclose(got[:6], best[:6], atol=1e-6):
        return not_yet("what becomes of a value inside the noise?")
    return not_yet("each value is the hypotenuse of a right triangle in which the edge of the noise, 2√n σ, is a leg.")
