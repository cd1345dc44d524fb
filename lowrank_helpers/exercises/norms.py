"""Checkers for the exercises of chapter 1, Norms."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right

Product = Callable[[NDArray[np.float64]], NDArray[np.float64]]


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
def two_by_two(answer: object) -> str:
    """Check the nuclear and the spectral norm of [[2, 2], [-1, 2]], in this order."""
    nuclear, spectral = array(answer, (2,), "the list of the two norms")
    if np.allclose([nuclear, spectral], [5, 3]):
        return right("the axes are stretched by 3 and by 2, with the product 6 = |det A|.")
    if np.allclose([nuclear, spectral], [3, 5]):
        return not_yet("the other order: the nuclear norm is never the smaller one.")
    if np.isclose(nuclear, 25):
        return not_yet("that is the square of the nuclear norm; the root is due.")
    if np.isclose(nuclear, 1):
        return not_yet("you subtracted 2|det A|; that gives the difference of the two stretches, not their sum.")
    if np.isclose(nuclear, np.sqrt(19), atol=0.01):
        return not_yet("the formula has 2|det A|, not |det A|.")
    if np.isclose(nuclear, 5) and np.isclose(spectral, 2):
        return not_yet("the nuclear norm is right; of the two stretches you took the smaller.")
    if np.isclose(nuclear, 5) and np.isclose(spectral, np.sqrt(13), atol=0.01):
        return not_yet("the nuclear norm is right, but the second number is the Frobenius norm.")
    if np.isclose(nuclear, 5):
        return not_yet("the nuclear norm is right; the spectral norm is the larger of two numbers with that sum.")
    return not_yet("put the squared Frobenius norm and the determinant into the formula of part 2.")


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


PRODUCTS = 4000  # as many as one answer may ask for


class _Machine:
    """A matrix that can only be multiplied with vectors, from either side, and counts how often that was done."""

    __array_ufunc__ = None  # so that y @ A comes here

    def __init__(self, shape: tuple[int, int], ahead: Product, back: Product, done: list[int] | None = None) -> None:
        self.shape, self._ahead, self._back, self._done = shape, ahead, back, [0] if done is None else done

    @property
    def T(self) -> "_Machine":
        return _Machine(self.shape[::-1], self._back, self._ahead, self._done)

    def __matmul__(self, x: object) -> NDArray[np.float64]:
        if not isinstance(x, np.ndarray) or x.shape != (self.shape[1],):
            raise TypeError(f"A can only be multiplied by one vector at a time, here of {self.shape[1]} numbers.")
        self._done[0] += 1
        if self._done[0] > PRODUCTS:
            raise RuntimeError(f"{PRODUCTS} products have been used up; a loop over all columns takes too many.")
        return self._ahead(x)

    def __rmatmul__(self, y: object) -> NDArray[np.float64]:
        return self.T @ y

    def __array__(self, *_: object, **__: object) -> NDArray[np.float64]:
        raise TypeError("A is known by its products alone; no routine that wants its entries can be called.")


def _machine(A: NDArray[np.float64]) -> _Machine:
    """A small matrix of which only the products are shown."""
    shape: tuple[int, int] = A.shape
    return _Machine(shape, lambda x: A @ x, lambda y: A.T @ y)


def _crowded(m: int, n: int) -> _Machine:
    """An m×n matrix, m > n, that stretches n perpendicular directions by 1 to 2 in even steps."""
    rng, stretches = np.random.default_rng(1), np.linspace(1, 2, n)
    left, right_ = (rng.standard_normal(size) for size in (m, n))

    def mirror(u: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x - u * (2 * (u @ x) / (u @ u))

    def ahead(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return mirror(left, np.concatenate([stretches * mirror(right_, x), np.zeros(m - n)]))

    def back(y: NDArray[np.float64]) -> NDArray[np.float64]:
        return mirror(right_, stretches * mirror(left, y)[:n])

    return _Machine((m, n), ahead, back)


@checker
def power_iteration(answer: object) -> str:
    """Check a function that returns the spectral norm, to half a per cent, of a matrix given by its products."""
    A = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])

    def off(M: _Machine, norm: float) -> float:
        with np.errstate(all="ignore"):
            return abs(number(call(answer, M)) / norm - 1)

    with np.errstate(all="ignore"):
        value = number(call(answer, _machine(A)))
    if np.isclose(value, 18, rtol=5e-3):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] you return the square of the spectral norm.")
    if np.isclose(value, np.sqrt(22), rtol=5e-3):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] you return the Frobenius norm.")
    if not np.isclose(value, np.sqrt(18), rtol=5e-3):
        return not_yet("on [[3, 1], [1, 3], [1, 1]] the result is not the largest stretch.")
    if off(_machine(A.T.copy()), np.sqrt(18)) > 5e-3:
        return not_yet("it fails on the wide matrix [[3, 1, 1], [1, 3, 1]].")
    if off(_machine(np.array([[1.0, -1.0]])), np.sqrt(2)) > 5e-3:
        return not_yet("it fails on [[1, -1]]: is your starting vector orthogonal to the direction that is stretched?")
    if off(_machine(np.array([[0.0, 2.0], [-1.0, 0.0]])), 2) > 5e-3:
        return not_yet("it fails on [[0, 2], [-1, 0]], which has no real eigenvalue: iterate with AᵀA, not with A.")
    if number(call(answer, _machine(np.zeros((3, 2))))) != 0:
        return not_yet("the zero matrix should give 0.")
    for size in (1e100, 1e-100):
        try:
            good = off(_machine(size * A), size * np.sqrt(18)) <= 5e-3
        except NotYet:
            good = False
        if not good:
            return not_yet(f"with all entries multiplied by {size:g} it fails: squares overflow or vanish on the way.")
    if (error := off(_crowded(30_000, 20_000), 2)) > 5e-3:
        return not_yet(f"where many stretches lie close to the largest you are off by {error:.1%}: go on for longer.")
    return right("tall, wide, rotating, zero, huge and tiny matrices all come out, and one without a gap.")


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
