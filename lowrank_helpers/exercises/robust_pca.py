"""Checkers for the exercises of chapter 12, robust PCA."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right


@checker
def by_hand(answer: object) -> str:
    """Check the entry (1, 2) of the matrix with rows (2, 1), (1, 2) after singular value thresholding by 2."""
    value = number(answer)
    if np.isclose(value, 0.5, atol=0.004):
        return right("one direction is left, and it has paid 2 of its 3.")
    if np.isclose(value, 1.5, atol=0.004):
        return not_yet("that is the hard threshold: what is kept has to be lowered as well.")
    if np.isclose(value, 0, atol=0.004):
        return not_yet("you shrank the entries; shrink the singular values.")
    if np.isclose(value, 1, atol=0.004):
        return not_yet("1 is the singular value that is left; its direction has entries too.")
    if np.isclose(value, -0.5, atol=0.004):
        return not_yet("you kept the direction of the smaller singular value.")
    return not_yet("find the two singular values and their directions, and lower the values by 2.")


@checker
def negative(answer: object) -> str:
    """Check the least n at which the certificate repairs one negative error in an n × n table of ones."""
    value = number(answer)
    if value != int(value):
        return not_yet("a number of rows is a whole number.")
    if value == 5:
        return right("at n = 4 the norm of W is exactly 1, and the certificate has no room.")
    if value == 4:
        return not_yet("there ‖W‖₂ is exactly 1; the theorem asks for less. A positive error is easier.")
    if value < 4:
        return not_yet("the norm of W exceeds 1 there; the sign of the error is opposite to that of UVᵀ.")
    return not_yet("a smaller table is enough; solve ‖W‖₂ < 1 for n, with λ = 1/√n.")


@checker
def bound(answer: object) -> str:
    """Check a function (Y, M, lam) that returns the best lower bound of the minimum among the multiples of Y."""
    rng = np.random.default_rng(7)
    M = rng.standard_normal((6, 5))
    U, _, Vt = np.linalg.svd(M, full_matrices=False)
    for Y, lam in (
        (3 * U @ Vt, 0.9),
        (5 * np.sign(M), 0.05),
        (0.01 * U @ Vt, 0.6),
        (np.sign(M) + U @ Vt, 0.4),
        (-2 * U @ Vt, 0.9),
        (0 * M, 0.4),
    ):
        value = number(call(answer, Y, M, lam))
        inner = float((Y * M).sum())
        spectral, largest = float(np.linalg.norm(Y, 2)), float(np.abs(Y).max()) / lam
        size = max(spectral, largest)
        exact = abs(inner) / size if size > 0 else 0.0
        if np.isclose(value, exact, rtol=1e-7, atol=1e-12):
            continue
        if size > 1 and np.isclose(value, inner):
            return not_yet("Y need not be admitted as it comes: its spectral norm or an entry may be too large.")
        if size > 0 and np.isclose(value, abs(inner) / max(1.0, size)):
            return not_yet("that is a lower bound, but a Y with room to spare can be scaled up.")
        if size > 0 and np.isclose(value, -exact):
            return not_yet("−Y is admitted with Y, and gives the better bound here.")
        if np.isclose(value * spectral, abs(inner)):
            return not_yet("the spectral norm is now 1, but an entry exceeds λ.")
        if np.isclose(value * largest, abs(inner)):
            return not_yet("the entries are now at most λ, but the spectral norm exceeds 1.")
        if value > exact:
            return not_yet("that is more than an admitted multiple of Y proves.")
        return not_yet("a larger multiple of Y is admitted; which of the two conditions binds?")
    return right("any Y gives a bound, however it was found.")


@checker
def columns(answer: object) -> str:
    """Check a function (A, tau) that returns the proximal map of the sum of the lengths of the columns."""
    A = np.array([[3.0, 0.3, 0.0, -1.0], [4.0, 0.4, 0.0, 2.0], [0.0, 0.0, 0.0, -2.0]])
    for tau in (1.0, 2.5, 0.0):
        X = array(call(answer, A, tau), A.shape)
        length = np.linalg.norm(A, axis=0)
        scale = np.maximum(length - tau, 0) / np.where(length > 0, length, 1)
        if np.allclose(X, A * scale, atol=1e-9):
            continue
        if np.allclose(X, np.sign(A) * np.maximum(np.abs(A) - tau, 0), atol=1e-9):
            return not_yet("you shrank the entries one by one; a column keeps its direction.")
        if np.allclose(X, A * (length > tau), atol=1e-9):
            return not_yet("that is the hard threshold: what is kept has to be shortened as well.")
        rows = np.linalg.norm(A, axis=1, keepdims=True)
        if np.allclose(X, A * np.maximum(rows - tau, 0) / np.where(rows > 0, rows, 1), atol=1e-9):
            return not_yet("you shrank the rows.")
        if np.allclose(X, A * (length - tau) / np.where(length > 0, length, 1), atol=1e-9):
            return not_yet("a column shorter than τ must become zero, not turn round.")
        return not_yet("each column should keep its direction and lose τ of its length, down to zero.")
    return right("each column is shortened by τ, those that are shorter vanish.")
