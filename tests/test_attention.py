"""Attention and latent attention: torch and the GPT as oracles, shapes at random, a message for each misuse."""

import itertools
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers.attention import (
    LatentCache,
    LatentWeights,
    attention,
    compress_kv,
    kv_cache_bytes,
    kv_cache_elements,
    latent_attention,
    latent_cache,
    latent_cache_elements,
    multi_head_attention,
    rotate,
)
from lowrank_helpers.svd import tail_error
from lowrank_helpers.training import GPT, GPTConfig
from tests._matrices import PROPERTY, cases, tolerance
from tests.margins import close, within


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def make(heads=3, width=12, d_c=5, d_h=4, d_v=4, d_r=0, d_q=None, *, dtype=torch.float64, seed=0):
    """Weights of latent attention with these sizes."""
    asking = d_q or width
    shapes = {
        "W_DKV": (width, d_c),
        "W_UK": (d_c, heads * d_h),
        "W_UV": (d_c, heads * d_v),
        "W_Q": (asking, heads * d_h),
        "W_O": (heads * d_v, width),
    }
    if d_r:
        shapes |= {"W_KR": (width, d_r), "W_QR": (asking, heads * d_r)}
    if d_q:
        shapes["W_DQ"] = (width, d_q)
    return LatentWeights(
        **{
            name: draw(*shape, seed=seed + i, dtype=dtype) / shape[0] ** 0.5
            for i, (name, shape) in enumerate(shapes.items())
        }
    )


def near(a, b, factor=100.0):
    """Equal but for a few roundings in the dtype of a, at the size of b."""
    return close(a, b, atol=factor * torch.finfo(a.dtype).eps * max(1.0, float(b.abs().max())))


# -------------------------------------------------------------------------------------------- oracles: torch, the GPT


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention_is_torchs(groups, causal, dtype):
    q, k, v = draw(2, 4, 7, 6, dtype=dtype), draw(2, groups, 7, 6, seed=1, dtype=dtype), draw(2, groups, 7, 3, seed=2)
    v = v.to(dtype)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    assert near(attention(q, k, v, causal=causal), expected)
    assert near(
        attention(q, k, v, causal=causal, scale=0.3),
        F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True, scale=0.3),
    )


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_multi_head_attention_is_the_gpts(positions):
    layer = GPT(GPTConfig(width=32, heads=4, layers=1, positions=positions)).double().blocks[0].attention
    x = draw(2, 9, 32)
    W = [p.weight.detach().T for p in (layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj)]
    with torch.no_grad():
        expected = layer(x)
    found = multi_head_attention(x, *W, heads=4, rotary=positions == "rotary")
    assert close(found, expected, atol=1e-5 if positions == "rotary" else 1e-13)  # its angles are float32


def test_grouped_queries_are_multi_head_attention_with_repeated_projections():
    x, W_Q, W_O = draw(5, 8), draw(8, 12, seed=1), draw(12, 8, seed=2)
    W_K, W_V = draw(8, 6, seed=3), draw(8, 6, seed=4)
    repeated = [torch.cat([W[:, :3], W[:, :3], W[:, 3:], W[:, 3:]], dim=1) for W in (W_K, W_V)]
    grouped = multi_head_attention(x, W_Q, W_K, W_V, W_O, heads=4, kv_heads=2)
    assert near(grouped, multi_head_attention(x, W_Q, *repeated, W_O, heads=4))
    other_order = [torch.cat([W, W], dim=1) for W in (W_K, W_V)]  # head h reads h mod G: another layout
    assert not near(grouped, multi_head_attention(x, W_Q, *other_order, W_O, heads=4), 1e6)


def test_rotations_see_distances_alone_and_keep_lengths():
    q, k = draw(1, 8), draw(1, 8, seed=1)
    products = {
        (t, s): float(rotate(q, start=t) @ rotate(k, start=s).T) for t, s in itertools.product((0, 3, 10), (0, 3, 10))
    }
    assert close(products[3, 0], float(rotate(q, start=7) @ rotate(k, start=4).T), atol=1e-13)
    assert not close(products[3, 0], products[10, 0], atol=1e-3)
    assert near(rotate(draw(5, 8)).norm(dim=1), draw(5, 8).norm(dim=1))
    assert near(rotate(draw(9, 4))[4:], rotate(draw(9, 4)[4:], start=4))


# ----------------------------------------------------------------------------------------------- the two forms of MLA


@PROPERTY
@given(
    st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2),
    st.sampled_from([None, 3]), st.sampled_from([torch.float64, torch.float32]), st.integers(1, 6),
)  # fmt: skip
def test_explicit_and_absorbed_are_equal(heads, d_c, d_h, d_v, half, d_q, dtype, tokens):
    weights = make(heads, 6, d_c, d_h, d_v, 2 * half, d_q, dtype=dtype)
    x = draw(2, tokens, 6, dtype=dtype)
    assert near(
        latent_attention(x, weights, heads=heads, form="absorbed"), latent_attention(x, weights, heads=heads), 1000
    )


def test_explicit_latent_attention_is_multi_head_attention_through_the_factors():
    weights, x = make(), draw(2, 7, 12)
    W_K, W_V = weights.W_DKV @ weights.W_UK, weights.W_DKV @ weights.W_UV
    expected = multi_head_attention(x, weights.W_Q, W_K, W_V, weights.W_O, heads=3)
    assert near(latent_attention(x, weights, heads=3), expected)


def test_rotated_keys_would_not_be_absorbed():
    """The negative control: rotate what goes through the latent vector, and the two forms part."""
    weights, x = make(heads=1), draw(7, 12)
    W_K, W_V = weights.W_DKV @ weights.W_UK, weights.W_DKV @ weights.W_UV
    rotated = multi_head_attention(x, weights.W_Q, W_K, W_V, weights.W_O, heads=1, rotary=True)
    assert not near(rotated, latent_attention(x, weights, heads=1, form="absorbed"), 1e6)


@pytest.mark.parametrize("form", ["explicit", "absorbed"])
def test_one_token_at_a_time_is_all_at_once(form):
    weights, x = make(d_r=2, d_q=5), draw(2, 6, 12)
    cache = latent_cache(x[:, :3], weights)
    parts = [latent_attention(x[:, :3], weights, heads=3, form=form, cache=cache)]
    for t in range(3, 6):
        cache = latent_cache(x[:, t : t + 1], weights, before=cache)
        parts.append(latent_attention(x[:, t : t + 1], weights, heads=3, form=form, cache=cache))
    assert near(torch.cat(parts, dim=1), latent_attention(x, weights, heads=3), 1000)
    assert cache.c.shape == (2, 6, 5) and cache.k_rope.shape == (2, 6, 2)


def test_gradients_go_through_both_forms():
    x, grads = draw(4, 12), []
    for form in ("explicit", "absorbed"):
        weights = LatentWeights(*(None if W is None else W.clone().requires_grad_() for W in make(d_r=2)))
        latent_attention(x, weights, heads=3, form=form).square().sum().backward()
        grads.append(weights.W_UK.grad)
    assert near(*grads, 1e4)


# -------------------------------------------------------------------------------------- one space for keys and values


@PROPERTY
@given(cases(largest=8), st.integers(1, 7), st.data())
def test_the_error_of_compression_is_the_tail(case, columns, data):
    columns = min(columns, case.A.shape[1])
    W = torch.from_numpy(case.A)
    W_K, W_V = W[:, :columns], W[:, columns:]
    rank = data.draw(st.integers(1, min(W.shape)))
    D, UK, UV = compress_kv(W_K, W_V, rank)
    error = float(torch.linalg.norm(W - D @ torch.cat([UK, UV], dim=1)))
    assert D.dtype == W.dtype and UK.shape == (rank, columns)
    assert close(error, tail_error(case.s, rank), atol=tolerance(case.A, 100))


def test_inputs_decide_what_counts():
    W_K, W_V = draw(6, 4), draw(6, 5, seed=1)
    X = draw(30, 6, seed=2) * torch.tensor([10.0, 5, 1, 0.1, 0.01, 0.01])
    W = torch.cat([W_K, W_V], dim=1)

    def error(factors):
        return float((X @ W - X @ factors.W_DKV @ torch.cat(factors[1:], dim=1)).norm())

    weighted, plain = (compress_kv(W_K, W_V, 2, X=inputs) for inputs in (X, None))
    rounding = tolerance(X @ W)
    assert close(error(weighted), float(torch.linalg.svdvals(X @ W)[2:].norm()), atol=rounding)
    assert error(weighted) < 0.9 * error(plain)
    assert within(error(compress_kv(W_K, W_V, 6, X=X)), rounding)


# ---------------------------------------------------------------------------------------------------------- the cache


@pytest.mark.parametrize(
    ("elements", "layers", "expected"),
    [
        (kv_cache_elements(32, 128), 32, 512 * 1024),  # Llama 2 7B
        (kv_cache_elements(8, 128), 80, 320 * 1024),  # Llama 2 70B
        (latent_cache_elements(512, 64), 60, 69120),  # DeepSeek-V2
    ],
)
def test_bytes_of_published_models(elements, layers, expected):
    assert kv_cache_bytes(elements, layers) == expected
    assert kv_cache_bytes(elements, layers, tokens=3, bits=8) == 1.5 * expected


def test_the_cache_has_the_elements_that_are_counted():
    cache = latent_cache(draw(1, 12), make(d_r=2))
    assert sum(part.numel() for part in cache) == latent_cache_elements(5, 2)


# ------------------------------------------------------------------------------------------------------------- misuse


X, W = draw(5, 8), draw(8, 8)
HEAD = draw(2, 5, 4)
GOOD = make()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: attention(HEAD.numpy(), HEAD, HEAD), TypeError, "q must be a tensor of floats; got ndarray"),
        (lambda: attention(HEAD.long(), HEAD, HEAD), TypeError, "got a tensor of torch.int64"),
        (lambda: attention(X, HEAD, HEAD), ValueError, "q must have at least 3 dimensions; got shape (5, 8)"),
        (lambda: attention(HEAD, HEAD[..., :3], HEAD), ValueError, "keys must be as wide as queries, 4; got 3"),
        (lambda: attention(HEAD, HEAD, HEAD[:, :4]), ValueError, "k and v must agree but for their last axis"),
        (lambda: attention(draw(3, 5, 4), HEAD, HEAD), ValueError, "must be a multiple of those of k; got 3 and 2"),
        (lambda: attention(HEAD, HEAD[:, :4], HEAD[:, :4]), ValueError, "got 5 queries and 4 keys"),
        (lambda: attention(HEAD, HEAD, HEAD, causal=1), TypeError, "causal must be True or False"),
        (lambda: attention(HEAD, HEAD, HEAD, scale=0.0), ValueError, "scale must be finite and above 0"),
        (
            lambda: multi_head_attention(X, W, W, W, W, heads=3),
            ValueError,
            "the columns of W_Q must split into 3 heads",
        ),
        (lambda: multi_head_attention(X, W, W, W, W, heads=4, kv_heads=3), ValueError, "must divide heads = 4; got 3"),
        (lambda: multi_head_attention(X, W, W, W, W, heads=4, kv_heads=2), ValueError, "must be equally wide"),
        (lambda: multi_head_attention(X, W[:7], W, W, W, heads=2), ValueError, "W_Q must have 8 rows"),
        (lambda: multi_head_attention(X, W, W, W, W, heads=0), ValueError, "heads must be at least 1; got 0"),
        (lambda: rotate(X[:, :3]), ValueError, "rotate: x must have an even last axis; got 3"),
        (lambda: rotate(X, start=-1), ValueError, "start must be at least 0; got -1"),
        (lambda: latent_attention(draw(5, 12), tuple(GOOD), heads=3), TypeError, "must be LatentWeights; got tuple"),
        (lambda: latent_attention(draw(5, 12), GOOD, heads=5), ValueError, "must split into 5 heads"),
        (lambda: latent_attention(draw(5, 12), GOOD, heads=3, form="fast"), ValueError, "'explicit', 'absorbed'"),
        (lambda: latent_attention(draw(5, 9), GOOD, heads=3), ValueError, "W_DKV must have 9 rows"),
        (
            lambda: latent_attention(draw(5, 12), GOOD._replace(W_Q=draw(12, 6)), heads=3),
            ValueError,
            "W_Q must have as many columns as W_UK, 12; got 6",
        ),
        (
            lambda: latent_attention(draw(5, 12), GOOD._replace(W_KR=draw(12, 2)), heads=3),
            ValueError,
            "W_KR and W_QR must both be there",
        ),
        (
            lambda: latent_attention(draw(5, 12), make(d_r=2)._replace(W_QR=draw(12, 3)), heads=3),
            ValueError,
            "W_QR must have heads times the columns of W_KR, 6; got 3",
        ),
        (
            lambda: latent_attention(draw(5, 12), GOOD, heads=3, cache=latent_cache(draw(4, 12), GOOD)),
            ValueError,
            "cache must hold the tokens of x too; got 4 tokens for 5",
        ),
        (
            lambda: latent_cache(draw(5, 12), GOOD, before=LatentCache(draw(2, 4), draw(2, 0))),
            ValueError,
            "before must hold 5 + 0 numbers a token; got 4 + 0",
        ),
        (lambda: compress_kv(W, W[:7], 2), ValueError, "must read the same inputs"),
        (lambda: compress_kv(W, W, 9), ValueError, "between 1 and min(width, keys + values) = 8; got 9"),
        (lambda: compress_kv(W, W, 6, X=X), ValueError, "min(width, keys + values, rows of X) = 5; got 6"),
        (lambda: compress_kv(W, W, 2, X=X[:, :3]), ValueError, "X must have 8 columns"),
        (lambda: compress_kv(W[0], W, 2), ValueError, "W_K must have 2 dimensions; got shape (8,)"),
        (lambda: compress_kv(W, W * float("nan"), 2), ValueError, "W_V must be finite; got NaN or infinite entries."),
        (lambda: compress_kv(W, W, 2, X=X / 0.0), ValueError, "X must be finite; got NaN or infinite entries."),
        (lambda: kv_cache_elements(0, 128), ValueError, "kv_heads must be at least 1; got 0"),
        (lambda: latent_cache_elements(512, -1), ValueError, "rope_dim must be at least 0; got -1"),
        (lambda: kv_cache_bytes(576, 60, bits=4.5), TypeError, "bits must be an integer; got 4.5"),
    ],
)
def test_misuse_is_named(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()
