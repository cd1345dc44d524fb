"""The options of a run: what decides with which weights it ends, and what does not."""

import math
import os
from dataclasses import asdict, dataclass
from typing import Any, get_args

from torch import Tensor

from lowrank_helpers import _checks
from lowrank_helpers.training.schedule import Precision


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What decides, beside model, corpus and method, with which weights a run ends.

    Attributes
    ----------
    steps : int
        Steps of AdamW in the whole run, those before it was resumed included.
    learning_rate, warmup, final_learning_rate : float, int or None, float
        The peak, without a default, because the best one differs tenfold between methods; the number of steps up to it,
        None for a twentieth of ``steps``; and where the cosine ends, as a fraction of the peak.
    batch_size, accumulate : int
        Sequences in a forward pass, over all processes together, and passes in a step.
    context : int or None
        Tokens of a sequence; None for ``model.config.context``.
    weight_decay, betas, clip : float, (float, float), float
        Of AdamW, for matrices alone (GPT-3 had 0.1); and the greatest norm that a step's gradient may have.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of the products; "auto" is float32 on a CPU, on a GPU bfloat16 if it has it, else float16 with loss scaling.
    seed : int
        Of the order of the data, of LoRA's dropout, and of what a method puts into the model. torch's global generators
        are left alone, so runs in several threads are those that they would be one after the other.

    Raises
    ------
    ValueError, TypeError
        An option is out of range.

    References
    ----------
    Brown et al. 2020, arXiv:2005.14165, appendix B, for the schedule, the betas and the clipping.

    Examples
    --------
    >>> Plan(steps=200, learning_rate=1e-3).warmup_steps
    10
    """

    steps: int
    learning_rate: float
    warmup: int | None = None
    final_learning_rate: float = 0.1
    batch_size: int = 32
    accumulate: int = 1
    context: int | None = None
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is out of range; numbers of numpy become Python's, so that they can be saved."""
        if not isinstance(self.betas, tuple) or len(self.betas) != 2:
            raise _checks.mistyped(f"betas must be two numbers; got {self.betas!r}. Pass (0.9, 0.95).")
        steps = _checks.integer(self.steps, 1, None, "steps")
        read = {
            "steps": steps,
            "learning_rate": _checks.number(self.learning_rate, "learning_rate", above=0.0),
            "warmup": _optional(self.warmup, 0, steps, "warmup", limit="steps"),
            "final_learning_rate": _checks.number(self.final_learning_rate, "final_learning_rate", least=0.0),
            "batch_size": _checks.integer(self.batch_size, 1, None, "batch_size"),
            "accumulate": _checks.integer(self.accumulate, 1, None, "accumulate"),
            "context": _optional(self.context, 1, None, "context"),
            "weight_decay": _checks.number(self.weight_decay, "weight_decay", least=0.0),
            "betas": tuple(_checks.number(beta, "betas", least=0.0, below=1.0) for beta in self.betas),
            "clip": _checks.number(self.clip, "clip", above=0.0),
            "precision": _checks.choice(self.precision, get_args(Precision), "precision"),
            "seed": _checks.seed(self.seed),
        }
        for name, value in read.items():
            object.__setattr__(self, name, value)

    @property
    def warmup_steps(self) -> int:
        """The number of steps up to the peak."""
        return math.ceil(self.steps / 20) if self.warmup is None else self.warmup

    def settings(self, context: int) -> dict[str, Any]:
        """All of it, as a checkpoint keeps it, for a model with this context."""
        return asdict(self) | {"context": context, "warmup": self.warmup_steps, "betas": list(self.betas)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Bookkeeping:
    """When to measure, record and save, and where: nothing that changes the weights, but by rounding.

    Attributes
    ----------
    validation : bytes, Tensor of integers or None
        A second corpus, whose loss is measured every ``evaluate_every`` steps and at the end.
    evaluate_every, save_every, log_every : int or None, int or None, int
        Steps from one measurement, checkpoint, record to the next; the last step always has each.
    folder : path or None
        Where checkpoints and ``log.jsonl`` go, a JSON object a line. Without it nothing is saved.
    compile : bool
        Whether to run the model through ``torch.compile``. Its dropout then draws from torch's global generators, which
        are put back in the end: no two such runs in threads.
    progress : bool or None
        Whether to draw a progress bar; None for on a terminal only.

    Raises
    ------
    ValueError, TypeError
        An option is out of range, or ``save_every`` is without a folder, or ``evaluate_every`` without a corpus.

    Examples
    --------
    >>> Bookkeeping(folder="run", save_every=100).log_every
    1
    """

    validation: bytes | Tensor | None = None
    evaluate_every: int | None = None
    folder: str | os.PathLike[str] | None = None
    save_every: int | None = None
    log_every: int = 1
    compile: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range; the corpus is read when there is a model for it."""
        _optional(self.evaluate_every, 1, None, "evaluate_every")
        _optional(self.save_every, 1, None, "save_every")
        _checks.integer(self.log_every, 1, None, "log_every")
        if self.folder is not None:
            _checks.folder(self.folder)
        _checks.flag(self.compile, "compile")
        _checks.progress_shown(self.progress)
        if self.save_every is not None and self.folder is None:
            raise _checks.invalid("save_every needs a folder; got none. Pass folder='run'.")
        if self.evaluate_every is not None and self.validation is None:
            raise _checks.invalid("evaluate_every needs a validation corpus; got none. Pass validation=….")


def _optional(value: int | None, least: int, greatest: int | None, name: str, *, limit: str = "") -> int | None:
    return None if value is None else _checks.integer(value, least, greatest, name, limit=limit)
