"""Train the base model that ships with the book, and freeze it with its initial weights, its checksums and its record.

    python -m tools.frozen.base_model run/base

The folder takes checkpoints: a run that was interrupted goes on from there. It takes most of an hour on one core.
Later chapters build on exactly the files that this made once; it is kept to show how, not to be run again.
"""

import datetime
import hashlib
import json
import pathlib
import platform
import sys
from dataclasses import asdict

import numpy
import safetensors.torch
import torch

from lowrank_helpers.training import (
    GPT,
    Bookkeeping,
    GPTConfig,
    Plan,
    evaluate,
    load_corpus,
    pretrain,
    standard_library,
)
from lowrank_helpers.training.model import in_files

MODELS = pathlib.Path(__file__).resolve().parents[2] / "lowrank_helpers" / "data" / "models"
SETTINGS = {
    "steps": 3600,
    "batch_size": 16,
    "learning_rate": 4e-3,
    "warmup": 100,
    "final_learning_rate": 0.02,
    "weight_decay": 0.1,
    "seed": 0,
}


def save(model: GPT, name: str) -> str:
    """Write the weights into the package; return the file's SHA-256."""
    path = MODELS / f"{name}.safetensors"
    safetensors.torch.save_file({in_files(name): W for name, W in model.state_dict().items()}, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Train, freeze, and write the record."""
    torch.set_num_threads(1)
    config = GPTConfig()
    model = GPT(config, seed=0)
    sums = {"base_model_initial": save(model, "base_model_initial")}
    corpus, validation = standard_library("train"), load_corpus("source", "validation")
    before = evaluate(model, validation)
    books = Bookkeeping(validation=validation, folder=sys.argv[1], save_every=100, evaluate_every=300)
    result = pretrain(model, corpus, Plan(**SETTINGS), books)
    sums["base_model"] = save(model, "base_model")
    record = {
        "made": datetime.date.today().isoformat(),
        "config": asdict(config),
        "parameters": result.trainable,
        "corpus": {
            "text": "the standard library's source, as lowrank_helpers.training.standard_library reads it",
            "python": platform.python_version(),
            "bytes": len(corpus),
            "sha256": hashlib.sha256(corpus.numpy().tobytes()).hexdigest(),
        },
        "settings": {**SETTINGS, "context": config.context, "precision": "float32", "threads": 1},
        "versions": {"torch": torch.__version__, "numpy": numpy.__version__},
        "tokens": result.log[-1]["tokens"],
        "nats_per_byte": {
            "source, validation, before": before,
            "source, validation": evaluate(model, validation),
            "tkinter, validation": evaluate(model, load_corpus("tkinter", "validation")),
            "book, validation": evaluate(model, load_corpus("book", "validation")),
        },
        "log": [
            {name: round(entry[name], 5) for name in ("step", "loss", "learning_rate", "validation") if name in entry}
            for entry in result.log
            if entry["step"] % 50 == 0
        ],
        "sha256": sums,
    }
    (MODELS / "base_model.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
