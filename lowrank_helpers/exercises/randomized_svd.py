"""Checkers for the exercises of chapter 7, randomised SVD."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]


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
        if where == "singular values 1/i":
            other = call(answer, A, tol, np.random.default_rng(7))
            if shape_of(other) == shape and np.allclose(Q @ (Q.T @ other), other, atol=1e-6):
                return not_yet("two generators gave the same Q: build it from random mixtures, not from an SVD of A.")
    return right("the tolerance is met, with few columns to spare, down to errors near the rounding.")


@checker
def one_column(answer: object) -> str:
    """Check the expected squared error of one column after one power iteration, for diag(2, 1) and rank 1."""
    value = number(answer)
    if np.isclose(value, 4 / 3, rtol=1e-3):
        return right("a third above the least, where the plain sketch is twice the least.")
    if np.isclose(value, 2, rtol=1e-3):
        return not_yet("that is the plain sketch, σ₁σ₂.")
    if np.isclose(value, 1 / 3, rtol=1e-3):
        return not_yet("that is the excess over the least value; add the least value.")
    if np.isclose(value, 1, rtol=1e-3):
        return not_yet("that is the least value, for a sketch that hits the first singular vector.")
    if np.isclose(value, 8 / 5, rtol=1e-3):
        return not_yet("each power iteration multiplies by A twice, so the sketch has σ³ where you have σ².")
    if np.isclose(value, 12 / 11, rtol=1e-3):
        return not_yet("that is after two iterations.")
    if np.isclose(value, 68 / 65, rtol=1e-3):
        return not_yet("that is the error for g = h; average over all directions.")
    if np.isclose(value, (4 / 3) ** 0.5, rtol=1e-3):
        return not_yet("the squared error is asked for, without a root.")
    return not_yet("put a = σ₁³ and b = σ₂³ into the sketch, and leave the σ of A in the error as they are.")


@checker
def nystrom(answer: object) -> str:
    """Check a function (multiply, Omega) that returns F with F Fᵀ = Y (ΩᵀY)⁺ Yᵀ from the one product Y = A Ω."""
    rng = np.random.default_rng(11)
    cases: dict[str, tuple[Array, Array, int]] = {
        "a matrix of 80 rows": (rng.standard_normal((80, 4)), 0.5 ** np.arange(80.0), 7),
        "a matrix whose rank is below the number of columns": (rng.standard_normal((60, 3)), np.zeros(60), 8),
        "a matrix of 50 000 rows": (rng.standard_normal((50_000, 4)), 1 / np.arange(1.0, 50_001), 9),
    }
    for where, (W, d, ell) in cases.items():
        Omega = rng.standard_normal((len(d), ell))
        asked: list[int] = []

        def multiply(X: ArrayLike, W: Array = W, d: Array = d, ell: int = ell, asked: list[int] = asked) -> Array:
            X = np.asarray(X, dtype=float)
            width = X.shape[1] if X.ndim == 2 else 1
            asked.append(width)
            if len(asked) > 1 or width > ell:
                raise ValueError("multiply was called too often, or with too many columns.")
            product: Array = W @ (W.T @ X) + (d * X.T).T
            return product

        try:
            result = call(answer, multiply, Omega)
        finally:
            if len(asked) > 1:
                raise NotYet(f"for {where} you multiplied more than once: A goes by a single time.")
            if asked and asked[0] > ell:
                raise NotYet(f"for {where} you multiplied {asked[0]} columns; {ell} are allowed, those of Ω.")
        shape = shape_of(result)
        if len(shape) != 2 or shape[0] != len(d) or shape[1] > ell:
            return not_yet(f"F should have {len(d)} rows and at most {ell} columns, but has the shape {shape}.")
        F, Y = array(result, shape, "F"), W @ (W.T @ Omega) + (d * Omega.T).T
        C, z = Omega.T @ Y, np.random.default_rng(12).standard_normal((len(d), 3))
        best = Y @ (np.linalg.pinv(C, rcond=1e-10) @ (Y.T @ z))
        got = F @ (F.T @ z)
        if np.allclose(got, best, atol=1e-6 * np.abs(best).max()):
            continue
        if np.allclose(got, Y @ (Y.T @ z)):
            return not_yet("F Fᵀ is Y Yᵀ; the small matrix ΩᵀY stands between the two.")
        half = Y @ np.linalg.pinv(C, rcond=1e-10)
        if np.allclose(got, half @ (half.T @ z), atol=1e-6 * np.abs(best).max()):
            return not_yet("each of the two factors takes a square root of (ΩᵀY)⁺, not the whole.")
        return not_yet(f"for {where} F Fᵀ is not Y (ΩᵀY)⁺ Yᵀ.")
    return right("one product, a small matrix, and its root.")


def _with_spectrum(s: ArrayLike, m: int, n: int, rng: np.random.Generator) -> Array:
    s = np.asarray(s, dtype=float)
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    A: Array = (U * s) @ V.T
    return A
