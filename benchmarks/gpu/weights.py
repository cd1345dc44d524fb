"""The larger base model on disk: bfloat16, in safetensors files of at most 15 MiB."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from benchmarks.gpu.device import Variant, bytes_of
from benchmarks.gpu.shapes import LARGER
from benchmarks.gpu.study import file_of
from lowrank_helpers.training import GPT, GPTConfig, load_base_model
from lowrank_helpers.training.model import from_files, in_files

SHARD = 15 * 2**20 - 2**16  # bytes of tensors in a file; the header takes less than the rest


class Base(NamedTuple):
    """A trained model to start from: its sizes, its weights in float32 on a device, and a digest of them."""

    config: GPTConfig
    state: dict[str, Tensor]
    digest: str


LoadBase = Callable[[], Base]


def save_weights(folder: Path, model: GPT, about: dict[str, Any]) -> str:
    """Write the weights of a model, rounded to bfloat16, in place of those in the folder; return their digest."""
    state = {name: tensor.detach().to(torch.bfloat16).cpu() for name, tensor in _state(model).items()}
    shards = _shards(state)
    common = {"config": json.dumps(asdict(model.config)), "about": json.dumps(about), "digest": _digest(state)}
    folder.mkdir(parents=True, exist_ok=True)
    names = [folder / f"weights-{i}-of-{len(shards)}.safetensors" for i in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        safetensors.torch.save_file(shard, f"{name}.new", {**common, "shards": str(len(shards))})
    for name in names:
        os.replace(f"{name}.new", name)
    for other in set(folder.glob("weights-*.safetensors*")) - set(names):
        other.unlink()
    return common["digest"]


def _shards(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Cut the weights into parts of at most SHARD bytes, in their order."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in state.items():
        if shards[-1] and bytes_of([*shards[-1].values(), tensor]) > SHARD:
            shards.append({})
        shards[-1][name] = tensor
    return shards


def _digest(state: dict[str, Tensor]) -> str:
    """Return the first 16 digits of the SHA-256 of names and weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def load_weights(folder: Path, device: torch.device) -> Base:
    """Read what `save_weights` wrote.

    Raises
    ------
    ValueError
        There are no weights in the folder, or not all of one and the same model.
    """
    files = sorted(folder.glob("weights-*.safetensors"))
    state: dict[str, Tensor] = {}
    common: list[dict[str, str]] = []
    for file in files:
        with safetensors.safe_open(file, framework="pt") as shard:
            common.append(shard.metadata())
            state |= {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118 (it is no dict)
    if not files or len(files) != int(common[0]["shards"]) or _digest(state) != common[0]["digest"]:
        raise ValueError(
            f"load_weights: {folder} must hold all files of one model; got {len(files)} that do not fit. "
            "Run the part pretrain first, or name the folder with its weights by --weights."
        )
    config = GPTConfig(**json.loads(common[0]["config"]))
    return Base(config, {name: tensor.float().to(device) for name, tensor in state.items()}, common[0]["digest"])


def load_base(device: torch.device, *, variant: Variant, out: Path, results: Path, weights: Path) -> Base:
    """Return the model to adapt: what this study trained; for a smaller one, the model that ships with the book.

    Raises
    ------
    ValueError
        Pretraining is not complete, or its best weights are in neither folder. With others nothing is measured: what
        is measured from one base is of no use beside what is measured from another.
    """
    if variant != "large":
        return _base_of_the_book()
    wanted = _best_of_pretraining([out, results])
    for folder in (out / "weights", weights):
        if any(folder.glob("weights-*.safetensors")):
            base = load_weights(folder, device)
            if base.digest == wanted:
                return base
    raise ValueError(
        f"load_base: the best weights of pretraining, {wanted}, must be in {out / 'weights'} or {weights}; they are in "
        "neither. Name the folder with them by --weights."
    )


def foreseen_base(variant: Variant, out: Path, results: Path) -> Base:
    """Return the base as far as a plan of measurements needs it: its digest, which is empty before it is made."""
    if variant != "large":
        return _base_of_the_book()
    try:
        return Base(LARGER, {}, _best_of_pretraining([out, results]))
    except ValueError:
        return Base(LARGER, {}, "")


def _base_of_the_book() -> Base:
    model = load_base_model()
    state = _state(model)
    return Base(model.config, state, _digest(state))


def _state(model: GPT) -> dict[str, Tensor]:
    return {in_files(name): tensor for name, tensor in model.state_dict().items()}


def _best_of_pretraining(folders: list[Path]) -> str:
    """Return the digest of the weights with the lowest held-out loss."""
    for path in (folder / file_of("pretrain", "large") for folder in folders):
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if document.get("complete"):
            kept = [run for run in document["measurements"] if "weights" in run]
            return str(min(kept, key=lambda run: run["validation"])["weights"])
    raise ValueError(
        f"load_base: {file_of('pretrain', 'large')} must say that pretraining is complete; "
        f"it does so neither in {folders[0]} nor in {folders[1]}. Run the part pretrain first, until it is."
    )


def fresh(base: Base) -> GPT:
    """Return a new model with the weights of a base, on their device, in float32."""
    with torch.device("meta"):
        model = GPT(base.config)
    model.load_state_dict({name: W.clone() for name, W in from_files(base.state).items()}, assign=True)
    return model.eval()
