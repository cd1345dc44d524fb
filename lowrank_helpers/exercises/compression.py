"""Checkers for the exercises of chapter 15, compression."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right, shape_of


@checker
def eighty_percent(answer: object) -> str:
    """Check the largest rank at which two factors of an 11008×4096 weight take at most 80 % of its bytes."""
    value = number(answer)
    if value != int(value):
        return not_yet("a rank is a whole number; round down, since rounding up would take too many bytes.")
    if value == 2388:
        return right("80 % of the break-even rank 2985, and 58 % of the full one.")
    if value == 2389:
        return not_yet("that one takes a little more than 80 %; round down.")
    if value in (3276, 3277):
        return not_yet("that is 80 % of the full rank; its factors take more bytes than the weight.")
    if value in (2985, 2986):
        return not_yet("that is the break-even rank, at which nothing is saved.")
    if value in (597, 596):
        return not_yet("that rank takes 20 % of the bytes, and saves 80 %.")
    if value > 2388:
        return not_yet("these factors take more than 80 % of the bytes: r(m + n) against mn.")
    return not_yet("a larger rank still fits.")


@checker
def by_hand(answer: object) -> str:
    """Check the least error of rank 1 for W = diag(2, 1) and X Xᵀ = diag(1, 9)."""
    value = number(answer)
    if np.isclose(value, 2, atol=1e-6):
        return right("WX has the singular values 3 and 2, and the smaller one is lost.")
    if np.isclose(value, 3, atol=1e-6):
        return not_yet("that is what plain truncation reaches: it keeps the first entry, with the small input.")
    if np.isclose(value, 4, atol=1e-6):
        return not_yet("that is the square of the norm.")
    if np.isclose(value, 1, atol=1e-6):
        return not_yet("that is the second singular value of W; weigh it with the inputs.")
    if np.isclose(value, 9, atol=1e-6):
        return not_yet("X Xᵀ holds squares; its root is what multiplies W.")
    return not_yet("take a root S of X Xᵀ, and the singular values of WS.")


@checker
def double(answer: object) -> str:
    """Check how many bits an entry QLoRA's double quantisation saves: 32/64 − (8 + 32/256)/64."""
    value = number(answer)
    saved, kept = 0.5 - (8 + 0.125) / 64, (8 + 0.125) / 64
    if np.isclose(value, saved, atol=6e-4):
        return right("half a bit for the scales becomes 0.127, so that NF4 takes 4.127 bits an entry.")
    if np.isclose(value, kept, atol=6e-4):
        return not_yet("that is what the scales take afterwards; how much less is that than before?")
    if np.isclose(value, 0.375, atol=6e-4):
        return not_yet("you left out the scales of the scales.")
    if np.isclose(value, 4 + kept, atol=6e-4):
        return not_yet("that is what an entry takes in all; how much less is that than 4.5?")
    if np.isclose(value, 0.5, atol=6e-4):
        return not_yet("that is what the scales take before; in 8 bits they still take something.")
    return not_yet("one scale belongs to 64 entries, and one second scale to 256 scales.")


@checker
def twins(answer: object) -> str:
    """Check the outgoing weights of the neuron that does the work of two: (2, 0) + 3 (1, -1)."""
    found = array(answer, (2,), "the vector of outgoing weights")
    if np.allclose(found, [5, -3]):
        return right("the second neuron answers three times as strongly, so its outgoing weights count three times.")
    if np.allclose(found, [3, -1]):
        return not_yet("you added the two; the second neuron answers three times as strongly as the first.")
    if np.allclose(found, [2 + 1 / 3, -1 / 3]):
        return not_yet("c stands on the other side: g₂ is 3 g₁, so φ(g₂ᵀx) is 3 φ(g₁ᵀx).")
    if np.allclose(found, [3, -3]):
        return not_yet("that is what the second neuron brings; what the first one did must stay.")
    return not_yet("write φ(g₂ᵀx) as a multiple of φ(g₁ᵀx), and collect the two terms.")


def _best(weight: NDArray[np.float64], H: NDArray[np.float64], r: int) -> NDArray[np.float64]:
    """The product of rank r that changes the outputs of these inputs least."""
    Vt = np.linalg.svd(H @ weight.T, full_matrices=False)[2][:r]
    best: NDArray[np.float64] = Vt.T @ Vt @ weight
    return best


@checker
def with_bias(answer: object) -> str:
    """Check a function (weight, bias, H, r) that returns weights (r, in) and (out, r) and a bias for two layers."""
    rng = np.random.default_rng(15)
    for m, n, N, r in ((5, 8, 40, 2), (8, 5, 40, 3), (6, 6, 4, 2)):
        weight, bias = rng.standard_normal((m, n)), rng.standard_normal(m)
        H = 3 + rng.standard_normal((N, n)) @ (np.eye(n) + rng.standard_normal((n, n))) * np.geomspace(5, 0.2, n)
        parts = call(answer, weight, bias, H, r)
        if not isinstance(parts, tuple | list) or len(parts) != 3:
            return not_yet("return two weights and a bias: first, second, shift.")
        if shape_of(parts[0]) == (m, r) and shape_of(parts[1]) == (r, n) and (m, r) != (r, n):
            return not_yet("the two came in the other order; first is what meets the inputs, (r, in).")
        first, second = array(parts[0], (r, n), "first"), array(parts[1], (m, r), "second")
        shift = array(parts[2], (m,), "the bias")
        Z, mean, outputs = second @ first, H.mean(axis=0), H @ weight.T + bias
        s = np.linalg.svd((H - mean) @ weight.T, compute_uv=False)
        least, error = np.linalg.norm(s[r:]), np.linalg.norm(outputs - H @ Z.T - shift)
        slack = 1e-8 * np.linalg.norm(outputs)
        if error <= least + slack:
            continue
        fitted = np.allclose(shift, bias + (weight - Z) @ mean)
        if np.allclose(Z, _best(weight, H - mean, r)):
            return not_yet("the weights are right; now the bias has to take what the mean of the inputs loses.")
        if np.allclose(Z, _best(weight, H, r)):
            told = "the bias is the best one for these weights, but they" if fitted else "the weights"
            return not_yet(f"{told} are those for inputs with their mean: with a bias, it can be taken off before.")
        if np.allclose(Z, _best(weight, np.eye(n), r)):
            return not_yet("that is the truncation of the weight; the inputs were not used.")
        return not_yet(f"the outputs change by {error / least:.2f} times the least possible.")
    return right("and for four inputs of six coordinates too, which have no full rank: nothing was inverted.")
