"""Non-negative matrix factorisation: A ≈ W H with no negative entry in W or H.

Finding the best W and H is NP-hard, so every method here ends in a stationary point that depends on the start. Two
losses: half the squared Frobenius norm, and the generalised Kullback-Leibler divergence, for counts.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, Literal

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F
from lowrank_helpers._iterate import Iterate, iterate
from lowrank_helpers.decomposition import _nmf_multiplicative as updates
from lowrank_helpers.decomposition._nmf_hals import hals, squared_norm
from lowrank_helpers.decomposition._nmf_start import level_of, nndsvd, random_start

EVERY = 10  # iterations from one look at stationarity to the next


@dataclass(frozen=True)
class NMFResult(Generic[F]):
    """What `nmf` found.

    Attributes
    ----------
    W : ndarray, shape (m, rank)
        Non-negative. Column k of W and row k of H have the same 2-norm, unless one of them is zero.
    H : ndarray, shape (rank, n)
        Non-negative.
    objective : ndarray, shape (iterations + 1,)
        The loss, first of the start, then after each iteration. It does not rise, rounding apart.
    stationarity : float
        How far W and H are from the conditions of Karush, Kuhn and Tucker, as `nmf` defines it; 0 at a
        stationary point.
    converged : bool
        Whether stationarity is at most the tolerance.
    """

    W: NDArray[F]
    H: NDArray[F]
    objective: NDArray[np.float64]
    stationarity: float
    converged: bool


def nmf(
    A: Any,
    rank: int,
    *,
    loss: Literal["frobenius", "kullback-leibler"] = "frobenius",
    method: Literal["hals", "multiplicative", "squarem"] | None = None,
    init: Literal["nndsvda", "nndsvd", "random"] | tuple[ArrayLike, ArrayLike] = "nndsvda",
    max_iterations: int = 1000,
    tolerance: float = 1e-4,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
) -> NMFResult[Any]:
    """Factor a non-negative matrix into non-negative W and H, A ≈ W H.

    The Frobenius loss is ½‖A − W H‖², the Kullback-Leibler loss Σ (A log(A / W H) − A + W H).

    - "hals" updates one row of H, then one column of W, after the other, exactly, three times round for each
      product with A, with extrapolation that is taken back whenever the loss would rise; Frobenius loss only.
    - "multiplicative" is Lee and Seung's: an entry that is 0 stays 0 for ever, stationary or not.
    - "squarem" accelerates the multiplicative updates: after two pairs of updates it extrapolates along both,
      and drops the extrapolation where the loss would rise.

    None of them lets the loss rise. They stop at stationarity, not at a small change of the loss. With wₖ the
    columns of W and hₖ the rows of H, the Frobenius loss has the stationarity
    √(‖min(W D, ∇_W D⁻¹)‖² + ‖min(E H, E⁻¹ ∇_H)‖²) / ‖A‖, D = diag ‖hₖ‖, E = diag ‖wₖ‖ and min by entries. For the
    Kullback-Leibler loss D and E hold the sums of hₖ and wₖ, the gradients are multiplied by the sums of the rows
    and of the columns of A, and the sum of all magnitudes is divided by twice the sum of A. Both are 0 exactly
    where the conditions of Karush, Kuhn and Tucker hold, W ≥ 0, ∇_W ≥ 0, W ∘ ∇_W = 0 and the same for H, and both
    do not change if A is multiplied by a number, or wₖ by a number and hₖ by its inverse.

    A row of zeros in A gives a row of zeros in W, a column of zeros a column of zeros in H. A start with wₖ = 0 and
    hₖ = 0 is stationary in that component, which then stays 0.

    Parameters
    ----------
    A : array_like or scipy sparse matrix, shape (m, n)
        Without negative entries. ``float32`` stays ``float32``; a sparse A stays sparse.
    rank : int
        Number of components, between 1 and min(m, n).
    loss : {"frobenius", "kullback-leibler"}, default "frobenius"
    method : {"hals", "multiplicative", "squarem"}, optional
        Default "hals" for the Frobenius and "squarem" for the Kullback-Leibler loss.
    init : {"nndsvda", "nndsvd", "random"} or pair of array_like, default "nndsvda"
        "nndsvd" takes the non-negative parts of the leading singular vectors; "nndsvda" also sets its zeros to a
        tenth of √(mean(A) / rank), which multiplicative updates need. A pair (W, H) of shapes (m, rank) and
        (rank, n) is taken as it is, zeros included.
    max_iterations : int, default 1000
    tolerance : float, default 1e-4
        Stop when stationarity, computed every ten iterations, is at most this. At 0 all iterations are made.
    rng : None, int or numpy Generator
        For init "random" only.
    progress : bool, optional
        Show a progress bar; by default only where errors go to a terminal.

    Returns
    -------
    NMFResult
        (W, H, objective, stationarity, converged). After an interruption by the keyboard, what was reached, with
        converged False.

    Raises
    ------
    TypeError, ValueError
        If A is not a finite real matrix, or has negative entries, or entries whose squares overflow or underflow;
        if the rank or an option is out of bounds; if "hals" is asked for with the Kullback-Leibler loss, or init
        "nndsvd" with multiplicative updates; if a given start has another shape, negative entries, an infinite loss,
        or entries or a product W H whose squares overflow or underflow.

    Warns
    -----
    RuntimeWarning
        If max_iterations were not enough.

    References
    ----------
    D. D. Lee and H. S. Seung, Algorithms for non-negative matrix factorization, *NIPS* 13 (2001), Theorems 1, 2;
    A. Cichocki and A.-H. Phan, Fast local algorithms for large scale nonnegative matrix and tensor
    factorizations, *IEICE Trans. Fundamentals* E92-A (2009), 708–721 (HALS); A. M. S. Ang and N. Gillis,
    Accelerating nonnegative matrix factorization algorithms using extrapolation, *Neural Computation* 31 (2019),
    417–439, Algorithm 2; R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm, *Scand. J. Statist.* 35 (2008), 335–353 (SQUAREM, steplength S3);
    C. Boutsidis and E. Gallopoulos, SVD based initialization, *Pattern Recognition* 41 (2008), 1350–1362.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank_helpers.decomposition import nmf
    >>> A = np.array([[2, 1, 0], [0, 1, 2], [2, 2, 2]])
    >>> found = nmf(A, 2)
    >>> found.converged, bool((found.W >= 0).all() and (found.H >= 0).all())
    (True, True)
    >>> bool(np.abs(A - found.W @ found.H).max() < 0.01)
    True
    """
    A = _non_negative(A)
    rank = _checks.rank(rank, A.shape)
    _checks.choice(loss, ("frobenius", "kullback-leibler"), "loss")
    frobenius = loss == "frobenius"
    if method is None:
        method = "hals" if frobenius else "squarem"
    _checks.choice(method, ("hals", "multiplicative", "squarem"), "method")
    if method == "hals" and not frobenius:
        raise _checks.invalid(
            "method 'hals' must go with loss 'frobenius'; got loss 'kullback-leibler'. "
            "Pass method='squarem' or 'multiplicative'."
        )
    max_iterations = _checks.integer(max_iterations, 1, None, "max_iterations")
    tolerance = _checks.number(tolerance, "tolerance", least=0.0, below=1.0)
    generator = _checks.generator(rng)
    shown = _checks.progress_shown(progress)  # before the start is computed
    given = _given(A, rank, init) if isinstance(init, tuple) else None
    k = _exponent(A)  # the largest entry of 2⁻ᵏ A is near 1, so that logarithms cost no digits
    A = _times_power(A, -k)
    if given is None:
        W, H = _start(A, rank, init, method, generator)
    else:
        W, H = np.ldexp(given[0], -(k // 2)), np.ldexp(given[1], k // 2 - k)
    if not frobenius:
        _refuse_infinite(A, W, H)
    if method == "hals":
        steps = hals(A, W, H)
    else:
        pair = updates.frobenius(A) if frobenius else updates.kullback_leibler(A)
        steps = (updates.multiplicative if method == "multiplicative" else updates.squarem)(pair, W, H)
    found = _run(A, steps, frobenius, max_iterations, tolerance, shown)
    return replace(
        found,
        W=_times_root(found.W, k),
        H=_times_root(found.H, k),
        objective=np.ldexp(found.objective, 2 * k if frobenius else k),
    )


def _run(
    A: Any,
    steps: Iterator[tuple[Array, Array, float]],
    frobenius: bool,
    limit: int,
    tolerance: float,
    progress: bool | None,
) -> NMFResult[Any]:
    """Take steps until stationary, at the limit, or interrupted."""
    stationarity = partial(_frobenius_stationarity if frobenius else _divergence_stationarity, A)
    W, H, first = next(steps)
    distance = stationarity(W, H)
    iterates = _measured(steps, stationarity, first, distance, limit, tolerance)
    (W, H, distance), objective, converged = iterate(iterates, (W, H, distance), limit, progress)
    if not converged:
        distance = stationarity(W, H)  # of what an interruption left
    W, H = _balanced(W, H)
    return NMFResult(W, H, np.array([first, *objective]), distance, converged)


def _measured(
    steps: Iterator[tuple[Array, Array, float]],
    stationarity: Callable[[Array, Array], float],
    first: float,
    distance: float,
    limit: int,
    tolerance: float,
) -> Iterator[Iterate[tuple[Array, Array, float]]]:
    """Measure after every few steps, and after the last, how far from stationary they have come."""
    before = first
    for count in range(1, limit + 1):
        if distance <= tolerance:
            return
        W, H, value = next(steps)
        if count % EVERY == 0 or count == limit:
            distance = stationarity(W, H)
        change, before = (before - value) / (first or 1), value
        yield Iterate(
            (W, H, distance),
            value,
            distance <= tolerance,
            f"stationarity is {distance:.1e}, above tolerance = {tolerance:.1e}, and the last iteration lowered the "
            f"loss by {change:.1e} of its first value. Raise max_iterations or tolerance.",
        )


def _non_negative(value: Any) -> Any:
    """Read A: dense, or sparse as a csr_array without duplicates or stored zeros, neither negative nor too large."""
    if not scipy.sparse.issparse(value):
        A = _checks.matrix(value)
        entries = A
    else:
        if value.ndim != 2 or 0 in value.shape:
            raise _checks.invalid(
                f"A must be a matrix and not empty; got shape {value.shape}. Pass one of m rows and n columns."
            )
        A = scipy.sparse.csr_array(value, copy=True)
        A.sum_duplicates()
        A.eliminate_zeros()
        entries = _checks.vector(A.data, "A.data") if A.nnz else np.zeros(1)
        if A.nnz:
            A = scipy.sparse.csr_array((entries, A.indices, A.indptr), shape=A.shape)
        else:
            A = A.astype(np.float32 if A.dtype == np.float32 else np.float64)
    if bool((entries < 0).any()):
        raise _checks.invalid(
            f"A must have no negative entries; got {int((entries < 0).sum())}, the least {entries.min():.6g}. "
            "For signed data use pca or truncated_svd."
        )
    largest = float(entries.max())
    if not _squares_in_range(largest, entries.size, A.dtype):
        raise _checks.invalid(
            f"squares of A must neither overflow nor underflow; got {largest:.1e} as the largest entry of dtype "
            f"{A.dtype}. Divide A by it first, and multiply W by it afterwards."
        )
    return A


def _exponent(A: Any) -> int:
    entries = A.data if scipy.sparse.issparse(A) else A
    return _checks.exponent(entries) if entries.size else 0


def _times_power(A: Any, k: int) -> Any:
    """Return 2ᵏ A."""
    if not scipy.sparse.issparse(A):
        return np.ldexp(A, k)
    return scipy.sparse.csr_array((np.ldexp(A.data, k), A.indices, A.indptr), shape=A.shape)


def _times_root(F: Array, k: int) -> Array:
    """Return 2^(k/2) F."""
    return np.ldexp(F if k % 2 == 0 else F * F.dtype.type(math.sqrt(2)), k // 2)


def _squares_in_range(largest: float, size: int, dtype: Any) -> bool:
    """Whether sums of so many squares, up to the largest, are in range, with room for factors of a thousand."""
    limits = np.finfo(dtype)
    return largest == 0 or 1e3 * float(limits.tiny) ** 0.5 < largest < 1e-3 * (float(limits.max) / size) ** 0.5


def _refuse_infinite(A: Any, W: Array, H: Array) -> None:
    """Refuse a start whose W H is 0 somewhere where A is not: no update leaves such a zero."""
    rows, columns = A.nonzero()
    for first in range(0, len(rows), updates.PAIRS):
        part = slice(first, first + updates.PAIRS)
        if not ((W[rows[part]] > 0) & (H.T[columns[part]] > 0)).any(axis=1).all():
            raise _checks.invalid(
                "init must have W H > 0 wherever A > 0, or the Kullback-Leibler loss is infinite; got a zero "
                "there. Fill the zeros of W and H with a small number."
            )


def _start(A: Any, rank: int, init: object, method: str, generator: np.random.Generator) -> tuple[Array, Array]:
    word = _checks.choice(init, ("nndsvda", "nndsvd", "random"), "init")
    if word == "random":
        return random_start(A, rank, generator)
    if word == "nndsvd" and method != "hals":
        raise _checks.invalid(
            f"init must be without zeros for method {method!r}, which cannot leave them; got 'nndsvd'. "
            "Pass init='nndsvda', which fills them."
        )
    return nndsvd(A, rank, level_of(A, rank) / 10 if word == "nndsvda" else 0.0)


def _given(A: Any, rank: int, init: tuple[Any, ...]) -> tuple[Array, Array]:
    """Read a start: two non-negative matrices of the right shapes, possibly the caller's own."""
    if len(init) != 2:
        raise _checks.invalid(f"init as a tuple must be the pair (W, H); got {len(init)} items. Pass two matrices.")
    m, n = A.shape
    read = []
    for value, name, shape in zip(init, ("W", "H"), ((m, rank), (rank, n)), strict=True):
        factor = _checks.matrix(value, f"init's {name}")
        if factor.shape != shape:
            raise _checks.invalid(
                f"init's {name} must have shape {shape} for A of shape {A.shape} and rank {rank}; got "
                f"{factor.shape}. The product W H has to have the shape of A."
            )
        if bool((factor < 0).any()):
            raise _checks.invalid(
                f"init's {name} must have no negative entries; got {float(factor.min()):.6g}. Pass np.abs({name})."
            )
        read.append(factor)
    W, H = read
    w, h = float(W.max()), float(H.max())
    for name, largest, size in (("W", w, W.size), ("H", h, H.size), ("W H", rank * w * h, m * n)):
        if not _squares_in_range(largest, size, A.dtype):
            raise _checks.invalid(
                f"squares of init's {name} must neither overflow nor underflow; got {largest:.1e} as the largest "
                f"entry of dtype {A.dtype}. Scale W and H so that the entries of W H are about as large as those of A."
            )
    return W.astype(A.dtype, copy=False), H.astype(A.dtype, copy=False)


def _balanced(W: Array, H: Array) -> tuple[Array, Array]:
    """Scale column k of W and row k of H to the same 2-norm; W H stays."""
    w, h = np.linalg.norm(W, axis=0), np.linalg.norm(H, axis=1)
    both = (w > 0) & (h > 0)
    root = np.sqrt(np.divide(h, w, out=np.ones_like(w), where=both))
    return np.ascontiguousarray(W * root), H / root[:, None]


def _inverse(scale: Array) -> Array:
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)  # without scale there is no gradient


def _frobenius_stationarity(A: Any, W: Array, H: Array) -> float:
    w, h = np.linalg.norm(W, axis=0), np.linalg.norm(H, axis=1)
    left = np.minimum(W * h, (W @ (H @ H.T) - A @ H.T) * _inverse(h))
    right = np.minimum(H.T * w, (H.T @ (W.T @ W) - A.T @ W) * _inverse(w))
    size = np.sqrt(squared_norm(A)) or 1.0
    return float(np.hypot(np.linalg.norm(left), np.linalg.norm(right)) / size)


def _divergence_stationarity(A: Any, W: Array, H: Array) -> float:
    w, h = W.sum(axis=0), H.sum(axis=1)
    ratios = updates.kullback_leibler(A)[0](W, H)[1]
    rows, columns = np.asarray(A.sum(axis=1)), np.asarray(A.sum(axis=0))
    left = np.minimum(W * h, rows[:, None] * ((h - ratios @ H.T) * _inverse(h)))
    right = np.minimum(H.T * w, columns[:, None] * ((w - ratios.T @ W) * _inverse(w)))
    return float((np.abs(left).sum() + np.abs(right).sum()) / (2 * float(A.sum()) or 1.0))
