"""The set-up cell that opens every chapter: it does something in Colab alone.

``python tools/setup_cell.py`` prints it; ``make colab`` stamps it into the notebooks (tools/colab.py).
The repository's address stands in ``_config.yml``; the release tag is the version in ``pyproject.toml``.
"""

import pathlib
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


def repository_url() -> str:
    """The address of the repository, from _config.yml."""
    return yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]


def release_tag() -> str:
    """The git tag of the book's release, from the version in pyproject.toml."""
    return "v" + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def setup_cell() -> str:
    """The source of the cell."""
    return f"""\
# In Colab, install the book's helpers; anywhere else, do nothing.
try:
    import google.colab  # noqa: F401
except ImportError:
    pass
else:
    book = "git+{repository_url()}"
    %pip install -q "lowrank_helpers @ {{book}}@{release_tag()}\""""


if __name__ == "__main__":
    print(setup_cell())
