"""Checkers for the exercises of chapter 19, past one machine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._answers import NotYet, array, call, checker, not_yet, right, shape_of

Array = NDArray[np.float64]
SHAPES = ((12, 7, 2), (6, 10, 3), (9, 9, 1))  # of a gradient, and the rank


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
