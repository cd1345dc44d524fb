"""The code that more than one chapter of *Low Rank: from norms to LoRA* needs.

Import the modules one by one: ``linalg``, ``factorizations``, ``svd``, ``datasets``, ``plotting`` and
``exercises``. This file imports none of them, so that ``import lowrank_helpers`` costs nothing.
"""

__version__ = "0.1.0"
