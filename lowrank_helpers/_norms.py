"""The norms of `linalg`, where they are to be imported from."""

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
    return _p_norm(_checks.vector(x, "vector_norm"), _checks.norm_order(p, "vector_norm"), "vector_norm")


def _p_norm(x: Array, p: float, function: str) -> float:
    size = np.abs(x).ravel().astype(np.float64)  # p may be above the range of float32
    largest = float(size.max())
    if largest == 0 or p == math.inf:
        return largest
    total = float(((size / largest) ** p).sum())
    return _norm(largest * total ** (1 / p), 0, function)


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
    return _p_norm(_checks.matrix(A, "frobenius_norm"), 2, "frobenius_norm")


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
    return schatten(_checks.matrix(A, "spectral_norm"), math.inf, "spectral_norm")


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
    return ky_fan(_checks.matrix(A, "nuclear_norm"), None, "nuclear_norm")


def schatten(A: Array, p: float, function: str) -> float:
    """The p-norm of the singular values."""
    s, k = _singular_values(A)
    return _norm(_p_norm(s, p, function), k, function)


def ky_fan(A: Array, count: int | None, function: str) -> float:
    """The sum of so many singular values, the largest; None: of all."""
    s, k = _singular_values(A)
    return _norm(float(s[:count].sum()), k, function)


def _singular_values(A: Array) -> tuple[Array, int]:
    """Those of A times 2⁻ᵏ, and k: A may be so large that a sum or a singular value is above the range of its dtype."""
    k = _checks.exponent(A)
    return scipy.linalg.svdvals(np.ldexp(A, -k)).astype(np.float64), k


def _norm(x: float, k: int, function: str) -> float:
    """2ᵏ x, or an error where float64 ends."""
    return float(_checks.times_power(np.array(x), k, function, "the norm"))
