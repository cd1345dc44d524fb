"""How time and memory of three ways to twenty singular triples grow with the size of the matrix.

    OMP_NUM_THREADS=1 python -m benchmarks.peers.svd_growth [--small --out FILE]

Square matrices of five sizes, each √2 times the last, and of two kinds: singular values 1/i, which fall alike at every
size, and pure noise, whose leading values lie the closer together the larger it is. In each of five rounds there is a
new matrix of each size, and all methods run on it in turns. Seconds are those of the processor (process_time), on one
thread, which a busy machine disturbs less than the clock on the wall. For each round a line is fitted to the logarithms
of seconds against those of sizes; its slope is what is stored beside the seconds.

Memory is the highest mark of a process of its own for each method and size, less what it held before the call, A
included (Linux alone tells that). Products are columns multiplied by A or Aᵀ, counted in the first round.
Observation obs-randomized-svd-growth of chapter 7 reads the result.
"""

import argparse
import gc
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import svds

from benchmarks.peers.provenance import RESULTS, provenance, store
from benchmarks.peers.svd import counted
from lowrank_helpers.svd import randomized_svd

RESULT = RESULTS / "svd_growth.json"
RANK, SIZES, ROUNDS = 20, (400, 566, 800, 1131, 1600), 5
Factors = tuple[Any, Any, Any]


def exact(A: Any, seed: int) -> Factors:
    """LAPACK's whole SVD through numpy, truncated afterwards."""
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return U[:, :RANK], s[:RANK], Vt[:RANK]


def randomised(A: Any, seed: int) -> Factors:
    """Our subspace iteration: thirty columns, six passes."""
    U, s, Vt = randomized_svd(A, RANK, oversample=10, power_iterations=2, rng=seed)
    return U, s, Vt


def lanczos(A: Any, seed: int) -> Factors:
    """PROPACK through scipy, to all digits, with room for more steps than it will need at any of these sizes."""
    U, s, Vt = svds(A, RANK, solver="propack", maxiter=min(300, *A.shape), rng=np.random.default_rng(seed))
    return U, s, Vt


METHODS: dict[str, Callable[[Any, int], Factors]] = {"exact": exact, "randomised": randomised, "Lanczos": lanczos}


def falling(n: int, seed: int) -> Any:
    """An n×n matrix with the singular values 1/i and random singular vectors."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(2))
    return (U / np.arange(1, n + 1)) @ V.T


def noise(n: int, seed: int) -> Any:
    """An n×n matrix of independent standard normal entries."""
    return np.random.default_rng(seed).standard_normal((n, n))


KINDS: dict[str, Callable[[int, int], Any]] = {"falling": falling, "noise": noise}


def slope(sizes: Any, amounts: Any) -> float:
    """The slope of the line through the logarithms."""
    return round(float(np.polyfit(np.log(sizes), np.log(amounts), 1)[0]), 4)


def timed(kind: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Seconds of each method, a list of rounds for each size; products at each size; the largest excess."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    products: dict[str, list[int]] = {name: [] for name in METHODS if name != "exact"}
    excess = dict.fromkeys(METHODS, 0.0)
    for turn in range(ROUNDS):
        for name in METHODS:
            seconds[name].append([])
        for n in sizes:
            A = KINDS[kind](n, 100 * turn + 1)
            least = float(np.linalg.norm(np.linalg.svd(A, compute_uv=False)[RANK:]))
            for name, solve in METHODS.items():
                if not turn and name in products:  # which warms up
                    products[name].append(counted(A, lambda A, _, solve=solve: solve(A, 0), RANK)[1])
                start = time.process_time()
                U, s, Vt = solve(A, turn)
                seconds[name][turn].append(round(time.process_time() - start, 5))
                excess[name] = max(excess[name], float(np.linalg.norm(A - (U * s) @ Vt)) / least - 1)
    return {
        name: {
            "seconds": seconds[name],
            "slopes": [slope(sizes, row) for row in seconds[name]],
            "products": products.get(name),
            "excess": excess[name],
        }
        for name in METHODS
    }


def status(key: str) -> int:
    """A figure of this process in kilobytes, VmRSS or VmHWM."""
    lines = pathlib.Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def highest(name: str, n: int) -> int:
    """Kilobytes that a method takes beside a falling matrix A at most; to be called in a process of its own."""
    solve, A = METHODS[name], falling(n, 1)
    solve(falling(64, 2), 0)  # libraries are loaded, and their buffers there
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5", "ascii")  # the highest mark starts anew
    before = status("VmRSS")
    solve(A, 0)
    return status("VmHWM") - before


def remembered(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Megabytes of each method for each size, and how they grow."""
    # memory that is given back goes to the system at once, else the next call would find it for nothing
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    found = {}
    for name in METHODS:
        kilobytes = []
        for n in sizes:
            command = [sys.executable, "-m", "benchmarks.peers.svd_growth", "--highest", name, str(n)]
            kilobytes.append(int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout))
        megabytes = [round(1024 * k / 1e6, 3) for k in kilobytes]
        found[name] = {"megabytes": megabytes, "slope": slope(sizes, megabytes)}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--highest", nargs=2, metavar=("METHOD", "SIZE"), help="print kilobytes, and do nothing else")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    if options.highest:
        print(highest(options.highest[0], int(options.highest[1])))
        return
    if options.small and options.out == RESULT:
        parser.error("--small needs --out: its figures are no figures of the book")
    sizes = (100, 200) if options.small else SIZES
    result = provenance("numpy", "scipy") | {"rank": RANK, "sizes": list(sizes), "rounds": ROUNDS}
    result["kinds"] = {kind: timed(kind, sizes) for kind in KINDS}
    result["memory"] = remembered(sizes)
    for kind, rows in result["kinds"].items():
        for name, row in rows.items():
            print(f"{kind:8s} {name:11s} slopes {row['slopes']} excess {row['excess']:.0e} products {row['products']}")
            print("   ", np.median(row["seconds"], axis=0))
    print(result["memory"])
    store(options.out, result)


if __name__ == "__main__":
    main()
