"""Whether the stored outputs survive another CPU, another number of threads, and the oldest numpy and scipy allowed.

    python -m tools.portable

OpenBLAS is told to compute as another CPU does (OPENBLAS_CORETYPE), which changes last digits as that CPU would.
The oldest versions are the lower bounds in pyproject.toml; they go into .venv-oldest, where the package's own tests
run too.
Prints a table and what differs; exits with 1 where anything does.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
OLDEST = ROOT / ".venv-oldest"
PROBE = """
import numpy, scipy.linalg, threadpoolctl
A = numpy.random.default_rng(0).standard_normal((64, 64)) @ numpy.eye(64)
scipy.linalg.svd(numpy.linalg.solve(A, A))
info = threadpoolctl.threadpool_info()
found = {f"{i['architecture']} with {i['num_threads']}" for i in info if "architecture" in i}
print(f"numpy {numpy.__version__}, scipy {scipy.__version__}, OpenBLAS for", *sorted(found), "thread(s)")
"""


class Setting(NamedTuple):
    """A way to run the notebooks: its name in the table, a Python, a CPU for OpenBLAS ("": its choice), threads."""

    name: str
    python: pathlib.Path
    core: str
    threads: int
    paths: tuple[str, ...] = ("chapters",)

    def environment(self) -> dict[str, str]:
        """The environment that makes it so; MKL_CBWR does for torch what the core does for numpy."""
        variables = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        if self.core:
            variables |= {"OPENBLAS_CORETYPE": self.core, "MKL_CBWR": "COMPATIBLE"}
        return {**os.environ, **variables}

    def probe(self) -> str | None:
        """Versions, CPU and threads as numpy reports them; None where this machine's CPU cannot do it."""
        done = subprocess.run([self.python, "-c", PROBE], env=self.environment(), capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None


def lower_bounds() -> dict[str, str]:
    """The oldest version of each dependency that pyproject.toml allows."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return dict(dependency.split(">=") for dependency in dependencies)


def oldest_environment() -> pathlib.Path:
    """Make .venv-oldest where it is missing or out of date; its Python."""
    python, stamp = OLDEST / "bin" / "python", OLDEST / ".installed"
    pins = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "requirements.txt")]
    version = hashlib.sha256(b"".join(pins)).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return python
    base = sys.executable if sys.version_info < (3, 13) else shutil.which("python3.11") or shutil.which("python3.12")
    if base is None:
        sys.exit("The oldest numpy allowed has no wheels for this Python: put Python 3.11 or 3.12 on the path.")
    bounds = lower_bounds()
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lock if line.split("==")[0] not in bounds]
    print("Installing", ", ".join(f"{name} {version}" for name, version in bounds.items()), "into .venv-oldest.")
    shutil.rmtree(OLDEST, ignore_errors=True)
    subprocess.run([base, "-m", "venv", OLDEST], check=True)
    (OLDEST / ".gitignore").write_text("*\n", encoding="utf-8")
    constraints = OLDEST / "constraints.txt"
    constraints.write_text("\n".join(kept + [f"{name}=={version}" for name, version in bounds.items()]) + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    subprocess.run([*install, "setuptools", "wheel"], check=True)
    subprocess.run([*install, "--no-build-isolation", "--editable", f"{ROOT}[test,torch,peft]"], check=True)
    stamp.write_text(version, encoding="utf-8")
    return python


def settings() -> list[Setting]:
    """What is run: Prescott, SkylakeX or else the CPU's own kernels with two threads, and the oldest versions."""
    here = pathlib.Path(sys.executable)
    two = Setting("SkylakeX, 2", here, "SkylakeX", 2)
    if two.probe() is None:
        print("This machine's CPU has no AVX-512: Haswell with two threads stands in for SkylakeX.")
        two = Setting("Haswell, 2", here, "Haswell", 2)
    oldest = Setting("oldest, 1", oldest_environment(), "", 1, ("chapters", "lowrank_helpers", "tests"))
    return [Setting("Prescott, 1", here, "Prescott", 1), two, oldest]


def run(setting: Setting) -> tuple[dict[str, list[int]], str]:
    """How many tests passed and failed, of each notebook and of the rest, and what pytest says of the failures."""
    report = ROOT / "_build" / "portable.xml"
    report.parent.mkdir(exist_ok=True)
    ignored = [f"--ignore-glob=tests/test_{name}*.py" for name in ("book", "colab", "notebooks", "repository")]
    workers = max(1, (os.cpu_count() or 1) // setting.threads)
    command = [setting.python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--color=no"]
    command += ["-W", "default::DeprecationWarning", "-n", str(min(workers, 2)), f"--junitxml={report}"]
    done = subprocess.run(
        [*command, *ignored, *setting.paths], cwd=ROOT, env=setting.environment(), capture_output=True, text=True
    )
    counts: dict[str, list[int]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        chapter = re.search(r"chapters[./](\w+)", case.get("classname", ""))
        row = counts.setdefault(chapter[1] if chapter else "the package's tests", [0, 0])
        row[case.find("failure") is not None or case.find("error") is not None] += 1
    if not counts:
        sys.exit(done.stdout + done.stderr)
    return counts, "" if done.returncode == 0 else done.stdout


def main() -> None:
    """Run all settings, print the table, exit with 1 where an output differs."""
    results = []
    for setting in settings():
        print(f"{setting.name}: {setting.probe()}", flush=True)
        results.append((setting.name, *run(setting)))
    rows = sorted({row for _, counts, _ in results for row in counts})
    print(f"\n{'':24s}" + "".join(f"{name:>16s}" for name, _, _ in results))
    for row in rows:
        cells = [counts.get(row) for _, counts, _ in results]
        shown = ["" if c is None else f"{c[0]} pass" if not c[1] else f"{c[1]} DIFFER" for c in cells]
        print(f"{row:24s}" + "".join(f"{cell:>16s}" for cell in shown))
    for name, _, failures in results:
        if failures:
            print(f"\n{name}\n{failures}")
    sys.exit(any(failures for _, _, failures in results))


if __name__ == "__main__":
    main()
