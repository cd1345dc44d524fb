"""Right answers to the exercises of chapter 4, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import factorizations


def central(gradient, w, step=1e-5, divide=2.0):
    rows = [gradient(w + e) - gradient(w - e) for e in step * np.eye(len(w))]
    H = np.array(rows) / (divide * step)
    return (H + H.T) / 2


def forward(gradient, w, step=1e-6):
    H = np.array([gradient(w + e) - gradient(w) for e in step * np.eye(len(w))]) / step
    return (H + H.T) / 2


def one_triangle(gradient, w):
    return central(gradient, w) + 1e-9 * np.triu(np.ones((len(w), len(w))), 1)


def backward(W, x, y, steps, through=np.transpose, uses=None):
    states = [x]
    for _ in range(steps):
        states.append(W @ states[-1])
    back, total = states.pop() - y, np.zeros_like(W)
    for state in list(reversed(states))[:uses]:
        total += back @ state.T
        back = through(W) @ back
    return total


def log_det(A):
    return 2 * np.log(np.diag(np.linalg.cholesky(A))).sum()


RIGHT = [
    (factorizations.growth, 524288),
    (factorizations.log_determinant, log_det),
    (factorizations.log_determinant, lambda A: np.linalg.slogdet(A)[1]),
    (factorizations.hessian, central),
    (factorizations.sharpness, 0.470588),
    (factorizations.orthogonal_rnn, backward),
]
WRONG = [
    (factorizations.growth, 2**20, "too many"),
    (factorizations.growth, 2**18, "missing"),
    (factorizations.growth, 20, "added 1"),
    (factorizations.growth, 1, "before elimination"),
    (factorizations.growth, 1000, "4×4"),
    (factorizations.growth, "many", "one number"),
    (factorizations.growth, None, "finite"),
    (factorizations.log_determinant, lambda A: log_det(A) / 2, "twice"),
    (factorizations.log_determinant, lambda A: np.log(np.diag(A)).sum(), "diagonal of A"),
    (factorizations.log_determinant, np.linalg.det, "the determinant"),
    (factorizations.log_determinant, lambda A: log_det(A) / np.log(10), "natural"),
    (factorizations.log_determinant, lambda A: -log_det(A), "sign"),
    (factorizations.log_determinant, lambda A: np.trace(A), "log 8"),
    (factorizations.log_determinant, lambda A: np.log(np.linalg.det(A)), "1e-1200"),
    (factorizations.log_determinant, lambda A: log_det(A[:2, :2]), "wrong for 0.001"),
    (factorizations.log_determinant, lambda A: log_det(A) if len(A) == 2 else A, "not one number"),
    (factorizations.log_determinant, 2.08, "without calling"),
    (factorizations.log_determinant, lambda A: float("nan"), "finite"),
    (factorizations.hessian, lambda g, w: np.diag(central(g, w)), "pair"),
    (factorizations.hessian, lambda g, w: central(g, w, divide=1.0), "twice"),
    (factorizations.hessian, lambda g, w: central(g, w, divide=4.0), "half"),
    (factorizations.hessian, lambda g, w: -central(g, w), "sign"),
    (factorizations.hessian, lambda g, w: np.diag(np.diag(central(g, w))), "only the diagonal"),
    (factorizations.hessian, lambda g, w: np.eye(3), "second derivatives"),
    (factorizations.hessian, forward, "one-sided"),
    (factorizations.hessian, one_triangle, "symmetric"),
    (factorizations.hessian, lambda g, w: None, "return"),
    (factorizations.hessian, lambda g: g, "raised TypeError"),
    (factorizations.hessian, lambda g, w: np.eye(2), "shape"),
    (factorizations.sharpness, 4.25, "eigenvalue of the Hessian"),
    (factorizations.sharpness, 4 / 17, "fastest"),
    (factorizations.sharpness, 0.5, "smaller weight"),
    (factorizations.sharpness, 8, "small weight alone"),
    (factorizations.sharpness, -1, "positive"),
    (factorizations.sharpness, 0.1, "Hessian at"),
    (factorizations.sharpness, float("nan"), "finite"),
    (factorizations.orthogonal_rnn, lambda *a: backward(*a).T, "transposed"),
    (factorizations.orthogonal_rnn, lambda *a: -backward(*a), "sign"),
    (factorizations.orthogonal_rnn, lambda *a: 2 * backward(*a), "factor ½"),
    (factorizations.orthogonal_rnn, lambda W, x, y, steps: W, "one step"),
    (factorizations.orthogonal_rnn, lambda *a: backward(*a, uses=1), "last step only"),
    (factorizations.orthogonal_rnn, lambda *a: backward(*a, through=lambda W: W), "transpose of W"),
    (factorizations.orthogonal_rnn, lambda *a: a[3] * backward(*a, uses=1), "equally"),
    (factorizations.orthogonal_rnn, lambda *a: backward(*a, uses=2), "belongs to each step"),
    (factorizations.orthogonal_rnn, np.eye(3), "without calling"),
]
