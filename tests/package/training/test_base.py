"""The base model in the package: the file that was frozen, what it has learned, and its record."""

import hashlib
import math
import shutil
from importlib import resources
from pathlib import Path

import pytest
import torch

from book.margins import close
from lowrank_helpers.training import GPT, GPTConfig, base, evaluate, generate, load_base_model, load_corpus

pytestmark = pytest.mark.slow

MODELS = Path(str(resources.files("lowrank_helpers"))) / "data" / "models"
RECORD = base.base_model_record()


def test_it_is_small_frozen_and_the_record_says_so():
    files = [MODELS / f"{name}.safetensors" for name in RECORD["sha256"]]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in files] == list(RECORD["sha256"].values())
    assert GPTConfig(**RECORD["config"]) == GPTConfig()
    assert RECORD["parameters"] == sum(parameter.numel() for parameter in GPT().parameters()) == 951_424
    steps, settings = [entry["step"] for entry in RECORD["log"]], RECORD["settings"]
    assert steps == list(range(50, settings["steps"] + 1, 50))
    assert RECORD["tokens"] == settings["steps"] * settings["batch_size"] * settings["context"]


@pytest.mark.parametrize("name", ["source", "tkinter", "book"])
def test_its_losses_are_those_of_the_record(name):
    """float32 sums over a few hundred thousand tokens, in whatever order a machine takes: 1e-4 is a wide margin."""
    loss = evaluate(load_base_model(), load_corpus(name, "validation"))
    assert close(loss, RECORD["nats_per_byte"][f"{name}, validation"], atol=1e-4)


def test_it_learned_something_and_the_initial_weights_nothing():
    source = load_corpus("source", "validation")[:20_000]
    trained, initial = evaluate(load_base_model(), source), evaluate(load_base_model(initial=True), source)
    # logits of variance 128 × 0.02² raise the mean logarithm of the sum of their exponentials by half of that
    assert close(initial, math.log(256) + 128 * 0.02**2 / 2, atol=0.03) and trained < 1.3
    frequencies = torch.bincount(source.long(), minlength=256).double() / len(source)
    entropy = float(-(frequencies[frequencies > 0] * frequencies[frequencies > 0].log()).sum())
    assert trained < entropy / 2, "half of what the frequencies of single bytes would give"
    written = generate(load_base_model(), b"import os\n\n\ndef ", 200, temperature=0.0)
    assert b"return" in written or b"self" in written or b"    " in written


def test_another_file_is_refused(tmp_path, monkeypatch):
    models = tmp_path / "lowrank_helpers" / "data" / "models"
    models.mkdir(parents=True)
    for name in ("base_model.safetensors", "base_model.json"):
        shutil.copy(MODELS / name, models)
    content = bytearray((models / "base_model.safetensors").read_bytes())
    content[-1] ^= 1
    (models / "base_model.safetensors").write_bytes(content)
    monkeypatch.setattr(base.resources, "files", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match=r"load_base_model: base_model.safetensors must have the SHA-256 \w{16}…; got"):
        load_base_model()
