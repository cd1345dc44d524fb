"""Right answers to the exercises of chapter 1, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import norms

RIGHT = [
    (norms.by_hand, 3),
    (norms.column_lengths, lambda A: np.linalg.norm(A, axis=0)),
    (norms.largest_entry, 7),
    (norms.power_iteration, lambda A: np.linalg.norm(A, 2)),
    (norms.chance, 2.0),
]
WRONG = [
    (norms.by_hand, 2, "spectral"),
    (norms.by_hand, 5**0.5, "Frobenius"),
    (norms.by_hand, 0, "trace"),
    (norms.by_hand, 1, "signs"),
    (norms.by_hand, 4, "b₁₂"),
    (norms.by_hand, "three", "one number"),
    (norms.column_lengths, lambda A: np.linalg.norm(A, axis=1), "rows"),
    (norms.column_lengths, lambda A: (A**2).sum(axis=0), "squares"),
    (norms.column_lengths, lambda A: abs(A).sum(axis=0), "absolute"),
    (norms.column_lengths, lambda A: None, "return"),
    (norms.column_lengths, lambda A: A @ A, "raised ValueError"),
    (norms.column_lengths, np.array([5.0, 3.0]), "without calling"),
    (norms.largest_entry, 7**0.5, "root"),
    (norms.largest_entry, 1, "counter-example"),
    (norms.largest_entry, 49, "n²"),
    (norms.largest_entry, 8, "not the smallest"),
    (norms.largest_entry, 6, "too small"),
    (norms.power_iteration, lambda A: np.linalg.norm(A, 2) ** 2, "square"),
    (norms.power_iteration, np.linalg.norm, "Frobenius"),
    (norms.power_iteration, lambda A: abs(A).max(), "largest stretch"),
    (norms.power_iteration, lambda A: np.linalg.norm(A, 2) if A.shape[0] > 1 else 0.0, "orthogonal"),
    (norms.power_iteration, lambda A: np.linalg.norm(A, 2) if A[0, 0] else 2**0.5, "no real eigenvalue"),
    (norms.chance, 1, "column"),
    (norms.chance, 4, "square"),
    (norms.chance, 2.4, "average"),
    (norms.chance, float("nan"), "finite"),
]
