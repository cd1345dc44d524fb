"""Where a non-negative factorisation begins: random factors, or the non-negative parts of singular vectors."""

import math
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from lowrank_helpers._checks import Array
from lowrank_helpers.svd import block_krylov_svd

SMALL = 300  # the shorter side up to which LAPACK's full SVD is quick enough


def random_start(A: Any, rank: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Draw |N(0, 1)| entries, scaled so that the entries of W H are about as large as those of A."""
    m, n = A.shape
    level = level_of(A, rank)
    W = level * np.abs(generator.standard_normal((m, rank)))
    H = level * np.abs(generator.standard_normal((rank, n)))
    return W.astype(A.dtype), H.astype(A.dtype)


def nndsvd(A: Any, rank: int, fill: float) -> tuple[Array, Array]:
    """Take of each singular pair the heavier of its two non-negative parts; zeros become ``fill``."""
    U, s, Vt = _leading_svd(A, rank)
    W, H = np.zeros_like(U), np.zeros_like(Vt)
    for j in range(rank):
        parts = [(np.maximum(sign * U[:, j], 0), np.maximum(sign * Vt[j], 0)) for sign in (1, -1)]
        lengths = [(float(np.linalg.norm(u)), float(np.linalg.norm(v))) for u, v in parts]
        (u, v), (length_u, length_v) = max(zip(parts, lengths, strict=True), key=lambda part: part[1][0] * part[1][1])
        if length_u * length_v > 0:
            root = math.sqrt(float(s[j]) * length_u * length_v)
            W[:, j], H[j] = root * (u / length_u), root * (v / length_v)
    W[W == 0] = fill
    H[H == 0] = fill
    return W.astype(A.dtype), H.astype(A.dtype)


def level_of(A: Any, rank: int) -> float:
    """Return the entry that constant factors W and H have when W H has the mean of A everywhere."""
    return math.sqrt(float(A.mean(dtype=np.float64)) / rank)


def _leading_svd(A: Any, rank: int) -> tuple[Array, Array, Array]:
    """Return leading singular triples, the same at each call: a start needs few digits of them, but no chance."""
    if min(A.shape) > SMALL:
        U, s, Vt = block_krylov_svd(A, rank, rng=0)
        return U, s, Vt
    U, s, Vt = scipy.linalg.svd(A.toarray() if scipy.sparse.issparse(A) else A, full_matrices=False)
    return U[:, :rank], s[:rank], Vt[:rank]
