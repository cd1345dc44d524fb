"""What holds for the repository as a whole: its files, versions, lock, targets, workflows, and who imports whom."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import lowrank_helpers
from tools.setup_cell import repository_url

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lowrank_helpers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# One direction of imports: what each module of the package may import from it. A new module adds its line.
MAY_IMPORT = {
    "__init__": "",
    "_checks": "",
    "_norms": "_checks",
    "_spectrum": "_checks _norms",
    "_download": "",
    "_ratings": "_download",
    "_texts": "",
    "factorizations": "_checks",
    "linalg": "_checks _norms factorizations",
    "svd": "_checks _norms _spectrum factorizations linalg",
    "datasets": "_checks _download _ratings _texts",
    "exercises": "_checks",
    "plotting": "_checks",
    "slider": "_checks",
}


def text_files():
    """The files of the book that hold text, as git lists them; pictures in notebooks left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        yield name, re.sub(r'"image/png": "[^"]*"|base64,[A-Za-z0-9+/=]+', "", text)


# Written in pieces, so that this file does not hold what it looks for.
MACHINE = re.compile(r"(?<![\w.~+-])/" + r"(?:home|root|Users|work|opt|mnt|private)" + r"/\w|[A-Z]:\\{1,2}" + r"Users")
HOSTS = [r"pypi\." + "org", "pythonhosted" + r"\.org", r"registry\." + "npmjs", "deb" + r"\.debian"]
REGISTRIES = re.compile("|".join(HOSTS))


@pytest.mark.parametrize("found", [MACHINE, REGISTRIES], ids=["path", "registry"])
def test_no_file_names_a_machine_or_a_registry(found):
    assert [f"{name}: {match[0]}" for name, text in text_files() for match in found.finditer(text)] == []


def test_such_names_would_be_found():
    assert MACHINE.search("see /" + "home/ada/book") and MACHINE.search('"/' + 'work/main"')
    assert not MACHINE.search("../work/main") and not MACHINE.search("https://example.org/home/ada")
    assert REGISTRIES.search("https://pypi." + "org/simple")


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in shown.stdout.splitlines()] == targets
    assert all(len(line) <= 120 and len(line.split()) > 3 for line in shown.stdout.splitlines())


@pytest.mark.parametrize(
    ("stub", "message"),
    [
        ("", "there is no python3 here"),
        ('[ "$1" = --version ] && echo Python 3.9.2 || exit 1', "or newer, and python3 is Python 3.9.2"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "venv module with pip"),
    ],
    ids=["missing", "old", "no venv"],
)
def test_make_says_in_one_line_what_python_lacks(tmp_path, stub, message):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "make", "grep"):
        (tools / name).symlink_to(shutil.which(name))
    if stub:
        (tools / "python3").write_text(f"#!/bin/sh\n{stub}\n", encoding="utf-8")
        (tools / "python3").chmod(0o755)
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--no-print-directory", ".venv/.book"]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["version"] == lowrank_helpers.__version__ == citation["version"]
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == PROJECT["version"]


def numbers(version):
    """A version as numbers that compare: 1.0.4.post1 is (1, 0, 4, 1)."""
    return tuple(map(int, re.findall(r"\d+", version)))


def test_the_lock_holds_what_the_project_asks_for():
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)(?:; .*)?$", lock, re.MULTILINE))
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert len(pins) == len(lines), "one line, one package, one version: no addresses, no local builds, nothing twice"
    asked = [*PROJECT["dependencies"], *(name for extra in PROJECT["optional-dependencies"].values() for name in extra)]
    for requirement in asked:
        name, bound = re.fullmatch(r"([a-z0-9-]+)>=([\d.]+)(?:,<\d+)?", requirement).groups()
        assert numbers(pins[name]) >= numbers(bound), requirement


def imports(path):
    """The modules of the package that a file imports at its top, by the first part of their names."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "lowrank_helpers" if node.level else ""
            base = ".".join(filter(None, [package, node.module]))
            names = [base] if base != "lowrank_helpers" else [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("lowrank_helpers."))


def test_imports_go_in_one_direction():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {"exercises"}
    assert modules == set(MAY_IMPORT)
    for module in modules - {"exercises"}:
        found = set(imports(PACKAGE / f"{module}.py"))
        assert found <= set(MAY_IMPORT[module].split()), f"{module} imports {sorted(found)}"
    inside = {path.stem for path in (PACKAGE / "exercises").glob("*.py")}
    for path in (PACKAGE / "exercises").glob("*.py"):
        assert set(imports(path)) <= inside | {"_checks"}, path.name


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("lowrank_helpers", "numpy torch matplotlib"),
        *((f"lowrank_helpers.{name}", "torch matplotlib") for name in ("linalg", "factorizations", "svd", "datasets")),
        ("lowrank_helpers.exercises", "torch matplotlib"),
        ("lowrank_helpers.plotting", "torch"),
    ],
)
def test_imports_no_more_than_it_needs(module, unwanted):
    code = f"""
import sys
class Unwanted:
    def find_spec(self, name, path=None, target=None):
        assert name not in {unwanted.split()}, name + " is imported"
sys.meta_path.insert(0, Unwanted())
import {module}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_are_pinned_and_may_do_little(path):
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"uses: *(.*)$", text, re.MULTILINE)
    assert used and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in used)
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert set(granted) <= {"deploy"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_ci_has_the_documented_commands():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {"make book", "make lint", "make test"} <= set(script.splitlines())
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_address_stands_in_one_place():
    """In _config.yml, from where `make colab` stamps it into the chapters."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    account = repository_url().split("/")[3]
    texts = [f for f in files if f.endswith((".md", ".cff", ".py", ".toml", ".yml", ".txt")) and (ROOT / f).exists()]
    holding = {f for f in texts if account in (ROOT / f).read_text(encoding="utf-8")}
    assert holding == {"_config.yml"}
