"""Part 1: which model can still be trained in 80 GB, in full and with LoRA.

Llama-shaped models with random weights, from 0.1 B to LLaMA-7B's own sizes, take three steps each on one sequence of
2048 random tokens, since memory depends on shapes alone. Full fine-tuning keeps float32 weights, gradients and both
of AdamW's moments, 16 bytes a parameter, and rounds weights to bfloat16 for the products; LoRA of rank 8 on all
linear layers keeps the base frozen in bfloat16. Each with and without forgetting activations in the forward pass.
Held equal: the sequence, the loss, which never holds all logits, the attention kernel, the optimiser, no compiling.
torch may allocate 80 GB, or all that the device has if that is less; what it did have stands beside each result, as
does the arithmetic. Running out of memory is a result: in which phase, and how much was held.

Activations are what the forward pass leaves behind, less the rounded copies of the weights (`shapes.expected_bytes`).
The peak less weights, gradients and moments would be too little: where it comes as the backward pass begins, there are
no gradients yet. What cuBLAS keeps for itself is there before the first model is.
"""

import statistics
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks.gpu import device as gpu
from benchmarks.gpu.plan import MEMORY, MODEL, step_seconds
from benchmarks.gpu.shapes import SHAPES, TINY, expected_bytes, parameters, random_model
from benchmarks.gpu.steps import memory_of, optimiser_of
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import LoadBase
from lowrank_helpers.lora import add_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig
from lowrank_helpers.training.optimiser import Optimiser

QUESTIONS = (
    "Up to which size does full mixed-precision fine-tuning with AdamW fit, and LoRA of rank 8 on a bfloat16 base?",
    "Where do the bytes go: weights, gradients, optimiser, activations; and does the arithmetic foretell them?",
    "How much do activations fall, by LoRA and by computing them again?",
)
SEEDS = (0,)
FIRST_GUESS = 1.0  # the work is in seconds
CAP = 80e9
RANK, STEPS = 8, 3
Method = Literal["full", "lora"]


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Go up in size, each size in four ways."""
    del out, load_base
    cap = gpu.cap_memory(device, CAP)
    try:
        for size, config in {"0.1B": TINY}.items() if variant == "tiny" else SHAPES.items():
            for method in ("lora", "full"):
                for again in (True, False):
                    of = {"size": size, "method": method, "checkpoint_activations": again, "batch": 1}
                    measure = partial(measure_memory, device, config, method, again, cap)
                    yield Task({**of, "context": config.context}, _seconds(config, method, again), measure)
    finally:
        gpu.cap_memory(device, float("inf"))


def _seconds(config: GPTConfig, method: Method, again: bool) -> float:
    """Return how long a size and a method may take: the model, its memory to and fro, and the steps if it fits."""
    rank = RANK if method == "lora" else None
    memory = expected_bytes(config, rank)["total"]
    steps = STEPS if memory < CAP else 1
    return MODEL + 2 * min(CAP, memory) / MEMORY + steps * step_seconds(config, 1, rank=rank, again=again)


def measure_memory(device: torch.device, config: GPTConfig, method: Method, again: bool, cap: int | None) -> Result:
    """Build the model and take the steps, as far as memory goes."""
    done: Result = {
        "parameters": parameters(config),
        "cap": cap,
        "expected": expected_bytes(config, RANK if method == "lora" else None, again=again),
        "out_of_memory": False,
        "phase": "weights",
    }
    gpu.make_workspaces(device)
    gpu.reset_peak(device)
    empty = gpu.allocated(device)
    try:
        _train(device, config, method, again, empty, done)
    except torch.OutOfMemoryError as error:
        message = str(error).splitlines()[0][:300]
        done |= {
            "out_of_memory": True,
            "message": message,
            "allocated": gpu.allocated(device),
            "peak": gpu.peak(device),
        }
    return done


def _train(
    device: torch.device, config: GPTConfig, method: Method, again: bool, empty: int | None, done: Result
) -> None:  # fmt: skip
    """Take the steps, and write into ``done`` which phase is under way and what was measured."""
    model = random_model(config, device, torch.bfloat16 if method == "lora" else torch.float32)
    model.checkpoint_activations = again
    if method == "lora":
        add_lora(model, RANK, alpha=16, targets=ALL_LINEAR, rng=0)
    model.train()
    optimiser = optimiser_of(model, device, torch.bfloat16)
    rows = torch.randint(config.vocabulary, (1, config.context + 1), generator=torch.Generator().manual_seed(0))
    rows = rows.to(device)
    times = []
    for _ in range(STEPS):
        began = gpu.now(device)
        _step(model, optimiser, rows, device, done)
        times.append(gpu.now(device) - began)
    done |= {"phase": "done", "trainable": sum(p.numel() for p in optimiser.trained.values())}
    memory = memory_of(model, optimiser, gpu.difference(gpu.peak(device), empty))
    copies = done["expected"]["copies"]
    done["memory"] = memory | {"copies": copies, "activations": gpu.difference(done["kept_by_forward"], copies)}
    done |= {"tokens_per_second": config.context / statistics.median(times[1:])}


def _step(model: GPT, optimiser: Optimiser, rows: Tensor, device: torch.device, done: Result) -> None:
    before = gpu.allocated(device)
    done["phase"] = "forward"
    with optimiser.autocast():
        loss = model(rows[:, :-1], rows[:, 1:])
    done["kept_by_forward"] = gpu.difference(gpu.allocated(device), before)
    done["phase"] = "backward"
    loss.backward()
    gradients = [parameter.grad for parameter in optimiser.trained.values() if parameter.grad is not None]
    done["gradients_measured"] = gpu.bytes_of(gradients)
    done["phase"] = "optimiser"
    optimiser.clip_gradient(loss.detach(), 1)
    optimiser.step(1e-4)
