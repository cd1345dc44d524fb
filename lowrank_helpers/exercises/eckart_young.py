"""Checkers for the exercises of chapter 6, Eckart–Young."""

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]


@checker
def spectrum(answer: object) -> str:
    """Check the least relative Frobenius error at rank 2 for the singular values 6, 3, 2, 1."""
    value = number(answer)
    if np.isclose(value, np.sqrt(0.1), rtol=0, atol=6e-4):
        return right("nine tenths of the energy are kept, and the error is still almost a third.")
    if np.isclose(value, np.sqrt(0.1), rtol=0, atol=0.01):
        return not_yet("that is near; give three digits.")
    if np.isclose(value, 0.1, atol=0.002):
        return not_yet("that is the share of the squared norm that is lost; the relative error is a ratio of norms.")
    if np.isclose(value, 1 / 3, atol=0.004):
        return not_yet("that is σ₃/σ₁, the relative error in the spectral norm.")
    if np.isclose(value, 0.25, atol=0.004):
        return not_yet("that is 3/12, the relative error in the nuclear norm: you added singular values, not squares.")
    if np.isclose(value, np.sqrt(5), atol=0.01):
        return not_yet("that is the error itself; divide it by the norm of M.")
    if np.isclose(value, 2 / np.sqrt(50), atol=0.004):
        return not_yet("the whole tail counts, not only σ₃.")
    if np.isclose(value, np.sqrt(0.9), atol=0.004) or np.isclose(value, 0.9, atol=0.004):
        return not_yet("that measures what is kept; the question is about what is lost.")
    return not_yet("add the squares of the singular values from the third on, and compare with the sum of all squares.")


@checker
def weighted(answer: object) -> str:
    """Check a function (D, M, r) that minimises ‖D(M − X)‖_F over all X of rank at most r."""
    rng = np.random.default_rng(1)
    M = rng.standard_normal((5, 4))
    D = rng.standard_normal((5, 5)) + 3 * np.eye(5)
    X = array(call(answer, D, M, 2), (5, 4), "X")
    s = np.linalg.svd(X, compute_uv=False)
    if s[2] > 1e-8 * s[0]:
        return not_yet("the result has a rank above r.")
    error, best = np.linalg.norm(D @ (M - X)), _tail(D @ M, 2)
    if error <= best * (1 + 1e-8):
        return right("no X of this rank has a smaller weighted error: D X can be any matrix of rank at most r.")
    if np.allclose(X, _truncated(M, 2)):
        return not_yet("that is the truncation of M itself; it knows nothing of the weights.")
    if np.allclose(X, _truncated(D @ M, 2)):
        return not_yet("that is the best approximation of D M; what should X be, so that D X is this matrix?")
    if np.allclose(X, np.linalg.solve(D.T, _truncated(D @ M, 2))):
        return not_yet("undo D, not its transpose; a diagonal D does not tell them apart.")
    return not_yet(f"the weighted error is {error / best:.3f} times the least one. Put Y = D X and ask for the best Y.")


@checker
def escape(answer: object) -> str:
    """Check a function (A, B, M) that returns a direction (E, F) of negative curvature at a critical point."""
    rng = np.random.default_rng(2)
    M = rng.standard_normal((5, 4))
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    G = np.array([[2.0, 1.0], [0.5, 1.0]])
    wrong_pair = (U[:, 1:3] * s[1:3] @ G, np.linalg.solve(G, Vt[1:3]))
    half = (np.column_stack([U[:, 0], U[:, 0]]), np.outer([s[0] - 0.3, 0.3], Vt[0]))
    blind = np.array([[0.0, 0.0, 1.0]])
    points = {
        "M = diag(2, 1) with the second term kept": (
            np.array([[0.0], [1.0]]),
            np.array([[0.0, 1.0]]),
            np.diag([2.0, 1.0]),
        ),
        "a 5×4 matrix whose second and third terms are kept, in factors that are not balanced": (*wrong_pair, M),
        "A = 0 and B = 0": (np.zeros((5, 2)), np.zeros((2, 4)), M),
        "factors of two columns whose product has rank 1": (*half, M),
        "A = 0 with B ≠ 0": (np.zeros((3, 1)), blind, np.diag([2.0, 1.0, 0.0])),
        "B = 0 with A ≠ 0": (blind.T, np.zeros((1, 3)), np.diag([2.0, 1.0, 0.0])),
    }
    for where, (A, B, target) in points.items():
        E, F = _pair(call(answer, A, B, target), A.shape, B.shape)
        if not (E.any() and F.any()):
            return not_yet("move both factors: with one of them fixed the error is convex in the other.")
        R = target - A @ B
        curvature = 0.5 * np.sum((E @ B + A @ F) ** 2) - np.sum(R * (E @ F))
        if curvature > -1e-9 * (np.sum(E**2) + np.sum(F**2)):
            return not_yet(f"at {where} the error does not fall to second order along your direction.")
    return right("the error falls at every one of the saddles tried, of full rank and below it.")


@checker
def als_step(answer: object) -> str:
    """Check one step of alternating least squares: a function (A, M) that returns the new A and B."""
    rng = np.random.default_rng(3)
    for m, n, r in ((6, 4, 2), (3, 5, 1), (5, 5, 4)):
        A, M = rng.standard_normal((m, r)), rng.standard_normal((m, n))
        result = call(answer, A, M)
        if isinstance(result, tuple) and len(result) == 2 and shape_of(result[0]) == (r, n) != (m, r):
            return not_yet("return the new A first and B second.")
        new, B = _pair(result, (m, r), (r, n), "A and B")
        if np.allclose(B, A.T @ M):
            return not_yet("B = AᵀM is the least-squares solution only if the columns of A are orthonormal.")
        if not np.allclose(A.T @ (A @ B), A.T @ M, atol=1e-8):
            return not_yet("B does not minimise ‖AB − M‖ for the A that came in: AᵀAB and AᵀM differ.")
        if np.allclose(new, A):
            return not_yet("A came back unchanged; the second half of the step improves it for the new B.")
        if np.allclose(new, M @ B.T):
            return not_yet("A = M Bᵀ spans the right space but is no least-squares solution: B Bᵀ is not the identity.")
        if not np.allclose(new @ B @ B.T, M @ B.T, atol=1e-8):
            return not_yet("the new A does not minimise ‖AB − M‖ for the new B: ABBᵀ and MBᵀ differ.")
    return right("both halves solve their least-squares problem, tall, wide and square.")


@checker
def rotation(answer: object) -> str:
    """Check a function (A, B) that returns the rotation Q, det Q = 1, with the least ‖A Q − B‖_F."""
    rng = np.random.default_rng(4)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn[:, 0] *= np.linalg.det(turn)
    A = rng.standard_normal((8, 3)) * [3.0, 2.0, 1.0]
    for words, B in (("turned", A @ turn), ("mirrored and turned", A @ np.diag([1.0, 1.0, -1.0]) @ turn)):
        Q = array(call(answer, A, B), (3, 3), "Q")
        if not np.allclose(Q.T @ Q, np.eye(3), atol=1e-8):
            return not_yet("Q is not orthogonal; a plain least-squares solution may stretch.")
        if np.linalg.det(Q) < 0:
            return not_yet(f"for a {words} copy of A your Q has determinant −1: it is a reflection, not a rotation.")
        U, _, Vt = np.linalg.svd(A.T @ B)
        best = (U * [1, 1, np.linalg.det(U @ Vt)]) @ Vt
        if np.allclose(Q, best.T) and not np.allclose(best, best.T):
            return not_yet("that is the transpose: it turns B onto A.")
        if np.linalg.norm(A @ Q - B) > np.linalg.norm(A @ best - B) + 1e-8:
            return not_yet(f"for a {words} copy of A another rotation is closer; which sign costs least to change?")
    return right("it turns back a turned copy exactly and does the best that a rotation can for a mirrored one.")


@checker
def pixels(answer: object) -> str:
    """Check the least rank at which the truncated SVD is as close to the photograph as its 8×8 block means."""
    value = number(answer)
    if value == 11:
        return right("11·(424 + 640) = 11 704 numbers against 4240 means: on this measure the blocks win by far.")
    if value == 10:
        return not_yet("the error at rank 10 is a little larger still; do your indices start at 0 or at 1?")
    if value in (3, 4):
        return not_yet("that rank stores as many numbers as there are means; the question is which rank is as close.")
    if value in (53, 80):
        return not_yet("that is a side of the small picture of means; compare errors.")
    if value != int(value):
        return not_yet("a rank is a whole number.")
    return not_yet("divide ‖M − X‖_F for the block means X by ‖M‖_F, and compare with the tails of the spectrum.")


def _truncated(M: Array, rank: int) -> Array:
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    best: Array = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    return best


def _tail(M: Array, rank: int) -> float:
    return float(np.linalg.norm(np.linalg.svd(M, compute_uv=False)[rank:]))


def _pair(
    result: object, first: tuple[int, ...], second: tuple[int, ...], names: str = "E and F"
) -> tuple[Array, Array]:
    """Read a pair of arrays of given shapes."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise NotYet(f"return a pair, {names}.")
    one, two = names.split(" and ")
    return array(result[0], first, one), array(result[1], second, two)
