"""What a page says of itself to search engines, and to those who are sent a link: a sentence, a title, a picture.

The sentence is the page's own first one. Addresses are whole where the book has an address, and left out or relative
where it has none.
"""

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from book.setup_cell import pages_url

BOOK = "Low Rank: from norms to LoRA"
PICTURE = "_static/picture.jpg"
PICTURE_SHOWS = "A photograph of a temple as a matrix of rank 1, 8 and 48, and as it is"
LONGEST = 180  # of a description, in characters
PLAIN = {r"\times": " × ", r"\cdot": " · ", r"\dots": "…", r"\to": "→", r"\,": " ", "{": "", "}": ""}
FORMULA = "\0"  # stands for one that cannot be said in a line of plain text


def spoken(paragraph: nodes.paragraph) -> str:
    """The text of a paragraph, its formulas in plain letters where that can be."""
    words = []
    for node in paragraph.findall(nodes.Text):
        text = str(node)
        if isinstance(node.parent, nodes.math):
            for tex, plain in PLAIN.items():
                text = text.replace(tex, plain)
            text = FORMULA if "\\" in text or "_" in text or "^" in text else text
        words.append(text)
    return " ".join("".join(words).split())


def description(doctree: nodes.document) -> str:
    """The first sentences of a page that need no typesetting, as many as fit; one that is too long is cut at a word.

    It begins with no "Yet" or "But": such a sentence needs the one before it.
    """
    texts = [spoken(p) for p in doctree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)]
    said = ""
    for sentence in [s for text in texts for s in re.split(r"(?<=[.?!])\s+", text) if s]:
        if said and (FORMULA in sentence or len(f"{said} {sentence}") > LONGEST):
            break
        if said or (FORMULA not in sentence and not sentence.startswith(("Yet ", "But "))):
            said = f"{said} {sentence}".strip()
    return said if len(said) <= LONGEST else said[: LONGEST - 1].rpartition(" ")[0].rstrip(",;:") + " …"


def tags(page: str, title: str, said: str, picture: str) -> dict[str, str]:
    """The tags of a page, by name: Open Graph's, of which other networks read most, and those that are not in it."""
    address = pages_url()
    found = {"description": said} if said else {}
    found |= {"og:type": "book" if page == "index" else "article", "og:site_name": BOOK, "og:title": title}
    found |= {"og:description": said} if said else {}
    found |= {"og:image": f"{address}{PICTURE}" if address else picture, "og:image:alt": PICTURE_SHOWS}
    found |= {"og:url": f"{address}{page}.html"} if address else {}
    return found | {"twitter:card": "summary_large_image"}


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put them into the head of a page that has a text."""
    if doctree is None:
        return
    title = html.unescape(re.sub(r"<[^>]*>", "", context["title"]))
    said = description(doctree) or f"{title}: a page of the book {BOOK}."
    for name, content in tags(page, title, said, context["pathto"](PICTURE, 1)).items():
        key = "property" if name.startswith("og:") else "name"
        context["metatags"] += f'\n<meta {key}="{name}" content="{html.escape(content)}" />'


def set_address(app: Sphinx, config: Any) -> None:
    """Name the one right address of each page, where there is one."""
    config.html_baseurl = pages_url() or ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_tags)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
