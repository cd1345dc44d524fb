"""How the study goes on: what is stored is not measured again, and nothing starts that would not end in time.

A part of the study is a generator. It yields one `Task` after another and is sent the result of each, whether that was
measured now or long ago; so a part may choose its next task by the results before, and knows nothing of files.
"""

import datetime
import json
import math
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from benchmarks.gpu import device as gpu

Result = dict[str, Any]
VERSIONS = ("torch", "cuda")  # results of others do not stand in one file; a part may have further ones, its VERSIONS
MARGIN = 1.2  # a task is taken to last this much longer than the ones before it did, for its work
LATEST = 5  # of which so many count
TOLD = 6  # numbers in a line


class Task(NamedTuple):
    """A measurement to make.

    Attributes
    ----------
    of : dict
        What it is a measurement of, in JSON's own types; no two tasks of a part share it.
    work : float
        How long it takes, in a unit of the part's own.
    measure : callable
        Makes it; returns results in JSON's own types.
    enough : callable, optional
        Whether a stored result has all that is asked for now; by default any has.
    """

    of: Result
    work: float
    measure: Callable[[], Result]
    enough: Callable[[Result], bool] | None = None


Tasks = Generator[Task, Result, None]


def run_part(
    name: str, part: ModuleType, tasks: Tasks, *, device: torch.device, variant: gpu.Variant, out: Path, results: Path,
    remaining: Callable[[], float],
) -> bool:  # fmt: skip
    """Make the measurements of a part that are missing, as far as the time allows; return whether none is missing.

    Raises
    ------
    ValueError
        What is stored was measured on another device, or with other versions.
    """
    document = begin(name, part, device=device, variant=variant, out=out, results=results)
    path, failed = out / file_of(name, variant), False
    try:
        task = next(tasks)
        while True:
            result = stored(document, task)
            if result is None:
                needed = estimate(document, part.FIRST_GUESS, task.work)
                if needed > remaining():
                    print(
                        f"{name}: {shown(task.of)} would take {needed:.0f} s; {remaining():.0f} s are left", flush=True
                    )
                    return False
                result = measured(task, device)
                failed |= "error" in result
                keep(document, result)
                document["complete"] = False
                if "answers" in vars(part):
                    document["answers"] = rounded(part.answers(document["measurements"]))
                write(path, document)
                print(f"{name}: {shown(task.of)} in {result['seconds']:.1f} s{ending(result)}", flush=True)
            task = tasks.send(result)
    except StopIteration:
        if path.exists() and not failed and not document["complete"]:
            write(path, document | {"complete": True})
        return not failed
    finally:
        tasks.close()
        gpu.free()


def planned(part: ModuleType, tasks: Tasks, document: Result) -> float:
    """Return how many seconds the missing measurements of a part may take, if each one asked for is of no surprise."""
    seconds = 0.0
    try:
        task = next(tasks)
        while True:
            result = stored(document, task)
            if result is None:
                seconds += estimate(document, part.FIRST_GUESS, task.work)
            task = tasks.send(result or {"target_loss": 1.0, "validation": 1.0})
    except StopIteration:
        return seconds
    finally:
        tasks.close()


def begin(
    name: str, part: ModuleType, *, device: torch.device, variant: gpu.Variant, out: Path, results: Path
) -> Result:
    """Return the document to add to: what is committed and what earlier calls left in ``out``, together.

    Raises
    ------
    ValueError
        What is stored was measured on another device, or with other versions of what decides about figures.
    """
    decisive = (*VERSIONS, *getattr(part, "VERSIONS", ()))
    document: Result = {
        "device": gpu.name_of(device),
        "driver": gpu.driver_of(device),
        "versions": {package: gpu.versions()[package] for package in decisive},
        "date": datetime.date.today().isoformat(),
        "seeds": list(part.SEEDS),
        "variant": variant,
        "questions": list(part.QUESTIONS),
        "complete": False,
        "measurements": [],
    }
    for folder in [out] if variant == "tiny" else [results, out]:  # a tiny study leaves the stored figures alone
        path = folder / file_of(name, variant)
        if not path.exists():
            continue
        found = json.loads(path.read_text("utf-8"))
        compared = found | {"versions": {package: found["versions"].get(package) for package in decisive}}
        for what in ("device", "versions", "variant"):
            if compared[what] != document[what]:
                raise ValueError(
                    f"benchmarks.gpu: {path} was measured with {what} = {compared[what]!r}; this is "
                    f"{document[what]!r}, and one file holds one of them. "
                    "Pass another --out and, by --results, a folder without it."
                )
        document |= {what: found[what] for what in ("driver", "date")}
        document["complete"] |= found.get("complete", False)
        for result in found["measurements"]:
            keep(document, {"versions": found["versions"]} | result)
    return document


def file_of(name: str, variant: gpu.Variant) -> str:
    """Return the name of the file with the results of a part."""
    return f"{'cpu' if variant == 'small' else 'gpu'}_{name}.json"


def files_of(name: str, part: ModuleType, variant: gpu.Variant, out: Path) -> set[Path]:
    """Return the files that a part writes."""
    return {out / file for file in (file_of(name, variant), *getattr(part, "FILES", ()))}


def stored(document: Result, task: Task) -> Result | None:
    """Return the measurement that a task asks for, unless it is missing, failed, or lacks what is asked for now."""
    found = [result for result in document["measurements"] if result["of"] == task.of and "error" not in result]
    return found[0] if found and (task.enough is None or task.enough(found[0])) else None


def keep(document: Result, result: Result) -> None:
    """Put a measurement into the document, in the place of one that failed."""
    others = [other for other in document["measurements"] if other["of"] != result["of"]]
    document["measurements"] = [*others, result]


def estimate(document: Result, first_guess: float, work: float) -> float:
    """Return how many seconds a task may take: by the latest ones of its part, or by the part's first guess."""
    done = [result for result in document["measurements"] if "error" not in result][-LATEST:]
    rates = [result["seconds"] / result["work"] for result in done]
    return work * (MARGIN * max(rates) if rates else first_guess)


def measured(task: Task, device: torch.device) -> Result:
    """Make a measurement. What goes wrong in it is its result, and the study goes on."""
    gpu.free()
    began = time.monotonic()
    try:
        result = rounded(task.measure())
    except Exception as error:  # the study goes on whatever it is
        result = {"error": f"{type(error).__name__}: {error}"[:2000]}
    seconds = time.monotonic() - began
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"work": task.work, "seconds": round(seconds, 3), "date": when}
    about |= {"driver": gpu.driver_of(device), "versions": gpu.versions()}
    return {"of": task.of, **about, **result}


def rounded(value: Any) -> Any:
    """Return results as they are stored: floats to six digits, and None for what is not finite."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def write(path: Path, document: Result) -> None:
    """Write a document; a reader, or a second call after this one was killed, finds the old one or the new one."""
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def shown(of: Result) -> str:
    """Return what a measurement is of, in one line."""
    told = {key: value for key, value in of.items() if value is not None and key != "base"}
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in told.items()
    )


def ending(result: Result) -> str:
    """Return what else a line says: an error, else the first few numbers that were measured."""
    if "error" in result:
        return f"  FAILED: {result['error'].splitlines()[0][:200]}"
    known = ("of", "work", "seconds", "date", "driver")
    numbers = [(key, value) for key, value in result.items() if key not in known and isinstance(value, int | float)]
    return "".join(f", {key} {value:.5g}" for key, value in numbers[:TOLD])
