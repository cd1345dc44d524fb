"""The command line of the study: which parts to do, where results go, and for how long.

python -m benchmarks.gpu --out DIR [--results DIR] [--weights DIR] [--minutes 9] [--part NAME …] [--small | --tiny]
"""

import argparse
import gc
import time
from pathlib import Path

from benchmarks.gpu import BEGAN, grid, merge, places, pretrain, relatives, switching, throughput, wall
from benchmarks.gpu.device import Variant, study_device
from benchmarks.gpu.study import run_part

PARTS = {
    "pretrain": pretrain,
    "grid": grid,
    "relatives": relatives,
    "places": places,
    "wall": wall,
    "throughput": throughput,
    "merge": merge,
    "switching": switching,
}
SMALL = ("grid", "relatives", "places", "merge")  # the parts that a CPU can do with the base model of the book
PACKAGE_DATA = Path(__file__).resolve().parents[2] / "lowrank_helpers" / "data"


def main(arguments: list[str] | None = None, began: float | None = None) -> int:
    """Run the study; return 0 if everything is measured, 3 if a further call has to go on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split(":")[0])
    parser.add_argument("--out", type=Path, required=True, help="where results go; a second call goes on from them")
    parser.add_argument("--results", type=Path, default=PACKAGE_DATA, help="committed results, not measured again")
    parser.add_argument("--weights", type=Path, help="weights of an earlier call (default: those in OUT/weights)")
    parser.add_argument("--minutes", type=float, default=9.0, help="nothing starts that would end later (default: 9)")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    smaller = parser.add_mutually_exclusive_group()
    smaller.add_argument(
        "--small", action="store_true", help=f"{', '.join(SMALL)} on the book's base model, on the CPU"
    )
    smaller.add_argument("--tiny", action="store_true", help="the same code on small models, on the CPU, in a minute")
    given = parser.parse_args(arguments)
    variant: Variant = "small" if given.small else "tiny" if given.tiny else "large"
    end = (time.monotonic() if began is None else began) + 60 * given.minutes
    device = study_device(variant)
    missing = []
    for name in [part for part in PARTS if part in given.part and (variant != "small" or part in SMALL)]:
        part = PARTS[name]
        tasks = part.run(device, variant=variant, out=given.out, weights=given.weights or given.out / "weights")
        try:
            complete = run_part(
                name, part, tasks, device=device, variant=variant, out=given.out, results=given.results,
                remaining=lambda: end - time.monotonic(),
            )  # fmt: skip
        except Exception as error:  # the other parts do not depend on it
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            complete = False
        if not complete:
            missing.append(name)
    print(f"missing: {', '.join(missing)}; the same command goes on" if missing else "complete", flush=True)
    return 3 if missing else 0


if __name__ == "__main__":
    gc.freeze()  # what the imports made is not searched for garbage before each measurement
    raise SystemExit(main(began=BEGAN))
