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
def logits(answer: object) -> str:
    """Check the GB of the logits of 2048 tokens with a vocabulary of 262 144, in 16 bits and twice in float32."""
    value = number(answer)

    def near(wanted: float) -> bool:
        return bool(np.isclose(value, wanted / 1e9, rtol=5e-3))

    entries = 2048 * 262_144
    if near(10 * entries):
        return right("5.4 GB, more than the weights of the model in four bits.")
    if near(2 * entries):
        return not_yet("the loss has a copy in float32, and its gradient is another.")
    if near(6 * entries):
        return not_yet("the gradient of the loss is as large as the logits.")
    if near(8 * entries) or near(12 * entries):
        return not_yet("one copy has two bytes a number, and two have four.")
    if near(1e9 * 10 * entries):
        return not_yet("that is in bytes; divide by 10⁹.")
    return not_yet("tokens times vocabulary is the number of logits; add up the bytes of the three copies of one.")


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
