"""What the tests of this folder are given."""

import pytest

from tests.package.training._models import HAMLET, gpt, pretrain


@pytest.fixture(scope="module")
def trained():
    """A model that knows Hamlet, and its run."""
    model = gpt()
    return model, pretrain(model, HAMLET, steps=150, batch_size=8, learning_rate=1e-2)
