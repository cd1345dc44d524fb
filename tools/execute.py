"""Execute chapters in fresh kernels and store their outputs.

    python -m tools.execute chapters/01_norms.ipynb [more …]            execute in place
    python -m tools.execute --from 01_norms.md chapters/01_norms.ipynb  from a jupytext file

A kernel starts in chapters/, as under nbval, with one BLAS thread.
"""

import argparse
import base64
import io
import os
import pathlib
import re
import time

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

from book.setup_cell import setup_cell

KEPT_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def lean(png: str) -> str:
    """The same picture in fewer bytes: no alpha channel where it is opaque, packed as tightly as PNG can."""
    picture, packed = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    opaque = picture.convert("RGBA").getextrema()[3][0] == 255
    picture.convert("RGB" if opaque else "RGBA").save(packed, "PNG", optimize=True, dpi=picture.info["dpi"])
    return base64.b64encode(packed.getvalue()).decode()


def lean_svg(svg: str) -> str:
    """The same drawing in fewer bytes: no account of itself, coordinates to a hundredth of a point.

    Scales stay as they are: a letter is drawn a hundred times too large and scaled down.
    """
    bare = re.sub(r" *<metadata>.*?</metadata>\n|<!DOCTYPE.*?>\n", "", svg, flags=re.S)
    return re.sub(r"(scale\([^)]*\))|(\.\d\d)\d+", lambda found: found[1] or found[2], bare)


def whole(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs with what was printed in one go in one piece: where the kernel cuts it is chance."""
    merged: list[nbformat.NotebookNode] = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def execute(notebook: nbformat.NotebookNode, folder: pathlib.Path) -> None:
    """Run all cells in a fresh kernel; keep outputs, drop what differs from run to run."""
    for cell in notebook.cells:
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = whole(cell.outputs)
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = lean(output.data["image/png"])
            if "image/svg+xml" in output.get("data", {}):
                output.data["image/svg+xml"] = lean_svg(output.data["image/svg+xml"])
    notebook.metadata = nbformat.from_dict(KEPT_METADATA)


def main() -> None:
    """Read the command line, execute each notebook, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=pathlib.Path)
    parser.add_argument("--from", dest="text", type=pathlib.Path, help="a jupytext md:myst file to convert first")
    options = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for path in options.notebooks:
        start = time.perf_counter()
        notebook = jupytext.read(options.text, fmt="md:myst") if options.text else nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code" and "setup" in cell.metadata.get("tags", []):
                cell.source, cell.metadata["tags"] = setup_cell(), ["hide-cell"]
        execute(notebook, path.parent.resolve())
        nbformat.write(notebook, path)
        print(f"{path}: {time.perf_counter() - start:.1f} s, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
