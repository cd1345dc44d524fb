"""Right answers to the exercises of chapter 11, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import nmf as e


def kl(A, W, H):
    P, s = W @ H, W.sum(axis=0)
    ratios = np.zeros(A.shape)
    ratios[A > 0] = A[A > 0] / P[A > 0]
    H = H.copy()
    H[s > 0] *= (W.T @ ratios)[s > 0] / s[s > 0, None]
    return H


def careless(A, W, H):
    return H * (W.T @ (A / (W @ H))) / W.sum(axis=0)[:, None]


def clears_unused(A, W, H):
    H = kl(A, W, H)
    H[W.sum(axis=0) == 0] = 0
    return H


def smoothed(A, W, H):
    return H * (W.T @ ((A + 1e-2 * (A == 0)) / (W @ H + (W @ H == 0)))) / np.maximum(W.sum(axis=0), 1e-300)[:, None]


def unused_kept(A, W, H):
    found = smoothed(A, W, H)
    found[W.sum(axis=0) == 0] = H[W.sum(axis=0) == 0]
    return found


def best(R, w, lam):
    return np.maximum(w @ R - lam, 0) / (w @ w)


RIGHT = [
    (e.by_hand, 0.5),
    (e.kl_update, kl),
    (e.slide, lambda W, H, k, l: (H[k] / H[l]).min()),
    (e.penalised, best),
]
WRONG = [
    (e.by_hand, 1.0, "one half"),
    (e.by_hand, 7, "before"),
    (e.by_hand, 2, "updated W"),
    (e.by_hand, 15, "denominator"),
    (e.by_hand, 0.3, "quotient"),
    (e.by_hand, [1.5, 3.5], "one number"),
    (e.kl_update, careless, "0 by 0"),
    (e.kl_update, clears_unused, "no influence"),
    (e.kl_update, unused_kept, "wrong with them"),
    (e.kl_update, lambda A, W, H: H * (W.T @ A) / (W.T @ W @ H), "Frobenius"),
    (e.kl_update, lambda A, W, H: H * (W.T @ (A / (W @ H))), "sums"),
    (e.kl_update, lambda A, W, H: kl(A, W, H) / H, "multiplied"),
    (e.kl_update, lambda A, W, H: 2 * kl(A, W, H), "averaged"),
    (e.kl_update, lambda A, W, H: W, "shape"),
    (e.kl_update, lambda A, W, H: np.full_like(H, np.nan), "not finite"),
    (e.slide, lambda W, H, k, l: (H[k] / H[l]).max(), "one is enough"),
    (e.slide, lambda W, H, k, l: (H[l] / H[k]).min(), "upside down"),
    (e.slide, lambda W, H, k, l: (W[:, l] / W[:, k]).min(), "negative ε"),
    (e.slide, lambda W, H, k, l: 100.0, "too large"),
    (e.slide, lambda W, H, k, l: 0.0, "larger ε"),
    (e.slide, lambda W, H, k, l: H[k] / H[l], "one number"),
    (e.penalised, lambda R, w, lam: (w @ R - lam) / (w @ w), "negative"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R - lam, 0), "even without"),
    (e.penalised, lambda R, w, lam: best(R, w, 0), "ignores"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R / (w @ w) - lam, 0), "before the division"),
    (e.penalised, lambda R, w, lam: best(R, w, 2 * lam), "factor of 2"),
    (e.penalised, lambda R, w, lam: np.maximum(w @ R, 0) / (w @ w + lam), "Tikhonov"),
    (e.penalised, lambda R, w, lam: best(R, w, 1.3 * lam), "derivative"),
    (e.penalised, lambda R, w, lam: R, "shape"),
]
