"""How often hidden blocks find the planted rank of a non-negative table (chapter 11).

    python -m benchmarks.findings.nmf_rank [--tables 20] [--splits 3]

Twenty tables of 90 × 60 with five planted parts, for each of two kinds of noise: one of the standard deviation 1
everywhere, cut off at 0, and one that is proportional to the entry (a factor from a gamma distribution of mean 1 and
deviation ½). Four ways to choose the rank from 1 to 9: the singular values above the threshold for unknown noise
(chapter 8), which look at no hidden block; the least error on the three hidden blocks of one split; the least mean
error over the blocks of three splits; and the smallest rank whose mean error over these is within one standard error
of the least, paired by blocks. The error is that of the chapter's own `block_error`. Table k is drawn with the seed k.
About five minutes.
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers.decomposition import optimal_rank

PARTS, RANKS = 5, range(1, 10)
KINDS = ("the same everywhere", "proportional to the entry")
block_error = definitions(11, "block_error")


def table(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Five planted parts, with noise."""
    A = rng.exponential(size=(90, PARTS)) @ rng.exponential(size=(PARTS, 60))
    if kind == KINDS[0]:
        return np.maximum(A + rng.standard_normal(A.shape), 0)
    return A * rng.gamma(4, 1 / 4, A.shape)


def hidden(A: np.ndarray, splits: int, rng: np.random.Generator) -> np.ndarray:
    """The squared error on each hidden block (rows), for each rank (columns): three blocks for each split."""
    errors = []
    for _ in range(splits):
        i, j = rng.permutation(len(A)) % 3, rng.permutation(A.shape[1]) % 3
        errors += [[block_error(A, rank, i == f, j == f) for rank in RANKS] for f in range(3)]
    return np.array(errors)


def within_one_error(errors: np.ndarray) -> int:
    """The place of the smallest rank that is within one standard error of the best."""
    more = errors - errors[:, [errors.mean(axis=0).argmin()]]
    return int((more.mean(axis=0) <= more.std(axis=0, ddof=1) / len(more) ** 0.5).argmax())


def chosen(A: np.ndarray, splits: int, rng: np.random.Generator) -> dict[str, int]:
    """The rank that each way chooses."""
    errors = hidden(A, splits, rng)
    return {
        "singular values": optimal_rank(np.linalg.svd(A, compute_uv=False), A.shape),
        "one split": RANKS[errors[:3].mean(axis=0).argmin()],
        "three splits": RANKS[errors.mean(axis=0).argmin()],
        "one standard error": RANKS[within_one_error(errors)],
    }


def main(arguments_given: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "nmf_rank.json")
    arguments = parser.parse_args(arguments_given)
    result: dict[str, Any] = {
        **provenance("numpy", "scipy"),
        "seeds": list(range(arguments.tables)),
        "splits": arguments.splits,
        "planted": PARTS,
        "chosen": {},
    }
    for kind in KINDS:
        rows = []
        for seed in result["seeds"]:
            rng = np.random.default_rng(seed)
            rows.append(chosen(table(kind, rng), arguments.splits, rng))
            print(kind, seed, rows[-1], flush=True)
        result["chosen"][kind] = {name: [row[name] for row in rows] for name in rows[0]}

    store(arguments.out, result)


if __name__ == "__main__":
    main()
