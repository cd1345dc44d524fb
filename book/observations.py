"""The book's observations as data: what was measured, how fairly, and what would overturn the verdict.

A sentence that says what is better, faster or enough on data is an observation, unless it is a theorem or a citation.
It is numbered in its chapter, and ``book/claims/chNN_name.py`` has its `Observation` in ``OBSERVATIONS``, under its
label. ``tests/book/test_observations.py`` holds all to the rules of a fair comparison (`faults`) and to their verdicts.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Chosen = Mapping[str, Mapping[str, Sequence[Any]]]


class Contender(NamedTuple):
    """One of those that are compared.

    name
        As the chapter's table has it. One that runs on values that nobody chose has "defaults" in its name.
    grid
        Each setting that was chosen, with all values that were tried, in their order; empty where nothing was.
    first, last
        Settings whose grid begins, or ends, where the method does, and why: there the value chosen may lie at the edge.
    fixed
        Why nothing was to be chosen, where the grid is empty: the method has no setting, or theory gives it.
    """

    name: str
    grid: Mapping[str, Sequence[Any]] = {}
    first: Mapping[str, str] = {}
    last: Mapping[str, str] = {}
    fixed: str = ""


class Protocol(NamedTuple):
    """How contenders were compared.

    baseline
        The name of the trivial contender, which stands first.
    contenders
        All of them, the baseline first.
    tested_on, tuned_on
        The data of the verdict, and those on which settings were chosen; the second is empty where none were.
    runs
        How many draws, splits or subjects the interval is made of.
    interval
        What it is: "95 %, paired, over the folds". Where a single exact computation is the measurement, "none: " and
        why one is enough.
    """

    baseline: str
    contenders: Sequence[Contender]
    tested_on: str
    runs: int
    interval: str
    tuned_on: str = ""


class Observation(NamedTuple):
    """One finding, made executable.

    measured
        Called, it gives the measurements: a chapter's function run again, or ``results.load`` with what was stored.
    protocol
        How they were taken.
    verdict
        True where the measurements bear out what the chapter says. It looks at nothing else.
    numbers
        What the chapter prints of them in the observation's text, as written there.
    sharp
        In words, a change of the measurements that overturns the verdict, and the function that makes it: the rival
        better by its interval, the control alike, the winner at the edge of its grid.
    chosen
        For each contender with a grid the values chosen of each setting, one for each time that it was chosen.
    """

    measured: Callable[[], Any]
    protocol: Protocol
    verdict: Callable[[Any], bool]
    numbers: Callable[[Any], Sequence[str]]
    sharp: Mapping[str, Callable[[Any], Any]]
    chosen: Callable[[Any], Chosen] = lambda measured: {}


def faults(protocol: Protocol, chosen: Chosen) -> list[str]:
    """What is unfair in a comparison in which these settings were chosen, in words; nothing where all is well."""
    found = []
    names = [contender.name for contender in protocol.contenders]
    if len(names) < 2 or len(set(names)) < len(names):
        found.append("two contenders at least, each with a name of its own")
    if protocol.baseline != next(iter(names), None):
        found.append(f"the baseline, {protocol.baseline}, does not stand first")
    tuned = [contender for contender in protocol.contenders if contender.grid]
    if len({tried(contender) for contender in tuned}) > 1:
        found.append(f"settings tried: {', '.join(f'{c.name} {tried(c)}' for c in tuned)}")
    for contender in protocol.contenders:
        found += [f"{contender.name}: {fault}" for fault in _own_faults(contender, chosen.get(contender.name, {}))]
    if tuned and not protocol.tuned_on:
        found.append("settings were chosen, on no data")
    if not protocol.tested_on or protocol.tuned_on == protocol.tested_on:
        found.append("settings were chosen on the data of the verdict")
    if not protocol.interval or (protocol.runs < 5 and not protocol.interval.startswith("none: ")):
        found.append(f"no interval that {protocol.runs} runs could give")
    return found


def tried(contender: Contender) -> int:
    """How many settings of a contender were tried."""
    return prod(len(values) for values in contender.grid.values())


def _own_faults(contender: Contender, chosen: Mapping[str, Sequence[Any]]) -> list[str]:
    if not contender.grid:
        return [] if contender.fixed or "defaults" in contender.name else ["neither chosen, nor fixed, nor defaults"]
    found = []
    for setting, values in contender.grid.items():
        picked = set(chosen.get(setting, ()))
        if not picked or not picked <= set(values):
            found.append(f"what was chosen for {setting} is not known")
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        edges = {values[place] for place, why in ((0, contender.first), (-1, contender.last)) if setting not in why}
        if numeric and len(values) > 1 and picked & edges:
            found.append(f"{setting} was chosen at the edge of its grid")
    return found


def holds(observation: Observation, measured: Any) -> bool:
    """Whether these measurements bear the finding out, and were taken fairly."""
    return not faults(observation.protocol, observation.chosen(measured)) and bool(observation.verdict(measured))


def student(values: Sequence[float]) -> tuple[float, float]:
    """The mean of some values and half of its interval of 95 %, by Student's t: of differences, for a pairing."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)
