"""Alternating least squares for implicit feedback."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.completion import (
    implicit_als,
)
from lowrank_helpers.completion.implicit import _batches, _half
from tests.package._matrices import PROPERTY
from tests.package.completion._tables import Interrupted, as_sparse


def implicit_objective(C, W, H, penalty, confidence):
    return ((1 + confidence * C) * ((C > 0) - W @ H) ** 2).sum() + penalty * ((W**2).sum() + (H**2).sum())


@PROPERTY
@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_implicit_als_minimises_the_documented_objective(m, n, seed, dtype):
    C = np.random.default_rng(seed).poisson(0.6, (m, n)).astype(dtype)
    C[0, 0] = 2
    result = implicit_als(C, 2, penalty=0.3, confidence=4, rng=0)
    value = implicit_objective(C, result.W.astype(float), result.H.astype(float), 0.3, 4)
    eps = np.finfo(dtype).eps
    # sums of 144 terms of size 100
    assert close(result.objective[-1], value, rtol=1e4 * eps)
    assert within(np.diff(result.objective), 1e4 * eps * value) and result.W.dtype == dtype
    sparse = implicit_als(scipy.sparse.csr_array(C), 2, penalty=0.3, confidence=4, rng=0)
    assert close(sparse.W, result.W, atol=1e5 * eps)
    for j in range(n):  # the columns, solved for last, are ridge solutions
        D = np.diag(1 + 4 * C[:, j].astype(float))
        h = np.linalg.solve(result.W.T @ D @ result.W + 0.3 * np.eye(2), result.W.T @ D @ (C[:, j] > 0))
        assert close(result.H[:, j], h, atol=1e5 * eps)


@pytest.mark.parametrize("confidence", [3, 0])
@pytest.mark.parametrize("k", [8, 20])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_with_few_counts_are_ridge_solutions_like_the_others(dtype, k, confidence):
    rng = np.random.default_rng(0)
    C = np.zeros((40, 300), dtype=dtype)
    for i in range(40):  # 0 to 13 entries in a row: below and above k / 2, and empty ones
        C[i, rng.choice(300, i % 14, replace=False)] = rng.integers(1, 5, i % 14)
    F = rng.standard_normal((300, k)).astype(dtype)
    for table in (C, scipy.sparse.csr_array(C)):
        ones = (C > 0).astype(dtype)
        batches = _batches(dtype(confidence) * table, ones, k)
        assert (batches[0][1] is None) == (table is C), "one way for dense tables, one for sparse ones"
        found = np.zeros((40, k), dtype=dtype)
        for _ in range(15):  # each goes on from the one before, and its minimum is the ridge solution
            found, _ = _half(batches, F, found, 0.3)
        for c, x in zip(C, found, strict=True):
            D = np.diag(1 + confidence * c)
            wanted = np.linalg.solve(F.T @ D @ F + 0.3 * np.eye(k), F.T @ D @ (c > 0))
            assert close(x, wanted, atol=1e3 * np.finfo(dtype).eps)
        assert found.dtype == dtype and not found[0].any()


def gradient(C, result, penalty, confidence):
    """Of the documented objective in W, over its size if W were 0."""
    weights = 1 + confidence * C
    residual = weights * (result.W @ result.H - (C > 0))
    at_zero = np.linalg.norm((weights * (C > 0)) @ result.H.T)
    return np.linalg.norm(residual @ result.H.T + penalty * result.W) / at_zero


@pytest.mark.parametrize("share", [0.05, 0.3])  # sparse batches, and a dense table
def test_implicit_als_ends_where_both_gradients_are_zero(share):
    rng = np.random.default_rng(3)
    C = np.where(rng.random((60, 50)) < share, rng.integers(1, 9, (60, 50)), 0).astype(float)
    result = implicit_als(scipy.sparse.csr_array(C), 12, penalty=2.0, confidence=4, max_iterations=1500)
    turned = result.__class__(result.H.T, result.W.T, *[None] * 5)
    assert within([gradient(C, result, 2.0, 4), gradient(C.T, turned, 2.0, 4)], 1e-6)
    assert not within(gradient(C, result, 4.0, 4), 1e-3), "of another penalty it is not"
    assert close(result.objective[-1], implicit_objective(C, result.W, result.H, 2.0, 4), rtol=1e-10)


def test_few_iterations_of_implicit_als_are_close_to_its_end():
    C = np.random.default_rng(12).poisson(np.outer(np.arange(1, 81), np.arange(1, 61)) ** -0.5)
    options = {"penalty": 3.0, "confidence": 10, "rng": 0}
    five = implicit_als(C, 6, max_iterations=5, **options).objective[-1]
    end = implicit_als(C, 6, max_iterations=1000, **options).objective[-1]
    assert within(five / end - 1, 0.03)


def test_implicit_als_tells_groups_apart_and_zeros_do_not_matter():
    rng = np.random.default_rng(9)
    group = np.repeat([0, 1], 15)
    C = rng.poisson(np.where(group[:, None] == group[None, :20], 1.0, 0.02))
    C[3] = 0
    result = implicit_als(C, 2, confidence=5, rng=0, tolerance=1e-3, max_iterations=100)
    scores = result.W @ result.H
    same = (group[:, None] == group[None, :20]) & (C == 0)
    other = (group[:, None] != group[None, :20]) & (C == 0)
    same[3] = other[3] = False
    assert result.converged and scores[same].mean() > scores[other].mean() + 0.4
    assert not result.W[3].any(), "an empty row has no preference"
    stored = as_sparse(C.astype(float))  # stores the zeros as well
    again = implicit_als(stored, 2, confidence=5, rng=0, tolerance=1e-3, max_iterations=100)
    assert close(again.W, result.W, atol=1e-10)


@pytest.mark.parametrize(
    ("C", "options", "error", "message"),
    [
        ([[1, -2], [0, 1]], {}, ValueError, r"C must be non-negative; got -2 at \(0, 1\)"),
        ([[0, 0], [0, 0]], {}, ValueError, "C must have an entry above 0"),
        ([[1, 2], [0, 1]], {"penalty": 0}, ValueError, "penalty must be finite and above 0"),
        ([[1, 2], [0, 1]], {"confidence": -1}, ValueError, "confidence must be finite and at least 0"),
        ([[1, 2], [0, 1]], {"tolerance": 1}, ValueError, "tolerance must be .* below 1; got 1"),
    ],
)
def test_misuse_of_implicit_als(C, options, error, message):
    with pytest.raises(error, match=f"^implicit_als: {message}"):
        implicit_als(C, 1, **options)


def test_implicit_als_limits_and_interrupts(monkeypatch):
    C = np.random.default_rng(10).poisson(0.6, (8, 9))
    with pytest.warns(RuntimeWarning, match="implicit_als: not converged after 2 iterations"):
        implicit_als(C, 2, max_iterations=2, tolerance=1e-12, rng=0)
    monkeypatch.setattr("lowrank_helpers._iterate.bar", Interrupted)
    assert not implicit_als(C, 2, rng=0).converged
