"""What a page has to know of its pictures and of what was printed, so that nothing moves when they arrive.

Pictures get their width and height, and those below the first one are fetched when the reader comes near them. Printed
sentences are told from printed tables: the former wrap, the latter scroll. Code is marked up where its colour changes.
"""

import pathlib
import re
import struct
from typing import Any

from docutils import nodes
from pygments.formatters import HtmlFormatter
from pygments.token import Name, Punctuation, Text, Whitespace
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

IMAGE = re.compile(r"<img (?![^>]*\bwidth=)[^>]*?\bsrc=\"([^\"]+)\"[^>]*?>")
PIXELS_OF_A_PAGE = 96  # for an inch
PLAIN = {Name, Name.Namespace, Punctuation, Whitespace}  # what the styles of _config.yml give the colour of other text
UNITS = {"": 1.0, "px": 1.0, "pt": PIXELS_OF_A_PAGE / 72, "in": float(PIXELS_OF_A_PAGE)}


def png_size(data: bytes) -> tuple[int, int]:
    """The width and height at which a PNG is shown: its pixels, or fewer where it says that they are finer."""
    width, height = struct.unpack(">II", data[16:24])
    at = data.find(b"pHYs", 0, 4096)
    per_inch = struct.unpack(">I", data[at + 4 : at + 8])[0] * 0.0254 if at > 0 else PIXELS_OF_A_PAGE
    scale = min(1.0, PIXELS_OF_A_PAGE / per_inch)
    return round(width * scale), round(height * scale)


def svg_size(text: str) -> tuple[int, int]:
    """The width and height that a drawing says it has, in a page's pixels; (0, 0) where it says none."""
    head = text[text.find("<svg") :].partition(">")[0]
    sides = [re.search(rf'\b{side}="([\d.]+)(\w*)"', head) for side in ("width", "height")]
    width, height = (round(float(side[1]) * UNITS[side[2]]) if side else 0 for side in sides)
    return width, height


def size(picture: pathlib.Path) -> tuple[int, int]:
    """The width and height at which to show a picture; (0, 0) where that is not known."""
    if picture.suffix == ".png":
        return png_size(picture.read_bytes())
    return svg_size(picture.read_text(encoding="utf-8")) if picture.suffix == ".svg" else (0, 0)


def sized(body: str, sizes: dict[str, tuple[int, int]]) -> str:
    """A page whose pictures, by the names of their files, have the sizes given; all but the first can wait."""
    seen = 0

    def with_size(tag: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        width, height = sizes.get(tag[1].rpartition("/")[2], (0, 0))
        known = f'width="{width}" height="{height}" ' if width and height else ""
        wait = 'loading="lazy" ' if seen > 1 and "loading=" not in tag[0] else ""
        return tag[0].replace("<img ", f"<img {known}{wait}", 1)

    return IMAGE.sub(with_size, body)


def size_pictures(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the pictures of a page their sizes, read from the files that will be copied into the book."""
    if "<img " not in context.get("body", ""):
        return
    root = pathlib.Path(app.srcdir)
    named = {name: root / source for source, name in app.builder.images.items()}  # type: ignore[attr-defined]
    named |= {path.name: path for path in (root / "_static").glob("*.svg")}
    shown = {tag[1].rpartition("/")[2] for tag in IMAGE.finditer(context["body"])}
    context["body"] = sized(context["body"], {name: size(named[name]) for name in shown if name in named})


def is_prose(printed: str) -> bool:
    """Whether what a cell printed is sentences: no columns, which are set apart by spaces, in any line."""
    return not re.search(r"\S {2,}\S|^ +\S|^\W*\d", printed, re.MULTILINE)


def mark_prose(app: Sphinx, doctree: nodes.document) -> None:
    """Give printed sentences the class "prose", so that they wrap."""
    for printed in doctree.findall(nodes.literal_block):
        if {"output", "stream"} <= set(printed["classes"]) and is_prose(printed.astext()):
            printed["classes"].append("prose")


class PlainFormatter(HtmlFormatter[str]):
    """Code without marks on what is plain: half of all elements of a chapter."""

    def format_unencoded(self, tokensource: Any, outfile: Any) -> None:
        """Write the tokens."""
        super().format_unencoded(((Text if kind in PLAIN else kind, text) for kind, text in tokensource), outfile)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    PygmentsBridge.html_formatter = PlainFormatter
    app.connect("doctree-read", mark_prose)
    app.connect("html-page-context", size_pictures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
