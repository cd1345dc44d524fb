"""The loop: read a batch, take a step, keep a record, save."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm.std import tqdm

from lowrank_helpers import _checks
from lowrank_helpers._disk import locked
from lowrank_helpers.lora import LoRALinear
from lowrank_helpers.training.checkpoints import latest_checkpoint, save_checkpoint
from lowrank_helpers.training.corpus import Batches
from lowrank_helpers.training.model import GPT
from lowrank_helpers.training.optimiser import Optimiser
from lowrank_helpers.training.plan import Bookkeeping, Plan
from lowrank_helpers.training.records import Log, TrainingResult, fingerprint, refuse_another_run
from lowrank_helpers.training.schedule import (
    dtype_on,
    learning_rate_at,
    processes,
    seed_of_step,
)


class Corpora(NamedTuple):
    """What a run reads: tokens to learn, perhaps others to measure the loss of, and how many make a sequence."""

    tokens: Tensor
    validation: Tensor | None
    context: int


def run(model: GPT, corpora: Corpora, plan: Plan, books: Bookkeeping, about: dict[str, Any]) -> TrainingResult:
    """Train what requires a gradient, from the newest whole checkpoint in the folder, if there is one."""
    device = model.embed.weight.device
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    dtype = dtype_on(device, plan.precision)
    if dtype == torch.float16 and any(parameter.dtype == dtype for parameter in trained.values()):
        raise _checks.invalid(
            "trained weights must not be float16 where products are, because gradients are scaled; "
            "got float16. Call model.float(), or pass precision='float32'."
        )
    optimiser = Optimiser(trained, device, dtype, weight_decay=plan.weight_decay, betas=plan.betas, clip=plan.clip)
    tokens, validation, context = corpora
    folder = None if books.folder is None else Path(books.folder)
    settings = {**plan.settings(context), **about, **fingerprint(model, tokens)}
    rank, world_size = processes(device)
    with (
        _own_folder(folder, rank),
        _training(model, optimiser),
        _random_numbers(model, device, books.compile) as seed,
        _memory_error_explained(plan, context),
        _interruptible(world_size) as interruption,
    ):
        resumed = _resume(optimiser, settings, folder)
        batches = Batches(tokens, context, plan.seed)
        forward = torch.compile(model) if books.compile else model
        log = Log(folder if rank == 0 else None, resumed)
        bar = tqdm(
            total=plan.steps,
            initial=resumed,
            disable=rank > 0 or not _checks.progress_shown(books.progress),
            unit="step",
        )
        began = time.perf_counter()
        for step in range(resumed + 1, plan.steps + 1):
            seed(seed_of_step(plan.seed, step, rank))
            total = torch.zeros((), device=device)
            for batch in _micro_batches(batches, step, plan, rank, world_size):
                total += optimiser.add_gradient(forward, *batch, share=1 / plan.accumulate)
            loss, norm = optimiser.clip_gradient(total, world_size)
            if not math.isfinite(loss) or not (math.isfinite(norm) or dtype == torch.float16):
                raise FloatingPointError(_not_finite(step, loss, norm, folder))
            rate = learning_rate_at(
                step,
                steps=plan.steps,
                peak=plan.learning_rate,
                warmup=plan.warmup_steps,
                final=plan.final_learning_rate,
            )
            optimiser.step(rate)

            tokens_per_step = plan.batch_size * plan.accumulate * context
            speed = (step - resumed) * tokens_per_step / (time.perf_counter() - began)
            bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
            bar.update()
            record = {
                "step": step,
                "loss": loss,
                "learning_rate": rate,
                **({"gradient_norm": norm} if math.isfinite(norm) else {}),  # JSON has no infinity
                "tokens": step * tokens_per_step,
                "tokens_per_second": round(speed, 1),
            }
            last_step = step if interruption.is_set() else plan.steps
            measured = validation is not None and _due(step, books.evaluate_every, last_step)
            saved = folder is not None and _due(step, books.save_every, last_step)
            if validation is not None and measured:
                with optimiser.autocast():
                    record["validation"] = mean_loss(model, validation, context, plan.batch_size)
            if measured or saved or _due(step, books.log_every, last_step):
                log.add(record, before_checkpoint=saved)
            if folder is not None and saved and rank == 0:
                state = {"settings": settings, "optimiser": optimiser.state()}
                save_checkpoint(folder, step, optimiser.tensors(), state)
            if step == last_step < plan.steps:
                _warn_of_interruption(step, plan.steps, folder)
                break
        bar.close()
    last = log.records[-1] if log.records else {}
    return TrainingResult(
        log=log.records,
        loss=last.get("loss", math.nan),
        validation=last.get("validation"),
        trainable=sum(parameter.numel() for parameter in trained.values()),
        resumed=resumed,
    )


def mean_loss(model: GPT, tokens: Tensor, context: int, batch_size: int) -> float:
    """Return the mean loss over the windows of the tokens, which are cut one after another; the tail is left out."""
    windows = tokens.unfold(0, context + 1, context)
    device = model.embed.weight.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    with in_mode(model, training=False), torch.no_grad():
        for rows in torch.split(windows, batch_size):
            rows = rows.long().to(device)
            total += model(rows[:, :-1], rows[:, 1:]) * len(rows)
    return float(total) / len(windows)


@contextmanager
def in_mode(model: GPT, *, training: bool) -> Iterator[None]:
    """Put a model into training or evaluation mode, and each of its modules back into its own afterwards."""
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


@contextmanager
def _training(model: GPT, optimiser: Optimiser) -> Iterator[None]:
    """Training mode, and no gradients but this run's; none is left behind, also by an error."""
    optimiser.forget_gradient()
    try:
        with in_mode(model, training=True):
            yield
    finally:
        optimiser.forget_gradient()


@contextmanager
def _random_numbers(model: GPT, device: torch.device, compile: bool) -> Iterator[Callable[[int], object]]:
    """Let dropout draw from a new generator, which nobody else has, and give the function that seeds it.

    torch's global generators belong to the whole process: of two runs in threads each would meet the other's seeds.
    Compiled code knows only them; they are then put back in the end.
    """
    if compile:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield torch.manual_seed
        return
    generator = torch.Generator(device)
    before = {module: module.generator for module in model.modules() if isinstance(module, GPT | LoRALinear)}
    for module in before:
        module.generator = generator
    try:
        yield generator.manual_seed
    finally:
        for module, its in before.items():
            module.generator = its


@contextmanager
def _own_folder(folder: Path | None, rank: int) -> Iterator[None]:
    """Keep other runs out of the folder: two that write into one would lose each other's checkpoints."""
    if folder is None or rank > 0:
        yield
        return
    with suppress(OSError):  # whoever writes into it says more
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, wait=False))
        except BlockingIOError:
            raise RuntimeError(
                _checks.named(
                    f"folder must belong to one run at a time; another is at work in {folder}. "
                    "Wait for it, or pass another folder."
                )
            ) from None
        yield


@contextmanager
def _interruptible(world_size: int) -> Iterator[threading.Event]:
    """Let Ctrl-C end the run after the step that it meets, instead of in its midst; pressed again, it ends it at once.

    Of several processes each would stop at a step of its own and wait for the others for ever: there it stays as it is.
    """
    asked = threading.Event()
    if world_size > 1 or threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread gets signals
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    if before is signal.default_int_handler:  # whoever has put another there wants that one
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        if signal.getsignal(signal.SIGINT) is ask:
            signal.signal(signal.SIGINT, before)


def _warn_of_interruption(step: int, steps: int, folder: Path | None) -> None:
    kept = f"The same call goes on from its checkpoint in {folder}." if folder else "Pass folder= to go on later."
    _checks.warn(f"interrupted after step {step} of {steps}; the model is as it is by then. {kept}")


def _due(step: int, every: int | None, steps: int) -> bool:
    return step == steps or (every is not None and step % every == 0)


def _micro_batches(
    batches: Batches, step: int, plan: Plan, rank: int, world_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a step, of each the rows that belong to this process."""
    rows = plan.batch_size // world_size
    for i in range((step - 1) * plan.accumulate, step * plan.accumulate):
        yield batches(i * plan.batch_size + rank * rows, rows)


def _resume(optimiser: Optimiser, settings: dict[str, Any], folder: Path | None) -> int:
    """Take over the newest whole checkpoint, and return its step; 0 where there is none."""
    found = latest_checkpoint(folder) if folder is not None else None
    if found is None:
        return 0
    if not isinstance(found.state.get("settings"), dict) or "optimiser" not in found.state:
        raise _checks.invalid(
            f"the folder must hold this run or none; {found.path} is no checkpoint of a run. Pass another folder."
        )
    refuse_another_run(found.state["settings"], settings, found.path)
    optimiser.restore(found.tensors, found.state["optimiser"])
    return found.step


def _not_finite(step: int, loss: float, norm: float, folder: Path | None) -> str:
    found = None
    if folder is not None:
        with suppress(ValueError):  # none of them is whole; that the loss is not finite matters more
            found = latest_checkpoint(folder)
    left = f"The last checkpoint is {found.path}." if found is not None else "No checkpoint was saved."
    return _checks.named(
        f"the loss must stay finite; at step {step} it was {loss:g}, its gradient's norm {norm:g}. "
        f"That step was not taken. {left} Lower learning_rate, or lengthen warmup."
    )


@contextmanager
def _memory_error_explained(plan: Plan, context: int) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise MemoryError(
            _checks.named(
                f"out of memory with batches of {plan.batch_size} × {context} tokens. "
                "Lower batch_size and raise accumulate by as much, or set model.checkpoint_activations = True."
            )
        ) from error
