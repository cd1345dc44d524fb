"""Alternating least squares for implicit feedback: how often, not how much it was liked."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers.completion._observations import (
    BLOCK,
    Observations,
    Pattern,
    observations,
    ridge_rows,
    rows_alike,
)
from lowrank_helpers.completion.als import transposed
from lowrank_helpers.completion.results import Completion, steps


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
    Σ_ij (1 + α C_ij) (p_ij − (WH)_ij)² + λ (‖W‖²_F + ‖H‖²_F). Rows and columns are solved for in turn. One Gram matrix
    HHᵀ is shared by all rows, so that only entries with C_ij > 0 cost time.

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
        Of the start.
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
        If C has negative entries or none above 0, or is refused as in `als_complete`; if an option is out of range.

    Warns
    -----
    RuntimeWarning
        If a tolerance was given and max_iterations were not enough.

    References
    ----------
    Y. Hu, Y. Koren and C. Volinsky, Collaborative filtering for implicit feedback datasets, *ICDM* 2008, §4.

    Examples
    --------
    >>> from lowrank_helpers.completion import implicit_als
    >>> C = [[5, 3, 0, 0], [4, 0, 0, 0], [0, 0, 2, 6], [0, 0, 0, 3]]
    >>> result = implicit_als(C, 2, penalty=0.1, confidence=10, rng=0)
    >>> scores = result.W @ result.H
    >>> bool(scores[1, 1] > scores[1, 2]), bool(scores[3, 2] > scores[3, 1])
    (True, True)
    """
    seen = _positive(observations(C, "implicit_als"))
    r = _checks.rank(rank, seen.shape, "implicit_als", of="C")
    penalty = _checks.number(penalty, "implicit_als", "penalty", above=0.0, step="Without it the systems are singular.")
    confidence = _checks.number(confidence, "implicit_als", "confidence", least=0.0)
    max_iterations = _checks.integer(max_iterations, 1, None, "implicit_als", "max_iterations")
    if tolerance is not None:
        tolerance = _checks.number(tolerance, "implicit_als", "tolerance", least=0.0, below=1.0)
    generator = _checks.generator(rng, "implicit_als")
    return _implicit(seen, r, penalty, confidence, max_iterations, tolerance, generator, progress)


def _positive(seen: Observations) -> Observations:
    """Keep the entries above 0; refuse negative ones."""
    if (seen.values < 0).any():
        k = int((seen.values < 0).argmax())
        raise ValueError(
            f"implicit_als: C must be non-negative; got {seen.values[k]:g} at ({seen.rows[k]}, {seen.columns[k]}). "
            "For ratings, which may be low, use als_complete."
        )
    keep = seen.values > 0
    if not keep.any():
        raise ValueError(
            "implicit_als: C must have an entry above 0; got zeros only. Pass counts of what was observed."
        )
    m, n = seen.shape
    dense = int(keep.sum()) >= 0.1 * m * n
    return Observations(seen.shape, seen.rows[keep], seen.columns[keep], seen.values[keep], dense)


def _implicit(
    seen: Observations,
    r: int,
    penalty: float,
    confidence: float,
    max_iterations: int,
    tolerance: float | None,
    rng: np.random.Generator,
    progress: bool | None,
) -> Completion[Any]:
    (m, n), dtype = seen.shape, seen.values.dtype
    extra = dtype.type(confidence) * seen.values  # c − 1
    sides = [(seen.pattern(extra), seen.pattern(1 + extra))]
    sides.append((transposed(sides[0][0]), transposed(sides[0][1])))
    factors = [np.zeros((m, r), dtype=dtype), (rng.standard_normal((n, r)) / r).astype(dtype)]
    objective: list[float] = []
    converged, change = False, np.inf
    try:
        for _ in steps(max_iterations, progress, "implicit_als"):
            new = list(factors)
            for side, (weights, right) in enumerate(sides):
                new[side] = _half(weights, right, new[1 - side], penalty)
            factors = new
            now = _objective(seen, extra, factors, penalty)
            change = 1.0 if not objective else (objective[-1] - now) / objective[-1]
            objective.append(now)
            if tolerance is not None and change <= tolerance:
                converged = True
                break
        else:
            converged = tolerance is None
            if not converged:
                warnings.warn(
                    f"implicit_als: not converged after {max_iterations} iterations; the last one lowered the "
                    f"objective by {change:.1e} of itself, tolerance = {tolerance:.1e}. Raise one of them.",
                    RuntimeWarning,
                    stacklevel=3,
                )
    except KeyboardInterrupt:
        pass
    W, Ht = factors
    zeros = np.zeros(m, dtype=dtype), np.zeros(n, dtype=dtype)
    return Completion(W, np.ascontiguousarray(Ht.T), *zeros, 0.0, np.array(objective), converged)


def _half(extra: Pattern, right: Pattern, F: Array, penalty: float) -> Array:
    """Solve (S + Σ_j e_ij f_j f_jᵀ) x_i = Σ_j (1 + e_ij) f_j for every row i, S = FᵀF + λI; e are the stored entries.

    A row with few entries needs no system of its own of size k. With F_i of its t rows f_j and E_i = diag(e_ij),
    x_i = S⁻¹ F_iᵀ a, where a solves the t×t system (I + E_i F_i S⁻¹ F_iᵀ) a = 1 + e_i.
    """
    k = F.shape[1]
    gram = F.T @ F
    ridge = np.full(extra.shape[0], penalty, dtype=F.dtype)
    if isinstance(extra, np.ndarray):
        return ridge_rows(extra, F, right @ F, ridge, gram)
    X = np.zeros((extra.shape[0], k), dtype=F.dtype)
    counts = np.diff(extra.indptr)
    many = np.nonzero(counts > k // 2)[0]
    X[many] = ridge_rows(extra[many], F, right[many] @ F, ridge[many], gram)
    G = F @ np.linalg.inv(gram + penalty * np.eye(k, dtype=F.dtype))  # rows S⁻¹ f_j
    for rows, columns, e, inside in rows_alike(extra, counts <= k // 2, BLOCK):
        Gs = G[columns]
        systems = e[:, :, None] * (F[columns] @ Gs.transpose(0, 2, 1)) + np.eye(e.shape[1], dtype=F.dtype)
        a = np.linalg.solve(systems, np.where(inside, 1 + e, 0)[:, :, None])
        X[rows] = (a.transpose(0, 2, 1) @ Gs)[:, 0]
    return X


def _objective(seen: Observations, extra: Array, factors: list[Array], penalty: float) -> float:
    """Sum over all entries as if the preference were 0 and the confidence 1, and correct the observed ones."""
    W, Ht = (factor.astype(np.float64) for factor in factors)
    x = seen.predictions(W, Ht)
    everywhere = float(((W.T @ W) * (Ht.T @ Ht)).sum())
    observed = float(((1 + extra) * (1 - x) ** 2 - x**2).sum())
    return everywhere + observed + penalty * float((W**2).sum() + (Ht**2).sum())
