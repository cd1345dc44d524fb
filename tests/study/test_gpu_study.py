"""The GPU study on a CPU: every part tiny, how it goes on, its arithmetic, its answers where these are known."""

import dataclasses
import doctest
import gc
import itertools
import json
import math
import re
import shutil
import signal
import subprocess
import sys
import warnings
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
import safetensors
import scipy.stats
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import answers as grid_answers
from benchmarks.gpu import device as gpu
from benchmarks.gpu import (
    grid,
    lengths,
    places,
    plan,
    pretrain,
    relatives,
    shapes,
    study,
    switching,
    throughput,
    wall,
    weights,
)
from benchmarks.gpu.__main__ import PARTS, main
from benchmarks.gpu.__main__ import SMALL as SMALL_PARTS
from benchmarks.gpu.steps import optimiser_of, training_steps
from book.margins import close, within
from lowrank_helpers import results, training
from lowrank_helpers.lora import LoRALinear, add_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig, Plan, finetune, load_corpus, prepare
from lowrank_helpers.training import losses as loss_functions
from lowrank_helpers.training.corpus import Batches
from lowrank_helpers.training.model import from_files
from tests import ROOT

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SMALL = GPTConfig(context=32, width=32, heads=2, layers=2, hidden=64)
BASE = weights.Base(SMALL, {}, "")  # of which only the name counts
NOWHERE = Path("/nowhere")


# ------------------------------------------------------------------------------------------------ all of it, tiny


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """The study collects garbage before each measurement; what the tests hold is not searched each time."""
    gc.freeze()
    grid._at_start.clear()  # some models of these tests have the same digest
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which a tiny study has been run, all parts of it, and what it printed."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        with warnings.catch_warnings():  # torch's own, at what it does itself while it traces
            warnings.filterwarnings("ignore", ".* should not be instantiated", DeprecationWarning)
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
            code = main(["--tiny", "--out", str(folder), "--minutes", "60", "--files", "10"])
    return folder, code, lines


def documents(folder):
    return {name: json.loads((folder / f"gpu_{name}.json").read_text("utf-8")) for name in PARTS}


def test_every_part_runs_to_its_end(done):
    folder, code, lines = done
    assert (code, lines[-1]) == (0, "complete"), [line for line in lines if "FAILED" in line]
    runs = {"relatives": 6 * (3 + 2), "places": 7 * (3 + 2), "lengths": 2 * 2 * (3 + 2)}  # three rates, two seeds
    expected = {"wall": 4, "throughput": 2, "switching": 4, "pretrain": 2, **runs, "merge": 3}
    found = {name: len(document["measurements"]) for name, document in documents(folder).items()}
    assert len(lines) == 1 + sum(found.values()) + 1  # the plan comes first
    of_grid = found.pop("grid")
    assert found == expected
    # Two of eight configurations have a frontier: two or three rates more, and four on both seeds.
    assert 2 * (6 * (3 + 2) + 2 * (3 + 2 + 8)) <= of_grid <= 2 * (6 * (3 + 2) + 2 * (3 + 3 + 8))
    assert lines[0].startswith("plan, in seconds: wall ") and "s, parameters" in lines[1]
    assert {path.name for path in folder.iterdir()} == {f"gpu_{name}.json" for name in PARTS} | {"weights"}


@pytest.mark.parametrize("name", PARTS)
def test_results_say_what_they_are(done, name):
    document = documents(done[0])[name]
    assert document["device"].startswith("CPU") and document["driver"] is None and document["variant"] == "tiny"
    assert document["versions"]["torch"] == torch.__version__ and document["complete"] is True
    assert ("peft" in document["versions"]) is (name == "throughput")
    assert document["questions"] == list(PARTS[name].QUESTIONS) and document["seeds"] == list(PARTS[name].SEEDS)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", document["date"])
    for result in document["measurements"]:
        assert {"of", "work", "seconds", "date", "driver"} <= set(result) and result["seconds"] > 0
        assert result["versions"]["numpy"] and result["versions"]["peft"]
    of = [json.dumps(result["of"]) for result in document["measurements"]]
    assert len(set(of)) == len(of)


def test_a_second_call_measures_nothing(done, monkeypatch, capsys):
    folder = done[0]
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    monkeypatch.setattr(study, "measured", lambda *_: pytest.fail("measured again"))
    assert main(["--tiny", "--out", str(folder)]) == 0
    assert re.fullmatch(
        r"plan, in seconds: (\w+ 0, )*lengths 0; 0 in all, 53\d are left\ncomplete\n", capsys.readouterr().out
    )
    assert {path: path.read_bytes() for path in folder.glob("*.json")} == before


def test_the_grid_answers_its_questions(done):
    document = documents(done[0])["grid"]
    assert set(document["answers"]) == {"book", "tkinter"}
    for found in document["answers"].values():
        assert set(found["within 2 %"]["excess by rank"]) == set(found["forgetting"]) == {"1", "8"}
        assert found["forgetting"]["1"]["levels"] == [] and len(found["forgetting"]["8"]["levels"]) == 3
        assert [len(rates) for rates in found["forgetting"]["8"]["rates"].values()] == [4, 4]
        assert found["learning rate"]["by rank"]["8"]["best"] > 0


def test_the_relatives_are_held_against_lora():
    def run(relative, seed, loss, rate=0.01):
        return {"of": {"relative": relative, "seed": seed, "learning_rate": rate}, "target_loss": loss}

    better = [run("PiSSA", seed, 1.5 + seed / 10 + 0.001 * seed, 0.003) for seed in (1, 2, 3)]
    lora = [run("LoRA", seed, 1.6 + seed / 10) for seed in (1, 2, 3)]
    mixed = [run("DoRA", 1, 1.6), run("DoRA", 2, 1.9), run("DoRA", 3, None)]  # the third diverged
    tuning = [run("PiSSA", 0, 0.1, 0.1), {"of": {"relative": "DoRA", "seed": 1}, "error": "no"}]
    found = grid_answers.relatives(tuning + better + lora + mixed)
    assert found.keys() == {"PiSSA", "DoRA"}
    assert found["PiSSA"]["rate"] == 0.003 and found["PiSSA"]["above LoRA"]["verdict"] == "better"
    assert close(found["PiSSA"]["above LoRA"]["mean"], -0.098, atol=1e-9)
    assert found["DoRA"]["above LoRA"]["verdict"] == "undecided" and found["DoRA"]["above LoRA"]["seeds"] == 2


def test_the_grid_measures_what_it_says(done):
    runs = documents(done[0])["grid"]["measurements"]
    by_method = {run["of"]["method"]: run for run in runs if run["of"]["target"] == "book"}
    assert set(by_method) == {"full", "last block", "adapters", "prompt", "lora"}
    config = GPTConfig()
    assert by_method["full"]["trainable"] == shapes.parameters(config)
    assert by_method["prompt"]["trainable"] == 16 * config.width
    assert {r["trainable"] for r in runs if (r["of"]["layers"], r["of"]["rank"]) == ("all", 8)} == {
        shapes.lora_count(config, 8)
    }
    half_unit = 2 * config.width * config.layers  # half of what one more unit of the bottleneck would add
    assert abs(by_method["adapters"]["trainable"] - shapes.lora_count(config, 8)) <= half_unit
    for run in runs:
        memory = run["memory"]
        assert memory["gradients"] == 4 * run["trainable"] and memory["peak"] is None
        # Two moments, and of each tensor a count of steps.
        assert 0 < memory["optimiser"] - 8 * run["trainable"] < 4 * 200
        assert close(run["forgetting"], run["source_loss"] - run["path"][0][2], atol=1e-4)  # six digits each
        assert [point[0] for point in run["path"]] == [0, 1, 2]
        assert run["checkpoint_bytes"] > 4 * run["trainable"]
    # The loss before anything was changed is the same for every method and seed.
    assert len({tuple(run["path"][0]) for run in runs if run["of"]["target"] == "book"}) == 1


def test_the_wall_splits_memory_as_the_arithmetic_does(done):
    for run in documents(done[0])["wall"]["measurements"]:
        expected, memory = run["expected"], run["memory"]
        assert run["phase"] == "done" and run["out_of_memory"] is False and run["cap"] is None
        assert (memory["weights"], memory["gradients"]) == (expected["weights"], expected["gradients"])
        assert run["gradients_measured"] == expected["gradients"] and memory["copies"] == expected["copies"]
        assert memory["activations"] is memory["peak"] is None
        assert 0 < memory["optimiser"] - expected["optimiser"] < 4 * 200


def test_throughput_has_all_four_in_both_modes(done):
    eager, compiled = documents(done[0])["throughput"]["measurements"]
    assert (eager["graphs"], compiled["graph_breaks"]) == (0, 0) and compiled["graphs"] > 0
    for run in (eager, compiled):
        assert len({run[name]["losses"][0] for name in throughput.NAMES[:2]}) == 1  # B is zero
        for name in throughput.NAMES:
            assert len(run[name]["losses"]) == 3 and len(run[name]["rounds"]) == 2 and run[name]["peak"] is None
            share = run[name]["tokens_per_second"] * run[name]["flops_per_token"] / (sum(run["matrix_rates"]) / 2)
            assert close(run[name]["share_of_matrix_rate"], share, rtol=1e-4)
        assert set(run["ours_over"]) == set(throughput.NAMES) - {"ours"}
        assert run["full"]["flops_per_token"] > run["ours"]["flops_per_token"] == run["peft"]["flops_per_token"]


@pytest.mark.parametrize("alike", [True, False])
def test_ours_and_peft_take_the_same_steps(monkeypatch, alike):
    """With other initial adapters they would not: then losses that fall by 0.1 differ by 0.2."""
    monkeypatch.setattr(throughput, "RATE", 0.03)
    if not alike:
        monkeypatch.setattr(throughput, "copy_adapters", lambda *_: None)
    batches = Batches(load_corpus("book", "train")[:2000], 64, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # PEFT draws from the global generator
        runners = throughput.make_runners(CPU, shapes.TINY)
    losses = [throughput._losses(runners[name], batches, 4, 4) for name in throughput.NAMES[:3]]
    assert min(losses[0]) < losses[0][0] - 0.05
    # Products are rounded to bfloat16, by up to 2⁻⁸ of each entry, in other places; the optimiser magnifies that.
    assert all(close(other, losses[0], atol=0.03) is alike for other in losses[1:])


def test_merging_errs_by_the_rounding_of_the_dtype(done):
    runs = {run["of"]["dtype"]: run for run in documents(done[0])["merge"]["measurements"]}
    for name, run in runs.items():
        # Rounding errs by a unit over √12 in the root-mean-square, and a number by up to half as many units again.
        eps, error = torch.finfo(getattr(torch, name)).eps, run["error_relative_to_weights"]
        assert within(error, 2 * eps) and not within(error, eps / 32)
        ratio = run["error_relative_to_update"] / error
        assert close(ratio, 1 / run["update_relative_to_weights"], rtol=1e-3)  # W + s B A is as long as W
        assert 0 < run["entries_not_restored"] < 1 and run["restored_exactly"] is False
        assert run["loss_with_adapter"] != run["loss_of_base"]
        assert close(run["loss_merged"], run["loss_with_adapter"], rtol=eps + 1e-5)  # and six digits are stored
        assert close(run["loss_of_base_restored"], run["loss_of_base"], rtol=eps + 1e-5)


def test_switching_takes_time(done):
    for run in documents(done[0])["switching"]["measurements"]:
        assert 0 < run["choose_seconds"] < run["read_seconds"]
        assert run["bytes_on_disk"] > 4 * run["entries_of_adapter"]


def test_the_weights_that_are_kept_are_the_best(done):
    folder = done[0]
    runs = documents(folder)["pretrain"]["measurements"]
    best = min(runs, key=lambda run: run["validation"])
    assert weights.load_weights(folder / "weights", CPU).digest == best["weights"]
    # Rounded to bfloat16, weights change the loss by less than their relative error, 2⁻⁹, times its size.
    assert close(best["validation_as_saved"], best["validation"], rtol=2**-9)


# ------------------------------------------------------------------------------------------------ going on


def part_of(*tasks, first_guess=1.0):
    """A part with these tasks."""

    def run(*_, **__):
        for task in tasks:  # a tuple takes no result, so it cannot be yielded from
            _ = yield task

    return SimpleNamespace(run=run, QUESTIONS=("Why?",), SEEDS=(0,), FIRST_GUESS=first_guess)


def go(part, out, *, results=None, variant="tiny", remaining=lambda: 1e9):
    return study.run_part(
        "part", part, part.run(), device=CPU, variant=variant, out=out, results=results or out, remaining=remaining
    )


def counted(number, log, work=1.0):
    return study.Task({"number": number}, work, lambda: log.append(number) or {"square": number**2})


def stored_in(out):
    return json.loads((out / "gpu_part.json").read_text("utf-8"))


def test_the_result_is_sent_back_whether_measured_or_stored(tmp_path):
    log, sent = [], []

    def run():
        for number in range(3):
            sent.append((yield counted(number, log))["square"])

    part = part_of()
    for _ in range(2):
        assert study.run_part(
            "part", part, run(), device=CPU, variant="tiny", out=tmp_path, results=tmp_path, remaining=lambda: 1e9
        )
    assert log == [0, 1, 2] and sent == [0, 1, 4, 0, 1, 4]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.study.test_gpu_study import counted, go, part_of
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
tasks = [counted(number, []) for number in range(3)]
tasks[2] = tasks[2]._replace(measure=kill)
go(part_of(*tasks), Path(sys.argv[1]))
"""


def test_a_killed_call_loses_one_measurement(tmp_path):
    dead = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert dead.returncode == -signal.SIGKILL
    assert [result["square"] for result in stored_in(tmp_path)["measurements"]] == [0, 1]
    log = []
    assert go(part_of(*(counted(number, log) for number in range(4))), tmp_path)
    assert log == [2, 3]


def test_a_call_killed_while_it_writes_leaves_the_old_file(tmp_path, monkeypatch):
    assert go(part_of(counted(0, [])), tmp_path)
    before = (tmp_path / "gpu_part.json").read_bytes()

    def die(*_):
        raise KeyboardInterrupt

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(study.os, function, die)
            go(part_of(counted(0, []), counted(1, [])), tmp_path)
        assert (tmp_path / "gpu_part.json").read_bytes() == before


def test_nothing_starts_that_would_not_end_in_time(tmp_path, monkeypatch, capsys):
    clock = itertools.count(0, 5)  # every measurement takes five seconds
    monkeypatch.setattr(study, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    log = []
    tasks = [counted(0, log), counted(1, log, 2.0), counted(2, log, 3.0)]
    first = 5 * study.MARGIN  # by what was measured, for a work of one; a part's guess has its own margin
    assert not go(part_of(*tasks, first_guess=4.9), tmp_path, remaining=lambda: 4.8) and log == []
    left = iter([4.9, 2 * first, 3 * first - 0.1, 3 * first - 0.1])
    assert not go(part_of(*tasks, first_guess=4.9), tmp_path, remaining=lambda: next(left)) and log == [0, 1]
    assert "part: number 2 would take 18 s; 18 s are left" in capsys.readouterr().out
    # Work 2 took as long as work 1 did, but the slower of the two rates is what counts.
    assert close(study.estimate(stored_in(tmp_path), 99.0, 3.0), 3 * first, rtol=1e-9)


def test_what_fails_is_recorded_and_tried_again(tmp_path, capsys):
    log = []

    def fail():
        raise RuntimeError("CUDA error: too hot\nand a long explanation")

    broken = counted(1, log)._replace(measure=fail)
    assert not go(part_of(counted(0, log), broken, counted(2, log)), tmp_path)
    assert log == [0, 2] and "FAILED: RuntimeError: CUDA error: too hot\n" in capsys.readouterr().out
    assert stored_in(tmp_path)["measurements"][1]["error"].startswith("RuntimeError: CUDA error: too hot")
    assert go(part_of(*(counted(number, log) for number in range(3))), tmp_path) and log == [0, 2, 1]
    assert sorted(result["square"] for result in stored_in(tmp_path)["measurements"]) == [0, 1, 4]


def test_committed_results_are_gone_on_from_and_left_alone(tmp_path):
    results, out, log = tmp_path / "data", tmp_path / "out", []
    tasks = [counted(number, log) for number in range(3)]
    assert go(part_of(tasks[0]), results, variant="large")
    committed = (results / "gpu_part.json").read_bytes()
    assert go(part_of(*tasks[:2]), out, results=results, variant="large") and log == [0, 1]
    assert go(part_of(*tasks), out, results=results, variant="large") and log == [0, 1, 2]
    assert (results / "gpu_part.json").read_bytes() == committed
    assert len(stored_in(out)["measurements"]) == 3
    assert go(part_of(*tasks), tmp_path / "tiny", results=results) and log == [0, 1, 2, 0, 1, 2]  # tiny: not read


@pytest.mark.parametrize(
    ("what", "other"), [("device", "NVIDIA H100"), ("versions", {"torch": "1.0", "cuda": None}), ("variant", "large")]
)
def test_two_devices_or_versions_do_not_mix(tmp_path, what, other):
    assert go(part_of(counted(0, [])), tmp_path)
    document = stored_in(tmp_path) | {what: other}
    (tmp_path / "gpu_part.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(ValueError, match=rf"gpu_part.json was measured with {what} = .*Pass another --out"):
        go(part_of(counted(0, []), counted(1, [])), tmp_path)
    assert stored_in(tmp_path) == document


def with_another(package, out):
    """The stored results, as if they had been measured with another version of this package."""
    document = stored_in(out)
    for versions in (document["versions"], *(result["versions"] for result in document["measurements"])):
        versions[package] = "0.1"
    (out / "gpu_part.json").write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize("package", ["python", "numpy", "triton", "transformers", "peft"])
def test_versions_that_decide_nothing_are_noted_beside_each_result(tmp_path, package):
    assert go(part_of(counted(0, [])), tmp_path)
    with_another(package, tmp_path)
    assert go(part_of(counted(0, []), counted(1, [])), tmp_path)
    assert [run["versions"][package] for run in stored_in(tmp_path)["measurements"]] == ["0.1", gpu.versions()[package]]


def test_throughput_depends_on_peft_as_well(tmp_path):
    assert throughput.VERSIONS == ("peft",)
    part = part_of(counted(0, []))
    part.VERSIONS = throughput.VERSIONS
    assert go(part, tmp_path)
    with_another("numpy", tmp_path)
    assert go(part, tmp_path)
    with_another("peft", tmp_path)
    with pytest.raises(ValueError, match=r"with versions = .*'peft': '0.1'"):
        go(part, tmp_path)


def test_a_part_that_cannot_begin_leaves_the_others_alone(tmp_path, monkeypatch, capsys):
    def unable(*_, **__):
        raise ValueError("no weights")
        yield

    broken = SimpleNamespace(**{**vars(part_of()), "run": unable})
    monkeypatch.setitem(PARTS, "grid", broken)
    monkeypatch.setitem(PARTS, "merge", part_of(counted(3, [])))
    assert main(["--tiny", "--out", str(tmp_path), "--part", "merge", "grid"]) == 3
    assert "grid: ValueError: no weights" in capsys.readouterr().out
    assert json.loads((tmp_path / "gpu_merge.json").read_text("utf-8"))["measurements"][0]["square"] == 9


def test_without_a_gpu_the_command_says_what_to_do(tmp_path):
    if torch.cuda.is_available():
        assert gpu.study_device("large").type == "cuda"
        return
    with pytest.raises(
        SystemExit, match=r"a GPU with bfloat16 is needed; there is no CUDA device\. On a CPU pass --small"
    ):
        main(["--out", str(tmp_path)])


def test_a_small_study_has_its_own_files_and_parts(tmp_path, monkeypatch, capsys):
    for name in PARTS:
        monkeypatch.setitem(PARTS, name, part_of(counted(3, [])))
    assert main(["--small", "--out", str(tmp_path), "--results", str(tmp_path / "none")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"cpu_{name}.json" for name in SMALL_PARTS}
    assert json.loads((tmp_path / "cpu_grid.json").read_text("utf-8"))["variant"] == "small"
    with pytest.raises(SystemExit):
        main(["--small", "--tiny", "--out", str(tmp_path)])
    assert "not allowed with argument" in capsys.readouterr().err


def test_numbers_are_stored_with_six_digits_and_never_as_nan():
    value = {"a": [1 / 3, math.nan, (math.inf, 7)], "b": True, "c": None, "d": 123456789}
    assert study.rounded(value) == {"a": [0.333333, None, [None, 7]], "b": True, "c": None, "d": 123456789}


# ------------------------------------------------------------------------------------- what a call may take and leave

FIRST_CALL = ("wall", "throughput", "switching")


@pytest.fixture
def on_paper(monkeypatch):
    """The large study without a GPU: a function that runs the command while every measurement takes what is planned."""

    def call(out, *arguments, speed=1.0):
        now, made = [plan.START], []

        def measured(task, _):
            guess = sys.modules[task.measure.func.__module__].FIRST_GUESS
            now[0] += speed * task.work * guess
            made.append(task.of)
            path = [[step, 1.0, 1.0] for step in range(8)]
            stand_in = {"target_loss": 1.0, "source_loss": 1.0, "path": path, "validation": 1.0, "batch": 8}
            return {"of": task.of, "work": task.work, "seconds": speed * task.work * guess, "versions": {}, **stand_in}

        monkeypatch.setattr(study, "measured", measured)
        for owner, name in ((study, "write"), (gpu, "free")):  # hundreds of times
            monkeypatch.setattr(owner, name, lambda *_: None)
        monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: now[0]))
        code = main(["--out", str(out), "--results", str(out / "none"), *arguments], began=0.0)
        return code, now[0], made

    monkeypatch.setattr(command, "study_device", lambda _: CPU)
    monkeypatch.setattr(command, "load_base", lambda *_, **__: BASE)
    monkeypatch.setattr(grid, "answers", lambda _: {})
    monkeypatch.setattr(relatives, "answers", lambda _: {})
    monkeypatch.setattr(lengths, "answers", lambda _: {})
    return call


def test_the_parts_without_a_base_come_first_and_take_five_minutes(tmp_path, on_paper, capsys):
    assert tuple(PARTS)[:3] == FIRST_CALL and tuple(PARTS)[3] == "pretrain"
    code, end, made = on_paper(tmp_path, "--part", *reversed(FIRST_CALL), "--minutes", "5")
    assert code == 0 and len(made) == 16 + 2 + 4 and end + command.LEAVING < 300
    told = r"plan, in seconds: wall \d+, throughput \d+, switching \d+; (\d+) in all, 277 are left\n"
    assert int(re.match(told, capsys.readouterr().out)[1]) == round(end - plan.START)


@pytest.mark.parametrize("speed", [0.3, 1.0])
@pytest.mark.parametrize("minutes", [1, 5, 9])
def test_a_call_ends_within_its_minutes(tmp_path, on_paper, minutes, speed):
    """All parts in one call, and each alone."""
    for number, parts in enumerate([list(PARTS), *([name] for name in PARTS)]):
        code, end, made = on_paper(
            tmp_path / str(number), "--part", *parts, "--minutes", str(minutes), "--files", "99", speed=speed
        )
        assert end + command.LEAVING <= 60 * minutes and (made or minutes == 1)
        if code == 3:  # it did not stop long before, by the slowest measurement that it has
            assert end > 60 * minutes - 1.2 * 113 - command.LEAVING


def test_pretraining_fits_its_minutes(tmp_path, on_paper):
    code, end, made = on_paper(tmp_path, "--part", "pretrain", "--minutes", "4.5")
    assert code == 0 and [of["epochs"] for of in made] == [6, 12] and end < 4.5 * 60


STUCK = """
import sys, time
from pathlib import Path
from benchmarks.gpu.__main__ import PARTS, main
from tests.study.test_gpu_study import counted, part_of
tasks = [counted(0, []), counted(1, [])._replace(measure=lambda: time.sleep(600))]
PARTS["merge"] = part_of(*tasks, first_guess=0.01)
main(["--tiny", "--part", "merge", "--minutes", "0.1", "--out", sys.argv[1]])
"""


def test_a_measurement_that_does_not_end_is_ended(tmp_path):
    ended = subprocess.run([sys.executable, "-c", STUCK, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 3 and ended.stdout.endswith("is lost; the same command goes on\n"), ended.stderr
    document = json.loads((tmp_path / "gpu_merge.json").read_text("utf-8"))
    assert [run["square"] for run in document["measurements"]] == [0] and document["complete"] is False


def test_a_call_leaves_eight_files_at_most_and_the_next_one_has_the_rest(tmp_path, monkeypatch, capsys):
    first, results, second = (tmp_path / name for name in ("first", "data", "second"))

    def write_weights():
        (first / "weights").mkdir(parents=True)
        for file in pretrain.FILES:
            (first / file).write_bytes(b"")
        return {"validation": 1.0}

    for name in PARTS:
        monkeypatch.setitem(PARTS, name, part_of(counted(0, [])))
    PARTS["pretrain"] = part_of(study.Task({"number": 0}, 1.0, write_weights))
    PARTS["pretrain"].FILES = pretrain.FILES
    monkeypatch.setattr(command, "study_device", lambda _: CPU)
    monkeypatch.setattr(command, "foreseen_base", lambda *_: BASE)
    assert main(["--out", str(first), "--results", str(results)]) == 3
    assert sum(path.is_file() for path in first.rglob("*")) == 8
    shown = capsys.readouterr().out
    assert "places: OUT would hold 9 files, more than 8; name another\n" in shown
    assert "missing: places, merge, lengths;" in shown
    shutil.copytree(first, results, ignore=shutil.ignore_patterns("weights"))
    assert main(["--out", str(second), "--results", str(results)]) == 0
    assert {path.name for path in second.rglob("*")} == {f"gpu_{name}.json" for name in ("places", "merge", "lengths")}


def test_the_base_and_the_tree_travel_together():
    """64 MiB may have to be enough for both, and 16 MiB for a file."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    tree = sum((ROOT / name.decode()).stat().st_size for name in names if name and (ROOT / name.decode()).exists())
    assert len(names) > 100 and tree + len(pretrain.FILES) * 15 * 2**20 < 64 * 2**20
    assert 2 * shapes.parameters(shapes.LARGER) < len(pretrain.FILES) * weights.SHARD < len(pretrain.FILES) * 15 * 2**20


def test_make_bench_leaves_the_study_alone_and_its_page_names_every_part():
    shown = subprocess.run(["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "gpu" not in shown
    page = (ROOT / "benchmarks" / "gpu" / "README.md").read_text("utf-8")
    assert [name for name in re.findall(r"^\| `(\w+)`", page, re.MULTILINE)] == list(PARTS)


# ------------------------------------------------------------------------------------------------ arithmetic


def test_sizes():
    # Of each block 4 · 384² + 3 · 384 · 1024 and two norms; embeddings of bytes and places; the head; a norm.
    block = 4 * 384**2 + 3 * 384 * 1024 + 2 * 384
    assert shapes.parameters(shapes.LARGER) == 8 * block + 256 * 384 + 512 * 384 + 256 * 384 + 384 == 14_555_520
    assert shapes.parameters(shapes.SHAPES["7B"]) == 6_738_415_616  # Touvron et al. 2023; folklore, row 21
    found = {size: round(shapes.parameters(config) / 1e9, 1) for size, config in shapes.SHAPES.items()}
    assert found == {"0.1B": 0.1, "1B": 1.1, "3B": 3.4, "7B": 6.7}


@pytest.mark.parametrize("targets", [ALL_LINEAR, ("q_proj", "v_proj"), ("down_proj",)])
def test_parameters_of_lora(targets):
    model = add_lora(GPT(SMALL), 3, alpha=1, targets=targets)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert shapes.lora_count(SMALL, 3, targets) == trained


def test_bytes_of_seven_billion():
    """Row 22 of the folklore."""
    config = shapes.SHAPES["7B"]
    full, lora = shapes.expected_bytes(config, None), shapes.expected_bytes(config, 8)
    assert full["total"] == 16 * 6_738_415_616 and round(full["total"] / 1e9, 1) == 107.8
    assert round((lora["weights"] - 4 * 19_988_480) / 1e9, 2) == 13.48
    q_v = [shapes.expected_bytes(config, rank, ("q_proj", "v_proj"))["total"] for rank in (8, 16)]
    assert round((q_v[1] - q_v[0]) / 1e9, 3) == 0.067


def model_of(method, config):
    """A model as the wall trains it, on a CPU."""
    model = shapes.random_model(config, CPU, torch.bfloat16 if method == "lora" else torch.float32)
    return add_lora(model, 3, alpha=1, targets=ALL_LINEAR) if method == "lora" else model


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_autograd_keeps_rounded_copies_of_what_is_trained(method, again):
    config = dataclasses.replace(SMALL, heads=1, hidden=80)
    model = model_of(method, config)
    model.checkpoint_activations = again
    trained = [p for path, p in model.blocks.named_parameters() if p.requires_grad and p.ndim == 2]
    of_the_model = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        shapes_of_trained = {tuple(p.shape) for p in trained} | {tuple(p.shape[::-1]) for p in trained}
        place = tensor.untyped_storage().data_ptr()
        if tensor.dtype == torch.bfloat16 and place not in of_the_model and tuple(tensor.shape) in shapes_of_trained:
            kept[place] = tensor  # held on to, so that no other takes its place
        return tensor

    rows = torch.arange(24).reshape(2, 12)  # 22 tokens, which is no side of any matrix
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        model(rows[:, :-1], rows[:, 1:])
    expected = shapes.expected_bytes(config, 3 if method == "lora" else None, again=again)["copies"]
    assert gpu.bytes_of(list(kept.values())) == expected
    assert expected == (0 if again else 2 * sum(p.numel() for p in trained))


class Allocator(TorchDispatchMode):
    """In the place of the GPU's: counts the bytes of all tensors that are made, as long as they live."""

    def __init__(self):
        super().__init__()
        self.held = self.peak = 0
        self.seen = WeakIdKeyDictionary()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, lambda tensor: self.count(tensor.untyped_storage()), made)
        return made

    def count(self, storage):
        if storage.device.type != "meta" and storage not in self.seen:
            self.seen[storage] = size = storage.nbytes()
            self.held += size
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self.drop, size)

    def drop(self, size):
        self.held -= size

    def reset(self, _=None):
        self.peak = self.held


@pytest.fixture
def allocator(monkeypatch):
    mode = Allocator()
    monkeypatch.setattr(gpu, "allocated", lambda _: mode.held)
    monkeypatch.setattr(gpu, "peak", lambda _: mode.peak)
    monkeypatch.setattr(gpu, "reset_peak", mode.reset)
    monkeypatch.setattr(loss_functions, "_scratch", lambda entries, like: like.new_empty(entries))  # as on a GPU
    return mode


def test_the_wall_measures_what_the_arithmetic_foretells(allocator):
    """The copies are gone when the gradients are there: a peak of 16 bytes a parameter, not 18."""
    config = GPTConfig(64, 4, 128, heads=2, layers=3, hidden=256, positions="rotary")  # all weights, few activations
    found = {}
    with allocator:
        for method in ("full", "lora"):
            for again in (True, False):
                found[method, again] = wall.measure_memory(CPU, config, method, again, None)
    for run in found.values():
        memory, expected = run["memory"], run["expected"]
        assert run["kept_by_forward"] == memory["activations"] + expected["copies"]
        assert 0 < memory["activations"] < 0.1 * expected["weights"]
        assert expected["total"] == memory["weights"] + memory["gradients"] + expected["optimiser"]
        passing = run["kept_by_forward"] + expected["gradients"]  # no more than this may come on top for a while
        assert 0 <= memory["peak"] - expected["total"] < passing
    full = [found["full", again] for again in (True, False)]
    assert full[1]["expected"]["copies"] > 1.9 * full[1]["parameters"]
    for run in full:
        assert within(run["memory"]["peak"] - run["expected"]["total"], 0.05 * full[1]["expected"]["copies"])


def test_what_cublas_keeps_for_itself_counts_in_no_row(allocator, monkeypatch):
    """32 MiB in the first product of the forward pass, and as many in that of the backward pass, which has a thread."""
    began, plain = set(), Allocator.__torch_dispatch__

    def with_workspaces(self, function, types, args=(), kwargs=None):
        in_backward = torch._C._current_graph_task_id() >= 0
        if function in (torch.ops.aten.mm.default, torch.ops.aten.mm.out) and in_backward not in began:
            began.add(in_backward)
            self.held += 32 * 2**20
            self.peak = max(self.peak, self.held)
        return plain(self, function, types, args, kwargs)

    monkeypatch.setattr(Allocator, "__torch_dispatch__", with_workspaces)
    with allocator:
        rows = [wall.measure_memory(CPU, shapes.TINY, "lora", True, None)["memory"] for _ in range(2)]
    assert began == {True, False} and rows[0] == rows[1] and rows[0]["peak"] < 2**20


def addmm_flops(_, a, b, **__):
    return 2 * a[0] * a[1] * b[1]


@pytest.mark.parametrize("rank", [None, 1, 4])
def test_operations_against_the_counter_of_torch(rank):
    model = GPT(SMALL)
    if rank is not None:
        add_lora(model, rank, alpha=1, targets=ALL_LINEAR)
    rows = torch.randint(256, (3, 25), generator=torch.Generator().manual_seed(0))
    # The plain kernel computes all scores, the hidden ones too; products in place are not in the counter's own list.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: addmm_flops})
    with sdpa_kernel(SDPBackend.MATH), counter:
        model(rows[:, :-1], rows[:, 1:]).backward()
    assert counter.get_total_flops() == 3 * 24 * shapes.flops_per_token(SMALL, 24, rank=rank, keys=24)


def test_the_mask_halves_attention():
    whole, masked = (shapes.flops_per_token(SMALL, 99, keys=keys) for keys in (99, None))
    assert whole - masked == 3 * 2 * 4 * 32 * (99 - 50)  # thrice, two layers


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(shapes) == (0, 2)


def test_random_models_have_the_spread_of_ours():
    config = GPTConfig(vocabulary=128, context=128, width=128, heads=2, layers=2, hidden=256)
    ours, drawn = GPT(config), shapes.random_model(config, CPU, torch.bfloat16, seed=1)
    for (name, p), (other, q) in zip(ours.named_parameters(), drawn.named_parameters(), strict=True):
        assert (name, p.shape, q.dtype) == (other, q.shape, torch.bfloat16)
        if p.ndim == 1:
            assert torch.equal(q, torch.ones_like(q))
        else:  # 16 384 entries at least: a sample's standard deviation errs by 0.6 %, and the two spreads are 1 : 2
            assert close(q.float().std(), p.std(), rtol=0.1)
    again = shapes.random_model(config, CPU, torch.bfloat16, seed=1)
    assert all(torch.equal(p, q) for p, q in zip(drawn.parameters(), again.parameters(), strict=True))


# ------------------------------------------------------------------------------------------------ parts


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_steps_are_those_of_finetune(method):
    """To the bit, since the parts are the same; the trainer's own tests hold them against AdamW written out."""
    text = load_corpus("book", "train")[:2000]
    settings = {"steps": 25, "batch_size": 4, "context": 32, "learning_rate": 1e-2, "seed": 3}
    theirs, ours = GPT(SMALL), GPT(SMALL)
    result = finetune(theirs, text, Plan(**settings), method=method, rank=2)
    prepare(ours, method, rank=2, seed=3)
    losses = [loss for _, loss in training_steps(ours, optimiser_of(ours, CPU, torch.float32), text, **settings)]
    assert losses == [record["loss"] for record in result.log]
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_a_run_that_diverges_is_a_result(monkeypatch):
    base = weights.Base(SMALL, GPT(SMALL).state_dict(), "digest")
    of = {"target": "book", "method": "full", "layers": None, "rank": None, "learning_rate": 1e30, "seed": 0}
    found = grid._measure(CPU, base, of, grid.EXTENTS["tiny"])
    assert (found["diverged"], found["target_loss"], found["source_loss"]) == (2, None, None)
    assert [step for step, *_ in found["path"]] == [0, 1]
    assert all(bool(tensor.isfinite().all()) for tensor in base.state.values())  # the base is copied


@pytest.mark.parametrize("best", [-9, -7, -6, -3, 0])
def test_a_rate_is_tuned_until_both_neighbours_are_worse(best):
    tried = []
    tuning = grid.tuned(CPU, BASE, "book", {"method": "lora", "rank": 1}, -6, grid.EXTENTS["large"])
    task = next(tuning)
    with pytest.raises(StopIteration) as end:
        while True:
            exponent = round(2 * math.log10(task.of["learning_rate"]))
            tried.append(exponent)
            loss = math.inf if exponent > 1 else abs(exponent - best)
            task = tuning.send({"target_loss": None if math.isinf(loss) else loss})
    assert end.value.value == best and {best - 1, best, best + 1} <= set(tried)
    assert len(set(tried)) == len(tried) <= grid.EXTENTS["large"].rates


def test_tuning_ends_where_everything_diverges():
    tuning = grid.tuned(CPU, BASE, "book", {"method": "lora"}, -6, grid.EXTENTS["large"])
    next(tuning)
    with pytest.raises(StopIteration) as end:
        for _ in range(100):
            tuning.send({"error": "RuntimeError: no"})
    assert end.value.value is None


def asked_of(part, best=lambda of: -4):
    """The runs that a part asks for, when the loss is least at the rate 10^(best/2)."""
    tasks = part.run(CPU, variant="large", out=NOWHERE, load_base=lambda: BASE)
    asked, task = [], next(tasks)
    with pytest.raises(StopIteration):
        while True:
            asked.append(task.of)
            task = tasks.send({"target_loss": abs(2 * math.log10(task.of["learning_rate"]) - best(task.of))})
    return asked


def test_the_grid_goes_on_from_the_rate_of_the_rank_before():
    asked = asked_of(grid, lambda of: -2 if of["method"] == "lora" else grid.START[of["method"]])
    books = [of for of in asked if of["target"] == "book"]
    assert asked == books + [{**of, "target": "tkinter"} for of in books]
    ranks = [[of for of in books if (of["layers"], of["rank"]) == ("all", rank)] for rank in (8, 64, 1)]
    # From -5 up to -2 and one beyond, both neighbours first; from there on three rates do. A frontier asks for what it
    # has again, and for two more; then three of its rates, and at last the fourth, on five seeds.
    tuning = [len({of["learning_rate"] for of in runs if of["seed"] == 0}) for runs in ranks]
    assert tuning == [6 + 2, 3 + 2, 3]
    assert [len([of for of in runs if of["seed"]]) for runs in ranks] == [4 * 5, 4 * 5, 3]
    assert all(runs[0]["learning_rate"] == grid.rate_of(-2) for runs in ranks[1:])
    assert [(of["seed"], of["learning_rate"]) for of in ranks[2][-3:]] == [(seed, 0.1) for seed in (1, 2, 3)]
    last = books[-10:]  # full fine-tuning, then ranks 8 and 64, at what lies above the best
    assert {of["learning_rate"] for of in last} == {grid.rate_of(-1.5)} and {of["method"] for of in last} == {"lora"}


@pytest.mark.parametrize(("best", "rates"), [(-4.0, (-5, -4.5, -4, -3.5)), (-4.4, (-5.5, -5, -4.5, -4))])
def test_a_frontier_is_made_of_the_best_rate_and_three_beside_it(best, rates):
    asked = asked_of(grid, lambda of: best)
    here = [of for of in asked if (of["target"], of["layers"], of["rank"], of["seed"]) == ("book", "all", 8, 3)]
    assert {of["learning_rate"] for of in here} == {grid.rate_of(rate) for rate in rates}
    tuned = [of["learning_rate"] for of in asked if (of["target"], of["method"], of["seed"]) == ("book", "full", 0)]
    assert {grid.rate_of(rate) for rate in rates} <= set(tuned)


def test_a_tuning_run_without_its_path_is_measured_again_only_on_a_frontier():
    task = grid.task(CPU, BASE, "book", {"method": "full"}, -4, 0, grid.EXTENTS["small"], with_path=True)
    short, whole = ({"of": task.of, "path": [[0, 2.0, 1.0]] * count} for count in (2, 8))
    diverged = {"of": task.of, "diverged": 3, "target_loss": None}
    assert study.stored({"measurements": [short]}, task) is None
    assert study.stored({"measurements": [short]}, task._replace(enough=None)) == short
    assert all(study.stored({"measurements": [run]}, task) == run for run in (whole, diverged))


def test_what_is_known_before_the_first_step_is_measured_once(monkeypatch):
    calls = []
    monkeypatch.setattr(grid, "_at_start", {})
    monkeypatch.setattr(grid, "evaluate", lambda *_, **__: calls.append(1) or 1.0)
    base = weights.Base(SMALL, GPT(SMALL).state_dict(), "digest")
    of = {"target": "book", "method": "full", "layers": None, "rank": None, "learning_rate": 1e-3, "seed": 1}
    for seed in (1, 2):
        grid._measure(CPU, base, {**of, "seed": seed}, grid.EXTENTS["tiny"])
    assert len(calls) == 2 * (1 + 2 + 2)  # two losses: before, and after both steps of both runs


def test_the_grid_has_every_method_and_rank():
    found = grid.configurations((1, 8, 64))
    assert len(found) == 10 and sum(entry["method"] == "lora" for entry in found) == 6
    assert found[0]["method"] == "full" and {entry["method"] for entry in found} == set(grid.START)
    assert [entry["rank"] for entry in found if entry["layers"] == "all"] == [1, 8, 64]
    assert grid.bottleneck(shapes.LARGER) == 38  # 8 · 58 368 / 12 288


def test_both_methods_are_tuned_and_rerun_for_each_length():
    asked = asked_of(lengths)
    assert [of["steps"] for of in asked] == 16 * [200] + 16 * [50] or {of["steps"] for of in asked} == {200, 50}
    for steps in (200, 50):
        for method in ("full", "lora"):
            here = [of for of in asked if (of["steps"], of["method"]) == (steps, method)]
            rates = {round(4 * math.log10(of["learning_rate"])) for of in here if of["seed"] == 0}
            assert {-9, -8, -7} <= rates  # the best, and a quarter of a decade on either side
            assert [of["seed"] for of in here if of["seed"]] == [1, 2, 3, 4, 5]
            assert {of["learning_rate"] for of in here if of["seed"]} == {grid.rate_of(-4)}


def test_each_relative_is_tuned_from_the_same_rate_and_rerun():
    asked = asked_of(relatives)
    runs = [[of for of in asked if of["relative"] == name] for name in grid.RELATIVES]
    assert [of for of_one in runs for of in of_one] == asked  # one after the other
    for of_one in runs:
        assert [of["learning_rate"] for of in of_one] == [grid.rate_of(k) for k in (-5, -4, -6, -3, -4, -4, -4)]
        assert [of["seed"] for of in of_one] == [0, 0, 0, 0, 1, 2, 3]
        assert {(of["target"], of["layers"], of["rank"]) for of in of_one} == {("book", "all", 8)}


def test_the_places_have_equally_many_parameters_and_are_the_papers():
    assert {len(grid.projections(layers)) * rank for layers, rank in places.PLACES.items()} == {8}
    asked = asked_of(places)
    assert list(dict.fromkeys((of["layers"], of["rank"]) for of in asked)) == list(places.PLACES.items())
    assert len(asked) == 7 * (4 + 3) and grid.projections("all") == ALL_LINEAR


@pytest.mark.parametrize("relative", grid.RELATIVES)
def test_a_relative_is_the_one_it_is_called(monkeypatch, relative):
    model, made = GPT(SMALL), {}

    def look(model, optimiser, *_, **__):
        made.update(layer=model.blocks[0].attention.q_proj, groups=optimiser.adamw.param_groups)
        return iter(())

    monkeypatch.setattr(grid, "training_steps", look)
    monkeypatch.setattr(gpu, "now", lambda _: 1.0)
    base = weights.Base(SMALL, model.state_dict(), "digest")
    of = {"target": "book", "method": "lora", "layers": "all", "rank": 8, "relative": relative, "learning_rate": 1e-3}
    with pytest.raises(ZeroDivisionError):  # no step, no time
        grid._measure(CPU, base, {**of, "seed": 0}, grid.EXTENTS["tiny"])
    W, layer = model.blocks[0].attention.q_proj.weight, made["layer"]
    adapter = layer.adapter("default")
    assert adapter.settings.scale == (32 / 8**0.5 if relative == "rsLoRA" else 4)
    assert (adapter.magnitude is not None) == (relative == "DoRA")
    moved = layer.weight.detach() - W
    assert bool(moved.any()) == (relative in ("PiSSA", "OLoRA"))
    if relative == "PiSSA":
        assert close(torch.linalg.svdvals(layer.weight)[0], torch.linalg.svdvals(W)[8], rtol=1e-4)
    by_rate = {group["times"]: group["params"] for group in made["groups"]}
    assert set(by_rate) == ({1.0, 16.0} if relative == "LoRA+" else {1.0})
    if relative == "LoRA+":
        assert {p.shape[1] for p in by_rate[16.0]} == {8} and {p.shape[0] for p in by_rate[1.0]} == {8}


@pytest.mark.parametrize("phase", ["forward", "backward", "optimiser"])
def test_running_out_of_memory_is_a_result(monkeypatch, phase):
    def full(*_, **__):
        raise torch.OutOfMemoryError("Tried to allocate 50 GiB.\nMore words")

    owner, name = {
        "forward": (GPT, "forward"),
        "backward": (torch.Tensor, "backward"),
        "optimiser": (torch.optim.AdamW, "step"),
    }[phase]
    monkeypatch.setattr(gpu, "make_workspaces", lambda _: None)
    monkeypatch.setattr(owner, name, full)
    found = wall.measure_memory(CPU, shapes.TINY, "full", True, 10**9)
    assert (found["out_of_memory"], found["phase"], found["message"]) == (True, phase, "Tried to allocate 50 GiB.")
    assert found["cap"] == 10**9 and "memory" not in found


def test_the_largest_batch_that_fits_is_taken(monkeypatch):
    """That of all four in turns: here memory ends when both hold their moments, after the first step of each."""
    tried = []

    def step(runner, _, size, number):
        tried.append((runner, size, number))
        if size > 2 and tried[-2:] == [("full", size, 0), ("ours", size, 1)]:
            raise torch.OutOfMemoryError("no")
        return float(number)

    monkeypatch.setattr(throughput, "make_runners", lambda *_: {"ours": "ours", "full": "full"})
    monkeypatch.setattr(throughput, "_step", step)
    size, runners, losses = throughput.begun(CPU, shapes.TINY, None, (8, 4, 2, 1), 2, None)
    assert size == 2 and set(runners) == {"ours", "full"} and losses == {"ours": [0.0, 1.0], "full": [0.0, 1.0]}
    assert [size for _, size, _ in tried] == [8, 8, 8, 4, 4, 4, 2, 2, 2, 2]
    with pytest.raises(RuntimeError, match="a batch of 4 × 64 tokens does not fit"):
        throughput.begun(CPU, shapes.TINY, None, (8, 4), 2, None)


def test_both_modes_take_the_same_batch():
    tasks = throughput.run(CPU, variant="large", out=NOWHERE, load_base=None)
    assert next(tasks).measure.args[2] == throughput.BATCHES
    assert tasks.send({"batch": 4}).measure.args[2] == (4,)


def test_a_peak_leaves_out_what_the_others_hold(monkeypatch):
    """1000 bytes are held before the round, 300 of them by this runner, and 5000 at the peak."""
    for name, value in (("allocated", 1000), ("peak", 5000)):
        monkeypatch.setattr(gpu, name, lambda _, value=value: value)
    steps = []
    monkeypatch.setattr(throughput, "_step", lambda *given: steps.append(given[-1]))
    runner = throughput.Runner(None, None, None, lambda: 300)
    assert throughput._round(CPU, runner, None, 2, 3)[1] == 5000 - (1000 - 300)
    assert steps == [0, 0, 1, 2]  # the first before the clock


def test_reading_an_adapter_is_timed_beside_the_same_others_each_time(monkeypatch):
    """What was read before is out of the model again, and merging does not meet it either."""
    there = []

    def counting(function):
        def called(model, *given, **options):
            layer = next(module for module in model.modules() if isinstance(module, LoRALinear))
            there.append((function.__name__, len(layer.adapters)))
            return function(model, *given, **options)

        return called

    for name in ("load_lora", "merge_lora"):
        monkeypatch.setattr(switching, name, counting(getattr(switching, name)))
    found = switching._measure(CPU, shapes.TINY, 2, 3, 2)
    assert there == 3 * [("load_lora", 3)] + 3 * [("merge_lora", 3)]
    assert {way: len(times) for way, times in found["all_seconds"].items()} == {"choose": 2, "read": 2, "merge": 2}


def test_the_first_step_is_left_out_of_the_speed(monkeypatch):
    """It takes a hundred seconds here, each later one a second, and measuring the losses ten."""
    now = [0.0]

    def steps(*_, **__):
        for step in range(1, 6):
            now[0] += 100.0 if step == 1 else 1.0
            yield step, 2.0

    def evaluate(*_, **__):
        now[0] += 10.0
        return 1.0

    monkeypatch.setattr(grid, "training_steps", steps)
    monkeypatch.setattr(grid, "evaluate", evaluate)
    monkeypatch.setattr(gpu, "now", lambda _: now[0])
    base = weights.Base(SMALL, GPT(SMALL).state_dict(), "digest")
    of = {"target": "book", "method": "full", "layers": None, "rank": None, "learning_rate": 1e-3, "seed": 1}
    found = grid._measure(CPU, base, of, grid.EXTENTS["tiny"]._replace(steps=5))
    assert [step for step, *_ in found["path"]] == [0, 1, 2, 3, 4, 5]
    assert found["tokens_per_second"] == 2 * 32  # a batch in a second


def test_each_begins_a_round_in_its_turn():
    orders = [throughput.turn(["a", "b", "c"], number) for number in range(3)]
    assert orders == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_weights_come_back_in_small_files(tmp_path):
    model = GPT(shapes.LARGER)
    digest = weights.save_weights(tmp_path, model, {"steps": 3})
    files = sorted(tmp_path.iterdir())
    assert [f"weights/{file.name}" for file in files] == list(pretrain.FILES) and len(files) == 2
    assert max(file.stat().st_size for file in files) <= 15 * 2**20
    base = weights.load_weights(tmp_path, CPU)
    assert (base.config, base.digest) == (shapes.LARGER, digest)
    state = from_files(base.state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(state[name], tensor.to(torch.bfloat16).float())
    again = weights.fresh(base)
    again.embed.weight.data.zero_()
    assert base.state["embed.weight"].any() and all(p.requires_grad for p in again.parameters())
    weights.save_weights(tmp_path, GPT(SMALL), {})  # a smaller model leaves no file of the larger one
    assert [file.name for file in tmp_path.iterdir()] == ["weights-1-of-1.safetensors"]


@pytest.mark.parametrize("harm", ["nothing there", "one missing", "one of another model"])
def test_weights_that_are_not_whole_are_refused(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(weights, "SHARD", 20_000)
    if harm != "nothing there":
        weights.save_weights(tmp_path, GPT(SMALL), {})
        first = min(tmp_path.iterdir())
        content = first.read_bytes()
        first.unlink()
        if harm == "one of another model":
            weights.save_weights(tmp_path, GPT(SMALL, seed=1), {})
            first.write_bytes(content)
    with pytest.raises(ValueError, match=r"load_weights: .* must hold all files of one model; got .*--weights"):
        weights.load_weights(tmp_path, CPU)


def pretrained(folder, *losses_and_digests, complete=True):
    """A record of pretraining, as far as `load_base` reads it; a run that was no better kept no weights."""
    runs = [{"validation": loss} | ({"weights": digest} if digest else {}) for loss, digest in losses_and_digests]
    folder.mkdir(exist_ok=True)
    (folder / "gpu_pretrain.json").write_text(json.dumps({"complete": complete, "measurements": runs}), "utf-8")


def test_the_base_is_the_best_of_a_complete_pretraining_wherever_its_weights_are(tmp_path):
    out, results, earlier = (tmp_path / name for name in ("out", "results", "earlier"))
    load = partial(weights.load_base, CPU, variant="large", out=out, results=results, weights=earlier)
    with pytest.raises(ValueError, match=r"gpu_pretrain.json must say that pretraining is complete.*Run the part"):
        load()
    old = weights.save_weights(earlier, GPT(SMALL), {})
    pretrained(results, (2.0, old), complete=False)
    with pytest.raises(ValueError, match="must say that pretraining is complete"):
        load()
    pretrained(results, (2.0, old), (2.1, None))
    assert load().digest == old
    new = weights.save_weights(out / "weights", GPT(SMALL, seed=1), {})
    assert load().digest == old != new  # what is in OUT is not recorded yet
    pretrained(out, (2.0, old), (1.9, new))
    assert load().digest == new
    pretrained(out, (2.0, old), (1.9, "lost"))
    with pytest.raises(ValueError, match=r"the best weights of pretraining, lost, must be in .*--weights"):
        load()
    with safetensors.safe_open(min(earlier.iterdir()), framework="pt") as file:
        assert json.loads(file.metadata()["config"]) == dataclasses.asdict(SMALL)


def test_no_part_starts_from_an_unfinished_base(tmp_path, monkeypatch, capsys):
    digest = weights.save_weights(tmp_path / "weights", GPT(SMALL), {})
    pretrained(tmp_path, (2.0, digest), complete=False)
    monkeypatch.setattr(command, "study_device", lambda _: CPU)
    monkeypatch.setattr(study, "measured", lambda *_: pytest.fail("measured on an unfinished base"))
    parts = ["grid", "relatives", "places", "merge"]
    assert main(["--out", str(tmp_path), "--results", str(NOWHERE), "--part", *parts]) == 3
    shown = capsys.readouterr().out
    for name in parts:
        assert f"{name}: ValueError: load_base: gpu_pretrain.json must say that pretraining is complete" in shown


def test_pretraining_goes_on_without_a_compiler(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    corpus = load_corpus("book", "train")[:2000]
    model, result, failure = pretrain._train(CPU, SMALL, corpus, corpus[:200], 3, 2, compile=True)
    assert failure == "RuntimeError: no compiler" and len(result.log) == 1 + 1 + 1
    assert not torch.equal(model.embed.weight, GPT(SMALL).embed.weight)


def test_weights_that_are_no_better_are_not_kept(tmp_path):
    corpus = load_corpus("book", "train")[:2000]
    for best, kept in ((0.0, False), (math.inf, True)):
        found = pretrain._measure(CPU, SMALL, corpus, 20, 4, best, tmp_path / "weights", True)
        assert ("weights" in found) is kept is (tmp_path / "weights").exists()


def test_pretraining_stops_where_longer_is_no_better(tmp_path):
    for losses, runs in (([3.0, 2.0], 2), ([2.0, 2.5], 2), ([None], 1)):
        tasks = pretrain.run(CPU, variant="tiny", out=tmp_path, load_base=None)
        found = [next(tasks)]
        with pytest.raises(StopIteration):
            for loss in losses:
                found.append(tasks.send({"error": "no"} if loss is None else {"validation": loss}))
        assert [task.of["epochs"] for task in found] == [6, 12][:runs]


def test_speed_is_the_median_of_stretches():
    times = [9.0, 10.0, 11.0, 14.0, 15.0]  # compiling before the first, a measurement before the fourth
    log = [{"tokens": 100.0 * i, "tokens_per_second": 100.0 * i / t} for i, t in enumerate(times, 1)]
    assert close(pretrain.median_speed(log), 100.0, rtol=1e-9)


def test_the_device_tells_no_memory_on_a_cpu():
    assert (gpu.allocated(CPU), gpu.peak(CPU), gpu.cap_memory(CPU, 80e9), gpu.driver_of(CPU)) == (None,) * 4
    assert gpu.difference(None, 3) is None and gpu.difference(5, 3) == 2
    assert gpu.matrix_rate(CPU, 32, 3, warm_up=0.0) > 0 and gpu.versions()["triton" if torch.version.cuda else "torch"]


def test_the_matrix_rate_is_measured_warm(monkeypatch):
    """The first 400 products take ten times as long as those after half a second."""
    now = [0.0]

    def multiply(*_, **__):
        now[0] += 1e-3 if now[0] < 0.4 else 1e-4

    monkeypatch.setattr(torch, "mm", multiply)
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: now[0])
    assert close(gpu.matrix_rate(CPU, 8), 2 * 8**3 / 1e-4, rtol=1e-9)
    assert now[0] > 0.5


def test_pretraining_measures_the_matrix_rate_before_and_after(done):
    for run in documents(done[0])["pretrain"]["measurements"]:
        speed = run["tokens_per_second"] * run["flops_per_token"]
        assert len(run["matrix_rates"]) == 2
        assert close(run["share_of_matrix_rate"], 2 * speed / sum(run["matrix_rates"]), rtol=1e-4)


# ------------------------------------------------------------------------------------------------ answers


def a_run(method, rank, seed, target_loss, source_loss, *, rate=1e-3, layers="all", path=None):
    """A measurement of the grid, as far as the answers read it; the base forgets from 1.0 on."""
    of = {"base": "b", "target": "book", "method": method, "layers": layers if rank else None, "rank": rank}
    path = path or [[0, 2.0, 1.0], [10, target_loss, source_loss]]
    return {
        "of": {**of, "learning_rate": rate, "seed": seed}, "target_loss": target_loss, "source_loss": source_loss,
        "forgetting": None if source_loss is None else source_loss - 1.0, "path": path,
    }  # fmt: skip


def runs_with(excess, forgets, full=1.0):
    """Three seeds of full fine-tuning, and of LoRA whose loss is this much higher, by rank; losses differ by seed."""
    noise = {1: -0.1, 2: 0.0, 3: 0.1}  # common to both, so that it cancels
    small = {1: -0.001, 2: 0.0, 3: 0.001}  # does not
    runs = [a_run("full", None, seed, full + noise[seed], 1.5) for seed in noise]
    for rank, more in excess.items():
        for seed in noise:
            loss = (full + noise[seed]) * (1 + more + small[seed])
            runs.append(a_run("lora", rank, seed, loss, 1.5 + forgets + small[seed]))
    return runs


def test_the_rank_that_comes_within_two_percent():
    found = grid_answers.answers(runs_with({1: 0.10, 4: 0.0195, 2: 0.05, 8: 0.01}, -0.2))["book"]["within 2 %"]
    assert found["smallest rank by the mean"] == 4 and found["smallest rank by the interval"] == 8
    verdicts = {rank: entry["verdict"] for rank, entry in found["excess by rank"].items()}
    assert verdicts == {"1": "not within", "2": "not within", "4": "undecided", "8": "within"}
    assert close(found["excess by rank"]["1"]["mean"], 0.10, atol=1e-9)
    half = scipy.stats.t.ppf(0.975, 2) * 0.001 / math.sqrt(3)
    assert close(found["excess by rank"]["1"]["interval"], [0.10 - half, 0.10 + half], atol=1e-6)


def test_no_rank_comes_within_two_percent():
    found = grid_answers.answers(runs_with({1: 0.10, 64: 0.03}, 0.0))["book"]["within 2 %"]
    assert found["smallest rank by the mean"] is None and found["smallest rank by the interval"] is None


RATES = (1e-3, 2e-3, 4e-3)


def frontier_runs(lora, full=lambda target: 1.0 + (2.0 - target) / 4, seeds=(1, 2, 3, 4, 5), ends=(1.4, 1.2, 1.0)):
    """At each rate a path to its own end; the source loss is that of a curve, and for the highest rate far above it."""
    runs = []
    for method, rank, curve in (("full", None, full), ("lora", 8, lora)):
        for seed in seeds:
            for rate, end in zip(RATES, ends, strict=True):
                path = [[0, 2.0, 1.0], [5, (2 + end) / 2, 3.0], [10, end, curve(end) + seed / 1e5 * (rank is None)]]
                runs.append(a_run(method, rank, seed, end, path[-1][2], rate=rate, path=path))
    return runs


def forgetting(runs):
    return grid_answers.answers(runs)["book"]["forgetting"]["8"]


@pytest.mark.parametrize(("more", "verdict"), [(-0.2, "less"), (0.2, "more"), (3e-5, "undecided")])
def test_forgetting_is_compared_at_equal_target_loss(more, verdict):
    found = forgetting(frontier_runs(lambda target: 1.0 + (2.0 - target) / 4 + more))
    assert found["rates"] == {"full": list(RATES), "lora": list(RATES)}
    assert close(found["levels"], [1.2, 1.1, 1.0], atol=1e-9)
    assert [entry["verdict"] for entry in found["at equal target loss"]] == 3 * [verdict]
    assert close([entry["mean"] for entry in found["at equal target loss"]], more - 3e-5, atol=1e-9)
    assert [entry["seeds"] for entry in found["at equal target loss"]] == [5, 5, 5]


def test_a_rate_that_was_best_for_the_target_decides_nothing_about_forgetting():
    """At the rate of the lowest loss LoRA forgets less; on the way there, at lower rates, full fine-tuning does."""
    runs = frontier_runs(lambda target: 1.0 + (2.0 - target) / 4 + 0.1, ends=(1.4, 1.2, 1.0))
    for run in runs:  # full fine-tuning pays for its last tenth
        if run["of"]["method"] == "full" and run["of"]["learning_rate"] == RATES[-1]:
            run["path"] = [*run["path"][:-1], [9, 1.02, 1.3], [10, 0.9, 5.0]]
            run["target_loss"] = 0.9
    found = forgetting(runs)
    assert [entry["verdict"] for entry in found["at equal target loss"][:2]] == ["more", "more"]
    ends = {run["of"]["method"]: run["path"][-1][2] for run in runs if run["of"]["learning_rate"] == RATES[-1]}
    assert ends["lora"] < ends["full"]


def test_a_seed_without_all_its_rates_is_left_out():
    runs = frontier_runs(lambda target: 1.5)
    unfinished = [run for run in runs if (run["of"]["seed"], run["of"]["learning_rate"]) != (5, RATES[0])]
    assert [entry["seeds"] for entry in forgetting(unfinished)["at equal target loss"]] == [4, 4, 4]
    further = [a_run("full", None, 1, 0.5, 0.5, rate=9e-3)]  # on one seed alone: no part of the comparison
    assert forgetting([*runs, *further]) == forgetting(runs)
    none = forgetting([run for run in runs if run["of"]["learning_rate"] != RATES[0]])
    assert none["levels"] == none["at equal target loss"] == []


def test_a_frontier_is_what_no_other_point_beats():
    points = [(0, 2.0, 1.0), (1, 1.0, 1.5), (2, 1.5, 1.6), (3, 1.2, 1.2), (4, 0.9, 2.0), (5, 1.2, 1.3)]
    assert grid_answers.frontier(points) == [(2.0, 1.0), (1.2, 1.2), (1.0, 1.5), (0.9, 2.0)]
    assert close(grid_answers.source_at(points, 1.1), 1.35, atol=1e-9)
    assert grid_answers.source_at(points, 0.8) is grid_answers.source_at(points, 2.1) is None
    assert grid_answers.source_at(points, 0.9) == 2.0 and grid_answers.source_at(points, 2.0) == 1.0


def tuning_runs(best_full, best_lora, seeds=(0, 1, 2, 3)):
    """Parabolas in the logarithm of the rate, on quarter decades; on each seed a little elsewhere."""
    return [
        a_run(
            method, rank, seed,
            1 + 0.1 * (math.log10(grid.rate_of(k / 2)) - math.log10(best) + seed * shift) ** 2, 1.5,
            rate=grid.rate_of(k / 2),
        )
        for seed in seeds
        for method, rank, best, shift in (
            ("full", None, best_full, 0), ("lora", 4, best_lora, 0.01), ("lora", 8, best_lora, 0.02)
        )
        for k in range(-20, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(("factor", "verdict"), [(10.4, "undecided"), (4, "below"), (1, "below"), (100, "above")])
def test_the_factor_between_the_rates(factor, verdict):
    found = grid_answers.answers(tuning_runs(2e-4, 2e-4 * factor))["book"]["learning rate"]
    assert set(found["factor by rank"]) == {"4", "8"}
    entry = found["factor by rank"]["4"]
    assert entry["verdict"] == verdict and entry["seeds"] == 3
    assert close(entry["factor"], factor * 10**-0.02, rtol=1e-3)
    half = grid_answers.STUDENT[1] * 0.01 / math.sqrt(3)
    assert close(entry["interval"], [factor * 10 ** (-0.02 - half), factor * 10 ** (-0.02 + half)], rtol=1e-3)
    low, high = entry["bounds"]
    assert low < factor < high and close(high / low, 10, rtol=1e-2)
    best = found["full"]["best"]
    assert close(best, 1.778e-4, rtol=1e-3) and found["full"]["between"] == [1e-4, 3.162e-4]


def test_the_best_rate_needs_its_neighbours():
    assert grid_answers.best_rate({}) is None and grid_answers.best_rate({1e-3: math.inf}) is None
    assert grid_answers.best_rate({1e-3: 1.0, 1e-2: 2.0}) is None
    assert grid_answers.best_rate({1e-4: 1.1, 1e-3: 1.0, 1e-2: math.inf}) is None
    assert grid_answers.best_rate({1e-4: 1.1, 1e-3: 1.0, 1e-2: 1.16}) is None  # no parabola through what diverged
    best = grid_answers.best_rate({1e-4: 1.12, 3.162e-4: 1.0, 1e-3: 1.06})
    assert close(best, 3.162e-4 * 10 ** (0.5 / 6), rtol=1e-3)
    uneven = {10**x: 1 + (x + 3.1) ** 2 / 10 for x in (-4, -3, -2.75)}
    assert close(grid_answers.best_rate(uneven), 10**-3.1, rtol=1e-9)


def test_the_excess_for_each_number_of_steps():
    runs = []
    for steps, excess in ((50, 0.05), (200, 0.08)):
        for seed in range(6):
            for method, rank, loss in (("full", None, 1.0), ("lora", 8, 1 + excess + seed / 1e3)):
                run = a_run(method, rank, seed, loss, 1.5)
                runs.append({**run, "of": {**run["of"], "steps": steps}})
    found = grid_answers.lengths(runs)
    assert set(found) == {"50", "200"} and found["50"]["rates"] == {"full": 1e-3, "lora": 1e-3}
    assert close([found[steps]["excess"]["mean"] for steps in found], [0.053, 0.083], atol=1e-9)
    assert found["50"]["excess"]["seeds"] == 5


def test_answers_leave_out_what_does_not_belong():
    runs = runs_with({8: 0.01}, -0.2)
    failed = {"of": {**runs[0]["of"], "seed": 4}, "error": "no"}
    older = [{**run, "of": {**run["of"], "base": "older"}, "target_loss": 9.0} for run in runs]
    others = [a_run("lora", 8, seed, 9.0, 9.0, layers="q, v") for seed in (1, 2, 3)]
    diverged = [a_run("lora", 8, 4, None, None), a_run("full", None, 4, 1.0, 1.5)]
    tuned = [a_run("lora", 8, 0, 0.9, 9.0), a_run("full", None, 0, 0.9, 9.0)]
    worse = [a_run("lora", 8, seed, 2.0, 2.0, rate=5e-3) for seed in (0, 1, 2, 3)]  # than the rate that was chosen
    clean = grid_answers.answers(runs)["book"]
    mixed = grid_answers.answers([failed, *older, *runs, *diverged, *tuned, *others, *worse])["book"]
    assert mixed["within 2 %"] == clean["within 2 %"] and mixed["forgetting"] == clean["forgetting"]


@pytest.mark.parametrize("runs", [[], [a_run("full", None, 1, 1.0, 1.5)], [a_run("lora", 8, 1, 1.0, 1.5)]])
def test_answers_to_a_study_that_has_only_begun(runs):
    for found in grid_answers.answers(runs).values():
        assert found["within 2 %"]["smallest rank by the interval"] is None
        assert {entry["verdict"] for entry in found["learning rate"]["factor by rank"].values()} <= {"undecided"}
        json.dumps(found, allow_nan=False)


def test_intervals_are_students():
    values = [1.0, 2.0, 4.0, 8.0]
    for count in (2, 3, 4):
        some = values[:count]
        expected = scipy.stats.t.interval(0.95, count - 1, sum(some) / count, scipy.stats.sem(some))
        assert close(grid_answers.interval(some), expected, rtol=1e-3)
    assert grid_answers.interval([1.0]) is None


# ------------------------------------------------------------------------------------------------ what is stored


def stored_studies():
    return [name for name in results.names() if name.startswith(("cpu_", "gpu_"))]


def expected_runs(name, extent):
    """What a part runs: for each target the configurations."""
    if name == "grid":
        return [(target, of) for target in ("book", "tkinter") for of in grid.configurations(extent.ranks)]
    same = {"method": "lora", "layers": "all", "rank": relatives.RANK}
    if name == "relatives":
        return [("book", same | {"relative": relative}) for relative in grid.RELATIVES]
    return [("book", same | {"layers": layers, "rank": rank}) for layers, rank in places.PLACES.items()]


def test_the_small_study_is_there():
    assert set(stored_studies()) >= {f"cpu_{name}" for name in SMALL_PARTS}


@pytest.mark.parametrize("stored", stored_studies())
def test_what_is_stored_is_whole_and_of_this_study(stored):
    kind, name = stored.split("_", 1)
    document = results.load(stored)
    assert document["variant"] == {"cpu": "small", "gpu": "large"}[kind]
    assert document["questions"] == list(PARTS[name].QUESTIONS) and document["seeds"] == list(PARTS[name].SEEDS)
    runs = document["measurements"]
    assert runs and not [run for run in runs if "error" in run]
    if "answers" in document:
        assert document["answers"] == study.rounded(PARTS[name].answers(runs))
    if kind == "cpu":
        small = weights.load_base(CPU, variant="small", out=NOWHERE, results=NOWHERE, weights=NOWHERE)
        assert {run["of"]["base"] for run in runs} == {small.digest}


@pytest.mark.parametrize("name", ["grid", "relatives", "places"])
def test_every_stored_rate_has_worse_neighbours_and_further_seeds(name):
    document = results.load(f"cpu_{name}")
    extent, runs = grid.EXTENTS["small"], document["measurements"]
    for target, of in expected_runs(name, extent):
        here = [run for run in runs if {"target": target, **of}.items() <= run["of"].items()]
        tried = {
            round(4 * math.log10(run["of"]["learning_rate"])): run["target_loss"] or math.inf
            for run in here
            if run["of"]["seed"] == 0
        }
        best = min(tried, key=tried.get)
        frontier = name == "grid" and of["method"] != "prompt" and {best - 1, best + 1} <= tried.keys()
        assert frontier or {best - 2, best + 2} <= tried.keys(), (target, of)
        for further in (-2, -1, 0) if frontier else (0,):
            rate = grid.rate_of((best + further) / 2)
            seeds = {run["of"]["seed"] for run in here if run["of"]["learning_rate"] == rate}
            assert seeds >= set(extent.results if frontier else extent.others), (target, of)


# ------------------------------------------------------------------------------------------------ chapters 17 and 18


def cells_of(stem, changes):
    """The code cells of a chapter, without its set-up cell, with words changed that must be there."""
    cells = json.loads((ROOT / "chapters" / f"{stem}.ipynb").read_text("utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "google.colab" in codes.pop(0)
    whole = "\n# cell\n".join(code for code in codes if "%pip" not in code)
    for old, new in changes.items():
        assert whole.count(old) == 1, old
        whole = whole.replace(old, new)
    return whole.split("\n# cell\n")


def test_chapter_17_runs_in_its_large_size(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # where the base is written, to go on from
    short = {"steps": 2, "batch_size": 2, "context": 32}
    pretrain_whole = training.pretrain
    monkeypatch.setattr(
        training,
        "pretrain",
        lambda model, corpus, plan, books: pretrain_whole(model, corpus[:5000], replace(plan, **short), books),
    )
    changes = {
        "LARGE = False": "LARGE = True",
        "(100, 16, 512) if LARGE": "(2, 2, 32) if LARGE",
    }
    here, figures = {"__name__": "chapter", "display": print}, []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    monkeypatch.setattr(training, "standard_library", lambda split: load_corpus("source", "validation"))
    for code in cells_of("17_lora_training", changes):
        exec(compile(code, "chapter 17", "exec"), here)
        if here.get("SHAPE") == shapes.LARGER:  # the base of the study, which a CPU cannot train
            here["SHAPE"] = GPTConfig(context=128, width=32, heads=2, layers=2, hidden=64)
    assert here["base"].config.width == 32 and any((tmp_path / "lowrank-base").iterdir())
    assert "a larger one wants its own" in capsys.readouterr().out
    # five models, the race and the ranks on both texts, forgetting, rates, products, and what follows them
    assert [len(figure.axes) for figure in figures] == [5, 2, 2, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1]
    for figure in figures:
        plt.close(figure)
