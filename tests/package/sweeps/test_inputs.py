"""Every kind of array in every slot: the answer of the plain float64 array, or one clear error; and nothing is changed.

What is accepted and what is refused is written down here, so that neither comes about by accident.
"""

import functools
import re
import tempfile

import dask.array
import numpy as np
import pandas
import pytest
import scipy.sparse
import torch

from book.margins import close
from lowrank_helpers import datasets, svd
from tests.package.sweeps.functions import ROWS, Result, Row, changed, matrix, snapshot

FORMATS = ("coo", "csr", "csc", "bsr", "dia", "lil", "dok")


class Arraylike:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def frame(x):
    return pandas.DataFrame(x, index=[f"user {i}" for i in range(len(x))]) if x.ndim == 2 else pandas.Series(x)


def memmap(x):
    with tempfile.TemporaryFile() as file:
        file.write(x.tobytes())
        file.flush()
        return np.memmap(file, dtype=x.dtype, mode="r", shape=x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x):
    return np.repeat(x, 2, axis=-1)[..., ::2]


def reversed_twice(x):
    backwards = (slice(None, None, -1),) * x.ndim
    return x[backwards].copy()[backwards]


def chunked(x):
    """A dask array whose chunks do not divide it, in each direction."""
    return dask.array.from_array(x.copy(), chunks=tuple(max(1, length // 2 + 1) for length in x.shape))


class Subclass(np.ndarray):
    pass


def gradient(x):
    return torch.tensor(x, requires_grad=True)


ARRAYS = {
    "list": np.ndarray.tolist,
    "DataFrame": frame,
    "tensor": torch.tensor,
    "array-like": Arraylike,
    "memmap": memmap,
    "read-only": read_only,
    "strided": strided,
    "negative strides": reversed_twice,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "column order": np.asfortranarray,
    "subclass": lambda x: x.view(Subclass),
}
WHOLE = ARRAYS | {"int32": lambda x: x.astype(np.int32), "uint8": lambda x: x.astype(np.uint8)}
PIXELS = {key: make for key, make in ARRAYS.items() if key not in ("list", "DataFrame", "big-endian")}
TENSORS = {
    "column order": lambda x: x.clone().mT.contiguous().mT if x.ndim > 1 else x,
    "strided": lambda x: x.repeat_interleave(2, dim=-1)[..., ::2],
    "requires a gradient": lambda x: x.clone().requires_grad_(x.is_floating_point()),
    "parameter": lambda x: torch.nn.Parameter(x.clone(), requires_grad=x.is_floating_point()),
    "from numpy": lambda x: torch.from_numpy(x.numpy().copy()),
}
NO_TENSORS = {"array": torch.Tensor.numpy, "list": torch.Tensor.tolist}
GRADIENTS = {"tensor with a gradient": gradient, "parameter": lambda x: torch.nn.Parameter(torch.tensor(x))}


def coordinates(x, table):
    """What is stored: of a table, what was seen, zeros included; else what is not zero."""
    rows, columns = np.nonzero(~np.isnan(x) if table else x)
    return x[rows, columns], (rows, columns)


def sparse(form, container="array", *, table=False):
    def make(x):
        if x.ndim != 2:
            return scipy.sparse.coo_array(np.atleast_2d(x)).asformat(form)
        kind = getattr(scipy.sparse, f"coo_{container}")
        return kind(coordinates(x, table), shape=x.shape).asformat(form)

    return make


def with_duplicates(form):
    """Each entry stored as two halves, which add up to it."""

    def make(x):
        values, (rows, columns) = coordinates(x, False)
        halves = np.tile(values / 2, 2), (np.tile(rows, 2), np.tile(columns, 2))
        return unsummed(form, halves, x.shape)

    return make


def with_zeros(form):
    """All entries stored, those that are zero too."""

    def make(x):
        places = np.indices(x.shape).reshape(2, -1)
        return unsummed(form, (x.ravel(), tuple(places)), x.shape)

    return make


def unsummed(form, coordinates, shape):
    """A sparse array in this format with all that is given stored as it is; scipy's conversions add duplicates up."""
    values, (rows, columns) = coordinates
    if form == "coo":
        return scipy.sparse.coo_array(coordinates, shape=shape)
    if form == "csc":
        transposed = unsummed("csr", (values, (columns, rows)), shape[::-1])
        return scipy.sparse.csc_array((transposed.data, transposed.indices, transposed.indptr), shape=shape)
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return scipy.sparse.csr_array((values[order], columns[order], starts), shape=shape)


CHUNKED = {"dask": chunked}
SUMS = (
    {form: sparse(form) for form in FORMATS}
    | {f"{form}, matrix": sparse(form, "matrix") for form in FORMATS}
    | {f"{form} with duplicates": with_duplicates(form) for form in ("coo", "csr", "csc")}
    | {f"{form} with zeros": with_zeros(form) for form in ("coo", "csr", "csc")}
)
FILLED = ("bsr", "dia")  # they store zeros for what nobody has seen
OBSERVATIONS = {form: sparse(form, table=True) for form in FORMATS if form not in FILLED} | {
    f"{form}, matrix": sparse(form, "matrix", table=True) for form in FORMATS if form not in FILLED
}
NO_OBSERVATIONS = {form: sparse(form) for form in FILLED} | {
    f"{form} with duplicates": with_duplicates(form) for form in ("coo", "csr", "csc")
}


def kinds(slot):
    """What a slot accepts, and what it refuses, each by name."""
    if slot.rule == "tensor":
        return TENSORS, NO_TENSORS
    accepted = {"places": WHOLE, "image": PIXELS}.get(slot.rule, ARRAYS) | (CHUNKED if slot.dask else {})
    refused, more = kinds_apart(slot)
    return accepted | more, refused | ({} if slot.dask else CHUNKED)


def kinds_apart(slot):
    """What a slot refuses, and what it accepts, beside plain arrays and dask's."""
    if slot.rule == "image":
        return {}, {}
    if slot.sparse == "sums":
        return GRADIENTS, SUMS
    if slot.sparse == "observations":
        return GRADIENTS | NO_OBSERVATIONS, OBSERVATIONS
    refused = {form: sparse(form) for form in FORMATS} if slot.rule != "places" else {"csr": sparse("csr")}
    return refused | (GRADIENTS if slot.rule != "places" else {"floats": lambda x: x + 0.5}), {}


def with_slot(row, name, make):
    """The arguments of a call in which one slot holds what is made of its value, and that."""
    given = []
    wanted = dict(row.slots)[name]

    def prepare(leaf):
        if leaf is not wanted:
            return leaf.value
        given.append(make(leaf.value))
        return given[0]

    return row.built(prepare), given[0]


def leaves(answer):
    if isinstance(answer, np.ndarray):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from leaves(part)
    elif hasattr(answer, "__dataclass_fields__"):
        yield from leaves(list(vars(answer).values()))


def memory(value):
    """The array that a kind of array is made of, or nothing."""
    return value if isinstance(value, np.ndarray) else value.array if isinstance(value, Arraylike) else np.empty(0)


def plain(value):
    value = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return value.astype(float)


@functools.cache
def answer_of(row):
    """The parts of the answer to the plain arrays."""
    return row.read(row.function(**row.built()))


SLOTS = [(row, name, slot) for row in ROWS for name, slot in row.slots]
ACCEPTED = [
    pytest.param(row, name, make, id=f"inputs: {row.id}; {name}, {kind}")
    for row, name, slot in SLOTS
    for kind, make in kinds(slot)[0].items()
]
REFUSED = [
    pytest.param(row, name, make, id=f"inputs: {row.id}; {name}, {kind}")
    for row, name, slot in SLOTS
    for kind, make in kinds(slot)[1].items()
]
OF_FLOATS = [
    row
    for row in ROWS
    if any(slot.rule not in ("places", "image", "tensor") for _, slot in row.slots)
    and row.function is not datasets.with_spectrum  # float64 always
]
SINGLE = [pytest.param(row, id=f"inputs: {row.id}; float32") for row in OF_FLOATS]
INTEGERS = [
    pytest.param(row, dtype, id=f"inputs: {row.id}; {dtype.__name__}")
    for row in OF_FLOATS
    for dtype in (np.int64, np.int8)
    if not any(slot.rule in ("orthonormal", "table") for _, slot in row.slots)  # NaN is no integer
    and not any(isinstance(argument, Result) for argument in row.arguments.values())
]
CASES = ACCEPTED + REFUSED + SINGLE + INTEGERS


@pytest.mark.parametrize(("row", "name", "make"), ACCEPTED)
def test_accepted_the_answer_is_that_of_the_plain_array(row, name, make):
    expected = answer_of(row)
    arguments, given = with_slot(row, name, make)
    before = snapshot(given)
    answer = row.function(**arguments)
    assert snapshot(given) == before, "an argument was changed"
    assert not any(np.may_share_memory(x, memory(given)) for x in leaves(answer)), "an answer is a view of an argument"
    found = row.read(answer)
    for part, value in expected.items():
        if isinstance(value, np.ndarray):
            assert found[part].dtype == value.dtype, part
        if not isinstance(value, str):
            assert close(plain(found[part]), plain(value), atol=1e-8 * max(1.0, np.abs(plain(value)).max(initial=0)))


def changing(A):
    A[0, 0] += 1
    return A.sum()


def keeping(A):
    return np.asarray(A)[:1]


def guessing(A):
    return np.asarray(A).ravel(order="K")  # the order of the memory


@pytest.mark.parametrize(
    ("function", "make"),
    [(changing, np.copy), (keeping, np.copy), (keeping, Arraylike), (guessing, np.asfortranarray)],
)
def test_a_change_a_view_and_another_answer_are_found(function, make):
    row = Row(function, None, {"A": matrix(np.arange(6.0).reshape(2, 3))})
    with pytest.raises(AssertionError):
        test_accepted_the_answer_is_that_of_the_plain_array(row, "A", make)


@pytest.mark.parametrize(("row", "name", "make"), REFUSED)
def test_refused_with_the_function_and_the_argument(row, name, make):
    arguments, given = with_slot(row, name, make)
    before = snapshot(given)
    with pytest.raises((TypeError, ValueError)) as caught:
        row.function(**arguments)
    word = re.escape(name.partition("[")[0])
    assert type(caught.value) in (TypeError, ValueError)
    assert re.match(rf"{row.name}: (.*\b)?{word}\b.*\.$", str(caught.value), re.DOTALL), str(caught.value)
    assert snapshot(given) == before, "an argument was changed"


def single(value, _):
    """A number or an array with float32 for float64."""
    is_double = isinstance(value, np.ndarray) and value.dtype == np.float64
    return value.astype(np.float32) if is_double else value


DOUBLE = {"objective", "gap", "residual", "stationarity", "mean", "scale"}  # float64 whatever the data


@pytest.mark.parametrize("row", SINGLE)
def test_float32_stays_float32(row):
    answer = row.read(row.function(**row.built(lambda leaf: changed(leaf, single))))
    for part, value in answer.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and part.partition(" ")[0] not in DOUBLE:
            assert value.dtype == np.float32, part


@pytest.mark.parametrize(("row", "dtype"), INTEGERS)
def test_integers_are_taken_as_float64(row, dtype):
    def whole(value, dtype):
        return np.rint(8 * value).astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    expected, found = (
        row.read(row.function(**row.built(lambda leaf, kind=kind: changed(leaf, lambda value, _: whole(value, kind)))))
        for kind in (np.float64, dtype)
    )
    for part, value in expected.items():
        assert close(plain(found[part]), plain(value), atol=1e-8 * max(1.0, np.abs(plain(value)).max(initial=0)))
        assert getattr(found[part], "dtype", None) == getattr(value, "dtype", None), part


@pytest.mark.parametrize("kind", ["parameter", "bfloat16"])
def test_a_tensor_that_numpy_cannot_read_is_named_with_the_way_out(kind):
    W = torch.nn.Linear(6, 4).weight
    given = W if kind == "parameter" else W.detach().bfloat16()
    with pytest.raises(TypeError, match=r"truncated_svd: A must be what numpy can read; got a \w+.*A\.detach\(\)\.cpu"):
        svd.truncated_svd(given, 2)
