"""A calculator of the memory of a training step: `costs.training_memory` for numbers that the reader types."""

import html
import json
import string
from dataclasses import dataclass
from importlib.resources import files

from lowrank_helpers import _checks
from lowrank_helpers.costs import KEPT, training_memory

PRESETS = {"0.1 B": (12, 768, 2048), "1 B": (18, 2048, 5632), "3 B": (28, 3072, 8192), "7 B": (32, 4096, 11008)}
CARDS = (16, 24, 80)  # GB: a T4, a card for games, an H100


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
        part = files("lowrank_helpers.widgets").joinpath
        return string.Template(part("memory_calculator.html").read_text("utf-8")).substitute(
            data=html.escape(json.dumps({"presets": PRESETS, "kept": KEPT, "cards": CARDS, "vocabulary": 32_000})),
            options=options,
            lines='<line y1="0" y2="56"/>' * len(CARDS),
            layers=layers,
            width=width,
            hidden=hidden,
            rank=self.rank,
            still=f"LoRA of rank {self.rank} on a model of {self.preset} needs {state / 1e9:.1f} GB for weights, "
            f"gradients and moments, and about {activations / 1e9:.1f} GB for the activations of 2048 tokens.",
            script=part("memory_calculator.js").read_text("utf-8"),
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
    _checks.choice(preset, tuple(PRESETS), "preset")
    return MemoryCalculator(preset, _checks.integer(rank, 1, None, "rank"))
