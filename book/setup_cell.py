"""The set-up cell that opens every chapter: it does something in Colab alone.

``python book/setup_cell.py`` prints it; ``make publish`` stamps it into the notebooks (tools/publish.py).
The repository's address stands in ``_config.yml``; the release tag is the version in ``pyproject.toml``.
"""

import pathlib
import tomllib

import yaml

PLACEHOLDER = "your_account"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def repository_url() -> str:
    """The address of the repository, from _config.yml."""
    return yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]


def published() -> bool:
    """Whether the repository's address is a real one. No account of GitHub has an underscore in its name."""
    return repository_url().split("/")[3] != PLACEHOLDER


def pages_url() -> str | None:
    """Where GitHub shows the built book, None as long as the address is a placeholder."""
    account, name = repository_url().split("/")[3:5]
    return f"https://{account}.github.io/{name}/" if published() else None


def release_tag() -> str:
    """The git tag of the book's release, from the version in pyproject.toml."""
    return "v" + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def release_url() -> str:
    """Where GitHub keeps the files of the book's release."""
    return f"{repository_url()}/releases/download/{release_tag()}"


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
