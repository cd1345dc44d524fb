"""LoRA on the base model with five ways to step from the same factors, each at its own best rate.

    OMP_NUM_THREADS=1 python -m benchmarks.findings.gauge_free [--small --out FILE]

Adapters of rank 8 on all linear layers, 40 steps of 4 × 64 bytes of this book's prose, the rate warmed up over two
steps and then falling on a cosine to a tenth. The ways: gradient descent; the same with each factor's gradient divided
by the Gram matrix of the other factor (chapter 16); AdamW; AdamW on gradients so divided; AdamW from rows of A that are
singular vectors of the first batch's gradient. Each tries the same number of rates on one seed, judged on one half of
the held-out prose; the best runs with five other seeds, of data and of A, judged on the other half. A Gram matrix gets
DAMPING on its diagonal, as B = 0 at the start has none that could be inverted. An observation of chapter 16 reads the
result, which goes into lowrank_helpers/data/results/gauge_free.json.
"""

import argparse
import math
import pathlib
from typing import Any

import torch

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import training
from lowrank_helpers.lora import LoRALinear, add_lora, lora_parameters
from lowrank_helpers.training.corpus import Batches

RESULT = RESULTS / "gauge_free.json"
RANK, ALPHA, BATCH, CONTEXT, STEPS, DAMPING = 8, 16, 4, 64, 40, 1e-6
RATES = {
    "gradient descent": (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0),
    "preconditioned": (0.025, 0.05, 0.1, 0.2, 0.4, 0.8),
    "AdamW": (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
    "AdamW, preconditioned": (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
    "AdamW, from the gradient": (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
}
TUNING, TESTING = 100, range(5)
TEXT = training.load_corpus("book", "train")
HELD_OUT = training.load_corpus("book", "validation")
HALVES = {"tuning": HELD_OUT[:8_000], "testing": HELD_OUT[16_000:24_000]}


def start_from_gradient(model: training.GPT, tokens: torch.Tensor, targets: torch.Tensor) -> None:
    """Let the rows of each A be the first right singular vectors of G, as long together as the drawn rows."""
    layers = [layer for layer in model.modules() if isinstance(layer, LoRALinear)]
    weights = [layer.weight.requires_grad_(True) for layer in layers]
    gradients = torch.autograd.grad(model(tokens, targets), weights)
    for layer, W, G in zip(layers, weights, gradients, strict=True):
        W.requires_grad_(False)
        A = layer.adapter("default").A
        rows = torch.linalg.svd(G, full_matrices=False).Vh[: len(A)]
        A.data.copy_(rows * (A.norm() / rows.norm()))


def divided(gradient: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The gradient of a factor with its r rows, times the inverse of the other factor's damped Gram matrix."""
    return torch.linalg.solve(other @ other.T + DAMPING * torch.eye(len(other)), gradient)


def run(way: str, rate: float, seed: int, steps: int, held_out: torch.Tensor) -> float | None:
    """The loss on held-out prose after a run, None if it ran away."""
    model = add_lora(training.load_base_model(), RANK, alpha=ALPHA, targets=training.ALL_LINEAR, rng=seed)
    adapters = [layer.adapter("default") for layer in model.modules() if isinstance(layer, LoRALinear)]
    batches = Batches(TEXT, CONTEXT, seed)
    if way.endswith("from the gradient"):
        start_from_gradient(model, *batches(0, BATCH))
    parameters = lora_parameters(model)
    if way.startswith("AdamW"):
        optimiser: torch.optim.Optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=0.0)
    else:
        optimiser = torch.optim.SGD(parameters)
    for step in range(steps):
        tokens, targets = batches(step * BATCH, BATCH)
        loss = model(tokens, targets)
        if not math.isfinite(loss.item()):
            return None
        optimiser.zero_grad()
        loss.backward()
        if way.endswith("preconditioned"):
            for adapter in adapters:
                A, B, s = adapter.A, adapter.B, adapter.settings.scale
                assert A.grad is not None and B.grad is not None
                of_A, of_B = divided(A.grad, s * B.detach().T), divided(B.grad.T, s * A.detach()).T
                A.grad, B.grad = of_A, of_B
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate_at(step + 1, steps=steps, peak=rate, warmup=2, final=0.1)
        optimiser.step()
    found = training.evaluate(model, held_out, context=CONTEXT)
    return round(found, 4) if math.isfinite(found) else None


def study(way: str, rates: tuple[float, ...], seeds: range, steps: int) -> dict[str, Any]:
    """Choose the rate on one seed, and run it on the others."""
    tuning = [run(way, rate, TUNING, steps, HALVES["tuning"]) for rate in rates]
    rate = rates[min(range(len(rates)), key=lambda k: math.inf if tuning[k] is None else tuning[k])]
    testing = [run(way, rate, seed, steps, HALVES["testing"]) for seed in seeds]
    return {"rate": rate, "tuning": tuning, "testing": testing}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="another result of the same form, in seconds")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT, help="where to write")
    options = parser.parse_args(arguments)
    steps, seeds = (2, range(1)) if options.small else (STEPS, TESTING)
    base = training.evaluate(training.load_base_model(), HALVES["testing"], context=CONTEXT)
    found: dict[str, Any] = provenance("torch", "lowrank_helpers") | {
        "steps": steps,
        "rates": {way: list(rates) for way, rates in RATES.items()},
        "seeds": {"tuning": TUNING, "testing": list(seeds)},
        "untrained": round(base, 4),
        "ways": {},
    }
    for way, rates in RATES.items():
        found["ways"][way] = row = study(way, rates[::5] if options.small else rates, seeds, steps)
        print(way, row, flush=True)
    store(options.out, found)


if __name__ == "__main__":
    main()
