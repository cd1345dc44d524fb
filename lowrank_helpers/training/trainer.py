"""Train a GPT from scratch, fine-tune it, measure it, let it write."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.lora import Init, Scaling
from lowrank_helpers.lora.start import settings
from lowrank_helpers.training.arguments import read_corpus, read_plan, read_precision, read_seed
from lowrank_helpers.training.loop import in_mode, mean_loss, run
from lowrank_helpers.training.methods import ALL_LINEAR, Method, put_in, undone_on_error
from lowrank_helpers.training.model import GPT, check_model
from lowrank_helpers.training.records import TrainingResult
from lowrank_helpers.training.schedule import Precision, dtype_on


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
    On GPUs each process puts its model on its own, ``model.to(f"cuda:{os.environ['LOCAL_RANK']}")``, and NCCL averages.

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
        Whether to run the model through ``torch.compile``. Its dropout then draws from torch's global generators, which
        are put back in the end: no two such runs in threads.
    seed : int
        Of the order of the data, and of LoRA's dropout. torch's global generators are left alone, so runs in several
        threads are those that they would be one after the other.
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

    Warns
    -----
    RuntimeWarning
        If Ctrl-C ended the run: after the step that it met, with a record, a measurement and a checkpoint of that
        step. The model is returned as it is then, adapters in place. Pressed twice, it raises KeyboardInterrupt.

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
    tokens, plan, habits = read_plan(
        model, corpus, steps=steps, batch_size=batch_size, context=context, learning_rate=learning_rate,
        warmup=warmup, final_learning_rate=final_learning_rate, weight_decay=weight_decay, betas=betas, clip=clip,
        accumulate=accumulate, precision=precision, compile=compile, seed=seed, validation=validation,
        evaluate_every=evaluate_every, folder=folder, save_every=save_every, log_every=log_every, progress=progress,
    )  # fmt: skip
    with undone_on_error(model):
        model.requires_grad_(True)
        return run(model, tokens, plan, habits, {"method": "pretrain"})


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

    Warns
    -----
    RuntimeWarning
        If Ctrl-C ended the run, as in `pretrain`: what the method put into the model stays, as far as it was trained.

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
    tokens, plan, habits = read_plan(
        model, corpus, steps=steps, batch_size=batch_size, context=context, learning_rate=learning_rate,
        warmup=warmup, final_learning_rate=final_learning_rate, weight_decay=weight_decay, betas=betas, clip=clip,
        accumulate=accumulate, precision=precision, compile=compile, seed=seed, validation=validation,
        evaluate_every=evaluate_every, folder=folder, save_every=save_every, log_every=log_every, progress=progress,
    )  # fmt: skip
    given = settings(rank, alpha, dropout, scaling, init, dora)
    with undone_on_error(model, weights=method == "lora" and given.takes_from_base):
        put_in(model, method, given, targets, bottleneck, prompt_tokens, seed)
        about = {
            "method": method, "alpha": float(alpha), "scaling": scaling, "dropout": float(dropout), "init": init,
            "dora": bool(dora),
        }  # fmt: skip
        return run(model, tokens, plan, habits, about)


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
    window, tokens = read_corpus(model, corpus, context)
    _checks.integer(batch_size, 1, None, "batch_size")
    device = model.embed.weight.device
    dtype = dtype_on(device, read_precision(precision))
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
    check_model(model)
    if model.config.vocabulary != 256:
        raise _checks.invalid(
            f"model must have a vocabulary of 256, for bytes; got {model.config.vocabulary}. "
            "Draw tokens from its logits instead."
        )
    if not isinstance(prompt, bytes):
        raise _checks.mistyped(f"prompt must be bytes; got {type(prompt).__name__}. Encode text with text.encode().")
    if not prompt:
        raise _checks.invalid("prompt must hold at least one byte; got none. Pass b'def ', for example.")
    _checks.integer(length, 1, None, "length")
    _checks.number(temperature, "temperature", least=0.0)
    device = model.embed.weight.device
    generator = torch.Generator(device)
    generator.seed() if rng is None else generator.manual_seed(read_seed("rng", rng))
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
