"""Multi-head latent attention in both its forms, and how to compress the keys and values of a trained layer."""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.attention.heads import (
    _attend,
    _check_finite,
    _check_tensor,
    _check_weight,
    _join,
    _shared,
    _split,
    rotate,
)

Form = Literal["explicit", "absorbed"]


class LatentWeights(NamedTuple):
    """The matrices of multi-head latent attention with H heads, named as in the DeepSeek-V2 paper, each (in, out).

    Attributes
    ----------
    W_DKV : Tensor, shape (width, d_c)
        Down: what is cached is c = x W_DKV.
    W_UK, W_UV : Tensor, shapes (d_c, H d_h) and (d_c, H d_v)
        Up: the keys c W_UK and the values c W_UV.
    W_Q : Tensor, shape (width, H d_h), or (d_q, H d_h) with W_DQ
        The queries.
    W_O : Tensor, shape (H d_v, width)
        The output.
    W_KR, W_QR : Tensor, shapes (width, d_r) and (width or d_q, H d_r), or None
        The decoupled part that is rotated: one key for all heads, and a query for each head.
    W_DQ : Tensor, shape (width, d_q), or None
        Down for the queries: then W_Q and W_QR read x W_DQ.
    """

    W_DKV: Tensor
    W_UK: Tensor
    W_UV: Tensor
    W_Q: Tensor
    W_O: Tensor
    W_KR: Tensor | None = None
    W_QR: Tensor | None = None
    W_DQ: Tensor | None = None


class LatentCache(NamedTuple):
    """What latent attention keeps of the tokens: d_c + d_r numbers for each, whatever the number of heads.

    Attributes
    ----------
    c : Tensor, shape (…, tokens, d_c)
        The latent vectors.
    k_rope : Tensor, shape (…, tokens, d_r)
        The rotated keys that all heads share; d_r is 0 without W_KR.
    """

    c: Tensor
    k_rope: Tensor


class LatentKV(NamedTuple):
    """Two projections through one latent space: W_K ≈ W_DKV W_UK and W_V ≈ W_DKV W_UV.

    Attributes
    ----------
    W_DKV, W_UK, W_UV : Tensor, shapes (width, rank), (rank, keys), (rank, values)
    """

    W_DKV: Tensor
    W_UK: Tensor
    W_UV: Tensor


def latent_cache(x: Tensor, weights: LatentWeights, *, before: LatentCache | None = None) -> LatentCache:
    """Return what latent attention keeps of the tokens x, after what it has kept of those before.

    Parameters
    ----------
    x : Tensor, shape (…, T, width)
    weights : LatentWeights
    before : LatentCache, optional
        The cache of the S tokens before x.

    Returns
    -------
    LatentCache
        Of S + T tokens.

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit.

    Examples
    --------
    >>> W = torch.ones(6, 2)
    >>> weights = LatentWeights(W, W.T, W.T, W @ W.T, torch.eye(6))
    >>> cache = latent_cache(torch.ones(5, 6), weights)
    >>> latent_cache(torch.ones(1, 6), weights, before=cache).c.shape
    torch.Size([6, 2])
    """
    _check_latent(x, weights, None)
    _check_cache(before, "before")
    start = 0 if before is None else before.c.shape[-2]
    c = x @ weights.W_DKV
    k_rope = x[..., :0] if weights.W_KR is None else rotate(x @ weights.W_KR, start=start)
    if before is None:
        return LatentCache(c, k_rope)
    if before.c.shape[-1] != c.shape[-1] or before.k_rope.shape[-1] != k_rope.shape[-1]:
        raise _checks.invalid(
            f"before must hold {c.shape[-1]} + {k_rope.shape[-1]} numbers a token; got "
            f"{before.c.shape[-1]} + {before.k_rope.shape[-1]}. Make it with the same weights."
        )
    return LatentCache(torch.cat([before.c, c], dim=-2), torch.cat([before.k_rope, k_rope], dim=-2))


def latent_attention(
    x: Tensor,
    weights: LatentWeights,
    *,
    heads: int,
    form: Form = "explicit",
    cache: LatentCache | None = None,
) -> Tensor:
    """Return causal multi-head latent attention (MLA).

    The explicit form makes every head's keys c W_UK and values c W_UV. The absorbed one moves W_UK to the queries and
    W_UV behind the sum, by associativity alone: it is multi-query attention whose one key is [c, k_rope] and whose
    value is c. The outputs are equal but for rounding; DeepSeek's norms of x W_DQ and x W_DKV are left out.

    Parameters
    ----------
    x : Tensor, shape (…, T, width)
    weights : LatentWeights
    heads : int
        H.
    form : {"explicit", "absorbed"}
    cache : LatentCache, optional
        Of all tokens up to the last of x, those of x included; by default x are all tokens.

    Returns
    -------
    Tensor, shape (…, T, width)

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit.

    References
    ----------
    DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, section 2.1 and appendix C.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> shapes = [(8, 3), (3, 8), (3, 8), (8, 8), (8, 8), (8, 2), (8, 4)]  # 2 heads, d_c = 3, d_r = 2
    >>> weights = LatentWeights(*(torch.randn(s, generator=rng, dtype=torch.float64) for s in shapes))
    >>> x = torch.randn(5, 8, generator=rng, dtype=torch.float64)
    >>> explicit = latent_attention(x, weights, heads=2)
    >>> bool(torch.allclose(explicit, latent_attention(x, weights, heads=2, form="absorbed")))
    True
    """
    heads = _checks.integer(heads, 1, None, "heads")
    _checks.choice(form, get_args(Form), "form")
    _check_latent(x, weights, heads)
    _check_cache(cache, "cache")
    c, k_rope = cache = latent_cache(x, weights) if cache is None else cache
    if c.shape[-2] < x.shape[-2]:
        raise _checks.invalid(
            f"cache must hold the tokens of x too; got {c.shape[-2]} tokens for {x.shape[-2]}. "
            "Pass latent_cache(x, weights, before=cache)."
        )
    asking = x if weights.W_DQ is None else x @ weights.W_DQ
    q = _split(asking @ weights.W_Q, heads)
    d_r = k_rope.shape[-1]
    if weights.W_QR is None:
        q_rope = q[..., :0]
    else:
        q_rope = rotate(_split(asking @ weights.W_QR, heads), start=c.shape[-2] - x.shape[-2])
    scale = (q.shape[-1] + d_r) ** -0.5
    W_UV = weights.W_UV.reshape(len(weights.W_UV), heads, -1).transpose(0, 1)  # (heads, d_c, d_v)
    if form == "explicit":
        k = torch.cat([_split(c @ weights.W_UK, heads), _shared(k_rope, heads)], dim=-1)
        mixed = _attend(torch.cat([q, q_rope], dim=-1), k, _split(c @ weights.W_UV, heads), True, scale)
    else:
        W_UK = weights.W_UK.reshape(len(weights.W_UK), heads, -1).transpose(0, 1)  # (heads, d_c, d_h)
        q = torch.cat([q @ W_UK.transpose(-1, -2), q_rope], dim=-1)
        mixed = _attend(q, _shared(torch.cat(cache, dim=-1), 1), _shared(c, 1), True, scale) @ W_UV
    return _join(mixed) @ weights.W_O


def compress_kv(W_K: Tensor, W_V: Tensor, rank: int, *, X: Tensor | None = None) -> LatentKV:
    """Return the closest projections of keys and values through one latent space.

    With W = [W_K W_V] and V_r the first r right singular vectors of W, or of X W, the factors are W V_r and V_rᵀ.
    They minimise ‖W − W_DKV [W_UK W_UV]‖_F, or ‖X W − X W_DKV [W_UK W_UV]‖_F, over all factors of this rank
    (chapter 14).

    Parameters
    ----------
    W_K, W_V : Tensor, shapes (width, keys) and (width, values)
        All heads side by side; for a ``torch.nn.Linear`` pass ``weight.T``.
    rank : int
        d_c, the numbers kept for a token: at most min(width, keys + values), and at most the rows of X.
    X : Tensor, shape (tokens, width), optional
        Inputs of the layer; with them the error counts where the inputs are.

    Returns
    -------
    LatentKV
        In the dtype of W_K, computed in float64. The columns of [W_UK W_UV]ᵀ are orthonormal.

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit, the rank is out of bounds, an entry is not finite, or W_DKV is out of the dtype's range.

    Examples
    --------
    >>> W_K, W_V = torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]])  # [W_K W_V] has rank 1
    >>> W_DKV, W_UK, W_UV = compress_kv(W_K, W_V, 1)
    >>> bool(torch.allclose(W_DKV @ W_UK, W_K) and torch.allclose(W_DKV @ W_UV, W_V))
    True
    """
    for name, W in (("W_K", W_K), ("W_V", W_V)):
        _check_tensor(W, 2, name, exactly=True)
        _check_finite(W, name)
    if W_K.shape[0] != W_V.shape[0]:
        raise _checks.invalid(
            f"W_K and W_V must read the same inputs; got shapes {tuple(W_K.shape)} and "
            f"{tuple(W_V.shape)}. The weight of an nn.Linear is (out, in): pass weight.T."
        )
    W, k = _unit(torch.cat([W_K, W_V], dim=1))
    outputs = W
    if X is not None:
        _check_tensor(X, 2, "X", exactly=True)
        _check_finite(X, "X")
        if X.shape[1] != W.shape[0]:
            raise _checks.invalid(
                f"X must have {W.shape[0]} columns, one for each row of W_K; got shape {tuple(X.shape)}. "
                "Its rows are tokens."
            )
        outputs = _unit(X)[0] @ W
    most = min(*W.shape, *outputs.shape)
    limit = "min(width, keys + values)" if X is None else "min(width, keys + values, rows of X)"
    rank = _checks.integer(rank, 1, most, "rank", limit=limit)
    V = torch.linalg.svd(outputs, full_matrices=False).Vh[:rank].T
    up, down = V.T.to(W_K.dtype), _times_power(W @ V, k).to(W_K.dtype)
    if not bool(down.isfinite().all()):
        raise _checks.invalid(
            f"W_DKV must be within the range of {W_K.dtype}; it has entries above "
            f"{torch.finfo(W_K.dtype).max:.1e}. Divide W_K and W_V by their largest entry first."
        )
    return LatentKV(down, up[:, : W_K.shape[1]], up[:, W_K.shape[1] :])


def _unit(W: Tensor) -> tuple[Tensor, int]:
    """W · 2⁻ᵏ of a size of about 1 in float64, and k: so that products and squares are within its range."""
    k = math.frexp(float(W.detach().abs().max()))[1]
    return _times_power(W.double(), -k), k


def _times_power(W: Tensor, k: int) -> Tensor:
    half = k // 2  # 2ᵏ itself may be out of range where W · 2ᵏ is not
    return W * 2.0**half * 2.0 ** (k - half)


def _check_cache(cache: object, name: str) -> None:
    """Refuse what is neither a cache nor None."""
    if cache is not None and not isinstance(cache, LatentCache):
        raise _checks.mistyped(
            f"{name} must be a LatentCache; got {type(cache).__name__}. Pass what latent_cache returned."
        )


def _check_latent(x: Tensor, weights: LatentWeights, heads: int | None) -> None:
    """Refuse weights of latent attention that do not fit together, or not to x; None where heads do not matter."""
    _check_tensor(x, 2, "x")
    if not isinstance(weights, LatentWeights):
        raise _checks.mistyped(
            f"weights must be LatentWeights; got {type(weights).__name__}. "
            "Make them with LatentWeights(W_DKV=…, W_UK=…, …)."
        )
    width, w = x.shape[-1], weights
    _check_weight(w.W_DKV, width, 1, "W_DKV")
    _check_weight(w.W_UK, w.W_DKV.shape[1], heads or 1, "W_UK")
    _check_weight(w.W_UV, w.W_DKV.shape[1], heads or 1, "W_UV")
    if w.W_DQ is not None:
        _check_weight(w.W_DQ, width, 1, "W_DQ")
    asking = width if w.W_DQ is None else w.W_DQ.shape[1]
    _check_weight(w.W_Q, asking, heads or 1, "W_Q")
    if w.W_Q.shape[1] != w.W_UK.shape[1]:
        raise _checks.invalid(
            f"W_Q must have as many columns as W_UK, {w.W_UK.shape[1]}; got {w.W_Q.shape[1]}. "
            "A query meets keys of its width."
        )
    if (w.W_KR is None) != (w.W_QR is None):
        raise _checks.invalid(
            "W_KR and W_QR must both be there or both be None; got one. A rotated query needs its key."
        )
    if w.W_KR is not None and w.W_QR is not None:
        _check_weight(w.W_KR, width, 1, "W_KR")
        _check_weight(w.W_QR, asking, heads or 1, "W_QR")
        if heads is not None and w.W_QR.shape[1] != heads * w.W_KR.shape[1]:
            raise _checks.invalid(
                f"W_QR must have heads times the columns of W_KR, {heads * w.W_KR.shape[1]}; got "
                f"{w.W_QR.shape[1]}. All heads share one rotated key."
            )
    _check_weight(w.W_O, w.W_UV.shape[1], 1, "W_O")
