"""The tool that asks the index for wheels, with no index: what it asks, how it reads the answer, what it reports."""

import subprocess
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from tools import wheels
from tools.wheels import PYTHONS, SYSTEMS, Pin

NUMPY = Pin("numpy", "2.4.6", "")


def test_every_line_of_the_lock_is_read():
    lock = (wheels.ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    found = wheels.pins(lock)
    assert len(found) == len(lines) and Pin("appnope", "0.1.4", 'sys_platform == "darwin"') in found


@pytest.fixture
def installed(monkeypatch):
    """Packages that are installed: name to version, what WHEEL says, and the Python that is asked for."""
    packages = {
        "pure": ("1.0", "true", ">=3.9"),
        "compiled": ("1.0", "false", ">=3.9"),
        "other-version": ("2.0", "true", ">=3.9"),
        "late": ("1.0", "true", ">=3.11.5"),
        "early": ("1.0", "true", "<3.14"),
        "without-bound": ("1.0", "true", None),
    }

    def distribution(name):
        if name not in packages:
            raise PackageNotFoundError
        version, pure, bound = packages[name]
        read = {"WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\n"}
        return SimpleNamespace(version=version, metadata={"Requires-Python": bound}, read_text=read.get)

    monkeypatch.setattr(wheels, "distribution", distribution)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("pure", False),
        ("without-bound", False),
        ("compiled", True),
        ("other-version", True),
        ("late", True),
        ("early", True),
        ("not-installed", True),
    ],
)
def test_only_what_may_be_missing_is_asked_for(installed, name, asked):
    places = [(python, system) for _, python, system in wheels.questions([Pin(name, "1.0", "")])]
    assert places == ([(python, system) for python in PYTHONS for system in SYSTEMS] if asked else [])


def test_a_marker_is_read_for_the_system_asked_for_and_not_for_this_one(installed):
    asked = [*wheels.questions([Pin("a", "1", 'sys_platform == "win32"'), Pin("b", "1", 'python_version < "3.12"')])]
    assert {(pin.name, system) for pin, _, system in asked if pin.name == "a"} == {("a", "Windows")}
    assert {python for pin, python, _ in asked if pin.name == "b"} == {"3.11"}


def answer(monkeypatch, code, stdout, stderr=""):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=code, stdout=stdout, stderr=stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_answer_is_read(monkeypatch):
    commands = answer(monkeypatch, 0, "numpy (2.5.0)\nAvailable versions: 2.5.0, 2.4.6\n  INSTALLED: 2.4.5\n")
    assert wheels.wheels(NUMPY, "3.12", "macOS arm64") == ["2.5.0", "2.4.6"]
    assert {"--python-version", "3.12", "--platform=macosx_14_0_arm64", "--only-binary=:all:"} <= set(commands[0])


def test_no_wheel_is_an_answer_and_no_network_is_none(monkeypatch):
    answer(monkeypatch, 1, "", "ERROR: No matching distribution found for numpy")
    assert wheels.wheels(NUMPY, "3.15", "Windows") == []
    answer(monkeypatch, 1, "", "ERROR: Could not connect")
    with pytest.raises(OSError, match=r"(?s)could not ask for numpy.*Could not connect"):
        wheels.wheels(NUMPY, "3.11", "Windows")


GAP = (Pin("torch", "2.13.0", ""), "3.11", "macOS x86_64")


def test_what_is_missing_is_reported_and_a_known_gap_only_when_it_has_closed():
    missing = (NUMPY, "3.14", "Windows")
    assert wheels.report([missing, GAP], [missing, GAP]) == ["numpy==2.4.6 has no wheel for Python 3.14 on Windows"]
    assert wheels.report([GAP], [missing, GAP]) == []
    assert wheels.report([], [missing, GAP]) == ["torch has wheels for macOS x86_64 now: take it out of KNOWN_GAPS"]
    assert wheels.report([], [missing]) == []
    spark = Pin("pyspark", "4.3.0", "")
    assert wheels.report([(spark, "3.11", "Windows")], [(spark, "3.11", "Windows")]) == []


@pytest.mark.parametrize(("there", "code"), [(["2.4.6"], 0), (["2.4.60", "2.5.0"], 1)])
def test_exit_code(monkeypatch, capsys, there, code):
    monkeypatch.setattr(wheels, "wheels", lambda *_: there)
    monkeypatch.setattr(wheels, "suits_all", lambda pin: False)
    with pytest.raises(SystemExit) as ended:
        wheels.main(["numpy"])
    assert ended.value.code == code
    assert f"{len(PYTHONS) * len(SYSTEMS)} wheels asked for" in capsys.readouterr().out or code


def test_a_name_that_the_lock_has_not_is_no_pass():
    with pytest.raises(SystemExit, match="nothing"):
        wheels.main(["numpi"])
