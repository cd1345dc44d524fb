"""Whether tests, doctests and stored outputs hold on other processors, with more threads, on other versions of numpy.

    python -m tools.portable                                   every kernel that this processor can run
    python -m tools.portable --kernel Prescott                 one of them
    python -m tools.portable --kernel Prescott tests/package/svd tests/package/lora
    python -m tools.portable --quick                           the ledger, lora and randomized, on two other kernels
    python -m tools.portable --kernel own --threads 2 --versions oldest
    python -m tools.portable --kernel Haswell --full           with one thread and two, on all three versions

A kernel is what OpenBLAS has for a family of processors; OPENBLAS_CORETYPE makes it compute as that family does, which
changes last digits as such a processor would. numpy and scipy bring an OpenBLAS each, and both have to obey. numpy's
own loops and torch are told to compute as the same processor. "own" leaves everything to this processor.

The versions are those of the lock, in this environment; the lower bounds of pyproject.toml, in .venv-oldest; and the
newest of the same packages that there are for this Python, in .venv-newest.

Prints what runs and what cannot and why, a table, and what fails; exits with 1 where anything does, or where a kernel
that was asked for by its name cannot run here.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = ("oldest", "lock", "newest")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

# The kernels that the wheels of numpy and scipy hold, the oldest processor's first, and how torch's three libraries are
# told to compute as that processor does. Others take the newest that they can run: AMD's Zen takes Haswell's. MKL has
# something between COMPATIBLE and AVX2 for Intel's processors alone.
OLD = {"MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}
AVX2 = {"MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
X86 = {"Prescott": OLD, "Nehalem": OLD, "Sandybridge": OLD, "Haswell": AVX2, "SkylakeX": {}}
ARM = {name: {"ATEN_CPU_CAPABILITY": "default"} for name in ("ARMV8", "NEOVERSEN1")}
ARM["NEOVERSEN2"] = {}
KERNELS: dict[str, dict[str, str]] = {"x86_64": X86, "amd64": X86, "aarch64": ARM}.get(platform.machine().lower(), {})
CHOICES = {"OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", *OLD}

# Computes with both OpenBLAS, so that a kernel that this processor cannot run crashes here and not in a test.
PROBE = """
import json, pathlib, numpy, scipy.linalg, threadpoolctl
A = numpy.random.default_rng(0).standard_normal((64, 64)) @ numpy.eye(64)
numpy.linalg.svd(numpy.linalg.solve(A, A))
scipy.linalg.svd(A)
kernels = {}
for library in threadpoolctl.threadpool_info():
    folders = pathlib.Path(library["filepath"]).parts[:-1]
    owner = [name for name in ("numpy", "scipy") if {name, name + ".libs"} & set(folders)]
    if library["internal_api"] == "openblas":
        kernels[owner[0] if owner else library["filepath"]] = library["architecture"]
versions = {"numpy": numpy.__version__, "scipy": scipy.__version__}
loops = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
print(json.dumps({"versions": versions, "kernels": kernels, "loops": loops}))
"""
# One kernel serves four old processors, and OpenBLAS reports the first of their names.
REPORTED = {"Katmai": "Prescott"}

# What --quick runs: the tests with the closest margins, but for those marked slow (the benchmark beside other libraries
# and torch.compile, a fifth of the time).
LORA = [f"tests/package/lora/test_{name}.py" for name in ("product", "layer", "start", "switch", "peft")]
QUICK = ("tests/book/test_ledger.py", *LORA, "tests/package/svd/test_randomized.py")
# All that a kernel changes. The tests of pages, of the form of notebooks and of the repository read texts and install.
TESTS = ("lowrank_helpers", "tests/package", "tests/book/test_ledger.py", "tests/study", "chapters")
# Spark's need Java. On Windows: those that fork, and kill processes at once.
LEFT_OUT = ["tests/spark"]
if os.name == "nt":
    LEFT_OUT += ["tests/study", "tests/package/training/test_loop_resume.py"]


class Setting(NamedTuple):
    """A way to compute: a kernel, a number of threads, the versions, and the Python that has them."""

    kernel: str
    threads: int
    versions: str
    python: pathlib.Path

    @property
    def name(self) -> str:
        return ", ".join([self.kernel, str(self.threads), *([] if self.versions == "lock" else [self.versions])])


def environment(setting: Setting, loops: Sequence[str] = ()) -> dict[str, str]:
    """The variables that make it so; `loops` are the instructions for which numpy has loops that run here."""
    variables = {name: value for name, value in os.environ.items() if name not in CHOICES}
    variables |= dict.fromkeys(THREADS, str(setting.threads))
    if setting.kernel != "own":
        newer = "512|X86_V4" if KERNELS.get(setting.kernel) is AVX2 else "" if KERNELS.get(setting.kernel) else "$."
        off = [name for name in loops if re.search(newer, name)]
        variables |= {"OPENBLAS_CORETYPE": setting.kernel, **KERNELS.get(setting.kernel, {})}
        variables |= {"NPY_DISABLE_CPU_FEATURES": " ".join(off)} if off else {}
    return variables


def probe(python: pathlib.Path, variables: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """How a process that computed ended, and what it found: versions, the kernels that numpy and scipy took, loops."""
    done = subprocess.run([python, "-c", PROBE], env=variables, capture_output=True, text=True)
    if done.returncode not in (0, -signal.SIGILL, 0xC000001D):  # the last is how Windows says the same
        sys.exit(f"numpy and scipy do not run in {python}:\n{done.stderr}")
    found = json.loads(done.stdout) if done.returncode == 0 else {"versions": {}, "kernels": {}, "loops": []}
    found["kernels"] = {owner: REPORTED.get(name, name) for owner, name in found["kernels"].items()}
    return done.returncode, found


def obstacle(kernel: str, code: int, kernels: dict[str, str]) -> str:
    """Why a kernel does not run here; empty where it does, in numpy's OpenBLAS and in scipy's."""
    if code:
        return "this processor lacks its instructions"
    if kernel == "own" or (kernels and {name.lower() for name in kernels.values()} == {kernel.lower()}):
        return ""
    if not kernels:
        return "numpy and scipy compute without OpenBLAS here, and nothing else can be told which kernel to take"
    took = " and ".join(f"{owner}'s takes {name}" for owner, name in sorted(kernels.items()))
    return f"OpenBLAS has no such kernel for this processor: {took}"


def lower_bounds() -> dict[str, str]:
    """The oldest version of each dependency that pyproject.toml allows."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return dict(dependency.split(">=") for dependency in dependencies)


def interpreter(versions: str) -> pathlib.Path:
    """The Python that has these versions; its environment is made, or brought up to date, where it is another one."""
    if versions == "lock":
        return pathlib.Path(sys.executable)
    base = sys.executable
    if versions == "oldest" and sys.version_info >= (3, 13):
        base = shutil.which("python3.11") or shutil.which("python3.12") or ""
        if not base:
            sys.exit("The oldest numpy allowed has no wheels for this Python: put Python 3.11 or 3.12 on the path.")
    folder, bounds = ROOT / f".venv-{versions}", lower_bounds()
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lock if line.split("==")[0] not in bounds]
    pins += [f"{name}=={bound}" for name, bound in bounds.items()] if versions == "oldest" else []
    print(f"Installing the {versions} of", ", ".join(bounds), f"into {folder.name}.", flush=True)
    subprocess.run([base, "-m", "venv", folder], check=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(constraints)]
    subprocess.run([*install, "setuptools", "wheel"], check=True)
    command = [*install, "--upgrade", "--upgrade-strategy", "eager", "--no-build-isolation", "--editable"]
    subprocess.run([*command, f"{ROOT}[test,torch,peft]"], check=True)
    return python


def settings(options: argparse.Namespace) -> tuple[list[tuple[Setting, dict[str, str]]], list[str]]:
    """The settings that were asked for and can run here, with their variables, and the kernels that cannot."""
    chosen, impossible = [], []
    for versions in VERSIONS if options.full else [options.versions]:
        python, possible = interpreter(versions), []
        own = Setting("own", 1, versions, python)
        _, here = probe(python, environment(own))
        for kernel in options.kernel or KERNELS or ["own"]:
            setting = own._replace(kernel=kernel)
            code, found = probe(python, environment(setting, here["loops"]))
            what = ", ".join(f"{package} {version}" for package, version in here["versions"].items())
            if problem := obstacle(kernel, code, found["kernels"]):
                print(f"{kernel} ({what}) cannot run: {problem}.", flush=True)
                impossible.append(kernel)
                continue
            took = ", ".join(f"{owner}'s {name}" for owner, name in sorted(found["kernels"].items()))
            print(f"{kernel} ({what}) runs as {took or 'no kernel of OpenBLAS'}.", flush=True)
            possible.append(kernel)
        if options.quick and not options.kernel:
            others = [kernel for kernel in possible if kernel not in here["kernels"].values()]
            possible = sorted({*others[:1], *others[-1:]}, key=others.index)
        for kernel, threads in itertools.product(possible, (1, 2) if options.full else [options.threads]):
            setting = Setting(kernel, threads, versions, python)
            chosen.append((setting, environment(setting, here["loops"])))
    return chosen, impossible


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """As a plugin of pytest: leave out the tests that visit pages in a browser, which hang on no kernel."""
    pages = [item for item in items if {"book", "browser", "site"} & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=pages)
    items[:] = [item for item in items if item not in pages]


def command(setting: Setting, options: argparse.Namespace, report: pathlib.Path, processes: int = 1) -> list[str]:
    """What runs the tests."""
    parts = [str(setting.python), "-m", "pytest", "-p", "tools.portable", "-q", "--tb=short", "--color=no"]
    parts += ["-p", "no:cacheprovider", f"--junitxml={report}"]
    parts += [f"--ignore={path}" for path in LEFT_OUT]
    parts += ["-n", str(processes if processes > 1 else 0)]
    if setting.versions != "lock":
        parts += ["-W", "default::DeprecationWarning"]
    if options.quick:
        return [*parts, "-m", "not slow", *QUICK]
    return [*parts, *(options.tests or TESTS)]


def run(
    setting: Setting, variables: dict[str, str], options: argparse.Namespace, processes: int = 1
) -> tuple[dict[str, list[int]], str]:
    """How many tests passed and failed, of each notebook and of the rest, and what pytest says of the failures."""
    print(f"Running {setting.name}.", flush=True)
    counts: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.xml")
        words = command(setting, options, report, processes)
        done = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, encoding="utf-8")
        for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
            chapter = re.search(r"chapters[./](\w+)", case.get("classname", ""))
            row = counts.setdefault(chapter[1] if chapter else "tests and doctests", [0, 0])
            row[case.find("failure") is not None or case.find("error") is not None] += 1
    if not counts:
        sys.exit(done.stdout + done.stderr)
    return counts, "" if done.returncode == 0 else done.stdout


def table(results: Sequence[tuple[str, dict[str, list[int]], str]]) -> str:
    """A row for each notebook and one for the rest, a column for each setting."""
    width = max(16, *(len(name) + 2 for name, _, _ in results))
    lines = [f"{'':24s}" + "".join(f"{name:>{width}s}" for name, _, _ in results)]
    for row in sorted({row for _, counts, _ in results for row in counts}):
        cells = [counts.get(row) for _, counts, _ in results]
        shown = ["" if c is None else f"{c[0]} pass" if not c[1] else f"{c[1]} DIFFER" for c in cells]
        lines.append(f"{row:24s}" + "".join(f"{cell:>{width}s}" for cell in shown))
    return "\n".join(lines)


def spelled(name: str) -> str:
    """A kernel as it is typed, in the letters of the table."""
    return next((known for known in KERNELS if known.lower() == name.lower()), name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all that was asked for, print the table, exit with 1 where something differs or a named kernel cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kernel", action="append", type=spelled, metavar="NAME", help="one alone; may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--versions", default="lock", choices=VERSIONS)
    parser.add_argument("--full", action="store_true", help="one thread and two, with all three versions")
    parser.add_argument("--quick", action="store_true", help="the closest margins, on two kernels besides the own")
    parser.add_argument("tests", nargs="*", help="files or folders instead of all")
    options = parser.parse_args(arguments)
    chosen, impossible = settings(options)
    cores = (os.cpu_count() or 1) // max([setting.threads for setting, _ in chosen], default=1)
    at_once = max(1, min(len(chosen), cores))
    with ThreadPoolExecutor(at_once) as pool:
        ran = list(pool.map(lambda pair: run(pair[0], pair[1], options, min(2, cores // at_once)), chosen))
    results = [(setting.name, *result) for (setting, _), result in zip(chosen, ran, strict=True)]
    print("\n" + table(results) if results else "Nothing ran.")
    for name, _, failures in results:
        if failures:
            print(f"\n{name}\n{failures}")
    sys.exit(not results or any(failures for _, _, failures in results) or bool(options.kernel and impossible))


if __name__ == "__main__":
    main()
