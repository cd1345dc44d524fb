"""Rank: the numerical one, a factorisation that shows it, and how many numbers a matrix of rank r is."""

import math
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64


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
    A = _checks.matrix(A)
    rtol = _checks.relative_tolerance(rtol, A)
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
    A = _checks.matrix(A)
    k = _checks.exponent(A)
    C, R = rank_one_elimination(np.ldexp(A, -k), _checks.relative_tolerance(rtol, A))
    return RankFactorization(_checks.times_power(C, k, "C"), R)


def rank_one_elimination(A: Array, rtol: float) -> RankFactorization[Any]:
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
    m, n = _checks.shape(m, n)
    got = f"for an m×n matrix of shape ({m}, {n})"
    r = _checks.integer(rank, 0, min(m, n), "rank", limit="min(m, n)", got=got)
    return r * (m + n - r)
