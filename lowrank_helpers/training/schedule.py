"""What a step needs to know: its learning rate, its precision, its random numbers, its rank among processes."""

import atexit
import math
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lowrank_helpers import _checks

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def learning_rate_at(step: int, *, steps: int, peak: float, warmup: int, final: float) -> float:
    """Return the rate of a step: linear up to ``peak``, then half a cosine down to ``final`` times the peak.

    Parameters
    ----------
    step : int
        From 1 to ``steps``.
    steps, warmup : int
        Of the run, and of them the first that go up.
    peak, final : float
        The greatest rate, and the fraction of it that the cosine ends at.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        A number is out of range.

    References
    ----------
    Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983, equation 5, without restarts.

    Examples
    --------
    >>> [round(learning_rate_at(t, steps=6, peak=1.0, warmup=2, final=0.0), 3) for t in range(1, 7)]
    [0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    _checks.integer(steps, 1, None, "steps")
    _checks.integer(step, 1, steps, "step", limit="steps")
    _checks.integer(warmup, 0, steps, "warmup", limit="steps")
    _checks.number(peak, "peak", above=0.0)
    _checks.number(final, "final", least=0.0)
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * done)) / 2)


def dtype_on(device: torch.device, precision: Precision) -> torch.dtype:
    """Return the dtype of products: for "auto" bfloat16 if the GPU has it, float16 if not, float32 on a CPU."""
    if precision == "auto" and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision, torch.float32)


def seed_of_step(seed: int, step: int, rank: int) -> int:
    """Return the seed of this step in this process: dropout then needs no state from one step to the next."""
    return ((seed * 1_000_003 + step) * 1_009 + rank) % 2**63


def recomputed(generator: torch.Generator | None, function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """Return ``function(*arguments)``, which is computed again in the backward pass, with the same random numbers.

    torch sees to those of its global generators, which it puts back for the while (whoever draws from them in another
    thread then draws the same again), and this function to those of the generator.
    """
    if generator is None:
        return cast(Tensor, checkpoint(function, *arguments, use_reentrant=False))
    again = _Rewound(generator)
    return cast(
        Tensor, checkpoint(function, *arguments, use_reentrant=False, context_fn=lambda: (nullcontext(), again))
    )


class _Rewound:
    """A generator as it was when this was made, inside a with statement; afterwards it goes on as if nothing was."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator, self.then = generator, generator.get_state()

    def __enter__(self) -> None:
        self.now = self.generator.get_state()
        self.generator.set_state(self.then)

    def __exit__(self, *_: object) -> None:
        self.generator.set_state(self.now)


def process_count() -> int:
    """Return how many processes `processes` is going to join."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def processes(device: torch.device) -> tuple[int, int]:
    """Join the processes that torchrun started, if it did; give this one's rank and their number, the world size.

    They stay joined until they end: what a first group leaves in torchrun's store would lead a second one astray. A
    process that sees one GPU alone, by CUDA_VISIBLE_DEVICES, has it as cuda:0, whatever its rank.
    """
    if not dist.is_available():
        return 0, 1
    if "TORCHELASTIC_RUN_ID" in os.environ and not dist.is_initialized():
        if device.type == "cuda":
            local_rank = int(os.environ["LOCAL_RANK"])
            if torch.cuda.device_count() > 1 and device.index != local_rank:
                raise _checks.invalid(
                    f"the model of process {local_rank} must be on cuda:{local_rank}; got {device}. "
                    "Call model.to(f\"cuda:{os.environ['LOCAL_RANK']}\") first."
                )
            torch.cuda.set_device(device)
            dist.init_process_group("nccl", device_id=device)
        else:
            dist.init_process_group("gloo")
        atexit.register(_leave)
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
