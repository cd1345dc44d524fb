"""Orthonormal bases of a few long columns, by products: Cholesky QR, and an SVD where it will not do.

With YᵀY = RᵀR the columns of Y R⁻¹ are orthonormal but for eps κ(Y)²; a second round leaves eps. All the work on long
columns is in matrix products.
"""

from typing import NamedTuple

import numpy as np

from lowrank_helpers._checks import Array


class _Cholesky(NamedTuple):
    """YᵀY = RᵀR: R and its inverse in float64, and whether YᵀY is so near to I that κ(Y)² is below 3."""

    R: Array
    inverse: Array
    near: bool


def thin_svd(T: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return the leading `rank` singular triples (U, s, Vt) of a matrix of few columns; as many as it can have.

    All of it is worked out in float64. The eigenvalues of TᵀT are the σ², and have lost the digits that σ_r² is smaller
    than σ₁² by: none that a float32 T had, and two of float64's where σ_r is a tenth of σ₁.
    """
    wide = T.astype(np.float64, copy=False)
    gram = _gram(wide)
    if gram is not None and len(gram):
        squares, Y = (found[..., : -rank - 1 : -1] for found in np.linalg.eigh(gram))
        lost = 1e-8 if T.dtype == np.float32 else 1e-2
        if squares[-1] > max(lost * squares[0], 1e-290):  # then T Y diag(1/σ) is orthonormal too
            s = np.sqrt(squares)
            found = wide @ (Y / s), s, Y.T
            return tuple(part.astype(T.dtype, copy=False) for part in found)
    first = _cholesky(gram)
    if first is not None:
        Z = wide @ first.inverse
        second = _cholesky(_gram(Z))
        if second is not None and second.near:  # Q = Z R₂⁻¹ is orthonormal, and QᵀT is small
            X, s, Yt = np.linalg.svd(second.inverse.T @ (Z.T @ wide))
            U, s, Vt = Z @ (second.inverse @ X[:, :rank]), s[:rank], Yt[:rank]
            return U.astype(T.dtype, copy=False), s.astype(T.dtype, copy=False), Vt.astype(T.dtype, copy=False)
    U, s, Vt = np.linalg.svd(T, full_matrices=False)
    return U[:, :rank], s[:rank], Vt[:rank]


def basis(Y: Array, largest: float | None = None, *, rough: bool = False) -> Array:
    """Return an orthonormal basis of the columns of Y, without directions that are rounding beside the largest."""
    largest = largest_entry(Y) if largest is None else largest
    return orthonormal(Y, float(np.finfo(Y.dtype).eps) * max(Y.shape) * largest, rough=rough)


def largest_entry(Y: Array) -> float:
    """Return the largest magnitude in Y: a size to compare with, whose square need not be in range."""
    return float(np.abs(Y).max(initial=0))


def orthonormal(Y: Array, least: float, *, rough: bool = False) -> Array:
    """Return an orthonormal basis of the left singular vectors of Y whose singular values are above least.

    A rough one is orthonormal to a few digits, which is enough for what is multiplied by A and normalised again.
    """
    Q = _cholesky_qr(Y, least, rough)
    if Q is None:
        U, s, _ = np.linalg.svd(Y, full_matrices=False)
        Q = U[:, s > least]
    return Q


def _cholesky_qr(Y: Array, least: float, rough: bool) -> Array | None:
    """Orthonormalise Y in one round or two; None where columns are too close to dependent for it."""
    for again in (False, True):
        found = _cholesky(_gram(Y))
        if found is None or (again and not found.near):
            return None
        R, inverse, near = found
        # ‖R⁻¹‖₂ = 1/σ_min(Y), and 0 if Y has no columns, for which numpy 2.0's norm is an error
        if not again and least > 0 and np.linalg.svdvals(inverse).max(initial=0) * least >= 1:
            return None
        Y = Y @ inverse.astype(Y.dtype)
        with np.errstate(over="ignore"):
            if near or (rough and np.linalg.norm(R) * np.linalg.norm(inverse) < 1e6):
                break
    return Y


def _gram(Y: Array) -> Array | None:
    """Form YᵀY, in float64 also for a float32 Y, because a square needs twice the digits; None if it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        gram = Y.astype(np.float64, copy=False)
        gram = gram.T @ gram
    return gram if np.isfinite(gram).all() else None


def _cholesky(gram: Array | None) -> _Cholesky | None:
    """Factor YᵀY; None if there is none, or it is singular."""
    if gram is None:
        return None
    try:
        R = np.linalg.cholesky(gram).T
        inverse = np.linalg.inv(R)
    except np.linalg.LinAlgError:
        return None
    with np.errstate(over="ignore"):
        return _Cholesky(R, inverse, bool(np.linalg.norm(gram - np.eye(len(gram))) < 0.5))
