"""A file larger than the memory that is allowed, factored in six passes, beside its reading and its products alone.

    OMP_NUM_THREADS=2 python -m benchmarks.peers.scale disk [--gigabytes 16] [--folder FOLDER] [--out FILE]

The matrix is of rank 50 with singular values from 1 to 0.1 times the largest, and noise; it is made and written block
by block, with 20 000 columns in float64. Before each timed part the system is asked to forget the file
(posix_fadvise, DONTNEED), so each first reading of it is from the disk; six passes over a file larger than the memory
that is free read it from the disk each time, and the share of the file that fits is stored beside the figures. The
parts, in turns:

- reads: the file read six times in blocks of 32 MB into one buffer, and nothing done with it;
- products: six products of the shapes of the six passes, with one block that is in memory, again and again;
- ours: randomized_svd at rank 50 with two power iterations, of the file mapped into memory.

Memory is the highest mark of the process during the factorisation, less what it held before (Linux alone tells that),
and the highest anonymous memory, which is not pages of files. Passes are counted by an operator that reads the file.
"""

import argparse
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store
from benchmarks.peers.svd import counted
from lowrank_helpers.svd import estimate_error, randomized_svd

RESULT = RESULTS / "scale_disk.json"
COLUMNS, RANK, OVERSAMPLE, POWERS = 20_000, 50, 10, 2
BLOCK = 2**25


def status(key: str) -> int:
    """A figure of this process in bytes, such as VmRSS, VmHWM or RssAnon."""
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def highest(function: Callable[[], Any]) -> dict[str, int]:
    """Bytes that a call takes at most beside what there was before it: of all, and of what is in no file."""
    pathlib.Path("/proc/self/clear_refs").write_text("5", "ascii")  # the highest mark starts anew
    before, anonymous, ended = status("VmRSS"), [status("RssAnon")], threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            anonymous.append(status("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        function()
    finally:
        ended.set()
        watcher.join()
    return {"all": status("VmHWM") - before, "anonymous": max(anonymous) - anonymous[0]}


def made(path: pathlib.Path, rows: int, columns: int) -> None:
    """Write a matrix of rank 50 and noise, a block of rows at a time."""
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((columns, RANK)))[0]
    weighted = (np.linspace(1, 0.1, RANK)[:, None] * V.T).astype(np.float32)
    height = max(1, BLOCK // (8 * columns))
    with path.open("wb") as file:
        for start in range(0, rows, height):
            several = min(height, rows - start)
            noise = rng.standard_normal((several, columns), dtype=np.float32)
            block = rng.standard_normal((several, RANK), dtype=np.float32) @ weighted + np.float32(1e-3) * noise
            file.write(block.astype(np.float64).tobytes())


def forgotten(path: pathlib.Path) -> None:
    """Have the system write the file and drop its pages."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds(function: Callable[[], Any]) -> float:
    """The time that a call takes."""
    start = time.perf_counter()
    function()
    return round(time.perf_counter() - start, 2)


def reads(path: pathlib.Path, passes: int) -> None:
    """Read the file so many times, into one buffer."""
    buffer = bytearray(BLOCK)
    for _ in range(passes):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def products(rows: int, columns: int, passes: int) -> None:
    """Multiply a block that is in memory as often as the blocks of the whole matrix are multiplied."""
    height = max(1, BLOCK // (8 * columns))
    block = np.random.default_rng(0).standard_normal((height, columns))
    X = np.random.default_rng(1).standard_normal((columns, RANK + OVERSAMPLE))
    Y = np.empty((height, RANK + OVERSAMPLE))
    for turn in range(passes):
        for _ in range(-(-rows // height)):
            if turn % 2:
                Y.T @ block
            else:
                np.matmul(block, X, out=Y)


def factored(M: Any, rank: int) -> Any:
    """Our factorisation."""
    return randomized_svd(M, rank, oversample=OVERSAMPLE, power_iterations=POWERS, rng=0)


def measure(path: pathlib.Path, rows: int, columns: int, rounds: int) -> dict[str, Any]:
    """Run the parts in turns, and gather what they took."""
    A = np.memmap(path, dtype=np.float64, mode="r", shape=(rows, columns))
    passes = 2 * POWERS + 2
    factors: list[Any] = []
    peaks: list[dict[str, int]] = []
    parts: dict[str, Callable[[], Any]] = {
        "reads": lambda: reads(path, passes),
        "ours": lambda: peaks.append(highest(lambda: factors.append(factored(A, RANK)))),
        "products": lambda: products(rows, columns, passes),
    }
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            forgotten(path)
            times[name].append(seconds(part))
            print(name, times[name][-1], flush=True)
    each = zip(times["ours"], times["reads"], times["products"], strict=True)
    return {
        "cache": "cold: the system was asked to forget the file before each part",
        "seconds": times,
        "ratio": [round(whole / (read + multiplied), 3) for whole, read, multiplied in each],
        "bytes at most": peaks,
        "error, at most": estimate_error(A, factors[-1].U, probes=5, rng=1),
        "largest singular value": float(factors[-1].s[0]),
        "passes": passes,
        "passes, counted": counted(A[:2000], factored, RANK)[0],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=16.0)
    parser.add_argument("--columns", type=int, default=COLUMNS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    rows, columns = round(options.gigabytes * 1e9 / (8 * options.columns)), options.columns
    study: dict[str, Any] = provenance("numpy")
    study |= {"rows": rows, "columns": columns, "bytes": 8 * rows * columns, "rank": RANK, "oversample": OVERSAMPLE}
    study["memory of the machine"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = pathlib.Path(folder) / "A"
        study["seconds, writing"] = seconds(lambda: made(path, rows, columns))
        study |= measure(path, rows, columns, options.rounds)
    for key in ("seconds", "ratio", "bytes at most", "error, at most", "passes, counted"):
        print(key, study[key])
    store(options.out, study)


if __name__ == "__main__":
    main()
