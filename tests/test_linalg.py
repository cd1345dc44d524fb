"""Norms, rank, pseudo-inverse and least squares: oracle, property, negative control, and what is particular."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers.linalg import (
    break_even_rank,
    degrees_of_freedom,
    factor_parameters,
    frobenius_norm,
    lstsq,
    nuclear_norm,
    numerical_rank,
    pinv,
    rank_factorization,
    spectral_norm,
    tikhonov,
    vector_norm,
)
from tests._matrices import PROPERTY, cases, eps, rank_of, tolerance, with_spectrum
from tests.margins import above, close, within


def rng():
    return np.random.default_rng(3)


def near(x, y, A, constant=20.0):
    """Two norms of A equal to rounding."""
    return isinstance(x, float) and close(x, y, rtol=constant * eps(A) * max(np.shape(A)))


# ------------------------------------------------------------------------------------------------------------- norms


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 50, np.inf])
def test_vector_norm_agrees_with_numpy(p):
    x = rng().uniform(-1, 1, 20)
    assert near(vector_norm(x, p), np.linalg.norm(x, p), x)
    assert near(vector_norm(x.astype(np.float32), p), np.linalg.norm(x, p), np.float32([1]), 100)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e200])
def test_vector_norm_neither_overflows_nor_underflows(scale):
    assert close(vector_norm([3 * scale, 4 * scale]), 5 * scale, rtol=1e-14)
    assert vector_norm([scale, 0, scale], 1) == 2 * scale
    assert close(vector_norm([scale, -scale], 1e6), scale * 2**1e-6, rtol=1e-14)


@PROPERTY
@given(st.integers(1, 20), st.integers(0, 99), st.sampled_from([1, 1.5, 2, 4, np.inf]))
def test_vector_norm_obeys_the_axioms_and_falls_with_p(n, seed, p):
    x, y = np.random.default_rng(seed).standard_normal((2, n))
    both = vector_norm(x, p) + vector_norm(y, p)
    assert within(vector_norm(x + y, p) - both, 1e-14 * both)
    assert close(vector_norm(-3 * x, p), 3 * vector_norm(x, p), rtol=1e-14)
    assert vector_norm(0 * x, p) == 0 < vector_norm(x, p)
    assert within(vector_norm(x, p + 1) - vector_norm(x, p), 1e-14 * vector_norm(x, p))


def test_vector_norm_check_rejects_a_forgotten_root_and_signs():
    x = [3.0, -4.0]
    assert not near(25.0, np.linalg.norm(x), x)
    assert not near(float(np.sum(x)), np.linalg.norm(x, 1), x)


NORMS = {frobenius_norm: "fro", spectral_norm: 2, nuclear_norm: "nuc"}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(7, 4), (5, 5), (3, 6), (1, 1)])
def test_matrix_norms_agree_with_numpy(norm, shape):
    A = rng().standard_normal(shape)
    assert near(norm(A), np.linalg.norm(A, NORMS[norm]), A)


@PROPERTY
@given(cases())
def test_matrix_norms_follow_from_the_singular_values(case):
    A, s = case
    assert near(frobenius_norm(A), np.sqrt((s**2).sum()), A)
    assert near(spectral_norm(A), s[0], A)
    assert near(nuclear_norm(A), s.sum(), A)


@PROPERTY
@given(cases())
def test_matrix_norms_stand_in_their_chain(case):
    A, slack = case.A, tolerance(case.A)
    spectral, frobenius, nuclear = spectral_norm(A), frobenius_norm(A), nuclear_norm(A)
    assert within(spectral - frobenius, slack) and within(frobenius - nuclear, slack)
    assert within(nuclear - np.sqrt(case.rank) * frobenius, slack * max(A.shape))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_matrix_norms_neither_overflow_nor_underflow(norm, scale):
    A = rng().standard_normal((4, 3))
    assert close(norm(scale * A) / scale, norm(A), rtol=1e-14)


def test_matrix_norm_checks_reject_eigenvalues_for_singular_values():
    A = np.array([[0.0, 2.0], [0.0, 0.0]])  # nilpotent: all eigenvalues are 0
    eigenvalues = np.abs(np.linalg.eigvals(A))
    assert near(spectral_norm(A), 2.0, A) and not near(float(eigenvalues.max()), 2.0, A)
    assert near(nuclear_norm(A), 2.0, A) and not near(float(eigenvalues.sum()), 2.0, A)
    assert not near(float(np.abs(A).sum(axis=0).max()), spectral_norm(np.ones((2, 2)) + A), A), "a column sum"


# -------------------------------------------------------------------------------------------------------------- rank


@PROPERTY
@given(cases())
def test_numerical_rank_is_the_rank_it_was_made_with(case):
    assert numerical_rank(case.A) == case.rank
    assert numerical_rank(case.A.T) == case.rank


def test_numerical_rank_agrees_with_numpy():
    for A in (scipy.linalg.hilbert(12), np.outer([1.0, 2], [3, 4]), np.zeros((3, 2)), rng().standard_normal((5, 9))):
        assert numerical_rank(A) == np.linalg.matrix_rank(A) == rank_of(A, max(A.shape) * eps(A))


def test_numerical_rank_is_relative():
    A = np.diag([1.0, 2.0**-30])
    assert numerical_rank(A) == numerical_rank(1e-20 * A) == 2
    assert not above(np.linalg.svd(1e-20 * A)[1], 1e-15).any(), "an absolute tolerance fails"
    assert [numerical_rank(A, rtol=t) for t in (0.0, 1e-10, 2.0**-30, 0.5)] == [2, 2, 1, 1], "strictly above rtol · σ₁"


def is_rank_factorization(A, factors, rank):
    C, R = factors
    m, n = A.shape
    return (
        C.shape == (m, rank)
        and R.shape == (rank, n)
        and C.dtype == R.dtype == A.dtype
        and close(C @ R, A, atol=tolerance(A))
    )


@PROPERTY
@given(cases())
def test_rank_factorization_of_any_shape_and_rank(case):
    assert is_rank_factorization(case.A, rank_factorization(case.A), case.rank)


def test_rank_factorization_agrees_with_numpy_on_a_zoo():
    singular = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    for A in (singular, np.ones((3, 5)), np.zeros((2, 4)), np.eye(4), [[0, 1], [0, 0]], [[7]], np.tri(6)):
        A = np.array(A, dtype=float)
        assert is_rank_factorization(A, rank_factorization(A), rank_of(A, 1e-10))


def test_rank_factorization_check_rejects_a_pivot_that_is_not_tested():
    def one_step_per_column(A):
        E, columns, rows = A.copy(), [], []
        for j in range(A.shape[1]):
            i = int(np.abs(E[:, j]).argmax())
            columns.append(E[:, j].copy())
            rows.append(E[i] / E[i, j])
            E = E - np.outer(columns[-1], rows[-1])
        return np.array(columns).T, np.array(rows)

    regular, singular = rng().standard_normal((4, 3)), np.array([[0.1, 0.7], [0.2, 1.4], [0.3, 2.1]])
    assert is_rank_factorization(regular, one_step_per_column(regular), 3)
    with np.errstate(all="ignore"):
        assert not is_rank_factorization(singular, one_step_per_column(singular), 1)


def test_rank_factorization_tolerance_is_relative():
    A = np.diag([1.0, 1e-9])
    assert [rank_factorization(A, rtol=t).C.shape[1] for t in (0.0, 1e-10, 1e-9)] == [2, 2, 1]
    assert rank_factorization(1e-300 * A).C.shape[1] == rank_factorization(1e300 * A).C.shape[1] == 2


# ----------------------------------------------------------------------------------------- pseudo-inverse and lstsq


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


# ------------------------------------------------------------------------------------------------------------ counts


def test_counts_of_the_book():
    assert factor_parameters(1000, 1000, 50) == 100_000
    assert factor_parameters(1000, 1000, 999) == 1_998_000
    assert factor_parameters(128, 128, 64) == 128 * 128
    assert (factor_parameters(3, 2, 1), degrees_of_freedom(3, 2, 1)) == (5, 4)
    assert factor_parameters(3, 2, 0) == degrees_of_freedom(3, 2, 0) == 0
    assert factor_parameters(np.int32(4096), np.int64(4096), np.uint8(8)) * 64 == 4_194_304


@PROPERTY
@given(st.integers(1, 500), st.integers(1, 500))
def test_factors_pay_exactly_below_the_break_even_rank(m, n):
    r = break_even_rank(m, n)
    assert isinstance(r, float) and r < min(m, n)
    for rank in range(min(m, n) + 1):
        assert (factor_parameters(m, n, rank) < m * n) == (rank < r)
    assert degrees_of_freedom(m, n, min(m, n)) == m * n


@PROPERTY
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 5), st.integers(0, 99))
def test_degrees_of_freedom_are_the_rank_of_the_jacobian(m, n, rank, seed):
    r = min(rank, m, n)
    generator = np.random.default_rng(seed)
    A, B = generator.standard_normal((m, r)), generator.standard_normal((r, n))
    jacobian = np.hstack([np.kron(np.eye(m), B.T), np.kron(A, np.eye(n))])  # of (A, B) ↦ A B
    assert degrees_of_freedom(m, n, r) == (rank_of(jacobian, 1e-10) if r > 0 else 0)
    assert (factor_parameters(m, n, r) == degrees_of_freedom(m, n, r)) == (r == 0), "storage is another count"
