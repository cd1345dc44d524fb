"""Orthonormal bases of a few long columns, by products: Cholesky QR, and an SVD where it will not do."""

import numpy as np

from lowrank_helpers._checks import Array


def thin_svd(T: Array, rank: int) -> tuple[Array, Array, Array]:
    """Return the leading `rank` singular triples (U, s, Vt) of a matrix of few columns; as many as it has."""
    Z = orthonormal(T, 0.0)
    X, s, Yt = np.linalg.svd(Z.T @ T, full_matrices=False)
    return Z @ X[:, :rank], s[:rank], Yt[:rank]


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
    """Orthonormalise Y as Y R⁻¹, YᵀY = RᵀR, and once more; None where columns are too close to dependent for it.

    In float64 once leaves QᵀQ off I by eps κ(Y)²: enough where κ is small, or a rough basis will do. Twice leaves it
    off by eps. The Gram matrix of a float32 Y is taken in float64, because a square needs twice the digits.
    """
    for again in (False, True):
        with np.errstate(over="ignore", invalid="ignore"):  # squares out of range: seen below, or in the second Gram
            gram = Y.astype(np.float64, copy=False)
            gram = gram.T @ gram
            near = np.linalg.norm(gram - np.eye(len(gram))) < 0.5  # so κ(Y)² is below 3
            if again and not near:
                return None
            try:
                R = np.linalg.cholesky(gram).T
                inverse = np.linalg.inv(R)
            except np.linalg.LinAlgError:
                return None
            if not again and least > 0 and np.linalg.norm(inverse, 2) * least >= 1:  # ‖R⁻¹‖₂ = 1/σ_min(Y)
                return None
            Y = Y @ inverse.astype(Y.dtype)
            if near or (rough and np.linalg.norm(R) * np.linalg.norm(inverse) < 1e6):
                break
    return Y
