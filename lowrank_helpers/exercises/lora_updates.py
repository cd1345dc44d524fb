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
def resized(answer: object) -> str:
    """Check a function (B, A, k) that returns two factors of rank k whose product is nearest to BA."""
    rng = np.random.default_rng(2)
    for m, n, sigma, k in ((8, 6, np.array([3.0, 2, 1]), 2), (5, 9, np.array([5.0, 2, 1, 1]), 1)):
        r = len(sigma)
        U, V = np.linalg.qr(rng.standard_normal((m, r)))[0], np.linalg.qr(rng.standard_normal((n, r)))[0]
        G = rng.standard_normal((r, r)) + 3 * np.eye(r)
        B, A = U @ np.diag(sigma) @ G, np.linalg.solve(G, V.T)
        result = call(answer, B.copy(), A.copy(), k)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet("return two matrices, the tall one and the wide one, in this order.")
        if shape_of(result[0]) == (m, r):
            return not_yet("your factors have the old rank; nothing has become smaller.")
        left, wide = array(result[0], (m, k), "the tall factor"), array(result[1], (k, n), "the wide factor")
        product, top = left @ wide, (U[:, :k], sigma[:k], V[:, :k].T)
        if np.allclose(product, top[0] * top[1] @ top[2]):
            continue
        if np.allclose(product, B[:, :k] @ A[:k]):
            return not_yet("the first columns of B and rows of A have no order; only the product BA has directions.")
        if np.allclose(product, top[0] @ top[2]):
            return not_yet("the directions are right, and the singular values are missing.")
        if np.allclose(product, top[0] * top[1] ** 2 @ top[2]):
            return not_yet("the singular values are in both factors: give each a root of them, or one factor all.")
        return not_yet("the product of your factors is not the best approximation of BA of this rank.")
    return right("no matrix of this rank is nearer to BA. What it is worth, the loss has to say.")
