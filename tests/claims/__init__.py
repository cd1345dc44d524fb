"""The book's numbered claims as data: ``chNN_name.py`` holds those of one chapter.

``tests/test_ledger.py`` runs them, and the book's ledger page lists them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests import margins


class Claim(NamedTuple):
    """One numbered claim, made executable.

    check
        ``check(code, *case)`` is True where the claim's conclusion holds on the case, computed with this code.
    code
        The implementation that the book uses.
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
