"""The command line of the study: which parts to do, where results go, and for how long.

python -m benchmarks.gpu --out DIR [--part NAME …] [--minutes 9] [--results DIR] [--weights DIR] [--small | --tiny]
"""

import argparse
import functools
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import BEGAN, grid, lengths, merge, places, pretrain, relatives, study, switching, throughput, wall
from benchmarks.gpu.device import Variant, study_device
from benchmarks.gpu.weights import foreseen_base, load_base

PARTS = {  # the first three need no base model, the last five the one that pretrain makes
    "wall": wall,
    "throughput": throughput,
    "switching": switching,
    "pretrain": pretrain,
    "grid": grid,
    "relatives": relatives,
    "places": places,
    "merge": merge,
    "lengths": lengths,
}
SMALL = ("grid", "relatives", "places", "merge", "lengths")  # what a CPU can do with the book's base
STORED = Path(__file__).resolve().parents[2] / "lowrank_helpers" / "data" / "results"
MORE_TO_DO = 3
LEAVING = 3.0  # seconds for giving back memory and leaving Python


def main(arguments: list[str] | None = None, began: float | None = None) -> int:
    """Run the study; return 0 if everything is measured, 3 if a further call has to go on."""
    began = time.monotonic() if began is None else began
    given = _read(arguments)
    variant: Variant = "small" if given.small else "tiny" if given.tiny else "large"
    device, end = study_device(variant), began + 60 * given.minutes
    parts = [name for name in PARTS if name in given.part and (variant != "small" or name in SMALL)]
    with _ended_at(end):
        missing = _run(parts, given, device, variant, lambda: end - LEAVING - time.monotonic())
    print(f"missing: {', '.join(missing)}; the same command goes on" if missing else "complete", flush=True)
    return MORE_TO_DO if missing else 0


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split(":")[0])
    parser.add_argument("--out", type=Path, required=True, help="where results go; a second call goes on from them")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    parser.add_argument("--minutes", type=float, default=9.0, help="the call has ended by then (default: 9)")
    parser.add_argument("--results", type=Path, default=STORED, help="committed results, not measured again")
    parser.add_argument("--weights", type=Path, help="weights of an earlier call (default: those in OUT/weights)")
    parser.add_argument("--files", type=int, default=8, help="no part starts that would leave more in OUT (default: 8)")
    smaller = parser.add_mutually_exclusive_group()
    smaller.add_argument(
        "--small", action="store_true", help=f"{', '.join(SMALL)} on the book's base model, on the CPU"
    )
    smaller.add_argument("--tiny", action="store_true", help="the same code on small models, on the CPU, in a minute")
    given = parser.parse_args(arguments)
    given.weights = given.weights or given.out / "weights"
    return given


@contextmanager
def _ended_at(end: float) -> Iterator[None]:
    """End the process at this time, whatever it is at: what was measured before is stored and whole."""

    def stop() -> None:
        print("out of time: the measurement under way is lost; the same command goes on", flush=True)
        os._exit(MORE_TO_DO)

    timer = threading.Timer(end - time.monotonic(), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _run(
    parts: list[str], given: argparse.Namespace, device: torch.device, variant: Variant, remaining: Callable[[], float]
) -> list[str]:
    """Say what is to be done, then do it, as far as the time allows; return the parts of which more is to do."""
    where: dict[str, Any] = {"device": device, "variant": variant, "out": given.out, "results": given.results}
    plan = {name: _planned(name, where) for name in parts}
    told = ", ".join(f"{name} {seconds:.0f}" for name, seconds in plan.items())
    print(f"plan, in seconds: {told}; {sum(plan.values()):.0f} in all, {remaining():.0f} are left", flush=True)
    missing = []
    for name in parts:
        part = PARTS[name]
        files = {path for path in given.out.rglob("*") if path.is_file()}
        then = files | study.files_of(name, part, variant, given.out)
        if plan[name] and len(then) > given.files:
            print(f"{name}: OUT would hold {len(then)} files, more than {given.files}; name another", flush=True)
            missing.append(name)
            continue
        tasks = part.run(
            device, variant=variant, out=given.out,
            load_base=functools.partial(load_base, **where, weights=given.weights),
        )  # fmt: skip
        try:
            complete = study.run_part(name, part, tasks, **where, remaining=remaining)
        except Exception as error:  # the other parts do not depend on it
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            complete = False
        if not complete:
            missing.append(name)
    return missing


def _planned(name: str, where: dict[str, Any]) -> float:
    """Return the seconds that a part may take; 0 for one that cannot begin, which it says when its turn comes."""
    part = PARTS[name]
    foreseen = functools.partial(foreseen_base, where["variant"], where["out"], where["results"])
    tasks = part.run(where["device"], variant=where["variant"], out=where["out"], load_base=foreseen)
    try:
        return study.planned(part, tasks, study.begin(name, part, **where))
    except ValueError:
        return 0.0


if __name__ == "__main__":
    gc.freeze()  # what the imports made is not searched for garbage before each measurement
    raise SystemExit(main(began=BEGAN))
