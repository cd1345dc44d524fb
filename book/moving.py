"""The figures that readers move, on the pages of the chapters.

A plotting cell with the metadata ``moving: ellipse`` keeps its picture, which notebooks and paper show. On its page
``moving/ellipse.html`` stands below it, and what is drawn there comes from ``moving/ellipse.js``, by the means of
``moving/base.js``. Both are loaded on that page alone, and nothing is asked of any other host.
"""

import pathlib
import re
import shutil
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from book.references import raw

FOLDER = pathlib.Path(__file__).with_suffix("")
NAMED = re.compile(r'data-moving="(\w+)"')


def names() -> list[str]:
    """All figures that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.html"))


def figure(name: str) -> str:
    """What stands on the page where nothing has been drawn yet: words, empty panels, controls, readings."""
    if name not in names():
        raise ExtensionError(f"moving: {name} must be one of {', '.join(names())}.")
    return f'<div class="moving" data-moving="{name}">\n{(FOLDER / f"{name}.html").read_text(encoding="utf-8")}</div>'


def add_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Put each figure below the picture of its cell."""
    for cell in doctree.findall(nodes.container):
        if name := (cell.get("cell_metadata") or {}).get("moving"):
            cell += raw(figure(name))


def load_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the scripts of the figures that a page has, after all of its text."""
    found = dict.fromkeys(NAMED.findall(context.get("body", "")))
    if not found:
        return
    app.add_css_file("moving/base.css")
    for name in ("base", *found):
        app.add_js_file(f"moving/{name}.js", loading_method="defer")


def copy_scripts(app: Sphinx) -> None:
    """Put the scripts into the built book: what lies in our own ``_static`` would be loaded by every page."""
    if app.builder.format == "html":
        out = pathlib.Path(app.outdir) / "_static" / "moving"
        out.mkdir(parents=True, exist_ok=True)
        for path in (*FOLDER.glob("*.js"), *FOLDER.glob("*.css")):
            shutil.copy(path, out)


def setup(app: Sphinx) -> None:
    """Register the above."""
    app.connect("builder-inited", copy_scripts)
    app.connect("doctree-read", add_figures)
    app.connect("html-page-context", load_scripts)
