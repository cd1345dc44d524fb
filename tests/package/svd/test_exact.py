"""The SVD by hand, by Jacobi and truncated: oracle, property, negative control, and what is particular."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.svd import SVDFactors, fix_signs, jacobi_svd, reconstruct, truncated_svd, worked_svd
from tests.package._matrices import PROPERTY, cases, eps, orthonormal, tolerance, with_spectrum

BOOK = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])


def rng():
    return np.random.default_rng(5)


def is_svd(A, factors, constant=20.0):
    """A thin SVD of A: shapes, dtypes, order, orthonormality, product."""
    U, s, Vt = factors
    m, n, p = *A.shape, min(A.shape)
    return (
        (U.shape, s.shape, Vt.shape) == ((m, p), (p,), (p, n))
        and U.dtype == s.dtype == Vt.dtype == A.dtype
        and bool((s >= 0).all() and (s[1:] <= s[:-1]).all())
        and orthonormal(U, constant)
        and orthonormal(Vt.T, constant)
        and close((U * s) @ Vt, A, atol=tolerance(A, constant))
    )


# ----------------------------------------------------------------------------------------- truncated_svd, reconstruct


def is_best(A, s, factors, rank):
    """The error of Eckart and Young, in both norms, from factors of the right shape."""
    U, t, Vt = factors
    residual = A - (U.astype(float) * t) @ Vt
    bound = tolerance(A)
    return (
        (U.shape, t.shape, Vt.shape) == ((A.shape[0], rank), (rank,), (rank, A.shape[1]))
        and U.dtype == t.dtype == Vt.dtype == A.dtype
        and close(np.linalg.norm(residual, 2), np.append(s, 0)[rank], atol=bound)
        and close(np.linalg.norm(residual), np.sqrt((s[rank:] ** 2).sum()), atol=bound)
    )


@PROPERTY
@given(cases(), st.integers(1, 9))
def test_truncated_svd_reaches_the_error_of_eckart_and_young(case, rank):
    rank = min(rank, *case.A.shape)
    assert is_best(case.A, case.s, truncated_svd(case.A, rank), rank)


def test_truncated_svd_agrees_with_numpy():
    A = rng().standard_normal((6, 4))
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    assert close(reconstruct(truncated_svd(A, 2)), (U[:, :2] * s[:2]) @ Vt[:2], atol=1e-13)
    assert is_svd(A, truncated_svd(A, 4))


def test_truncated_svd_check_rejects_v_for_vt_and_single_numbers_off():
    A = rng().standard_normal((5, 4))
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    assert is_best(A, s, (U[:, :2], s[:2], Vt[:2]), 2)
    assert not is_best(A, s, (U[:, :2], s[:2], Vt[:, :2].T), 2), "the first columns of Vᵀ"
    assert not is_best(A, s, (U[:, 1:3], s[1:3], Vt[1:3]), 2), "not the leading triples"
    wrong, (V, t, W) = np.linalg.svd(BOOK, full_matrices=False), fix_signs(truncated_svd(BOOK, 2))
    assert close(W, W.T, atol=1e-14) and close((V * t) @ W.T, BOOK, atol=1e-14), "the book's 3×2 cannot tell V from Vᵀ"
    assert is_best(BOOK, wrong[1], (V, t, W), 2)


def test_truncated_svd_frees_the_full_factors():
    factors = truncated_svd(rng().standard_normal((6, 4)), 1)
    assert all(x.base is None for x in factors)


@PROPERTY
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_reconstruct_is_the_sum_of_rank_one_matrices(m, n, r, seed):
    generator = np.random.default_rng(seed)
    U, s, Vt = generator.standard_normal((m, r)), generator.standard_normal(r), generator.standard_normal((r, n))
    total = sum(s[k] * np.outer(U[:, k], Vt[k]) for k in range(r))
    assert close(reconstruct((U, s, Vt)), total, atol=1e-13)
    assert r == 1 or not close((U.T * s[:, None]).T[:, ::-1] @ Vt, total, atol=1e-13), "factors in another order"


def test_reconstruct_refuses_full_factors():
    message = r"^reconstruct: U must have as many columns.*With r = len\(s\) pass \(U\[:, :r\]"
    with pytest.raises(ValueError, match=message):
        reconstruct(np.linalg.svd(BOOK))


# --------------------------------------------------------------------------------------------------------- fix_signs


@PROPERTY
@given(cases(), st.integers(0, 99))
def test_fix_signs_undoes_any_flip_and_keeps_the_product(case, seed):
    U, s, Vt = scipy.linalg.svd(case.A, full_matrices=False)
    flips = np.random.default_rng(seed).choice([-1, 1], len(s)).astype(case.A.dtype)
    fixed = fix_signs(SVDFactors(U, s, Vt))
    again = fix_signs(SVDFactors(U * flips, s, Vt * flips[:, None]))
    assert all(np.array_equal(x, y) and x.dtype == case.A.dtype for x, y in zip(fixed, again, strict=True))
    assert is_svd(case.A, fixed)
    largest, least = fixed.U.max(axis=0), fixed.U.min(axis=0)
    assert within(-least - largest, 4 * np.sqrt(eps(case.A)) * largest), "entries may tie to half of the digits"


def test_fix_signs_agrees_with_the_hand_computation():
    U, _, Vt = fix_signs(truncated_svd(BOOK, 2))  # rounding turns a vector by its size over the gap, about tolerance
    assert close(U, np.array([[2, 2, 1], [3 / 2**0.5, -3 / 2**0.5, 0]]).T / 3, atol=tolerance(BOOK))
    assert close(Vt, np.array([[1, 1], [1, -1]]) / 2**0.5, atol=tolerance(BOOK))


def test_fix_signs_check_rejects_a_flip_of_u_alone():
    U, s, Vt = truncated_svd(-BOOK, 2)
    fixed = fix_signs((U, s, Vt))
    assert is_svd(-BOOK, fixed) and not is_svd(-BOOK, (fixed.U, s, -fixed.Vt))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fix_signs_lets_the_first_of_tied_entries_decide(dtype):
    for noise in (-1, 0, 1):
        u = np.array([[-1], [1 + 4 * noise * np.finfo(dtype).eps]], dtype=dtype)
        assert fix_signs((u, [1.0], [[1.0]])).U[0, 0] == 1
    assert fix_signs((np.array([[-1.0], [1.01]]), [1.0], [[1.0]])).U[1, 0] == 1.01, "no tie"
    zero = fix_signs((np.zeros((2, 1)), [0.0], [[-1.0]]))
    assert zero.Vt[0, 0] == -1 and not np.signbit(zero.U).any()


# -------------------------------------------------------------------------------------------------------- jacobi_svd


@PROPERTY
@given(cases())
def test_jacobi_svd_of_any_shape_rank_and_dtype(case):
    factors = jacobi_svd(case.A)
    assert is_svd(case.A, factors)
    assert close(factors.s, case.s, atol=tolerance(case.A))


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (50, 50), (1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jacobi_svd_agrees_with_lapack(shape, dtype):
    A = rng().standard_normal(shape).astype(dtype)
    U, s, Vt = scipy.linalg.svd(A, full_matrices=False)
    ours = jacobi_svd(A)
    assert is_svd(A, ours) and close(ours.s, s, atol=tolerance(A))
    gap = s[0] - np.append(s, 0)[1]
    assert close(ours.U[:, :1] @ ours.Vt[:1], U[:, :1] @ Vt[:1], atol=tolerance(A) / gap), "the leading pair"


@pytest.mark.parametrize(
    "A",
    [
        np.zeros((4, 3)),
        np.zeros((1, 1)),
        np.eye(5),
        np.ones((6, 4)),
        np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 0.0]]),
        np.repeat(np.arange(12.0).reshape(4, 3), 2, axis=1),
        np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]]),
        scipy.linalg.hilbert(12),
        scipy.linalg.hadamard(8).astype(float),
        1e300 * BOOK,
        1e-300 * BOOK,
        1e-310 * BOOK,  # denormal
    ],
    ids="zero zero1 identity ones zero-columns pairs near-singular hilbert hadamard huge tiny denormal".split(),
)
def test_jacobi_svd_of_a_zoo(A):
    size = np.abs(A).max() or 1.0
    grain = np.spacing(size) / size  # eps at most, and more for denormal numbers, of which s consists too
    constant = 20 * max(1.0, grain / eps(A))
    U, s, Vt = jacobi_svd(A)
    assert is_svd(A / size, (U, s / size, Vt), constant)
    assert close(s / size, np.linalg.svd(A / size, compute_uv=False), atol=tolerance(A / size, constant))


def exact_singular_values(A):
    with mpmath.workdps(60):
        return np.array([float(x) for x in mpmath.svd_r(mpmath.matrix(A.tolist()), compute_uv=False)])


def relatively_accurate(A, s):
    """Every digit of every singular value, the small ones included."""
    return within(np.abs(s / exact_singular_values(A) - 1), 20 * eps(A) * max(A.shape))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scaled", ["columns", "rows", "both"])
def test_jacobi_svd_is_relatively_accurate_on_scaled_matrices_and_lapack_is_not(scaled, seed):
    generator = np.random.default_rng(seed)
    A = with_spectrum(np.linspace(1, 0.2, 6), 10 if scaled == "columns" else 6, 6, generator)
    if scaled != "rows":
        A *= 10.0 ** -np.array([12, 0, 18, 3, 15, 6])
    if scaled != "columns":
        A *= 10.0 ** -np.array([[6], [12], [3], [15], [0], [9]])
    assert relatively_accurate(A, jacobi_svd(A).s) and relatively_accurate(A, jacobi_svd(A.T).s)
    assert not relatively_accurate(A, np.linalg.svd(A, compute_uv=False))
    gram = np.sqrt(np.abs(np.linalg.eigvalsh(A.T @ A)[::-1]))
    assert not relatively_accurate(A, gram), "by way of AᵀA"


def test_jacobi_svd_gains_nothing_on_hilbert_12():
    H = scipy.linalg.hilbert(12)
    exact = exact_singular_values(H)
    for s in (jacobi_svd(H).s, np.linalg.svd(H, compute_uv=False)):
        assert close(s, exact, atol=tolerance(H)) and not relatively_accurate(H, s)
        assert not within(abs(s[-1] / exact[-1] - 1), 1e-6)


def test_jacobi_svd_check_rejects_columns_of_zero_left_in_u():
    A = np.outer([3.0, 4.0, 0.0], [1.0, 0.0])
    U, s, Vt = jacobi_svd(A)
    assert is_svd(A, (U, s, Vt))
    assert not is_svd(A, (U * (s > 0), s, Vt)), "the product is right, U is not orthonormal"
    assert not is_svd(A, (U[:, ::-1], s[::-1], Vt[::-1])), "ascending"


def test_jacobi_svd_warns_at_its_limit_and_returns_what_it_has():
    A = rng().standard_normal((8, 8))
    message = r"^jacobi_svd: not converged after 2 sweeps; .* \d\.\de-\d\d, above tol = 2\.5e-15\. Raise max_sweeps"
    with pytest.warns(RuntimeWarning, match=message) as record:
        U, s, Vt = jacobi_svd(A, max_sweeps=2)
    assert record[0].filename == __file__, "the warning points to the caller"
    assert close((U * s) @ Vt, A, atol=tolerance(A)) and orthonormal(U) and not orthonormal(Vt.T)


def test_jacobi_svd_with_a_loose_tolerance():
    A = rng().standard_normal((8, 8))
    U, s, Vt = jacobi_svd(A, tol=1e-3)
    assert within(np.abs(Vt @ Vt.T - np.eye(8)) - 1e-3, tolerance(Vt)), "every cosine is at most tol"
    assert not orthonormal(Vt.T) and close((U * s) @ Vt, A, atol=tolerance(A))


# -------------------------------------------------------------------------------------------------------- worked_svd


def is_worked(A, steps):
    """Every step on its own: AᵀA V = V Λ, s² = Λ, U and V orthogonal, A = U Σ Vᵀ."""
    gram, eigenvalues, V, s, U = steps
    m, s1 = len(A), s[0]
    bound = tolerance(A)
    sigma = np.zeros((m, 2), dtype=A.dtype)
    sigma[:2] = np.diag(s)
    return (
        (V.shape, s.shape, U.shape) == ((2, 2), (2,), (m, m))
        and all(x.dtype == A.dtype for x in steps)
        and close(gram, A.T @ A, atol=bound * s1)
        and close(gram @ V, V * eigenvalues, atol=bound * s1)
        and close(s**2, eigenvalues, atol=bound * s1)
        and bool(eigenvalues[0] >= eigenvalues[1])
        and orthonormal(V)
        and orthonormal(U)
        and close(U @ sigma @ V.T, A, atol=bound)
    )


def test_worked_svd_of_the_book():
    steps = worked_svd(BOOK)
    assert is_worked(BOOK, steps)
    assert steps.gram.tolist() == [[11, 7], [7, 11]] and steps.eigenvalues.tolist() == [18, 4]
    few = tolerance(BOOK)
    assert close(steps.s, [3 * 2**0.5, 2], atol=few)
    assert close(steps.V, np.array([[1, 1], [1, -1]]) / 2**0.5, atol=few)
    U = [[2 / 3, 2 / 3, 1 / 3], [0.5**0.5, -(0.5**0.5), 0], np.array([1, 1, -4]) / 18**0.5]
    assert close(steps.U.T, U, atol=few)


@PROPERTY
@given(st.integers(2, 8), st.sampled_from("generic deficient repeated zero integer".split()), st.integers(0, 999))
def test_worked_svd_of_any_two_columns(m, kind, seed):
    generator = np.random.default_rng(seed)
    spectrum = {"generic": [3, 1], "deficient": [2, 0], "repeated": [2, 2], "zero": [0, 0], "integer": [1, 1]}[kind]
    A = with_spectrum(spectrum, m, 2, generator)
    A = generator.integers(-2, 3, (m, 2)).astype(float) if kind == "integer" else A
    for X in (A, A.astype(np.float32), 1e100 * A, 1e-100 * A):
        size = np.abs(X).max() or 1.0
        gram, eigenvalues, V, s, U = worked_svd(X)
        assert is_worked(X / size, (gram / size / size, eigenvalues / size / size, V, s / size, U))


@pytest.mark.parametrize("rows", ["1 0; 0 2", "2 0; 0 1", "1 1; 1 1", "0 1; 0 0", "0 0; 0 0", "1 0; 0 1; 1 0"])
def test_worked_svd_agrees_with_numpy_on_special_matrices(rows):
    A = np.array([row.split() for row in rows.split(";")], dtype=float)
    assert is_worked(A, worked_svd(A))
    assert close(worked_svd(A).s, np.linalg.svd(A, compute_uv=False), atol=tolerance(A))


def test_worked_svd_check_rejects_the_third_vector_of_folklore():
    steps = worked_svd(BOOK)
    U = steps.U.copy()
    U[:, 2] = np.array([1, 1, -2]) / 3
    assert close(U[:, :2] * steps.s @ steps.V.T, BOOK, atol=tolerance(BOOK)), "the wrong U reproduces A all the same"
    assert is_worked(BOOK, steps) and not is_worked(BOOK, steps._replace(U=U))
    generic = rng().standard_normal((4, 2))
    steps = worked_svd(generic)
    assert not is_worked(generic, steps._replace(V=steps.V[::-1]))


@pytest.mark.parametrize("largest", [1e200, 1e-200])
def test_worked_svd_says_when_squares_leave_the_range(largest):
    with pytest.raises(ValueError, match=r"^worked_svd: AᵀA must neither overflow nor underflow; got \d\.\de.200 as"):
        worked_svd(largest * np.ones((2, 2)))
