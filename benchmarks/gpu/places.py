"""Part 7: which matrices to adapt, with the same number of parameters, on the book's prose.

The question, the seven choices and their ranks are those of Table 5 of the LoRA paper (Hu et al. 2022), which asked it
of GPT-3. Everything else is held equal, and tuned, as in the grid.
"""

from pathlib import Path

import torch

from benchmarks.gpu import device as gpu
from benchmarks.gpu import grid
from benchmarks.gpu.study import Tasks
from benchmarks.gpu.weights import LoadBase

QUESTIONS = ("Which attention matrices is LoRA best put beside, when all choices have the same number of parameters?",)
SEEDS, FIRST_GUESS = grid.SEEDS[:4], grid.FIRST_GUESS
PLACES = {"q": 8, "k": 8, "v": 8, "o": 8, "q, k": 4, "q, v": 4, "q, k, v, o": 2}  # and their rank


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Tune and rerun each choice."""
    del out
    base, extent = load_base(), grid.EXTENTS[variant]
    for layers, rank in PLACES.items():
        configuration = {"method": "lora", "layers": layers, "rank": rank}
        yield from grid.tuned_and_rerun(device, base, "book", configuration, grid.START["lora"], extent)
