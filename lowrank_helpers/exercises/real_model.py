"""Checkers for the exercises of the project, a real model on one's own data."""

import numpy as np

from ._answers import checker, not_yet, number, right

EIGHT = 8_030_261_248  # Llama 3 8B
OUTSIDE = 2 * 128_256 * 4096 + 65 * 4096  # embedding, head, and the norms of 32 blocks
INSIDE = EIGHT - OUTSIDE


@checker
def four_bits(answer: object) -> str:
    """Check the GB of Llama 3 8B's weights with NF4 (4.127 bits) in the linear layers and 16 bits elsewhere."""
    value = number(answer)

    def near(wanted: float) -> bool:
        return bool(np.isclose(value, wanted / 1e9, rtol=5e-3))

    if near(4.127 / 8 * INSIDE + 2 * OUTSIDE):
        return right("5.7 GB, of which embedding and head are 2.1.")
    if near(4 / 8 * INSIDE + 2 * OUTSIDE):
        return not_yet("blocks of 64 weights have a scale each, which counts too.")
    if near(4.127 / 8 * EIGHT) or near(EIGHT / 2):
        return not_yet("embedding, head and norms stay in 16 bits.")
    if near(2 * EIGHT):
        return not_yet("that is the model in 16 bits.")
    if near(1e9 * (4.127 / 8 * INSIDE + 2 * OUTSIDE)):
        return not_yet("that is in bytes; divide by 10⁹.")
    return not_yet("count the linear layers and the rest apart, with the bytes of each.")


@checker
def held_out(answer: object) -> str:
    """Check the least number of held-out examples for five points on either side of a share of one half (95 %)."""
    value = number(answer)
    if value == 385:
        return right("19.6² and a little; five times as sharp would take 25 times as many.")
    if value == 384 or np.isclose(value, 19.6**2, atol=0.01):
        return not_yet("with 384 the interval still reaches a hair too far: round up.")
    if value == 400:
        return not_yet("that takes 2 for the 1.96; a few less are enough.")
    if value in (96, 97, 100):
        return not_yet("that is for ten points each way, or for one standard deviation; the interval has 1.96 of them.")
    if 9 <= value <= 10:
        return not_yet("a root is missing: the width falls like 1/√n.")
    if value in (270, 271):
        return not_yet("that is for an interval of 90 %.")
    if np.isclose(value, 19.6, atol=0.5):
        return not_yet("that is √n.")
    if value in (9604, 9605):
        return not_yet("that is for one point; the question was for five.")
    return not_yet("solve 1.96 · ½ / √n = 0.05 for n.")


@checker
def learned(answer: object) -> str:
    """Check how many of the tokens <user> a b c <end> <assistant> d e <end> the loss asks for."""
    value = number(answer)
    if value == 3:
        return right("d, e, and the end, without which the model would never stop.")
    if value == 2:
        return not_yet("who would tell the model to stop?")
    if value == 4:
        return not_yet("the mark that opens the answer is given to the model.")
    if value in (8, 9):
        return not_yet("that is the loss on the whole conversation.")
    return not_yet("only what the model has to write itself is learned.")
