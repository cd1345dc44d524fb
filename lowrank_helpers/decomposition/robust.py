"""Robust PCA: a matrix as a sum of one of low rank and a sparse one, by principal component pursuit.

Minimise ‖L‖_* + λ‖S‖₁ subject to L + S = A, where ‖S‖₁ is the sum of the magnitudes of all entries. The dual problem is
to maximise ⟨A, Y⟩ subject to ‖Y‖₂ ≤ 1 and |y_ij| ≤ λ: such a Y proves how far from the minimum L and S are at most.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers._iterate import Iterate, iterate

_RELAXATION = 1.6  # between 0 and 2; above 1 it saves about a third of the iterations


@dataclass(frozen=True)
class RobustPCAResult(Generic[F]):
    """What `robust_pca` found, A ≈ L + S.

    Attributes
    ----------
    L, S : ndarray, shape (m, n)
        The part of low rank and the sparse part, in the dtype of A.
    rank : int
        That of L: the singular values beyond it are exactly 0 but for the rounding of the product.
    penalty : float
        λ.
    objective : ndarray of float64, shape (k,)
        ‖L‖_* + λ‖A − L‖₁ after each iteration. The minimum lies between objective · (1 − gap) and objective.
    gap : ndarray of float64, shape (k,)
        Certified relative distance to the minimum after each iteration, from a feasible Y of the dual problem.
    residual : ndarray of float64, shape (k,)
        ‖A − L − S‖_F / ‖A‖_F after each iteration.
    converged : bool
        Whether the last gap and the last residual are within the tolerance.
    """

    L: NDArray[F]
    S: NDArray[F]
    rank: int
    penalty: float
    objective: NDArray[np.float64]
    gap: NDArray[np.float64]
    residual: NDArray[np.float64]
    converged: bool


@overload
def singular_value_threshold(A: NDArray[F], level: float) -> NDArray[F]: ...
@overload
def singular_value_threshold(A: Float64, level: float) -> NDArray[np.float64]: ...
def singular_value_threshold(A: ArrayLike, level: float) -> NDArray[Any]:
    """Lower all singular values of A by the level, those below it to zero.

    This is the proximal map of the nuclear norm: the X that minimises ½‖X − A‖_F² + level · ‖X‖_*. It is soft: what is
    kept shrinks too, unlike in a truncation.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    level : float
        τ ≥ 0, in the units of the singular values.

    Returns
    -------
    ndarray, shape (m, n)
        U diag(max(s − τ, 0)) Vᵀ, in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix with finite entries, or level is not a number from 0, or the result is out of
        the range of its dtype.

    References
    ----------
    J.-F. Cai, E. J. Candès and Z. Shen, A singular value thresholding algorithm for matrix completion, *SIAM J.
    Optim.* 20 (2010), 1956–1982, Theorem 2.1.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import singular_value_threshold
    >>> print(np.round(singular_value_threshold([[3.0, 0.0], [0.0, 1.0]], 2.0), 6) + 0)
    [[1. 0.]
     [0. 0.]]
    """
    A = _checks.matrix(A)
    level = _checks.number(level, "level", least=0.0)
    k = _checks.excess(A)
    U, s, Vt = scipy.linalg.svd(np.ldexp(A, -k), full_matrices=False)
    with np.errstate(over="ignore"):  # an infinite level lowers all to zero, as it should
        shrunk = np.maximum(s - np.ldexp(level, -k), 0).astype(A.dtype)
    r = int((shrunk > 0).sum())
    return _checks.times_power((U[:, :r] * shrunk[:r]) @ Vt[:r], k)


@overload
def robust_pca(
    A: NDArray[F],
    *,
    penalty: float | None = ...,
    tolerance: float = ...,
    max_iterations: int = ...,
    progress: bool | None = ...,
) -> RobustPCAResult[F]: ...
@overload
def robust_pca(
    A: Float64,
    *,
    penalty: float | None = ...,
    tolerance: float = ...,
    max_iterations: int = ...,
    progress: bool | None = ...,
) -> RobustPCAResult[np.float64]: ...
def robust_pca(
    A: ArrayLike,
    *,
    penalty: float | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 2000,
    progress: bool | None = None,
) -> RobustPCAResult[Any]:
    """Split A into a matrix L of low rank and a sparse S by principal component pursuit.

    The alternating direction method of multipliers (an augmented Lagrangian, minimised over S and then over L, one step
    each) with a fixed step μ, for which it converges from any start, and over-relaxation. Methods that raise μ in each
    iteration stop sooner, at L + S = A, but not in general at the minimum. Computed in float64.

    L is recovered exactly if its singular vectors are spread over many entries and the non-zero entries of S are at
    random places and not too many. An L that is itself sparse, or an S that is itself of low rank, such as a whole
    corrupted column, cannot be told apart from the other part. Dense noise goes where it costs less, and neither part
    is exact.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    penalty : float, optional
        λ > 0, the price of S. Default 1/√max(m, n). From 1 on S is zero; up to 1/√(mn) L is.
    tolerance : float, default 1e-6
        Stop when the certified relative gap to the minimum and the relative residual are both at most this. Between
        1e-10 and 1.
    max_iterations : int, default 2000
        At least 1. An easy matrix needs a hundred; close to where recovery fails it can be a thousand.
    progress : bool, optional
        Whether to draw a bar with the gap. Default: on a terminal.

    Returns
    -------
    RobustPCAResult
        L, S, their history, and whether it converged. After an interrupt from the keyboard: what there is by then.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix with finite entries, or an option is out of bounds, or the result out of the
        range of its dtype.

    Warns
    -----
    RuntimeWarning
        If max_iterations were not enough; the result has converged=False.

    References
    ----------
    E. J. Candès, X. Li, Y. Ma and J. Wright, Robust principal component analysis?, *J. ACM* 58 (2011), article 11,
    Theorem 1.1 and Section 5; S. Boyd et al., Distributed optimization and statistical learning via the alternating
    direction method of multipliers, *Found. Trends Mach. Learn.* 3 (2011), 1–122, Sections 3.1 and 3.4.3.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import robust_pca
    >>> L = np.outer(np.arange(1.0, 21.0), np.ones(20))
    >>> S = np.zeros((20, 20))
    >>> S[3, 5], S[11, 2] = 40.0, -25.0
    >>> found = robust_pca(L + S)
    >>> found.rank, found.converged, bool(abs(found.S - S).max() < 1e-3)
    (1, True, True)
    """
    A = _checks.matrix(A)
    if penalty is not None:
        penalty = _checks.number(penalty, "penalty", above=0.0, step="It is λ, the price of S.")
    tolerance = _checks.number(tolerance, "tolerance", least=1e-10, below=1.0)
    max_iterations = _checks.integer(max_iterations, 1, None, "max_iterations")
    price = 1 / math.sqrt(max(A.shape)) if penalty is None else penalty
    return _pursue(A, price, tolerance, max_iterations, progress)


def _pursue(
    A: Array, price: float, tolerance: float, max_iterations: int, progress: bool | None
) -> RobustPCAResult[Any]:
    dtype, k = A.dtype, _checks.exponent(A) - 1
    A = np.ldexp(A.astype(np.float64), -k)  # no rounding, no overflow
    zero: Array = np.zeros_like(A)
    start = _Split(zero, zero, 0, ())
    found, objective, converged = iterate(_splits(A, price, tolerance), start, max_iterations, progress)
    gaps, residuals = np.array(found.distances, dtype=np.float64).reshape(-1, 2).T
    with np.errstate(over="ignore"):
        L, S = np.ldexp(found.L, k).astype(dtype), np.ldexp(found.S, k).astype(dtype)
    return RobustPCAResult(
        L=_checks.in_range(L, "L"),
        S=_checks.in_range(S, "S"),
        rank=found.rank,
        penalty=price,
        objective=_checks.times_power(objective, k, "objective"),
        gap=gaps,
        residual=residuals,
        converged=converged,
    )


class _Split(NamedTuple):
    """The two parts, the rank of the first, and gap and residual after each iteration."""

    L: Array
    S: Array
    rank: int
    distances: Sequence[tuple[float, float]]


def _splits(A: Array, price: float, tolerance: float) -> Iterator[Iterate[_Split]]:
    """Alternate between the parts, by the method of multipliers with over-relaxation; a matrix of zeros is split."""
    size = float(np.linalg.norm(A))
    if size == 0:
        return
    L: Array = np.zeros_like(A)
    if price > 1:  # then the Y that proves A = A + 0 to be the minimum is within the bounds: ‖Y‖₂ ≤ 1
        s = np.linalg.svd(A, compute_uv=False)
        rank = int((s > max(A.shape) * np.finfo(np.float64).eps * s[0]).sum())
        yield Iterate(_Split(A, L, rank, [(0.0, 0.0)]), float(s.sum()), True, "")
        return
    Y = L
    distances: list[tuple[float, float]] = []
    step = A.size / (2 * float(np.abs(A).sum()))  # μ: its inverse is twice the mean magnitude
    while True:
        S = _shrink(A - L + Y / step, price / step)
        H = _RELAXATION * S + (1 - _RELAXATION) * (A - L)
        Z = A - H + Y / step
        L, nuclear, rank = _shrink_spectrum(Z, 1 / step, 0.01 * tolerance)
        Y = step * (Z - L)  # ‖Y‖₂ ≤ 1: what the shrinking took away
        primal = nuclear + price * float(np.abs(A - L).sum())
        dual = float((A * Y).sum()) / max(1.0, float(np.abs(Y).max()) / price)
        gap, residual = (primal - dual) / primal, float(np.linalg.norm(A - L - S)) / size
        distances.append((gap, residual))
        yield Iterate(
            _Split(L, S, rank, distances),
            primal,
            max(gap, residual) <= tolerance,
            f"relative gap {gap:.1e} and residual {residual:.1e}, above tolerance = {tolerance:.1e}. "
            "Raise max_iterations or tolerance.",
        )


def _shrink(X: Array, level: float) -> Array:
    """Move every entry towards zero by the level, those within it to zero."""
    return np.sign(X) * np.maximum(np.abs(X) - level, 0)


def _shrink_spectrum(X: Array, level: float, accuracy: float) -> tuple[Array, float, int]:
    """Return X with its singular values lowered by the level, their sum, and their number above zero.

    By the eigenvectors of the Gram matrix, which takes a fraction of the time of an SVD of a tall or wide X. They
    mix singular vectors by up to eps (σ₁/level)²; where that is more than the accuracy asked for, by LAPACK's SVD.
    """
    if X.shape[0] < X.shape[1]:
        wide, nuclear, rank = _shrink_spectrum(X.T, level, accuracy)
        return wide.T, nuclear, rank
    eigenvalues, V = np.linalg.eigh(X.T @ X)
    if np.finfo(X.dtype).eps * eigenvalues[-1] <= accuracy * level**2:
        V = V[:, eigenvalues > level**2]
        US = X @ V
        s = np.sqrt((US**2).sum(axis=0))
        U = US / s
    else:
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        V = Vt.T
    shrunk = np.maximum(s - level, 0)
    r = shrunk > 0
    return (U[:, r] * shrunk[r]) @ V[:, r].T, float(shrunk.sum()), int(r.sum())
