"""Checkers for the exercises of chapter 14, attention."""

from collections.abc import Sequence

import numpy as np

from ._answers import array, call, checker, not_yet, right


@checker
def means(answer: object) -> str:
    """Check the four values of which a causal head with equal logits said the running means 4, 3, 5, 4."""
    values = array(answer, (4,), "the values")
    if np.allclose(values, [4, 2, 9, 1], atol=1e-9):
        return right("from running means all values come back, so the attention matrix is invertible.")
    if np.allclose(values, [4, 3, 5, 4], atol=1e-9):
        return not_yet("those are the means; which numbers have them?")
    if np.allclose(values, [4, 3.5, 4, 4], atol=1e-9):
        return not_yet("those are the running means of the means; the question goes the other way.")
    if np.allclose(values, [4, 6, 15, 16], atol=1e-9):
        return not_yet("those are the sums of the first t values; take neighbours apart.")
    if np.allclose(values, [4, -1, 2, -1], atol=1e-9):
        return not_yet("those are differences of means; the sums, t times the mean, are to be subtracted.")
    if np.isclose(values[0], 4) and np.isclose(values[1], 2):
        return not_yet("the first two are right; the third mean is that of three numbers, the fourth that of four.")
    return not_yet("the mean of t numbers, times t, is their sum; compare neighbouring sums.")


@checker
def groups(answer: object) -> str:
    """Check a function (W_K, W_V, heads, d_h): down- and up-projections of grouped queries as latent attention."""
    rng = np.random.default_rng(14)
    for heads, count, width, d in ((4, 2, 3, 10), (6, 3, 2, 13), (3, 1, 2, 7), (2, 2, 1, 5)):
        W_K, W_V = rng.standard_normal((2, d, count * width))
        parts = call(answer, W_K, W_V, heads, width)
        if not isinstance(parts, Sequence) or len(parts) != 3:
            return not_yet("three matrices should come back: W_DKV, W_UK and W_UV.")
        latent = np.shape(parts[0])[-1] if np.ndim(parts[0]) == 2 else 2 * count * width
        if latent > 2 * count * width:
            return not_yet(f"a token would keep {latent} numbers; grouped queries keep {2 * count * width}.")
        down = array(parts[0], (d, latent), "W_DKV")
        up = [
            array(part, (latent, heads * width), name) for part, name in zip(parts[1:], ("W_UK", "W_UV"), strict=True)
        ]
        read = np.arange(heads) // (heads // count)
        wanted = [_of_heads(W, read, width) for W in (W_K, W_V)]
        made = [down @ part for part in up]
        if all(np.allclose(a, b, atol=1e-8) for a, b in zip(made, wanted, strict=True)):
            continue
        if all(np.allclose(a, b, atol=1e-8) for a, b in zip(made, wanted[::-1], strict=True)):
            return not_yet("keys and values are exchanged.")
        turns = [_of_heads(W, np.arange(heads) % count, width) for W in (W_K, W_V)]
        if all(np.allclose(a, b, atol=1e-8) for a, b in zip(made, turns, strict=True)):
            return not_yet(
                "the heads of a group stand side by side: first all of the first group, then all of the next."
            )
        if np.allclose(made[0], wanted[0], atol=1e-8):
            return not_yet("the keys are right, and the values are not.")
        return not_yet("some head gets another key than that of its group; its columns of W_UK only copy.")
    return right("keys and values of the groups are the latent vector, and the up-projections copy them.")


def _of_heads(W: np.ndarray, read: np.ndarray, width: int) -> np.ndarray:
    """The projection of all heads side by side, where head h reads group read[h]."""
    return np.hstack([W[:, g * width : (g + 1) * width] for g in read])
