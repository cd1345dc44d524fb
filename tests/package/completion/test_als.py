"""Alternating least squares: closed form, descent, exact recovery, implicit features, misuse; and predictions."""

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.completion import (
    als_complete,
    predict,
)
from lowrank_helpers.datasets import low_rank
from tests.package._matrices import PROPERTY
from tests.package.completion._tables import TABLE, Interrupted, as_sparse, holes, nan


def test_hand_example_of_rank_one():
    result = als_complete([[1, 2, 3], [2, 4, nan], [3, nan, 9]], 1)
    assert close(result.W @ result.H, np.outer([1, 2, 3], [1, 2, 3]), atol=1e-12)  # 4e-14: twenty roundings of 9
    assert result.converged and result.mean == 0 and not result.row_bias.any()


@pytest.mark.parametrize("dense", [True, False])
def test_exact_recovery_without_noise(dense):
    rng = np.random.default_rng(0)
    full = low_rank(120, 90, 3, rng=rng)
    A = holes(120, 90, 0.4, rng, full)
    result = als_complete(A if dense else as_sparse(A), 3)
    assert within(np.linalg.norm(result.W @ result.H - full), 1e-12 * np.linalg.norm(full))
    zero_filled = np.linalg.svd(np.where(np.isnan(A), 0, A), full_matrices=False)
    wrong = (zero_filled[0][:, :3] * zero_filled[1][:3]) @ zero_filled[2][:3]
    assert not within(np.linalg.norm(wrong - full), 0.05 * np.linalg.norm(full)), "unseen is not zero"


@pytest.mark.parametrize("weighted", [True, False])
def test_a_large_sparse_table_needs_a_few_iterations(weighted):
    """Stars about 3.5, of which 5 % were seen: with zeros elsewhere the start would be which were seen, not what."""
    rng = np.random.default_rng(0)
    m, n = 6000, 1500
    rows, columns = np.divmod(np.unique(rng.integers(m, size=m * n // 20) * n + rng.integers(n, size=m * n // 20)), n)
    P, Q = rng.standard_normal((m, 4)) / 2, rng.standard_normal((n, 4)) / 2
    stars = 3.5 + (P[rows] * Q[columns]).sum(axis=1) + rng.normal(0, 0.5, len(rows))
    A = scipy.sparse.coo_array((stars, (rows, columns)), shape=(m, n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = als_complete(A, 5, penalty=0.05 if weighted else 4.0, weighted=weighted, max_iterations=40)
    third, last = result.objective[2], result.objective[-1]
    assert within(third / last - 1, 0.1)


def residual_of_rows(A, result, ridge):
    """Gradient of the objective in (w_i, b_i) at each row, over the size of its terms: 0 at the ridge solution."""
    worst = 0.0
    for i, row in enumerate(A):
        j = np.nonzero(~np.isnan(row))[0]
        F = np.column_stack([result.H[:, j].T, np.ones(len(j))])
        y = row[j] - result.mean - result.column_bias[j]
        x = np.append(result.W[i], result.row_bias[i])
        gradient = F.T @ (F @ x - y) + ridge(len(j)) * x
        worst = max(worst, np.abs(gradient).max() / (1 + np.abs(F.T @ y).max()))
    return worst


@pytest.mark.parametrize("weighted", [True, False])
def test_rows_and_columns_are_ridge_solutions(weighted):
    A = 3 + holes(30, 20, 0.5, np.random.default_rng(1))
    result = als_complete(A, 2, penalty=0.3, biases=True, weighted=weighted, tolerance=0, max_iterations=3000)
    other = result.__class__(
        result.H.T, result.W.T, result.column_bias, result.row_bias, result.mean, result.objective, True
    )
    for table, solution in ((A, result), (A.T, other)):
        # the fixed point is reached to the root of rounding in the objective
        assert within(residual_of_rows(table, solution, lambda n: 0.3 * (n if weighted else 1)), 1e-6)
        assert not within(residual_of_rows(table, solution, lambda n: 0.3 * (1 if weighted else n)), 1e-3), "the other"


@PROPERTY
@given(
    st.integers(2, 12),
    st.integers(2, 12),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([np.float32, np.float64]),
)
def test_objective_is_the_documented_one_and_never_rises(m, n, seed, biases, weighted, omega, dtype):
    rng = np.random.default_rng(seed)
    A = (2 + holes(m, n, 0.6, rng)).astype(dtype)
    A[0, 0] = 1
    before, r, penalty = A.copy(), min(2, m, n), 0.2
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for table in (A, as_sparse(A)):
            results.append(
                als_complete(
                    table, r, penalty=penalty, biases=biases, weighted=weighted, implicit_features=omega, tolerance=0,
                    max_iterations=8,
                )
            )  # fmt: skip
    result = results[0]
    assert np.array_equal(A, before, equal_nan=True) and result.W.dtype == result.H.dtype == dtype
    X = result.W.astype(float) @ result.H + result.row_bias[:, None] + result.column_bias + result.mean
    rows, columns = (np.maximum((~np.isnan(A)).sum(axis=axis), 1) ** weighted for axis in (1, 0))
    value = np.nansum((A - X) ** 2)
    value += penalty * (rows @ ((result.W**2).sum(1) + result.row_bias**2))
    value += penalty * (columns @ ((result.H**2).sum(0) + result.column_bias**2))
    # sums of at most 144 terms of size 10: rounding 1e3 × eps each
    slack = 1e4 * np.finfo(dtype).eps * (1 + np.nansum(A**2))
    assert within(np.diff(result.objective), slack)
    if omega == 0:
        assert close(result.objective[-1], value, atol=slack)
    else:
        assert within(value - result.objective[-1], slack), "the features add to it"


def test_dense_and_sparse_paths_agree_and_keep_explicit_zeros():
    rng = np.random.default_rng(2)
    A = holes(60, 50, 0.09, rng)  # below the share from which patterns are dense
    A[0, 0] = 0.0
    dense = np.where(np.isnan(A), nan, A)
    options = {"penalty": 0.5, "biases": True, "implicit_features": 0.3, "max_iterations": 1000}
    one, two = (als_complete(x, 2, **options) for x in (dense, as_sparse(A)))
    # the same steps, but for rounding
    assert close(one.W @ one.H, two.W @ two.H, atol=1e-6)
    without = A.copy()
    without[0, 0] = nan
    three = als_complete(as_sparse(without), 2, **options)
    assert one.mean != three.mean, "an explicit zero is an observation"


def profile(A, W, result, penalty, omega):
    """The objective with implicit features, at other row factors, with the best factors of what was seen put in."""
    S = (~np.isnan(A)).astype(float)
    value = np.nansum((A - W @ result.H) ** 2) + penalty * ((W**2).sum() + (result.H**2).sum())
    for X, table in ((W, S), (result.H.T, S.T)):
        G = np.linalg.solve(omega * X.T @ X + penalty * np.eye(X.shape[1]), omega * X.T @ table)
        value += omega * ((table - X @ G) ** 2).sum() + penalty * (G**2).sum()
    return value


def test_implicit_features_minimise_the_documented_objective():
    rng = np.random.default_rng(9)
    A = holes(12, 10, 0.6, rng)
    result = als_complete(A, 2, penalty=0.3, implicit_features=0.7, tolerance=0, max_iterations=5000)
    here = profile(A, result.W, result, 0.3, 0.7)
    assert close(here, result.objective[-1], rtol=1e-12)
    for _ in range(5):  # stationary: along any direction the difference is of second order
        E = rng.standard_normal(result.W.shape)
        slope = (
            profile(A, result.W + 1e-4 * E, result, 0.3, 0.7) - profile(A, result.W - 1e-4 * E, result, 0.3, 0.7)
        ) / 2e-4
        assert within(abs(slope), 1e-4 * here)


def test_implicit_features_help_where_what_is_seen_depends_on_taste():
    rng = np.random.default_rng(3)
    full = low_rank(200, 150, 2, noise=0.3, rng=rng)
    chosen = rng.random(full.shape) < 0.25 / (1 + np.exp(-3 * full))  # what is liked is seen
    test = (rng.random(full.shape) < 0.1) & ~chosen
    A = np.where(chosen, full, nan)
    errors = []
    for omega in (0.0, 0.3):
        result = als_complete(as_sparse(A), 3, penalty=3.0, biases=True, implicit_features=omega)
        errors.append(np.sqrt(np.mean((predict(result, *np.nonzero(test)) - full[test]) ** 2)))
    assert errors[1] < 0.95 * errors[0]


def test_iteration_limit_warns_and_the_start_may_vary():
    A = 3 + holes(20, 15, 0.6, np.random.default_rng(6))
    with pytest.warns(RuntimeWarning, match=r"als_complete: not converged after 2 iterations; the last one lowered"):
        result = als_complete(A, 2, penalty=0.5, max_iterations=2, tolerance=1e-12)
    assert not result.converged and len(result.objective) == 2


def test_interrupt_returns_what_there_is(monkeypatch):
    monkeypatch.setattr("lowrank_helpers._iterate.bar", Interrupted)
    result = als_complete(3 + holes(20, 15, 0.6, np.random.default_rng(7)), 2, penalty=0.5, tolerance=0)
    assert not result.converged and len(result.objective) == 3


@pytest.mark.parametrize(
    ("A", "options", "error", "message"),
    [
        (np.full((2, 2), nan), {}, ValueError, r"A must have observations; got none for shape \(2, 2\)"),
        (scipy.sparse.coo_array((3, 2)), {}, ValueError, "A must have observations; got none"),
        ([[1, np.inf], [2, 3]], {}, ValueError, r"A has 1 infinite entry, at \(0, 1\)"),
        (scipy.sparse.coo_array([[1.0, np.inf]]), {}, ValueError, "A.data has 1 infinite entry"),
        (
            scipy.sparse.coo_array(([1.0, 2, 3], ([0, 0, 1], [1, 1, 0])), shape=(2, 2)),
            {},
            ValueError,
            r"at most one observation for each entry; got 1 repeated, the first at \(0, 1\)",
        ),
        ([1.0, 2.0], {}, ValueError, "A must be a matrix"),
        ([[1.0, 2.0], [3.0]], {}, ValueError, "rectangular"),
        (np.ma.masked_invalid(TABLE), {}, TypeError, "masked array"),
        (TABLE, {"rank": 4}, ValueError, r"rank must be between 1 and min\(m, n\) = 3; got 4"),
        (TABLE, {"rank": 3, "penalty": 0}, ValueError, r"r\(m \+ n − r\), as there are observations, 7; got 9"),
        ([[1, 2, nan], [nan] * 3, [1, 2, 3], [1, 2, 3]], {"penalty": 0}, ValueError, "at least 1 .*got 0 in row 1"),
        (TABLE, {"penalty": 0, "implicit_features": 1.0}, ValueError, "implicit_features must come with penalty > 0"),
        (TABLE, {"penalty": -1}, ValueError, "penalty must be finite and at least 0; got -1"),
        (TABLE, {"biases": 1}, TypeError, "biases must be True or False"),
        (TABLE, {"max_iterations": 0}, ValueError, "max_iterations must be at least 1"),
        (TABLE, {"tolerance": nan}, ValueError, "tolerance must be finite"),
        (TABLE, {"tolerance": 1}, ValueError, "tolerance must be .* below 1; got 1"),
        (TABLE, {"rng": "a"}, TypeError, "rng must be None"),
    ],
)
def test_misuse_of_als_complete(A, options, error, message):
    options = {"rank": 1, "penalty": 0.1} | options
    with pytest.raises(error, match=f"^als_complete: .*{message}"):
        als_complete(A, options.pop("rank"), **options)


@pytest.mark.parametrize(
    ("m", "n", "count", "r"), [(4000, 2000, 200_000, 5), (1000, 800, 300_000, 5), (12_000, 8_000, 60_000, 20)]
)
def test_memory_of_als_is_within_the_documented(m, n, count, r):
    rng = np.random.default_rng(0)
    places = rng.choice(m * n, count, replace=False)
    A = scipy.sparse.coo_array((rng.standard_normal(count), np.divmod(places, n)), shape=(m, n))
    observed = 60 * m * n if count > 0.1 * m * n else 100 * count
    tracemalloc.start()
    try:
        als_complete(A, r, penalty=1.0, tolerance=0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # within allows a quarter of its bound
    assert within(peak, 4 * (observed + 50 * r * (m + n) + 20e6))


def test_als_of_zeros_without_a_penalty_is_zero():
    found = als_complete(np.zeros((5, 4)), 1)
    assert found.converged and not found.W.any() and not found.H.any()
    assert predict(als_complete(np.full((5, 4), 3.0), 2, biases=True, penalty=0.0), 1, 1) == 3
