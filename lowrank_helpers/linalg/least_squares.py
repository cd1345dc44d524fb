"""Least squares: the pseudo-inverse, solutions of least norm, and those under a penalty."""

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.linalg.factorizations import back_substitution, forward_substitution, householder_qr
from lowrank_helpers.linalg.rank import rank_one_elimination


@overload
def pinv(A: NDArray[F], *, rtol: float | None = ...) -> NDArray[F]: ...
@overload
def pinv(A: Float64, *, rtol: float | None = ...) -> NDArray[np.float64]: ...
def pinv(A: ArrayLike, *, rtol: float | None = None) -> NDArray[Any]:
    """Return the Moore–Penrose pseudo-inverse A⁺.

    From a rank factorisation A = C R follows A⁺ = R⁺ C⁺. With the QR factorisations C = Q S and Rᵀ = P T it
    is A⁺ = P T⁻ᵀ S⁻¹ Qᵀ. Neither AᵀA nor CᵀC is formed, which would square the condition number.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix of any rank; a zero matrix has a zero pseudo-inverse.
    rtol : float, optional
        Decides the rank, as in `rank_factorization`.

    Returns
    -------
    ndarray, shape (n, m)
        A⁺ in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or rtol is out of bounds.

    References
    ----------
    R. Penrose, A generalized inverse for matrices, *Proc. Cambridge Phil. Soc.* 51 (1955), 406–413, Theorem 1.

    Examples
    --------
    >>> from lowrank_helpers.linalg import pinv
    >>> print(np.round(pinv([[1.0, 2.0], [2.0, 4.0]]), 3))
    [[0.04 0.08]
     [0.08 0.16]]
    """
    A = _checks.matrix(A)
    rtol = _checks.relative_tolerance(rtol, A)
    return _minimum_norm(A, None, rtol)


def _minimum_norm(A: Array, M: Array | None, rtol: float) -> Array:
    """A⁺ M by the rank factorisation A = C R, of A and M both brought to a size of about 1; A⁺ if M is None."""
    k, j = _checks.exponent(A), 0 if M is None else _checks.exponent(M)
    X = _scaled_minimum_norm(np.ldexp(A, -k), None if M is None else np.ldexp(M, -j), rtol)
    return _checks.times_power(X, j - k)


def _scaled_minimum_norm(A: Array, M: Array | None, rtol: float) -> Array:
    C, R = rank_one_elimination(A, rtol)
    if C.shape[1] == 0:
        return np.zeros_like(A.T) if M is None else np.zeros((A.shape[1], *M.shape[1:]), dtype=np.result_type(A, M))
    Q, S = householder_qr(C)
    P, T = householder_qr(R.T)
    with np.errstate(over="ignore", invalid="ignore"):  # of a tiny pivot that rtol allows; it shows in X
        Y = back_substitution(S, Q.T if M is None else Q.T @ M)  # Y = C⁺ M
        X: Array = P @ forward_substitution(T.T, Y)  # X = R⁺ Y
    return X


@overload
def lstsq(A: NDArray[F], M: NDArray[F], *, rtol: float | None = ...) -> NDArray[F]: ...
@overload
def lstsq(A: ArrayLike, M: Float64, *, rtol: float | None = ...) -> NDArray[np.float64]: ...
@overload
def lstsq(A: Float64, M: ArrayLike, *, rtol: float | None = ...) -> NDArray[np.float64]: ...
def lstsq(A: ArrayLike, M: ArrayLike, *, rtol: float | None = None) -> NDArray[Any]:
    """Return A⁺ M: the X of least norm among all X that minimise ‖A X − M‖_F.

    Computed as in `pinv`, without forming A⁺. Full column rank, full row rank or neither, it is one formula.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix of any rank.
    M : array_like, shape (m,) or (m, k)
        One right-hand side, or k of them as columns.
    rtol : float, optional
        Decides the rank of A, as in `rank_factorization`.

    Returns
    -------
    ndarray, shape (n,) or (n, k)
        X; float32 if both A and M are, float64 otherwise.

    Raises
    ------
    TypeError, ValueError
        If A or M is not dense and real, or is empty, or has NaN or infinite entries, or if their numbers of rows
        differ, or rtol is out of bounds.

    References
    ----------
    R. Penrose, On best approximate solutions of linear matrix equations, *Proc. Cambridge Phil. Soc.* 52
    (1956), 17–19.

    Examples
    --------
    >>> from lowrank_helpers.linalg import lstsq
    >>> print(np.round(lstsq([[1.0, 1.0]], [4.0]), 3))
    [2. 2.]
    """
    A = _checks.matrix(A)
    M = _checks.right_hand_side(M, len(A), "M")
    return _minimum_norm(A, M, _checks.relative_tolerance(rtol, A))


@overload
def tikhonov(A: NDArray[F], M: NDArray[F], lam: float) -> NDArray[F]: ...
@overload
def tikhonov(A: ArrayLike, M: Float64, lam: float) -> NDArray[np.float64]: ...
@overload
def tikhonov(A: Float64, M: ArrayLike, lam: float) -> NDArray[np.float64]: ...
def tikhonov(A: ArrayLike, M: ArrayLike, lam: float) -> NDArray[Any]:
    """Return the one X that minimises ‖A X − M‖²_F + lam ‖X‖²_F.

    This is the least-squares problem of A stacked on √lam I, with M stacked on zeros; AᵀA + lam I is not
    formed. As lam goes to 0, X goes to A⁺ M; once √lam is below the rounding of A, X is A⁺ M to rounding.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix of any rank.
    M : array_like, shape (m,) or (m, k)
        One right-hand side, or k of them as columns.
    lam : float
        Positive; in the units of A squared.

    Returns
    -------
    ndarray, shape (n,) or (n, k)
        X; float32 if both A and M are, float64 otherwise.

    Raises
    ------
    TypeError, ValueError
        If A or M is not dense and real, or is empty, or has NaN or infinite entries, or if their numbers of rows
        differ, or lam is not a positive number.

    References
    ----------
    A. E. Hoerl and R. W. Kennard, Ridge regression, *Technometrics* 12 (1970), 55–67.

    Examples
    --------
    >>> from lowrank_helpers.linalg import tikhonov
    >>> print(np.round(tikhonov([[1.0], [1.0]], [3.0, 3.0], 1.0), 3))
    [2.]
    """
    A = _checks.matrix(A)
    M = _checks.right_hand_side(M, len(A), "M")
    lam = _checks.number(lam, "lam", above=0.0, step="For lam = 0 use lstsq.")
    n, root = A.shape[1], math.sqrt(lam)
    k = max(_checks.exponent(A), math.frexp(root)[1])
    stacked = np.vstack([np.ldexp(A, -k), math.ldexp(root, -k) * np.eye(n, dtype=A.dtype)])
    right = np.concatenate([M, np.zeros((n, *M.shape[1:]), dtype=M.dtype)])
    # Householder's QR factorisation rounds each row by its own size only if large rows come first.
    order = np.argsort(-np.abs(stacked).max(axis=1), kind="stable")
    X = _minimum_norm(stacked[order], right[order], _checks.relative_tolerance(None, stacked))
    return _checks.times_power(X, -k)
