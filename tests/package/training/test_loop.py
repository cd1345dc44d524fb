"""What stops a run: no memory, numbers that are not finite, other errors."""

import json
import math

import pytest
import torch

from tests.package.training._models import HAMLET, KINDS, METHODS, bits, finetune, gpt, pretrain, whole


def fails_at(monkeypatch, model, call, error):
    """Let the model raise at its n-th call."""
    calls, forward = [], model.forward

    def forwarding(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return forward(*arguments)

    monkeypatch.setattr(model, "forward", forwarding)


FULL = "^{}: out of memory with batches of 4 × 8 tokens. Lower batch_size and raise accumulate by as much, or set"
ADAPTED = [{"method": m} for m in METHODS if m not in ("full", "last block", "trainable")]
ADAPTED += [{"method": "lora"} | options for options in ({"init": "gaussian"}, *KINDS)]


@pytest.mark.parametrize("options", ADAPTED, ids=str)
@pytest.mark.parametrize("call", [1, 4])
def test_out_of_memory_leaves_the_model_as_it_was(monkeypatch, options, call):
    model = gpt()
    model.position_embedding.weight.requires_grad_(False)
    before = whole(model)
    fails_at(monkeypatch, model, call, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"))
    with pytest.raises(MemoryError, match=FULL.format("finetune")) as caught:
        finetune(model, HAMLET, steps=4, batch_size=4, accumulate=2, learning_rate=1e-2, **options)
    assert whole(model) == before
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


@pytest.mark.parametrize("method", ["full", "last block", "trainable"])
def test_out_of_memory_in_the_first_step_leaves_all_weights_as_they_were(monkeypatch, method):
    model = gpt()
    model.position_embedding.weight.requires_grad_(False)
    before = whole(model)
    fails_at(monkeypatch, model, 2, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"))
    with pytest.raises(MemoryError, match=FULL.format("finetune")):
        finetune(model, HAMLET, steps=4, batch_size=4, accumulate=2, learning_rate=1e-2, method=method)
    assert whole(model) == before


def test_a_real_lack_of_memory_on_the_cpu_is_one_too(monkeypatch):
    model = gpt()
    monkeypatch.setattr(model, "forward", lambda *_: torch.empty(2**50, dtype=torch.uint8))  # a petabyte
    before = whole(model)
    with pytest.raises(MemoryError, match=FULL.format("pretrain")):
        pretrain(model, HAMLET, steps=2, batch_size=4)
    assert whole(model) == before


def test_another_error_stays_what_it_is(monkeypatch):
    model = gpt()
    before = whole(model)
    fails_at(monkeypatch, model, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        pretrain(model, HAMLET, steps=2, batch_size=4)
    assert whole(model) == before


def test_a_loss_that_is_not_finite_stops_before_the_step_is_taken(tmp_path):
    """With a rate so great that the second loss is NaN: the weights are those after the first step."""
    settings = {"batch_size": 4, "learning_rate": 1e30, "warmup": 0, "final_learning_rate": 1.0, "weight_decay": 0.0}
    one, two = gpt(), gpt()
    pretrain(one, HAMLET, steps=1, **settings)
    with pytest.raises(
        FloatingPointError,
        match=r"^pretrain: the loss must stay finite; at step 2 it was .*, its gradient's norm nan\. That step was not "
        r"taken\. The last checkpoint is .*step-00000001\. Lower learning_rate, or lengthen warmup\.$",
    ):
        pretrain(two, HAMLET, steps=9, folder=tmp_path, save_every=1, **settings)
    assert bits(one) == bits(two)
    assert all(p.grad is None for p in two.parameters())
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1]
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000001"]


def test_after_a_loss_that_was_not_finite_the_same_model_trains(monkeypatch):
    model = gpt()
    hook = model.norm.weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(FloatingPointError, match="No checkpoint was saved"):
        pretrain(model, HAMLET, steps=2, batch_size=2)
    hook.remove()
    assert bits(model) == bits(gpt())
    assert math.isfinite(pretrain(model, HAMLET, steps=2, batch_size=2).loss)


def test_a_loss_that_is_not_finite_takes_the_adapter_out_again():
    model = gpt()
    with torch.no_grad():
        model.head.weight[3, 3] = math.nan
    before = whole(model)
    with pytest.raises(FloatingPointError, match=r"^finetune: the loss must stay finite; at step 1 it was nan"):
        finetune(model, HAMLET, method="lora", steps=2, batch_size=2, learning_rate=1e-3)
    assert whole(model) == before
