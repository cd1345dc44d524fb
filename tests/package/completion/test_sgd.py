"""Stochastic gradients: steps by hand, and where they lead."""

import numpy as np
import pytest

from book.margins import close, within
from lowrank_helpers.completion import (
    als_complete,
    sgd_complete,
)
from lowrank_helpers.datasets import low_rank
from tests.package.completion._tables import Interrupted, as_sparse, holes


def test_one_step_of_sgd_by_hand():
    """A 1×1 table and one epoch of a batch of 1: the update, with both factors from before the step."""
    start = np.random.default_rng(5)
    w, h = 0.1 * start.standard_normal((1, 1)).item(), 0.1 * start.standard_normal((1, 1)).item()
    with pytest.warns(RuntimeWarning, match="sgd_complete: not converged after 1 epochs"):
        result = sgd_complete([[3.0]], 1, penalty=0.5, biases=False, learning_rate=0.1, max_epochs=1, rng=5)
    e = 3 - w * h
    assert close(result.W.item(), w + 0.1 * (e * h - 0.5 * w), rtol=1e-12)
    assert close(result.H.item(), h + 0.1 * (e * w - 0.5 * h), rtol=1e-12)


def test_one_step_of_sgd_with_biases_by_hand():
    start = np.random.default_rng(5)
    w, h = 0.1 * start.standard_normal((1, 1)), 0.1 * start.standard_normal((2, 1))
    options = {"penalty": 0.5, "learning_rate": 0.1, "batch_size": 2, "max_epochs": 2, "tolerance": 0, "rng": 5}
    with pytest.warns(RuntimeWarning, match="not converged after 2 epochs"):
        result = sgd_complete([[3.0, 5.0]], 1, **options)
    w, h, b, c = w.ravel(), h.ravel(), np.zeros(1), np.zeros(2)
    for _ in range(2):
        e = np.array([-1.0, 1.0]) - w * h - b - c
        w, h = w + 0.1 * (e @ h - 2 * 0.5 * w), h + 0.1 * (e * w - 0.5 * h)
        b, c = b + 0.1 * (e.sum() - 2 * 0.5 * b), c + 0.1 * (e - 0.5 * c)
    for ours, expected in ((result.W, w), (result.H, h), (result.row_bias, b), (result.column_bias, c)):
        assert close(ours.ravel(), expected, atol=1e-14)


def test_sgd_comes_close_to_the_weighted_objective_of_als():
    full = 3 + low_rank(60, 50, 2, noise=0.1, rng=np.random.default_rng(6))
    A = holes(60, 50, 0.4, np.random.default_rng(7), full)
    als = als_complete(A, 2, penalty=0.05, biases=True, weighted=True, tolerance=1e-8, max_iterations=1000)
    sgd = sgd_complete(A, 2, penalty=0.05, batch_size=20, rng=0)
    excess = sgd.objective[-1] / als.objective[-1] - 1
    assert sgd.converged and within([excess, -excess], [0.1, 1e-3])
    again = sgd_complete(as_sparse(A), 2, penalty=0.05, batch_size=20, rng=0)
    assert close(again.W, sgd.W, atol=1e-10), "the same seed, the same run"


def test_sgd_in_float32_interrupted_and_misused(monkeypatch):
    A = holes(20, 15, 0.6, np.random.default_rng(8)).astype(np.float32)
    with pytest.raises(ValueError, match="sgd_complete: learning_rate must keep the factors finite; got 100"):
        sgd_complete(A, 2, learning_rate=100, rng=0)
    with pytest.raises(ValueError, match="sgd_complete: batch_size must be at least 1; got 0"):
        sgd_complete(A, 2, batch_size=0)
    with pytest.raises(ValueError, match="sgd_complete: learning_rate must be finite and above 0"):
        sgd_complete(A, 2, learning_rate=0)
    with pytest.raises(ValueError, match=r"sgd_complete: tolerance must be .* below 1; got 1"):
        sgd_complete(A, 2, tolerance=1)
    monkeypatch.setattr("lowrank_helpers._iterate.bar", Interrupted)
    result = sgd_complete(A, 2, tolerance=0, learning_rate=0.001, rng=0)
    assert not result.converged and len(result.objective) == 3 and result.W.dtype == np.float32
