"""The front page: the picture that sharpens, and the road whose boxes lead to the chapters.

All that it says of a chapter, its name and how long it takes, stands in the chapter itself.
"""

import functools
import html
import re
from typing import Any

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book import ledger
from lowrank_helpers import datasets
from lowrank_helpers.widgets import rank_slider


@functools.cache
def text_of(page: str) -> str:
    """The text cells of a chapter, such as ``chapters/01_norms``."""
    cells = ledger.cells(ledger.ROOT / f"{page}.ipynb")
    return "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")


def name_of(page: str) -> str:
    """A chapter's number and the first words of its title: ``1 Norms``, ``A1 Gaussian processes``."""
    title = re.match(r"# ([^:\n]*)", text_of(page))
    assert title is not None
    number = re.match(r"chapters/0?(A?\d+)_", page)
    return f"{number[1]} {title[1]}" if number else title[1]


def times_of(page: str) -> tuple[int, int]:
    """How many minutes of reading and how many of exercises a chapter takes, by its own words."""
    found = re.search(r"^\*\*Time\*\* (\d+) minutes of reading, (\d+) of exercises", text_of(page), re.MULTILINE)
    if found is None:
        raise ValueError(f"{page}: no line '**Time** 60 minutes of reading, 80 of exercises'.")
    return int(found[1]), int(found[2])


def minutes_of(page: str) -> int:
    """How long a chapter takes, with its exercises."""
    return sum(times_of(page))


def parts() -> list[tuple[str, list[str]]]:
    """The parts of the book that have chapters, by _toc.yml: caption and pages."""
    toc = yaml.safe_load((ledger.ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found = [(part.get("caption", ""), [entry["file"] for entry in part["chapters"]]) for part in toc["parts"]]
    return [(caption, pages) for caption, pages in found if pages[0].startswith("chapters/")]


def box(page: str) -> str:
    """A chapter on the road: a link with its name and its minutes."""
    name, minutes = html.escape(name_of(page)), minutes_of(page)
    return f'<li><a href="{page}.html">{name}<span> {minutes} min</span></a></li>'


class Road(SphinxDirective):
    """``{road}``: the parts of the book and their chapters, in the order of reading."""

    def run(self) -> list[nodes.Node]:
        rows = [(caption, "".join(map(box, pages))) for caption, pages in parts()]
        out = [
            f'<li><b id="road-{k}">{caption}</b><ol aria-labelledby="road-{k}">{boxes}</ol></li>'
            for k, (caption, boxes) in enumerate(rows, 1)
        ]
        return [nodes.raw("", f'<ol class="road">{"".join(out)}</ol>', format="html")]


class MovingPicture(SphinxDirective):
    """``{moving-picture} china``: a photograph of the package that sharpens as its rank grows, moved by the reader."""

    required_arguments = 1
    option_spec = {"start": directives.positive_int, "alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        picture = datasets.load(self.arguments[0])  # type: ignore[call-overload]
        slider = rank_slider(picture, start=self.options["start"], alt=self.options["alt"], play=True)
        return [nodes.raw("", f'<div class="moving-picture">{slider._repr_html_()}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("road", Road)
    app.add_directive("moving-picture", MovingPicture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
