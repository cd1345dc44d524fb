"""Checkers for the exercises of chapter 19, past one machine."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call_with_peak, checker, not_yet, number, right


@checker
def bill(answer: object) -> str:
    """Check how many numbers a randomised SVD sends, for 50 machines, n = 1000, ℓ = 50, r = 40 and q = 1."""
    value = number(answer)
    machines, n, ell, r, q = 50, 1000, 50, 40, 1
    sums, triangles, rotation = (2 * q + 1) * n * ell, 2 * (q + 1) * ell**2, ell * r
    whole = sums + triangles + rotation
    if value == machines * whole:
        return right("the hundred million rows have no part in it.")
    if value == whole:
        return not_yet("that is for one machine.")
    if value in (machines * sums, machines * (sums + triangles), machines * (sums + rotation)):
        return not_yet("the sums are there; a term, triangles or the last rotation, is missing.")
    if value == machines * (whole + n * ell):
        return not_yet("Ω is not sent: each machine draws it from the seed.")
    if value == machines * (whole - (q + 1) * ell**2):
        return not_yet("a triangle goes up, and a block of the same size comes back.")
    if value == 8 * machines * whole:
        return not_yet("those are bytes; the question is for numbers.")
    if value > 1e9:
        return not_yet("that is of the size of the table: its rows stay where they are.")
    return not_yet("count for one machine what goes up and what comes down, in each iteration and at the end.")


def _parts() -> Iterator[NDArray[np.float64]]:
    """300 blocks of 200 rows and 12 columns, with singular values from 1 to 1e-11 in all; one of them has 5 rows."""
    rng = np.random.default_rng(11)
    V = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    weights = 10.0 ** -np.arange(12)
    for i in range(300):
        height = 5 if i == 7 else 200
        yield (rng.standard_normal((height, 12)) * weights) @ V.T


@checker
def triangle(answer: object) -> str:
    """Check a function (blocks) that returns the triangle of the blocks' stack, from an iterator over them."""
    few = [np.array([[3.0, 1.0]]), np.array([[4.0, 2.0], [0.0, 1.0]])]
    for blocks in (few, few[::-1], [np.array([[-2.0, 1.0], [0.0, -3.0]])]):
        stack = np.vstack(blocks)
        R = array(call_with_peak(answer, iter(blocks))[0], (2, 2), "R")
        if not np.allclose(R.T @ R, stack.T @ stack):
            return not_yet("RᵀR is not the Gram matrix of all rows; does every block count, also one of a single row?")
        if not np.allclose(np.tril(R, -1), 0):
            return not_yet("R is not upper triangular.")
        if (np.diag(R) < 0).any():
            return not_yet("the diagonal has a negative entry; turn the sign of that row.")
    result, used = call_with_peak(answer, _parts())
    R = array(result, (12, 12), "R")
    exact = np.linalg.svd(np.vstack(list(_parts())), compute_uv=False)
    found = np.linalg.svd(R, compute_uv=False)
    if not np.isclose(found[-1], exact[-1], rtol=0.01, atol=0):
        return not_yet("the smallest singular value has lost its digits, as it does in a Gram matrix.")
    if used > 1_500_000:  # all blocks are 5.7 MB, all triangles 0.35 MB, a block and a triangle 0.02 MB
        return not_yet(f"{used / 1e6:.1f} MB were held at once: more than a block and two triangles.")
    return right("one triangle stands for all rows that have gone by.")
