"""Part 8: what merging costs in accuracy, for each dtype of the weights.

An adapter of rank 16 on all linear layers is trained on the book's prose, in float32; then the base is rounded to a
dtype, and s B A is merged into it and taken out again, as `merge_lora` and `unmerge_lora` do: computed in float64,
rounded once. Held equal: base, adapter, texts; the products of the forward pass run in the dtype of the weights, the
adapter's too.
"""

import copy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu import device as gpu
from benchmarks.gpu import grid
from benchmarks.gpu.steps import optimiser_of, training_steps
from benchmarks.gpu.study import Result, Task, Tasks
from benchmarks.gpu.weights import Base, LoadBase, fresh
from lowrank_helpers.lora import LoRALinear, disable_lora, merge_lora, unmerge_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, evaluate, load_corpus, prepare
from lowrank_helpers.training.schedule import dtype_on

QUESTIONS = (
    "How large is the error of merging, relative to the weights and relative to the update, in each dtype?",
    "How much do logits and losses change?",
    "Does taking the adapter out again restore the weights?",
)
SEEDS = (0,)
FIRST_GUESS = 15.0  # seconds for a dtype, training the adapter included
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
RANK, RATE = 16, 1e-3


def run(device: torch.device, *, variant: gpu.Variant, out: Path, load_base: LoadBase) -> Tasks:
    """Train the adapter once it is needed, then measure in each dtype."""
    del out
    base = load_base()
    trained: list[GPT] = []
    for name in DTYPES:
        of = {"base": base.digest, "dtype": name, "rank": RANK, "learning_rate": RATE}
        yield Task(of, 1.0, partial(_measure, device, base, trained, name, grid.EXTENTS[variant]))


def _adapted(device: torch.device, base: Base, extent: grid.Extent) -> GPT:
    """Return the base with an adapter that was trained on the book's prose."""
    model = fresh(base)
    prepare(model, "lora", rank=RANK, alpha=grid.ALPHA, targets=ALL_LINEAR, seed=SEEDS[0])
    optimiser = optimiser_of(model, device, dtype_on(device, "auto"))
    for _ in training_steps(
        model, optimiser, load_corpus("book", "train"), steps=extent.steps, batch_size=extent.batch,
        context=extent.context, learning_rate=RATE, seed=SEEDS[0],
    ):  # fmt: skip
        pass
    return model.eval()


def _measure(device: torch.device, base: Base, trained: list[GPT], name: str, extent: grid.Extent) -> Result:
    if not trained:
        trained.append(_adapted(device, base, extent))
    model = copy.deepcopy(trained[0])
    for path, parameter in model.named_parameters():
        if ".adapters." not in path:  # these stay in float32
            parameter.data = parameter.data.to(DTYPES[name])
    text, context = load_corpus("book", "validation")[: extent.held_out], extent.context
    rows = text[: 4 * context].reshape(4, context).long().to(device)

    before = [layer.weight.detach().clone() for layer in layers_of(model)]
    with disable_lora(model):
        found: Result = {"loss_of_base": _loss(model, text, context)}
    found["loss_with_adapter"] = _loss(model, text, context)
    logits = _logits(model, rows)
    exact = [_exact(layer) for layer in layers_of(model)]
    merge_lora(model)
    merged = [layer.weight.detach().double() for layer in layers_of(model)]
    found["loss_merged"] = _loss(model, text, context)
    change = _logits(model, rows) - logits
    unmerge_lora(model)
    after = [layer.weight.detach() for layer in layers_of(model)]
    with disable_lora(model):
        found["loss_of_base_restored"] = _loss(model, text, context)

    error = [W - V for W, (V, _) in zip(merged, exact, strict=True)]
    lost = [W.double() - V.double() for W, V in zip(after, before, strict=True)]
    entries = sum(W.numel() for W in before)
    return found | {
        "update_relative_to_weights": _norm([D for _, D in exact]) / _norm([W.double() for W in before]),
        "error_relative_to_weights": _norm(error) / _norm([V for V, _ in exact]),
        "error_relative_to_update": _norm(error) / _norm([D for _, D in exact]),
        "change_of_logits": float(change.abs().max()),
        "change_of_logits_relative": float(change.norm() / logits.norm()),
        "restored_exactly": all(torch.equal(W, V) for W, V in zip(after, before, strict=True)),
        "entries_not_restored": sum(int((D != 0).sum()) for D in lost) / entries,
        "greatest_difference_after": max(float(D.abs().max()) for D in lost),
        "difference_after_relative_to_weights": _norm(lost) / _norm([W.double() for W in before]),
    }


def layers_of(model: GPT) -> list[LoRALinear]:
    """Return the layers with adapters."""
    return [module for module in model.modules() if isinstance(module, LoRALinear)]


@torch.no_grad()
def _exact(layer: LoRALinear) -> tuple[Tensor, Tensor]:
    """Return W + s B A and s B A in float64."""
    adapter = layer.adapter("default")
    update = adapter.settings.scale * (adapter.B.double() @ adapter.A.double())
    return layer.weight.double() + update, update


@torch.no_grad()
def _logits(model: GPT, rows: Tensor) -> Tensor:
    logits: Tensor = model(rows)
    return logits.double()


def _loss(model: GPT, text: Tensor, context: int) -> float:
    return evaluate(model, text, context=context, precision="float32")  # no autocast: the dtype of the weights


def _norm(matrices: list[Tensor]) -> float:
    """Return the Frobenius norm of all of them together."""
    return float(torch.stack([matrix.norm() for matrix in matrices]).norm())
