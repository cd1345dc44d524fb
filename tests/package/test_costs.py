"""Sums of parameters, bytes and operations: by hand, published, and counted in real networks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers import training
from lowrank_helpers.attention import (
    latent_cache,
)
from lowrank_helpers.costs import (
    break_even_rank,
    factor_parameters,
    kv_cache_bytes,
    kv_cache_elements,
    latent_cache_elements,
    logits_memory,
    state_memory,
    training_memory,
)
from lowrank_helpers.linalg import (
    degrees_of_freedom,
)
from lowrank_helpers.lora import add_lora, lora_parameters
from lowrank_helpers.widgets.memory_calculator import PRESETS
from tests.package._matrices import PROPERTY
from tests.package.attention._weights import draw, make


def test_counts_of_the_book():
    assert factor_parameters(1000, 1000, 50) == 100_000
    assert factor_parameters(1000, 1000, 999) == 1_998_000
    assert factor_parameters(128, 128, 64) == 128 * 128
    assert (factor_parameters(3, 2, 1), degrees_of_freedom(3, 2, 1)) == (5, 4)
    assert factor_parameters(3, 2, 0) == degrees_of_freedom(3, 2, 0) == 0
    assert factor_parameters(np.int32(4096), np.int64(4096), np.uint8(8)) * 64 == 4_194_304


@PROPERTY
@given(st.integers(1, 500), st.integers(1, 500))
def test_factors_pay_exactly_below_the_break_even_rank(m, n):
    r = break_even_rank(m, n)
    assert isinstance(r, float) and r < min(m, n)
    for rank in range(min(m, n) + 1):
        assert (factor_parameters(m, n, rank) < m * n) == (rank < r)
    assert degrees_of_freedom(m, n, min(m, n)) == m * n


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


def llama(layers, width, hidden, vocabulary=32_000):
    config = training.GPTConfig(vocabulary, 2048, width, heads=1, layers=layers, hidden=hidden, positions="rotary")
    with torch.device("meta"):
        return training.GPT(config)


@pytest.mark.parametrize(("layers", "width", "hidden"), [*PRESETS.values(), (1, 2, 6)])
def test_parameters_are_those_of_the_network(layers, width, hidden):
    counted = sum(parameter.numel() for parameter in llama(layers, width, hidden).parameters())
    assert training_memory(layers, width, hidden).state == 16 * counted


def test_a_rank_counts_as_add_lora_does():
    config = training.GPTConfig(vocabulary=50, context=8, width=12, heads=2, layers=3, hidden=20, positions="rotary")
    model = training.GPT(config)
    whole = sum(parameter.numel() for parameter in model.parameters())
    add_lora(model, 4, alpha=8, targets=training.ALL_LINEAR, rng=0)
    few = sum(parameter.numel() for parameter in lora_parameters(model))
    for frozen in (2, 0.5):
        found = training_memory(3, 12, 20, rank=4, frozen_bytes=frozen, vocabulary=50)
        assert found.state == 16 * few + frozen * whole


def test_published_sums():
    assert round(training_memory(32, 4096, 11008).state / 1e9, 1) == 107.8  # folklore, row 22
    frozen, r8, r16 = (training_memory(32, 4096, 11008, rank=r).state / 1e9 for r in (1, 8, 16))
    assert 13.48 < frozen < r8 < r16 and round(r16 - r8, 3) == round(16 * 19_988_480 / 1e9, 3)


def test_activations():
    kept = training_memory(10, 64, 128, tokens=300).activations
    assert kept == 2 * 23 * 10 * 300 * 64
    assert training_memory(10, 64, 128, tokens=300, rank=8).activations == kept  # LoRA saves none
    again = training_memory(10, 64, 128, tokens=300, recompute=True).activations
    assert again == kept / 10 + 2 * 10 * 300 * 64  # one block's, and the input of each
    assert training_memory(10, 64, 128, tokens=600).activations == 2 * kept


def test_states_by_precision():
    assert state_memory(10) == 160 == state_memory(10, weight_bits=16)  # a master copy beside 16 bits
    assert state_memory(10, weight_bits=16, moment_bits=8) == 100 and state_memory(0) == 0
    full = training_memory(3, 12, 20, vocabulary=50)
    assert state_memory(int(full.state / 16)) == full.state
    few = training_memory(3, 12, 20, rank=4, vocabulary=50)
    assert state_memory(int((few.state - 2 * full.state / 16) / 16)) == few.state - 2 * full.state / 16
    with pytest.raises(ValueError, match=r"state_memory: moment_bits must be one of 32, 16, 8; got 4"):
        state_memory(1, moment_bits=4)
    with pytest.raises(ValueError, match=r"state_memory: weight_bits must be one of 32, 16; got 8"):
        state_memory(1, weight_bits=8)


def test_moments_are_those_that_torch_keeps():
    weight = torch.nn.Parameter(torch.ones(7, 3))
    optimiser = torch.optim.AdamW([weight])
    weight.grad = torch.ones_like(weight)
    optimiser.step()
    kept = [weight, weight.grad, *(x for x in optimiser.state[weight].values() if x.numel() > 1)]
    assert sum(x.nbytes for x in kept) == state_memory(21)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_logits_are_those_of_a_loss_and_its_gradient(dtype):
    hidden, head = torch.ones(6, 4, dtype=dtype), torch.ones(9, 4, dtype=dtype, requires_grad=True)
    logits = torch.nn.functional.linear(hidden, head)
    upcast = logits.float()
    upcast.retain_grad()
    torch.nn.functional.cross_entropy(upcast, torch.zeros(6, dtype=torch.long)).backward()
    copies = {x.data_ptr(): x.nbytes for x in (logits, upcast, upcast.grad)}
    assert sum(copies.values()) == logits_memory(6, 9, bits=8 * logits.element_size())


def test_llama_3_s_logits():
    assert logits_memory(2048, 128_256) == 2048 * 128_256 * (2 + 4 + 4)
    with pytest.raises(ValueError, match=r"logits_memory: bits must be one of 16, 32; got 4"):
        logits_memory(1, 1, bits=4)
