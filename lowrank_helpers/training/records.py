"""What a run leaves behind: its result, a log of JSON lines, and the settings that a resumed run must share."""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers.training.model import in_files

LOG = "log.jsonl"


@dataclass(frozen=True)
class TrainingResult:
    """What a run did.

    Attributes
    ----------
    log : list of dict
        Records of steps: step (the first is 1), loss (of the step's batch, in nats per token), learning_rate,
        gradient_norm (before clipping; missing where it overflowed in float16, and the step was left out), tokens
        (seen so far), tokens_per_second (since this call began), and validation (loss on the validation corpus, in
        nats per token) where it was measured.
    loss : float
        That of the last step.
    validation : float or None
        Loss on the validation corpus after the last step.
    trainable : int
        Number of trained parameters.
    resumed : int
        The step that this call went on from; 0 if it began at the start.
    """

    log: list[dict[str, float]]
    loss: float
    validation: float | None
    trainable: int
    resumed: int


class Log:
    """The records of a run, in memory and, where there is a folder, as JSON lines, one record a line."""

    def __init__(self, folder: Path | None, resumed: int) -> None:
        """Take over the records up to the step resumed from; later ones are about to be made again."""
        self.path = folder / LOG if folder is not None else None
        self.records: list[dict[str, float]] = []
        if self.path is None:
            return
        if self.path.exists():
            lines = self.path.read_text("utf-8").split("\n")[:-1]  # what follows the last line's end was cut off
            self.records = [record for record in map(_record, lines) if record.get("step", math.inf) <= resumed]
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = self.path.with_name(f".{LOG}.new")
            whole.write_text("".join(json.dumps(record) + "\n" for record in self.records), "utf-8")
            whole.replace(self.path)

    def add(self, record: dict[str, float], *, before_checkpoint: bool) -> None:
        """Append a record; wait until the disk has it, should a checkpoint follow that must not outlive it."""
        self.records.append(record)
        if self.path is not None:
            with self._explained(), self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                if before_checkpoint:
                    file.flush()
                    os.fsync(file.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"training: the log {self.path} cannot be written ({error.strerror}). "
                "Free some space; the same call then goes on from the last checkpoint.",
            ) from None


def _record(line: str) -> dict[str, float]:
    """Read a line of the log; one that a full disk has garbled counts as none."""
    try:
        record: dict[str, float] = json.loads(line)
    except ValueError:
        return {}
    return record


def fingerprint(model: nn.Module, tokens: Tensor) -> dict[str, str]:
    """Return what tells frozen weights, the kind of trained ones, and corpus from others: short SHA-256 sums."""
    frozen, trained, corpus = hashlib.sha256(), hashlib.sha256(), hashlib.sha256(tokens.cpu().numpy().tobytes())
    for name, parameter in model.named_parameters():
        what = f"{in_files(name)} {tuple(parameter.shape)}".encode()
        if parameter.requires_grad:
            trained.update(what)
        else:
            entries = parameter.detach().flatten()
            sample = entries[:: max(1, len(entries) // 64)]
            frozen.update(what + sample.double().cpu().numpy().tobytes())
    return {"frozen": frozen.hexdigest()[:16], "trained": trained.hexdigest()[:16], "corpus": corpus.hexdigest()[:16]}


def refuse_another_run(found: dict[str, Any], settings: dict[str, Any], path: Path) -> None:
    """Raise if a checkpoint belongs to a run with other settings."""
    differing = [name for name in settings if found.get(name) != settings[name]]
    if differing:
        name = differing[0]
        raise _checks.invalid(
            f"folder must be new or hold this very run; {path} has {name} = {found.get(name)!r}, "
            f"and this call {settings[name]!r}. Pass another folder, or the same settings."
        )
