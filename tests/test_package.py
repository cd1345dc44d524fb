"""The package as others take it: without the extra, by the names of its modules, and as a wheel."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lowrank_helpers

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
