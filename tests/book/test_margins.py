"""The ruler itself, and that no test measures without it."""

import ast

import numpy as np
import pytest

from book import margins
from book.margins import TooClose, above, close, rank, rejects, within
from tests import ROOT

COMPARERS = {
    "allclose", "isclose", "approx", "assert_allclose", "assert_close", "assert_almost_equal", "array_almost_equal",
}  # fmt: skip
BOUNDS = {"eps", "tiny", "tol", "tolerance", "bound", "slack", "rtol", "atol", "rounding"}


@pytest.mark.parametrize("error", [0, -1.0, 0.25, [0.1, 0.2], np.zeros((0, 3))])
def test_a_quarter_is_within(error):
    assert within(error, 1)


@pytest.mark.parametrize("error", [4.0, [0.0, 9.0], np.inf, np.nan, [np.nan, 0.0]])
def test_four_times_is_not(error):
    assert not within(error, 1)


@pytest.mark.parametrize("error", [0.26, 1.0, 3.9, [0.0, 0.5]])
def test_between_them_nobody_decides(error):
    with pytest.raises(TooClose, match="rounding decides"):
        within(error, 1)
    assert not rejects(within, error, 1)


def test_a_bound_is_broadcast_may_be_zero_and_is_not_below():
    assert within([1e-9, 1.0], [1e-8, 10.0]) and not within([1e-7, 1.0], [1e-8, 10.0])
    assert within([0.0, -1.0], 0) and not within(1e-300, 0)
    with pytest.raises(ValueError, match="at least 0; got -1"):
        within(0.0, -1.0)


def test_close_compares_shapes_then_entries():
    x = np.array([1.0, 2.0])
    assert close(x, x + 1e-9, atol=1e-8) and close(x, x * (1 + 1e-9), rtol=1e-8) and close([np.inf], [np.inf])
    assert not close(x, x + 1e-6, atol=1e-8) and not close(x, [[1.0, 2.0]], atol=1) and not close([np.nan], [np.nan])
    assert close(np.ones(3), 1.0) and not close(1.0, np.ones(3)) and close(1j, 1j + 1e-9, atol=1e-8)
    with pytest.raises(TooClose):
        close(x, x + 1e-8, atol=1e-8)


def test_tensors_are_read():
    import torch

    assert close(torch.ones(3, dtype=torch.bfloat16, requires_grad=True), torch.ones(3))


def test_above_wants_a_gap():
    assert above([5.0, 0.1, 7.0], 1).tolist() == [True, False, True]
    for values in ([5.0, 0.3], [3.0, 0.1]):
        with pytest.raises(TooClose, match="of the threshold"):
            above(values, 1)


def test_a_rank_wants_a_gap():
    A = np.diag([4.0, 1.0, 1e-3, 0.0])
    assert rank(A) == 3 and rank(A, rtol=0.1, size=1.0) == 2
    assert rank(np.zeros((2, 3))) == 0 and rank(np.zeros((0, 3))) == 0
    with pytest.raises(TooClose):
        rank(A, rtol=1e-3, size=1.0)


def test_a_check_that_cannot_tell_does_not_reject():
    assert rejects(lambda error: within(error, 1), 5.0) and not rejects(lambda error: within(error, 1), 0.1)


def test_what_was_measured_is_noted_and_the_narrowest_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_MARGINS", str(tmp_path))
    monkeypatch.setattr(margins, "seen", {})
    for error in (0.01, 0.2, 8.0, 5.0):
        within(error, 1)
    [((test, line), ratios)] = margins.seen.items()
    assert "test_what_was_measured" in test and line.startswith("test_margins.py:") and ratios == (0.2, 5.0)
    margins.seen["tests/package/svd/test_exact.py::test_one", "test_svd.py:7"] = (0.1, 6.0)
    margins.save(str(tmp_path), "one")
    assert margins.narrowest([str(tmp_path)]) == [(6.0, "tests/package/svd/test_exact.py::test_one", "test_svd.py:7")]


def small(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < abs(node.value) <= 1e-4


def speaks_of_a_bound(node, names=frozenset()):
    """Whether an expression holds a tiny constant, or a name that is a bound's."""
    for part in ast.walk(node):
        word = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
        if small(part) or word.lower() in BOUNDS or word in names:
            return True
    return False


def measured_without_the_ruler(source):
    """The lines in which an error is compared with a bound by other means than this ruler."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            ordered = any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
            if ordered and any(speaks_of_a_bound(side) for side in (node.left, *node.comparators)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Name | ast.Attribute) and getattr(node, "attr", getattr(node, "id", "")) in COMPARERS:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "line",
    [
        "assert error < 1e-9",
        "assert abs(x - y) <= 100 * EPS * size",
        "assert np.finfo(float).eps * 3 > error",
        "assert np.allclose(x, y)",
        "assert all(map(torch.allclose, found, exact))",
        "assert x == pytest.approx(1.0)",
        "torch.testing.assert_close(x, y)",
        "rank = (s > 1e-12 * s[0]).sum()",
        "assert 0 <= gap <= slack",
    ],
)
def test_these_measure_without_the_ruler(line):
    assert measured_without_the_ruler(line) == [1]


@pytest.mark.parametrize(
    "line", ["assert within(error, 1e-9)", "assert n < 7 and 0.5 < share", "tol = 1e-9", "x == 1e-9"]
)
def test_these_do_not(line):
    assert measured_without_the_ruler(line) == []


def test_no_test_measures_without_the_ruler():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "book" / "claims").rglob("*.py")])
        if path.name != "test_margins.py" and (lines := measured_without_the_ruler(path.read_text(encoding="utf-8")))
    }
    assert found == {}
