"""The Sphinx extension of this book: what makes its pages is registered here. Here, too: the notebooks to download,
and no button that leads nowhere while the book has no address."""

import gc
import re
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc import _CLASS_NEW_BLACKLIST
from sphinx.ext.autodoc.mock import _MockObject
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

from book import bibliography, boxes, course, edition, finding, ledger_page, moving, previews, slides
from book.setup_cell import published, release_url, repository_url


def open_with_picture(app: Sphinx, doctree: nodes.document) -> None:
    """Show a chapter's opening picture below its first paragraphs, though its cell comes after the imports."""
    name = nodes.make_id(f"fig-{app.env.docname.partition('_')[2]}-opening")
    for figure in doctree.findall(nodes.figure):
        if name in figure["ids"]:
            cell, section = figure, next(doctree.findall(nodes.section))
            while cell.parent is not section:
                cell = cell.parent
            section.remove(cell)
            opening = next(i for i, node in enumerate(section) if not isinstance(node, nodes.title | nodes.paragraph))
            section.insert(opening, cell)
            return


def keep_initials(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep an author's initial at the start of a reference from being read as the letter of a list."""
    lines[:] = [re.sub(r"^(\s*[A-Z])\. ", r"\1\\. ", line) for line in lines]


def fit_stand_ins() -> None:
    """Fit what autodoc puts in the place of torch, which the book is built without, to the package's networks."""
    _MockObject.__or__ = _MockObject.__ror__ = lambda self, other: self  # as in `Tensor | None`
    _CLASS_NEW_BLACKLIST.append("sphinx.ext.autodoc.mock._MockObject.__new__")  # a class shows its own __init__


def number_side_trips() -> None:
    """Let the side trips, whose part has the style alphaupper in _toc.yml, be A1, A2 and A3, not A, B and C."""
    TocTreeCollectorWithStyles._TocTreeCollectorWithStyles__to_alpha = lambda self, n: f"A{n}"


def theme_settings(app: Sphinx, config: Any) -> None:
    """Set what _config.yml cannot without replacing the launch button: the name beside the logo, the first colours.

    Where _config.yml has a placeholder for the repository's address, no button may lead there, and index.md, by the tag
    "published", does not send its readers to Colab, nor to what a release holds, {asset}`the book <low-rank.pdf>`.
    """
    config.html_theme_options.setdefault("logo", {})["text"] = "Low Rank"
    config.html_context["default_mode"] = "auto"
    config.extlinks = {"asset": (f"{release_url()}/%s", "%s")}
    if published():
        app.tags.add("published")
    else:
        unwanted = {"launch_buttons": {}, "use_issues_button": False, "use_repository_button": False}
        config.html_theme_options.update(unwanted)


def point_to_notebooks(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the buttons of a chapter lead to its notebooks in plain Markdown: in these pages, and on their own branch."""
    if not page.startswith("chapters/"):
        return
    notebook = f"{page.removeprefix('chapters/')}.ipynb"
    groups = {group["label"]: group["buttons"] for group in context["header_buttons"] if "buttons" in group}
    downloads = groups["download-buttons"]
    full = next(button for button in downloads if button["label"] == "download-source-button")
    full["url"] = context["pathto"](f"notebooks/full/{notebook}", 1)
    student = full | {"url": context["pathto"](f"notebooks/student/{notebook}", 1), "label": "download-student-button"}
    student |= {"text": ".ipynb without solutions", "tooltip": "Download the notebook without solutions"}
    downloads.insert(downloads.index(full) + 1, student)
    for button in groups.get("launch-buttons", []):
        repository = urlsplit(repository_url()).path
        button["url"] = f"https://colab.research.google.com/github{repository}/blob/notebooks/full/{notebook}"


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The theme brings thebe, which asks a CDN for itself when started; this book does not use it."""
    context["script_files"] = [
        s for s in context["script_files"] if "thebe" not in f"{s.filename} {s.attributes}".lower()
    ]
    context["css_files"] = [s for s in context["css_files"] if "thebe" not in str(s.filename)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of the above."""
    gc.set_threshold(100_000, 20, 20)  # a build makes millions of nodes: by default a third of its time goes on looking
    for part in ("typeset", "fonts", "layout", "languages"):
        app.setup_extension(f"book.{part}")
    app.setup_extension("sphinx.ext.extlinks")
    for module in (bibliography, boxes, course, finding, ledger_page, moving, previews, slides):
        module.setup(app)
    fit_stand_ins()
    number_side_trips()
    app.connect("config-inited", theme_settings)
    app.connect("doctree-read", open_with_picture)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", point_to_notebooks, priority=900)  # after the theme has made its buttons
    app.connect("autodoc-process-docstring", keep_initials)
    app.connect("build-finished", edition.write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
