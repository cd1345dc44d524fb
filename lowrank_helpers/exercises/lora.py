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
def floor(answer: object) -> str:
    """Check the update of rank 1 that is closest to diag(2, 1) on inputs with the root [[2, 1], [2, 4]]."""
    D, S = np.diag([2.0, 1.0]), np.array([[2.0, 1.0], [2.0, 4.0]])
    update = array(answer, (2, 2), "the update")
    if np.allclose(update, [[1.0, 0.5], [1.0, 0.5]], atol=1e-4):
        return right("it has the error 2, the second singular value of DS; the truncation has √20.")
    if np.linalg.matrix_rank(update, tol=1e-3) > 1:
        return not_yet("this matrix has rank 2, and rank 1 is allowed.")
    if np.allclose(update, np.diag([2.0, 0.0])):
        return not_yet("that is the truncation of D, which is best for white inputs only.")
    if np.allclose(update, 3):
        return not_yet("that is the truncation of DS; the update times S has to be it.")
    if np.allclose(update, 0.5):
        return not_yet("that is uuᵀ; the update is uuᵀ times D.")
    if np.allclose(update, [[1.0, 1.0], [0.5, 0.5]]):
        return not_yet(
            "you projected on the right, by the right singular vector of DS; the left one stands on the left."
        )
    if np.allclose(update, [[2, 1], [2, 1]]):
        return not_yet("twice too large: u has to have length 1.")
    return not_yet(f"its error on the inputs is {np.linalg.norm((D - update) @ S):.3f}, and the floor is 2.")


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
    return right("r directions in B and r others in A, so the step is G truncated to rank 2r.")
