"""What the trainer is given, read and checked before anything is changed."""

import math
from typing import Any, cast, get_args

from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.training.corpus import tokens_of
from lowrank_helpers.training.loop import Habits, Plan
from lowrank_helpers.training.model import GPT, check_model
from lowrank_helpers.training.schedule import Precision, process_count


def read_corpus(
    model: GPT, corpus: object, context: int | None, name: str = "corpus", windows: int = 1
) -> tuple[int, Tensor]:
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


def read_precision(precision: object) -> Precision:
    return cast(Precision, _checks.choice(precision, get_args(Precision), "precision"))


def read_seed(name: str, seed: object) -> int:
    return _checks.integer(seed, 0, 2**63 - 1, name, limit="2⁶³ − 1")


def _beta(beta: object) -> float:
    return _checks.number(beta, "betas", least=0.0, below=1.0)


def _every(name: str, every: object) -> int | None:
    return None if every is None else _checks.integer(every, 1, None, name)


def read_plan(model: GPT, corpus: object, **given: Any) -> tuple[Tensor, Plan, Habits]:
    """Check what `pretrain` and `finetune` share."""
    steps = _checks.integer(given["steps"], 1, None, "steps")
    batch_size = _checks.integer(given["batch_size"], 1, None, "batch_size")
    context, tokens = read_corpus(model, corpus, given["context"], windows=batch_size)
    warmup = math.ceil(steps / 20) if given["warmup"] is None else given["warmup"]
    betas = given["betas"]
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise _checks.mistyped(f"betas must be two numbers; got {betas!r}. Pass (0.9, 0.95).")
    processes = process_count()
    if batch_size % processes:
        raise _checks.invalid(
            f"batch_size must be a multiple of the number of processes, {processes}; got {batch_size}. "
            f"Take {math.ceil(batch_size / processes) * processes}."
        )
    plan = Plan(
        steps=steps,
        batch_size=batch_size,
        context=context,
        learning_rate=_checks.number(given["learning_rate"], "learning_rate", above=0.0),
        warmup=_checks.integer(warmup, 0, steps, "warmup", limit="steps"),
        final_learning_rate=_checks.number(given["final_learning_rate"], "final_learning_rate", least=0.0),
        weight_decay=_checks.number(given["weight_decay"], "weight_decay", least=0.0),
        betas=(_beta(betas[0]), _beta(betas[1])),
        clip=_checks.number(given["clip"], "clip", above=0.0),
        accumulate=_checks.integer(given["accumulate"], 1, None, "accumulate"),
        precision=read_precision(given["precision"]),
        seed=read_seed("seed", given["seed"]),
    )
    validation, folder = given["validation"], given["folder"]
    habits = Habits(
        validation=None if validation is None else read_corpus(model, validation, context, "validation")[1],
        evaluate_every=_every("evaluate_every", given["evaluate_every"]),
        folder=None if folder is None else _checks.folder(folder),
        save_every=_every("save_every", given["save_every"]),
        log_every=_checks.integer(given["log_every"], 1, None, "log_every"),
        compile=_checks.flag(given["compile"], "compile"),
        progress=_checks.progress_shown(given["progress"]),
    )
    if habits.save_every is not None and habits.folder is None:
        raise _checks.invalid("save_every needs a folder; got none. Pass folder='run'.")
    if habits.evaluate_every is not None and habits.validation is None:
        raise _checks.invalid("evaluate_every needs a validation corpus; got none. Pass validation=….")
    return tokens, plan, habits
