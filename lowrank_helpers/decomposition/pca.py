"""Principal component analysis: the truncated SVD of a centred data matrix, whose rows are samples.

X ≈ mean + scale · (scores @ components), entry by entry in each feature. With U diag(s) Vᵀ the SVD of the centred
(and scaled) X, the scores are U diag(s), the components Vᵀ and the variances sᵢ²/(m − 1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.svd import SVDFactors, _dask, fix_signs
from lowrank_helpers.svd._products import Chunked
from lowrank_helpers.svd.randomized import projected_factors

T = TypeVar("T")


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
@overload
def pca(X: Chunked, rank: int, *, center: bool = ..., scale: bool = ..., whiten: bool = ...) -> PCAResult[Any]: ...
def pca(
    X: ArrayLike | Chunked, rank: int | None = None, *, center: bool = True, scale: bool = False, whiten: bool = False
) -> PCAResult[Any]:
    """Find the directions along which the rows of X vary most.

    LAPACK computes the thin SVD of the centred matrix; the covariance matrix, which would lose half of the digits,
    is never formed. Means are computed in float64, in two passes.

    A dask array is never computed whole: four passes go over its chunks (five where scale is True), for the ranges,
    the means, the R of a QR decomposition of the centred matrix, and the scores. Beside (m + n) r numbers here, that
    takes up to 5 min(m, n)² numbers, or 128 MiB if that is more, in the memory of a worker.

    Parameters
    ----------
    X : array_like or dask array, shape (m, n)
        Real data: m samples as rows, n features as columns.
    rank : int, optional
        r, the number of components: at most min(m − 1, n), since centred rows add up to zero; not centred, at
        most min(m, n). Default: all of them; of a dask array it must be given.
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
        If X is not a dense real matrix with finite entries, or is a dask array of unknown chunk sizes, has a single row
        and center is True, does not vary, or is so large or so small that its variances would overflow or underflow;
        if scale meets a feature that is constant to rounding, or whiten a component without variance; if rank is out
        of bounds.
    ConnectionError
        If the Dask cluster that X is on goes away.

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
    chunked = _checks.is_dask(X)
    A: Any = _dask.matrix(X, "X") if chunked else _data(X)
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
    if chunked and rank is None:
        raise _checks.mistyped("rank must be given for a dask array, since all components are as large as X. Pass one.")
    r = most if rank is None else _checks.integer(rank, 1, most, "rank", limit=limit, got=got)
    low, high = _ranges_of_chunks(A) if chunked else (A.min(axis=0), A.max(axis=0))
    largest = np.maximum(high, -low)
    _variances_in_range(float(largest.max()), A.dtype)
    # features that vary by no more than the rounding of their entries
    constant = high - low <= 4 * np.finfo(A.dtype).eps * largest if center else largest == 0
    if constant.all():
        rule = "two different rows" if center else "an entry other than 0"
        raise _checks.invalid(f"X must have {rule}; it does not vary, and shares of no variance are 0/0.")
    if scale and constant.any():
        j = int(np.argmax(constant))
        raise _checks.invalid(
            f"scale=True divides each feature by its standard deviation; feature {j} of X is constant, "
            f"{float(low[j]):.6g}. Drop that column, or pass scale=False."
        )
    divisor = m - 1 if center else m
    if chunked:
        B, mean, deviations = _standardised_chunks(A, (low, high), center, scale, divisor)
        leading, s = _leading_of_chunks(B, r)
    else:
        B, mean, deviations = _standardised(A, center, scale, divisor)
        U, s, Vt = scipy.linalg.svd(B, full_matrices=False)
        leading = SVDFactors(U[:, :r], s[:r], Vt[:r])
    share = (s / s[0]) ** 2
    V, kept, Ut = fix_signs(SVDFactors(leading.Vt.T, leading.s, leading.U.T))  # decided by the components
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


def _standardised(
    A: Array, center: bool, scale: bool, divisor: int
) -> tuple[Array, NDArray[np.float64], NDArray[np.float64]]:
    """The centred and scaled data in A's dtype, what was subtracted from the features, and what divided them."""
    mean, deviations = np.zeros(A.shape[1]), np.ones(A.shape[1])
    B = A.astype(np.float64)
    for _ in range(2 if center else 0):  # the second pass removes the rounding of the first mean
        shift = B.mean(axis=0)
        mean, B = mean + shift, B - shift
    if scale:
        deviations, B = _standard_deviations(B, divisor)
    return B.astype(A.dtype), mean, deviations


def _standard_deviations(B: NDArray[np.float64], divisor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of the columns, and B over them; each column is brought to a size of about 1 before it is squared."""
    k = np.frexp(np.abs(B).max(axis=0))[1]
    B = np.ldexp(B, -k)
    deviations = np.sqrt((B**2).sum(axis=0) / divisor)
    return _normal(np.ldexp(deviations, k)), B / deviations


def _normal(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refuse standard deviations that are no normal numbers."""
    if (scale < np.finfo(float).tiny).any():
        j = int(np.argmax(scale < np.finfo(float).tiny))
        raise _checks.invalid(
            f"scale=True divides each feature by its standard deviation; that of feature {j} of X, "
            f"{scale[j]:.1e}, has lost digits, since it is no normal number of float64. Multiply that column first."
        )
    return scale


def _ranges_of_chunks(A: Any) -> tuple[Array, Array]:
    """The least and the largest entry of each column of a dask array, all of which are finite."""
    low, high = _dask.compute([A.min(axis=0), A.max(axis=0)], A, "X")
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        _for_missing_values(lambda: _dask.finite(A, "X"))
    return low, high


def _standardised_chunks(
    A: Any, ranges: tuple[Array, Array], center: bool, scale: bool, divisor: int
) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """As `_standardised`, chunk by chunk when they are asked for; the middle of each range is the first mean."""
    low, high = (end.astype(np.float64) for end in ranges)
    mean, deviations = np.zeros(A.shape[1]), np.ones(A.shape[1])
    B = A.astype(np.float64)
    if center:
        middle = low + (high - low) / 2
        B = B - middle
        (shift,) = _dask.compute([B.mean(axis=0)], A, "X")
        mean, B = middle + shift, B - shift
    if scale:
        k = np.frexp(np.maximum(high - mean, mean - low))[1]
        B = np.ldexp(B, -k)
        (squares,) = _dask.compute([(B**2).sum(axis=0)], A, "X")
        deviations = np.sqrt(squares / divisor)
        B = B / deviations
        deviations = _normal(np.ldexp(deviations, k))
    return B.astype(A.dtype), mean, deviations


def _leading_of_chunks(B: Any, r: int) -> tuple[SVDFactors[Any], Array]:
    """The leading singular triples of a dask array, and all its singular values: those of R, where B or Bᵀ is Q R."""
    wide = B.shape[0] < B.shape[1]
    tall = B.T if wide else B
    _, s, Vt = scipy.linalg.svd(_dask.triangle(tall, "X"))
    V = np.ascontiguousarray(Vt[:r].T)
    V, kept, Ut = projected_factors(V, _dask.times(tall, V, "X"), r, np.random.default_rng(0))
    return SVDFactors(V, kept, Ut) if wide else SVDFactors(Ut.T, kept, V.T), s


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


def _data(X: object) -> Array:
    """Read a data matrix."""
    return _for_missing_values(lambda: _checks.matrix(X, "X"))


def _for_missing_values(read: Callable[[], T]) -> T:
    """What a check returns; if it finds missing values, they are a matter of completion."""
    try:
        return read()
    except ValueError as error:
        finding, _, _ = str(error).partition(". ")
        if "NaN" not in finding:
            raise
        raise ValueError(f"{finding}. For missing values use als_complete.") from None


def _variances_in_range(largest: float, dtype: Any) -> None:
    low, high = _checks.square_limits(dtype)
    if largest > 0 and not low < largest < high:
        raise _checks.invalid(
            f"the variances of X must neither overflow nor underflow in {dtype}; got {largest:.1e} as "
            "the largest magnitude. Divide X by it first: the components and the ratios stay the same."
        )


def _refuse_no_variance(s: Array, r: int, shape: tuple[int, ...], constant: NDArray[np.bool_]) -> None:
    positive = int((s > max(shape) * np.finfo(s.dtype).eps * s[0]).sum())
    if r > positive:
        also = f" Feature {int(np.argmax(constant))} is constant." if constant.any() else ""
        raise _checks.invalid(
            f"whiten=True divides by the root of each variance, which is 0 to rounding from component {positive} "
            f"on (counted from 0).{also} Pass rank={positive}, or whiten=False."
        )
