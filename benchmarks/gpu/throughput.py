"""Part 6: tokens a second of this book's LoRA, of PEFT's, and of full fine-tuning, taking turns in one run.

A Llama-shaped model of 1.06 billion parameters, sequences of 2048 tokens of source text. The four that take turns:

- "ours": `lowrank_helpers.lora` on a frozen bfloat16 base, rank 8 on all linear layers, the loss in chunks;
- "peft": PEFT's layers on the same class of model with the same weights, the same loss;
- "peft, plain loss": the same, but with all logits and torch's cross-entropy, as a loop written by hand has it;
- "full": all parameters, float32, with the loss in chunks.

Held equal: the batch, the largest of 16, 8, 4, 2, 1 that fits for all four beside each other; the sequences; initial
adapters, in float32; products in bfloat16 by autocast; the attention kernel, which torch chooses by shapes and dtypes
that are the same; AdamW, fused; clipping; no activations computed again; and the mode, all eager or all compiled
block by block. Each first takes the same 20 steps, whose losses are compared. Then come rounds in which each takes
some steps, one of them before the clock starts; the results are medians over the rounds. A peak is what the one
model, its optimiser and its steps take; what the other three hold is subtracted. The share of the matrix rate counts
the operations that the model needs (`shapes.flops_per_token`) against a product of 8192³ before and after the rounds.
"""

import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.gpu import device as gpu
from benchmarks.gpu.shapes import SHAPES, TINY, flops_per_token, parameters, random_model
from benchmarks.gpu.steps import optimiser_of
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.wall import CAP
from lowrank_helpers.lora import LoRALinear, add_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig, standard_library
from lowrank_helpers.training.corpus import Batches
from lowrank_helpers.training.optimiser import Optimiser

QUESTIONS = (
    "How many tokens a second does this book's LoRA train, against PEFT's at equal losses, and with which peak memory?",
    "And against full fine-tuning, of whose 6N operations a token LoRA needs 4N?",
    "Which share of the matrix rate measured on this device does each reach?",
)
SEEDS = (0,)
FIRST_GUESS = 120.0  # seconds for the eager mode; compiling takes longer
NAMES = ("ours", "peft", "peft, plain loss", "full")
RANK, ALPHA, RATE = 8, 16, 1e-3
BATCHES = (16, 8, 4, 2, 1)
CURVE, ROUNDS, TIMED = 20, 5, 4


class Runner(NamedTuple):
    """One of those that take turns: its blocks, what gives a loss, and its optimiser."""

    blocks: nn.ModuleList
    forward: Callable[[Tensor, Tensor], Tensor]
    optimiser: Optimiser
    held: Callable[[], int]  # bytes of weights and optimiser, between steps


def run(device: torch.device, *, variant: gpu.Variant, out: Path, weights: Path) -> Tasks:
    """Measure eager, then compiled."""
    del out, weights
    gpu.cap_memory(device, CAP)
    try:
        for mode, work in (("eager", 1.0), ("compiled", 2.5)):
            yield Task({"mode": mode, "size": "1B"}, work, partial(_measure, device, mode, variant == "tiny"))
    finally:
        gpu.cap_memory(device, float("inf"))


def _measure(device: torch.device, mode: str, tiny: bool) -> Result:
    config = TINY if tiny else SHAPES["1B"]
    batches = Batches(standard_library("train")[: 10_000 if tiny else None], config.context, SEEDS[0])
    size = 2 if tiny else largest_batch(device, config, batches)
    curve, rounds, timed = (3, 2, 1) if tiny else (CURVE, ROUNDS, TIMED)
    runners = make_runners(device, config)
    from torch._dynamo.utils import counters  # only here: its import takes seconds

    counters.clear()
    if mode == "compiled":
        compile_blocks(runners, "eager" if tiny else "inductor")
    losses = {name: _losses(runner, batches, size, curve) for name, runner in runners.items()}
    rates = [gpu.matrix_rate(device, 64 if tiny else 8192)]
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    peaks: dict[str, list[int | None]] = {name: [] for name in runners}
    for number in range(rounds):
        for name in turn(list(runners), number):
            gpu.free()
            time, peak = _round(device, runners[name], batches, size, timed)
            seconds[name].append(time)
            peaks[name].append(peak)
    rates.append(gpu.matrix_rate(device, 64 if tiny else 8192))
    rate = statistics.fmean(rates)
    found: Result = {"parameters": parameters(config), "batch": size, "context": config.context, "matrix_rates": rates}
    found |= {"graphs": counters["stats"]["unique_graphs"], "graph_breaks": sum(counters["graph_break"].values())}
    for name in runners:
        speeds = [size * config.context * timed / time for time in seconds[name]]
        flops = flops_per_token(config, config.context, rank=None if name == "full" else RANK)
        found[name] = {
            "tokens_per_second": statistics.median(speeds),
            "rounds": speeds,
            "peak": None if None in peaks[name] else max(peak for peak in peaks[name] if peak is not None),
            "flops_per_token": flops,
            "share_of_matrix_rate": statistics.median(speeds) * flops / rate,
            "losses": losses[name],
        }
    median = {name: found[name]["tokens_per_second"] for name in runners}
    found["ours_over"] = {name: median["ours"] / median[name] for name in NAMES[1:]}
    found["greatest_difference_of_losses"] = {
        name: max(abs(a - b) for a, b in zip(losses["ours"], losses[name], strict=True)) for name in NAMES[1:3]
    }
    return found


def turn(names: list[str], number: int) -> list[str]:
    """Return the order of a round: each begins a round in its turn, so that none always follows the same one."""
    first = number % len(names)
    return names[first:] + names[:first]


def make_runners(device: torch.device, config: GPTConfig) -> dict[str, Runner]:
    """Build the four, on equal weights and equal initial adapters."""
    from peft import LoraConfig, get_peft_model  # only here: its import takes seconds

    ours = random_model(config, device, torch.bfloat16)
    add_lora(ours, RANK, alpha=ALPHA, targets=ALL_LINEAR, rng=0)
    runners = {"ours": _runner(ours, ours, ours, device)}
    for name in NAMES[1:3]:
        theirs = random_model(config, device, torch.bfloat16)
        theirs_config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(ALL_LINEAR))
        wrapped = get_peft_model(theirs, theirs_config, autocast_adapter_dtype=True)  # adapters in float32
        copy_adapters(ours, theirs)
        runners[name] = _runner(theirs, wrapped, wrapped if name == "peft" else partial(plain_loss, wrapped), device)
    full = random_model(config, device, torch.float32)
    runners["full"] = _runner(full, full, full, device)
    return runners


def _runner(
    model: GPT, wrapped: nn.Module, forward: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> Runner:
    wrapped.train()
    optimiser = optimiser_of(wrapped, device, torch.bfloat16)

    def held() -> int:
        moments = [value for kept in optimiser.adamw.state.values() for value in kept.values()]
        return gpu.bytes_of([*wrapped.parameters(), *moments])

    return Runner(model.blocks, forward, optimiser, held)


def plain_loss(model: Callable[[Tensor], Tensor], tokens: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy as a loop written by hand computes it, from all logits in float32."""
    return F.cross_entropy(model(tokens).float().flatten(0, 1), targets.flatten())


@torch.no_grad()
def copy_adapters(ours: GPT, theirs: GPT) -> None:
    """Give PEFT's layers, which stand where ours do, the A of ours; B is zero in both."""
    modules = dict(theirs.named_modules())
    for path, layer in ours.named_modules():
        if isinstance(layer, LoRALinear):
            other: Any = modules[path]
            other.lora_A["default"].weight.copy_(layer.adapter("default").A)
            other.lora_B["default"].weight.copy_(layer.adapter("default").B)


def compile_blocks(runners: dict[str, Runner], backend: str) -> None:
    """Compile every block where it stands: as the blocks are alike, torch compiles one of each kind."""
    for runner in runners.values():
        for block in runner.blocks:
            block.compile(backend=backend)


def largest_batch(device: torch.device, config: GPTConfig, batches: Batches) -> int:
    """Return the largest batch that all four can take two steps of, in turns, beside each other."""
    for size in BATCHES:
        if _fits(device, config, batches, size):
            return size
    raise RuntimeError(f"a batch of {BATCHES[-1]} × {config.context} tokens does not fit beside the four models")


def _fits(device: torch.device, config: GPTConfig, batches: Batches, size: int) -> bool:
    gpu.free()  # outside the handler of the error, which holds on to tensors
    try:
        runners = make_runners(device, config)
        for _ in range(2):
            for runner in runners.values():
                _losses(runner, batches, size, 1)
    except torch.OutOfMemoryError:
        return False
    return True


def _losses(runner: Runner, batches: Batches, size: int, steps: int) -> list[float]:
    """Take the first steps of the run; return their losses."""
    return [_step(runner, batches, size, step) for step in range(steps)]


def _step(runner: Runner, batches: Batches, size: int, step: int) -> float:
    loss = runner.optimiser.add_gradient(runner.forward, *batches(step * size, size), share=1.0)
    found, norm = runner.optimiser.clip_gradient(loss, 1)
    if not (math.isfinite(found) and math.isfinite(norm)):
        raise FloatingPointError(
            f"the loss must stay finite; at step {step} it was {found}, the gradient's norm {norm}"
        )
    runner.optimiser.step(RATE)
    return found


def _round(
    device: torch.device, runner: Runner, batches: Batches, size: int, timed: int
) -> tuple[float, int | None]:  # fmt: skip
    """Return the seconds of some steps after a first one, and the peak of what belongs to this runner."""
    before, held = gpu.allocated(device), runner.held()
    gpu.reset_peak(device)
    _step(runner, batches, size, 0)
    began = gpu.now(device)
    _losses(runner, batches, size, timed)
    time = gpu.now(device) - began
    peak = gpu.peak(device)
    return time, None if peak is None or before is None else peak - before + held
