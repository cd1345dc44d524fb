"""QR, LU, Cholesky and triangular substitution: oracle, property, negative control, and what is particular."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.linalg import cholesky, householder_qr, lu, lu_solve, solve_lower, solve_upper
from lowrank_helpers.linalg.factorizations import LU
from tests.package._matrices import PROPERTY, cases, eps, orthonormal, tolerance


def rng():
    return np.random.default_rng(4)


# ---------------------------------------------------------------------------------------------------------------- QR


def is_qr(A, factors):
    """Thin, orthonormal, triangular with a diagonal ≥ 0, and A again when multiplied."""
    Q, R = factors
    p = min(A.shape)
    return (
        Q.shape == (A.shape[0], p)
        and R.shape == (p, A.shape[1])
        and Q.dtype == R.dtype == A.dtype
        and orthonormal(Q)
        and not np.tril(R, -1).any()
        and bool((np.diag(R) >= 0).all())
        and close(Q @ R, A, atol=tolerance(A))
    )


@PROPERTY
@given(cases())
def test_qr_of_any_shape_and_rank(case):
    assert is_qr(case.A, householder_qr(case.A))


@pytest.mark.parametrize("shape", [(7, 4), (5, 5), (3, 6)])
def test_qr_agrees_with_lapack(shape):
    A = rng().standard_normal(shape)
    Q, R = np.linalg.qr(A)
    signs = np.sign(np.diag(R))
    ours = householder_qr(A)
    assert close(ours.Q, Q * signs, atol=1e-13)
    assert close(ours.R, R * signs[:, None], atol=1e-13)


def gram_schmidt(A):
    """Classical Gram–Schmidt, which loses orthogonality where columns are nearly dependent."""
    Q, R = np.zeros_like(A), np.zeros((A.shape[1],) * 2)
    for k in range(A.shape[1]):
        R[:k, k] = Q[:, :k].T @ A[:, k]
        v = A[:, k] - Q[:, :k] @ R[:k, k]
        R[k, k] = np.sqrt(v @ v)
        Q[:, k] = v / R[k, k]
    return Q, R


def test_qr_check_rejects_gram_schmidt():
    easy, hilbert = rng().standard_normal((8, 6)), scipy.linalg.hilbert(8)
    assert is_qr(easy, gram_schmidt(easy))
    assert not is_qr(hilbert, gram_schmidt(hilbert))
    assert is_qr(hilbert, householder_qr(hilbert))


def test_qr_check_rejects_the_cancelling_sign():
    A = np.array([[1.0, 0.0], [1e-8, 1.0]])
    v = A[:, 0] - np.linalg.norm(A[:, 0]) * np.eye(2)[0]  # v = x − ‖x‖ e₁ where x is nearly e₁: (0, 1e-8)
    H = np.eye(2) - 2 * np.outer(v, v) / (v @ v)
    Q, R = H * [1, -1], np.triu(np.diag([1, -1]) @ H @ A)
    assert orthonormal(Q) and not is_qr(A, (Q, R))
    assert is_qr(A, householder_qr(A))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_qr_neither_overflows_nor_underflows(scale):
    A = scale * rng().standard_normal((6, 4))
    Q, R = householder_qr(A)
    assert orthonormal(Q)
    assert close(Q @ (R / scale), A / scale, atol=tolerance(A / scale))


def test_qr_of_triangular_and_of_zero():
    assert np.array_equal(householder_qr(np.zeros((3, 2))).Q, np.eye(3, 2))
    Q, R = householder_qr([[-2, 1], [0, 3]])
    assert (Q.tolist(), R.tolist()) == ([[-1, 0], [0, 1]], [[2, -1], [0, 3]])
    assert not np.signbit(Q[np.abs(Q) == 0]).any(), "no negative zeros"


# ---------------------------------------------------------------------------------------------------------------- LU


def is_lu(A, factors):
    """A[perm] = L U, L unit lower triangular with multipliers ≤ 1, U upper triangular."""
    perm, L, U = factors
    return (
        sorted(perm.tolist()) == list(range(len(A)))
        and L.dtype == U.dtype == A.dtype
        and bool((np.diag(L) == 1).all())
        and not np.triu(L, 1).any()
        and not np.tril(U, -1).any()
        and bool((np.abs(L) <= 1).all())
        and close(L @ U, A[perm], atol=tolerance(A))
    )


@PROPERTY
@given(cases(square=True))
def test_lu_of_any_square_matrix_singular_ones_included(case):
    assert is_lu(case.A, lu(case.A))


def test_lu_agrees_with_lapack():
    A = rng().standard_normal((8, 8))
    perm, L, U = scipy.linalg.lu(A, p_indices=True)
    ours = lu(A)
    assert np.argsort(perm).tolist() == ours.perm.tolist()
    assert close(ours.L, L, atol=1e-13) and close(ours.U, U, atol=1e-13)


def lu_without_pivoting(A):
    U, L = A.copy(), np.eye(len(A))
    for k in range(len(A)):
        L[k + 1 :, k] = U[k + 1 :, k] / U[k, k]
        U[k + 1 :] -= np.outer(L[k + 1 :, k], U[k])
    return LU(np.arange(len(A)), L, np.triu(U))


def test_lu_check_rejects_elimination_without_pivoting():
    A = np.array([[1e-20, 1.0], [1.0, 1.0]])
    wrong = lu_without_pivoting(A)
    assert not is_lu(A, wrong)
    assert not close(wrong.L @ wrong.U, A, atol=0.1), "not only the multipliers: the product is wrong"
    assert is_lu(A, lu(A))


def test_lu_of_a_column_without_pivot():
    A = np.array([[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 5.0, 7.0]])
    factors = lu(A)
    assert is_lu(A, factors) and factors.U[0, 0] == 0


# ---------------------------------------------------------------------------------------------------------- Cholesky


def is_cholesky(A, L):
    return (
        L.dtype == A.dtype
        and not np.triu(L, 1).any()
        and bool((np.diag(L) > 0).all())
        and close(L @ L.T, A, atol=tolerance(A))
    )


@PROPERTY
@given(cases(spectra=("generic", "repeated")))
def test_cholesky_of_a_gram_matrix(case):
    B = case.A if case.A.shape[0] >= case.A.shape[1] else case.A.T
    if B.dtype == np.float32:
        B = B / B.max()  # squares of 1e±12 are still float32, their condition 1e4 too
    A = B.T @ B
    assert is_cholesky(A, cholesky(A))


def test_cholesky_agrees_with_lapack():
    B = rng().standard_normal((9, 6))
    assert close(cholesky(B.T @ B), np.linalg.cholesky(B.T @ B), atol=1e-13)


def test_cholesky_check_rejects_the_upper_factor_and_a_forgotten_root():
    A = np.array([[4.0, 2.0], [2.0, 5.0]])
    assert is_cholesky(A, cholesky(A))
    assert not is_cholesky(A, cholesky(A).T)
    assert not is_cholesky(A, np.array([[4.0, 0.0], [2.0, 4.0]]))


@pytest.mark.parametrize(
    ("A", "index", "pivot"),
    [
        ([[-1.0]], 0, "-1"),
        ([[1.0, 2.0], [2.0, 1.0]], 1, "-3"),
        ([[1.0, 1.0], [1.0, 1.0]], 1, "0"),
        (np.diag([1.0, 2.0, -4.0, 3.0]), 2, "-4"),
        (np.zeros((2, 2)), 0, "0"),
    ],
)
def test_cholesky_names_the_pivot_that_fails(A, index, pivot):
    message = f"^cholesky: A must be positive definite; got pivot {pivot} at index {index}"
    with pytest.raises(ValueError, match=message):
        cholesky(A)


def test_cholesky_takes_a_matrix_symmetric_to_rounding_only():
    A = np.array([[2.0, 1.0], [1.0 + 4e-16, 3.0]])
    assert is_cholesky(A, cholesky(A))
    with pytest.raises(ValueError, match=r"must be symmetric; got A\[0, 2\] = 0 and A\[2, 0\] = 0\.5\."):
        cholesky([[2.0, 0.0, 0.0], [0.0, 2.0, 0.1], [0.5, 0.0, 2.0]])


# ----------------------------------------------------------------------------------------------------- substitution


@st.composite
def triangular_systems(draw):
    """A well-conditioned lower triangular L and right-hand sides, 1-D or 2-D, in either dtype."""
    n = draw(st.integers(1, 9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    L = np.tril(generator.uniform(-1, 1, (n, n)), -1) / n + np.diag(generator.uniform(1, 2, n))
    columns = draw(st.sampled_from([None, 1, 3]))
    b = generator.standard_normal(n if columns is None else (n, columns))
    dtypes = st.sampled_from([np.float64, np.float32])
    return L.astype(draw(dtypes)), b.astype(draw(dtypes))


def solves(T, b, x):
    """A small residual, row by row, in the coarser dtype; and the dtype of the finer."""
    residual = np.abs(T.astype(float) @ x - b)
    size = np.abs(T).astype(float) @ np.abs(x) + np.abs(b)
    return x.shape == b.shape and x.dtype == np.result_type(T, b) and within(residual, 10 * eps(x) * len(T) * size)


@PROPERTY
@given(triangular_systems())
def test_substitution_solves_triangular_systems(system):
    L, b = system
    assert solves(L, b, solve_lower(L, b))
    assert solves(L.T, b, solve_upper(L.T, b))


def test_substitution_agrees_with_lapack():
    L = np.tril(rng().standard_normal((7, 7))) + 4 * np.eye(7)
    b = rng().standard_normal((7, 2))
    assert close(solve_lower(L, b), scipy.linalg.solve_triangular(L, b, lower=True), atol=1e-14)
    assert close(solve_upper(L.T, b), scipy.linalg.solve_triangular(L.T, b), atol=1e-14)


def test_substitution_check_rejects_an_ignored_diagonal_and_the_wrong_triangle():
    L, b = np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0])
    assert solves(L, b, solve_lower(L, b))
    assert not solves(L, b, scipy.linalg.solve_triangular(L, b, lower=True, unit_diagonal=True))
    assert not solves(L, b, scipy.linalg.solve_triangular(L.T, b))


@pytest.mark.parametrize(
    ("solve", "T", "message"),
    [
        (solve_lower, [[1.0, 2.0], [0.0, 1.0]], r"^solve_lower: L must be lower triangular; got L\[0, 1\] = 2"),
        (solve_upper, [[1.0, 0.0], [2.0, 1.0]], r"^solve_upper: U must be upper triangular; got U\[1, 0\] = 2"),
        (solve_lower, [[1.0, 0.0], [2.0, 0.0]], r"^solve_lower: L must be invertible; got L\[1, 1\] = 0"),
        (solve_upper, [[0.0, 1.0], [0.0, 0.0]], r"^solve_upper: U must be invertible; got U\[0, 0\] = 0"),
    ],
)
def test_substitution_names_what_is_wrong_with_the_matrix(solve, T, message):
    with pytest.raises(ValueError, match=message):
        solve(T, [1.0, 1.0])


# ---------------------------------------------------------------------------------------------------------- lu_solve


@PROPERTY
@given(cases(square=True, spectra=("generic", "repeated")), st.sampled_from([None, 1, 3]))
def test_lu_solve_is_backward_stable(case, columns):
    A, n = case.A, len(case.A)
    b = rng().standard_normal(n if columns is None else (n, columns)).astype(A.dtype)
    x = lu_solve(lu(A), b)
    assert x.dtype == A.dtype and x.shape == b.shape
    assert close(A.astype(float) @ x, b, atol=tolerance(A) * np.linalg.norm(x))


def test_lu_solve_agrees_with_lapack():
    A, b = rng().standard_normal((8, 8)), np.arange(8)
    assert close(lu_solve(lu(A), b), np.linalg.solve(A, b), atol=1e-11)


def test_lu_solve_check_rejects_the_inverse_permutation():
    A = np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])  # a cycle of three: not its own inverse
    b = np.array([3.0, 1.0, 2.0])
    perm, L, U = lu(A)
    assert np.array_equal(A @ lu_solve((perm, L, U), b), b)
    assert not close(A @ solve_upper(U, solve_lower(L, b[np.argsort(perm)])), b, atol=1e-3)


def test_lu_solve_of_a_singular_matrix_says_so():
    with pytest.raises(ValueError, match=r"^lu_solve: U must be invertible; got U\[1, 1\] = 0"):
        lu_solve(lu([[1.0, 2.0], [2.0, 4.0]]), [1.0, 2.0])


@pytest.mark.parametrize(
    ("perm", "L", "U"),
    [
        ([0, 0], np.eye(2), np.eye(2)),  # no permutation
        ([0.0, 1.0], np.eye(2), np.eye(2)),  # not integers
        (np.eye(2, dtype=int), np.eye(2), np.eye(2)),  # the matrix P of scipy.linalg.lu
        ([0, 1], np.eye(2), np.eye(3)),  # shapes that differ
    ],
)
def test_lu_solve_refuses_factors_that_are_none(perm, L, U):
    with pytest.raises(ValueError, match=r"^lu_solve: perm must hold the row numbers 0 … n−1.* Pass lu\(A\)\."):
        lu_solve((perm, L, U), [1.0, 1.0])
