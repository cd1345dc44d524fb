"""Adapters as files: what comes back, what a save that fails leaves, and a message for each thing that is wrong."""

import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    disable_lora,
    files,
    load_lora,
    lora_parameters,
    merge_lora,
    save_lora,
    set_adapter,
    unmerge_lora,
)
from tests import ROOT
from tests.package.lora._models import EPS, TARGETS, TOKENS, Tiny, adapted, fill, near, snapshot, tiny, unchanged

TENSORS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
KEY = "base_model.model.blocks.0.q_proj."


def trained(dtype=torch.float32, seed=0, **options):
    """A model with an adapter that does something."""
    options = {"alpha": 4, "targets": TARGETS, "rng": seed} | options
    return fill(add_lora(tiny(dtype), options.pop("rank", 2), **options), seed + 1)


@pytest.fixture
def folder(tmp_path):
    """A folder with an adapter."""
    return save_lora(trained(), tmp_path / "adapter")


# ----------------------------------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize("dtype", list(EPS))
@pytest.mark.parametrize(
    "options",
    [{}, {"scaling": "alpha/sqrt(rank)", "dropout": 0.25, "alpha": 1 / 3}, {"dora": True, "rank": 3}],
)
def test_an_adapter_comes_back_to_the_bit(tmp_path, dtype, options):
    model = trained(dtype, **options).eval()
    folder = save_lora(model, tmp_path / "new" / "adapter")
    assert folder == (tmp_path / "new" / "adapter").resolve()
    again = load_lora(tiny(dtype).eval(), folder)
    assert torch.equal(again(TOKENS), model(TOKENS))
    assert snapshot(again)[0] == snapshot(model)[0] and snapshot(again)[2] == snapshot(model)[2]
    for (key, p), (key2, q) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert (key, p.dtype, p.requires_grad) == (key2, q.dtype, q.requires_grad) and torch.equal(p, q)
    given = [layer.adapters["default"].settings for layer in (model.blocks[0].q_proj, again.blocks[0].q_proj)]
    assert given[0] == given[1]


@pytest.mark.parametrize("init", ["pissa", "olora"])
@pytest.mark.parametrize("scaling", ["alpha/rank", "alpha/sqrt(rank)"])
@pytest.mark.parametrize("rank", [3, 9])
def test_what_took_from_its_base_goes_back_to_the_base_before(tmp_path, init, scaling, rank):
    model = trained(torch.float64, init=init, scaling=scaling, rank=rank, targets=["q_proj", "v_proj"])
    again = load_lora(tiny(torch.float64), save_lora(model, tmp_path / "adapter"))
    assert near(again(TOKENS), model(TOKENS), 1e-12)
    assert torch.equal(again.blocks[0].q_proj.weight, tiny(torch.float64).blocks[0].q_proj.weight)
    assert again.blocks[0].q_proj.adapters["default"].A.shape == (2 * rank, 12)  # 18 > 12: allowed in files
    with disable_lora(again):
        assert torch.equal(again(TOKENS), tiny(torch.float64)(TOKENS))
    wrong = load_lora(tiny(torch.float64), save_lora(trained(torch.float64), tmp_path / "other"))
    assert not near(wrong(TOKENS), model(TOKENS), 1e-2)


def test_a_state_brings_along_what_the_base_was_before(tmp_path):
    model, other = trained(init="pissa"), add_lora(tiny(seed=9), 2, alpha=4, targets=TARGETS, init="pissa")
    other.load_state_dict(model.state_dict())
    again = load_lora(tiny(), save_lora(other, tmp_path / "adapter"))
    assert near(again(TOKENS), model(TOKENS), 1e3 * EPS[torch.float32])  # of numbers near 1


def test_one_of_several_adapters_is_saved_and_loaded(tmp_path):
    model = trained(name="first", targets=["q_proj"])
    first = model(TOKENS)
    fill(add_lora(model, 1, alpha=3, targets=["v_proj", "head"], name="second"), 5)
    second = model(TOKENS)
    save_lora(model, tmp_path / "second")
    save_lora(model, tmp_path / "first", name="first")
    again = load_lora(load_lora(tiny(), tmp_path / "first", name="one"), tmp_path / "second", name="two")
    assert adapted(again) == ["blocks.0.q_proj", "blocks.0.v_proj", "blocks.1.q_proj", "blocks.1.v_proj", "head"]
    assert torch.equal(again(TOKENS), second)
    assert len(lora_parameters(again)) == 6 == sum(p.requires_grad for p in again.parameters())
    assert torch.equal(set_adapter(again, "one")(TOKENS), first)


def test_merged_or_once_merged_it_still_belongs_to_its_base(tmp_path):
    for dtype in (torch.bfloat16, torch.float32):
        model = trained(dtype)
        y = model(TOKENS)
        merged = save_lora(merge_lora(model), tmp_path / "merged")
        assert torch.equal(load_lora(tiny(dtype), merged)(TOKENS), y)
        once = save_lora(unmerge_lora(model), tmp_path / "once")
        assert torch.equal(load_lora(tiny(dtype), once)(TOKENS), y)
    twice = load_lora(unmerge_lora(merge_lora(trained(name="other"))).to(torch.bfloat16), once)  # from float32
    assert twice.blocks[0].q_proj.active == "default"


def test_the_base_may_be_of_another_dtype(tmp_path):
    for dtype in EPS:
        model = fill(add_lora(tiny().to(dtype), 2, alpha=4, targets=TARGETS, rng=0))
        save_lora(model, tmp_path / "adapter")
        for other in EPS:
            y = load_lora(tiny().to(other), tmp_path / "adapter")(TOKENS)
            assert near(y, model(TOKENS), 16 * max(EPS[dtype], EPS[other]))  # six layers, numbers near 1


def test_a_model_that_was_cast_afterwards_belongs_to_the_base_that_is_cast(tmp_path):
    for init in ("kaiming", "pissa"):
        model = trained(init=init).to(torch.bfloat16)
        load_lora(tiny().to(torch.bfloat16), save_lora(model, tmp_path / "adapter"))
        load_lora(tiny(), tmp_path / "adapter")


def test_a_layer_at_two_places_is_saved_at_both(tmp_path):
    def shared():
        model = tiny()
        model.blocks[1].q_proj = model.blocks[0].q_proj
        return model

    model = fill(add_lora(shared(), 2, alpha=4, targets=["q_proj"], rng=0))
    with pytest.warns(UserWarning, match="save_lora: a layer hangs at two places of the model.*PEFT at the first only"):
        save_lora(model, tmp_path / "adapter")
    again = load_lora(shared(), tmp_path / "adapter")
    assert torch.equal(again(TOKENS), model(TOKENS))
    assert again.blocks[1].q_proj is again.blocks[0].q_proj


def test_ranks_that_differ_by_layer_come_back(tmp_path):
    def nested():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Module()
            model.a = nn.Linear(6, 6)
            model.x = nn.Module()
            model.x.a = nn.Linear(6, 6)  # 'a' also matches the end of 'x.a'
            return model

    model = nested()
    model.a = LoRALinear(model.a, 2, alpha=4, rng=0)
    model.x.a = LoRALinear(model.x.a, 3, alpha=5, rng=1)
    again = load_lora(nested(), save_lora(fill(model), tmp_path / "adapter"))
    x = torch.ones(2, 6)
    assert torch.equal(again.a(x), model.a(x)) and torch.equal(again.x.a(x), model.x.a(x))
    config = json.loads((tmp_path / "adapter" / CONFIG).read_text())
    assert list(config["rank_pattern"].items()) == [(r"x\.a", 3), ("a", 2)]


def test_a_dot_in_a_name_means_a_dot(tmp_path):
    def lookalikes():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Module()
            model.attn, model.attn_q = nn.Module(), nn.Linear(6, 6)
            model.attn.q = nn.Linear(6, 6)
            model.add_module("c++", nn.Linear(6, 6))
            model.add_module("[ab](", nn.Linear(6, 6))
            return model

    model = lookalikes()
    model.attn.q = LoRALinear(model.attn.q, 2, alpha=4, rng=0)
    for number, name in enumerate(["attn_q", "c++", "[ab]("]):
        setattr(model, name, LoRALinear(getattr(model, name), 3 + number, alpha=50 + number, rng=1))
    again = load_lora(lookalikes(), save_lora(fill(model), tmp_path / "adapter"))
    x = torch.ones(2, 6)
    for path in ("attn.q", "attn_q", "c++", "[ab]("):
        assert torch.equal(again.get_submodule(path)(x), model.get_submodule(path)(x)), path


@pytest.mark.parametrize("pattern", ["(a+)+", "(.*a){30}", "(a|a)*", "(([a-z_0-9]+)*)*X", ".*.*.*.*.*X", r"(a)\1+"])
def test_a_pattern_that_could_match_for_ever_is_refused_at_once(folder, pattern):
    started = time.perf_counter()
    layer = {f"base_model.model.{'a' * 40}!.lora_{side}.weight": torch.ones(2, 2) for side in "AB"}
    as_peft(folder, layer, rank_pattern={pattern: 2})
    with pytest.raises(ValueError, match=r"^load_lora: rank_pattern .* a pattern may"):
        load_lora(tiny(), folder)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("pattern", ["q_proj", "^blocks.*up_proj", r".*blocks\.\d+\.(q|v)_proj", "blocks.[01].q_proj$"])
def test_ordinary_patterns_are_not(pattern):
    files.check_pattern(pattern)


def test_targets_that_the_model_lacks_do_no_harm(folder):
    as_peft(folder, target_modules=["q_proj", "v_proj", "c_attn", 3])
    assert torch.equal(load_lora(tiny(), folder)(TOKENS), trained()(TOKENS))


def test_a_frozen_weight_that_comes_along_is_compared_with_the_base(folder):
    base = tiny().blocks[0].q_proj.weight.detach()
    as_peft(folder, {KEY + "base_layer.weight": base})
    assert torch.equal(load_lora(tiny(), folder)(TOKENS), trained()(TOKENS))


def test_a_base_with_other_columns_or_another_bias_is_refused(tmp_path):
    def base():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(64, 128))

    folder = save_lora(fill(add_lora(base(), 2, alpha=4, targets=["0"], rng=0)), tmp_path / "adapter")
    columns, bias = base(), base()
    with torch.no_grad():
        columns[0].weight[:, 1::2] += 0.1
        bias[0].bias[::3] += 0.1
    for model in (columns, bias):
        with pytest.raises(ValueError, match="the weight of '0' is another one"):
            load_lora(model, folder)
    load_lora(base(), folder)


@pytest.mark.parametrize(
    ("targets", "written"),
    [
        (["q_proj"], ["q_proj"]),
        (["blocks.1.q_proj", "head"], ["blocks.1.q_proj", "head"]),
        (["0.q_proj", "1.q_proj"], ["q_proj"]),
    ],
)
def test_the_files_are_those_of_peft(tmp_path, targets, written):
    folder = save_lora(trained(targets=targets), tmp_path / "adapter")
    assert sorted(os.listdir(folder)) == [CONFIG, TENSORS]
    config = json.loads((folder / CONFIG).read_text())
    assert config["target_modules"] == written
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["bias"]) == ("LORA", 2, 4, "none")
    with safetensors.safe_open(folder / TENSORS, framework="pt") as file:
        assert all(re.fullmatch(r"base_model\.model\.[\w.]+\.lora_[AB]\.weight", key) for key in file.keys())  # noqa: SIM118
        assert file.metadata()["format"] == "pt"


# ----------------------------------------------------------------------------------------------- a save that goes wrong


class Fails:
    """Calls a function through, until the n-th call raises."""

    def __init__(self, function, error, n):
        self.function, self.error, self.left = function, error, n

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.function(*args, **kwargs)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [FULL, SystemExit(1)], ids=["full", "ended"])
@pytest.mark.parametrize(
    ("function", "n", "committed"),
    [
        *(("fsync", n, n == 3) for n in (1, 2, 3)),  # two files, and their folder
        *(("open", n, n == 2) for n in (1, 2)),  # the folder, to lock it and to bring it to the disk
        *(("replace", n, n == 2) for n in (1, 2)),  # the tensors, then the settings
        ("mkdir", 1, False),
        ("mkdir", 9, True),  # it never comes to that
    ],
)
@pytest.mark.parametrize("existing", [True, False])
def test_a_save_that_fails_leaves_one_whole_adapter(tmp_path, monkeypatch, error, function, n, committed, existing):
    old, new = trained(seed=0), trained(seed=1)
    if existing:
        save_lora(old, tmp_path / "a")
    failing = Fails(getattr(os, function), error, n)
    with monkeypatch.context() as patched:
        patched.setattr(os, function, failing)
        if n == 9 or (existing and function == "mkdir"):
            save_lora(new, tmp_path / "a")
            committed = True
        else:
            with pytest.raises(
                type(error), match="^save_lora: could not write 'a': No space" if error is FULL else "1"
            ):
                save_lora(new, tmp_path / "a")
    if existing or committed:
        assert torch.equal(load_lora(tiny(), tmp_path / "a")(TOKENS), (new if committed else old)(TOKENS))
    assert os.listdir(tmp_path) == (["a"] if existing or committed else [])


def test_a_disk_that_is_full_for_real(tmp_path):
    resource = pytest.importorskip("resource")  # Windows has none
    folder, model = save_lora(trained(), tmp_path / "a"), trained(rank=10, seed=3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        with pytest.raises(
            OSError, match=r"^save_lora: could not write 'a': File too large\. What is in the folder is whole"
        ):
            save_lora(model, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.equal(load_lora(tiny(), folder)(TOKENS), trained()(TOKENS))
    assert os.listdir(tmp_path) == ["a"]


# A save ends between the two files, at each moment at which a process can be killed.
KILLED = """
import os, signal, sys, torch
from lowrank_helpers.lora import save_lora
from tests.package.lora.test_files import trained
replace = os.replace
def dying(source, target):
    if os.path.basename(target) == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dying
save_lora(trained(seed=1), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("at", [TENSORS, CONFIG])
def test_a_save_that_is_killed_leaves_one_whole_adapter(tmp_path, at, existing):
    folder, old = tmp_path / "a", trained()
    if existing:
        save_lora(old, folder)
    ended = subprocess.run([sys.executable, "-c", KILLED, folder, at], cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL and any(name.endswith(".part") for name in os.listdir(folder))
    if at == CONFIG or existing:
        expected = trained(seed=1) if at == CONFIG else old
        assert torch.equal(load_lora(tiny(), folder)(TOKENS), expected(TOKENS))
    else:
        with pytest.raises(ValueError, match=r"must hold adapter_model\.safetensors; it does not"):
            load_lora(tiny(), folder)
    save_lora(old, folder)
    assert sorted(os.listdir(folder)) == [CONFIG, TENSORS]
    assert torch.equal(load_lora(tiny(), folder)(TOKENS), old(TOKENS))


def test_the_folder_itself_stays_with_its_mode(tmp_path, monkeypatch):
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    number = folder.stat().st_ino
    monkeypatch.chdir(folder)
    save_lora(trained(), ".")
    assert sorted(os.listdir()) == [CONFIG, TENSORS] and os.getcwd() == str(folder)
    (folder / TENSORS).chmod(0o600)
    save_lora(trained(seed=2), folder)
    assert folder.stat().st_ino == number and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / TENSORS).stat().st_mode) == 0o600
    assert torch.equal(load_lora(tiny(), folder)(TOKENS), trained(seed=2)(TOKENS))


def test_a_folder_with_the_name_of_a_file_is_not_deleted(tmp_path):
    (tmp_path / CONFIG).mkdir()
    (tmp_path / CONFIG / "mine").write_text("mine")
    with pytest.raises(ValueError, match=f"which also holds '{CONFIG}'"):
        save_lora(trained(), tmp_path)
    assert os.listdir(tmp_path) == [CONFIG] and (tmp_path / CONFIG / "mine").read_text() == "mine"


@pytest.mark.slow
def test_writers_and_readers_side_by_side(tmp_path):
    """Two threads save two adapters in turns and one loads: each load is one of the two, and none fails."""
    models = [trained(), trained(seed=1, alpha=6)]
    outputs = [model(TOKENS) for model in models]
    save_lora(models[0], tmp_path / "a")
    writers = [
        threading.Thread(target=lambda model=model: [save_lora(model, tmp_path / "a") for _ in range(40)])
        for model in models
    ]
    for writer in writers:
        writer.start()
    loads = 0
    while any(writer.is_alive() for writer in writers) or not loads:
        y = load_lora(tiny(), tmp_path / "a")(TOKENS)
        assert any(torch.equal(y, output) for output in outputs)
        loads += 1
    assert sorted(os.listdir(tmp_path / "a")) == [CONFIG, TENSORS]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    save_lora(trained(), tmp_path / "run-1")
    (tmp_path / "latest").symlink_to(tmp_path / "run-1")
    save_lora(trained(seed=4), tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert torch.equal(load_lora(tiny(), tmp_path / "run-1")(TOKENS), trained(seed=4)(TOKENS))


def mixed():
    model = trained(targets=["blocks.0.q_proj"])
    model.head = LoRALinear(model.head, 2, alpha=4, scaling="alpha/sqrt(rank)")
    return model


def two():
    model = trained(targets=["q_proj"])
    model.head = LoRALinear(model.head, 2, alpha=4, name="other")
    return model


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (trained, {"folder": "notes.txt"}, "folder must be a folder; got 'notes.txt', a file"),
        (trained, {"folder": "."}, "must be new or hold an adapter only; got .* which also holds 'notes.txt'"),
        (trained, {"name": "x"}, "name must be that of an adapter; got 'x'. There are: 'default'"),
        (two, {}, "name must be that of an adapter; got None. There are: 'default', 'other'"),
        (mixed, {}, "must have one dropout, scaling and dora; got 2 combinations in 'default'"),
        (
            lambda: LoRALinear(nn.Linear(3, 3), 1, alpha=1),
            {},
            "model must contain linear layers; got a LoRALinear itself",
        ),
    ],
)
def test_save_lora_says_what_is_wrong(tmp_path, make, options, message):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=f"^save_lora: .*{message}"):
        save_lora(make(), tmp_path / options.pop("folder", "adapter"), **options)
    assert os.listdir(tmp_path) == ["notes.txt"] and (tmp_path / "notes.txt").read_text() == "mine"


# ------------------------------------------------------------------------------------------------------- what is wrong


def as_peft(folder, tensors=None, **settings):
    """Write the folder again as another program would: without our metadata, with other tensors or settings."""
    found = safetensors.torch.load_file(folder / TENSORS)
    found = {key: t for key, t in (found | (tensors or {})).items() if t is not None}
    safetensors.torch.save_file(found, folder / TENSORS, {"format": "pt"})
    config = json.loads((folder / CONFIG).read_text()) | settings
    (folder / CONFIG).write_text(json.dumps(config))


def rewrite(folder, **settings):
    config = json.loads((folder / CONFIG).read_text()) | settings
    (folder / CONFIG).write_text(json.dumps(config))


def flip(folder, place=-5):
    content = bytearray((folder / TENSORS).read_bytes())
    content[place] ^= 1
    (folder / TENSORS).write_bytes(content)


def cut(folder, share):
    content = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(content[: int(share * len(content))])


def other_config(folder):
    save_lora(trained(alpha=5), folder / "other")
    (folder / "other" / CONFIG).replace(folder / CONFIG)


def only_a_pickle(folder):
    (folder / TENSORS).unlink()
    torch.save({}, folder / "adapter_model.bin")


def other_metadata(folder):
    found = safetensors.torch.load_file(folder / TENSORS)
    safetensors.torch.save_file(found, folder / TENSORS, {"lowrank_helpers": "{"})


def base_sample(folder, change):
    with safetensors.safe_open(folder / TENSORS, framework="pt") as file:
        ours = json.loads(file.metadata()["lowrank_helpers"])
    change(ours["base"]["blocks.0.q_proj"])
    found = safetensors.torch.load_file(folder / TENSORS)
    safetensors.torch.save_file(found, folder / TENSORS, {"lowrank_helpers": json.dumps(ours)})


def a_single_number(folder):
    with safetensors.safe_open(folder / TENSORS, framework="pt") as file:
        metadata = file.metadata()
    found = safetensors.torch.load_file(folder / TENSORS) | {KEY + "lora_A.weight": torch.tensor(1.0)}
    safetensors.torch.save_file(found, folder / TENSORS, metadata)


NAN = torch.full((2, 12), torch.nan)
DIGEST = "must be as they were saved; their digest is another one"
SPOILED = [
    (shutil.rmtree, "folder that exists; got .*Pass the adapter's folder"),
    (lambda f: (f / TENSORS).unlink(), f"'adapter' must hold {TENSORS}; it does not"),
    (lambda f: (f / CONFIG).unlink(), f"'adapter' must hold {CONFIG}; it does not"),
    (only_a_pickle, f"must hold {TENSORS}; got adapter_model.bin only, a pickle, which can run any code"),
    *((lambda f, share=share: cut(f, share / 10), "must be a whole safetensors file; got") for share in range(10)),
    (lambda f: (f / TENSORS).write_bytes(b"PK" + bytes(100)), "must be a whole safetensors file"),
    (flip, DIGEST),
    (lambda f: flip(f, -2000), DIGEST),
    (lambda f: rewrite(f, lora_alpha=5), DIGEST),
    (lambda f: rewrite(f, use_rslora=True), DIGEST),
    (other_config, DIGEST),
    (other_metadata, DIGEST),
    (lambda f: base_sample(f, lambda sample: sample[1].pop()), DIGEST),
    (a_single_number, DIGEST),
    (lambda f: (f / CONFIG).write_text("{"), f"{CONFIG} must be JSON; got"),
    (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe"), f"{CONFIG} must be JSON; got"),
    (lambda f: (f / CONFIG).write_text("[]"), "must have the peft_type 'LORA'; got"),
    (lambda f: as_peft(f, peft_type="IA3"), "must have the peft_type 'LORA'; got 'IA3'"),
    (lambda f: as_peft(f, modules_to_save=["head"]), r"not supported here; got modules_to_save=\['head'\]"),
    (lambda f: as_peft(f, bias="lora_only"), "not supported here; got bias='lora_only'"),
    (lambda f: as_peft(f, fan_in_fan_out=True), "not supported here; got fan_in_fan_out=True"),
    (lambda f: as_peft(f, layer_replication=[[0, 2]]), "not supported here; got layer_replication"),
    (lambda f: as_peft(f, use_qalora=True), "not supported here; got use_qalora=True"),
    (lambda f: as_peft(f, lora_bias=True), "not supported here; got lora_bias=True"),
    (lambda f: as_peft(f, not_invented_yet=1), "not supported here; got not_invented_yet=1"),
    (lambda f: as_peft(f, init_lora_weights="pissa_niter_4"), "or 'pissa' or 'olora'; got 'pissa_niter_4'"),
    (lambda f: as_peft(f, init_lora_weights="corda"), "or 'pissa' or 'olora'; got 'corda'"),
    (lambda f: as_peft(f, use_rslora="false"), f"use_rslora in {CONFIG} must be true or false; got 'false'"),
    (lambda f: as_peft(f, use_dora=1), f"use_dora in {CONFIG} must be true or false; got 1"),
    (lambda f: as_peft(f, use_dora=None), f"use_dora in {CONFIG} must be true or false; got None"),
    (lambda f: as_peft(f, r=3), r"with rank 3, as adapter_config.json has it; got \(2, 12\) and \(12, 2\)"),
    (lambda f: as_peft(f, r="2"), f"r in {CONFIG} must be an integer"),
    (lambda f: as_peft(f, r=0), f"r in {CONFIG} must be at least 1"),
    (lambda f: as_peft(f, lora_alpha=0), f"lora_alpha in {CONFIG} must be finite and above 0"),
    (lambda f: as_peft(f, lora_alpha=None), f"lora_alpha in {CONFIG} must be a real number"),
    (lambda f: as_peft(f, lora_dropout=2), f"lora_dropout in {CONFIG} must be"),
    (lambda f: as_peft(f, rank_pattern=[2]), "rank_pattern in .* must map patterns to numbers"),
    (lambda f: as_peft(f, rank_pattern={"(": 2}), "rank_pattern in .* must map patterns to numbers"),
    (lambda f: as_peft(f, rank_pattern={"a{100000000000000000000}": 2}), "rank_pattern in .* must map patterns to"),
    (lambda f: as_peft(f, rank_pattern={"(" * 5000 + ")" * 5000: 2}), "rank_pattern in .* must map patterns to"),
    (lambda f: as_peft(f, alpha_pattern={"(?<=a)b": 2}), "a pattern may not have a assert"),
    (lambda f: as_peft(f, lora_alpha=1e308), "times A and B must be within the range of float32; got 1e[+]308"),
    (lambda f: (f / CONFIG).write_text("[" * 100_000), f"{CONFIG} must be JSON; got"),
    (lambda f: as_peft(f, {KEY + "base_layer.weight": torch.ones(12, 12)}), "brings a weight for 'blocks.0.q_proj'"),
    (lambda f: as_peft(f, {KEY + "lora_A.weight": torch.ones(2, 12).to(torch.float8_e5m2)}), "must hold finite floats"),
    (lambda f: as_peft(f, use_dora=True), "'blocks.0.q_proj' must have .*lora_magnitude_vector in"),
    (
        lambda f: as_peft(f, {KEY + "lora_B.weight": None}),
        "'blocks.0.q_proj' must have lora_A.weight, lora_B.weight in",
    ),
    (
        lambda f: as_peft(f, {KEY + "lora_C.weight": NAN}),
        "must be an A, a B or a magnitude .* got the key '.*lora_C.weight'",
    ),
    (
        lambda f: as_peft(f, {KEY + "lora_A.weight": NAN}),
        "every tensor must hold finite floats; '.*q_proj.lora_A.weight'",
    ),
    (lambda f: as_peft(f, {KEY + "lora_A.weight": torch.ones(2, 12).long()}), "must hold finite floats"),
    (
        lambda f: as_peft(f, {KEY + "lora_A.weight": torch.ones(2, 11)}),
        r"shape \(12, 12\); got \(12, 11\) for 'blocks.0.q_",
    ),
    (lambda f: as_peft(f, {KEY + "lora_A.weight": torch.ones(24)}), r"A must be \(rank, in\)"),
    (lambda f: safetensors.torch.save_file({}, f / TENSORS), "must hold tensors; it holds none"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED)
def test_load_lora_says_what_is_wrong_with_the_files(folder, spoil, message):
    spoil(folder)
    model = trained(name="other")
    before = snapshot(model)
    with pytest.raises((ValueError, TypeError), match=f"^load_lora: .*{message}"):
        load_lora(model, folder)
    assert unchanged(model, before)


def test_a_factor_above_the_range_of_float32_is_refused_also_where_B_is_zero(tmp_path):
    """It would raise at every forward pass."""
    folder = save_lora(add_lora(tiny(), 2, alpha=4, targets=TARGETS), tmp_path / "adapter")
    as_peft(folder, lora_alpha=1e308)
    model = tiny()
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"^load_lora: alpha must be .* below 3.40282e[+]38; got 1e[+]308"):
        load_lora(model, folder)
    assert unchanged(model, before)


def renamed():
    model = tiny()
    model.blocks[0].query = model.blocks[0].q_proj
    del model.blocks[0].q_proj
    return model


def embedding_for_a_layer():
    model = tiny()
    model.blocks[0].q_proj = nn.Embedding(12, 12)
    return model


def touched(index):
    """The model, with one of the sampled entries of a weight changed by one unit in the last place."""
    model = tiny()
    with torch.no_grad():
        flat = model.blocks[1].v_proj.weight.view(-1)
        flat[index] = torch.nextafter(flat[index], torch.tensor(9.0))
    return model


def far_bfloat16():
    model = tiny().to(torch.bfloat16)
    with torch.no_grad():
        model.blocks[0].q_proj.weight.mul_(1.03)
    return model


def on_meta():
    model = tiny()
    model.head = nn.Linear(12, 5, device="meta")
    model.blocks[0].q_proj = nn.Linear(12, 12, device="meta")
    return model


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (renamed, "x", "must have every layer of the adapter; it has no 'blocks.0.q_proj'. Its linear layers are: 'b"),
        (embedding_for_a_layer, "x", "'blocks.0.q_proj' must be a torch.nn.Linear itself, .* got Embedding"),
        (lambda: Tiny(14), "x", r"must be of the layer's shape \(14, 14\); got \(12, 12\) for 'blocks.0.q_proj'"),
        (lambda: tiny(seed=8), "x", "the base must be the one .* the weight of 'blocks.0.q_proj' is another one"),
        (lambda: touched(0), "x", "the weight of 'blocks.1.v_proj' is another one"),
        (lambda: touched(63 * 120 // 64), "x", "the weight of 'blocks.1.v_proj' is another one"),
        (far_bfloat16, "x", "the weight of 'blocks.0.q_proj' is another one"),
        (on_meta, "x", "'blocks.0.q_proj' must hold numbers"),
        (trained, "default", "name must be new; got 'default', which the model has"),
        (lambda: merge_lora(trained()), "x", "no adapter must be merged; got 'default' merged"),
        (lambda: trained(init="pissa"), "x", "must be the only one on its layer"),
        (lambda: nn.Linear(12, 12), "x", "must contain linear layers; got a Linear itself"),
        (tiny, "a.b", "name must not be empty, have a dot"),
    ],
)
def test_load_lora_says_what_is_wrong_with_the_model(folder, make, name, message):
    model = make()
    before = snapshot(model)
    with pytest.raises((ValueError, TypeError), match=f"^load_lora: .*{message}"):
        load_lora(model, folder, name=name)
    assert unchanged(model, before)


def test_an_adapter_without_a_sample_of_its_base_is_taken_on_trust(folder):
    as_peft(folder)
    assert len(adapted(load_lora(tiny(seed=8), folder))) == 6


@pytest.mark.slow
def test_a_byte_of_the_tensors_that_is_flipped_is_noticed_wherever_it_is(folder):
    content = (folder / TENSORS).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content), (len(content) - start) // 40):
        (folder / TENSORS).write_bytes(content)
        flip(folder, place)
        with pytest.raises(ValueError, match=f"^load_lora: .*({DIGEST}|finite)"):
            load_lora(tiny(), folder)
