"""What is foreseen of a run, on machines that are not here, and what stands against one."""

import dataclasses
import types

import pytest
import torch
import transformers
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from lowrank_helpers import costs
from lowrank_helpers.finetuning import Examples, Recipe, find_device, forecast, load_model
from lowrank_helpers.finetuning import recipe as module
from lowrank_helpers.finetuning.recipe import NF4, Device
from tests.package.finetuning._data import SUMS, TALK, recipe

T4 = Device("cuda", "Tesla T4", 15_835_660_288, "fp16")
H200 = Device("cuda", "NVIDIA H200", 150_000_000_000, "bf16")
SEVEN = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}


def big(model, **changes):
    return recipe(model, "run", rank=16, context=1024, recompute=True, **changes)


@pytest.fixture
def on(monkeypatch):
    return lambda device: monkeypatch.setattr(module, "find_device", lambda: device)


@pytest.fixture(scope="module")
def seven(tmp_path_factory, decoder):
    """LLaMA-7B's configuration with a tokenizer, and no weights."""
    folder = tmp_path_factory.mktemp("seven")
    transformers.LlamaConfig(vocab_size=32_000, max_position_embeddings=2048, **SEVEN).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(decoder("llama")).save_pretrained(folder)
    return folder


# ------------------------------------------------------------------------------------------------------- what it takes


def test_a_card_decides_between_four_bits_and_sixteen(seven, on):
    on(T4)
    small = forecast(big(seven), SUMS)
    on(H200)
    large = forecast(big(seven), SUMS)
    assert (small.precision, small.bits, small.fits) == ("fp16", 4, True)
    assert (large.precision, large.bits, large.fits) == ("bf16", 16, True)
    for found in (small, large):
        assert found.parameters == 6_738_415_616 and found.trained == 39_976_960  # folklore, rows 22 and 23
        assert found.state == 16 * found.trained
    assert large.weights == 2 * large.parameters
    outside = (2 * 32_000 + 1) * 4096 + 32 * 2 * 4096  # embedding, head, norms
    assert small.weights == NF4 * (small.parameters - outside) + 2 * outside and 3.8e9 < small.weights < 4.0e9


def test_what_is_asked_for_is_taken(seven, on):
    on(T4)
    assert forecast(big(seven, bits=16), SUMS).bits == 16
    assert not forecast(big(seven, bits=16), SUMS).fits
    assert forecast(big(seven, bits=4, precision="fp32"), SUMS).precision == "fp32"
    assert forecast(big(seven, bits=32), SUMS).precision == "fp32"


def test_activations_and_logits(decoder):
    folder = decoder("llama")
    once = forecast(recipe(folder, "run", context=128), SUMS)
    again = forecast(recipe(folder, "run", context=128, recompute=True), SUMS)
    four = forecast(recipe(folder, "run", context=128, at_once=4), SUMS)
    assert once.activations == 2 * costs.training_memory(2, 64, 160, tokens=128).activations  # float32
    assert again.activations == 4 * (costs.KEPT + 2) * 128 * 64
    assert four.activations == 4 * once.activations
    words = transformers.AutoConfig.from_pretrained(folder).vocab_size
    assert four.logits == 4 * 4 * 128 * words  # a tile of TRL's, in float32, of four rows
    assert once.logits == costs.logits_memory(128, words, bits=32)  # a row that is measured
    assert once.bytes == once.weights + once.state + once.activations + once.logits


def test_logits_are_those_of_a_row_or_of_a_tile_however_many_rows(seven, on):
    on(H200)
    one, many = (forecast(big(seven, at_once=n, batch_size=64), SUMS).logits for n in (1, 64))
    assert one == many == costs.logits_memory(1024, 32_000)


def test_the_tile_is_that_of_the_library():
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    assert (chunked_logprob.TOKEN_CHUNK_SIZE, utils._CHUNKED_LOGPROB_CHUNK_SIZE) == module.TILE


def test_a_tower_for_images_gets_no_adapter():
    text = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 512}  # fmt: skip
    images = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 28, "patch_size": 14}  # fmt: skip
    config = transformers.Gemma3Config(text_config=text, vision_config=images, mm_tokens_per_image=4)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    names = list(module.linear_layers(model))
    assert len(names) == 2 * 7 and all("language_model" in name for name in names)


def test_steps_and_words(decoder):
    found = forecast(recipe(decoder("llama"), "run", epochs=3, batch_size=4, packing=False), SUMS)
    assert found.steps == 18 and str(found).endswith("fits on CPU") and "24 rows" in str(found)
    packed = forecast(recipe(decoder("llama"), "run", epochs=3, batch_size=4), SUMS)
    assert packed.steps == round(3 * found.tokens.read / 64 / 4) < found.steps
    assert "does not fit" in str(dataclasses.replace(found, device=dataclasses.replace(found.device, memory=1000)))


def test_the_device_is_the_card_s_or_the_cpu(monkeypatch):
    assert find_device().kind == "cpu" and find_device().precision == "fp32" and find_device().memory > 2**30
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name, major, precision in (("Tesla T4", 7, "fp16"), ("NVIDIA H200", 9, "bf16"), ("NVIDIA A100", 8, "bf16")):
        about = types.SimpleNamespace(name=name, total_memory=5, major=major)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, about=about: about)
        assert find_device() == Device("cuda", name, 5, precision)


# --------------------------------------------------------------------------------------------- what stands against it


def test_a_card_that_is_too_small_is_said_before_anything_is_loaded(seven, on):
    on(dataclasses.replace(T4, memory=4_000_000_000))
    with pytest.raises(
        ValueError, match=r"^load_model: the model must fit into Tesla T4's 4\.0 GB, .*; it needs about "
    ):
        load_model(big(seven), SUMS)
    on(T4)
    with pytest.raises(ValueError, match=r"Take bits=4, a smaller context, or at_once=1\.$"):
        load_model(big(seven, bits=16), SUMS)


RAISED = {
    "gated": (GatedRepoError, r"must be open to you; it is gated\. Accept its licence on its page, log in with"),
    "missing": (RepositoryNotFoundError, r"must be a name on the hub or a folder; 'meta/x' is none\. Look at"),
}


@pytest.mark.parametrize("case", RAISED)
def test_a_model_that_is_gated_or_missing(monkeypatch, case):
    kind, message = RAISED[case]

    def fail(name):
        response = types.SimpleNamespace(headers={}, status_code=403, request=None)
        raise OSError("You are trying to access something.") from kind("no", response=response)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", fail)
    with pytest.raises(ValueError, match=rf"^forecast: model ('meta/x' )?{message}"):
        forecast(recipe("meta/x", "run"), SUMS)


def test_other_reasons(tmp_path, decoder, monkeypatch):
    with pytest.raises(ValueError, match=r"^forecast: the folder '.*' must hold a model; it does not: "):
        forecast(recipe(tmp_path, "run"), SUMS)
    transformers.BertConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(decoder("llama")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"model must be a decoder, .*; '.*' is of the kind 'bert'\. Take one of"):
        forecast(recipe(tmp_path, "run"), SUMS)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        forecast(recipe(tmp_path, "run"), SUMS)

    def fail(name):
        raise OSError("We couldn't connect to the hub.\nCheck your internet connection.")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", fail)
    with pytest.raises(
        ValueError, match=r"model 'a/b' could not be read: We couldn't connect to the hub\. Look at the c"
    ):
        forecast(recipe("a/b", "run"), SUMS)


@pytest.mark.parametrize(
    ("changes", "family", "chat", "message"),
    [
        ({"context": 513}, "llama", True, "context must be at most 512, the length of '.*'; got 513"),
        ({"context": 8}, "llama", True, r"at most context = 8 tokens; 24 of 24 have more, line \d+ of sums\.jsonl"),
        ({"rank": 65}, "gpt2", True, "rank must be at most 64, the narrowest linear layer's; got 65"),
        ({"adapter": "book"}, "gpt2", True, r"must be torch\.nn\.Linear for adapter='book'; '.*' has others\. Take"),
    ],
)
def test_what_does_not_go_together_is_said_at_once(decoder, changes, family, chat, message):
    with pytest.raises(ValueError, match=rf"^forecast: .*{message}"):
        forecast(recipe(decoder(family, chat), "run", **changes), SUMS)


def test_conversations_need_a_template(decoder):
    with pytest.raises(ValueError, match=r"^forecast: tokenizer must have a chat template .* instruct version"):
        forecast(recipe(decoder("gpt2", False), "run"), TALK)


def test_without_a_token_for_padding_the_one_that_ends_a_text_serves(decoder, tmp_path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder("llama"))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    transformers.AutoConfig.from_pretrained(decoder("llama")).save_pretrained(tmp_path)
    _, found = module.read_hub(str(tmp_path))
    assert found.pad_token_id == found.eos_token_id == 2 and found.padding_side == "left"


def test_the_library_that_is_missing_is_named(monkeypatch):
    def missing(name):
        if name == "tqdm.auto":
            return
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("lowrank_helpers.finetuning._libraries.importlib.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r'^forecast: transformers must be .*"lowrank_helpers\[finetune\]"'):
        forecast(recipe("gpt2", "run"), SUMS)


OPTIONS = {
    "model": (3, TypeError, "model must be a string; got 3"),
    "folder": ("", TypeError, "folder must be a path"),
    "adapter": ("mine", ValueError, "adapter must be one of 'peft', 'book'; got 'mine'"),
    "rank": (0, ValueError, "rank must be at least 1; got 0"),
    "alpha": (0, ValueError, "alpha must be finite and above 0"),
    "learning_rate": (-1.0, ValueError, "learning_rate must be finite and above 0"),
    "epochs": (float("nan"), ValueError, "epochs must be finite"),
    "batch_size": (2.5, TypeError, "batch_size must be an integer"),
    "at_once": (3, ValueError, "at_once must divide batch_size = 4; got 3. Take 1 or 4"),
    "context": (1, ValueError, "context must be at least 2"),
    "packing": ("yes", TypeError, "packing must be True or False"),
    "precision": ("int8", ValueError, "precision must be one of 'bf16', 'fp16', 'fp32'"),
    "bits": (8, ValueError, "bits must be None, 4, 16 or 32; got 8"),
    "recompute": (1, TypeError, "recompute must be True or False"),
    "save_every": (0, ValueError, "save_every must be at least 1"),
    "seed": (-1, ValueError, "seed must be between 0"),
}


def test_every_option_has_its_misuse():
    assert OPTIONS.keys() == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_read_when_they_are_given(name):
    value, error, message = OPTIONS[name]
    given = {"model": "gpt2", "folder": "run", "batch_size": 4, name: value}
    with pytest.raises(error, match=rf"^Recipe: {message}"):
        Recipe(**given)


def test_options_that_do_not_go_together():
    with pytest.raises(ValueError, match=r"bits must not be 4 for adapter='book', .* Take adapter='peft', or bits=16"):
        recipe("gpt2", "run", adapter="book", bits=4)
    with pytest.raises(ValueError, match="bits must be 4 or 16 for precision 'fp16'; got 32"):
        recipe("gpt2", "run", bits=32, precision="fp16")
    with pytest.raises(TypeError, match="forecast: recipe must be a Recipe; got str"):
        forecast("gpt2", SUMS)
    with pytest.raises(TypeError, match="forecast: examples must be Examples; got str"):
        forecast(recipe("gpt2", "run"), "sums")
    with pytest.raises(ValueError, match="examples must not be empty"):
        forecast(recipe("gpt2", "run"), Examples("text", (), (), "x"))
