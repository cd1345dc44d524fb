"""How adapters begin."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from book.margins import close, within
from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    disable_lora,
    lora_parameters,
)
from lowrank_helpers.svd import reconstruct, truncated_svd
from tests.package._matrices import PROPERTY
from tests.package.lora._models import EPS, TARGETS, TOKENS, fill, near, parts, tiny


@pytest.mark.parametrize("init", ["kaiming", "gaussian"])
def test_A_has_its_distribution_and_B_is_zero(init):
    base = nn.Linear(400, 300)
    adapter = LoRALinear(base, 25, alpha=1, init=init, rng=0).adapters["default"]
    A = adapter.A.detach()
    spread = 1 / math.sqrt(3 * 400) if init == "kaiming" else 1 / 25
    # of 10 000 draws the standard deviation is off by 0.7 % at one sigma, the mean by 1 % of the spread
    assert close(float(A.std()), spread, rtol=0.04) and within(abs(float(A.mean())), 0.06 * spread)
    largest = float(A.abs().max())
    assert 0.999 / 20 < largest <= 1 / 20 if init == "kaiming" else 3 / 25 < largest < 6 / 25
    assert not adapter.B.any()


def test_a_seed_gives_the_same_A_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    made = [LoRALinear(nn.utils.skip_init(nn.Linear, 6, 4, dtype=d), 2, alpha=1, rng=5) for d in EPS]
    A = [m.adapters["default"].A.detach().float() for m in made]
    assert all(torch.equal(a, A[0]) for a in A)
    fresh = [LoRALinear(made[0].base, 2, alpha=1).adapters["default"].A for _ in range(2)]
    assert not torch.equal(*fresh)
    drawn = torch.Generator().manual_seed(5)
    two = [LoRALinear(made[0].base, 2, alpha=1, rng=drawn).adapters["default"].A.float() for _ in range(2)]
    assert torch.equal(two[0], A[0]) and not torch.equal(two[1], A[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_layers_of_a_model_draw_one_after_another():
    model = add_lora(tiny(), 2, alpha=4, targets=TARGETS, rng=0)
    again = add_lora(tiny(), 2, alpha=4, targets=TARGETS[::-1], rng=0)
    first, second = (block.q_proj.adapters["default"].A for block in model.blocks)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(lora_parameters(model), lora_parameters(again), strict=True))


def best(W, rank):
    return torch.from_numpy(reconstruct(truncated_svd(W.numpy(), rank)))


def leading_qr(W, rank):
    Q, R = np.linalg.qr(W.numpy())
    return torch.from_numpy(Q[:, :rank] @ R[:rank])


@PROPERTY
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["pissa", "olora"]), st.integers(0, 99))
def test_pissa_and_olora_take_their_part_out_of_the_base(m, n, rank, init, seed):
    rank, rng = min(rank, m, n), np.random.default_rng(seed)
    base = nn.Linear(n, m, dtype=torch.float64)
    W = torch.from_numpy(rng.standard_normal((m, n)))
    with torch.no_grad():
        base.weight.copy_(W)
    made = LoRALinear(base, rank, alpha=3, init=init, scaling="alpha/sqrt(rank)")
    kept, _, A, B, s = parts(made)
    bound = 100 * EPS[torch.float64] * max(m, n) * float(torch.linalg.norm(W, 2))
    if init == "pissa":
        assert near(s * B @ A, best(W, rank), 1e3 * bound)  # near-ties of singular values: a gap of 1e-3
        assert near(B.T @ B, A @ A.T, bound)  # the roots of the singular values on both sides
    else:
        assert near(B @ A, leading_qr(W, rank), bound)
        assert near(B.T @ B, torch.eye(rank, dtype=torch.float64), bound)
    assert near(kept + s * B @ A, W, bound)
    assert not near(kept, W, 1e-3)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_switched_off_pissa_and_olora_are_the_model_before(init):
    model, before = tiny(torch.float64), tiny(torch.float64)
    add_lora(model, 3, alpha=4, targets=TARGETS, init=init)
    assert near(model(TOKENS), before(TOKENS), 1e-13)
    fill(model)
    assert not near(model(TOKENS), before(TOKENS), 1e-2)
    with disable_lora(model):
        assert near(model(TOKENS), before(TOKENS), 1e-13)
