"""Checkers for the exercises of chapter 11, non-negative matrix factorisation."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right, shape_of


@checker
def by_hand(answer: object) -> str:
    """Check F after one multiplicative update of H for A = [[2, 4], [1, 3]], W = (1, 1)ᵀ, H = (1, 1)."""
    value = number(answer)
    if np.isclose(value, 0.5, atol=0.004):
        return right("for one part the update is the exact minimiser over H.")
    if np.isclose(value, 1.0, atol=0.004):
        return not_yet("that is the squared error; F has the factor one half.")
    if np.isclose(value, 7.0, atol=0.004):
        return not_yet("that is F before the update.")
    if np.isclose(value, 2.0, atol=0.004):
        return not_yet("you updated W; the exercise updates H.")
    if np.isclose(value, 15.0, atol=0.004):
        return not_yet("you left out the denominator WᵀWH.")
    return not_yet("compute WᵀA and WᵀWH, multiply H by their quotient, and then take the residuals.")


@checker
def two_parts(answer: object) -> str:
    """Check a function of A ≥ 0 of rank 2 that returns W, H ≥ 0 with A = WH, where W consists of two columns of A."""
    rng = np.random.default_rng(9)
    for m, n, empty in ((6, 9, True), (3, 4, False), (9, 3, False)):
        A = rng.random((m, 2)) @ rng.random((2, n))
        place = A[0] / A.sum(axis=0)  # where a column lies on the line of those with the sum 1
        ends = [int(place.argmin()), int(place.argmax())]
        A[:, ends] *= 0.1
        if empty:
            A = np.insert(A, 4, 0, axis=1)  # a column of zeros, which has no sum to divide by
        result = call(answer, A)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet(f"the answer should be the two matrices W and H; a {type(result).__name__} came.")
        W, H = array(result[0], (m, 2), "W"), array(result[1], (2, A.shape[1]), "H")
        tall = W / np.maximum(np.linalg.norm(W, axis=0), 1e-300)
        columns = A / np.maximum(np.linalg.norm(A, axis=0), 1e-300)
        of_the_table = bool(((tall.T @ columns).max(axis=1) > 1 - 1e-12).all())
        exact = np.allclose(W @ H, A, rtol=0, atol=1e-9)
        if min(W.min(), H.min()) < -1e-9:
            if of_the_table and exact:
                return not_yet("these two columns do not have all others between them: H has a negative entry.")
            return not_yet("a factor has a negative entry.")
        if not exact:
            if of_the_table:
                return not_yet("W has two columns of A, but WH is not A; two others have all columns between them.")
            return not_yet("WH comes near A and is not A; a method that goes downhill does not get there.")
        if not of_the_table:
            return not_yet("A = WH without a minus sign, but W should consist of two columns of A.")
    return right("the two outermost columns, and all others between them.")


@checker
def penalised(answer: object) -> str:
    """Check a function (R, w, lam) that returns the h ≥ 0 minimising ½‖R − w hᵀ‖² + lam Σ h."""
    rng = np.random.default_rng(10)
    for lam in (0.0, 0.7):
        R, w = rng.standard_normal((5, 8)), rng.random(5) + 0.5
        h = call(answer, R, w, lam)
        h = array(np.ravel(h) if shape_of(h) == (8, 1) else h, (8,), "h")  # a column will do
        product, size = w @ R, float(w @ w)
        if np.allclose(h, np.maximum(product - lam, 0) / size, atol=1e-9):
            continue
        if (h < 0).any():
            return not_yet("an entry is negative.")
        if lam == 0:
            return not_yet("wrong even without a penalty; look again at the best column.")
        if np.allclose(h, np.maximum(product, 0) / size):
            return not_yet("that ignores the penalty.")
        if np.allclose(h, np.maximum(product / size - lam, 0)):
            return not_yet("the penalty is subtracted before the division by the squared length of w.")
        if np.allclose(h, np.maximum(product - 2 * lam, 0) / size) or np.allclose(
            h, np.maximum(product - lam / 2, 0) / size
        ):
            return not_yet("a factor of 2: the squared error has a half, the penalty has none.")
        if np.allclose(h, np.maximum(product, 0) / (size + lam)):
            return not_yet("that is the penalty on squares, Tikhonov's; it makes nothing exactly zero.")
        return not_yet("each entry minimises a parabola plus lam h over h ≥ 0; set the derivative to zero.")
    return right("the penalty moves each entry towards zero, and small ones onto it.")
