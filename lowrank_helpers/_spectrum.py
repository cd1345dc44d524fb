"""What singular values tell: the functions of `svd` that need nothing else, to be imported from there."""

from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers._norms import ky_fan, schatten

Norm: TypeAlias = Literal["frobenius", "spectral", "nuclear"]


@overload
def energy(s: NDArray[F]) -> NDArray[F]: ...
@overload
def energy(s: Float64) -> NDArray[np.float64]: ...
def energy(s: ArrayLike) -> NDArray[Any]:
    """Return the share of the energy Σ σᵢ² that the first r singular values hold, for r = 1, …, p.

    The relative Frobenius error of the truncation to rank r is the root of 1 less this share: 90 % of the energy
    leave an error of 32 %.

    Parameters
    ----------
    s : array_like, shape (p,)
        Singular values: non-negative, in descending order, not all zero.

    Returns
    -------
    ndarray, shape (p,)
        Shares, ascending to exactly 1, in the dtype of s; entry r − 1 belongs to rank r.

    Raises
    ------
    TypeError, ValueError
        If s is not a vector of singular values, or has NaN or infinite entries, or is all zero (0/0).

    Examples
    --------
    >>> from lowrank_helpers.svd import energy
    >>> print(energy([3.0, 1.0]))
    [0.9 1. ]
    """
    s = _checks.singular_values(s, "energy")
    if s[0] == 0:
        raise ValueError(
            "energy: s must have a positive value; got zeros only, whose shares are 0/0. "
            "For the error of a zero matrix use tail_error."
        )
    total = np.cumsum((s / s[0]) ** 2, dtype=np.float64)
    shares: Array = (total / total[-1]).astype(s.dtype)
    return shares


def tail_error(s: ArrayLike, rank: int, *, norm: Norm = "frobenius") -> float:
    """Return the error of a best approximation of this rank, which the singular values beyond it determine.

    Frobenius: the root of the sum of their squares. Spectral: the first of them. Nuclear: their sum.

    Parameters
    ----------
    s : array_like, shape (p,)
        All singular values of the matrix: non-negative, in descending order.
    rank : int
        r, between 0 (the error is the norm of the matrix) and p (no error).
    norm : {"frobenius", "spectral", "nuclear"}, default "frobenius"
        The norm in which the error is measured.

    Returns
    -------
    float
        ‖M − M_r‖.

    Raises
    ------
    TypeError, ValueError
        If s is not a vector of singular values, or has NaN or infinite entries, or rank or norm is out of
        bounds.

    References
    ----------
    L. Mirsky, Symmetric gauge functions and unitarily invariant norms, *Quart. J. Math.* 11 (1960), 50–59.

    Examples
    --------
    >>> from lowrank_helpers.svd import tail_error
    >>> round(tail_error([3.0, 2.0, 1.0], 1) ** 2, 12), tail_error([3.0, 2.0, 1.0], 1, norm="spectral")
    (5.0, 2.0)
    """
    s = _checks.singular_values(s, "tail_error")
    r = _checks.integer(rank, 0, len(s), "tail_error", "rank", limit="len(s)")
    errors = _tail_errors(s, _checks.choice(norm, get_args(Norm), "tail_error", "norm"))
    return float(_checks.in_range(errors[r : r + 1], "tail_error", "the error")[0])


def _tail_errors(s: Array, norm: str) -> Array:
    """The errors of all ranks, 0 to p; np.hypot neither overflows nor underflows on the way."""
    s = s.astype(np.float64)
    if norm != "spectral":
        add = np.hypot if norm == "frobenius" else np.add
        with np.errstate(over="ignore"):  # an error above the range of float64 is infinite
            s = add.accumulate(s[::-1])[::-1]
    return np.append(s, 0.0)


def rank_for_error(s: ArrayLike, tolerance: float, *, norm: Norm = "frobenius", relative: bool = True) -> int:
    """Return the smallest rank whose best approximation has an error of at most the tolerance.

    Parameters
    ----------
    s : array_like, shape (p,)
        All singular values of the matrix: non-negative, in descending order.
    tolerance : float
        At least 0: relative to the norm of the matrix, and then below 1, or an absolute error.
    norm : {"frobenius", "spectral", "nuclear"}, default "frobenius"
        The norm in which the error is measured.
    relative : bool, default True
        Whether the tolerance is multiplied by the norm of the matrix.

    Returns
    -------
    int
        r, between 0 and p. It is 0 where the zero matrix is good enough: for an absolute tolerance from the norm of the
        matrix on, or a zero matrix.

    Raises
    ------
    TypeError, ValueError
        If s is not a vector of singular values, or has NaN or infinite entries, or another argument is out of
        bounds.

    References
    ----------
    L. Mirsky, Symmetric gauge functions and unitarily invariant norms, *Quart. J. Math.* 11 (1960), 50–59.

    Examples
    --------
    >>> from lowrank_helpers.svd import rank_for_error
    >>> rank_for_error([3.0, 2.0, 1.0], 0.5), rank_for_error([3.0, 2.0, 1.0], 2.5, relative=False)
    (2, 1)
    """
    s = _checks.singular_values(s, "rank_for_error")
    relative = _checks.flag(relative, "rank_for_error", "relative")
    below = 1.0 if relative else None  # from 1 on the zero matrix would do: whoever writes that means an absolute error
    step = "It is relative to the norm of the matrix; for an absolute error pass relative=False." if relative else ""
    tolerance = _checks.number(tolerance, "rank_for_error", "tolerance", least=0.0, below=below, step=step)
    s = s.astype(np.float64)
    k = _checks.excess(s, room=32)  # sums of the largest numbers would be infinite
    errors = _tail_errors(np.ldexp(s, -k), _checks.choice(norm, get_args(Norm), "rank_for_error", "norm"))
    with np.errstate(over="ignore"):
        allowed = tolerance * errors[0] if relative else np.ldexp(tolerance, -k)
    return int((errors <= allowed).argmax())


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
    >>> from lowrank_helpers.svd import schatten_norm
    >>> round(schatten_norm([[3.0, 0.0], [0.0, 4.0]], 2), 12)
    5.0
    """
    A = _checks.matrix(A, "schatten_norm")
    return schatten(A, _checks.norm_order(p, "schatten_norm"), "schatten_norm")


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
    >>> from lowrank_helpers.svd import ky_fan_norm
    >>> round(ky_fan_norm([[3.0, 0.0], [0.0, 4.0]], 1), 12)
    4.0
    """
    A = _checks.matrix(A, "ky_fan_norm")
    return ky_fan(A, _checks.rank(k, A.shape, "ky_fan_norm", "k"), "ky_fan_norm")
