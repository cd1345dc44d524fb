"""Checkers for the exercises of chapter 11, non-negative matrix factorisation."""

import warnings

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]


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
def kl_update(answer: object) -> str:
    """Check a function (A, W, H) that returns H after one multiplicative update for the Kullback-Leibler loss."""
    rng = np.random.default_rng(8)
    for zeros in (False, True):
        A, W, H = rng.random((6, 5)) + 0.2, rng.random((6, 3)) + 0.2, rng.random((3, 5)) + 0.2
        if zeros:
            A[:, 2] = 0
            A[1] = W[1] = 0  # a row of zeros in both: 0 / 0 among the ratios
            W[:, 1] = 0  # a part that is not used
            H[0, 3] = 0
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = call(answer, A, W, H)
        expected = _kl(A, W, H)
        got = np.asarray(result, dtype=float) if shape_of(result) == (3, 5) else array(result, (3, 5), "H")
        if zeros and not np.isfinite(got).all():
            return not_yet("right without zeros; with them an entry is not finite. Where do you divide 0 by 0?")
        got = array(got, (3, 5), "H")
        if np.allclose(got, expected, atol=1e-9):
            continue
        if zeros:
            if not np.allclose(got[1], H[1]):
                return not_yet("a row of H whose column of W is zero has no influence on the loss; leave it as it is.")
            return not_yet("right without zeros, wrong with them; look at the places where A, W or H is 0.")
        if np.allclose(got, H * (W.T @ A) / (W.T @ W @ H)):
            return not_yet("that is the update for the Frobenius loss.")
        if np.allclose(got, H * (W.T @ (A / (W @ H)))):
            return not_yet("the division by the sums of W's columns is missing.")
        if np.allclose(got, expected / H):
            return not_yet("these are the factors by which H is to be multiplied.")
        return not_yet("the loss does not fall as it should; the ratios A / WH are averaged with the weights of W.")
    return right("zeros included.")


@checker
def slide(answer: object) -> str:
    """Check a function (W, H, k, l) that returns the largest ε of the slide along I + ε e_k e_lᵀ."""
    rng = np.random.default_rng(9)
    for r, k, l in ((2, 0, 1), (3, 2, 0), (4, 1, 3)):
        W, H = rng.random((6, r)) + 0.1, rng.random((r, 7)) + 0.1
        value = number(call(answer, W, H, k, l))
        quotients = H[k] / H[l]
        if np.isclose(value, quotients.min(), rtol=1e-9):
            continue
        if np.isclose(value, quotients.max(), rtol=1e-9):
            return not_yet("that is the first ε at which all entries of a row are spent; one is enough to stop.")
        if np.isclose(value, (H[l] / H[k]).min(), rtol=1e-9):
            return not_yet("upside down, or k and l exchanged: row k of H becomes h_k − ε h_l.")
        if np.isclose(abs(value), (W[:, l] / W[:, k]).min(), rtol=1e-9):
            return not_yet("that is where negative ε has to stop; W sets no limit to positive ones.")
        if value > quotients.min():
            return not_yet("too large: an entry of H would become negative.")
        return not_yet("both factors stay non-negative for a larger ε.")
    return right("one entry of H becomes zero there, and the slide ends.")


@checker
def penalised(answer: object) -> str:
    """Check a function (R, w, lam) that returns the h ≥ 0 minimising ½‖R − w hᵀ‖² + lam Σ h."""
    rng = np.random.default_rng(10)
    for lam in (0.0, 0.7):
        R, w = rng.standard_normal((5, 8)), rng.random(5) + 0.5
        h = array(call(answer, R, w, lam), (8,), "h")
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


def _kl(A: Array, W: Array, H: Array) -> Array:
    P, s = W @ H, W.sum(axis=0)
    ratios = np.divide(A, P, out=np.zeros_like(A), where=A > 0)
    factors: Array = np.divide(W.T @ ratios, s[:, None], out=np.ones_like(H), where=(s > 0)[:, None])
    return H * factors
