"""The optimal hard threshold: the published values, what defines it, simulated noise, wrong variants, each misuse."""

import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.decomposition import marchenko_pastur_median, optimal_rank, optimal_threshold
from tests.package._matrices import PROPERTY, with_spectrum


def rng():
    return np.random.default_rng(14)


def known(beta):
    """λ(β), read off a 10⁶β × 10⁶ matrix with σ = 1."""
    return optimal_threshold([1.0], (round(beta * 10**6), 10**6), noise=1.0) / 1000


def unknown(beta):
    """ω(β), read off the threshold of 1000β singular values of median 1."""
    p = round(beta * 1000)
    return optimal_threshold(np.ones(p), (p, 1000))


def cubic(beta):
    """The approximation of ω(β) that the paper prints beside its table."""
    return 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43


# ------------------------------------------------------------------------------------------------------------- oracle


@pytest.mark.parametrize(
    ("beta", "omega"),
    [(0.05, 1.5194), (0.1, 1.6089), (0.15, 1.6896), (0.2, 1.7650), (0.25, 1.8371), (0.5, 2.1711), (1.0, 2.8582)],
)
def test_unknown_noise_agrees_with_the_published_table(beta, omega):
    assert close(unknown(beta), omega, atol=2e-3)  # their table, by a Riemann sum, is off by up to 2.4e-4
    assert close(unknown(beta), cubic(beta), atol=0.05)  # the cubic by up to 0.006


def test_known_noise_agrees_with_the_published_constant():
    assert close(known(1.0), 4 / math.sqrt(3), atol=1e-14)
    assert round(unknown(1.0), 3) == 2.858 and round(cubic(1.0), 3) != 2.858


@PROPERTY
@given(st.floats(0.001, 1.0))
def test_at_the_threshold_keeping_costs_what_leaving_out_costs(beta):
    """A value x of M is seen as y = √((x + 1/x)(x + β/x)), its vectors at cosines of product c: x² = x² + y² − 2xyc."""
    beta = round(beta, 6)
    y = known(beta)
    square = y**2 - beta - 1
    x2 = (square + math.sqrt(square**2 - 4 * beta)) / 2
    c = (x2**2 - beta) / math.sqrt((x2**2 + beta * x2) * (x2**2 + x2))
    assert close(y, 2 * math.sqrt(x2) * c, atol=1e-12)
    assert y > 1 + math.sqrt(beta), "above the edge of the noise"


@pytest.mark.parametrize("beta", [0.01, 0.3, 0.9, 1.0])
def test_half_of_the_law_lies_below_its_median(beta):
    a, b = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    median = marchenko_pastur_median(beta)

    def density(x):
        return mpmath.sqrt((b - x) * (x - a)) / (2 * mpmath.pi * beta * x)

    assert close(mpmath.quad(density, [a, (a + median) / 2, median]), 0.5, atol=1e-8)
    assert close(mpmath.quad(density, [median, (b + median) / 2, b]), 0.5, atol=1e-8)


def test_the_median_of_simulated_noise():
    s = np.linalg.svd(rng().standard_normal((150, 600)), compute_uv=False)
    median = np.median(s**2) / 600
    assert close(median, marchenko_pastur_median(0.25), atol=0.01)  # fluctuations are of order 1/150
    assert not close(median, 1, atol=0.01), "the mean of the law is not its median"


def test_the_noise_is_told_by_the_median():
    assert close(optimal_threshold([50.0, 2.0, 0.1], (3, 3)), 2 * unknown(1.0), atol=1e-12)


def test_a_single_row():
    assert close(marchenko_pastur_median(1e-9), 1, atol=1e-8)
    assert close(optimal_threshold([1.0], (1, 10**8)), math.sqrt(2), atol=1e-3)


# ----------------------------------------------------------------------------------------------------------- property


def noisy(m, n, signals, noise, seed):
    """Singular values of a matrix with these signals, in units of noise · √max(m, n), and white noise."""
    generator = np.random.default_rng(seed)
    M = with_spectrum(np.array(signals) * noise * math.sqrt(max(m, n)), m, n, generator)
    return np.linalg.svd(M + noise * generator.standard_normal((m, n)), compute_uv=False)


@pytest.mark.parametrize("shape", [(120, 120), (60, 240), (240, 60), (30, 300)])
@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e5])
def test_it_finds_strong_signals_and_nothing_else(shape, noise):
    for seed in range(5):
        s = noisy(*shape, [6.0, 4.0, 3.0], noise, seed)
        assert optimal_rank(s, shape, noise=noise) == optimal_rank(s, shape) == 3
        assert optimal_rank(noisy(*shape, [0.0], noise, seed), shape) == 0


def test_truncating_there_is_as_good_as_the_best_rank_by_hindsight():
    shape = (100, 300)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        M = with_spectrum(np.array([5.0, 3.0, 2.0, 1.0, 0.8, 0.5]) * math.sqrt(300), *shape, generator)
        U, s, Vt = np.linalg.svd(M + generator.standard_normal(shape), full_matrices=False)
        losses = [np.linalg.norm((U[:, :r] * s[:r]) @ Vt[:r] - M) for r in range(15)]
        assert within(losses[optimal_rank(s, shape)] - min(losses), 0.01 * min(losses))
        edge = int((s > math.sqrt(300) + math.sqrt(100)).sum())
        assert losses[6] > 1.1 * min(losses) and edge <= 6, "the true rank is not the best one"


@PROPERTY
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 999), st.sampled_from([np.float64, np.float32]))
def test_transposed_or_in_other_units_it_is_the_same(m, n, seed, dtype):
    s = np.sort(np.random.default_rng(seed).uniform(0.1, 9, min(m, n)))[::-1].astype(dtype)
    rank, threshold = optimal_rank(s, (m, n)), optimal_threshold(s, (m, n))
    assert rank == (s > threshold).sum()
    assert (rank, threshold) == (optimal_rank(s, (n, m)), optimal_threshold(s, (n, m)))
    assert optimal_rank(s * 4, (m, n)) == rank and optimal_threshold(s * 4, (m, n)) == 4 * threshold


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_without_noise_rounding_is_not_a_signal(dtype):
    A = with_spectrum([3.0, 2.0, 1.0], 40, 30, rng()).astype(dtype)
    assert optimal_rank(np.linalg.svd(A, compute_uv=False), (40, 30)) == 3
    assert optimal_rank(np.zeros(3), (3, 5)) == 0


# --------------------------------------------------------------------------------------------------- negative control


def test_constants_of_the_square_are_wrong_for_other_shapes():
    shape, noise = (20, 400), 1.0
    s = noisy(*shape, [1.25, 1.2], noise, 3)  # seen at about 1.62 and 1.58, above λ(0.05) = 1.507
    assert optimal_rank(s, shape, noise=noise) == 2
    assert (s > 4 / math.sqrt(3) * math.sqrt(400) * noise).sum() == 0
    assert (s > 2.858 * np.median(s)).sum() == 0
    assert (s > known(0.05) * math.sqrt(20) * noise).sum() == 20, "the smaller dimension keeps all of the noise"


# ------------------------------------------------------------------------------------------------------------- misuse


@pytest.mark.parametrize("function", [optimal_rank, optimal_threshold])
@pytest.mark.parametrize(
    ("s", "shape", "noise", "error", "message"),
    [
        ([3.0, 1.0], (5, 3), None, ValueError, "without noise, s must hold all min(m, n) = 3 singular values, whose"),
        ([3.0, 1.0], (1, 9), 1.0, ValueError, "s can hold at most min(m, n) = 1 singular values; got 2 for the shape"),
        ([1.0, 3.0], (2, 2), None, ValueError, "s must be in descending order"),
        ([1.0, -3.0], (2, 2), None, ValueError, "s must be non-negative"),
        ([[1.0]], (2, 2), None, ValueError, "s must be a vector"),
        ([1.0], 3, None, TypeError, "shape must be a pair (m, n); got 3. Pass A.shape."),
        ([1.0], (3, 2.0), None, TypeError, "shape[1] must be an integer"),
        ([1.0], (0, 2), None, ValueError, "shape[0] must be at least 1"),
        ([1.0], (1, 2), 0.0, ValueError, "noise must be finite and above 0; got 0. Leave it out if it is unknown."),
        ([1.0], (1, 2), "1", TypeError, "noise must be a real number"),
    ],
)
def test_misuse_is_told(function, s, shape, noise, error, message):
    with pytest.raises(error, match="^" + re.escape(f"{function.__name__}: {message}")):
        function(s, shape, noise=noise)


def test_too_few_values_are_told():
    with pytest.raises(
        ValueError, match=r"^optimal_rank: s must reach below the threshold, .* got 2 down to 80\. Comp"
    ):
        optimal_rank([90.0, 80.0], (100, 100), noise=1.0)


@pytest.mark.parametrize("beta", [0.0, -1.0, 1.001, math.nan])
def test_beta_out_of_bounds_is_told(beta):
    with pytest.raises(ValueError, match=r"^marchenko_pastur_median: beta must be .*above 0.*It is the smaller over"):
        marchenko_pastur_median(beta)
