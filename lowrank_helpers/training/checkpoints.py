"""Checkpoints that are whole or not there: one directory each, in safetensors and JSON.

A checkpoint of step 100 is the directory ``step-00000100`` with two files: ``tensors.safetensors`` and ``state.json``,
which holds the caller's state, the step, and size and digest of the first. Both are written into a hidden directory
``.step-00000100.new-PID`` beside it and forced to the disk before one rename gives them their name. Where the name is
taken already, the old directory is first renamed to ``.step-00000100.old-NUMBER``; under that name it still counts as a
checkpoint. So at every moment, a loss of power included, the newest checkpoint is either the old one or the new one.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch

from lowrank_helpers import _checks
from lowrank_helpers._disk import flush_names, write_new

TENSORS, STATE = "tensors.safetensors", "state.json"
DTYPES = (
    *(torch.float64, torch.float32, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.uint8, torch.bool),
)
NAME = re.compile(r"step-(?P<step>[0-9]{8}|[1-9][0-9]{8,})")
DISPLACED = re.compile(r"\.step-(?P<step>[0-9]{8,})\.old-(?P<number>[0-9]+)")
UNFINISHED = re.compile(r"\.step-(?P<step>[0-9]{8,})\.new-[0-9]+")


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole.

    Attributes
    ----------
    step : int
        The step that it was saved at.
    tensors : dict of str to Tensor
        Its tensors on the CPU, in the dtypes and shapes that they were saved with.
    state : dict
        The caller's state.
    path : Path
        The directory that it was read from.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    path: Path


def save_checkpoint(
    folder: str | os.PathLike[str],
    step: int,
    tensors: dict[str, torch.Tensor],
    state: dict[str, Any],
    *,
    keep: int = 2,
) -> Path:
    """Save a checkpoint of this step, then remove older ones; whatever interrupts this, a whole one remains.

    A step that is there already is replaced. Checkpoints of later steps, and whatever else lies in the folder, are
    left alone; what a killed save has left behind is removed. While it saves, the bytes of all tensors are held in
    memory once more. Only one process may save into a folder.

    Parameters
    ----------
    folder : str or PathLike
        Where the run's checkpoints lie; made where it is missing.
    step : int
        The number of steps done, at least 0.
    tensors : dict of str to Tensor
        Dense tensors of any shape and device, in float64, float32, bfloat16, float16, int64, int32, uint8 or bool.
        They may share memory; each is stored in full.
    state : dict
        Everything else that the run goes on from. It has to come back from JSON as it is: str keys, lists, finite
        numbers, no tuples.
    keep : int
        How many checkpoints remain, this one and the newest before it; at least 1.

    Returns
    -------
    Path
        The directory of the checkpoint.

    Raises
    ------
    OSError
        If the disk is full or read-only, or fails otherwise. The message says which checkpoint the run goes on from,
        and nothing unfinished is left.
    TypeError, ValueError
        If step, keep, a tensor or the state cannot be saved; nothing was written then.

    References
    ----------
    POSIX.1-2017, System Interfaces, ``rename`` (one step for all who look) and ``fsync``; Linux man-pages, fsync(2),
    Description (a new name is safe only after an ``fsync`` of the directory that holds it).

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from lowrank_helpers.training.checkpoints import latest_checkpoint, save_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (10, 20, 30):
    ...         path = save_checkpoint(folder, step, {"weight": torch.full((2,), step)}, {"loss": 1 / step})
    ...     print(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    ...     print(latest_checkpoint(folder).tensors)
    step-00000030 ['step-00000020', 'step-00000030']
    {'weight': tensor([30, 30])}
    """
    folder = _checks.folder(folder)
    step = _checks.integer(step, 0, None, "step")
    keep = _checks.integer(keep, 1, None, "keep")
    content = safetensors.torch.save(_separate(tensors))
    text = _document(step, content, state)
    target = folder / f"step-{step:08d}"
    unfinished = folder / f".step-{step:08d}.new-{os.getpid()}"
    with _explained(folder, step):
        folder.mkdir(parents=True, exist_ok=True)
        for _, leftover in _found(folder, UNFINISHED):
            _remove(leftover)
        try:
            unfinished.mkdir()
            write_new(unfinished / TENSORS, content)
            write_new(unfinished / STATE, text.encode())
            flush_names(unfinished)
            if target.is_dir() and not target.is_symlink():
                number = 1 + max((_number(path) for _, path in _found(folder, DISPLACED)), default=0)
                os.rename(target, folder / f".step-{step:08d}.old-{number}")
            os.rename(unfinished, target)
            flush_names(folder)
        finally:
            if unfinished.is_dir():
                with suppress(OSError):  # the error that led here says more
                    _remove(unfinished)
        older = [path for past, path in sorted(_found(folder, NAME), reverse=True) if past < step]
        replaced = [path for past, path in _found(folder, DISPLACED) if past <= step]
        for path in older[keep - 1 :] + replaced:
            _remove(path)
    return target


def latest_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint | None:
    """Read the newest whole checkpoint; one that is damaged is skipped, with a warning.

    Whole means: both files are there, size and SHA-256 digest of the tensors are those that were written down, and
    the state has its digest too. What was verified is what is returned: the files are read once.

    Parameters
    ----------
    folder : str or PathLike
        The folder that was given to `save_checkpoint`.

    Returns
    -------
    Checkpoint or None
        The tuple (step, tensors, state, path), its tensors on the CPU; None if the folder is missing or holds no
        checkpoint.

    Raises
    ------
    ValueError
        If there are checkpoints and none of them is whole.
    NotADirectoryError
        If the folder is a file.
    TypeError
        If folder is no path.

    Warns
    -----
    UserWarning
        For each checkpoint that is skipped: what is wrong with it, and which one is used instead.

    Examples
    --------
    >>> import tempfile
    >>> from lowrank_helpers.training.checkpoints import latest_checkpoint, save_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(latest_checkpoint(folder))
    ...     path = save_checkpoint(folder, 10, {}, {"position": 1280})
    ...     print(latest_checkpoint(folder).state)
    None
    {'position': 1280}
    """
    folder = _checks.folder(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            _checks.named(
                f"folder must be a directory; got the file {folder}. Pass the folder that was given to save_checkpoint."
            )
        )
    newest, broken = _newest_whole(folder)
    if newest is None and broken:
        raise _checks.invalid(
            f"folder must hold a whole checkpoint; in {folder} none of {len(broken)} is: "
            f"{'; '.join(broken)}. Put back a copy of one, or start anew in another folder."
        )
    for wrong in broken:
        assert newest is not None
        _checks.warn(f"skipped {wrong}. Using {newest.path} instead.", UserWarning)
    return newest


def _separate(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous tensors on the CPU, no two in the same memory, which safetensors would refuse."""
    if not isinstance(tensors, dict):
        raise _checks.mistyped(
            f"tensors must be a dict of names to tensors; got {type(tensors).__name__}. "
            "Pass model.state_dict(), for example."
        )
    separate: dict[str, torch.Tensor] = {}
    storages = set()
    for name, tensor in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":  # the format's own key
            raise _checks.invalid(
                f"the names of tensors must be strings, '__metadata__' excepted; got {name!r}. Give it another name."
            )
        if not isinstance(tensor, torch.Tensor):
            raise _checks.mistyped(
                f"tensors[{name!r}] must be a tensor; got {type(tensor).__name__}. Numbers and words belong into state."
            )
        if tensor.layout != torch.strided or tensor.device.type == "meta" or tensor.dtype not in DTYPES:
            raise _checks.mistyped(
                f"tensors[{name!r}] must be dense, with its values, of dtype "
                f"{', '.join(str(dtype).removeprefix('torch.') for dtype in DTYPES)}; got {tensor.layout}, "
                f"{tensor.dtype} on {tensor.device}. Convert it before you save it."
            )
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in storages:
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        separate[name] = tensor
    return separate


def _document(step: int, content: bytes, state: dict[str, Any]) -> str:
    """Return the text of state.json: the state, what the tensors' file must be, and a digest of all this."""
    if not isinstance(state, dict):
        raise _checks.mistyped(f"state must be a dict; got {type(state).__name__}. Pass {{}} for none.")
    digest = hashlib.sha256(content).hexdigest()
    document = {"step": step, "tensors": {"size": len(content), "sha256": digest}, "state": state}
    try:
        plain = json.loads(json.dumps(state, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise _checks.mistyped(
            f"state must be plain JSON; {error}. Pass numbers, strings, lists and dicts only."
        ) from None
    if plain != state:
        changed = next((key for key in state if key not in plain or plain[key] != state[key]), None)
        raise _checks.mistyped(
            f"state must come back from JSON as it is; state[{changed!r}] does not. Make tuples lists and keys strings."
        )
    return json.dumps({**document, "sha256": _digest(document)}, indent=1)


def _digest(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


@contextmanager
def _explained(folder: Path, step: int) -> Iterator[None]:
    """Let an OSError say which checkpoint is the last whole one, and what to do."""
    try:
        yield
    except OSError as error:
        try:
            newest = _newest_whole(folder)[0]
        except OSError:
            newest = None
        last = f"step {newest.step}, whole in {newest.path}" if newest else "its start: no checkpoint there is whole"
        raise type(error)(
            _checks.named(
                f"step {step} must be written to {folder}; that failed: {error}. "
                f"Free space, or copy the folder to another disk; the run then goes on from {last}."
            )
        ) from error


def _found(folder: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    """Return step and path of all directories whose whole name fits the pattern."""
    if not folder.is_dir():
        return []
    fits = [(pattern.fullmatch(path.name), path) for path in folder.iterdir() if not path.is_symlink()]
    return [(int(fit["step"]), path) for fit, path in fits if fit and path.is_dir()]


def _remove(directory: Path) -> None:
    """Delete a checkpoint's two files, and the directory unless somebody put something else into it."""
    for name in (STATE, TENSORS):
        (directory / name).unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


def _number(displaced: Path) -> int:
    """Return the number in the name of a displaced directory: of two, the greater one was displaced later."""
    return int(displaced.name.rpartition("-")[2])


def _newest_whole(folder: Path, attempts: int = 10) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint, and what is wrong with each that is newer.

    A run that is at work may save one and remove another meanwhile; then what was seen as missing is looked for again.
    """
    candidates = _candidates(folder)
    broken: list[str] = []
    for step, _, path in candidates:
        if not (path / TENSORS).exists() and not (path / STATE).exists():
            continue  # what removing leaves of a directory with somebody else's file in it
        try:
            found = _read(path, step)
            break
        except ValueError as error:
            broken.append(f"{path}: {error}")
    else:
        found = None
    if (broken or found is None) and attempts and _candidates(folder) != candidates:
        return _newest_whole(folder, attempts - 1)
    return found, broken


def _candidates(folder: Path) -> list[tuple[int, float, Path]]:
    """All directories of checkpoints, the newest first: step, rank among those of a step, path."""
    candidates = [(step, math.inf, path) for step, path in _found(folder, NAME)]
    candidates += [(step, float(_number(path)), path) for step, path in _found(folder, DISPLACED)]
    return sorted(candidates, reverse=True)


def _read(path: Path, step: int) -> Checkpoint:
    """Read a checkpoint; a ValueError says what is wrong with it."""
    for name in (TENSORS, STATE):
        if not (path / name).is_file():
            raise ValueError(f"{name} is missing")
    try:
        length, text = (path / TENSORS).stat().st_size, (path / STATE).read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error}") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{STATE} is not valid JSON: {error}") from None
    digest = document.pop("sha256", None) if isinstance(document, dict) else None
    if digest is None or digest != _digest(document):
        raise ValueError(f"{STATE} was changed: its sha256 digest does not fit")
    try:
        written, state = document["step"], dict(document["state"])
        size, digest = document["tensors"]["size"], document["tensors"]["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{STATE} is no document of a checkpoint: {error!r}") from None
    if written != step:
        raise ValueError(f"{STATE} belongs to step {written}")
    if length != size:  # before it is read: a file may be larger than memory
        raise ValueError(f"{TENSORS} has {length} bytes, {size} were written")
    try:
        content = (path / TENSORS).read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"{TENSORS} was changed: its sha256 digest is not the one in {STATE}")
    try:
        tensors = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{TENSORS} cannot be read by safetensors {safetensors.__version__}: {error}") from None
    return Checkpoint(step, tensors, state, path)
