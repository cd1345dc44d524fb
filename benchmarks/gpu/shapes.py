"""Sizes of models, and arithmetic on them: parameters, floating-point operations, bytes.

The shape of 7 B is LLaMA-7B's (Touvron et al. 2023, arXiv:2302.13971, table 2, with its hidden width of 11008 and its
vocabulary of 32000); the others have its proportions.
"""

import functools
import math
from collections.abc import Sequence

import torch

from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig

# The GPU's own base model, 14.6 M: in bfloat16 two files of 15 MiB at most, which together with what git tracks are far
# below the 64 MiB that may have to travel to a GPU.
LARGER = GPTConfig(context=512, width=384, heads=6, layers=8, hidden=1024)
SHAPES = {
    "0.1B": GPTConfig(32000, 2048, 768, heads=12, layers=12, hidden=2048, positions="rotary"),
    "1B": GPTConfig(32000, 2048, 2048, heads=32, layers=18, hidden=5632, positions="rotary"),
    "3B": GPTConfig(32000, 2048, 3072, heads=24, layers=28, hidden=8192, positions="rotary"),
    "7B": GPTConfig(32000, 2048, 4096, heads=32, layers=32, hidden=11008, positions="rotary"),
}
TINY = GPTConfig(512, 64, 32, heads=2, layers=2, hidden=64, positions="rotary")  # in place of any of them, on a CPU


@functools.cache
def parameters(config: GPTConfig) -> int:
    """Return how many parameters a model has."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in GPT(config).parameters())


def linear_shapes(config: GPTConfig) -> dict[str, tuple[int, int]]:
    """Return (out, in) of the linear layers of a block, by name."""
    width, hidden = config.width, config.hidden
    shapes = dict.fromkeys(ALL_LINEAR[:4], (width, width))
    return shapes | {"gate_proj": (hidden, width), "up_proj": (hidden, width), "down_proj": (width, hidden)}


def lora_count(config: GPTConfig, rank: int, targets: Sequence[str] = ALL_LINEAR) -> int:
    """Return how many parameters LoRA trains: rank (out + in) for each layer."""
    return config.layers * sum(rank * sum(linear_shapes(config)[target]) for target in targets)


def flops_per_token(config: GPTConfig, tokens: int, *, rank: int | None = None, keys: float | None = None) -> float:
    """Return the floating-point operations that a training step needs for each token, recomputation left out.

    A matrix of N entries costs 2N for a token in the forward pass, 2N for the gradient of its input and 2N for its own.
    Full fine-tuning needs all three for all matrices, the head included: 6N. LoRA needs no gradient of a frozen
    matrix: 4N, and 6n for its own n parameters; the first block's inputs need no gradient either, which leaves out its
    q, k and v. A query meets (tokens + 1) / 2 keys on average, as the mask hides the others; its scores and its mixture
    cost 4 · width for each, and the backward pass twice that.

    Parameters
    ----------
    config : GPTConfig
    tokens : int
        Length of a sequence.
    rank : int, optional
        Of LoRA on all seven linear layers; by default all parameters are trained.
    keys : float, optional
        Keys that a query meets, for a kernel that computes the hidden scores too.

    Returns
    -------
    float

    References
    ----------
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1 (6N, of which 2N forward); Chowdhery et al. 2022,
    arXiv:2204.02311, appendix B (the share of the peak; there with all keys).

    Examples
    --------
    >>> full, lora = (flops_per_token(SHAPES["7B"], 2048, rank=rank) for rank in (None, 8))
    >>> f"{full / 1e9:.1f} {lora / 1e9:.1f}"
    '41.3 28.1'
    """
    width = config.width
    linear = config.layers * sum(out * in_ for out, in_ in linear_shapes(config).values()) + config.vocabulary * width
    attention = 4 * width * ((tokens + 1) / 2 if keys is None else keys) * config.layers
    if rank is None:
        return 6 * linear + 3 * attention
    return 4 * linear + 6 * lora_count(config, rank) + 3 * attention - 2 * 3 * (width * width + rank * width)


def expected_bytes(
    config: GPTConfig, rank: int | None, targets: Sequence[str] = ALL_LINEAR, *, again: bool = False
) -> dict[str, int]:
    """Return what weights, gradients, AdamW's moments and rounded copies take, by arithmetic; activations come on top.

    Full fine-tuning in mixed precision: float32 weights, gradients and two moments, 16 bytes a parameter. LoRA: two
    bytes for each frozen parameter, in bfloat16, and those 16 for each of its own. "copies": what is trained in a
    block's matrices is rounded to bfloat16 for the products, and autograd keeps that from the forward pass until the
    backward pass comes by, 2 bytes each (the loss does not keep the head's; with activations computed ``again`` there
    are none). The backward pass makes the gradients as it lets go of the copies, so the "total", which is held at once,
    has the greater of the two, always the gradients.
    """
    in_blocks = config.layers * sum(out * in_ for out, in_ in linear_shapes(config).values())
    rounded = in_blocks if rank is None else lora_count(config, rank, targets)
    trained = parameters(config) if rank is None else lora_count(config, rank, targets)
    frozen = 0 if rank is None else parameters(config)
    found = {"weights": 2 * frozen + 4 * trained, "gradients": 4 * trained, "optimiser": 8 * trained}
    return found | {"copies": 0 if again else 2 * rounded, "total": sum(found.values())}


def random_model(config: GPTConfig, device: torch.device, dtype: torch.dtype, seed: int = 0) -> GPT:
    """Return a model with weights drawn on the device itself, of the same spread as those that `GPT` draws.

    `GPT` draws on the CPU, so that a seed means the same weights everywhere, which takes minutes for 7 B.
    """
    with torch.device("meta"):
        model = GPT(config).to(dtype)
    model.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(seed)
    small = 0.02 / math.sqrt(2 * config.layers)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                weight.fill_(1.0)
            else:
                writes = name.endswith(("o_proj.weight", "down_proj.weight"))  # into the residual stream
                weight.normal_(std=small if writes else 0.02, generator=generator)
    return model
