"""Homogeneous functions are so over the whole range of their dtype: scaled input, scaled answer, or one clear error.

Scaling by a power of two rounds nothing, so the answers are equal to the bit as long as nothing of theirs underflows.
"""

import numpy as np
import pytest
import scipy.sparse

from lowrank_helpers import compression, factorizations, linalg, svd
from lowrank_helpers.factor import optimal_rank, singular_value_threshold
from lowrank_helpers.randomized import block_krylov_svd, randomized_svd
from tests.margins import close

RNG = np.random.default_rng(70)
A, M, POSITIVE = RNG.standard_normal((7, 4)), RNG.standard_normal((7, 2)), RNG.random(6) + 0.1
X = RNG.standard_normal((9, 4))


def recomposed(factors):
    U, s, Vt = factors
    return (U * s) @ Vt


# name: the function of A, and the degree of its answer in A
HOMOGENEOUS = {
    "vector_norm": (lambda A: linalg.vector_norm(A[:, 0]), 1),
    "frobenius_norm": (linalg.frobenius_norm, 1),
    "spectral_norm": (linalg.spectral_norm, 1),
    "nuclear_norm": (linalg.nuclear_norm, 1),
    "schatten_norm": (lambda A: svd.schatten_norm(A, 3), 1),
    "ky_fan_norm": (lambda A: svd.ky_fan_norm(A, 2), 1),
    "numerical_rank": (linalg.numerical_rank, 0),
    "rank_factorization": (lambda A: linalg.rank_factorization(A).C, 1),
    "pinv": (linalg.pinv, -1),
    "lstsq": (lambda A: linalg.lstsq(A, M.astype(A.dtype)), -1),
    "lstsq, right": (lambda A: linalg.lstsq(M.astype(A.dtype), A), 1),
    "householder_qr": (lambda A: factorizations.householder_qr(A)[1], 1),
    "truncated_svd": (lambda A: svd.truncated_svd(A, 2).s, 1),
    "jacobi_svd": (lambda A: svd.jacobi_svd(A).s, 1),
    "singular_value_threshold": (
        lambda A: singular_value_threshold(A, 0.3 * float(np.abs(A).max())), 1,
    ),
    "worked_svd": (lambda A: svd.worked_svd(A[:, :2]).s, 1),
    "rank_for_error": (lambda A: svd.rank_for_error(svd.truncated_svd(A, 4).s, 0.4), 0),
    "activation_aware_factor": (lambda A: compression.activation_aware_factor(A, 2, inputs=X.astype(A.dtype)).B, 1),
    "activation_aware_factor, inputs": (
        lambda A: compression.activation_aware_factor(X[:5].astype(A.dtype), 2, inputs=A).s, 1,
    ),
    "randomized_svd": (lambda A: randomized_svd(A, 2, oversample=2, rng=0).s, 1),
    "randomized_svd, sparse": (lambda A: randomized_svd(scipy.sparse.csr_array(A), 2, oversample=2, rng=0).s, 1),
    "block_krylov_svd": (lambda A: block_krylov_svd(A, 2, rng=0).s, 1),
}  # fmt: skip


def exponents(dtype):
    limits = np.finfo(dtype)
    return np.linspace(limits.minexp + limits.nmant + 4, limits.maxexp - 4, 15).astype(int)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_scaled_input_scaled_answer_or_one_clear_error(name, dtype):
    function, degree = HOMOGENEOUS[name]
    expected = np.asarray(function(A.astype(dtype)))
    answered = 0
    for k in exponents(dtype):
        scaled = np.ldexp(A.astype(dtype), k)
        try:
            found = np.asarray(function(scaled))
        except ValueError as error:
            assert str(error).startswith(name.split(",")[0]) and ("overflow" in str(error) or "range" in str(error))
            continue
        answered += 1
        back = np.ldexp(found.astype(float), -degree * k)
        assert close(back, expected, atol=200 * np.finfo(dtype).eps * np.abs(expected).max()), k
    assert answered >= 5


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("k", [-30, -10, 0, 10, 30])
def test_tikhonov_under_weak_and_strong_penalties(dtype, k):
    """For a strong penalty λX is AᵀM, for a weak one X is A⁺M; at each the filter of the SVD is the oracle."""
    U, s, Vt = np.linalg.svd(A)
    lam = 4.0**k
    expected = Vt.T @ ((s / (s**2 + lam))[:, None] * (U[:, :4].T @ M))
    found = linalg.tikhonov(A.astype(dtype), M.astype(dtype), lam)
    assert close(found, expected, atol=300 * np.finfo(dtype).eps * np.abs(expected).max())
    for j in (-20, 20):
        other = linalg.tikhonov(np.ldexp(A, j).astype(dtype), M.astype(dtype), lam * 4.0**j)
        assert close(np.ldexp(other, j), expected, atol=300 * np.finfo(dtype).eps * np.abs(expected).max())


def test_tikhonov_far_beyond_the_range_of_float32_says_nothing_false():
    assert not linalg.tikhonov(A.astype(np.float32), M.astype(np.float32), 1e80).any()  # the answer is below 1e-45


NORMS = {
    "vector_norm": lambda A: linalg.vector_norm(A[:, 0]),
    "vector_norm, 1": lambda A: linalg.vector_norm(A[:, 0], 1),
    "frobenius_norm": linalg.frobenius_norm,
    "spectral_norm": linalg.spectral_norm,
    "nuclear_norm": linalg.nuclear_norm,
    "schatten_norm": lambda A: svd.schatten_norm(A, 3),
    "ky_fan_norm": lambda A: svd.ky_fan_norm(A, 2),
    "tail_error": lambda A: svd.tail_error(A[0], 0),
    "tail_error, nuclear": lambda A: svd.tail_error(A[0], 0, norm="nuclear"),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_may_be_above_the_range_of_the_entries(name):
    largest = np.full((5, 5), 3e38, dtype=np.float32)
    assert close(NORMS[name](largest), NORMS[name](largest.astype(float)), rtol=1e-5)
    assert NORMS[name](largest) > 4e38
    assert NORMS[name](np.full((5, 5), 1.7e308)) == np.inf, "above the range of float64"


TOP = {
    "householder_qr": (factorizations.householder_qr, "R"),
    "truncated_svd": (lambda A: svd.truncated_svd(A, 1), "s"),
    "lu": (factorizations.lu, "U"),
}


@pytest.mark.parametrize("name", TOP)
@pytest.mark.parametrize("entry", [3e38, 1.7e308])
def test_factors_above_the_range_of_the_entries_say_so(name, entry):
    """Each has an entry of √2 or 2 times the largest of the matrix; an eighth fits, with all that is on the way."""
    function, factor = TOP[name]
    largest = np.array([[entry, entry], [-entry, entry]], dtype=np.float32 if entry < 1e300 else np.float64)
    with pytest.raises(ValueError, match=f"^{name}: {factor} must be within the range of {largest.dtype}"):
        function(largest)
    for found, unit in zip(function(largest / 8), function(largest / largest[0, 0]), strict=True):
        size = np.abs(found).max() / np.abs(unit).max()
        assert close(found / size, unit, atol=1e-5)


def test_options_above_the_range_of_float32_mean_what_they_say():
    A32, s32 = A.astype(np.float32), np.array([3.0, 2.0, 1.0], dtype=np.float32)
    assert not singular_value_threshold(A32, 1e39).any() and not singular_value_threshold(1e-300 * A, 1e300).any()
    largest = np.full((3, 3), 3e38, dtype=np.float32)  # of spectral norm 9e38
    assert close(singular_value_threshold(largest, 6e38), largest / 3, rtol=1e-5)
    assert close(linalg.vector_norm(A32[:, 0], 1e39), np.abs(A32[:, 0]).max(), rtol=1e-6)
    assert close(svd.schatten_norm(A32, 1e39), linalg.spectral_norm(A32), rtol=1e-6)
    assert optimal_rank(s32, (5, 3), noise=1e39) == optimal_rank(s32[:2], (5, 3), noise=1e39) == 0
    assert svd.rank_for_error(s32, 1e39, relative=False) == 0


@pytest.mark.parametrize("entry", [3e38, 1.7e308])
def test_a_finite_matrix_at_the_end_of_the_range_returns_or_says_so(entry):
    dtype = np.float32 if entry < 1e300 else np.float64
    W = np.eye(4, dtype=dtype)
    W[0, 0] = entry
    A, B, s = compression.activation_aware_factor(W, 1, inputs=np.eye(4, dtype=dtype))
    assert close(A @ B, W * (W > 1), rtol=1e-5) and close(s[0], entry, rtol=1e-5)
    full = scipy.sparse.csr_array(np.full((3, 3), entry, dtype=dtype))
    for function in (randomized_svd, block_krylov_svd):
        with pytest.raises(ValueError, match=r"products with A must be finite.*Divide A by it first"):
            function(full, 1, rng=1)


def test_at_the_top_of_the_range_least_squares_and_ranks_are_as_below_it():
    ones = np.full((4, 4), 1e308)
    assert close(linalg.lstsq(ones, np.full(4, 1e307)), np.full(4, 0.025), atol=1e-15)
    assert linalg.numerical_rank(ones) == 1 and linalg.rank_factorization(ones).C.shape == (4, 1)
    with pytest.raises(ValueError, match=r"rank_factorization: C must be within the range of float64"):
        linalg.rank_factorization([[1.5e308, 1.5e308], [-1.5e308, 1.5e308]])
    assert svd.rank_for_error([1.7e308] * 2, 0.0) == 2


@pytest.mark.parametrize("gap", [1e-6, 1e-12, 3e-15, 0.0])
def test_worked_svd_of_nearly_dependent_columns_has_an_orthogonal_u(gap):
    steps = svd.worked_svd([[1, 1], [1, 1 + gap], [1, 1]])
    assert close(steps.U.T @ steps.U, np.eye(3), atol=1e-14)
    assert close((steps.U[:, :2] * steps.s) @ steps.V.T, [[1, 1], [1, 1 + gap], [1, 1]], atol=1e-14)


def test_worked_svd_says_where_float32_has_no_room():
    for size in (1e20, 1e-24):
        with pytest.raises(ValueError, match=r"worked_svd: AᵀA must neither .* of dtype float32"):
            svd.worked_svd(np.full((3, 2), size, dtype=np.float32))


@pytest.mark.parametrize("kind", ["parameter", "bfloat16"])
def test_a_tensor_that_numpy_cannot_read_is_named_with_the_way_out(kind):
    import torch

    W = torch.nn.Linear(6, 4).weight
    given = W if kind == "parameter" else W.detach().bfloat16()
    with pytest.raises(TypeError, match=r"truncated_svd: A must be what numpy can read; got a \w+.*A\.detach\(\)\.cpu"):
        svd.truncated_svd(given, 2)
