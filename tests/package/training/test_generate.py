"""Text from a model."""

import math

import numpy as np
import pytest
import torch

from lowrank_helpers.training import generate
from tests.package.training._models import HAMLET, gpt


def test_greedy_text_is_what_was_learned(trained):
    model = trained[0]
    written = generate(model, b"to be or", 30, temperature=0)
    assert written == generate(model, b"to be or", 30, temperature=0.0, rng=5)
    expected = list(b"to be or")
    for _ in range(30):
        expected.append(int(model(torch.tensor([expected[-8:]]))[0, -1].argmax()))
    assert written == bytes(expected[8:]) and written in HAMLET


def test_a_seed_means_the_same_text():
    model = gpt()
    one = generate(model, b"to be", 40, rng=1)
    assert type(one) is bytes and len(one) == 40
    assert one == generate(model, b"to be", 40, rng=1) != generate(model, b"to be", 40, rng=2)
    assert generate(model, b"to be", 40) != generate(model, b"to be", 40)
    assert len(generate(model, b"a prompt that is longer than the context", 3)) == 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_bytes_are_drawn_with_their_probabilities(monkeypatch, temperature):
    model, logits = gpt(), torch.full((256,), -math.inf)
    logits[:4] = torch.tensor([0.0, 1.0, 2.0, -1.0])
    monkeypatch.setattr(model, "forward", lambda tokens: logits.expand(*tokens.shape, 256))
    counts = np.bincount(list(generate(model, b"x", 4000, temperature=temperature, rng=0)), minlength=256)
    p = np.exp(np.array([0, 1, 2, -1]) / temperature)
    p /= p.sum()
    # A count of N draws is off by √(N p (1 − p)); five times as much is allowed.
    assert (np.abs(counts[:4] - 4000 * p) < 5 * np.sqrt(4000 * p * (1 - p))).all() and not counts[4:].any()


def test_a_tiny_temperature_is_nearly_none(trained):
    model = trained[0]
    for temperature in (1e-6, 1e-42, 1e-300):
        assert generate(model, b"to be", 20, temperature=temperature) == generate(model, b"to be", 20, temperature=0)
