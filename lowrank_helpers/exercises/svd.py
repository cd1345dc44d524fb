"""Checkers for the exercises of chapter 5, The singular value decomposition."""

import tracemalloc
from typing import Any

import numpy as np

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of

BY_HAND = np.array([[2.0, 6.0], [7.0, 6.0], [10.0, 0.0]])


@checker
def by_hand(answer: object) -> str:
    """Check a full singular value decomposition (U, s, Vt) of [[2, 6], [7, 6], [10, 0]]."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return not_yet("pass one triple (U, s, Vt).")
    if shape_of(answer[0]) == (3, 2):
        return not_yet("U has two columns only; the full decomposition also needs the third.")
    if shape_of(answer[1]) in ((3, 2), (2, 2)):
        return not_yet("give the singular values as a list of two numbers, not as a matrix.")
    given = np.asarray(answer[1]).ravel() if shape_of(answer[1]) == (2, 1) else answer[1]  # a column will do
    U, s, Vt = array(answer[0], (3, 3), "U"), array(given, (2,), "s"), array(answer[2], (2, 2), "Vt")
    true = np.linalg.svd(BY_HAND, compute_uv=False)
    if _near(np.sort(s)[::-1], true**2):
        return not_yet("these are the eigenvalues of AᵀA; the singular values are their roots.")
    if _near(np.sort(np.abs(s))[::-1], true) and (s < 0).any():
        return not_yet("singular values are never negative; move the sign into a singular vector.")
    if _near(s[::-1], true):
        return not_yet("the singular values come in descending order, and the vectors with them.")
    if not _near(s, true):
        return not_yet("the singular values are not right: check the trace and the determinant of AᵀA.")
    if not _near(Vt @ Vt.T, np.eye(2)):
        return not_yet("the rows of Vt are not orthonormal.")
    if not _near(U[:, :2].T @ U[:, :2], np.eye(2)):
        return not_yet("the first two columns of U are not orthonormal.")
    if not _near(U.T @ U, np.eye(3)):
        return not_yet("the third column of U is not a unit vector perpendicular to the other two; look at UᵀU.")
    if _near((U[:, :2] * s) @ Vt, BY_HAND):
        return right("the product and both orthogonalities are there.")
    if _near((U[:, :2] * s) @ Vt.T, BY_HAND):
        return not_yet("the third matrix is V, not Vᵀ: its rows should be the right singular vectors.")
    return not_yet("U Σ Vᵀ is not A: take uᵢ = A vᵢ / σᵢ, which fixes the sign of uᵢ by that of vᵢ.")


def _near(one: object, other: object) -> bool:
    """Whether arrays agree as far as four decimals of an answer on paper allow."""
    return bool(np.allclose(np.asarray(one), np.asarray(other), rtol=0, atol=5e-3))


@checker
def product(answer: object) -> str:
    """Check a function (A, B) that returns the r largest singular values of A B without an array of its size."""
    rng = np.random.default_rng(5)
    A, B = rng.standard_normal((8, 3)), rng.standard_normal((3, 6))
    value = call(answer, A, B)
    if shape_of(value) in ((6,), (8,)):
        return not_yet(f"{len(value)} values came for r = 3: they belong to the product itself, or to zeros.")
    shape = (3, 1) if shape_of(value) == (3, 1) else (3,)  # a column will do
    s = array(value, shape, "the vector of singular values").ravel()
    true = np.linalg.svd(A @ B, compute_uv=False)[:3]
    sigma_A, sigma_B = np.linalg.svd(A, compute_uv=False), np.linalg.svd(B, compute_uv=False)
    if np.allclose(s, sigma_A * sigma_B):
        return not_yet("singular values of a product are not the products of singular values; the frames matter too.")
    if np.allclose(np.sort(s)[::-1], true**2):
        return not_yet("these are the squares of the singular values.")
    if not np.allclose(np.sort(s)[::-1], true):
        return not_yet("on a random 8×3 times 3×6 product the values are wrong; did you factor Bᵀ or B, and transpose?")
    if not np.allclose(s, true):
        return not_yet("the values are right, but not in descending order.")
    small = np.diag([1.0, 1e-5, 1e-10])
    U, V = np.linalg.qr(rng.standard_normal((8, 3)))[0], np.linalg.qr(rng.standard_normal((6, 3)))[0]
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    graded = array(call(answer, U @ turn, turn.T @ small @ V.T), shape).ravel()
    if abs(graded[2] / 1e-10 - 1) > 1e-3:
        return not_yet("a singular value of 1e-10 next to 1 is lost: a product such as AᵀA squares it away.")
    A, B = rng.standard_normal((600, 3)), rng.standard_normal((3, 500))
    held = _held(answer, A, B)
    if held > A.shape[0] * B.shape[1] * 8 / 4:
        return not_yet(
            f"for A of 600×3 and B of 3×500 your function held {held / 1e6:.1f} MB at once, where the factors have"
            " 0.03 MB; form neither AB nor anything else of that size."
        )
    return right("an r×r matrix knows them all.")


def _held(function: object, *arguments: Any) -> int:
    """The most bytes that a reader's function holds at a time; what is lazily imported was so in an earlier call."""
    traced = tracemalloc.is_tracing()
    if not traced:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call(function, *arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def _count(answer: object, M: Any, bound: float) -> int:
    value = number(call(answer, M, bound))
    if value != round(value):
        raise NotYet(f"a rank is a whole number, but {value} came.")
    return int(value)


@checker
def certified_rank(answer: object) -> str:
    """Check a function (M, bound) that returns the rank which noise of that spectral norm cannot take away."""
    M = np.zeros((5, 4))
    M[range(4), range(4)] = [100.0, 3.0, 1.2, 0.5]
    value = _count(answer, M, 1.0)
    if value == 4:
        return not_yet("you counted all singular values; noise of norm 1 can have made the smallest.")
    if value == 1:
        return not_yet("one is too careful: is your threshold relative to σ₁, or a multiple of the bound?")
    if value == 2:
        return not_yet("σ = 1.2 is above the bound 1, so noise cannot have made it; did you double the bound?")
    if value != 3:
        return not_yet(f"for σ = 100, 3, 1.2, 0.5 and the bound 1 you return {value}.")
    if _count(answer, np.diag([4.0, 2.0, 1.0]), 2.0) != 1:
        return not_yet("a singular value that equals the bound can be removed by the noise: the inequality is strict.")
    if _count(answer, np.diag([4e-9, 1e-9]), 2e-9) != 1:
        return not_yet("it fails for a matrix of size 1e-9: compare with the bound and nothing else.")
    if _count(answer, np.zeros((2, 3)), 0.1) != 0:
        return not_yet("for the zero matrix nothing is certain, so the answer is 0.")
    return right("every count is safe, and no larger one would be.")


@checker
def safe_angle(answer: object) -> str:
    """Check the size of the perturbation that turns the first singular vector by 30°."""
    value, gap = number(answer), 1e-3
    if np.isclose(value, gap / 2 * np.sqrt(3), rtol=1e-4, atol=0):
        return right("it depends on the gap alone, not on the size of the matrix.")
    if np.isclose(value, gap * np.tan(np.pi / 6), rtol=1e-3, atol=0):
        return not_yet("you used tan θ = ε/g, which holds only for small angles.")
    if np.isclose(value, gap / 2, rtol=1e-3, atol=0):
        return not_yet("you used sin θ = ε/g, a bound and not the exact angle.")
    if np.isclose(value, gap * np.sqrt(3), rtol=1e-3, atol=0):
        return not_yet("a factor of two is missing: sin 2θ = 2 sin θ cos θ.")
    if np.isclose(value, gap / 2 * np.tan(60), rtol=1e-2, atol=0):
        return not_yet("your tangent took the angle in radians.")
    if np.isclose(value, np.sqrt(3) / 2, rtol=1e-3, atol=0):
        return not_yet("that is ε/g; multiply by the gap.")
    if value <= 0:
        return not_yet("ε is a positive number here.")
    return not_yet("maximise vᵀ(A + E)v over v = (cos θ, sin θ) and set its derivative to zero at θ = 30°.")
