"""Weights of latent attention, and how near its two forms are."""

import torch

from book.margins import close
from lowrank_helpers.attention import (
    LatentWeights,
)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def make(heads=3, width=12, d_c=5, d_h=4, d_v=4, d_r=0, d_q=None, *, dtype=torch.float64, seed=0):
    """Weights of latent attention with these sizes."""
    asking = d_q or width
    shapes = {
        "W_DKV": (width, d_c),
        "W_UK": (d_c, heads * d_h),
        "W_UV": (d_c, heads * d_v),
        "W_Q": (asking, heads * d_h),
        "W_O": (heads * d_v, width),
    }
    if d_r:
        shapes |= {"W_KR": (width, d_r), "W_QR": (asking, heads * d_r)}
    if d_q:
        shapes["W_DQ"] = (width, d_q)
    return LatentWeights(
        **{
            name: draw(*shape, seed=seed + i, dtype=dtype) / shape[0] ** 0.5
            for i, (name, shape) in enumerate(shapes.items())
        }
    )


def near(a, b, factor=100.0):
    """Equal but for a few roundings in the dtype of a, at the size of b."""
    return close(a, b, atol=factor * torch.finfo(a.dtype).eps * max(1.0, float(b.abs().max())))
