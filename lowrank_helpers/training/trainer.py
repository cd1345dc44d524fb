"""Train a GPT from scratch, fine-tune it, measure it, let it write."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.lora import Init, Scaling
from lowrank_helpers.training.corpus import tokens_of
from lowrank_helpers.training.loop import Habits, Plan, in_mode, mean_loss, run
from lowrank_helpers.training.methods import ALL_LINEAR, Method, prepare, undone_on_error
from lowrank_helpers.training.model import GPT, check_model
from lowrank_helpers.training.records import TrainingResult
from lowrank_helpers.training.schedule import Precision, dtype_on, process_count


def pretrain(
    model: GPT,
    corpus: bytes | Tensor,
    *,
    steps: int,
    batch_size: int = 32,
    context: int | None = None,
    learning_rate: float = 1e-3,
    warmup: int | None = None,
    final_learning_rate: float = 0.1,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    clip: float = 1.0,
    accumulate: int = 1,
    precision: Precision = "auto",
    compile: bool = False,
    seed: int = 0,
    validation: bytes | Tensor | None = None,
    evaluate_every: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
    log_every: int = 1,
    progress: bool | None = None,
) -> TrainingResult:
    """Train all parameters of a model to guess the next token of a corpus. The model is changed in place.

    A run with a ``folder`` can be killed at any moment: the same call, with a model made in the same way, goes on from
    the last checkpoint, and on a CPU ends in the same weights to the bit. Under ``torchrun`` each process takes an
    equal part of every batch, and gradients are averaged; the weights differ from one process's by rounding alone.

    Parameters
    ----------
    model : GPT
        On the device to train on, in the dtype to keep weights in (float32 as a rule).
    corpus : bytes or Tensor of integers, shape (N,)
        Tokens. Each epoch cuts them into windows at a new offset and shuffles these.
    steps : int
        Steps of AdamW in the whole run, those before it was resumed included.
    batch_size, accumulate : int
        Sequences in a forward pass, over all processes together, and passes in a step.
    context : int, optional
        Tokens of a sequence; by default ``model.config.context``.
    learning_rate, warmup, final_learning_rate : float, int, float
        The peak; the number of steps up to it (by default a twentieth of ``steps``); and where the cosine ends, as a
        fraction of the peak.
    weight_decay, betas, clip : float, (float, float), float
        Of AdamW, for matrices alone; and the greatest norm that a step's gradient may have.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of the products; "auto" is float32 on a CPU, on a GPU bfloat16 if it has it, else float16 with loss scaling.
    compile : bool
        Whether to run the model through ``torch.compile``.
    seed : int
        Of the order of the data, and of dropout. torch's global generators are left alone.
    validation : bytes or Tensor of integers, optional
        A second corpus, whose loss is measured every ``evaluate_every`` steps and at the end.
    evaluate_every, save_every, log_every : int, optional
        Steps from one measurement, checkpoint, record to the next; the last step always has each.
    folder : path, optional
        Where checkpoints and ``log.jsonl`` go, a JSON object a line. Without it nothing is saved.
    progress : bool, optional
        Whether to draw a progress bar; by default on a terminal only.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, the corpus is too short for one batch, or the folder holds another run.
    FloatingPointError
        The loss or its gradient is no longer finite. Weights and checkpoints are those of the step before.
    MemoryError, OSError
        Memory or disk is full: the message says what to change. Checkpoints stay whole.

    References
    ----------
    Radford et al. 2019, "Language models are unsupervised multitask learners"; Brown et al. 2020, arXiv:2005.14165,
    appendix B, for the schedule, the betas, the clipping and the weight decay.

    Examples
    --------
    >>> from lowrank_helpers.training import GPT, GPTConfig, pretrain
    >>> model = GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64))
    >>> result = pretrain(model, b"to be or not to be, " * 50, steps=40, batch_size=8, learning_rate=1e-2)
    >>> result.log[0]["loss"] > 5.4, result.loss < 1.5
    (True, True)
    """
    tokens, plan, habits = _read(
        "pretrain", model, corpus, steps=steps, batch_size=batch_size, context=context, learning_rate=learning_rate,
        warmup=warmup, final_learning_rate=final_learning_rate, weight_decay=weight_decay, betas=betas, clip=clip,
        accumulate=accumulate, precision=precision, compile=compile, seed=seed, validation=validation,
        evaluate_every=evaluate_every, folder=folder, save_every=save_every, log_every=log_every, progress=progress,
    )  # fmt: skip
    with undone_on_error(model):
        model.requires_grad_(True)
        return run("pretrain", model, tokens, plan, habits, {"method": "pretrain"})


def finetune(
    model: GPT,
    corpus: bytes | Tensor,
    *,
    method: Method,
    steps: int,
    learning_rate: float,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ALL_LINEAR,
    dropout: float = 0.0,
    scaling: Scaling = "alpha/rank",
    init: Init = "kaiming",
    dora: bool = False,
    bottleneck: int = 16,
    prompt_tokens: int = 16,
    batch_size: int = 32,
    context: int | None = None,
    warmup: int | None = None,
    final_learning_rate: float = 0.1,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.95),
    clip: float = 1.0,
    accumulate: int = 1,
    precision: Precision = "auto",
    compile: bool = False,
    seed: int = 0,
    validation: bytes | Tensor | None = None,
    evaluate_every: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
    log_every: int = 1,
    progress: bool | None = None,
) -> TrainingResult:
    """Adapt a trained model to a corpus by one of six methods. The model is changed in place.

    Parameters
    ----------
    model : GPT
        Trained; see `load_base_model`.
    corpus : bytes or Tensor of integers, shape (N,)
        What to adapt to.
    method : {"full", "last block", "adapters", "prompt", "lora", "trainable"}
        What is trained: everything; the last block, the norm behind it and the head; bottleneck adapters behind
        attention and feed-forward layer of each block (Houlsby et al. 2019); vectors put before each sequence (Lester
        et al. 2021); LoRA (Hu et al. 2021); or what requires a gradient as the model comes.
    steps, learning_rate : int, float
        As in `pretrain`; the rate has no default, because the best one differs tenfold between methods.
    rank, alpha, targets, dropout, scaling, init, dora
        Of "lora", as in `lora.add_lora`; by default on all seven linear layers of a block.
    bottleneck : int
        Of "adapters": their inner width.
    prompt_tokens : int
        Of "prompt": the number of vectors. They start as embeddings of tokens drawn at random.
    batch_size, context, warmup, final_learning_rate, weight_decay, betas, clip, accumulate, precision, compile, seed, \
validation, evaluate_every, folder, save_every, log_every, progress
        As in `pretrain`; ``seed`` also draws what is put into the model.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError, TypeError, FloatingPointError, MemoryError, OSError
        As in `pretrain`, or the method does not fit the model. What the method put into the model is then taken out.

    Examples
    --------
    >>> from lowrank_helpers.training import GPT, GPTConfig, finetune
    >>> model = GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64))
    >>> result = finetune(
    ...     model, b"to be or not to be, " * 50, method="lora", rank=4, steps=2, learning_rate=1e-2, batch_size=8
    ... )
    >>> result.trainable  # 4 (32 + 32) for each of four, 4 (32 + 64) for each of three
    2176
    """
    tokens, plan, habits = _read(
        "finetune", model, corpus, steps=steps, batch_size=batch_size, context=context, learning_rate=learning_rate,
        warmup=warmup, final_learning_rate=final_learning_rate, weight_decay=weight_decay, betas=betas, clip=clip,
        accumulate=accumulate, precision=precision, compile=compile, seed=seed, validation=validation,
        evaluate_every=evaluate_every, folder=folder, save_every=save_every, log_every=log_every, progress=progress,
    )  # fmt: skip
    with undone_on_error(model, weights=method == "lora" and init in ("pissa", "olora")):
        prepare(
            model, method, rank=rank, alpha=alpha, targets=targets, dropout=dropout, scaling=scaling, init=init,
            dora=dora, bottleneck=bottleneck, prompt_tokens=prompt_tokens, seed=seed,
        )  # fmt: skip
        about = {
            "method": method, "alpha": float(alpha), "scaling": scaling, "dropout": float(dropout), "init": init,
            "dora": bool(dora),
        }  # fmt: skip
        return run("finetune", model, tokens, plan, habits, about)


def evaluate(
    model: GPT,
    corpus: bytes | Tensor,
    *,
    batch_size: int = 32,
    context: int | None = None,
    precision: Precision = "auto",
) -> float:
    """Return the mean loss of a model on a corpus, in nats per token.

    The corpus is cut into windows one after another, each as long as the context; inside a window a token is guessed
    from those before it. What does not fill the last window is left out.

    Parameters
    ----------
    model : GPT
    corpus : bytes or Tensor of integers, shape (N,)
    batch_size : int
        Windows at a time.
    context : int, optional
        Tokens of a window; by default ``model.config.context``.
    precision : {"auto", "float32", "bfloat16", "float16"}
        As in `pretrain`.

    Returns
    -------
    float
        Divide by log 2 for bits.

    Raises
    ------
    ValueError, TypeError
        The corpus is shorter than a window, or no corpus of this model's.

    Examples
    --------
    >>> import math
    >>> from lowrank_helpers.training import GPT, GPTConfig, evaluate
    >>> model = GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64))
    >>> abs(evaluate(model, b"to be or not to be, " * 10) - math.log(256)) < 0.1  # nothing has been learned
    True
    """
    window, tokens = _corpus("evaluate", model, corpus, context)
    _checks.integer(batch_size, 1, None, "evaluate", "batch_size")
    device = model.embed.weight.device
    dtype = dtype_on(device, _precision("evaluate", precision))
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        return mean_loss(model, tokens, window, batch_size)


@torch.no_grad()
def generate(model: GPT, prompt: bytes, length: int, *, temperature: float = 1.0, rng: int | None = None) -> bytes:
    """Return bytes that the model writes after a prompt.

    Parameters
    ----------
    model : GPT
        With a vocabulary of 256, for bytes.
    prompt : bytes
        At least one.
    length : int
        Bytes to write.
    temperature : float
        What logits are divided by before a byte is drawn; 0 takes the likeliest.
    rng : int, optional
        A seed; None draws differently each time.

    Returns
    -------
    bytes
        Without the prompt.

    Raises
    ------
    ValueError, TypeError
        The prompt is empty, or a number out of range.

    Examples
    --------
    >>> from lowrank_helpers.training import GPT, GPTConfig, generate
    >>> len(generate(GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64)), b"def ", 20, rng=0))
    20
    """
    check_model(model, "generate")
    if model.config.vocabulary != 256:
        raise ValueError(
            f"generate: model must have a vocabulary of 256, for bytes; got {model.config.vocabulary}. "
            "Draw tokens from its logits instead."
        )
    if not isinstance(prompt, bytes):
        raise TypeError(f"generate: prompt must be bytes; got {type(prompt).__name__}. Encode text with text.encode().")
    if not prompt:
        raise ValueError("generate: prompt must hold at least one byte; got none. Pass b'def ', for example.")
    _checks.integer(length, 1, None, "generate", "length")
    _checks.number(temperature, "generate", "temperature", least=0.0)
    device = model.embed.weight.device
    generator = torch.Generator(device)
    generator.seed() if rng is None else generator.manual_seed(_seed("generate", "rng", rng))
    tokens = torch.tensor([list(prompt)], device=device)
    with in_mode(model, training=False):
        for _ in range(length):
            logits = model(tokens[:, -model.config.context :])[0, -1].double()
            if temperature == 0:
                drawn = logits.argmax()[None]
            else:
                p = ((logits - logits.max()) / temperature).softmax(0)  # at most 0, so that nothing overflows
                drawn = torch.multinomial(p, 1, generator=generator)
            tokens = torch.cat([tokens, drawn[None]], dim=1)
    return bytes(tokens[0, len(prompt) :].tolist())


def _corpus(
    function: str, model: GPT, corpus: object, context: int | None, name: str = "corpus", windows: int = 1
) -> tuple[int, Tensor]:
    """Read a corpus that must hold some windows, and the length of a window."""
    check_model(model, function)
    most = model.config.context
    window = most if context is None else _checks.integer(context, 1, most, function, "context", limit="config.context")
    tokens = tokens_of(corpus, model.config.vocabulary, function, name)
    if len(tokens) <= windows * window:
        raise ValueError(
            f"{function}: {name} must hold more than {windows} × {window} tokens, one batch; got {len(tokens)}. "
            "Lower batch_size or context."
        )
    return window, tokens


def _precision(function: str, precision: object) -> Precision:
    return cast(Precision, _checks.choice(precision, get_args(Precision), function, "precision"))


def _seed(function: str, name: str, seed: object) -> int:
    return _checks.integer(seed, 0, 2**63 - 1, function, name, limit="2⁶³ − 1")


def _beta(function: str, beta: object) -> float:
    return _checks.number(beta, function, "betas", least=0.0, below=1.0)


def _every(function: str, name: str, every: object) -> int | None:
    return None if every is None else _checks.integer(every, 1, None, function, name)


def _read(function: str, model: GPT, corpus: object, **given: Any) -> tuple[Tensor, Plan, Habits]:
    """Check what `pretrain` and `finetune` share."""
    steps = _checks.integer(given["steps"], 1, None, function, "steps")
    batch_size = _checks.integer(given["batch_size"], 1, None, function, "batch_size")
    context, tokens = _corpus(function, model, corpus, given["context"], windows=batch_size)
    warmup = math.ceil(steps / 20) if given["warmup"] is None else given["warmup"]
    betas = given["betas"]
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise TypeError(f"{function}: betas must be two numbers; got {betas!r}. Pass (0.9, 0.95).")
    processes = process_count()
    if batch_size % processes:
        raise ValueError(
            f"{function}: batch_size must be a multiple of the number of processes, {processes}; got {batch_size}. "
            f"Take {math.ceil(batch_size / processes) * processes}."
        )
    plan = Plan(
        steps=steps,
        batch_size=batch_size,
        context=context,
        learning_rate=_checks.number(given["learning_rate"], function, "learning_rate", above=0.0),
        warmup=_checks.integer(warmup, 0, steps, function, "warmup", limit="steps"),
        final_learning_rate=_checks.number(given["final_learning_rate"], function, "final_learning_rate", least=0.0),
        weight_decay=_checks.number(given["weight_decay"], function, "weight_decay", least=0.0),
        betas=(_beta(function, betas[0]), _beta(function, betas[1])),
        clip=_checks.number(given["clip"], function, "clip", above=0.0),
        accumulate=_checks.integer(given["accumulate"], 1, None, function, "accumulate"),
        precision=_precision(function, given["precision"]),
        seed=_seed(function, "seed", given["seed"]),
    )
    validation, folder = given["validation"], given["folder"]
    if folder is not None and (not isinstance(folder, str | os.PathLike) or not os.fspath(folder)):
        raise TypeError(f"{function}: folder must be a path; got {folder!r}. Pass a str such as 'runs/first'.")
    habits = Habits(
        validation=None if validation is None else _corpus(function, model, validation, context, "validation")[1],
        evaluate_every=_every(function, "evaluate_every", given["evaluate_every"]),
        folder=None if folder is None else Path(folder),
        save_every=_every(function, "save_every", given["save_every"]),
        log_every=_checks.integer(given["log_every"], 1, None, function, "log_every"),
        compile=_checks.flag(given["compile"], function, "compile"),
        progress=None if given["progress"] is None else _checks.flag(given["progress"], function, "progress"),
    )
    if habits.save_every is not None and habits.folder is None:
        raise ValueError(f"{function}: save_every needs a folder; got none. Pass folder='run'.")
    if habits.evaluate_every is not None and habits.validation is None:
        raise ValueError(f"{function}: evaluate_every needs a validation corpus; got none. Pass validation=….")
    return tokens, plan, habits
