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
def bridge(answer: object) -> str:
    """Check the cosine of the first and the third of the texts car motor, motor engine, engine oil for k = 2."""
    value = number(answer)
    root = 2**0.5
    if np.isclose(value, (4 * root - 7) / 17, atol=0.001):
        return right("below 0, although the texts share a neighbour: two dimensions tell the ends of the chain apart.")
    if np.isclose(value, 1, atol=0.001):
        return not_yet("that is the cosine for k = 1.")
    if np.isclose(value, 0, atol=0.001):
        return not_yet("that is the cosine of the texts themselves, or for k = 3.")
    if np.isclose(value, (root - 2) / 4, atol=0.001):
        return not_yet("that is the inner product; divide it by both lengths.")
    if np.isclose(value, -1 / 3, atol=0.001):
        return not_yet("you compared rows of U; the places are those of UΣ.")
    if np.isclose(value, (7 - 4 * root) / 17, atol=0.001):
        return not_yet("the sign is the wrong way round; the second eigenvector has entries of both signs.")
    return not_yet("the inner products are the entries of λ₁u₁u₁ᵀ + λ₂u₂u₂ᵀ, with the two largest eigenvalues of XXᵀ.")


@checker
def new_word(answer: object) -> str:
    """Check a function (D, s, y) that returns the place of a new column y beside the places of the words."""
    rng = np.random.default_rng(11)
    for m, n, k in ((7, 5, 2), (4, 4, 3)):
        X = rng.random((m, n))
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        U, s, Vt = U[:, :k], s[:k], Vt[:k]
        for y in (X[:, 1], rng.random(m)):
            wanted = y @ U
            place = array(call(answer, U * s, s, y), (k,), "the place")
            if np.allclose(place, wanted, atol=1e-9):
                continue
            if np.allclose(place, wanted * s, atol=1e-9):
                return not_yet("the rows of D are those of U times the singular values, which your place still has.")
            if np.allclose(place, wanted / s, atol=1e-9):
                return not_yet("you divided by the singular values once too often; that is a place beside rows of V.")
            if np.allclose(place, wanted / np.linalg.norm(wanted), atol=1e-9):
                return not_yet("the direction is right; its length should not be changed.")
            return not_yet("a word of the vocabulary does not come out as its row of VΣ.")
    return right("each word of the vocabulary comes out at its own place.")
