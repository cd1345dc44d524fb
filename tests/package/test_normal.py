"""Random weights: torch's own numbers, but the same on a processor with other vector instructions."""

import os
import subprocess
import sys

import pytest
import torch

from book.margins import close
from lowrank_helpers._normal import normal

DRAW = """
import hashlib, torch
from lowrank_helpers._normal import normal
drawn = normal(1000, 37, std=0.02, generator=torch.Generator().manual_seed(1))
print(hashlib.sha256(drawn.numpy().tobytes()).hexdigest())
"""


def generator():
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (16,), (4, 4), (17,), (5, 7), (31,), (8, 100), (1000, 37), (0, 3)])
def test_they_are_those_of_torch_to_rounding_and_leave_its_generator_in_the_same_state(shape):
    one, other = generator(), generator()
    ours, own = normal(*shape, std=0.3, generator=one), torch.empty(shape).normal_(std=0.3, generator=other)
    # last bits of float32; where a logarithm is near 0, all of it, whose root is 2⁻¹²
    assert close(ours, own, atol=4 * 0.3 * 2**-12)
    assert torch.equal(one.get_state(), other.get_state())


def test_another_order_of_the_pairs_would_be_seen():
    uniform = torch.rand(32, generator=generator()).double().reshape(-1, 2).unbind(1)
    pairs = (-2 * torch.log(1 - uniform[0])).sqrt() * torch.cos(2 * torch.pi * uniform[1])
    assert not close(pairs, torch.empty(32).normal_(generator=generator())[:16], atol=4 * 2**-12)


@pytest.mark.slow
def test_the_bits_hang_on_no_instruction_set():
    digests = []
    for capability in ("default", "avx2", "avx512"):  # torch takes the best up to this one that the processor has
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
        command = [sys.executable, "-c", DRAW]
        digests.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert digests == [digests[0]] * 3 and len(digests[0]) == 65
