"""Checkers for the exercises of chapter 18, what the run learned."""

import numpy as np

from ._answers import array, call_with_peak, checker, not_yet, number, right, shape_of


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
def disguise(answer: object) -> str:
    """Check how many times larger LoRA+ with λ = 16 starts A than LoRA at one rate: by descent, and by Adam."""
    pair = array(answer, (2,), "the answer")
    if np.allclose(pair, (2, 4)):
        return right("and one rate of 4η for both; at B₀ = 0 the function starts the same.")
    if np.allclose(pair, (4, 2)):
        return not_yet("the two are exchanged: plain descent is the one that sees the scale of a gradient.")
    if np.allclose(pair, (4, 4)):
        return not_yet("right for Adam; in plain descent the gradients change with c as well.")
    if np.allclose(pair, (2, 2)):
        return not_yet("right for plain descent; Adam's step does not know the scale of its gradient.")
    if np.allclose(pair, (16, 16)) or np.allclose(pair, (4, 16)):
        return not_yet("c multiplies the one rate and divides the other: it need not bridge all of λ alone.")
    if np.allclose(pair, (0.5, 0.25)):
        return not_yet("A′ is cA, and it is larger than A.")
    return not_yet("write both steps for A′ = cA and B′ = B/c, and make the two rates equal.")


@checker
def resized(answer: object) -> str:
    """Check a function (B, A, k) that returns two factors of rank k whose product is nearest to BA."""
    rng = np.random.default_rng(2)
    large = (1000, 1000, np.array([3.0, 2, 1]), 2)  # last: what a first call imports is not counted
    for m, n, sigma, k in ((8, 6, np.array([3.0, 2, 1]), 2), (5, 9, np.array([5.0, 2, 1, 1]), 1), large):
        r = len(sigma)
        U, V = np.linalg.qr(rng.standard_normal((m, r)))[0], np.linalg.qr(rng.standard_normal((n, r)))[0]
        G = rng.standard_normal((r, r)) + 3 * np.eye(r)
        B, A = U @ np.diag(sigma) @ G, np.linalg.solve(G, V.T)
        result, most = call_with_peak(answer, B, A, k)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet("return two matrices, the tall one and the wide one, in this order.")
        if shape_of(result[0]) == (m, r):
            return not_yet("your factors have the old rank; nothing has become smaller.")
        left, wide = array(result[0], (m, k), "the tall factor"), array(result[1], (k, n), "the wide factor")
        product, top = left @ wide, (U[:, :k], sigma[:k], V[:, :k].T)
        if np.allclose(product, B[:, :k] @ A[:k]):
            return not_yet("the first columns of B and rows of A have no order; only the product BA has directions.")
        if np.allclose(product, top[0] @ top[2]):
            return not_yet("the directions are right, and the singular values are missing.")
        if np.allclose(product, top[0] * top[1] ** 2 @ top[2]):
            return not_yet("the singular values are in both factors: give each a root of them, or one factor all.")
        if not np.allclose(product, top[0] * top[1] @ top[2]):
            return not_yet("the product of your factors is not the best approximation of BA of this rank.")
        if m == n and most > 2 * m * n:  # bytes: a quarter of the product in double precision
            return not_yet("it is the best approximation, but on the way you form BA or a matrix of its size.")
    return right("no matrix of this rank is nearer to BA. What it is worth, the loss has to say.")
