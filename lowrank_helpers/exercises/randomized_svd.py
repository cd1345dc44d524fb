"""Checkers for the exercises of chapter 7, randomised SVD."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]


@checker
def passes(answer: object) -> str:
    """Check the seconds that two power iterations spend reading 80 GB at 2 GB a second."""
    value = number(answer)
    if np.isclose(value, 240, rtol=0.02):
        return right("six passes of forty seconds; the arithmetic can hide behind the reading.")
    if np.isclose(value, 200, rtol=0.02):
        return not_yet("that is five passes: you left out the one for QᵀA at the end.")
    if np.isclose(value, 80, rtol=0.02):
        return not_yet(
            "that is one pass for each power iteration; each iteration needs A and Aᵀ, and there is a start."
        )
    if np.isclose(value, 160, rtol=0.02):
        return not_yet("those are the passes of the two iterations alone; A Ω and QᵀA come on top.")
    if np.isclose(value, 120, rtol=0.02):
        return not_yet("that is three passes, or six in single precision; the numbers have eight bytes each.")
    if np.isclose(value, 40, rtol=0.02):
        return not_yet("that is a single pass.")
    if np.isclose(value, 30, rtol=0.02):
        return not_yet("you read one byte a number; in double precision a number has eight.")
    return not_yet("count the bytes of A, divide by the speed, and multiply by the number of products with A or Aᵀ.")


@checker
def columns(answer: object) -> str:
    """Check the least ℓ for which r = 20 has an expected squared error of at most 1.25 times the least one."""
    value = number(answer)
    if value == 101:
        return right("20/(101 − 21) is exactly a quarter.")
    if value == 81:
        return not_yet("that is the oversampling; the question is about all columns of Ω.")
    if value == 100:
        return not_yet("one too few: the denominator is ℓ − r − 1, not ℓ − r.")
    if value == 99:
        return not_yet("the denominator is ℓ − r − 1, not ℓ − r + 1.")
    if value in (56, 57):
        return not_yet("that allows the error itself, not its square, to be 1.25 times the least one.")
    if value != int(value):
        return not_yet("a number of columns is a whole number.")
    return not_yet("ask when r/(ℓ − r − 1) is at most a quarter.")


@checker
def adaptive(answer: object) -> str:
    """Check a function (A, tol, rng) that returns an orthonormal Q with ‖A − QQᵀA‖_F ≤ tol and few columns."""
    rng = np.random.default_rng(5)
    cases = {
        "singular values 1/2ⁱ": (_with_spectrum(0.5 ** np.arange(40), 80, 60, rng), 1e-3),
        "singular values down to 1e-12 and a tolerance of 1e-9": (
            _with_spectrum(10.0 ** (-np.arange(40) / 3), 60, 80, rng),
            1e-9,
        ),
        "a matrix of rank 3": (_with_spectrum(np.array([3.0, 2.0, 1.0]), 30, 50, rng), 1e-8),
        "singular values 1/i": (_with_spectrum(1 / np.arange(1.0, 41), 80, 60, rng), 0.3),
    }
    for where, (A, tol) in cases.items():
        result = call(answer, A, tol, np.random.default_rng(6))
        shape = shape_of(result)
        if len(shape) != 2 or shape[0] != len(A):
            return not_yet(f"Q should have {len(A)} rows, as A has, but your result has the shape {shape}.")
        Q = array(result, shape, "Q")
        if not np.allclose(Q.T @ Q, np.eye(shape[1]), atol=1e-8):
            return not_yet(
                f"for {where} the columns of Q are not orthonormal; orthogonalise against the old ones twice."
            )
        error = np.linalg.norm(A - Q @ (Q.T @ A))
        if error > tol * (1 + 1e-6):
            return not_yet(f"for {where} the error is {error:.1e}, above the tolerance {tol:.0e}.")
        s = np.linalg.svd(A, compute_uv=False)
        tails = np.sqrt(np.cumsum(s[::-1] ** 2)[::-1])
        least = int((tails > tol).sum())
        if shape[1] > 2 * least + 16:
            return not_yet(
                f"for {where} you return {shape[1]} columns where {least} are enough: stop when it is reached."
            )
    return right("the tolerance is met, with few columns to spare, down to errors near the rounding.")


@checker
def one_pass(answer: object) -> str:
    """Check a function (blocks, Omega, Psi) that approximates a matrix from one pass over its rows."""
    rng = np.random.default_rng(7)
    A = _with_spectrum(0.7 ** np.arange(20), 40, 30, rng)
    Omega, Psi = rng.standard_normal((30, 6)), rng.standard_normal((13, 40))
    Q = np.linalg.qr(A @ Omega)[0]
    best = Q @ np.linalg.lstsq(Psi @ Q, Psi @ A, rcond=None)[0]

    def blocks() -> Iterator[Array]:
        for start, stop in ((0, 5), (5, 6), (6, 20), (20, 40)):
            yield A[start:stop].copy()

    result = call(answer, blocks(), Omega, Psi)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise NotYet("return a pair, Q and X.")
    basis, X = array(result[0], (40, 6), "Q"), array(result[1], (6, 30), "X")
    if not np.allclose(basis.T @ basis, np.eye(6), atol=1e-8):
        return not_yet("the columns of Q are not orthonormal.")
    approximation = basis @ X
    if np.allclose(approximation, best, atol=1e-8):
        return right("two sketches from one pass are enough.")
    if np.allclose(approximation, Q @ (Q.T @ A), atol=1e-8):
        return not_yet("that is QQᵀA, which needs the rows a second time; use Ψ A in place of A.")
    if np.allclose(approximation, Q @ ((Psi @ Q).T @ (Psi @ A)), atol=1e-8):
        return not_yet("Ψ Q has no orthonormal columns: use its pseudo-inverse, not its transpose.")
    return not_yet("it is not Q (ΨQ)⁺ Ψ A; does each block meet the columns of Ψ that belong to its rows?")


def _with_spectrum(s: ArrayLike, m: int, n: int, rng: np.random.Generator) -> Array:
    s = np.asarray(s, dtype=float)
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    A: Array = (U * s) @ V.T
    return A
