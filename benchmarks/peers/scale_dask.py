"""A matrix in chunks: ours through Dask beside dask's own svd_compressed at equal passes, and one process with a file.

    OMP_NUM_THREADS=1 python -m benchmarks.peers.scale dask [--rows 100000] [--draws 10] [--workers 1 2] [--out FILE]

Singular values near 1/j and noise, float64, stored twice on the disk: as a zarr array without compression, in chunks of
rows, which Dask's workers read, and as a plain file, which one process maps into memory. Rank 50, six passes:

- ours: randomized_svd, two power iterations, 60 columns; block Krylov: 3 blocks of 60 columns, five passes;
- svd_compressed: n_power_iter=2, n_oversamples=10, the same 60 columns, with each of its settings: iterator "power" or
  "QR", compute=True (a pass at a time) or False. How often each reads a chunk is counted on a small array;
- ours, mapped: randomized_svd of the file, in one process with as many threads as the workers have together.

Local clusters of one and of two processes, one thread each, on this machine. In each draw all take their turns, each
with the draw's own seed. Seconds are those on the wall; memory is the highest mark of any worker less what it had
before, and that of the process that asked. Errors are those of U diag(s) Vᵀ in both norms over the least possible, less
1, from AᵀA, which was summed up beforehand. The pages of the files are in the system's cache (warm).
"""

import argparse
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import dask
import dask.array
import numpy as np
import zarr
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from benchmarks.peers.provenance import RESULTS, provenance, store
from benchmarks.peers.scale_disk import highest
from lowrank_helpers.svd import block_krylov_svd, randomized_svd

RESULT = RESULTS / "scale_dask.json"
RANK, OVERSAMPLE, POWERS = 50, 10, 2
Factors = tuple[Any, Any, Any]


def made(folder: pathlib.Path, rows: int, columns: int, height: int) -> tuple[Any, Any]:
    """Write the matrix twice, and return AᵀA too: what is in zarr, and what is mapped."""
    rng = np.random.default_rng(0)
    V = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    weighted = V.T / np.arange(1, columns + 1)[:, None] / np.sqrt(rows)
    chunks = zarr.create_array(
        folder / "A.zarr", shape=(rows, columns), chunks=(height, columns), dtype="float64", compressors=None
    )
    mapped = np.memmap(folder / "A", dtype=np.float64, mode="w+", shape=(rows, columns))
    gram = np.zeros((columns, columns))
    for start in range(0, rows, height):
        block = rng.standard_normal((height, columns))
        block = block @ weighted + 1e-3 / np.sqrt(rows) * rng.standard_normal((height, columns))
        chunks[start : start + height] = mapped[start : start + height] = block
        gram += block.T @ block
    mapped.flush()
    return np.memmap(folder / "A", dtype=np.float64, mode="r", shape=(rows, columns)), gram


def theirs(iterator: str, compute: bool) -> Callable[[Any, int], Factors]:
    """svd_compressed with one of its settings."""

    def solve(A: Any, seed: int) -> Factors:
        lazy = dask.array.linalg.svd_compressed(
            A, RANK, iterator=iterator, n_power_iter=POWERS, n_oversamples=OVERSAMPLE, seed=seed, compute=compute
        )
        U, s, Vt = dask.compute(*lazy)
        return U, s, Vt

    return solve


def ours(A: Any, seed: int) -> Factors:
    """Our subspace iteration."""
    return randomized_svd(A, RANK, oversample=OVERSAMPLE, power_iterations=POWERS, rng=seed)


def krylov(A: Any, seed: int) -> Factors:
    """Our block Krylov method: as many columns in a product, and one pass fewer."""
    return block_krylov_svd(A, RANK, block=RANK + OVERSAMPLE, steps=POWERS + 1, rng=seed)


METHODS: dict[str, Callable[[Any, int], Factors]] = {
    "ours": ours,
    "ours, Krylov": krylov,
    **{
        f"svd_compressed, {iterator}, compute={compute}": theirs(iterator, compute)
        for iterator in ("power", "QR")
        for compute in (True, False)
    },
}


def readings(solve: Callable[[Any, int], Factors]) -> float:
    """How often a method reads each chunk, on an array of a few."""
    reads = []

    def read(chunk: Any) -> Any:
        reads.append(1)
        return chunk

    whole = dask.array.from_array(np.random.default_rng(0).standard_normal((800, 90)), chunks=(200, 90))
    with dask.config.set(scheduler="synchronous"):
        solve(whole.map_blocks(read, dtype=float, meta=np.empty((0, 0))), 0)
    return len(reads) / 4


def excesses(A: Any, gram: Any, least: tuple[float, float], factors: Factors) -> tuple[float, float]:
    """Frobenius and spectral error over the least, less 1; with T = AᵀU all of EᵀE is of n columns."""
    U, s, Vt = factors
    T = np.zeros((A.shape[1], len(s)))
    for start in range(0, len(A), 10_000):
        T += A[start : start + 10_000].T @ U[start : start + 10_000]
    cross = (T * s) @ Vt
    apart = gram - cross - cross.T + Vt.T @ ((s[:, None] * (U.T @ U) * s) @ Vt)
    frobenius, spectral = np.sqrt(np.trace(apart)), np.sqrt(np.linalg.eigvalsh(apart)[-1])
    return float(frobenius / least[0] - 1), float(spectral / least[1] - 1)


def marks(client: Any) -> dict[str, int]:
    """The highest mark of each worker in bytes since it was last asked; and it starts anew."""

    def mark() -> int:
        import pathlib

        lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
        pathlib.Path("/proc/self/clear_refs").write_text("5", "ascii")
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    mark.__module__ = "__main__"  # goes to the workers as it is
    return dict(client.run(mark))


def timed(solve: Callable[[], Factors], client: Any) -> tuple[dict[str, float], Factors]:
    """One run: its seconds, and bytes at most."""
    found: list[Factors] = []
    before = marks(client) if client else {}
    before = marks(client) if client else {}
    start = time.perf_counter()
    here = highest(lambda: found.append(solve()))["all"]
    row: dict[str, float] = {"seconds": round(time.perf_counter() - start, 3), "bytes, asking": here}
    if client:
        row["bytes, worker"] = max(mark - before.get(worker, 0) for worker, mark in marks(client).items())
    return row, found[0]


def measure(folder: pathlib.Path, mapped: Any, gram: Any, workers: int, draws: int) -> dict[str, Any]:
    """All methods in turns on a cluster of so many workers."""
    squares = np.linalg.eigvalsh(gram)[::-1]
    least = float(np.sqrt(squares[RANK:].sum())), float(np.sqrt(squares[RANK]))
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in [*METHODS, "ours, mapped"]}
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(host="127.0.0.1", **options) as cluster, Client(cluster) as client:
        A = dask.array.from_zarr(folder / "A.zarr")
        for method in METHODS.values():  # warms up: what workers import is not counted
            method(A[: A.chunks[0][0]], 0)
        for draw in range(draws):
            for name in rows:
                if name == "ours, mapped":
                    with threadpool_limits(workers):
                        row, factors = timed(lambda draw=draw: ours(mapped, draw), None)
                else:
                    solve = METHODS[name]
                    row, factors = timed(lambda solve=solve, draw=draw: solve(A, draw), client)
                row["frobenius"], row["spectral"] = excesses(mapped, gram, least, factors)
                rows[name].append(row)
                print(workers, draw, name, {key: f"{value:.4g}" for key, value in row.items()}, flush=True)
    return {name: {key: [row[key] for row in several] for key in several[0]} for name, several in rows.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--chunk", type=int, default=5000, help="rows in a chunk, of which there are whole ones only")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    study: dict[str, Any] = provenance("numpy", "dask", "distributed", "zarr")
    study |= {"rows": options.rows, "columns": options.columns, "rank": RANK, "oversample": OVERSAMPLE}
    study |= {"rows of a chunk": options.chunk, "passes": 2 * POWERS + 2, "draws": options.draws, "cache": "warm"}
    study["readings of a chunk"] = {name: readings(method) for name, method in METHODS.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        mapped, gram = made(folder, options.rows, options.columns, options.chunk)
        study["workers"] = {
            str(workers): measure(folder, mapped, gram, workers, options.draws) for workers in options.workers
        }
        del mapped
    for workers, methods in study["workers"].items():
        for method, row in methods.items():
            middle = {key: f"{statistics.median(values):.4g}" for key, values in row.items()}
            print(workers, method, middle)
    store(options.out, study)


if __name__ == "__main__":
    main()
