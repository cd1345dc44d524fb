"""Two processes, started by torchrun, do what one does; and only the first of them writes."""

import json

import pytest
import safetensors.torch
import torch
import torch.distributed as dist

from book.margins import close, within
from lowrank_helpers.training import GPT, GPTConfig, schedule
from lowrank_helpers.training.optimiser import Optimiser
from tests.package.training._models import finetune, pretrain
from tests.torchrun import on_two_processes

pytestmark = pytest.mark.slow

TEXT = b"to be or not to be, that is the question; " * 12
SIZES = {"context": 8, "width": 16, "heads": 2, "layers": 2, "hidden": 24}
TRAINED = {"steps": 6, "batch_size": 4, "accumulate": 2, "learning_rate": 1e-2, "clip": 1.0}
ADAPTED = {"method": "lora", "rank": 2, "steps": 4, "batch_size": 4, "learning_rate": 1e-2}
WATCHED = {"validation": TEXT[:100], "evaluate_every": 3, "save_every": 2}

SCRIPT = """
import json, os, pathlib, sys
import safetensors.torch, torch
from lowrank_helpers.lora import product
from lowrank_helpers.training import GPT, GPTConfig, loop
from tests.package.training._models import finetune, pretrain
from tests.package.training.test_loop_processes import ADAPTED, SIZES, TEXT, TRAINED, WATCHED

torch.set_num_threads(1)
place, out = int(os.environ["RANK"]), pathlib.Path(sys.argv[1])
if place > 0:  # whoever is not the first must not even try to write
    def refuse(*_, **__):
        raise AssertionError("the second process saves a checkpoint")
    loop.save_checkpoint = refuse

def keep(name, model, result):
    safetensors.torch.save_file(model.state_dict(), out / f"{name}-{place}.safetensors")
    (out / f"{name}-{place}.loss").write_text(json.dumps([result.loss, result.validation, len(result.log)]))

for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):
    model = GPT(GPTConfig(**SIZES)).to(dtype)
    keep(name, model, pretrain(model, TEXT, folder=out / name, **WATCHED, **TRAINED))
model = GPT(GPTConfig(**SIZES)).double()
keep("lora", model, finetune(model, TEXT, folder=out / "lora", **ADAPTED))
masks, plain = [], product.dropped
def dropped(*arguments):
    y = plain(*arguments)
    masks.append((y == 0).flatten())
    return y

product.dropped = dropped
for name in ("one", "other"):
    model = GPT(GPTConfig(**SIZES))
    keep(name, model, finetune(model, TEXT, dropout=0.5, **ADAPTED))
safetensors.torch.save_file({"mask": torch.cat(masks)}, out / f"masks-{place}.safetensors")
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that two processes have written into."""
    folder = tmp_path_factory.mktemp("processes")
    ran = on_two_processes(SCRIPT, folder, limit=240)
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert "Warning" not in ran.stdout, ran.stdout
    return folder


def weights(out, name, place=0):
    return safetensors.torch.load_file(out / f"{name}-{place}.safetensors")


def loss(out, name, place=0):
    """Loss, validation loss and number of records."""
    return json.loads((out / f"{name}-{place}.loss").read_text())


def gpt(dtype=torch.float64):
    return GPT(GPTConfig(**SIZES)).to(dtype)


def distance(one, other):
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("name", ["float64", "float32", "lora", "one"])
def test_both_processes_end_in_the_same_weights_to_the_bit(out, name):
    first, second = weights(out, name, 0), weights(out, name, 1)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert loss(out, name, 0) == loss(out, name, 1)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [
        # A gradient is the mean of two means in place of one: of its sum's terms it differs by 2⁻⁵³ or 2⁻²⁴. Adam
        # makes steps of up to 1e-2 of it, also where the terms cancel: six steps, terms of ten times their sum.
        pytest.param(torch.float64, 1e-12, id="float64"),
        pytest.param(torch.float32, 2e-5, id="float32"),
    ],
)
def test_two_processes_pretrain_as_one_does(out, dtype, bound):
    name = str(dtype).removeprefix("torch.")
    model = gpt(dtype)
    result = pretrain(model, TEXT, **TRAINED, validation=WATCHED["validation"])
    assert within(distance(weights(out, name), model.state_dict()), bound)
    assert distance(weights(out, name), gpt(dtype).state_dict()) > 1e-2
    found = loss(out, name)
    assert close(found[:2], [result.loss, result.validation], rtol=1e-6)  # the loss is summed in float32


def test_two_processes_adapt_as_one_does(out):
    model = gpt()
    result = finetune(model, TEXT, **ADAPTED)
    assert within(distance(weights(out, "lora"), model.state_dict()), 1e-12)
    assert any(weight.any() for name, weight in weights(out, "lora").items() if name.endswith(".B"))
    assert close(loss(out, "lora")[0], result.loss, rtol=1e-6)


def test_with_dropout_processes_repeat_themselves_but_draw_each_its_own(out):
    one, other = weights(out, "one"), weights(out, "other")
    assert all(torch.equal(one[name], other[name]) for name in one)
    first, second = weights(out, "masks", 0)["mask"], weights(out, "masks", 1)["mask"]
    assert len(first) == len(second) > 10_000
    assert 0.45 < (first != second).float().mean() < 0.55, "two of four sequences each, with zeros of their own"


def test_only_the_first_process_writes(out):
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"float64", "float32", "lora"}
    for name, every, steps in (("float64", [4, 6], 6), ("lora", [4], 4)):
        entries = sorted(path.name for path in (out / name).iterdir())
        assert entries == ["log.jsonl", *(f"step-{step:08d}" for step in every)]
        records = [json.loads(line) for line in (out / name / "log.jsonl").read_text().splitlines()]
        assert [record["step"] for record in records] == list(range(1, steps + 1))
        assert len(records) == loss(out, name)[2]
    assert [record["tokens"] for record in records] == [32 * step for step in range(1, 5)]


def test_one_process_goes_on_from_what_two_have_saved(out, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (out / "float64" / "step-00000004").rename(run / "step-00000004")
    model = gpt()
    result = pretrain(model, TEXT, folder=run, **WATCHED, **TRAINED)
    assert result.resumed == 4 and [record["step"] for record in result.log] == [5, 6]
    assert within(distance(weights(out, "float64"), model.state_dict()), 1e-12)


def test_a_group_that_the_caller_has_joined_is_used_and_left_as_it_was():
    alone, joined = gpt(torch.float32), gpt(torch.float32)
    pretrain(alone, TEXT, **TRAINED)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        pretrain(joined, TEXT, **TRAINED)
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()
    assert distance(alone.state_dict(), joined.state_dict()) == 0


# ---------------------------------------------------------------------------------- on GPUs, with stand-ins for them


@pytest.fixture
def four_gpus(monkeypatch):
    """The third of four processes on a machine with four GPUs; what was told to torch, in its order."""
    told = []
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "LOCAL_RANK": "2", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: told.append(("set_device", device)))
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **given: told.append((backend, given)))
    monkeypatch.setattr(dist, "is_initialized", lambda: len(told) == 2)
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(schedule.atexit, "register", lambda _: None)
    return told


def test_each_process_keeps_to_the_gpu_of_its_model(four_gpus):
    """Without, NCCL's first message goes through GPU 0 in every process."""
    device = torch.device("cuda", 2)
    assert schedule.processes(device) == (2, 4)
    assert four_gpus == [("set_device", device), ("nccl", {"device_id": device})]


def test_a_model_on_another_process_s_gpu_is_refused(four_gpus):
    with pytest.raises(
        ValueError, match=r"^processes: the model of process 2 must be on cuda:2; got cuda:0\. Call model\.to\(f\"cuda:"
    ):
        schedule.processes(torch.device("cuda", 0))
    assert four_gpus == []


def test_a_process_that_sees_one_gpu_alone_has_it_as_its_first(four_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert schedule.processes(torch.device("cuda", 0)) == (2, 4)


def test_loss_and_gradients_are_averaged_in_one_message(monkeypatch):
    model = gpt(torch.float32)
    trained = dict(model.named_parameters())
    optimiser = Optimiser(trained, torch.device("cpu"), torch.float32, weight_decay=0.0, betas=(0.9, 0.99), clip=1e9)
    tokens = torch.tensor([list(TEXT[:9])])
    loss = optimiser.add_gradient(model, tokens[:, :-1], tokens[:, 1:], share=1.0)
    before = {name: parameter.grad.clone() for name, parameter in trained.items()}
    messages = []

    def all_reduce(tensor):  # the other process has three times the loss and the gradients
        messages.append(tensor.numel())
        tensor *= 4

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    mean, _ = optimiser.clip_gradient(loss.clone(), 2)
    assert messages == [1 + sum(parameter.numel() for parameter in trained.values())]
    assert mean == 2 * float(loss)
    assert all(torch.equal(trained[name].grad, 2 * gradient) for name, gradient in before.items())
