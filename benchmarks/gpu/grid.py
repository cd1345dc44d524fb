"""Part 2: ways to adapt the larger base model, on two texts that it has not seen, each at its own best learning rate.

The questions, written down before the run:

1. At which rank does LoRA on all linear layers come within 2 % of the target loss of full fine-tuning?
2. Does it forget less of the source, at the end of training, and where both have the same target loss?
3. Is the learning rate that is best for it about 10 times that of full fine-tuning, as Schulman and Thinking Machines
   Lab found (2025, "LoRA Without Regret", thinkingmachines.ai/blog/lora), who also say more for short runs, about 15?

The third fixes the scale: α = 32, s = α / rank and Kaiming's A are theirs, and the factor means nothing with another
α, for under Adam α acts much as a learning rate does. Since the rate is tuned for each rank by itself, the scale
cannot favour one rank either.

Held equal: the base, the sequences and their order (a seed draws the same for every method), 100 steps of 16 × 512
tokens (about three times through a text), warm-up and cosine, AdamW without weight decay, clipping, float32 weights
with bfloat16 products, no compiling. The bottleneck adapters have about as many parameters as LoRA of rank 8 on all
layers. Rates lie on a grid of half decades; the best on seed 0 is taken when both of its neighbours are worse. Seeds
1, 2 and 3, which had no part in that choice, give the results, their means and their intervals.
"""

import math
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import cast

import safetensors.torch
import torch
from torch import Tensor

from benchmarks.gpu import device as gpu
from benchmarks.gpu.answers import answers as answers
from benchmarks.gpu.shapes import lora_count
from benchmarks.gpu.steps import memory_of, optimiser_of, training_steps
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import Base, fresh, load_base
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
STEPS, BATCH = 100, 16
RANKS = (1, 2, 4, 8, 16, 32, 64)
ALPHA, PROMPT_TOKENS = 32.0, 16
LAYERS = {"all": ALL_LINEAR, "q, v": ("q_proj", "v_proj")}
MOST_RATES = 10  # tried for one configuration
START = {"full": -6, "last block": -6, "adapters": -5, "prompt": -3, "lora": -5}  # exponents: the rate is 10^(k/2)


def run(device: torch.device, *, tiny: bool, out: Path, weights: Path) -> Tasks:
    """Tune and rerun every configuration on the one text, then on the other."""
    base = load_base(device, tiny=tiny, out=out, weights=weights)
    for target in ("book", "tkinter"):
        starts = dict(START)
        for configuration in configurations(tiny):
            method = configuration["method"]
            best = yield from _tuned(device, base, target, configuration, starts[method], tiny)
            if best is None:
                continue
            starts[method] = best  # of the next rank
            for seed in SEEDS[1 : 3 if tiny else None]:
                yield _task(device, base, target, configuration, best, seed, tiny)


def configurations(tiny: bool) -> list[Result]:
    """Return the methods to compare, with LoRA's layers and ranks."""
    lora = [
        {"method": "lora", "layers": layers, "rank": rank}
        for layers in LAYERS
        for rank in ((1, 2) if tiny else RANKS)
        if not tiny or (layers, rank) != ("q, v", 1)
    ]
    others = [
        {"method": method, "layers": None, "rank": None} for method in ("full", "last block", "adapters", "prompt")
    ]
    return [others[0], *lora, *others[1:]]


def rate_of(exponent: int) -> float:
    """Return the learning rate of a point of the grid, 10^(exponent/2)."""
    return float(f"{10 ** (exponent / 2):.4g}")


def _tuned(
    device: torch.device, base: Base, target: str, configuration: Result, start: int, tiny: bool
) -> Generator[Task, Result, int | None]:
    """Find the best rate on the first seed: neighbours are tried until the best one has a worse one on each side."""
    losses: dict[int, float] = {}
    wanted = [start, start + 1, start - 1]
    while wanted and len(losses) < (3 if tiny else MOST_RATES):
        exponent = wanted.pop(0)
        result = yield _task(device, base, target, configuration, exponent, SEEDS[0], tiny)
        found = result.get("target_loss")
        losses[exponent] = math.inf if found is None else found
        best = min(losses, key=lambda k: losses[k])
        wanted = wanted or [k for k in (best + 1, best - 1) if k not in losses]
    return best if losses[best] < math.inf else None


def _task(
    device: torch.device, base: Base, target: str, configuration: Result, exponent: int, seed: int, tiny: bool
) -> Task:  # fmt: skip
    of = {"base": base.digest, "target": target, **configuration, "learning_rate": rate_of(exponent), "seed": seed}
    return Task(of, 2 if tiny else STEPS, partial(_measure, device, base, of, tiny))


def _measure(device: torch.device, base: Base, of: Result, tiny: bool) -> Result:
    batch_size, context, steps = (2, 32, 2) if tiny else (BATCH, base.config.context, STEPS)
    cut = slice(257 if tiny else None)
    train, held_out = (load_corpus(of["target"], split)[cut] for split in ("train", "validation"))
    source = load_corpus("source", "validation")[cut]
    looked_at = (
        [steps] if of["seed"] == SEEDS[0] else sorted({math.ceil(steps * k / 30) for k in (1, 2, 4, 8, 15, 22, 30)})
    )

    empty = gpu.allocated(device)
    model = fresh(base)
    losses = partial(_losses, model, held_out, source, context)
    path = [[0, *losses()]]
    prepare(
        model, cast(Method, of["method"]), rank=of["rank"] or 1, alpha=ALPHA, targets=LAYERS[of["layers"] or "all"],
        bottleneck=bottleneck(base.config), prompt_tokens=PROMPT_TOKENS, seed=of["seed"],
    )  # fmt: skip
    optimiser = optimiser_of(model, device, dtype_on(device, "auto"))
    gpu.reset_peak(device)
    highest, seconds, began = 0, 0.0, gpu.now(device)
    for step, loss in training_steps(
        model, optimiser, train, steps=steps, batch_size=batch_size, context=context,
        learning_rate=of["learning_rate"], seed=of["seed"],
    ):  # fmt: skip
        if math.isnan(loss):
            return {"diverged": step, "target_loss": None, "source_loss": None}
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
        "tokens_per_second": steps * batch_size * context / seconds,
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
