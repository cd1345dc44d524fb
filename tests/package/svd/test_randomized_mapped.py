"""Files mapped into memory: the answer of the array, in any order, from any part of a file, in little memory."""

import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from book.margins import close, within
from lowrank_helpers.svd import _mapped, block_krylov_svd, estimate_error, one_pass_svd, randomized_svd
from tests import ROOT
from tests.package._matrices import tolerance

SHAPE = (300, 130)
A = np.random.default_rng(0).standard_normal(SHAPE)


def stored(path, array, *, offset=0, mode="r", order="C"):
    """The array in a file, after so many other bytes, and mapped."""
    path.write_bytes(b"\1" * offset + array.tobytes(order=order))
    return np.memmap(path, dtype=array.dtype, mode=mode, offset=offset, shape=array.shape, order=order)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a few pages, so that there are many."""
    monkeypatch.setattr(_mapped, "BLOCK", 3 * mmap.PAGESIZE)


PARTS = {
    "whole": np.s_[:, :],
    "rows": np.s_[37:, :],
    "columns": np.s_[:, 11:90],
    "every third row": np.s_[::3, :],
    "backwards": np.s_[::-1, ::-1],
}


@pytest.mark.parametrize("method", [randomized_svd, block_krylov_svd])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("part", PARTS)
def test_the_answer_is_that_of_the_array(tmp_path, method, dtype, order, part):
    mapped = stored(tmp_path / "A", (100 * A).astype(dtype), offset=mmap.PAGESIZE + 24, order=order)[PARTS[part]]
    plain = np.array(mapped, dtype=np.float32 if dtype == np.float32 else np.float64)
    for X, Y in ((mapped, plain), (mapped.T, plain.T)):
        found, want = method(X, 5, rng=0), method(Y, 5, rng=0)
        assert all(type(x) is np.ndarray and x.dtype == Y.dtype for x in found)
        assert close((found.U * found.s) @ found.Vt, (want.U * want.s) @ want.Vt, atol=tolerance(Y))
    assert close(estimate_error(mapped, want.Vt.T, rng=1), estimate_error(plain, want.Vt.T, rng=1), rtol=1e-4)


def test_a_block_of_rows_from_a_file_is_taken_too(tmp_path):
    mapped = stored(tmp_path / "A", A)
    found = one_pass_svd((mapped[at : at + 70] for at in range(0, 300, 70)), 5, rng=0)
    assert close(found.s, one_pass_svd(A, 5, rng=0).s, atol=tolerance(A))


@pytest.mark.parametrize("mode", ["r+", "w+", "c"])
def test_what_was_written_stays(tmp_path, mode):
    """Also what mode "c" keeps in memory alone, which the pages of the file do not have."""
    path = tmp_path / "A"
    path.write_bytes(bytes(A.nbytes))
    mapped = np.memmap(path, dtype=float, mode=mode, shape=SHAPE)
    mapped[:] = A
    randomized_svd(mapped, 5, rng=0)
    assert np.array_equal(mapped, A)
    assert np.array_equal(np.fromfile(path), np.zeros(A.size) if mode == "c" else A.ravel())


def test_an_array_that_only_was_mapped_once_is_an_array(tmp_path):
    copied = np.array(stored(tmp_path / "A", A), subok=True)
    assert type(copied) is np.memmap
    assert close(randomized_svd(copied, 5, rng=0).s, randomized_svd(A, 5, rng=0).s, atol=tolerance(A))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({(299, 3): np.nan, (200, 129): np.nan}, r"A has 2 NaN entries, first at \(200, 129\)\. Fill"),
        ({(7, 5): np.inf, (6, 8): -np.inf}, r"A has 2 infinite entries, first at \(6, 8\)\. Look"),
        ({(7, 5): np.inf, (250, 8): np.nan}, r"A has 1 NaN entry, at \(250, 8\)\. Fill"),
        ({(7, 5): -1.7e308, (7, 6): 1e308}, r"products with A must be finite; got entries up to 1\.7e\+308"),
    ],
    ids=["nan", "inf", "both", "overflow"],
)
def test_what_is_not_finite_is_found_in_a_product(tmp_path, order, entries, message):
    wrong = A.copy()
    for place, value in entries.items():
        wrong[place] = value
    with pytest.raises(ValueError, match=rf"^randomized_svd: {message}"):
        randomized_svd(stored(tmp_path / "A", wrong, order=order), 5, rng=0)


@pytest.mark.parametrize("wrong", [A + 1j, A.astype(np.float16), A[0]], ids=["complex", "half", "vector"])
def test_refused_as_an_array_is(tmp_path, wrong):
    with pytest.raises((TypeError, ValueError), match=r"^randomized_svd: A must be "):
        randomized_svd(stored(tmp_path / "A", wrong), 5, rng=0)


# What a factorisation of a file takes at most beside what there was before it, in bytes: of all, and of pages of files.
MEASURED = """
import sys
import numpy as np
from lowrank_helpers.svd import randomized_svd
from benchmarks.peers.scale_disk import highest

path, mode, order, m, n = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
randomized_svd(np.ones((80, 60)), 5, rng=0)
A = np.memmap(path, dtype=float, mode=mode, shape=(m, n), order=order)
A = A if sys.argv[6] == "mapped" else np.asarray(A)
print(highest(lambda: randomized_svd(A, 10, power_iterations=1, rng=0))["all"])
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux tells what a process had at most")
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_gigabyte_takes_less_than_two_hundred_megabytes(tmp_path, order):
    m, n = 125_000, 1000
    path = tmp_path / "A"
    with path.open("wb") as file:
        block = np.random.default_rng(0).standard_normal(m * n // 100).tobytes()
        for _ in range(100):
            file.write(block)
    peaks = {}
    try:
        for kind in ("mapped", "plain"):
            command = [sys.executable, "-c", MEASURED, str(path), "r", order, str(m), str(n), kind]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            peaks[kind] = int(done.stdout)
    finally:
        path.unlink()
    assert peaks["mapped"] < 200e6
    assert within(8 * m * n, 4 * peaks["plain"]), "a plain array keeps its pages: the measurement sees them"
