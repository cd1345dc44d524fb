"""Gibbs sampling: its conditional distributions, and what its intervals cover."""

import numpy as np
import pytest

from book.margins import close, within
from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    predict,
    predict_interval,
)
from lowrank_helpers.completion.bayes import _draw
from lowrank_helpers.datasets import low_rank
from tests.package.completion._tables import Interrupted, as_sparse, nan


def noisy(seed, scale=1.0, m=80, n=60):
    rng = np.random.default_rng(seed)
    full = 3 + rng.normal(1, 1, (m, 1)) + rng.normal(-1, 1, n) + low_rank(m, n, 2, rng=rng)
    return scale * full, scale * np.where(
        rng.random(full.shape) < 0.3, full + 0.2 * rng.standard_normal(full.shape), nan
    )


def test_gibbs_draws_rows_from_their_conditional_distribution():
    rng = np.random.default_rng(16)
    given, mean = rng.standard_normal((6, 3)), np.array([3.0, -2.0, 1.0])  # columns (h_j, c_j)
    precision, alpha, a = np.diag([4.0, 1.0, 2.0]), 2.5, rng.standard_normal(6)
    F = np.column_stack([given[:, :2], np.ones(6)])
    for share in (0.0, 1.0):  # 16000 equal rows, with nothing and with all seen
        seen, values = np.full((16000, 6), share), np.tile(share * a, (16000, 1))
        X = _draw(seen, values, given, alpha, mean, precision, rng)
        P = precision + share * alpha * F.T @ F
        expected = np.linalg.solve(P, precision @ mean + share * alpha * F.T @ (a - given[:, 2]))
        # ten standard errors of a mean of 16000, and ten per cent for covariances
        covariance = np.linalg.inv(P)
        assert close(X.mean(axis=0), expected, atol=10 * np.sqrt(np.diag(covariance) / 16000))
        assert close(np.cov(X.T), covariance, atol=0.1 * covariance.max())


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gibbs_intervals_cover_and_find_the_noise_in_any_unit(scale):
    full, A = noisy(21, scale, 120, 100)
    result = bayesian_complete(A, 2, rng=0, draws=60)
    assert close(result.noise.mean() / scale, 0.2, atol=0.02) and result.converged
    i, j = np.nonzero(np.isnan(A))
    fresh = full[i, j] + 0.2 * scale * np.random.default_rng(12).standard_normal(len(i))
    mean, lower, upper = predict_interval(result, i, j, level=0.8)
    # 8400 cells: the standard error of a share of 0.8 is 0.004, and cells of one row are dependent
    assert close(np.mean((lower < fresh) & (fresh < upper)), 0.8, atol=0.04)
    square = np.mean((mean - full[i, j]) ** 2)
    assert within(np.sqrt(square), 0.5 * scale)
    als = als_complete(A / scale, 2, penalty=0.001, biases=True, tolerance=1e-4)
    theirs = np.mean((scale * predict(als, i, j) - full[i, j]) ** 2)
    assert within(square - theirs, 0.2 * theirs)


def test_gibbs_interval_of_an_empty_row_is_wider_and_draws_repeat():
    _, A = noisy(13)
    A[4] = nan
    result, again = (bayesian_complete(x, 2, rng=3, draws=30) for x in (A, as_sparse(A)))
    assert close(again.W, result.W, atol=1e-8)
    width = np.ptp(predict_interval(result, np.arange(80)[:, None], np.arange(60))[1:], axis=0).mean(axis=1)
    assert width[4] > 2 * np.median(width)
    direct = result.mean + (
        result.row_bias[:, 1] + result.column_bias[:, 2] + (result.W[:, 1] * result.H[:, :, 2]).sum(1)
    )
    assert close(predict_interval(result, 1, 2).mean, direct.mean(), rtol=1e-12)
    half = 1.6448536269514722 * np.sqrt(direct.var(ddof=1) + np.mean(result.noise**2))
    assert close(predict_interval(result, 1, 2).upper, direct.mean() + half, rtol=1e-12)


def test_gibbs_in_float32_constant_and_interrupted(monkeypatch):
    _, A = noisy(14)
    assert bayesian_complete(A.astype(np.float32), 1, draws=2, burn_in=0, rng=0).W.dtype == np.float32
    constant = bayesian_complete(np.full((5, 4), 2.0), 1, rng=0)
    assert close(predict_interval(constant, 0, 0).mean, 2, atol=0.5)
    monkeypatch.setattr("lowrank_helpers.completion.bayes.bar", Interrupted)
    result = bayesian_complete(A, 1, draws=10, burn_in=1, rng=0)
    assert not result.converged and len(result.W) == len(result.noise) == 2 and len(result.residual) == 3
    with pytest.raises(KeyboardInterrupt):
        bayesian_complete(A, 1, draws=10, burn_in=2, rng=0)


def test_misuse_of_bayesian_complete():
    A = [[1.0, 2], [3, nan]]
    with pytest.raises(ValueError, match="bayesian_complete: draws must be at least 2; got 1"):
        bayesian_complete(A, 1, draws=1)
    with pytest.raises(ValueError, match="bayesian_complete: burn_in must be at least 0; got -1"):
        bayesian_complete(A, 1, burn_in=-1)
    result = bayesian_complete(A, 1, rng=0, draws=2)
    with pytest.raises(ValueError, match="predict_interval: level must be finite and above 0 and below 1; got 1"):
        predict_interval(result, 0, 0, level=1)
    with pytest.raises(ValueError, match="predict_interval: rows must be between 0 and 1"):
        predict_interval(result, 2, 0)
    with pytest.raises(TypeError, match="predict_interval: result must be a BayesianCompletion; got Completion"):
        predict_interval(als_complete(A, 1, penalty=1.0), 0, 0)
    with pytest.raises(TypeError, match="for bayesian_complete use predict_interval"):
        predict(result, 0, 0)
