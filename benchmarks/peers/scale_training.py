"""Training on two processes: what is sent, how long a step takes, and PowerSGD beside plain averaging.

    OMP_NUM_THREADS=1 python -m benchmarks.peers.scale_training [--rounds 5] [--only sent|memory|seconds|rivals]

Three measurements on two real processes of one machine, over gloo, a thread each, started by torchrun:

- bytes in a step of the book's base model, all that is averaged, gathered and scattered, counted in the calls: DDP of
  all weights, DDP of LoRA of rank 8, FSDP of the same LoRA, whose base lies in halves; and the bytes that each holds;
- seconds of a step of the model of 30 million parameters that `benchmarks.peers.lora` trains, 2 × 128 tokens a process,
  by AdamW: DDP of all weights and DDP of LoRA, each also without any message; in interleaved rounds;
- by how much such a step raises a process's peak memory, the model counted, each contender in processes of its own.

And one without processes: a network of three layers learns the digits from four workers' gradients, 200 steps of
4 × 16. Contenders, all by SGD with momentum 0.9 on what comes out of the average, at a rate that falls to 0 in a line:

- plain averaging;
- plain averaging with as many bytes: workers add up the gradients of 11 steps between two averages;
- PowerSGD of rank 2; the same without error feedback; the same with a new random Q in each step;
- random entries, as many numbers as rank 2, the same for all workers, with error feedback.

Each takes the rate of eight, a factor of 2 apart, at which its mean loss on 300 digits is least on three seeds; seeds
1 to 10 give the verdict on 300 others. The result is written into lowrank_helpers/data/results/scale_training.json.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from benchmarks.peers.lora import ALPHA, AT_ONCE, RANK, SHAPE, status, text
from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import lora, training

RESULT = RESULTS / "scale_training.json"
PROCESSES, STEPS_TIMED = 2, 2
Array = NDArray[np.float64]
Parameters = list[Array]
Digits = tuple[Array, NDArray[np.int_]]


# Two processes


def base(adapted: bool) -> training.GPT:
    """The book's base, all of it trained, or LoRA on its linear layers."""
    model = training.load_base_model()
    return lora.add_lora(model, RANK, alpha=ALPHA, targets=training.ALL_LINEAR, rng=0) if adapted else model


def large(adapted: bool) -> training.GPT:
    """The model of 30 million parameters."""
    model = training.GPT(SHAPE)
    return lora.add_lora(model, RANK, alpha=ALPHA, targets=training.ALL_LINEAR, rng=0) if adapted else model


@contextmanager
def counted(sent: dict[str, int]) -> Iterator[None]:
    """Count the bytes of what is gathered and scattered inside the block."""
    gather, scatter = dist.all_gather_single, dist.reduce_scatter_single

    def gathering(output_tensor: Tensor, input_tensor: Tensor, **given: Any) -> Any:
        sent["gathered"] = sent.get("gathered", 0) + output_tensor.nbytes
        return gather(output_tensor, input_tensor, **given)

    def scattering(output: Tensor, input: Tensor, **given: Any) -> Any:
        sent["scattered"] = sent.get("scattered", 0) + input.nbytes
        return scatter(output, input, **given)

    dist.all_gather_single, dist.reduce_scatter_single = gathering, scattering
    try:
        yield
    finally:
        dist.all_gather_single, dist.reduce_scatter_single = gather, scatter


def one_step(model: nn.Module, rows: Tensor) -> None:
    model(rows[:, :-1], rows[:, 1:]).backward()
    model.zero_grad()


def by_ddp(adapted: bool, rows: Tensor) -> dict[str, int]:
    """Bytes averaged in a step."""
    model, found = DistributedDataParallel(base(adapted)), {"averaged": 0}

    def hook(group: Any, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
        found["averaged"] += bucket.buffer().nbytes
        return allreduce_hook(group, bucket)

    model.register_comm_hook(None, hook)
    one_step(model, rows)
    return found


def by_fsdp(rows: Tensor) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes gathered and scattered in a step, and those that a process holds."""
    model, mesh, found = base(True), init_device_mesh("cpu", (PROCESSES,)), {}
    for unit in [*model.blocks, model]:
        fully_shard(unit, mesh=mesh)
    held = {"frozen": 0, "trained": 0}
    for parameter in model.parameters():
        held["trained" if parameter.requires_grad else "frozen"] += parameter.to_local().nbytes  # type: ignore[operator]
    with counted(found):
        one_step(model, rows)
    return found, held


def sent() -> dict[str, Any]:
    """Bytes in a step, and by each of w if all goes round a ring: 2(w − 1)/w of an average, half that of the rest."""
    rows = training.load_corpus("book", "train")[: 4 * 65].long().view(4, 65)
    sharded, held = by_fsdp(rows)
    found = {"DDP, all weights": by_ddp(False, rows), "DDP, LoRA": by_ddp(True, rows), "FSDP, LoRA": sharded}
    part = (PROCESSES - 1) / PROCESSES
    ring = {
        way: round(sum(part * size * (2 if kind == "averaged" else 1) for kind, size in kinds.items()))
        for way, kinds in found.items()
    }
    whole = {"frozen": 0, "trained": 0}
    for parameter in base(True).parameters():
        whole["trained" if parameter.requires_grad else "frozen"] += parameter.nbytes
    return {
        "bytes in a step": found,
        "bytes sent by a process, in a ring": ring,
        "bytes held": held,
        "bytes in all": whole,
    }


def stepper(adapted: bool, rank: int) -> tuple[DistributedDataParallel, Callable[[bool], None]]:
    """The large model under DDP, and a function that takes a step with or without messages."""
    model = DistributedDataParallel(large(adapted))
    adam = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4, fused=True)
    rows = text(1)[: 4 * 128].view(4, 128)[2 * rank : 2 * rank + 2]

    def step(messages: bool) -> None:
        with nullcontext() if messages else model.no_sync():
            model(rows[:, :-1], rows[:, 1:]).backward()
        adam.step()
        adam.zero_grad()

    return model, step


def seconds(rounds: int) -> dict[str, list[float]]:
    """Seconds of a step, of each contender in each round; the slower of the two processes."""
    steps = {name: stepper(name == "LoRA", dist.get_rank())[1] for name in ("all weights", "LoRA")}
    found: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            for messages in (True, False):
                dist.barrier()
                start = time.perf_counter()
                for _ in range(STEPS_TIMED):
                    step(messages)
                took = torch.tensor((time.perf_counter() - start) / STEPS_TIMED)
                dist.all_reduce(took, dist.ReduceOp.MAX)
                if turn:  # the first warms up
                    found.setdefault(name if messages else f"{name}, no messages", []).append(round(took.item(), 4))
    return found


def memory(adapted: bool) -> float:
    """By how many megabytes the model and three steps raise this process's peak."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status("VmRSS")
    _, step = stepper(adapted, dist.get_rank())
    for _ in range(3):
        step(True)
    return round(status("VmHWM") - before, 1)


def started(part: str, rounds: int) -> Any:
    """What a part prints on two processes of its own."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    command = [*torchrun, "-m", "benchmarks.peers.scale_training", "--part", part, "--rounds", str(rounds)]
    environment = {**os.environ, **AT_ONCE, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280, env=environment)
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith(("{", "["))))


def part(name: str, rounds: int) -> None:
    """One of two processes: do a part, and let the first print."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        if name == "sent":
            found: Any = sent()
        elif name == "seconds":
            found = seconds(rounds)
        else:
            mine = torch.tensor([memory(name == "memory, LoRA")])
            parts = [torch.zeros(1) for _ in range(PROCESSES)]
            dist.all_gather(parts, mine)
            found = [round(p.item(), 1) for p in parts]
        if dist.get_rank() == 0:
            print(json.dumps(found), flush=True)
    finally:
        dist.destroy_process_group()


# Four workers, and what they send

WIDTHS = (64, 64, 64, 10)
WORKERS, ROWS, STEPS, MOMENTUM, LOW = 4, 16, 200, 0.9, 2
RATES = tuple(0.0125 * 2**k for k in range(8))
TRIALS, SEEDS = (-2, -1, 0), tuple(range(1, 11))


def losses(weights: Parameters, X: Array, y: NDArray[np.int_]) -> tuple[Array, Parameters]:
    """Each worker's mean cross-entropy of a network with ReLUs, and its gradients: X is (workers, rows, 64)."""
    inputs, h = [], X
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        inputs.append(h)
        h = h @ W.T + b
        if W is not weights[-2]:
            h = np.maximum(h, 0)
    h = h - h.max(axis=-1, keepdims=True)
    p = np.exp(h) / np.exp(h).sum(axis=-1, keepdims=True)
    true = np.arange(p.shape[-1]) == y[..., None]
    found, D = [], (p - true) / y.shape[-1]
    for W, x in zip(weights[-2::-2], inputs[::-1], strict=True):
        found += [D.sum(axis=-2), D.mT @ x]
        D = (D @ W) * (x > 0)
    return -np.log(np.maximum(p[true], 1e-300)).reshape(y.shape).mean(axis=-1), found[::-1]


def power(Ms: Array, Q: Array) -> tuple[Array, Array]:
    """One step of PowerSGD, as in the chapter; the workers' matrices are stacked."""
    P = np.linalg.qr((Ms @ Q).mean(axis=0))[0]
    return P, (Ms.mT @ P).mean(axis=0)


class Messages:
    """What comes out of the workers' gradients of one matrix, by one of the ways; it keeps Q and the residuals."""

    def __init__(self, way: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.way, self.rng = way, rng
        self.low = len(shape) == 2 and not way.startswith("plain averaging")
        self.Q = rng.standard_normal((shape[-1], LOW))
        self.residuals: Array | float = 0.0
        self.sent = LOW * sum(shape) if self.low else int(np.prod(shape))

    def __call__(self, gradients: Array) -> Array:
        if not self.low:
            return gradients.mean(axis=0)
        Ms = gradients + self.residuals
        if self.way == "random entries":
            applied = np.zeros(Ms[0].size)
            places = self.rng.choice(applied.size, self.sent, replace=False)
            applied[places] = Ms.reshape(WORKERS, -1)[:, places].mean(axis=0)
            applied = applied.reshape(Ms[0].shape)
        else:
            if self.way == "PowerSGD, a new random Q":
                self.Q = self.rng.standard_normal(self.Q.shape)
            P, self.Q = power(Ms, self.Q)
            applied = P @ self.Q.T
        if self.way != "PowerSGD, no error feedback":
            self.residuals = Ms - applied
        return applied


WAYS = (
    "plain averaging",
    "plain averaging, as many bytes",
    "random entries",
    "PowerSGD, no error feedback",
    "PowerSGD, a new random Q",
    "PowerSGD",
)


def digits(seed: int) -> tuple[Digits, Digits]:
    """Training and test digits of a seed; a trial is tested on the 300 that choose the rates and are in no other."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    order = np.random.default_rng(190).permutation(len(y))
    chosen, others = order[:300], np.random.default_rng(1000 + seed).permutation(order[300:])
    test, train = (chosen if seed in TRIALS else others[:300]), others[300:]
    return (X[train], y[train]), (X[test], y[test])


def trained(way: str, rate: float, seed: int) -> dict[str, float]:
    """Loss and accuracy on held-out digits after a run, the loss on those learned, and how many numbers were sent."""
    rng = np.random.default_rng(2000 + seed)
    (X, y), test = digits(seed)
    weights: Parameters = []
    for m, n in zip(WIDTHS[1:], WIDTHS[:-1], strict=True):
        weights += [rng.standard_normal((m, n)) * (2 / n) ** 0.5, np.zeros(m)]
    ways = [Messages(way, W.shape, np.random.default_rng([3000 + seed, k])) for k, W in enumerate(weights)]
    few = sum(Messages("PowerSGD", W.shape, rng).sent for W in weights)
    every = round(sum(W.size for W in weights) / few) if way == "plain averaging, as many bytes" else 1
    passes = 1 + STEPS * WORKERS * ROWS // len(y)
    order = np.concatenate([rng.permutation(len(y)) for _ in range(passes)])
    batches = order[: STEPS * WORKERS * ROWS].reshape(STEPS, WORKERS, ROWS)
    velocity, kept, numbers = [np.zeros(W.shape) for W in weights], [0.0 for _ in weights], 0
    for step, rows in enumerate(batches, start=1):
        found = losses(weights, X[rows], y[rows])[1]
        kept = [K + G / every for K, G in zip(kept, found, strict=True)]
        if step % every == 0:
            for k, message in enumerate(ways):
                velocity[k] = MOMENTUM * velocity[k] + message(kept[k])
                weights[k] = weights[k] - rate * (1 - (step - 1) / STEPS) * velocity[k]
                numbers += message.sent
            kept = [0.0 for _ in weights]
        if not all(np.isfinite(W).all() for W in weights):
            return {"loss": math.inf, "accuracy": 0.1, "training": math.inf, "numbers": numbers}
    return {
        "loss": round(float(losses(weights, *test)[0]), 5),
        "accuracy": round(float((logits(weights, test[0]).argmax(axis=1) == test[1]).mean()), 5),
        "training": round(float(losses(weights, X, y)[0]), 6),
        "numbers": numbers,
    }


def logits(weights: Parameters, X: Array) -> Array:
    """What the network says of digits."""
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        X = X @ W.T + b
        if W is not weights[-2]:
            X = np.maximum(X, 0)
    return X


def rivals() -> dict[str, Any]:
    """Each way at its own best rate."""
    found = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for way in WAYS:
            tried = [statistics.mean(trained(way, rate, seed)["loss"] for seed in TRIALS) for rate in RATES]
            best = min(range(len(RATES)), key=tried.__getitem__)
            runs = [trained(way, RATES[best], seed) for seed in SEEDS]
            finite = [round(loss, 5) if np.isfinite(loss) else None for loss in tried]  # JSON has no infinity
            found[way] = {"tried": finite, "rate": RATES[best], "runs": runs}
            means = {key: statistics.mean(run[key] for run in runs) for key in runs[0]}
            print(f"{way:32s} rate {RATES[best]:.4f}", {k: round(v, 4) for k, v in means.items()}, flush=True)
    return found


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("sent", "memory", "seconds", "rivals"))
    parser.add_argument("--part")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.part:
        return part(arguments.part, arguments.rounds)

    measured: dict[str, Any] = {}
    old = json.loads(arguments.out.read_text("utf-8")) if arguments.only and arguments.out.exists() else {}
    if arguments.only in (None, "sent"):
        measured |= started("sent", 0)
        print(measured)
    if arguments.only in (None, "memory"):
        measured["megabytes of a process"] = {kind: started(f"memory, {kind}", 0) for kind in ("all weights", "LoRA")}
        print(measured["megabytes of a process"])
    if arguments.only in (None, "seconds"):
        measured["seconds of a step"] = started("seconds", arguments.rounds)
        print({name: statistics.median(times) for name, times in measured["seconds of a step"].items()})
    if arguments.only in (None, "rivals"):
        measured |= {"rates": list(RATES), "seeds": list(SEEDS), "of": rivals()}
    about = provenance("numpy", "torch", threads=1)
    store(arguments.out, {**old, **about, "processes": PROCESSES, **measured})


if __name__ == "__main__":
    main()
