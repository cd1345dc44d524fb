"""Right answers to the exercises of chapter 14, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import attention as e


def softmax(S, causal=True):
    if causal:
        S = np.where(np.tril(np.ones(S.shape)) > 0, S, -np.inf)
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def head(X, C, W_Q, W_UK, W_UV, W_O, *, scale=None, causal=True):
    S = X @ W_Q @ W_UK.T @ C.T
    return softmax(S / (np.sqrt(W_UK.shape[1]) if scale is None else scale(C)), causal) @ C @ W_UV @ W_O


def explicit(X, C, W_Q, W_UK, W_UV, W_O):
    return softmax((X @ W_Q) @ (C @ W_UK).T / np.sqrt(W_UK.shape[1])) @ (C @ W_UV) @ W_O


def without_softmax(X, C, W_Q, W_UK, W_UV, W_O):
    return X @ W_Q @ W_UK.T @ C.T / np.sqrt(W_UK.shape[1]) @ C @ W_UV @ W_O


RIGHT = [
    (e.cache, 204_800),
    (e.form, 384.0),
    (e.absorb, head),
    (e.absorb, explicit),
]
WRONG = [
    (e.cache, 102_400, "factor of 2"),
    (e.cache, 819_200, "query heads"),
    (e.cache, 5_120, "one layer"),
    (e.cache, 2_560, "numbers of one layer"),
    (e.cache, 1_638_400, "bits"),
    (e.cache, 409_600, "32 bits"),
    (e.cache, 20_480, "factor is missing"),
    (e.cache, 200, "kibibytes"),
    (e.cache, 204.8, "kilobytes"),
    (e.cache, 7, "each KV head"),
    (e.form, 128, "DeepSeek-V2 has"),
    (e.form, 512, "largest rank"),
    (e.form, 256, "square"),
    (e.form, 100, "still cheaper"),
    (e.form, 1000, "already cheaper"),
    (e.absorb, lambda *W: head(*W, scale=lambda C: np.sqrt(C.shape[1])), "though the absorbed"),
    (e.absorb, lambda *W: head(*W, scale=lambda C: 1.0), "not scaled"),
    (e.absorb, lambda *W: head(*W, causal=False), "mask is missing"),
    (e.absorb, without_softmax, "softmax is missing"),
    (e.absorb, lambda *W: 2 * head(*W), "not those of"),
    (e.absorb, lambda X, C, *W: C, "shape"),
]
