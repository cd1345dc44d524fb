"""Chapter 17's section for Colab, offline and on the CPU: its own cells, with a tiny model in place of the hub's.

A model is a folder with the files that the hub has: a configuration, weights, a byte-level vocabulary with its merges.
So a folder's path stands where the reader has "roberta-base", and everything else is the chapter's.
"""

import json
import os
import shutil
import sys
import types
from pathlib import Path

import jupytext
import numpy as np
import peft
import pytest
import torch
import transformers
from IPython.core.inputtransformer2 import TransformerManager
from tokenizers import ByteLevelBPETokenizer

from book import ledger
from lowrank_helpers import training

CHAPTER = ledger.ROOT / "chapters" / "17_lora_training.ipynb"
SECTION = "## Elsewhere: a T4 in Colab"

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
FEW = {"max_steps": 8, "save_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 1}
FEW |= {"logging_steps": 1, "disable_tqdm": True}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true"),  # the library's default, without a GPU
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # peft asks for it
]


class Gone(Exception):
    """The machine went away."""


def sources():
    """The section's code cells: those that define, and the one that runs in Colab."""
    cells = jupytext.read(CHAPTER).cells
    first = next(i for i, cell in enumerate(cells) if cell.source.startswith(SECTION))
    last = next(i for i in range(first + 1, len(cells)) if cells[i].source.startswith("## "))
    code = [cell.source for cell in cells[first:last] if cell.cell_type == "code"]
    online = [source for source in code if source.startswith("if ONLINE:")]
    assert len(online) == 1 and code[-1] == online[0]
    return code[:-1], online[0]


def define():
    """What the section's cells define."""
    space = {"torch": torch, "Path": Path}
    for source in sources()[0]:
        exec(source, space)
    return space


@pytest.fixture
def chapter():
    return define()


@pytest.fixture(autouse=True)
def offline(no_network):
    """Nothing here may ask for a connection."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A tiny RoBERTa, as a folder."""
    folder = tmp_path_factory.mktemp("hub") / "roberta-base"
    folder.mkdir()
    lines = bytes(training.load_corpus("book", "train").tolist()).decode().splitlines()[:200]
    vocabulary = ByteLevelBPETokenizer()
    vocabulary.train_from_iterator(lines, vocab_size=500, special_tokens=SPECIAL, show_progress=False)
    vocabulary.save_model(str(folder))
    size = {"vocab_size": vocabulary.get_vocab_size()}
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 514}
    transformers.RobertaForMaskedLM(transformers.RobertaConfig(**size, **shape, **special)).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 64}))
    return folder


def weights(model):
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}


def steps(trainer):
    """The losses that a run has in its log, by step, without the times beside them."""
    return {row["step"]: row["loss"] for row in trainer.state.log_history if "loss" in row}


def alike(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def calm(hub, tmp_path_factory):
    """A run that nobody disturbs: what the cells define, its folder, and what `adapt` returned."""
    space, folder = define(), tmp_path_factory.mktemp("calm")
    return space, folder, space["adapt"](str(hub), folder, **FEW)


@pytest.fixture(scope="module")
def left(hub, tmp_path_factory):
    """What a machine left behind that went away after step 7: checkpoints 3 and 6."""
    space, folder = define(), tmp_path_factory.mktemp("left")
    whole = space["trainer_for"]

    class Leave(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 7:
                raise Gone

    def leaving(*args, **changes):
        trainer = whole(*args, **changes)
        trainer.add_callback(Leave())
        return trainer

    space["trainer_for"] = leaving
    with pytest.raises(Gone):
        space["adapt"](str(hub), folder, **FEW)
    assert {path.name for path in folder.iterdir()} == {"checkpoint-3", "checkpoint-6"}
    return folder


@pytest.fixture
def stopped(left, tmp_path):
    """A copy of that, to go on from."""
    return shutil.copytree(left, tmp_path / "drive")


def test_the_loss_falls(calm):
    _, _, (trainer, before, after) = calm
    assert after["eval_loss"] < before["eval_loss"] - 0.02
    assert trainer.state.global_step == FEW["max_steps"]


def test_only_the_adapter_is_trained(calm, hub):
    space, _, (trainer, _, after) = calm
    start, _ = space["adapted"](str(hub))
    model, changed = trainer.model, set()
    for (name, value), (other, base) in zip(model.named_parameters(), start.named_parameters(), strict=True):
        assert name == other
        adapter = "lora_" in name or "classifier.modules_to_save" in name
        assert value.requires_grad == adapter
        if not torch.equal(value, base):
            changed.add(name)
            assert adapter
    assert changed == set(weights(model))
    count = sum(value.numel() for name, value in weights(model).items() if "lora_" in name)
    assert count == 2048 and "eval_accuracy" in after  # two layers, 8 (32 + 32) twice in each


def test_the_adapter_is_saved_and_loads_in_peft(calm, hub):
    _, folder, (trainer, _, _) = calm
    files = {path.name for path in (folder / "adapter").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= files and "model.safetensors" not in files
    base = transformers.AutoModelForSequenceClassification.from_pretrained(hub, num_labels=10)
    loaded = peft.PeftModel.from_pretrained(base, folder / "adapter").eval()
    tokens = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=tokens).logits, trainer.model.eval()(input_ids=tokens).logits)


def test_a_checkpoint_holds_no_frozen_weights(calm, hub):
    _, folder, _ = calm
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == ["checkpoint-6", "checkpoint-8"]
    saved = (folder / "checkpoint-8" / "adapter_model.safetensors").stat().st_size
    assert saved < 0.5 * (hub / "model.safetensors").stat().st_size
    assert not (folder / "checkpoint-8" / "model.safetensors").exists()


def test_a_stopped_run_goes_on_to_the_same_end(calm, stopped, chapter, hub):
    """From checkpoint 6, with a half-written checkpoint beside it: the same losses and the same weights."""
    half = stopped / "checkpoint-7"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    trainer, before, after = chapter["adapt"](str(hub), stopped, **FEW)
    _, _, (undisturbed, first, last) = calm
    assert trainer.state.global_step == FEW["max_steps"]
    assert steps(trainer) == steps(undisturbed) and len(steps(trainer)) == FEW["max_steps"]
    assert alike(weights(trainer.model), weights(undisturbed.model))
    assert (before["eval_loss"], after["eval_loss"]) == (first["eval_loss"], last["eval_loss"])


@pytest.mark.parametrize("lost", ["optimizer.pt", "rng_state.pth"])
def test_without_moments_or_random_state_it_would_not(lost, calm, stopped, chapter, hub):
    """Both matter to the comparison above: dropout is on."""
    (stopped / "checkpoint-6" / lost).unlink()
    trainer, _, _ = chapter["adapt"](str(hub), stopped, **FEW)
    assert not alike(weights(trainer.model), weights(calm[2][0].model))


def test_a_finished_run_stays_as_it_is(calm, hub, tmp_path):
    """The library then takes one more step, at rate 0: the schedule has come to its end."""
    space, folder, (trainer, _, after) = calm
    again, _, score = space["adapt"](str(hub), shutil.copytree(folder, tmp_path / "drive"), **FEW)
    assert len(steps(again)) <= FEW["max_steps"] + 1 and alike(weights(again.model), weights(trainer.model))
    assert score["eval_loss"] == after["eval_loss"]


def test_rows(calm, hub):
    space, _, _ = calm
    _, tokenizer = space["adapted"](str(hub))
    found = space["datasets"].load("intents")
    domains = sorted(set(found.domains))
    for part, held_out in (("train", False), ("test", True)):
        made = space["question_rows"](tokenizer, held_out=held_out)
        wanted = [(t, d) for t, d, s in zip(found.texts, found.domains, found.split, strict=True) if s == part]
        assert [domains[row["labels"]] for row in made] == [domain for _, domain in wanted]
        assert [row["input_ids"] for row in made] == [tokenizer(text, truncation=True).input_ids for text, _ in wanted]


def test_questions_out_of_scope_are_left_out(chapter, monkeypatch):
    found = chapter["datasets"].load("intents")
    domains = found.domains.astype("<U12").copy()
    domains[::2] = "oos"
    changed = found._replace(domains=domains)
    chapter["datasets"] = types.SimpleNamespace(load=lambda name, online: changed)
    made = chapter["question_rows"](lambda text, truncation: {"input_ids": [len(text)]}, held_out=True)
    wanted = [len(t) for t, d, s in zip(changed.texts, domains, found.split, strict=True) if s == "test" and d != "oos"]
    assert [row["input_ids"][0] for row in made] == wanted and 0 < len(wanted) < 82


def test_the_last_whole_checkpoint(chapter, tmp_path):
    assert chapter["last_whole"](tmp_path) is chapter["last_whole"](tmp_path / "none") is None
    for step in (25, 100, 75, 125):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 125:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").touch()
    assert chapter["last_whole"](str(tmp_path)) == str(tmp_path / "checkpoint-100")  # by number, and whole


def test_accuracy(chapter):
    result = types.SimpleNamespace(predictions=np.eye(4), label_ids=np.array([0, 1, 2, 0]))
    assert chapter["accuracy"](result) == {"accuracy": 0.75}


@pytest.mark.parametrize(("online", "hub_address"), [(False, None), (True, None), (True, "https://hub.example.org")])
def test_the_cell_for_colab(online, hub_address, monkeypatch, capsys):
    """Nothing offline; in Colab it clears the way, says where the hub is, mounts the Drive, and only then trains."""
    code = TransformerManager().transform_cell(sources()[1])
    done = []
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    drive = types.SimpleNamespace(mount=lambda place: done.append(("mount", place)))
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(drive=drive))

    def adapt(name, place):
        done.append(("adapt", name, place, os.environ.get("HF_ENDPOINT")))
        return "trainer", {"eval_loss": 2.34567, "epoch": 0}, {"eval_loss": 1.2, "eval_accuracy": 0.98765}

    def magic(name, line):
        done.append((name, line.split()[0]))

    shell = types.SimpleNamespace(run_line_magic=magic)
    space = {"ONLINE": online, "NAME": "roberta-base", "HUB": hub_address, "adapt": adapt, "get_ipython": lambda: shell}
    exec(code, space)
    if not online:
        assert done == [] and capsys.readouterr().out == ""
        return
    drive_folder = "/content/drive/MyDrive/lora-roberta-base"
    end = [("mount", "/content/drive"), ("adapt", "roberta-base", drive_folder, hub_address)]
    assert done == [("pip", "install"), ("pip", "uninstall"), *end]
    assert capsys.readouterr().out.splitlines() == [
        "{'eval_loss': 2.346}",
        "{'eval_loss': 1.2, 'eval_accuracy': 0.988}",
    ]
