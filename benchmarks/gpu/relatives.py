"""Part 6: relatives of LoRA on the book's prose, each at its own best learning rate.

Is rsLoRA, PiSSA, OLoRA, DoRA or LoRA+ better than LoRA of the same rank, on the same sequences, when the rate of each,
LoRA's included, has been tuned? Everything else is held equal, and tuned, as in the grid; rank 8, all linear layers.
"""

from pathlib import Path

import torch

from benchmarks.gpu import device as gpu
from benchmarks.gpu import grid
from benchmarks.gpu.answers import relatives as answers
from benchmarks.gpu.study import Tasks
from benchmarks.gpu.weights import LoadBase

__all__ = ["FIRST_GUESS", "QUESTIONS", "SEEDS", "answers", "run"]

QUESTIONS = ("Which relative of LoRA reaches a lower target loss than LoRA, each at its own best learning rate?",)
SEEDS, FIRST_GUESS = grid.SEEDS[:4], grid.FIRST_GUESS
RANK = 8


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Tune and rerun LoRA, then each relative."""
    del out
    base, extent = load_base(), grid.EXTENTS[variant]
    for name in grid.RELATIVES:
        configuration = {"method": "lora", "layers": "all", "rank": RANK, "relative": name}
        yield from grid.tuned_and_rerun(device, base, "book", configuration, grid.START["lora"], extent)
