"""Right answers to the exercises of chapter 18, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lora_updates as e


def cut(roots=(1, 0), keep=None):
    """The truncated product in factors, with powers of the singular values in the left and in the right one."""

    def code(B, A, k):
        U, values, Vt = np.linalg.svd(B @ A)
        k = keep or k
        return U[:, :k] * values[:k] ** roots[0], values[:k, None] ** roots[1] * Vt[:k]

    return code


def both(B, A, B0, A0):
    return np.hstack([B, B0]), np.vstack([A, -A0])


RIGHT = [
    (e.chance, 0.25),
    (e.as_lora, both),
    (e.as_lora, lambda B, A, B0, A0: [np.hstack([B0, 2 * B]), np.vstack([-A0, A / 2])]),
    (e.resized, cut()),
    (e.resized, cut((0.5, 0.5))),
]
WRONG = [
    (e.chance, 8 / 256, "smaller"),
    (e.chance, 2, "squared norm"),
    (e.chance, 0, "orthogonal"),
    (e.chance, 0.5, "kl/n"),
    (e.as_lora, lambda B, A, B0, A0: (B - B0, A - A0), "too small"),
    (e.as_lora, lambda B, A, B0, A0: (np.hstack([B, B0]), np.vstack([A, A0])), "subtracted"),
    (e.as_lora, lambda B, A, B0, A0: (np.hstack([-B, B0]), np.vstack([A, A0])), "sign"),
    (e.as_lora, lambda B, A, B0, A0: (np.hstack([B0, B]), np.vstack([A, -A0])), "not BA"),
    (e.as_lora, lambda B, A, B0, A0: B @ A - B0 @ A0, "two matrices"),
    (e.resized, lambda B, A, k: (B[:, :k], A[:k]), "no order"),
    (e.resized, cut((0, 0)), "missing"),
    (e.resized, cut((1, 1)), "both factors"),
    (e.resized, lambda B, A, k: (B, A), "old rank"),
    (e.resized, lambda B, A, k: (B[:, -k:], A[-k:]), "not the best"),
    (e.resized, lambda B, A, k: B @ A, "two matrices"),
]
