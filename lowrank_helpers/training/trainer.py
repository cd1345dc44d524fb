"""Train a GPT from scratch, fine-tune it, measure it, let it write."""

import math
from collections.abc import Sequence
from typing import cast, get_args

import torch
from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.lora import Init, Scaling
from lowrank_helpers.lora.start import settings
from lowrank_helpers.training.corpus import tokens_of
from lowrank_helpers.training.loop import Corpora, in_mode, mean_loss, run
from lowrank_helpers.training.methods import ALL_LINEAR, Method, put_in, undone_on_error
from lowrank_helpers.training.model import GPT, check_model
from lowrank_helpers.training.plan import Bookkeeping, Plan
from lowrank_helpers.training.records import TrainingResult
from lowrank_helpers.training.schedule import Precision, dtype_on, process_count


def pretrain(model: GPT, corpus: bytes | Tensor, plan: Plan, bookkeeping: Bookkeeping | None = None) -> TrainingResult:
    """Train all parameters of a model to guess the next token of a corpus. The model is changed in place.

    A run with a folder can be killed at any moment: the same call, with a model made in the same way, goes on from the
    last checkpoint, and on a CPU ends in the same weights to the bit. Under ``torchrun`` each process takes an equal
    part of every batch, and gradients are averaged; the weights differ from one process's by rounding alone. For
    ``torchrun --max-restarts`` set ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1``: without, new processes may call at the
    addresses of the dead ones (torch 2.13). On GPUs
    each process puts its model on its own, ``model.to(f"cuda:{os.environ['LOCAL_RANK']}")``, and NCCL averages.

    Parameters
    ----------
    model : GPT
        On the device to train on, in the dtype to keep weights in (float32 as a rule).
    corpus : bytes or Tensor of integers, shape (N,)
        Tokens. Each epoch cuts them into windows at a new offset and shuffles these.
    plan : Plan
        How many steps, at which learning rate, on how large batches.
    bookkeeping : Bookkeeping, optional
        What is measured, recorded and saved; by default a record of each step, in memory.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError, TypeError
        The plan does not fit the model, the corpus is too short for one batch, or the folder holds another run.
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
    Radford et al. 2019, "Language models are unsupervised multitask learners".

    Examples
    --------
    >>> from lowrank_helpers.training import GPT, GPTConfig, Plan, pretrain
    >>> model = GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64))
    >>> result = pretrain(model, b"to be or not to be, " * 50, Plan(steps=40, learning_rate=1e-2, batch_size=8))
    >>> result.log[0]["loss"] > 5.4, result.loss < 1.5
    (True, True)
    """
    books = _books(bookkeeping)
    corpora = _corpora(model, corpus, plan, books)
    with undone_on_error(model):
        model.requires_grad_(True)
        return run(model, corpora, plan, books, {"method": "pretrain"})


def finetune(
    model: GPT,
    corpus: bytes | Tensor,
    plan: Plan,
    bookkeeping: Bookkeeping | None = None,
    *,
    method: Method,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ALL_LINEAR,
    dropout: float = 0.0,
    scaling: Scaling = "alpha/rank",
    init: Init = "kaiming",
    dora: bool = False,
    bottleneck: int = 16,
    prompt_tokens: int = 16,
) -> TrainingResult:
    """Adapt a trained model to a corpus by one of six methods. The model is changed in place.

    Parameters
    ----------
    model : GPT
        Trained; see `load_base_model`.
    corpus : bytes or Tensor of integers, shape (N,)
        What to adapt to.
    plan, bookkeeping : Plan, Bookkeeping
        As in `pretrain`.
    method : {"full", "last block", "adapters", "prompt", "lora", "trainable"}
        What is trained: everything; the last block, the norm behind it and the head; bottleneck adapters behind
        attention and feed-forward layer of each block (Houlsby et al. 2019); vectors put before each sequence (Lester
        et al. 2021); LoRA (Hu et al. 2021); or what requires a gradient as the model comes.
    rank, alpha, targets, dropout, scaling, init, dora, bottleneck, prompt_tokens
        Of the method, as in `prepare`; what it puts into the model is drawn from the plan's seed.

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
    >>> from lowrank_helpers.training import GPT, GPTConfig, Plan, finetune
    >>> model = GPT(GPTConfig(context=16, width=32, heads=2, layers=1, hidden=64))
    >>> plan = Plan(steps=2, learning_rate=1e-2, batch_size=8)
    >>> result = finetune(model, b"to be or not to be, " * 50, plan, method="lora", rank=4)
    >>> result.trainable  # 4 (32 + 32) for each of four, 4 (32 + 64) for each of three
    2176
    """
    books = _books(bookkeeping)
    corpora = _corpora(model, corpus, plan, books)
    given = settings(rank, alpha, dropout, scaling, init, dora)
    with undone_on_error(model, weights=method == "lora" and given.takes_from_base):
        put_in(model, method, given, targets, bottleneck, prompt_tokens, plan.seed)
        about = {
            "method": method, "alpha": float(alpha), "scaling": scaling, "dropout": float(dropout), "init": init,
            "dora": bool(dora),
        }  # fmt: skip
        return run(model, corpora, plan, books, about)


def _books(bookkeeping: object) -> Bookkeeping:
    if bookkeeping is None:
        return Bookkeeping()
    if not isinstance(bookkeeping, Bookkeeping):
        raise _checks.mistyped(
            f"bookkeeping must be a Bookkeeping; got {type(bookkeeping).__name__}. Pass Bookkeeping(folder='run')."
        )
    return bookkeeping


def _corpora(model: GPT, corpus: object, plan: object, books: Bookkeeping) -> Corpora:
    """Read the corpora, and refuse a plan that does not fit the model, the corpora or the processes."""
    if not isinstance(plan, Plan):
        raise _checks.mistyped(
            f"plan must be a Plan; got {type(plan).__name__}. Pass Plan(steps=200, learning_rate=1e-3)."
        )
    processes = process_count()
    if plan.batch_size % processes:
        raise _checks.invalid(
            f"batch_size must be a multiple of the number of processes, {processes}; got {plan.batch_size}. "
            f"Take {math.ceil(plan.batch_size / processes) * processes}."
        )
    context, tokens = _read(model, corpus, plan.context, "corpus", plan.batch_size)
    validation = None if books.validation is None else _read(model, books.validation, context, "validation", 1)[1]
    return Corpora(tokens, validation, context)


def _read(model: GPT, corpus: object, context: int | None, name: str, windows: int) -> tuple[int, Tensor]:
    """Read a corpus that must hold some windows, and the length of a window."""
    check_model(model)
    most = model.config.context
    window = most if context is None else _checks.integer(context, 1, most, "context", limit="config.context")
    tokens = tokens_of(corpus, model.config.vocabulary, name)
    if len(tokens) <= windows * window:
        raise _checks.invalid(
            f"{name} must hold more than {windows} × {window} tokens, one batch; got {len(tokens)}. "
            "Lower batch_size or context."
        )
    return window, tokens


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
        As in `Plan`.

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
    window, tokens = _read(model, corpus, context, "corpus", 1)
    _checks.integer(batch_size, 1, None, "batch_size")
    device = model.embed.weight.device
    dtype = dtype_on(device, cast(Precision, _checks.choice(precision, get_args(Precision), "precision")))
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
    generator.seed() if rng is None else generator.manual_seed(_checks.seed(rng, "rng"))
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
