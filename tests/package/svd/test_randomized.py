"""Randomised and block Krylov SVD: oracles, bounds of the theory, negative controls, spaces that run out, misuse."""

import json
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator, svds
from sklearn.utils.extmath import randomized_svd as their_randomized_svd

from benchmarks.peers import svd as benchmark
from benchmarks.peers import svd_growth as growth
from book.margins import above, close, within
from lowrank_helpers.svd import block_krylov_svd, estimate_error, randomized_svd
from tests.package._matrices import PROPERTY, cases, orthonormal, tolerance, with_spectrum

BOTH = pytest.mark.parametrize("method", [randomized_svd, block_krylov_svd])
ALL = pytest.mark.parametrize(
    "function", [randomized_svd, block_krylov_svd, lambda A, _, **options: estimate_error(A, Q)]
)
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
Q = np.eye(30)[:, :2]
FAST, SLOW = 10.0 ** (-np.arange(150) / 5), 1 / np.arange(1.0, 151)


def matrix(s, m=200, n=150):
    return with_spectrum(s, m, n, np.random.default_rng(3))


def sparse_matrix(m, n, density):
    rng = np.random.default_rng(0)
    return scipy.sparse.csr_array(rng.random((m, n)) * (rng.random((m, n)) < density))


def error(A, factors):
    U, s, Vt = (x.astype(float) for x in factors)
    return np.linalg.norm(A.astype(float) - (U * s) @ Vt)


def tail(A, rank):
    return np.linalg.norm(np.linalg.svd(A.astype(float), compute_uv=False)[rank:])


def is_projected(A, factors, rank):
    """Orthonormal, of A's dtype, and the SVD of A restricted to some subspace: interlacing, and Pythagoras."""
    U, s, Vt = factors
    exact = np.linalg.svd(A.astype(float), compute_uv=False)[:rank]
    bound = tolerance(A)
    return (
        (U.shape, s.shape, Vt.shape) == ((len(A), rank), (rank,), (rank, A.shape[1]))
        and U.dtype == s.dtype == Vt.dtype == A.dtype
        and orthonormal(U)
        and orthonormal(Vt.T)
        and bool((s[1:] <= s[:-1]).all() and (s >= 0).all())
        and within(s - exact, bound)
        and close(np.hypot(error(A, factors), np.linalg.norm(s)), np.linalg.norm(A.astype(float)), atol=bound)
    )


# ------------------------------------------------------------------------------------------------ exact where it must


@BOTH
@PROPERTY
@given(cases(), st.integers(1, 9), st.integers(0, 99))
def test_best_approximation_where_the_sample_fills_the_space(method, case, rank, seed):
    rank = min(rank, *case.A.shape)
    factors = method(case.A, rank, rng=seed)
    assert is_projected(case.A, factors, rank)
    assert close(factors.s, case.s[:rank], atol=tolerance(case.A))
    assert within(error(case.A, factors) - np.linalg.norm(case.s[rank:]), tolerance(case.A))


@BOTH
@PROPERTY
@given(cases(largest=60), st.integers(1, 6), st.integers(0, 99))
def test_projection_of_any_shape_spectrum_and_dtype(method, case, rank, seed):
    rank = min(rank, *case.A.shape)
    assert is_projected(case.A, method(case.A, rank, rng=seed), rank)


@BOTH
@DTYPES
@pytest.mark.parametrize("shape", [(200, 150), (150, 200), (150, 150)])
@pytest.mark.parametrize(
    "s", [np.linspace(1, 0.1, 12), np.ones(12), 10.0 ** -np.arange(12)], ids="plain ties fast".split()
)
def test_exact_when_the_rank_of_the_matrix_is_at_most_the_rank(method, dtype, shape, s):
    A = with_spectrum(s, *shape, np.random.default_rng(1)).astype(dtype)
    for rank in (12, 20):
        factors = method(A, rank, rng=0)
        assert is_projected(A, factors, rank) and within(error(A, factors), tolerance(A))


@BOTH
@DTYPES
@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (30, 30), (1, 30), (30, 1), (1, 1)])
def test_full_rank_is_the_whole_svd(method, dtype, shape):
    A = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    rank = min(shape)
    factors = method(A, rank, rng=0)
    assert is_projected(A, factors, rank) and within(error(A, factors), tolerance(A))


@BOTH
@DTYPES
@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_zero_matrix_has_orthonormal_factors(method, dtype, shape):
    for rank in (1, 12, 30):
        U, s, Vt = method(np.zeros(shape, dtype=dtype), rank, rng=0)
        assert not s.any() and orthonormal(U) and orthonormal(Vt.T) and U.dtype == dtype


@BOTH
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-300])
def test_squares_out_of_range_do_no_harm(method, scale):
    A = matrix(np.ones(5), 60, 40)
    U, s, Vt = method(scale * A, 5, rng=0)
    assert within(error(A, (U, s / scale, Vt)), tolerance(A)) and orthonormal(U) and orthonormal(Vt.T)


# ------------------------------------------------------------------------------------------------ against other codes


@BOTH
@pytest.mark.parametrize("dense", [True, False])
def test_agrees_with_arpack_and_scikit_learn(method, dense):
    A = matrix(FAST)
    if not dense:
        A = sparse_matrix(200, 150, 0.1)
        A = A @ scipy.sparse.diags_array(0.8 ** np.arange(150))
    options = {"power_iterations": 40} if method is randomized_svd else {"steps": 14}
    U, s, Vt = method(A, 8, rng=0, **options)
    X, t, Yt = svds(A, 8)
    assert close(s, t[::-1], atol=1e-10)
    assert close((U * s) @ Vt, (X * t) @ Yt, atol=1e-7), "ARPACK"
    X, t, Yt = their_randomized_svd(A, 8, n_iter=40, random_state=0)
    assert close((U * s) @ Vt, (X * t) @ Yt, atol=1e-7), "scikit-learn"


def test_the_same_subspace_as_the_textbook_algorithm():
    A, generator = matrix(SLOW), np.random.default_rng(0)
    basis = np.linalg.qr(A @ generator.standard_normal((150, 15)))[0]
    for _ in range(2):
        basis = np.linalg.qr(A @ np.linalg.qr(A.T @ basis)[0])[0]
    X, t, Yt = np.linalg.svd(basis.T @ A, full_matrices=False)
    U, s, Vt = randomized_svd(A, 10, oversample=5, rng=0)
    assert close((U * s) @ Vt, basis @ (X[:, :10] * t[:10]) @ Yt[:10], atol=1e-12)


def test_the_same_space_as_a_krylov_matrix():
    A = matrix(SLOW).T
    K = [A @ np.random.default_rng(0).standard_normal((200, 4))]
    for _ in range(3):
        K.append(A @ (A.T @ K[-1]))
    basis = np.linalg.qr(np.hstack([block / np.linalg.norm(block) for block in K]))[0]
    X, t, Yt = np.linalg.svd(basis.T @ A, full_matrices=False)
    U, s, Vt = block_krylov_svd(A, 6, block=4, steps=4, rng=0)
    assert close((U * s) @ Vt, basis @ (X[:, :6] * t[:6]) @ Yt[:6], atol=1e-9)  # the Krylov matrix has κ near 1e5


def test_more_work_gives_less_error_and_krylov_beats_powers_at_equal_work():
    A = matrix(SLOW)
    powers = [error(A, randomized_svd(A, 10, power_iterations=q, rng=0)) / tail(A, 10) - 1 for q in (0, 1, 3, 9)]
    krylov = [error(A, block_krylov_svd(A, 10, steps=t, rng=0)) / tail(A, 10) - 1 for t in (1, 2, 4, 8)]
    assert powers == sorted(powers, reverse=True) and powers[0] > 0.1 and within(powers[3], 1e-6)
    assert krylov == sorted(krylov, reverse=True) and within(krylov[3], 1e-9)
    # 8 passes of 20 columns, and 8 passes of 10
    assert krylov[2] < powers[2]


@pytest.mark.parametrize("A", [matrix(SLOW), matrix(SLOW).T], ids=["tall", "wide"])
def test_passes_over_the_matrix(A):
    widths = []

    def counting(factor):
        def product(X):
            widths.extend([X.shape[1]] if X.any() else [])  # a zero only tries the operator
            return factor @ X

        return product

    operator = LinearOperator(A.shape, lambda x: A @ x, lambda y: A.T @ y, counting(A), float, counting(A.T))
    randomized_svd(operator, 10, oversample=5, power_iterations=3, rng=0)
    assert widths == 8 * [15]
    widths.clear()
    block_krylov_svd(operator, 10, block=7, steps=5, rng=0)
    assert widths == 10 * [7]


# ------------------------------------------------------------------------------------------------ bounds of the theory


def before_truncation(A, columns, q, seed):
    """A − Q Qᵀ A of the range finder: at rank r = ℓ nothing is truncated."""
    U, s, Vt = randomized_svd(A, columns, oversample=0, power_iterations=q, rng=seed)
    return A - (U * s) @ Vt


def test_expected_frobenius_error_theorem_10_5():
    s = np.repeat([1e6, 1.0], [5, 400])  # where the bound is nearly attained
    k, p = 5, 4
    squares = [np.linalg.norm(before_truncation(np.diag(s), k + p, 0, seed)) ** 2 for seed in range(200)]
    assert np.mean(np.sqrt(squares)) <= np.sqrt((1 + k / (p - 1)) * 400)
    assert np.mean(np.sqrt(squares)) > np.sqrt((1 + k / (p + 1)) * 400), "p + 1 for p − 1 is no bound"


@pytest.mark.parametrize("q", [0, 1, 2])
@pytest.mark.parametrize("s", [FAST, SLOW, SLOW**0.25], ids="fast slow slower".split())
def test_expected_spectral_error_theorem_10_6_and_corollary_10_10(s, q):
    A, k, p = np.diag(s), 10, 6
    errors = [np.linalg.norm(before_truncation(A, k + p, q, seed), 2) for seed in range(60)]
    power = 2 * q + 1
    rest = np.sqrt((s[k:] ** (2 * power)).sum())
    top = (1 + np.sqrt(k / (p - 1))) * s[k] ** power
    assert within(s[k + p] - min(errors), 1e-12 * s[k + p])
    assert np.mean(errors) < (top + np.e * np.sqrt(k + p) / p * rest) ** (1 / power)


def test_deviation_of_many_seeds_theorem_10_7():
    A, k, p, t = np.diag(SLOW), 10, 6, np.e
    # fails with probability at most 2 t^−p + e^(−u²/2), here 0.005 + 0.011 for u = 3
    rest, top, u = np.linalg.norm(SLOW[k:]), SLOW[k], 3
    bound = (1 + t * np.sqrt(3 * k / (p + 1))) * rest + u * t * np.e * np.sqrt(k + p) / (p + 1) * top
    errors = np.array([np.linalg.norm(before_truncation(A, k + p, 0, seed)) for seed in range(200)])
    share = above(errors, bound).mean()
    assert share <= 0.016


def excess(A, Y, rank):
    """Of the truncated projection onto the columns of Y."""
    basis = np.linalg.qr(Y)[0]
    X, t, Yt = np.linalg.svd(basis.T @ A, full_matrices=False)
    return np.linalg.norm(A - basis @ (X[:, :rank] * t[:rank]) @ Yt[:rank]) / tail(A, rank) - 1


def test_powers_without_a_normaliser_are_wrong_on_fast_decay():
    A = matrix(FAST)
    Y = A @ np.random.default_rng(0).standard_normal((150, 30))
    for _ in range(4):
        Y = A @ (A.T @ Y)
    assert excess(A, Y, 20) > 1, "all columns have become alike"
    ours = randomized_svd(A, 20, power_iterations=4, rng=0)
    assert within(error(A, ours) - tail(A, 20), 1e-9 * tail(A, 20))


# ------------------------------------------------------------------------------------------------ spaces that run out


@DTYPES
@pytest.mark.parametrize("decay", [2, 5, 20])
def test_krylov_on_fast_decay(dtype, decay):
    A = matrix(10.0 ** (-np.arange(150) / decay)).astype(dtype)
    for steps in (4, 8, 15):
        factors = block_krylov_svd(A, 20, block=10, steps=steps, rng=0)
        assert is_projected(A, factors, 20)
        assert within(error(A, factors) - tail(A, 20), 1e-3 * tail(A, 20) + tolerance(A, 1))


def test_krylov_normalised_but_not_made_orthogonal_again_fails_here():
    A = matrix(10.0 ** (-np.arange(150) / 2)).astype(np.float32)
    P = np.linalg.qr(A @ np.random.default_rng(0).standard_normal((150, 10), dtype=np.float32))[0]
    for _ in range(5):
        W = A @ (A.T @ P[:, -10:])
        P = np.hstack([P, np.linalg.qr(W - P @ (P.T @ W))[0]])
    assert not orthonormal(P, 1e3), "the rounding left after the first removal has been normalised"
    assert not within(np.linalg.norm(A - P @ (P.T @ A)), 1e3 * tolerance(A))


@DTYPES
@pytest.mark.parametrize("block", [4, 10, 20])
@pytest.mark.parametrize("levels", [[1.0], [1.0, 0.1], [1.0, 0.5, 0.1]])
def test_krylov_finds_multiplicities_above_the_block(dtype, block, levels):
    s = np.repeat([*levels, 0.0], [40] * len(levels) + [150 - 40 * len(levels)])
    A = matrix(s).astype(dtype)
    for seed in (0, 3):  # by Cholesky QR in float32, seed 3 lost a thousandth of the last copy
        factors = block_krylov_svd(A, 40, block=block, steps=40, rng=seed)
        assert is_projected(A, factors, 40)
        assert within(error(A, factors) - tail(A, 40), 1e-8 * tail(A, 40) + tolerance(A))


@BOTH
def test_nonzero_rows_fewer_than_columns_sampled(method):
    A = np.zeros((80, 60))
    A[[3, 30, 31, 70]] = np.random.default_rng(0).standard_normal((4, 60))
    for X in (A, A.T, np.diag(np.r_[np.ones(4), np.zeros(60)])):
        factors = method(X, 12, rng=0)
        assert is_projected(X, factors, 12) and within(error(X, factors), tolerance(X))


# ------------------------------------------------------------------------------------------------ kinds of matrices


def operator(A):
    return LinearOperator(
        A.shape, matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, matmat=lambda X: A @ X, rmatmat=lambda Y: A.T @ Y,
        dtype=A.dtype,
    )  # fmt: skip


@BOTH
@DTYPES
@pytest.mark.parametrize(
    "kind",
    [
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.coo_array,
        operator,
        aslinearoperator,
        np.asfortranarray,
    ],
)
def test_sparse_and_operators_agree_with_dense(method, dtype, kind):
    A = sparse_matrix(80, 60, 0.2).toarray().astype(dtype)
    dense, other = method(A, 5, rng=7), method(kind(A), 5, rng=7)
    assert all(x.dtype == dtype for x in other)
    assert close((dense.U * dense.s) @ dense.Vt, (other.U * other.s) @ other.Vt, atol=tolerance(A))


@BOTH
def test_integers_and_lists(method):
    A = np.random.default_rng(0).integers(-3, 4, (20, 10))
    want = method(A.astype(float), 3, rng=0)
    for given_ in (A, A.tolist(), scipy.sparse.csr_array(A), A.astype(">f8")):
        factors = method(given_, 3, rng=0)
        assert factors.U.dtype == float and close(factors.s, want.s, atol=1e-12)


@BOTH
def test_a_large_sparse_matrix_is_never_made_dense(method):
    n = 100_000  # 80 GB as an array
    rows, columns = np.random.default_rng(0).integers(0, n, (2, 1000))
    A = scipy.sparse.csr_array((np.r_[100.0, np.ones(999)], (rows, columns)), (n, n))
    assert close(method(A, 2, rng=0).s[:1], [100], atol=1e-1)
    empty = method(scipy.sparse.csr_array((n, 50)), 2, rng=0)
    assert not empty.s.any() and orthonormal(empty.U)


def peak(function):
    """Bytes that numpy asked for at once."""
    tracemalloc.start()
    function()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@BOTH
@pytest.mark.parametrize("kind", ["memmap", "csr", "csc"])
def test_beside_the_matrix_memory_is_that_of_a_few_columns(method, kind, tmp_path):
    if kind == "memmap":
        A = np.lib.format.open_memmap(tmp_path / "A.npy", "w+", np.float64, (3000, 2000))
        A[:] = np.random.default_rng(0).random((3000, 2000))
        size = A.nbytes
    else:
        A = scipy.sparse.random_array((3000, 2000), density=0.5, rng=0, format=kind)
        size = A.data.nbytes + A.indices.nbytes
    method(matrix(SLOW), 3, rng=0)  # what the first call imports is not counted
    few = {"steps": 2} if method is block_krylov_svd else {}
    assert peak(lambda: method(A, 5, rng=0, **few)) < size / 18  # a mask of the entries alone takes a twelfth or more
    with pytest.raises(ValueError, match=r"A(\.data)? has 1 NaN entry"):
        A[7, 7] = np.nan
        method(A, 5, rng=0)


@BOTH
def test_randomness_comes_from_rng_alone_and_the_matrix_stays(method):
    A = matrix(SLOW[:40], 60, 40)
    before, state = A.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = method(A, 3, rng=5), method(A, 3, rng=np.random.default_rng(5))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    assert not np.array_equal(first.U, method(A, 3, rng=6).U) and not np.array_equal(first.U, method(A, 3).U)
    assert np.array_equal(A, before) and (np.random.get_state()[1] == state).all()  # noqa: NPY002
    for x in first:
        assert x.flags.owndata or x.base.nbytes < 2 * x.nbytes, "no view keeps a larger array alive"


# ------------------------------------------------------------------------------------------------ estimate_error


def test_estimate_error_bounds_the_error_and_is_not_far_above():
    A = matrix(SLOW)
    U = randomized_svd(A, 20, rng=0).U
    exact = np.linalg.norm(A - U @ (U.T @ A), 2)
    bounds = [estimate_error(A, U, probes=10, rng=seed) for seed in range(1, 50)]
    assert exact <= min(bounds) and max(bounds) <= 100 * exact
    assert close(estimate_error(scipy.sparse.csr_array(A), U, rng=1), bounds[0], rtol=1e-12)
    assert within(estimate_error(A, np.eye(200), rng=0), tolerance(A))


def test_power_iterations_bring_the_bound_near_and_keep_it_above():
    A = matrix(SLOW)
    U = randomized_svd(A, 20, rng=0).U
    exact = np.linalg.norm(A - U @ (U.T @ A), 2)
    bounds = [[estimate_error(A, U, power_iterations=q, rng=seed) for seed in range(1, 30)] for q in (0, 1, 2, 4)]
    medians = [np.median(some) / exact for some in bounds]
    assert min(map(min, bounds)) > exact
    assert medians[0] / medians[1] > 3 and medians == sorted(medians, reverse=True) and medians[2] < 2 < medians[1]
    assert within(estimate_error(A, np.eye(200), power_iterations=2, rng=0), 1e-10)
    assert estimate_error(np.zeros((200, 3)), U, power_iterations=2, rng=0) == 0
    E = A - U @ (U.T @ A)
    by_hand = E @ E.T @ E @ np.random.default_rng(1).standard_normal((len(A.T), 10))
    by_hand = (10 * np.sqrt(2 / np.pi) * np.linalg.norm(by_hand, axis=0).max()) ** (1 / 3)
    assert close(bounds[1][0], by_hand, rtol=1e-9)


@pytest.mark.slow
def test_estimate_error_fails_as_often_as_lemma_4_1_allows():
    A = np.zeros((5, 4))
    A[0, 0] = 2.0  # |ω₁| alone decides: one probe is below √(π/2) / 10 with probability 0.0997, two with its square
    for probes, chance in ((1, 0.0997), (2, 0.00994)):
        failed = np.mean([estimate_error(A, np.eye(5)[:, 1:2], probes=probes, rng=seed) < 2 for seed in range(4000)])
        assert close(failed, chance, atol=4 * np.sqrt(chance / 4000)), "four standard errors"


def test_estimate_error_refuses_other_bases():
    A = np.ones((30, 4))
    with pytest.raises(ValueError, match=r"^estimate_error: Q must have as many rows as A, 30; got shape \(4, 4\)"):
        estimate_error(A, np.eye(4))
    with pytest.raises(
        ValueError, match=r"^estimate_error: Q must have orthonormal columns; .* by 3\.0e\+00\. Pass np"
    ):
        estimate_error(A, 2 * Q)
    with pytest.raises(ValueError, match=r"^estimate_error: Q must be a matrix, with 2 dimensions"):
        estimate_error(A, Q[:, 0])
    with pytest.raises(ValueError, match=r"^estimate_error: probes must be at least 1; got 0"):
        estimate_error(A, Q, probes=0)


# ------------------------------------------------------------------------------------------------ misuse

A = np.ones((30, 20))
HOLED, INFINITE = A.copy(), A.copy()
HOLED[12, 0], INFINITE[3, 4] = np.nan, np.inf
NO_ADJOINT = LinearOperator((30, 20), matvec=lambda x: A @ x, dtype=float)
WRONG_SHAPE = LinearOperator((30, 20), lambda x: A @ x, lambda y: A.T @ y, rmatmat=lambda Y: Y, dtype=float)
WITH_NAN = LinearOperator((30, 20), lambda x: np.nan * (A @ x) if x.any() else A @ x, lambda y: A.T @ y, dtype=float)
sparse = scipy.sparse.csr_array


@ALL
@pytest.mark.parametrize(
    ("matrix", "kind", "message"),
    [
        (HOLED, ValueError, r"A has 1 NaN entry, at \(12, 0\)\. Fill"),
        (INFINITE, ValueError, r"A has 1 infinite entry, at \(3, 4\)\. Look"),
        (HOLED.tolist(), ValueError, r"A has 1 NaN entry"),
        (
            1e308 * A,
            ValueError,
            r"products with A must be finite; .* up to 1\.0e\+308, whose products overflow\. Divide",
        ),
        (A[0], ValueError, r"A must be a matrix, with 2 dimensions"),
        (A[:0], ValueError, r"A must not be empty"),
        (1j * A, TypeError, r"A must be real; got dtype complex128"),
        (A.astype(np.float16), TypeError, r"A must be of dtype float32, float64"),
        (np.ma.masked_equal(A, 2), TypeError, r"A must be a plain array; got a masked array"),
        (sparse(HOLED), ValueError, r"A\.data has 1 NaN entry"),
        (sparse(1j * A), TypeError, r"A\.data must be real"),
        (sparse((0, 20)), ValueError, r"A must be a matrix with at least one row and one column; got shape \(0, 20\)"),
        (NO_ADJOINT, TypeError, r"A must have the products matmat and rmatmat; its rmatmat raised .*\. Pass LinearOp"),
        (WRONG_SHAPE, ValueError, r"A must map matrices of 30 rows to ones of 20 by rmatmat"),
        (WITH_NAN, ValueError, r"products with A must be finite; matmat gave NaN or infinite entries"),
        (LinearOperator((30, 20), lambda x: A @ x, dtype=complex), TypeError, r"A must be real; got an operator"),
    ],
    ids="nan inf list overflow vector empty complex half masked sparse-nan sparse-complex sparse-empty "
    "no-adjoint wrong-shape operator-nan operator-complex".split(),
)
def test_matrices_refused(function, matrix, kind, message):
    with pytest.raises(kind, match=r"^(randomized_svd|block_krylov_svd|estimate_error): " + message):
        function(matrix, 2, rng=0)


@BOTH
@pytest.mark.parametrize(
    ("rank", "options", "kind", "message"),
    [
        (0, {}, ValueError, r"rank must be between 1 and min\(m, n\) = 20; got 0"),
        (21, {}, ValueError, r"rank must be between 1 and min\(m, n\) = 20; got 21 for A of shape \(30, 20\)"),
        (2.0, {}, TypeError, r"rank must be an integer"),
        (2, {"rng": "seed"}, TypeError, r"rng must be None, an int or a numpy Generator"),
        (2, {"rng": -1}, ValueError, r"rng as a seed must be at least 0"),
    ],
)
def test_arguments_refused(method, rank, options, kind, message):
    with pytest.raises(kind, match=rf"^{method.__name__}: {message}"):
        method(A, rank, **options)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (randomized_svd, {"oversample": -1}, r"oversample must be at least 0; got -1"),
        (randomized_svd, {"power_iterations": -1}, r"power_iterations must be at least 0; got -1"),
        (block_krylov_svd, {"block": 0}, r"block must be between 1 and min\(m, n\) = 20; got 0"),
        (block_krylov_svd, {"block": 21}, r"block must be between 1 and min\(m, n\) = 20; got 21"),
        (block_krylov_svd, {"steps": 0}, r"steps must be at least 1; got 0"),
        (block_krylov_svd, {"block": 2, "steps": 3}, r"steps times block .* rank = 7; got 3 · 2 = 6\. Pass steps=4"),
    ],
)
def test_options_refused(method, options, message):
    with pytest.raises(ValueError, match=rf"^{method.__name__}: {message}"):
        method(A, 7, **options)


# ------------------------------------------------------------------------------------------------ the benchmark


@pytest.mark.slow
def test_benchmark_on_small_matrices(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "PAUSE", 0)  # no time is looked at here
    out = tmp_path / "svd.json"
    run = ["--small", "--rounds", "1", "--out", str(out)]
    benchmark.main([*run, "--cases", "fast"])
    benchmark.main([*run, "--cases", "tall", "sparse", "tf-idf"])
    result = json.loads(out.read_text("utf-8"))
    assert list(result["cases"]) == ["fast", "tall", "sparse", "tf-idf"], "cases that were not run stay"
    assert "ours, Krylov 4×10" in capsys.readouterr().out
    for case in result["cases"].values():
        rows = case["contenders"]
        excess = np.array([row["excess"] for row in rows.values() if "excess" in row])
        assert within(-excess, 1e-6) and (excess < 0.1).all()
        assert within(rows["ours, Krylov 4×10"]["excess"], 1e-3) and within(rows["ARPACK"]["excess"], 1e-8)
        assert rows["ours, Krylov 4×6"]["passes"] == rows["products of Krylov 4×6"]["passes"] == 12
        assert rows["ours, subspace 4"]["passes"] == rows["scikit-learn, 4"]["passes"] == 10
        assert rows["ours, subspace 4"]["columns"] == rows["scikit-learn, 4"]["columns"] == 200


def test_growth_on_small_matrices():
    assert within(growth.slope((1, 2, 4), (3, 12, 48)) - 2, 1e-9)
    for kind in growth.KINDS:
        rows = growth.timed(kind, (60, 90))
        assert list(rows) == list(growth.METHODS)
        assert all(len(row["slopes"]) == len(row["seconds"]) == growth.ROUNDS for row in rows.values())
        assert within([rows["exact"]["excess"], rows["Lanczos"]["excess"]], 1e-9)
        assert rows["randomised"]["products"] == [180, 180], "six passes of thirty columns"
        assert 0 < rows["randomised"]["excess"] < 0.1
