"""Dask arrays: by products alone, each chunk read once in each; chunks of all kinds; refusals; clusters that fail."""

import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import dask
import dask.array
import numpy as np
import pytest
import scipy.sparse
from distributed import Client, LocalCluster

from book.margins import close
from lowrank_helpers.svd import block_krylov_svd, estimate_error, one_pass_svd, randomized_svd
from tests.package._matrices import tolerance, with_spectrum

BOTH = pytest.mark.parametrize("method", [randomized_svd, block_krylov_svd])


def peak(function):
    """Bytes that numpy asked for at once."""
    tracemalloc.start()
    function()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


CHUNKS = {
    "one": (60, 40),
    "rows": (7, 40),
    "columns": (60, 9),
    "both": (13, 11),
    "single rows": (1, 40),
    "empty": ((0, 20, 0, 40), (40, 0)),
}
A = with_spectrum(1 / np.arange(1.0, 41), 60, 40, np.random.default_rng(3))


def chunked(matrix=A, chunks=(13, 11)):
    return dask.array.from_array(matrix, chunks=chunks)


def product(factors):
    U, s, Vt = factors
    return (U * s) @ Vt


@BOTH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", CHUNKS)
def test_the_answer_is_that_of_the_whole_array(method, dtype, kind):
    for whole in (A.astype(dtype), A.astype(dtype)[:40, :].copy().T):
        chunks = CHUNKS[kind] if whole is not A and whole.shape == A.shape else 11
        want, found = method(whole, 5, rng=0), method(chunked(whole, chunks), 5, rng=0)
        assert all(isinstance(part, np.ndarray) and part.dtype == dtype for part in found)
        assert close(product(found), product(want), atol=tolerance(whole))


@pytest.mark.parametrize("kind", CHUNKS)
def test_the_bound_of_the_error_is_that_of_the_whole_array(kind):
    U = randomized_svd(A, 5, rng=0).U
    want = estimate_error(A, U, power_iterations=1, rng=1)
    assert close(estimate_error(chunked(A, CHUNKS[kind]), U, power_iterations=1, rng=1), want, rtol=1e-9)


@BOTH
@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool, ">f8"])
def test_chunks_of_other_numbers_are_float64(method, dtype):
    whole = np.random.default_rng(0).integers(0, 3, (20, 10)).astype(dtype)
    found = method(chunked(whole, (6, 4)), 3, rng=0)
    assert found.U.dtype == float
    assert close(found.s, method(whole.astype(float), 3, rng=0).s, atol=1e-12)


def counted(reads):
    """A, with each reading of a chunk noted."""

    def read(chunk):
        reads.append(chunk.shape)
        return chunk

    return chunked().map_blocks(read, dtype=A.dtype, meta=np.empty((0, 0)))


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_each_chunk_is_read_once_in_each_product(scheduler):
    chunks = 5 * 4
    with dask.config.set(scheduler=scheduler):
        for q in (0, 2):
            reads = []
            randomized_svd(counted(reads), 5, power_iterations=q, rng=0)
            assert len(reads) == (2 * q + 2) * chunks
        reads = []
        block_krylov_svd(counted(reads), 5, block=5, steps=3, rng=0)
        assert len(reads) == 6 * chunks
        reads = []
        estimate_error(counted(reads), np.eye(60)[:, :2], power_iterations=1, rng=0)
        assert len(reads) == 3 * chunks


@BOTH
def test_beside_a_few_chunks_memory_is_that_of_a_few_columns(method):
    large = dask.array.random.default_rng(0).standard_normal((3000, 2000), chunks=(200, 400))
    few = {"steps": 2} if method is block_krylov_svd else {}
    with dask.config.set(scheduler="threads", num_workers=1):
        method(chunked(), 3, rng=0)  # what the first call imports is not counted
        assert peak(lambda: method(large, 5, rng=0, **few)) < large.nbytes / 8
        assert peak(lambda: large.compute()) > large.nbytes


# ------------------------------------------------------------------------------------------------ refused

HOLED, INFINITE = A.copy(), A.copy()
HOLED[12, 30] = HOLED[50, 2] = np.nan
INFINITE[5, 5] = np.inf


@pytest.mark.parametrize(
    "function",
    [
        lambda matrix: randomized_svd(matrix, 2, rng=0),
        lambda matrix: block_krylov_svd(matrix, 2, rng=0),
        lambda matrix: estimate_error(
            matrix, np.eye(int(np.nan_to_num(matrix.shape[0])), 2), rng=0
        ),  # an unknown height is NaN
    ],
)
@pytest.mark.parametrize(
    ("matrix", "kind", "message"),
    [
        (chunked(HOLED), ValueError, r"A has 2 NaN entries, first at \(12, 30\), in A\.blocks\[0, 2\]\. Fill"),
        (chunked(HOLED[:50]), ValueError, r"A has 1 NaN entry, at \(12, 30\), in A\.blocks\[0, 2\]\. Fill"),
        (chunked(INFINITE), ValueError, r"A has 1 infinite entry, at \(5, 5\), in A\.blocks\[0, 0\]\. Look"),
        (chunked(1e308 * np.ones((60, 40))), ValueError, r"products with A must be finite; got .* 1\.0e\+308, whose"),
        (chunked(A[0], 9), ValueError, r"A must be a matrix, with 2 dimensions; got 1 \(shape \(40,\)\)"),
        (chunked(A[None], 9), ValueError, r"A must be a matrix, with 2 dimensions; got 3"),
        (chunked(A[:0], 9), ValueError, r"A must not be empty; got shape \(0, 40\)"),
        (chunked(1j * A), TypeError, r"A must be real; got dtype complex128"),
        (chunked(A.astype(np.float16)), TypeError, r"A must be of dtype float32, float64, .*; got float16"),
        (chunked(A.astype(str)), TypeError, r"A must hold real numbers; got dtype <U"),
        (chunked()[chunked()[:, 0] > 0], ValueError, r"A must have chunks of known sizes; .* A\.compute_chunk_sizes"),
        (dask.array.ma.masked_greater(chunked(), 0), TypeError, r"A must have plain arrays as chunks; got .*Masked"),
        (
            chunked().map_blocks(scipy.sparse.csr_array),
            TypeError,
            r"A must have plain arrays as chunks; got .*csr_array",
        ),
    ],
    ids="nan one-nan inf overflow vector three empty complex half text unknown masked sparse".split(),
)
def test_dask_arrays_refused(function, matrix, kind, message):
    with pytest.raises(kind, match=r"^(randomized_svd|block_krylov_svd|estimate_error): " + message):
        function(matrix)


def test_what_takes_blocks_of_rows_says_that_they_must_be_in_memory():
    for blocks in (chunked(), [chunked(), chunked()]):
        with pytest.raises(
            TypeError, match=r"^one_pass_svd: blocks(\[0\])? must be in memory; got a dask array\. Pass"
        ):
            one_pass_svd(blocks, 2, rng=0)


@pytest.mark.parametrize("error", [FileNotFoundError, ZeroDivisionError])
def test_an_error_of_the_callers_own_graph_stays_what_it_is(error):
    def fails(_):
        raise error("of the caller")

    with pytest.raises(error, match=r"^of the caller$"):
        randomized_svd(chunked().map_blocks(fails, dtype=float, meta=np.empty((0, 0))), 2, rng=0)


# ------------------------------------------------------------------------------------------------ clusters


def slow():
    """A in many chunks, each of which takes its time. A lambda goes to workers as it is: they do not import tests."""
    pause = lambda chunk: time.sleep(0.02) or chunk  # noqa: E731
    return chunked(A, (5, 20)).map_blocks(pause, dtype=float, meta=np.empty((0, 0)))


@pytest.fixture(scope="module")
def client():
    """Two processes on this machine, with no dashboard."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(host="127.0.0.1", **options) as cluster, Client(cluster) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "both", "empty"])
def test_two_processes_give_the_same_answer(client, kind):
    found = randomized_svd(chunked(A, CHUNKS[kind]), 5, rng=0)
    assert close(product(found), product(randomized_svd(A, 5, rng=0)), atol=tolerance(A))
    with pytest.raises(ValueError, match=r"^randomized_svd: A has 2 NaN entries, first at \(12, 30\)"):
        randomized_svd(chunked(HOLED), 5, rng=0)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        randomized_svd(
            chunked().map_blocks(lambda _: np.load("nowhere.npy"), dtype=float, meta=np.empty((0, 0))), 2, rng=0
        )
    with dask.config.set(scheduler="threads"):
        assert randomized_svd(chunked(), 5, rng=0).U.shape == (60, 5)


@pytest.mark.slow
def test_long_columns_go_beside_the_graph(client):
    tall = dask.array.random.default_rng(0).standard_normal((200_000, 12), chunks=(50_000, 12))
    U = randomized_svd(tall, 2, rng=0).U  # columns of 19 MB, and a warning would be an error
    with pytest.warns(UserWarning, match="Sending large graph"):
        dask.array.dot(tall.T, dask.array.from_array(np.repeat(U, 6, axis=1), chunks=(50_000, 12))).compute()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(client):
    lazy = slow()
    want = product(randomized_svd(A, 5, rng=0))
    for delay in (0.1, 0.4):
        victim = min(client.run(os.getpid).values())
        timer = threading.Timer(delay, os.kill, (victim, signal.SIGKILL))
        timer.start()
        found = randomized_svd(lazy, 5, rng=0)
        timer.join()
        assert close(product(found), want, atol=tolerance(A))
        client.wait_for_workers(2, timeout=120)
        assert victim not in client.run(os.getpid).values(), "it was killed"


@pytest.mark.slow
def test_a_product_whose_columns_were_lost_is_made_again(client, monkeypatch):
    """Scattered data cannot be computed again by dask: the worker that has them goes before the product begins."""
    scattered, scatter = [], client.scatter

    def scatter_and_lose(parts, **options):
        futures = scatter(parts, **options)
        scattered.append(len(parts))
        if len(scattered) == 2:
            old = {*client.run(os.getpid).values()}
            for process in old:
                os.kill(process, signal.SIGKILL)
            while len({*client.run(os.getpid, on_error="ignore").values()} - old) < 2:
                time.sleep(0.1)
        return futures

    monkeypatch.setattr(client, "scatter", scatter_and_lose)
    found = randomized_svd(chunked(), 5, rng=0)
    assert len(scattered) == 7, "six products, and one of them twice"
    assert close(product(found), product(randomized_svd(A, 5, rng=0)), atol=tolerance(A))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_an_error_at_once(tmp_path):
    """And nothing is left of the cluster: its worker ends by itself."""
    file = tmp_path / "scheduler.json"
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(file)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    started = [subprocess.Popen(command + options, **quiet)]
    try:
        while not file.exists():
            time.sleep(0.05)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file)]
        started.append(subprocess.Popen([*command, "--nthreads", "1", "--no-nanny", *options], **quiet))
        client = Client(scheduler_file=str(file), timeout=20)
        client.wait_for_workers(1, timeout=60)
        lazy = slow()
        threading.Timer(0.2, started[0].kill).start()
        begun = time.monotonic()
        with (
            client.as_current(),  # else it would be the other tests' cluster that is asked
            pytest.raises(
                ConnectionError, match=r"^randomized_svd: A is on a Dask cluster, tcp://.*, that was lost \("
            ),
        ):
            for _ in range(100):
                randomized_svd(lazy, 5, rng=0)
        assert time.monotonic() - begun < 30
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client.close(timeout=5)
        assert started[1].wait(timeout=60) is not None
    finally:
        for process in started:
            process.kill()
            process.wait()
