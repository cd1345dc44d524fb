"""Checkers for the exercises of chapter 10, latent semantic analysis."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right

Array = NDArray[np.float64]


@checker
def by_hand(answer: object) -> str:
    """Check the score of the query (2, 1, 0) with the text (0, 1, 2) in the one dimension of these two texts."""
    value = number(answer)
    if np.isclose(value, 3, atol=0.01):
        return right("√3 times √3: in one dimension the two texts have the same place.")
    if np.isclose(value, 1, atol=0.01):
        return not_yet("that is the raw inner product, or a cosine; fold the query in and do not scale to length 1.")
    if np.isclose(value, 3**0.5, atol=0.01):
        return not_yet("that is the place of the query; multiply it by the place of the second text.")
    if np.isclose(value, 0.5, atol=0.01):
        return not_yet("you divided by the singular value on both sides; the places are rows of UΣ, not of U.")
    if np.isclose(value, 0.5 * 6**0.5, atol=0.01):
        return not_yet("you mixed the scales: one place is on the scale of U, the other on that of UΣ.")
    if np.isclose(value, 18, atol=0.01):
        return not_yet("you multiplied a place by the singular value once more; XV is UΣ already.")
    if np.isclose(value, 9, atol=0.01) or np.isclose(value, 27, atol=0.01):
        return not_yet("the direction v must have length 1.")
    return not_yet("find the eigenvector of XXᵀ with the larger eigenvalue first; Xᵀ times it, at length 1, is v.")


@checker
def weights(answer: object) -> str:
    """Check a function that makes tf-idf weights with rows of length 1 from a dense matrix of counts."""
    rng = np.random.default_rng(10)
    for m, n in ((6, 4), (5, 9)):
        C = rng.poisson(1.2, (m, n)).astype(float)
        C[0] += np.arange(n) % 3 + 1  # every word occurs somewhere, some several times
        C[1] = 0
        C[2, 0], C[3, 0] = 0, 4
        with np.errstate(all="ignore"):
            result = call(answer, C)
        try:
            finite = bool(np.isfinite(np.asarray(result, dtype=float)).all())
        except (TypeError, ValueError, OverflowError):
            finite = True
        if not finite:
            return not_yet("a text without words gives NaN, or log 0 is used; its row should be zeros.")
        X = array(result, (m, n), "the weights")
        present = C > 0
        idf = np.log(m / present.sum(axis=0))
        tf = np.where(present, 1 + np.log(np.maximum(C, 1)), 0)
        if np.allclose(X, _rows(tf * idf), atol=1e-9):
            continue
        if np.allclose(X, tf * idf, atol=1e-9):
            return not_yet("the weights are right; the rows have still to be divided by their lengths.")
        if np.allclose(X, _rows((tf * idf).T).T, atol=1e-9):
            return not_yet("the columns have length 1; it should be the rows, which are the texts.")
        if np.allclose(X, _rows(C * idf), atol=1e-9):
            return not_yet("you used the counts themselves, not 1 plus their logarithm.")
        if np.allclose(X, _rows(np.log1p(C) * idf), atol=1e-9):
            return not_yet("log(1 + c) is not 1 + log c.")
        if np.allclose(X, _rows(tf * (idf + 1)), atol=1e-9):
            return not_yet("that is scikit-learn's inverse frequency, which adds 1; the definition does not.")
        if np.allclose(X, _rows(tf), atol=1e-9):
            return not_yet("the inverse document frequencies are missing.")
        if np.allclose(X, _rows(tf * np.log(C.sum() / C.sum(axis=0))), atol=1e-9):
            return not_yet("the document frequency counts texts that have the word, not its occurrences.")
        return not_yet("these are not the weights of the definition; multiply 1 + log c by log(m/mⱼ), then scale rows.")
    return right("rows of length 1, and zeros where there is nothing to weigh.")


@checker
def scaled(answer: object) -> str:
    """Check a function (U, s, Vt, x) that returns the place of a row of weights beside the rows of U."""
    rng = np.random.default_rng(11)
    for m, n, k in ((7, 5, 2), (4, 4, 3)):
        X = rng.random((m, n))
        U, s, Vt = (part for part in np.linalg.svd(X, full_matrices=False))
        U, s, Vt = U[:, :k], s[:k], Vt[:k]
        for x, expected in ((X[1], U[1]), (None, None)):
            row = rng.random(n) if x is None else x
            wanted = Vt @ row / s if expected is None else expected
            place = array(call(answer, U, s, Vt, row), (k,), "the place")
            if np.allclose(place, wanted, atol=1e-9):
                continue
            if np.allclose(place, Vt @ row, atol=1e-9):
                return not_yet("that is the place beside the rows of U * s; the table holds those of U.")
            if np.allclose(place, Vt @ row * s, atol=1e-9):
                return not_yet("multiplying by the singular values goes the wrong way.")
            if np.allclose(place, Vt @ row / s**2, atol=1e-9):
                return not_yet("you divided by the singular values once too often.")
            if m == n and np.allclose(place, U.T @ row / s, atol=1e-9):
                return not_yet("U for V: the columns of U run over texts, and x over words.")
            if np.allclose(place, wanted / np.linalg.norm(wanted), atol=1e-9):
                return not_yet("the direction is right; its length should not be changed.")
            return not_yet("a row of the corpus does not come out as its row of U.")
    return right("each text of the corpus comes out as its row of U.")


@checker
def unlabelled(answer: object) -> str:
    """Check from how many unlabelled texts on 50 dimensions beat tf-idf at one label per class."""
    value = number(answer)
    if value == 1600:
        return right("a few hundred texts are not enough to learn which words go together.")
    if value == 400:
        return not_yet("with 400 the interval still contains zero.")
    if value == 100:
        return not_yet("with 100 texts the space does harm; look at the sign of the difference.")
    return not_yet("the answer is one of 100, 400 and 1600.")


def _rows(A: Array) -> Array:
    length = np.linalg.norm(A, axis=1, keepdims=True)
    return A / np.where(length == 0, 1, length)
