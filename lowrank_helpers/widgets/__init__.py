"""What a reader moves, in any page and without a kernel: a picture's rank, the memory of a training step.

A widget shows itself in a notebook as self-contained HTML, made of the ``.html`` and ``.js`` beside its module. It asks
nothing of the network and carries no ids, so several can stand on one page.
"""

from lowrank_helpers.widgets.memory_calculator import MemoryCalculator as MemoryCalculator
from lowrank_helpers.widgets.memory_calculator import memory_calculator as memory_calculator
from lowrank_helpers.widgets.rank_slider import RankSlider as RankSlider
from lowrank_helpers.widgets.rank_slider import rank_slider as rank_slider
