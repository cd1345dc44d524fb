"""Checkers for the exercises of chapter 14, attention."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right


@checker
def cache(answer: object) -> str:
    """Check the bytes of a token: 40 layers, 40 query heads, 10 KV heads of width 128, 16 bits."""
    value = number(answer)
    wrong = {
        102_400.0: "count keys and values, or count two bytes a number: a factor of 2 is missing.",
        819_200.0: "you counted the query heads; only the heads of keys and values are kept.",
        5_120.0: "that is one layer.",
        2_560.0: "those are the numbers of one layer; the question is about bytes in all layers.",
        1_638_400.0: "those are bits; 8 of them are a byte.",
        409_600.0: "that would be 32 bits a number, or keys and values counted twice.",
        20_480.0: "the width of a head counts, and the number of KV heads too; a factor is missing.",
        200.0: "those are kibibytes; the answer should be in bytes.",
        204.8: "those are kilobytes; the answer should be in bytes.",
    }
    if value == 204_800:
        return right("the query heads do not enter.")
    if value in wrong:
        return not_yet(wrong[value])
    return not_yet("a key and a value for each KV head, in each layer, two bytes a number.")


@checker
def form(answer: object) -> str:
    """Check the width of a head at which forming the absorbed matrix, 1536 by 512, costs as much as its factors."""
    value = number(answer)
    if value == 384:
        return right("below it, as at 128, the two factors are cheaper.")
    if value == 128:
        return not_yet("that is the width that DeepSeek-V2 has; at which one would the counts agree?")
    if value == 512:
        return not_yet("that is the largest rank the matrix can have; compare the two numbers of multiplications.")
    if value == 256:
        return not_yet("the factors have r·1536 and r·512 numbers; half of the smaller side is for square matrices.")
    if value < 384:
        return not_yet("at that width the factors are still cheaper.")
    return not_yet("at that width the formed matrix is already cheaper.")


@checker
def absorb(answer: object) -> str:
    """Check a function (X, C, W_Q, W_UK, W_UV, W_O): the output of one causal head of latent attention."""
    rng = np.random.default_rng(14)
    for n, d, latent, width, values in ((6, 8, 5, 3, 4), (4, 7, 3, 5, 5), (1, 4, 2, 2, 2)):
        X, C = rng.standard_normal((n, d)), rng.standard_normal((n, latent))
        W_Q, W_UK = rng.standard_normal((d, width)), rng.standard_normal((latent, width))
        W_UV, W_O = rng.standard_normal((latent, values)), rng.standard_normal((values, d))
        came = array(call(answer, X, C, W_Q, W_UK, W_UV, W_O), (n, d))
        S = X @ W_Q @ W_UK.T @ C.T
        values_out = C @ W_UV @ W_O
        if np.allclose(came, _weights(S / np.sqrt(width)) @ values_out, atol=1e-9):
            continue
        if np.allclose(came, _weights(S / np.sqrt(latent)) @ values_out, atol=1e-9):
            return not_yet("the scale is that of the explicit form, 1/√d_h, though the absorbed queries are wider.")
        if np.allclose(came, _weights(S) @ values_out, atol=1e-9):
            return not_yet("the logits are not scaled.")
        if np.allclose(came, _weights(S / np.sqrt(width), causal=False) @ values_out, atol=1e-9):
            return not_yet("a token sees those after it: the causal mask is missing.")
        if np.allclose(came, S / np.sqrt(width) @ values_out, atol=1e-9):
            return not_yet("the softmax is missing.")
        return not_yet("the outputs are not those of softmax(X W_Q (C W_UK)ᵀ/√d_h) C W_UV W_O, each row masked.")
    return right("no key and no value was made.")


def _weights(S: np.ndarray, causal: bool = True) -> np.ndarray:
    """The softmax of each row, under the causal mask or without."""
    if causal:
        S = np.where(np.tril(np.ones(S.shape)) > 0, S, -np.inf)
    E = np.exp(S - S.max(axis=1, keepdims=True))
    weights: np.ndarray = E / E.sum(axis=1, keepdims=True)
    return weights
