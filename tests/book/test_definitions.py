"""A chapter's own functions, out of its text: what is taken along, what is refused, and what a wrong line does."""

import ast
import json

import numpy as np
import pytest

from book import definitions, ledger
from book.claims import ch06_eckart_young, ch11_nmf, ch13_matrix_completion
from book.margins import close, rejects

CELLS = [
    "import google.colab",  # the set-up cell, which only Colab needs
    "import math\nimport no_such_module\nSIZE = 3\nA = [1, 2]",
    "def area(r):\n    return SIZE * square(r) + A[0]\n\n\nA[0] = 10",
    "A = 'later'\n\n\ndef square(x):\n    return math.prod([x, x])",
    "def twice(x):\n    return x\n\n\ndef twice(x):\n    return 2 * x",
    "for total in range(3):\n    pass\n\n\ndef sums(x):\n    return x + total",
    "def lost(x):\n    return x + nowhere",
    "class Pair(tuple):\n    size = SIZE",
]


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A chapter of the number 99."""
    cells = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": []} for text in CELLS]
    path = tmp_path / "99_short.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "# Short"}, *cells]}), encoding="utf-8")
    monkeypatch.setattr(ledger, "chapters", lambda: [path])
    yield 99
    definitions.statements.cache_clear()


def test_a_function_comes_with_what_it_reads_and_nothing_else(chapter):
    area = definitions.definitions(chapter, "area")
    assert (
        area(2) == 3 * 4 + 10
    )  # A as its cell leaves it, square from further below; the missing module is not asked for
    assert [s.cell for s in definitions.needed(chapter, "area")] == [2, 2, 2, 3, 3, 4]
    assert repr(area) == "area of chapter 99"
    assert definitions.definitions(chapter, "Pair")((1, 2)).size == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("volume", "defines volume 0 times"),
        ("twice", "defines twice 2 times"),
        ("sums", "reads total, which the chapter computes"),
        ("lost", "reads nowhere, which nothing binds"),
    ],
)
def test_what_cannot_be_taken_out_is_refused(chapter, name, message):
    with pytest.raises(ValueError, match=message):
        definitions.definitions(chapter, name)(1)


def test_a_replaced_function_is_replaced_for_all_that_call_it_and_for_a_while(chapter):
    area = definitions.definitions(chapter, "area")
    [wrong] = ast.parse("def square(x):\n    return x").body
    with definitions.replaced(chapter, "square", wrong):
        assert area(2) == 3 * 2 + 10
    assert area(2) == 22


def test_it_is_the_chapters_function():
    solve_rows = definitions.definitions(13, "solve_rows")
    assert close(solve_rows(np.array([[3.0, 4, np.nan]]), np.array([[1.0, 2, 1]]), [1.0]), [[11 / 6]], rtol=1e-12)


@pytest.mark.parametrize(
    ("module", "label", "name", "right", "wrong"),
    [
        (ch13_matrix_completion, "thm-als-step", "solve_rows", "lam[i]", "np.mean(lam)"),
        (ch11_nmf, "thm-mu-monotone", "kl_step", "np.divide(A, P, out=np.zeros_like(P), where=A > 0)", "A / P"),
        (ch06_eckart_young, "thm-landscape", "hessian", "J.T @ J - ", "J.T @ J + "),
        (ch13_matrix_completion, "thm-soft-impute", "soft_steps", " + lam * s.sum()", ""),
    ],
)
def test_a_wrong_line_in_a_chapter_fails_the_claim(module, label, name, right, wrong):
    number, claim = int(module.__name__.rpartition(".ch")[2][:2]), module.CLAIMS[label]
    [function] = [s.node for s in definitions.functions(number) if s.node.name == name]
    assert ast.unparse(function).count(right) == 1
    [planted] = ast.parse(ast.unparse(function).replace(right, wrong)).body
    with definitions.replaced(number, name, planted), np.errstate(all="ignore"):
        assert any(rejects(claim.check, claim.code, *case) for case in claim.cases)
