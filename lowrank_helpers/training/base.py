"""The base model: trained by this project, frozen, and checked before it is used."""

import hashlib
import json
from importlib import resources
from typing import Any

import safetensors.torch

from lowrank_helpers import _checks
from lowrank_helpers.training.model import GPT, GPTConfig, from_files


def load_base_model(*, initial: bool = False) -> GPT:
    """Return the book's base model: a `GPT` of 951 424 parameters, trained on the standard library's source.

    How it was trained, on what, and how far, stands in `base_model_record`; the script: ``tools/frozen/base_model.py``.

    Parameters
    ----------
    initial : bool
        Give the weights from before training instead.

    Returns
    -------
    GPT
        On the CPU, in float32, in evaluation mode.

    Raises
    ------
    ValueError
        The file in the package is not the one that was frozen.

    Examples
    --------
    >>> model = load_base_model()
    >>> sum(parameter.numel() for parameter in model.parameters())
    951424
    """
    name = "base_model_initial" if _checks.flag(initial, "initial") else "base_model"
    record = base_model_record()
    content = resources.files("lowrank_helpers").joinpath(f"data/models/{name}.safetensors").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != record["sha256"][name]:
        raise _checks.invalid(
            f"{name}.safetensors must have the SHA-256 {record['sha256'][name][:16]}…; "
            f"got {digest[:16]}…. Install lowrank_helpers again."
        )
    model = GPT(GPTConfig(**record["config"]))
    model.load_state_dict(from_files(safetensors.torch.load(content)))
    return model.eval()


def base_model_record() -> dict[str, Any]:
    """Return how the base model was made: sizes, corpus, settings, losses, versions, checksums.

    Examples
    --------
    >>> base_model_record()["config"]["width"]
    128
    """
    text = resources.files("lowrank_helpers").joinpath("data/models/base_model.json").read_text("utf-8")
    record: dict[str, Any] = json.loads(text)
    return record
