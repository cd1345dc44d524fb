"""Cross-entropy that never holds all logits: the largest tensor of a small model's training step, gone."""

import math
import threading
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers.training.schedule import recomputed

ENTRIES = 2**25  # logits held at a time, about: 128 MiB in float32
IGNORED = -100  # torch's ignore_index
_kept = threading.local()


def chunked_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of the logits ``hidden @ weight.T``, and keep its gradient instead of them.

    Targets of −100 are left out, as in ``torch.nn.functional.cross_entropy``: the mean is over the others.

    With P = softmax(hidden Wᵀ) and the one-hot rows Y of the targets, the gradients of the summed loss are (P − Y) W
    and (P − Y)ᵀ hidden. Both are at hand as soon as a few rows of P are, so the forward pass computes them chunk by
    chunk; what it keeps has the shape of ``hidden`` (and of W, if W is trained), not N × vocabulary.

    Parameters
    ----------
    hidden : Tensor, shape (N, width)
        Under ``torch.autocast`` the products run in its dtype; softmax and sums run in float32 in any case.
    weight : Tensor, shape (vocabulary, width)
        W of the output head.
    targets : Tensor of int64, shape (N,)
        From 0 to vocabulary − 1, or −100.

    Returns
    -------
    Tensor
        A float32 scalar, in nats (float64 for float64 input); NaN if all targets are left out.

    Raises
    ------
    TypeError, ValueError
        An argument is no tensor of its dtype, or the shapes do not fit.

    References
    ----------
    The idea of taking the gradient in the forward pass: Hsu et al. 2024, "Liger Kernel", arXiv:2410.10989, section 3.2.

    Examples
    --------
    >>> hidden, weight, targets = torch.zeros(6, 4), torch.randn(256, 4), torch.arange(6)
    >>> f"{chunked_cross_entropy(hidden, weight, targets):.4f}"  # log 256
    '5.5452'
    """
    for name, value in (("hidden", hidden), ("weight", weight), ("targets", targets)):
        if not isinstance(value, Tensor):
            raise _checks.mistyped(
                f"{name} must be a tensor; got {type(value).__name__}. Pass torch.as_tensor({name})."
            )
        kind, cast = ("int64", "long") if name == "targets" else ("floats", "float")
        if not (value.dtype == torch.int64 if name == "targets" else value.is_floating_point()):
            raise _checks.mistyped(
                f"{name} must be a tensor of {kind}; got a tensor of {value.dtype}. Pass {name}.{cast}()."
            )
    if hidden.ndim != 2 or not len(hidden):
        raise _checks.invalid(
            f"hidden must be a matrix with at least one row; got shape {tuple(hidden.shape)}. "
            "Pass hidden.flatten(0, -2)."
        )
    if weight.ndim != 2 or weight.shape[1] != hidden.shape[1]:
        raise _checks.invalid(
            f"weight must have {hidden.shape[1]} columns, as hidden has; "
            f"got shape {tuple(weight.shape)}. Pass the weight of the output head, (vocabulary, width)."
        )
    if targets.shape != hidden.shape[:1]:
        raise _checks.invalid(
            f"targets must hold one token for each of {len(hidden)} rows; "
            f"got shape {tuple(targets.shape)}. Cut both out of the same tokens."
        )
    if not torch.is_grad_enabled():
        hidden, weight = hidden.detach(), weight.detach()  # no gradient is then computed
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    loss: Tensor = _CrossEntropy.apply(hidden, weight, targets)  # type: ignore[no-untyped-call]
    return loss


def cross_entropy_of(
    head: nn.Module, hidden: Tensor, targets: Tensor, vocabulary: int, *, generator: torch.Generator | None = None
) -> Tensor:
    """Return the mean cross-entropy of the logits ``head(hidden)``, whatever the head computes them by.

    The logits of a chunk are computed again in the backward pass: slower than `chunked_cross_entropy`, as small. A head
    that draws random numbers does so from the generator.
    """
    accumulation_dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32

    def summed(part: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(head(part).to(accumulation_dtype), wanted, reduction="sum", ignore_index=IGNORED)

    tokens = max(1, ENTRIES // vocabulary)
    total = torch.zeros((), dtype=accumulation_dtype, device=hidden.device)
    for part, wanted in zip(torch.split(hidden, tokens), torch.split(targets, tokens), strict=True):
        total = total + recomputed(generator, summed, part, wanted)
    return total / (targets != IGNORED).sum()


def _scratch(entries: int, like: Tensor) -> Tensor:
    """Memory for logits. On a CPU each thread keeps its own, as fresh pages would cost a tenth of the step."""
    if like.device.type != "cpu" or torch.compiler.is_compiling():
        return like.new_empty(entries)  # a GPU's memory is kept by torch
    kept: Tensor | None = getattr(_kept, "logits", None)
    if kept is None or kept.dtype != like.dtype or len(kept) < entries:
        _kept.logits = kept = like.new_empty(entries)
    return kept[:entries]


class _CrossEntropy(torch.autograd.Function):
    """Sums in the forward pass, divided by N only at the end: in float16 (P − Y) / N would underflow.

    A target that is left out has a row of zeros in P − Y, and is not counted in N.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        accumulation_dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight, dtype=accumulation_dtype) if ctx.needs_input_grad[1] else None
        total = torch.zeros((), dtype=accumulation_dtype, device=hidden.device)
        chunks = math.ceil(len(hidden) * len(weight) / ENTRIES)
        tokens = math.ceil(len(hidden) / chunks / 8) * 8  # of equal chunks; products of odd sizes are slower
        logits = _scratch(len(weight) * min(tokens, len(hidden)), weight)
        nothing, shrink = hidden.new_zeros(1), 2.0**-8 if hidden.dtype == torch.float16 else 1.0
        counted = targets[None] != IGNORED
        chosen = targets[None].where(counted, 0)
        for start in range(0, len(hidden), tokens):
            part = hidden[start : start + tokens]
            wanted, counts = chosen[:, start : start + tokens], counted[:, start : start + tokens]
            # A column for each token: on a CPU the product is faster that way round, by a third.
            z = logits[: len(weight) * len(part)].view(len(weight), len(part))
            z = torch.mm(weight, part.T, out=z).to(accumulation_dtype)
            z -= z.amax(0)
            picked = z.gather(0, wanted)
            P = z.exp_()
            sums = P.sum(0)
            total += (sums.log() - picked).where(counts, 0).sum()
            if of_hidden is None and of_weight is None:
                continue
            P /= sums.where(counts, math.inf)
            error = P.scatter_add_(0, wanted, -counts.to(accumulation_dtype)).to(hidden.dtype)  # (P − Y)ᵀ
            if of_hidden is not None:
                of_hidden[start : start + tokens] = error.T @ weight
            if of_weight is not None:
                # Float16 ends at 65504, and sums over many tokens do not; a power of 2 costs no digits.
                of_weight.add_(torch.addmm(nothing, error, part, beta=0, alpha=shrink), alpha=1 / shrink)
        ctx.dtype, N = weight.dtype, counted.sum()
        ctx.save_for_backward(of_hidden, of_weight, N)
        return total / N

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if torch.is_grad_enabled():  # with create_graph=True: what was kept counts as constant, and must not silently
            raise RuntimeError(
                "chunked_cross_entropy: a gradient of its gradient is not computed; got create_graph=True. "
                "Use torch.nn.functional.cross_entropy for that."
            )
        of_hidden, of_weight, N = ctx.saved_tensors
        scale = of_loss / N
        return (
            None if of_hidden is None else of_hidden * scale,
            None if of_weight is None else (of_weight * scale).to(ctx.dtype),
            None,
        )
