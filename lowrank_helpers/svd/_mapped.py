"""A file mapped into memory: its products block by block, and the pages that were read given back after each."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array

BLOCK = 2**25  # bytes of the file that are in memory at a time, unless one row has more


def is_mapped(A: Any) -> bool:
    """Whether this is a matrix in a file, or a part of one; a copy has the type, and no file."""
    return type(A) is np.memmap and getattr(A, "_mmap", None) is not None and A.ndim == 2 and A.size > 0


def times(A: Any, X: Array, dtype: Any) -> Array:
    """Return A X. The file is read once, in the order in which it is stored; entries are brought to the dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        if _by_rows(A):
            result = np.empty((len(A), X.shape[1]), dtype=np.result_type(dtype, X.dtype))
            for rows, block in _blocks(A, dtype):
                np.matmul(block, X, out=result[rows])
            return result
        sums = np.zeros((X.shape[1], len(A)), dtype=np.result_type(dtype, X.dtype))
        for columns, block in _blocks(A.T, dtype):
            sums += X[columns].T @ block
        return sums.T


def largest(A: Any, dtype: Any) -> float:
    """Return the largest magnitude."""
    every = _blocks(A if _by_rows(A) else A.T, dtype)
    return max(max(float(block.max()), -float(block.min())) for _, block in every)


def finite(A: Any, name: str) -> None:
    """Refuse NaN and infinite entries, with their number and the place of the first."""
    by_rows = _by_rows(A)
    for kind, found in (("NaN", np.isnan), ("infinite", np.isinf)):
        count, first = 0, A.shape
        for rows, block in _blocks(A if by_rows else A.T, A.dtype):
            places = np.argwhere(found(block)) + np.array([rows.start, 0])
            count += len(places)
            first = min([first, *map(tuple, (places if by_rows else places[:, ::-1]).tolist())])
        if count:
            raise _checks.not_finite(name, kind, count, str(first))


def _by_rows(A: Any) -> bool:
    """Whether the entries of a row lie nearer to each other than those of a column."""
    return bool(abs(A.strides[0]) >= abs(A.strides[1]))


def _blocks(A: Any, dtype: Any) -> Iterator[tuple[slice, Array]]:
    """Some rows at a time, and where they are."""
    height = max(1, BLOCK // max(1, abs(A.strides[0])))
    for start in range(0, len(A), height):
        rows = slice(start, start + height)
        block = A[rows]
        yield rows, np.asarray(block).astype(dtype, copy=False)
        _give_back(block)


def _give_back(block: Any) -> None:
    """Let the pages of a block go; they are read again when they are asked for again.

    Not those that were written and belong to this process alone (mode "c"): they would be lost.
    """
    file = block._mmap
    if block.mode not in ("r", "r+", "w+") or not hasattr(mmap, "MADV_DONTNEED"):
        return
    start = np.frombuffer(file, dtype=np.uint8).ctypes.data
    low, high = (place - start for place in np.lib.array_utils.byte_bounds(block))
    low -= low % mmap.PAGESIZE
    file.madvise(mmap.MADV_DONTNEED, low, high - low)
