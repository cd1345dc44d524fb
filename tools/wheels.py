"""Whether every version in requirements.txt has a wheel for every Python and every system that the book serves.

    python -m tools.wheels             all of them, some minutes of questions to the index; nothing is downloaded
    python -m tools.wheels torch numpy

Asks with `pip index versions`, and so the index that pip is set up with. Prints what is missing and what need not be
missing any more; exits with 1 where there is either.
"""

import itertools
import pathlib
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

ROOT = pathlib.Path(__file__).resolve().parent.parent

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


class System(NamedTuple):
    """What markers call a system, and the tags of the wheels that it takes."""

    sys_platform: str
    tags: tuple[str, ...]


def manylinux(machine: str) -> tuple[str, ...]:
    """The tags of glibc 2.28 and older: Debian 10, RHEL 8."""
    return (f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in range(17, 29)))


SYSTEMS = {
    "Linux x86_64": System("linux", manylinux("x86_64")),
    "Linux aarch64": System("linux", manylinux("aarch64")),
    "macOS arm64": System("darwin", ("macosx_14_0_arm64",)),
    "macOS x86_64": System("darwin", ("macosx_14_0_x86_64",)),
    "Windows": System("win32", ("win_amd64",)),
}
# (package, system): no wheels of PyTorch for Intel Macs since 2.3, none of Spark at all.
KNOWN_GAPS = {("torch", "macOS x86_64"), *(("pyspark", system) for system in SYSTEMS)}


class Pin(NamedTuple):
    """A line of the lock."""

    name: str
    version: str
    marker: str


def pins(lock: str) -> list[Pin]:
    """The lines of the lock."""
    return [Pin(*found) for found in re.findall(r"^([\w-]+)==([\w.]+)(?:; (.*))?$", lock, re.MULTILINE)]


def suits_all(pin: Pin) -> bool:
    """Whether the package here is Python code alone, and so the same wheel everywhere, for every Python served."""
    try:
        installed = distribution(pin.name)
    except PackageNotFoundError:
        return False
    bound = SpecifierSet(installed.metadata["Requires-Python"] or "")
    pure = "Root-Is-Purelib: true" in (installed.read_text("WHEEL") or "")
    return installed.version == pin.version and pure and all(bound.contains(f"{python}.0") for python in PYTHONS)


def questions(found: Sequence[Pin]) -> Iterator[tuple[Pin, str, str]]:
    """Each line with each Python and system for which it holds; those that suit all need no question."""
    asked = [pin for pin in found if not suits_all(pin)]
    for pin, python, (name, system) in itertools.product(asked, PYTHONS, SYSTEMS.items()):
        place = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system.sys_platform}
        if not pin.marker or Marker(pin.marker).evaluate(place):
            yield pin, python, name


def wheels(pin: Pin, python: str, system: str) -> list[str]:
    """The versions of a package for which the index has a wheel for this Python and this system."""
    command = [sys.executable, "-m", "pip", "index", "versions", pin.name, "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", "--disable-pip-version-check"]
    command += [f"--platform={tag}" for tag in SYSTEMS[system].tags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "No matching distribution found" not in done.stderr:
        raise OSError(f"pip could not ask for {pin.name}:\n{done.stderr}")
    listed = re.search(r"^Available versions: (.*)$", done.stdout, re.MULTILINE)
    return listed[1].split(", ") if listed else []


def report(missing: Collection[tuple[Pin, str, str]], asked: Collection[tuple[Pin, str, str]]) -> list[str]:
    """A line for each wheel that is missing, but for the known gaps; and one for each of those that has closed."""
    lines = [
        f"{pin.name}=={pin.version} has no wheel for Python {python} on {system}"
        for pin, python, system in missing
        if (pin.name, system) not in KNOWN_GAPS
    ]
    gaps = {(pin.name, system) for pin, _, system in missing}
    closed = {(pin.name, system) for pin, _, system in asked} & KNOWN_GAPS - gaps
    return lines + [f"{name} has wheels for {system} now: take it out of KNOWN_GAPS" for name, system in sorted(closed)]


def main(only: Sequence[str]) -> None:
    """Ask for all, or for the packages named."""
    found = pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    if unknown := set(only) - {pin.name for pin in found}:
        sys.exit(f"requirements.txt says nothing of {', '.join(sorted(unknown))}.")
    asked = list(questions([pin for pin in found if not only or pin.name in only]))
    with ThreadPoolExecutor(4) as pool:
        there = list(pool.map(lambda question: question[0].version in wheels(*question), asked))
    lines = report([question for question, exists in zip(asked, there, strict=True) if not exists], asked)
    print("\n".join(lines) if lines else f"{len(asked)} wheels asked for; none is missing but the known gaps.")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
