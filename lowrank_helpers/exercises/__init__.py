"""Checkers for the book's exercises: one module a chapter, one function an exercise.

The exercise labelled ``ex-norms-unit-ball`` is checked by ``exercises.norms.unit_ball(answer)``. A checker takes
your function or your number and returns a sentence that begins with "Right" or "Not yet"; it says what is wrong
and never what the answer is.
"""

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
