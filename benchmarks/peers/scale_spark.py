"""Spark's ALS and ours at the same objective, in turns, on two threads of one machine.

    OMP_NUM_THREADS=2 python -m benchmarks.peers.scale_spark [--parts ratings growth] [--sizes 100000 …]

Needs Java and Spark (``make test-spark`` installs it). The result goes into
lowrank_helpers/data/results/scale_spark.json if it is of MovieLens, else into _build/. LOWRANK_DATA names the folder
with MovieLens; without it, the generated ratings serve.

- ratings: five random folds. Ours and the biases choose one of nine settings on a tenth of each training part, never on
  the test part; Spark, whose objective is the same, is fitted at the λ that ours chose, in turns with it. Places whose
  user or item the training part has not are predicted by its mean, for both.
- growth: generated tables of up to 20 million ratings, rank 10, fifteen sweeps: seconds, objective, and the highest
  memory of each process, the table in it. Spark's is Java, which takes most of what it is allowed before it cleans.

Seconds are those of the clock, and of all processors together, Java's included: other work on the machine does not
count in the second. The start of Spark, and its first fit, while Java still compiles, are measured apart.
"""

import argparse
import contextlib
import json
import os
import pathlib
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import scipy.sparse

from benchmarks.peers.completion import OPTIONS, biases, places, rmse, table
from benchmarks.peers.provenance import RESULTS, provenance, store
from benchmarks.peers.spark import factors, fit, objective, session
from lowrank_helpers.completion import als_complete
from lowrank_helpers.datasets import load

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDS = [f"fold {k}" for k in range(5)]
PENALTIES = (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3)
RANK, SWEEPS = 10, 30
SIZES = {100_000: 3, 1_000_000: 3, 5_000_000: 1, 20_000_000: 1}  # ratings, and rounds
GROWN_PENALTY, GROWN_SWEEPS = 0.05, 15


def processor_seconds(java: int) -> float:
    """What this process and Java have computed so far, all of their threads together."""
    fields = pathlib.Path(f"/proc/{java}/stat").read_text("ascii").rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def java_of(spark: Any) -> int:
    return int(spark.sparkContext._gateway.proc.pid)


def timed(function: Callable[[], Any], java: int) -> tuple[Any, dict[str, float]]:
    """What a function returns, and its seconds, of the clock and of the processors."""
    start, computed = time.perf_counter(), processor_seconds(java)
    result = function()
    clock, computed = time.perf_counter() - start, processor_seconds(java) - computed
    return result, {"seconds": round(clock, 3), "processor seconds": round(computed, 3)}


def status(pid: int | str, key: str) -> float:
    """A figure of a process in megabytes, such as VmHWM."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


@contextlib.contextmanager
def highest(pid: int | str, into: list[float]) -> Any:
    """Note how many megabytes a process has at most meanwhile, with its data and libraries."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")  # the highest mark starts anew
    yield
    into.append(round(status(pid, "VmHWM")))


@contextlib.contextmanager
def framed(spark: Any, users: Any, items: Any, ratings: Any) -> Any:
    """A list of ratings as Spark's frame, read from a file as it would be, and kept in memory."""
    columns = {"user": users.astype(np.int32), "item": items.astype(np.int32), "rating": ratings.astype(np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        pyarrow.parquet.write_table(pyarrow.table(columns), f"{folder}/ratings.parquet")
        frame = spark.read.parquet(f"{folder}/ratings.parquet").repartition(2).cache()
        frame.count()
        yield frame
        frame.unpersist(blocking=True)


def ours(observed: Any, penalty: float, rank: int, sweeps: int) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it makes as many sweeps as Spark, converged or not
        found = als_complete(observed, rank, penalty=penalty, weighted=True, max_iterations=sweeps, tolerance=0.0)
    return found.W, found.H


def predicted(ratings: Any, part: Any, where: Any, W: Any, H: Any) -> Any:
    """Predictions from factors; the mean of the training part where a user or an item is not in it."""
    i, j = ratings.users[where], ratings.items[where]
    known = np.isin(i, ratings.users[part]) & np.isin(j, ratings.items[part])
    return np.where(known, np.einsum("kr,kr->k", W[i], H.T[j]), ratings.ratings[part].mean())


def contest(ratings: Any, split: str, spark: Any) -> dict[str, Any]:
    """Choose the settings of all on a tenth of the training part; fit ours and Spark's at the same λ, and test."""
    test, rest, inner = places(ratings, split)
    outer = np.setdiff1d(rest, inner)

    def listed(part: Any) -> tuple[Any, Any, Any]:
        return ratings.users[part], ratings.items[part], ratings.ratings[part]

    def error(part: Any, where: Any, pair: tuple[Any, Any]) -> float:
        return rmse(ratings, where, predicted(ratings, part, where, *pair))

    damping = [dict(zip(OPTIONS["biases"], pair, strict=True)) for pair in product(*OPTIONS["biases"].values())]
    trials = [rmse(ratings, inner, biases(ratings, outer, **options)(inner)) for options in damping]
    chosen = damping[int(np.argmin(trials))]
    mean = np.full(len(test), ratings.ratings[rest].mean())
    row: dict[str, Any] = {
        "mean": {"rmse": rmse(ratings, test, mean)},
        "biases": {"chosen": chosen, "rmse": rmse(ratings, test, biases(ratings, rest, **chosen)(test))},
    }
    trials = [error(outer, inner, ours(table(ratings, outer), lam, RANK, SWEEPS)) for lam in PENALTIES]
    lam = PENALTIES[int(np.argmin(trials))]
    row["ours"] = {"chosen": {"penalty": lam}, "validation": trials}
    row["Spark"] = {}
    observed = table(ratings, rest)
    with framed(spark, *listed(rest)) as frame:
        runs: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(observed, lam, RANK, SWEEPS),
            "Spark": lambda: fit(frame, RANK, lam, SWEEPS),
        }
        for name, run in runs.items():
            found, took = timed(run, java_of(spark))
            pair = found if name == "ours" else factors(found, ratings.shape)
            row[name] |= took | {"rmse": error(rest, test, pair), "objective": objective(*listed(rest), *pair, lam)}
    return row


def grown(count: int) -> tuple[Any, Any, Any, tuple[int, int]]:
    """About so many ratings: a hundred for each user on average, five users for each item, the first items the most
    rated; stars from factors of rank 4, with noise."""
    rng = np.random.default_rng(count)
    m, n = count // 100, count // 500
    pairs = rng.integers(m, size=count) * n + (n * rng.random(count) ** 1.5).astype(np.int64)
    users, items = np.divmod(np.unique(pairs), n)
    P, Q = rng.standard_normal((m, 4)) / 2, rng.standard_normal((n, 4)) / 2
    stars = 3.5 + np.einsum("kr,kr->k", P[users], Q[items]) + rng.normal(0, 0.5, len(users))
    return users, items, stars.astype(np.float32).astype(float), (m, n)


def growth(count: int, rounds: int, spark: Any) -> dict[str, Any]:
    users, items, stars, shape = grown(count)
    observed = scipy.sparse.coo_array((stars, (users, items)), shape=shape)
    java = java_of(spark)
    row: dict[str, Any] = {"ratings": len(users), "shape": shape, "load": round(os.getloadavg()[0], 1)}
    memory: dict[str, list[float]] = {"ours": [], "Spark": []}
    row |= {name: {"seconds": [], "processor seconds": []} for name in memory}
    with framed(spark, users, items, stars) as frame:
        runs: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(observed, GROWN_PENALTY, RANK, GROWN_SWEEPS),
            "Spark": lambda: fit(frame, RANK, GROWN_PENALTY, GROWN_SWEEPS),
        }
        for _ in range(rounds):
            for name, run in runs.items():
                with highest("self" if name == "ours" else java, memory[name]):
                    found, took = timed(run, java)
                for clock, seconds in took.items():
                    row[name][clock].append(seconds)
                pair = found if name == "ours" else factors(found, shape)
                row[name]["objective"] = objective(users, items, stars, *pair, GROWN_PENALTY)
    for name, each in memory.items():
        row[name]["megabytes"] = max(each)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("ratings", "growth"), default=["ratings", "growth"])
    parser.add_argument("--sizes", nargs="+", type=int, choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--memory", default="6g", help="what Java may take for Spark")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    offline = not os.environ.get("LOWRANK_DATA")
    if options.output is None:
        options.output = (ROOT / "_build" if offline else RESULTS) / "scale_spark.json"
        options.output.parent.mkdir(exist_ok=True)
    ratings = load("ratings") if offline else load("ratings", online=True)
    kept = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}  # it can be run in pieces
    result: dict[str, Any] = kept | provenance("numpy", "scipy", "pyspark", threads=2)
    result |= {"data": "generated" if offline else "ratings", "rank": RANK, "sweeps": SWEEPS, "penalties": PENALTIES}
    result |= {"growth's penalty": GROWN_PENALTY, "growth's sweeps": GROWN_SWEEPS, "Java may take": options.memory}
    start = time.perf_counter()
    with session(options.memory) as spark:
        spark.range(1).count()
        result["start-up seconds"] = round(time.perf_counter() - start, 2)
        result["versions"]["java"] = spark.sparkContext._jvm.java.lang.System.getProperty("java.version")
        with framed(spark, ratings.users, ratings.items, ratings.ratings) as frame:
            result["first fit"] = timed(lambda: fit(frame, RANK, 0.1, SWEEPS), java_of(spark))[1]
        if "ratings" in options.parts:
            result["folds"] = {}
            for split in FOLDS:
                result["folds"][split] = contest(ratings, split, spark)
                print(split, result["folds"][split], flush=True)
                store(options.output, result)
        if "growth" in options.parts:
            for count in options.sizes:
                row = {"asked for": count} | growth(count, SIZES[count], spark)
                others = [other for other in result.get("growth", []) if other["asked for"] != count]
                result["growth"] = sorted([*others, row], key=lambda row: row["ratings"])
                print(row, flush=True)
                store(options.output, result)


if __name__ == "__main__":
    main()
