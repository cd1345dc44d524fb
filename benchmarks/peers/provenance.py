"""What every study says of itself: when, with what, and on what it was measured."""

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

RESULTS = Path(__file__).resolve().parents[2] / "lowrank_helpers" / "data" / "results"


def provenance(*libraries: str, threads: int | None = None) -> dict[str, Any]:
    """Return date, versions, threads, device and the machine's load: what `results.load` promises, and more."""
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in libraries},
        "threads": threads or max(pool["num_threads"] for pool in threadpool_info()),
        "device": f"CPU, {platform.machine()}",
        "processors": os.cpu_count(),
        "load of the machine at the start": round(os.getloadavg()[0], 1),
    }
