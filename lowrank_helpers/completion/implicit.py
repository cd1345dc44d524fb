"""Alternating least squares for implicit feedback: how often, not how much it was liked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers._iterate import Iterate, iterate
from lowrank_helpers.completion._observations import (
    DENSE,
    Indices,
    Observations,
    Pattern,
    observations,
    rows_alike,
    transposed,
    with_room,
)
from lowrank_helpers.completion.als import leading_factors
from lowrank_helpers.completion.results import Completion, completion

STEPS = 3  # of conjugate gradients in each half of an iteration
ROOM = 1 << 17  # numbers of the gathered factors of a batch of rows, so that they stay in the cache


# Some rows of a table: their places, the columns of their entries (None: all columns for all rows), their confidences
# beyond 1, and their preferences.
Batch: TypeAlias = tuple[Any, Indices | None, Array, Array | NDArray[np.bool_]]


def implicit_als(
    C: Any,
    rank: int,
    *,
    penalty: float = 1.0,
    confidence: float = 1.0,
    max_iterations: int = 15,
    tolerance: float | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
) -> Completion[Any]:
    """Factorise a table of counts as preferences with confidences.

    The preference is p_ij = 1 where C_ij > 0, else 0, and every entry counts: the objective is
    Σ_ij (1 + α C_ij) (p_ij − (WH)_ij)² + λ (‖W‖²_F + ‖H‖²_F). Rows and columns take turns in lowering it, each by three
    steps of conjugate gradients from where it was: the objective never rises, and where it no longer falls both are
    the best for each other. One Gram matrix HHᵀ is shared by all rows, so that only entries with C_ij > 0 cost time,
    and the coordinates are those in which HHᵀ + λI is the identity. The start is the leading right singular space of
    the table p.

    Parameters
    ----------
    C : sparse matrix or array, or array_like, shape (m, n)
        Counts, or other weights ≥ 0. Zero, unstored and NaN are the same: nothing was observed.
    rank : int
        r, between 1 and min(m, n).
    penalty : float, default 1
        λ > 0.
    confidence : float, default 1
        α ≥ 0, the confidence that one count adds to the 1 that every entry has.
    max_iterations : int, default 15
        At least 1.
    tolerance : float, optional
        From 0 and below 1: stop when the objective falls by no more than this share of itself, and warn if it does not.
        By default all iterations are made, which counts as converged: rankings settle long before the objective does.
    rng : None, int or Generator
        Of the random block that the start is computed from.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.

    Returns
    -------
    Completion
        Without biases; `predict` gives preferences, mostly between 0 and 1, to rank columns by. An empty row has
        preferences 0: recommend what is popular to it. After Ctrl-C: what there is.

    Raises
    ------
    TypeError, ValueError
        If C has negative entries or none above 0, or is refused as in `als_complete`; if an option is out of range,
        or squares of confidence · C leave that of float64.

    Warns
    -----
    RuntimeWarning
        If a tolerance was given and max_iterations were not enough.

    References
    ----------
    Y. Hu, Y. Koren and C. Volinsky, Collaborative filtering for implicit feedback datasets, *ICDM* 2008, §4;
    G. Takács, I. Pilászy and D. Tikk, Applications of the conjugate gradient method for implicit feedback collaborative
    filtering, *RecSys* 2011, doi:10.1145/2043932.2043987 (few steps from the last factors).

    Examples
    --------
    >>> from lowrank_helpers.completion import implicit_als
    >>> C = [[5, 3, 0, 0], [4, 0, 0, 0], [0, 0, 2, 6], [0, 0, 0, 3]]
    >>> result = implicit_als(C, 2, penalty=0.1, confidence=10, rng=0)
    >>> scores = result.W @ result.H
    >>> bool(scores[1, 1] > scores[1, 2]), bool(scores[3, 2] > scores[3, 1])
    (True, True)
    """
    seen = _positive(observations(C, "C"))
    r = _checks.rank(rank, seen.shape, of="C")
    penalty = _checks.number(penalty, "penalty", above=0.0, step="Without it the systems are singular.")
    confidence = _checks.number(confidence, "confidence", least=0.0)
    max_iterations = _checks.integer(max_iterations, 1, None, "max_iterations")
    if tolerance is not None:
        tolerance = _checks.number(tolerance, "tolerance", least=0.0, below=1.0)
    generator = _checks.generator(rng)
    seen = with_room(_confident(seen, confidence), name="confidence · C", penalty=penalty)
    by_row, by_column, Ht = _begun(seen, r, generator)
    W = np.zeros((seen.shape[0], r), dtype=Ht.dtype)
    sweeps = _sweeps(by_row, by_column, W, Ht, penalty, tolerance)
    ended = iterate(sweeps, (W, Ht), max_iterations, progress)
    return completion(seen, *ended.state, *ended[1:])


def _positive(seen: Observations) -> Observations:
    """Keep the entries above 0; refuse negative ones."""
    if (seen.values < 0).any():
        k = int((seen.values < 0).argmax())
        raise _checks.invalid(
            f"C must be non-negative; got {seen.values[k]:g} at ({seen.rows[k]}, {seen.columns[k]}). "
            "For ratings, which may be low, use als_complete."
        )
    keep = seen.values > 0
    if not keep.any():
        raise _checks.invalid("C must have an entry above 0; got zeros only. Pass counts of what was observed.")
    m, n = seen.shape
    dense = int(keep.sum()) >= DENSE * m * n
    return seen._replace(rows=seen.rows[keep], columns=seen.columns[keep], values=seen.values[keep], dense=dense)


def _confident(seen: Observations, confidence: float) -> Observations:
    """Put e = α C in the place of C; beside the confidence 1 that every entry has, what rounds away is 0."""
    with np.errstate(over="ignore"):
        extra = confidence * seen.values.astype(np.float64)
        extra[extra < np.finfo(np.float64).eps ** 2] = 0
        narrow = extra.astype(seen.dtype)
    return seen._replace(values=narrow if np.isfinite(narrow).all() else np.minimum(extra, np.finfo(np.float64).max))


def _sweeps(
    by_row: list[Batch], by_column: list[Batch], W: Array, Ht: Array, penalty: float, tolerance: float | None
) -> Iterator[Iterate[tuple[Array, Array]]]:
    """Lower the objective over the rows, then over the columns, again and again."""
    before = None
    while True:
        new, _ = _half(by_row, Ht, W, penalty)
        (Ht, observed), W = _half(by_column, new, Ht, penalty), new
        now = observed + _elsewhere(W, Ht, penalty)
        change = 1.0 if before is None else (before - now) / before
        before = now
        if tolerance is None:  # the limit is the end
            yield Iterate((W, Ht), now, False, "")
            continue
        missing = f"the last one lowered the objective by {change:.1e} of itself, tolerance = {tolerance:.1e}."
        yield Iterate((W, Ht), now, change <= tolerance, f"{missing} Raise one of them.")


def _begun(seen: Observations, r: int, rng: np.random.Generator) -> tuple[list[Batch], list[Batch], Array]:
    """Return the batches of rows and of columns, and column factors to start from."""
    ones, extra = seen.pattern(np.ones_like(seen.values)), seen.pattern(seen.values)
    turned = transposed(ones)
    Ht = leading_factors(seen.shape, lambda X: ones @ X, lambda X: turned @ X, r, rng, ones.dtype)
    return _batches(extra, ones, r), _batches(transposed(extra), turned, r), Ht


def _batches(extra: Pattern, ones: Pattern, r: int) -> list[Batch]:
    if isinstance(extra, np.ndarray):
        return [(slice(None), None, extra, ones)]
    return list(rows_alike(extra, np.diff(extra.indptr) > 0, ROOM // r))


def _half(batches: list[Batch], F: Array, X: Array, penalty: float) -> tuple[Array, float]:
    """Lower the objective over the rows x_i of X, given the other factors f_j, the rows of F.

    The system of row i is (S + Σ_j e_ij f_j f_jᵀ) x_i = Σ_j (1 + e_ij) f_j, with S = FᵀF + λI and sums over what was
    observed. In coordinates in which S, which all rows share, is I, it is (I + Σ_j e_ij g_j g_jᵀ) y_i = Σ_j (1 + e_ij)
    g_j: conjugate gradients need one step for each different eigenvalue, so that few bring them close. Also returned is
    what the objective has at the observed entries, beyond x² of them.
    """
    values, V = np.linalg.eigh((F.T @ F).astype(np.float64))
    root = np.sqrt(np.maximum(values, 0) + penalty)
    back = (V / root).astype(F.dtype)
    G, Y = F @ back, X @ (V * root).astype(F.dtype)
    new, observed = np.zeros_like(Y), 0.0
    for rows, columns, e, ones in batches:
        Gs = G if columns is None else G.take(columns, axis=0)  # several times faster than G[columns]
        new[rows], part = _descended(Y[rows], Gs, e, ones)
        observed += part
    return new @ back.T, observed


def _descended(Y: Array, G: Array, e: Array, ones: Array | NDArray[np.bool_]) -> tuple[Array, float]:
    """Take STEPS steps of conjugate gradients from each row of Y at once.

    G has the g_j as its rows or, for a batch, those of each row in a matrix; ones are the preferences, e the
    confidences beyond 1.
    """
    whole, least = ones + e, np.finfo(Y.dtype).tiny
    R = _summed(G, whole - e * _products(G, Y)) - Y
    P, square = R, _dots(R, R)
    for _ in range(STEPS):
        Q = P + _summed(G, e * _products(G, P))
        share = square / np.maximum(_dots(P, Q), least)
        Y, R = Y + share * P, R - share * Q
        before, square = square, _dots(R, R)
        P = R + square / np.maximum(before, least) * P
    x = _products(G, Y)
    return Y, float((whole * (1 - x) ** 2 - ones * x**2).sum(dtype=np.float64))


def _products(G: Array, P: Array) -> Array:
    """Return the products g_jᵀ p_i."""
    return P @ G.T if G.ndim == 2 else (G @ P[:, :, None])[:, :, 0]


def _summed(G: Array, E: Array) -> Array:
    """Return the sums Σ_j e_ij g_j."""
    sums: Array = E @ G if G.ndim == 2 else (E[:, None] @ G)[:, 0]
    return sums


def _dots(P: Array, Q: Array) -> Array:
    """Return the product of each row of P with that of Q, as a column."""
    dots: Array = np.einsum("ij,ij->i", P, Q)[:, None]
    return dots


def _elsewhere(W: Array, Ht: Array, penalty: float) -> float:
    """The objective as if all preferences were 0, with the confidence 1: Σ x² over the whole table, and the penalty."""
    W, Ht = W.astype(np.float64), Ht.astype(np.float64)
    return float(((W.T @ W) * (Ht.T @ Ht)).sum()) + penalty * float((W**2).sum() + (Ht**2).sum())
