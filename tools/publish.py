"""Write the repository's address and the version wherever a reader meets them.

    python -m tools.publish [owner/name]

The address is taken from _config.yml, after owner/name has been put there if it is given, and the version from
pyproject.toml. They go into the chapters' set-up cells, CITATION.cff, README.md, the package and its metadata, always
to the same places: a second run changes nothing. Set-up cells do nothing outside Colab, so outputs stay as they are.
"""

import pathlib
import re
import sys

import nbformat

from book.setup_cell import ROOT, pages_url, release_tag, repository_url, setup_cell

REPOSITORY = re.compile(r"[A-Za-z\d](?:-?[A-Za-z\d])*/[\w.-]+")


def rewrite(name: str, pattern: str, new: str) -> None:
    """Replace what stands between the two groups of a pattern in a file, and say so if that changed anything."""
    path = ROOT / name
    old = path.read_text(encoding="utf-8")
    text, found = re.subn(pattern, lambda match: match[1] + new + match[2], old, flags=re.MULTILINE)
    if found != 1:
        raise SystemExit(f"{name}: {found} places for {new!r}, not one.")
    if text != old:
        path.write_text(text, encoding="utf-8")
        print(f"{name}: stamped")


def stamp(path: pathlib.Path) -> None:
    """Make a chapter's first code cell the set-up cell."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if "google.colab" not in first.source:
        raise SystemExit(f"{path}: the first code cell is not a set-up cell.")
    if first.source != setup_cell():
        first.source = setup_cell()
        nbformat.write(notebook, path)
        print(f"{path.relative_to(ROOT)}: stamped")


def publish(repository: str | None = None) -> None:
    """Stamp all of it."""
    if repository is not None:
        if not REPOSITORY.fullmatch(repository):
            raise SystemExit(f"publish: the repository is owner/name on GitHub; got {repository}.")
        rewrite("_config.yml", r"^(repository:\n  url: ).*()$", f"https://github.com/{repository}")
    url, pages, version = repository_url(), pages_url(), release_tag().removeprefix("v")
    rewrite("lowrank_helpers/__init__.py", r'^(__version__ = ").*(")$', version)
    rewrite("CITATION.cff", r"^(version: ).*()$", version)
    home = f'Homepage = "{pages}"\n' if pages else ""
    blocks = {
        "CITATION.cff": f"license-url: {url}/blob/main/LICENSE\nrepository-code: {url}\nurl: {pages}\n"
        if pages
        else "",
        "pyproject.toml": f'[project.urls]\n{home}Repository = "{url}"\nIssues = "{url}/issues"\n'
        f'Changelog = "{url}/blob/main/CHANGELOG.md"\n',
        "README.md": f"The pages are at <{pages}>. The rocket at the top of each chapter opens it in Colab, where its "
        "first\ncell installs the helpers and leaves numpy and torch alone. The helpers by themselves:\n\n"
        f'```\npip install "lowrank_helpers @ git+{url}@{release_tag()}"\n```\n'
        if pages
        else "",
    }
    for name, block in blocks.items():
        rewrite(name, r"^(.*address: begin.*\n)(?:.*\n)*?(.*address: end)", block)
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        stamp(path)


if __name__ == "__main__":
    publish(*sys.argv[1:2])
