"""What the book measured: the stored figures of each study, with when, with what and on what they were measured.

``svd``, ``svd_growth``, ``nmf``, ``lsa``, ``completion``, ``lora``, ``many_adapters`` and ``scale_…`` hold our code
beside other libraries (``benchmarks/peers/``); ``cpu_…`` and ``gpu_…`` are parts of the study of fine-tuning
(``benchmarks/gpu/``) in its two sizes; the others belong to observations of the chapters (``benchmarks/findings/``).
Each study ran on one
machine: its figures can be compared with one another, and not with those of another study.
"""

import json
import reprlib
from importlib import resources
from typing import Any

from lowrank_helpers import _checks

_FOLDER = resources.files("lowrank_helpers") / "data" / "results"


def names() -> list[str]:
    """Return the names of the studies that there are figures of.

    Returns
    -------
    list of str
        In the order of the alphabet, such as "completion", "cpu_grid", "svd".

    Examples
    --------
    >>> "svd" in names()
    True
    """
    return sorted(file.name.removesuffix(".json") for file in _FOLDER.iterdir() if file.name.endswith(".json"))


def load(name: str) -> dict[str, Any]:
    """Return the stored figures of one study.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    dict
        The figures under the keys of the study's own, new each time, and always

        - "date", a str: the day of the measurements, of the last ones where there are several;
        - "versions", a dict: of Python and of the libraries that took part, each a str, None for what was not there;
        - "device", a str: "CPU", with its architecture where that was noted, or the name of a GPU;
        - "threads", an int: how many there were, or None where that was not noted.

    Raises
    ------
    ValueError, TypeError
        There is no study of that name.

    Examples
    --------
    >>> study = load("svd")
    >>> sorted(study)[:3]
    ['cases', 'date', 'device']
    >>> study["cases"]["tall"]["shape"]
    [20000, 1000]
    """
    if not isinstance(name, str) or name not in names():
        error = _checks.invalid if isinstance(name, str) else _checks.mistyped
        raise error(f"name must be one of results.names(), such as 'svd'; got {reprlib.repr(name)}. Pass one of them.")
    study: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    study.setdefault("threads", None)
    return study
