"""Latent attention: its two forms are one function; compression keeps what the inputs need."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.attention import (
    LatentWeights,
    compress_kv,
    latent_attention,
    latent_cache,
    multi_head_attention,
)
from lowrank_helpers.svd import tail_error
from tests.package._matrices import PROPERTY, cases, tolerance
from tests.package.attention._weights import draw, make, near


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
