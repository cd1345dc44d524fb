"""What is to be done with a model, and whether it can be: read before the weights are, which takes seconds."""

import os
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lowrank_helpers import _checks, costs
from lowrank_helpers.finetuning._libraries import library
from lowrank_helpers.finetuning.examples import Examples, read
from lowrank_helpers.finetuning.tokens import Tokens, check_tokenizer, tokenise

Kind = Literal["peft", "book"]
Precision = Literal["bf16", "fp16", "fp32"]
WIDTHS = {"bf16": 2, "fp16": 2, "fp32": 4}  # bytes of a number
NF4 = 0.5 + (1 + 4 / 256) / 64  # bytes of a weight: 4 bits, and a byte for 64 weights with a float32 for 256 of these
USED = 0.9  # of a card's memory; the rest is the driver's, and lost between blocks
TILE = (4096, 32_768)  # learned tokens, and words of the vocabulary, whose logits TRL 1.16 has in memory at a time
NOT_TEXT = ("vision", "visual", "audio", "image", "multi_modal", "multimodal")  # in the names of towers for other input


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a decoder is to be fine-tuned.

    Parameters
    ----------
    model : str
        A name on Hugging Face's hub, or a folder.
    folder : path
        Where checkpoints and the adapter go; the same recipe goes on from what it holds. In Colab, one on the Drive.
    adapter : {'peft', 'book'}
        Whose LoRA: PEFT's, or `lowrank_helpers.lora`'s, which takes no weights in four bits.
    rank, alpha : int, float
        r and α of LoRA on all linear layers but the head; s = α/r.
    learning_rate : float, default 2e-4
        That of QLoRA's experiments up to 13 billion parameters.
    epochs : float, default 3.0
        How often the examples are read.
    batch_size : int, default 8
        Rows for a step of the optimiser.
    at_once : int, default 1
        Rows in memory at a time; it divides batch_size.
    context : int, default 512
        Tokens of a row.
    packing : bool, default True
        Put several examples into a row; none sees another.
    precision : {None, 'bf16', 'fp16', 'fp32'}
        Of the frozen weights and products; None lets the device decide.
    bits : {None, 4, 16, 32}
        Of a frozen weight, 4 being NF4; None takes four if the card is too small for more.
    recompute : bool, default True
        Compute activations again in the backward pass instead of keeping them (gradient checkpointing).
    save_every : int, default 25
        Steps between checkpoints.
    seed : int, default 0
        Of the adapter's start and the order of the rows.

    Raises
    ------
    TypeError, ValueError
        An argument is out of bounds, or two do not go together.

    References
    ----------
    T. Dettmers et al., QLoRA: Efficient finetuning of quantized LLMs, NeurIPS 2023, arXiv:2305.14314.

    Examples
    --------
    >>> from lowrank_helpers.finetuning import Recipe
    >>> Recipe(model="gpt2", folder="runs/first").rank
    16
    >>> Recipe(model="gpt2", folder="runs/first", adapter="book", bits=4)
    Traceback (most recent call last):
        ...
    ValueError: Recipe: bits must not be 4 for adapter='book', whose layers read the weights themselves; got both. \
Take adapter='peft', or bits=16.
    """

    model: str
    folder: str | os.PathLike[str]
    adapter: Kind = "peft"
    rank: int = 16
    alpha: float = 32.0
    learning_rate: float = 2e-4
    epochs: float = 3.0
    batch_size: int = 8
    at_once: int = 1
    context: int = 512
    packing: bool = True
    precision: Precision | None = None
    bits: Literal[4, 16, 32] | None = None
    recompute: bool = True
    save_every: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        _checks.text(self.model, "model")
        _checks.folder(self.folder)
        _checks.choice(self.adapter, get_args(Kind), "adapter")
        for name in ("rank", "batch_size", "at_once", "save_every"):
            _checks.integer(getattr(self, name), 1, None, name)
        _checks.integer(self.context, 2, None, "context")
        for name in ("alpha", "learning_rate", "epochs"):
            _checks.number(getattr(self, name), name, above=0.0)
        for name in ("packing", "recompute"):
            _checks.flag(getattr(self, name), name)
        _checks.seed(self.seed)
        if self.precision is not None:
            _checks.choice(self.precision, get_args(Precision), "precision")
        if self.bits not in (None, 4, 16, 32) or isinstance(self.bits, bool):
            raise _checks.invalid(f"bits must be None, 4, 16 or 32; got {self.bits!r}. Leave it out.")
        if self.batch_size % self.at_once:
            raise _checks.invalid(
                f"at_once must divide batch_size = {self.batch_size}; got {self.at_once}. Take 1 or {self.batch_size}."
            )
        if self.adapter == "book" and self.bits == 4:
            raise _checks.invalid(
                "bits must not be 4 for adapter='book', whose layers read the weights themselves; got both. "
                "Take adapter='peft', or bits=16."
            )
        if self.bits and self.precision and self.bits != 4 and self.bits != 8 * WIDTHS[self.precision]:
            raise _checks.invalid(
                f"bits must be 4 or {8 * WIDTHS[self.precision]} for precision {self.precision!r}; got {self.bits}. "
                "Leave out one of them."
            )


@dataclass(frozen=True)
class Device:
    """Where training runs: kind is 'cuda' or 'cpu', memory in bytes, precision what its products are fast in."""

    kind: str
    name: str
    memory: int
    precision: Precision


def find_device() -> Device:
    """Return the device that this machine has for training: its GPU, else the CPU.

    Returns
    -------
    Device
        Of a GPU from compute capability 8 on (A100, L4, H100, …) the precision is 'bf16'; older ones such as the T4
        have no bfloat16 in their tensor cores and get 'fp16'. Of a CPU it is 'fp32', and memory that of the machine.

    Examples
    --------
    >>> from lowrank_helpers.finetuning import find_device
    >>> find_device().kind in ("cuda", "cpu")
    True
    """
    torch = library("torch")
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        return Device("cuda", about.name, about.total_memory, "bf16" if about.major >= 8 else "fp16")
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Device("cpu", "CPU", pages, "fp32")


@dataclass(frozen=True)
class Forecast:
    """What a recipe will take, before anything is loaded; print it.

    Attributes
    ----------
    device : Device
    precision : {'bf16', 'fp16', 'fp32'}
    bits : int
        Of a frozen weight in a linear layer.
    parameters, trained : int
        Of the model, and of the adapter.
    tokens : Tokens
        The examples in tokens.
    steps : int
        Steps of the optimiser, if rows were filled to the last token; a few more otherwise.
    weights, state, activations, logits : float
        Bytes: frozen weights; adapter with gradients and moments; activations, an estimate; logits, those of one row
        that `measure` holds or those of a tile of TRL's loss, the larger.
    """

    device: Device
    precision: Precision
    bits: int
    parameters: int
    trained: int
    tokens: Tokens
    steps: int
    weights: float
    state: float
    activations: float
    logits: float

    @property
    def bytes(self) -> float:
        """The sum."""
        return self.weights + self.state + self.activations + self.logits

    @property
    def fits(self) -> bool:
        """Whether that is at most nine tenths of the device's memory."""
        return self.bytes <= USED * self.device.memory

    def __str__(self) -> str:
        sizes = (self.bytes, self.weights, self.state, self.activations, self.logits)
        whole, weights, state, activations, logits = (_size(size) for size in sizes)
        answer = "fits" if self.fits else "does not fit"
        kind = "NF4" if self.bits == 4 else f"{self.bits} bits"
        return "\n".join(
            (
                f"{_count(self.parameters)} parameters in {kind}, products in {self.precision}; {_count(self.trained)} "
                "are trained",
                f"{len(self.tokens.rows)} rows, {self.tokens.read} tokens, {self.tokens.learned} of them learned, "
                f"about {self.steps} steps",
                f"about {whole}: {weights} of weights, {state} of adapter and its moments, {activations} of "
                f"activations, {logits} of logits",
                f"{answer} on {self.device.name}",
            )
        )


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _count(n: int) -> str:
    return f"{n / 1e9:.2f} B" if n >= 1e9 else f"{n / 1e6:.1f} M" if n >= 1e6 else f"{n:,}".replace(",", " ")


def forecast(recipe: Recipe, examples: Examples) -> Forecast:
    """Say what a recipe will take on this machine, or in one sentence what stands against it.

    Only the model's configuration and tokenizer are fetched, some megabytes. Parameters are those of the model with
    no numbers in it; bytes are summed as in `costs.state_memory` and `costs.logits_memory`; that of the activations is
    the estimate of `costs.training_memory`.

    Parameters
    ----------
    recipe : Recipe
    examples : Examples
        What will be learned.

    Returns
    -------
    Forecast
        Its `fits` says whether to go on; `load_model` refuses if it is False.

    Raises
    ------
    TypeError, ValueError
        The model is not there, or not open to you, or no decoder; it has no chat template and the examples need one;
        an example is longer than the context, or that than the model's; the adapter's layers are of a kind that the
        book's cannot carry; the rank is above the narrowest layer's width.
    ModuleNotFoundError
        The extra finetune is not installed; the message says how.
    """
    read_recipe(recipe)
    return outlook(recipe, read(examples), *read_hub(recipe.model))


def read_recipe(recipe: object) -> Recipe:
    """Refuse what is no recipe."""
    if not isinstance(recipe, Recipe):
        raise _checks.mistyped(f"recipe must be a Recipe; got {type(recipe).__name__}. Pass Recipe(model=…, folder=…).")
    return recipe


def read_hub(model: str) -> tuple[Any, Any]:
    """A model's configuration and its tokenizer, or one sentence that says why there are none."""
    hf = library("transformers")
    try:
        config = hf.AutoConfig.from_pretrained(model)
        tokenizer = hf.AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError, KeyError) as error:
        raise _checks.invalid(_reason(model, error)) from None
    if type(config) not in hf.MODEL_FOR_CAUSAL_LM_MAPPING or type(config) in hf.MODEL_FOR_MASKED_LM_MAPPING:
        raise _checks.invalid(
            f"model must be a decoder, which writes text; {model!r} is of the kind {config.model_type!r}. "
            "Take one of Llama, Qwen, Gemma, Mistral, GPT-2 or another that transformers loads for causal language "
            "modelling."
        )
    if tokenizer.pad_token_id is None:  # rows carry their own labels, so what pads them is never learned
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return config, tokenizer


def _reason(model: str, error: BaseException) -> str:
    """Why a model cannot be had, in one sentence, and what to do."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    kinds, said = {type(cause).__name__ for cause in causes}, str(error).lower()
    if "GatedRepoError" in kinds or "gated repo" in said:
        return (
            f"model {model!r} must be open to you; it is gated. Accept its licence on its page, log in with "
            "huggingface_hub.login(), or take an open model."
        )
    if "RepositoryNotFoundError" in kinds or "is not a local folder" in said or "valid model identifier" in said:
        return f"model must be a name on the hub or a folder; {model!r} is none. Look at the spelling, or log in."
    if os.path.isdir(model):
        return f"the folder {model!r} must hold a model; it does not: {str(error).splitlines()[0]:.120} Look into it."
    return f"model {model!r} could not be read: {str(error).splitlines()[0]:.160} Look at the connection and try again."


def outlook(recipe: Recipe, examples: Examples, config: Any, tokenizer: Any) -> Forecast:
    """What `forecast` says, with what it has read."""
    text = config.get_text_config()
    most = getattr(text, "max_position_embeddings", None)
    if most is not None and recipe.context > most:
        raise _checks.invalid(
            f"context must be at most {most}, the length of {recipe.model!r}; got {recipe.context}. Take less."
        )
    check_tokenizer(tokenizer, examples.kind)
    tokens = tokenise(examples, tokenizer, context=recipe.context)
    device = find_device()
    shapes = _shapes(recipe, config)
    precision: Precision = recipe.precision or _of_bits(recipe.bits) or device.precision
    rows = tokens.read / recipe.context if recipe.packing else len(tokens.rows)
    T, L, d = recipe.at_once * recipe.context, text.num_hidden_layers, text.hidden_size
    block, inputs = costs.KEPT * WIDTHS[precision] * T * d, WIDTHS[precision] * L * T * d

    def on(bits: int) -> Forecast:
        width = WIDTHS[precision]
        return Forecast(
            device,
            precision,
            bits,
            shapes.linear + shapes.rest,
            shapes.trained,
            tokens,
            max(1, round(recipe.epochs * rows / recipe.batch_size)),
            (NF4 if bits == 4 else width) * shapes.linear + width * shapes.rest,
            costs.state_memory(shapes.trained),
            float(block + inputs if recipe.recompute else L * block),
            max(
                costs.logits_memory(recipe.context, text.vocab_size, bits=8 * width),
                float(width * min(T, TILE[0]) * min(text.vocab_size, TILE[1])),
            ),
        )

    if recipe.bits is not None:
        return on(recipe.bits)
    whole = on(8 * WIDTHS[precision])
    four = device.kind == "cuda" and recipe.adapter == "peft" and not whole.fits
    return on(4) if four else whole


def _of_bits(bits: int | None) -> Precision | None:
    return "fp32" if bits == 32 else None


@dataclass(frozen=True)
class _Shapes:
    """Numbers in the linear layers that get an adapter, in all others, and in the adapter."""

    linear: int
    rest: int
    trained: int


def _shapes(recipe: Recipe, config: Any) -> _Shapes:
    """Count in the model with no numbers in it."""
    torch, hf = library("torch"), library("transformers")
    with torch.device("meta"):
        model = hf.AutoModelForCausalLM.from_config(config)
    layers = linear_layers(model)
    if recipe.adapter == "book" and any(not isinstance(layer, torch.nn.Linear) for layer in layers.values()):
        raise _checks.invalid(
            f"the linear layers must be torch.nn.Linear for adapter='book'; {recipe.model!r} has others. "
            "Take adapter='peft'."
        )
    sides = [min(layer.weight.shape) for layer in layers.values()]
    if not sides or recipe.rank > min(sides):
        raise _checks.invalid(
            f"rank must be at most {min(sides, default=0)}, the narrowest linear layer's; got {recipe.rank}. "
            "Take a smaller one."
        )
    linear = sum(layer.weight.numel() for layer in layers.values())
    trained = sum(recipe.rank * sum(layer.weight.shape) for layer in layers.values())
    return _Shapes(linear, sum(p.numel() for p in model.parameters()) - linear, trained)


def linear_layers(model: Any) -> dict[str, Any]:
    """The linear layers of a model but its head, by name: those that PEFT calls 'all-linear', if all of it reads text.

    A tower for images or sound, which no text passes through, is left out.
    """
    torch, hf = library("torch"), library("transformers")
    kinds = (torch.nn.Linear, hf.pytorch_utils.Conv1D)
    head = model.get_output_embeddings()
    found = {name: m for name, m in model.named_modules() if isinstance(m, kinds) and m is not head}
    return {name: m for name, m in found.items() if not any(part in name for part in NOT_TEXT)}
