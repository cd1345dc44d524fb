"""Norms of vectors and matrices: of the entries, and of the singular values, which LAPACK computes."""

import math

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array


def vector_norm(x: ArrayLike, p: float = 2) -> float:
    """Return the p-norm ``(Σ |xᵢ|ᵖ)^(1/p)`` of a vector; for p = inf the largest ``|xᵢ|``.

    Neither large nor small entries overflow or underflow on the way.

    Parameters
    ----------
    x : array_like, shape (n,)
        Real vector.
    p : float, default 2
        At least 1, or inf. Below 1 the triangle inequality fails, so there is no norm.

    Returns
    -------
    float
        ‖x‖ₚ.

    Raises
    ------
    TypeError, ValueError
        If x is not a dense real vector, or is empty, or has NaN or infinite entries, or p is not a number ≥ 1.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins 2013, section 2.2.

    Examples
    --------
    >>> from lowrank_helpers.linalg import vector_norm
    >>> vector_norm([3.0, -4.0]), vector_norm([3.0, -4.0], 1), vector_norm([3.0, -4.0], np.inf)
    (5.0, 7.0, 4.0)
    """
    return _p_norm(_checks.vector(x), _checks.norm_order(p))


def frobenius_norm(A: ArrayLike) -> float:
    """Return the Frobenius norm of a matrix, the root of the sum of its squared entries.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.

    Returns
    -------
    float
        ‖A‖_F.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins 2013, section 2.3.

    Examples
    --------
    >>> from lowrank_helpers.linalg import frobenius_norm
    >>> frobenius_norm([[1.0, 2.0], [2.0, 4.0]])
    5.0
    """
    return _p_norm(_checks.matrix(A), 2)


def spectral_norm(A: ArrayLike) -> float:
    """Return the spectral norm of a matrix, the largest ‖A x‖₂ over unit x: the largest singular value.

    LAPACK computes all singular values (``scipy.linalg.svdvals``).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.

    Returns
    -------
    float
        ‖A‖₂ = σ₁.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries.

    References
    ----------
    G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., Johns Hopkins 2013, sections 2.3 and 2.4.

    Examples
    --------
    >>> from lowrank_helpers.linalg import spectral_norm
    >>> round(spectral_norm([[3.0, 0.0], [0.0, -4.0]]), 12)
    4.0
    """
    return _schatten(_checks.matrix(A), math.inf)


def nuclear_norm(A: ArrayLike) -> float:
    """Return the nuclear norm of a matrix, the sum of its singular values.

    It is the dual of the spectral norm: the largest tr(AᵀB) over ‖B‖₂ ≤ 1. LAPACK computes the singular values
    (``scipy.linalg.svdvals``).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.

    Returns
    -------
    float
        ‖A‖_* = σ₁ + … + σ_p.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries.

    References
    ----------
    R. Bhatia, *Matrix Analysis*, Springer 1997, section IV.2.

    Examples
    --------
    >>> from lowrank_helpers.linalg import nuclear_norm
    >>> round(nuclear_norm([[3.0, 0.0], [0.0, -4.0]]), 12)
    7.0
    """
    return _ky_fan(_checks.matrix(A), None)


def schatten_norm(A: ArrayLike, p: float) -> float:
    """Return the Schatten p-norm of a matrix, the p-norm of its singular values.

    p = 1 is the nuclear norm, p = 2 the Frobenius norm, p = inf the spectral norm. LAPACK computes the singular
    values (``scipy.linalg.svdvals``).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    p : float
        At least 1, or inf.

    Returns
    -------
    float
        (Σ σᵢᵖ)^(1/p).

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or p is not a number ≥ 1.

    References
    ----------
    R. Bhatia, *Matrix Analysis*, Springer 1997, section IV.2.

    Examples
    --------
    >>> from lowrank_helpers.linalg import schatten_norm
    >>> round(schatten_norm([[3.0, 0.0], [0.0, 4.0]], 2), 12)
    5.0
    """
    A = _checks.matrix(A)
    return _schatten(A, _checks.norm_order(p))


def ky_fan_norm(A: ArrayLike, k: int) -> float:
    """Return the Ky Fan k-norm of a matrix, the sum of its k largest singular values.

    k = 1 is the spectral norm, k = min(m, n) the nuclear norm. LAPACK computes the singular values
    (``scipy.linalg.svdvals``).

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    k : int
        Between 1 and min(m, n).

    Returns
    -------
    float
        σ₁ + … + σ_k.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or k is out of bounds.

    References
    ----------
    K. Fan, Maximum properties and inequalities for the eigenvalues of completely continuous operators, *Proc.
    Nat. Acad. Sci. USA* 37 (1951), 760–766.

    Examples
    --------
    >>> from lowrank_helpers.linalg import ky_fan_norm
    >>> round(ky_fan_norm([[3.0, 0.0], [0.0, 4.0]], 1), 12)
    4.0
    """
    A = _checks.matrix(A)
    return _ky_fan(A, _checks.rank(k, A.shape, "k"))


def _p_norm(x: Array, p: float) -> float:
    size = np.abs(x).ravel().astype(np.float64)  # p may be above the range of float32
    largest = float(size.max())
    if largest == 0 or p == math.inf:
        return largest
    total = float(((size / largest) ** p).sum())
    return _norm(largest * total ** (1 / p), 0)


def _schatten(A: Array, p: float) -> float:
    """The p-norm of the singular values."""
    s, k = _singular_values(A)
    return _norm(_p_norm(s, p), k)


def _ky_fan(A: Array, count: int | None) -> float:
    """The sum of so many singular values, the largest; None: of all."""
    s, k = _singular_values(A)
    return _norm(float(s[:count].sum()), k)


def _singular_values(A: Array) -> tuple[Array, int]:
    """Those of A times 2⁻ᵏ, and k: A may be so large that a sum or a singular value is above the range of its dtype."""
    k = _checks.exponent(A)
    return scipy.linalg.svdvals(np.ldexp(A, -k)).astype(np.float64), k


def _norm(x: float, k: int) -> float:
    """2ᵏ x, or an error where float64 ends."""
    return float(_checks.times_power(np.array(x), k, "the norm"))
