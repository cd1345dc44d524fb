"""Checkers for the exercises of chapter 3, Least squares and the pseudo-inverse."""

import numpy as np

from ._answers import NotYet, array, call, call_with_peak, checker, not_yet, right, shape_of


@checker
def projection(answer: object) -> str:
    """Check the projector onto the plane of the columns of [[1, 3], [2, 3], [2, 0]]."""
    A = np.array([[1.0, 3.0], [2.0, 3.0], [2.0, 0.0]])
    exact = np.array([[5.0, 4.0, -2.0], [4.0, 5.0, 2.0], [-2.0, 2.0, 8.0]]) / 9
    if shape_of(answer) == (2, 2):
        return not_yet("a 2×2 matrix acts on the coefficients; the plane lies in space, and P is 3×3.")
    if shape_of(answer) == (2, 3):
        return not_yet("that is the shape of A⁺; P is A times it.")
    P = array(answer, (3, 3), "the projector")
    if np.allclose(P, exact, atol=1e-4):
        return right("its trace is 2, and it leaves both columns where they are.")
    if np.allclose(P, 9 * exact, atol=1e-3):
        return not_yet("nine times too large: applied twice it has to do what it does once.")
    if np.allclose(P, np.eye(3) - exact, atol=1e-4):
        return not_yet("this one keeps what is orthogonal to the plane, and takes the plane to 0.")
    if np.allclose(P, A @ A.T):
        return not_yet("that is AAᵀ; the inverse of AᵀA belongs between the two.")
    if np.allclose(P, sum(np.outer(a, a) / (a @ a) for a in A.T), atol=1e-4):
        return not_yet(
            "the sum of the projectors onto the two columns is one only for orthogonal columns; here PP ≠ P."
        )
    if np.allclose(P @ A, A, atol=1e-4) and np.allclose(P @ P, P, atol=1e-4) and not np.allclose(P, P.T, atol=1e-4):
        return not_yet("it leaves the plane where it is, but is not symmetric: it projects along a slant.")
    if np.allclose(P @ A, A, atol=1e-4):
        return not_yet("it leaves the plane where it is, but has to take what is orthogonal to it to 0.")
    if not np.allclose(P @ P, P, atol=1e-4):
        return not_yet("applied twice it does not do what it does once: PP ≠ P.")
    return not_yet("it is a projector, but it moves the columns of A; compare PA with A.")


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
    tall = np.random.default_rng(30).standard_normal((2000, 3))
    result, used = call_with_peak(answer, tall)
    if used > 2000 * 2000 * 2:  # bytes, a quarter of a matrix of that size
        return not_yet(
            f"for a matrix of 2000 rows it took {used / 1e6:.0f} MB: some 2000×2000 matrix is formed, and only its"
            " diagonal is needed. With 50 000 rows it would be 20 GB."
        )
    if not np.allclose(array(result, (2000,), "the vector of leverages"), np.diag(tall @ np.linalg.pinv(tall))):
        return not_yet("it is right for small matrices, but not for one of 2000 rows.")
    wide = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
    if not np.allclose(array(call(answer, wide), (2,), "the vector of leverages"), 1):
        return not_yet("it fails for a wide matrix of independent rows, where every row is fitted exactly.")
    return right("they add up to the rank, whatever the shape.")


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
    """Check the second unknown for ε = 1/10, δ = 1/100, without a residual and for ρ = 1."""
    if shape_of(answer) != (2,):
        return not_yet("pass two numbers, (without a residual, with ρ = 1).")
    pair = array(answer, (2,), "the pair")
    exact = np.array([100.0, 200.0]) / 101
    if np.allclose(pair, exact, atol=1e-5):
        return right(
            "a change of A by a hundredth, at κ = 10: without a residual nearly nothing, with one nearly 100 %."
        )
    if np.allclose(pair, exact, rtol=0, atol=1e-3):
        return not_yet("right as far as it goes; give both exactly, as fractions.")
    if np.allclose(pair, exact[::-1], atol=1e-5):
        return not_yet("the two are in the other order.")
    if np.allclose(pair, [1, 1], atol=1e-5):
        return not_yet("that is the solution before the change; δ stands in the second column now.")
    if np.allclose(pair, [1, 2], atol=1e-5):
        return not_yet("close: δ² is missing in the squared length of the column.")
    if np.allclose(pair, exact * 0.0101, atol=1e-5) or np.allclose(pair, exact * np.sqrt(0.0101), atol=1e-5):
        return not_yet("the inner product has to be divided by the squared length of the column.")
    if np.isclose(pair[0], exact[0], atol=1e-5):
        return not_yet("the first is right; for the second, M has ρ = 1 in the row where δ stands.")
    if np.isclose(pair[1], exact[1], atol=1e-5):
        return not_yet("the second is right; for the first, put ρ = 0 into the same formula.")
    return not_yet("divide the inner product of the new column with M by the column's squared length.")
