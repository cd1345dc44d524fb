"""What all checkers share: reading an answer safely, and the two sentences a checker can return."""

import math
import tracemalloc
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


def _real(answer: object, rule: str) -> NDArray[np.float64]:
    """Read real numbers of any shape; anything else raises NotYet with the rule."""
    try:
        read = np.asarray(answer)
        if read.dtype.kind == "c":  # as floats they would lose their imaginary parts
            raise NotYet(f"{rule}, and a real one, but {read.dtype} came.")
        return read.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise NotYet(f"{rule}, but a {type(answer).__name__} came.") from None


def shape_of(answer: object) -> tuple[int, ...]:
    """The shape of an answer that is real numbers; () for anything else, which `array` then refuses."""
    try:
        return _real(answer, "").shape
    except NotYet:
        return ()


def number(answer: object) -> float:
    """Read an answer that should be one finite real number; anything else raises NotYet."""
    read = _real(answer, "the answer should be one number")
    if read.size != 1:
        raise NotYet(f"the answer should be one number, but a {type(answer).__name__} came.")
    value = float(read.reshape(()))
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


def call_with_peak(function: object, *arguments: Any) -> tuple[Any, int]:
    """As `call`, and how many bytes Python and numpy held for it at most; what torch allocates is not seen."""
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        result = call(function, *arguments)
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()


def array(answer: object, shape: tuple[int, ...], name: str = "the result") -> NDArray[np.float64]:
    """Read an answer that should be a finite real array of this shape; anything else raises NotYet."""
    value = _real(answer, f"{name} should be an array of numbers")
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
