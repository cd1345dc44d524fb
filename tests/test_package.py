"""The package as others take it: without the extra, by the names of its modules, and as a wheel."""

import subprocess
import sys

import pytest

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
