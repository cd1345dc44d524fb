"""The pseudo-inverse, least squares, and least squares under a penalty."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.linalg import (
    lstsq,
    pinv,
    tikhonov,
)
from tests.package._matrices import PROPERTY, cases, eps, rank_of, with_spectrum


def rng():
    return np.random.default_rng(3)


def penrose(A, X):
    """The four Penrose equations, to rounding times the condition number on the range."""
    s, r = np.linalg.svd(A.astype(float), compute_uv=False), rank_of(A)
    if X.shape != A.shape[::-1] or X.dtype != A.dtype:
        return False
    if r == 0:
        return not X.any()
    A, X, bound = A.astype(float), X.astype(float), 20 * eps(A) * max(A.shape) * s[0] / s[r - 1]
    return (
        close(A @ X @ A, A, atol=bound * s[0])
        and close(X @ A @ X, X, atol=bound / s[r - 1])
        and close(A @ X, (A @ X).T, atol=bound)
        and close(X @ A, (X @ A).T, atol=bound)
    )


@PROPERTY
@given(cases())
def test_pinv_fulfils_the_four_penrose_equations(case):
    assert penrose(case.A, pinv(case.A))


def test_penrose_check_rejects_what_fulfils_three_of_the_four():
    A = rng().standard_normal((2, 4))
    X = np.linalg.pinv(A)
    other = X + (np.eye(4) - X @ A) @ rng().standard_normal((4, 2))
    assert penrose(A, X) and penrose(A, pinv(A))
    assert close(A @ other @ A, A, atol=1e-12) and close(other @ A @ other, other, atol=1e-12)
    assert not penrose(A, other)


@pytest.mark.parametrize("shape", [(9, 5), (6, 6), (5, 9)])
@pytest.mark.parametrize("condition", [1e0, 1e3, 1e6, 1e12])
def test_pinv_is_as_accurate_as_numpy_and_normal_equations_are_not(shape, condition):
    p = min(shape)
    s = np.geomspace(1, 1 / condition, p)
    U = np.linalg.qr(rng().standard_normal((shape[0], p)))[0]
    V = np.linalg.qr(rng().standard_normal((shape[1], p)))[0]
    A, exact = (U * s) @ V.T, (V / s) @ U.T

    def error(X):
        return np.linalg.norm(X - exact) / np.linalg.norm(exact)

    bound = 10 * max(shape) * eps(A) * condition  # the data themselves allow no better
    assert within(error(np.linalg.pinv(A, rcond=1e-15)), bound)
    assert within(error(pinv(A)), bound)
    if condition == 1e6:
        tall = A if shape[0] >= shape[1] else A.T
        wrong = np.linalg.solve(tall.T @ tall, tall.T)
        assert not within(error(wrong if shape[0] >= shape[1] else wrong.T), bound)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_pinv_neither_overflows_nor_underflows(scale):
    A = with_spectrum([3, 2, 1], 5, 4, rng())
    assert close(pinv(scale * A) * scale, pinv(A), atol=1e-14)


def test_pinv_of_a_tall_matrix_forms_no_square_one():
    A = np.random.default_rng(5).standard_normal((3000, 4))
    tracemalloc.start()
    pinv(A)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20 * A.nbytes  # the identity of its height would be 750 times A


def test_pinv_cuts_at_rtol():
    A = np.diag([1.0, 1e-9])
    assert close(pinv(A), np.diag([1, 1e9]), atol=1e-6)
    assert np.array_equal(pinv(A, rtol=1e-8), np.diag([1, 0]))


def is_minimum_norm(A, M, X):
    """AᵀA X = AᵀM, and X in the row space of A: the two conditions that single A⁺M out."""
    s, r = np.linalg.svd(A.astype(float), compute_uv=False), rank_of(A)
    if X.shape != (A.shape[1], *M.shape[1:]) or X.dtype != np.result_type(A, M):
        return False
    if r == 0:
        return not X.any()
    bound = 20 * eps(A, M) * max(A.shape) * s[0] / s[r - 1]
    A, X, size = A.astype(float), X.astype(float), np.linalg.norm(M)
    rows = np.linalg.pinv(A, rcond=1e-5) @ A
    normal = A.T @ (A @ X - M)
    return within(np.abs(normal), bound * s[0] * size) and close(rows @ X, X, atol=bound * size / s[r - 1])


@PROPERTY
@given(cases(), st.sampled_from([None, 1, 3]), st.sampled_from([np.float32, np.float64]))
def test_lstsq_is_the_minimiser_of_least_norm(case, columns, dtype):
    m = len(case.A)
    M = rng().standard_normal(m if columns is None else (m, columns)).astype(dtype)
    assert is_minimum_norm(case.A, M, lstsq(case.A, M))


@pytest.mark.parametrize(("m", "n", "rank"), [(9, 5, 5), (9, 5, 3), (5, 9, 5), (5, 9, 2), (6, 6, 6), (6, 6, 4)])
def test_lstsq_agrees_with_numpy(m, n, rank):
    A, M = with_spectrum(np.linspace(1, 0.5, rank), m, n, rng()), rng().standard_normal((m, 2))
    oracle = np.linalg.lstsq(A, M, rcond=1e-10)[0]
    assert close(lstsq(A, M), oracle, atol=1e-12)
    assert close(lstsq(A, M[:, 0]), oracle[:, 0], atol=1e-12)
    assert close(lstsq(A, np.eye(m)), pinv(A), atol=1e-13)


def test_lstsq_check_rejects_a_minimiser_that_is_not_the_shortest():
    A, M = np.array([[1.0, 1.0]]), np.array([4.0])
    basic = np.array([4.0, 0.0])
    assert np.array_equal(A @ basic, M)
    assert is_minimum_norm(A, M, lstsq(A, M)) and not is_minimum_norm(A, M, basic)


def is_tikhonov(A, M, lam, X):
    """Aᵀ(A X − M) + lam X = 0, to rounding in the augmented problem."""
    if X.shape != (A.shape[1], *M.shape[1:]) or X.dtype != np.result_type(A, M):
        return False
    A, X = A.astype(float), X.astype(float)
    s1 = np.hypot(np.linalg.norm(A, 2), np.sqrt(lam))
    bound = 20 * eps(M) * sum(A.shape) * s1 * (np.linalg.norm(M) + s1 * np.linalg.norm(X))
    return close(A.T @ (A @ X - M) + lam * X, 0 * X, atol=bound)


@PROPERTY
@given(cases(), st.sampled_from([None, 1, 3]), st.sampled_from([1e-2, 1.0, 100.0]))
def test_tikhonov_has_a_vanishing_gradient(case, columns, share):
    m = len(case.A)
    M = rng().standard_normal(m if columns is None else (m, columns)).astype(case.A.dtype)
    lam = share * max(case.s[0], 1e-6) ** 2
    assert is_tikhonov(case.A, M, lam, tikhonov(case.A, M, lam))


@pytest.mark.parametrize("shape", [(9, 5), (6, 6), (5, 9)])
def test_tikhonov_agrees_with_scikit_learn(shape):
    from sklearn.linear_model import Ridge

    A, M = rng().standard_normal(shape), rng().standard_normal((shape[0], 2))
    oracle = Ridge(alpha=0.3, fit_intercept=False, solver="svd").fit(A, M).coef_.T
    assert close(tikhonov(A, M, 0.3), oracle, atol=1e-13)


def test_tikhonov_check_rejects_lam_for_its_root():
    A, M, lam = rng().standard_normal((5, 3)), rng().standard_normal(5), 0.3
    wrong = np.linalg.lstsq(np.vstack([A, lam * np.eye(3)]), np.append(M, np.zeros(3)), rcond=None)[0]
    assert is_tikhonov(A, M, lam, tikhonov(A, M, lam)) and not is_tikhonov(A, M, lam, wrong)


def test_tikhonov_is_more_accurate_than_its_normal_equations():
    d = 2.0**-27
    A, lam = np.array([[1.0, 1.0], [d, 0.0], [0.0, d]]), d**2  # σ² = 2 + d² along (1, 1), and d² along (1, −1)
    assert close(tikhonov(A, A @ [2.0, 0.0], lam), [1.5, 0.5], atol=1e-6)  # eps κ is 3e-8
    assert np.array_equal(A.T @ A + lam * np.eye(2), np.ones((2, 2))), "d² is lost, and what is left is singular"


@pytest.mark.parametrize("lam", [1e-40, 1e-200, 1e-320])
def test_tikhonov_with_a_negligible_lam_is_the_minimum_norm_solution(lam):
    A, M = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, 3.0])
    assert close(tikhonov(A, M, lam), [1.0, 1.0], atol=1e-14)
