"""A dask array by its products: its chunks are read where they lie, a few columns go to them, and sums come back.

Nothing here imports dask: whoever has a dask array has imported it. Workers need this package as they need numpy.
"""

import sys
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from itertools import accumulate
from typing import Any

import numpy as np

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array

TRIES = 3  # of a computation whose columns were lost with the worker that held them


def matrix(A: Any, name: str) -> Any:
    """Read a dask array as one of float32 or float64, whose entries are looked at when they are used."""
    if any(np.isnan(length) for length in A.shape):
        raise _checks.invalid(
            f"{name} must have chunks of known sizes; got shape {A.shape}. Call {name}.compute_chunk_sizes() first."
        )
    _checks.two_dimensions(A, name)
    _checks.not_empty(A, name)
    if type(A._meta) is not np.ndarray:
        raise _checks.mistyped(
            f"{name} must have plain arrays as chunks; got chunks of type {type(A._meta).__name__}. "
            f"Make them such by {name}.map_blocks."
        )
    filled = tuple(tuple(length for length in lengths if length) for lengths in A.chunks)
    return _checks.real_dtype(A.rechunk(filled), name)


def times(A: Any, X: Array, name: str) -> Array:
    """Return A X: each chunk of A is read once, and meets only those rows of X that it is multiplied by."""
    dask_array = sys.modules["dask.array"]

    def product(client: Any) -> list[Any]:
        rows = _chunked_rows(X, A.chunks[1], client)
        dtype = np.result_type(A.dtype, X.dtype)
        parts = dask_array.blockwise(
            _chunk_times, "ijk", A, "ij", rows, "jk",
            adjust_chunks={"j": 1}, align_arrays=False, dtype=dtype, meta=np.empty((0, 0, 0), dtype=dtype),
        )  # fmt: skip
        return [dask_array.reduction(parts, _kept, _added, axis=1, dtype=dtype, concatenate=True)]

    result: Array = _computed(product, A, name)[0]
    return result


def finite(A: Any, name: str) -> None:
    """Refuse NaN and infinite entries, with their number and the place of the first; this reads A once more."""
    dask_array = sys.modules["dask.array"]
    kinds = {"NaN": _count_nan, "infinite": _count_infinite}

    found = [
        dask_array.blockwise(
            function, "ij", A, "ij", adjust_chunks={"i": 1, "j": 1}, dtype=int, meta=np.empty((0, 0), dtype=int)
        )
        for function in kinds.values()
    ]
    for kind, counts in zip(kinds, compute(found, A, name), strict=True):
        if counts.any():
            i, j = (int(place) for place in np.argwhere(counts)[0])
            (chunk,) = compute([A.blocks[i, j]], A, name)
            bad = np.argwhere(np.isnan(chunk) if kind == "NaN" else np.isinf(chunk))[0]
            place = tuple(int(sum(A.chunks[k][:at]) + bad[k]) for k, at in enumerate((i, j)))
            raise _checks.not_finite(name, kind, int(counts.sum()), f"{place}, in {name}.blocks[{i}, {j}]")


def triangle(A: Any, name: str) -> Array:
    """Return R of A = Q R, A tall: of panels of rows first, then of what is left of them, by dask's tsqr."""
    m, n = A.shape
    panels = A.rechunk((min(m, max(4 * n, 2**24 // n)), n))
    R: Array = compute([sys.modules["dask.array"].linalg.tsqr(panels)[1]], A, name)[0]
    return R


def largest(A: Any, name: str) -> float:
    """Return the largest magnitude."""
    return float(compute([abs(A).max()], A, name)[0])


def compute(lazy: list[Any], A: Any, name: str) -> tuple[Any, ...]:
    """Compute arrays that are made from A in one go, so that each chunk is read once."""
    return _computed(lambda _: lazy, A, name)


def _computed(make: Callable[[Any], list[Any]], A: Any, name: str) -> tuple[Any, ...]:
    """Compute what is made by a function of the client, or of None, in one go.

    What a worker takes down with it is computed again by dask; if it came from here, it is made and sent again.
    """
    dask = sys.modules["dask"]
    client: Any = getattr(dask.base.get_scheduler(collections=[A]), "__self__", None)
    if not hasattr(client, "scatter"):
        return tuple(dask.compute(*make(None)))
    problem: BaseException | None = None
    for _ in range(TRIES):
        try:
            return tuple(dask.compute(*make(client)))
        except (CancelledError, OSError) as error:
            problem = error
            if client.status != "running":
                break
            if not type(error).__module__.startswith("distributed"):  # the caller's, such as a file that is missing
                raise
    address = client.scheduler.address if client.scheduler is not None else "an address that is gone"
    raise ConnectionError(
        _checks.named(
            f"{name} is on a Dask cluster, {address}, that was lost ({type(problem).__name__}). "
            "Start a cluster and a client again, then call this once more."
        )
    ) from problem


def _chunked_rows(X: Array, heights: tuple[int, ...], client: Any) -> Any:
    """Return X as a dask array of some rows each; a cluster gets them beside the graph, not in it."""
    ends = list(accumulate(heights))
    parts: list[Any] = [X[end - height : end] for end, height in zip(ends, heights, strict=True)]
    if client is not None:
        parts = client.scatter(parts, hash=False)
    name = f"columns-{uuid.uuid4().hex}"
    graph = {(name, i, 0): part for i, part in enumerate(parts)}
    return sys.modules["dask.array"].Array(graph, name, (heights, (X.shape[1],)), meta=X[:0])


def _chunk_times(chunk: Array, X: Array) -> Array:
    """Return the product in an axis of its own, along which those of a row of chunks are added."""
    with np.errstate(over="ignore", invalid="ignore"):
        product: Array = chunk @ X if chunk.flags.c_contiguous else (X.T @ chunk.T).T
    return product[:, None]


def _kept(parts: Array, axis: Any, keepdims: bool) -> Array:
    return parts


def _added(parts: Array, axis: Any, keepdims: bool) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        total: Array = np.sum(parts, axis=axis, keepdims=keepdims)
    return total


def _count_nan(chunk: Array) -> Any:
    return np.isnan(chunk).sum(keepdims=True)


def _count_infinite(chunk: Array) -> Any:
    return np.isinf(chunk).sum(keepdims=True)
