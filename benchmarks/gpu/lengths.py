"""Part 8: runs of half and of twice the length, on the book's prose.

At 100 steps LoRA of rank 8 stands above full fine-tuning by so many per cent: is that a property of the rank, or of
the number of steps? Everything else is held equal, and tuned, as in the grid, whose runs are those of 100 steps. The
rate is tuned for each length by itself, on a grid of quarter decades.
"""

from pathlib import Path

import torch

from benchmarks.gpu import device as gpu
from benchmarks.gpu import grid
from benchmarks.gpu.answers import lengths as answers
from benchmarks.gpu.study import Tasks
from benchmarks.gpu.weights import LoadBase

__all__ = ["FIRST_GUESS", "QUESTIONS", "SEEDS", "answers", "run"]

QUESTIONS = ("How far is LoRA of rank 8 above full fine-tuning, after half as many and twice as many steps?",)
SEEDS, FIRST_GUESS = grid.SEEDS, grid.FIRST_GUESS
FACTORS, RANK = (2.0, 0.5), 8
START = {"full": -5.5, "lora": -4.0}  # exponents, as the grid's


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Tune both methods for each length, then rerun them."""
    del out
    base, usual = load_base(), grid.EXTENTS[variant]
    for factor in FACTORS:
        extent = usual._replace(steps=max(1, round(factor * usual.steps)))
        chosen = []
        for method, start in START.items():
            configuration = {
                "method": method, "layers": "all" if method == "lora" else None,
                "rank": RANK if method == "lora" else None, "steps": extent.steps,
            }  # fmt: skip
            best = yield from grid.tuned(device, base, "book", configuration, start, extent, by=0.5)
            chosen.append((configuration, best))
        for seed in extent.results:
            for configuration, best in chosen:
                if best is not None:
                    yield grid.task(device, base, "book", configuration, best, seed, extent)
