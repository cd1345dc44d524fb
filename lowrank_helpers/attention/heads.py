"""Scaled dot-product attention, heads that share keys and values, and rotary positions."""

import torch
from torch import Tensor

from lowrank_helpers import _checks


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
        _check_tensor(tensor, 3, name)
    if k.shape[-1] != q.shape[-1]:
        raise _checks.invalid(
            f"keys must be as wide as queries, {q.shape[-1]}; got {k.shape[-1]}. Give both a last axis of d_k numbers."
        )
    if k.shape[:-1] != v.shape[:-1]:
        raise _checks.invalid(
            f"k and v must agree but for their last axis; got {tuple(k.shape)} and {tuple(v.shape)}. "
            "Each key needs its value."
        )
    if q.shape[-3] % k.shape[-3]:
        raise _checks.invalid(
            f"heads of q must be a multiple of those of k; got {q.shape[-3]} and {k.shape[-3]}. "
            "Each head of keys serves equally many heads of queries."
        )
    if q.shape[-2] > k.shape[-2]:
        raise _checks.invalid(
            f"there must be a key for each query; got {q.shape[-2]} queries and {k.shape[-2]} keys. "
            "Queries are those of the last tokens."
        )
    factor = q.shape[-1] ** -0.5 if scale is None else _checks.number(scale, "scale", above=0.0)
    return _attend(q, k, v, _checks.flag(causal, "causal"), factor)


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
    _check_tensor(x, 2, "x")
    heads = _checks.integer(heads, 1, None, "heads")
    groups = heads if kv_heads is None else _checks.integer(kv_heads, 1, heads, "kv_heads", limit="heads")
    if heads % groups:
        raise _checks.invalid(f"kv_heads must divide heads = {heads}; got {groups}. Take a divisor.")
    width = x.shape[-1]
    _check_weight(W_Q, width, heads, "W_Q")
    _check_weight(W_K, width, groups, "W_K")
    _check_weight(W_V, width, groups, "W_V")
    if W_Q.shape[1] // heads != W_K.shape[1] // groups:
        raise _checks.invalid(
            f"heads of W_Q and W_K must be equally wide; got {W_Q.shape[1]} columns for {heads} heads and "
            f"{W_K.shape[1]} for {groups}. Check kv_heads."
        )
    _check_weight(W_O, W_V.shape[1] // groups * heads, 1, "W_O")
    q, k, v = _split(x @ W_Q, heads), _split(x @ W_K, groups), _split(x @ W_V, groups)
    if _checks.flag(rotary, "rotary"):
        q, k = rotate(q), rotate(k)
    return _join(_attend(q, k, v, _checks.flag(causal, "causal"), q.shape[-1] ** -0.5)) @ W_O


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
    _check_tensor(x, 2, "x")
    if x.shape[-1] % 2:
        raise _checks.invalid(f"x must have an even last axis; got {x.shape[-1]}. Rotations turn pairs.")
    start = _checks.integer(start, 0, None, "start")
    return rotated(x, start)


def rotated(x: Tensor, start: int = 0) -> Tensor:
    """Do what `rotate` says, without its checks: for models, which call it in every layer."""
    T, half = x.shape[-2], x.shape[-1] // 2
    wide = torch.float32 if x.device.type == "mps" else torch.float64
    rates = 10000.0 ** -(torch.arange(half, device=x.device, dtype=wide) / max(half, 1))
    angles = torch.outer(torch.arange(start, start + T, device=x.device, dtype=wide), rates)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _split(x: Tensor, heads: int) -> Tensor:
    """(…, tokens, heads d) as (…, heads, tokens, d)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-2, -3)


def _join(x: Tensor) -> Tensor:
    """(…, heads, tokens, d) as (…, tokens, heads d)."""
    return x.transpose(-2, -3).flatten(-2)


def _shared(x: Tensor, heads: int) -> Tensor:
    """(…, tokens, d) as (…, heads, tokens, d), the same for each head."""
    return x.unsqueeze(-3).expand(*x.shape[:-2], heads, *x.shape[-2:])


def _check_tensor(value: object, least: int, name: str, *, exactly: bool = False) -> None:
    """Refuse what is no tensor of floats with as many dimensions."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        came = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise _checks.mistyped(f"{name} must be a tensor of floats; got {came}. Pass torch.as_tensor({name}, dtype=…).")
    if value.ndim < least or (exactly and value.ndim > least):
        raise _checks.invalid(
            f"{name} must have {'' if exactly else 'at least '}{least} dimensions; got shape "
            f"{tuple(value.shape)}. The last two are tokens and features, or in and out."
        )


def _check_finite(value: Tensor, name: str) -> None:
    """Refuse NaN and infinite entries, of which LAPACK makes no sense."""
    if not bool(torch.isfinite(value).all()):
        raise _checks.invalid(
            f"{name} must be finite; got NaN or infinite entries. Look for an overflow where it was made."
        )


def _check_weight(W: object, rows: int, heads: int, name: str) -> None:
    """Refuse a projection that does not take ``rows`` numbers, or whose columns do not split into the heads."""
    _check_tensor(W, 2, name, exactly=True)
    assert isinstance(W, Tensor)
    if W.shape[0] != rows:
        raise _checks.invalid(
            f"{name} must have {rows} rows, one for each number that it reads; got shape {tuple(W.shape)}. "
            "The weight of an nn.Linear is (out, in): pass weight.T."
        )
    if W.shape[1] % heads:
        raise _checks.invalid(
            f"the columns of {name} must split into {heads} heads; got shape {tuple(W.shape)}. "
            "Heads stand side by side, equally wide."
        )
