"""What a base of four bits costs a LoRA in loss (chapter 17).

    python -m benchmarks.findings.qlora

The book's base model learns its prose by LoRA of rank 8 on all linear layers, 40 steps of 8 × 64 bytes as in the
chapter's race: beside the weights as they are, beside the same in NF4, and beside the same in fifteen evenly spaced
levels, both in blocks of 64. The quantised weights are those of the layers that are adapted; embedding and head stay.
Each base has its own learning rate, the best of four on seed 0; seeds 1 to 5 give the losses, on the same sequences in
the same order for all. Losses are in nats per byte, on 8000 held-out bytes of prose and of source code. Four minutes.
"""

import argparse
import pathlib
from typing import Any, cast

import torch

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import training
from lowrank_helpers.compression import Levels, dequantise, quantise

RATES = (5.623e-3, 1e-2, 1.778e-2, 3.162e-2)
SEEDS = (1, 2, 3, 4, 5)
KINDS = {"float32": None, "nf4": "nf4", "evenly spaced": "absmax4"}
STEPS, BATCH, CONTEXT, HELD_OUT = 40, 8, 64, 8_000


def base(levels: str | None) -> training.GPT:
    """The book's base, the weights of its linear layers rounded to these levels."""
    model = training.load_base_model()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if levels is not None and "proj" in name:
                weight.copy_(dequantise(quantise(weight, levels=cast(Levels, levels))))
    return model


def losses(model: training.GPT) -> list[float]:
    """On the prose and on source code."""
    texts = (training.load_corpus(name, "validation")[:HELD_OUT] for name in ("book", "source"))
    return [round(training.evaluate(model, text, context=CONTEXT), 6) for text in texts]


def trained(levels: str | None, rate: float, seed: int) -> list[float]:
    """Both losses after a run."""
    model = base(levels)
    plan = training.Plan(steps=STEPS, learning_rate=rate, seed=seed, batch_size=BATCH, context=CONTEXT)
    training.finetune(
        model, training.load_corpus("book", "train"), plan, training.Bookkeeping(progress=False),
        method="lora", rank=8, alpha=32,
    )  # fmt: skip
    return losses(model)


def main(arguments_given: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "qlora.json")
    arguments = parser.parse_args(arguments_given)
    torch.set_num_threads(1)
    result: dict[str, Any] = {**provenance("numpy", "torch"), "seeds": list(SEEDS), "rates": list(RATES), "of": {}}
    for kind, levels in KINDS.items():
        tried = [trained(levels, rate, 0) for rate in RATES]
        best = min(range(len(RATES)), key=lambda k: tried[k][0])
        runs = [trained(levels, RATES[best], seed) for seed in SEEDS]
        result["of"][kind] = {"untrained": losses(base(levels)), "tried": tried, "rate": RATES[best], "runs": runs}
        print(kind, result["of"][kind], flush=True)
    store(arguments.out, result)


if __name__ == "__main__":
    main()
