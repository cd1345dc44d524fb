"""What every study says of itself: when, with what, and on what it was measured; and how it is stored."""

import datetime
import json
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


def store(path: Path, document: dict[str, Any], indent: int | None = 1) -> None:
    """Write a study's figures, as `results.load` reads them; without an indent in few bytes."""
    tight = (",", ":") if indent is None else None
    path.write_text(json.dumps(document, indent=indent, separators=tight, ensure_ascii=False) + "\n", "utf-8")
