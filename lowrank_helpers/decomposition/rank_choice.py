"""The rank at which to truncate a noisy matrix: the optimal hard threshold of Gavish and Donoho.

A = M + σZ, where M is of low rank and Z has independent entries of mean 0 and variance 1. As m × n grows with β =
(smaller)/(larger dimension) fixed, the singular values of the noise alone fill the interval σ√(larger)·[1 − √β, 1 + √β]
by the law of Marchenko and Pastur; keeping the singular values of A above λ(β)·√(larger)·σ loses least.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.optimize import brentq

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array


def optimal_rank(s: ArrayLike, shape: tuple[int, int], *, noise: float | None = None) -> int:
    """Return the number of singular values above the optimal hard threshold.

    Among all rules "keep the singular values above τ", this τ has the least asymptotic mean squared error
    ‖A_r − M‖_F², whatever M of a fixed low rank is. It lies above the largest singular value of the noise: a weak
    signal that could be seen may still not be worth keeping. The theory is for noise that is white: independent
    entries of one variance, not far from Gaussian. On photographs and tables it is a rule of thumb.

    Parameters
    ----------
    s : array_like, shape (p,)
        Singular values of A, descending. Without noise all min(m, n) of them, since their median is the estimate of
        the noise; with noise as many as reach below the threshold.
    shape : tuple of two int
        (m, n), the shape of A.
    noise : float, optional
        σ, the standard deviation of the noise in an entry. Default: unknown, estimated from the median of s; then
        the rank of M should be small against min(m, n), below half of it at the very least.

    Returns
    -------
    int
        r, between 0 (nothing but noise) and the number of values. For a known σ the limit on the square is
        (4/√3)√n σ; neither 4/√3 nor 2.858, which belongs to an unknown σ, holds for other shapes. Values within
        max(m, n) · eps · σ₁ of zero are rounding and never count.

    Raises
    ------
    TypeError, ValueError
        If s is not a vector of singular values for this shape, or noise is not a number above 0.

    See Also
    --------
    optimal_threshold : τ itself.

    References
    ----------
    M. Gavish and D. L. Donoho, The optimal hard threshold for singular values is 4/√3, *IEEE Trans. Inf. Theory* 60
    (2014), 5040–5053, abstract and equation (11).

    Examples
    --------
    >>> from lowrank_helpers.decomposition import optimal_rank
    >>> optimal_rank([90.0, 40.0, 22.0, 19.0], (100, 100), noise=1.0)
    2
    """
    s, (m, n) = _spectrum(s, shape)
    threshold = _threshold(s, (m, n), noise)
    if len(s) < min(m, n) and float(s[-1]) > threshold:
        raise _checks.invalid(
            f"s must reach below the threshold, {threshold:.6g}, or hold all min(m, n) = {min(m, n)} "
            f"singular values; got {len(s)} down to {float(s[-1]):.6g}. Compute more of them."
        )
    rounding = max(m, n) * float(np.finfo(s.dtype).eps) * float(s[0])
    return int((s.astype(np.float64) > max(threshold, rounding)).sum())


def optimal_threshold(s: ArrayLike, shape: tuple[int, int], *, noise: float | None = None) -> float:
    """Return the optimal hard threshold τ for singular values.

    Known noise: τ = λ(β)·√max(m, n)·σ with λ(β) = √(2(β + 1) + 8β/(β + 1 + √(β² + 14β + 1))). Unknown: τ =
    ω(β)·median(s), ω(β) = λ(β)/√μ(β), μ(β) the median of Marchenko and Pastur's law, by numerical integration.
    Hence also an estimate of the noise, τ/(λ(β)√max(m, n)).

    Parameters
    ----------
    s : array_like, shape (p,)
        Singular values of A, descending; without noise all min(m, n) of them.
    shape : tuple of two int
        (m, n), the shape of A.
    noise : float, optional
        σ, the standard deviation of the noise in an entry. Default: unknown.

    Returns
    -------
    float
        τ. For a square matrix (4/√3)√n σ or, with σ unknown, 2.858 times the median.

    Raises
    ------
    TypeError, ValueError
        If s is not a vector of singular values for this shape, or noise is not a number above 0; if τ is beyond the
        range of float64.

    References
    ----------
    See `optimal_rank`.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import optimal_threshold
    >>> round(optimal_threshold([3.0, 1.0, 0.5], (3, 3)), 3), round(optimal_threshold([3.0], (100, 25), noise=0.1), 3)
    (2.858, 1.758)
    """
    s, size = _spectrum(s, shape)
    threshold = np.asarray(_threshold(s, size, noise))
    return float(_checks.in_range(threshold, "the threshold"))


def marchenko_pastur_median(beta: float) -> float:
    """Return the median of the law of Marchenko and Pastur with unit variance.

    The law, of density √((b − x)(x − a)) / (2πβx) on [a, b] = [(1 − √β)², (1 + √β)²], is the limit of the eigenvalues
    of ZZᵀ/n for an m×n matrix Z of white noise as m/n → β.

    Parameters
    ----------
    beta : float
        β, above 0 and at most 1: the smaller over the larger dimension.

    Returns
    -------
    float
        The median, below 1, which is the mean.

    Raises
    ------
    TypeError, ValueError
        If beta is not a number above 0 and at most 1.

    References
    ----------
    V. A. Marčenko and L. A. Pastur, Distribution of eigenvalues for some sets of random matrices, *Math. USSR Sb.* 1
    (1967), 457–483.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import marchenko_pastur_median
    >>> round(marchenko_pastur_median(1.0), 4)
    0.6528
    """
    step = "It is the smaller over the larger dimension of the matrix."
    beta = _checks.number(beta, "beta", above=0.0, below=math.nextafter(1, 2), step=step)
    return _median(beta)


def _median(beta: float) -> float:
    """Solve for the angle at which half of the mass lies on either side.

    With x = (1 − √β)² + 4√β cos²θ, θ from 0 (x = b) to π/2 (x = a), the density becomes smooth:
    16 sin²θ cos²θ / (πx).
    """

    def x(angle: float) -> float:
        return (1 - math.sqrt(beta)) ** 2 + 4 * math.sqrt(beta) * math.cos(angle) ** 2

    def excess(angle: float) -> float:
        mass: float = quad(
            lambda t: 16 * (math.sin(t) * math.cos(t)) ** 2 / (math.pi * x(t)), 0, angle, epsabs=1e-13, epsrel=1e-13
        )[0]
        return mass - 0.5

    return x(brentq(excess, 0.1, 1.5, xtol=1e-14))


def _coefficient(beta: float) -> float:
    """λ(β), for a known noise."""
    root = math.sqrt(beta**2 + 14 * beta + 1)
    return math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + root))


def _threshold(s: Array, shape: tuple[int, int], noise: float | None) -> float:
    smaller, larger = sorted(shape)
    beta = smaller / larger
    if noise is not None:
        sigma = _checks.number(noise, "noise", above=0.0, step="Leave it out if it is unknown.")
        return _coefficient(beta) * math.sqrt(larger) * sigma
    if len(s) != smaller:
        raise _checks.invalid(
            f"without noise, s must hold all min(m, n) = {smaller} singular values, whose median tells "
            f"the noise; got {len(s)}. Compute all of them, or pass noise."
        )
    k = _checks.excess(s)  # the mean of two large values in the middle could be infinite
    with np.errstate(over="ignore"):
        median = float(np.ldexp(np.median(np.ldexp(s, -k)), k))
    return _coefficient(beta) / math.sqrt(_median(beta)) * median


def _spectrum(s: ArrayLike, shape: object) -> tuple[Array, tuple[int, int]]:
    values = _checks.singular_values(s)
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise _checks.mistyped(f"shape must be a pair (m, n); got {shape!r}. Pass A.shape.")
    m, n = (_checks.integer(size, 1, None, f"shape[{i}]") for i, size in enumerate(shape))
    if len(values) > min(m, n):
        raise _checks.invalid(
            f"s can hold at most min(m, n) = {min(m, n)} singular values; got {len(values)} for the shape "
            f"{(m, n)}. Pass the shape of the matrix that they belong to."
        )
    return values, (m, n)
