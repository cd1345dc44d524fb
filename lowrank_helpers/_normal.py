"""Normal random numbers from torch's generator that hang on no processor's instructions."""

import math

import torch
from torch import Tensor


def normal(*shape: int, std: float, generator: torch.Generator) -> Tensor:
    """Return float32 numbers of mean 0: those of ``Tensor.normal_`` with this generator, but rounded only once.

    The generator's uniform numbers are the same on every processor. Of these ``normal_`` takes logarithms and cosines
    by the vector instructions that it finds, whose last bits differ: weights of one seed then differ from machine to
    machine. Here the formula of Box and Muller is computed in float64, in the order in which ``normal_`` applies it
    (eight pairs at a time, and the last sixteen numbers anew where eight pairs do not fit).
    """
    size = math.prod(shape)
    drawn = torch.empty(size, device=generator.device)
    if size < 16 or generator.device.type != "cpu":  # few numbers are drawn one by one, in float64
        return drawn.normal_(std=std, generator=generator).reshape(shape)
    drawn.uniform_(generator=generator)
    whole = size - size % 16
    drawn[:whole] = _box_muller(drawn[:whole], std)
    if whole < size:
        drawn[-16:] = _box_muller(torch.rand(16, generator=generator), std)
    return drawn.reshape(shape)


def _box_muller(uniform: Tensor, std: float) -> Tensor:
    """Turn each eight pairs of uniform numbers into sixteen normal ones."""
    first, second = uniform.double().reshape(-1, 2, 8).unbind(1)
    radius, angle = (-2 * torch.log(1 - first)).sqrt() * std, 2 * math.pi * second
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1).flatten()
