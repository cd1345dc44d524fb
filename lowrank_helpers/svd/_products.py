"""What the randomised methods need of a matrix of any kind: its products with a few columns."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers.svd import _dask, _mapped


class Sparse(Protocol):
    """A scipy.sparse matrix or array: they have no common type."""

    def tocsr(self) -> Any: ...


class Operator(Protocol):
    """A LinearOperator, also for type checkers that do not know scipy's types."""

    def matmat(self, X: Any, /) -> Any: ...
    def rmatmat(self, X: Any, /) -> Any: ...


class Chunked(Protocol):
    """A dask array, also for type checkers that do not know dask's types."""

    @property
    def chunks(self) -> Any: ...
    def rechunk(self, chunks: Any = ..., /) -> Any: ...


Matrix: TypeAlias = ArrayLike | Sparse | Operator | Chunked

PLAIN = (np.float32, np.float64)  # dtypes that are taken as they are, in the machine's order of bytes


class Products(NamedTuple):
    """A matrix by its shape, its dtype, X ↦ A X and Y ↦ Aᵀ Y."""

    shape: tuple[int, int]
    dtype: Any
    times: Callable[[Array], Array]
    transposed_times: Callable[[Array], Array]


def read(A: Matrix, name: str = "A") -> Products:
    """Read a dense matrix, in memory, mapped or in chunks, a sparse one or an operator."""
    if isinstance(A, LinearOperator):
        return _operator(A)
    if scipy.sparse.issparse(A):
        return _sparse(A, name)
    if _checks.is_dask(A):
        return _chunked(A, name)
    if _mapped.is_mapped(A):
        return _file(A, name)
    return _dense(A, name)


def _dense(A: Any, name: str) -> Products:
    """Read a dense matrix; entries that are not finite show in the first product, which saves a pass over A.

    A few columns times a large factor is the faster the
    other way round, (Xᵀ Aᵀ)ᵀ, where it is the columns of the factor that lie together in memory: a fifth to a third.
    """
    plain = type(A) is np.ndarray and A.dtype in PLAIN and A.ndim == 2 and A.size > 0
    dense = np.asarray(A) if plain else _checks.matrix(A, name)

    def times(factor: Array, X: Array) -> Array:
        product: Array = factor @ X if factor.flags.c_contiguous else (X.T @ factor.T).T
        return product

    return _products(dense, times, lambda: _checks.matrix(A, name), lambda: np.abs(dense).max(), name)


def _sparse(A: Any, name: str) -> Products:
    """Read a sparse matrix as a dense one; of formats other than CSR and CSC it makes a CSR copy."""
    if A.ndim != 2 or 0 in A.shape:
        raise _checks.invalid(
            f"{name} must be a matrix with at least one row and one column; got shape {A.shape}. "
            "Pass one of m rows and n columns."
        )
    stored = A if A.format in ("csr", "csc") else A.tocsr()
    if stored.dtype not in PLAIN:
        entries = _checks.vector(stored.data, f"{name}.data") if stored.nnz else np.zeros(0)
        stored = stored.astype(entries.dtype)

    return _products(
        stored, operator.matmul, lambda: _checks.vector(stored.data, f"{name}.data"),
        lambda: np.abs(stored.data).max(), name,
    )  # fmt: skip


def _file(A: Any, name: str) -> Products:
    """Read a file mapped into memory as a dense matrix, of which a block at a time is in memory."""
    dtype = _checks.real_dtype(A[:1, :1], name).dtype
    return _products(
        A, lambda factor, X: _mapped.times(factor, X, dtype), lambda: _mapped.finite(A, name),
        lambda: _mapped.largest(A, dtype), name, dtype,
    )  # fmt: skip


def _chunked(A: Any, name: str) -> Products:
    """Read a dask array as a dense matrix, which is never put together."""
    real = _dask.matrix(A, name)
    return _products(
        real, lambda factor, X: _dask.times(factor, X, name), lambda: _dask.finite(real, name),
        lambda: _dask.largest(real, name), name,
    )  # fmt: skip


def _products(
    A: Any,
    times: Callable[[Any, Array], Array],
    finite: Callable[[], object],
    largest: Callable[[], float],
    name: str,
    dtype: Any = None,
) -> Products:
    """The products of A and of Aᵀ: if one is not finite, A is not, and ``finite`` raises, or the product overflowed."""

    def product(factor: Any, X: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            result = times(factor, X)
        if not np.isfinite(result).all():
            finite()
            raise _overflow(largest(), name)
        return result

    return Products(A.shape, dtype or A.dtype, lambda X: product(A, X), lambda Y: product(A.T, Y))


def _overflow(largest: float, name: str) -> ValueError:
    """The error for infinite products of finite entries, raised before LAPACK gets them, which may never return."""
    return _checks.invalid(
        f"products with {name} must be finite; got entries up to {largest:.1e}, "
        f"whose products overflow. Divide {name} by it first, and multiply s by it afterwards."
    )


def _operator(A: LinearOperator) -> Products:
    """Read an operator: one product of each kind with a zero shows whether it has both."""
    dtype = np.dtype(A.dtype) if A.dtype is not None else np.dtype(np.float64)
    if dtype.kind == "c":
        raise _checks.mistyped(f"A must be real; got an operator of dtype {dtype}. Pass its real part.")
    dtype = dtype if dtype == np.float32 else np.dtype(np.float64)
    if min(A.shape) == 0:
        raise _checks.invalid(f"A must have at least one row and one column; got shape {A.shape}. Give it both.")

    def product(name: str, X: Array, rows: int) -> Array:
        try:
            result = np.asarray(getattr(A, name)(X))
        except (NotImplementedError, AttributeError, TypeError) as error:  # which of them depends on scipy's version
            raise _checks.mistyped(
                f"A must have the products matmat and rmatmat; its {name} raised {error!r}. "
                "Pass LinearOperator(shape, matvec=…, rmatvec=…, matmat=…, rmatmat=…)."
            ) from error
        if result.shape != (rows, X.shape[1]):
            raise _checks.invalid(
                f"A must map matrices of {len(X)} rows to ones of {rows} by {name}; got shape "
                f"{result.shape} from {X.shape}. Look whether matmat and rmatmat are in each other's place."
            )
        if not np.isfinite(result).all():
            raise _checks.invalid(
                f"products with A must be finite; {name} gave NaN or infinite entries. "
                "Look at what the operator does with them."
            )
        return result.astype(dtype, copy=False)

    m, n = A.shape
    product("matmat", np.zeros((n, 1), dtype=dtype), m)
    product("rmatmat", np.zeros((m, 1), dtype=dtype), n)
    return Products((m, n), dtype, lambda X: product("matmat", X, m), lambda Y: product("rmatmat", Y, n))
