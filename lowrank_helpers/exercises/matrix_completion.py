"""Checkers for the exercises of chapter 13, matrix completion."""

import tracemalloc

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right

Array = NDArray[np.float64]


@checker
def by_hand(answer: object) -> str:
    """Check entry (3, 2) of the completion of [[2, ·, 6], [·, 4, 12], [5, ·, ·]] at rank 1."""
    value = number(answer)
    if np.isclose(value, 5, atol=0.01):
        return right("five seen entries, a connected graph, and every hole is a path of ratios.")
    if np.isclose(value, 2, atol=0.01):
        return not_yet("that is the entry in row 1, column 2; one more step along the path.")
    if np.isclose(value, 15, atol=0.01):
        return not_yet("that is the entry in row 3, column 3.")
    if np.isclose(value, 10, atol=0.01):
        return not_yet("you multiplied row 2 by 5/2; row 3 is 5/2 times row 1.")
    if np.isclose(value, 0, atol=0.01):
        return not_yet("a hole is not a zero.")
    return not_yet("compare two rows in a column where both are seen: at rank 1 they are multiples of each other.")


@checker
def unique(answer: object) -> str:
    """Check a function that says whether the seen places determine every matrix of rank 1 without zeros."""
    tree = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=bool)
    square = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    two = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=bool)
    without_row = np.array([[1, 1], [1, 1], [0, 0]], dtype=bool)
    without_column = np.array([[1, 0], [1, 0]], dtype=bool)
    path = np.zeros((9, 9), dtype=bool)
    path[np.arange(9), np.arange(9)] = path[np.arange(8), np.arange(1, 9)] = True
    cases = [
        (tree, True, "five entries can be enough for 3×3: a tree is connected."),
        (square, False, "m + n − 1 entries are not enough if they do not connect all rows and columns."),
        (two, False, "each row and each column has entries here, and the graph still has two components."),
        (without_row, False, "a row that was never seen is a component of its own."),
        (without_column, False, "a column that was never seen is a component of its own."),
        (path[::-1], True, "here the path from the first row to the last is long; follow it to its end."),
        (np.ones((2, 3), dtype=bool), True, "everything is seen here."),
        (np.ones((1, 1), dtype=bool), True, "one row, one column, and the edge between them are connected."),
    ]
    for seen, expected, reason in cases:
        value = call(answer, seen)
        if not isinstance(value, bool | np.bool_):
            return not_yet(f"the answer should be True or False, but a {type(value).__name__} came.")
        if bool(value) != expected:
            return not_yet(reason)
    return right("connected is the whole condition, at rank 1 and without zeros.")


@checker
def newcomer(answer: object) -> str:
    """Check a function (H, c, mu, a, lam) that predicts all items for a new user with some ratings."""
    rng = np.random.default_rng(7)
    H, c, mu, lam = rng.standard_normal((2, 9)), rng.normal(0, 0.3, 9), 3.4, 0.7
    for count in (5, 2, 0):
        a = np.full(9, np.nan)
        a[rng.permutation(9)[:count]] = rng.normal(3.5, 1.0, count)
        value = array(call(answer, H, c, mu, a, lam), (9,), "the predictions")
        if np.allclose(value, _fold(H, c, mu, a, lam), atol=1e-8):
            continue
        if np.allclose(value, _fold(H, c, mu, np.nan_to_num(a), lam), atol=1e-8):
            return not_yet("you used the unseen ratings as zeros; use the seen ones only.")
        if np.allclose(value, _fold(H, c, mu, np.where(np.isnan(a), mu + c, a), lam), atol=1e-8):
            return not_yet(
                "filling the holes with mean and item bias adds equations that nobody stated; leave them out."
            )
        if np.allclose(value, _fold(H, c, mu, a, lam / 2), atol=1e-8):
            return not_yet("the penalty is halved; there is no ½ in front of the squares.")
        if np.allclose(value, _fold(H, c, mu, a, lam, bias=False), atol=1e-8):
            return not_yet("the user has a bias too: put a row of ones under H.")
        if np.allclose(value, _fold(H, c, mu, a, lam, free=True), atol=1e-8):
            return not_yet("the bias is penalised here like the factors.")
        if np.allclose(value + mu + c, _fold(H, c, mu, a, lam), atol=1e-8):
            return not_yet("add the mean and the item biases to the prediction again.")
        return not_yet(
            "these are not the predictions; subtract mean and item biases, solve the ridge problem, add them again."
        )
    return right("and for a user without ratings it returns the mean plus the item biases.")


@checker
def largest_penalty(answer: object) -> str:
    """Check a function that returns the smallest λ for which soft-impute gives 0."""
    rng = np.random.default_rng(8)
    for shape in ((6, 4), (3, 8)):
        full = rng.standard_normal(shape) + 1.0
        A = np.where(rng.random(shape) < 0.4, np.nan, full)
        filled = np.nan_to_num(A)
        value = number(call(answer, A))
        s = np.linalg.svd(filled, compute_uv=False)
        if np.isclose(value, s[0], rtol=1e-8):
            continue
        if np.isclose(value, s[-1], rtol=1e-8):
            return not_yet("the smallest singular value disappears first; all have to.")
        if np.isclose(value, np.linalg.norm(filled), rtol=1e-8):
            return not_yet("that is the Frobenius norm, which is larger than needed.")
        if np.isclose(value, s.sum(), rtol=1e-8):
            return not_yet("that is the nuclear norm; you need its dual.")
        if np.isclose(value, 2 * s[0], rtol=1e-8) or np.isclose(value, s[0] / 2, rtol=1e-8):
            return not_yet("mind the ½ in front of the square: the threshold is λ itself.")
        if np.isclose(value, np.abs(filled).max(), rtol=1e-8):
            return not_yet("that is the largest entry; thresholding acts on singular values.")
        return not_yet("make one step of soft-impute from X = 0 and ask when it stays there.")
    return right("it is where a path of penalties should start.")


@checker
def windows(answer: object) -> str:
    """Check which of "years", "windows" and "line" completes the sea's temperatures with the least error."""
    if not isinstance(answer, str) or answer.strip().lower() not in ("years", "windows", "line"):
        return not_yet('the answer should be "years", "windows" or "line".')
    word = answer.strip().lower()
    if word == BEST:
        return right("windows know the order of the months too and come close; the line has nothing to fit.")
    if word == "years":
        return not_yet("the table of years does not know that months follow each other; run the comparison.")
    return not_yet("close, but over the five masks another one has the smaller mean error; run the comparison.")


@checker
def ease(answer: object) -> str:
    """Check a function (X, lam) that returns the scores of EASE by a system of users × users."""
    rng = np.random.default_rng(39)
    for shape, lam in (((6, 9), 2.0), ((12, 5), 0.5)):
        X = (rng.random(shape) < 0.5).astype(float)
        value = array(call(answer, X, lam), shape, "the scores")
        P = np.linalg.inv(X.T @ X + lam * np.eye(shape[1]))
        d = P.diagonal()
        if np.allclose(value, X - X @ P / d, atol=1e-8):
            continue
        if np.allclose(value, X - X @ P, atol=1e-8) or np.allclose(value, X - lam * X @ P, atol=1e-8):
            return not_yet("that is ridge regression of each item on all, itself included; divide by the diagonal.")
        if np.allclose(value, X @ P / d, atol=1e-8) or np.allclose(value, X @ P / d - X, atol=1e-8):
            return not_yet("the weights are I − P diag(1/d), so the scores are X minus something.")
        if np.allclose(value, X - lam * X @ P / d, atol=1e-8) or np.allclose(value, X - X @ P / (lam * d), atol=1e-8):
            return not_yet("a factor λ is lost: d = (1 − diag XᵀS)/λ.")
        return not_yet("these are not the scores; compare them with X − X P diag(1/d) on a small table.")
    wide = np.zeros((4, 2000))
    wide[rng.integers(4, size=2000), np.arange(2000)] = 1.0
    started = not tracemalloc.is_tracing()
    if started:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    array(call(answer, wide, 1.0), wide.shape, "the scores")
    used = tracemalloc.get_traced_memory()[1] - before
    if started:
        tracemalloc.stop()
    if used > 8 * 2000 * 2000 // 2:
        return not_yet("the scores are right, but you made a matrix of items × items on the way; 4 users need 4 × 4.")
    return right("a system of users × users, and nothing larger than the table itself.")


BEST = "line"  # of ex-matrix-completion-windows


def _fold(H: Array, c: Array, mu: float, a: Array, lam: float, *, bias: bool = True, free: bool = False) -> Array:
    """The predictions for a new row; with bias=False without one, with free=True with one that is not penalised."""
    seen = ~np.isnan(a)
    F = np.vstack([H, np.ones(H.shape[1])]) if bias else H
    penalty = lam * np.eye(len(F))
    if free:
        penalty[-1, -1] = 1e-12
    x = np.linalg.solve(F[:, seen] @ F[:, seen].T + penalty, F[:, seen] @ (a - mu - c)[seen])
    return np.asarray(mu + c + x @ F)
