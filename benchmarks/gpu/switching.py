"""Part 8: how long it takes to put another adapter into the place of the active one.

Adapters of rank 8 and 64 on all linear layers of a Llama-shaped bfloat16 model of 1.06 billion parameters, 2 or 8 of
them in memory. Three ways: `set_adapter`; taking the one out of the weights and merging the other; reading one from a
file that the operating system has in its cache, with all checks. Held equal: model, adapters, the device idle before
and after. Each turn takes another adapter than the one before; the first is a warm-up, and the results are medians of
the others.
"""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu import device as gpu
from benchmarks.gpu.shapes import SHAPES, TINY, lora_count, random_model
from benchmarks.gpu.study import Result, Task, Tasks
from lowrank_helpers.lora import add_lora, load_lora, merge_lora, save_lora, set_adapter, unmerge_lora
from lowrank_helpers.training import ALL_LINEAR, GPT

QUESTIONS = ("How long does it take to switch adapters: by choosing, by merging, by reading from disk?",)
SEEDS = (0,)
FIRST_GUESS = 30.0  # seconds for a rank and a number
REPEATS = 7


def run(device: torch.device, *, variant: gpu.Variant, out: Path, weights: Path) -> Tasks:
    """Measure every rank and number of adapters."""
    del out, weights
    tiny = variant == "tiny"
    for rank in (8, 64):
        for count in (2, 8):
            of = {"rank": rank, "adapters": count, "size": "1B"}
            yield Task(of, 1.0, partial(_measure, device, 2 if tiny else rank, count, tiny))


def _measure(device: torch.device, rank: int, count: int, tiny: bool) -> Result:
    config = TINY if tiny else SHAPES["1B"]
    model = random_model(config, device, torch.bfloat16).eval()
    names = [f"adapter {number}" for number in range(count)]
    for number, name in enumerate(names):
        add_lora(model, rank, alpha=16, targets=ALL_LINEAR, name=name, rng=number)
        _fill(model, name, number)
    repeats = 3 if tiny else REPEATS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(save_lora(model, Path(folder) / "adapter"))
        size = sum(file.stat().st_size for file in path.iterdir())
        ways: dict[str, Callable[[int], object]] = {
            "choose": lambda turn: set_adapter(model, names[turn % count]),
            "read": lambda turn: load_lora(model, path, name=f"read {turn}"),
            "merge": lambda turn: _merge_other(model, names[turn % count]),
        }
        times = {way: [_time(device, switch, turn) for turn in range(repeats + 1)][1:] for way, switch in ways.items()}
    return {
        "entries_of_adapter": lora_count(config, rank),
        "bytes_on_disk": size,
        **{f"{way}_seconds": statistics.median(found) for way, found in times.items()},
        "all_seconds": times,
    }


@torch.no_grad()
def _fill(model: GPT, name: str, seed: int) -> None:
    """Draw a B, which is zero at the start, so that merging has something to merge."""
    for path, parameter in model.named_parameters():
        if path.endswith(f"adapters.{name}.B"):
            parameter.normal_(std=0.01, generator=torch.Generator(parameter.device).manual_seed(seed))


def _merge_other(model: GPT, name: str) -> None:
    """Take the merged adapter out, if there is one, and merge another."""
    if any(getattr(module, "merged", None) is not None for module in model.modules()):
        unmerge_lora(model)
    set_adapter(model, name)
    merge_lora(model)


def _time(device: torch.device, switch: Callable[[int], object], turn: int) -> float:
    began = gpu.now(device)
    switch(turn)
    return gpu.now(device) - began
