"""How many steps of gradient descent deep linear networks take from three kinds of start, each at its own best setting.

    OMP_NUM_THREADS=1 python -m benchmarks.findings.deep_start [--small --out FILE]

The task is that of side trip A2: 178 wines, whitened, three sorts; a product of square layers of width 13, of which the
first three rows answer; arrived is who has an error below 0.01 within 1500 steps. Layers start as g·N(0, 1/13), as g
times a random orthogonal matrix, or as the identity plus g·N(0, 1/13). Each kind tries the same number of pairs of g
and step on five networks; the pair with the least mean count, those that did not arrive counted with the limit, then
runs on ten networks that the choice has not seen. Networks train side by side, as one stack of matrices. Observations
of side trip A2 read the result, which goes into lowrank_helpers/data/results/deep_start.json.
"""

import argparse
import itertools
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import datasets, linalg

RESULT = RESULTS / "deep_start.json"
WIDTH, DEPTHS, LIMIT, ENOUGH = 13, (8, 64), 1500, 0.01
STEPS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
GAINS = {
    "gaussian": (0.8, 0.9, 0.95, 1.0, 1.05, 1.1),
    "orthogonal": (0.8, 0.9, 0.95, 1.0, 1.05, 1.1),
    "identity": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3),
}
TUNING, TESTING = range(100, 105), range(10)
Array = Any


def target() -> Array:
    """The 3×13 matrix that the first three rows of the product should be."""
    wine = datasets.load("wine")
    Q = linalg.householder_qr(wine.X - wine.X.mean(axis=0)).Q
    Y = np.eye(3)[wine.y]
    return (Y - Y.mean(axis=0)).T @ Q / np.sqrt(len(Q))


def layers(kind: str, gain: float, depth: int, seed: int) -> Array:
    """The layers of one network, (depth, 13, 13), drawn one after the other as the chapter draws them."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((depth, WIDTH, WIDTH))
    if kind == "gaussian":
        return gain * drawn / np.sqrt(WIDTH)
    if kind == "orthogonal":
        return gain * np.stack([linalg.householder_qr(X).Q for X in drawn])
    return np.eye(WIDTH) + gain * drawn / np.sqrt(WIDTH)


@np.errstate(over="ignore", invalid="ignore")
def counts(networks: Array, steps: Array, wanted: Array, limit: int) -> list[int]:
    """Steps until each of these networks, (N, depth, 13, 13), has arrived; the limit for one that does not."""
    W, found, alive = networks.transpose(1, 0, 2, 3).copy(), np.full(len(steps), limit), np.arange(len(steps))
    rate = np.asarray(steps)[:, None, None]
    for count in range(limit):
        states = [np.broadcast_to(np.eye(WIDTH), W.shape[1:])]
        for layer in W:
            states.append(layer @ states[-1])
        residual = states.pop()[:, :3] - wanted
        error = (residual**2).sum(axis=(1, 2)) / 2
        found[alive[error < ENOUGH]] = count
        going = np.isfinite(error) & (error >= ENOUGH)
        alive, rate, W, residual = alive[going], rate[going], W[:, going], residual[going]
        if not alive.size:
            break
        back = np.concatenate([residual, np.zeros((alive.size, WIDTH - 3, WIDTH))], axis=1)
        for k in reversed(range(len(W))):
            change = back @ states.pop()[going].transpose(0, 2, 1)
            back = W[k].transpose(0, 2, 1) @ back
            W[k] -= rate * change
    return found.tolist()


def study(kind: str, depth: int, wanted: Array, steps: Sequence[float], limit: int) -> dict[str, Any]:
    """Choose gain and step on the networks for tuning, and count on the others."""
    pairs = list(itertools.product(GAINS[kind], steps))
    many = [(gain, step, seed) for gain, step in pairs for seed in TUNING]
    stack = np.stack([layers(kind, gain, depth, seed) for gain, _, seed in many])
    found = np.reshape(counts(stack, [step for _, step, _ in many], wanted, limit), (len(pairs), len(TUNING)))
    gain, step = pairs[int(found.mean(axis=1).argmin())]
    fresh = np.stack([layers(kind, gain, depth, seed) for seed in TESTING])
    return {
        "gain": gain,
        "step": step,
        "counts": counts(fresh, [step] * len(fresh), wanted, limit),
        "tuning": {f"{g} {s}": row.tolist() for (g, s), row in zip(pairs, found, strict=True)},
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="another result of the same form, in seconds")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT, help="where to write")
    options = parser.parse_args(arguments)
    steps, limit = ((0.08, 0.16, 0.32), 20) if options.small else (STEPS, LIMIT)
    depths = (2, 3) if options.small else DEPTHS
    found: dict[str, Any] = provenance("numpy", "lowrank_helpers") | {
        "limit": limit,
        "grids": {kind: {"gain": list(gains), "step": list(steps)} for kind, gains in GAINS.items()},
        "seeds": {"tuning": list(TUNING), "testing": list(TESTING)},
        "depths": {},
    }
    wanted = target()
    for depth in depths:
        rows = found["depths"][str(depth)] = {}
        for kind in GAINS:
            rows[kind] = row = study(kind, depth, wanted, steps, limit)
            print(f"{depth} layers, {kind}: g {row['gain']}, step {row['step']}, {row['counts']}", end="", flush=True)
            print(f", median {statistics.median(row['counts'])}", flush=True)
    store(options.out, found)


if __name__ == "__main__":
    main()
