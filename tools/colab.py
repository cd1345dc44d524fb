"""Stamp the set-up cell into chapters: the address from _config.yml and the release from pyproject.toml.

    python -m tools.colab chapters/01_norms.ipynb [more …]

The cell does nothing outside Colab, so the stored outputs stay as they are.
"""

import pathlib
import sys

import nbformat

from tools.setup_cell import setup_cell


def stamp(path: pathlib.Path) -> bool:
    """Make the first code cell the set-up cell; say whether that changed anything."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    if "google.colab" not in first.source:
        raise SystemExit(f"{path}: the first code cell is not a set-up cell.")
    if first.source == setup_cell():
        return False
    first.source = setup_cell()
    nbformat.write(notebook, path)
    return True


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {'stamped' if stamp(pathlib.Path(name)) else 'is up to date'}")
