"""Multiplicative updates for both losses, plain and accelerated by squared extrapolation (SQUAREM).

A loss is a pair of functions: ``evaluate(W, H)`` gives the objective and what the update needs besides (the
ratios A / W H, or the products with H), and ``update(W, H, ratios)`` updates W, then H.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse

from lowrank_helpers._checks import Array
from lowrank_helpers.decomposition._nmf_hals import frobenius_objective, squared_norm

Evaluate: TypeAlias = Callable[[Array, Array], tuple[float, Any]]
Update: TypeAlias = Callable[[Array, Array, Any], tuple[Array, Array]]
Loss: TypeAlias = tuple[Evaluate, Update]

PAIRS = 4096  # entries of W H at a time, where A is sparse
KEPT = 0.7  # an extrapolation leaves at least this share of each entry: nearly zero, it would take long to come back


def multiplicative(loss: Loss, W: Array, H: Array) -> Iterator[tuple[Array, Array, float]]:
    """Yield W, H and the objective, first of the start and then after each pair of updates, without end."""
    evaluate, update = loss
    while True:
        objective, ratios = evaluate(W, H)
        yield W, H, objective
        W, H = update(W, H, ratios)


def squarem(loss: Loss, W: Array, H: Array) -> Iterator[tuple[Array, Array, float]]:
    """Yield as `multiplicative` does, after two pairs of updates and an extrapolation along both.

    With r the first change and v the second less the first, the extrapolation is x + 2αr + α²v, α = ‖r‖ / ‖v‖,
    which is where two updates end if α = 1. It is kept only if the objective is no higher than after one update.
    """
    evaluate, update = loss
    objective, ratios = evaluate(W, H)
    while True:
        yield W, H, objective
        W1, H1 = update(W, H, ratios)
        bound, ratios = evaluate(W1, H1)
        W2, H2 = update(W1, H1, ratios)
        rW, rH = W1 - W, H1 - H
        vW, vH = W2 - W1 - rW, H2 - H1 - rH
        first, second = math.hypot(*map(np.linalg.norm, (rW, rH))), math.hypot(*map(np.linalg.norm, (vW, vH)))
        alpha = first / second if second > 0 else 1.0
        if alpha > 1:
            W = np.maximum(W + 2 * alpha * rW + alpha**2 * vW, KEPT * W2)
            H = np.maximum(H + 2 * alpha * rH + alpha**2 * vH, KEPT * H2)
            objective, ratios = evaluate(W, H)
        if not (alpha > 1 and objective <= bound):
            W, H = W2, H2
            objective, ratios = evaluate(W, H)


def frobenius(A: Any) -> Loss:
    """Return the loss ½‖A − W H‖² of this A, with its updates."""

    size = squared_norm(A)

    def evaluate(W: Array, H: Array) -> tuple[float, Any]:
        gram, product = H @ H.T, A @ H.T
        return frobenius_objective(A, size, W.T, H, gram, product.T), (gram, product)

    def update(W: Array, H: Array, products: Any) -> tuple[Array, Array]:
        gram, product = products
        W = W * _quotient(product, W @ gram)
        return W, H * _quotient((A.T @ W).T, (W.T @ W) @ H)

    return evaluate, update


def kullback_leibler(A: Any) -> Loss:
    """Return the loss Σ (A log(A / W H) − A + W H) of this A, with its updates.

    W H may underflow where A is next to nothing. It then counts as the least normal number, times the largest entry of
    A if that is above 1, so that neither the loss nor a ratio is ever infinite.
    """
    if scipy.sparse.issparse(A):
        rows, columns = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr)), A.indices
        entries = A.data
    else:
        entries = A
    positive = entries[entries > 0].astype(np.float64)
    constant = float((positive * np.log(positive) - positive).sum())
    least = np.finfo(A.dtype).tiny * max(1, entries.max(initial=0))

    def compare(W: Array, H: Array) -> tuple[Array, Any]:
        """Return W H where needed, at least the least, and A / W H."""
        products = sampled_product(W, H, rows, columns) if scipy.sparse.issparse(A) else W @ H
        np.maximum(products, least, out=products)
        ratios: Any = entries / products
        if scipy.sparse.issparse(A):
            ratios = scipy.sparse.csr_array((ratios, A.indices, A.indptr), shape=A.shape)
        return products, ratios

    def evaluate(W: Array, H: Array) -> tuple[float, Any]:
        products, ratios = compare(W, H)
        terms = np.log(products, out=products)
        terms *= entries
        total = float(W.sum(axis=0, dtype=np.float64) @ H.sum(axis=1, dtype=np.float64))
        return constant - float(terms.sum(dtype=np.float64)) + total, ratios

    def update(W: Array, H: Array, ratios: Any) -> tuple[Array, Array]:
        W = W * _quotient(ratios @ H.T, H.sum(axis=1))
        ratios = compare(W, H)[1]
        return W, H * _quotient((ratios.T @ W).T, W.sum(axis=0)[:, None])

    return evaluate, update


def sampled_product(W: Array, H: Array, rows: Any, columns: Any) -> Array:
    """Return the entries of W H at these places, without forming the others."""
    Ht = np.ascontiguousarray(H.T)
    W = np.ascontiguousarray(W)
    products = np.empty(len(rows), dtype=W.dtype)
    for first in range(0, len(rows), PAIRS):
        part = slice(first, first + PAIRS)
        np.einsum("ij,ij->i", W.take(rows[part], axis=0), Ht.take(columns[part], axis=0), out=products[part])
    return products


def _quotient(numerator: Array, denominator: Array) -> Array:
    """Return numerator / denominator, and 1 where the denominator is 0, so that such an entry stays."""
    denominator = np.broadcast_to(denominator, numerator.shape)
    return np.divide(numerator, denominator, out=np.ones_like(numerator), where=denominator > 0)
