"""Rank, and factorisations that show it."""

import numpy as np
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from book.margins import above, close
from lowrank_helpers.costs import factor_parameters
from lowrank_helpers.linalg import (
    degrees_of_freedom,
    numerical_rank,
    rank_factorization,
)
from tests.package._matrices import PROPERTY, cases, eps, rank_of, tolerance


def rng():
    return np.random.default_rng(3)


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


@PROPERTY
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 5), st.integers(0, 99))
def test_degrees_of_freedom_are_the_rank_of_the_jacobian(m, n, rank, seed):
    r = min(rank, m, n)
    generator = np.random.default_rng(seed)
    A, B = generator.standard_normal((m, r)), generator.standard_normal((r, n))
    jacobian = np.hstack([np.kron(np.eye(m), B.T), np.kron(A, np.eye(n))])  # of (A, B) ↦ A B
    assert degrees_of_freedom(m, n, r) == (rank_of(jacobian, 1e-10) if r > 0 else 0)
    assert (factor_parameters(m, n, r) == degrees_of_freedom(m, n, r)) == (r == 0), "storage is another count"
