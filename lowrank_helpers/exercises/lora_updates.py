"""Checkers for the exercises of chapter 18, what the run learned."""

import numpy as np

from ._answers import array, call, checker, not_yet, number, right, shape_of


@checker
def chance(answer: object) -> str:
    """Check the mean of φ of two random subspaces of dimensions 8 and 64 in 256 dimensions."""
    value = number(answer)
    if np.isclose(value, 0.25):
        return right("the larger dimension counts, 64/256.")
    if np.isclose(value, 8 / 256):
        return not_yet("you divided by the larger of the dimensions; φ divides by the smaller.")
    if np.isclose(value, 2):
        return not_yet("that is the mean of the squared norm; φ divides it by the smaller dimension.")
    if np.isclose(value, 0):
        return not_yet("random subspaces are not orthogonal, only nearly so if they are small.")
    return not_yet("start from kl/n, and divide by the smaller of k and l.")


@checker
def as_lora(answer: object) -> str:
    """Check a function (B, A, B0, A0) that returns PiSSA's update, up to s, as the factors of one LoRA adapter."""
    rng = np.random.default_rng(1)
    for m, n, r in ((6, 5, 2), (4, 7, 1)):
        B, B0 = rng.standard_normal((2, m, r))
        A, A0 = rng.standard_normal((2, r, n))
        result = call(answer, B, A, B0, A0)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet("return two matrices, the tall one and the wide one, in this order.")
        if shape_of(result[0]) == (m, r):
            return not_yet("rank r is too small: the difference of two products has rank up to 2r.")
        left, wide = array(result[0], (m, 2 * r), "the tall factor"), array(result[1], (2 * r, n), "the wide factor")
        product = left @ wide
        if np.allclose(product, B @ A - B0 @ A0):
            continue
        if np.allclose(product, B @ A + B0 @ A0):
            return not_yet("the start has to be subtracted.")
        if np.allclose(product, B0 @ A0 - B @ A):
            return not_yet("the sign is the wrong way round.")
        return not_yet("the product of your factors is not BA − B₀A₀.")
    return right("an ordinary adapter of rank 2r for the original weight.")


@checker
def used_rank(answer: object) -> str:
    """Check a function (B, A, share) that returns how many singular values of BA hold this share of the squares."""
    rng = np.random.default_rng(2)
    for sigma, share, wanted in (((3.0, 2, 1), 0.9, 2), ((1.0, 1, 1, 1), 0.7, 3), ((10.0, 1, 1), 0.9, 1)):
        r = len(sigma)
        U, V = np.linalg.qr(rng.standard_normal((8, r)))[0], np.linalg.qr(rng.standard_normal((6, r)))[0]
        G = rng.standard_normal((r, r)) + 3 * np.eye(r)
        B, A = U @ np.diag(sigma) @ G, np.linalg.solve(G, V.T)
        value = number(call(answer, B, A, share))
        if value == wanted:
            continue
        of_B = np.cumsum(np.linalg.svd(B, compute_uv=False) ** 2)
        if value == 1 + int(np.argmax(of_B >= share * of_B[-1])):
            return not_yet("these are the singular values of B; only the product BA has a meaning.")
        plain = np.cumsum(sigma)
        if value == 1 + int(np.argmax(plain >= share * plain[-1])):
            return not_yet("the share is one of the squares of the singular values.")
        if value == wanted - 1:
            return not_yet("one too few: the share has to be reached; does your count start at 0?")
        return not_yet("add up the squared singular values of BA until the share is reached.")
    return right("small, and often smaller than the rank that was paid for.")


@checker
def busiest(answer: object) -> str:
    """Check the two kinds of layers whose updates use most of the rank that they were allowed."""
    kinds = {"q", "k", "v", "o", "gate", "up", "down"}
    given = list(answer) if isinstance(answer, set | frozenset | list | tuple) else []
    if len(given) != 2 or not all(isinstance(kind, str) and kind in kinds for kind in given):
        return not_yet('give two of the seven kinds, as in {"q", "down"}.')
    named = set(given)
    if named == {"gate", "up"}:
        return right("they read the block's input for the hidden units, and use about 15 of 32 each.")
    if named == {"v", "o"}:
        return not_yet("these two use least; is the list sorted the other way round?")
    if len(named) == 1:
        return not_yet("two different kinds, please.")
    if "down" in named:
        return not_yet('"down" has the most inputs, 384, and does not use the most directions.')
    if named & {"gate", "up"}:
        return not_yet("one of the two is right; average over all four blocks, not over one.")
    return not_yet("these are in the middle, or lower; was it the run that is allowed rank 32?")
