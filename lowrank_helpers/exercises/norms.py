"""Checkers for the exercises of chapter 1, Norms."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right, shape_of


@checker
def by_hand(answer: object) -> str:
    """Check the nuclear norm of [[0, 2], [-1, 0]]."""
    value = number(answer)
    if np.isclose(value, 3):
        return right("no rotation or reflection can do better, and one of them attains it.")
    if np.isclose(value, 2):
        return not_yet("that is the spectral norm, the largest stretch; the nuclear norm collects all directions.")
    if np.isclose(value, np.sqrt(5), atol=0.02):
        return not_yet("that is the Frobenius norm; the nuclear norm is never smaller, and here it is larger.")
    if np.isclose(value, 0):
        return not_yet("that is the trace of A, and no norm of this A is 0.")
    if np.isclose(value, 1):
        return not_yet("you added the entries with their signs; B may choose its own signs.")
    return not_yet("bound b₁₂ and b₂₁ by the spectral norm of B, then look for a B that attains both bounds at once.")


@checker
def column_lengths(answer: object) -> str:
    """Check a function that returns the Euclidean lengths of the columns of a matrix."""
    A = np.array([[3.0, 1.0], [4.0, 2.0], [0.0, 2.0]])
    value = call(answer, A)
    if shape_of(value) == (3,):
        return not_yet("a matrix of shape (3, 2) has two columns, but three numbers came: these belong to the rows.")
    lengths = array(value, (2,), "the vector of lengths")
    if np.allclose(lengths, [25, 9]):
        return not_yet("these are the squares of the lengths.")
    if np.allclose(lengths, [7, 5]):
        return not_yet("these are sums of absolute entries; the Euclidean length squares them.")
    if not np.allclose(lengths, np.linalg.norm(A, axis=0)):
        return not_yet("the numbers are not the lengths of the columns; try a matrix with one column first.")
    square = np.array([[1.0, 2.0], [0.0, 0.0]])
    if not np.allclose(array(call(answer, square), (2,)), [1, 2]):
        return not_yet("it works for a tall matrix, but not for the square [[1, 2], [0, 0]].")
    return right("rows and columns are told apart, and the root is there.")


@checker
def largest_entry(answer: object) -> str:
    """Check the smallest factor that makes the largest entry submultiplicative, for n = 7."""
    value = number(answer)
    if np.isclose(value, 7):
        return right("the matrix of ones needs this much and no matrix needs more.")
    if np.isclose(value, np.sqrt(7), atol=0.02):
        return not_yet("the root is too small: compare c·μ(JJ) with (c·μ(J))² for the matrix J of ones.")
    if np.isclose(value, 1):
        return not_yet("with the factor 1 the matrix of ones is a counter-example.")
    if np.isclose(value, 49):
        return not_yet("large enough, but a smaller one will do: each entry of AB is a sum of n products, not n².")
    if value > 7:
        return not_yet("that factor works, but it is not the smallest.")
    return not_yet("that factor is too small: try the product of two matrices of ones.")


@checker
def power_iteration(answer: object) -> str:
    """Check a function that returns the spectral norm of any real matrix."""
    A = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
    value = number(call(answer, A))
    if np.isclose(value, 18, rtol=1e-3):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] you return the square of the spectral norm.")
    if np.isclose(value, np.sqrt(22), rtol=1e-3):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] you return the Frobenius norm.")
    if not np.isclose(value, np.sqrt(18), rtol=1e-6):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] the result is not the largest stretch.")
    if not np.isclose(number(call(answer, A.T.copy())), np.sqrt(18), rtol=1e-6):
        return not_yet("it fails on the wide matrix [[3, 1, 1], [1, 3, 1]].")
    if not np.isclose(number(call(answer, np.array([[1.0, -1.0]]))), np.sqrt(2), rtol=1e-6):
        return not_yet("it fails on [[1, -1]]: is your starting vector orthogonal to the direction that is stretched?")
    if not np.isclose(number(call(answer, np.array([[0.0, 2.0], [-1.0, 0.0]]))), 2, rtol=1e-6):
        return not_yet("it fails on [[0, 2], [-1, 0]], which has no real eigenvalue: iterate with AᵀA, not with A.")
    if number(call(answer, np.zeros((3, 2)))) != 0:
        return not_yet("the zero matrix should give 0.")
    return right("tall, wide, rotating and zero matrices all come out.")


@checker
def chance(answer: object) -> str:
    """Check the limit of the spectral norm over the root of n, for square Gaussian matrices."""
    value = number(answer)
    if abs(value - 2) < 0.051:
        return right("square Gaussian matrices stretch by twice the root of their size.")
    if abs(value - 1) < 0.051:
        return not_yet("that would be the typical length of a column over √n; some direction is stretched more.")
    if abs(value - 4) < 0.051:
        return not_yet("that is the limit of the square; take the norm itself.")
    return not_yet("average several draws at n = 400 and divide the spectral norm by √n.")
