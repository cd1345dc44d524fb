"""The wrong code that is planted into the chapters' functions: what each operator does, and who is said to notice."""

import ast
import json
import time

import pytest

from book import definitions, ledger
from book.claims import Claim
from tools import mutate

pytestmark = pytest.mark.slow

FUNCTION = """
def f(A, b, k=1):
    x = A.T @ b - 2.5 * b[0]
    x += A[:, :k]
    if k < 3 and b is A:
        return -x
    return x
"""


def changes(operator, source):
    """What one operator makes of an expression, as text."""
    [statement] = ast.parse(f"def f():\n    return {source}").body
    made = [m for m in mutate.mutants(99, statement) if m.operator == operator]
    assert all(m.change.partition(" -> ")[0] in source for m in made)
    return [ast.unparse(m.node).rpartition("return ")[2] for m in made]


@pytest.mark.parametrize(
    ("operator", "source", "wrong"),
    [
        ("sign", "a + b - c", ["a + b + c", "a - b - c"]),
        ("sign", "-a", ["a"]),
        ("index", "A[0]", ["A[1]"]),
        ("index", "A[:, 1]", ["A[:, 2]"]),
        ("index", "A[:r]", ["A[r:]"]),
        ("index", "A[r:, :k]", ["A[:r, :k]", "A[r:, k:]"]),
        ("index", "A[i:j] + A[i]", []),
        ("transpose", "A.T @ B.T", ["A @ B.T", "A.T @ B"]),
        ("constant", "2 * a + 0.5", ["2 * a + 1.0", "3 * a + 0.5"]),
        ("constant", "A[0] if True else 'a'", []),
        ("dropped_term", "a * b + c", ["a * b", "a + c"]),
        ("dropped_term", "a @ b", []),
        ("comparison", "a <= b", ["a >= b"]),
        ("comparison", "a == b and c", ["a == b or c", "a != b and c"]),
        ("comparison", "a < b < c", []),
    ],
)
def test_operator(operator, source, wrong):
    assert sorted(changes(operator, source)) == sorted(wrong)


def test_each_mutant_is_one_change_of_the_body():
    [function] = ast.parse(FUNCTION).body
    made = mutate.mutants(99, function)
    texts = [ast.unparse(m.node) for m in made]
    assert len(set(texts)) == len(texts) == 12
    assert ast.unparse(function) == FUNCTION.strip()  # which stays as it was
    for text in texts:
        compile(text, "mutant", "exec")
        pairs = zip(text.splitlines(), FUNCTION.strip().splitlines(), strict=True)
        assert sum(ours != theirs for ours, theirs in pairs) == 1
        assert text.startswith("def f(A, b, k=1):")


def test_the_draw_depends_on_the_seed_alone():
    first, again, other = (mutate.drawn(30, seed, [6, 13]) for seed in (0, 0, 1))
    assert [m[:4] for m in first] == [m[:4] for m in again] != [m[:4] for m in other]
    assert len(first) == 30 and {m.chapter for m in first} == {6, 13}
    assert first == sorted(first, key=lambda m: m.chapter)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: "done", "done"),
        (lambda: sum(iter(int, 1)), "no end"),
        (lambda: time.sleep(99), "no end"),
        (lambda: 1 / 0, "a crash"),
    ],
)
def test_a_fork_says_what_became_of_it(work, said):
    assert mutate.apart(work, seconds=0.2) == said


CELLS = [
    ("def halve(x):\n    return x / 2\n\n\ndef seconds(x):\n    return x + 1", [], ""),
    ("print(halve(4))", [], "2.0\n"),
    ("def double(x):\n    return 2 * x\n\n\nassert double(3) == 6", [], ""),
    ("print(seconds(1))", ["nbval-ignore-output"], "7\n"),
]


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A chapter of the number 99, in which nobody looks at the seconds."""
    cells = [
        {
            "cell_type": "code",
            "source": text,
            "metadata": {"tags": tags},
            "outputs": [{"output_type": "stream", "text": said}],
        }
        for text, tags, said in CELLS
    ]
    path = tmp_path / "chapters" / "99_short.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    monkeypatch.setattr(mutate, "claims_by_function", dict)
    yield path
    definitions.statements.cache_clear()


def test_who_notices(chapter, capsys, monkeypatch):
    double = definitions.definitions(99, "double")
    claim = Claim(lambda code, x, y: code(x) == y, double, [(3, 6)], {}, {})
    monkeypatch.setattr(mutate, "claims_by_function", lambda: {(99, "double"): [("thm-double", claim)]})
    equal = {(99, "seconds", "1 -> 2"): "nobody looks"}
    monkeypatch.setattr(mutate, "EQUIVALENT", equal)
    counts = mutate.main(["--count", "99"])
    said = capsys.readouterr().out.splitlines()
    assert [line.split() for line in said[:2]] == [
        ["ledger", "99", "double:", "constant,", "2", "->", "3", "thm-double"],
        ["ledger", "99", "double:", "dropped_term,", "2", "*", "x", "->", "2", "thm-double"],
    ]
    assert [line for line in said if line.startswith("chapter") and line.endswith("cell 1, its output")] == said[2:4]
    assert counts == {"made": 7, "ledger": 2, "chapter": 2, "equivalent": 1, "survives": 2}
    assert said[-1].endswith("equivalent 1, surviving 2 (28.6%)")


def test_a_chapter_that_does_not_print_what_is_stored_is_no_judge(chapter):
    text = chapter.read_text(encoding="utf-8").replace("2.0", "3.0")
    chapter.write_text(text, encoding="utf-8")
    with pytest.raises(RuntimeError, match="cell 1 of chapter 99"):
        mutate.main(["--count", "1"])


def test_a_function_is_judged_by_the_claims_that_need_it():
    claims = mutate.claims_by_function()
    assert [label for label, _ in claims[13, "solve_rows"]] == ["thm-als-step"]
    assert [label for label, _ in claims[11, "quotient"]] == ["thm-mu-monotone"]  # by way of frobenius_step
    assert (6, "unfold") not in claims


@pytest.mark.parametrize("key", mutate.EQUIVALENT, ids=str)
def test_what_is_excused_exists(key):
    chapter, name, *change = key
    [function] = [s.node for s in definitions.functions(chapter) if s.node.name == name]
    made = mutate.mutants(chapter, function)
    assert made and set(change) <= {m.change for m in made}
    assert mutate.EQUIVALENT[key]
