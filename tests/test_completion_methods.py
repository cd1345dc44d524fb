"""SGD, soft-impute, implicit ALS and Gibbs sampling: oracles, properties, negative controls, misuse."""

import sys

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    implicit_als,
    predict,
    predict_interval,
    sgd_complete,
    soft_impute,
    soft_impute_path,
)
from lowrank_helpers.completion.bayes import _draw
from lowrank_helpers.completion.implicit import _batches, _half
from lowrank_helpers.datasets import low_rank
from lowrank_helpers.factor.robust import singular_value_threshold
from tests._matrices import PROPERTY
from tests.margins import close, within
from tests.test_completion_als import as_sparse, holes

nan = np.nan
# the package's attribute of this name is the function
largest_singular_value = sys.modules["lowrank_helpers.completion.soft_impute"]._largest


def interrupted(count, progress, name):
    yield from range(3)
    raise KeyboardInterrupt


# ------------------------------------------------------------------------------------------------------- soft_impute


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
    # the package's attribute of this name is the function
    monkeypatch.setattr(sys.modules["lowrank_helpers.completion.soft_impute"], "steps", interrupted)
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


# ------------------------------------------------------------------------------------------------------ sgd_complete


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
    monkeypatch.setattr("lowrank_helpers.completion.sgd.steps", interrupted)
    result = sgd_complete(A, 2, tolerance=0, learning_rate=0.001, rng=0)
    assert not result.converged and len(result.objective) == 3 and result.W.dtype == np.float32


# ------------------------------------------------------------------------------------------------------ implicit_als


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
    result = implicit_als(scipy.sparse.csr_array(C), 12, penalty=2.0, confidence=4, max_iterations=1500, tolerance=0)
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
    monkeypatch.setattr("lowrank_helpers.completion.implicit.steps", interrupted)
    assert not implicit_als(C, 2, rng=0).converged


# ------------------------------------------------------------------------------------------------- bayesian_complete


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
    monkeypatch.setattr("lowrank_helpers.completion.bayes.steps", interrupted)
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


# ------------------------------------------------------------------------------------------------------- what they read

METHODS = {
    "als_complete": lambda A: als_complete(A, 1, penalty=0.1),
    "sgd_complete": lambda A: sgd_complete(A, 1),
    "soft_impute": lambda A: soft_impute(A, 0.5),
    "soft_impute_path": lambda A: soft_impute_path(A, [1.0, 0.5]),
    "bayesian_complete": lambda A: bayesian_complete(A, 1),
    "implicit_als": lambda C: implicit_als(C, 1),
}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_refused_is_named_as_the_caller_does(name):
    argument = "C" if name == "implicit_als" else "A"
    repeated = scipy.sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), (3, 3))
    for table, message in (
        (repeated, " must have at most one observation"),
        (np.full((3, 3), np.nan), " must have observations"),
        (np.ones(3), " must be a matrix"),
        (scipy.sparse.coo_array(([np.inf], ([0], [0])), (3, 3)), ".data has 1 infinite entry"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: {argument}{message}"):
            METHODS[name](table)


def test_als_of_zeros_without_a_penalty_is_zero():
    found = als_complete(np.zeros((5, 4)), 1)
    assert found.converged and not found.W.any() and not found.H.any()
    assert predict(als_complete(np.full((5, 4), 3.0), 2, biases=True, penalty=0.0), 1, 1) == 3
