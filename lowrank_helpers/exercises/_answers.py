"""What all checkers share: reading an answer safely, and the two sentences a checker can return."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NotYet(Exception):
    """Raised while an answer is read; its message is the sentence that the reader gets."""


def right(remark: str) -> str:
    """The sentence for a right answer: ``Right: …`` with a remark that adds something."""
    return f"Right: {remark}"


def not_yet(reason: str) -> str:
    """The sentence for a wrong answer: ``Not yet: …`` with what is wrong."""
    return f"Not yet: {reason}"


def number(answer: object) -> float:
    """Read an answer that should be one finite real number; anything else raises NotYet."""
    try:
        value = float(np.asarray(answer, dtype=float).reshape(()))
    except (TypeError, ValueError):
        raise NotYet(f"the answer should be one number, but a {type(answer).__name__} came.") from None
    if not math.isfinite(value):
        raise NotYet(f"the answer should be a finite number, but {value} came.")
    return value


def call(function: object, *arguments: Any) -> Any:
    """Call the reader's function on copies of the arguments; whatever goes wrong becomes a sentence."""
    if not callable(function):
        raise NotYet(f"pass the function itself, without calling it; a {type(function).__name__} came.")
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    try:
        result = function(*copies)
    except Exception as error:
        raise NotYet(f"your function raised {type(error).__name__}: {error}") from error
    if result is None:
        raise NotYet("your function returned None; is the return statement missing?")
    return result


def array(answer: object, shape: tuple[int, ...], name: str = "the result") -> NDArray[np.float64]:
    """Read an answer that should be a finite real array of this shape; anything else raises NotYet."""
    try:
        value = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise NotYet(f"{name} should be an array of numbers, but a {type(answer).__name__} came.") from None
    if value.shape != shape:
        raise NotYet(f"{name} should have shape {shape}, but has shape {value.shape}.")
    if not np.isfinite(value).all():
        raise NotYet(f"{name} has entries that are not finite.")
    return value


def checker(check: Callable[[Any], str]) -> Callable[[object], str]:
    """Decorator for a checker: a NotYet raised while the answer is read becomes the sentence returned."""

    def checked(answer: object) -> str:
        try:
            return check(answer)
        except NotYet as reason:
            return not_yet(str(reason))

    checked.__name__, checked.__doc__ = check.__name__, check.__doc__
    checked.__module__, checked.__qualname__ = check.__module__, check.__qualname__
    return checked
