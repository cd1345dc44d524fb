"""The steps of `lowrank_helpers.training.finetune`, one at a time, so that one can measure between them.

The parts are the trainer's own; a test asserts that both end in the same weights.
"""

import functools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.gpu.device import bytes_of
from lowrank_helpers.training.corpus import Batches, standard_library
from lowrank_helpers.training.model import GPT
from lowrank_helpers.training.optimiser import Optimiser
from lowrank_helpers.training.schedule import learning_rate_at

source_text = functools.cache(standard_library)  # a text in hundreds of files
BETAS, CLIP, FINAL = (0.9, 0.95), 1.0, 0.1  # as in `finetune`


def optimiser_of(model: nn.Module, device: torch.device, dtype: torch.dtype, *, ratio: float = 1.0) -> Optimiser:
    """Return AdamW on what requires a gradient, without weight decay; LoRA's B at ``ratio`` times the others' rate."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    times = {name: ratio for name in trained if name.endswith(".B")} if ratio != 1.0 else {}
    return Optimiser(trained, device, dtype, weight_decay=0.0, betas=BETAS, clip=CLIP, times=times)


def training_steps(
    model: GPT,
    optimiser: Optimiser,
    tokens: Tensor,
    *,
    steps: int,
    batch_size: int,
    context: int,
    learning_rate: float,
    seed: int,
) -> Iterator[tuple[int, float]]:
    """Take one step after another; yield its number, from 1, and its loss. A loss that is not finite is the last."""
    batches = Batches(tokens, context, seed)
    warmup = math.ceil(steps / 20)
    model.train()
    for step in range(1, steps + 1):
        gradient = optimiser.add_gradient(model, *batches((step - 1) * batch_size, batch_size), share=1.0)
        loss, norm = optimiser.clip_gradient(gradient, 1)
        if not math.isfinite(loss) or not math.isfinite(norm):
            yield step, math.nan
            return
        optimiser.step(learning_rate_at(step, steps=steps, peak=learning_rate, warmup=warmup, final=FINAL))
        yield step, loss


def memory_of(model: nn.Module, optimiser: Optimiser, peak: int | None) -> dict[str, int | None]:
    """Split the peak of a training run into bytes of weights, gradients, AdamW's state, and the rest: activations.

    A gradient has the dtype of its parameter. Weights rounded for the products are among the activations. These are a
    little more than it says, as the peak may come before all gradients are there: by their bytes at most.
    """
    moments = [value for kept in optimiser.adamw.state.values() for value in kept.values()]
    trained = list(optimiser.trained.values())
    split = {
        "weights": bytes_of(list(model.parameters())),
        "gradients": bytes_of(trained),
        "optimiser": bytes_of(moments),
    }
    return {**split, "peak": peak, "activations": None if peak is None else peak - sum(split.values())}
