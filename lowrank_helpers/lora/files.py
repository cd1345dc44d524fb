"""Adapters as files, in the layout of the PEFT library: a folder with safetensors and JSON. Nothing is unpickled.

``adapter_model.safetensors`` has the tensors, under keys such as ``base_model.model.blocks.0.q_proj.lora_A.weight``,
and ``adapter_config.json`` what they mean. What PEFT has no place for, a digest and a sample of the base's weights,
stands in the metadata of the safetensors file, which PEFT does not read.

The layout is that of PEFT 0.21: ``peft/utils/save_and_load.py`` and ``peft/tuners/lora/config.py``.
"""

import hashlib
import json
import os
import re
import secrets
import stat
import time
from pathlib import Path
from re import _constants as re_constants  # type: ignore[attr-defined]
from re import _parser as re_parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers._disk import flush_names, locked, write_new

TENSORS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
OURS = "lowrank_helpers"  # the key of our metadata
READINGS = 10  # of files that do not fit each other, a hundredth of a second apart
SINGLE = (re_constants.LITERAL, re_constants.NOT_LITERAL, re_constants.ANY, re_constants.IN)  # match one character
PART = ".part"  # ends the name of a file that is being written
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KEY = re.compile(r"base_model\.model\.(.+)\.(lora_A\.weight|lora_B\.weight|lora_magnitude_vector|base_layer\.weight)")

# Settings of PEFT that are read here, or change nothing once the tensors are there. Any other must be off.
READ = """
    peft_type r lora_alpha rank_pattern alpha_pattern use_rslora use_dora target_modules init_lora_weights
    lora_dropout
"""
WITHOUT_EFFECT = """
    auto_mapping base_model_name_or_path revision task_type inference_mode peft_version exclude_modules
    layers_to_transform layers_pattern eva_config megatron_core qalora_group_size
"""


class SavedLayer(NamedTuple):
    """One layer of an adapter: A (rank, in), B (out, rank), DoRA's magnitude (out,) or None.

    ``weight`` is the frozen weight (out, in), where the file has it: PEFT adds that of an adapted output head.
    """

    A: Tensor
    B: Tensor
    magnitude: Tensor | None
    alpha: float
    weight: Tensor | None = None


class BaseSample(NamedTuple):
    """Some entries of a frozen weight, and its dtype, by which a base is known again."""

    dtype: str
    entries: list[float]


class SavedAdapter(NamedTuple):
    """All that a folder holds. ``base`` is empty where another program wrote it."""

    layers: dict[str, SavedLayer]
    targets: list[str]
    scaling: str
    init: str
    dropout: float
    base: dict[str, BaseSample]


# ------------------------------------------------------------------------------------------------------------ writing


def write_adapter(folder: str | os.PathLike[str], saved: SavedAdapter) -> Path:
    """Write an adapter so that the folder has the old one or the new one, whole, whatever happens.

    The file of the tensors says all, since it has the settings once more, and takes its place first. Where a save ends
    between the two files, the settings beside it are the old ones, the new ones wait in a part, and `_read` goes by
    the tensors' own.
    """
    place = _checks.folder(folder)
    tensors: dict[str, Tensor] = {}
    for path, layer in saved.layers.items():
        tensors[f"base_model.model.{path}.lora_A.weight"] = layer.A
        tensors[f"base_model.model.{path}.lora_B.weight"] = layer.B
        if layer.magnitude is not None:
            tensors[f"base_model.model.{path}.lora_magnitude_vector"] = layer.magnitude
    tensors = {key: t.detach().cpu().clone(memory_format=torch.contiguous_format) for key, t in tensors.items()}
    config = _config(saved)
    base = {path: list(sample) for path, sample in saved.base.items()}
    ours = json.dumps({"sha256": _digest(tensors, config, base), "base": base, "config": config})
    files = {
        TENSORS: _packed(tensors, {"format": "pt", OURS: ours}),
        CONFIG: (json.dumps(config, indent=2) + "\n").encode(),
    }
    return _write(Path(os.path.realpath(place)), files)


def _packed(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file, the same each time: the library writes metadata in an order left to chance."""
    content = safetensors.torch.save(tensors, metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps({**json.loads(content[8:end]), "__metadata__": metadata}, sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of 8
    return len(header).to_bytes(8, "little") + header + content[end:]


def _config(saved: SavedAdapter) -> dict[str, Any]:
    """The settings of PEFT; patterns only where layers differ, longer names first because PEFT takes the first hit.

    A pattern is a regular expression, and PEFT lets it match the end of a name.
    """
    paths = sorted(saved.layers, key=len, reverse=True)
    ranks = {path: len(saved.layers[path].A) for path in paths}
    alphas = {path: _whole(saved.layers[path].alpha) for path in paths}
    return {
        "peft_type": "LORA",
        "r": ranks[paths[0]],
        "lora_alpha": alphas[paths[0]],
        "rank_pattern": _patterns(ranks),
        "alpha_pattern": _patterns(alphas),
        "use_rslora": saved.scaling == "alpha/sqrt(rank)",
        "use_dora": any(layer.magnitude is not None for layer in saved.layers.values()),
        "target_modules": saved.targets,
        "init_lora_weights": True,
        "lora_dropout": saved.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }


def _patterns(values: dict[str, Any]) -> dict[str, Any]:
    return {re.escape(path): x for path, x in values.items()} if len(set(values.values())) > 1 else {}


def _whole(x: float) -> float | int:
    return int(x) if x.is_integer() else x


def _digest(tensors: dict[str, Tensor], config: dict[str, Any], base: dict[str, Any]) -> str:
    """SHA-256 of the tensors and of everything that says what they mean."""
    meaning = {key: config.get(key) for key in READ.split()}
    sha = hashlib.sha256(json.dumps([meaning, base], sort_keys=True).encode())
    for key, t in sorted(tensors.items()):
        sha.update(f"{key} {t.dtype} {tuple(t.shape)}".encode())
        sha.update(t.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files beside those that are there, bring them to the disk, then let them take their places.

    The folder itself stays: it may be a mount, have a mode of its own, or be the one that the process is in.
    """
    if folder.exists() and not folder.is_dir():
        raise _checks.invalid(f"folder must be a folder; got {folder.name!r}, a file. Pass another name.")
    new: dict[Path, Path] = {}
    made = not folder.exists()
    try:
        if made:
            folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, wait=True):
            left = sorted(folder.glob(f".*{PART}"))  # of saves that were killed
            others = sorted(p.name for p in folder.iterdir() if not (p.name in files and p.is_file()) and p not in left)
            if others:
                raise _checks.invalid(
                    f"folder must be new or hold an adapter only; got {folder.name!r}, which also holds "
                    f"{others[0]!r}. Pass a folder of its own."
                )
            for path in left:
                path.unlink()
            try:
                for name, content in files.items():
                    place = folder / name
                    new[place] = place.with_name(f".{name}.{secrets.token_hex(4)}{PART}")
                    write_new(new[place], content)
                    if place.exists():
                        new[place].chmod(stat.S_IMODE(place.stat().st_mode))
                for place, path in new.items():
                    os.replace(path, place)
            except BaseException:
                if new[folder / TENSORS].exists():  # the old adapter is still the one; else the new one is
                    for path in new.values():
                        path.unlink(missing_ok=True)
                raise
            flush_names(folder)
    except OSError as error:
        raise OSError(
            _checks.named(
                f"could not write {folder.name!r}: {error.strerror or error}. What is in the folder is "
                "whole; free some space or pass another folder."
            )
        ) from error
    finally:
        if made and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    return folder


# ------------------------------------------------------------------------------------------------------------ reading


def read_adapter(folder: str | os.PathLike[str]) -> SavedAdapter:
    """Read an adapter, and check all that can be checked without a model."""
    config, tensors, base = _read(_checks.folder(folder))
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        known = KEY.fullmatch(key)
        if known is None:
            raise _checks.invalid(
                f"every tensor must be an A, a B or a magnitude of a linear layer; got the key {key!r} in "
                f"{TENSORS}. Save an adapter of linear layers only."
            )
        if tensor.dtype not in DTYPES or not bool(torch.isfinite(tensor).all()):
            raise _checks.invalid(
                f"every tensor must hold finite floats; {key!r} in {TENSORS} does not. Load an earlier adapter."
            )
        parts.setdefault(known[1], {})[known[2]] = tensor
    if not parts:
        raise _checks.invalid(f"{TENSORS} must hold tensors; it holds none. Save the adapter again.")
    layers = {path: _layer(path, found, config) for path, found in parts.items()}
    targets = config.get("target_modules")
    targets = sorted(map(str, targets)) if isinstance(targets, list) else []
    return SavedAdapter(
        layers,
        targets,
        "alpha/sqrt(rank)" if config.get("use_rslora") else "alpha/rank",
        config["init_lora_weights"] if config.get("init_lora_weights") in ("pissa", "olora") else "kaiming",
        _checks.number(config.get("lora_dropout", 0.0), f"lora_dropout in {CONFIG}", least=0.0, below=1.0),
        base,
    )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, BaseSample]]:
    """Read the settings, the tensors and the samples of the base, which belong together.

    A save that is under way exchanges one file after the other, so what does not fit is read again. What still does
    not was changed by somebody, or was left by a save that ended between the files.
    """
    for _ in range(READINGS):
        ended = any(folder.glob(f".{CONFIG}.*{PART}"))  # or is under way
        _there(folder, ended)
        tensors, metadata = _read_tensors(folder / TENSORS)
        ours = _parsed(metadata.get(OURS, "{}"))
        beside = _read_config(folder / CONFIG) if (folder / CONFIG).is_file() else None
        if OURS not in metadata and beside is not None:
            return beside, tensors, {}
        own = ours.get("config") if isinstance(ours, dict) and ended else None
        for config in (beside, own):
            base = None if config is None else _base_of(ours, tensors, config)
            if config is not None and base is not None:
                return config, tensors, base
        time.sleep(0.01)
    raise _checks.invalid(
        f"{TENSORS} and {CONFIG} must be as they were saved; their digest is another one. "
        "One of them was changed; load an earlier adapter."
    )


def _parsed(text: str) -> Any:
    """Read JSON; None where it is none, or nested so deeply that Python does not follow."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _there(folder: Path, ended: bool) -> None:
    """Refuse a folder without the two files, with the reason where a pickle is there instead.

    After a save that ended between them the tensors are enough.
    """
    if not folder.is_dir():
        raise _checks.invalid(f"folder must be a folder that exists; got {str(folder)!r}. Pass the adapter's folder.")
    for name in (TENSORS,) if ended else (TENSORS, CONFIG):
        if not (folder / name).is_file():
            if name == TENSORS and (folder / "adapter_model.bin").is_file():
                raise _checks.invalid(
                    f"{folder.name!r} must hold {TENSORS}; got adapter_model.bin only, a pickle, which "
                    "can run any code when it is loaded. Save it again with safe_serialization=True."
                )
            raise _checks.invalid(f"{folder.name!r} must hold {name}; it does not. Save the adapter again.")


def _read_config(path: Path) -> dict[str, Any]:
    """Read the settings, and refuse those that would change the layers in a way that is not supported here."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _checks.invalid(f"{CONFIG} must be JSON; got {error}. Save the adapter again.") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else config
        raise _checks.invalid(f"{CONFIG} must have the peft_type 'LORA'; got {kind!r}. Other kinds do not load.")
    init = config.get("init_lora_weights", True)
    init = config["init_lora_weights"] = init.lower() if isinstance(init, str) else init
    if init not in (True, False, "gaussian", "orthogonal", "eva", "pissa", "olora"):
        raise _checks.invalid(
            f"init_lora_weights must be one that leaves the base as it is, or 'pissa' or 'olora'; got "
            f"{init!r} in {CONFIG}, after which the base cannot be known. Let PEFT convert the adapter to plain LoRA."
        )
    for key in ("use_rslora", "use_dora"):
        if not isinstance(config.get(key, False), bool):
            raise _checks.invalid(
                f"{key} in {CONFIG} must be true or false; got {config[key]!r}. Save the adapter again."
            )
    allowed = {*READ.split(), *WITHOUT_EFFECT.split()}
    for key, value in config.items():
        if key not in allowed and value not in (None, False, "", [], {}) and (key, value) != ("bias", "none"):
            raise _checks.invalid(
                f"{CONFIG} must set nothing that is not supported here; got {key}={value!r}. "
                "Merge the adapter with PEFT and load the merged model."
            )
    return config


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            keys = file.keys()
            return {key: file.get_tensor(key) for key in keys}, file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise _checks.invalid(
            f"{TENSORS} must be a whole safetensors file; got {error}. It was cut off or is another "
            "kind of file; load an earlier adapter."
        ) from error


def _base_of(ours: Any, tensors: dict[str, Tensor], config: dict[str, Any]) -> dict[str, BaseSample] | None:
    """The samples of the base, if the digest is that of these tensors and settings; otherwise None."""
    try:
        base = {
            path: BaseSample(str(dtype), [float(x) for x in entries]) for path, (dtype, entries) in ours["base"].items()
        }
        return base if ours["sha256"] == _digest(tensors, config, ours["base"]) else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _layer(path: str, found: dict[str, Tensor], config: dict[str, Any]) -> SavedLayer:
    """Put the tensors of one layer together, and compare their shapes with each other and with the settings."""
    wanted = {"lora_A.weight", "lora_B.weight"} | ({"lora_magnitude_vector"} if config.get("use_dora") else set())
    if found.keys() - {"base_layer.weight"} != wanted:
        raise _checks.invalid(
            f"{path!r} must have {', '.join(sorted(wanted))} in {TENSORS}; got {', '.join(sorted(found))}. "
            "Save the adapter again."
        )
    A, B, magnitude = found["lora_A.weight"], found["lora_B.weight"], found.get("lora_magnitude_vector")
    rank = _of_layer(config, "rank_pattern", "r", path)
    rank = _checks.integer(rank, 1, None, f"r in {CONFIG}")
    alpha = _of_layer(config, "alpha_pattern", "lora_alpha", path)
    alpha = _checks.number(alpha, f"lora_alpha in {CONFIG}", above=0.0)
    if (A.ndim, B.ndim) != (2, 2) or len(A) != rank or B.shape[1] != rank:
        raise _checks.invalid(
            f"A must be (rank, in) and B (out, rank) with rank {rank}, as {CONFIG} has it; got "
            f"{tuple(A.shape)} and {tuple(B.shape)} for {path!r}. Save the adapter again."
        )
    if magnitude is not None and tuple(magnitude.shape) != (len(B),):
        raise _checks.invalid(
            f"the magnitude must be (out,) = ({len(B)},); got {tuple(magnitude.shape)} for {path!r}. "
            "Save the adapter again."
        )
    largest = alpha * float(A.abs().amax()) * float(B.abs().amax())
    if not largest < torch.finfo(torch.float32).max:
        raise _checks.invalid(
            f"lora_alpha in {CONFIG} times A and B must be within the range of float32; got "
            f"{alpha:g} for {path!r}. Load an earlier adapter."
        )
    return SavedLayer(A, B, magnitude, alpha, found.get("base_layer.weight"))


def _of_layer(config: dict[str, Any], patterns: str, default: str, path: str) -> Any:
    """Read a setting of one layer: that of the first pattern that matches its name, as in PEFT, or the default."""
    listed = config.get(patterns) or {}
    try:
        for pattern, value in listed.items():
            check_pattern(pattern)
            if re.match(rf"(.*\.)?({pattern})$", path):
                return value
    except (AttributeError, TypeError, ValueError, OverflowError, RecursionError, re.error) as error:
        raise _checks.invalid(
            f"{patterns} in {CONFIG} must map patterns to numbers; got {str(listed)[:200]}: {error}. "
            "Save the adapter again."
        ) from error
    return config.get(default)


def check_pattern(pattern: str, most: int = 4) -> None:
    """Refuse a regular expression whose match could take for ever.

    A file may come from anybody, and Python's matching cannot be stopped. Allowed are repetitions of single
    characters, at most four of them without a bound: then the time is at most the fourth power of a name's length.
    """
    unbounded = 0

    def walk(parsed: Any) -> None:
        nonlocal unbounded
        for kind, content in parsed:
            if kind in (re_constants.MAX_REPEAT, re_constants.MIN_REPEAT) and content[1] > 1:
                unbounded += 1
                single = len(content[2]) == 1 and content[2][0][0] in SINGLE
                if not single or unbounded > most:
                    raise ValueError("a pattern may repeat single characters only, and four times at most")
            elif kind in (re_constants.MAX_REPEAT, re_constants.MIN_REPEAT):
                walk(content[2])
            elif kind is re_constants.SUBPATTERN:
                walk(content[3])
            elif kind is re_constants.BRANCH:
                for branch in content[1]:
                    walk(branch)
            elif kind not in SINGLE and kind is not re_constants.AT:
                raise ValueError(f"a pattern may not have a {str(kind).lower()}")

    walk(re_parser.parse(pattern))
