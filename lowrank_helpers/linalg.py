"""Norms, rank, the pseudo-inverse and least squares.

All functions take real, dense, finite arrays and leave them as they are. ``float32`` stays ``float32``; integers
and booleans are computed in ``float64``; what the dtype of a result cannot hold is a ValueError. Norms are Python
floats. The norms that need singular values, and `numerical_rank`, take them from LAPACK through
``scipy.linalg.svdvals``; the rest is computed here from scratch.
"""

import math
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers._norms import frobenius_norm as frobenius_norm
from lowrank_helpers._norms import nuclear_norm as nuclear_norm
from lowrank_helpers._norms import spectral_norm as spectral_norm
from lowrank_helpers._norms import vector_norm as vector_norm
from lowrank_helpers.factorizations import _back, _forward, householder_qr


class RankFactorization(NamedTuple, Generic[F]):
    """Rank factorisation A = C R of an m×n matrix of rank r.

    Attributes
    ----------
    C : ndarray, shape (m, r)
        Independent columns, which span the column space of A.
    R : ndarray, shape (r, n)
        Independent rows, which span the row space of A.
    """

    C: NDArray[F]
    R: NDArray[F]


def numerical_rank(A: ArrayLike, *, rtol: float | None = None) -> int:
    """Count the singular values of A above rtol · σ₁.

    The rank of a matrix of rounded numbers is decided by a tolerance. With the default one a matrix that is
    A itself up to rounding counts as A. LAPACK computes the singular values (``scipy.linalg.svdvals``).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    rtol : float, optional
        At least 0 and below 1; default max(m, n) times the machine epsilon of A's dtype, as in numpy.

    Returns
    -------
    int
        The numerical rank; 0 for a zero matrix.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or rtol is out of bounds.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins 2013, section 5.4.

    Examples
    --------
    >>> from lowrank_helpers.linalg import numerical_rank
    >>> numerical_rank([[1.0, 2.0], [2.0, 4.0]]), numerical_rank(np.diag([1.0, 1e-3]), rtol=0.01)
    (1, 1)
    """
    A = _checks.matrix(A, "numerical_rank")
    rtol = _checks.relative_tolerance(rtol, A, "numerical_rank")
    s = scipy.linalg.svdvals(np.ldexp(A, -_checks.exponent(A)))  # which cannot overflow
    return int((s > rtol * s[0]).sum())


@overload
def rank_factorization(A: NDArray[F], *, rtol: float | None = ...) -> RankFactorization[F]: ...
@overload
def rank_factorization(A: Float64, *, rtol: float | None = ...) -> RankFactorization[np.float64]: ...
def rank_factorization(A: ArrayLike, *, rtol: float | None = None) -> RankFactorization[Any]:
    """Factor A = C R, m×r times r×n, by rank-one elimination with complete pivoting.

    Each step takes the largest entry of what is left, E, as its pivot E[i, j], and subtracts column j times
    row i over the pivot; this empties row i and column j, and lowers the rank by exactly one (Wedderburn). After
    r steps nothing is left, and the columns and rows that were subtracted are C and R.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix of any rank, 0 included.
    rtol : float, optional
        Elimination stops when no entry left exceeds rtol times the longest row or column of A. At least 0 and
        below 1; default max(m, n) times the machine epsilon of A's dtype.

    Returns
    -------
    RankFactorization
        The pair (C, R) in the dtype of A; C.shape[1] is the rank that was found, 0 for a zero matrix. Near the
        tolerance it can differ from `numerical_rank`, which looks at singular values, not at pivots.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or rtol is out of bounds.

    References
    ----------
    R. A. Horn and C. R. Johnson, *Matrix Analysis*, 2nd ed., Cambridge 2013, section 0.4.6 (rank factorisation);
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Lecture 21 (complete pivoting).

    Examples
    --------
    >>> from lowrank_helpers.linalg import rank_factorization
    >>> C, R = rank_factorization([[1, 2, 3], [2, 4, 6]])
    >>> C.shape, R.shape, (C @ R).tolist()
    ((2, 1), (1, 3), [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    """
    A = _checks.matrix(A, "rank_factorization")
    k = _checks.exponent(A)
    C, R = _rank_one_elimination(np.ldexp(A, -k), _checks.relative_tolerance(rtol, A, "rank_factorization"))
    return RankFactorization(_checks.times_power(C, k, "rank_factorization", "C"), R)


def _rank_one_elimination(A: Array, rtol: float) -> RankFactorization[Any]:
    m, n = A.shape
    E = A.copy()
    columns, rows = [], []
    threshold = rtol * _longest(A)
    for _ in range(min(m, n)):
        i, j = np.unravel_index(int(np.abs(E).argmax()), (m, n))
        pivot = E[i, j]
        if abs(pivot) <= threshold:
            break
        c, r = E[:, j].copy(), E[i] / pivot
        E -= np.outer(c, r)
        E[i], E[:, j] = 0, 0  # what they are without rounding
        columns.append(c)
        rows.append(r)
    k = len(columns)
    C = np.array(columns, dtype=A.dtype).reshape(k, m).T
    return RankFactorization(C, np.array(rows, dtype=A.dtype).reshape(k, n))


def _longest(A: Array) -> float:
    """The length of the longest row or column, which lies between the largest entry, about 1, and σ₁."""
    squares = A**2
    return math.sqrt(max(squares.sum(axis=0).max(), squares.sum(axis=1).max()))


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
    A = _checks.matrix(A, "pinv")
    rtol = _checks.relative_tolerance(rtol, A, "pinv")
    return _minimum_norm(A, np.eye(len(A), dtype=A.dtype), rtol, "pinv")


def _minimum_norm(A: Array, M: Array, rtol: float, function: str) -> Array:
    """A⁺ M by the rank factorisation A = C R, of A and M both brought to a size of about 1."""
    k, j = _checks.exponent(A), _checks.exponent(M)
    X = _scaled_minimum_norm(np.ldexp(A, -k), np.ldexp(M, -j), rtol)
    return _checks.times_power(X, j - k, function)


def _scaled_minimum_norm(A: Array, M: Array, rtol: float) -> Array:
    C, R = _rank_one_elimination(A, rtol)
    if C.shape[1] == 0:
        return np.zeros((A.shape[1], *M.shape[1:]), dtype=np.result_type(A, M))
    Q, S = householder_qr(C)
    P, T = householder_qr(R.T)
    with np.errstate(over="ignore", invalid="ignore"):  # of a tiny pivot that rtol allows; it shows in X
        Y = _back(S, Q.T @ M)  # Y = C⁺ M
        X: Array = P @ _forward(T.T, Y)  # X = R⁺ Y
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
    A = _checks.matrix(A, "lstsq")
    M = _checks.right_hand_side(M, len(A), "lstsq", "M")
    return _minimum_norm(A, M, _checks.relative_tolerance(rtol, A, "lstsq"), "lstsq")


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
    A = _checks.matrix(A, "tikhonov")
    M = _checks.right_hand_side(M, len(A), "tikhonov", "M")
    lam = _checks.number(lam, "tikhonov", "lam", above=0.0, step="For lam = 0 use lstsq.")
    n, root = A.shape[1], math.sqrt(lam)
    k = max(_checks.exponent(A), math.frexp(root)[1])
    stacked = np.vstack([np.ldexp(A, -k), math.ldexp(root, -k) * np.eye(n, dtype=A.dtype)])
    right = np.concatenate([M, np.zeros((n, *M.shape[1:]), dtype=M.dtype)])
    # Householder's QR factorisation rounds each row by its own size only if large rows come first.
    order = np.argsort(-np.abs(stacked).max(axis=1), kind="stable")
    X = _minimum_norm(stacked[order], right[order], _checks.relative_tolerance(None, stacked, "tikhonov"), "tikhonov")
    return _checks.times_power(X, -k, "tikhonov")


def factor_parameters(m: int, n: int, rank: int) -> int:
    """Return r(m + n), the numbers stored in two factors, m×r and r×n.

    Parameters
    ----------
    m, n : int
        The shape of the product, each at least 1.
    rank : int
        r, at least 0; above min(m, n) it is allowed, since factors can be stored that waste space.

    Returns
    -------
    int
        r(m + n).

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.linalg import factor_parameters
    >>> factor_parameters(1000, 1000, 50)
    100000
    """
    m, n = _shape(m, n, "factor_parameters")
    return _checks.integer(rank, 0, None, "factor_parameters", "rank") * (m + n)


def break_even_rank(m: int, n: int) -> float:
    """Return mn/(m + n): two factors store fewer numbers than their m×n product exactly if r is below it.

    Parameters
    ----------
    m, n : int
        The shape of the matrix, each at least 1.

    Returns
    -------
    float
        mn/(m + n), in general not an integer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.linalg import break_even_rank
    >>> break_even_rank(1000, 1000), break_even_rank(128, 128)
    (500.0, 64.0)
    """
    m, n = _shape(m, n, "break_even_rank")
    return m * n / (m + n)


def degrees_of_freedom(m: int, n: int, rank: int) -> int:
    """Return r(m + n − r), the dimension of the set of m×n matrices of rank r.

    It is r² less than the numbers stored in two factors, because (C G)(G⁻¹ R) is the same matrix for every
    invertible r×r matrix G.

    Parameters
    ----------
    m, n : int
        The shape of the matrix, each at least 1.
    rank : int
        r, between 0 and min(m, n).

    Returns
    -------
    int
        r(m + n − r).

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is out of bounds.

    References
    ----------
    E. J. Candès and B. Recht, Exact matrix completion via convex optimization, *Found. Comput. Math.* 9 (2009),
    717–772, section 1.

    Examples
    --------
    >>> from lowrank_helpers.linalg import degrees_of_freedom
    >>> degrees_of_freedom(3, 2, 1)
    4
    """
    m, n = _shape(m, n, "degrees_of_freedom")
    got = f"for an m×n matrix of shape ({m}, {n})"
    r = _checks.integer(rank, 0, min(m, n), "degrees_of_freedom", "rank", limit="min(m, n)", got=got)
    return r * (m + n - r)


def _shape(m: int, n: int, function: str) -> tuple[int, int]:
    return _checks.integer(m, 1, None, function, "m"), _checks.integer(n, 1, None, function, "n")
