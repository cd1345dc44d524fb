"""The whole way with tiny decoders: loaded, trained, measured, asked, exported; in each precision, resumed, failing."""

import dataclasses
import json
import shutil
import types

import bitsandbytes
import peft
import pytest
import torch
import transformers
import trl

from book.margins import close
from lowrank_helpers.finetuning import (
    Examples,
    answer,
    export_model,
    find_device,
    forecast,
    load_model,
    load_trained,
    measure,
    session,
    tokenise,
    train_adapter,
)
from lowrank_helpers.lora import LoRALinear
from tests.package.finetuning._data import SUMS, TALK, recipe

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]
FAMILIES = ["llama", "qwen", "gemma", "mistral", "gpt2"]
GENERAL = "A matrix of low rank is a product of two thin ones. " * 4


def trained(model):
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.arange(8, 40)[None]).logits.float()


def alike(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def went(path, decoder, family, **changes):
    """A run to its end, and its scores before and after."""
    given = recipe(decoder(family), path / "run", **changes)
    loaded = load_model(given, SUMS)
    before = measure(loaded, SUMS, general=GENERAL)
    start = {name: p.detach().clone() for name, p in loaded.model.named_parameters()}
    run = train_adapter(loaded, SUMS)
    return types.SimpleNamespace(
        loaded=loaded, before=before, start=start, run=run, after=measure(loaded, SUMS, general=GENERAL)
    )


# ------------------------------------------------------------------------------------------------- family by family


# GPT-2's layers are no torch.nn.Linear, which the book's adapter refuses (test_recipe.py).
WAYS = [(family, kind) for family in FAMILIES for kind in ("peft", "book") if (family, kind) != ("gpt2", "book")]


@pytest.mark.parametrize(("family", "kind"), WAYS)
def test_the_whole_way(family, kind, decoder, tmp_path):
    """The loss falls, nothing but the adapter changes, and the exported model is the adapted one."""
    found = went(tmp_path, decoder, family, adapter=kind)
    model, changed = found.loaded.model, set()
    assert found.after.loss < found.before.loss - 0.1 and found.after.general != found.before.general
    for name, value in model.named_parameters():
        if not torch.equal(value, found.start[name]):
            changed.add(name)
    assert changed == trained(model).keys() and all(p.dtype == torch.float32 for p in trained(model).values())
    count = sum(p.numel() for p in trained(model).values())
    assert count == found.loaded.forecast.trained and "head" not in " ".join(changed)
    plain = transformers.AutoModelForCausalLM.from_pretrained(export_model(found.loaded, tmp_path / "plain"))
    assert not any(isinstance(m, LoRALinear | peft.tuners.lora.LoraLayer) for m in plain.modules())
    assert close(logits(plain), logits(model), atol=1e-4)
    assert not close(
        logits(plain), logits(transformers.AutoModelForCausalLM.from_pretrained(decoder(family))), atol=1e-4
    )
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "plain").chat_template


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_step_s_loss_is_the_mean_over_answers(family, decoder, tmp_path):
    """TRL's loss of packed rows is ours of each row alone: the same tokens count, and no example sees another."""
    given = recipe(decoder(family), tmp_path / "run", batch_size=32, epochs=1)
    loaded = load_model(given, SUMS)
    alone = measure(loaded, SUMS).loss
    run = train_adapter(loaded, SUMS)
    assert len(run.losses) == 1 and close(run.losses[1], alone, atol=1e-4)


def test_a_loss_on_all_tokens_would_be_another(decoder, tmp_path):
    """The check above can fail: with labels everywhere the loss is not that of the answers."""
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    rows = tokenise(SUMS, loaded.tokenizer, context=64).rows
    everywhere = session._mean(loaded, [row._replace(labels=row.ids) for row in rows])
    assert abs(everywhere - session._mean(loaded, rows)) > 1e-3


def test_the_labels_are_those_that_trl_makes_of_a_marked_template(decoder, tmp_path):
    """Two answers in one conversation: TRL finds them by the marks of a template, we by asking it for each prompt."""
    loaded = load_model(recipe(decoder("llama"), tmp_path), TALK)
    marked = loaded.tokenizer.chat_template.replace(
        "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>\n' }}",
        "{{ '<|' + message['role'] + '|>' }}{% if message['role'] == 'assistant' %}{% generation %}"
        "{{ message['content'] + '<|end|>' }}{% endgeneration %}{% else %}"
        "{{ message['content'] + '<|end|>' }}{% endif %}"
        "{{ '\n' }}",
    )
    assert "generation %}" in marked
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder("llama"))
    tokenizer.chat_template = marked
    import datasets

    settings = trl.SFTConfig(
        str(tmp_path), assistant_only_loss=True, use_cpu=True, bf16=False, max_length=64, report_to="none"
    )
    data = datasets.Dataset.from_list(list(TALK.rows))
    theirs = trl.SFTTrainer(loaded.model, settings, train_dataset=data, processing_class=tokenizer).train_dataset[0]
    (ours,) = tokenise(TALK, loaded.tokenizer, context=64).rows
    assert (ours.ids, ours.labels) == (theirs["input_ids"], theirs["labels"])


# --------------------------------------------------------------------------------------------------------- precisions


@pytest.mark.parametrize("kind", ["peft", "book"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits(precision, kind, decoder, tmp_path, monkeypatch):
    """fp16 on the CPU stands in for the T4: the same autocast, and a scaler of the loss, as on a GPU."""
    scaler = torch.amp.GradScaler("cpu")
    inner = session._trainer

    def noted(*given):
        made = inner(*given)
        assert (made.args.fp16, made.args.bf16) == (precision == "fp16", precision == "bf16")
        if precision == "fp16":
            made.accelerator.scaler = scaler
        return made

    monkeypatch.setattr(session, "_trainer", noted)
    found = went(tmp_path, decoder, "llama", precision=precision, adapter=kind)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert {p.dtype for p in found.loaded.model.parameters() if not p.requires_grad} == {dtype}
    assert {p.dtype for p in trained(found.loaded.model).values()} == {torch.float32}
    assert (scaler._scale is not None) == (precision == "fp16")  # it was used
    assert found.after.loss < found.before.loss - 0.05
    plain = transformers.AutoModelForCausalLM.from_pretrained(export_model(found.loaded, tmp_path / "plain"))
    assert plain.dtype == dtype and (logits(plain) - logits(found.loaded.model)).abs().max() < 0.05


@pytest.mark.parametrize(("family", "precision"), [("llama", "fp16"), ("gpt2", "fp32"), ("qwen", "bf16")])
def test_four_bits(family, precision, decoder, tmp_path):
    """NF4 beside an adapter that stays in float32, where TRL would make it bfloat16; exported in 16 bits or 32."""
    found = went(tmp_path, decoder, family, bits=4, precision=precision)
    model = found.loaded.model
    layers = [m for m in model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    base = transformers.AutoModelForCausalLM.from_pretrained(decoder(family))
    assert len(layers) == len(session.linear_layers(base)) > 0
    assert all(layer.weight.quant_type == "nf4" for layer in layers)
    assert {p.dtype for p in trained(model).values()} == {torch.float32}
    assert found.after.loss < found.before.loss - 0.05
    plain = transformers.AutoModelForCausalLM.from_pretrained(export_model(found.loaded, tmp_path / "plain"))
    there = dataclasses.replace(found.loaded, model=plain.eval())
    assert close(measure(there, SUMS).loss, found.after.loss, atol=0.1)


def test_recomputing_and_rows_alone_give_the_same_losses(decoder, tmp_path):
    once = went(tmp_path / "a", decoder, "llama", packing=False, epochs=1).run.losses
    again = went(tmp_path / "b", decoder, "llama", packing=False, epochs=1, recompute=True).run.losses
    assert once.keys() == again.keys() and len(once) == 6
    assert all(close(once[step], again[step], atol=1e-4) for step in once)


def test_the_book_s_lora_is_peft_s(decoder, tmp_path):
    """What the book's layer saved, PEFT reads, and is the same model."""
    found = went(tmp_path, decoder, "qwen", adapter="book")
    base = transformers.AutoModelForCausalLM.from_pretrained(decoder("qwen"))
    theirs = peft.PeftModel.from_pretrained(base, found.run.folder / "adapter").eval()
    assert close(logits(theirs), logits(found.loaded.model), atol=1e-4)


# ----------------------------------------------------------------------------------------------------------- resumed


@pytest.mark.parametrize("kind", ["peft", "book"])
def test_a_stopped_run_goes_on_to_the_same_end(kind, decoder, tmp_path):
    calm = went(tmp_path / "calm", decoder, "llama", adapter=kind, packing=False, epochs=1, save_every=2)
    folder = tmp_path / "stopped"
    shutil.copytree(calm.run.folder, folder)
    assert sorted(place.name for place in folder.glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-6"]
    (folder / "checkpoint-6" / "trainer_state.json").unlink()  # written last: this one is not whole
    saved = sum(file.stat().st_size for file in (folder / "checkpoint-4").rglob("*.safetensors"))
    assert saved < 0.3 * (decoder("llama") / "model.safetensors").stat().st_size
    given = dataclasses.replace(calm.loaded.recipe, folder=folder)
    loaded = load_model(given, SUMS)
    run = train_adapter(loaded, SUMS)
    assert run.resumed == 4 and calm.run.resumed == 0 and run.losses == calm.run.losses
    assert alike(trained(loaded.model), trained(calm.loaded.model))
    read = load_trained(given, SUMS)
    assert torch.equal(logits(read.model), logits(loaded.model))


@pytest.mark.parametrize("kind", ["peft", "book"])
def test_a_finished_run_stays_as_it_is(kind, decoder, tmp_path):
    found = went(tmp_path, decoder, "llama", adapter=kind)
    again = load_model(found.loaded.recipe, SUMS)
    run = train_adapter(again, SUMS)
    assert run.resumed == max(run.losses) and run.losses == found.run.losses
    assert alike(trained(again.model), trained(found.loaded.model))


def test_a_folder_of_another_recipe_is_refused(decoder, tmp_path, monkeypatch):
    """Before any weight is loaded, and once more before training."""
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    session._prepared(dataclasses.replace(loaded.recipe, rank=3), SUMS)
    message = r": folder must be new .*; '.*' has one with rank = 3, and this has 2"
    with pytest.raises(ValueError, match=f"^train_adapter{message}"):
        train_adapter(loaded, SUMS)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(ValueError, match=f"^load_model{message}"):
        load_model(loaded.recipe, SUMS)


def test_a_folder_of_other_examples_is_refused(decoder, tmp_path):
    """Else a finished run would give back the adapter of the examples that were mended since."""
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    session._prepared(loaded.recipe, SUMS)
    session._prepared(loaded.recipe, SUMS)  # the same are taken
    mended = Examples("answers", SUMS.rows[1:], SUMS.lines[1:], "sums.jsonl")
    with pytest.raises(ValueError, match=r"^train_adapter: folder must be new or hold a run on the same examples"):
        train_adapter(loaded, mended)


def test_an_adapter_of_another_base_is_refused(decoder, tmp_path):
    run = went(tmp_path, decoder, "llama").run
    other = recipe(decoder("mistral"), run.folder)
    with pytest.raises(
        ValueError, match=r"^load_trained: the adapter must be one of '.*mistral'; it was trained on '.*llama'"
    ):
        load_trained(other, SUMS)
    config = run.folder / "adapter" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(decoder("gpt2"))}))
    with pytest.raises(ValueError, match=r"^load_trained: the adapter must fit the layers of '.*gpt2'"):
        load_trained(recipe(decoder("gpt2"), run.folder), SUMS)
    with pytest.raises(ValueError, match=r"^load_trained: folder must hold a trained adapter; 'none' has none"):
        load_trained(recipe(decoder("llama"), tmp_path / "none"), SUMS)


# ------------------------------------------------------------------------------------------------------------ failing


def test_memory_that_runs_out_is_one_sentence(decoder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    monkeypatch.setattr(trl.SFTTrainer, "train", full)
    with pytest.raises(
        ValueError, match=r"^train_adapter: the memory must suffice; it ran out with at_once=1 and context"
    ):
        train_adapter(loaded, SUMS)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(ValueError, match=r"^load_model: the memory must suffice"):
        load_model(loaded.recipe, SUMS)


def test_a_loss_that_is_not_finite_stops_before_the_first_step(decoder, tmp_path):
    loaded = load_model(recipe(decoder("llama"), tmp_path / "run", precision="fp16"), SUMS)
    with torch.no_grad():
        next(p for name, p in loaded.model.named_parameters() if "down_proj.base_layer" in name).fill_(float("inf"))
    with pytest.raises(ValueError, match=r"^train_adapter: the loss must be finite before the first step; .* in fp16"):
        train_adapter(loaded, SUMS)


def test_a_loss_that_is_no_number_later_is_said(decoder, tmp_path, monkeypatch):
    """The library would note the mean of earlier losses in its place, and end as if all were well."""
    loaded = load_model(recipe(decoder("llama"), tmp_path / "run"), SUMS)
    with torch.no_grad():
        next(p for name, p in loaded.model.named_parameters() if "down_proj.base_layer" in name).fill_(float("inf"))
    monkeypatch.setattr(session, "_check_finite", lambda *_: None)
    with pytest.raises(ValueError, match=r"^train_adapter: the loss must stay finite; at step 1 it was not, in fp32"):
        train_adapter(loaded, SUMS)
    assert not (tmp_path / "run" / "adapter").exists()


def test_too_little_memory_to_merge(decoder, tmp_path, monkeypatch):
    found = went(tmp_path, decoder, "llama")
    monkeypatch.setattr(session, "_memory", lambda: 1000)
    with pytest.raises(ValueError, match=r"^export_model: the machine must have the memory for the whole model"):
        export_model(found.loaded, tmp_path / "plain")
    shutil.rmtree(found.run.folder / "adapter")
    with pytest.raises(ValueError, match=r"^export_model: the adapter must be trained; 'adapter' is not there"):
        export_model(found.loaded, tmp_path / "plain")


# ----------------------------------------------------------------------------------------------- asked and measured


def test_answers_end_where_they_should(decoder, tmp_path):
    """A model that always writes the end of an answer says nothing, alone or in a batch of prompts of other lengths."""
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    said = answer(loaded, ["What is 3 and 3?", "What?", [{"role": "user", "content": "1"}]], length=5)
    assert len(said) == 3 and all(isinstance(text, str) for text in said)
    assert answer(loaded, ["What?"], length=5) == said[1:2]  # what pads a shorter one is not read
    end = loaded.tokenizer.convert_tokens_to_ids("<|end|>")
    assert end in session._ends(loaded)
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight.zero_()[end] = 0.0
    loaded.model.get_output_embeddings().register_forward_hook(
        lambda module, given, out: torch.nn.functional.one_hot(torch.tensor(end), out.shape[-1]).expand_as(out).float()
    )
    assert answer(loaded, ["What is 3 and 3?"], length=5) == [""]


def test_exact_matches_are_counted(decoder, tmp_path, monkeypatch):
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    monkeypatch.setattr(session, "_answers", lambda _, prompts, length: ["It is 0."] * len(prompts))
    assert measure(loaded, SUMS).exact == 1 / 24 and measure(loaded, SUMS, most=1).exact == 1
    assert [row["prompt"][8:10] for row in session._spread(SUMS, 3).rows] == ["0 ", "8 ", "16"]  # not the first three
    assert measure(loaded, TALK).exact == 0 and measure(loaded, TALK).general is None
    text = Examples("text", ({"text": GENERAL},), (1,), "x")
    assert measure(loaded, text).exact is None
    assert close(measure(loaded, text).loss, measure(loaded, SUMS, general=GENERAL).general, rtol=1e-5)


def test_misuse(decoder, tmp_path):
    loaded = load_model(recipe(decoder("llama"), tmp_path), SUMS)
    assert repr(loaded).startswith("Loaded('") and loaded.forecast == forecast(loaded.recipe, SUMS)
    for function, given in ((train_adapter, [SUMS]), (measure, [SUMS]), (answer, [["a"]]), (export_model, ["x"])):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: loaded must be what load_model returns; got str"):
            function("model", *given)
    for function in (load_model, load_trained):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: recipe must be a Recipe; got str"):
            function("gpt2", SUMS)
        with pytest.raises(TypeError, match=rf"^{function.__name__}: examples must be Examples; got str"):
            function(loaded.recipe, "sums")
    for prompts in ("one", [], [""], [3], None):
        with pytest.raises(TypeError, match=r"^answer: (prompts|a prompt) must be a"):
            answer(loaded, prompts)
    with pytest.raises(ValueError, match=r"^answer: length must be at least 1"):
        answer(loaded, ["a"], length=0)
    with pytest.raises(ValueError, match=r"^measure: most must be at least 1"):
        measure(loaded, SUMS, most=0)
    with pytest.raises(TypeError, match=r"^measure: general must be a string"):
        measure(loaded, SUMS, general=3)
    with pytest.raises(TypeError, match=r"^train_adapter: progress must be True or False"):
        train_adapter(loaded, SUMS, progress=1)
    with pytest.raises(TypeError, match=r"^train_adapter: examples must be Examples"):
        train_adapter(loaded, [])
    with pytest.raises(TypeError, match=r"^export_model: folder must be a path"):
        export_model(loaded, 3)
    assert find_device().memory == session._memory()
