"""A decoder made on the spot: a folder as the hub has it, the same each time."""

import pytest
import torch
import transformers

from lowrank_helpers.finetuning import tiny_decoder
from tests.package.finetuning._data import TEXTS


@pytest.mark.parametrize(
    ("family", "kind"),
    [("llama", "llama"), ("qwen", "qwen3"), ("gemma", "gemma3_text"), ("mistral", "mistral"), ("gpt2", "gpt2")],
)
def test_each_family_loads_by_the_folder_s_name(decoder, family, kind):
    model = transformers.AutoModelForCausalLM.from_pretrained(decoder(family))
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder(family))
    assert model.config.model_type == kind and 100_000 < sum(p.numel() for p in model.parameters()) < 200_000
    assert len(tokenizer) == model.config.vocab_size and tokenizer.chat_template
    assert tokenizer.decode(tokenizer("What is 3 and 3?").input_ids) == "What is 3 and 3?"


def test_a_seed_gives_the_same_model_and_the_global_generator_stays(tmp_path):
    state = torch.get_rng_state()
    first, second = (tiny_decoder(tmp_path / name, TEXTS, steps=2, seed=5) for name in "ab")
    assert torch.equal(torch.get_rng_state(), state)
    files = [[(f.name, f.read_bytes()) for f in sorted(place.iterdir())] for place in (first, second)]
    assert files[0] == files[1]


def test_reading_lowers_the_loss(tmp_path, decoder):
    read = tiny_decoder(tmp_path / "read", TEXTS, steps=20)
    losses = []
    for place in (decoder("llama"), read):
        model = transformers.AutoModelForCausalLM.from_pretrained(place)
        ids = transformers.AutoTokenizer.from_pretrained(place)(TEXTS[3], return_tensors="pt").input_ids
        losses.append(model(input_ids=ids, labels=ids).loss.item())
    assert losses[1] < losses[0] - 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"texts": "text"}, TypeError, r"texts must be a list of strings; got str\. Pass \[text\]"),
        ({"texts": [1]}, TypeError, "texts must be a list of strings; got list"),
        ({"texts": ["short"]}, ValueError, "texts must have 128 characters or more; got fewer"),
        ({"family": "bert"}, ValueError, "family must be one of 'llama', .*; got 'bert'"),
        ({"chat": 1}, TypeError, "chat must be True or False"),
        ({"steps": -1}, ValueError, "steps must be at least 0; got -1"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"folder": 3}, TypeError, "folder must be a path"),
    ],
)
def test_misuse(tmp_path, change, error, message):
    given = {"folder": tmp_path / "new", "texts": TEXTS, **change}
    with pytest.raises(error, match=f"^tiny_decoder: {message}"):
        tiny_decoder(given.pop("folder"), given.pop("texts"), **given)
    assert not (tmp_path / "new").exists()
