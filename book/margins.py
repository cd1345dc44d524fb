"""The one ruler of the tests: is an error within its bound, with room to spare?

An error just under its bound passes on this processor and fails on the next one, whose kernels add in another order.
So there are three answers here. An error of at most a quarter of its bound is within it, one of at least four times
its bound is not, and whatever lies between is nobody's verdict: it raises, wherever a test asks. Every comparison of
an error with a bound in ``tests/`` goes through this module (``test_margins.py`` finds those that do not).

    BOOK_MARGINS=_build/margins make test      # notes measured / allowed, for each test and line
    python -m book.margins _build/margins     # the ten narrowest, over all runs noted there
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOM = 4.0
HERE = Path(__file__)

# (test, line) -> the largest ratio that was accepted and the smallest that was rejected
seen: dict[tuple[str, str], tuple[float, float]] = {}


class TooClose(AssertionError):
    """An error between a quarter of its bound and four times its bound: another processor may decide otherwise."""


def within(error: Any, bound: Any) -> bool:
    """Whether every error is at most its bound: by a factor of four, or not by a factor of four, or it raises.

    Numbers, arrays or tensors that broadcast; an error below zero is within any bound, NaN within none, and within
    the bound 0 lies only what is exact.
    """
    ratio = float(_ratios(error, bound).max(initial=0.0))
    _note(ratio)
    if 1 / ROOM < ratio < ROOM:
        raise TooClose(f"measured / allowed = {ratio:.3g}: between 1/4 and 4, where rounding decides")
    return ratio < 1


def close(x: Any, y: Any, *, rtol: float = 0.0, atol: float | np.ndarray = 0.0) -> bool:
    """Whether x has the shape of y and no entry is further from it than atol + rtol |y|; y may be one number."""
    x, y = _array(x), _array(y)
    if x.shape != y.shape and y.ndim:
        return False
    with np.errstate(invalid="ignore"):
        return within(np.where(x == y, 0.0, np.abs(x - y)), atol + rtol * np.abs(y))


def above(values: Any, threshold: Any) -> np.ndarray:
    """Which values are above the threshold, where none is near it: to count a rank, or what is not zero."""
    ratios = _ratios(values, threshold)
    accepted, rejected = ratios[ratios < 1].max(initial=0.0), ratios[ratios >= 1].min(initial=np.inf)
    _note(float(accepted))
    _note(float(rejected))
    if accepted > 1 / ROOM or rejected < ROOM:
        raise TooClose(f"values at {accepted:.3g} and {rejected:.3g} of the threshold: within a factor of four of it")
    return np.asarray(ratios >= 1)


def rank(A: Any, rtol: float = 1e-9, size: float | None = None) -> int:
    """How many singular values are above rtol times the size, σ₁ if none is given, where none is near that."""
    s = np.linalg.svd(np.asarray(A, dtype=float), compute_uv=False)
    return int(above(s, rtol * (s.max(initial=0.0) if size is None else size)).sum())


def rejects(check: Callable[..., bool], *case: Any) -> bool:
    """Whether the check says no, clearly: what is too close to call is not a no."""
    try:
        return not check(*case)
    except TooClose:
        return False


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor
        values = values.detach().cpu().double().numpy()
    values = np.asarray(values)
    return values if np.iscomplexobj(values) else values.astype(float)


def _ratios(error: Any, bound: Any) -> np.ndarray:
    """error / bound, entry by entry: 0 for what is at most 0, infinite for NaN and for more than a bound of 0."""
    error, bound = np.broadcast_arrays(_array(error), _array(bound))
    if (bound < 0).any():
        raise ValueError(f"within: a bound is a number of at least 0; got {bound.min()}.")
    with np.errstate(all="ignore"):
        ratios = np.where(error <= 0, 0.0, error / bound)
    return np.where(np.isnan(ratios), np.inf, ratios)


def _note(ratio: float) -> None:
    if "BOOK_MARGINS" not in os.environ:
        return
    frame = sys._getframe(1)
    while Path(frame.f_code.co_filename) == HERE and frame.f_back:
        frame = frame.f_back
    line = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
    accepted, rejected = seen.get((test, line), (0.0, np.inf))
    seen[test, line] = (max(accepted, ratio), rejected) if ratio < 1 else (accepted, min(rejected, ratio))


def save(folder: str, name: str) -> None:
    """Write what this process has noted."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    rows = [[*key, accepted, rejected] for key, (accepted, rejected) in seen.items()]
    (path / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def narrowest(folders: list[str], count: int = 10) -> list[tuple[float, str, str]]:
    """The (room, test, line) with the least room, room being allowed / measured where accepted, else the inverse."""
    rows: dict[tuple[str, str], float] = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.json")):
            for test, line, accepted, rejected in json.loads(path.read_text(encoding="utf-8")):
                room = min(1 / accepted if accepted else np.inf, rejected)
                if not test.startswith("tests/book/test_margins.py"):  # which measures the ruler itself
                    rows[test, line] = min(room, rows.get((test, line), np.inf))
    return sorted((room, *key) for key, room in rows.items())[:count]


if __name__ == "__main__":
    for room, test, line in narrowest(sys.argv[1:]):
        print(f"{room:8.2f}  {line:32}  {test}")
