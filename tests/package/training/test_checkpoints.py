"""Checkpoints: to the bit, whole after a crash at every step of a save, and honest about every kind of damage."""

import contextlib
import errno
import io
import itertools
import json
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_helpers import _disk
from lowrank_helpers.training import checkpoints
from lowrank_helpers.training.checkpoints import STATE, TENSORS, latest_checkpoint, save_checkpoint
from tests.package._matrices import PROPERTY


def _content(step):
    """Tensors and state as a trainer has them, all different at each step."""
    tensors = {
        "lora.A": torch.arange(12.0).reshape(3, 4) + step,
        "optimizer.steps": torch.tensor(step),
        "rng": torch.arange(60, dtype=torch.uint8) + step % 100,
    }
    return tensors, {"position": 128 * step, "log": [{"step": step, "loss": 1 / (1 + step)}], "targets": ["q_proj"]}


def _save(folder, *steps, **options):
    return [save_checkpoint(folder, step, *_content(step), **options) for step in steps][-1]


def _bits(tensor):
    row = tensor.detach().flatten().clone(memory_format=torch.contiguous_format)
    return tensor.shape, tensor.dtype, bytes(row.view(torch.uint8).numpy())


def _is(found, step, content=None):
    """Whether a checkpoint is that of this step, whole and to the bit."""
    tensors, state = content or _content(step)
    same = {name: _bits(tensor) for name, tensor in tensors.items()}
    return found.step == step and found.state == state and {k: _bits(t) for k, t in found.tensors.items()} == same


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


# What comes back


def test_every_dtype_comes_back_to_the_bit(tmp_path):
    floats = torch.tensor([0.0, -0.0, float("nan"), float("inf"), 1e-45, 1 / 3])
    tensors = {str(dtype): floats.to(dtype) for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)}
    whole = torch.tensor([0, 1, 255, 2**62 + 1])
    tensors |= {str(dtype): whole.to(dtype) for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool)}
    tensors |= {"number": torch.tensor(0.1), "empty": torch.zeros(0, 3), "trained": torch.nn.Parameter(torch.ones(2))}
    state = {"rng": 2**130 + 1, "loss": 0.1, "name": "Größe\n", "nested": {"list": [1, 2.0, None, True, {"a": []}]}}
    path = save_checkpoint(tmp_path / "new" / "run", 7, tensors, state)
    found = latest_checkpoint(tmp_path / "new" / "run")
    assert _is(found, 7, (tensors, state))
    assert found.path == path == tmp_path / "new" / "run" / "step-00000007"
    assert type(found.state["nested"]["list"][1]) is float
    assert not any(tensor.requires_grad or tensor.device.type != "cpu" for tensor in found.tensors.values())
    assert sorted(file.name for file in path.iterdir()) == [STATE, TENSORS]


DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8])


@st.composite
def arranged(draw):
    """A tensor that is a view of another: transposed, sliced with a stride, or spread out."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    base = torch.randint(0, 256, (*shape, 2), generator=torch.Generator().manual_seed(0)).to(draw(DTYPES))
    view = draw(st.sampled_from(["as it is", "turned", "strided", "spread"]))
    if view == "turned":
        return base.permute(*reversed(range(base.ndim)))
    return {"as it is": base, "strided": base[..., ::2], "spread": base[..., :1].expand(*shape, 3)}[view]


@pytest.mark.slow
@settings(PROPERTY, max_examples=50)
@given(st.dictionaries(st.text(max_size=5), arranged(), max_size=4))
def test_any_views_come_back(tmp_path_factory, tensors):
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder, 1, tensors, {})
    assert _is(latest_checkpoint(folder), 1, (tensors, {}))


def test_tensors_that_share_memory_come_back_each_with_its_own(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    tensors = {"embed": base, "head": base, "turned": base.T, "row": base[1], "rest": base.flatten()[2:]}
    save_checkpoint(tmp_path, 1, tensors, {})
    found = latest_checkpoint(tmp_path)
    assert _is(found, 1, (tensors, {}))
    found.tensors["embed"].zero_()
    assert torch.equal(found.tensors["head"], base)
    assert base.sum() == 15


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    path = _save(tmp_path, 1)
    found = latest_checkpoint(tmp_path)
    (path / TENSORS).write_bytes(bytes((path / TENSORS).stat().st_size))
    assert _is(found, 1)


# Which ones remain


@pytest.mark.parametrize(("keep", "remain"), [(1, [30]), (2, [9, 30]), (4, [1, 2, 9, 30]), (9, [1, 2, 9, 30])])
def test_keep(tmp_path, keep, remain):
    _save(tmp_path, 1, 2, 9, 30, keep=keep)
    assert _names(tmp_path) == [f"step-{step:08d}" for step in remain]
    assert _is(latest_checkpoint(tmp_path), 30)


def test_steps_are_ordered_as_numbers_and_not_as_words(tmp_path):
    _save(tmp_path, 99_999_999, 100_000_000, 1_000_000_000)
    assert _names(tmp_path) == ["step-100000000", "step-1000000000"]
    assert _is(latest_checkpoint(tmp_path), 1_000_000_000)


def test_a_step_that_is_there_already_is_replaced(tmp_path):
    _save(tmp_path, 1, 2)
    save_checkpoint(tmp_path, 2, {"new": torch.ones(3)}, {"try": 2}, keep=1)
    assert _names(tmp_path) == ["step-00000002"]
    assert _is(latest_checkpoint(tmp_path), 2, ({"new": torch.ones(3)}, {"try": 2}))


def test_later_steps_are_left_alone_and_the_one_just_saved_is_never_removed(tmp_path):
    (_save(tmp_path, 1, 9) / STATE).unlink()
    _save(tmp_path, 2, keep=1)
    assert _names(tmp_path) == ["step-00000002", "step-00000009"]
    with pytest.warns(UserWarning, match="step-00000009"):
        assert _is(latest_checkpoint(tmp_path), 2)


OTHERS = ["step-abc", "step-1", "step-000000001", "step-00000001-copy", ".step-00000001.new-", ".step-1.new-1", ".git"]


def test_what_belongs_to_others_is_ignored_and_untouched(tmp_path):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    _save(elsewhere, 3)
    folder.mkdir()
    for name in OTHERS:
        (folder / name).mkdir()
        (folder / name / TENSORS).write_bytes(b"mine")
    for name in ("notes.txt", "step-00000009", ".step-00000002.new-7", ".step-00000002.old-1"):
        (folder / name).write_text("mine")
    for name in ("step-00000003", ".step-00000003.new-1", ".step-00000003.old-2"):
        (folder / name).symlink_to(elsewhere / "step-00000003")
    before = _names(folder)
    assert latest_checkpoint(folder) is None
    _save(folder, 4, 5, 6, keep=1)
    assert _names(folder) == sorted([*before, "step-00000006"])
    with pytest.raises(OSError, match="step 3 must be written"):
        _save(folder, 3)
    assert _names(folder) == sorted([*before, "step-00000006"])
    assert all((folder / name / TENSORS).read_bytes() == b"mine" for name in OTHERS)
    assert (folder / "notes.txt").read_text() == (folder / "step-00000009").read_text() == "mine"
    assert _is(latest_checkpoint(elsewhere), 3)


def test_a_file_that_somebody_put_into_a_checkpoint_outlives_it(tmp_path):
    note = _save(tmp_path, 1) / "note.txt"
    note.write_text("mine")
    for name in (".step-00000001.new-99", ".step-00000001.old-3"):
        shutil.copytree(note.parent, tmp_path / name)
    (_save(tmp_path, 2, keep=1) / STATE).unlink()
    assert [path.read_text() for path in tmp_path.rglob("note.txt")] == ["mine"] * 3
    assert len(list(tmp_path.rglob(TENSORS))) == 1
    with pytest.raises(ValueError, match=r"none of 1 is: .*step-00000002"):  # the emptied ones are not even mentioned
        latest_checkpoint(tmp_path)


# A crash at every step of a save


class Died(BaseException):
    """The process is gone."""


class Disk:
    """Stands between the module and the disk: records each change, and breaks the one with the number ``breaks``.

    With ``dead`` all later changes fail as well, as for a process that was killed: it cannot tidy up.
    """

    CHANGES = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync")

    def __init__(self, monkeypatch, breaks=None, error=Died, dead=True):
        self.done, self.breaks, self.error, self.dead = [], breaks, error, dead
        for name in self.CHANGES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))
        monkeypatch.setattr(_disk, "open", self._open, raising=False)

    def _counted(self, name, change):
        def counted(*args, **options):
            self._count(name, args)
            return None if name == "fsync" else change(*args, **options)  # no test waits for a real disk

        return counted

    def _count(self, name, args):
        self.done.append((name, *args))
        if self.breaks is not None and (len(self.done) == self.breaks or (self.dead and len(self.done) > self.breaks)):
            raise self.error

    def _open(self, path, mode):
        self._count("open", (path, mode))
        file = io.FileIO(path, mode.replace("b", ""))
        write, disk = file.write, self

        class Half:
            """A file in which the break leaves half of what was to be written."""

            def write(self, content):
                write(content[: len(content) // 2])
                disk._count("write", (path,))
                write(content[len(content) // 2 :])

            def __getattr__(self, name):
                return getattr(file, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

        return Half()


NEW = ({"other": torch.full((50,), 7.0)}, {"try": "second"})
# name → (steps that are there, step that is saved, keep, names in the folder at the end)
SCENES = {
    "the first": ([], 1, 2, ["step-00000001"]),
    "one more": ([1, 2], 3, 2, ["step-00000002", "step-00000003"]),
    "the only one anew": ([2], 2, 1, ["step-00000002"]),
    "the newest of two anew": ([1, 2], 2, 2, ["step-00000001", "step-00000002"]),
}


def _crashes(monkeypatch, folder, scene, error=Died, dead=True):
    """Yield the folder, what was done, and the error raised, after a save that broke at its n-th change, for each n."""
    there, step, keep, _ = SCENES[scene]
    for n in itertools.count(1):
        run, caught = folder / str(n), None
        if there:
            _save(run, *there)
        with monkeypatch.context() as patch:
            disk = Disk(patch, n, error, dead)
            try:
                save_checkpoint(run, step, *NEW, keep=keep)
            except (Died, KeyboardInterrupt, OSError) as raised:
                caught = raised
        if len(disk.done) < n:
            assert n > 11, "a save has at least this many changes: two directories, two files of three each, and more"
            assert _is(latest_checkpoint(run), step, NEW)
            return
        if caught is None:  # pathlib passes over the error of making a folder that is there
            assert disk.done[n - 1] == ("mkdir", run, 0o777)
        else:
            yield run, disk.done, caught


@pytest.mark.parametrize("scene", SCENES)
def test_a_process_killed_at_any_change_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, scene):
    there, step, keep, names = SCENES[scene]
    old = new = 0
    for run, _, _ in _crashes(monkeypatch, tmp_path, scene):
        found = latest_checkpoint(run)  # no warning either: nothing that is half is ever looked at
        if found is not None and found.state == NEW[1]:
            assert _is(found, step, NEW)
            new += 1
        else:
            assert found is None if not there else _is(found, there[-1])
            assert not new, "the old one came back after the new one"
            old += 1
        save_checkpoint(run, step, *NEW, keep=keep)
        assert _names(run) == names  # what the killed save had left is gone
        assert _is(latest_checkpoint(run), step, NEW)
    assert old >= 8
    assert new >= 1


THIRD = ({"third": torch.tensor(3)}, {"try": "third"})


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["one more", "the only one anew"])
def test_a_second_crash_does_no_more_harm_than_the_first(tmp_path, monkeypatch, scene):
    _, step, keep, names = SCENES[scene]
    pairs = 0
    for run, _, _ in _crashes(monkeypatch, tmp_path / "first", scene):
        first = latest_checkpoint(run)
        for again in itertools.count(1):
            pairs += 1
            second, finished = shutil.copytree(run, tmp_path / "second"), False
            with monkeypatch.context() as patch, contextlib.suppress(Died):
                Disk(patch, again)
                save_checkpoint(second, step, *THIRD, keep=keep)
                finished = True
            found = latest_checkpoint(second)
            assert _is(found, step, THIRD) or (not finished and _is(found, first.step, first[1:3]))
            assert _names(second) == names or not finished
            shutil.rmtree(second)
            if finished:
                break
    assert pairs > 150


@pytest.mark.parametrize("scene", SCENES)
def test_an_interrupted_save_tidies_up(tmp_path, monkeypatch, scene):
    there, step, _, _ = SCENES[scene]
    for run, done, _ in _crashes(monkeypatch, tmp_path, scene, KeyboardInterrupt, dead=False):
        found = latest_checkpoint(run)
        assert _is(found, step, NEW) if found and found.state == NEW[1] else not there or _is(found, there[-1])
        failed_in_tidying = done[-1][0] in ("unlink", "rmdir")
        assert failed_in_tidying or not list(run.glob(".*new-*"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("scene", ["the first", "one more", "the only one anew"])
def test_a_disk_that_fails_at_any_change_is_reported(tmp_path, monkeypatch, scene, code):
    there, step, _, _ = SCENES[scene]
    for run, done, raised in _crashes(monkeypatch, tmp_path, scene, OSError(code, os.strerror(code)), dead=False):
        found = latest_checkpoint(run)
        last = f"step {found.step}, whole in {re.escape(str(found.path))}" if found else "its start: no checkpoint"
        assert re.fullmatch(
            rf"save_checkpoint: step {step} must be written to {re.escape(str(run))}; that failed: .*"
            rf"{os.strerror(code)}. Free space, or copy the folder to another disk; the run then goes on from {last}.*",
            str(raised),
        )
        assert isinstance(raised.__cause__, OSError)
        assert _is(found, step, NEW) if found and found.state == NEW[1] else not there or _is(found, there[-1])
        failed_in_tidying = done[-1][0] in ("unlink", "rmdir")
        assert failed_in_tidying or not list(run.glob(".*new-*"))


def test_a_disk_that_refuses_everything_is_reported(tmp_path, monkeypatch):
    _save(tmp_path, 1)
    with monkeypatch.context() as patch:
        Disk(patch, 1, OSError(errno.EROFS, "Read-only file system"))
        with pytest.raises(OSError, match=r"failed: .*Read-only file system.* goes on from step 1, whole in"):
            _save(tmp_path, 2)
    assert _names(tmp_path) == ["step-00000001"]


def test_a_full_disk_for_real(tmp_path):
    resource = pytest.importorskip("resource")
    _save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # Python ignores the signal, and the write fails
    try:
        with pytest.raises(OSError, match=r"step 2 must .*File too large\. Free .* from step 1, whole in") as raised:
            save_checkpoint(tmp_path, 2, {"large": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert raised.value.__cause__.errno == errno.EFBIG
    assert _names(tmp_path) == ["step-00000001"]
    assert _is(latest_checkpoint(tmp_path), 1)


def test_a_name_that_is_taken_by_a_file_is_reported(tmp_path):
    _save(tmp_path, 1)
    (tmp_path / "step-00000002").write_text("mine")
    with pytest.raises(OSError, match=r"step 2 must be written .* goes on from step 1, whole in"):
        _save(tmp_path, 2)
    assert _names(tmp_path) == ["step-00000001", "step-00000002"]
    with pytest.raises(OSError, match=r"step 3 must be written .*from its start: no checkpoint there is whole"):
        _save(tmp_path / "step-00000002", 3)
    with pytest.raises(NotADirectoryError, match=r"latest_checkpoint: folder must be a directory; got the file"):
        latest_checkpoint(tmp_path / "step-00000002")


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no directories")
def test_the_disk_has_all_of_it_before_it_gets_its_name_and_its_name_before_others_go(tmp_path, monkeypatch):
    _save(tmp_path, 1, 2, keep=9)
    with monkeypatch.context() as patch:
        disk = Disk(patch)

        def fsync(descriptor):
            node = os.fstat(descriptor).st_ino
            path = next(path for path in [tmp_path, *tmp_path.rglob("*")] if path.stat().st_ino == node)
            disk.done.append(("fsync", path))

        patch.setattr(os, "fsync", fsync)
        save_checkpoint(tmp_path, 2, *NEW, keep=1)
    unfinished = tmp_path / f".step-00000002.new-{os.getpid()}"
    order = [(name, path) for name, path, *_ in disk.done]
    naming = order.index(("rename", unfinished))
    whole = [order.index(("fsync", path)) for path in (unfinished / TENSORS, unfinished / STATE)]
    written = [order.index(("write", path)) for path in (unfinished / TENSORS, unfinished / STATE)]
    listed, named = order.index(("fsync", unfinished)), order.index(("fsync", tmp_path))
    removed = [place for place, (name, _) in enumerate(order) if name in ("unlink", "rmdir")]
    assert written[0] < whole[0] < listed < naming < named < min(removed)
    assert written[1] < whole[1] < listed


# Damage


@pytest.mark.parametrize("name", [TENSORS, STATE])
@pytest.mark.parametrize("tenths", range(10))
def test_a_truncated_checkpoint_is_skipped(tmp_path, name, tenths):
    path = _save(tmp_path, 1, 2)
    os.truncate(path / name, (path / name).stat().st_size * tenths // 10)
    wrong = r"tensors\.safetensors has \d+ bytes, \d+ were" if name == TENSORS else "state.json is not valid JSON"
    expected = rf"latest_checkpoint: skipped {path}: {wrong}.* Using {tmp_path / 'step-00000001'} instead\."
    with pytest.warns(UserWarning, match=expected):
        assert _is(latest_checkpoint(tmp_path), 1)


def test_a_file_of_another_length_is_not_read(tmp_path, monkeypatch):
    path = _save(tmp_path, 1, 2) / TENSORS
    os.truncate(path, 2**28)  # of zeros, which no disk holds
    whole, read = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self) or whole(self))
    with pytest.warns(UserWarning, match=f"tensors.safetensors has {2**28} bytes, .* were written. Using .*00000001"):
        assert _is(latest_checkpoint(tmp_path), 1)
    assert path not in read


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    path = _save(tmp_path, 1)
    sound = path.with_name("sound")
    shutil.copytree(path, sound)
    for name in (TENSORS, STATE):
        content = (sound / name).read_bytes()
        for place in range(0, len(content), 3):
            changed = bytearray(content)
            changed[place] ^= 4
            if name == STATE and content[place : place + 1].isspace():
                continue  # between JSON's words; it may mean nothing
            (path / name).write_bytes(changed)
            with pytest.raises(ValueError, match=r"none of 1 is: .*(was changed|not valid JSON|belongs to)"):
                latest_checkpoint(tmp_path)
        shutil.copy(sound / name, path / name)
    assert _is(latest_checkpoint(tmp_path), 1)


@pytest.mark.parametrize("name", [TENSORS, STATE])
def test_a_missing_file_is_named(tmp_path, name):
    path = _save(tmp_path, 1, 2)
    (path / name).unlink()
    with pytest.warns(UserWarning, match=f"skipped {path}: {name} is missing. Using .*step-00000001 instead"):
        assert _is(latest_checkpoint(tmp_path), 1)


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        ([TENSORS], "tensors.safetensors was changed"),
        ([STATE], "belongs to step"),
        ([TENSORS, STATE], "belongs to step"),
    ],
)
def test_files_of_two_checkpoints_that_were_swapped_are_noticed(tmp_path, names, wrong):
    first, second = _save(tmp_path, 1), _save(tmp_path, 2)
    for name in names:
        os.rename(first / name, tmp_path / "aside")
        os.rename(second / name, first / name)
        os.rename(tmp_path / "aside", second / name)
    with pytest.raises(ValueError, match=f"none of 2 is: .*step-00000002: .*{wrong}.*; .*step-00000001: .*{wrong}"):
        latest_checkpoint(tmp_path)


def test_several_broken_ones_get_a_warning_each(tmp_path):
    _save(tmp_path, 1, 2, 3, keep=9)
    (tmp_path / "step-00000002" / STATE).write_text("{}")
    (tmp_path / "step-00000003" / STATE).write_text("[1, 2]")
    with pytest.warns(UserWarning) as warned:
        assert _is(latest_checkpoint(tmp_path), 1)
    assert ["00000003: state.json was changed" in str(warned[0].message), len(warned)] == [True, 2]
    assert warned[0].filename == __file__


def test_none_whole_is_an_error_and_none_at_all_is_none(tmp_path):
    assert latest_checkpoint(tmp_path / "missing") is None
    assert latest_checkpoint(tmp_path) is None
    (_save(tmp_path, 1) / TENSORS).write_bytes(b"")
    with pytest.raises(ValueError, match=r"folder must hold a whole checkpoint; in .* none of 1 is: .*0 bytes.*Put"):
        latest_checkpoint(tmp_path)
    _save(tmp_path, 1)
    assert _is(latest_checkpoint(tmp_path), 1)


def test_no_pickle_is_read_even_with_the_right_digests(tmp_path):
    class Payload:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    path = _save(tmp_path, 1)
    content = pickle.dumps(Payload())
    (path / TENSORS).write_bytes(content)
    (path / STATE).write_text(checkpoints._document(1, content, {}))
    with pytest.raises(ValueError, match=r"cannot be read by safetensors"):
        latest_checkpoint(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_state_json_can_be_read_without_the_package(tmp_path):
    document = json.loads((_save(tmp_path, 5) / STATE).read_text())
    assert document["step"] == 5
    assert document["state"] == _content(5)[1]
    assert document["tensors"]["size"] == (tmp_path / "step-00000005" / TENSORS).stat().st_size


# Misuse


A = torch.ones(2)
MISUSE = [
    (("run", 1.0, {}, {}), {}, TypeError, "save_checkpoint: step must be an integer; got 1.0"),
    (("run", -1, {}, {}), {}, ValueError, "save_checkpoint: step must be at least 0; got -1"),
    (("run", 1, {}, {}), {"keep": 0}, ValueError, "save_checkpoint: keep must be at least 1; got 0"),
    ((None, 1, {}, {}), {}, TypeError, "save_checkpoint: folder must be a path; got None"),
    (("", 1, {}, {}), {}, TypeError, "save_checkpoint: folder must be a path; got ''"),
    (("run", 1, [A], {}), {}, TypeError, "tensors must be a dict of names to tensors; got list"),
    (("run", 1, {1: A}, {}), {}, ValueError, "names of tensors must be strings, '__metadata__' excepted; got 1"),
    (("run", 1, {"__metadata__": A}, {}), {}, ValueError, "excepted; got '__metadata__'"),
    (("run", 1, {"a": 1.0}, {}), {}, TypeError, r"tensors\['a'\] must be a tensor; got float. Numbers and words"),
    (("run", 1, {"a": A.to_sparse()}, {}), {}, TypeError, r"must be dense, .*; got torch.sparse_coo"),
    (("run", 1, {"a": A.to("meta")}, {}), {}, TypeError, r"must be dense, with its values, .* on meta"),
    (("run", 1, {"a": A + 1j}, {}), {}, TypeError, r"of dtype float64, float32, .*; got .*torch.complex64"),
    (("run", 1, {}, [1]), {}, TypeError, "state must be a dict; got list"),
    (("run", 1, {}, {"a": A}), {}, TypeError, "state must be plain JSON; .*Tensor is not JSON serializable"),
    (("run", 1, {}, {"a": float("nan")}), {}, TypeError, "state must be plain JSON; .*not JSON compliant"),
    (("run", 1, {}, {"b": 1, "a": {"c": (1, 2)}}), {}, TypeError, r"as it is; state\['a'\] does not. Make tuples"),
    (("run", 1, {}, {3: 4}), {}, TypeError, r"come back from JSON as it is; state\[3\] does not"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), MISUSE)
def test_misuse_is_refused_before_anything_is_written(tmp_path, monkeypatch, arguments, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        save_checkpoint(*arguments, **options)
    assert not _names(tmp_path)


def test_latest_refuses_what_is_no_path():
    with pytest.raises(TypeError, match=r"latest_checkpoint: folder must be a path; got 3\. Pass a str"):
        latest_checkpoint(3)
