"""What attention refuses."""

import re

import pytest

from lowrank_helpers.attention import (
    LatentCache,
    attention,
    compress_kv,
    latent_attention,
    latent_cache,
    multi_head_attention,
    rotate,
)
from lowrank_helpers.costs import kv_cache_bytes, kv_cache_elements, latent_cache_elements
from tests.package.attention._weights import draw, make

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
