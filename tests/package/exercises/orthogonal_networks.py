"""Right answers to the exercises of side trip A2, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import orthogonal_networks


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


RIGHT = [
    (orthogonal_networks.pythagoras, 0.667),
    (orthogonal_networks.sharpness, 0.47),
    (orthogonal_networks.hessian, central),
    (orthogonal_networks.sharpness, 0.470588),
    (orthogonal_networks.orthogonal_rnn, backward),
]
WRONG = [
    (orthogonal_networks.pythagoras, -2 / 3, "other way"),
    (orthogonal_networks.pythagoras, 1.5, "−5/13"),
    (orthogonal_networks.pythagoras, 0.2, "12/13 on"),
    (orthogonal_networks.pythagoras, 2.4, "tangent"),
    (orthogonal_networks.pythagoras, 1, "polynomials"),
    (orthogonal_networks.hessian, lambda g, w: np.diag(central(g, w)), "pair"),
    (orthogonal_networks.hessian, lambda g, w: central(g, w, divide=1.0), "twice"),
    (orthogonal_networks.hessian, lambda g, w: central(g, w, divide=4.0), "half"),
    (orthogonal_networks.hessian, lambda g, w: -central(g, w), "sign"),
    (orthogonal_networks.hessian, lambda g, w: np.diag(np.diag(central(g, w))), "only the diagonal"),
    (orthogonal_networks.hessian, lambda g, w: np.eye(3), "second derivatives"),
    (orthogonal_networks.hessian, forward, "one-sided"),
    (orthogonal_networks.hessian, one_triangle, "symmetric"),
    (orthogonal_networks.hessian, lambda g, w: None, "return"),
    (orthogonal_networks.hessian, lambda g: g, "raised TypeError"),
    (orthogonal_networks.hessian, lambda g, w: np.eye(2), "shape"),
    (orthogonal_networks.sharpness, 4.25, "eigenvalue of the Hessian"),
    (orthogonal_networks.sharpness, 4 / 17, "fastest"),
    (orthogonal_networks.sharpness, 0.5, "smaller weight"),
    (orthogonal_networks.sharpness, 8, "small weight alone"),
    (orthogonal_networks.sharpness, -1, "positive"),
    (orthogonal_networks.sharpness, 0.1, "Hessian at"),
    (orthogonal_networks.sharpness, float("nan"), "finite"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: backward(*a).T, "transposed"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: -backward(*a), "sign"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: 2 * backward(*a), "factor ½"),
    (orthogonal_networks.orthogonal_rnn, lambda W, x, y, steps: W, "one step"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: backward(*a, uses=1), "last step only"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: backward(*a, through=lambda W: W), "transpose of W"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: a[3] * backward(*a, uses=1), "equally"),
    (orthogonal_networks.orthogonal_rnn, lambda *a: backward(*a, uses=2), "belongs to each step"),
    (orthogonal_networks.orthogonal_rnn, np.eye(3), "without calling"),
]
