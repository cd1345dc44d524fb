"""The package as others take it: without the extra, by the names of its modules, and as a wheel."""

import email
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

import lowrank_helpers
from tests import ROOT

# Run first in a process of its own: what it names cannot be imported there.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""


def run(code, hidden=()):
    """The output of a program, and its last line of errors."""
    script = HIDE.format(names=tuple(hidden)) + code
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.stdout.strip(), done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize("code", [f"import lowrank_helpers.{name}" for name in ("lora", "training", "lora.files")])
@pytest.mark.parametrize("hidden", ["torch", "safetensors"])
def test_networks_say_which_extra_they_need(code, hidden):
    name = ".".join(code.split()[1].split(".")[:2])
    error = f"ModuleNotFoundError: {name}: {hidden} must be installed; it is not. It comes with the extra torch: "
    assert run(code, [hidden]) == ("", error + 'pip install "lowrank_helpers[torch]".')


@pytest.mark.parametrize(
    ("code", "needing"),
    [
        ("import lowrank_helpers.attention", "lowrank_helpers.attention"),
        ("from lowrank_helpers.compression import factor_linear; factor_linear(None, 2)", "factor_linear"),
        ("from lowrank_helpers.compression import quantise; quantise(None)", "quantise"),
    ],
)
def test_what_needs_torch_alone_says_so(code, needing):
    assert run(code, ["torch", "safetensors"])[1].startswith(
        f"ModuleNotFoundError: {needing}: torch must be installed; it is not."
    )
    assert run(f"{code.split(';')[0]}; print('imported')", ["safetensors"]) == ("imported", "")


def test_the_missing_module_has_its_name_in_the_error():
    code = """
try:
    import lowrank_helpers.lora
except ImportError as error:
    print(type(error).__name__, error.name)
"""
    assert run(code, ["torch"]) == ("ModuleNotFoundError torch", "")


def test_another_missing_module_is_not_blamed_on_the_extra():
    assert run("import lowrank_helpers.training", ["numpy"])[1] == "ModuleNotFoundError: No module named 'numpy'"


# ---------------------------------------------------------------------------------------------- modules by their names

FOLDER = Path(lowrank_helpers.__file__).parent
PUBLIC = {path.stem for path in FOLDER.glob("[!_]*.py")} | {path.parent.name for path in FOLDER.glob("*/__init__.py")}


def test_the_docstring_has_a_line_for_every_module():
    lines = re.findall(r"^(\w+)  +(\w.*)$", lowrank_helpers.__doc__, re.MULTILINE)
    assert {name for name, _ in lines} == PUBLIC and len(lines) == len(PUBLIC)
    assert {name for name, says in lines if says.endswith("(extra: torch)")} == {"attention", "lora", "training"}


def test_type_checkers_see_every_module():
    source = Path(lowrank_helpers.__file__).read_text(encoding="utf-8")
    assert set(re.findall(r"^    from lowrank_helpers import (\w+) as \1$", source, re.MULTILINE)) == PUBLIC


def test_modules_are_attributes_and_are_imported_when_used():
    code = f"""
import lowrank_helpers as lr
print(set(dir(lr)) == {PUBLIC | {"__version__"}!r})
print(len(sys.modules.keys() & {{"numpy", "scipy", "torch", "matplotlib", "lowrank_helpers.svd"}}))
print(lr.svd.truncated_svd([[3.0, 0.0], [0.0, 2.0]], 1).s, hasattr(lr, "nothing"))
lr.svdd
"""
    printed, error = run(code)
    assert printed == "True\n0\n[3.] False"
    assert error.startswith("AttributeError: module 'lowrank_helpers' has no attribute 'svdd'")


def test_help_works_and_completion_too_without_torch():
    code = """
import inspect, pydoc
import lowrank_helpers as lr
print("svd             the singular value decomposition" in pydoc.render_doc(lr), hasattr(lr, "lora"))
lr.lora
"""
    error = "AttributeError: lowrank_helpers.lora: torch must be installed; it is not. It comes with the extra torch: "
    assert run(code, ["torch"]) == ("True False", error + 'pip install "lowrank_helpers[torch]".')


# ------------------------------------------------------------------------------------------- the sdist and the wheel


def build(kind, source, into):
    """Have setuptools build an sdist or a wheel, as pip does, with what is installed here."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}", into], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return into / done.stdout.splitlines()[-1]


def tracked():
    """The files of the repository, by their names."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The unpacked sdist of a copy of this repository."""
    folder = tmp_path_factory.mktemp("sdist")
    for name in tracked():
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "copy" / name)
    with tarfile.open(build("sdist", folder / "copy", folder)) as packed:
        packed.extractall(folder, filter="data")
    return next(folder.glob("lowrank_helpers-*/"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel made from the sdist, in whose folder an older build has left a module."""
    stale = sdist / "build" / "lib" / "lowrank_helpers" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    return build("wheel", sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment with the wheel; all else comes from the one that runs the tests."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, with_pip=False)
    python = next(root.glob("[bS]*/python*"))
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(root)}))
    (site / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def names(wheel):
    with zipfile.ZipFile(wheel) as packed:
        return set(packed.namelist())


def metadata(wheel):
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(packed.read(name))


def test_the_sdist_holds_the_whole_repository(sdist):
    packed = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert tracked() - packed == set()


def test_the_wheel_holds_the_package_and_no_more(wheel):
    found = {name for name in names(wheel) if ".dist-info/" not in name}
    assert found == {name for name in tracked() if name.startswith("lowrank_helpers/")}


def test_building_leaves_no_folder(sdist, wheel):
    left = {path.name for path in sdist.iterdir()} - {name.split("/")[0] for name in tracked()}
    assert left == {"PKG-INFO", "setup.cfg", "lowrank_helpers.egg-info", "build"}
    assert [path.name for path in (sdist / "build").rglob("*.py")] == ["stale.py"]


def test_every_file_of_data_has_a_licence_and_the_wheel_names_them_all(wheel):
    rows = r"^   (\S+) {2,}(\S+(?: \S+)*)(?: {2,}(\S+))?$"
    table = re.findall(rows, (ROOT / "LICENSE").read_text(encoding="utf-8"), re.MULTILINE)
    data = {name.partition("/data/")[2] for name in names(wheel) if name.startswith("lowrank_helpers/data/")}
    texts = {name for name in data if "/LICENSE-" in name}
    for file in data - texts:
        assert sum(fnmatch(file, pattern) for pattern, _, _ in table) == 1, file
    for pattern, licence, text in table:
        assert any(fnmatch(file, pattern) for file in data), pattern
        assert text in texts or (licence, text) in {("MIT", "LICENSE"), ("public domain", "")}, pattern
    assert texts == {text for *_, text in table} - {"LICENSE", ""}
    named = {name for _, licence, _ in table for name in licence.split(" AND ")}
    about = metadata(wheel)
    assert set(about["License-Expression"].split(" AND ")) == named - {"public domain"}
    assert set(about.get_all("License-File")) == {"LICENSE", *(f"lowrank_helpers/data/{text}" for text in texts)}
    shipped = {name.partition(".dist-info/licenses/")[2] for name in names(wheel)}
    assert set(about.get_all("License-File")) <= shipped
    page = (ROOT / "data.md").read_text(encoding="utf-8")
    assert texts == set(re.findall(r"`data/(\S+/LICENSE-\S+)`", page))


def test_the_description_has_no_link_that_breaks(wheel):
    text = metadata(wheel).get_payload()
    assert text.strip() == (ROOT / "lowrank_helpers" / "README.md").read_text(encoding="utf-8").strip()
    links = [a or b for a, b in re.findall(r"\]\(([^)]*)\)|(?:src|href)=\"([^\"]*)\"", text)]
    assert [link for link in links if not link.startswith("https://")] == []
    assert metadata(wheel)["Description-Content-Type"] == "text/markdown"


def test_the_installed_wheel_is_what_runs(installed, tmp_path):
    code = "import lowrank_helpers; print(lowrank_helpers.__file__)"
    done = subprocess.run([installed, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout).is_relative_to(installed.parent.parent)


# -------------------------------------------------------------------------------- what the READMEs say, and the types

SNIPPETS = [
    code
    for page in ("README.md", "helpers.md", "lowrank_helpers/README.md")
    for code in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
]
HOLDS = [
    "assert abs(error - 2) < 1e-12",
    "assert U.shape == (5000, 5) and len(B) <= 20 and loss > 0 and rows == 5000",
    'assert {path.name for path in __import__("pathlib").Path("adapter").iterdir()} > {"adapter_config.json"}',
    "assert rank == 5 and round(error, 3) == 0.01",
]


@pytest.mark.parametrize(("snippet", "holds"), [*zip(SNIPPETS, HOLDS, strict=True)])
def test_snippets_run_as_they_are_printed(installed, snippet, holds, tmp_path):
    done = subprocess.run(
        [installed, "-W", "error", "-c", snippet + holds], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


WRONG = [  # each is refused where it stands
    "lr.nothing",
    'lr.svd.tail_error([1.0], 1, norm="spektral")',
    'lr.datasets.load("moon")',
    "inverse: NDArray[np.float64] = linalg.pinv(A32)",
    "triples: svd.SVDFactors[np.float32] = randomized_svd(A64, 2)",
    "factors: svd.SVDFactors[np.float64] = svd.truncated_svd(A32, 2)",
    "lost: NDArray[np.float32] = table.objective",
]


def test_a_client_passes_strict_type_checks_and_a_wrong_one_does_not(installed, tmp_path):
    client = (ROOT / "tests" / "repository" / "client.py").read_text(encoding="utf-8")
    swapped = re.sub(r"^f(32|64)\(", lambda call: {"32": "f64(", "64": "f32("}[call[1]], client, flags=re.MULTILINE)
    wrong = swapped + "\n".join(WRONG) + "\n"
    files = {"client.py": client, "wrong.py": wrong, **{f"snippet{k}.py": code for k, code in enumerate(SNIPPETS)}}
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    skip = "[mypy-torch.*,matplotlib.*]\nfollow_imports = skip\n"  # they would take most of the time
    (tmp_path / "mypy.ini").write_text(skip, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = {(name, int(line)) for name, line in re.findall(r"^(\S+?):(\d+): error:", done.stdout, re.MULTILINE)}
    right = client.splitlines()
    wanted = {
        ("wrong.py", k) for k, line in enumerate(wrong.splitlines(), 1) if line not in right and "nmf(" not in line
    }
    assert found == wanted, done.stdout


def test_the_client_s_types_are_those_at_run_time(installed, tmp_path):
    shutil.copy(ROOT / "tests" / "repository" / "client.py", tmp_path)
    done = subprocess.run([installed, "-W", "error", "client.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
