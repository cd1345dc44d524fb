"""A chapter's own functions, taken out of its text, so that the ledger runs the code that the reader sees.

``definitions(13, "solve_rows")`` is the function that chapter 13 defines under this name. Nothing else of the chapter
is run: only the function and what it reads, the imports, functions and constants above it.
"""

import ast
import builtins
import functools
import symtable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from book import ledger

FUNCTIONS = (ast.FunctionDef, ast.ClassDef)
# What may be run again apart from its chapter; a loop that fills a name is a computation, not a definition.
DEFINING = (*FUNCTIONS, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)


class Statement(NamedTuple):
    """A statement at the top level of a chapter: the index of its cell, and the names that it binds and reads."""

    cell: int
    node: ast.stmt
    binds: frozenset[str]
    reads: frozenset[str]


class Definition:
    """A function of a chapter. It is looked up when it is called, so that a claim can name it where no torch is."""

    def __init__(self, chapter: int | str, name: str) -> None:
        self.chapter, self.name = chapter, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _value(self.chapter, self.name)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"{self.name} of chapter {self.chapter}"


def definitions(chapter: int | str, name: str) -> Definition:
    """The function or class of this name in the chapter of this number; that of a side trip is "A1".

    Raises
    ------
    ValueError
        If the chapter defines no such function, or two of this name.
    """
    found = [s for s in functions(chapter) if name in s.binds]
    if len(found) != 1:
        raise ValueError(
            f"definitions: a name has to be defined once; chapter {chapter} defines {name} {len(found)} times."
        )
    return Definition(chapter, name)


def functions(chapter: int | str) -> list[Statement]:
    """The functions and classes that a chapter defines, in its order."""
    return [s for s in statements(chapter) if isinstance(s.node, FUNCTIONS)]


@functools.cache
def statements(chapter: int | str) -> list[Statement]:
    """A chapter's statements, in its order; the set-up cell, which only Colab needs, is left out."""
    return [
        Statement(index, node, *_names(node))
        for index, cell in enumerate(ledger.cells(ledger.numbered(chapter)))
        if cell["cell_type"] == "code" and "google.colab" not in cell["source"]
        for node in ast.parse(cell["source"]).body
    ]


def needed(chapter: int | str, name: str) -> list[Statement]:
    """What has to run for this function to exist: itself, and for each name that it reads the last binding above.

    Raises
    ------
    ValueError
        If it reads a name that the chapter computes, or changes in place.
    """
    text, [target] = statements(chapter), [s for s in functions(chapter) if name in s.binds]
    end = max(i for i, s in enumerate(text) if s.cell == target.cell)  # the rest of its cell can be read as well
    wanted: set[int] = set()

    def want(index: int, below: int) -> None:
        if index in wanted:
            return
        wanted.add(index)
        for read in sorted(text[index].reads - {name}):
            found = [i for i, s in enumerate(text[:below]) if read in s.binds]
            if not found and isinstance(text[index].node, FUNCTIONS):  # which the chapter calls further below
                found = [i for i, s in enumerate(text) if read in s.binds][:1]
            if not found:
                if hasattr(builtins, read):
                    continue
                raise ValueError(f"definitions: {name} of chapter {chapter} reads {read}, which nothing binds.")
            if not isinstance(text[found[-1]].node, DEFINING):
                raise ValueError(f"definitions: {name} of chapter {chapter} reads {read}, which the chapter computes.")
            # a function reads its names when it is called, any other statement where it stands
            want(found[-1], below if isinstance(text[found[-1]].node, FUNCTIONS) else found[-1])

    want(text.index(target), end + 1)
    return [text[i] for i in sorted(wanted)]


_replaced: dict[tuple[int | str, str], ast.stmt] = {}


@contextmanager
def replaced(chapter: int | str, name: str, node: ast.stmt) -> Iterator[None]:
    """Meanwhile, whoever runs the chapter's function of this name runs this other one, also through other functions."""
    _replaced[chapter, name] = node
    _value.cache_clear()
    try:
        yield
    finally:
        del _replaced[chapter, name]
        _value.cache_clear()


@functools.cache
def _value(chapter: int | str, name: str) -> Any:
    space: dict[str, Any] = {"__name__": f"chapter_{chapter}"}
    for statement in needed(chapter, name):
        node = statement.node
        if isinstance(node, FUNCTIONS):
            node = _replaced.get((chapter, node.name), node)
        file = f"chapter {chapter}, cell {statement.cell}"
        exec(compile(ast.Module([node], type_ignores=[]), file, "exec"), space)
    return space[name]


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """The global names that a statement binds or changes in place, and those that it reads."""
    table = symtable.symtable(ast.unparse(node), "chapter", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    for target in getattr(node, "targets", []):  # A[0, 1] = 2 changes A
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            binds.add(target.value.id)
    reads = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        reads |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
        inner += scope.get_children()
    return frozenset(binds), frozenset(reads)
