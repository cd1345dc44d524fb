"""Part 5: ways to adapt the larger base model, on two texts that it has not seen, each at its own best learning rate.

The questions, written down before the run:

1. At which rank does LoRA on all linear layers come within 2 % of the target loss of full fine-tuning?
2. Does it forget less of the source, at the end of training, and where both have the same target loss?
3. Is the learning rate that is best for it about 10 times that of full fine-tuning, as Schulman and Thinking Machines
   Lab found (2025, "LoRA Without Regret", thinkingmachines.ai/blog/lora), who also say more for short runs, about 15?

The third fixes the scale: α = 32, s = α / rank and Kaiming's A are theirs, and the factor means nothing with another
α, for under Adam α acts much as a learning rate does. Since the rate is tuned for each rank by itself, the scale
cannot favour one rank either.

Held equal: the base, the sequences and their order (a seed draws the same for every method), 100 steps of 16 × 512
tokens (about three times through a text; small: of 8 × 128, less than half of it), warm-up and cosine, AdamW without
weight decay, clipping, float32 weights with bfloat16 products (on a CPU float32), no compiling. The bottleneck adapters
have about as many parameters as LoRA of rank 8 on all layers. Rates lie on a grid of half decades; the best on seed 0
is taken when both of its neighbours are worse. Seeds 1, 2 and 3, which had no part in that choice, give the results,
their means and their intervals.
"""

import math
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import safetensors.torch
import torch
from torch import Tensor

from benchmarks.gpu import device as gpu
from benchmarks.gpu.answers import answers as answers
from benchmarks.gpu.shapes import lora_count
from benchmarks.gpu.steps import memory_of, optimiser_of, training_steps
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import Base, LoadBase, fresh
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig, evaluate, load_corpus, prepare
from lowrank_helpers.training.methods import Method
from lowrank_helpers.training.schedule import dtype_on

QUESTIONS = (
    "At which rank does LoRA on all linear layers come within 2 % of the target loss of full fine-tuning?",
    "Does it forget less of the source, at the end of training, and where both have the same target loss?",
    "Is the learning rate that is best for it about 10 times that of full fine-tuning?",
)
SEEDS = (0, 1, 2, 3)  # the first tunes the learning rate, the others give the results
FIRST_GUESS = 0.06  # seconds for a step, measuring included
RANKS = (1, 2, 4, 8, 16, 32, 64)
ALPHA, PROMPT_TOKENS = 32.0, 16
LAYERS = ("all", "q, v")
RELATIVES: dict[str, dict[str, Any]] = {  # of LoRA, for the part relatives: what `prepare` has to know
    "LoRA": {},
    "rsLoRA": {"scaling": "alpha/sqrt(rank)"},
    "PiSSA": {"init": "pissa"},
    "OLoRA": {"init": "olora"},
    "DoRA": {"dora": True},
    "LoRA+": {},
}
RATIO = 16.0  # of the learning rates of B and A in LoRA+, the one that its authors recommend
START = {"full": -6, "last block": -6, "adapters": -5, "prompt": -3, "lora": -5}  # exponents: the rate is 10^(k/2)


class Extent(NamedTuple):
    """How long a run is, and how many there are."""

    steps: int
    batch: int
    context: int  # tokens of a sequence
    ranks: tuple[int, ...]
    results: tuple[int, ...]  # seeds
    rates: int  # tried for a configuration at most
    corpus: int | None  # its first so many tokens
    held_out: int | None  # and of what the losses are measured on


EXTENTS: dict[gpu.Variant, Extent] = {
    "large": Extent(100, 16, 512, RANKS, SEEDS[1:], 10, None, None),
    "small": Extent(100, 8, 128, (1, 2, 4, 8, 64), SEEDS[1:], 10, None, 16_001),
    "tiny": Extent(2, 2, 32, (1, 8), SEEDS[1:3], 3, 257, 257),
}


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Tune and rerun every configuration on the one text, then on the other."""
    del out
    base, extent = load_base(), EXTENTS[variant]
    for target in ("book", "tkinter"):
        starts = dict(START)
        for configuration in configurations(extent.ranks):
            start = starts[configuration["method"]]
            best = yield from tuned_and_rerun(device, base, target, configuration, start, extent)
            starts[configuration["method"]] = start if best is None else best  # of the next rank


def configurations(ranks: Sequence[int]) -> list[Result]:
    """Return the methods to compare, with LoRA's layers and ranks."""
    lora = [{"method": "lora", "layers": layers, "rank": rank} for layers in LAYERS for rank in ranks]
    others = [
        {"method": method, "layers": None, "rank": None} for method in ("full", "last block", "adapters", "prompt")
    ]
    return [others[0], *lora, *others[1:]]


def projections(layers: str) -> tuple[str, ...]:
    """Return the names of the layers that LoRA is put beside: "q, v" are q_proj and v_proj."""
    return ALL_LINEAR if layers == "all" else tuple(f"{layer}_proj" for layer in layers.split(", "))


def rate_of(exponent: int) -> float:
    """Return the learning rate of a point of the grid, 10^(exponent/2)."""
    return float(f"{10 ** (exponent / 2):.4g}")


def tuned_and_rerun(
    device: torch.device, base: Base, target: str, configuration: Result, start: int, extent: Extent
) -> Generator[Task, Result, int | None]:
    """Find the best rate of a configuration on the first seed, then run the others at it."""
    best = yield from tuned(device, base, target, configuration, start, extent)
    for seed in () if best is None else extent.results:
        yield _task(device, base, target, configuration, best, seed, extent)
    return best


def tuned(
    device: torch.device, base: Base, target: str, configuration: Result, start: int, extent: Extent
) -> Generator[Task, Result, int | None]:
    """Find the best rate on the first seed: neighbours are tried until the best one has a worse one on each side."""
    losses: dict[int, float] = {}
    wanted = [start, start + 1, start - 1]
    while wanted and len(losses) < extent.rates:
        exponent = wanted.pop(0)
        result = yield _task(device, base, target, configuration, exponent, SEEDS[0], extent)
        found = result.get("target_loss")
        losses[exponent] = math.inf if found is None else found
        best = min(losses, key=lambda k: losses[k])
        wanted = wanted or [k for k in (best + 1, best - 1) if k not in losses]
    return best if losses[best] < math.inf else None


def _task(
    device: torch.device, base: Base, target: str, configuration: Result, exponent: int, seed: int, extent: Extent
) -> Task:  # fmt: skip
    of = {"base": base.digest, "target": target, **configuration, "learning_rate": rate_of(exponent), "seed": seed}
    return Task(of, extent.steps, partial(_measure, device, base, of, extent))


def _measure(device: torch.device, base: Base, of: Result, extent: Extent) -> Result:
    steps, batch_size, context = extent.steps, extent.batch, extent.context
    train = load_corpus(of["target"], "train")[: extent.corpus]
    held_out, source = (load_corpus(name, "validation")[: extent.held_out] for name in (of["target"], "source"))
    looked_at = (
        [steps] if of["seed"] == SEEDS[0] else sorted({math.ceil(steps * k / 30) for k in (1, 2, 4, 8, 15, 22, 30)})
    )

    empty = gpu.allocated(device)
    model = fresh(base)
    losses = partial(_losses, model, held_out, source, context)
    path = [[0, *losses()]]
    prepare(
        model, cast(Method, of["method"]), rank=of["rank"] or 1, alpha=ALPHA,
        targets=projections(of["layers"] or "all"), bottleneck=bottleneck(base.config), prompt_tokens=PROMPT_TOKENS,
        seed=of["seed"],
        **RELATIVES[of.get("relative", "LoRA")],
    )  # fmt: skip
    ratio = RATIO if of.get("relative") == "LoRA+" else 1.0
    optimiser = optimiser_of(model, device, dtype_on(device, "auto"), ratio=ratio)
    gpu.reset_peak(device)
    highest, seconds, began = 0, 0.0, gpu.now(device)
    for step, loss in training_steps(
        model, optimiser, train, steps=steps, batch_size=batch_size, context=context,
        learning_rate=of["learning_rate"], seed=of["seed"],
    ):  # fmt: skip
        if math.isnan(loss):
            return {"diverged": step, "target_loss": None, "source_loss": None}
        if step == 1:  # it loads kernels, and is left out of the time
            began = gpu.now(device)
        if step in looked_at:
            seconds += gpu.now(device) - began
            highest = max(highest, gpu.peak(device) or 0)
            path.append([step, *losses()])
            gpu.reset_peak(device)
            began = gpu.now(device)
    trained = {name: parameter.detach() for name, parameter in optimiser.trained.items()}
    return {
        "target_loss": path[-1][1],
        "source_loss": path[-1][2],
        "forgetting": path[-1][2] - path[0][2],
        "trainable": sum(parameter.numel() for parameter in trained.values()),
        "checkpoint_bytes": len(safetensors.torch.save(trained)),
        "tokens_per_second": (steps - 1) * batch_size * context / seconds,
        "memory": memory_of(model, optimiser, None if empty is None else highest - empty),
        "path": path,  # step, target loss, source loss; the first before anything was changed
    }


def _losses(model: GPT, held_out: Tensor, source: Tensor, context: int) -> list[float]:
    """Return the losses on the target and on the source."""
    return [evaluate(model, corpus, batch_size=128, context=context) for corpus in (held_out, source)]


def bottleneck(config: GPTConfig) -> int:
    """Return the inner width at which adapters have about as many parameters as LoRA of rank 8 on all layers."""
    per_unit = 2 * 2 * config.width * config.layers  # up and down, behind attention and feed-forward layer
    return max(1, round(lora_count(config, 8) / per_unit))
