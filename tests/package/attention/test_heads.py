"""Attention of heads against torch's and against the book's GPT."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from book.margins import close
from lowrank_helpers.attention import (
    attention,
    multi_head_attention,
    rotate,
)
from lowrank_helpers.training import GPT, GPTConfig
from tests.package.attention._weights import draw, near


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
