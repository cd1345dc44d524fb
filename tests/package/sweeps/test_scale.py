"""Functions that are homogeneous are so over the whole range of their dtype: scaled input, scaled answer, or one error.

Scaling by a power of two rounds nothing, so the answers are equal to the bit as long as nothing of theirs underflows.
The units in `tests/package/sweeps/functions.py` say what is scaled along with what.
"""

import math
import re

import numpy as np
import pytest
import scipy.sparse
import torch

from book.margins import close
from lowrank_helpers import compression, linalg, svd
from lowrank_helpers.completion import (
    als_complete,
    implicit_als,
    sgd_complete,
    soft_impute,
)
from lowrank_helpers.decomposition import optimal_rank, optimal_threshold, singular_value_threshold
from lowrank_helpers.svd import block_krylov_svd, randomized_svd
from tests.package.sweeps.functions import ROWS, Row, Scalar, changed, matrix

DTYPES = {"float64": np.float64, "float32": np.float32}
RNG = np.random.default_rng(70)
A, M = RNG.standard_normal((7, 4)), RNG.standard_normal((7, 2))
STEPS = 15  # exponents between the smallest and the largest that the input has room for


def degree(unit, letter):
    """The exponent of a letter in a unit: 2 of a in "aa/m"."""
    above, _, below = (unit or "").partition("/")
    return above.count(letter) - below.count(letter)


def leaves(row):
    """Every number or array of a call that has a unit, with the unit."""
    found = []

    def note(value, unit):
        if unit:
            found.append((np.asarray(value), unit))

    row.built(lambda leaf: changed(leaf, note))
    return found


def letters(row):
    """What the input can be scaled by."""
    return sorted({letter for _, unit in leaves(row) for letter in unit if letter.isalpha()})


def units(row):
    """The unit of each part of the answer."""
    return {"": row.answer} if isinstance(row.answer, str) else row.answer


def range_of_exponents(row, letter, dtype):
    """The least and the largest k for which the input, its letter times 2ᵏ, is made of normal numbers."""
    least, most = -math.inf, math.inf
    for value, unit in leaves(row):
        d, sizes = degree(unit, letter), np.frexp(value[value != 0])[1]
        limits = np.finfo(dtype if value.ndim else np.float64)  # options are Python's numbers
        if d and sizes.size:
            ends = sorted([(limits.minexp + 1 - sizes.min()) / d, (limits.maxexp - sizes.max()) / d])
            least, most = max(least, ends[0]), min(most, ends[1])
    return math.ceil(least), math.floor(most)


def scaled(row, letter, k, dtype):
    """The arguments of a call in this dtype, with their letter times 2ᵏ."""

    def times(value, unit):
        if isinstance(value, torch.Tensor):
            return torch.from_numpy(times(value.numpy(), unit))
        if isinstance(value, np.ndarray):
            d = degree(unit, letter)
            return np.ldexp(value.astype(dtype), d * k) if value.dtype.kind == "f" else value
        if isinstance(value, list):
            return [times(x, unit) for x in value]
        return math.ldexp(value, degree(unit, letter) * k) if isinstance(value, float) else value

    return row.built(lambda leaf: changed(leaf, times))


def same(found, expected, unit, letter, k, eps):
    """Whether a part of the answer, divided by its factor, is what it was; below tiny its digits are fewer."""
    shift = -degree(unit, letter) * k
    found, expected = np.asarray(found), np.asarray(expected, dtype=float)
    kind = np.finfo(found.dtype) if found.dtype.kind == "f" else np.finfo(float)
    rounding = 200 * eps * np.abs(expected).max(initial=0) + 32 * np.ldexp(float(kind.smallest_subnormal), shift)
    with np.errstate(over="ignore"):  # what has to be infinite: draws above a table that ends at the range
        expected = np.where(np.abs(np.ldexp(expected, -shift)) > kind.max, np.copysign(np.inf, expected), expected)
    return close(np.ldexp(found.astype(float), shift), expected, atol=rounding)


CASES = [
    pytest.param(row, letter, DTYPES[name], id=f"scale: {row.id}; {letter}, {name}")
    for row in ROWS
    if row.answer is not None
    for letter in letters(row)
    for name in DTYPES
]


@pytest.mark.parametrize(("row", "letter", "dtype"), CASES)
def test_scaled_input_scaled_answer_or_one_clear_error(row, letter, dtype):
    expected = row.read(row.function(**scaled(row, letter, 0, dtype)))
    least, most = range_of_exponents(row, letter, dtype)
    powers = [abs(degree(unit, letter)) for unit in [*(unit for _, unit in leaves(row)), *units(row).values()]]
    middle = np.finfo(dtype).maxexp // (4 * max(powers))
    even = 2 * (np.linspace(least, most, STEPS) / 2).astype(int)  # some factors go with the root of the input
    for k in np.unique([least, *even, most]).tolist():
        try:
            found = row.read(row.function(**scaled(row, letter, k, dtype)))
        except ValueError as error:
            assert re.match(rf"{row.name}: .*(overflow|underflow|range).*\.$", str(error)), (k, str(error))
            assert abs(k) > middle, (k, str(error))
            continue
        for part, unit in units(row).items():
            if unit is not None:
                eps = np.finfo(dtype).eps
                assert same(found[part], expected[part], unit, letter, k, eps), (k, part, found[part])


def squared(A):
    return float((A**2).sum())


WRONG = {
    "overflow": lambda A: np.sqrt(np.square(A).sum()),
    "underflow": lambda A: min(squared(A / np.abs(A).max()), 1e300 * np.abs(A).max()) ** 0.5 * np.abs(A).max(),
    "a size of its own": lambda A: np.abs(A).max() + 1e-9,
    "another degree": squared,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_norm_that_is_not_homogeneous_is_rejected(name):
    row = Row(WRONG[name], "a", {"A": matrix(A, "a")})
    with pytest.raises((AssertionError, RuntimeWarning)):
        test_scaled_input_scaled_answer_or_one_clear_error(row, "a", np.float64)


# --------------------------------------------------------------------------------------- cases that no unit describes


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


LARGE = 1e80  # no float32
OPTIONS = [
    pytest.param(row, id=f"option: {row.id}")
    for row in ROWS
    if row.answer is not None and any(isinstance(argument, Scalar) for argument in row.arguments.values())
]


@pytest.mark.parametrize("row", OPTIONS)
def test_an_option_beyond_the_range_of_float32_gives_the_answer_or_one_clear_error(row):
    def answer(dtype):
        def change(value, unit):
            if isinstance(value, np.ndarray):
                return value.astype(dtype) if value.dtype.kind == "f" else value
            return [LARGE] * len(value) if isinstance(value, list) else LARGE if unit else value

        return row.read(row.function(**row.built(lambda leaf: changed(leaf, change))))

    try:
        found = answer(np.float32)
    except ValueError as error:
        assert re.match(rf"{row.name}: .*(overflow|underflow|range).*\.$", str(error)), str(error)
        return
    for part, exact in answer(np.float64).items():
        size = np.abs(exact).max(initial=0) + float(np.finfo(np.float32).tiny)
        assert close(found[part], np.asarray(exact, dtype=float), atol=1e-3 * size), part


def test_a_matrix_of_many_sizes_keeps_its_smallest_entries():
    """Only what leaves no room for sums and products is scaled, and no further than it has to be."""
    D = np.diag([1e200, 1.0, 1e-200])
    assert close(np.diag(linalg.householder_qr(D)[1]), np.diag(D), rtol=1e-14)
    assert close(np.diag(linalg.cholesky(D)), np.sqrt(np.diag(D)), rtol=1e-14)
    assert close(np.diag(linalg.lu(D).U), np.diag(D), rtol=1e-14)
    assert close(linalg.solve_lower(D, [1e200, 1.0, 1e-200]), np.ones(3), atol=1e-14)
    assert svd.tail_error([1e300, 1e-300], 1) == 1e-300
    assert svd.rank_for_error([1e300, 1e-300], 1e-301, relative=False) == 2


NORMS = {
    "vector_norm": lambda A: linalg.vector_norm(A[:, 0]),
    "vector_norm, 1": lambda A: linalg.vector_norm(A[:, 0], 1),
    "frobenius_norm": linalg.frobenius_norm,
    "spectral_norm": linalg.spectral_norm,
    "nuclear_norm": linalg.nuclear_norm,
    "schatten_norm": lambda A: linalg.schatten_norm(A, 3),
    "ky_fan_norm": lambda A: linalg.ky_fan_norm(A, 2),
    "tail_error": lambda A: svd.tail_error(A[0], 0),
    "tail_error, nuclear": lambda A: svd.tail_error(A[0], 0, norm="nuclear"),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_may_be_above_the_range_of_the_entries(name):
    largest = np.full((5, 5), 3e38, dtype=np.float32)
    assert close(NORMS[name](largest), NORMS[name](largest.astype(float)), rtol=1e-5)
    assert NORMS[name](largest) > 4e38
    with pytest.raises(ValueError, match=r"(_norm|tail_error): .* must be within the range of float64"):
        NORMS[name](np.full((5, 5), 1.7e308))


TOP = {
    "householder_qr": (linalg.householder_qr, "R"),
    "truncated_svd": (lambda A: svd.truncated_svd(A, 1), "s"),
    "lu": (linalg.lu, "U"),
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
    assert close(linalg.schatten_norm(A32, 1e39), linalg.spectral_norm(A32), rtol=1e-6)
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


def holed(A):
    """A table with entries unseen."""
    table = A.copy()
    table[[0, 3, 5], [1, 2, 0]] = np.nan
    return table


def completed(result):
    return result.mean + result.row_bias[:, None].astype(float) + result.column_bias + result.W.astype(float) @ result.H


def exponents(dtype):
    limits = np.finfo(dtype)
    return np.linspace(limits.minexp + limits.nmant + 4, limits.maxexp - 4, 15).astype(int)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_sgd_far_from_the_size_of_stars_says_so(dtype):
    for k in exponents(dtype):
        table = np.ldexp(holed(A), k).astype(dtype)
        if -400 < k < -20:  # it starts above the objective of no factors at all, and stays there
            with pytest.warns(RuntimeWarning, match="sgd_complete: not converged .* divide A by"):
                assert not sgd_complete(table, 1, rng=0).converged
        elif abs(k) > 20:
            with pytest.raises(ValueError, match=r"sgd_complete: (learning_rate must keep|squares of A must)"):
                sgd_complete(table, 1, rng=0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_confidences_over_the_whole_range(dtype):
    C = np.array([[4, 0, 1], [0, 2, 0], [1, 0, 3], [0, 5, 0]])
    expected = implicit_als(C.astype(dtype), 2, confidence=5, rng=0)
    for k in exponents(dtype):
        alpha = 5 * 2.0**-k  # the product of both is what counts
        found = implicit_als(np.ldexp(C.astype(dtype), k), 2, confidence=alpha, rng=0)
        assert close(found.W @ found.H, expected.W @ expected.H, atol=1e3 * np.finfo(dtype).eps)
    rare = implicit_als(np.ldexp(C.astype(dtype), exponents(dtype)[0]), 2, rng=0)
    none = implicit_als(C.astype(dtype), 2, confidence=0, rng=0)
    assert close(rare.W @ rare.H, none.W @ none.H, atol=1e3 * np.finfo(dtype).eps)
    with pytest.raises(ValueError, match="implicit_als: squares of confidence · C must neither overflow"):
        implicit_als(C.astype(dtype), 2, confidence=1e300)


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("penalty", [1e80, 1e300])
def test_options_beyond_every_number_of_the_table_are_taken_or_refused(dtype, penalty):
    """No warning of numpy's either: they are errors in these tests."""
    table = holed(A).astype(dtype)
    assert not singular_value_threshold(A.astype(dtype), penalty).any()
    assert optimal_rank(svd.truncated_svd(A, 4).s.astype(dtype), A.shape, noise=penalty) == 0
    for function in (
        lambda: completed(als_complete(table, 1, penalty=penalty)),
        lambda: completed(soft_impute(table, penalty)),
        lambda: completed(implicit_als(np.abs(table), 1, penalty=penalty)),
    ):
        if penalty < 1e100:
            assert close(function(), np.zeros(A.shape), atol=1e-30)
        else:
            with pytest.raises(ValueError, match=r": penalty must be below 3.0e\+138"):
                function()
    with pytest.raises(ValueError, match=r"sgd_complete: (penalty must be below|learning_rate must keep)"):
        sgd_complete(table, 1, penalty=penalty, rng=0)


def test_the_end_of_the_range_of_float32():
    for entry in (5e37, 1e-38):
        full = np.full((4, 3), entry, dtype=np.float32)
        for result in (als_complete(full, 1), soft_impute(full, entry / 100)):
            assert result.W.dtype == np.float32 and close(completed(result), full, rtol=0.1)
        assert close(singular_value_threshold(full, 0.0), full, rtol=1e-5)
    with pytest.raises(ValueError, match="optimal_threshold: the threshold must be within the range of float64"):
        optimal_threshold([1.7e308, 1.7e308], (2, 2))
    assert optimal_rank([1.7e308, 1.7e308], (2, 2)) == 0
