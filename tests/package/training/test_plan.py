"""The options of a run: what they are by default, what a checkpoint keeps of them, and which run a folder takes."""

import dataclasses
import json

import numpy as np
import pytest

from lowrank_helpers.training import Bookkeeping, Plan
from tests.package.training._models import HAMLET, PORTIA, bits, finetune, gpt, pretrain, whole


def test_a_run_that_has_ended_is_not_run_again(tmp_path):
    settings = {"steps": 3, "batch_size": 4, "validation": PORTIA, "folder": tmp_path}
    first, second = gpt(), gpt(seed=7)
    done = pretrain(first, HAMLET, **settings)
    again = pretrain(second, HAMLET, **settings)
    assert again.resumed == 3 and again.log == done.log and again.validation == done.validation
    assert bits(first) == bits(second)


def test_a_folder_of_another_run_is_refused_and_the_model_is_left_as_it_was(tmp_path):
    pretrain(gpt(), HAMLET, steps=2, batch_size=2, folder=tmp_path)
    model = gpt(seed=1)
    model.head.weight.requires_grad_(False)
    before, log = whole(model), (tmp_path / "log.jsonl").read_bytes()
    settings = {"steps": 2, "batch_size": 2, "folder": tmp_path}
    lora = {"method": "lora", "init": "pissa", "learning_rate": 1e-3}
    for call in (
        lambda: pretrain(model, HAMLET, **settings | {"steps": 3}),
        lambda: pretrain(model, PORTIA, **settings),
        lambda: pretrain(model, HAMLET, seed=1, **settings),
        lambda: finetune(model, HAMLET, **settings, **lora),
    ):
        with pytest.raises(ValueError, match=r"folder must be new or hold this very run; .*Pass another folder"):
            call()
    assert whole(model) == before and (tmp_path / "log.jsonl").read_bytes() == log


def test_numbers_of_numpy_are_numbers(tmp_path):
    """They are written into the checkpoints' JSON as what they are."""
    result = finetune(
        gpt(), HAMLET, method="lora", rank=np.int64(2), alpha=np.float32(16), dropout=np.float64(0.5), dora=np.False_,
        steps=np.int32(2), batch_size=np.int64(2), learning_rate=np.float32(1e-3), seed=np.uint8(3), folder=tmp_path,
    )  # fmt: skip
    assert result.log[-1]["step"] == 2


def test_a_plan_cannot_be_changed_and_another_one_is_checked_again():
    plan = Plan(steps=41, learning_rate=1e-3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.steps = 2
    with pytest.raises(ValueError, match=r"^Plan: warmup must be between 0 and steps = 2; got 3"):
        dataclasses.replace(plan, steps=2, warmup=3)
    assert plan.warmup_steps == 3 and Plan(steps=41, learning_rate=1e-3, warmup=0).warmup_steps == 0


def test_a_checkpoint_keeps_all_of_a_plan_under_the_names_that_it_always_had():
    names = "steps batch_size context learning_rate warmup final_learning_rate weight_decay betas clip accumulate"
    settings = Plan(steps=40, learning_rate=1e-3).settings(context=8)
    assert settings.keys() == {*names.split(), "precision", "seed"}
    assert (settings["context"], settings["warmup"]) == (8, 2) and json.loads(json.dumps(settings)) == settings


def test_bookkeeping_leaves_the_weights_alone(tmp_path):
    plain, kept = gpt(), gpt()
    pretrain(plain, HAMLET, steps=4, batch_size=2)
    pretrain(kept, HAMLET, steps=4, batch_size=2, folder=tmp_path, save_every=1, validation=PORTIA, evaluate_every=1)
    assert bits(plain) == bits(kept)
    assert {field.name for field in dataclasses.fields(Bookkeeping)}.isdisjoint(
        Plan(steps=1, learning_rate=1).settings(8)
    )
