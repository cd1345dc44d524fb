"""What a completion returns, and the predictions made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F
from lowrank_helpers.completion._observations import BLOCK, Indices, Observations


@dataclass(frozen=True)
class Completion(Generic[F]):
    """A completed m×n table: entry (i, j) is mean + row_bias[i] + column_bias[j] + (W H)_ij.

    Attributes
    ----------
    W : ndarray, shape (m, r)
        Row factors, one row for each row of the table.
    H : ndarray, shape (r, n)
        Column factors, one column for each column of the table.
    row_bias, column_bias : ndarray, shapes (m,) and (n,)
        Zero where the method was not asked for biases.
    mean : float
        The mean of the observations where there are biases, else 0.
    objective : ndarray, shape (iterations,)
        What the method minimises, after each iteration.
    converged : bool
        False if the iterations ran out or were interrupted.
    """

    W: NDArray[F]
    H: NDArray[F]
    row_bias: NDArray[F]
    column_bias: NDArray[F]
    mean: float
    objective: NDArray[np.float64]
    converged: bool


def completion(
    seen: Observations,
    W: Array,
    Ht: Array,
    objective: NDArray[np.float64],
    converged: bool,
    *,
    biases: tuple[Array, Array] | None = None,
    mean: float = 0.0,
) -> Completion[Any]:
    """Put the factors W and Hᵀ, and biases if there are any, together in the dtype of the table."""
    m, n = seen.shape
    rows, columns = biases or (np.zeros(m), np.zeros(n))
    with np.errstate(over="ignore", under="ignore"):
        parts = [part.astype(seen.dtype, copy=False) for part in (W, np.ascontiguousarray(Ht.T), rows, columns)]
    W, H, rows, columns = (_checks.in_range(part, "the result") for part in parts)
    return Completion(W, H, rows, columns, mean, objective, converged)


def predict(result: Completion[F], rows: ArrayLike, columns: ArrayLike) -> NDArray[F]:
    """Return the completed entries at some places, without forming the whole table.

    Nothing is clipped: where a scale has ends, clip the predictions to them. A row without observations (a cold
    start) has bias 0 and factors 0 in `als_complete` with a penalty, so that its prediction is mean + column bias;
    in `soft_impute` and `implicit_als`, which have no mean, its prediction is 0.

    Parameters
    ----------
    result : Completion
        What a method returned.
    rows, columns : array_like of int
        Places, of shapes that broadcast: ``predict(result, [[0], [1]], [0, 1, 2])`` is a 2×3 block.

    Returns
    -------
    ndarray
        In the dtype of the factors, in the broadcast shape.

    Raises
    ------
    TypeError, ValueError
        If result is no Completion, or an id is not a whole number or out of range.

    Examples
    --------
    >>> from lowrank_helpers.completion import als_complete, predict
    >>> A = [[1, 2, 3], [2, 4, np.nan], [3, np.nan, 9]]
    >>> print(np.round(predict(als_complete(A, 1), [1, 2], [2, 1]), 6))
    [6. 6.]
    """
    if not isinstance(result, Completion):
        raise _checks.mistyped(
            f"result must be a Completion; got {type(result).__name__}. Pass what als_complete, sgd_complete, "
            "soft_impute or implicit_als returned; for bayesian_complete use predict_interval."
        )
    m, n = len(result.W), result.H.shape[1]
    i, j = id_pairs(rows, columns, (m, n))
    out = result.row_bias[i] + result.column_bias[j] + result.W.dtype.type(result.mean)
    Ht = np.ascontiguousarray(result.H.T)
    flat = out.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        part = slice(start, start + BLOCK)
        flat[part] += np.einsum("ij,ij->i", result.W[i.reshape(-1)[part]], Ht[j.reshape(-1)[part]])
    answer: NDArray[F] = flat.reshape(i.shape)
    return answer


def id_pairs(rows: ArrayLike, columns: ArrayLike, shape: tuple[int, int]) -> tuple[Indices, Indices]:
    """Read ids of rows and columns of a table of this shape, and broadcast them to one shape."""
    i, j = (
        _ids(value, size, name) for value, size, name in zip((rows, columns), shape, ("rows", "columns"), strict=True)
    )
    try:
        i, j = np.broadcast_arrays(i, j)
    except ValueError:
        raise _checks.invalid(
            f"rows and columns must broadcast to one shape; got {i.shape} and {j.shape}. "
            "Pass as many rows as columns, or rows[:, None] for a block."
        ) from None
    return i, j


def _ids(value: ArrayLike, size: int, name: str) -> Indices:
    ids = _checks.array(value, name)
    if ids.dtype.kind not in "iu" and ids.size:
        raise _checks.mistyped(f"{name} must be whole numbers; got dtype {ids.dtype}. Pass ids counted from 0.")
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        raise _checks.invalid(
            f"{name} must be between 0 and {size - 1}; got {ids.min()} to {ids.max()}. A new one has no "
            "factors yet: fit again with it as an empty row or column, and with a penalty."
        )
    return ids.astype(np.intp)
