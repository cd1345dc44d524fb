"""The book's numbered claims as data: ``chNN_name.py`` holds those of one chapter.

``tests/book/test_ledger.py`` runs them, and the book's ledger page lists them.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from book import margins


class Adapted:
    """Functions of the book, called as a check calls its code: ``Adapted(adapter, f)(x)`` is ``adapter(f, x)``."""

    def __init__(self, adapter: Callable[..., Any], *sources: Any) -> None:
        self.adapter, self.sources = adapter, sources

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.adapter(*self.sources, *args, **kwargs)


class Helper:
    """A function of the package that needs torch, which is imported when it is called: the book is built without."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = f"lowrank_helpers.{module}", name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(self.module), self.name)(*args, **kwargs)


def each(check: Callable[..., bool]) -> Callable[..., bool]:
    """The same check for several functions of the book: it holds where it holds with each."""
    return lambda codes, *case: all([check(code, *case) for code in codes])


def functions_of(code: Any) -> list[Callable[..., Any]]:
    """The functions that a claim's code consists of."""
    found: list[Callable[..., Any]] = []
    exchanged(code, lambda function: found.append(function) or function)
    return found


def exchanged(code: Any, exchange: Callable[[Any], Any]) -> Any:
    """A claim's code with each function exchanged for another."""
    if isinstance(code, Adapted):
        return Adapted(code.adapter, *(exchanged(source, exchange) for source in code.sources))
    if isinstance(code, tuple):
        parts = [exchanged(part, exchange) for part in code]
        return type(code)(*parts) if hasattr(code, "_fields") else tuple(parts)
    return exchange(code) if callable(code) else code


class Claim(NamedTuple):
    """One numbered claim, made executable.

    check
        ``check(code, *case)`` is True where the claim's conclusion holds on the case, computed with this code.
    code
        The implementation that the book uses: the chapter's own function where the chapter shows one
        (``definitions``), else the package's; several as a tuple; `Adapted` where a check calls it in another way.
        What is neither is named in tests/book/test_ledger.py, with the reason.
    cases
        Inputs that satisfy the hypotheses; the check holds on each.
    dropped
        Hypothesis dropped, in words, with the counter-example on which the check fails.
    mutants
        Wrong code, in words, that the same check rejects on at least one case.
    """

    check: Callable[..., bool]
    code: Any
    cases: Sequence[tuple[Any, ...]]
    dropped: Mapping[str, tuple[Any, ...]]
    mutants: Mapping[str, Any]


def rank(A, rtol=1e-10, size=None):
    """The ruler's `rank`, with the cut of chapters 1 to 7."""
    return margins.rank(A, rtol, size)


class Folklore(NamedTuple):
    """A misstatement of the folklore page: its short wording, that it fails, and that the correction holds."""

    wrong: str
    fails: Callable[[], bool]
    holds: Callable[[], bool]
