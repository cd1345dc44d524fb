"""What holds for the repository as a whole: its files, versions, lock, targets, workflows, and who imports whom."""

import ast
import functools
import graphlib
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import metadata

import pytest
import yaml
from packaging.specifiers import SpecifierSet

import lowrank_helpers
from book import reference
from tests import ROOT
from tools import measured, portable
from tools.wheels import PYTHONS

PACKAGE = ROOT / "lowrank_helpers"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}

# One direction of imports: what each module of the package may import from it. A new module adds its line; a line
# that ends in .* is for all modules of a package that have none of their own.
MAY_IMPORT = {
    "__init__": "[!_]*",  # when they are used
    "_checks": "",
    "_extra": "",
    "_disk": "",
    "_iterate": "_checks",
    "_normal": "",
    "linalg": "linalg.*",
    "linalg.norms": "_checks",
    "linalg.factorizations": "_checks",
    "linalg.rank": "_checks",
    "linalg.least_squares": "_checks linalg.factorizations linalg.rank",
    "svd": "svd.*",
    "svd._bases": "_checks",
    "svd._dask": "_checks",
    "svd._mapped": "_checks",
    "svd._products": "_checks svd._dask svd._mapped",
    "svd.exact": "_checks linalg.factorizations",
    "svd.spectrum": "_checks",
    "svd.randomized": "_checks svd.*",
    "svd.streaming": "_checks svd.*",
    "decomposition": "decomposition.*",
    "decomposition.pca": "_checks svd svd.*",
    "decomposition.lsa": "_checks svd svd.*",
    "decomposition.rank_choice": "_checks",
    "decomposition.robust": "_checks _iterate",
    "decomposition.nmf": "_checks _iterate decomposition._nmf_*",
    "decomposition._nmf_hals": "_checks",
    "decomposition._nmf_multiplicative": "_checks decomposition._nmf_hals",
    "decomposition._nmf_start": "_checks svd",
    "completion": "completion.*",
    "completion._observations": "_checks",
    "completion.results": "_checks completion._observations",
    "completion.als": "_checks _iterate completion._observations completion.results svd._bases",
    "completion.sgd": "_checks _iterate completion._observations completion.results",
    "completion.soft_impute": "_checks _iterate completion._observations completion.results",
    "completion.implicit": "_checks _iterate completion._observations completion.als completion.results",
    "completion.bayes": "_checks _iterate completion._observations completion.results",
    "compression": "_checks _extra svd",
    "costs": "_checks",
    "datasets": "datasets.*",
    "datasets.*": "_checks datasets._download",
    "datasets.catalogue": "_checks datasets.*",
    "exercises": "exercises.*",
    "exercises.*": "_checks exercises._answers",
    "results": "_checks",
    "plotting": "_checks",
    "widgets": "widgets.*",
    "widgets.memory_calculator": "_checks costs",
    "widgets.rank_slider": "_checks",
    "attention": "_extra attention.*",
    "attention.heads": "_checks",
    "attention.latent": "_checks attention.heads",
    "finetuning": "finetuning.*",
    "finetuning._libraries": "_checks _extra",
    "finetuning.examples": "_checks",
    "finetuning.tokens": "_checks finetuning.examples",
    "finetuning.recipe": "_checks costs finetuning.*",
    "finetuning.session": "_checks lora finetuning.*",
    "finetuning.stand_in": "_checks finetuning._libraries",
    "lora": "_extra lora.*",
    "lora.product": "",
    "lora.start": "_checks _normal",
    "lora.layer": "_checks lora.product lora.start",
    "lora.places": "_checks lora.layer lora.start",
    "lora.switch": "_checks lora.layer lora.places",
    "lora.files": "_checks _disk",
    "lora.model": "_checks lora.*",
    "training": "_extra training.*",
    "training.base": "_checks training.model",
    "training.checkpoints": "_checks _disk",
    "training.corpus": "_checks",
    "training.loop": "_checks _disk lora training.checkpoints training.corpus training.model training.optimiser"
    " training.plan training.records training.schedule",
    "training.losses": "_checks training.schedule",
    "training.methods": "_checks _normal lora lora.model lora.start training.model",
    "training.model": "_checks _normal attention.heads training.losses training.schedule",
    "training.optimiser": "_checks",
    "training.records": "_checks training.model",
    "training.schedule": "_checks",
    "training.plan": "_checks training.schedule",
    "training.trainer": "_checks lora lora.start training.corpus training.loop training.methods training.model"
    " training.plan training.records training.schedule",
}
# Networks need torch; nothing else may, not even inside a function.
MAY_IMPORT_TORCH = ["_normal", "lora", "lora.*", "training", "training.*", "attention.*", "compression"]


def name_of(path):
    """A file of the package as its module: svd, training for training/__init__.py, training.model."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


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
        ('[ "$1" = --version ] && echo Python 3.9.2 || exit 1', "3.11 to 3.14, and python3 is Python 3.9.2"),
        ('[ "$1" = --version ] && echo Python 3.15.0 || exit 1', "3.11 to 3.14, and python3 is Python 3.15.0"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "venv module with pip"),
    ],
    ids=["missing", "old", "new", "no venv"],
)
def test_make_says_in_one_line_what_python_lacks(tmp_path, stub, message):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "make"):
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


def make_takes(folder, *pythons):
    """The Python that make takes where the path has these, each with the version that it claims to be."""
    for name in ("sh", "make"):
        (folder / name).symlink_to(shutil.which(name))
    for name, version in pythons:
        major, minor = version.split(".")
        asking = f"import sys; sys.version_info = ({major}, {minor}, 0); exec(sys.argv.pop())"
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{asking}" "$2"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    (folder / "show.mk").write_text(f"include {ROOT / 'Makefile'}\nshow:\n\t$(PYTHON)\n", encoding="utf-8")
    command = ["make", "--no-print-directory", "--dry-run", "-f", str(folder / "show.mk"), "show"]
    shown = subprocess.run(command, cwd=folder, env={"PATH": str(folder)}, capture_output=True, text=True)
    return shown.stdout.strip()


@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ([("python3", "3.12"), ("python3.14", "3.14")], "python3"),
        ([("python3", "3.15"), ("python3.12", "3.12"), ("python3.13", "3.13")], "python3.13"),
        ([("python3", "3.9"), ("python3.11", "3.11")], "python3.11"),
        ([("python3", "3.9"), ("python3.10", "3.10"), ("python3.15", "3.15")], "python3"),
        ([], "python3"),
    ],
)
def test_make_takes_a_python_that_is_served(tmp_path, pythons, taken):
    assert make_takes(tmp_path, *pythons) == taken


def test_the_pythons_served_are_named_alike():
    """Where they are stated: make, the lock, README, the workflow that tests a change."""
    first, last = PYTHONS[0], PYTHONS[-1]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^PYTHONS := (.*)$", makefile, re.MULTILINE)[1].split() == [*reversed(PYTHONS)]
    for name in ("requirements.txt", "README.md"):
        assert f"Python {first} to {last}" in (ROOT / name).read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">={first}"
    assert WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"] == [*PYTHONS]


def test_times_stand_in_the_makefile_and_the_readme_has_the_same():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    whole, quick = (re.search(rf"^{name} := (.*)$", makefile, re.MULTILINE)[1] for name in ("TIME", "QUICK_TIME"))
    assert f"takes about {whole}." in readme and f"`make quick`, about {quick}," in readme
    assert len(re.findall(r"\d+ minutes", makefile)) == len(re.findall(r"\d+ minutes", readme)) == 2


@functools.cache
def planned(target, *options):
    """The commands that make would run for a target if nothing were there yet."""
    command = ["make", "--no-print-directory", "--dry-run", "--always-make", target, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_quick_needs_no_browser_and_builds_no_page():
    assert "tools.browser" in planned("test") and "jupyter-book" in planned("test")
    assert "tools.browser" not in planned("quick") and "jupyter-book" not in planned("quick")


def test_make_test_tells_the_time_of_all_tests_alone():
    assert "All tests take about" in planned("test")
    some = planned("test", "TESTS=tests/package/svd/test_exact.py")
    assert "All tests take about" not in some and some.endswith("-m pytest tests/package/svd/test_exact.py\n")


def test_all_tests_are_run():
    folders = {path.relative_to(ROOT).parts[:2] for path in (ROOT / "tests").rglob("test_*.py")}
    listed = SETTINGS["tool"]["pytest"]["ini_options"]["testpaths"]
    found = {"/".join(folder) for folder in folders}
    assert sorted(listed) == sorted({"lowrank_helpers", "chapters", *found} - {"tests/spark"})
    assert "tests/spark" in found and planned("test-spark").endswith("-m pytest -n 0 tests/spark\n")


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["version"] == lowrank_helpers.__version__ == citation["version"]
    version, date = re.search(r"^## (\S+) \((.*)\)$", changes, re.MULTILINE).groups()
    assert version == PROJECT["version"]
    assert date == citation.get("date-released", "unreleased")


def test_the_citation_offers_no_choice_of_licences():
    """A list of them means one or the other in this format; all of them hold here, each for its part (LICENSE)."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "license" not in citation and " AND " in PROJECT["license"]
    assert all(name in citation["abstract"] for name in ("MIT", "CC BY 4.0", "LICENSE"))


ROOMS = {name.split(".")[0] for name in MODULES} - {"__init__", "exercises"}


@pytest.mark.parametrize("name", sorted(name for name in ROOMS if name[0] != "_"))
def test_the_page_of_a_module_has_every_public_name(name):
    source = MODULES[name].read_text(encoding="utf-8")
    found = re.findall(r"^(?:def|class) ([a-zA-Z]\w*)|^\s*from \S+ import \w+ as (\w+)$", source, re.MULTILINE)
    values = vars(importlib.import_module(f"lowrank_helpers.{name}"))
    public = {here or elsewhere for here, elsewhere in found} & set(values)
    wanted = {name for name in public if inspect.isfunction(values[name]) or inspect.isclass(values[name])}
    assert set(reference.listed(reference.pages()[name])) == wanted


def test_there_is_one_page_for_each_public_module():
    assert sorted(reference.pages()) == sorted(name for name in ROOMS if name[0] != "_")
    assert {path.stem for path in (ROOT / "helpers").iterdir()} == set(reference.pages())


def test_the_path_of_a_module_is_that_of_its_tests():
    """Private modules are tested where they are used, those of checkers by their answers."""
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("[!_]*.py")]
    assert len(modules) > 40
    tests = ROOT / "tests" / "package"
    assert sorted(str(m) for m in modules if not list((tests / m.parent).glob(f"test_{m.stem}*.py"))) == [
        f"exercises/{path.name}" for path in sorted((PACKAGE / "exercises").glob("[!_]*.py"))
    ]
    answers = {path.name for path in (tests / "exercises").glob("[!_]*.py")} - {"test_exercises.py"}
    assert answers == {path.name for path in (PACKAGE / "exercises").glob("[!_]*.py")}


FACES = [importlib.import_module(f"lowrank_helpers.{room}") for room in sorted(ROOMS) if room[0] != "_"]


def test_each_public_name_has_one_address_and_a_public_home():
    homes = {}
    for face in FACES:
        for name, value in vars(face).items():
            ours = getattr(value, "__module__", "").startswith(face.__name__)
            if name[0] != "_" and ours and (inspect.isroutine(value) or inspect.isclass(value)):
                homes.setdefault(f"{value.__module__}.{name}", []).append(face.__name__)
    assert len(homes) > 80
    assert {home: faces for home, faces in homes.items() if len(faces) > 1 or "._" in home} == {}


def test_package_data_lists_every_file():
    """A file beside the modules that no pattern names would be missing from what pip installs."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "lowrank_helpers"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    files = {ROOT / name for name in listed if not name.endswith(".py") and (ROOT / name).exists()}
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["lowrank_helpers"]
    assert files and files <= {path for pattern in patterns for path in PACKAGE.glob(pattern)}


def test_building_the_book_installs_no_torch_and_its_tests_no_spark():
    def extras(target):
        found = re.findall(r'--editable "\.\[(.*?)\]"', planned(target))
        return {extra for listed in found for extra in listed.split(",")}

    assert extras("book") == {"book"}
    assert extras("test-spark") == set(PROJECT["optional-dependencies"])
    assert extras("test") == extras("test-spark") - {"spark"}
    assert not any("torch" in name for name in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"])


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
        name, least = re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?>=([\d.]+)(?:,<\d+)?", requirement).groups()
        assert numbers(pins[name]) >= numbers(least), requirement


def test_the_lock_suits_the_oldest_python_allowed():
    """Its first release too: Debian 12 has 3.11.2."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    names = re.findall(r"^([a-z0-9-]+)==[\w.]+$", lock, re.MULTILINE)  # those for one system alone are not installed
    apart = {"py4j", "pyspark"}  # installed by `make test-spark` alone
    asked = {name: metadata(name).get("Requires-Python") for name in names if name not in apart}
    assert {name: bound for name, bound in asked.items() if bound and not SpecifierSet(bound).contains(oldest)} == {}


def imports(source, module="module"):
    """All that a module of the package imports, inside functions too, by full names: lowrank_helpers.svd.pca."""
    here = ("lowrank_helpers." + module).split(".")
    package = here if module in MODULES and MODULES[module].name == "__init__.py" else here[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def own(names):
    """Those modules of the package that stand in full names; __init__ for what stands in lowrank_helpers itself."""
    for name in names:
        package, *parts = name.split(".")
        if package == "lowrank_helpers":
            prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
            yield next((prefix for prefix in prefixes if prefix in MODULES), "__init__")


IMPORTS = {module: set(imports(path.read_text(encoding="utf-8"), module)) for module, path in MODULES.items()}


@pytest.mark.parametrize(
    ("line", "module", "found"),
    [
        ("import lowrank_helpers.svd as svd, numpy", "linalg", {"svd"}),
        ("from lowrank_helpers import svd, _checks", "linalg", {"svd", "_checks"}),
        ("from lowrank_helpers import __version__", "linalg", {"__init__"}),
        ("def f():\n    from lowrank_helpers.svd import truncated_svd", "linalg", {"svd"}),
        ("from . import svd", "costs", {"svd"}),
        ("from .svd import truncated_svd", "costs", {"svd"}),
        ("from . import norms", "exercises", {"exercises.norms"}),
        ("from ._answers import call", "exercises.norms", {"exercises._answers"}),
        ("from .._checks import number", "exercises.norms", {"_checks"}),
        ("from lowrank_helpers.exercises import norms", "linalg", {"exercises.norms"}),
        ("from lowrank_helpers.exercises import something", "linalg", {"exercises"}),
        ("import scipy.linalg", "linalg", set()),
    ],
)
def test_every_way_to_import_is_read(line, module, found):
    assert set(own(imports(line, module))) == found


def test_imports_go_in_one_direction():
    row = {module: module if module in MAY_IMPORT else module.rpartition(".")[0] + ".*" for module in MODULES}
    assert set(row.values()) == set(MAY_IMPORT)
    found = {module: set(own(names)) for module, names in IMPORTS.items()}
    for module, names in found.items():
        allowed = MAY_IMPORT[row[module]].split()
        unwanted = {name for name in names if not any(fnmatch(name, pattern) for pattern in allowed)}
        assert not unwanted, f"{module} imports {sorted(unwanted)}"
    graphlib.TopologicalSorter(found).prepare()  # raises CycleError where two modules need each other


def test_a_function_with_an_underscore_stays_in_its_room():
    found = [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name in names
        if name.startswith("lowrank_helpers.")
        and name.rpartition(".")[2].startswith("_")
        and name.removeprefix("lowrank_helpers.") not in MODULES
        and name.split(".")[1] != module.split(".")[0]
        and not name.endswith(".__version__")
    ]
    assert found == []


def test_torch_is_imported_for_networks_alone():
    needing = {m for m, names in IMPORTS.items() if {name.split(".")[0] for name in names} & {"torch", "safetensors"}}
    assert {module for module in needing if not any(fnmatch(module, pattern) for pattern in MAY_IMPORT_TORCH)} == set()
    assert {"lora.layer", "training.model"} <= needing  # they would be found


@pytest.mark.parametrize("path", sorted((ROOT / "book" / "claims").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_claims_are_read_without_torch(path):
    """The ledger page imports them, and the book is built without torch: so it is imported in functions alone."""
    top = ast.parse(path.read_text(encoding="utf-8")).body
    named = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    needing = {"torch", *(f"lowrank_helpers.{name}" for name in ("lora", "training", "attention"))}
    assert not [name for name in named if name.split(".")[0] == "torch" or name in needing]


NEEDLESS = {  # modules of the package, and what none of them imports
    "__init__": "numpy scipy torch safetensors matplotlib",
    "linalg costs datasets exercises": "torch matplotlib",
    "svd decomposition completion compression results": "torch matplotlib sklearn dask distributed",
    "plotting": "torch",
    "lora training attention": "matplotlib sklearn peft transformers",
}
IMPORTED_APART = """
import importlib, sys
class Unwanted:
    def find_spec(self, name, path=None, target=None):
        assert name not in {unwanted!r}, name + " is imported"
sys.meta_path.insert(0, Unwanted())
for module in {modules!r}:
    importlib.import_module("lowrank_helpers" if module == "__init__" else "lowrank_helpers." + module)
"""


@pytest.mark.parametrize("modules", NEEDLESS)
def test_imports_no_more_than_it_needs(modules):
    code = IMPORTED_APART.format(modules=modules.split(), unwanted=NEEDLESS[modules].split())
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
    for job in ("notebooks", "release"):  # their branch; its files
        assert granted.pop(job, {"contents": "write"}) == {"contents": "write"}
    assert set(granted) <= {"deploy"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_ci_has_the_documented_commands():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    wanted = {"make book", "make lint", "make test", "make test-spark", "make test-portable OPTIONS=--quick"}
    assert wanted <= set(script.splitlines())
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def runs(job):
    """The commands of a job of the weekly workflow."""
    return "\n".join(step["run"] for step in WORKFLOWS["weekly"]["jobs"][job]["steps"] if "run" in step)


def test_every_kernel_has_a_weekly_job_with_all_threads_and_versions():
    matrix = WORKFLOWS["weekly"]["jobs"]["kernels"]["strategy"]["matrix"]
    kernels = [*matrix["kernel"], *(line["kernel"] for line in matrix["include"])]
    assert sorted(kernels) == sorted([*portable.X86, *portable.ARM])
    assert 'make test-portable OPTIONS="--full --kernel $KERNEL"' in runs("kernels")


def test_other_systems_and_the_wheels_have_weekly_jobs():
    systems = {
        name: job["runs-on"].split("-")[0]
        for name, job in WORKFLOWS["weekly"]["jobs"].items()
        if "$" not in job["runs-on"]
    }
    assert {systems["macos"], systems["windows"]} == {"macos", "windows"}
    assert "make test-portable" in runs("macos") and "tools.portable" in runs("windows")
    assert "tools.wheels" in runs("wheels")


def test_spark_has_a_weekly_job_and_java_wherever_it_runs():
    assert "make test-spark" in runs("spark") and "default-jre-headless" in runs("spark")
    assert "wanted+=(default-jre-headless)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_nobody_could_run_is_named_untried():
    """In the workflow, in the comment above the job, and on the page on how to work on the book."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.search(r"untried: (.*?)\.$", page, re.MULTILINE | re.DOTALL)[1]
    workflows = "".join((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8") for name in WORKFLOWS)
    for what in ("Python 3.14", "SkylakeX", "Arm", "macOS", "Windows"):
        assert what in listed
        assert re.search(rf"# .*{what}.*untried|# .*untried.*{what}", workflows, re.IGNORECASE), what


# ------------------------------------------------------------------------------------------------ measured figures


def test_the_page_has_the_figures_that_were_measured():
    measured.main(["--check"])


def test_other_figures_on_the_page_would_be_seen(monkeypatch):
    monkeypatch.setattr(measured, "ratio", lambda ours, theirs: "0.99")
    with pytest.raises(SystemExit, match="other figures"):
        measured.main(["--check"])


def test_every_part_stands_on_the_page_once():
    page = (ROOT / "measured.md").read_text(encoding="utf-8")
    assert [part for _, part, _ in measured.PART.findall(page)] == [*measured.PARTS]


def test_a_drawing_shows_every_number():
    ratios = measured.svd_ratios()
    numbers = [cell for cells in ratios.values() for cell in cells if cell != "–"]
    assert measured.ratio_plot(ratios).count("<circle") == len(numbers) + len(measured.SVD_PEERS)
    found = measured.ratings()
    assert all(name in measured.scatter_plot(found) for name, (seconds, _) in found.items() if seconds >= 0.01)
    places = [
        float(x) for x in re.findall(r'c[xy]="([-\d.]+)"', measured.ratio_plot(ratios) + measured.scatter_plot(found))
    ]
    assert min(places) > 0 and max(places) < measured.WIDE


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100
