"""Time chapters in fresh kernels: seconds, the slowest cell, the kernel's peak memory, the notebook's size.

    python -m tools.time_chapters [chapters/01_norms.ipynb …]

The notebooks are left as they are. What is over the book's limits is marked with an asterisk.
"""

import os
import pathlib
import subprocess
import sys
import time
from datetime import datetime

import nbformat
from nbclient import NotebookClient

from book import ledger

LIMITS = (60.0, 2048.0, 2000.0)  # seconds, megabytes of memory, kilobytes of the file
PEAK = "import resource, sys; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def seconds(cell: nbformat.NotebookNode) -> float:
    """How long a cell ran, from the times that nbclient leaves in its metadata."""
    times = cell.metadata.execution
    start, end = (datetime.fromisoformat(times[key]) for key in ("iopub.execute_input", "shell.execute_reply"))
    return (end - start).total_seconds()


def measure(path: pathlib.Path) -> tuple[float, tuple[float, int], float, float]:
    """Seconds in all, those of the slowest cell with its execution count, peak megabytes, kilobytes of the file."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    start = time.perf_counter()
    client.execute(stderr=subprocess.DEVNULL)
    total = time.perf_counter() - start
    slowest = max((seconds(cell), cell.execution_count) for cell in notebook.cells if cell.cell_type == "code")
    peak = int(notebook.cells[-1].outputs[0].text) / (1024**2 if sys.platform == "darwin" else 1024)
    return total, slowest, peak, path.stat().st_size / 1e3


def main() -> None:
    """Measure what the command line names and print the table."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    print(f"{'chapter':24s}{'seconds':>9s}{'slowest cell':>16s}{'peak MB':>9s}{'file kB':>9s}")
    totals = []
    for path in [pathlib.Path(name) for name in sys.argv[1:]] or ledger.chapters():
        total, (slowest, count), *sizes = measure(path)
        totals.append(total)
        over = any(value > limit for value, limit in zip((total, *sizes), LIMITS, strict=True))
        row = f"{path.stem:24s}{total:9.1f}{f'{slowest:.1f} in [{count}]':>16s}{sizes[0]:9.0f}{sizes[1]:9.0f}"
        print(row + " *" * over)
    print(f"{'mean':24s}{sum(totals) / len(totals):9.1f}")


if __name__ == "__main__":
    main()
