"""The singular value decomposition of a matrix that fits into memory: by hand, from scratch, truncated."""

import math
from typing import Any, Generic, NamedTuple, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.linalg.factorizations import householder


class SVDFactors(NamedTuple, Generic[F]):
    """Thin singular value decomposition U diag(s) Vt, of a matrix or of its truncation.

    Attributes
    ----------
    U : ndarray, shape (m, r)
        Left singular vectors, as columns.
    s : ndarray, shape (r,)
        Singular values, in descending order.
    Vt : ndarray, shape (r, n)
        Right singular vectors, as rows.
    """

    U: NDArray[F]
    s: NDArray[F]
    Vt: NDArray[F]


class WorkedSVD(NamedTuple, Generic[F]):
    """Every step of the SVD of an m×2 matrix A by hand.

    Attributes
    ----------
    gram : ndarray, shape (2, 2)
        AᵀA.
    eigenvalues : ndarray, shape (2,)
        Roots of its characteristic polynomial, the larger first. Rounding can leave −1e-16 where 0 is meant.
    V : ndarray, shape (2, 2)
        Its unit eigenvectors, as columns (V, not Vᵀ).
    s : ndarray, shape (2,)
        Singular values, the lengths of the columns of A V.
    U : ndarray, shape (m, m)
        Full: the columns of A V over their lengths, completed to an orthogonal matrix.
    """

    gram: NDArray[F]
    eigenvalues: NDArray[F]
    V: NDArray[F]
    s: NDArray[F]
    U: NDArray[F]


@overload
def truncated_svd(A: NDArray[F], rank: int) -> SVDFactors[F]: ...
@overload
def truncated_svd(A: Float64, rank: int) -> SVDFactors[np.float64]: ...
def truncated_svd(A: ArrayLike, rank: int) -> SVDFactors[Any]:
    """Return the leading singular triples of A, the factors of a best approximation of this rank.

    LAPACK computes the whole thin SVD (``scipy.linalg.svd`` with ``full_matrices=False``), of which copies of
    the first r columns of U, values of s and rows of Vt are kept.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix.
    rank : int
        r, between 1 and min(m, n).

    Returns
    -------
    SVDFactors
        The triple (U, s, Vt) of shapes (m, r), (r,), (r, n) in the dtype of A. Signs are LAPACK's; see
        `fix_signs`.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or rank is out of bounds, or a
        singular value is above the range of the dtype of A.

    References
    ----------
    C. Eckart and G. Young, The approximation of one matrix by another of lower rank, *Psychometrika* 1 (1936),
    211–218; L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Lecture 5.

    Examples
    --------
    >>> from lowrank_helpers.svd import truncated_svd
    >>> U, s, Vt = truncated_svd([[3, 1], [1, 3], [1, 1]], 1)
    >>> U.shape, Vt.shape, print(np.round(s**2, 6))
    [18.]
    ((3, 1), (1, 2), None)
    """
    A = _checks.matrix(A)
    r = _checks.rank(rank, A.shape)
    k = _checks.excess(A)
    U, s, Vt = scipy.linalg.svd(np.ldexp(A, -k), full_matrices=False)
    return SVDFactors(U[:, :r].copy(), _checks.times_power(s[:r], k, "s"), Vt[:r].copy())


def reconstruct(factors: SVDFactors[F]) -> NDArray[F]:
    """Multiply the factors out: U diag(s) Vt, computed as (U * s) @ Vt.

    Parameters
    ----------
    factors : SVDFactors
        The triple (U, s, Vt) of shapes (m, r), (r,), (r, n).

    Returns
    -------
    ndarray, shape (m, n)
        All m·n entries: the factors compress, this does not.

    Raises
    ------
    TypeError, ValueError
        If factors is no triple of real arrays of fitting shapes with finite entries.

    Examples
    --------
    >>> from lowrank_helpers.svd import reconstruct, truncated_svd
    >>> print(np.round(reconstruct(truncated_svd([[3, 1], [1, 3], [1, 1]], 1)), 6))
    [[2. 2.]
     [2. 2.]
     [1. 1.]]
    """
    U, s, Vt = _thin(factors)
    k = _checks.excess(s)
    with np.errstate(over="ignore", invalid="ignore"):
        product = (U * np.ldexp(s, -k)) @ Vt
    return _checks.times_power(product, k)


def _thin(factors: Any) -> SVDFactors[Any]:
    """Read a triple (U, s, Vt) whose shapes fit."""
    if not isinstance(factors, tuple) or len(factors) != 3:
        raise _checks.mistyped(
            f"factors must be the triple (U, s, Vt); got {type(factors).__name__}. "
            "Pass what truncated_svd or jacobi_svd returned."
        )
    U = _checks.matrix(factors[0], "U")
    s = _checks.vector(factors[1], "s")
    Vt = _checks.matrix(factors[2], "Vt")
    if not U.shape[1] == len(s) == len(Vt):
        raise _checks.invalid(
            f"U must have as many columns, and Vt as many rows, as s has values, {len(s)}; got U "
            f"of shape {U.shape} and Vt of shape {Vt.shape}. With r = len(s) pass (U[:, :r], s, Vt[:r])."
        )
    return SVDFactors(U, s, Vt)


def fix_signs(factors: SVDFactors[F]) -> SVDFactors[F]:
    """Flip pairs (u, v) so that the largest-magnitude entry of each u is positive.

    A pair (u, v) and (−u, −v) belong to the same singular value; which of them comes back depends on library and
    machine. Of entries that tie to half of the digits the first one decides.

    Parameters
    ----------
    factors : SVDFactors
        The triple (U, s, Vt) of shapes (m, r), (r,), (r, n).

    Returns
    -------
    SVDFactors
        Copies with the signs of columns of U and of the same rows of Vt flipped together.

    Raises
    ------
    TypeError, ValueError
        If factors is no triple of real arrays of fitting shapes with finite entries.

    Examples
    --------
    >>> from lowrank_helpers.svd import fix_signs, truncated_svd
    >>> print(np.round(fix_signs(truncated_svd([[3, 1], [1, 3], [1, 1]], 1)).U.T * 3, 6))
    [[2. 2. 1.]]
    """
    U, s, Vt = _thin(factors)
    size = np.abs(U)
    ties = size >= (1 - np.sqrt(np.finfo(U.dtype).eps)) * size.max(axis=0)
    deciding = U[ties.argmax(axis=0), np.arange(len(s))]
    signs = np.where(deciding < 0, -1, 1)
    return SVDFactors(U * signs.astype(U.dtype) + 0, s.copy(), Vt * signs[:, None].astype(Vt.dtype) + 0)


@overload
def jacobi_svd(A: NDArray[F], *, tol: float | None = ..., max_sweeps: int = ...) -> SVDFactors[F]: ...
@overload
def jacobi_svd(A: Float64, *, tol: float | None = ..., max_sweeps: int = ...) -> SVDFactors[np.float64]: ...
def jacobi_svd(A: ArrayLike, *, tol: float | None = None, max_sweeps: int = 60) -> SVDFactors[Any]:
    """Compute the thin SVD by one-sided Jacobi rotations (Hestenes), from scratch.

    Pairs of columns of W = Rᵀ V are rotated until all are orthogonal; then their lengths are the singular values.
    R is from a QR factorisation of A with column pivoting, which saves most of the sweeps. A sweep lets every
    pair meet once: in each of its n rounds all neighbours rotate and change places. All is computed in float64.
    A wide A is transposed first.

    Backward stable for every A. If A = B D, tall or square, D diagonal, B with columns of length 1, each singular
    value, however small, has a relative error of order eps · κ(B); for LAPACK's, eps · σ₁/σᵢ is all that is proved.
    Where κ(B) itself is huge, as for a Hilbert matrix, nothing is gained. Values below 1e-150 σ₁ are not resolved. A
    dozen sweeps are enough in general.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Real matrix, of any rank.
    tol : float, optional
        Columns whose cosine is at most tol in magnitude count as orthogonal. Between 0 and 1; default 4 √m times
        the machine epsilon of float64 (m the larger dimension).
    max_sweeps : int, default 60
        At least 1. At the limit a RuntimeWarning tells the largest cosine of the last sweep, and the factors
        reached are returned.

    Returns
    -------
    SVDFactors
        The triple (U, s, Vt) of shapes (m, p), (p,), (p, n), p = min(m, n), in the dtype of A.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix, or is empty, or has NaN or infinite entries, or an option is out of
        bounds.

    Warns
    -----
    RuntimeWarning
        If max_sweeps sweeps were not enough.

    References
    ----------
    M. R. Hestenes, Inversion of matrices by biorthogonalization and related results, *J. SIAM* 6 (1958), 51–90;
    J. Demmel and K. Veselić, Jacobi's method is more accurate than QR, *SIAM J. Matrix Anal. Appl.* 13 (1992),
    1204–1245; Z. Drmač and K. Veselić, New fast and accurate Jacobi SVD algorithm I, *SIAM J. Matrix Anal. Appl.*
    29 (2008), 1322–1342 (the QR factorisation first).

    Examples
    --------
    >>> from lowrank_helpers.svd import jacobi_svd
    >>> U, s, Vt = jacobi_svd([[3, 1], [1, 3], [1, 1]])
    >>> print(np.round(s**2, 6))
    [18.  4.]
    """
    A = _checks.matrix(A)
    if tol is None:
        tol = 4 * math.sqrt(max(A.shape)) * float(np.finfo(np.float64).eps)
    tol = _checks.number(tol, "tol", above=0.0, below=1.0)
    max_sweeps = _checks.integer(max_sweeps, 1, None, "max_sweeps")
    tall = A.shape[0] >= A.shape[1]
    k = _checks.exponent(A) - 1
    scaled = np.ldexp(A.astype(np.float64), -k)  # no rounding, no overflow
    U, s, V = _one_sided_jacobi(scaled if tall else scaled.T, tol, max_sweeps)
    with np.errstate(over="ignore"):
        U, s, V = U.astype(A.dtype), np.ldexp(s, k).astype(A.dtype), V.astype(A.dtype)
    s = _checks.in_range(s, "s")
    return SVDFactors(U, s, V.T) if tall else SVDFactors(V, s, U.T)


def _one_sided_jacobi(A: Array, tol: float, max_sweeps: int) -> tuple[Array, Array, Array]:
    n = A.shape[1]
    rows = np.argsort(-np.abs(A).max(axis=1), kind="stable")  # large ones first: small ones keep their digits
    Q, R, perm = householder(A[rows], pivoting=True)
    WV = np.hstack([R, np.eye(n)])  # row j: column j of W = Rᵀ V, then column j of V; at first V = I
    for _ in range(max_sweeps):
        cosine = _sweep(WV, tol)
        if cosine <= tol:
            break
    else:
        _checks.warn(
            f"not converged after {max_sweeps} sweeps; the last one rotated columns of cosine "
            f"{cosine:.1e}, above tol = {tol:.1e}. Raise max_sweeps or tol."
        )
    s = np.sqrt((WV[:, :n] ** 2).sum(axis=1))
    order = np.argsort(-s, kind="stable")
    s, W, V = s[order], WV[order, :n].T, WV[order, n:].T
    k = int((s > 1e-150).sum())  # below, squares are denormal and W gives no direction
    X, Y = Q @ V, _completed(W[:, :k] / s[:k], n)  # A[rows][:, perm] = Q R = X diag(s) Yᵀ
    return X[np.argsort(rows)], s, Y[np.argsort(perm)]


def _sweep(WV: Array, tol: float) -> float:
    """Let every pair of rows meet once, in place; return the largest cosine met, of the left halves."""
    largest, n = 0.0, len(WV)
    for k in range(n):
        pairs = WV[k % 2 : n - (n - k) % 2].reshape(-1, 2, 2 * n)  # neighbours: a view, disjoint, all at once
        x, y = pairs[:, 0, :n], pairs[:, 1, :n]
        alpha, beta, gamma = (np.einsum("ij,ij->i", a, b) for a, b in ((x, x), (y, y), (x, y)))
        lengths = np.sqrt(alpha) * np.sqrt(beta)
        cosine = np.abs(gamma) / np.where(lengths > 0, lengths, 1)
        largest = max(largest, float(cosine.max(initial=0)))
        rotate = cosine > tol
        zeta = (beta - alpha) / (2 * np.where(rotate, gamma, 1))
        t = np.where(rotate, np.copysign(1, zeta) / (np.abs(zeta) + np.hypot(1, zeta)), 0)
        c = 1 / np.hypot(1, t)
        s = t * c
        pairs[:] = np.array([[s, c], [c, -s]]).transpose(2, 0, 1) @ pairs  # rotated, and swapped
    return largest


def _completed(U: Array, columns: int) -> Array:
    """Append columns, each with its first entry ≠ 0 positive, to orthonormal ones so that all are orthonormal."""
    while U.shape[1] < columns:
        u = np.zeros((len(U), 1), dtype=U.dtype)
        u[(U**2).sum(axis=1).argmin()] = 1  # the unit vector farthest from the columns there are
        for _ in range(2):  # twice is enough: the second pass removes the rounding of the first
            u -= U @ (U.T @ u)
        u /= np.sqrt((u**2).sum())
        U = np.hstack([U, u * np.sign(u[np.argmax(np.abs(u) > 1e-6)])])
    return U


@overload
def worked_svd(A: NDArray[F]) -> WorkedSVD[F]: ...
@overload
def worked_svd(A: Float64) -> WorkedSVD[np.float64]: ...
def worked_svd(A: ArrayLike) -> WorkedSVD[Any]:
    """Work out the full SVD of an m×2 matrix as on paper, and return every step.

    AᵀA = [[a, b], [b, d]] has the eigenvalues (a + d ± √((a − d)² + 4b²)) / 2; its unit eigenvectors are V;
    σᵢ = ‖A vᵢ‖ = √λᵢ and uᵢ = A vᵢ / σᵢ; unit vectors made orthogonal to these complete U. Singular values are
    accurate to eps · σ₁ because they are taken as lengths, not as roots of the eigenvalues. All steps are computed
    in float64.

    Parameters
    ----------
    A : array_like, shape (m, 2)
        Real matrix, m ≥ 2, of any rank.

    Returns
    -------
    WorkedSVD
        The tuple (gram, eigenvalues, V, s, U) in the dtype of A. If σ₂ is 0 to rounding, u₂ is a unit vector
        orthogonal to u₁.

    Raises
    ------
    TypeError, ValueError
        If A is not a dense real matrix of two columns and at least two rows, or has NaN or infinite entries, or
        if AᵀA would overflow or underflow.

    References
    ----------
    L. N. Trefethen and D. Bau, *Numerical Linear Algebra*, SIAM 1997, Lecture 4.

    Examples
    --------
    >>> from lowrank_helpers.svd import worked_svd
    >>> gram, eigenvalues, V, s, U = worked_svd([[3, 1], [1, 3], [1, 1]])
    >>> gram.tolist(), eigenvalues.tolist()
    ([[11.0, 7.0], [7.0, 11.0]], [18.0, 4.0])
    >>> print(np.round(U[:, 2] * np.sqrt(18), 6))
    [ 1.  1. -4.]
    """
    A = _checks.matrix(A)
    m, n = A.shape
    if n != 2 or m < 2:
        raise _checks.invalid(
            f"A must have 2 columns and at least 2 rows; got shape {A.shape}. "
            "For two rows pass A.T, for other shapes use jacobi_svd."
        )
    largest, limits = float(np.abs(A).max()), np.finfo(A.dtype)
    least, most = float(limits.tiny / limits.eps) ** 0.5, (float(limits.max) / (4 * m)) ** 0.5
    if largest > 0 and not least < largest < most:
        raise _checks.invalid(
            f"AᵀA must neither overflow nor underflow; got {largest:.1e} as the largest magnitude in "
            f"A, of dtype {A.dtype}. Divide A by it first, and multiply s by it afterwards."
        )
    steps = _worked(A.astype(np.float64))
    return WorkedSVD(*(step.astype(A.dtype) for step in steps))


def _worked(A: Array) -> WorkedSVD[Any]:
    m = len(A)
    gram = A.T @ A
    (a, b), (_, d) = gram
    root = np.hypot(a - d, 2 * b)
    eigenvalues = np.array([a + d + root, a + d - root]) / 2
    x, y = (a - d + root, 2 * b) if a >= d else (2 * b, d - a + root)  # (AᵀA − λ₁I) (x, y) = 0
    length = np.hypot(x, y)
    x, y = (x / length, y / length) if length > 0 else (1.0, 0.0)  # a multiple of I has any direction
    V = np.array([[x, y], [y, -x]]) + 0
    W = A @ V
    if gram.any():  # of nearly dependent columns the second image is next to nothing, and rounding has no right angles
        W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1] / (W[:, 0] @ W[:, 0]))
    s = np.sqrt((W**2).sum(axis=0))
    k = int((s > m * np.finfo(np.float64).eps * s[0]).sum())
    return WorkedSVD(gram, eigenvalues, V, s, _completed(W[:, :k] / s[:k], m))
