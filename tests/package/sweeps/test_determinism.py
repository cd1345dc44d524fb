"""Every function gives the same bits again: called twice, in another process, and from four threads at once.

With rng=0 where it takes an rng, else with its defaults; on structured matrices as on random ones, because there
singular values tie, Krylov spaces run out, and libraries begin to draw random vectors of their own.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from tests import ROOT
from tests.package.sweeps.functions import ROWS, Row, matrix

pytestmark = pytest.mark.slow


def structured(m, n):
    """Matrices of which random ones know nothing: ties, repeated rows, spaces that products do not leave."""
    i, j = np.indices((m, n))
    size = max(2, min(m, n) // 32)
    return {
        "identity": np.eye(m, n),
        "blocks": (i // size == j // size).astype(float),
        "one-hot": (j == 7 * i % n).astype(float),
        "ring": np.isin((i - j) % n, (1, n - 1)).astype(float),
        "duplicated rows": np.random.default_rng(5).random((3, n))[i[:, 0] % 3],
    }


MATRICES = ("matrix", "square", "right side", "counts", "table")


def inputs(row):
    """Replacements of the first matrix of a call, by name: none, and structured ones, also large and sparse."""
    yield "as in the table", None
    matrices = [slot for _, slot in row.slots if slot.rule in MATRICES]
    if matrices:
        for name, value in structured(*matrices[0].value.shape).items():
            yield name, value
        if row.large:
            for name, value in structured(*row.large).items():
                yield f"{name}, large", value
                yield f"{name}, large, sparse", scipy.sparse.csr_array(value)


def frozen(value):
    """All of an answer as bytes, or what can be told apart by them."""
    if isinstance(value, torch.nn.Module):
        return frozen([type(value).__name__, value.state_dict()])
    if isinstance(value, torch.Tensor):
        return frozen([str(value.dtype), value.shape, value.detach().flatten().view(torch.uint8).numpy()])
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, Path):  # a folder is what it holds
        files = sorted(path for path in value.rglob("*") if path.is_file())
        return b"".join(file.name.encode() + file.read_bytes() for file in files)
    if scipy.sparse.issparse(value):
        return frozen(vars(value.tocsr()))
    if dataclasses.is_dataclass(value):
        return frozen(vars(value))
    if isinstance(value, Mapping):  # of a record of training, all but how fast it was
        return b"".join(frozen([key, x]) for key, x in value.items() if key != "tokens_per_second")
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(frozen, value)) + b"]"
    return repr(value).encode()


def digest(row, value):
    """What a call gives with its first matrix replaced by this value, and what it makes of models, as one number."""
    first = next((slot for _, slot in row.slots if slot.rule in MATRICES), None)
    arguments = row.built(lambda leaf: value if value is not None and leaf is first else leaf.value)
    try:
        answer = row.function(**arguments)
    except ValueError as error:  # what a structured matrix cannot be has the same words every time
        answer = str(error)
    models = [argument for argument in arguments.values() if isinstance(argument, torch.nn.Module)]
    return hashlib.sha256(frozen([answer, models])).hexdigest()


def digests(row):
    return {name: digest(row, value) for name, value in inputs(row)}


def global_generators():
    return frozen([np.random.get_state(), torch.get_rng_state()])  # noqa: NPY002


def different(one, other):
    """The inputs on which two rounds differ."""
    assert one.keys() == other.keys()
    return [name for name in one if one[name] != other[name]]


CASES = [pytest.param(row, id=f"determinism: {row.id}") for row in ROWS]


@pytest.fixture(scope="module")
def elsewhere():
    """The digests of all functions from another process, whose global generators are in another state."""
    code = (
        "import json, warnings, numpy, torch; warnings.simplefilter('ignore'); numpy.random.seed(1); "
        "torch.manual_seed(1); from tests.package.sweeps.test_determinism import *; "
        "print(json.dumps({row.id: digests(row) for row in ROWS}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def entropy(A):
    return np.random.default_rng().random()


def counting(A, calls=itertools.count()):  # noqa: B008
    return next(calls)


@pytest.mark.parametrize("function", [entropy, counting])
def test_what_depends_on_chance_or_on_earlier_calls_is_found(function):
    row = Row(function, None, {"A": matrix(np.eye(3))})
    assert different(digests(row), digests(row))


@pytest.mark.parametrize("row", CASES)
def test_the_same_bits_twice_from_four_threads_and_in_another_process(row, elsewhere):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few iterations are not enough is no matter here
        before = global_generators()
        first, second = digests(row), digests(row)
        with ThreadPoolExecutor(4) as pool:
            threads = list(pool.map(digests, [row] * 4))
        assert global_generators() == before, "these are to be left alone"
    assert different(first, second) == [] and different(first, elsewhere[row.id]) == []
    assert [different(first, found) for found in threads] == [[]] * 4
