"""Right answers to the exercises of chapter 1, and the usual wrong ones with a word of what the checker says."""

import numpy as np
from scipy.sparse.linalg import svds

from lowrank_helpers.exercises import norms


def power(A, rounds=500, start=None, each=True):
    """Power iteration, normalised after each product or after two."""
    x = np.random.default_rng(7).standard_normal(A.shape[1]) if start is None else start(A.shape[1])
    for _ in range(rounds):
        y = A @ (x / np.linalg.norm(x))
        size = np.linalg.norm(y)
        if size == 0:
            return 0.0
        x = A.T @ (y / size if each else y)
    return np.linalg.norm(A @ (x / np.linalg.norm(x)))


def lanczos(A, steps=200):
    """The largest stretch within the span of all vectors of power iteration."""
    x, Q, images = np.random.default_rng(7).standard_normal(A.shape[1]), [], []
    for _ in range(min(steps, A.shape[1])):
        for q in Q + Q:
            x = x - q * (q @ x)
        if np.linalg.norm(x) == 0:
            break
        Q.append(x / np.linalg.norm(x))
        images.append(A @ Q[-1])
        size = np.linalg.norm(images[-1])
        if size == 0:
            break
        x = A.T @ (images[-1] / size)
    return np.linalg.norm(np.array(images), 2)


def columns(A):
    """All entries, by one product for each column: what the exercise forbids."""
    unit = np.zeros(A.shape[1])
    found = []
    for j in range(len(unit)):
        unit[j] = 1
        found.append(A @ unit)
        unit[j] = 0
    return np.array(found).T


RIGHT = [
    (norms.by_hand, 3),
    (norms.two_by_two, [5, 3]),
    (norms.two_by_two, np.array([5.0, 3.0])),
    (norms.largest_entry, 7),
    (norms.power_iteration, power),
    (norms.power_iteration, lambda A: power(A, rounds=150)),
    (norms.power_iteration, lanczos),
    (norms.chance, 2.0),
]
WRONG = [
    (norms.by_hand, 2, "spectral"),
    (norms.by_hand, 5**0.5, "Frobenius"),
    (norms.by_hand, 0, "trace"),
    (norms.by_hand, 1, "signs"),
    (norms.by_hand, 4, "b₁₂"),
    (norms.by_hand, "three", "one number"),
    (norms.two_by_two, [3, 5], "order"),
    (norms.two_by_two, [25, 3], "root"),
    (norms.two_by_two, [1, 3], "subtracted"),
    (norms.two_by_two, [19**0.5, 3], "2|det A|"),
    (norms.two_by_two, [5, 2], "smaller"),
    (norms.two_by_two, [5, 13**0.5], "Frobenius"),
    (norms.two_by_two, [5, 4], "with that sum"),
    (norms.two_by_two, [4, 3], "formula"),
    (norms.two_by_two, 5, "shape"),
    (norms.largest_entry, 7**0.5, "root"),
    (norms.largest_entry, 1, "counter-example"),
    (norms.largest_entry, 49, "n²"),
    (norms.largest_entry, 8, "not the smallest"),
    (norms.largest_entry, 6, "too small"),
    # What the exercise forbids: a library's routines, the Gram matrix, all columns one by one
    (norms.power_iteration, lambda A: np.linalg.norm(A, 2), "products alone"),
    (norms.power_iteration, lambda A: np.linalg.eigvalsh(A.T @ A)[-1] ** 0.5, "one vector"),
    (norms.power_iteration, lambda A: svds(A, k=1)[1][0], "raised"),
    (norms.power_iteration, lambda A: np.linalg.norm(columns(A), 2), "4000 products"),
    (norms.power_iteration, lambda A: A @ np.eye(A.shape[1]), "one vector"),
    (norms.power_iteration, lambda A: power(A) ** 2, "square"),
    (norms.power_iteration, lambda A: np.linalg.norm(columns(A)), "Frobenius"),
    (norms.power_iteration, lambda A: abs(columns(A)).max(), "largest stretch"),
    (norms.power_iteration, lambda A: power(A) if A.shape[0] > 1 and A.shape[0] != 2 else 1.0, "wide"),
    (norms.power_iteration, lambda A: power(A, start=np.ones), "orthogonal"),
    (norms.power_iteration, lambda A: power(A) if A.shape != (2, 2) else 2**0.5, "no real eigenvalue"),
    (norms.power_iteration, lambda A: max(power(A), 1e-300), "zero matrix"),
    (norms.power_iteration, lambda A: power(A, each=False), "overflow"),
    (norms.power_iteration, lambda A: power(A, rounds=12), "longer"),
    (norms.power_iteration, lambda A: power(A, rounds=5000), "4000 products"),
    (norms.chance, 1, "column"),
    (norms.chance, 4, "square"),
    (norms.chance, 2.4, "average"),
    (norms.chance, float("nan"), "finite"),
]
