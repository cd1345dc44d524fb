"""Checkers for the exercises of chapter 13, matrix completion."""

import numpy as np

from ._answers import array, call, call_with_peak, checker, not_yet, number, right


@checker
def by_hand(answer: object) -> str:
    """Check the entry that gives [[1, 2], [2, x]] the least nuclear norm."""
    value = number(answer)
    if np.isclose(value, 1, atol=0.01):
        return right("the singular values are 3 and 1, together less than the 5 of the matrix of rank 1.")
    if np.isclose(value, 4, atol=0.01):
        return not_yet("that is the entry of the matrix of rank 1, whose nuclear norm is 5; less is possible.")
    if np.isclose(value, 0, atol=0.01):
        return not_yet("a hole is not a zero; the nuclear norm is the root of 17 there.")
    if np.isclose(value, -1, atol=0.01):
        return not_yet("that is where the parabola for x above 4 has its lowest point, outside of its range.")
    if np.isclose(value, 2, atol=0.01):
        return not_yet("the nuclear norm is the root of 17 there; find the lowest point of the parabola below x = 4.")
    return not_yet(
        "the product of the singular values is |det X|; the square of their sum is a parabola on each side of x = 4."
    )


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
    scores, used = call_with_peak(answer, wide, 1.0)
    array(scores, wide.shape, "the scores")
    if used > 8 * 2000 * 2000 // 2:
        return not_yet("the scores are right, but you made a matrix of items × items on the way; 4 users need 4 × 4.")
    return right("a system of users × users, and nothing larger than the table itself.")
