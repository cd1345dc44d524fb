"""The checkers accept right answers, say what is wrong with the usual wrong ones, and survive anything else."""

import importlib

import numpy as np
import pytest

from lowrank_helpers import exercises

ANSWERS = [importlib.import_module(f"tests.package.exercises.{name}") for name in exercises.__all__]
RIGHT = [case for answers in ANSWERS for case in answers.RIGHT]
WRONG = [case for answers in ANSWERS for case in answers.WRONG]
CHECKERS = [
    function
    for name in exercises.__all__
    for function in vars(getattr(exercises, name)).values()
    if getattr(function, "__module__", "") == f"lowrank_helpers.exercises.{name}" and function.__name__[0] != "_"
]
GARBAGE = [
    None, "three", "", b"x", {"a": 1}, float("nan"), float("inf"), 1j, 10**400, [], [[1], [2, 3]], object(), list,
    np.full((2, 2), np.nan), np.full((2, 2), 1j),
    lambda: 1, lambda *_: None, lambda *_: "x", lambda *_: 1j, lambda *_: 10**400, lambda *_: [[1], [2, 3]],
    lambda *_: object(), lambda *_: 1 // 0,
]  # fmt: skip


def name(value):
    """A readable test id for a checker."""
    if any(value is checker for checker in CHECKERS):
        return f"{value.__module__.rsplit('.', 1)[1]}.{value.__name__}"
    return None


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=name)
def test_right_answers_are_accepted(check, answer):
    assert check(answer).startswith("Right: ")


@pytest.mark.filterwarnings("ignore:divide by zero")  # some wrong answers divide by zero
@pytest.mark.parametrize(("check", "answer", "word"), WRONG, ids=name)
def test_wrong_answers_are_told_apart(check, answer, word):
    sentence = check(answer)
    assert sentence.startswith("Not yet: ")
    assert word in sentence


@pytest.mark.parametrize("check", CHECKERS, ids=name)
def test_each_checker_meets_right_wrong_and_garbage(check):
    assert any(case[0] is check for case in RIGHT)
    assert sum(case[0] is check for case in WRONG) >= 2
    for answer in GARBAGE:
        assert check(answer).startswith("Not yet: ")
