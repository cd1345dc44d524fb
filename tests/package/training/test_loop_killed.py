"""One of two processes is killed in training: torchrun starts both again, and they go on from the last checkpoint."""

import json
import os
import signal
import sys

import pytest
import safetensors.torch
import torch

from book.margins import within
from lowrank_helpers.training import GPT, GPTConfig
from tests.package.training._models import finetune
from tests.torchrun import on_two_processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's agent and SIGKILL are those of Unix"),
]

TEXT = b"to be or not to be, that is the question; " * 12
SIZES = {"context": 8, "width": 16, "heads": 2, "layers": 2, "hidden": 24}
ADAPTED = {"method": "lora", "rank": 2, "dropout": 0.2, "steps": 8, "batch_size": 4, "learning_rate": 1e-2}
# torchrun gives those that it starts again the store of the first start, where they find addresses of the dead
# (pytorch issue 135712); with this the first process of each start opens one of its own.
FRESH = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
LIMIT = 200  # seconds for two processes and those that take their place; all are ended then

SCRIPT = """
import json, os, pathlib, signal, sys, time
import safetensors.torch, torch
from lowrank_helpers.training import GPT, GPTConfig
from lowrank_helpers.training.optimiser import Optimiser
from tests.package.training._models import finetune
from tests.package.training.test_loop_killed import ADAPTED, SIZES, TEXT

torch.set_num_threads(1)
out, killed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
place, attempt = int(os.environ["RANK"]), int(os.environ["TORCHELASTIC_RESTART_COUNT"])
(out / f"pid-{attempt}-{place}").write_text(str(os.getpid()))
plain, calls = Optimiser.add_gradient, []

def add_gradient(self, *arguments, **options):
    calls.append(1)
    if (place, attempt, len(calls)) == (1, 0, killed):  # the other waits for this one's gradient
        while killed > 4 and not (out / "run" / "step-00000004").exists():  # what it still writes would be lost
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, *arguments, **options)

Optimiser.add_gradient = add_gradient
model = GPT(GPTConfig(**SIZES)).double()
result = finetune(model, TEXT, folder=out / "run", save_every=2, **ADAPTED)
safetensors.torch.save_file(model.state_dict(), out / f"{place}.safetensors")
(out / f"{place}.json").write_text(json.dumps([attempt, result.resumed, [row["step"] for row in result.log]]))
"""


def run(folder, killed, restarts=1):
    """Start two processes by torchrun, of which the second dies in this step; wait until all have ended."""
    options = ("--max-restarts", str(restarts))
    try:
        ran = on_two_processes(SCRIPT, folder, killed, limit=LIMIT, options=options, environment=FRESH)
    finally:  # an agent that is killed at its limit takes nobody with it
        left = [pid for pid in pids(folder) if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left
    return ran.returncode, ran.stdout


def pids(folder):
    return [int(path.read_text()) for path in folder.glob("pid-*")]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folders of a run that nobody disturbs, and of one whose second process is killed in step 5."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("whole", "killed")}
    for name, killed in (("whole", 0), ("killed", 5)):
        code, said = run(folders[name], killed)
        assert code == 0, said[-6000:]
    return folders


def weights(folder, place=0):
    return safetensors.torch.load_file(folder / f"{place}.safetensors")


def test_both_go_on_from_the_last_whole_checkpoint(out):
    for place in (0, 1):
        assert json.loads((out["killed"] / f"{place}.json").read_text())[:2] == [1, 4]
        assert json.loads((out["whole"] / f"{place}.json").read_text())[:2] == [0, 0]
    assert json.loads((out["killed"] / "0.json").read_text())[2] == list(range(1, 9)), "each step is recorded once"


def test_the_weights_are_those_of_an_undisturbed_run_to_the_bit(out):
    whole = weights(out["whole"])
    for place in (0, 1):
        found = weights(out["killed"], place)
        assert found.keys() == whole.keys()
        assert all(torch.equal(found[name], whole[name]) for name in whole)
    untrained = GPT(GPTConfig(**SIZES)).double()
    finetune(untrained, TEXT, **ADAPTED | {"steps": 4})
    apart = max((whole[name] - weight).abs().max().item() for name, weight in untrained.state_dict().items())
    assert not within(apart, 1e-6), "four steps more are seen in the weights"


def test_no_process_is_left(out):
    started = [pid for folder in out.values() for pid in pids(folder)]
    assert len(started) == 6 and not any(map(alive, started))


def test_without_a_restart_torchrun_says_which_process_died(tmp_path):
    code, said = run(tmp_path, killed=1, restarts=0)
    assert code != 0
    assert "exitcode  : -9" in said and "SIGKILL" in said, said[-6000:]
    assert not any(map(alive, pids(tmp_path)))
