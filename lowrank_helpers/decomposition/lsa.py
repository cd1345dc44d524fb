"""Latent semantic analysis: the truncated SVD of a sparse matrix of documents by terms.

X ≈ U diag(s) Vᵀ, rows for documents, columns for terms, as scikit-learn's vectorisers return it. Documents are compared
by the cosines of rows of U diag(s), and a text that came later gets its row by folding in: x V, x its row of X.
"""

import math
from typing import Any, Generic, NamedTuple, TypeAlias, overload

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64, Seed
from lowrank_helpers.svd import SVDFactors, fix_signs
from lowrank_helpers.svd._bases import thin_svd
from lowrank_helpers.svd._products import Sparse, read
from lowrank_helpers.svd.randomized import krylov_factors

Texts: TypeAlias = ArrayLike | Sparse


class LatentSpace(NamedTuple, Generic[F]):
    """A space of r latent dimensions in which documents and terms have places.

    Attributes
    ----------
    documents : ndarray, shape (m, r)
        U diag(s): a row for each document; zeros for one without a term.
    s : ndarray, shape (r,)
        Singular values, descending.
    Vt : ndarray, shape (r, n)
        Orthonormal directions in the space of terms, as rows; the largest entry of each is positive. Terms are
        compared by rows of V diag(s).
    """

    documents: NDArray[F]
    s: NDArray[F]
    Vt: NDArray[F]


@overload
def lsa(X: NDArray[F], rank: int, *, steps: int = ..., rng: Seed = ...) -> LatentSpace[F]: ...
@overload
def lsa(X: Float64, rank: int, *, steps: int = ..., rng: Seed = ...) -> LatentSpace[np.float64]: ...
@overload
def lsa(X: Sparse, rank: int, *, steps: int = ..., rng: Seed = ...) -> LatentSpace[Any]: ...
def lsa(X: Texts, rank: int, *, steps: int = 16, rng: Seed = None) -> LatentSpace[Any]:
    """Place documents and terms in a space of few dimensions, by a truncated SVD of their sparse matrix.

    X stays sparse: it is only multiplied, by `randomized.block_krylov_svd`. It is not centred, and its weights are
    the caller's: counts, or better tf-idf with rows of length 1.

    Parameters
    ----------
    X : sparse matrix or array_like, shape (m, n)
        Real weights: m documents as rows, n terms as columns. Documents without terms are allowed.
    rank : int
        r, between 1 and min(m, n). A hundred to a few hundred is usual.
    steps : int, default 16
        Blocks in the Krylov space, at least 8; each has r/8 dimensions, or 10 if that is more. More steps leave less
        error in the last of the r directions.
    rng : None, int or numpy.random.Generator, optional
        Source of the start; None takes fresh entropy.

    Returns
    -------
    LatentSpace
        The tuple (documents, s, Vt) of shapes (m, r), (r,), (r, n), in the dtype of X.

    Raises
    ------
    TypeError, ValueError
        If X is no real matrix, has no document, no term or no weight other than 0, or NaN or infinite entries, or an
        argument is out of bounds.

    References
    ----------
    S. Deerwester, S. T. Dumais, G. W. Furnas, T. K. Landauer and R. Harshman, Indexing by latent semantic analysis,
    *J. Am. Soc. Inf. Sci.* 41 (1990), 391–407. Their matrix is the transpose, with terms as rows.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import lsa
    >>> X = [[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 2.0]]  # car motor, motor engine, tea tea
    >>> documents, s, Vt = lsa(X, 2, rng=0)
    >>> print(np.round(s**2, 6))
    [4. 3.]
    >>> print(np.round(documents @ documents.T, 6) + 0)  # the first two documents have come together
    [[1.5 1.5 0. ]
     [1.5 1.5 0. ]
     [0.  0.  4. ]]
    """
    A = _weights(X)
    m, n = A.shape
    if n == 0:
        raise _checks.invalid(
            f"X must have at least one term; got shape {(m, n)}, an empty vocabulary. Let the vectoriser drop "
            "fewer terms (stop words, min_df)."
        )
    if m == 0:
        raise _checks.invalid(f"X must have at least one document; got shape {(m, n)}. Pass a row for each document.")
    if not (A.data if scipy.sparse.issparse(A) else A).any():
        raise _checks.invalid(
            f"X must have a weight other than 0; got zeros only, in shape {(m, n)}: no term of the vocabulary "
            "occurs in any document. Make the vocabulary from these documents."
        )
    r = _checks.rank(rank, (m, n), of="X")
    steps = _checks.integer(steps, 8, None, "steps")
    V = _leading_terms(A, r, steps, _checks.generator(rng))
    U, s, Wt = thin_svd(A @ V, r)  # now X V W = U diag(s) to rounding, as fold_in needs it
    V, s, Ut = fix_signs(SVDFactors(V @ Wt.T, s, U.T))  # decided by the terms
    return LatentSpace(Ut.T * s, s, V.T.copy())


@overload
def fold_in(space: LatentSpace[F], X: NDArray[F]) -> NDArray[F]: ...
@overload
def fold_in(space: LatentSpace[Any], X: Float64) -> NDArray[np.float64]: ...
@overload
def fold_in(space: LatentSpace[Any], X: Sparse) -> NDArray[Any]: ...
def fold_in(space: LatentSpace[Any], X: Texts) -> NDArray[Any]:
    """Return the places of other documents in a latent space: X V, which leaves the space as it is.

    Documents that made the space get their own places, since X V = U diag(s). Terms that it does not know have no
    column, and directions of meaning that only the new documents have are lost: fold in few, or make the space anew.

    Parameters
    ----------
    space : LatentSpace
        From `lsa`, of n terms.
    X : sparse matrix or array_like, shape (k, n)
        Real weights of k documents, made with the same vocabulary and the same weights of terms (the idf of the
        documents that made the space, not of these).

    Returns
    -------
    ndarray, shape (k, r)
        Places, to be compared with ``space.documents`` by cosines. A document without terms has zeros.

    Raises
    ------
    TypeError, ValueError
        If space is not from `lsa`, or X is no real matrix of n columns with finite entries.

    References
    ----------
    S. Deerwester et al. (1990), as in `lsa`: their place of a query, xᵀ V diag(1/s), is this one in other units.

    Examples
    --------
    >>> from lowrank_helpers.decomposition import fold_in, lsa
    >>> space = lsa([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 2.0]], 2, rng=0)
    >>> place = fold_in(space, [[1.0, 0.0, 0.0, 0.0]])  # car
    >>> print(np.round(place @ space.documents.T, 6) + 0)  # near to "motor engine" too, which shares no term with it
    [[0.5 0.5 0. ]]
    """
    if not isinstance(space, LatentSpace):
        raise _checks.mistyped(f"space must be a LatentSpace; got {type(space).__name__}. Pass what lsa returned.")
    A = _weights(X)
    n = space.Vt.shape[1]
    if A.shape[1] != n:
        raise _checks.invalid(
            f"X must have a column for each of the {n} terms of the space; got shape {A.shape}. Use the "
            "vectoriser that made the space, with transform and not fit_transform."
        )
    places: Array = A @ space.Vt.T
    return places


def _weights(X: Any) -> Any:
    """Read a real matrix with finite entries: sparse (rows compressed) or dense, with no entries perhaps."""
    if not scipy.sparse.issparse(X):
        return _checks.matrix(X, "X", empty=True)
    if X.ndim != 2:
        raise _checks.invalid(f"X must have 2 dimensions; got {X.ndim}. Pass one document as a row.")
    A = scipy.sparse.csr_array(X)
    data = _checks.vector(A.data, "X.data") if A.nnz else A.data
    return scipy.sparse.csr_array((data, A.indices, A.indptr), shape=A.shape)


def _leading_terms(A: Any, rank: int, steps: int, rng: np.random.Generator) -> Array:
    """Right singular vectors, as columns, from a Krylov space of many small blocks."""
    block = min(max(math.ceil(rank / 8), 10), *A.shape)
    return krylov_factors(read(A, "X"), rank, block, steps, rng).Vt.T
