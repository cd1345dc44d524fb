"""What training a Llama-shaped network needs in memory: the arithmetic, and a calculator for any page.

``training_memory`` counts weights, gradients and AdamW's moments exactly and estimates activations;
``memory_calculator()`` shows itself in a notebook as self-contained HTML (``memory.html``, ``memory.js``) with the
same arithmetic, for numbers that the reader types, without a kernel. It asks nothing of the network.
"""

import html
import json
import string
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from lowrank_helpers import _checks

KEPT = 23  # numbers that a block keeps for each token and unit of width; counted in chapter 17
PRESETS = {"0.1 B": (12, 768, 2048), "1 B": (18, 2048, 5632), "3 B": (28, 3072, 8192), "7 B": (32, 4096, 11008)}
CARDS = (16, 24, 80)  # GB: a T4, a card for games, an H100


class TrainingMemory(NamedTuple):
    """Bytes of weights with gradients and moments, and of activations."""

    state: float
    activations: float


def training_memory(
    layers: int,
    width: int,
    hidden: int,
    *,
    rank: int | None = None,
    frozen_bytes: float = 2.0,
    tokens: int = 2048,
    recompute: bool = False,
    vocabulary: int = 32_000,
) -> TrainingMemory:
    """Return the bytes that a training step holds, of a Llama-shaped network with AdamW in mixed precision.

    A trained parameter counts 16 bytes: in full fine-tuning weight and gradient in bfloat16 with a master copy and two
    moments in float32; of an adapter weight, gradient and moments in float32. Activations are an estimate: 23 numbers
    in bfloat16 for each layer, token and unit of width, as the book's small model keeps them.

    Parameters
    ----------
    layers, width, hidden : int
        Blocks; the width of the residual stream; the width inside of the feed-forward layers.
    rank : int, optional
        Of LoRA on all seven linear layers of a block; None for full fine-tuning.
    frozen_bytes : float
        Bytes of a frozen weight: 2 in bfloat16, 0.5 in four bits. Without a rank nothing is frozen.
    tokens : int
        Tokens in a forward pass, over all sequences of the batch.
    recompute : bool
        Whether a block keeps only its input, and computes the rest again in the backward pass.
    vocabulary : int
        Tokens that there are; embedding and head are separate.

    Returns
    -------
    TrainingMemory

    Raises
    ------
    TypeError, ValueError
        A number is out of range.

    References
    ----------
    Touvron et al. 2023, arXiv:2302.13971, Table 2, for the sizes; Rajbhandari et al. 2020, "ZeRO", section 3.1, for the
    16 bytes.

    Examples
    --------
    >>> training_memory(32, 4096, 11008).state / 16
    6738415616.0
    >>> round(training_memory(32, 4096, 11008, rank=16, frozen_bytes=0.5).state / 1e9, 3)
    4.009
    """
    for name, value in (("layers", layers), ("width", width), ("hidden", hidden), ("tokens", tokens)):
        _checks.integer(value, 1, None, "training_memory", name)
    _checks.integer(vocabulary, 1, None, "training_memory", "vocabulary")
    _checks.number(frozen_bytes, "training_memory", "frozen_bytes", above=0.0)
    _checks.flag(recompute, "training_memory", "recompute")
    N = layers * (4 * width**2 + 3 * width * hidden + 2 * width) + (2 * vocabulary + 1) * width
    activations = 2.0 * KEPT * layers * tokens * width
    if recompute:
        activations = activations / layers + 2.0 * layers * tokens * width
    if rank is None:
        return TrainingMemory(16.0 * N, activations)
    _checks.integer(rank, 1, None, "training_memory", "rank")
    n = layers * rank * (4 * 2 * width + 3 * (width + hidden))
    return TrainingMemory(16.0 * n + frozen_bytes * N, activations)


@dataclass(frozen=True)
class MemoryCalculator:
    """A form for the arguments of `training_memory`; a notebook shows it.

    Attributes
    ----------
    preset : str
        The size that is shown first.
    rank : int
        The rank that is shown first.
    """

    preset: str
    rank: int

    def __repr__(self) -> str:
        return f"MemoryCalculator({self.preset}, rank {self.rank})"

    def _repr_html_(self) -> str:
        layers, width, hidden = PRESETS[self.preset]
        state, activations = training_memory(layers, width, hidden, rank=self.rank)
        options = "".join(
            f"<option{' selected' if name == self.preset else ''}>{name}</option>" for name in [*PRESETS, "your own"]
        )
        part = files("lowrank_helpers").joinpath
        return string.Template(part("memory.html").read_text("utf-8")).substitute(
            data=html.escape(json.dumps({"presets": PRESETS, "kept": KEPT, "cards": CARDS, "vocabulary": 32_000})),
            options=options,
            lines='<line y1="0" y2="56"/>' * len(CARDS),
            layers=layers,
            width=width,
            hidden=hidden,
            rank=self.rank,
            still=f"LoRA of rank {self.rank} on a model of {self.preset} needs {state / 1e9:.1f} GB for weights, "
            f"gradients and moments, and about {activations / 1e9:.1f} GB for the activations of 2048 tokens.",
            script=part("memory.js").read_text("utf-8"),
        )


def memory_calculator(preset: str = "7 B", *, rank: int = 8) -> MemoryCalculator:
    """Show a form that says what training needs in memory, for numbers that the reader types.

    Parameters
    ----------
    preset : {"0.1 B", "1 B", "3 B", "7 B"}
        The size that is shown first.
    rank : int
        The rank of LoRA that is shown first.

    Returns
    -------
    MemoryCalculator
        An object that a notebook shows as a form.

    Raises
    ------
    TypeError, ValueError
        There is no such size, or the rank is no positive integer.

    Examples
    --------
    >>> memory_calculator("1 B")
    MemoryCalculator(1 B, rank 8)
    """
    _checks.choice(preset, tuple(PRESETS), "memory_calculator", "preset")
    return MemoryCalculator(preset, _checks.integer(rank, 1, None, "memory_calculator", "rank"))
