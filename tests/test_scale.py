"""Functions that are homogeneous are so over the whole range of their dtype: scaled input, scaled answer, or one error.

Scaling by a power of two rounds nothing, so the answers are equal to the bit as long as nothing of theirs underflows.
The units in `tests/functions.py` say what is scaled along with what.
"""

import math
import re

import numpy as np
import pytest
import scipy.sparse
import torch

from lowrank_helpers import compression, factorizations, linalg, svd
from lowrank_helpers.randomized import block_krylov_svd, randomized_svd
from tests.functions import ROWS, Row, Scalar, changed, matrix
from tests.known_failures import case
from tests.margins import close

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
    return close(np.ldexp(found.astype(float), shift), expected, atol=rounding)


CASES = [
    case(row, letter, DTYPES[name], id=f"scale: {row.id}; {letter}, {name}")
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
    case(row, id=f"option: {row.id}")
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
    assert close(np.diag(factorizations.householder_qr(D)[1]), np.diag(D), rtol=1e-14)
    assert close(np.diag(factorizations.cholesky(D)), np.sqrt(np.diag(D)), rtol=1e-14)
    assert close(np.diag(factorizations.lu(D).U), np.diag(D), rtol=1e-14)
    assert close(factorizations.solve_lower(D, [1e200, 1.0, 1e-200]), np.ones(3), atol=1e-14)
    assert svd.tail_error([1e300, 1e-300], 1) == 1e-300
    assert svd.rank_for_error([1e300, 1e-300], 1e-301, relative=False) == 2


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
