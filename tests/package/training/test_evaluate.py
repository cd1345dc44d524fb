"""Losses are means over windows, and measuring changes nothing."""

import math

import pytest
import torch
import torch.nn.functional as F

from book.margins import close
from lowrank_helpers.training import evaluate, generate
from tests.package.training._models import HAMLET, PORTIA, bits, finetune, gpt, whole


def test_measuring_and_saving_change_no_weights(tmp_path):
    plain, watched = gpt(), gpt()
    settings = {"method": "lora", "dropout": 0.5, "steps": 4, "batch_size": 4, "learning_rate": 1e-2}
    finetune(plain, HAMLET, **settings)
    finetune(
        watched, HAMLET, validation=PORTIA, evaluate_every=1, save_every=1, log_every=2, folder=tmp_path, progress=True,
        **settings,
    )  # fmt: skip
    assert bits(plain) == bits(watched)


@pytest.mark.parametrize(("length", "context", "batch_size"), [(9, None, 4), (100, None, 5), (101, 3, 32), (97, 8, 1)])
def test_evaluate_is_a_plain_loop_over_windows(trained, length, context, batch_size):
    model, text, T = trained[0], PORTIA[:length], context or 8
    losses = []
    for start in range(0, length - T, T):
        window = torch.tensor(list(text[start : start + T + 1]))
        losses.append(F.cross_entropy(model(window[None, :-1])[0], window[1:]).item())
    assert len(losses) == (length - 1) // T
    found = evaluate(model, text, context=context, batch_size=batch_size)
    assert type(found) is float and close(found, sum(losses) / len(losses), rtol=1e-5)


def test_what_does_not_fill_a_window_is_left_out(trained):
    assert evaluate(trained[0], HAMLET[:25]) == evaluate(trained[0], HAMLET[:25] + b"zzzzzzz")
    assert evaluate(trained[0], HAMLET[:25]) != evaluate(trained[0], HAMLET[:25] + b"zzzzzzzz")


def test_a_model_that_knows_nothing_pays_log_256():
    model = gpt()
    torch.nn.init.zeros_(model.head.weight)
    for text in (HAMLET, torch.randint(256, (99,))):
        assert close(evaluate(model, text), math.log(256), rtol=1e-6)


def test_evaluate_has_no_dropout_and_changes_nothing():
    model = gpt()
    finetune(model, HAMLET, method="lora", dropout=0.9, steps=2, learning_rate=1e-1, batch_size=2)
    before = whole(model)
    assert model.training and evaluate(model, HAMLET) == evaluate(model, HAMLET)
    assert whole(model) == before


def test_an_error_while_measuring_leaves_the_mode(monkeypatch):
    model = gpt()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "forward", fail)
    for call in (lambda: evaluate(model, HAMLET), lambda: generate(model, b"to", 3)):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert all(module.training for module in model.modules())
