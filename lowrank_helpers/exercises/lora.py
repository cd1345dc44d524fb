"""Checkers for the exercises of chapter 16, LoRA."""

import numpy as np
from numpy.typing import NDArray

from ._answers import array, call, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]


@checker
def count(answer: object) -> str:
    """Check the parameters of a LoRA of rank 4 on q_proj, v_proj and down_proj of the base model's four blocks."""
    value = number(answer)
    if value == 16_384:
        return right("4 · (2 · 1024 + 2048), 1.7 % of the model.")
    if value == 4_096:
        return not_yet("that is one block; there are four.")
    if value == 12_288:
        return not_yet("down_proj is not square: its input has 384 entries.")
    if value in (8_192, 16_384 / 4 / 4):
        return not_yet("each layer has both an A and a B, and down_proj has an adapter too.")
    if value == 4 * (2 * 128 * 128 + 128 * 384):
        return not_yet("that counts the frozen weights.")
    if value == 2 * 16_384:
        return not_yet("twice too many: rank 4, not 8, and no bias.")
    return not_yet("an m × n layer needs r(m + n); add the three layers of a block, and multiply by the blocks.")


@checker
def translate(answer: object) -> str:
    """Check the α that gives, with α/r, the scale of an adapter with r = 16, α = 32 and α/√r."""
    value = number(answer)
    if np.isclose(value, 128):
        return right("the scale is 8 either way; the general rule is α√r.")
    if np.isclose(value, 8):
        return not_yet("that is the scale itself; which α has it after division by the rank?")
    if np.isclose(value, 32):
        return not_yet("with the same α the scale would be 2, a quarter of what it was.")
    if np.isclose(value, 2):
        return not_yet("that is 32/16, the scale of the wrong convention.")
    if np.isclose(value, 512):
        return not_yet("you multiplied by r; the two conventions differ by its root.")
    return not_yet("compute the scale with α/√r first, then ask which α gives it with α/r.")


@checker
def combine(answer: object) -> str:
    """Check a function (B1, A1, s1, B2, A2, s2, alpha) that returns (B, A) of one adapter with the effect of both."""
    rng = np.random.default_rng(1)
    for m, n, r1, r2 in ((6, 5, 2, 1), (4, 7, 2, 2)):
        B1, A1 = rng.standard_normal((m, r1)), rng.standard_normal((r1, n))
        B2, A2 = rng.standard_normal((m, r2)), rng.standard_normal((r2, n))
        result = call(answer, B1, A1, 0.5, B2, A2, 3.0, 4.0)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet("return two matrices, B and A, in this order.")
        rank = r1 + r2
        if shape_of(result[0]) == (m, r1) and r1 == r2:
            return not_yet("the factors cannot be added or averaged; put them side by side.")
        B, A = array(result[0], (m, rank), "B"), array(result[1], (rank, n), "A")
        wanted = 0.5 * B1 @ A1 + 3.0 * B2 @ A2
        if np.allclose(4.0 / rank * B @ A, wanted):
            continue
        if np.allclose(B @ A, wanted):
            return not_yet("the program multiplies by α/r once more; divide by it.")
        if np.allclose(B @ A, B1 @ A1 + B2 @ A2):
            return not_yet("the scales s₁ and s₂ are missing.")
        if any(np.allclose(4.0 / k * B @ A, wanted) for k in (1, r1, r2)):
            return not_yet("the rank in α/r is that of the new adapter.")
        return not_yet("α/r times B A is not the sum of the two updates.")
    return right("ranks add, and the scales go into the factors.")


@checker
def best_update(answer: object) -> str:
    """Check a function (D, X, r) that returns the update of rank at most r closest to D on the rows of X."""
    rng = np.random.default_rng(2)
    for m, n, samples, r in ((5, 6, 40, 2), (6, 8, 3, 1), (4, 4, 30, 4)):
        D = rng.standard_normal((m, n))
        X = rng.standard_normal((samples, n)) * 3.0 ** -np.arange(n) @ np.linalg.qr(rng.standard_normal((n, n)))[0]
        found = array(call(answer, D, X, r), (m, n), "the update")
        s = np.linalg.svd(D @ X.T, compute_uv=False)
        least, got = np.sqrt((s[r:] ** 2).sum()), np.linalg.norm(X @ (D - found).T)
        if np.linalg.matrix_rank(found, tol=1e-8) > r:
            return not_yet("the rank of your update is larger than r.")
        if got <= least + 1e-6 * s[0]:
            continue
        U, t, Vt = np.linalg.svd(D)
        if np.allclose(found, (U[:, :r] * t[:r]) @ Vt[:r]):
            return not_yet("that is the truncation of D, which is best for white inputs only.")
        if np.allclose(found, U[:, :r] @ U[:, :r].T @ D):
            return not_yet("the singular vectors of D itself do not know the inputs.")
        return not_yet("an update of this rank can come closer on these inputs.")
    return right("one decomposition of D Xᵀ, and no inverse.")


@checker
def gradient_start(answer: object) -> str:
    """Check a function (G, r) that returns (B, A), orthonormal, for which B Bᵀ G + G Aᵀ A is closest to G."""
    rng = np.random.default_rng(3)
    for m, n, r in ((6, 5, 2), (4, 7, 1), (8, 8, 3)):
        G = rng.standard_normal((m, n))
        result = call(answer, G, r)
        if not isinstance(result, tuple | list) or len(result) != 2:
            return not_yet("return two matrices, B and A, in this order.")
        if shape_of(result[1]) == (n, r):
            return not_yet("A is r × n: rows of Vᵀ, not columns of V.")
        B, A = array(result[0], (m, r), "B"), array(result[1], (r, n), "A")
        if not (np.allclose(B.T @ B, np.eye(r)) and np.allclose(A @ A.T, np.eye(r))):
            return not_yet("the columns of B and the rows of A are to be orthonormal.")
        s = np.linalg.svd(G, compute_uv=False)
        step = B @ B.T @ G + G @ A.T @ A
        if np.linalg.norm(step - G) <= np.sqrt((s[2 * r :] ** 2).sum()) + 1e-8 * s[0]:
            continue
        if np.allclose(B @ B.T @ G, G @ A.T @ A):
            return not_yet(
                "both factors have the same r directions, which count twice; nothing of the next r is there."
            )
        return not_yet("the step can come closer: 2r singular directions of G have room in it.")
    return right("r directions in B and the next r in A, so the step is G truncated to rank 2r.")
