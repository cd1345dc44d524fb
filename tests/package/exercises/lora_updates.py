"""Right answers to the exercises of chapter 18, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lora_updates as e


def cut(roots=(1, 0)):
    """The truncated product in factors, with powers of the singular values in the left and in the right one."""

    def code(B, A, k):
        (Q1, R1), (Q2, R2) = np.linalg.qr(B), np.linalg.qr(A.T)
        U, values, Vt = np.linalg.svd(R1 @ R2.T)
        return Q1 @ U[:, :k] * values[:k] ** roots[0], values[:k, None] ** roots[1] * (Vt[:k] @ Q2.T)

    return code


def by_gram(B, A, k):
    lam, E = np.linalg.eigh(B.T @ B)
    root = (E * lam**0.5) @ E.T
    U, values, Vt = np.linalg.svd(root @ A, full_matrices=False)
    return B @ np.linalg.solve(root, U[:, :k]), values[:k, None] * Vt[:k]


def formed(product):
    """The forbidden way: the product, by any function, and its decomposition."""

    def code(B, A, k):
        U, values, Vt = np.linalg.svd(product(B, A), full_matrices=False)
        return U[:, :k] * values[:k], Vt[:k]

    return code


RIGHT = [
    (e.chance, 0.25),
    (e.disguise, (2, 4)),
    (e.disguise, np.array([2.0, 4.0])),
    (e.resized, cut()),
    (e.resized, cut((0.5, 0.5))),
    (e.resized, by_gram),
]
WRONG = [
    (e.chance, 8 / 256, "smaller"),
    (e.chance, 2, "squared norm"),
    (e.chance, 0, "orthogonal"),
    (e.chance, 0.5, "kl/n"),
    (e.disguise, (4, 2), "exchanged"),
    (e.disguise, (4, 4), "right for Adam"),
    (e.disguise, (2, 2), "right for plain"),
    (e.disguise, (4, 16), "alone"),
    (e.disguise, (0.5, 0.25), "larger"),
    (e.disguise, (1, 1), "both steps"),
    (e.disguise, 2, "shape"),
    (e.resized, formed(lambda B, A: B @ A), "on the way"),
    (e.resized, formed(lambda B, A: np.einsum("ir,rj->ij", B, A)), "on the way"),
    (e.resized, formed(lambda B, A: sum(map(np.outer, B.T, A))), "on the way"),
    (e.resized, lambda B, A, k: (B[:, :k], A[:k]), "no order"),
    (e.resized, cut((0, 0)), "missing"),
    (e.resized, cut((1, 1)), "both factors"),
    (e.resized, lambda B, A, k: (B, A), "old rank"),
    (e.resized, lambda B, A, k: (B[:, -k:], A[-k:]), "not the best"),
    (e.resized, lambda B, A, k: B @ A, "two matrices"),
]
