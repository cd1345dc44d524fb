"""Stochastic gradient descent for a table of which some entries were seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers._iterate import Iterate, iterate
from lowrank_helpers.completion._observations import Observations, observations, with_room
from lowrank_helpers.completion.results import Completion, completion

_State: TypeAlias = tuple[Array, Array, Array, Array]  # W, Hᵀ, and the biases of rows and of columns


def sgd_complete(
    A: Any,
    rank: int,
    *,
    penalty: float = 0.02,
    biases: bool = True,
    learning_rate: float = 0.01,
    batch_size: int = 100,
    max_epochs: int = 200,
    tolerance: float = 1e-3,
    rng: int | np.random.Generator | None = None,
    progress: bool | None = None,
) -> Completion[Any]:
    """Complete a table by stochastic gradient descent over the seen entries.

    For a seen entry with residual e = a_ij − μ − b_i − c_j − w_iᵀh_j the step is w_i += η (e h_j − λ w_i),
    h_j += η (e w_i − λ h_j), b_i += η (e − λ b_i) and c_j += η (e − λ c_j). Each epoch visits all seen entries in a new
    order, a batch at a time; the steps of a batch are computed from the same factors and added up. The objective is
    that of `als_complete` with ``weighted=True``: Σ (e² + λ (‖w_i‖² + ‖h_j‖² + b_i² + c_j²)) over the seen entries.

    Parameters
    ----------
    A : sparse matrix or array, or array_like, shape (m, n)
        Sparse: the stored entries are the observations, explicit zeros included. Dense: NaN marks the unseen ones.
    rank : int
        r, between 1 and min(m, n).
    penalty : float, default 0.02
        λ ≥ 0. An empty row keeps its random start of size 0.1: it is predicted by mean and column bias, nearly.
    biases : bool, default True
        Whether to fit μ, b and c; else they are 0.
    learning_rate : float, default 0.01
        η > 0. It suits entries of the size of stars; divide it by the square of their scale otherwise.
    batch_size : int, default 100
        Seen entries in a step. At 1 it is the textbook's method, and slow in Python.
    max_epochs : int, default 200
        At least 1.
    tolerance : float, default 1e-3
        Stop when an epoch lowers the objective by no more than this share of itself, from 0 and below 1, and it is
        not above that of factors 0, Σ a², where it starts if the entries are small.
    rng : None, int or Generator
        Of the start and of the order.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.

    Returns
    -------
    Completion
        As of `als_complete`, with the objective after each epoch. After Ctrl-C: what there is.

    Raises
    ------
    TypeError, ValueError
        If A or an option is refused, as in `als_complete`; if the learning rate is so high that the factors overflow.

    Warns
    -----
    RuntimeWarning
        If max_epochs were not enough.

    References
    ----------
    Y. Koren, R. Bell and C. Volinsky, Matrix factorization techniques for recommender systems, *Computer* 42 (2009),
    30–37.

    Examples
    --------
    >>> from lowrank_helpers.completion import predict, sgd_complete
    >>> A = np.add.outer([0, 1, 2, 3], [1, 2, 3.0])
    >>> A[3, 2] = np.nan
    >>> result = sgd_complete(A, 1, penalty=0, learning_rate=0.1, batch_size=1, tolerance=0.01, max_epochs=500, rng=0)
    >>> bool(abs(predict(result, 3, 2) - 6) < 0.5)
    True
    """
    seen = observations(A)
    r = _checks.rank(rank, seen.shape)
    penalty = _checks.number(penalty, "penalty", least=0.0)
    biases = _checks.flag(biases, "biases")
    learning_rate = _checks.number(learning_rate, "learning_rate", above=0.0)
    batch_size = _checks.integer(batch_size, 1, None, "batch_size")
    max_epochs = _checks.integer(max_epochs, 1, None, "max_epochs")
    tolerance = _checks.number(tolerance, "tolerance", least=0.0, below=1.0)
    generator = _checks.generator(rng)
    seen = with_room(seen, penalty=penalty, learning_rate=learning_rate)
    mean = float(seen.values.mean(dtype=np.float64)) if biases else 0.0
    state = _start(seen, r, generator)
    epochs = _epochs(seen, mean, state, penalty, biases, learning_rate, batch_size, tolerance, generator)
    ended = iterate(epochs, state, max_epochs, progress, "epochs")
    W, Ht, b, c = ended.state
    return completion(seen, W, Ht, *ended[1:], biases=(b, c), mean=mean)


def _start(seen: Observations, r: int, rng: np.random.Generator) -> _State:
    (m, n), dtype = seen.shape, seen.values.dtype
    W, Ht = (0.1 * rng.standard_normal((size, r)).astype(dtype) for size in (m, n))
    return W, Ht, np.zeros(m, dtype=dtype), np.zeros(n, dtype=dtype)


def _epochs(
    seen: Observations,
    mean: float,
    state: _State,
    penalty: float,
    biases: bool,
    rate: float,
    batch_size: int,
    tolerance: float,
    rng: np.random.Generator,
) -> Iterator[Iterate[_State]]:
    """Take a step for each batch of observations, in a new order in each epoch; the state is changed in place."""
    W, Ht, b, c = state
    centred = seen.values - seen.values.dtype.type(mean)
    row_counts, column_counts = seen.counts()
    nothing = float((seen.values.astype(np.float64) ** 2).sum())
    before = None
    for epoch in itertools.count(1):
        with np.errstate(over="ignore", invalid="ignore"):
            order = rng.permutation(len(centred))
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                i, j = seen.rows[batch], seen.columns[batch]
                w, h = W[i], Ht[j]
                e = centred[batch] - np.einsum("ij,ij->i", w, h) - b[i] - c[j]
                np.add.at(W, i, rate * (e[:, None] * h - penalty * w))
                np.add.at(Ht, j, rate * (e[:, None] * w - penalty * h))
                if biases:
                    np.add.at(b, i, rate * (e - penalty * b[i]))
                    np.add.at(c, j, rate * (e - penalty * c[j]))
            residual = centred - seen.predictions(W, Ht) - b[seen.rows] - c[seen.columns]
            now = float((residual.astype(np.float64) ** 2).sum())
            now += penalty * float(row_counts @ ((W**2).sum(axis=1) + b**2))
            now += penalty * float(column_counts @ ((Ht**2).sum(axis=1) + c**2))
        if not np.isfinite(now):
            raise _checks.invalid(
                f"learning_rate must keep the factors finite; got {rate:g}, which "
                f"overflowed in epoch {epoch}. Divide it by 10, or lower batch_size."
            )
        change = 1.0 if before is None or before == 0 else (before - now) / before
        before = now
        step = "Raise max_epochs or tolerance."
        if now > (1 + tolerance) * nothing:
            step = f"It is {now:.1e}, and {nothing:.1e} without factors: divide A by the size of its entries."
        yield Iterate(
            state,
            now,
            (change <= tolerance and now <= (1 + tolerance) * nothing) or now == 0,
            f"the last one lowered the objective by {change:.1e} of itself, tolerance = {tolerance:.1e}. {step}",
        )
