"""Alternating least squares for a table of which some entries were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lowrank_helpers import _checks
from lowrank_helpers._checks import Array
from lowrank_helpers._iterate import Iterate, iterate
from lowrank_helpers.completion._observations import (
    Observations,
    Pattern,
    determined,
    observations,
    ridge_rows,
    transposed,
    with_room,
)
from lowrank_helpers.completion.results import Completion, completion
from lowrank_helpers.svd import _bases

Product: TypeAlias = Callable[[Array], Array]  # X ↦ A X


class _Side(NamedTuple):
    """What solving for the rows needs (for the columns: of the transposed table)."""

    seen: Pattern  # 1 where an entry was seen
    values: Pattern  # the entries minus the mean
    penalty: Array  # of each row


class _State(NamedTuple):
    """Factors and biases of one side, and its factors of the table of what was seen."""

    factors: Array
    bias: Array
    implicit: Array


def als_complete(
    A: Any,
    rank: int,
    *,
    penalty: float = 0.0,
    biases: bool = False,
    weighted: bool = False,
    implicit_features: float = 0.0,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
    rng: int | np.random.Generator | None = 0,
    progress: bool | None = None,
) -> Completion[Any]:
    """Complete a table by alternating least squares: rows given columns, columns given rows, each in closed form.

    The objective is Σ (a_ij − μ − b_i − c_j − (WH)_ij)² over the seen entries, plus penalty · Σ_i ν_i (‖w_i‖² + b_i²)
    and the same for the columns, with ν = 1 or, weighted, the number of observations of the row or column. μ is the
    mean of the observations (0 without biases). Each half of an iteration minimises it exactly over one side, so it
    never rises; that does not promise the global minimum. The start is the leading right singular space of the
    table with the mean of the seen entries in place of the unseen ones: with zeros there, which entries were seen
    would hide what they are. After the first half each column of W and row of H is scaled so that their penalties
    are equal.

    Parameters
    ----------
    A : sparse matrix or array, or array_like, shape (m, n)
        Sparse: the stored entries are the observations, explicit zeros included. Dense: NaN marks the unseen ones.
    rank : int
        r, between 1 and min(m, n).
    penalty : float, default 0
        λ ≥ 0. At 0 the observations alone must determine the factors: at least r(m + n − r) of them, and at least r
        (r + 1 with biases) in each row and column. With λ > 0 an empty row gets factors and bias 0.
    biases : bool, default False
        Whether to fit μ, b and c; else they are 0.
    weighted : bool, default False
        Whether the penalty of a row grows with its number of observations.
    implicit_features : float, default 0
        ω ≥ 0. Above 0, *which* entries were seen informs the factors: with S the 0/1 table of what was seen,
        ω (‖S − W G‖² + ‖S − D H‖²) + penalty · (‖G‖² + ‖D‖²) joins the objective. It needs penalty > 0.
    max_iterations : int, default 100
        At least 1.
    tolerance : float, default 1e-6
        Stop when the objective falls by no more than this share of itself, from 0 and below 1.
    rng : None, int or Generator, default 0
        Of the random block that the start is computed from.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.

    Returns
    -------
    Completion
        W (m, r), H (r, n), biases, mean, the objective after each iteration, converged. After Ctrl-C: what there is.

    Raises
    ------
    TypeError, ValueError
        If A has no observations, repeated ones, ones that are not finite or out of its shape; if squares of its largest
        entry leave the range of float64; if an option is out of its range; if without penalty the observations do not
        determine the rank.

    Warns
    -----
    RuntimeWarning
        If max_iterations were not enough.

    Notes
    -----
    Memory beside A is about 100 bytes an observation, or 60 an entry of the table where more than a tenth was seen,
    50 r bytes a row and column, and up to 20 MB for the systems of a batch of rows. `float32` stays `float32`; it is
    computed in `float64` where squares of its entries leave its range.

    References
    ----------
    Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the Netflix
    prize, *AAIM* 2008, §3 (weighted λ); Y. Koren, R. Bell and C. Volinsky, Matrix factorization techniques for
    recommender systems, *Computer* 42 (2009), 30–37 (biases); D. Cortes, Cold-start recommendations in collective
    matrix factorization, arXiv:1809.00366 (implicit features as further tables that share factors).

    Examples
    --------
    >>> from lowrank_helpers.completion import als_complete
    >>> nan = np.nan
    >>> result = als_complete([[1, 2, 3], [2, 4, nan], [3, nan, 9]], 1)
    >>> print(np.round(result.W @ result.H, 6))
    [[1. 2. 3.]
     [2. 4. 6.]
     [3. 6. 9.]]
    """
    seen = observations(A)
    r = _checks.rank(rank, seen.shape)
    penalty = _checks.number(penalty, "penalty", least=0.0)
    biases = _checks.flag(biases, "biases")
    weighted = _checks.flag(weighted, "weighted")
    omega = _checks.number(implicit_features, "implicit_features", least=0.0)
    max_iterations = _checks.integer(max_iterations, 1, None, "max_iterations")
    tolerance = _checks.number(tolerance, "tolerance", least=0.0, below=1.0)
    generator = _checks.generator(rng)
    if penalty == 0 and omega > 0:
        raise _checks.invalid(
            f"implicit_features must come with penalty > 0; got {omega:g} with penalty 0. Pass a penalty."
        )
    if penalty == 0:
        determined(seen, r, r + biases)
    seen = with_room(seen, penalty=penalty, implicit_features=omega)
    mean = float(seen.values.mean(dtype=np.float64)) if biases else 0.0
    table = _table(seen, mean, penalty, weighted, biases, omega)
    rows, columns = _start(table, r, generator)
    # of a table of zeros factors 0 are best, and without a penalty nothing determines others
    if _square(table.centred) == 0 and omega == 0:
        return completion(seen, rows.factors, 0 * columns.factors, np.zeros(1), True, mean=mean)
    try:
        ended = iterate(_sweeps(table, rows, columns, tolerance), (rows, columns), max_iterations, progress)
    except np.linalg.LinAlgError:
        raise _checks.invalid(
            f"the observations of each row and column must determine its {r} factors; got a singular "
            "system. Lower the rank, or pass penalty > 0."
        ) from None
    rows, columns = ended.state
    offsets = rows.bias, columns.bias
    return completion(seen, rows.factors, columns.factors, *ended[1:], biases=offsets, mean=mean)


class _Table(NamedTuple):
    """What is minimised: the observations less their mean, by row and by column, and the options."""

    seen: Observations
    centred: Array
    by_row: _Side
    by_column: _Side
    penalty: float
    biases: bool
    omega: float


def _table(seen: Observations, mean: float, penalty: float, weighted: bool, biases: bool, omega: float) -> _Table:
    centred = seen.values - seen.values.dtype.type(mean)
    return _Table(seen, centred, *_sides(seen, centred, penalty, weighted), penalty, biases, omega)


def _sweeps(table: _Table, rows: _State, columns: _State, tolerance: float) -> Iterator[Iterate[tuple[_State, _State]]]:
    """Minimise over the rows, then over the columns, again and again."""
    by_row, by_column = table.by_row, table.by_column
    floor = float(8 * np.finfo(table.centred.dtype).eps) ** 2 * _square(table.centred)  # below it is rounding
    before = np.inf
    while True:
        new_rows, given = _half(table, by_row, by_column, columns, rows)
        if before == np.inf and table.penalty > 0:
            new_rows, given = _balanced(table, new_rows, given)
        new_columns, new_rows = _half(table, by_column, by_row, new_rows, given)
        now = _objective(table, new_rows, new_columns)
        if now > before:  # only rounding can raise it: keep what there was
            return
        rows, columns = new_rows, new_columns
        change = 1.0 if before == np.inf else (before - now) / max(before, floor)
        before = now
        missing = (
            f"the last one lowered the objective by {change:.1e} of itself, tolerance = {tolerance:.1e}. "
            "Raise max_iterations or tolerance."
        )
        yield Iterate((rows, columns), now, now <= floor or change <= tolerance, missing)


def _sides(seen: Observations, centred: Array, penalty: float, weighted: bool) -> tuple[_Side, _Side]:
    ones, values = seen.pattern(np.ones_like(centred)), seen.pattern(centred)
    weights = [penalty * (np.maximum(n, 1) if weighted else np.ones(len(n))) for n in seen.counts()]
    p, q = (weight.astype(centred.dtype) for weight in weights)
    return _Side(ones, values, p), _Side(transposed(ones), transposed(values), q)


def _start(table: _Table, r: int, rng: np.random.Generator) -> tuple[_State, _State]:
    by_row, by_column = table.by_row, table.by_column
    mean = 0.0 if table.biases else float(table.centred.mean(dtype=np.float64))
    (m, n), dtype = by_row.values.shape, by_row.values.dtype

    def filled(side: _Side, X: Array) -> Array:
        """The product with the table that has the mean where nothing was seen."""
        product: Array = side.values @ X
        if mean:
            product += mean * (X.sum(axis=0) - side.seen @ X)
        return product

    factors = leading_factors((m, n), lambda X: filled(by_row, X), lambda X: filled(by_column, X), r, rng, dtype)
    zeros = np.zeros((m, r), dtype=dtype)
    return _State(zeros, zeros[:, 0].copy(), zeros), _State(factors, np.zeros(n, dtype), np.zeros_like(factors))


def leading_factors(
    shape: tuple[int, int], times: Product, turned: Product, r: int, rng: np.random.Generator, dtype: Any
) -> Array:
    """Return V √s, n×r, of the leading singular triples of a table, nearly, after four steps of subspace iteration.

    The table is given by its products and those of its transpose.
    """
    m, n = shape
    Y = rng.standard_normal((n, min(r + 5, m, n))).astype(dtype)
    for _ in range(4):
        Y = turned(times(Y))
        Q = _bases.basis(Y, rough=True)
        Y = Q if Q.shape == Y.shape else np.linalg.qr(Y)[0].astype(dtype)  # where columns depend, others complete them
    T = times(Y).astype(np.float64)
    squares, V = np.linalg.eigh(T.T @ T)
    return np.ascontiguousarray((Y @ V[:, : -r - 1 : -1]) * np.maximum(squares[: -r - 1 : -1], 0) ** 0.25).astype(dtype)


def _balanced(table: _Table, rows: _State, columns: _State) -> tuple[_State, _State]:
    """Divide the k-th factors of the rows by c_k and multiply those of the columns by it, so that the penalty is least.

    It is p/c² + q c² with the penalties p and q of the two: least at c⁴ = p/q. Where one is 0, c = 1.
    """
    p, q = (
        np.einsum("i,ik,ik->k", side.penalty, state.factors, state.factors, dtype=np.float64)
        for side, state in ((table.by_row, rows), (table.by_column, columns))
    )
    c = (np.divide(p, q, out=np.ones_like(p), where=(p > 0) & (q > 0)) ** 0.25).astype(rows.factors.dtype)
    implicit = columns.implicit * c if table.omega else columns.implicit
    return rows._replace(factors=rows.factors / c), columns._replace(factors=columns.factors * c, implicit=implicit)


def _half(table: _Table, side: _Side, other: _Side, given: _State, own: _State) -> tuple[_State, _State]:
    """Minimise over one side with the other given; then over the other's factors of the table of what was seen."""
    r, omega = given.factors.shape[1], table.omega
    F = given.factors
    if side.penalty[0] == 0:  # then any basis serves: an orthonormal one keeps the systems well conditioned
        F = np.linalg.qr(F)[0].astype(F.dtype)
        given = given._replace(factors=F)
    if table.biases:
        F = np.hstack([F, np.ones((len(F), 1), dtype=F.dtype)])
    right = side.values @ F
    if table.biases:
        right -= side.seen @ (F * given.bias[:, None])
    shared = None
    if omega:
        shared = np.zeros((F.shape[1], F.shape[1]), dtype=F.dtype)
        shared[:r, :r] = omega * (given.implicit.T @ given.implicit)
        right[:, :r] += omega * (side.seen @ given.implicit)
    X = ridge_rows(side.seen, F, right, side.penalty, shared)
    bias = X[:, r].copy() if table.biases else own.bias
    own = own._replace(factors=np.ascontiguousarray(X[:, :r]), bias=bias)
    if omega:
        W = own.factors
        system = omega * (W.T @ W) + table.penalty * np.eye(r, dtype=W.dtype)
        implicit = np.linalg.solve(system, omega * (other.seen @ W).T).T
        given = given._replace(implicit=np.ascontiguousarray(implicit))
    return own, given


def _objective(table: _Table, rows: _State, columns: _State) -> float:
    seen, by_row, by_column, omega = table.seen, table.by_row, table.by_column, table.omega
    residual = table.centred - seen.predictions(rows.factors, columns.factors)
    residual -= rows.bias[seen.rows] + columns.bias[seen.columns]
    total = _square(residual)
    for side, state in ((by_row, rows), (by_column, columns)):
        total += float(side.penalty @ ((state.factors**2).sum(axis=1) + state.bias**2))
    if omega:
        for side, state, other in ((by_row, rows, columns), (by_column, columns, rows)):
            W, G = state.factors, other.implicit
            inner = float((W * (side.seen @ G)).sum(dtype=np.float64))
            squares = float(((W.T @ W) * (G.T @ G)).sum())
            total += omega * (len(residual) - 2 * inner + squares) + table.penalty * _square(G)
    return total


def _square(x: Array) -> float:
    return float((x.astype(np.float64) ** 2).sum())
