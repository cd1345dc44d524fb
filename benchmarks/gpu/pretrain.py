"""Part 4: a base model of 14.6 million parameters, trained on the source of the standard library.

How often does the text bear to be repeated? The model sees it 6 times, then, if the held-out loss fell, 12 times, from
the same initial weights, with a schedule of that length. Held equal: the text and its order, batch, learning rate,
weight decay, precision. The weights of the lower held-out loss are kept, for the other parts; that loss is the one by
which the grid measures forgetting, of which the better of two is a hair too low. Until both lengths are there the
others do not start from them.

18 times 7.6 million bytes at 9.5e7 FLOP each are 1.3e16 FLOP, 130 seconds at `plan.SMALL_RATE`; with three quarters of
a minute to compile each, less than four minutes.
"""

import hashlib
import platform
import statistics
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import device as gpu
from benchmarks.gpu.plan import SMALL_RATE
from benchmarks.gpu.shapes import LARGER, flops_per_token, parameters
from benchmarks.gpu.steps import source_text
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import LoadBase, fresh, load_weights, save_weights
from lowrank_helpers.training import GPT, Bookkeeping, GPTConfig, Plan, TrainingResult, evaluate, load_corpus, pretrain

QUESTIONS = (
    "How often may the text be repeated before the loss on files that were held out rises?",
    "Which share of the matrix rate measured on this device does training reach?",
)
SEEDS = (0,)
FIRST_GUESS = 1e6 * flops_per_token(LARGER, LARGER.context) / SMALL_RATE  # seconds for a million tokens
COMPILING = 45.0 / FIRST_GUESS  # takes as long as so many million tokens
EPOCHS = (6, 12)
FILES = tuple(f"weights/weights-{i}-of-2.safetensors" for i in (1, 2))  # in OUT, beside the results
SETTINGS: dict[str, Any] = {"learning_rate": 1e-3, "final_learning_rate": 0.02, "weight_decay": 0.1, "seed": 0}


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Train once for each length, until a longer run is no better."""
    del load_base  # this part makes it
    tiny = variant == "tiny"
    config = GPTConfig(context=64, width=32, heads=2, layers=2, hidden=64) if tiny else LARGER
    corpus, batch = source_text("train")[: 2000 if tiny else None], 8 if tiny else 64
    best = float("inf")
    for epochs in EPOCHS:
        steps = round(epochs * len(corpus) / (batch * config.context))
        measure = partial(_measure, device, config, corpus, steps, batch, best, out / "weights", tiny)
        work = COMPILING + steps * batch * config.context / 1e6
        result = yield Task({"epochs": epochs, "batch_size": batch, **SETTINGS}, work, measure)
        if "error" in result or result["validation"] >= best:
            return
        best = result["validation"]


def _measure(
    device: torch.device, config: GPTConfig, corpus: Tensor, steps: int, batch: int, best: float, folder: Path,
    tiny: bool,
) -> Result:  # fmt: skip
    held_out = load_corpus("source", "validation")[: 4096 if tiny else None]
    matrix_rate = partial(gpu.matrix_rate, device, 64 if tiny else 8192, warm_up=0.01 if tiny else 0.5)
    rates = [matrix_rate()]
    gpu.reset_peak(device)
    began = gpu.now(device)
    model, result, failure = _train(device, config, corpus, held_out, steps, batch, compile=not tiny)
    seconds, peak = gpu.now(device) - began, gpu.peak(device)
    rates.append(matrix_rate())
    speed = median_speed(result.log)
    assert result.validation is not None
    about: Result = {
        "parameters": parameters(config),
        "steps": steps,
        "context": config.context,
        "tokens": steps * batch * config.context,
        "training_seconds": seconds,
        "validation": result.validation,
        "loss": statistics.fmean(record["loss"] for record in result.log[-5:]),
        "tokens_per_second": speed,
        "flops_per_token": flops_per_token(config, config.context),
        "matrix_rates": rates,
        "share_of_matrix_rate": speed * flops_per_token(config, config.context) / statistics.fmean(rates),
        "peak": peak,
        "compiled": not tiny and failure is None,
        "compile_failure": failure,
        "corpus": {
            "python": platform.python_version(),
            "bytes": len(corpus),
            "sha256": hashlib.sha256(corpus.numpy().tobytes()).hexdigest(),
        },
        "curve": [[record["step"], round(record["loss"], 4)] for record in result.log],
        "validation_curve": [
            [record["step"], round(record["validation"], 4)] for record in result.log if "validation" in record
        ],
    }
    if result.validation < best:
        about["weights"] = save_weights(folder, model, {"validation": result.validation, "steps": steps})
        saved = fresh(load_weights(folder, device))
        about["validation_as_saved"] = evaluate(saved, held_out)  # rounded to bfloat16
    return about


def _train(
    device: torch.device, config: GPTConfig, corpus: Tensor, held_out: Tensor, steps: int, batch: int, *, compile: bool
) -> tuple[GPT, TrainingResult, str | None]:  # fmt: skip
    """Train compiled; if that fails, train without, and say what failed."""
    plan = Plan(steps=steps, batch_size=batch, **SETTINGS)
    books = Bookkeeping(validation=held_out, evaluate_every=max(1, steps // 12), log_every=10, progress=False)
    failure = None
    if compile:
        model = GPT(config).to(device)
        try:
            return model, pretrain(model, corpus, plan, replace(books, compile=True)), None
        except FloatingPointError:
            raise
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"[:500]
        del model
        gpu.free()
    model = GPT(config).to(device)
    return model, pretrain(model, corpus, plan, books), failure


def median_speed(log: list[dict[str, float]]) -> float:
    """Return tokens per second: the median over the stretches between records, so that compiling does not count."""
    ends = [(record["tokens"], record["tokens"] / record["tokens_per_second"]) for record in log]
    stretches = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in pairwise(ends)]
    return statistics.median(stretches)
