"""QR, LU and Cholesky from scratch, and the triangular solves that put them to work.

All functions take real, dense, finite arrays and leave them as they are. ``float32`` stays ``float32``; integers
and booleans are computed in ``float64``; what the dtype of a result cannot hold is a ValueError. Nothing here calls
LAPACK: for large matrices ``scipy.linalg`` does the same jobs many times faster.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64


class QR(NamedTuple, Generic[F]):
    """Thin QR factorisation A = Q R of an m×n matrix, p = min(m, n).

    Attributes
    ----------
    Q : ndarray, shape (m, p)
        Orthonormal columns.
    R : ndarray, shape (p, n)
        Upper triangular (upper trapezoidal if m < n), with a diagonal ≥ 0.
    """

    Q: NDArray[F]
    R: NDArray[F]


class LU(NamedTuple, Generic[F]):
    """LU factorisation with partial pivoting, A[perm] = L U, of an n×n matrix.

    Attributes
    ----------
    perm : ndarray of int, shape (n,)
        Row i of L U is row perm[i] of A.
    L : ndarray, shape (n, n)
        Unit lower triangular, no entry larger than 1 in magnitude.
    U : ndarray, shape (n, n)
        Upper triangular; its diagonal holds the pivots.
    """

    perm: NDArray[np.intp]
    L: NDArray[F]
    U: NDArray[F]


@overload
def householder_qr(A: NDArray[F]) -> QR[F]: ...
@overload
def householder_qr(A: Float64) -> QR[np.float64]: ...
def householder_qr(A: ArrayLike) -> QR[Any]:
    """Factor A = Q R by Householder reflections.

    Reflection k, I − 2 v vᵀ, maps what is left of column k to a multiple of the first unit vector. Row signs
    are flipped in the end so that the diagonal of R is ≥ 0; for A of full column rank Q and R are then unique.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Tall, wide or square, of any rank.

    Returns
    -------
    QR
        The pair (Q, R), Q of shape (m, p), R of shape (p, n), p = min(m, n), in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Algorithms 10.1 and 10.3; backward error:
    N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, Theorem 19.4.

    Examples
    --------
    >>> from lowrank_helpers.linalg import householder_qr
    >>> Q, R = householder_qr([[3.0, 1.0], [4.0, 3.0]])
    >>> print(np.round(R, 3))
    [[5. 3.]
     [0. 1.]]
    """
    A = _checks.matrix(A)
    k = _checks.excess(A)
    Q, R, _ = householder(np.ldexp(A, -k), pivoting=False)
    signs = np.where(np.diag(R) < 0, -1, 1).astype(R.dtype)
    R = R * signs[:, None] + 0  # + 0 turns −0 into 0
    return QR(Q * signs + 0, _checks.times_power(R, k, "R"))


def householder(A: Array, *, pivoting: bool) -> tuple[Array, Array, NDArray[np.intp]]:
    """Factor A[:, perm] = Q R; with pivoting the longest column left comes next, which sorts R by size."""
    R = A.copy()
    m, n = A.shape
    p, perm = min(m, n), np.arange(n)
    V = np.zeros((m, p), dtype=A.dtype)
    for k in range(p):
        if pivoting:
            longest = k + int((R[k:, k:] ** 2).sum(axis=0).argmax())
            R[:, [k, longest]] = R[:, [longest, k]]
            perm[[k, longest]] = perm[[longest, k]]
        V[k:, k] = v = _reflection(R[k:, k])
        R[k:, k:] -= np.outer(2 * v, v @ R[k:, k:])
    Q = np.eye(m, p, dtype=A.dtype)
    for k in reversed(range(p)):
        v = V[k:, k]
        Q[k:, k:] -= np.outer(2 * v, v @ Q[k:, k:])
    return Q, np.triu(R[:p]), perm


def _reflection(x: Array) -> Array:
    """The unit v for which x − 2 v (vᵀx) is a multiple of e₁; zero where x is one already."""
    if not x[1:].any():
        return np.zeros_like(x)
    v = x / np.abs(x).max()
    v[0] += np.copysign(np.sqrt(v @ v), v[0])  # the sign that adds: no cancellation
    unit: Array = v / np.sqrt(v @ v)
    return unit


@overload
def lu(A: NDArray[F]) -> LU[F]: ...
@overload
def lu(A: Float64) -> LU[np.float64]: ...
def lu(A: ArrayLike) -> LU[Any]:
    """Factor a square A as A[perm] = L U by elimination with partial pivoting.

    Step k swaps the largest entry of what is left of column k to the diagonal and subtracts multiples of row k
    from the rows below. It never fails: where a column has no pivot but 0, the step is skipped and U[k, k] = 0.

    Parameters
    ----------
    A : array_like, shape (n, n)
        Any square matrix, invertible or not.

    Returns
    -------
    LU
        The triple (perm, L, U), L and U in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real square matrix, or is empty, or has NaN or infinite entries.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Algorithm 21.1.

    Examples
    --------
    >>> from lowrank_helpers.linalg import lu
    >>> perm, L, U = lu([[0.0, 2.0], [4.0, 6.0]])
    >>> perm.tolist(), U.tolist()
    ([1, 0], [[4.0, 6.0], [0.0, 2.0]])
    """
    A = _checks.square(A)
    excess, n = _checks.excess(A), len(A)
    U = np.ldexp(A, -excess)
    L, perm = np.eye(n, dtype=U.dtype), np.arange(n)
    for k in range(n):
        pivot = k + int(np.abs(U[k:, k]).argmax())
        perm[[k, pivot]] = perm[[pivot, k]]
        U[[k, pivot], k:] = U[[pivot, k], k:]
        L[[k, pivot], :k] = L[[pivot, k], :k]
        if U[k, k] != 0:
            L[k + 1 :, k] = U[k + 1 :, k] / U[k, k]
            U[k + 1 :, k + 1 :] -= np.outer(L[k + 1 :, k], U[k, k + 1 :])
            U[k + 1 :, k] = 0
    return LU(perm, L, _checks.times_power(U, excess, "U"))


@overload
def cholesky(A: NDArray[F]) -> NDArray[F]: ...
@overload
def cholesky(A: Float64) -> NDArray[np.float64]: ...
def cholesky(A: ArrayLike) -> NDArray[Any]:
    """Factor a symmetric positive definite A as A = L Lᵀ.

    Column k of L is column k of A, less what the columns before explain, divided by the root of its pivot. A
    pivot ≤ 0 proves that A is not positive definite (to rounding).

    Parameters
    ----------
    A : array_like, shape (n, n)
        Symmetric to rounding (10 n eps times its largest entry); the lower triangle is the one that is read.

    Returns
    -------
    ndarray, shape (n, n)
        L, lower triangular with a positive diagonal, in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real square matrix, or is empty, or has NaN or infinite entries.
    ValueError
        If A is not symmetric, or a pivot is ≤ 0; the message names the index of that pivot.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Lecture 23; backward error: N. J. Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, Theorem 10.3.

    Examples
    --------
    >>> from lowrank_helpers.linalg import cholesky
    >>> cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    A = _symmetric(A)
    half = _checks.excess(A) // 2
    A = np.ldexp(A, -2 * half)
    L = np.zeros_like(A)
    for k in range(len(A)):
        column = A[k:, k] - L[k:, :k] @ L[k, :k]
        pivot = column[0]
        if pivot <= 0:
            raise _checks.invalid(
                f"A must be positive definite; got pivot {np.ldexp(pivot, 2 * half):.6g} at index {k}. "
                "If A is a covariance or a kernel, add a small multiple of the identity; otherwise use lu."
            )
        L[k:, k] = column / np.sqrt(pivot)
    return np.ldexp(L, half)


def _symmetric(A: ArrayLike) -> Array:
    """Read a square matrix that is symmetric to rounding."""
    A = _checks.square(A)
    unit = np.ldexp(A, -_checks.exponent(A))  # the difference of two large entries could be infinite
    gap = np.abs(unit - unit.T)
    if gap.max() > 10 * len(A) * np.finfo(A.dtype).eps * np.abs(unit).max():
        i, j = (int(k) for k in np.unravel_index(int(gap.argmax()), gap.shape))
        raise _checks.invalid(
            f"A must be symmetric; got A[{i}, {j}] = {float(A[i, j]):.6g} and A[{j}, {i}] = "
            f"{float(A[j, i]):.6g}. If these should be equal, pass (A + A.T) / 2."
        )
    return A


@overload
def solve_lower(L: NDArray[F], b: NDArray[F]) -> NDArray[F]: ...
@overload
def solve_lower(L: ArrayLike, b: Float64) -> NDArray[np.float64]: ...
@overload
def solve_lower(L: Float64, b: ArrayLike) -> NDArray[np.float64]: ...
def solve_lower(L: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Solve L x = b for a lower triangular L by forward substitution.

    Parameters
    ----------
    L : array_like, shape (n, n)
        Lower triangular and invertible: zeros above the diagonal, none on it.
    b : array_like, shape (n,) or (n, k)
        One right-hand side, or k of them as columns.

    Returns
    -------
    ndarray, the shape of b
        x; float32 if both L and b are, float64 otherwise.

    Raises
    ------
    TypeError, ValueError
        If L or b is not dense and real, or is empty, or has NaN or infinite entries, or if their shapes differ.
    ValueError
        If L has a nonzero entry above its diagonal, or a zero on it.

    References
    ----------
    N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, Theorem 8.5 (backward
    error of substitution in any order).

    Examples
    --------
    >>> from lowrank_helpers.linalg import solve_lower
    >>> solve_lower([[2.0, 0.0], [1.0, 3.0]], [4.0, 8.0]).tolist()
    [2.0, 2.0]
    """
    L = _triangular(L, "L")
    b = _checks.right_hand_side(b, len(L), "b", of="L")
    return _solved(forward_substitution, L, b)


def _solved(solve: Callable[[Array, Array], Array], T: Array, b: Array) -> Array:
    """Solve with T and b brought to where products have room, and put their powers of two back into x."""
    k, j = _checks.excess(T), _checks.excess(b)
    with np.errstate(over="ignore", invalid="ignore"):
        x = solve(np.ldexp(T, -k), np.ldexp(b, -j))
    return _checks.times_power(x, j - k, "x")


def forward_substitution(L: Array, b: Array) -> Array:
    x = np.zeros(b.shape, dtype=np.result_type(L, b))
    for i in range(len(L)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


@overload
def solve_upper(U: NDArray[F], b: NDArray[F]) -> NDArray[F]: ...
@overload
def solve_upper(U: ArrayLike, b: Float64) -> NDArray[np.float64]: ...
@overload
def solve_upper(U: Float64, b: ArrayLike) -> NDArray[np.float64]: ...
def solve_upper(U: ArrayLike, b: ArrayLike) -> NDArray[Any]:
    """Solve U x = b for an upper triangular U by back substitution.

    Parameters
    ----------
    U : array_like, shape (n, n)
        Upper triangular and invertible: zeros below the diagonal, none on it.
    b : array_like, shape (n,) or (n, k)
        One right-hand side, or k of them as columns.

    Returns
    -------
    ndarray, the shape of b
        x; float32 if both U and b are, float64 otherwise.

    Raises
    ------
    TypeError, ValueError
        If U or b is not dense and real, or is empty, or has NaN or infinite entries, or if their shapes differ.
    ValueError
        If U has a nonzero entry below its diagonal, or a zero on it.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Algorithm 17.1 and Theorem 17.1.

    Examples
    --------
    >>> from lowrank_helpers.linalg import solve_upper
    >>> solve_upper([[3.0, 1.0], [0.0, 2.0]], [8.0, 4.0]).tolist()
    [2.0, 2.0]
    """
    U = _triangular(U, "U")
    b = _checks.right_hand_side(b, len(U), "b", of="U")
    return _solved(back_substitution, U, b)


def back_substitution(U: Array, b: Array) -> Array:
    x = np.zeros(b.shape, dtype=np.result_type(U, b))
    for i in reversed(range(len(U))):
        x[i] = (b[i] - U[i, i + 1 :] @ x[i + 1 :]) / U[i, i]
    return x


def _triangular(T: ArrayLike, name: str) -> Array:
    """Read an invertible triangular matrix; a name L means lower, U upper."""
    T = _checks.square(T, name)
    word, part = ("lower", "np.tril") if name == "L" else ("upper", "np.triu")
    outside = np.triu(T, 1) if name == "L" else np.tril(T, -1)
    if outside.any():
        i, j = (int(k) for k in np.argwhere(outside)[0])
        raise _checks.invalid(
            f"{name} must be {word} triangular; got {name}[{i}, {j}] = {float(T[i, j]):.6g}. "
            f"Pass {part}({name}) if that triangle is to be ignored."
        )
    zero = np.diag(T) == 0
    if zero.any():
        i = int(zero.argmax())
        raise _checks.invalid(
            f"{name} must be invertible; got {name}[{i}, {i}] = 0. For a singular system use linalg.lstsq."
        )
    return T


@overload
def lu_solve(factors: LU[F], b: NDArray[F]) -> NDArray[F]: ...
@overload
def lu_solve(factors: LU[Any], b: Float64) -> NDArray[np.float64]: ...
@overload
def lu_solve(factors: LU[np.float64], b: ArrayLike) -> NDArray[np.float64]: ...
def lu_solve(factors: LU[Any], b: ArrayLike) -> NDArray[Any]:
    """Solve A x = b with the factors that `lu` returned: L U x = b[perm].

    Parameters
    ----------
    factors : LU
        What ``lu(A)`` returned, A invertible; factor once, then solve for as many b as come.
    b : array_like, shape (n,) or (n, k)
        One right-hand side, or k of them as columns.

    Returns
    -------
    ndarray, the shape of b
        x; float32 if both the factors and b are, float64 otherwise.

    Raises
    ------
    TypeError, ValueError
        If factors is no triple (perm, L, U) of fitting shapes, or b is not dense and real, or is empty, or has
        NaN or infinite entries, or has not n rows.
    ValueError
        If U has a zero on its diagonal: then A is singular.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Lecture 21.

    Examples
    --------
    >>> from lowrank_helpers.linalg import lu, lu_solve
    >>> lu_solve(lu([[0.0, 2.0], [4.0, 6.0]]), [2.0, 10.0]).tolist()
    [1.0, 1.0]
    """
    perm, L, U = _lu_factors(factors)
    b = _checks.right_hand_side(b, len(L), "b", of="the factors")
    return _solved(lambda U, b: back_substitution(U, forward_substitution(L, b[perm])), U, b)


def _lu_factors(factors: Any) -> LU[Any]:
    """Read the triple that `lu` returned."""
    if not isinstance(factors, tuple) or len(factors) != 3:
        raise _checks.mistyped(f"factors must be the triple (perm, L, U); got {type(factors).__name__}. Pass lu(A).")
    perm = _checks.array(factors[0], "perm")
    L, U = _triangular(factors[1], "L"), _triangular(factors[2], "U")
    if L.shape != U.shape or perm.dtype.kind not in "iu" or sorted(perm.ravel().tolist()) != [*range(len(L))]:
        raise _checks.invalid(
            f"perm must hold the row numbers 0 … n−1, and L and U be n×n; got perm of shape "
            f"{perm.shape} and dtype {perm.dtype}, L of shape {L.shape}, U of shape {U.shape}. Pass lu(A)."
        )
    return LU(perm, L, U)
