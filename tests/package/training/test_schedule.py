"""The learning rate."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.training import learning_rate_at
from tests.package._matrices import PROPERTY
from tests.package.training._models import HAMLET, gpt, pretrain


@PROPERTY
@given(st.integers(1, 60), st.integers(0, 60), st.floats(1e-5, 1e3), st.floats(0, 1))
def test_the_learning_rate_is_torchs_cosine_after_a_line(steps, warmup, peak, final):
    warmup = min(warmup, steps)
    rates = [learning_rate_at(t, steps=steps, peak=peak, warmup=warmup, final=final) for t in range(1, steps + 1)]
    assert close(rates[:warmup], peak * np.arange(1, warmup + 1) / max(warmup, 1), rtol=1e-14)
    dummy = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(dummy, max(1, steps - warmup), eta_min=final * peak)
    for rate in rates[warmup:]:
        dummy.step()
        cosine.step()
        assert close(rate, cosine.get_last_lr()[0], rtol=1e-9, atol=1e-12 * peak)
    assert within(max(rates) - peak, 1e-12 * peak)


def test_by_default_a_twentieth_of_the_steps_goes_up():
    result = pretrain(gpt(), HAMLET, steps=41, batch_size=2, learning_rate=0.5e-3)
    rates = [record["learning_rate"] for record in result.log]
    assert close([*rates[:3], rates[-1]], [0.5e-3 / 3, 1e-3 / 3, 0.5e-3, 0.5e-4], rtol=1e-12)
    assert rates == [learning_rate_at(t, steps=41, peak=0.5e-3, warmup=3, final=0.1) for t in range(1, 42)]
