"""The tool that runs the tests as other processors: what it asks of numpy, scipy and torch, and what it owns up to."""

import argparse
import pathlib
import platform
import subprocess
import sys

import pytest

from tests import ROOT
from tools import portable

PYTHON = pathlib.Path(sys.executable)
LOOPS = ["X86_V3", "X86_V4", "AVX512_ICL"]
OWN = portable.Setting("own", 1, "lock", PYTHON)


def options(**given):
    usual = {"kernel": None, "threads": 1, "versions": "lock", "full": False, "quick": False, "tests": []}
    return argparse.Namespace(**{**usual, **given})


# ------------------------------------------------------------------------------------------------ which kernel ran


@pytest.mark.parametrize(
    ("kernel", "code", "kernels", "why"),
    [
        ("SkylakeX", -4, {}, "lacks its instructions"),
        ("SkylakeX", 0xC000001D, {}, "lacks its instructions"),
        (
            "Sapphirerapids",
            0,
            {"numpy": "Haswell", "scipy": "Haswell"},
            "numpy's takes Haswell and scipy's takes Haswell",
        ),
        ("Haswell", 0, {"numpy": "Haswell", "scipy": "Nehalem"}, "scipy's takes Nehalem"),
        ("Haswell", 0, {}, "without OpenBLAS"),
        ("own", -4, {}, "lacks its instructions"),
    ],
)
def test_a_kernel_that_did_not_run_has_a_reason(kernel, code, kernels, why):
    assert why in portable.obstacle(kernel, code, kernels)


@pytest.mark.parametrize(
    ("kernel", "kernels"),
    [
        ("Haswell", {"numpy": "Haswell", "scipy": "Haswell"}),
        ("NEOVERSEN1", {"numpy": "neoversen1", "scipy": "neoversen1"}),
        ("own", {"numpy": "Haswell", "scipy": "Nehalem"}),
        ("own", {}),
    ],
)
def test_a_kernel_that_ran_has_none(kernel, kernels):
    assert portable.obstacle(kernel, 0, kernels) == ""


def stub(folder, script):
    """A program in the place of Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_crash_for_want_of_instructions_is_no_error_and_any_other_is(tmp_path):
    code, found = portable.probe(stub(tmp_path, "kill -ILL $$"), portable.environment(OWN))
    assert code == -4 and found["kernels"] == {}
    with pytest.raises(SystemExit, match="No module named numpy"):
        portable.probe(stub(tmp_path, "echo No module named numpy >&2; exit 1"), {})


def test_the_kernel_is_read_from_numpy_and_from_scipy():
    code, found = portable.probe(PYTHON, portable.environment(OWN))
    assert code == 0 and found["versions"].keys() == {"numpy", "scipy"}
    if platform.machine() == "x86_64" and sys.platform == "linux":  # the wheels for macOS bring no OpenBLAS
        for kernel in ("Prescott", "Nehalem"):
            code, found = portable.probe(PYTHON, portable.environment(OWN._replace(kernel=kernel), found["loops"]))
            assert found["kernels"] == {"numpy": kernel, "scipy": kernel}


# ------------------------------------------------------------------------------------------------ the variables


@pytest.fixture
def x86(monkeypatch):
    monkeypatch.setattr(portable, "KERNELS", portable.X86)


@pytest.mark.parametrize(
    ("kernel", "off", "torch"),
    [
        ("Prescott", "X86_V3 X86_V4 AVX512_ICL", "default"),
        ("Haswell", "X86_V4 AVX512_ICL", "avx2"),
        ("SkylakeX", None, None),
        ("own", None, None),
    ],
)
def test_numpys_loops_and_torch_compute_as_the_same_processor(x86, monkeypatch, kernel, off, torch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")  # the caller's choice is not this tool's
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx512")
    variables = portable.environment(OWN._replace(kernel=kernel, threads=2), LOOPS)
    assert variables.get("OPENBLAS_CORETYPE") == (None if kernel == "own" else kernel)
    assert variables.get("NPY_DISABLE_CPU_FEATURES") == off
    assert variables.get("ATEN_CPU_CAPABILITY") == torch
    assert {variables[name] for name in portable.THREADS} == {"2"}


def test_kernels_are_spelled_as_one_likes(x86):
    assert portable.spelled("skylakex") == "SkylakeX" and portable.spelled("Zen5") == "Zen5"


# ------------------------------------------------------------------------------------------------ what is run


@pytest.fixture
def haswell(x86, monkeypatch):
    """A machine with AVX2 and without AVX-512."""

    def probe(python, variables):
        kernel = variables.get("OPENBLAS_CORETYPE", "Haswell")
        found = {"versions": {"numpy": "2"}, "kernels": {"numpy": kernel, "scipy": kernel}, "loops": []}
        return (-4, {**found, "kernels": {}}) if kernel == "SkylakeX" else (0, found)

    monkeypatch.setattr(portable, "probe", probe)
    monkeypatch.setattr(portable, "interpreter", lambda versions: PYTHON)


def chosen(**given):
    settings, impossible = portable.settings(options(**given))
    return [setting.name for setting, _ in settings], impossible


def test_every_kernel_that_can_run_is_run_and_the_others_are_named(haswell, capsys):
    names, impossible = chosen()
    assert names == ["Prescott, 1", "Nehalem, 1", "Sandybridge, 1", "Haswell, 1"] and impossible == ["SkylakeX"]
    assert "SkylakeX (numpy 2) cannot run: this processor lacks its instructions." in capsys.readouterr().out


def test_quick_takes_two_kernels_besides_the_own(haswell):
    assert chosen(quick=True)[0] == ["Prescott, 1", "Sandybridge, 1"]
    assert chosen(quick=True, kernel=["Haswell"])[0] == ["Haswell, 1"]


def test_full_is_two_numbers_of_threads_and_three_versions(haswell):
    names, _ = chosen(full=True, kernel=["Haswell"])
    assert set(names) == {f"Haswell, {n}{versions}" for n in (1, 2) for versions in ("", ", oldest", ", newest")}


def test_quick_runs_tests_that_exist():
    words = portable.command(OWN, options(quick=True), pathlib.Path("report"))
    assert all((ROOT / path).exists() for path in portable.QUICK) and set(portable.QUICK) < set(words)


def test_all_is_doctests_tests_and_chapters():
    command = portable.command(OWN, options(), pathlib.Path("report"))
    assert all((ROOT / path).exists() for path in portable.TESTS)
    assert command[-len(portable.TESTS) :] == [*portable.TESTS] and {"lowrank_helpers", "chapters"} < set(command)
    some = portable.command(OWN, options(tests=["tests/package/svd"]), pathlib.Path("report"))
    assert some[-1] == "tests/package/svd" and "chapters" not in some


def test_every_test_is_taken_or_left_out_for_a_reason():
    """What is not taken reads texts, visits pages, installs, or needs Java."""
    left = {path.parts[len(ROOT.parts) :][1] for path in (ROOT / "tests").rglob("test_*.py")}
    left -= {pathlib.Path(path).parts[1] for path in portable.TESTS if path.startswith("tests/")}
    assert left == {"repository", "spark"}
    assert all((ROOT / path).exists() for path in portable.LEFT_OUT)


def test_tests_in_a_browser_are_left_out(tmp_path):
    (tmp_path / "test_pages.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef browser(): raise OSError('started')\n"
        "@pytest.fixture\ndef show(browser): pass\n"
        "def test_page(show): pass\ndef test_number(): pass\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "tools.portable", "-p", "no:cacheprovider", "-q"]
    command += ["-c", str(tmp_path / "pytest.ini"), str(tmp_path)]
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(command, cwd=portable.ROOT, capture_output=True, text=True)
    assert "1 passed, 1 deselected" in done.stdout


# ------------------------------------------------------------------------------------------------ the verdict


@pytest.mark.parametrize(
    ("arguments", "failures", "code"),
    [
        ([], "", 0),
        ([], "what pytest says", 1),
        (["--kernel", "prescott"], "", 0),
        (["--kernel", "Prescott", "--kernel", "SkylakeX"], "", 1),
        (["--kernel", "SkylakeX"], "", 1),
    ],
    ids=["all hold", "one fails", "named and holds", "named and cannot run", "nothing ran"],
)
def test_exit_code(haswell, monkeypatch, capsys, arguments, failures, code):
    counts = {"06_eckart_young": [20, 0], "tests and doctests": [70, len(failures) and 3]}
    monkeypatch.setattr(portable, "run", lambda *_: (counts, failures))
    with pytest.raises(SystemExit) as ended:
        portable.main(arguments)
    assert int(ended.value.code) == code
    shown = capsys.readouterr().out
    assert ("3 DIFFER" in shown and failures in shown) if failures else "DIFFER" not in shown
    assert ("Nothing ran" in shown) == (arguments == ["--kernel", "SkylakeX"])


def test_tests_are_counted_and_failures_shown(tmp_path):
    (tmp_path / "test_it.py").write_text("def test_a(): pass\ndef test_b(): assert 1 == 2\n", encoding="utf-8")
    counts, shown = portable.run(OWN, portable.environment(OWN), options(tests=[str(tmp_path / "test_it.py")]))
    assert counts == {"tests and doctests": [1, 1]} and "assert 1 == 2" in shown


def test_a_run_without_a_report_is_no_pass(tmp_path):
    crashed = OWN._replace(python=stub(tmp_path, "echo Illegal instruction; exit 132"))
    with pytest.raises(SystemExit, match="Illegal instruction"):
        portable.run(crashed, portable.environment(crashed), options())
