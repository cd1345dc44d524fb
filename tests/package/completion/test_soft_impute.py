"""Soft-impute against the convex optimum, and along a path of penalties."""

import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.completion import (
    als_complete,
    predict,
    soft_impute,
    soft_impute_path,
)
from lowrank_helpers.decomposition import singular_value_threshold
from tests.package._matrices import PROPERTY
from tests.package.completion._tables import Interrupted, as_sparse, holes, nan

# the package's attribute of this name is the function
largest_singular_value = sys.modules["lowrank_helpers.completion.soft_impute"]._largest


def convex_objective(A, X, penalty):
    return 0.5 * np.nansum((A - X) ** 2) + penalty * np.linalg.svd(X, compute_uv=False).sum()


def proximal_gradient(A, penalty, iterations=3000):
    """The textbook's loop with full singular value decompositions."""
    X = np.zeros_like(A)
    for _ in range(iterations):
        U, s, Vt = np.linalg.svd(np.where(np.isnan(A), X, A), full_matrices=False)
        X = (U * np.maximum(s - penalty, 0)) @ Vt
    return X


@PROPERTY
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0.05, 2), st.booleans())
def test_soft_impute_reaches_the_convex_optimum(m, n, seed, penalty, sparse):
    rng = np.random.default_rng(seed)
    A = holes(m, n, 0.6, rng, rng.standard_normal((m, n)))
    A[0, 0] = 1
    before = A.copy()
    result = soft_impute(as_sparse(A) if sparse else A, penalty, tolerance=1e-6, max_iterations=20000)
    X = result.W @ result.H
    R = np.where(np.isnan(A), 0, A - X)
    D = R * min(1, penalty / max(np.linalg.norm(R, 2), 1e-300))
    value = convex_objective(A, X, penalty)
    # the certificate, computed here: gap at most the tolerance, and rounding
    gap = value - (np.nansum(D * A) - 0.5 * (D**2).sum())
    assert within(gap - 1e-6 * value, 1e-8 * value + 1e-12)
    assert result.converged and np.array_equal(A, before, equal_nan=True)
    assert close(result.objective[-1], value, rtol=1e-9)
    assert within(np.diff(result.objective), 1e-12 * value), "the objective never rises"


def test_soft_impute_agrees_with_proximal_gradient_and_the_variational_form():
    A = holes(15, 12, 0.6, np.random.default_rng(1))
    X = proximal_gradient(A, 0.5)
    result = soft_impute(A, 0.5, tolerance=1e-10, max_iterations=5000)
    assert close(result.W @ result.H, X, atol=1e-4)
    factored = als_complete(A, 12, penalty=0.5, tolerance=1e-12, max_iterations=5000)
    assert close(factored.W @ factored.H, X, atol=1e-3)
    assert close(factored.objective[-1], 2 * result.objective[-1], rtol=1e-6), "twice the objective"
    hard = soft_impute(A, 1.0, tolerance=1e-8)
    assert not close(hard.W @ hard.H, X, atol=0.01), "another penalty has another solution"


def test_soft_impute_path_starts_warm_and_does_not_depend_on_it():
    A = holes(60, 50, 0.3, np.random.default_rng(2))
    path = soft_impute_path(A, [20, 5, 1], tolerance=1e-6)
    for penalty, result in zip([20, 5, 1], path, strict=True):
        alone = soft_impute(A, penalty, tolerance=1e-6)
        assert close(alone.objective[-1], result.objective[-1], rtol=2e-6)
    again = soft_impute(A, 1, start=path[-1], tolerance=1e-6)
    assert len(again.objective) == 1, "its own solution is certified at once"


STRUCTURED = {
    "identity": np.eye(40),
    "blocks": np.kron(np.eye(20, 18), np.ones((2, 2))),
    "blocks of ten": np.kron(np.eye(40), np.ones((10, 10))),
    "one-hot": np.eye(40)[np.random.default_rng(0).integers(0, 40, 60)],
    "ring": np.eye(40) + np.roll(np.eye(40), 1, axis=0),
    "duplicated rows": np.repeat(np.random.default_rng(1).standard_normal((12, 40)), 4, axis=0),
    "ones": np.ones((50, 40)),
}


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("name", STRUCTURED)
def test_soft_impute_of_structured_tables_is_reproducible_and_exact(name, sparse):
    """Where all is seen it is the thresholded SVD; the Krylov spaces of such tables close after a few steps."""
    A = STRUCTURED[name]
    table = scipy.sparse.coo_array((A.ravel(), np.indices(A.shape).reshape(2, -1)), A.shape) if sparse else A
    one, two = (soft_impute(table, 0.5, tolerance=1e-10, rng=0) for _ in range(2))
    assert np.array_equal(one.W, two.W) and np.array_equal(one.H, two.H)
    assert one.converged and close(one.W @ one.H, singular_value_threshold(A, 0.5), atol=1e-4)


def test_the_largest_singular_value_is_found_among_equal_and_close_ones():
    rng = np.random.default_rng(2)
    U, V = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (90, 60))
    close_ones = np.append(1 + 1e-6 * rng.random(20), np.linspace(0.99, 0, 40))
    spectra = [np.ones(60), np.append(np.ones(50), np.zeros(10)), close_ones, np.arange(60.0)]
    for s in spectra:
        found = largest_singular_value((U * s) @ V, np.random.default_rng(0))
        assert close(found, s.max(), rtol=1e-10)


def test_soft_impute_is_accelerated():
    A = holes(40, 50, 0.3, np.random.default_rng(15))
    result = soft_impute(A, 0.02, tolerance=1e-3)
    plain = convex_objective(A, proximal_gradient(A, 0.02, 1000), 0.02)
    assert result.converged and result.objective[-1] < 0.95 * plain, "further than 1000 plain steps"


def test_soft_impute_in_float32_empty_rows_and_large_penalties():
    A = holes(40, 50, 0.3, np.random.default_rng(3)).astype(np.float32)
    A[5] = nan
    result = soft_impute(A, 2.0)
    assert result.W.dtype == result.H.dtype == np.float32
    assert within(np.abs(result.W[5]), 1e-4 * np.abs(result.W).max())
    nothing = soft_impute(A, 1e3)
    assert nothing.W.shape == (40, 0) and nothing.H.shape == (0, 50) and predict(nothing, 0, 0) == 0


def test_soft_impute_limits_and_interrupts(monkeypatch):
    A = holes(40, 50, 0.3, np.random.default_rng(4))
    with pytest.warns(RuntimeWarning, match="soft_impute: not converged after 2 iterations; the duality gap is"):
        assert not soft_impute(A, 0.01, max_iterations=2).converged
    monkeypatch.setattr("lowrank_helpers._iterate.bar", Interrupted)
    assert not soft_impute(A, 0.01, tolerance=1e-12).converged


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"penalty": 0}, ValueError, "penalty must be finite and above 0; got 0. For no penalty use als_complete"),
        ({"start": 3}, TypeError, "start must be a Completion; got int"),
        ({"tolerance": 0}, ValueError, "tolerance must be finite and above 0"),
        ({"tolerance": 1}, ValueError, "tolerance must be .* below 1; got 1"),
        ({"max_iterations": 1.5}, TypeError, "max_iterations must be an integer"),
    ],
)
def test_misuse_of_soft_impute(options, error, message):
    options = {"penalty": 1.0} | options
    with pytest.raises(error, match=f"^soft_impute: {message}"):
        soft_impute([[1.0, 2], [3, nan]], **options)


def test_soft_impute_of_a_large_table_of_zeros_is_zero():
    table = np.zeros((40, 35))
    table[::2, ::3] = nan
    found = soft_impute(table, 0.5, rng=0)
    assert found.converged and found.H.shape[0] == 0


def test_misuse_of_soft_impute_start_and_path():
    other = soft_impute(np.eye(3), 0.5)
    with pytest.raises(ValueError, match=r"soft_impute: start must have the shape of A, \(2, 2\); got \(3, 3\)"):
        soft_impute(np.eye(2), 0.5, start=other)
    with pytest.raises(ValueError, match="soft_impute_path: penalties must not be empty"):
        soft_impute_path(np.eye(2), [])
