"""What a run takes and refuses."""

import numpy as np
import pytest

from lowrank_helpers.training import finetune, pretrain
from tests.package.training._models import HAMLET, PORTIA, bits, gpt, whole


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
