"""Attention small enough to read: heads that share keys and values, and multi-head latent attention in both its forms.

Tokens are rows: x is (…, tokens, width), and a projection is ``x @ W`` with W of shape (in, out), the transpose of a
``torch.nn.Linear``'s weight. Heads stand side by side in the columns of W_Q, W_K, W_V and in the rows of W_O.
"""

import math
from typing import Literal, NamedTuple, get_args

from lowrank_helpers import _checks, _extra

try:
    import torch
    from torch import Tensor
except ModuleNotFoundError as error:
    raise _extra.advice(error, __name__) from None

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


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = True, scale: float | None = None) -> Tensor:
    """Return softmax(scale q kᵀ) v for each head; several query heads may share a head of keys and values.

    Parameters
    ----------
    q : Tensor, shape (…, H, T, d_k)
        Queries, those of the last T of S tokens.
    k, v : Tensor, shapes (…, G, S, d_k) and (…, G, S, d_v)
        Keys and values, G dividing H: query head h reads head h // (H / G). G = H is multi-head, G = 1 multi-query,
        anything between grouped-query attention.
    causal : bool, default True
        Whether a token sees only itself and those before it.
    scale : float, optional
        By default 1/√d_k.

    Returns
    -------
    Tensor, shape (…, H, T, d_v)

    Raises
    ------
    TypeError, ValueError
        An argument is no tensor of floats, or the shapes do not fit.

    References
    ----------
    Vaswani et al. 2017, "Attention is all you need", equation 1; Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023,
    arXiv:2305.13245.

    Examples
    --------
    >>> q, k = torch.zeros(1, 3, 2), torch.ones(1, 3, 2)
    >>> attention(q, k, torch.tensor([[[0.0], [2.0], [4.0]]])).flatten().tolist()  # means of what is seen
    [0.0, 1.0, 2.0]
    """
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        _check_tensor(tensor, 3, "attention", name)
    if k.shape[-1] != q.shape[-1]:
        raise ValueError(
            f"attention: keys must be as wide as queries, {q.shape[-1]}; got {k.shape[-1]}. "
            "Give both a last axis of d_k numbers."
        )
    if k.shape[:-1] != v.shape[:-1]:
        raise ValueError(
            f"attention: k and v must agree but for their last axis; got {tuple(k.shape)} and {tuple(v.shape)}. "
            "Each key needs its value."
        )
    if q.shape[-3] % k.shape[-3]:
        raise ValueError(
            f"attention: heads of q must be a multiple of those of k; got {q.shape[-3]} and {k.shape[-3]}. "
            "Each head of keys serves equally many heads of queries."
        )
    if q.shape[-2] > k.shape[-2]:
        raise ValueError(
            f"attention: there must be a key for each query; got {q.shape[-2]} queries and {k.shape[-2]} keys. "
            "Queries are those of the last tokens."
        )
    factor = q.shape[-1] ** -0.5 if scale is None else _checks.number(scale, "attention", "scale", above=0.0)
    return _attend(q, k, v, _checks.flag(causal, "attention", "causal"), factor)


def _attend(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
    shared = q.shape[-3] // k.shape[-3]
    k, v = k.repeat_interleave(shared, dim=-3), v.repeat_interleave(shared, dim=-3)
    logits = scale * q @ k.transpose(-1, -2)
    if causal:
        T, S = logits.shape[-2:]
        seen = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
        logits = logits.masked_fill(~seen, -torch.inf)
    return logits.softmax(-1) @ v


def multi_head_attention(
    x: Tensor,
    W_Q: Tensor,
    W_K: Tensor,
    W_V: Tensor,
    W_O: Tensor,
    *,
    heads: int,
    kv_heads: int | None = None,
    rotary: bool = False,
    causal: bool = True,
) -> Tensor:
    """Return multi-head attention; with fewer heads of keys and values it is grouped-query, with one multi-query.

    Parameters
    ----------
    x : Tensor, shape (…, T, width)
    W_Q : Tensor, shape (width, heads d_k)
    W_K, W_V : Tensor, shapes (width, kv_heads d_k) and (width, kv_heads d_v)
    W_O : Tensor, shape (heads d_v, width)
    heads : int
    kv_heads : int, optional
        A divisor of ``heads``; by default ``heads``.
    rotary : bool, default False
        Whether to `rotate` queries and keys.
    causal : bool, default True

    Returns
    -------
    Tensor, shape (…, T, width)

    Raises
    ------
    TypeError, ValueError
        The shapes do not fit.

    Examples
    --------
    >>> x, W = torch.ones(5, 8), torch.eye(8)
    >>> multi_head_attention(x, W, W, W, W, heads=2).shape
    torch.Size([5, 8])
    >>> multi_head_attention(x, W, W[:, :4], W[:, :4], W, heads=2, kv_heads=1).shape
    torch.Size([5, 8])
    """
    function = "multi_head_attention"
    _check_tensor(x, 2, function, "x")
    heads = _checks.integer(heads, 1, None, function, "heads")
    groups = heads if kv_heads is None else _checks.integer(kv_heads, 1, heads, function, "kv_heads", limit="heads")
    if heads % groups:
        raise ValueError(f"{function}: kv_heads must divide heads = {heads}; got {groups}. Take a divisor.")
    width = x.shape[-1]
    _check_weight(W_Q, width, heads, function, "W_Q")
    _check_weight(W_K, width, groups, function, "W_K")
    _check_weight(W_V, width, groups, function, "W_V")
    if W_Q.shape[1] // heads != W_K.shape[1] // groups:
        raise ValueError(
            f"{function}: heads of W_Q and W_K must be equally wide; got {W_Q.shape[1]} columns for {heads} heads and "
            f"{W_K.shape[1]} for {groups}. Check kv_heads."
        )
    _check_weight(W_O, W_V.shape[1] // groups * heads, 1, function, "W_O")
    q, k, v = _split(x @ W_Q, heads), _split(x @ W_K, groups), _split(x @ W_V, groups)
    if _checks.flag(rotary, function, "rotary"):
        q, k = rotate(q), rotate(k)
    return _join(_attend(q, k, v, _checks.flag(causal, function, "causal"), q.shape[-1] ** -0.5)) @ W_O


def rotate(x: Tensor, *, start: int = 0) -> Tensor:
    """Turn the pairs (x_i, x_{i+d/2}) of the token at position t by the angle t / 10000^(2i/d), as RoPE does.

    Parameters
    ----------
    x : Tensor, shape (…, T, d)
        With d even.
    start : int, default 0
        Position of the first token.

    Returns
    -------
    Tensor, shape (…, T, d)

    Raises
    ------
    TypeError, ValueError
        x is no tensor of floats, d is odd, or start negative.

    References
    ----------
    Su et al. 2021, arXiv:2104.09864, section 3.2.2; the pairs are Llama's.

    Examples
    --------
    >>> turned = rotate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    >>> turned.round(decimals=3).tolist()
    [[1.0, 0.0], [0.5400000214576721, 0.8410000205039978]]
    """
    _check_tensor(x, 2, "rotate", "x")
    if x.shape[-1] % 2:
        raise ValueError(f"rotate: x must have an even last axis; got {x.shape[-1]}. Rotations turn pairs.")
    start = _checks.integer(start, 0, None, "rotate", "start")
    return _turned(x, start)


def _turned(x: Tensor, start: int = 0) -> Tensor:
    """Do what `rotate` says, without its checks: for models, which call it in every layer."""
    T, half = x.shape[-2], x.shape[-1] // 2
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    rates = 10000.0 ** -(torch.arange(half, device=x.device, dtype=wide) / max(half, 1))
    angles = torch.outer(torch.arange(start, start + T, device=x.device, dtype=wide), rates)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


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
    _check_latent(x, weights, 1, "latent_cache")
    _check_cache(before, "latent_cache", "before")
    start = 0 if before is None else before.c.shape[-2]
    c = x @ weights.W_DKV
    k_rope = x[..., :0] if weights.W_KR is None else rotate(x @ weights.W_KR, start=start)
    if before is None:
        return LatentCache(c, k_rope)
    if before.c.shape[-1] != c.shape[-1] or before.k_rope.shape[-1] != k_rope.shape[-1]:
        raise ValueError(
            f"latent_cache: before must hold {c.shape[-1]} + {k_rope.shape[-1]} numbers a token; got "
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
    heads = _checks.integer(heads, 1, None, "latent_attention", "heads")
    _checks.choice(form, get_args(Form), "latent_attention", "form")
    _check_latent(x, weights, heads, "latent_attention")
    _check_cache(cache, "latent_attention", "cache")
    c, k_rope = cache = latent_cache(x, weights) if cache is None else cache
    if c.shape[-2] < x.shape[-2]:
        raise ValueError(
            f"latent_attention: cache must hold the tokens of x too; got {c.shape[-2]} tokens for {x.shape[-2]}. "
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
        _check_tensor(W, 2, "compress_kv", name, exactly=True)
        _check_finite(W, "compress_kv", name)
    if W_K.shape[0] != W_V.shape[0]:
        raise ValueError(
            f"compress_kv: W_K and W_V must read the same inputs; got shapes {tuple(W_K.shape)} and "
            f"{tuple(W_V.shape)}. The weight of an nn.Linear is (out, in): pass weight.T."
        )
    W, k = _unit(torch.cat([W_K, W_V], dim=1))
    outputs = W
    if X is not None:
        _check_tensor(X, 2, "compress_kv", "X", exactly=True)
        _check_finite(X, "compress_kv", "X")
        if X.shape[1] != W.shape[0]:
            raise ValueError(
                f"compress_kv: X must have {W.shape[0]} columns, one for each row of W_K; got shape {tuple(X.shape)}. "
                "Its rows are tokens."
            )
        outputs = _unit(X)[0] @ W
    most = min(*W.shape, *outputs.shape)
    limit = "min(width, keys + values)" if X is None else "min(width, keys + values, rows of X)"
    rank = _checks.integer(rank, 1, most, "compress_kv", "rank", limit=limit)
    V = torch.linalg.svd(outputs, full_matrices=False).Vh[:rank].T
    up, down = V.T.to(W_K.dtype), _times_power(W @ V, k).to(W_K.dtype)
    if not bool(down.isfinite().all()):
        raise ValueError(
            f"compress_kv: W_DKV must be within the range of {W_K.dtype}; it has entries above "
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


def kv_cache_elements(kv_heads: int, head_dim: int) -> int:
    """Return the numbers kept for a token in a layer: a key and a value for each of the KV heads.

    Parameters
    ----------
    kv_heads, head_dim : int
        Heads of keys and values (of queries there may be more), and the width of one.

    Returns
    -------
    int
        2 kv_heads head_dim.

    Raises
    ------
    TypeError, ValueError
        A size is no whole number ≥ 1.

    Examples
    --------
    >>> kv_cache_elements(8, 128)
    2048
    """
    function = "kv_cache_elements"
    heads = _checks.integer(kv_heads, 1, None, function, "kv_heads")
    return 2 * heads * _checks.integer(head_dim, 1, None, function, "head_dim")


def latent_cache_elements(latent_dim: int, rope_dim: int = 0) -> int:
    """Return the numbers that latent attention keeps for a token in a layer: d_c + d_r.

    Parameters
    ----------
    latent_dim, rope_dim : int
        d_c, and d_r of the decoupled key.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        A size is no whole number in its range.

    Examples
    --------
    >>> latent_cache_elements(512, 64)
    576
    """
    function = "latent_cache_elements"
    latent = _checks.integer(latent_dim, 1, None, function, "latent_dim")
    return latent + _checks.integer(rope_dim, 0, None, function, "rope_dim")


def kv_cache_bytes(elements: int, layers: int, *, tokens: int = 1, bits: int = 16) -> float:
    """Return the bytes of a cache.

    Parameters
    ----------
    elements : int
        Numbers for a token in a layer: of `kv_cache_elements` or `latent_cache_elements`.
    layers, tokens : int
        Layers that keep them, and tokens.
    bits : int, default 16
        Of one number.

    Returns
    -------
    float
        elements · layers · tokens · bits / 8.

    Raises
    ------
    TypeError, ValueError
        An argument is no whole number ≥ 1.

    Examples
    --------
    >>> kv_cache_bytes(kv_cache_elements(32, 128), 32)  # Llama 2 7B
    524288.0
    """
    sizes = {"elements": elements, "layers": layers, "tokens": tokens, "bits": bits}
    product = 1
    for name, size in sizes.items():
        product *= _checks.integer(size, 1, None, "kv_cache_bytes", name)
    return product / 8


def _split(x: Tensor, heads: int) -> Tensor:
    """(…, tokens, heads d) as (…, heads, tokens, d)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-2, -3)


def _join(x: Tensor) -> Tensor:
    """(…, heads, tokens, d) as (…, tokens, heads d)."""
    return x.transpose(-2, -3).flatten(-2)


def _shared(x: Tensor, heads: int) -> Tensor:
    """(…, tokens, d) as (…, heads, tokens, d), the same for each head."""
    return x.unsqueeze(-3).expand(*x.shape[:-2], heads, *x.shape[-2:])


def _check_tensor(value: object, least: int, function: str, name: str, *, exactly: bool = False) -> None:
    """Refuse what is no tensor of floats with as many dimensions."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        came = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(
            f"{function}: {name} must be a tensor of floats; got {came}. Pass torch.as_tensor({name}, dtype=…)."
        )
    if value.ndim < least or (exactly and value.ndim > least):
        raise ValueError(
            f"{function}: {name} must have {'' if exactly else 'at least '}{least} dimensions; got shape "
            f"{tuple(value.shape)}. The last two are tokens and features, or in and out."
        )


def _check_finite(value: Tensor, function: str, name: str) -> None:
    """Refuse NaN and infinite entries, of which LAPACK makes no sense."""
    if not bool(torch.isfinite(value).all()):
        raise ValueError(
            f"{function}: {name} must be finite; got NaN or infinite entries. Look for an overflow where it was made."
        )


def _check_weight(W: object, rows: int, heads: int, function: str, name: str) -> None:
    """Refuse a projection that does not take ``rows`` numbers, or whose columns do not split into the heads."""
    _check_tensor(W, 2, function, name, exactly=True)
    assert isinstance(W, Tensor)
    if W.shape[0] != rows:
        raise ValueError(
            f"{function}: {name} must have {rows} rows, one for each number that it reads; got shape {tuple(W.shape)}. "
            "The weight of an nn.Linear is (out, in): pass weight.T."
        )
    if W.shape[1] % heads:
        raise ValueError(
            f"{function}: the columns of {name} must split into {heads} heads; got shape {tuple(W.shape)}. "
            "Heads stand side by side, equally wide."
        )


def _check_cache(cache: object, function: str, name: str) -> None:
    """Refuse what is neither a cache nor None."""
    if cache is not None and not isinstance(cache, LatentCache):
        raise TypeError(
            f"{function}: {name} must be a LatentCache; got {type(cache).__name__}. Pass what latent_cache returned."
        )


def _check_latent(x: Tensor, weights: LatentWeights, heads: int, function: str) -> None:
    """Refuse weights of latent attention that do not fit together, or not to x."""
    _check_tensor(x, 2, function, "x")
    if not isinstance(weights, LatentWeights):
        raise TypeError(
            f"{function}: weights must be LatentWeights; got {type(weights).__name__}. "
            "Make them with LatentWeights(W_DKV=…, W_UK=…, …)."
        )
    width, w = x.shape[-1], weights
    _check_weight(w.W_DKV, width, 1, function, "W_DKV")
    _check_weight(w.W_UK, w.W_DKV.shape[1], heads, function, "W_UK")
    _check_weight(w.W_UV, w.W_DKV.shape[1], heads, function, "W_UV")
    if w.W_DQ is not None:
        _check_weight(w.W_DQ, width, 1, function, "W_DQ")
    asking = width if w.W_DQ is None else w.W_DQ.shape[1]
    _check_weight(w.W_Q, asking, heads, function, "W_Q")
    if w.W_Q.shape[1] != w.W_UK.shape[1]:
        raise ValueError(
            f"{function}: W_Q must have as many columns as W_UK, {w.W_UK.shape[1]}; got {w.W_Q.shape[1]}. "
            "A query meets keys of its width."
        )
    if (w.W_KR is None) != (w.W_QR is None):
        raise ValueError(
            f"{function}: W_KR and W_QR must both be there or both be None; got one. A rotated query needs its key."
        )
    if w.W_KR is not None and w.W_QR is not None:
        _check_weight(w.W_KR, width, 1, function, "W_KR")
        _check_weight(w.W_QR, asking, heads, function, "W_QR")
        if w.W_QR.shape[1] != heads * w.W_KR.shape[1] and function != "latent_cache":
            raise ValueError(
                f"{function}: W_QR must have heads times the columns of W_KR, {heads * w.W_KR.shape[1]}; got "
                f"{w.W_QR.shape[1]}. All heads share one rotated key."
            )
    _check_weight(w.W_O, w.W_UV.shape[1], 1, function, "W_O")
