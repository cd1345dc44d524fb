"""Part 5: ways to adapt the larger base model, on two texts that it has not seen, each at its own learning rates.

The questions, written down before the run:

1. At which rank does LoRA on all linear layers come within 2 % of the target loss of full fine-tuning?
2. Does it forget less of the source where both have the same target loss, each at whichever of its rates and steps
   forgets least there? A rate that is best for the target says nothing about that, so frontiers are compared.
3. Is the learning rate that is best for it about 10 times that of full fine-tuning, as Schulman and Thinking Machines
   Lab found (2025, "LoRA Without Regret", thinkingmachines.ai/blog/lora), who also say more for short runs, about 15?

The third fixes the scale: α = 32, s = α / rank and Kaiming's A are theirs, and the factor means nothing with another
α, for under Adam α acts much as a learning rate does. Since the rate is tuned for each rank by itself, the scale
cannot favour one rank either.

Held equal: the base, the sequences and their order (a seed draws the same for every method), 100 steps of 16 × 512
tokens (about three times through a text; small: of 8 × 128, less than half of it), warm-up and cosine, AdamW without
weight decay, clipping, float32 weights with bfloat16 products (on a CPU float32), no compiling. The bottleneck adapters
have about as many parameters as LoRA of rank 8 on all layers. Every run keeps its path: both losses at seven steps.

Rates lie on a grid of half decades; the best on seed 0 is taken when both of its neighbours are worse. For full
fine-tuning and for some of LoRA's ranks there are two more, a quarter of a decade below and above it; of the best of
all these, of the one above it and of the two below it, all in quarters, the frontier is made. Seeds that had no part
in this choice give the results, their means and their intervals: five, and three for LoRA's ranks without a frontier.
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
    "Does it forget less of the source where both have the same target loss, each at its best rates for that?",
    "Is the learning rate that is best for it about 10 times that of full fine-tuning?",
)
SEEDS = (0, 1, 2, 3, 4, 5)  # the first tunes the learning rate, the others give the results
TARGETS = ("book", "tkinter")
LOOKS = (1, 2, 4, 8, 15, 22, 30)  # thirtieths of the steps after which both losses are measured
FRONTIER = (-1.0, -0.5, 0.0, 0.5)  # half decades from the best rate
FIRST_GUESS = 0.06  # seconds for a step, measuring included
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
_at_start: dict[tuple[Any, ...], list[float]] = {}
# Exponents k: the rate is 10^(k/2).
START: dict[str, float] = {"full": -6, "last block": -6, "adapters": -5, "prompt": -3, "lora": -5}


class Extent(NamedTuple):
    """How long a run is, and how many there are."""

    steps: int
    batch: int
    context: int  # tokens of a sequence
    ranks: tuple[int, ...]
    frontiers: tuple[int, ...]  # ranks, on all layers, that have one; full fine-tuning has one too
    results: tuple[int, ...]  # seeds
    others: tuple[int, ...]  # and for LoRA's ranks that have no frontier
    rates: int  # tried for a configuration at most
    corpus: int | None  # its first so many tokens
    held_out: int | None  # and of what the losses are measured on


EXTENTS: dict[gpu.Variant, Extent] = {
    "large": Extent(100, 16, 512, (8, 64, 1), (8, 64), SEEDS[1:], SEEDS[1:4], 10, None, None),
    "small": Extent(100, 8, 128, (1, 2, 4, 8, 64), (8, 64), SEEDS[1:], SEEDS[1:4], 10, None, 16_001),
    "tiny": Extent(2, 2, 32, (1, 8), (8,), SEEDS[1:3], SEEDS[1:3], 3, 257, 257),
}


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Tune and rerun every configuration on the one text, then on the other.

    What lies above the best rates comes last: it belongs to no frontier, and says where the best rate of a seed is.
    """
    del out
    base, extent = load_base(), EXTENTS[variant]
    for target in TARGETS:
        starts: dict[str, float] = dict(START)
        above = []
        for configuration in configurations(extent.ranks):
            start = starts[configuration["method"]]
            best = yield from tuned(device, base, target, configuration, start, extent)
            if best is None:
                continue
            starts[configuration["method"]] = best  # of the next rank
            rates = [best]
            if on_frontier(configuration, extent):
                rates = yield from refined(device, base, target, configuration, best, extent)
                above.append((configuration, rates.pop()))
            every = configuration["layers"] is None or len(rates) > 1
            for seed in extent.results if every else extent.others:
                for exponent in rates:
                    yield task(device, base, target, configuration, exponent, seed, extent)
        for configuration, exponent in above:
            for seed in extent.results:
                yield task(device, base, target, configuration, exponent, seed, extent)


def on_frontier(configuration: Result, extent: Extent) -> bool:
    """Whether a configuration is run at several rates on all seeds."""
    return configuration["method"] == "full" or (
        configuration["layers"] == "all" and configuration["rank"] in extent.frontiers
    )


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


def rate_of(exponent: float) -> float:
    """Return the learning rate of a point of the grid, 10^(exponent/2)."""
    return float(f"{10 ** (exponent / 2):.4g}")


def tuned_and_rerun(
    device: torch.device, base: Base, target: str, configuration: Result, start: float, extent: Extent
) -> Generator[Task, Result, float | None]:
    """Find the best rate of a configuration on the first seed, then run the others at it."""
    best = yield from tuned(device, base, target, configuration, start, extent)
    for seed in () if best is None else extent.others:
        yield task(device, base, target, configuration, best, seed, extent)
    return best


def tuned(
    device: torch.device, base: Base, target: str, configuration: Result, start: float, extent: Extent,
    *, by: float = 1,
) -> Generator[Task, Result, float | None]:  # fmt: skip
    """Find the best rate on the first seed: neighbours are tried until the best one has a worse one on each side."""
    losses: dict[float, float] = {}
    wanted = [start, start + by, start - by]
    while wanted and len(losses) < extent.rates:
        exponent = wanted.pop(0)
        result = yield task(device, base, target, configuration, exponent, SEEDS[0], extent)
        found = result.get("target_loss")
        losses[exponent] = math.inf if found is None else found
        best = min(losses, key=lambda k: losses[k])
        wanted = wanted or [k for k in (best + by, best - by) if k not in losses]
    return best if losses[best] < math.inf else None


def refined(
    device: torch.device, base: Base, target: str, configuration: Result, best: float, extent: Extent
) -> Generator[Task, Result, list[float]]:
    """Try the two rates between the best one and its neighbours; return the rates of the frontier, on the first seed.

    What was measured before paths were kept is measured again.
    """
    losses: dict[float, float] = {}
    for exponent in (best, best - 0.5, best + 0.5):
        result = yield task(device, base, target, configuration, exponent, SEEDS[0], extent, with_path=True)
        found = result.get("target_loss")
        losses[exponent] = math.inf if found is None else found
    best = min(losses, key=lambda k: losses[k])
    rates = [best + further for further in FRONTIER]
    for exponent in rates:
        if exponent not in losses:
            yield task(device, base, target, configuration, exponent, SEEDS[0], extent, with_path=True)
    return rates


def task(
    device: torch.device, base: Base, target: str, configuration: Result, exponent: float, seed: int, extent: Extent,
    *, with_path: bool = False,
) -> Task:  # fmt: skip
    """Return one run; ``with_path``: one whose losses on the way are known too."""
    of = {"base": base.digest, "target": target, **configuration, "learning_rate": rate_of(exponent), "seed": seed}
    return Task(of, extent.steps, partial(_measure, device, base, of, extent), _has_path if with_path else None)


def _has_path(result: Result) -> bool:
    return "diverged" in result or len(result["path"]) > 2


def looks(steps: int) -> list[int]:
    """Return the steps after which both losses are measured."""
    return sorted({math.ceil(steps * k / LOOKS[-1]) for k in LOOKS})


def _measure(device: torch.device, base: Base, of: Result, extent: Extent) -> Result:
    steps, batch_size, context = extent.steps, extent.batch, extent.context
    train = load_corpus(of["target"], "train")[: extent.corpus]
    held_out, source = (load_corpus(name, "validation")[: extent.held_out] for name in (of["target"], "source"))
    looked_at = looks(steps)

    empty = gpu.allocated(device)
    model = fresh(base)
    losses = partial(_losses, model, held_out, source, context)
    key = (base.digest, of["target"], context, len(held_out), len(source), device)
    if key not in _at_start:
        _at_start[key] = losses()  # before anything is changed: the same for all
    path = [[0, *_at_start[key]]]
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
            return {"diverged": step, "target_loss": None, "source_loss": None, "path": path}
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
