"""Factors of weights: against whitening by scipy, random rivals, wrong variants, each misuse; the torch layer.

Weights in few bits: against codes that bitsandbytes made, the nearest level found one by one, and the bound.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers import costs
from lowrank_helpers.compression import LEVELS, activation_aware_factor, dequantise, factor_linear, quantise
from lowrank_helpers.costs import break_even_rank, layer_cost
from lowrank_helpers.svd import truncated_svd
from tests.package._matrices import PROPERTY, orthonormal, tolerance


def rng():
    return np.random.default_rng(15)


def error(W, Z, H):
    return np.linalg.norm(H @ (W - Z).T)


def product(factors):
    return factors.A @ factors.B


def least(W, H, r):
    """The least error, and the matrix of SVD-LLM: truncate W L, divide by L, with L from Cholesky."""
    L = scipy.linalg.cholesky(H.T @ H, lower=True)
    U, s, Vt = scipy.linalg.svd(W @ L, full_matrices=False)
    return np.linalg.norm(s[r:]), scipy.linalg.solve_triangular(
        L, ((U[:, :r] * s[:r]) @ Vt[:r]).T, trans=1, lower=True
    ).T


@pytest.mark.parametrize(("m", "n"), [(7, 4), (4, 7), (6, 6), (1, 5), (5, 1)])
@pytest.mark.parametrize("given_as", ["inputs", "gram"])
def test_agrees_with_whitening_by_cholesky(m, n, given_as):
    W, H = rng().standard_normal((m, n)), rng().standard_normal((50, n)) * np.geomspace(10, 0.1, n)
    for r in range(1, min(m, n) + 1):
        found = activation_aware_factor(W, r, **{given_as: H if given_as == "inputs" else H.T @ H})
        smallest, Z = least(W, H, r)
        assert close(product(found), Z, atol=1e-8)
        assert close(error(W, product(found), H), smallest, atol=1e-8)
        assert close(np.linalg.norm(found.s[r:]), smallest, atol=1e-8)
        assert orthonormal(found.A) and found.A.shape == (m, r) and found.B.shape == (r, n)


@PROPERTY
@given(
    m=st.integers(1, 8),
    n=st.integers(1, 8),
    count=st.integers(1, 20),
    rank=st.integers(1, 8),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_no_rival_is_better(m, n, count, rank, seed, dtype):
    generator, r = np.random.default_rng(seed), min(rank, m, n)
    W = generator.standard_normal((m, n)).astype(dtype)
    H = (generator.standard_normal((count, n)) * generator.choice([0.0, 1.0, 10.0], n)).astype(dtype)
    found = activation_aware_factor(W, r, inputs=H)
    Z, slack = product(found).astype(float), 1000 * np.finfo(dtype).eps * (1 + np.linalg.norm(H)) * np.linalg.norm(W)
    assert found.A.dtype == found.B.dtype == found.s.dtype == dtype
    s = np.linalg.svd(W.astype(float) @ H.T.astype(float), compute_uv=False)
    assert close(error(W, Z, H), np.linalg.norm(s[r:]), atol=slack)
    plain = truncated_svd(W.astype(float), r)
    rivals = [(plain.U * plain.s) @ plain.Vt, 0 * Z, Z + 1e-2 * np.outer(Z[:, 0], generator.standard_normal(n))]
    assert within([error(W, Z, H) - error(W, rival, H) for rival in rivals], slack)


def test_inputs_keep_digits_that_a_gram_matrix_loses():
    """A direction 10⁻¹⁰ as large as the largest is seen in the inputs, and drowned in X Xᵀ."""
    Q = np.linalg.qr(rng().standard_normal((3, 3)))[0]
    H = np.linalg.qr(rng().standard_normal((20, 3)))[0] * [1, 1e-4, 1e-10] @ Q.T
    s = activation_aware_factor(np.eye(3), 1, inputs=H).s
    assert close(s[2], 1e-10, rtol=1e-3)
    assert not close(activation_aware_factor(np.eye(3), 1, gram=H.T @ H).s[2], 1e-10, rtol=0.1)


def test_no_inputs_at_all_still_give_a_factor():
    W = rng().standard_normal((4, 3))
    for found in (
        activation_aware_factor(W, 2, inputs=np.zeros((5, 3))),
        activation_aware_factor(W, 2, gram=np.zeros((3, 3))),
    ):
        assert np.isfinite(product(found)).all() and not found.s.any()


def test_plain_and_diagonal_are_told_apart():
    """The example of the chapter: 1 against 0.318."""
    W, G = np.diag([1.0, 1.01]), np.array([[1.0, 0.9], [0.9, 1.0]])
    H, plain = np.linalg.cholesky(G).T, np.diag([0.0, 1.01])
    assert close(error(W, plain, H), 1.0, atol=1e-14)
    least = math.sqrt((2.0201 - math.hypot(0.0201, 1.818)) / 2)  # the root of the smaller eigenvalue of W G Wᵀ
    assert close(error(W, product(activation_aware_factor(W, 1, gram=G)), H), least, atol=1e-12)


def test_nothing_is_changed():
    W, H = rng().standard_normal((4, 3)), rng().standard_normal((9, 3))
    before, given_inputs = W.copy(), H.copy()
    activation_aware_factor(W, 2, inputs=H)
    assert (before == W).all() and (given_inputs == H).all()


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"rank": 0}, ValueError, r"activation_aware_factor: rank must be between 1 and min\(m, n\) = 3; got 0"),
        ({"rank": 4}, ValueError, "got 4 for W of shape"),
        ({"rank": 1.5}, TypeError, "rank must be an integer"),
        ({"inputs": None}, TypeError, "exactly one of inputs and gram must be given; got neither"),
        ({"gram": np.eye(3)}, TypeError, "got both"),
        ({"inputs": np.ones((3, 9))}, ValueError, r"in = 3 columns.*got shape \(3, 9\)\. Pass its transpose"),
        ({"inputs": np.ones((9, 5))}, ValueError, "Take the inputs of this layer"),
        ({"inputs": np.full((9, 3), np.nan)}, ValueError, "inputs has 27 NaN"),
        ({"inputs": None, "gram": np.ones((2, 2))}, ValueError, r"gram must be in×in = \(3, 3\)"),
        ({"inputs": None, "gram": np.triu(np.ones((3, 3)))}, ValueError, "gram must be symmetric"),
        ({"inputs": None, "gram": -np.eye(3)}, ValueError, "no negative eigenvalue; got -1"),
        ({"W": np.ones(3)}, ValueError, "W must be a matrix"),
    ],
)
def test_misuse(changed, kind, message):
    arguments = {"W": np.eye(4, 3), "rank": 2, "inputs": np.eye(9, 3), **changed}
    with pytest.raises(kind, match=message):
        activation_aware_factor(arguments.pop("W"), arguments.pop("rank"), **arguments)


# --------------------------------------------------------------------------------------------------------------- cost


def test_break_even_is_that_of_linalg():
    assert break_even_rank is costs.break_even_rank


@pytest.mark.parametrize(("m", "n", "tokens"), [(4, 4, 1), (384, 128, 7), (1, 9, 3)])
def test_cost_counts_multiplications_one_by_one(m, n, tokens):
    dense, factored = layer_cost(m, n, tokens=tokens, width=2), layer_cost(m, n, rank=3, tokens=tokens, width=2)
    assert dense.flops == sum(2 for _ in range(tokens) for _ in range(m) for _ in range(n))
    assert factored.flops == 2 * tokens * (3 * n + 3 * m)
    assert dense.bytes == 2 * (m * n + tokens * n + tokens * m)
    assert (
        factored.bytes
        == layer_cost(3, n, tokens=tokens, width=2).bytes + layer_cost(m, 3, tokens=tokens, width=2).bytes
    )
    assert dense.intensity == dense.flops / dense.bytes


def test_operations_break_even_where_numbers_do():
    assert layer_cost(384, 128, rank=96).flops == layer_cost(384, 128).flops
    assert layer_cost(384, 128, rank=96).bytes > layer_cost(384, 128).bytes  # what is written in between


@pytest.mark.parametrize("changed", [{"m": 0}, {"n": 0}, {"rank": 0}, {"tokens": 0}, {"width": 0}])
def test_cost_misuse(changed):
    with pytest.raises(ValueError, match=f"layer_cost: {next(iter(changed))} must be at least 1"):
        layer_cost(**{"m": 4, "n": 4, **changed})


# -------------------------------------------------------------------------------------------------------------- layer


def linear(n, m, **options):
    """A layer with the same weights in every run, whatever ran before."""
    layer = torch.nn.Linear(n, m, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(rng().uniform(-1, 1, parameter.shape) / n**0.5))
    return layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_full_rank_is_the_layer_itself(bias, dtype):
    layer = linear(5, 3, bias=bias, dtype=dtype)
    layer.weight.requires_grad_(False)
    state = torch.random.get_rng_state()
    pair = factor_linear(layer, 3).eval()
    assert (torch.random.get_rng_state() == state).all()  # no random number was drawn
    x = torch.from_numpy(rng().standard_normal((2, 7, 5))).to(dtype)
    slack = 20 * torch.finfo(dtype).eps + 100 * torch.finfo(torch.float64).eps  # LAPACK's factors, in float64, rounded
    assert close(pair(x), layer(x), atol=slack, rtol=slack)
    assert pair[0].weight.shape == (3, 5) and pair[1].weight.shape == (3, 3)
    assert pair[0].bias is None and (pair[1].bias is not None) == bias
    assert {p.dtype for p in pair.parameters()} == {dtype}
    assert not pair[0].weight.requires_grad and (not bias or pair[1].bias.requires_grad)


def test_layer_has_the_factors_of_the_matrix_function():
    layer, H = linear(6, 4, dtype=torch.float64), rng().standard_normal((30, 6)) * np.geomspace(9, 0.1, 6)
    W = layer.weight.detach().numpy()
    pair = factor_linear(layer, 2, inputs=H)
    wanted = product(activation_aware_factor(W, 2, gram=H.T @ H))
    assert close(pair[1].weight @ pair[0].weight, wanted, atol=1e-10)
    plain = factor_linear(layer, 2)
    Z = (plain[1].weight @ plain[0].weight).detach().numpy()
    assert close(np.linalg.norm(W - Z), np.linalg.norm(np.linalg.svd(W, compute_uv=False)[2:]), atol=tolerance(W))
    assert error(W, wanted, H) < error(W, Z, H)


def test_bias_is_a_copy():
    layer = torch.nn.Linear(4, 3)
    pair = factor_linear(layer, 2)
    with torch.no_grad():
        pair[1].bias.add_(1)
    assert not torch.equal(pair[1].bias, layer.bias)


@pytest.mark.parametrize(
    ("layer", "rank", "kind", "message"),
    [
        (torch.nn.Identity(), 1, TypeError, "factor_linear: layer must be a torch.nn.Linear itself.*got Identity"),
        (torch.nn.Linear(4, 3), 4, ValueError, r"factor_linear: rank must be between 1 and min\(m, n\) = 3; got 4"),
        (torch.nn.Linear(4, 3, device="meta"), 1, ValueError, "meta device"),
    ],
)
def test_layer_misuse(layer, rank, kind, message):
    with pytest.raises(kind, match=message):
        factor_linear(layer, rank)


def test_layer_with_nan_is_refused():
    layer = torch.nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="factor_linear: the weight has 1 NaN entry"):
        factor_linear(layer, 2)


# ----------------------------------------------------------------------------------------------------------- few bits

BITSANDBYTES = json.loads(Path(__file__).with_name("bitsandbytes_nf4.json").read_text(encoding="utf-8"))


def normal(*shape, dtype=torch.float32):
    return torch.tensor(rng().standard_normal(shape), dtype=dtype)


def test_the_levels_are_those_of_bitsandbytes():
    assert list(LEVELS["nf4"]) == BITSANDBYTES["levels"]


@pytest.mark.parametrize("case", BITSANDBYTES["cases"], ids=lambda case: str(case["shape"]))
def test_the_codes_are_those_of_bitsandbytes(case):
    found = quantise(normal(*case["shape"]))
    assert bytes(found.codes.tolist()).hex() == case["codes"]
    assert found.scales.tolist() == case["scales"]
    assert close(float(dequantise(found).double().sum()), case["sum of what comes back"], atol=1e-4)


@PROPERTY
@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    levels=st.sampled_from(list(LEVELS)),
    block=st.integers(1, 20),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_each_entry_gets_the_nearest_level_of_its_block(shape, levels, block, seed, dtype):
    generator = np.random.default_rng(seed)
    W = torch.tensor(generator.standard_normal(shape) * generator.choice([0.0, 1.0, 30.0], shape), dtype=dtype)
    found = quantise(W, levels=levels, block=block)
    back = dequantise(found)
    assert back.shape == W.shape and back.dtype == dtype
    entries, table = W.double().flatten().tolist(), LEVELS[levels]
    eps = 8 * torch.finfo(torch.promote_types(dtype, torch.float32) if dtype != torch.float64 else dtype).eps
    for start in range(0, len(entries), block):
        own = entries[start : start + block]
        scale = max(map(abs, own))
        nearest = [min(abs(x - scale * level) for level in table) for x in own]
        off = [abs(x - y) for x, y in zip(own, back.double().flatten()[start:].tolist(), strict=False)]
        rounding = scale * (eps + (4 * torch.finfo(dtype).eps if dtype in (torch.float16, torch.bfloat16) else 0))
        assert within([a - b for a, b in zip(off, nearest, strict=True)], rounding)
    bits = 4 if levels != "absmax8" else 8
    assert found.codes.nbytes == math.ceil(W.numel() * bits / 8) and len(found.scales) == math.ceil(W.numel() / block)


@pytest.mark.parametrize("levels", LEVELS)
def test_the_largest_entry_and_zero_are_exact(levels):
    W = torch.tensor([0.0, 3.0, -0.7, 0.0, 0.0, 0.0, -5.0, 0.3])
    back = dequantise(quantise(W, levels=levels, block=3))
    exact = torch.tensor([0, 1, 3, 4, 5, 6])
    assert torch.equal(back[exact], W[exact])


def test_smaller_blocks_and_more_bits_err_less():
    W = normal(64, 64)
    off = {
        (levels, block): float((W - dequantise(quantise(W, levels=levels, block=block))).norm())
        for levels in LEVELS
        for block in (16, 64, 4096)
    }
    for levels in LEVELS:
        assert off[levels, 16] < off[levels, 64] < off[levels, 4096]
    assert off["absmax8", 64] < off["nf4", 64] / 10 and off["nf4", 64] < off["absmax4", 64]


def test_no_gradient_and_no_change():
    W = normal(3, 5).requires_grad_()
    before = W.detach().clone()
    back = dequantise(quantise(W))
    assert not back.requires_grad and torch.equal(before, W)
    assert torch.equal(back, dequantise(quantise(W.detach().T.contiguous().T)))  # the order is that of rows


def test_quantised_twice_is_quantised_once():
    W = normal(5, 50)
    once = quantise(W)
    again = quantise(dequantise(once))
    assert torch.equal(once.codes, again.codes) and torch.equal(once.scales, again.scales)


@pytest.mark.parametrize(
    ("W", "message"),
    [
        (torch.empty(0, 3), r"quantise: W must have an entry and a dimension; got shape \(0, 3\)\. Pass"),
        (torch.empty(2, 3, device="meta"), "quantise: W must hold numbers; got a tensor on the meta device. Load"),
        (torch.tensor([1.0, math.nan]), "quantise: W must be finite; got NaN or infinite entries. Look"),
        (torch.tensor([1.0, -math.inf]), "quantise: W must be finite; got NaN or infinite entries. Look"),
    ],
)
def test_quantise_misuse(W, message):
    with pytest.raises(ValueError, match=message):
        quantise(W)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"dequantise: quantised must have the codes .* got 2 bytes of codes and 1 sc"):
        dequantise(quantise(torch.ones(4))._replace(shape=(9,)))
