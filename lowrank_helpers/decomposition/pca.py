"""Principal component analysis: the truncated SVD of a centred data matrix, whose rows are samples.

X ≈ mean + scale · (scores @ components), entry by entry in each feature. With U diag(s) Vᵀ the SVD of the centred
(and scaled) X, the scores are U diag(s), the components Vᵀ and the variances sᵢ²/(m − 1).
"""

from dataclasses import dataclass
from typing import Any, Generic, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.svd import SVDFactors, fix_signs


@dataclass(frozen=True)
class PCAResult(Generic[F]):
    """What `pca` found in an m×n data matrix, with r components. All arrays but mean and scale have its dtype.

    Attributes
    ----------
    scores : ndarray, shape (m, r)
        Coordinates of the samples. Their columns are orthogonal; if whitened, of variance 1 each.
    components : ndarray, shape (r, n)
        Orthonormal directions in the space of features, as rows; the largest entry of each is positive.
    variances : ndarray, shape (r,)
        Variance along each component, descending, in squared units of the (scaled) features.
    ratios : ndarray, shape (r,)
        Shares of the total variance of all features. They add up to 1 if no component was left out.
    mean : ndarray of float64, shape (n,)
        What was subtracted from each feature; zeros if nothing was. In float64, since that of float32 data far from the
        origin would be off by more than they vary.
    scale : ndarray of float64, shape (n,)
        What each feature was then divided by; ones if it was not.
    whitened : bool
        Whether the scores were divided by the roots of the variances.
    """

    scores: NDArray[F]
    components: NDArray[F]
    variances: NDArray[F]
    ratios: NDArray[F]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    whitened: bool


@overload
def pca(
    X: NDArray[F], rank: int | None = ..., *, center: bool = ..., scale: bool = ..., whiten: bool = ...
) -> PCAResult[F]: ...
@overload
def pca(
    X: Float64, rank: int | None = ..., *, center: bool = ..., scale: bool = ..., whiten: bool = ...
) -> PCAResult[np.float64]: ...
def pca(
    X: ArrayLike, rank: int | None = None, *, center: bool = True, scale: bool = False, whiten: bool = False
) -> PCAResult[Any]:
    """Find the directions along which the rows of X vary most.

    LAPACK computes the thin SVD of the centred matrix; the covariance matrix, which would lose half of the digits,
    is never formed. Means are computed in float64, in two passes.

    Parameters
    ----------
    X : array_like, shape (m, n)
        Real data: m samples as rows, n features as columns.
    rank : int, optional
        r, the number of components: at most min(m − 1, n), since centred rows add up to zero; not centred, at
        most min(m, n). Default: all of them.
    center : bool, default True
        Subtract the mean of each feature. Without it the "variances" are mean squares sᵢ²/m, those of
        C + μμᵀ and not of the covariance C, and where the mean μ dominates, the first component points at it.
    scale : bool, default False
        Divide each feature by its standard deviation (not centred: by the root of its mean square). Sensible where
        features have different units.
    whiten : bool, default False
        Divide the scores by the roots of the variances: uncorrelated, of variance 1.

    Returns
    -------
    PCAResult
        Scores, components, variances, ratios, mean, scale. Of variances that tie, any rotation of their components
        would do as well.

    Raises
    ------
    TypeError, ValueError
        If X is not a dense real matrix with finite entries, has a single row and center is True, does not vary, or
        is so large or so small that its variances would overflow or underflow; if scale meets a feature that is
        constant to rounding, or whiten a component without variance; if rank is out of bounds.

    References
    ----------
    H. Hotelling, Analysis of a complex of statistical variables into principal components, *J. Educ. Psychol.* 24
    (1933), 417–441; I. T. Jolliffe, *Principal Component Analysis*, 2nd ed., Springer 2002, Sections 3.1 and 3.5.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import pca
    >>> found = pca([[5.0, 1.0], [7.0, 3.0], [9.0, 5.0], [7.0, 3.0]], 1)
    >>> print(found.mean, np.round(found.ratios, 6), np.round(found.components * 2**0.5, 6))
    [7. 3.] [1.] [[1. 1.]]
    """
    A = _data(X)
    center = _checks.flag(center, "center")
    scale = _checks.flag(scale, "scale")
    whiten = _checks.flag(whiten, "whiten")
    m, n = A.shape
    if center and m == 1:
        raise _checks.invalid(
            f"X must have at least 2 rows, its samples; got shape {A.shape}. One sample minus the mean is zero."
        )
    most, limit = (min(m - 1, n), "min(m − 1, n)") if center else (min(m, n), "min(m, n)")
    got = f"for X of shape {A.shape}" + (", centred" if center else "")
    r = most if rank is None else _checks.integer(rank, 1, most, "rank", limit=limit, got=got)
    _variances_in_range(A)
    constant = _constant(A) if center else (A == 0).all(axis=0)
    if constant.all():
        rule = "two different rows" if center else "an entry other than 0"
        raise _checks.invalid(f"X must have {rule}; it does not vary, and shares of no variance are 0/0.")
    if scale and constant.any():
        j = int(np.argmax(constant))
        raise _checks.invalid(
            f"scale=True divides each feature by its standard deviation; feature {j} of X is constant, "
            f"{float(A[0, j]):.6g}. Drop that column, or pass scale=False."
        )
    return _components(A, r, center, scale, whiten, constant)


def _components(
    A: Array, r: int, center: bool, scale: bool, whiten: bool, constant: NDArray[np.bool_]
) -> PCAResult[Any]:
    m, n = A.shape
    divisor = m - 1 if center else m
    mean, deviations = np.zeros(n), np.ones(n)
    B = A.astype(np.float64)
    for _ in range(2 if center else 0):  # the second pass removes the rounding of the first mean
        shift = B.mean(axis=0)
        mean, B = mean + shift, B - shift
    if scale:
        deviations, B = _standard_deviations(B, divisor)
    U, s, Vt = scipy.linalg.svd(B.astype(A.dtype), full_matrices=False)
    share = (s / s[0]) ** 2
    V, kept, Ut = fix_signs(SVDFactors(Vt[:r].T, s[:r], U[:, :r].T))  # decided by the components
    if whiten:
        _refuse_no_variance(s, r, A.shape, constant)
        scores = Ut.T * np.sqrt(divisor).astype(A.dtype)
    else:
        scores = Ut.T * kept
    return PCAResult(
        scores=scores,
        components=V.T.copy(),
        variances=kept**2 / divisor,
        ratios=(share / share.sum())[:r],
        mean=mean,
        scale=deviations,
        whitened=whiten,
    )


def _standard_deviations(B: NDArray[np.float64], divisor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of the columns, and B over them; each column is brought to a size of about 1 before it is squared."""
    k = np.frexp(np.abs(B).max(axis=0))[1]
    B = np.ldexp(B, -k)
    deviations = np.sqrt((B**2).sum(axis=0) / divisor)
    scale = np.ldexp(deviations, k)
    if (scale < np.finfo(float).tiny).any():
        j = int(np.argmax(scale < np.finfo(float).tiny))
        raise _checks.invalid(
            f"scale=True divides each feature by its standard deviation; that of feature {j} of X, "
            f"{scale[j]:.1e}, has lost digits, since it is no normal number of float64. Multiply that column first."
        )
    return scale, B / deviations


def project(result: PCAResult[F], X: ArrayLike) -> NDArray[F]:
    """Return the scores of other samples: (X − mean) / scale, projected on the components, whitened if those were.

    Parameters
    ----------
    result : PCAResult
        From `pca`, of a data matrix with n features.
    X : array_like, shape (k, n)
        Real data: k samples as rows, the same features as columns.

    Returns
    -------
    ndarray, shape (k, r)
        Scores, in the dtype of the result. The training data get theirs again, to rounding.

    Raises
    ------
    TypeError, ValueError
        If result is not from `pca`, or X is not a dense real matrix of n columns with finite entries, or a component
        of a whitened result has no variance.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import pca, project
    >>> found = pca([[5.0, 1.0], [7.0, 3.0], [9.0, 5.0]], 1)
    >>> print(np.round(project(found, [[8.0, 4.0], [8.0, 2.0]]) / 2**0.5, 6) + 0)
    [[1.]
     [0.]]
    """
    result = _result(result)
    A = _data(X)
    n = len(result.mean)
    if A.shape[1] != n:
        raise _checks.invalid(
            f"X must have the {n} features that pca has seen, as columns; got shape {A.shape}. "
            "Pass samples as rows, with the same columns."
        )
    B = (A.astype(np.float64) - result.mean) / result.scale
    scores: NDArray[F] = B.astype(result.scores.dtype) @ result.components.T
    return scores / np.sqrt(result.variances) if result.whitened else scores


def reconstruct(result: PCAResult[F], scores: ArrayLike | None = None) -> NDArray[F]:
    """Return samples from their scores: mean + scale · (scores @ components), whitening undone.

    Parameters
    ----------
    result : PCAResult
        From `pca`, with r components of n features.
    scores : array_like, shape (k, r), optional
        From `project`. Default: those of the training data, of which this is the best approximation of rank r
        about the mean.

    Returns
    -------
    ndarray, shape (k, n)
        Approximations of the samples, in their units and in the dtype of the result.

    Raises
    ------
    TypeError, ValueError
        If result is not from `pca`, or scores is not a dense real matrix of r columns with finite entries.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import pca, reconstruct
    >>> found = pca([[5.0, 1.0], [7.0, 3.0], [9.0, 5.0]], 1)
    >>> print(np.round(reconstruct(found, [[2**0.5], [0.0]]), 6))
    [[8. 4.]
     [7. 3.]]
    """
    result = _result(result)
    r = len(result.components)
    T = _checks.matrix(result.scores if scores is None else scores, "scores")
    if T.shape[1] != r:
        raise _checks.invalid(
            f"scores must have a column for each of the {r} components; got shape {T.shape}. "
            "Pass what project returned."
        )
    T = T.astype(result.scores.dtype, copy=False)
    if result.whitened:
        T = T * np.sqrt(result.variances)
    samples: NDArray[F] = (result.mean + result.scale * (T @ result.components)).astype(T.dtype)
    return samples


def _result(value: Any) -> PCAResult[Any]:
    if not isinstance(value, PCAResult):
        raise _checks.mistyped(f"result must be a PCAResult; got {type(value).__name__}. Pass what pca returned.")
    return value


def _data(X: ArrayLike) -> Array:
    """Read a data matrix; missing values are a matter of completion."""
    try:
        return _checks.matrix(X, "X")
    except ValueError as error:
        finding, _, _ = str(error).partition(". ")
        if "NaN" not in finding:
            raise
        raise ValueError(f"{finding}. For missing values use als_complete.") from None


def _variances_in_range(A: Array) -> None:
    low, high = _checks.square_limits(A.dtype)
    largest = float(np.abs(A).max())
    if largest > 0 and not low < largest < high:
        raise _checks.invalid(
            f"the variances of X must neither overflow nor underflow in {A.dtype}; got {largest:.1e} as "
            "the largest magnitude. Divide X by it first: the components and the ratios stay the same."
        )


def _constant(A: Array) -> NDArray[np.bool_]:
    """Which features vary by no more than the rounding of their entries."""
    spread, largest = A.max(axis=0) - A.min(axis=0), np.abs(A).max(axis=0)
    constant: NDArray[np.bool_] = spread <= 4 * np.finfo(A.dtype).eps * largest
    return constant


def _refuse_no_variance(s: Array, r: int, shape: tuple[int, ...], constant: NDArray[np.bool_]) -> None:
    positive = int((s > max(shape) * np.finfo(s.dtype).eps * s[0]).sum())
    if r > positive:
        also = f" Feature {int(np.argmax(constant))} is constant." if constant.any() else ""
        raise _checks.invalid(
            f"whiten=True divides by the root of each variance, which is 0 to rounding from component {positive} "
            f"on (counted from 0).{also} Pass rank={positive}, or whiten=False."
        )
