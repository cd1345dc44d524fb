"""A million rows that go by once: two ways to keep twenty directions, beside scikit-learn's and beside the exact way.

    OMP_NUM_THREADS=1 python -m benchmarks.peers.scale rows [--rows 1000000] [--rounds 3] [--out FILE]

Rows of 100 numbers with singular values in the ratios 1/j, in blocks of 10 000, each of which has the mean 0, so that
IncrementalPCA, which subtracts means, works on the same matrix. Either all blocks have the same random directions
("alike"), or each tenth of the blocks has its own ("drifting"), of which the leading ones of the whole are none. In
each round there is a new matrix of either kind, and the methods take it in turns, from the same generator of blocks,
which is made anew for each and whose own time is taken off:

- Gram matrix: AᵀA is added up block by block, and its eigenvectors are taken: exact, one pass, n² numbers;
- frequent directions: `frequent_directions` with 20 rows; its bound is loss²;
- merged SVDs: each block truncated to rank 20, merged by `merge_svd` in tens: L levels, bound √L times the least;
- IncrementalPCA: scikit-learn's, 20 components, whose sketch is diag(s) Vᵀ.

Errors: ‖AᵀA − BᵀB‖₂ over ‖A‖_F² for the sketch B that each keeps, and ‖A − A V Vᵀ‖_F² over the least possible for its
ten leading directions V. Seconds are those of the processor (process_time), which a busy machine disturbs less.
"""

import argparse
import math
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.decomposition import IncrementalPCA

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.svd import frequent_directions, merge_svd, truncated_svd

RESULT = RESULTS / "scale_rows.json"
COLUMNS, HEIGHT, SIZE, RANK, TOGETHER = 100, 10_000, 20, 10, 10
Blocks = Iterator[Any]


def blocks(rows: int, seed: int, kind: str) -> Blocks:
    """The matrix, block by block."""
    rng, count = np.random.default_rng(seed), rows // HEIGHT
    for i in range(count):
        if i == 0 or (kind == "drifting" and i % max(1, count // 10) == 0):
            V = np.linalg.qr(rng.standard_normal((COLUMNS, COLUMNS)))[0]
            weighted = V.T / np.arange(1, COLUMNS + 1)[:, None]
        block = rng.standard_normal((HEIGHT, COLUMNS)) @ weighted
        yield block - block.mean(axis=0)


def gram(parts: Blocks) -> Any:
    """AᵀA, and the sketch of n rows that has it."""
    total = sum(block.T @ block for block in parts)
    squares, V = np.linalg.eigh(total)
    return np.sqrt(np.maximum(squares[::-1], 0))[:, None] * V.T[::-1], None


def directions(parts: Blocks) -> Any:
    """Our sketch, and its bound of ‖AᵀA − BᵀB‖₂."""
    found = frequent_directions(parts, SIZE)
    return found.B, found.loss**2


def merged(parts: Blocks) -> Any:
    """diag(s) Vᵀ of the merged factors, with them and the number of levels."""
    level, depth = [truncated_svd(block, SIZE) for block in parts], 1
    while len(level) > 1:
        level = [merge_svd(level[at : at + TOGETHER], SIZE) for at in range(0, len(level), TOGETHER)]
        depth += 1
    U, s, Vt = level[0]
    return s[:, None] * Vt, (U, depth)


def incremental(parts: Blocks) -> Any:
    """scikit-learn's."""
    found = IncrementalPCA(SIZE, batch_size=HEIGHT)
    for block in parts:
        found.partial_fit(block)
    return found.singular_values_[:, None] * found.components_, None


METHODS: dict[str, Callable[[Blocks], Any]] = {
    "Gram matrix": gram,
    "frequent directions": directions,
    "merged SVDs": merged,
    "IncrementalPCA": incremental,
}


def measure(rows: int, seed: int, kind: str) -> dict[str, dict[str, float]]:
    """All methods on one matrix."""
    start = time.process_time()
    total = np.zeros((COLUMNS, COLUMNS))
    for _ in blocks(rows, seed, kind):
        pass
    making = time.process_time() - start
    for block in blocks(rows, seed, kind):
        total += block.T @ block
    squares = np.linalg.eigvalsh(total)[::-1]
    found: dict[str, dict[str, float]] = {}
    for name, method in METHODS.items():
        start = time.process_time()
        B, more = method(blocks(rows, seed, kind))
        row = {"seconds": round(time.process_time() - start - making, 3)}
        V = np.linalg.svd(B, full_matrices=False)[2][:RANK].T
        row["sketch"] = float(np.linalg.norm(total - B.T @ B, 2) / squares.sum())
        row["excess"] = float((squares.sum() - np.trace(V.T @ total @ V)) / squares[RANK:].sum() - 1)
        row["rows kept"] = len(B)
        if name == "frequent directions":
            row["sketch, bound"] = float(more / squares.sum())
            row["sketch, theorem"] = min(float(squares[k:].sum() / (SIZE - k)) for k in range(SIZE)) / float(
                squares.sum()
            )
        if name == "merged SVDs":
            U, levels = more
            apart = sum(
                float(np.linalg.norm(block - U[at : at + HEIGHT] @ B) ** 2)
                for at, block in zip(range(0, rows, HEIGHT), blocks(rows, seed, kind), strict=True)
            )
            row["error over the least"] = math.sqrt(apart / squares[SIZE:].sum())
            row["error over the least, bound"] = math.sqrt(levels)
        found[name] = row
        print(seed, kind, name, {key: f"{value:.4g}" for key, value in row.items()}, flush=True)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    study = provenance("numpy", "scipy", "scikit-learn")
    study |= {"rows": options.rows, "columns": COLUMNS, "block": HEIGHT, "kept": SIZE, "rank": RANK}
    for kind in ("alike", "drifting"):
        rounds = [measure(options.rows, seed, kind) for seed in range(options.rounds)]
        study[kind] = {name: {key: [each[name][key] for each in rounds] for key in rounds[0][name]} for name in METHODS}
    store(options.out, study)


if __name__ == "__main__":
    main()
