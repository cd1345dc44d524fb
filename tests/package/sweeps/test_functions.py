"""The table of all functions is complete and right, so that what sweeps over it sweeps over the package."""

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest

import lowrank_helpers
from tests.package.sweeps.functions import EXCEPTIONS, ROWS

FOLDER = Path(lowrank_helpers.__file__).parent
MODULES = sorted(
    {path.stem for path in FOLDER.glob("[!_]*.py")} | {p.parent.name for p in FOLDER.glob("*/__init__.py")}
)


def offered(name):
    """What a public module defines, or imports in order to offer it (import f as f): its callables by their names."""
    module = importlib.import_module(f"lowrank_helpers.{name}")
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    passed_on = {alias.name for node in imports for alias in node.names if alias.asname == alias.name}
    for key, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__ or key in passed_on
        if own and not key.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
            yield key, value


def holds_only(value):
    """Whether a class is a result or a set of options: a NamedTuple or a dataclass."""
    return inspect.isclass(value) and (dataclasses.is_dataclass(value) or hasattr(value, "_fields"))


def missing(rows, exceptions):
    """The public callables that have neither a row nor a reason, and the exceptions that name nothing."""
    found = {row.function for row in rows}
    left, used = [], set()
    for module in MODULES:
        for key, value in offered(module):
            reasons = {module, f"{module}.{key}"} & exceptions.keys()
            used |= reasons
            if not reasons and value not in found and not holds_only(value):
                left.append(f"{module}.{key}")
    modules = {name for name in exceptions if name in MODULES}
    return left, exceptions.keys() - used - modules


def test_every_public_callable_has_a_row_or_a_reason():
    assert missing(ROWS, EXCEPTIONS) == ([], set())


def test_a_function_without_a_row_would_be_found():
    assert missing(ROWS[2:], EXCEPTIONS)[0] == ["linalg.vector_norm"]
    assert missing(ROWS, EXCEPTIONS | {"svd.nothing": "…"})[1] == {"svd.nothing"}


def test_rows_have_names_of_their_own():
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_call_is_right_and_every_part_of_the_answer_has_a_unit(row):
    inspect.signature(row.function).bind(**row.built())
    answer = row.function(**row.built())
    if row.answer is not None:
        units = {"": row.answer} if isinstance(row.answer, str) else row.answer
        assert row.read(answer).keys() == units.keys()
