"""Checkers for the exercises of side trip A3, Graphs."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right


@checker
def cube(answer: object) -> str:
    """Check how many edges a split of the ten-dimensional cube into halves cuts at least."""
    value = number(answer)
    if value == 2**9:
        return right("as many as the halves have corners, and the split by one coordinate cuts no more.")
    if value == 2**10:
        return not_yet("that is the number of corners: in the bound, s(n−s) is divided by n.")
    if value == 10 * 2**9:
        return not_yet("these are all edges of the cube.")
    if value == 2**8:
        return not_yet("half of it: which eigenvalue has a vector of signs?")
    if value == 2**9 * 5:
        return not_yet("you took an eigenvalue of 10; the smallest positive one counts.")
    return not_yet("find the eigenvalue for d = 2 and d = 3 by hand first: a square, and the cube itself.")


@checker
def sweep(answer: object) -> str:
    """Check a function of W that cuts the order of the Fiedler vector where cut·n/(s(n−s)) is least."""
    for sizes in ((3, 12), (20, 40), (5, 5), (2, 150)):
        W = _two_parts(*sizes)
        n = len(W)
        part = array(call(answer, W), (n,), "the split")
        if not np.isin(part, (0, 1)).all():
            return not_yet("the split should hold True and False, one for each vertex.")
        first = part.astype(bool)
        if first.all() or not first.any():
            return not_yet("one of your parts is empty.")
        vector = np.linalg.eigh(np.diag(W.sum(axis=1)) - W)[1][:, 1]
        order = np.argsort(vector)
        found = [_quotient(W, np.isin(np.arange(n), order[:s])) for s in range(1, n)]
        if not np.isclose(_quotient(W, first), min(found)):
            cuts = [W[order[:s]][:, order[s:]].sum() for s in range(1, n)]
            least = np.isin(np.arange(n), order[: int(np.argmin(cuts)) + 1])
            if np.array_equal(first, least) or np.array_equal(~first, least):
                return not_yet("you took the least cut, which splits a hermit off; the sizes of the parts count, too.")
            if np.array_equal(first, vector > np.median(vector)) or np.array_equal(first, vector < np.median(vector)):
                return not_yet(f"you cut at the median; parts of {sizes[0]} and {sizes[1]} are not found so.")
            return not_yet(
                f"on two groups of {sizes[0]} and {sizes[1]} another place in the order has a smaller quotient."
            )
    return right("it finds groups of any two sizes, and leaves hermits where they are.")


def _two_parts(small: int, large: int) -> NDArray[np.float64]:
    """Two groups, each with all edges inside, joined by one weak edge; a vertex hangs on the larger by a weaker one."""
    n = small + large
    group = np.arange(n) < small
    W = np.equal.outer(group, group) - np.eye(n)
    W[small - 1, small] = W[small, small - 1] = 0.5
    hermit = np.zeros(n + 1)
    hermit[n - 1] = 0.45 if small > 2 else 0.9
    return np.vstack([np.column_stack([W, hermit[:n]]), hermit])


def _quotient(W: NDArray[np.float64], part: NDArray[np.bool_]) -> float:
    n, s = len(W), int(part.sum())
    return float(W[part][:, ~part].sum() * n / (s * (n - s)))
