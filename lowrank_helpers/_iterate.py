"""The loop of every iterative method: steps until one has converged, the limit is reached, or Ctrl-C ends it.

A method is a generator of its iterates, which knows neither limit nor progress bar: what it does can be read without.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lowrank_helpers import _checks

S = TypeVar("S")


class Iterate(NamedTuple, Generic[S]):
    """Where a method is, what it minimises there, whether it has converged; if not, what is missing, and what to do."""

    state: S
    objective: float
    converged: bool
    missing: str


class Ended(NamedTuple, Generic[S]):
    """The state of the last iterate, the objective of each, and whether the method has converged."""

    state: S
    objective: NDArray[np.float64]
    converged: bool


def iterate(
    iterates: Iterator[Iterate[S]], start: S, limit: int, progress: bool | None, unit: str = "iterations"
) -> Ended[S]:
    """Take iterates until one has converged, or there are no more, which means the same; at the limit, warn.

    Where nothing is missing, the limit is the end that was asked for. After Ctrl-C there is no warning, and the state
    is the last that was reached, `start` before the first.
    """
    state, objective, converged, missing = start, list[float](), False, ""
    with bar(limit, progress) as shown:
        try:
            for now in islice(iterates, limit):
                state, converged, missing = now.state, now.converged, now.missing
                objective.append(now.objective)
                shown.update()
                if converged:
                    break
            else:
                converged = len(objective) < limit or not missing
                if not converged:
                    _checks.warn(f"not converged after {limit} {unit}; {missing}")
        except KeyboardInterrupt:
            converged = False
    return Ended(state, np.array(objective), converged)


def bar(total: int, progress: bool | None) -> Any:
    """Return a progress bar of tqdm with the name of the function that was called; by default on a terminal only."""
    shown = _checks.progress_shown(progress)
    from tqdm import tqdm

    return tqdm(total=total, disable=not shown, desc=_checks.caller(), leave=False)
