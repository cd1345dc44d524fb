"""Part 2: tokens a second of this book's LoRA, of PEFT's, and of full fine-tuning, taking turns in one run.

A Llama-shaped model of 1.06 billion parameters, sequences of 2048 tokens of source text. The four that take turns:

- "ours": `lowrank_helpers.lora` on a frozen bfloat16 base, rank 8 on all linear layers, the loss in chunks;
- "peft": PEFT's layers on the same class of model with the same weights, the same loss;
- "peft, plain loss": the same, but with all logits and torch's cross-entropy, as a loop written by hand has it;
- "full": all parameters, float32, with the loss in chunks.

Held equal: the batch, the largest of 8, 4, 2, 1 that fits for all four beside each other, in both modes; the
sequences; initial adapters, in float32; products in bfloat16 by autocast; the attention kernel, which torch chooses by
shapes and dtypes that are the same; AdamW, fused; clipping; no activations computed again; and the mode, all eager or
all compiled block by block. Each first takes the same 6 steps, in turns, whose losses are compared. Then come rounds in
which each takes some steps, one of them before the clock starts; the results are medians over the rounds. A peak is
what the one model, its optimiser and its steps take; what the other three hold is subtracted. The share of the matrix
rate counts the operations that the model needs (`shapes.flops_per_token`) against a product of 8192³ before and after
the rounds.

In each step of all four the host waits once, for loss and norm, because a step that is not finite must not be taken;
until it has launched the next kernels the device is idle. That adds as much to each, and so brings ratios nearer to 1.
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
from benchmarks.gpu.plan import MODEL, step_seconds
from benchmarks.gpu.shapes import SHAPES, TINY, flops_per_token, parameters, random_model
from benchmarks.gpu.steps import optimiser_of, source_text
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.wall import CAP
from benchmarks.gpu.weights import LoadBase
from lowrank_helpers.lora import LoRALinear, add_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig
from lowrank_helpers.training.corpus import Batches
from lowrank_helpers.training.optimiser import Optimiser

QUESTIONS = (
    "How many tokens a second does this book's LoRA train, against PEFT's at equal losses, and with which peak memory?",
    "And against full fine-tuning, of whose 6N operations a token LoRA needs 4N?",
    "Which share of the matrix rate measured on this device does each reach?",
)
SEEDS = (0,)
VERSIONS = ("peft",)
FIRST_GUESS = 1.0  # the work is in seconds
NAMES = ("ours", "peft", "peft, plain loss", "full")
RANK, ALPHA, RATE = 8, 16, 1e-3
BATCHES = (8, 4, 2, 1)
CURVE, ROUNDS, TIMED = 6, 4, 2
# Seconds to read the text, between two turns, for both rates, and to compile five graphs.
TEXT, TURN, RATES, COMPILE = 3.0, 0.3, 3.0, 70.0


class Runner(NamedTuple):
    """One of those that take turns: its blocks, what gives a loss, and its optimiser."""

    blocks: nn.ModuleList
    forward: Callable[[Tensor, Tensor], Tensor]
    optimiser: Optimiser
    held: Callable[[], int]  # bytes of weights and optimiser, between steps


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Measure eager, then compiled, with the batch that was found to fit."""
    del out, load_base
    tiny = variant == "tiny"
    sizes = (2,) if tiny else BATCHES
    gpu.cap_memory(device, CAP)
    try:
        for mode in ("eager", "compiled"):
            measure = partial(_measure, device, mode, sizes, tiny)
            result = yield Task({"mode": mode, "size": "1B"}, _seconds(mode, TINY if tiny else SHAPES["1B"]), measure)
            sizes = (result["batch"],) if "batch" in result else sizes
    finally:
        gpu.cap_memory(device, float("inf"))


def _seconds(mode: str, config: GPTConfig) -> float:
    """Return how long a mode may take: four models, and all their steps."""
    ways = [step_seconds(config, BATCHES[0], rank=None if name == "full" else RANK) for name in NAMES]
    steps = (CURVE + ROUNDS * (1 + TIMED)) * sum(ways)
    return steps + len(NAMES) * (MODEL + ROUNDS * TURN) + RATES + (TEXT if mode == "eager" else COMPILE)


def _measure(device: torch.device, mode: str, sizes: tuple[int, ...], tiny: bool) -> Result:
    config = TINY if tiny else SHAPES["1B"]
    batches = Batches(source_text("train")[: 10_000 if tiny else None], config.context, SEEDS[0])
    curve, rounds, timed = (3, 2, 1) if tiny else (CURVE, ROUNDS, TIMED)
    matrix_rate = partial(gpu.matrix_rate, device, 64 if tiny else 8192, warm_up=0.01 if tiny else 0.5)
    backend = None if mode == "eager" else "eager" if tiny else "inductor"
    size, runners, losses = begun(device, config, batches, sizes, curve, backend)
    from torch._dynamo.utils import counters  # only here: its import takes seconds

    rates = [matrix_rate()]
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    peaks: dict[str, list[int | None]] = {name: [] for name in runners}
    for number in range(rounds):
        for name in turn(list(runners), number):
            gpu.free()
            time, peak = _round(device, runners[name], batches, size, timed)
            seconds[name].append(time)
            peaks[name].append(peak)
    rates.append(matrix_rate())
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


def begun(
    device: torch.device, config: GPTConfig, batches: Batches, sizes: tuple[int, ...], steps: int, backend: str | None
) -> tuple[int, dict[str, Runner], dict[str, list[float]]]:
    """Take the first steps in turns, with the largest batch that fits; return it, the four, and their losses."""
    for size in sizes:
        gpu.free()  # outside the handler of the error, which holds on to tensors
        found = _first_steps(device, config, batches, size, steps, backend)
        if found is not None:
            return size, *found
    raise RuntimeError(f"a batch of {sizes[-1]} × {config.context} tokens does not fit beside the four models")


def _first_steps(
    device: torch.device, config: GPTConfig, batches: Batches, size: int, steps: int, backend: str | None
) -> tuple[dict[str, Runner], dict[str, list[float]]] | None:
    """Build the four and let them take steps; None where memory is too small for all of them beside each other."""
    from torch._dynamo.utils import counters

    counters.clear()
    try:
        runners = make_runners(device, config)
        if backend is not None:
            compile_blocks(runners, backend)
        losses: dict[str, list[float]] = {name: [] for name in runners}
        for step in range(steps):
            for name, runner in runners.items():
                losses[name].append(_step(runner, batches, size, step))
    except torch.OutOfMemoryError:
        return None
    return runners, losses


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
