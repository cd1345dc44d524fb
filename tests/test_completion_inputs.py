"""Tables as people bring them: all kinds of array-likes, and what no method may guess."""

import numpy as np
import pytest
import scipy.sparse

from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    implicit_als,
    predict,
    sgd_complete,
    soft_impute,
    soft_impute_path,
)
from tests.margins import close

RNG = np.random.default_rng(13)
TABLE = np.add.outer(RNG.random(12), RNG.random(9)) + 1
TABLE[RNG.random(TABLE.shape) < 0.3] = np.nan
METHODS = {
    "als_complete": lambda A: als_complete(A, 1, penalty=0.1, tolerance=1e-4, rng=0),
    "sgd_complete": lambda A: sgd_complete(A, 1, penalty=0.1, max_epochs=200, rng=0),
    "soft_impute": lambda A: soft_impute(A, 0.5, rng=0),
    "soft_impute_path": lambda A: soft_impute_path(A, [1.0, 0.5], rng=0)[-1],
    "bayesian_complete": lambda A: bayesian_complete(A, 1, draws=5, rng=0),
    "implicit_als": lambda A: implicit_als(A, 1, penalty=0.1, rng=0),
}


class Arraylike:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def frame(A):
    import pandas

    return pandas.DataFrame(A, index=[f"user {i}" for i in range(len(A))])


def tensor(A):
    import torch

    return torch.from_numpy(A)


KINDS = {
    "list": lambda A: A.tolist(),
    "DataFrame": frame,
    "tensor": tensor,
    "array-like": Arraylike,
    "big-endian": lambda A: A.astype(">f8"),
    "strided": lambda A: np.repeat(A, 2, axis=1)[:, ::2],
    "read-only": lambda A: np.frombuffer(A.tobytes()).reshape(A.shape),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_table_gives_what_the_array_gives(name, kind):
    expected, found = METHODS[name](TABLE), METHODS[name](KINDS[kind](TABLE))
    for field in ("W", "H"):
        if hasattr(expected, field):
            assert close(getattr(found, field), getattr(expected, field), atol=1e-12)


def test_a_tensor_that_requires_a_gradient_is_refused_with_the_way_out():
    import torch

    with pytest.raises(TypeError, match=r"als_complete: A must be what numpy can read; .* A\.detach\(\)"):
        als_complete(torch.ones(3, 3, requires_grad=True), 1, penalty=0.1)


@pytest.mark.parametrize("form", ["bsr", "dia"])
def test_formats_that_fill_up_with_zeros_are_refused(form):
    with pytest.raises(TypeError, match=f"als_complete: A must have a format that tells .*; got {form}"):
        als_complete(scipy.sparse.coo_array(np.eye(4)).asformat(form), 1, penalty=0.1)


def test_soft_impute_of_a_large_table_of_zeros_is_zero():
    table = np.zeros((40, 35))
    table[::2, ::3] = np.nan
    found = soft_impute(table, 0.5, rng=0)
    assert found.converged and found.H.shape[0] == 0


@pytest.mark.parametrize("name", METHODS)
def test_what_is_refused_is_named_as_the_caller_does(name):
    import torch

    argument = "C" if name == "implicit_als" else "A"
    repeated = scipy.sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), (3, 3))
    for table, message in (
        (torch.ones(3, 3, requires_grad=True), "must be what numpy can read"),
        (scipy.sparse.csr_array(np.eye(4)).tobsr(), "must have a format that tells"),
        (repeated, "must have at most one observation"),
        (np.full((3, 3), np.nan), "must have observations"),
        (np.ones(3), "must be a matrix"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: {argument} {message}"):
            METHODS[name](table)
    sparse = scipy.sparse.coo_array(([np.inf], ([0], [0])), (3, 3))
    with pytest.raises(ValueError, match=f"^{name}: {argument}.data has 1 infinite entry"):
        METHODS[name](sparse)


def test_als_of_zeros_without_a_penalty_is_zero():
    found = als_complete(np.zeros((5, 4)), 1)
    assert found.converged and not found.W.any() and not found.H.any()
    assert predict(als_complete(np.full((5, 4), 3.0), 2, biases=True, penalty=0.0), 1, 1) == 3
