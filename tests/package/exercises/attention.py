"""Right answers to the exercises of chapter 14, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import attention as e


def groups(W_K, W_V, heads, d_h, order="side by side"):
    count = W_K.shape[1] // d_h
    copy = np.eye(count)
    copy = np.repeat(copy, heads // count, axis=1) if order == "side by side" else np.tile(copy, heads // count)
    R = np.kron(copy, np.eye(d_h))
    return np.hstack([W_K, W_V]), np.vstack([R, 0 * R]), np.vstack([0 * R, R])


def copied_before(W_K, W_V, heads, d_h):
    """What the exercise forbids: every head's key and value is kept."""
    down, key, value = groups(W_K, W_V, heads, d_h)
    wide, n = np.hstack([down @ key, down @ value]), key.shape[1]
    return wide, np.eye(2 * n)[:, :n], np.eye(2 * n)[:, n:]


def other_latent(W_K, W_V, heads, d_h):
    """The same in other coordinates of the latent space."""
    down, key, value = groups(W_K, W_V, heads, d_h)
    turn = np.random.default_rng(3).standard_normal((down.shape[1],) * 2)
    return down @ turn, np.linalg.solve(turn, key), np.linalg.solve(turn, value)


RIGHT = [
    (e.means, [4, 2, 9, 1]),
    (e.means, np.array([4.0, 2.0, 9.0, 1.0])),
    (e.groups, groups),
    (e.groups, other_latent),
]
WRONG = [
    (e.means, [4, 3, 5, 4], "those are the means"),
    (e.means, [4, 3.5, 4, 4], "other way"),
    (e.means, [4, 6, 15, 16], "sums"),
    (e.means, [4, -1, 2, -1], "differences"),
    (e.means, [4, 2, 7, 3], "first two"),
    (e.means, [0, 0, 0, 0], "times t"),
    (e.means, [4, 2, 9], "shape"),
    (e.groups, copied_before, "would keep"),
    (e.groups, lambda *given: groups(*given, order="in turns"), "side by side"),
    (e.groups, lambda *given: [groups(*given)[k] for k in (0, 2, 1)], "exchanged"),
    (e.groups, lambda *given: [groups(*given)[k] for k in (0, 1, 1)], "values are not"),
    (e.groups, lambda *given: [groups(*given)[0], *(2 * up for up in groups(*given)[1:])], "another key"),
    (e.groups, lambda *given: groups(*given)[:2], "three matrices"),
    (e.groups, lambda W_K, W_V, heads, d_h: [W_K, W_K, W_K], "shape"),
]
