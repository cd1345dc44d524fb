"""Part 3: how long it takes to put another adapter into the place of the active one.

Adapters of rank 8 and 64 on all linear layers of a Llama-shaped bfloat16 model of 1.06 billion parameters, 2 or 8 of
them in memory. Three ways: `set_adapter`; reading one more from a file that the operating system has in its cache, with
all checks; taking the one out of the weights and merging the other. Held equal: model, adapters (what was read is
thrown away before the next turn), the device idle before and after. Each turn takes another adapter than the one
before; the first is a warm-up, and the results are medians of the others.
"""

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu import device as gpu
from benchmarks.gpu.plan import DISK, MODEL
from benchmarks.gpu.shapes import SHAPES, TINY, lora_count, random_model
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import LoadBase
from lowrank_helpers.lora import LoRALinear, add_lora, load_lora, merge_lora, save_lora, set_adapter, unmerge_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig

QUESTIONS = ("How long does it take to switch adapters: by choosing, by merging, by reading from disk?",)
SEEDS = (0,)
FIRST_GUESS = 1.0  # the work is in seconds
REPEATS = 4
ATTACH, MERGE = 0.4, 0.5  # seconds that one more adapter may take, its file apart, and another one's merge


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Measure every rank and number of adapters."""
    del out, load_base
    tiny = variant == "tiny"
    config, repeats = TINY if tiny else SHAPES["1B"], 3 if tiny else REPEATS
    for rank in (8, 64):
        for count in (2, 8):
            of = {"rank": rank, "adapters": count, "size": "1B"}
            file = 4 * lora_count(config, rank) / DISK  # seconds to read it, or to write it
            work = MODEL + ATTACH * count + file + (repeats + 1) * (ATTACH + file + MERGE)
            yield Task(of, work, partial(_measure, device, config, 2 if tiny else rank, count, repeats))


def _measure(device: torch.device, config: GPTConfig, rank: int, count: int, repeats: int) -> Result:
    model = random_model(config, device, torch.bfloat16).eval()
    names = [f"adapter {number}" for number in range(count)]
    for number, name in enumerate(names):
        add_lora(model, rank, alpha=16, targets=ALL_LINEAR, name=name, rng=number)
        _fill(model, name, number)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(save_lora(model, Path(folder) / "adapter"))
        size = sum(file.stat().st_size for file in path.iterdir())
        ways: dict[str, Callable[[int], object]] = {
            "choose": lambda turn: set_adapter(model, names[turn % count]),
            "read": lambda turn: load_lora(model, path, name="read"),
            "merge": lambda turn: _merge_other(model, names[turn % count]),
        }
        times: dict[str, list[float]] = {}
        for way, switch in ways.items():
            times[way] = []
            for turn in range(repeats + 1):
                times[way].append(_time(device, switch, turn))
                _throw_away(model, "read", names[0])
            del times[way][0]
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


def _throw_away(model: GPT, name: str, instead: str) -> None:
    """Take an adapter that was read out of the model, if it is there, and choose another one."""
    layers = [module for module in model.modules() if isinstance(module, LoRALinear) and name in module.adapters]
    for layer in layers:
        del layer.adapters[name]
    if layers:
        set_adapter(model, instead)


def _time(device: torch.device, switch: Callable[[int], object], turn: int) -> float:
    began = gpu.now(device)
    switch(turn)
    return gpu.now(device) - began
