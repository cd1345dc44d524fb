"""Ctrl-C in a run, two runs in one folder, and checkpoints that are none."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from lowrank_helpers.lora import LoRALinear
from lowrank_helpers.training import GPT, GPTConfig, latest_checkpoint, save_checkpoint
from lowrank_helpers.training.checkpoints import STATE, _digest
from tests.package.training._models import finetune, pretrain

pytestmark = pytest.mark.slow

CORPUS = b"to be, or not to be, that is the question: " * 40
SETTINGS = {"steps": 20, "batch_size": 4, "learning_rate": 1e-2, "validation": CORPUS, "progress": False}
LORA = {"method": "lora", "rank": 2, **SETTINGS}


@pytest.fixture(autouse=True)
def listening():
    """Ctrl-C as a terminal has it: a process that was started in the background does not hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def gpt():
    return GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=48), seed=1)


def pressing(model, at, times=1):
    """Press Ctrl-C in the midst of the at-th forward pass in training."""
    passes = 0

    def hook(module, inputs):
        nonlocal passes
        passes += module.training
        if module.training and passes == at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    model.register_forward_pre_hook(hook)
    return model


def test_ctrl_c_ends_the_run_after_its_step_and_nothing_is_lost(tmp_path):
    interrupted, whole = pressing(gpt(), at=7), gpt()
    with pytest.warns(RuntimeWarning, match=r"finetune: interrupted after step 7 of 20; .* goes on from"):
        found = finetune(interrupted, CORPUS, folder=tmp_path, **LORA)
    assert found.log[-1]["step"] == 7 and found.validation is not None
    layers = [module for module in interrupted.modules() if isinstance(module, LoRALinear)]
    assert layers and all(layer.adapters["default"].B.any() for layer in layers), "the adapters are in place"
    assert latest_checkpoint(tmp_path).step == 7
    again, expected = gpt(), finetune(whole, CORPUS, **LORA)
    result = finetune(again, CORPUS, folder=tmp_path, **LORA)
    assert result.resumed == 7 and result.loss == expected.loss
    assert all(map(torch.equal, again.state_dict().values(), whole.state_dict().values()))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_folder_it_returns_what_there_is():
    with pytest.warns(RuntimeWarning, match=r"pretrain: interrupted after step 3 of 20; .* Pass folder="):
        result = pretrain(pressing(gpt(), at=3), CORPUS, **SETTINGS)
    assert [record["step"] for record in result.log] == [1, 2, 3]


def test_pressed_twice_it_ends_at_once_and_takes_out_what_it_put_in():
    model = pressing(gpt(), at=3, times=2)
    with pytest.raises(KeyboardInterrupt):
        finetune(model, CORPUS, **LORA)
    assert not any(isinstance(module, LoRALinear) for module in model.modules())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_callers_own_is_left_in_place(monkeypatch):
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        result = pretrain(pressing(gpt(), at=3), CORPUS, **SETTINGS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [True] and result.log[-1]["step"] == 20


HOLDER = """
import sys
from pathlib import Path
from lowrank_helpers._disk import locked
with locked(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    model, before = gpt(), gpt()
    with pytest.raises(RuntimeError, match=r"^pretrain: folder must belong to one run at a time; another is"):
        pretrain(model, CORPUS, folder=tmp_path, **SETTINGS)
    assert all(map(torch.equal, model.state_dict().values(), before.state_dict().values()))
    assert list(tmp_path.iterdir()) == []
    holder.kill()  # and a run that was killed holds nothing
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert pretrain(model, CORPUS, folder=tmp_path, **SETTINGS).log[-1]["step"] == 20


@pytest.mark.parametrize("state", [{"mine": 1}, {"settings": {}}, {"settings": 3, "optimiser": {}}], ids=str)
def test_a_checkpoint_of_something_else_is_named(tmp_path, state):
    save_checkpoint(tmp_path, 3, {"weight": torch.ones(2)}, state)
    with pytest.raises(ValueError, match=r"^pretrain: the folder must hold this run .* is no checkpoint of a run"):
        pretrain(gpt(), CORPUS, folder=tmp_path, **SETTINGS)


@pytest.mark.parametrize("missing", ["step", "tensors", "state", "size"])
def test_a_document_without_a_part_hides_no_older_checkpoint(tmp_path, missing):
    save_checkpoint(tmp_path, 1, {"weight": torch.ones(2)}, {"position": 1})
    path = save_checkpoint(tmp_path, 2, {"weight": torch.ones(2)}, {"position": 2}) / STATE
    document = json.loads(path.read_text())
    del document["sha256"]
    if missing == "size":
        document["tensors"] = 3
    else:
        del document[missing]
    path.write_text(json.dumps({**document, "sha256": _digest(document)}))
    with pytest.warns(UserWarning, match=f"skipped .*{STATE} is no document of a checkpoint"):
        assert latest_checkpoint(tmp_path).step == 1


def test_whoever_reads_beside_a_run_always_finds_a_checkpoint(tmp_path):
    save_checkpoint(tmp_path, 0, {"weight": torch.ones(2)}, {}, keep=1)
    writer = threading.Thread(
        target=lambda: [
            save_checkpoint(tmp_path, step, {"weight": torch.ones(2)}, {}, keep=1) for step in range(1, 150)
        ]
    )
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(latest_checkpoint(tmp_path))
    assert None not in seen and [found.step for found in seen] == sorted(found.step for found in seen)
