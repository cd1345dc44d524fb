"""Checkers for the exercises of chapter 2, Rank."""

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, number, right, shape_of


def _whole(answer: object, name: str) -> int:
    """Read an answer that should be one whole number."""
    value = number(answer)
    if value != round(value):
        raise NotYet(f"{name} should be a whole number, but {value:g} came.")
    return round(value)


def _fits(found: list[int], formula: Any, cases: list[tuple[int, int]]) -> bool:
    """Whether a formula explains all numbers found."""
    return all(value == formula(*case) for value, case in zip(found, cases, strict=True))


@checker
def outer_sums(answer: object) -> str:
    """Check the ranks of four 50×50 matrices given by formulas."""
    ranks = array(answer, (4,), "the list of ranks")
    if ranks[0] == 1:
        return not_yet("i + j is a sum, not a product: its rows are no multiples of one row.")
    if ranks[1] == 4:
        return not_yet("(i + j)² has four terms at first; collect the two that are equal.")
    if ranks[1] == 2:
        return not_yet("squaring each entry is not squaring the matrix; multiply (i + j)² out.")
    if ranks[2] in (1, 50):
        return not_yet("use the addition theorem for cos(i − j).")
    if ranks[3] in (1, 2, 49):
        return not_yet("min(i, j) counts the k with k ≤ i and k ≤ j: write it as a product of two triangular matrices.")
    names = ("first", "second", "third", "fourth")
    wrong = [f"the {name}" for name, r, s in zip(names, ranks, (2, 3, 2, 50), strict=True) if r != s]
    if wrong:
        return not_yet(f"look again at {' and '.join(wrong)}: write an entry as a short sum of products f(i)·g(j).")
    return right("the shortest sums of products f(i)·g(j) have two, three, two and fifty terms.")


@checker
def symmetric(answer: object) -> str:
    """Check a function of (n, r): the degrees of freedom of symmetric n×n matrices of rank r."""
    cases = [(2, 1), (6, 3), (5, 5), (9, 2), (4, 0)]
    found = [_whole(call(answer, n, r), f"the number for n = {n}, r = {r}") for n, r in cases]
    if _fits(found, lambda n, r: r * (2 * n - r), cases):
        return not_yet("that counts all n×n matrices of rank r; below the diagonal nothing is free here.")
    if _fits(found, lambda n, r: n * r, cases):
        return not_yet("that is what the factor C of X = CSCᵀ stores; C may still be changed without changing X.")
    if _fits(found, lambda n, r: n * r - r * (r + 1) // 2, cases):
        return not_yet("at r = n nothing is restricted, so n(n+1)/2 must come out: count the diagonal of the block E.")
    if _fits(found, lambda n, r: n * r - r * r, cases):
        return not_yet("you left out the symmetric block E itself.")
    if _fits(found, lambda n, r: n * (n + 1) // 2, cases):
        return not_yet("that counts all symmetric matrices, whatever their rank.")
    for (n, r), value in zip(cases, found, strict=True):
        if value != n * r - r * (r - 1) // 2:
            return not_yet(f"for n = {n}, r = {r} the number is not {value}: add up the free entries of E and of F.")
    return right("a symmetric block of r(r+1)/2 and r(n−r) entries beside it.")


def _leftmost(A: NDArray[np.float64]) -> list[int]:
    """The columns of a small integer matrix that are no combination of columns further to the left."""
    kept: list[int] = []
    for j in range(A.shape[1]):
        if np.linalg.matrix_rank(A[:, [*kept, j]]) > len(kept):
            kept.append(j)
    return kept


@checker
def columns_and_rows(answer: object) -> str:
    """Check a function that returns C, the leftmost independent columns of A, and R with A = CR."""
    example = np.array([[6.0, 3, -3, 0], [2, 2, -1, 2], [0, 2, 0, 4]])
    crossed = np.array([[0.0, 1, 2], [1, 0, 1]])
    tests = {
        "the example of the chapter": example,
        "its transpose": example.T.copy(),
        "[[0, 1, 2], [1, 0, 1]], whose first entry is 0": crossed,
        "a matrix whose first column is zero": np.array([[0.0, 1, 2], [0, 3, 4], [0, 5, 6]]),
        "the example times 1e-15 (is your tolerance relative?)": 1e-15 * example,
        "the 2×3 matrix of zeros": np.zeros((2, 3)),
    }
    for name, A in tests.items():
        kept = _leftmost(A / (np.abs(A).max() or 1.0))
        result = call(answer, A)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            return not_yet("return the two matrices C and R.")
        of_C, of_R = map(shape_of, result)
        if len(of_C) != 2 or len(of_R) != 2 or of_C[0] != A.shape[0] or of_R[1] != A.shape[1]:
            return not_yet(f"on {name} the shapes are {of_C} and {of_R}; A has shape {A.shape}.")
        C, R = array(result[0], of_C, "C"), array(result[1], of_R, "R")
        if C.shape[1] != R.shape[0]:
            return not_yet(f"on {name} C has {C.shape[1]} columns and R has {R.shape[0]} rows: CR does not exist.")
        if C.shape[1] > len(kept):
            return not_yet(f"on {name} C has more columns than the rank: one of them depends on those before it.")
        if C.shape[1] < len(kept):
            return not_yet(f"on {name} C has fewer columns than the rank, so CR cannot be A.")
        scale = 1e-9 * (np.abs(A).max() or 1.0)
        if np.abs(C - A[:, kept]).max(initial=0.0) > scale:
            if all(np.abs(A - c[:, None]).max(axis=0).min() <= scale for c in C.T):
                return not_yet(f"on {name} the columns of C are columns of A, but not the leftmost independent ones.")
            return not_yet(f"on {name} a column of C is no column of A; do you return columns of what is left?")
        if np.abs(C @ R - A).max() > scale:
            return not_yet(f"on {name} the product CR is not A.")
    return right("independent columns of A itself, an identity inside R, and no absolute tolerance.")


@checker
def entrywise_powers(answer: object) -> str:
    """Check a function of (r, k): the rank of a generic matrix of rank r after each entry is raised to the power k."""
    cases = [(1, 5), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3)]
    found = [_whole(call(answer, r, k), f"the rank for r = {r}, k = {k}") for r, k in cases]
    if _fits(found, lambda r, k: r**k, cases):
        return not_yet("that counts ordered products: xy and yx are the same monomial.")
    if _fits(found, lambda r, k: r * k, cases):
        return not_yet("the ranks grow faster than r·k; look at r = 3, k = 2.")
    if _fits(found, lambda r, k: r, cases):
        return not_yet("raising each entry to a power is not the power of the matrix: the rank does change.")
    if _fits(found, lambda r, k: comb(r + k, k), cases):
        return not_yet("you counted all monomials up to degree k; only those of degree exactly k occur.")
    if _fits(found, lambda r, k: comb(r, k), cases):
        return not_yet("you counted products of different variables; x² is a monomial too.")
    for (r, k), value in zip(cases, found, strict=True):
        if value != comb(r + k - 1, k):
            hint = f"count the monomials of degree {k} in {r} variables."
            return not_yet(f"for r = {r}, k = {k} the rank is not {value}: {hint}")
    return right("one outer product for each monomial of degree k in r variables.")
