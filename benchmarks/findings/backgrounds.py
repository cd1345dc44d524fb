"""The background of made sequences by medians, PCA and principal component pursuit, by what the light does.

    python -m benchmarks.findings.backgrounds [--draws 5] [--output FILE]

Sequences and methods are the functions of chapter 12, taken from its text. Each way has an error for every photograph
and every draw of the noise, in this order.
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions

RESULT = RESULTS / "backgrounds.json"
LIGHTS = {
    "wanders": {},
    "changes everywhere alike": {"side": 0.0},
    "is constant": {"gain": 0.0, "side": 0.0},
}
PHOTOGRAPHS = ("china", "flower")

scene, backgrounds, small = (definitions(12, name) for name in ("scene", "backgrounds", "small"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=5, help="of the noise, for each photograph (5)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    study: dict[str, Any] = provenance("numpy", "scipy")
    study["photographs"], study["seeds"] = list(PHOTOGRAPHS), [*range(options.draws)]
    study["errors"] = {}
    for light, changes in LIGHTS.items():
        found: dict[str, list[float]] = {}
        for name in PHOTOGRAPHS:
            for seed in range(options.draws):
                L0, M, _ = scene(photo=small(name), seed=seed, **changes)
                for way, L in backgrounds(M):
                    error = float(np.sqrt(np.mean((L - L0) ** 2)))
                    found.setdefault(way, []).append(float(f"{error:.4g}"))
        study["errors"][light] = found
        print(light, {way: f"{np.mean(errors):.4f}" for way, errors in found.items()}, flush=True)
    store(options.output, study)


if __name__ == "__main__":
    main()
