"""What the singular values alone tell: energy, and how large the error of a rank, or the rank for an error, is."""

from typing import Any, Literal, TypeAlias, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64

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
    s = _checks.singular_values(s)
    if s[0] == 0:
        raise _checks.invalid(
            "s must have a positive value; got zeros only, whose shares are 0/0. "
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
    s = _checks.singular_values(s)
    r = _checks.integer(rank, 0, len(s), "rank", limit="len(s)")
    errors = _tail_errors(s, _checks.choice(norm, get_args(Norm), "norm"))
    return float(_checks.in_range(errors[r : r + 1], "the error")[0])


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
    s = _checks.singular_values(s)
    relative = _checks.flag(relative, "relative")
    below = 1.0 if relative else None  # from 1 on the zero matrix would do: whoever writes that means an absolute error
    step = "It is relative to the norm of the matrix; for an absolute error pass relative=False." if relative else ""
    tolerance = _checks.number(tolerance, "tolerance", least=0.0, below=below, step=step)
    s = s.astype(np.float64)
    k = _checks.excess(s, room=32)  # sums of the largest numbers would be infinite
    errors = _tail_errors(np.ldexp(s, -k), _checks.choice(norm, get_args(Norm), "norm"))
    with np.errstate(over="ignore"):
        allowed = tolerance * errors[0] if relative else np.ldexp(tolerance, -k)
    return int((errors <= allowed).argmax())
