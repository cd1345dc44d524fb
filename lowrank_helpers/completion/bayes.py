"""Bayesian completion by Gibbs sampling: predictions with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array, F
from lowrank_helpers._iterate import bar
from lowrank_helpers.completion._observations import BLOCK, Observations, Pattern, gram_rows, observations, transposed
from lowrank_helpers.completion.results import id_pairs


@dataclass(frozen=True)
class BayesianCompletion(Generic[F]):
    """Draws from the posterior of a completed table.

    In draw d, entry (i, j) is mean + row_bias[d, i] + column_bias[d, j] + (W[d] H[d])_ij.

    Attributes
    ----------
    W : ndarray, shape (draws, m, r)
        Row factors.
    H : ndarray, shape (draws, r, n)
        Column factors.
    row_bias, column_bias : ndarray, shapes (draws, m) and (draws, n)
        Biases.
    mean : float
        The mean of the observations.
    noise : ndarray, shape (draws,)
        Standard deviation of an observation around its entry.
    residual : ndarray, shape (sweeps,)
        Root mean square of the residuals at the seen places after each sweep, burn-in included. It should look
        stationary from the first kept draw on.
    converged : bool
        False if it was interrupted: then there are fewer draws.
    """

    W: NDArray[F]
    H: NDArray[F]
    row_bias: NDArray[F]
    column_bias: NDArray[F]
    mean: float
    noise: NDArray[F]
    residual: NDArray[np.float64]
    converged: bool


class Interval(NamedTuple, Generic[F]):
    """Predictions, and the bounds between which new observations fall with the asked probability."""

    mean: NDArray[F]
    lower: NDArray[F]
    upper: NDArray[F]


def bayesian_complete(
    A: Any,
    rank: int,
    *,
    draws: int = 100,
    burn_in: int = 20,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
) -> BayesianCompletion[Any]:
    """Draw completions of a table from their posterior, by Gibbs sampling.

    The model: a_ij = μ + b_i + c_j + w_iᵀh_j + noise of variance 1/α; the vectors (w_i, b_i) are normal with unknown
    mean and covariance, the (h_j, c_j) too, and these have normal–Wishart priors; α has a vague Gamma prior. So there
    is no penalty to choose: it is sampled. A sweep draws hyperparameters and factors of the rows, then of the columns,
    then α, each given all others. μ is the mean of the observations, and their standard deviation the unit.

    Parameters
    ----------
    A : sparse matrix or array, or array_like, shape (m, n)
        Sparse: the stored entries are the observations, explicit zeros included. Dense: NaN marks the unseen ones.
    rank : int
        r, between 1 and min(m, n). A rank too large costs time and little accuracy.
    draws : int, default 100
        At least 2. All are kept: draws · (m + n) · (r + 1) numbers.
    burn_in : int, default 20
        Sweeps before the first draw that is kept.
    rng : None, int or Generator
        The source of randomness.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.

    Returns
    -------
    BayesianCompletion
        The draws, in the dtype of A; pass them to `predict_interval`. The factors of an empty row are drawn like
        those of any row: its predictions are near mean + column bias, with a wide interval. After Ctrl-C: the draws
        there are, if at least two.

    Raises
    ------
    TypeError, ValueError
        If A or an option is refused, as in `als_complete`.

    References
    ----------
    R. Salakhutdinov and A. Mnih, Bayesian probabilistic matrix factorization using Markov chain Monte Carlo, *ICML*
    2008, §3; S. Rendle, L. Zhang and Y. Koren, On the difficulty of evaluating baselines, arXiv:1905.01395
    (how well it does).

    Examples
    --------
    >>> from lowrank_helpers.completion import bayesian_complete, predict_interval
    >>> A = np.add.outer(np.arange(20.0), np.arange(10.0))
    >>> A[3, 4] = np.nan
    >>> draws = bayesian_complete(A, 1, rng=0)
    >>> mean, lower, upper = predict_interval(draws, 3, 4)
    >>> bool(lower < 7 < upper), bool(abs(mean - 7) < 0.5)
    (True, True)
    """
    seen = observations(A)
    r = _checks.rank(rank, seen.shape)
    draws = _checks.integer(draws, 2, None, "draws")
    burn_in = _checks.integer(burn_in, 0, None, "burn_in")
    return _gibbs(seen, r, draws, burn_in, _checks.generator(rng), progress)


def predict_interval(
    result: BayesianCompletion[F], rows: ArrayLike, columns: ArrayLike, *, level: float = 0.9
) -> Interval[F]:
    """Return predictions of entries, and intervals for new observations of them.

    The mean is over the draws. The interval is mean ± z √(variance over the draws + mean noise variance), z the
    quantile of the normal distribution: for single observations, not only for the entry behind the noise.

    Parameters
    ----------
    result : BayesianCompletion
        What `bayesian_complete` returned.
    rows, columns : array_like of int
        Places, of shapes that broadcast.
    level : float, default 0.9
        Probability of the interval, between 0 and 1.

    Returns
    -------
    Interval
        The triple (mean, lower, upper), each of the broadcast shape. Nothing is clipped.

    Raises
    ------
    TypeError, ValueError
        If result is no BayesianCompletion, an id is out of range, or level is not between 0 and 1.

    Examples
    --------
    >>> from lowrank_helpers.completion import bayesian_complete, predict_interval
    >>> draws = bayesian_complete(np.add.outer(np.arange(6.0), np.arange(5.0)), 1, rng=0)
    >>> mean, lower, upper = predict_interval(draws, [[0], [1]], [2, 3])
    >>> mean.shape, bool((lower < upper).all())
    ((2, 2), True)
    """
    if not isinstance(result, BayesianCompletion):
        raise _checks.mistyped(
            f"result must be a BayesianCompletion; got {type(result).__name__}. Pass what "
            "bayesian_complete returned; other results have no intervals, use predict."
        )
    level = _checks.number(level, "level", above=0.0, below=1.0)
    row, column = id_pairs(rows, columns, (result.W.shape[1], result.H.shape[2]))
    W, H, noise = result.W, result.H, result.noise.astype(np.float64)
    k, j = _sizes(result)
    mean, variance = np.zeros(row.size), np.zeros(row.size)
    for count, (w, h, b, c) in enumerate(zip(W, H, result.row_bias, result.column_bias, strict=True), 1):
        Ht = np.ascontiguousarray(h.T)
        for start in range(0, row.size, BLOCK):
            part = slice(start, start + BLOCK)
            p, q = row.reshape(-1)[part], column.reshape(-1)[part]
            x = np.einsum("ij,ij->i", _times(w[p], -j), _times(Ht[q], j - k))
            x += _times(b[p], -k) + _times(c[q], -k) + np.ldexp(result.mean, -k)
            step = x - mean[part]  # Welford's running mean and sum of squares
            mean[part] += step / count
            variance[part] += step * (x - mean[part])
    spread = np.sqrt(variance / (len(W) - 1) + np.mean(_times(noise, -k) ** 2))
    half = scipy.special.ndtri(0.5 + level / 2) * spread
    dtype = W.dtype
    with np.errstate(over="ignore"):
        bounds: list[NDArray[F]] = [
            np.ldexp(x, k).reshape(row.shape).astype(dtype) for x in (mean, mean - half, mean + half)
        ]
    for bound in bounds:
        _checks.in_range(bound, "the interval")
    centre, lower, upper = bounds
    return Interval(centre, lower, upper)


def _times(x: Array, k: int) -> NDArray[np.float64]:
    """Return x · 2ᵏ in float64."""
    scaled: NDArray[np.float64] = np.ldexp(x.astype(np.float64), k)
    return scaled


def _sizes(result: BayesianCompletion[Any]) -> tuple[int, int]:
    """Return the k and j for which predictions divided by 2ᵏ, and W by 2ʲ, have a size near 1, and squares in range."""
    parts = (np.array(result.mean), result.row_bias, result.column_bias, result.noise)
    sizes = [_checks.exponent(part) for part in parts if part.any()]
    j = _checks.exponent(result.W)
    if result.W.any() and result.H.any():
        sizes.append(j + _checks.exponent(result.H) + result.W.shape[2].bit_length())
    return max(sizes, default=0), j


def _gibbs(
    seen: Observations, r: int, draws: int, burn_in: int, rng: np.random.Generator, progress: bool | None
) -> BayesianCompletion[Any]:
    (m, n), dtype = seen.shape, seen.values.dtype
    k = _checks.exponent(seen.values)  # by a power of two to a size near 1, where no square is out of range
    scaled = np.ldexp(seen.values.astype(np.float64), -k)
    mean = float(scaled.mean())
    centred = scaled - mean
    deviation = max(float(np.sqrt(np.mean(centred**2))), float(np.finfo(np.float64).eps))  # 0 if all are equal
    centred /= deviation
    unit = float(np.ldexp(deviation, k))
    units = np.append(np.full(r, np.sqrt(unit)), unit)  # of the factors, and of the biases
    ones, values = seen.pattern(np.ones_like(centred)), seen.pattern(centred)
    ones_t, values_t = transposed(ones), transposed(values)
    rows = np.hstack([0.1 * rng.standard_normal((m, r)), np.zeros((m, 1))])  # of each row (w_i, b_i)
    columns = np.hstack([0.1 * rng.standard_normal((n, r)), np.zeros((n, 1))])  # of each column (h_j, c_j)
    alpha = 2.0
    kept_rows, kept_columns = np.empty((draws, m, r + 1), dtype=dtype), np.empty((draws, n, r + 1), dtype=dtype)
    noise, residual = np.empty(draws), np.empty(burn_in + draws)
    done = 0
    shown = bar(burn_in + draws, progress)
    try:
        for sweep in range(burn_in + draws):
            rows = _draw(ones, values, columns, alpha, *_hyperparameters(rows, rng), rng)
            columns = _draw(ones_t, values_t, rows, alpha, *_hyperparameters(columns, rng), rng)
            e = centred - seen.predictions(rows[:, :r], columns[:, :r]) - rows[seen.rows, r] - columns[seen.columns, r]
            square = float(e @ e)
            # a Gamma prior of shape and rate 1/2: as if one observation had a residual of one standard deviation
            alpha = rng.gamma((len(e) + 1) / 2, 2 / (square + 1))
            residual[sweep] = unit * np.sqrt(square / len(e))
            if sweep >= burn_in:
                d = sweep - burn_in
                with np.errstate(over="ignore", under="ignore"):
                    kept_rows[d], kept_columns[d] = units * rows, units * columns
                noise[d] = unit / np.sqrt(alpha)
            done = sweep + 1
            shown.update()
    except KeyboardInterrupt:
        if done < burn_in + 2:
            raise
    finally:
        shown.close()
    kept = done - burn_in
    for part in (kept_rows[:kept], kept_columns[:kept], noise[:kept].astype(dtype)):
        _checks.in_range(part, "the draws")
    return BayesianCompletion(
        kept_rows[:kept, :, :r],
        kept_columns[:kept, :, :r].transpose(0, 2, 1),
        kept_rows[:kept, :, r],
        kept_columns[:kept, :, r],
        float(np.ldexp(mean, k)),
        noise[:kept].astype(dtype),
        residual[:done],
        kept == draws,
    )


def _hyperparameters(X: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw mean and precision of the rows of X, given X, from the normal–Wishart posterior (β₀ = 2, ν₀ = k, W₀ = I)."""
    count, k = X.shape
    centre = X.mean(axis=0)
    scatter = (X - centre).T @ (X - centre)
    scale = np.eye(k) + scatter + (2 * count / (2 + count)) * np.outer(centre, centre)
    T = np.tril(rng.standard_normal((k, k)), -1)  # Bartlett's decomposition of a Wishart matrix
    T[np.diag_indices(k)] = np.sqrt(rng.chisquare(k + count - np.arange(k)))
    T = np.linalg.cholesky(np.linalg.inv(scale)) @ T
    precision: Array = T @ T.T
    spread = np.linalg.solve(T.T, rng.standard_normal(k)) / np.sqrt(2 + count)
    mean: Array = count * centre / (2 + count) + spread
    return mean, precision


def _draw(
    seen: Pattern, values: Pattern, given: Array, alpha: float, mean: Array, precision: Array, rng: np.random.Generator
) -> Array:
    """Draw (w_i, b_i) for all rows i given the columns, each from a normal distribution.

    Its precision is P = Λ + α Σ f_j f_jᵀ, f_j = (h_j, 1), and its mean P⁻¹ q. With P = L Lᵀ and z standard normal,
    P⁻¹ (q + L z) is such a draw: its covariance is P⁻¹ L Lᵀ P⁻¹ = P⁻¹.
    """
    F = given.copy()
    F[:, -1] = 1
    q = alpha * (values @ F - seen @ (F * given[:, -1:])) + precision @ mean
    X: Array = np.empty_like(q)
    z = rng.standard_normal(q.shape)
    for part, gram in gram_rows(seen, F):
        P = alpha * gram + precision
        L = np.linalg.cholesky(P)
        X[part] = np.linalg.solve(P, q[part, :, None] + L @ z[part, :, None])[:, :, 0]
    return X
