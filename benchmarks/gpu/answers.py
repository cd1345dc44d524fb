"""The answers to the grid's questions, computed from its measurements, whichever way they fall.

Differences are taken between runs of the same seed, which saw the same sequences in the same order. An interval is
Student's for the mean over the seeds, of 95 %; a verdict is given only where the whole interval is on one side, and is
"undecided" otherwise.
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
            "forgetting": {str(rank): _forgetting(full, lora) for rank, lora in by_rank.items()},
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
    """Return the runs that give results, by seed; those that diverged, and those for tuning, left out."""
    runs = [m for m in here if _is(m, method, rank) and m["of"]["seed"] != TUNING_SEED]
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


def _forgetting(full: dict[int, Result], lora: dict[int, Result]) -> Result:
    """How much more LoRA loses on the source than full fine-tuning: at the end, and at equal target loss."""
    seeds = sorted(lora.keys() & full.keys())
    at_end = [lora[s]["forgetting"] - full[s]["forgetting"] for s in seeds]
    at_equal = [_at_equal_target(lora[s]["path"], full[s]["path"]) for s in seeds]
    return {
        "at the end": _judged(at_end, 0.0, "less", "more"),
        "at equal target loss": _judged([d for d in at_equal if d is not None], 0.0, "less", "more"),
    }


def _at_equal_target(lora: list[list[float]], full: list[list[float]]) -> float | None:
    """Return the difference of source losses where both first reach the lowest target loss that both reach."""
    level = max(min(point[1] for point in path) for path in (lora, full))
    first, second = _source_at(lora, level), _source_at(full, level)
    return None if first is None or second is None else first - second


def _source_at(path: list[list[float]], level: float) -> float | None:
    """Return the source loss where the target loss first falls to a level, on straight lines between the points."""
    for (_, target, source), (_, next_target, next_source) in pairwise(path):
        if target > level >= next_target:
            return source + (next_source - source) * (target - level) / (target - next_target)
    return None


def _rates(here: list[Result]) -> Result:
    """By what factor the best rate of LoRA exceeds that of full fine-tuning.

    Rates were tuned on one seed, on a grid. Between its points a parabola through the best one and its neighbours, in
    the logarithm of the rate, says where the least loss would be. That is trusted to half a step of the grid for either
    method; so the factor is uncertain by a whole step, √10, either way, and no interval over seeds is given.
    """
    full = best_rate(_losses(here, "full", None))
    ranks = {rank: best_rate(_losses(here, "lora", rank)) for rank in _ranks(here)}
    factors = {rank: best / full for rank, best in ranks.items() if best is not None and full is not None}
    if not factors:
        return {"full": full, "by rank": {}, "factor": None, "verdict": "undecided"}
    factor = math.exp(statistics.fmean(math.log(entry) for entry in factors.values()))
    step = math.sqrt(10)
    return {
        "full": full,
        "by rank": {str(rank): best for rank, best in ranks.items()},
        "factor by rank": {str(rank): entry for rank, entry in factors.items()},
        "factor": factor,  # the geometric mean over the ranks
        "bounds": [factor / step, factor * step],
        "literature": LITERATURE,
        "verdict": "agrees" if factor / step <= LITERATURE <= factor * step else "differs",
    }


def _losses(here: list[Result], method: str, rank: int | None) -> dict[float, float]:
    """Return the target losses of the tuning runs, by learning rate."""
    runs = [m for m in here if _is(m, method, rank) and m["of"]["seed"] == TUNING_SEED]
    return {m["of"]["learning_rate"]: math.inf if m["target_loss"] is None else m["target_loss"] for m in runs}


def best_rate(losses: dict[float, float]) -> float | None:
    """Return the rate at the lowest point of the parabola through the best one and its neighbours on the grid.

    The best itself where a neighbour is missing or diverged; None where nothing was measured.
    """
    rates = sorted(losses)
    if not rates or min(losses.values()) == math.inf:
        return None
    i = min(range(len(rates)), key=lambda k: losses[rates[k]])
    if not 0 < i < len(rates) - 1:
        return rates[i]
    left, middle, right = (losses[rate] for rate in rates[i - 1 : i + 2])
    bend = left - 2 * middle + right
    if not 0 < bend < math.inf:
        return rates[i]
    return rates[i] * 10 ** (0.5 * 0.5 * (left - right) / bend)  # half a decade a step


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
