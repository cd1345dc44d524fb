"""A run that is killed and called again ends in the same weights, to the bit; and what may be wrong with its folder.

The runs that are killed are forks of a process that has imported torch and computed nothing, `_serve` below: so a
start takes milliseconds, and no run inherits a thread.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lowrank_helpers import _disk
from lowrank_helpers.training import GPT, GPTConfig, latest_checkpoint, loop, save_checkpoint
from tests import ROOT
from tests.package.training._models import finetune, pretrain

pytestmark = pytest.mark.slow

CORPUS = b"to be, or not to be, that is the question: " * 40
STEPS = 24
LORA = {"method": "lora", "rank": 4, "dropout": 0.2, "learning_rate": 1e-2, "batch_size": 4, "accumulate": 2}
PRETRAIN = {"method": "pretrain", "learning_rate": 1e-2, "batch_size": 2, "accumulate": 2}
TRAINING = os.path.dirname(loop.__file__)


def _run(folder, **options):
    """Train a tiny model, from the checkpoint in the folder if there is one; return it, and what the trainer says."""
    model = GPT(GPTConfig(context=16, width=32, heads=2, layers=2, hidden=48), seed=1)
    options = {"steps": STEPS, "warmup": 4, "seed": 3, "corpus": CORPUS, "folder": folder, "progress": False, **options}
    if options["method"] == "pretrain":
        del options["method"]
        return model, pretrain(model, **options)
    return model, finetune(model, **options)


# The server of runs


def _killed_at(place, patience):
    """Return a trace function that kills this process at a line of the trainer, or after so many lines at the latest.

    With None for the place it only notes the lines, which the function returned besides gives.
    """
    lines, passed = {}, 0

    def trace(frame, event, _):
        nonlocal passed
        file = frame.f_code.co_filename
        if os.path.dirname(file) != TRAINING and file != _disk.__file__:
            return None
        if event == "line":
            here = f"{os.path.basename(file)}:{frame.f_code.co_qualname}:{frame.f_lineno}"
            lines[here] = lines.get(here, 0) + 1
            passed += 1
            if place is not None and ([here, lines[here]] == place or passed == patience):
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace, lines


def _work(order):
    """Be a run: leave the final weights beside the folder."""
    trace, lines = _killed_at(order.get("place"), order.get("patience"))
    if "place" in order:
        sys.settrace(trace)
    model, _ = _run(order["folder"], **order["options"])
    sys.settrace(None)
    save_file(model.state_dict(), order["folder"] + ".safetensors")
    if order.get("place", True) is None:
        Path(order["folder"] + ".lines").write_text(json.dumps(lines))


def _serve():
    """Fork a run for each line of JSON on the standard input, kill it if told to, and answer with what became of it."""
    import torch._dynamo  # noqa: F401  (AdamW imports it at its first step, which takes a second)

    for line in sys.stdin:
        order = json.loads(line)
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                _work(order)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        if "seconds" in order:
            time.sleep(order["seconds"])
            os.kill(child, signal.SIGKILL)  # a child that has ended already keeps its number until it is waited for
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - start]), flush=True)


@pytest.fixture(scope="module")
def server():
    """A function that has a run made in a process of its own, and returns its exit code and its seconds."""
    command = [sys.executable, "-m", "tests.package.training.test_loop_resume"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes) as process:

        def order(folder, options, **how):
            print(json.dumps({"folder": str(folder), "options": options, **how}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield order
        process.stdin.close()


def _weights(folder):
    return load_file(f"{folder}.safetensors")


def _same(some, other):
    return some.keys() == other.keys() and all(torch.equal(some[name], other[name]) for name in some)


def _losses(folder):
    records = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [(record["step"], record["loss"]) for record in records]


def _step(folder):
    """The step in the name of the newest checkpoint."""
    return max((int(path.name.removeprefix("step-")) for path in folder.glob("step-*")), default=0)


@pytest.fixture(scope="module")
def uninterrupted(server, tmp_path_factory):
    """The folder, the final weights and the seconds of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    first, second = (server(folder.with_name(name), {**LORA, "save_every": 1}) for name in ("first", "run"))
    assert first[0] == second[0] == 0
    return folder, _weights(folder), second[1]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Let the runs in this process add in the same order as those of the server."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Kills


def test_a_run_killed_at_twenty_random_moments_ends_in_the_same_weights(server, uninterrupted, tmp_path):
    whole, weights, seconds = uninterrupted
    rng = np.random.default_rng(20)
    killed_at, run = [], 0
    while len(killed_at) < 20 and run < 100:  # a run is killed until it has ended in spite of that; then comes another
        folder, options, code = tmp_path / str(run), {**LORA, "save_every": 1 + run % 2}, None
        while code != 0:
            moment = {"seconds": rng.uniform(0, seconds)} if len(killed_at) < 20 else {}
            code, _ = server(folder, options, **moment)
            assert code in (0, -signal.SIGKILL)
            if code:
                killed_at.append(_step(folder))
        assert _same(_weights(folder), weights)
        assert _losses(folder) == _losses(whole)
        seconds, run = 0.9 * seconds, run + 1  # lest it was measured on a machine that was busier than it is now
    assert len(killed_at) == 20
    assert len(set(killed_at) - {0, STEPS}) >= 5, f"the kills were not spread over the run: {killed_at}"


def test_a_run_killed_where_it_touches_a_file_ends_in_the_same_weights_and_the_same_log(server, tmp_path):
    whole, folder, options = tmp_path / "whole", tmp_path / "run", {**PRETRAIN, "save_every": 1, "steps": 60}
    assert server(whole, options)[0] == 0
    losses, weights = _losses(whole), _weights(whole)
    shutil.rmtree(max(whole.glob("step-*")))
    assert server(whole, options, place=None)[0] == 0  # it goes on for one step, in which all that matters happens
    noted = json.loads(Path(f"{whole}.lines").read_text())
    log = [line for line in noted if line.startswith("records.py:Log.")]
    saving = [line for line in noted if line.startswith("checkpoints.py:")]
    assert log
    assert saving
    for place in [[line, nth] for line in log for nth in (1, 2)] + [[line, 1] for line in saving[::6]]:
        code, _ = server(folder, options, place=place, patience=2 * sum(noted.values()))
        assert code == -signal.SIGKILL, "the run was over before it had been killed everywhere: give it more steps"
    assert server(folder, options)[0] == 0
    assert _same(_weights(folder), weights)
    assert _losses(folder) == losses


# The comparison can fail


def test_a_resumed_run_needs_all_that_was_saved(uninterrupted, tmp_path):
    """Without the moments, or from another step, or with other random numbers, the weights come out different."""
    _, weights, _ = uninterrupted
    _interrupted(tmp_path / "run", 12)
    step, tensors, state, _ = latest_checkpoint(tmp_path / "run")
    moments = {name: torch.zeros_like(tensor) for name, tensor in tensors.items() if name.startswith("exp_avg")}
    assert moments
    for name, content in {"whole": tensors, "without moments": tensors | moments}.items():
        save_checkpoint(tmp_path / name, step, content, state)
        model, result = _run(tmp_path / name, **LORA)
        assert result.resumed == 12
        assert _same(model.state_dict(), weights) == (name == "whole")
    save_checkpoint(tmp_path / "another step", step + 1, tensors, state)
    assert not _same(_run(tmp_path / "another step", **LORA)[0].state_dict(), weights)
    assert not _same(_run(None, **{**LORA, "seed": 4})[0].state_dict(), weights)
    assert not _same(_run(None, **{**LORA, "dropout": 0.0})[0].state_dict(), weights)
    assert _same(_run(None, **LORA)[0].state_dict(), weights)


class Stopped(BaseException):
    """What ends a run in this process, as a keyboard interrupt does."""


def _interrupted(folder, step, options=LORA):
    """Leave in the folder what a run leaves that was interrupted right after saving this step."""

    def saved(*args, **keywords):
        save_checkpoint(*args, **keywords)
        if args[1] == step:
            raise Stopped

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop, "save_checkpoint", saved)
        _run(folder, **{**options, "save_every": 1})


# What may be wrong with the folder


@pytest.mark.parametrize(("bytes_left", "message"), [(3_000, "save_checkpoint: step 9 must"), (0, "the log")])
def test_a_full_disk_stops_the_run_and_the_next_call_goes_on(monkeypatch, uninterrupted, tmp_path, bytes_left, message):
    resource = pytest.importorskip("resource")
    whole, weights, _ = uninterrupted
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filled(folder, step, *content):
        if step == 9:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
        if step < 9 or bytes_left:
            save_checkpoint(folder, step, *content)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", filled)
        try:
            with pytest.raises(OSError, match=rf"{message}.*File too large.*(goes|go) on from") as raised:
                _run(tmp_path / "run", **{**LORA, "save_every": 1})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path / "run") in str(raised.value)
    model, result = _run(tmp_path / "run", **LORA)
    assert result.resumed == 8
    assert _same(model.state_dict(), weights)
    assert _losses(tmp_path / "run") == _losses(whole)


@pytest.mark.parametrize("tenths", [0, 3, 9])
def test_a_truncated_checkpoint_is_skipped_and_the_weights_are_the_same(uninterrupted, tmp_path, tenths):
    whole, weights, _ = uninterrupted
    folder = tmp_path / "run"
    _interrupted(folder, 12)
    newest = folder / "step-00000012" / "tensors.safetensors"
    os.truncate(newest, newest.stat().st_size * tenths // 10)
    with pytest.warns(UserWarning, match=r"skipped .*step-00000012: .* Using .*step-00000011 instead"):
        model, result = _run(folder, **LORA)
    assert result.resumed == 11
    assert _same(model.state_dict(), weights)
    assert _losses(folder) == _losses(whole)


def test_a_folder_without_one_whole_checkpoint_is_refused(tmp_path):
    _interrupted(tmp_path, 3)
    for path in tmp_path.glob("step-*/state.json"):
        path.unlink()
    with pytest.raises(ValueError, match=r"none of 2 is: .*state\.json is missing"):
        _run(tmp_path, **LORA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "step-00000002", "step-00000003"]


OTHER_RUNS = [
    {"learning_rate": 2e-2},
    {"seed": 4},
    {"steps": STEPS + 1},
    {"dropout": 0.3},
    {"rank": 5},
    {"targets": ("q_proj",)},
    {"accumulate": 3},
    {"corpus": CORPUS + b"!"},
    {"method": "adapters"},
]


@pytest.mark.parametrize("other", OTHER_RUNS, ids=lambda other: next(iter(other)))
def test_the_folder_of_another_run_is_refused_and_left_as_it_was(tmp_path, other):
    _interrupted(tmp_path, 2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    options = {**LORA, **other}
    if other.get("method"):
        options.pop("rank"), options.pop("dropout")
    with pytest.raises(ValueError, match=r"finetune: folder must be new or hold this very run; .*step-00000002 has "):
        _run(tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("saving", [True, False])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_last_checkpoint(tmp_path, saving):
    """Such a learning rate throws the weights out of float32's range in a few steps."""
    folder = {"folder": tmp_path / "run", "save_every": 1} if saving else {"folder": None}
    left = r"The last checkpoint is .*step-0000000\d\." if saving else r"No checkpoint was saved\."
    with pytest.raises(FloatingPointError, match=rf"finetune: the loss must stay finite; at step \d.* {left} Lower"):
        _run(**{**LORA, "learning_rate": 1e30, **folder})
    if saving:
        found = latest_checkpoint(tmp_path / "run")
        assert all(tensor.isfinite().all() for tensor in found.tensors.values())
        assert found.step == _losses(tmp_path / "run")[-1][0]


if __name__ == "__main__":
    _serve()
