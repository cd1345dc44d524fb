"""Checkers for the exercises of chapter 3, Least squares and the pseudo-inverse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of


@checker
def rank_one(answer: object) -> str:
    """Check the pseudo-inverse of [[1, 2], [1, 2], [1, 2]]."""
    A = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    if shape_of(answer) == (3, 2):
        return not_yet("AX must be defined in both orders: the pseudo-inverse of a 3×2 matrix is 2×3.")
    X = array(answer, (2, 3), "the pseudo-inverse")
    exact = np.linalg.pinv(A)
    if np.allclose(X, exact, atol=1e-4):
        return right("for rank one it is the transpose, divided by the squared Frobenius norm.")
    if np.allclose(X, 1 / A.T):
        return not_yet("you inverted each entry; (P1) asks for AXA = A, a product of matrices.")
    factor = float((X * exact).sum() / (exact * exact).sum())
    if factor != 0 and np.allclose(X, factor * exact, rtol=1e-3, atol=1e-4):
        if np.isclose(factor, 15):
            return not_yet("that is the transpose; compare AXA with A to see by how much it is too large.")
        if np.isclose(factor, 5) or np.isclose(factor, 3):
            return not_yet("you divided by the squared length of one factor only; both CᵀC and RRᵀ are there.")
        if np.isclose(factor, np.sqrt(15), rtol=1e-3):
            return not_yet("you divided by the Frobenius norm where its square is due.")
        return not_yet(f"a multiple of it, but AXA is {factor:.3g} times A.")
    P, Q = A @ X, X @ A
    held = [np.allclose(P @ A, A), np.allclose(Q @ X, X), np.allclose(P, P.T), np.allclose(Q, Q.T)]
    failing = ", ".join(f"(P{k})" for k, holds in enumerate(held, start=1) if not holds)
    return not_yet(f"this matrix does not satisfy {failing or 'the equations to four digits'}.")


@checker
def reverse_order(answer: object) -> str:
    """Check a pair A (1×2) and B (2×1) for which the pseudo-inverse of AB is not B⁺A⁺."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise NotYet("pass the two matrices as a pair, (A, B).")
    A, B = array(answer[0], (1, 2), "A"), array(answer[1], (2, 1), "B")
    if not A.any() or not B.any():
        return not_yet("if one of the two is zero, both sides are zero and the law holds.")
    inner = float((A @ B).item()) / float(np.linalg.norm(A) * np.linalg.norm(B))
    if abs(inner) < 1e-8:
        return not_yet("your two vectors are orthogonal: both sides are zero, and the law holds.")
    if abs(inner) > 1 - 1e-8:
        return not_yet("your two vectors are parallel, so that AB loses nothing, and the law holds.")
    return right("the row space of A is not the column space of B, and that breaks the law.")


@checker
def leverages(answer: object) -> str:
    """Check a function that returns the leverages of the rows of a matrix."""
    A = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 5.0]])
    exact = np.diag(A @ np.linalg.pinv(A))
    value = call(answer, A)
    if shape_of(value) == (4, 4):
        return not_yet("that is the whole projector; only its diagonal is asked for, and it should never be formed.")
    if shape_of(value) == (2,):
        return not_yet("two numbers for a matrix of four rows: is that the diagonal of A⁺A? It belongs to the columns.")
    h = array(value, (4,), "the vector of leverages")
    if np.allclose(h, (A**2).sum(axis=1)):
        return not_yet("these are the squared lengths of the rows; A⁺ is missing.")
    if np.allclose(h, np.sqrt(exact)):
        return not_yet("these are the square roots of the leverages.")
    if not np.allclose(h, exact):
        return not_yet(f"for a 4×2 matrix of rank 2 they should add up to 2; yours add up to {h.sum():.3g}.")
    dummies = np.hstack([np.eye(3)[[0, 0, 1, 1, 1, 2]], np.ones((6, 1))])
    try:
        h = array(call(answer, dummies), (6,), "the vector of leverages")
    except NotYet as reason:
        return not_yet(f"it works at full column rank, but not for dummy columns and a column of ones: {reason}")
    if not np.allclose(h, [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1]):
        return not_yet(f"with dummy columns and a column of ones the rank is 3, but they add up to {h.sum():.3g}.")
    wide = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    if not np.allclose(array(call(answer, wide), (2,), "the vector of leverages"), 1):
        return not_yet("it fails for a wide matrix of independent rows, where every row is fitted exactly.")
    return right("they add up to the rank, whatever the shape.")


@checker
def free_level(answer: object) -> str:
    """Check a ridge regression (A, y, lam) → (c, b) whose level c is not penalised."""
    rng = np.random.default_rng(31)
    A = rng.standard_normal((12, 3)) + np.array([4.0, -2.0, 1.0])
    y, lam = rng.standard_normal(12) + 7.0, 2.5
    result = call(answer, A, y, lam)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return not_yet("return a pair: the number c and the vector b.")
    c, b = number(result[0]), array(result[1], (3,), "b")

    def solve(design: NDArray[Any], penalty: NDArray[Any], rhs: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ rhs))

    full = np.hstack([np.ones((12, 1)), A])
    exact = solve(full, np.array([0, lam, lam, lam]), y)
    came = np.array([c, *b])
    if np.allclose(came, exact):
        return right("adding a number to y changes c by that number and b not at all.")
    if np.allclose(came, solve(full, np.full(4, lam), y)):
        return not_yet("the level is penalised like the other coefficients; its entry of the penalty should be 0.")
    if np.allclose(came, solve(full, np.array([0, *[lam**2] * 3]), y)):
        return not_yet("you used λ² for λ: in the stacked form the block below A is √λ times the identity.")
    if np.allclose(came, solve(full, np.array([0, *[lam**0.5] * 3]), y)):
        return not_yet("you used √λ for λ; the root belongs to the stacked form only.")
    if np.allclose(came, solve(full, np.array([0, *[12 * lam] * 3]), y)):
        return not_yet("your penalty is m times too large: the exercise adds up the squared errors; you averaged them.")
    if np.allclose(came, solve(full, np.zeros(4), y)):
        return not_yet("that is plain least squares; the penalty has no effect.")
    if np.allclose(b, solve(A, np.full(3, lam), y - y.mean())):
        return not_yet("you centred y, but not the columns of A.")
    if np.allclose(b, solve(A, np.full(3, lam), y)):
        return not_yet("b is the solution without any level: A and y have to be centred first.")
    if np.allclose(b, exact[1:]):
        wrong = "the mean of y alone" if np.isclose(c, y.mean()) else "not the mean of y − Ab"
        return not_yet(f"b is right, but c is {wrong}.")
    return not_yet("the gradient is not zero there: write down the derivative by c first, and solve it for c.")


@checker
def gradient_descent(answer: object) -> str:
    """Check gradient descent (A, M, steps) → B for least squares, started at zero."""
    rng = np.random.default_rng(32)
    A = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 4))
    M = rng.standard_normal((6, 2))
    step = 1 / np.linalg.norm(A, 2) ** 2
    first = array(call(answer, A, M, 1), (4, 2), "B")
    gradient = A.T @ M
    if np.allclose(first, -step * gradient):
        return not_yet("after one step from zero B has the wrong sign: you climb.")
    if np.allclose(first, 2 * step * gradient):
        return not_yet("your step is twice as long as asked for, and need not converge: η has taken in the factor 2.")
    if np.allclose(first, gradient):
        return not_yet("the step size is missing: on other matrices this diverges.")
    if np.allclose(first, gradient / np.linalg.norm(A) ** 2):
        return not_yet("you divided by the squared Frobenius norm; that converges, but more slowly than asked for.")
    if not np.allclose(first, step * gradient):
        off = first - np.linalg.pinv(A) @ A @ first
        if not np.allclose(off, 0, atol=1e-9):
            return not_yet("after one step B has a part in the null space of A; where did you start?")
        return not_yet("the first step from zero should be η·AᵀM.")
    second = array(call(answer, A, M, 2), (4, 2), "B")
    if not np.allclose(second, first - step * A.T @ (A @ first - M)):
        return not_yet("the first step is right, but the second is not: does the residual use the new B?")
    kappa = np.linalg.norm(A, 2) * np.linalg.norm(np.linalg.pinv(A), 2)
    steps = int(20 * kappa**2)
    B = array(call(answer, A, M, steps), (4, 2), "B")
    if not np.allclose(B, np.linalg.pinv(A) @ M, atol=1e-6):
        return not_yet(f"after {steps} steps B should be A⁺M to six digits, and it is not.")
    return right("it ends at the solution of least norm, because no step leaves the row space.")


@checker
def large_residual(answer: object) -> str:
    """Check the power of κ with which the error of QR grows when the residual is large."""
    value = number(answer)
    if abs(value - 2) < 0.3:
        return right("with a residual of the size of M the problem itself has the condition κ².")
    if abs(value - 1) < 0.3:
        return not_yet("that is the power for ρ = 0; with ρ = 1 the error grows faster.")
    if abs(value) < 0.3:
        return not_yet("that would be an error that does not grow; do you build M with the new ε each time?")
    if abs(value + 2) < 0.3:
        return not_yet("the sign is that of the power of ε; κ grows when ε falls.")
    return not_yet("plot log10 of the error against log10 of κ; the slope of the line is the power.")
