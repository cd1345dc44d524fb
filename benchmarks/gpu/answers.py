"""The answers to the grid's questions, computed from its measurements, whichever way they fall.

What is learned and what is forgotten are two aims, so methods are compared by their frontiers: of all points of all
paths, at all rates, those that no other one of the method beats in both. Differences are taken between runs of the same
seed, which saw the same sequences in the same order. An interval is Student's for the mean over the seeds, of 95 %; a
verdict is given only where the whole interval is on one side, and is "undecided" otherwise.
"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

Result = dict[str, Any]
# The quantile 0.975 of Student's t for 1, 2, … degrees of freedom.
STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646)
CLOSE = 0.02  # of the target loss
LITERATURE = 10.0  # times the rate of full fine-tuning
TUNING_SEED = 0
DEPTHS = (0.8, 0.9, 1.0)  # of the way from the base's target loss to the lowest that both methods reach on every seed
RATES_OF_A_FRONTIER = 3
NEAR = 1.15  # a loss more than 15 % above the least is no point of a parabola


def answers(measurements: Sequence[Result]) -> Result:
    """Answer the three questions for each target, as far as the measurements go.

    Parameters
    ----------
    measurements : sequence of dict
        Those of the grid. Failed ones do not count, and of several bases only the one measured last.

    Returns
    -------
    dict
        For each target a dict of the answers "within 2 %", "forgetting" and "learning rate".
    """
    whole = [m for m in measurements if "error" not in m]
    whole = [m for m in whole if m["of"]["base"] == whole[-1]["of"]["base"]]
    found = {}
    for target in dict.fromkeys(m["of"]["target"] for m in whole):
        here = [m for m in whole if m["of"]["target"] == target]
        full = _seeds(here, "full", None)
        by_rank = {rank: _seeds(here, "lora", rank) for rank in _ranks(here)}
        found[target] = {
            "within 2 %": _closeness(full, by_rank),
            "forgetting": {str(rank): _forgetting(here, rank) for rank in by_rank},
            "learning rate": _rates(here),
        }
    return found


def relatives(measurements: Sequence[Result]) -> Result:
    """Say for each relative of LoRA whether its target loss is lower than LoRA's, seed by seed, and at which rate.

    Parameters
    ----------
    measurements : sequence of dict
        Those of the part relatives. Failed ones do not count.

    Returns
    -------
    dict
        For each relative: its "rate", and how far its loss is from LoRA's on the same seed.
    """
    runs: dict[str, dict[int, Result]] = {}
    for m in measurements:
        if "error" not in m and m["target_loss"] is not None and m["of"]["seed"] != TUNING_SEED:
            runs.setdefault(m["of"]["relative"], {})[m["of"]["seed"]] = m
    lora = runs.pop("LoRA", {})
    found = {}
    for name, by_seed in runs.items():
        differences = [by_seed[s]["target_loss"] - lora[s]["target_loss"] for s in sorted(by_seed.keys() & lora.keys())]
        rate = next(iter(by_seed.values()))["of"]["learning_rate"]
        found[name] = {"rate": rate, "above LoRA": _judged(differences, 0.0, "better", "worse")}
    return found


def _is(m: Result, method: str, rank: int | None) -> bool:
    return (m["of"]["method"], m["of"]["rank"]) == (method, rank) and m["of"]["layers"] in (None, "all")


def _ranks(here: list[Result]) -> list[int]:
    return sorted({m["of"]["rank"] for m in here if m["of"]["method"] == "lora" and m["of"]["layers"] == "all"})


def _seeds(here: list[Result], method: str, rank: int | None) -> dict[int, Result]:
    """Return the runs at the best rate that give results, by seed; diverged ones, and those for tuning, left out."""
    tuning = _losses(here, method, rank)
    runs = [m for m in here if _is(m, method, rank) and m["of"]["seed"] != TUNING_SEED]
    if tuning:
        runs = [m for m in runs if m["of"]["learning_rate"] == min(tuning, key=lambda rate: tuning[rate])]
    return {m["of"]["seed"]: m for m in runs if m["target_loss"] is not None}


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's 95 % interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    half = STUDENT[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values) - half, statistics.fmean(values) + half


def _judged(values: Sequence[float], bound: float, below: str, above: str) -> Result:
    """Return mean, interval, and on which side of the bound the whole interval lies."""
    found = interval(values)
    verdict = "undecided"
    if found is not None and found[1] <= bound:
        verdict = below
    elif found is not None and found[0] > bound:
        verdict = above
    return {
        "mean": statistics.fmean(values) if values else None,
        "interval": None if found is None else list(found),
        "seeds": len(values),
        "verdict": verdict,
    }


def _closeness(full: dict[int, Result], by_rank: dict[int, dict[int, Result]]) -> Result:
    """How far LoRA's target loss is above that of full fine-tuning, relative to it, and where that is 2 % at most."""
    excess = {
        rank: [lora[s]["target_loss"] / full[s]["target_loss"] - 1 for s in sorted(lora.keys() & full.keys())]
        for rank, lora in by_rank.items()
    }
    judged = {rank: _judged(values, CLOSE, "within", "not within") for rank, values in excess.items()}
    return {
        "excess by rank": {str(rank): entry for rank, entry in judged.items()},
        "smallest rank by the mean": next(
            (rank for rank, entry in judged.items() if entry["mean"] is not None and entry["mean"] <= CLOSE), None
        ),
        "smallest rank by the interval": next(
            (rank for rank, entry in judged.items() if entry["verdict"] == "within"), None
        ),
    }


def _forgetting(here: list[Result], rank: int) -> Result:
    """How much more LoRA loses on the source than full fine-tuning, where both are at the same target loss.

    Each is at whichever of its rates and steps forgets least there. The lowest level is the lowest target loss that
    both reach on every seed; the others lie between it and the base.
    """
    paths = [_paths(here, *of) for of in (("full", None), ("lora", rank))]
    seeds = sorted(paths[0].keys() & paths[1].keys())
    rates = [sorted(set.intersection(*(set(of[seed]) for seed in seeds))) if seeds else [] for of in paths]
    points = [
        {seed: [point for rate in some for point in of[seed][rate]] for seed in seeds}
        for of, some in zip(paths, rates, strict=True)
    ]
    found = {"rates": dict(zip(("full", "lora"), rates, strict=True)), "levels": [], "at equal target loss": []}
    if not seeds:
        return found
    start = points[0][seeds[0]][0][1]
    deepest = max(min(target for _, target, _ in of[seed]) for of in points for seed in seeds)
    for depth in DEPTHS:
        level = start - depth * (start - deepest)
        full, lora = ([source_at(of[seed], level) for seed in seeds] for of in points)
        more = [a - b for a, b in zip(lora, full, strict=True) if a is not None and b is not None]
        found["levels"].append(level)
        found["at equal target loss"].append(_judged(more, 0.0, "less", "more"))
    return found


def _paths(here: list[Result], method: str, rank: int | None) -> dict[int, dict[float, list[list[float]]]]:
    """Return the paths of a method by seed and rate, where a seed has been run at enough rates for a frontier."""
    found: dict[int, dict[float, list[list[float]]]] = {}
    for m in here:
        if _is(m, method, rank) and m["of"]["seed"] != TUNING_SEED and m["target_loss"] is not None:
            found.setdefault(m["of"]["seed"], {})[m["of"]["learning_rate"]] = m["path"]
    return {seed: of for seed, of in found.items() if len(of) >= RATES_OF_A_FRONTIER}


def frontier(points: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return the target and source losses that no other point beats in both, from the highest target loss down.

    Parameters
    ----------
    points : sequence of (step, target loss, source loss)
    """
    found: list[tuple[float, float]] = []
    for target, source in sorted((target, source) for _, target, source in points):
        if not found or source < found[-1][1]:
            found.append((target, source))
    return found[::-1]


def source_at(points: Sequence[Sequence[float]], level: float) -> float | None:
    """Return the source loss of a frontier at a target loss, on straight lines between its points; None beside it."""
    corners = frontier(points)
    for (target, source), (next_target, next_source) in pairwise(corners):
        if target >= level >= next_target:
            return source + (next_source - source) * (target - level) / (target - next_target)
    return None


def _rates(here: list[Result]) -> Result:
    """By what factor the best rate of LoRA exceeds that of full fine-tuning.

    A parabola in the logarithm of the rate, through the best rate and its neighbours, says where the least loss would
    be, if both are near the best (`best_rate`). Where it can be drawn for both methods on the same seed, that seed has
    a factor, and the verdict is by the interval of its logarithm over the seeds that had no part in the tuning. The
    bounds need no parabola: a loss with one valley has it between the neighbours of the best rate.
    """
    full = _tuned_rate(here, "full", None)
    ranks = {rank: _tuned_rate(here, "lora", rank) for rank in _ranks(here)}
    found = {}
    for rank, lora in ranks.items():
        seeds = sorted({m["of"]["seed"] for m in here} - {TUNING_SEED})
        pairs = [[best_rate(_losses(here, *of, seed)) for of in (("full", None), ("lora", rank))] for seed in seeds]
        logs = [math.log10(pair[1] / pair[0]) for pair in pairs if None not in pair]
        judged = _judged(logs, math.log10(LITERATURE), "below", "above")
        found[str(rank)] = {
            "factor": None if judged["mean"] is None else 10 ** judged["mean"],  # the geometric mean over the seeds
            "interval": None if judged["interval"] is None else [10**end for end in judged["interval"]],
            "seeds": judged["seeds"],
            "bounds": [_ratio(lora["between"][0], full["between"][1]), _ratio(lora["between"][1], full["between"][0])],
            "verdict": judged["verdict"],
        }
    return {
        "full": full, "by rank": {str(rank): of for rank, of in ranks.items()}, "factor by rank": found,
        "literature": LITERATURE,
    }  # fmt: skip


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else above / below


def _tuned_rate(here: list[Result], method: str, rank: int | None) -> Result:
    """Return the best rate of the seed for tuning, and the rates tried beside it."""
    losses = _losses(here, method, rank)
    rates = sorted(losses)
    if not rates or min(losses.values()) == math.inf:
        return {"best": None, "between": [None, None]}
    i = min(range(len(rates)), key=lambda k: losses[rates[k]])
    beside = [rates[k] if 0 <= k < len(rates) else None for k in (i - 1, i + 1)]
    return {"best": rates[i], "between": beside}


def _losses(here: list[Result], method: str, rank: int | None, seed: int = TUNING_SEED) -> dict[float, float]:
    """Return the target losses of a seed, by learning rate: by default those of the tuning runs."""
    runs = [m for m in here if _is(m, method, rank) and m["of"]["seed"] == seed]
    return {m["of"]["learning_rate"]: math.inf if m["target_loss"] is None else m["target_loss"] for m in runs}


def best_rate(losses: dict[float, float]) -> float | None:
    """Return the rate at the lowest point of the parabola through the best one and its neighbours on the grid.

    None where no such parabola is to be had: a neighbour is missing, or its loss is not near the best one's.
    """
    rates = sorted(losses)
    if not rates or min(losses.values()) == math.inf:
        return None
    i = min(range(len(rates)), key=lambda k: losses[rates[k]])
    if not 0 < i < len(rates) - 1:
        return None
    beside = rates[i - 1 : i + 2]
    if max(losses[rate] for rate in beside) > NEAR * losses[rates[i]]:
        return None
    (x, y, z), (a, b, c) = (math.log10(rate) for rate in beside), (losses[rate] for rate in beside)
    first, second = (b - a) / (y - x), (c - b) / (z - y)
    bend = (second - first) / (z - x)
    return 10 ** ((x + y) / 2 - first / (2 * bend)) if bend > 0 else None


def lengths(measurements: Sequence[Result]) -> Result:
    """Say how far LoRA is above full fine-tuning for each number of steps, each at its own best rate."""
    whole = [m for m in measurements if "error" not in m]
    return {
        str(steps): {
            "rates": {m["of"]["method"]: m["of"]["learning_rate"] for m in here if m["of"]["seed"] != TUNING_SEED},
            "excess": _excess(_seeds(here, "full", None), _seeds(here, "lora", 8)),
        }
        for steps in sorted({m["of"]["steps"] for m in whole})
        for here in [[m for m in whole if m["of"]["steps"] == steps]]
    }


def _excess(full: dict[int, Result], lora: dict[int, Result]) -> Result:
    seeds = sorted(lora.keys() & full.keys())
    return _judged([lora[s]["target_loss"] / full[s]["target_loss"] - 1 for s in seeds], CLOSE, "within", "not within")
