"""Every argument of every public function, misused in every way.

`SLOTS` names each argument once with a call that is right but for it; a test fails when a public function or one
of its parameters is missing there.
"""

import inspect
import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse

from lowrank_helpers import _checks, factorizations, linalg, svd

TALL = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
SQUARE = np.array([[4.0, 1.0], [1.0, 3.0]])
LOWER = np.array([[2.0, 0.0], [1.0, 3.0]])
SPECTRUM = np.array([3.0, 2.0, 1.0])
TRIPLE = svd.SVDFactors(np.eye(3, 2), np.array([2.0, 1.0]), np.eye(2))
FACTORS = factorizations.lu(SQUARE)
NAN, INF = float("nan"), float("inf")


class Bad(NamedTuple):
    value: object
    error: type[Exception]
    message: str  # a regular expression for what follows "function: "


def arrays(name, right):
    """What no array argument takes: the same for matrices, vectors and right-hand sides."""
    nan, infinite = np.array(right, dtype=float), np.array(right, dtype=float)
    nan.flat[:2], infinite.flat[-1] = NAN, -INF
    first = r"0" if nan.ndim == 1 else r"\(0, 0\)"
    last = r"\d" if nan.ndim == 1 else r"\(\d, \d\)"
    matrix = np.ones((2, 2)).view(np.matrix)
    return {
        "NaN": Bad(nan, ValueError, rf"{name} has 2 NaN entries, first at {first}\. Fill them in or drop"),
        "-inf": Bad(infinite, ValueError, rf"{name} has 1 infinite entry, at {last}\. Look for"),
        "complex": Bad(
            right + 0j, TypeError, rf"{name} must be real; got dtype complex128\. .* pass np\.real\({name}\)"
        ),
        "strings": Bad(np.array(right).astype(str), TypeError, rf"{name} must hold real numbers; got dtype <U32"),
        "a word": Bad("matrix", TypeError, rf"{name} must hold real numbers; got dtype <U6"),
        "None": Bad(None, TypeError, rf"{name} must hold real numbers; got dtype object"),
        "objects": Bad(
            np.array(right, dtype=object), TypeError, rf"{name} must hold .* np\.array\({name}, dtype=float\)"
        ),
        "dates": Bad(
            np.array(["2024-01-01"] * 2, dtype="M8[D]"), TypeError, rf"{name} must hold real numbers; got dtype"
        ),
        "half": Bad(
            np.array(right, dtype=np.float16), TypeError, rf"{name} must be of dtype float32.*got float16\. Pass"
        ),
        "ragged": Bad([[1.0, 2.0], [3.0]], ValueError, rf"{name} must be a rectangular .*got a list .* equally long"),
        "sparse": Bad(
            scipy.sparse.csr_array(np.eye(2)), TypeError, rf"{name} must be dense; .* Pass {name}\.toarray\(\)"
        ),
        "masked": Bad(np.ma.masked_less(right, 2), TypeError, rf"{name} must be a plain array; got a masked array"),
        "np.matrix": Bad(
            matrix, TypeError, rf"{name} must be a plain array; got np\.matrix.* Pass np\.asarray\({name}\)"
        ),
        "empty": Bad(np.zeros((0,) * nan.ndim), ValueError, rf"{name} must not be empty; got shape \(0,"),
        "3-D": Bad(np.ones((2, 2, 2)), ValueError, rf"{name} must be a .*got 3.* \(shape \(2, 2, 2\)\)"),
        "0-D": Bad(3.0, ValueError, rf"{name} must be a .*got 0 .*\(shape \(\)\)"),
    }


def matrices(name, right=TALL):
    line = rf"{name} must be a matrix, with 2 dimensions; got 1 \(shape \(2,\)\)\. For one column pass np\.reshape"
    return arrays(name, right) | {"1-D": Bad([1.0, 2.0], ValueError, line)}


def squares(name, right=SQUARE):
    shape = rf"{name} must be square; got shape \(3, 2\)\. .*lstsq"
    return matrices(name, right) | {"not square": Bad(TALL, ValueError, shape)}


def vectors(name, right=SPECTRUM):
    flat = rf"{name} must be a vector, with 1 dimension; got 2 \(shape \(3, 2\)\)\. Pass np\.ravel\({name}\)"
    return arrays(name, right) | {"2-D": Bad(TALL, ValueError, flat)}


def spectra(name):
    return vectors(name) | {
        "negative": Bad([1.0, -2.0], ValueError, rf"{name} must be non-negative; got -2 at 1\. Singular values"),
        "ascending": Bad([1.0, 2.0], ValueError, rf"{name} must be in descending order; got 1 before 2 at 0\. Sort"),
    }


def right_hand_sides(name, rows, of="A"):
    rule = rf"{name} must have as many rows as {of}, {rows}; got shape"
    return arrays(name, np.arange(1.0, rows + 1)) | {
        "length": Bad(np.ones(rows + 2), ValueError, rf"{rule} \({rows + 2},\)\. Make"),
        "rows": Bad(np.ones((rows + 2, rows)), ValueError, rf"{rule} .*\. Transpose {name}\."),
    }


def whole(name, least):
    """What no integer argument takes."""
    rule = rf"{name} must be an integer; got "
    bad = {"float": 1.0, "bool": True, "numpy bool": np.True_, "word": "2", "None": None, "array": np.array([1]),
           "NaN": NAN, "complex": 1j, "sparse": scipy.sparse.eye_array(1)}  # fmt: skip
    return {key: Bad(value, TypeError, rule) for key, value in bad.items()} | {
        "below": Bad(least - 1, ValueError, rf"{name} must be (at least|between) {least}.*; got {least - 1}")
    }


def between(name, least, greatest, limit):
    rule = rf"{name} must be between {least} and {re.escape(limit)} = {greatest}; got {greatest + 1}"
    return whole(name, least) | {"above": Bad(np.int64(greatest + 1), ValueError, rule)}


def numbers(name, **out_of_bounds):
    """What no real-number argument takes; None only where it is no default."""
    rule = rf"{name} must be a real number; got "
    bad = {"bool": True, "numpy bool": np.False_, "word": "0.1", "array": np.array([0.5]), "complex": 0.5j}
    return {key: Bad(value, TypeError, rule) for key, value in bad.items()} | {
        key: Bad(value, ValueError, rf"{name} must be finite and .*; got ")
        for key, value in {"NaN": NAN, "-inf": -INF, "huge": -(10**400), **out_of_bounds}.items()
    }


def words(name):
    listed = rf"{name} must be one of 'frobenius', 'spectral', 'nuclear'; got "
    values = {"unknown": ("fro", ValueError), "case": ("Spectral", ValueError), "number": (2, TypeError)}
    return {key: Bad(value, error, listed) for key, (value, error) in values.items()}


def triples(parts):
    """Anything but a triple; and each part of one, misused like an argument."""
    rule = r"factors must be the triple \("
    bad = {key: Bad(value, TypeError, rule) for key, value in {"matrix": TALL, "pair": (1, 2), "None": None}.items()}
    for i, (_, wrong) in enumerate(parts):
        for key, (value, error, message) in wrong.items():
            triple = tuple(value if i == j else right for j, (right, _) in enumerate(parts))
            bad[f"part {i} {key}"] = Bad(triple, error, message)
    return bad


TRIPLES = triples([(TRIPLE.U, matrices("U")), (TRIPLE.s, vectors("s", TRIPLE.s)), (TRIPLE.Vt, matrices("Vt"))]) | {
    "full": Bad((np.eye(3), TRIPLE.s, TRIPLE.Vt), ValueError, r"U must have as many columns, and Vt as many rows")
}
RTOL = numbers("rtol", negative=-1e-9, one=1.0, infinite=INF)
ORDER = numbers("p", half=0.5, zero=0) | {"None": Bad(None, TypeError, "p must be a real number")}
M_N = {"m": ((3, 2, 1), whole("m", 1)), "n": ((3, 2, 1), whole("n", 1))}

# function: {parameter: (the arguments of a right call, what is wrong in the parameter's place)}
SLOTS = {
    linalg.vector_norm: {"x": ((SPECTRUM, 2), vectors("x")), "p": ((SPECTRUM, 2), ORDER)},
    linalg.frobenius_norm: {"A": ((TALL,), matrices("A"))},
    linalg.spectral_norm: {"A": ((TALL,), matrices("A"))},
    linalg.nuclear_norm: {"A": ((TALL,), matrices("A"))},
    linalg.numerical_rank: {"A": ((TALL,), matrices("A")), "rtol": ((TALL,), RTOL)},
    linalg.rank_factorization: {"A": ((TALL,), matrices("A")), "rtol": ((TALL,), RTOL)},
    linalg.pinv: {"A": ((TALL,), matrices("A")), "rtol": ((TALL,), RTOL)},
    linalg.lstsq: {
        "A": ((TALL, TALL), matrices("A")),
        "M": ((TALL, TALL), right_hand_sides("M", 3)),
        "rtol": ((TALL, TALL), RTOL),
    },
    linalg.tikhonov: {
        "A": ((TALL, TALL, 0.1), matrices("A")),
        "M": ((TALL, TALL, 0.1), right_hand_sides("M", 3)),
        "lam": ((TALL, TALL, 0.1), numbers("lam", zero=0.0, negative=-1, infinite=INF)),
    },
    linalg.factor_parameters: {**M_N, "rank": ((3, 2, 1), whole("rank", 0))},
    linalg.break_even_rank: {"m": ((3, 2), whole("m", 1)), "n": ((3, 2), whole("n", 1))},
    linalg.degrees_of_freedom: {**M_N, "rank": ((3, 2, 1), between("rank", 0, 2, "min(m, n)"))},
    factorizations.householder_qr: {"A": ((TALL,), matrices("A"))},
    factorizations.lu: {"A": ((SQUARE,), squares("A"))},
    factorizations.cholesky: {
        "A": (
            (SQUARE,),
            squares("A")
            | {
                "not symmetric": Bad(LOWER, ValueError, r"A must be symmetric; got A\[0, 1\] = 0 and A\[1, 0\] = 1\."),
                "indefinite": Bad(-SQUARE, ValueError, "A must be positive definite; got pivot -4 at index 0"),
            },
        )
    },
    factorizations.solve_lower: {
        "L": (
            (LOWER, [1.0, 2.0]),
            squares("L")
            | {
                "upper": Bad(
                    LOWER.T, ValueError, r"L must be lower triangular; got L\[0, 1\] = 1\. Pass np\.tril\(L\)"
                ),
                "singular": Bad(np.tri(2, 2, -1), ValueError, r"L must be invertible; got L\[0, 0\] = 0\. .*lstsq"),
            },
        ),
        "b": ((LOWER, [1.0, 2.0]), right_hand_sides("b", 2, "L")),
    },
    factorizations.solve_upper: {
        "U": (
            (LOWER.T, [1.0, 2.0]),
            squares("U")
            | {
                "lower": Bad(LOWER, ValueError, r"U must be upper triangular; got U\[1, 0\] = 1\. Pass np\.triu\(U\)"),
                "singular": Bad(np.triu(np.ones((2, 2)), 1), ValueError, r"U must be invertible; got U\[0, 0\] = 0"),
            },
        ),
        "b": ((LOWER.T, [1.0, 2.0]), right_hand_sides("b", 2, "U")),
    },
    factorizations.lu_solve: {
        "factors": (
            (FACTORS, [1.0, 2.0]),
            triples(
                [
                    (FACTORS.perm, {"no permutation": Bad([1, 1], ValueError, "perm must hold the row numbers")}),
                    (FACTORS.L, squares("L")),
                    (FACTORS.U, squares("U")),
                ]
            ),
        ),
        "b": ((FACTORS, [1.0, 2.0]), right_hand_sides("b", 2, "the factors")),
    },
    svd.truncated_svd: {"A": ((TALL, 1), matrices("A")), "rank": ((TALL, 1), between("rank", 1, 2, "min(m, n)"))},
    svd.reconstruct: {"factors": ((TRIPLE,), TRIPLES)},
    svd.fix_signs: {"factors": ((TRIPLE,), TRIPLES)},
    svd.jacobi_svd: {
        "A": ((TALL,), matrices("A")),
        "tol": ((TALL,), numbers("tol", zero=0.0, one=1.0, negative=-1e-9)),
        "max_sweeps": ((TALL,), whole("max_sweeps", 1)),
    },
    svd.worked_svd: {
        "A": (
            (TALL,),
            matrices("A")
            | {
                "three columns": Bad(np.eye(3), ValueError, r"A must have 2 columns and .*; got shape \(3, 3\)\. For"),
                "one row": Bad([[1.0, 2.0]], ValueError, r"A must have 2 columns and at least 2 rows; got shape"),
            },
        )
    },
    svd.energy: {
        "s": ((SPECTRUM,), spectra("s") | {"zeros": Bad([0.0], ValueError, "s must have a positive value; got zeros")})
    },
    svd.tail_error: {
        "s": ((SPECTRUM, 1), spectra("s")),
        "rank": ((SPECTRUM, 1), between("rank", 0, 3, "len(s)")),
        "norm": ((SPECTRUM, 1), words("norm")),
    },
    svd.rank_for_error: {
        "s": ((SPECTRUM, 0.1), spectra("s")),
        "tolerance": ((SPECTRUM, 0.1), numbers("tolerance", negative=-1e-9, one=1.0, absolute=2.5, infinite=INF)),
        "norm": ((SPECTRUM, 0.1), words("norm")),
        "relative": (
            (SPECTRUM, 0.1),
            {k: Bad(v, TypeError, "relative must be True or False; got ") for k, v in [("one", 1), ("None", None)]},
        ),
    },
    svd.schatten_norm: {"A": ((TALL, 2), matrices("A")), "p": ((TALL, 2), ORDER)},
    svd.ky_fan_norm: {"A": ((TALL, 1), matrices("A")), "k": ((TALL, 1), between("k", 1, 2, "min(m, n)"))},
}


def test_every_parameter_of_every_public_function_is_in_the_table():
    public = {
        function: set(inspect.signature(function).parameters)
        for module in (linalg, factorizations, svd)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and not name.startswith("_") and function.__module__.startswith("lowrank_")
    }
    assert {f: set(parameters) for f, parameters in SLOTS.items()} == public
    assert len(public) == 28


@pytest.mark.parametrize(
    ("function", "parameter", "bad"),
    [
        pytest.param(f, parameter, bad, id=f"{f.__name__}-{parameter}-{key}")
        for f, slots in SLOTS.items()
        for parameter, (_, wrong) in slots.items()
        for key, bad in wrong.items()
    ],
)
def test_misuse_is_named(function, parameter, bad):
    bound = inspect.signature(function).bind(*SLOTS[function][parameter][0])
    bound.arguments[parameter] = bad.value
    with pytest.raises(bad.error, match=f"^{function.__name__}: {bad.message}") as caught:
        function(*bound.args, **bound.kwargs)
    assert type(caught.value) is bad.error, "not a subclass, say of scipy"
    assert str(caught.value).endswith(".") and "  " not in str(caught.value)


def test_messages_in_full():
    with pytest.raises(ValueError) as caught:
        svd.truncated_svd(np.ones((60, 40)), 55)
    assert str(caught.value) == (
        "truncated_svd: rank must be between 1 and min(m, n) = 40; got 55 for A of shape (60, 40)."
    )
    A = np.ones((20, 3))
    A[12:16, 0] = NAN
    with pytest.raises(ValueError) as caught:
        linalg.lstsq(A, np.ones(20))
    assert str(caught.value) == ("lstsq: A has 4 NaN entries, first at (12, 0). Fill them in or drop their rows first.")
    with pytest.raises(ValueError) as caught:
        linalg.tikhonov([[1.0]], [1.0], 0)
    assert str(caught.value) == "tikhonov: lam must be finite and above 0; got 0. For lam = 0 use lstsq."


# --------------------------------------------------------------------------- checks that other modules use directly


def test_generator_takes_none_a_seed_or_a_generator():
    own = np.random.default_rng(1)
    assert _checks.generator(own, "f") is own
    assert _checks.generator(7, "f").random() == _checks.generator(np.int32(7), "f").random()
    assert _checks.generator(None, "f").random() != _checks.generator(None, "f").random()


@pytest.mark.parametrize("rng", [1.0, True, np.True_, "0", np.random.RandomState(0), np.random, [1, 2]])
def test_generator_refuses_all_else(rng):
    with pytest.raises(
        TypeError, match=r"^f: rng must be None, an int or a numpy Generator; got .*default_rng\(seed\)"
    ):
        _checks.generator(rng, "f")


def test_generator_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"^f: rng as a seed must be at least 0; got -1\."):
        _checks.generator(-1, "f")


def test_numbers_come_in_many_types():
    for one in (1, 1.0, np.float32(1), np.int8(1), Fraction(1)):
        assert _checks.number(one, "f", "x", least=0.5, above=0, below=2) == 1.0
    for two in (2, np.uint8(2), np.int64(2)):
        assert _checks.integer(two, 1, None, "f", "x") == 2
    assert _checks.norm_order(np.float32(INF), "f") == INF
    assert _checks.flag(np.True_, "f", "x") is True
    assert _checks.choice("b", ("a", "b"), "f", "x") == "b"


def test_a_matrix_that_needs_no_conversion_is_not_copied():
    assert _checks.matrix(TALL, "f") is TALL
