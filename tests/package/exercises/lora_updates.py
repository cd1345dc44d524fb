"""Right answers to the exercises of chapter 18, and the usual wrong ones with a word of what the checker says."""

import numpy as np

from lowrank_helpers.exercises import lora_updates as e


def used(of, power=2, more=1):
    """A count of the singular values of the matrix that ``of`` makes of the factors, from their sums of powers."""

    def code(B, A, share):
        total = np.cumsum(np.linalg.svd(of(B, A), compute_uv=False) ** power)
        return more + int(np.argmax(total >= share * total[-1]))

    return code


def both(B, A, B0, A0):
    return np.hstack([B, B0]), np.vstack([A, -A0])


RIGHT = [
    (e.chance, 0.25),
    (e.as_lora, both),
    (e.as_lora, lambda B, A, B0, A0: [np.hstack([B0, 2 * B]), np.vstack([-A0, A / 2])]),
    (e.used_rank, used(lambda B, A: B @ A)),
    (e.busiest, {"gate", "up"}),
    (e.busiest, ["up", "gate"]),
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
    (e.used_rank, used(lambda B, A: B @ A, more=0), "too few"),
    (e.used_rank, used(lambda B, A: B), "singular values of B"),
    (e.used_rank, used(lambda B, A: B @ A, power=1), "squares"),
    (e.used_rank, lambda B, A, share: 17, "add up"),
    (e.busiest, {"v", "o"}, "least"),
    (e.busiest, ("up", "up"), "different"),
    (e.busiest, {"gate", "down"}, "directions"),
    (e.busiest, {"gate", "k"}, "one of the two"),
    (e.busiest, ["q", "k"], "rank 32"),  # as rank 8 would have it
    (e.busiest, {"q_proj", "up_proj"}, "seven kinds"),
    (e.busiest, "up", "seven kinds"),
    (e.busiest, [["up"], "gate"], "seven kinds"),
]
