"""Factors of a matrix whose rows come in blocks and are seen once: in one pass, merged from parts, as a sketch.

Blocks may be of any heights, and come from a file, a generator or other machines. ``float32`` stays ``float32``.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, Seed
from lowrank_helpers.svd._bases import basis
from lowrank_helpers.svd._products import Matrix, Products, read
from lowrank_helpers.svd.exact import SVDFactors
from lowrank_helpers.svd.randomized import projected_factors

Blocks: TypeAlias = Matrix | Iterable[Matrix]


class DirectionSketch(NamedTuple):
    """What `frequent_directions` keeps of a matrix A.

    Attributes
    ----------
    B : ndarray, shape (at most size, n)
        ‖AᵀA − BᵀB‖₂ ≤ loss².
    loss : float
        The root of what was taken off the squared singular values, in all: with ℓ = size, at most
        ‖A − A_k‖_F / (ℓ − k)^½ for every k < ℓ. 0 as long as B has all that A has.
    rows : int
        How many rows of A have been seen.
    """

    B: Array
    loss: float
    rows: int


def one_pass_svd(blocks: Blocks, rank: int, *, oversample: int = 10, rng: Seed = None) -> SVDFactors[Any]:
    """Approximate the leading singular triples of a matrix from two sketches, both taken while its rows go by once.

    With ℓ = rank + oversample, Y = A Ω has ℓ columns and W = Ψ A has 2ℓ + 1 rows, Ω and Ψ standard normal. Q is an
    orthonormal basis of the range of Y, and A ≈ Q X with X = (Ψ Q)⁺ W; its SVD, truncated, gives the factors. Ψ is not
    kept: its columns are drawn block by block, and once more when Q is known. Memory beside the blocks is
    O((m + n) ℓ). Before truncation the expected squared error in the Frobenius norm is at most
    2 (1 + r/(oversample − 1)) times the least at rank r, where oversample ≥ 2.

    Parameters
    ----------
    blocks : iterable of array_like or sparse matrices, each of shape (any, n), or one matrix
        Real. Consecutive rows of A, from the top. One matrix is one block.
    rank : int
        r, between 1 and min(m, n).
    oversample : int, default 10
        At least 0. Beyond n − r there is nothing to gain, and it ends there.
    rng : None, int or numpy.random.Generator, optional
        Source of Ω and Ψ. How the rows are cut into blocks changes the answer by rounding alone.

    Returns
    -------
    SVDFactors
        The triple (U, s, Vt) of shapes (m, r), (r,), (r, n).

    Raises
    ------
    TypeError, ValueError
        If there is no block, or one is no real matrix, has NaN or infinite entries, or another number of columns than
        the first, or an argument is out of bounds.

    References
    ----------
    J. A. Tropp, A. Yurtsever, M. Udell and V. Cevher, Practical sketching algorithms for low-rank matrix approximation,
    *SIAM J. Matrix Anal. Appl.* 38 (2017), 1454–1485, Algorithm 4 and Theorem 4.3.

    Examples
    --------
    >>> from lowrank_helpers.svd import one_pass_svd
    >>> A = np.outer(np.arange(60.0), np.ones(40)) + np.outer(np.ones(60), np.arange(40.0))
    >>> U, s, Vt = one_pass_svd((A[i : i + 7] for i in range(0, 60, 7)), 2, rng=0)
    >>> bool(np.allclose((U * s) @ Vt, A))
    True
    """
    generator = _checks.generator(rng)
    r = _checks.integer(rank, 1, None, "rank")
    surplus = _checks.integer(oversample, 0, None, "oversample")
    read_blocks = _read(blocks)
    first = next(read_blocks)
    n, dtype = first.shape[1], first.dtype
    columns = min(r + surplus, n)
    Omega = generator.standard_normal((n, columns), dtype=dtype)
    again = copy.deepcopy(generator)
    Y, W, heights = [], np.zeros((2 * columns + 1, n), dtype=dtype), []
    for block in itertools.chain([first], read_blocks):
        heights.append(block.shape[0])
        Psi = generator.standard_normal((block.shape[0], len(W)), dtype=dtype)
        Y.append(block.times(Omega))
        W += block.transposed_times(Psi).T
    r = _checks.rank(rank, (sum(heights), n), of="the matrix")
    Q = basis(np.vstack(Y))
    at, PsiQ = 0, np.zeros((len(W), Q.shape[1]), dtype=dtype)
    for height in heights:
        PsiQ += again.standard_normal((height, len(W)), dtype=dtype).T @ Q[at : at + height]
        at += height
    k = _checks.exponent(W)  # W near the ends of the range would leave it on its way through LAPACK
    X = np.ldexp(np.linalg.lstsq(PsiQ, np.ldexp(W, -k))[0], k)
    return projected_factors(Q, np.ascontiguousarray(X.T), r, generator)


def merge_svd(pieces: Sequence[SVDFactors[Any]], rank: int) -> SVDFactors[Any]:
    """Merge SVDs of blocks of rows into one of the whole matrix, without looking at the blocks again.

    If Aᵢ ≈ Uᵢ diag(sᵢ) Vᵢᵀ, the matrix of all blocks is about diag(U₁, U₂, …) times the stack of diag(sᵢ) Vᵢᵀ, and the
    first of these has orthonormal columns: so the SVD of the small stack is enough. Merged in a tree of L levels, that
    of the blocks counted, each level truncated to rank r, the error in the Frobenius norm is at most L^½ times the
    least possible at rank r; with no level but the last truncated, it is the least.

    Parameters
    ----------
    pieces : sequence of SVDFactors
        (Uᵢ, sᵢ, Vtᵢ) of blocks of rows, from the top; all Vtᵢ of the same width n.
    rank : int
        r, between 1 and min(n, the number of all singular values given).

    Returns
    -------
    SVDFactors
        The triple (U, s, Vt) of shapes (m, r), (r,), (r, n), m being the heights of all Uᵢ together.

    Raises
    ------
    TypeError, ValueError
        If pieces is empty, or one of them is no triple whose shapes belong together, or has NaN or infinite entries,
        or rank is out of bounds.

    References
    ----------
    M. A. Iwen and B. W. Ong, A distributed and incremental SVD algorithm for agglomerative data analysis on large
    networks, *SIAM J. Matrix Anal. Appl.* 37 (2016), 1699–1718.

    Examples
    --------
    >>> from lowrank_helpers.svd import merge_svd, truncated_svd
    >>> A = np.diag([4.0, 3.0, 2.0, 1.0])
    >>> U, s, Vt = merge_svd([truncated_svd(A[:2], 2), truncated_svd(A[2:], 2)], 3)
    >>> s.tolist(), U.shape
    ([4.0, 3.0, 2.0], (4, 3))
    """
    factors = _triples(pieces)
    stack = np.vstack([s[:, None] * Vt for _, s, Vt in factors])
    r = _checks.rank(rank, stack.shape, of="the stack of all diag(s) Vt")
    with np.errstate(over="ignore"):
        W, s, Vt = np.linalg.svd(stack, full_matrices=False)
    cuts = np.cumsum([len(s) for _, s, _ in factors])[:-1]
    U = np.vstack([U @ rows for (U, _, _), rows in zip(factors, np.split(W[:, :r], cuts), strict=True)])
    return SVDFactors(U, _checks.in_range(s[:r], "s"), Vt[:r])


def frequent_directions(blocks: Blocks, size: int, *, sketch: DirectionSketch | None = None) -> DirectionSketch:
    """Sketch a matrix whose rows go by once by at most ℓ rows B with BᵀB ≈ AᵀA: Frequent Directions.

    Rows are collected; whenever there are 2ℓ or more, the ℓ-th squared singular value of what has been collected is
    taken off all of them, which leaves fewer than ℓ. What is taken off adds up to loss², and

        0 ≤ ‖A x‖² − ‖B x‖² ≤ loss² ≤ ‖A − A_k‖_F² / (ℓ − k)   for every unit vector x and every k < ℓ.

    Nothing is random, the bound holds for every matrix and any order of its rows, and it is known at the end.

    Parameters
    ----------
    blocks : iterable of array_like or sparse matrices, each of shape (any, n), or one matrix
        Real. Rows of A.
    size : int
        ℓ, at least 1.
    sketch : DirectionSketch, optional
        Go on from this sketch of the rows before. Two sketches become one by `merge_directions`.

    Returns
    -------
    DirectionSketch

    Raises
    ------
    TypeError, ValueError
        If there is no block, or one is no real matrix, has NaN or infinite entries, or another number of columns, or
        size is out of bounds, or the singular values leave the range of the dtype.

    References
    ----------
    E. Liberty, Simple and deterministic matrix sketching, *KDD* 2013; M. Ghashami, E. Liberty, J. M. Phillips and
    D. P. Woodruff, Frequent Directions: simple and deterministic matrix sketching, *SIAM J. Comput.* 45 (2016),
    1762–1792, Theorem 1.1.

    Examples
    --------
    >>> from lowrank_helpers.svd import frequent_directions
    >>> A = np.outer(np.arange(1000.0), np.ones(30))
    >>> B, loss, rows = frequent_directions((A[i : i + 100] for i in range(0, 1000, 100)), 5)
    >>> B.shape[0] <= 5, round(loss, 6), rows
    (True, 0.0, 1000)
    """
    ell = _checks.integer(size, 1, None, "size")
    given = None if sketch is None else _directions(sketch)
    rows, loss, seen = [] if given is None else [given.B], 0.0 if given is None else given.loss, 0
    for chunk in _chunks(blocks, None if given is None else given.B.shape[1], ell):
        seen += len(chunk)
        rows.append(chunk)
        if sum(map(len, rows)) >= 2 * ell:
            kept, taken = _shrink(np.vstack(rows), ell)
            rows, loss = [kept], float(np.hypot(loss, taken))
    B, taken = _shrink(np.vstack(rows), ell)
    return DirectionSketch(B, float(np.hypot(loss, taken)), seen + (0 if given is None else given.rows))


def merge_directions(first: DirectionSketch, second: DirectionSketch, size: int) -> DirectionSketch:
    """Merge two sketches of two sets of rows into one of all of them, for which the same bound holds.

    Parameters
    ----------
    first, second : DirectionSketch
        Made by `frequent_directions` with this size or a larger one, of matrices of n columns.
    size : int
        ℓ of the merged sketch, at least 1.

    Returns
    -------
    DirectionSketch

    Raises
    ------
    TypeError, ValueError
        If one is no such sketch, or they have different numbers of columns, or size is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.svd import frequent_directions, merge_directions
    >>> A = np.vstack([np.eye(4), 2 * np.eye(4)])
    >>> halves = [frequent_directions(half, 5) for half in (A[:4], A[4:])]
    >>> whole = merge_directions(*halves, 5)
    >>> bool(np.linalg.norm(A.T @ A - whole.B.T @ whole.B, 2) <= whole.loss**2 + 1e-12), whole.rows
    (True, 8)
    """
    ell = _checks.integer(size, 1, None, "size")
    one, other = _directions(first, "first"), _directions(second, "second")
    _same_width(other.B.shape[1], one.B.shape[1], "second.B")
    B, taken = _shrink(np.vstack([one.B, other.B]), ell)
    return DirectionSketch(B, float(np.hypot(np.hypot(one.loss, other.loss), taken)), one.rows + other.rows)


def _shrink(rows: Array, ell: int) -> tuple[Array, float]:
    """Take the ℓ-th squared singular value off all of them where there are more than ℓ rows; return its root too."""
    if len(rows) <= ell:
        return rows, 0.0
    with np.errstate(over="ignore"):
        _, s, Vt = np.linalg.svd(rows, full_matrices=False)
    _checks.in_range(s, "the singular values")
    taken = s[ell - 1] if len(s) >= ell else s.dtype.type(0)
    left = s[s > taken]
    shrunk = left * np.sqrt((left - taken) / left * (1 + taken / left))  # (s² − t²)^½, whose squares need no room
    return shrunk[:, None] * Vt[: len(left)], float(taken)


def _apart(blocks: Any) -> Iterator[tuple[str, Any]]:
    """The blocks one by one, with their names; a matrix is one of them."""
    several = isinstance(blocks, list | tuple) and all(scipy.sparse.issparse(b) or np.ndim(b) == 2 for b in blocks)
    if several or isinstance(blocks, Iterator):
        return ((f"blocks[{i}]", block) for i, block in enumerate(blocks))
    return iter([("blocks", blocks)])


def _read(blocks: Blocks) -> Iterator[Products]:
    """Read block after block by its products, all of the width of the first."""
    width = None
    for name, block in _apart(blocks):
        _checks.in_memory(block, name)
        products = read(block, name)
        width = _same_width(products.shape[1], width, name)
        yield products
    _some(width)


def _chunks(blocks: Blocks, width: int | None, height: int) -> Iterator[Array]:
    """At most so many rows at a time, dense, all of this width, or else of the first block's."""
    for name, block in _apart(blocks):
        if scipy.sparse.issparse(block):
            read(block, name)
            block = block.tocsr()
            parts = (block[at : at + height].toarray() for at in range(0, block.shape[0], height))
        else:
            block = _checks.matrix(block, name)
            parts = (block[at : at + height] for at in range(0, block.shape[0], height))
        width = _same_width(block.shape[1], width, name)
        for part in parts:
            yield _checks.matrix(part, name)
    _some(width)


def _some(width: int | None) -> None:
    """Refuse what held no block."""
    if width is None:
        raise _checks.invalid("blocks must hold at least one block of rows; got none. Pass [A] for one.")


def _same_width(columns: int, width: int | None, name: str) -> int:
    """Refuse a block that has not as many columns as those before it."""
    if width is not None and columns != width:
        raise _checks.invalid(
            f"{name} must have {width} columns, as what came before it; got {columns}. Blocks are rows of one matrix."
        )
    return columns


def _triples(pieces: Any) -> list[SVDFactors[Any]]:
    """Read factors of blocks whose shapes belong together."""
    triples = isinstance(pieces, list | tuple) and all(isinstance(part, tuple) and len(part) == 3 for part in pieces)
    if not triples or not pieces or isinstance(pieces, SVDFactors):
        raise _checks.mistyped(
            f"pieces must be a list of one or more SVDFactors; got {type(pieces).__name__}. "
            "Pass [truncated_svd(block, r) for block in …]."
        )
    found, width = [], None
    for i, part in enumerate(pieces):
        U = _checks.matrix(part[0], f"pieces[{i}].U")
        s = _checks.singular_values(part[1], f"pieces[{i}].s")
        Vt = _checks.matrix(part[2], f"pieces[{i}].Vt")
        if not U.shape[1] == len(s) == len(Vt):
            raise _checks.invalid(
                f"pieces[{i}] must be U, s and Vt of one decomposition; got shapes {U.shape}, {s.shape}, {Vt.shape}. "
                "U has a column, and Vt a row, for each of s."
            )
        width = _same_width(Vt.shape[1], width, f"pieces[{i}].Vt")
        found.append(SVDFactors(U, s, Vt))
    return found


def _directions(sketch: object, name: str = "sketch") -> DirectionSketch:
    """Read a sketch."""
    if not isinstance(sketch, DirectionSketch):
        raise _checks.mistyped(
            f"{name} must be a DirectionSketch; got {type(sketch).__name__}. Pass what frequent_directions returns."
        )
    B = _checks.matrix(sketch.B, f"{name}.B", empty=True)
    loss = _checks.number(sketch.loss, f"{name}.loss", least=0.0)
    return DirectionSketch(B, loss, _checks.integer(sketch.rows, 0, None, f"{name}.rows"))
