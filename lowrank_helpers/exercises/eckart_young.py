"""Checkers for the exercises of chapter 6, Eckart–Young."""

from contextlib import suppress
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, right, shape_of

Array = NDArray[np.float64]


@checker
def meet(answer: object) -> str:
    """Check a unit vector in the null space of a (1, 1, 0) and in the span of (1, 2, 2) and (2, 1, -2)."""
    z = array(np.asarray(answer).ravel() if shape_of(answer) in ((3, 1), (1, 3)) else answer, (3,), "z")
    killed, inside = abs(z[0] + z[1]) < 5e-3, abs(2 * z[0] - 2 * z[1] + z[2]) < 5e-3
    if not z.any():
        return not_yet("z is 0, which every matrix sends to 0; the proof needs a unit vector.")
    if not (killed or inside):
        return not_yet("z is in neither of the two planes: X z is not 0, and z is not perpendicular to v₃.")
    if not killed:
        return not_yet("X z is not 0: the row (1, 1, 0) times z has to vanish.")
    if not inside:
        return not_yet("z is not in the span of v₁ and v₂: it is not perpendicular to v₃.")
    if abs(np.linalg.norm(z) - 1) > 5e-3:
        return not_yet("the direction is right; divide it by its length.")
    return right("X sends z to 0 for every column a, and M stretches it by at least σ₂.")


@checker
def unsymmetric(answer: object) -> str:
    """Check a matrix of rank 1 that is not symmetric and as close to diag(1, -1) as any matrix of rank 1."""
    X = array(answer, (2, 2), "the matrix")
    if abs(np.linalg.det(X)) > 1e-4:
        return not_yet("its determinant is not 0, so its rank is 2.")
    error = np.linalg.norm(np.diag([1.0, -1.0]) - X)
    if error > 1 + 1e-4:
        return not_yet(f"its error is {error:.3f}, and diag(1, 0) has the error 1.")
    u = np.linalg.svd(X)[0][:, 0]
    if np.linalg.norm(X - np.outer(u, u) @ np.diag([1.0, -1.0])) > 2e-3:
        return not_yet(f"its error, {error:.7f}, is a little above 1; diag(1, 0) is closer.")
    if abs(X[0, 1] - X[1, 0]) < 5e-3:
        return not_yet("it is a best approximation, but a symmetric one.")
    return right("its transpose, another matrix, is as close: with a tie there is more than one.")


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
    Q, M, lengths = np.linalg.qr(rng.standard_normal((5, 2)))[0], rng.standard_normal((5, 4)), np.array([1.0, 1e-20])
    new, B = _pair(call(answer, Q * lengths, M), (5, 2), (2, 4), "A and B")
    P = np.linalg.qr(M.T @ Q)[0]  # the rows of B span its column space
    if not (np.allclose(lengths[:, None] * B, Q.T @ M) and np.allclose(new @ B, M @ P @ P.T)):
        return not_yet(
            "an A of full column rank with a column 1e-20 times as long as the other gives a wrong result;"
            " a threshold, such as that of a least-squares routine, takes the short column for zero."
        )
    if used := _names_used(answer) & LEAST_SQUARES:
        return not_yet(f"the result is right, but your function uses {min(used)}; solve the normal equations yourself.")
    return right("both halves solve their least-squares problem: tall, wide, square, and with columns of any length.")


LEAST_SQUARES = {"lstsq", "pinv", "pinvh", "lsqr", "lsmr", "lsq_linear", "least_squares", "LinearRegression"}
LIBRARIES = {"numpy", "scipy", "sklearn", "lowrank_helpers"}


def _names_used(function: object) -> set[str]:
    """The names that a function reads, also in functions inside of it and in those of the reader that it calls."""
    names: set[str] = set()
    seen: set[CodeType] = set()
    waiting: list[tuple[Any, dict[str, Any]]] = [(function, {})]
    while waiting:
        current, around = waiting.pop()
        own = getattr(current, "__globals__", around)
        names.add(getattr(current, "__name__", ""))
        code = current if isinstance(current, CodeType) else getattr(current, "__code__", None)
        library = str(getattr(current, "__module__", "")).partition(".")[0] in LIBRARIES
        if code is None or code in seen or library:
            continue
        seen.add(code)
        names |= set(code.co_names)
        inside = [*code.co_consts, *map(own.get, code.co_names), *_enclosed(current)]
        waiting += [(found, own) for found in inside if isinstance(found, CodeType) or callable(found)]
    return names


def _enclosed(function: Any) -> list[Any]:
    """What a function has from the functions around it."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # a cell that nothing was put into yet
            found.append(cell.cell_contents)
    return found


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


def _pair(
    result: object, first: tuple[int, ...], second: tuple[int, ...], names: str = "E and F"
) -> tuple[Array, Array]:
    """Read a pair of arrays of given shapes."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise NotYet(f"return a pair, {names}.")
    one, two = names.split(" and ")
    return array(result[0], first, one), array(result[1], second, two)
