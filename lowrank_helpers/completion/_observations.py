"""A table of which some entries were seen: reading it, and the sums over the seen entries that all methods need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array

Indices: TypeAlias = NDArray[np.intp]
Pattern: TypeAlias = Any  # an m×n matrix, 0 where nothing was seen: a dense array, or a CSR array with explicit zeros

DENSE = 0.1  # from this share of seen entries on, products with a dense array are faster than with a sparse one
BLOCK = 1 << 16  # entries taken at a time, so that the gathered factors stay in the cache
WIDE = 12  # factors from which on the Gram matrices of rows are formed one by one, not by one sparse product


class Observations(NamedTuple):
    """The seen entries of an m×n table, as a list in the order of rows, and as matrices.

    Attributes
    ----------
    shape : tuple of int
        (m, n).
    rows, columns : ndarray of int, shape (N,)
        Places of the entries.
    values : ndarray of float32 or float64, shape (N,)
        The entries.
    dense : bool
        Whether the patterns are dense arrays.
    dtype : dtype
        Of the table, and so of the result.
    """

    shape: tuple[int, int]
    rows: Indices
    columns: Indices
    values: Array
    dense: bool
    dtype: np.dtype[np.floating[Any]]

    def pattern(self, values: Array) -> Pattern:
        """Put one number for each seen entry into its place."""
        if self.dense:
            full = np.zeros(self.shape, dtype=values.dtype)
            full[self.rows, self.columns] = values
            return full
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.rows, minlength=self.shape[0]))])
        return scipy.sparse.csr_array((values, self.columns, indptr), shape=self.shape)

    def predictions(self, W: Array, Ht: Array) -> Array:
        """Return the entries of W Htᵀ at the seen places, shape (N,); W is m×k, Ht n×k."""
        if self.dense:
            product: Array = (W @ Ht.T)[self.rows, self.columns]
            return product
        out = np.empty(len(self.values), dtype=W.dtype)
        for start in range(0, len(out), BLOCK):
            part = slice(start, start + BLOCK)
            # take is several times faster than indexing
            np.einsum("ij,ij->i", W.take(self.rows[part], axis=0), Ht.take(self.columns[part], axis=0), out=out[part])
        return out

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many entries were seen in each row and in each column."""
        m, n = self.shape
        return np.bincount(self.rows, minlength=m), np.bincount(self.columns, minlength=n)


def observations(A: object, name: str = "A") -> Observations:
    """Read a sparse matrix of observations (explicit zeros are observations), or a dense one with NaN for unseen."""
    if scipy.sparse.issparse(A):
        rows, columns, values, shape = _from_sparse(A, name)
    else:
        rows, columns, values, shape = _from_dense(A, name)
    if len(values) == 0:
        raise _checks.invalid(
            f"{name} must have observations; got none for shape {shape}. In a dense {name} mark only the "
            "unseen entries as NaN; in a sparse one store the seen ones."
        )
    return Observations(shape, rows, columns, values, len(values) >= DENSE * shape[0] * shape[1], values.dtype)


def with_room(seen: Observations, *, name: str = "A", **options: float) -> Observations:
    """Return the observations in a dtype with room for sums of their squares, and for options of this size.

    float32 becomes float64 where its range is too small for them; what float64 has no room for is refused.
    """
    largest = float(np.abs(seen.values).max())
    (low, high), (narrow_low, narrow_high) = _checks.square_limits(np.float64), _checks.square_limits(np.float32)
    if 0 < largest <= low or largest >= high:
        raise _checks.invalid(
            f"squares of {name} must neither overflow nor underflow in float64; got {largest:.1e} as its "
            f"largest magnitude. Divide {name} by it first."
        )
    for option, value in options.items():
        if value >= high:
            raise _checks.invalid(
                f"{option} must be below {high:.1e}, so that its square is in range; got {value:g}. Lower it."
            )
    narrow = (largest == 0 or narrow_low < largest < narrow_high) and max(options.values(), default=0) < narrow_high
    return seen if narrow else seen._replace(values=seen.values.astype(np.float64))


def _from_dense(A: object, name: str) -> tuple[Indices, Indices, Array, tuple[int, int]]:
    _checks.in_memory(A, name)
    seen = None
    if not isinstance(A, np.ma.MaskedArray | np.matrix):
        try:
            array = np.asarray(A)
        except (TypeError, ValueError, RuntimeError):  # rows of several lengths, a tensor: the check below says so
            array = np.empty(0, dtype=object)
        if array.dtype.kind == "f":
            seen = ~np.isnan(array)
            A = np.where(seen, array, array.dtype.type(0))
    full = _checks.matrix(A, name)
    m, n = full.shape
    rows, columns = np.nonzero(np.ones((m, n), dtype=bool) if seen is None else seen)
    return rows, columns, full[rows, columns], (m, n)


def _from_sparse(A: Any, name: str) -> tuple[Indices, Indices, Array, tuple[int, int]]:
    if A.ndim != 2 or 0 in A.shape:
        raise _checks.invalid(f"{name} must be a matrix and not empty; got shape {A.shape}. Pass m rows, n columns.")
    if A.format in ("bsr", "dia"):
        raise _checks.mistyped(
            f"{name} must have a format that tells an observed 0 from none; got {A.format}, which fills up "
            "with zeros. Make it as scipy.sparse.coo_array((values, (rows, columns)), shape)."
        )
    m, n = map(int, A.shape)
    try:
        entries = A.tocoo()
    except ValueError as error:  # scipy found ids beyond the shape
        raise _checks.invalid(
            f"row and column ids must be within the shape of {name}, {(m, n)}; scipy reports: {error}. "
            "Number both from 0, or pass a larger shape."
        ) from None
    rows, columns = (np.asarray(index, dtype=np.intp) for index in (entries.row, entries.col))
    if len(rows) == 0:
        return rows, columns, np.empty(0), (m, n)
    for index, size, kind in ((rows, m, "row"), (columns, n, "column")):
        if index.min() < 0 or index.max() >= size:
            raise _checks.invalid(
                f"{kind} ids must be between 0 and {size - 1}; got {index.min()} to {index.max()} for "
                f"{name} of shape {(m, n)}. Number the {kind}s from 0, or pass a larger shape."
            )
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    repeated = (np.diff(rows) == 0) & (np.diff(columns) == 0)
    if repeated.any():
        k = int(repeated.argmax())
        raise _checks.invalid(
            f"{name} must have at most one observation for each entry; got {int(repeated.sum())} repeated, "
            f"the first at ({rows[k]}, {columns[k]}). Keep one of them, or their mean; "
            f"{name}.sum_duplicates() adds them up."
        )
    return rows, columns, _checks.vector(entries.data, f"{name}.data")[order], (m, n)


def transposed(pattern: Pattern) -> Pattern:
    """Return the transpose, stored by rows."""
    return np.ascontiguousarray(pattern.T) if isinstance(pattern, np.ndarray) else pattern.T.tocsr()


def determined(seen: Observations, rank: int, unknowns: int) -> None:
    """Refuse a rank that the observations cannot determine without a penalty."""
    m, n = seen.shape
    parameters = rank * (m + n - rank)
    if len(seen.values) < parameters:
        raise _checks.invalid(
            f"rank must have at most as many parameters, r(m + n − r), as there are observations, "
            f"{len(seen.values)}; got {parameters} for rank {rank}. Lower the rank, or pass penalty > 0."
        )
    for counts, name in zip(seen.counts(), ("row", "column"), strict=True):
        if counts.min() < unknowns:
            i = int(counts.argmin())
            raise _checks.invalid(
                f"each {name} must have at least {unknowns} observations without a penalty; got "
                f"{counts[i]} in {name} {i}. Drop the {name}, lower the rank, or pass penalty > 0."
            )


def ridge_rows(
    seen: Pattern,
    F: Array,
    right: Array,
    penalty: Array,
    shared: Array | None = None,
    limit: int = 1 << 20,
) -> Array:
    """Solve (Σ_j s_ij f_j f_jᵀ + shared + penalty_i I) x_i = right_i for every row i at once.

    F is n×k with rows f_j, seen holds s_ij, right is m×k, penalty m or m×k. Few factors: all Gram matrices are one
    product of seen with the k(k+1)/2 products of two columns of F. The systems are solved by LAPACK in batches of
    bounded memory.
    """
    X = np.empty_like(right)
    for rows, gram in gram_rows(seen, F, limit):
        if shared is not None:
            gram += shared
        diagonal = np.einsum("ikk->ik", gram)  # a view
        diagonal += penalty[rows].reshape(len(diagonal), -1)
        X[rows] = np.linalg.solve(gram, right[rows, :, None])[:, :, 0]
    return X


def gram_rows(seen: Pattern, F: Array, limit: int = 1 << 20) -> Iterator[tuple[Indices, Array]]:
    """Yield places of rows and, for the rows i at these places, the k×k matrices Σ_j s_ij f_j f_jᵀ."""
    k = F.shape[1]
    if k > WIDE and not isinstance(seen, np.ndarray):
        counts = np.diff(seen.indptr)
        empty = np.nonzero(counts == 0)[0]
        if len(empty):
            yield empty, np.zeros((len(empty), k, k), dtype=F.dtype)
        for rows, columns, weights, _ in rows_alike(seen, counts > 0, BLOCK, limit // (k * k)):
            Fs = F.take(columns, axis=0)
            yield rows, (Fs * weights[:, :, None]).transpose(0, 2, 1) @ Fs
        return
    upper = np.triu_indices(k)
    place = np.empty((k, k), dtype=np.intp)
    place[upper] = np.arange(len(upper[0]))
    place.T[upper] = place[upper]
    products = F[:, upper[0]] * F[:, upper[1]]
    step = max(1, limit // (k * k))
    for start in range(0, seen.shape[0], step):
        rows = np.arange(start, min(start + step, seen.shape[0]))
        yield rows, (seen[start : start + step] @ products)[:, place]


def rows_alike(
    seen: Pattern, chosen: NDArray[np.bool_], room: int, most: int = BLOCK
) -> Iterator[tuple[Indices, Indices, Array, NDArray[np.bool_]]]:
    """Yield the chosen rows of a sparse pattern, the longest first, in batches with room for so many entries.

    A batch has one row, or as many as find room, but not more than the most. For each: the places of its rows, the
    columns and the values of their entries as matrices with a row for each, and which of these are entries: a row with
    fewer of them than the first is filled up with zeros, in column 0.
    """
    counts = np.diff(seen.indptr)
    order = np.argsort(-counts, kind="stable")
    order = order[chosen[order]]
    start = 0
    while start < len(order):
        width = int(counts[order[start]])
        rows = order[start : start + max(1, min(most, room // max(width, 1)))]
        start += len(rows)
        inside = np.arange(width) < counts[rows, None]
        entries = np.where(inside, seen.indptr[rows, None] + np.arange(width), 0)
        yield rows, np.where(inside, seen.indices[entries], 0), np.where(inside, seen.data[entries], 0), inside
