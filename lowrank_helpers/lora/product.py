"""The product with W + s B A: its forward and backward pass, its sum, and a sample of a layer."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

SAMPLES = 64  # entries of W, and of b, by which a saved adapter knows its base again


class _LowRankLinear(torch.autograd.Function):
    """y = x Wᵀ + b + s (x Aᵀ) Bᵀ for a matrix x. It keeps x and h = A xᵀ; W and b get no gradient.

    For a gradient of the gradient h is computed again, as a function of A and x.
    Thin matrices have their r rows, not r columns: on a CPU some of these products are then five times as fast.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, b: Tensor | None, A: Tensor, B: Tensor, s: float) -> Tensor:
        h = A @ x.T
        ctx.save_for_backward(x, h, W, A, B)
        ctx.s = s
        return F.linear(x, W, b).addmm_(h.T, B.T, alpha=s)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, h, W, A, B = ctx.saved_tensors
        if torch.is_grad_enabled():
            h = A @ x.T
        dx = dA = dB = None
        g = B.T @ dy.T  # the gradient of h, but for s
        if ctx.needs_input_grad[0]:
            dx = (dy @ W.to(dy.dtype)).addmm_(g.T, A, alpha=ctx.s)
        if ctx.needs_input_grad[3]:
            dA = (g @ x).mul_(ctx.s)
        if ctx.needs_input_grad[4]:
            dB = (h @ dy).mul_(ctx.s).T
        return dx, None, None, dA, dB, None


def low_rank_linear(
    x: Tensor,
    W: Tensor,
    b: Tensor | None,
    A: Tensor,
    B: Tensor,
    s: float,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Compute x Wᵀ + b + s (x Aᵀ) Bᵀ, in the dtype of x or, under autocast, in that of autocast."""
    device = x.device.type
    if device != "meta" and torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        x = x.to(torch.get_autocast_dtype(device))
    A, B = A.to(x.dtype), B.to(x.dtype)  # outside the function, so that autograd casts the gradients back
    if dropout or W.requires_grad or (b is not None and b.requires_grad) or _transformed():
        return F.linear(x, W, b) + s * F.linear(F.linear(dropped(x, dropout, generator), A), B)
    y: Tensor = _LowRankLinear.apply(x.reshape(-1, x.shape[-1]), W, b, A, B, s)  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], y.shape[-1])


def mixed_linear(x: Tensor, W: Tensor, b: Tensor | None, A: Tensor, B: Tensor, s: Tensor, branch: Tensor) -> Tensor:
    """Compute x_i Wᵀ + b + s_i (branch_i A_iᵀ) B_iᵀ for each sequence i: one large product, two batches of thin ones.

    x is (batch, …, in), ``branch`` is x after dropout; A is (batch, r, in), B (batch, out, r), s (batch,).
    """
    device = x.device.type
    if device != "meta" and torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        x = x.to(torch.get_autocast_dtype(device))
    y, dtype = F.linear(x, W, b), x.dtype
    thin = branch.to(dtype).reshape(len(x), -1, x.shape[-1])
    with torch.autocast(device, enabled=False):
        h = torch.bmm(A.to(dtype), thin.mT) * s.to(dtype)[:, None, None]  # r rows, as in _LowRankLinear
        y.view(len(x), -1, y.shape[-1]).baddbmm_(h.mT, B.to(dtype).mT)
    return y


def dropped(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Let each entry be 0 with probability p, and divide the others by 1 − p.

    This is torch's dropout, which draws from its global generator only. On a CPU a seed gives the same either way.
    """
    if generator is None or p == 0:
        return F.dropout(x, p)
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator).div_(1 - p)


def dropped_each(x: Tensor, p: Sequence[float], generator: torch.Generator | None) -> Tensor:
    """Drop the entries of each sequence of x with its own probability."""
    if not any(p):
        return x
    kept = x.new_tensor([1 - q for q in p]).view(-1, *[1] * (x.ndim - 1))
    return x * torch.bernoulli(kept.expand_as(x), generator=generator) / kept


def gathered(parts: Sequence[Tensor], index: Sequence[int], rest: float) -> Tensor:
    """The part of each sequence, stacked; the index past the last part stands for one filled with ``rest``.

    Parts may differ in size; to what is smaller zeros are added at the ends.
    """
    shape = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
    if any(list(part.shape) != shape for part in parts):
        ends = [[end for d in (-1, -2) for end in (0, shape[d] - part.shape[d])] for part in parts]
        parts = [F.pad(part, end) for part, end in zip(parts, ends, strict=True)]
    stack = torch.stack(list(parts))
    if list(index) == list(range(len(parts))):
        return stack
    if len(parts) in index:
        stack = torch.cat([stack, torch.full_like(stack[:1], rest)])
    return stack[torch.tensor(index, device=stack.device)]


def _transformed() -> bool:
    """Whether torch.func's transforms or forward-mode differentiation are at work, which need plain operations."""
    if torch.compiler.is_compiling():
        return False
    return bool(torch._C._are_functorch_transforms_active()) or forward_ad._current_level >= 0


def accumulation_dtype(W: Tensor) -> torch.dtype:
    """The dtype for sums of weights. In float64 no setting for fast float32 products rounds them more coarsely."""
    return torch.float32 if W.device.type == "mps" else torch.float64


def product(B: Tensor, A: Tensor, dtype: torch.dtype) -> Tensor:
    """B A in this dtype, also where autocast is on."""
    with torch.autocast(A.device.type, enabled=False):
        return B.to(dtype) @ A.to(dtype)


def sample(W: Tensor) -> Tensor:
    """64 entries of W spread over its rows and columns, as float32, by which a weight is known again."""
    m, n = W.shape
    k = torch.arange(SAMPLES, device=W.device)
    entries: Tensor = W.detach()[k * m // SAMPLES, k * 37 % SAMPLES * n // SAMPLES]
    return entries.float()


def with_bias(entries: Tensor, base: nn.Linear) -> Tensor:
    """Entries of W, followed by 64 evenly spaced ones of the bias if there is one."""
    if base.bias is None:
        return entries
    b = base.bias.detach()
    return torch.cat([entries, b[torch.arange(SAMPLES, device=b.device) * len(b) // SAMPLES].float()])
