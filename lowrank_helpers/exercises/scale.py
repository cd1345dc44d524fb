"""Checkers for the exercises of chapter 19, past one machine."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, call_with_peak, checker, not_yet, number, right, shape_of

Array = NDArray[np.float64]
SHAPES = ((12, 7, 2), (6, 10, 3), (9, 9, 1))  # of a gradient, and the rank


@checker
def bill(answer: object) -> str:
    """Check how many numbers a randomised SVD sends, for 50 machines, n = 1000, ℓ = 50, r = 40 and q = 1."""
    value = number(answer)
    machines, n, ell, r, q = 50, 1000, 50, 40, 1
    sums, triangles, rotation = (2 * q + 1) * n * ell, 2 * (q + 1) * ell**2, ell * r
    whole = sums + triangles + rotation
    if value == machines * whole:
        return right("the hundred million rows have no part in it.")
    if value == whole:
        return not_yet("that is for one machine.")
    if value in (machines * sums, machines * (sums + triangles), machines * (sums + rotation)):
        return not_yet("the sums are there; a term, triangles or the last rotation, is missing.")
    if value == machines * (whole + n * ell):
        return not_yet("Ω is not sent: each machine draws it from the seed.")
    if value == machines * (whole - (q + 1) * ell**2):
        return not_yet("a triangle goes up, and a block of the same size comes back.")
    if value == 8 * machines * whole:
        return not_yet("those are bytes; the question is for numbers.")
    if value > 1e9:
        return not_yet("that is of the size of the table: its rows stay where they are.")
    return not_yet("count for one machine what goes up and what comes down, in each iteration and at the end.")


def _parts() -> Iterator[Array]:
    """1000 blocks of 60 rows and 12 columns, with singular values from 1 to 1e-11 in all; one of them has 5 rows."""
    rng = np.random.default_rng(11)
    V = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    weights = 10.0 ** -np.arange(12)
    for i in range(1000):
        height = 5 if i == 7 else 60
        yield (rng.standard_normal((height, 12)) * weights) @ V.T


@checker
def triangle(answer: object) -> str:
    """Check a function (blocks) that returns the triangle of the blocks' stack, from an iterator over them."""
    few = [np.array([[3.0, 1.0]]), np.array([[4.0, 2.0], [0.0, 1.0]])]
    for blocks in (few, few[::-1], [np.array([[-2.0, 1.0], [0.0, -3.0]])]):
        stack = np.vstack(blocks)
        R = array(call_with_peak(answer, iter(blocks))[0], (2, 2), "R")
        if not np.allclose(R.T @ R, stack.T @ stack):
            return not_yet("RᵀR is not the Gram matrix of all rows; does every block count, also one of a single row?")
        if not np.allclose(np.tril(R, -1), 0):
            return not_yet("R is not upper triangular.")
        if (np.diag(R) < 0).any():
            return not_yet("the diagonal has a negative entry; turn the sign of that row.")
    result, used = call_with_peak(answer, _parts())
    R = array(result, (12, 12), "R")
    exact = np.linalg.svd(np.vstack(list(_parts())), compute_uv=False)
    found = np.linalg.svd(R, compute_uv=False)
    if not np.isclose(found[-1], exact[-1], rtol=0.01, atol=0):
        return not_yet("the smallest singular value has lost its digits, as it does in a Gram matrix.")
    if used > 1_500_000:  # all blocks are 5.8 MB, all triangles and their stack 2.3 MB, what is asked for 0.04 MB
        return not_yet(f"{used / 1e6:.1f} MB were held at once: more than a block and two triangles.")
    return right("one triangle stands for all rows that have gone by.")


@checker
def shipped(answer: object) -> str:
    """Check how many numbers the half-step for four users in two parts ships, at rank 3."""
    value = number(answer)
    if value == 33:
        return right("seven columns there and four rows back, of three numbers each; two items never travel.")
    if value == 21:
        return not_yet("that is what is sent to the parts; the rows that they found have to come back.")
    if value == 12:
        return not_yet("that is what comes back; the parts need columns before.")
    if value == 11:
        return not_yet("those are columns and rows; each has as many numbers as the rank.")
    if value == 27:
        return not_yet("an item that both parts need is sent twice.")
    if value == 54:
        return not_yet("a part needs no item that none of its users rated.")
    if value == 42:
        return not_yet("not every item that somebody rated is needed by both parts.")
    if value == 51:
        return not_yet("a part needs a column once, however many of its users rated the item.")
    return not_yet("list the items that each part needs; a column and a row have three numbers.")


@checker
def power_sgd(answer: object) -> str:
    """Check a function (G, E, Q, average) of one worker, which returns the approximation, the new E and the new Q."""
    rng = np.random.default_rng(19)
    for m, n, r in SHAPES:
        Gs, Es, Q = rng.standard_normal((3, m, n)), rng.standard_normal((3, m, n)), rng.standard_normal((n, r))
        M, G = (Gs + Es).mean(axis=0), Gs.mean(axis=0)
        found, sent = _on_all(answer, [(G, E, Q) for G, E in zip(Gs, Es, strict=True)])
        results = [_three(result, m, n, r) for result in found]
        applied = results[0][0]
        if not all(_near(other, applied) for other, _, _ in results):
            return not_yet("the workers end in different approximations: what makes it has to come out of average.")
        if _near(applied, _step(G, Q)) and not _near(applied, _step(M, Q)):
            return not_yet("that is an approximation of the gradients; what was cut off before, E, is not in it.")
        if _near(applied, M @ Q @ (M.T @ M @ Q).T):
            return not_yet("the columns of M Q have to be made orthonormal before Mᵀ is applied to them.")
        if not _near(applied, _step(M, Q)):
            return not_yet("the approximation is not P Pᵀ M with orthonormal P, where M is the mean of all G + E.")
        if sent > r * (m + n):
            return not_yet(f"each worker sends {sent} numbers; r(m + n) = {r * (m + n)} are enough.")
        E = np.mean([residual for _, residual, _ in results], axis=0)
        if not E.any():
            return not_yet("the new E is 0: what the approximation cuts off has to be kept for the next step.")
        if _near(E, G - applied):
            return not_yet("the new E is what is missing of G; the old E belongs to what was to be sent.")
        if not _near(E, M - applied):
            return not_yet("the new E of a worker is its own G + E without the approximation.")
        P = np.linalg.qr(M @ Q)[0]
        if not _near(_projector(results[0][2]), _projector(M.T @ P)):
            return not_yet("the new Q should span the columns of Mᵀ P, so that the next step goes on from there.")
    return right("two thin messages, and nothing that is cut off is lost.")


class _Asked(BaseException):
    """What a worker wants the mean of; no Exception, so that no answer catches it."""

    def __init__(self, X: Array) -> None:
        self.X = X


def _on_all(answer: object, workers: Sequence[tuple[Array, ...]]) -> tuple[list[Any], int]:
    """What the answer returns on each worker, and how many numbers each sent.

    A worker that asks for a mean is stopped. When all have asked, all begin anew and are given that mean.
    """
    m, n = workers[0][0].shape
    means: list[Array] = []
    while True:
        asked, results = [], []
        for arguments in workers:
            replies = iter(means)

            def average(X: object, replies: Any = replies) -> Array:
                for reply in replies:
                    return np.array(reply)
                raise _Asked(array(X, shape_of(X), "what you average"))

            try:
                results.append(call(answer, *arguments, average))
            except _Asked as stopped:
                asked.append(stopped.X)
        if not asked:
            return results, sum(mean.size for mean in means)
        if len(asked) < len(workers) or len({X.shape for X in asked}) > 1:
            raise NotYet("the workers call average at different places; all have to run the same steps.")
        if asked[0].size >= m * n:
            raise NotYet(f"you average {asked[0].size} numbers at once: the matrices stay where they are.")
        if len(means) == 8:
            raise NotYet("you call average more than eight times; two are enough.")
        means.append(np.mean(asked, axis=0))


def _three(result: object, m: int, n: int, r: int) -> tuple[Array, Array, Array]:
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise NotYet("return three matrices: the approximation, the new E and the new Q.")
    if shape_of(result[0]) == (n, m) and m != n:
        raise NotYet("the approximation is transposed: P stands on the left of Qᵀ.")
    if shape_of(result[2]) in ((r, n), (m, r)) and shape_of(result[2]) != (n, r):
        raise NotYet(f"the new Q should have the shape {(n, r)} of the old one, but has {shape_of(result[2])}.")
    approximation, residual, Q = result
    return array(approximation, (m, n), "the approximation"), array(residual, (m, n), "E"), array(Q, (n, r), "Q")


def _step(M: Array, Q: Array) -> Array:
    P = np.linalg.qr(M @ Q)[0]
    approximation: Array = P @ (P.T @ M)
    return approximation


def _projector(Q: Array) -> Array:
    U, s, _ = np.linalg.svd(Q, full_matrices=False)
    U = U[:, s > 1e-9 * max(s[0], 1e-300)]
    projector: Array = U @ U.T
    return projector


def _near(x: Array, y: Array) -> bool:
    return bool(np.allclose(x, y, atol=1e-8 * np.abs(y).max()))
