"""Libraries for models of the hub, imported when they are used."""

import importlib
import warnings
from types import ModuleType

from lowrank_helpers import _checks, _extra


def library(name: str) -> ModuleType:
    """Import one, or say what to install."""
    with warnings.catch_warnings():  # in a notebook without widgets, at its first import
        warnings.filterwarnings("ignore", "IProgress not found")
        importlib.import_module("tqdm.auto")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _extra.advice(error, _checks.caller() or __name__, "finetune") from None
