"""Plant wrong code in the chapters' functions, one at a time, and count who notices: the ledger, or the chapter itself.

    python -m tools.mutate                        300 mutants, drawn with a seed from all functions of all chapters
    python -m tools.mutate --count 40 --seed 1 --chapters 6 13

A mutant is killed by the ledger when a claim that runs the function fails, raises or does not end; by the chapter when
one of its cells raises (its asserts do) or prints something else than what is stored. Cells that nbval does not compare
are not compared here. What survives is printed; a survivor in EQUIVALENT is no fault of the tests, and says why. This
takes about an hour; the weekly workflow runs it, and whoever releases. Unix only: each mutant lives in a fork.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import io
import os
import random
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from book import definitions, ledger

# Seconds of computing for one mutant, before the claims and before its chapter; who has not ended by then is noticed.
BEFORE_THE_LEDGER, BEFORE_THE_CHAPTER = 40, 150


class Mutant(NamedTuple):
    """A function of a chapter with one place changed by one operator."""

    chapter: int | str
    name: str
    operator: str
    change: str
    node: ast.stmt


# Survivors that compute the same, that differ where the book promises nothing, or that a test notices which is not run
# here, and why: one change of a function, or the function with whatever change.
TIMES = "seconds of this machine, which no cell prints to be compared"
LIMIT = "a limit of iterations that is not reached"
SIZE = "a size in a figure"
HUB = "noticed by tests/book/test_chapter_hub.py, which runs this cell with models of its own"
EQUIVALENT: dict[tuple[int, str, str] | tuple[int, str], str] = {
    (1, "milliseconds"): TIMES,
    (4, "orthonormal_of_ten", "50 -> 51"): "other matrices of the same condition number: the counts are the same",
    (4, "orthonormal_of_ten", "5 -> 6"): "other matrices of low rank: the counts are the same",
    (4, "orthonormal_of_ten", "1 -> 2"): "a condition number twice or half as large: the counts are the same",
    (4, "orthonormal_of_ten", "1e-11 -> 2e-11"): "overlaps are far below or far above: the counts are the same",
    (5, "milliseconds"): TIMES,
    (6, "tangents", "0 -> 1"): "another seed: the bound holds from any start",
    (6, "escape", "1 -> 2"): "a longer step along the same way out: any that is long enough does",
    (7, "seconds"): TIMES,
    (11, "block_error", "3000 -> 3001"): LIMIT,
    (11, "compare", "3000 -> 3001"): LIMIT,
    (11, "degrees", "1 -> 2"): "a guard against rounding, at angles that are not 0",
    (11, "four_ways", "3000 -> 3001"): LIMIT,
    (11, "sparse_hals", "3000 -> 3001"): LIMIT,
    (11, "successive_projection", "1 -> 2"): "a column of zeros is 0, by whatever it is divided",
    (12, "backgrounds", "0.001 -> 0.002"): "twice the gap: the errors agree in all digits that are printed",
    (15, "seconds"): TIMES,
    (17, "accuracy"): HUB,
    (17, "adapted", "10 -> 11"): HUB,
    (17, "make_base"): "the large run: only a GPU makes it, and no output is of it",
    (17, "over_ranks", "3 -> 4"): SIZE,
}


def _integer(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def sign(node: ast.AST) -> Iterator[ast.AST]:
    """a + b for a - b, and the other way; a for -a."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right)
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        yield ast.AugAssign(node.target, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


def index(node: ast.AST) -> Iterator[ast.AST]:
    """The next index for an index; what a slice leaves out for the slice."""
    if not isinstance(node, ast.Subscript):
        return
    places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for i, place in enumerate(places):
        if _integer(place):
            changed: ast.expr = ast.Constant(place.value + 1)  # type: ignore[attr-defined]
        elif isinstance(place, ast.Slice) and (place.lower is None) != (place.upper is None) and place.step is None:
            changed = ast.Slice(place.upper, place.lower)
        else:
            continue
        others = [*places[:i], changed, *places[i + 1 :]]
        yield ast.Subscript(node.value, ast.Tuple(others, ast.Load()) if len(others) > 1 else changed, node.ctx)


def transpose(node: ast.AST) -> Iterator[ast.AST]:
    """A for A.T."""
    if isinstance(node, ast.Attribute) and node.attr == "T" and isinstance(node.ctx, ast.Load):
        yield node.value


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """The next whole number for one, 1.0 for 0.0 and twice another number; indices have their own operator."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1 if type(node.value) is int else 2 * node.value or 1.0)


def dropped_term(node: ast.AST) -> Iterator[ast.AST]:
    """a for a + b, a - b, a * b and a / b."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        yield node.left


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """The opposite comparison, the other connective."""
    turned = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in turned:
        yield ast.Compare(node.left, [turned[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


OPERATORS = (sign, index, transpose, constant, dropped_term, comparison)


def mutants(chapter: int | str, function: ast.stmt) -> list[Mutant]:
    """All mutants of one function, in the order of its text: one operator at one place."""
    found = []
    body = getattr(function, "body", [])
    for operator in OPERATORS:
        places = [node for statement in body for node in ast.walk(statement)]
        inside = {id(part) for node in places if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
        for i, place in enumerate(places):
            if operator is constant and id(place) in inside:
                continue
            for k, _ in enumerate(operator(place)):
                changed = copy.deepcopy(function)
                target = [node for statement in changed.body for node in ast.walk(statement)][i]  # type: ignore[attr-defined]
                instead = list(operator(target))[k]
                changed = ast.fix_missing_locations(_Exchange(target, instead).visit(changed))
                change = f"{ast.unparse(place)} -> {ast.unparse(ast.fix_missing_locations(copy.deepcopy(instead)))}"
                found.append(Mutant(chapter, function.name, operator.__name__, change, changed))  # type: ignore[attr-defined]
    return found


class _Exchange(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def numbers() -> list[int | str]:
    """The numbers of the chapters and the side trips."""
    found = [ledger.number(path.stem) for path in ledger.chapters()]
    return [number for number in found if number is not None]  # a project has none


def number(text: str) -> int | str:
    """What names a chapter: 4, or A1."""
    return int(text) if text.isdigit() else text


def drawn(count: int, seed: int, chapters: Iterable[int | str]) -> list[Mutant]:
    """So many mutants, drawn with this seed from those of all functions of these chapters, in the book's order."""
    everything = [m for n in chapters for s in definitions.functions(n) for m in mutants(n, s.node)]
    chosen = random.Random(seed).sample(range(len(everything)), min(count, len(everything)))
    return [everything[i] for i in sorted(chosen)]


def apart(work: Callable[[], str], seconds: float) -> str:
    """What this returns in a fork of this process; "no end" after so many seconds of computing, or ten times as many
    of waiting; "a crash" if it dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
            os.close(reading)
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 2)  # what libraries say of wrong code
                with contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    said = work()
            os.write(writing, said.encode()[:4000])
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "no end" if os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF) else "a crash"
    return said if status == 0 else "a crash"


# ------------------------------------------------------------------------------------------------------ the ledger


def claims_by_function() -> dict[tuple[int | str, str], list[tuple[str, Any]]]:
    """For each function of a chapter the claims whose code is it, or needs it."""
    from book.claims import functions_of  # the tests import this module

    found: dict[tuple[int | str, str], list[tuple[str, Any]]] = {}
    for path in ledger.chapters():
        for label, claim in importlib.import_module(ledger.claims_module(path.stem)).CLAIMS.items():
            for code in functions_of(claim.code):
                if isinstance(code, definitions.Definition):
                    for statement in definitions.needed(code.chapter, code.name):
                        if isinstance(statement.node, definitions.FUNCTIONS):
                            users = found.setdefault((code.chapter, statement.node.name), [])
                            if (label, claim) not in users:
                                users.append((label, claim))
    return found


def failing_claim(mutant: Mutant, claims: list[tuple[str, Any]]) -> str:
    """The first claim that does not hold any more, or "" if all do."""
    with definitions.replaced(mutant.chapter, mutant.name, mutant.node):
        for label, claim in claims:
            for case in claim.cases:
                try:
                    if not claim.check(claim.code, *case):
                        return label
                except Exception:
                    return label
    return ""


# ----------------------------------------------------------------------------------------------------- the chapters


class Cell(NamedTuple):
    """A code cell: its index, its statements, and what it prints, None where that is not compared."""

    index: int
    body: list[ast.stmt]
    printed: str | None


def code_cells(chapter: int | str) -> list[Cell]:
    """A chapter's code cells but for those that only Colab needs."""
    notebook = ledger.cells(ledger.numbered(chapter))
    bodies: dict[int, list[ast.stmt]] = {}
    for statement in definitions.statements(chapter):
        bodies.setdefault(statement.cell, []).append(statement.node)
    exempt = {i for i in bodies if "nbval-ignore-output" in notebook[i]["metadata"].get("tags", [])}
    return [Cell(i, body, None if i in exempt else ledger.printed(notebook[i])) for i, body in bodies.items()]


def run_cell(cell: Cell, space: dict[str, Any]) -> bool:
    """Run a cell, and say whether it prints what is stored."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        exec(compile(ast.Module(cell.body, type_ignores=[]), f"cell {cell.index}", "exec"), space)
    return cell.printed in (None, said.getvalue())


def noticed(cells: list[Cell], space: dict[str, Any], node: ast.stmt) -> str:
    """The cell in which a chapter, from a function's cell on, notices another in its place; "" if none does."""
    first, *rest = cells
    name = node.name  # type: ignore[attr-defined]
    body = [node if getattr(old, "name", None) == name else old for old in first.body]
    for cell in [first._replace(body=body), *rest]:
        try:
            if not run_cell(cell, space):
                return f"cell {cell.index}, its output"
        except Exception as error:
            return f"cell {cell.index}, {type(error).__name__}"
    return ""


def by_chapter(chapter: int | str, planted: list[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Run a chapter; at each function's cell try its mutants, each in a fork that goes on from there."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.show = lambda *args, **kwargs: plt.close("all")
    here, space = os.getcwd(), {"__name__": "__main__", "display": lambda *args, **kwargs: None}
    os.chdir(ledger.ROOT / "chapters")
    cells = code_cells(chapter)
    try:
        for place, cell in enumerate(cells):
            names = {getattr(node, "name", None) for node in cell.body}
            for mutant in (m for m in planted if m.name in names):
                yield mutant, apart(partial(noticed, cells[place:], space, mutant.node), BEFORE_THE_CHAPTER)
            if not run_cell(cell, space):  # to the end: whoever judges mutants has to pass the chapter as it is
                raise RuntimeError(f"mutate: cell {cell.index} of chapter {chapter} does not print what is stored.")
    finally:
        os.chdir(here)


# ------------------------------------------------------------------------------------------------------- the report


def main(arguments: list[str] | None = None) -> Counter[str]:
    """Draw, try, print, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="how many mutants (300)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--chapters", type=number, nargs="+", help="of these chapters alone")
    options = parser.parse_args(arguments)
    planted = drawn(options.count, options.seed, options.chapters or numbers())
    claims, counts = claims_by_function(), Counter(made=len(planted))
    left: dict[int | str, list[Mutant]] = {}

    def report(mutant: Mutant, verdict: str, by: str = "") -> None:
        counts[verdict] += 1
        print(f"{verdict:10} {mutant.chapter:2} {mutant.name}: {mutant.operator}, {mutant.change}   {by}", flush=True)

    for mutant in planted:
        users = claims.get((mutant.chapter, mutant.name), [])
        by = apart(partial(failing_claim, mutant, users), BEFORE_THE_LEDGER) if users else ""
        if by:
            report(mutant, "ledger", by)
        else:
            left.setdefault(mutant.chapter, []).append(mutant)
    for chapter, rest in left.items():
        for mutant, by in by_chapter(chapter, rest):
            if by:
                report(mutant, "chapter", by)
            elif reason := EQUIVALENT.get(mutant[:2]) or EQUIVALENT.get((*mutant[:2], mutant.change)):
                report(mutant, "equivalent", reason)
            else:
                report(mutant, "survives")
    print(
        f"{counts['made']} mutants made; killed by the ledger {counts['ledger']}, by the chapter {counts['chapter']}; "
        f"equivalent {counts['equivalent']}, surviving {counts['survives']} ({counts['survives'] / counts['made']:.1%})"
    )
    return counts


if __name__ == "__main__":
    main(sys.argv[1:])
