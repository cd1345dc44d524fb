"""What the tests of this folder are given."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """The same random inputs in every run; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
