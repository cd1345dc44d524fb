"""Notebooks as Colab runs them: alone in an empty folder, the helpers installed by the notebook's own set-up cell.

They are those that the rocket opens and the pages offer for download (book/edition.py).

The cell is unchanged. Git is told to find its address in a repository made from this work tree, with the release's
tag; pip may ask no index, so what is installed already has to do, as numpy and torch have to in Colab.
One of them runs here, which shows a widget of the helpers; BOOK_COLAB=all runs every chapter. Each with its solutions:
without them a notebook is the same as far as it goes (tests/book/test_edition.py).
"""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from book import ledger
from book.setup_cell import release_tag, repository_url

pytestmark = pytest.mark.slow

RUN = ["full/06_eckart_young"]
if os.environ.get("BOOK_COLAB") == "all":
    RUN = [f"full/{path.stem}" for path in ledger.chapters()]

# Runs in the fresh environment: execute the chapter, then ask the same kernel where the helpers came from.
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("import lowrank_helpers; print(lowrank_helpers.__file__)"))
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
print(notebook.cells[-1].outputs[0].text)
"""


def git(*command: str, cwd: Path) -> None:
    identity = ["-c", "user.name=book", "-c", "user.email=book@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *command], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A git repository of this work tree, with the release's tag."""
    copy = tmp_path_factory.mktemp("repository") / "book"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", "_build", "__pycache__", "*.egg-info", "node_modules"
    )
    shutil.copytree(ledger.ROOT, copy, ignore=left_out)
    git("init", "--quiet", cwd=copy)
    git("add", "--all", cwd=copy)
    git("commit", "--quiet", "--message", "The book", cwd=copy)
    git("tag", release_tag(), cwd=copy)
    return copy


@pytest.fixture
def colab(repository, tmp_path):
    """A fresh environment that sees what is installed here, lowrank_helpers excepted, and believes to be Colab."""
    installed = tmp_path / "installed"
    installed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "lowrank_helpers" not in entry.name:
            (installed / entry.name).symlink_to(entry)
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (site / "installed.pth").write_text(f"{installed}\n")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository_url(),
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as the value of build_isolation: no isolation
        "PIP_NO_INDEX": "1",
    }
    return python, environment


@pytest.mark.parametrize("name", RUN)
def test_notebook_runs_alone_in_colab(name, book, colab, tmp_path):
    python, environment = colab
    alone = tmp_path / "content"
    alone.mkdir()
    shutil.copy(book / "notebooks" / f"{name}.ipynb", alone / "notebook.ipynb")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(python), *command], cwd=alone, env=environment, capture_output=True, text=True)

    before = run("-c", "import numpy, lowrank_helpers")
    assert "No module named 'lowrank_helpers'" in before.stderr
    after = run("-c", EXECUTE, "notebook.ipynb")
    assert after.returncode == 0, after.stderr[-4000:]
    assert Path(after.stdout.strip()).is_relative_to(tmp_path / "venv")
