"""Checkers for the exercises of chapter 17, training with LoRA."""

import numpy as np

from ._answers import call, checker, not_yet, number, right

N, n = 6_738_415_616, 39_976_960


@checker
def bytes_needed(answer: object) -> str:
    """Check the GB of a base of LLaMA-7B in four bits with a LoRA of rank 16 on all layers, before activations."""
    value = number(answer)

    def near(wanted: float) -> bool:
        return bool(np.isclose(value, wanted, rtol=2e-3))

    if near((N / 2 + 16 * n) / 1e9):
        return right("3.37 GB of base, and 0.64 GB for the adapter with its gradients and moments.")
    if near(N / 2 + 16 * n):
        return not_yet("that is in bytes; divide by 10⁹.")
    if near((N / 2 + 16 * n) / 2**30):
        return not_yet("you divided by 2³⁰, which gives GiB.")
    if near((4 * N + 16 * n) / 1e9):
        return not_yet("four bits are half a byte, not four.")
    if near((2 * N + 16 * n) / 1e9):
        return not_yet("that is the base in bfloat16.")
    if near(N / 2 / 1e9) or near((N / 2 + 2 * n) / 1e9):
        return not_yet("the adapter needs gradients and moments too: 16 bytes a parameter.")
    if near(16 * (N + n) / 1e9):
        return not_yet("only the adapter is trained.")
    return not_yet("add the bytes of the frozen base and those of the trained adapter.")


@checker
def top_layers(answer: object) -> str:
    """Check a function (L, k, N, n, T): operations of a step with LoRA beside the last k of L square layers."""
    for L, k, entries, thin, T in ((8, 3, 10_000, 400, 7), (5, 1, 2500, 100, 3), (4, 4, 900, 60, 2)):
        value = number(call(answer, L, k, entries, thin, T))
        forward, back = 2 * T * (L * entries + k * thin), 2 * T * (k - 1) * entries
        factors = 2 * T * (2 * k * thin - thin / 2)  # their own gradients, and the way back through all but the first A
        if np.isclose(value, forward + back + factors):
            continue
        if np.isclose(value, (forward + back + factors) / 2):
            return not_yet("an entry costs a multiplication and an addition.")
        if np.isclose(value, (forward + back + factors) / T):
            return not_yet("that is for one row; there are T.")
        if np.isclose(value, forward + back + factors + T * thin):
            return not_yet("at the first adapted layer the way back ends at B: its A is not passed either.")
        if np.isclose(value, forward + back + factors + 2 * T * entries):
            return not_yet("the first adapted W is not passed on the way back: nothing below it is trained.")
        if np.isclose(value, forward + back + factors + 2 * T * entries + T * thin):
            return not_yet("at the first adapted layer the way back ends: neither its W nor its A is passed.")
        if np.isclose(value, 4 * T * L * entries + 6 * T * k * thin):
            return not_yet("the gradient does not go down below the first adapted layer.")
        if np.isclose(value, 2 * T * L * entries + 6 * T * k * thin):
            return not_yet("the gradient does pass through the frozen weights above the first adapted layer.")
        return not_yet("use part 1 of the theorem: which weights are in S, and which are in U?")
    return right("2T ((L + k − 1) N + 3 k n − n/2).")


@checker
def checkpoint(answer: object) -> str:
    """Check the MB of a checkpoint of a LoRA of rank 16 on all layers of LLaMA-7B, from which a run can go on."""
    value = number(answer)

    def near(wanted: float) -> bool:
        return bool(np.isclose(value, wanted, rtol=2e-3))

    if near(12 * n / 1e6):
        return right("480 MB: the factors and two moments for each entry, four bytes each.")
    if near(12 * n) or near(12 * n / 1e9):
        return not_yet("the number is right, the unit is not: MB are 10⁶ bytes.")
    if near(12 * n / 2**20):
        return not_yet("you divided by 2²⁰, which gives MiB.")
    if near(4 * n / 1e6):
        return not_yet("that is the adapter alone; without the moments a run cannot go on as it was.")
    if near(16 * n / 1e6):
        return not_yet("gradients are made anew in every step.")
    if near(8 * n / 1e6):
        return not_yet("Adam has two moments for each entry.")
    if near((2 * N + 12 * n) / 1e6):
        return not_yet("the frozen base does not change, and need not be saved with each checkpoint.")
    return not_yet("what is trained, and what the optimiser knows of it: how many float32 numbers for each entry?")
