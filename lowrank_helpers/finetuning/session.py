"""A model with its adapter: loaded, trained, measured, asked, and exported as a plain model."""

import contextlib
import gc
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lowrank_helpers import _checks
from lowrank_helpers.finetuning._libraries import library
from lowrank_helpers.finetuning.examples import Examples, prompt_of, read
from lowrank_helpers.finetuning.recipe import (
    WIDTHS,
    Forecast,
    Recipe,
    find_device,
    linear_layers,
    outlook,
    read_hub,
    read_recipe,
)
from lowrank_helpers.finetuning.tokens import SILENT, Row, prompt_ids, tokenise

ADAPTER, RECIPE, STATE = "adapter", "recipe.json", "trainer_state.json"  # the last file of a checkpoint
SAME = "model adapter rank alpha learning_rate epochs batch_size at_once context packing seed".split()  # to go on


@dataclass(frozen=True)
class Loaded:
    """A model with a fresh adapter, or a trained one, and all that belongs to it.

    Attributes
    ----------
    recipe : Recipe
    forecast : Forecast
        What was foreseen; its precision and bits are those that were loaded.
    model : torch.nn.Module
    tokenizer : tokenizer of transformers
    """

    recipe: Recipe
    forecast: Forecast
    model: Any
    tokenizer: Any

    def __repr__(self) -> str:
        return f"Loaded({self.recipe.model!r}, adapter {self.recipe.adapter!r} of rank {self.recipe.rank})"


class Scores(NamedTuple):
    """Of held-out examples the loss in nats for a token and the share answered to the letter; of a text the loss."""

    loss: float
    exact: float | None
    general: float | None


@dataclass(frozen=True)
class Run:
    """What training did.

    Attributes
    ----------
    losses : dict of int to float
        The loss on the examples by step, of all steps that the folder knows.
    resumed : int
        The step of the checkpoint that it went on from, 0 for none.
    folder : pathlib.Path
        With the checkpoints, and the adapter in ``adapter``.
    """

    losses: dict[int, float]
    resumed: int
    folder: Path


def load_model(recipe: Recipe, examples: Examples) -> Loaded:
    """Load a model as the recipe says, with a fresh adapter on it, if it fits on this machine.

    Parameters
    ----------
    recipe : Recipe
    examples : Examples
        What will be learned; `forecast` looks at it once more.

    Returns
    -------
    Loaded
        The frozen weights are those of the hub, in the precision and bits of the forecast; the adapter, in float32,
        changes nothing yet.

    Raises
    ------
    TypeError, ValueError
        As of `forecast`; if the recipe's folder holds a run of another; if the model does not fit; if bits=4 and its
        library does not run on this machine.
    ModuleNotFoundError
        The extra finetune is not installed; the message says how.
    """
    _check_folder(read_recipe(recipe))
    config, tokenizer = read_hub(recipe.model)
    found = outlook(recipe, read(examples), config, tokenizer)
    if not found.fits:
        hint = "a smaller model" if found.bits == 4 or recipe.adapter == "book" else "bits=4"
        raise _checks.invalid(
            f"the model must fit into {found.device.name}'s {found.device.memory / 1e9:.1f} GB, of which a tenth stays "
            f"free; it needs about {found.bytes / 1e9:.1f} GB. Take {hint}, a smaller context, or at_once=1."
        )
    _free()
    with _quiet():
        return Loaded(recipe, found, _with_adapter(frozen(recipe, found), recipe), tokenizer)


def _free() -> None:
    """Give back what models that nobody names any more hold: trainers refer to themselves."""
    gc.collect()
    torch = library("torch")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def frozen(recipe: Recipe, found: Forecast, *, whole: bool = False) -> Any:
    """The model as it is on the hub; whole: in no less than 16 bits, on the CPU."""
    torch, hf = library("torch"), library("transformers")
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[found.precision]
    options: dict[str, Any] = {"dtype": dtype}
    if found.bits == 4 and not whole:
        library("bitsandbytes")
        options["quantization_config"] = hf.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    if found.device.kind == "cuda" and not whole:
        options["device_map"] = {"": 0}
    with _one_sentence(recipe):
        model = hf.AutoModelForCausalLM.from_pretrained(recipe.model, **options)
    return model.eval()


def _with_adapter(model: Any, recipe: Recipe) -> Any:
    torch = library("torch")
    if recipe.adapter == "book":
        return (
            _lora()
            .add_lora(model, recipe.rank, alpha=recipe.alpha, targets=list(linear_layers(model)), rng=recipe.seed)
            .eval()
        )
    peft, hf = library("peft"), library("transformers")
    layers = linear_layers(model)
    settings = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=list(layers),
        task_type="CAUSAL_LM",
        fan_in_fan_out=any(isinstance(layer, hf.pytorch_utils.Conv1D) for layer in layers.values()),
    )
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return peft.get_peft_model(model, settings).eval()


def _lora() -> Any:
    """The book's own, which imports torch."""
    return library("lowrank_helpers.lora")


def read_loaded(loaded: object) -> Loaded:
    if not isinstance(loaded, Loaded):
        raise _checks.mistyped(f"loaded must be what load_model returns; got {type(loaded).__name__}. Call it first.")
    return loaded


@contextlib.contextmanager
def _one_sentence(recipe: Recipe) -> Iterator[None]:
    """Memory that ran out, said in one sentence."""
    torch = library("torch")
    try:
        yield
    except torch.OutOfMemoryError:
        raise _checks.invalid(
            f"the memory must suffice; it ran out with at_once={recipe.at_once} and context={recipe.context}. Take "
            "less of either, or bits=4, restart, and call again: what checkpoints hold is not lost."
        ) from None


# ------------------------------------------------------------------------------------------------------------ training


def train_adapter(loaded: Loaded, examples: Examples, *, progress: bool | None = None) -> Run:
    """Train the adapter with TRL's SFTTrainer, or go on from the last whole checkpoint in the recipe's folder.

    The loss is asked on answers only, as `tokenise` marks them. What is trained stays in float32: TRL turns adapters
    of weights in four bits into bfloat16, whose gradients cannot be unscaled where products run in float16.

    Parameters
    ----------
    loaded : Loaded
        Of `load_model`. Its adapter changes.
    examples : Examples
        What is to be learned.
    progress : bool, optional
        A bar with the losses; by default on a terminal only.

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
        If the folder holds a run of another recipe or of other examples, if the loss is not finite before the first
        step (a model whose numbers float16 does not hold) or at a later one, or if the memory runs out.
    """
    recipe = read_loaded(loaded).recipe
    shown = _checks.progress_shown(progress)
    rows = tokenise(read(examples), loaded.tokenizer, context=recipe.context).rows
    folder = _prepared(recipe, examples)
    _check_finite(loaded, rows)
    with _one_sentence(recipe), _quiet():
        trainer = _trainer(loaded, rows, folder, shown)
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        last = last_whole(folder)
        state = json.loads((last / STATE).read_text(encoding="utf-8")) if last else {}
        if state and state["global_step"] >= state["max_steps"]:  # else the library would take one more step
            trainer._load_from_checkpoint(str(last))
        else:
            trainer.train(resume_from_checkpoint=last and str(last))
            state = {"log_history": trainer.state.log_history}
    loaded.model.eval()
    losses = {row["step"]: row["loss"] for row in state["log_history"] if "loss" in row}
    broken = next((step for step, loss in losses.items() if not math.isfinite(loss)), None)
    if broken is not None:
        raise _checks.invalid(
            f"the loss must stay finite; at step {broken} it was not, in {loaded.forecast.precision}. Take a smaller "
            "learning_rate, or precision='fp32' with bits=4, and another folder."
        )
    _save(loaded, folder / ADAPTER)
    return Run(losses, int(last.name.split("-")[1]) if last else 0, folder)


def _check_folder(recipe: Recipe) -> dict[str, Any]:
    """What the folder notes of its run, nothing if it has none; refuse another recipe's."""
    note = Path(recipe.folder) / RECIPE
    there: dict[str, Any] = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    for name in SAME:
        if there and there.get(name) != getattr(recipe, name):
            raise _checks.invalid(
                f"folder must be new or hold a run of the same recipe; {note.parent.name!r} has one with {name} = "
                f"{there.get(name)!r}, and this has {getattr(recipe, name)!r}. Pass another folder."
            )
    return there


def _prepared(recipe: Recipe, examples: Examples) -> Path:
    """The folder, with the recipe and a digest of the examples in it, unless it is another run's."""
    there, folder = _check_folder(recipe), Path(recipe.folder)
    digest = hashlib.sha256(json.dumps(examples.rows).encode()).hexdigest()[:16]
    if there.get("examples", digest) != digest:
        raise _checks.invalid(
            f"folder must be new or hold a run on the same examples; {folder.name!r} has one on others. "
            "Pass another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: getattr(recipe, name) for name in SAME} | {"examples": digest}
    (folder / RECIPE).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return folder


def last_whole(folder: Path) -> Path | None:
    """The last checkpoint that was written to its end, which is where the trainer's state is."""
    ends = {int(end.parent.name.split("-")[1]): end.parent for end in folder.glob(f"checkpoint-*/{STATE}")}
    return ends[max(ends)] if ends else None


def _check_finite(loaded: Loaded, rows: Sequence[Row]) -> None:
    with _one_sentence(loaded.recipe):
        loss = _sums(loaded, rows[:1])[0]
    if not math.isfinite(loss):
        raise _checks.invalid(
            f"the loss must be finite before the first step; it is {loss} in {loaded.forecast.precision}. "
            "Some models have numbers beyond float16's range: take precision='fp32' with bits=4, or another model."
        )


def _trainer(loaded: Loaded, rows: Sequence[Row], folder: Path, shown: bool) -> Any:
    datasets, trl = library("datasets"), library("trl")
    recipe, found = loaded.recipe, loaded.forecast
    settings = trl.SFTConfig(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.at_once,
        gradient_accumulation_steps=recipe.batch_size // recipe.at_once,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=0.03,
        max_length=recipe.context,
        packing=recipe.packing,
        gradient_checkpointing=recipe.recompute,
        bf16=found.precision == "bf16",
        fp16=found.precision == "fp16",
        use_cpu=found.device.kind == "cpu",
        dataloader_pin_memory=found.device.kind == "cuda",
        save_steps=recipe.save_every,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,  # else a loss that is no number is noted as the mean of those before it
        seed=recipe.seed,
        disable_tqdm=not shown,
        report_to="none",
    )
    if found.device.kind == "cuda":
        settings._n_gpu = 1  # the model is on the first card; a second one would only double the rows of a step
    data = datasets.Dataset.from_dict({"input_ids": [r.ids for r in rows], "labels": [r.labels for r in rows]})
    kind = trl.SFTTrainer if recipe.adapter == "peft" else _trainer_of_the_book()
    extra = {} if shown else {"callbacks": None}
    trainer = kind(loaded.model, settings, train_dataset=data, processing_class=loaded.tokenizer, **extra)
    if not shown:
        trainer.remove_callback(library("transformers").PrinterCallback)
    return trainer


def _trainer_of_the_book() -> Any:
    """TRL's trainer, with checkpoints that hold the book's adapter and none of the frozen weights."""
    trl = library("trl")

    class Trainer(trl.SFTTrainer):  # type: ignore[misc, name-defined]
        def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
            _lora().save_lora(self.model, Path(output_dir or self.args.output_dir) / ADAPTER)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            _read_back(model if model is not None else self.model, Path(resume_from_checkpoint) / ADAPTER)

    return Trainer


def _read_back(model: Any, folder: Path) -> None:
    """Put the numbers of a saved adapter into the same adapter of a model."""
    torch = library("torch")
    tensors = library("safetensors.torch").load_file(folder / "adapter_model.safetensors")
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, _lora().LoRALinear):
                adapter = module.adapter("default")
                adapter.A.copy_(tensors[f"base_model.model.{name}.lora_A.weight"])
                adapter.B.copy_(tensors[f"base_model.model.{name}.lora_B.weight"])


def _save(loaded: Loaded, folder: Path) -> None:
    if loaded.recipe.adapter == "book":
        _lora().save_lora(loaded.model, folder)
        return
    with _quiet():
        loaded.model.save_pretrained(folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the libraries say of themselves; their errors stay."""
    hf, datasets = library("transformers"), library("datasets")
    logs, bars = hf.utils.logging, datasets.are_progress_bars_disabled()
    level, shown = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.set_verbosity(level)
        if shown:
            logs.enable_progress_bar()
        if not bars:
            datasets.enable_progress_bars()


# ----------------------------------------------------------------------------------------------------------- measuring


def measure(loaded: Loaded, examples: Examples, *, general: str | None = None, most: int = 200) -> Scores:
    """Judge a model by examples that it has not learned from, and by a text that has nothing to do with them.

    Parameters
    ----------
    loaded : Loaded
    examples : Examples
        Held out. With answers, each prompt is answered greedily and compared with the right answer, blanks at the
        ends apart; of conversations the first answer counts.
    general : str, optional
        A text of any kind, whose loss tells what is forgotten.
    most : int, default 200
        Examples that are looked at, at even distances in the order of the file.

    Returns
    -------
    Scores
        exact is None for examples of 'text', general is None without a text.

    Raises
    ------
    TypeError, ValueError
        As of `tokenise`, or an argument is out of bounds.
    """
    recipe = read_loaded(loaded).recipe
    few = _spread(read(examples), _checks.integer(most, 1, None, "most"))
    loss = _mean(loaded, tokenise(few, loaded.tokenizer, context=recipe.context).rows)
    exact = None
    if few.kind != "text":
        right = [_answer_of(row) for row in few.rows]
        said = _answers(loaded, [_prompt_of(row) for row in few.rows], _longest(right, loaded.tokenizer))
        exact = sum(a.strip() == b.strip() for a, b in zip(said, right, strict=True)) / len(right)
    if general is None:
        return Scores(loss, exact, None)
    text = Examples("text", ({"text": _checks.text(general, "general")},), (1,), "general")
    return Scores(loss, exact, _mean(loaded, tokenise(text, loaded.tokenizer, context=recipe.context).rows))


def _spread(examples: Examples, most: int) -> Examples:
    """So many of them, from all over the file, whose order may be that of the answers."""
    count = min(most, len(examples))
    places = [i * len(examples) // count for i in range(count)]
    rows, lines = tuple(examples.rows[i] for i in places), tuple(examples.lines[i] for i in places)
    return Examples(examples.kind, rows, lines, examples.source)


def _prompt_of(row: dict[str, Any]) -> Any:
    return json.loads(prompt_of(row)) if "messages" in row else row["prompt"]


def _answer_of(row: dict[str, Any]) -> str:
    if "messages" not in row:
        return str(row["answer"])
    return next(str(turn["content"]) for turn in row["messages"] if turn["role"] == "assistant")


def _longest(answers: Sequence[str], tokenizer: Any) -> int:
    """Tokens that suffice for each, and for the one that ends it."""
    return max(len(tokenizer(answer, add_special_tokens=False).input_ids) for answer in answers) + 4


def _mean(loaded: Loaded, rows: Sequence[Row]) -> float:
    with _one_sentence(loaded.recipe):
        total, count = _sums(loaded, rows)
    return total / max(count, 1)


def _sums(loaded: Loaded, rows: Sequence[Row]) -> tuple[float, int]:
    """The summed loss of the tokens that are learned, and their number; a row at a time, so that nothing is padded."""
    torch, model = library("torch"), loaded.model
    total, count = 0.0, 0
    with torch.inference_mode(), _products(loaded):
        for row in rows:
            ids = torch.tensor([row.ids], device=model.device)
            wanted = torch.tensor(row.labels[1:], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits, wanted, ignore_index=SILENT, reduction="sum"))
            count += int((wanted != SILENT).sum())
    return total, count


def _products(loaded: Loaded) -> Any:
    """Products in the precision of the forecast, as in training."""
    torch, precision = library("torch"), loaded.forecast.precision
    if precision == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(loaded.model.device.type, dtype)


def answer(loaded: Loaded, prompts: Sequence[Any], *, length: int = 64) -> list[str]:
    """Let a model answer, greedily: the most probable token each time, up to the one that ends an answer.

    Parameters
    ----------
    loaded : Loaded
    prompts : sequence of str, or of lists of messages
        With a chat template a text is the user's first turn.
    length : int, default 64
        The most tokens of an answer.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError, ValueError
        There is no prompt, or one is neither a text nor a list of messages.
    """
    read_loaded(loaded)
    length = _checks.integer(length, 1, None, "length")
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        raise _checks.mistyped(f"prompts must be a list of texts; got {prompts!r:.60}. Pass [prompt].")
    for prompt in prompts:
        if not (isinstance(prompt, str) and prompt) and not (isinstance(prompt, list) and prompt):
            raise _checks.mistyped(f"a prompt must be a text or a list of messages; got {prompt!r:.60}. Pass a text.")
    return _answers(loaded, prompts, length)


def _answers(loaded: Loaded, prompts: Sequence[Any], length: int, at_once: int = 16) -> list[str]:
    torch, (model, tokenizer) = library("torch"), (loaded.model, loaded.tokenizer)
    said: list[str] = []
    asked = [prompt_ids(prompt, tokenizer) for prompt in prompts]
    with torch.inference_mode(), _products(loaded), _one_sentence(loaded.recipe), _quiet():
        for at in range(0, len(asked), at_once):
            batch = tokenizer.pad({"input_ids": asked[at : at + at_once]}, return_tensors="pt").to(model.device)
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=length,
                do_sample=False,
                eos_token_id=sorted(_ends(loaded)),
                pad_token_id=tokenizer.pad_token_id,
            )
            said += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in said]


def _ends(loaded: Loaded) -> set[int]:
    """The tokens that end an answer: the tokenizer's, the model's, and the one that the chat template writes there."""
    tokenizer = loaded.tokenizer
    ends = {tokenizer.eos_token_id}
    there = getattr(loaded.model.generation_config, "eos_token_id", None)
    ends |= set(there if isinstance(there, list) else [] if there is None else [there])
    if tokenizer.chat_template:
        probe = Examples("answers", ({"prompt": "a", "answer": "b"},), (1,), "probe")
        last = tokenise(probe, tokenizer, context=10_000).rows[0].labels
        final = [label for label in last if label != SILENT][-1]
        ends |= {final} & set(tokenizer.all_special_ids)
    return ends


# ----------------------------------------------------------------------------------------------------------- exporting


def export_model(loaded: Loaded, folder: str | os.PathLike[str]) -> Path:
    """Merge the trained adapter into the model's own weights and save both as one plain model with its tokenizer.

    The weights are read again in the recipe's precision: those in four bits, as trained on, cannot take an adapter
    without being rounded again. The merge runs on the CPU and needs its memory for the whole model.

    Parameters
    ----------
    loaded : Loaded
        Its adapter must have been trained, by `train_adapter`.
    folder : path
        Where to; ``AutoModelForCausalLM.from_pretrained(folder)`` reads it, and so does whatever serves models.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    TypeError, ValueError
        If there is no adapter in the recipe's folder, or one of another model; if this machine's memory is too small.
    """
    recipe, found = read_loaded(loaded).recipe, loaded.forecast
    place, saved = _checks.folder(folder), Path(recipe.folder) / ADAPTER
    if not saved.is_dir():
        raise _checks.invalid(f"the adapter must be trained; {str(saved.name)!r} is not there. Call train_adapter.")
    needed, there = WIDTHS[found.precision] * found.parameters, _memory()
    if needed > 0.8 * there:
        raise _checks.invalid(
            f"the machine must have the memory for the whole model, {needed / 1e9:.1f} GB; it has {there / 1e9:.1f}. "
            "Keep the adapter, and merge it where there is more."
        )
    with _quiet():
        model = attached(recipe, frozen(recipe, found, whole=True), saved)
        model = _lora().merge_lora(model, unload=True) if recipe.adapter == "book" else model.merge_and_unload()
        model.save_pretrained(place)
        loaded.tokenizer.save_pretrained(place)
    return place


def attached(recipe: Recipe, model: Any, folder: Path) -> Any:
    """A model with the adapter that a folder holds, or one sentence if that is another model's."""
    if recipe.adapter == "book":
        return _lora().load_lora(model, folder)
    there = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    if there.get("base_model_name_or_path") != recipe.model:
        raise _checks.invalid(
            f"the adapter must be one of {recipe.model!r}; it was trained on {there.get('base_model_name_or_path')!r}. "
            "Load it on that model."
        )
    try:
        return library("peft").PeftModel.from_pretrained(model, folder).eval()
    except (RuntimeError, ValueError) as error:
        raise _checks.invalid(
            f"the adapter must fit the layers of {recipe.model!r}; it does not: {str(error).splitlines()[-1]:.80}… "
            "Load it on the model that it was trained on."
        ) from None


def load_trained(recipe: Recipe, examples: Examples) -> Loaded:
    """Load a model as `load_model` does, with the adapter that the recipe's folder holds.

    Parameters
    ----------
    recipe : Recipe
        That of the run.
    examples : Examples
        As for `load_model`.

    Returns
    -------
    Loaded

    Raises
    ------
    TypeError, ValueError
        As of `load_model`; if the folder holds no adapter, or one of another model.
    """
    read_recipe(recipe), read(examples)
    saved = Path(recipe.folder) / ADAPTER
    if not (saved / "adapter_config.json").is_file():
        raise _checks.invalid(f"folder must hold a trained adapter; {Path(recipe.folder).name!r} has none. Train it.")
    config, tokenizer = read_hub(recipe.model)
    found = outlook(recipe, examples, config, tokenizer)
    with _quiet():
        return Loaded(recipe, found, attached(recipe, frozen(recipe, found), saved), tokenizer)


def _memory() -> int:
    return find_device().memory if find_device().kind == "cpu" else _pages()


def _pages() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**63
