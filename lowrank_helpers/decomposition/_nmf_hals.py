"""Extrapolated hierarchical alternating least squares, for the Frobenius loss ½‖A − W H‖².

All dense products are numpy's, so that one BLAS does them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

from lowrank_helpers._checks import Array

SWEEPS = 3  # over the columns, for each time that the product with A is formed
FIRST_STEP, GROWTH, CEILING_GROWTH, SHRINKAGE = 0.5, 1.05, 1.01, 1.5  # β, γ, γ̄, η of Ang and Gillis
ROWS = 1024  # of a sparse A that are dense at a time


def hals(A: Any, W: Array, H: Array) -> Iterator[tuple[Array, Array, float]]:
    """Yield W, H and the objective, first of the start and then after each pair of updates, without end.

    H comes first. It is itself an extrapolation, cut off at 0, and W is updated from an extrapolated W; the first pair
    is updated without either. If the objective then rises, H is taken back and W updated from the last one, which never
    raises it.
    """
    size = squared_norm(A)
    Wt, start = np.ascontiguousarray(W.T), np.ascontiguousarray(W.T)  # rows of Wt are the columns of W
    H, H_swept = np.ascontiguousarray(H), np.ascontiguousarray(H)
    gram, product = H @ H.T, _transposed_product(A, H)
    last = H, gram, product
    objective = frobenius_objective(A, size, Wt, H, gram, product)
    yield Wt.T, H, objective
    step, ceiling = 0.0, 1.0
    while True:
        H_new = _swept(H, start @ start.T, _transposed_product(A.T, start))
        H, H_swept = np.maximum(H_new + step * (H_new - H_swept), 0), H_new
        gram, product = H @ H.T, _transposed_product(A, H)
        new = _swept(start, gram, product)
        value = frobenius_objective(A, size, new, H, gram, product)
        if value <= objective:
            start = np.maximum(new + step * (new - Wt), 0)
            step, ceiling = min(ceiling, GROWTH * step) or FIRST_STEP, min(1.0, CEILING_GROWTH * ceiling)
        else:
            step, ceiling = step / SHRINKAGE, step or 1.0
            H, gram, product = last
            start = new = _swept(Wt, gram, product)
            H_swept = H
            value = frobenius_objective(A, size, new, H, gram, product)
        Wt, objective, last = new, value, (H, gram, product)
        yield Wt.T, H, objective


def _swept(F: Array, gram: Array, product: Array) -> Array:
    """Minimise ½ tr FᵀGF − ⟨F, P⟩ over F ≥ 0, one row of F at a time; a row without curvature stays."""
    F = F.copy()
    change = np.empty_like(F[0])
    for _ in range(SWEEPS):
        for k in range(len(F)):
            if gram[k, k] > 0:
                np.matmul(gram[k], F, out=change)
                np.subtract(product[k], change, out=change)
                change /= gram[k, k]
                change += F[k]
                np.maximum(change, 0, out=F[k])
    return F


def _transposed_product(A: Any, F: Array) -> Array:
    """Return (A Fᵀ)ᵀ. A sparse product reads Fᵀ row by row, and takes half as long again where a row lies apart."""
    return np.ascontiguousarray((A @ np.ascontiguousarray(F.T)).T)


def frobenius_objective(A: Any, size: float, Wt: Array, H: Array, gram: Array, product: Array) -> float:
    """Return ½‖A − W H‖² from the Gram matrices, or from the residual where too few digits would be left."""
    value = 0.5 * (size - 2 * float(np.vdot(Wt, product)) + float(np.vdot(Wt @ Wt.T, gram)))
    return value if value > np.sqrt(np.finfo(H.dtype).eps) * size else half_squared_error(A, Wt.T, H)


def squared_norm(A: Any) -> float:
    """Return ‖A‖², summed in float64."""
    entries = A.data if scipy.sparse.issparse(A) else A
    return float(np.square(entries, dtype=np.float64).sum())


def half_squared_error(A: Any, W: Array, H: Array) -> float:
    """Return ½‖A − W H‖² from the residual, some rows at a time."""
    total = 0.0
    for first in range(0, A.shape[0], ROWS):
        block = A[first : first + ROWS]
        total += squared_norm((block.toarray() if scipy.sparse.issparse(A) else block) - W[first : first + ROWS] @ H)
    return total / 2
