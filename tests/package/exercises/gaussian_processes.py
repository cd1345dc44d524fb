"""Right answers to the exercises of side trip A1, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import gaussian_processes


def small(V, noise):
    return np.eye(V.shape[1]) + V.T @ V / noise**2


def log_det(V, noise):
    return 2 * len(V) * np.log(noise) + np.linalg.slogdet(small(V, noise))[1]


def by_singular_values(V, noise):
    s = np.linalg.svd(V, compute_uv=False)
    return np.log(s**2 + noise**2).sum() + 2 * (len(V) - len(s)) * np.log(noise)


def by_the_whole_matrix(V, noise):
    if len(V) > 10_000:
        raise MemoryError(f"{len(V)} rows and columns")
    return np.linalg.slogdet(V @ V.T + noise**2 * np.eye(len(V)))[1]


RIGHT = [
    (gaussian_processes.next_variance, 1.1),
    (gaussian_processes.log_determinant, log_det),
    (gaussian_processes.log_determinant, by_singular_values),
    (gaussian_processes.log_determinant, lambda V, noise: [log_det(V, noise)]),
]
WRONG = [
    (gaussian_processes.next_variance, 2, "before"),
    (gaussian_processes.next_variance, 1, "exactly"),
    (gaussian_processes.next_variance, 10 / 9, "one variable off"),
    (gaussian_processes.next_variance, 12 / 11, "not ten"),
    (gaussian_processes.next_variance, 10, "determinant"),
    (gaussian_processes.next_variance, -1, "positive"),
    (gaussian_processes.next_variance, 0.9, "goes on"),
    (gaussian_processes.log_determinant, by_the_whole_matrix, "MemoryError"),
    (gaussian_processes.log_determinant, lambda *a: log_det(*a) / 2, "twice"),
    (gaussian_processes.log_determinant, lambda *a: np.exp(log_det(*a)), "the determinant"),
    (gaussian_processes.log_determinant, lambda *a: log_det(*a) / np.log(10), "natural"),
    (gaussian_processes.log_determinant, lambda *a: -log_det(*a), "sign"),
    (gaussian_processes.log_determinant, lambda V, noise: np.linalg.slogdet(V.T @ V)[1], "left the noise out"),
    (gaussian_processes.log_determinant, lambda V, noise: np.log(V**2).sum(), "det C = 10"),
    (gaussian_processes.log_determinant, lambda V, noise: 0, "det C = 10"),
    (gaussian_processes.log_determinant, lambda V, noise: log_det(V, noise**0.5), "variance"),
    (gaussian_processes.log_determinant, lambda V, noise: np.linalg.slogdet(small(V, noise))[1], "how many factors"),
    (
        gaussian_processes.log_determinant,
        lambda V, noise: np.log(noise ** (2 * len(V)) * np.linalg.det(small(V, noise))),
        "Add logarithms",
    ),
    (gaussian_processes.log_determinant, lambda V, noise: log_det(V, noise) if len(V) < 9 else V, "no finite number"),
    (gaussian_processes.log_determinant, lambda V, noise: log_det(V[:9], noise), "wrong for 300 000"),
    (gaussian_processes.log_determinant, 2.08, "without calling"),
    (gaussian_processes.log_determinant, lambda V, noise: float("nan"), "finite"),
    (gaussian_processes.log_determinant, lambda V: 1.0, "TypeError"),
]
