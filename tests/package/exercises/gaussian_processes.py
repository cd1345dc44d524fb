"""Right answers to the exercises of side trip A1, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import gaussian_processes


def log_det(A):
    return 2 * np.log(np.diag(np.linalg.cholesky(A))).sum()


RIGHT = [
    (gaussian_processes.next_variance, 1.1),
    (gaussian_processes.log_determinant, log_det),
    (gaussian_processes.log_determinant, lambda A: np.linalg.slogdet(A)[1]),
]
WRONG = [
    (gaussian_processes.next_variance, 2, "before"),
    (gaussian_processes.next_variance, 1, "exactly"),
    (gaussian_processes.next_variance, 10 / 9, "one variable off"),
    (gaussian_processes.next_variance, 12 / 11, "not ten"),
    (gaussian_processes.next_variance, 10, "determinant"),
    (gaussian_processes.next_variance, -1, "positive"),
    (gaussian_processes.next_variance, 0.9, "goes on"),
    (gaussian_processes.log_determinant, lambda A: log_det(A) / 2, "twice"),
    (gaussian_processes.log_determinant, lambda A: np.log(np.diag(A)).sum(), "diagonal of A"),
    (gaussian_processes.log_determinant, np.linalg.det, "the determinant"),
    (gaussian_processes.log_determinant, lambda A: log_det(A) / np.log(10), "natural"),
    (gaussian_processes.log_determinant, lambda A: -log_det(A), "sign"),
    (gaussian_processes.log_determinant, lambda A: np.trace(A), "log 8"),
    (gaussian_processes.log_determinant, lambda A: np.log(np.linalg.det(A)), "1e-1200"),
    (gaussian_processes.log_determinant, lambda A: log_det(A[:2, :2]), "wrong for 0.001"),
    (gaussian_processes.log_determinant, lambda A: log_det(A) if len(A) == 2 else A, "not one number"),
    (gaussian_processes.log_determinant, 2.08, "without calling"),
    (gaussian_processes.log_determinant, lambda A: float("nan"), "finite"),
]
