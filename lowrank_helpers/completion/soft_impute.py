"""Soft-impute: completion by the nuclear norm, a convex problem with a certificate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers._iterate import Iterate, iterate
from lowrank_helpers.completion._observations import Observations, Pattern, observations, transposed, with_room
from lowrank_helpers.completion.results import Completion, completion


class _Factors(NamedTuple):
    """X = U diag(s) Vᵀ, V with further columns to start the next iteration from, and X at the seen places."""

    U: Array
    s: Array
    V: Array
    seen: Array


def soft_impute(
    A: Any,
    penalty: float,
    *,
    start: Completion[Any] | None = None,
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
    rng: int | np.random.Generator | None = 0,
    progress: bool | None = None,
) -> Completion[Any]:
    """Complete a table by the nuclear norm: minimise ½ Σ (a_ij − x_ij)² over the seen entries + λ ‖X‖_*.

    The convex problem has no bad local minima and needs no rank. Each iteration fills the unseen entries with those of
    X, and shrinks all singular values by λ, those below to 0. Steps are accelerated (Nesterov) and taken back where
    the objective would rise. Only the singular vectors that survive are computed, by subspace iteration from those
    before; a sparse A is never filled. It stops at a certificate: the duality gap.

    Parameters
    ----------
    A : sparse matrix or array, or array_like, shape (m, n)
        Sparse: the stored entries are the observations, explicit zeros included. Dense: NaN marks the unseen ones.
    penalty : float
        λ > 0. From σ₁ of A filled with zeros on, X = 0. In `als_complete` the penalty λ belongs to twice this
        objective: W and H of ample rank reach the same X = W H.
    start : Completion, optional
        A result for another penalty, to go on from. By default a few steps for larger penalties find a start.
    max_iterations : int, default 1000
        At least 1.
    tolerance : float, default 1e-4
        Stop when the duality gap is at most this share of the objective, above 0 and below 1: so close is it to its
        minimum.
    rng : None, int or Generator, default 0
        Of the random vectors that subspace iteration starts from.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.

    Returns
    -------
    Completion
        W = U √s and H = √s Vᵀ of the rank reached (0 is possible), no biases, the objective after each iteration.
        An empty row or column is 0. After Ctrl-C: what there is.

    Raises
    ------
    TypeError, ValueError
        If A is refused as in `als_complete`, an option is out of range, or start is of another shape.

    Warns
    -----
    RuntimeWarning
        If max_iterations were not enough.

    Notes
    -----
    The dual point is D = R min(1, λ/σ₁(R)), R the residual at the seen places; the gap is the objective minus that of
    the dual, ⟨D, A⟩ − ½‖D‖², with σ₁ by Lanczos to twelve digits. No recovery is promised: X is biased towards 0.

    References
    ----------
    R. Mazumder, T. Hastie and R. Tibshirani, Spectral regularization algorithms for learning large incomplete
    matrices, *JMLR* 11 (2010), 2287–2322, Algorithm 1; A. Beck and M. Teboulle, A fast iterative shrinkage-thresholding
    algorithm for linear inverse problems, *SIAM J. Imaging Sci.* 2 (2009), 183–202, §4.

    Examples
    --------
    Where all is seen it is the soft-thresholded singular value decomposition.

    >>> from lowrank_helpers.completion import soft_impute
    >>> result = soft_impute([[3, 0], [0, 1]], 2.0, tolerance=1e-10)
    >>> print(np.round(result.W @ result.H, 6) + 0.0)
    [[1. 0.]
     [0. 0.]]
    """
    penalty = _penalty(penalty, "penalty")
    seen = observations(A)
    return _checked(seen, penalty, start, max_iterations, tolerance, rng, progress)


def soft_impute_path(
    A: Any,
    penalties: Sequence[float],
    *,
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
    rng: int | np.random.Generator | None = 0,
    progress: bool | None = None,
) -> list[Completion[Any]]:
    """Complete a table for several penalties, each starting from the result before.

    Parameters
    ----------
    A : sparse matrix or array, or array_like, shape (m, n)
        As in `soft_impute`.
    penalties : sequence of float
        At least one. From the largest down is fastest, since ranks grow slowly then.
    max_iterations, tolerance, rng, progress
        As in `soft_impute`, for each penalty.

    Returns
    -------
    list of Completion
        In the order of the penalties.

    Raises
    ------
    TypeError, ValueError
        As `soft_impute`; or if there are no penalties.

    Examples
    --------
    >>> from lowrank_helpers.completion import soft_impute_path
    >>> [len(result.H) for result in soft_impute_path([[3, 0], [0, 1]], [4, 2, 0.5])]
    [0, 1, 2]
    """
    if isinstance(penalties, str | bytes) or not isinstance(penalties, Iterable) or getattr(penalties, "ndim", 1) != 1:
        raise _checks.mistyped(
            f"penalties must be a sequence of numbers; got {type(penalties).__name__}. "
            "Pass a list such as [4.0, 2.0, 1.0]."
        )
    values = [_penalty(penalty, f"penalties[{i}]") for i, penalty in enumerate(penalties)]
    if not values:
        raise _checks.invalid("penalties must not be empty; got none. Pass at least one number above 0.")
    seen = observations(A)
    results: list[Completion[Any]] = []
    for penalty in values:
        before = results[-1] if results else None
        results.append(_checked(seen, penalty, before, max_iterations, tolerance, rng, progress))
    return results


def _penalty(value: object, name: str) -> float:
    return _checks.number(value, name, above=0.0, step="For no penalty use als_complete.")


def _checked(
    seen: Observations,
    penalty: float,
    start: Completion[Any] | None,
    max_iterations: int,
    tolerance: float,
    rng: int | np.random.Generator | None,
    progress: bool | None,
) -> Completion[Any]:
    max_iterations = _checks.integer(max_iterations, 1, None, "max_iterations")
    tolerance = _checks.number(tolerance, "tolerance", above=0.0, below=1.0)
    generator = _checks.generator(rng)
    if start is not None and not isinstance(start, Completion):
        raise _checks.mistyped(f"start must be a Completion; got {type(start).__name__}. Pass a result of soft_impute.")
    if start is not None and (len(start.W), start.H.shape[1]) != seen.shape:
        shape = (len(start.W), start.H.shape[1])
        raise _checks.invalid(f"start must have the shape of A, {seen.shape}; got {shape}. Pass a result for this A.")
    seen = with_room(seen, penalty=penalty)
    if start is None:
        first = _descended(seen, _zero(seen, generator), penalty, generator)
    else:
        first = _restart(seen, start, generator)
    ended = iterate(_steps(seen, first, penalty, max_iterations, tolerance, generator), first, max_iterations, progress)
    X = ended.state
    root, k = np.sqrt(X.s), len(X.s)
    return completion(seen, X.U * root, X.V[:, :k] * root, *ended[1:])


def _steps(
    seen: Observations, now: _Factors, penalty: float, last: int, tolerance: float, rng: np.random.Generator
) -> Iterator[Iterate[_Factors]]:
    """Take proximal gradient steps with Nesterov's momentum; every fifth, and the last, measures the duality gap."""
    before, t, gap = now, 1.0, math.inf
    lowest = _objective(seen, now, penalty)
    for iteration in range(last):
        following = (1 + math.sqrt(1 + 4 * t * t)) / 2
        new = _step(seen, now, before, (t - 1) / following, penalty, rng)
        value = _objective(seen, new, penalty)
        if value > lowest and t > 1:  # the momentum carried too far: the step again, without it
            following = 1.0
            new = _step(seen, now, before, 0.0, penalty, rng)
            value = _objective(seen, new, penalty)
        before, now, t, lowest = now, new, following, value
        measured = iteration % 5 == 0 or iteration == last - 1
        if measured:
            gap = _gap(seen, now, value, penalty, rng)
        yield Iterate(
            now,
            value,
            measured and gap <= tolerance * value,
            f"the duality gap is {gap / (lowest or 1):.1e} of the objective, tolerance = {tolerance:.1e}. "
            "Raise max_iterations or tolerance.",
        )


def _zero(seen: Observations, rng: np.random.Generator) -> _Factors:
    (m, n), dtype = seen.shape, seen.values.dtype
    V = rng.standard_normal((n, min(10, m, n))).astype(dtype)
    return _Factors(np.zeros((m, 0), dtype=dtype), np.zeros(0, dtype=dtype), V, np.zeros_like(seen.values))


def _descended(seen: Observations, X: _Factors, penalty: float, rng: np.random.Generator) -> _Factors:
    """Take a few steps for σ₁/2, σ₁/4, … down to twice the penalty: so ranks grow slowly, and steps stay cheap."""
    level = _largest(seen.pattern(seen.values.astype(np.float64)), rng) / 2
    while level > 2 * penalty:
        for _ in range(4):
            X = _step(seen, X, X, 0.0, level, rng)
        level /= 2
    return X


def _restart(seen: Observations, start: Completion[Any], rng: np.random.Generator) -> _Factors:
    """Begin with the result for another penalty."""
    dtype = seen.values.dtype
    if len(start.H) == 0:
        return _zero(seen, rng)
    Q, R = np.linalg.qr(start.W.astype(dtype))
    P, s, Vt = np.linalg.svd(R @ start.H.astype(dtype), full_matrices=False)
    U = Q @ P
    return _Factors(U, s, np.ascontiguousarray(Vt.T), seen.predictions(U * s, np.ascontiguousarray(Vt.T)))


def _step(
    seen: Observations, now: _Factors, before: _Factors, momentum: float, penalty: float, rng: np.random.Generator
) -> _Factors:
    """Shrink the singular values of Z, which is Y with the seen entries put back, Y = X + momentum (X − X before)."""
    n, k, dtype = seen.shape[1], len(now.s), seen.values.dtype
    left = np.hstack([(1 + momentum) * now.U * now.s, -momentum * before.U * before.s]).astype(dtype)
    right = np.hstack([now.V[:, :k], before.V[:, : len(before.s)]])
    residual = seen.pattern(seen.values - (1 + momentum) * now.seen + momentum * before.seen)
    residual_t = residual.T
    V, most = now.V, min(seen.shape)
    while True:
        Q = np.linalg.qr(residual @ V + left @ (right.T @ V))[0].astype(dtype)
        V, s, Ut = np.linalg.svd(residual_t @ Q + right @ (left.T @ Q), full_matrices=False)
        s = s.astype(np.float64)
        kept = int((s > penalty).sum())
        if kept + 3 <= len(s) or len(s) == most:
            break
        more = min(max(5, len(s) // 2), most - len(s))  # too few vectors: some that survive may be missing
        V = np.hstack([V, rng.standard_normal((n, more)).astype(dtype)])
    U = Q @ Ut[:kept].T
    shrunk = (s[:kept] - penalty).astype(dtype)
    V = V[:, : kept + 8]
    return _Factors(U, shrunk, V, seen.predictions(U * shrunk, np.ascontiguousarray(V[:, :kept])))


def _objective(seen: Observations, X: _Factors, penalty: float) -> float:
    residual = (seen.values - X.seen).astype(np.float64)
    return 0.5 * float(residual @ residual) + penalty * float(X.s.sum(dtype=np.float64))


def _gap(seen: Observations, X: _Factors, value: float, penalty: float, rng: np.random.Generator) -> float:
    residual = (seen.values - X.seen).astype(np.float64)
    largest = _largest(seen.pattern(residual), rng)
    D = residual * min(1.0, penalty / largest) if largest > 0 else residual
    return value - float(D @ seen.values) + 0.5 * float(D @ D)


def _largest(R: Pattern, rng: np.random.Generator) -> float:
    """Return the largest singular value to twelve digits: by LAPACK if small, else by the method of Lanczos for RᵀR.

    Where the Krylov space closes, as for few different singular values, it is done: any random start has a part along
    the first singular vector. ARPACK goes on from another start there, not the same one each time, or fails. The
    vectors lose their orthogonality as others converge, which gives some values twice and none too large.
    """
    if not (R if isinstance(R, np.ndarray) else R.data).any():
        return 0.0
    if min(R.shape) <= 30:
        return float(np.linalg.norm(R if isinstance(R, np.ndarray) else R.toarray(), 2))
    R, Rt = (R, transposed(R)) if R.shape[0] >= R.shape[1] else (transposed(R), R)
    v = rng.standard_normal(R.shape[1])
    v, before = v / np.linalg.norm(v), np.zeros_like(v)
    diagonal: list[float] = []
    beside = [0.0]
    while True:
        w = Rt @ (R @ v) - beside[-1] * before
        diagonal.append(float(v @ w))
        w -= diagonal[-1] * v
        last = len(diagonal) - 1
        theta, y = scipy.linalg.eigh_tridiagonal(diagonal, beside[1:], select="i", select_range=(last, last))
        beside.append(float(np.linalg.norm(w)))
        # an eigenvalue of RᵀR lies as near to theta as this product
        if beside[-1] * abs(y[-1, 0]) <= 1e-12 * theta[0]:
            return math.sqrt(theta[0])
        v, before = w / beside[-1], v
