"""The formulas, typeset while the book is built.

MathJax runs here, in the engine V8, and a page carries what comes out: boxes for the eye, MathML for a screen reader.
So a page with 800 formulas is ready when it is read, and no reader's processor typesets them again. `book/typeset.js`
is the half of this file that runs in the engine; `book/fonts.py` writes the style sheet and the fonts.
"""

import atexit
import functools
import hashlib
import html
import importlib.util
import json
import pathlib
import re
from typing import Any, Protocol

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.locale import _
from sphinx.util.math import get_node_equation_number

MATHJAX = [
    "loader.js",
    "core.js",
    "adaptors/liteDOM.js",
    "input/tex-full.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "a11y/assistive-mml.js",
]
DRIVER = pathlib.Path(__file__).with_suffix(".js")
CACHE = "formulas.json"
INLINE = re.compile(r"\\\((.+?)\\\)", re.DOTALL)

typeset_before: dict[str, str] = {}


class Rejected(SphinxError):
    """A formula that MathJax does not take."""

    category = "Formula"


def mathjax_folder() -> pathlib.Path:
    """Where pip has put MathJax."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    assert found is not None and found.submodule_search_locations
    return pathlib.Path(found.submodule_search_locations[0]) / "static" / "mathjax"


@functools.cache
def engine() -> MiniRacer:
    """V8 with MathJax in it; ready after a third of a second."""
    started = MiniRacer()
    atexit.register(started.close)  # left to the garbage collector, it would keep Python from ending after an error
    started.eval("var global = globalThis, MathJax = {loader: {load: []}, startup: {typeset: false}}; 0")
    for path in (*(mathjax_folder() / name for name in MATHJAX), DRIVER):
        started.eval(path.read_text(encoding="utf-8") + "\n; 0")
    return started


def sheet() -> str:
    """MathJax's style sheet, with a rule for every character that it knows."""
    return str(engine().call("sheet"))


def typeset(tex: str, display: bool = False) -> str:
    """The markup of a formula; the same one is typeset once. ValueError with MathJax's reason where it takes it not."""
    key = f"{'display' if display else 'inline'} {tex}"
    if key not in typeset_before:
        made = engine().call("typeset", tex, display)
        if not isinstance(made, str):
            raise ValueError(made["rejected"])
        typeset_before[key] = made
    return typeset_before[key]


def typeset_on(page: str, tex: str, display: bool = False) -> str:
    """The markup of a formula on a page, which ends the build where MathJax does not take it."""
    try:
        return typeset(tex, display)
    except ValueError as error:
        raise Rejected(f"{page}: MathJax does not take this formula: {error}. Correct it: {tex}") from None


def in_html(page: str, text: str) -> str:
    r"""Raw HTML with the formulas in it, written ``\(x^2\)``, typeset. Scripts are left alone."""
    pieces = re.split(r"(<script\b.*?</script>)", text, flags=re.DOTALL | re.IGNORECASE)
    return "".join(
        piece
        if piece.lower().startswith("<script")
        else INLINE.sub(lambda found: typeset_on(page, html.unescape(found[1])), piece)
        for piece in pieces
    )


class Translator(Protocol):
    """What is used of Sphinx's writer of HTML."""

    body: list[str]
    builder: Any

    def starttag(self, node: nodes.Node, tagname: str, suffix: str = ..., **attributes: Any) -> str: ...
    def add_permalink_ref(self, node: nodes.Node, title: str) -> None: ...


def visit_math(self: Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    made = typeset_on(self.builder.current_docname, node.astext())
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight") + made + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self: Translator, node: nodes.math_block) -> None:
    """Write a formula that stands alone, with its number where it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')  # type: ignore[arg-type]
        self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    tex = node.astext() if node["nowrap"] else aligned(node.astext())
    self.body.append(typeset_on(self.builder.current_docname, tex, display=True) + "</div>\n")
    raise nodes.SkipNode


def aligned(tex: str) -> str:
    r"""Sphinx's own reading of a display: ``\\`` begins a line, an empty line the next equation."""
    parts = [part for part in tex.split("\n\n") if part.strip()]
    lines = [rf"\begin{{split}}{part}\end{{split}}" if r"\\" in part else part for part in parts]
    if len(lines) < 2:
        return "".join(lines)
    return r"\begin{align}\begin{aligned}" + r"\\".join(lines) + r"\end{aligned}\end{align}"


def typeset_raw_html(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    r"""Typeset what stands between ``\(`` and ``\)`` in the raw HTML of a page: the quiz, the ledger, tables."""
    for node in doctree.findall(nodes.raw):
        if "html" in node.get("format", "") and r"\(" in node.astext():
            node.children = [nodes.Text(in_html(docname, node.astext()))]


def fingerprint() -> str:
    """Changes with MathJax and with how it is used here, and with it what is stored of earlier builds."""
    return hashlib.sha256(DRIVER.read_bytes() + (mathjax_folder() / "core.js").read_bytes()).hexdigest()


def recall(app: Sphinx) -> None:
    """Take what an earlier build has typeset, which takes 20 seconds for the whole book."""
    stored = pathlib.Path(app.doctreedir, CACHE)
    if stored.exists():
        read = json.loads(stored.read_text(encoding="utf-8"))
        if read["fingerprint"] == fingerprint():
            typeset_before.update(read["formulas"])


def remember(app: Sphinx, error: Exception | None) -> None:
    """Keep what is typeset for the next build."""
    stored = {"fingerprint": fingerprint(), "formulas": typeset_before}
    pathlib.Path(app.doctreedir, CACHE).write_text(json.dumps(stored), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above as the way in which Sphinx writes formulas into pages."""
    app.add_html_math_renderer("typeset", (visit_math, None), (visit_displaymath, None))
    app.config.html_math_renderer = "typeset"
    app.connect("builder-inited", recall)
    app.connect("doctree-resolved", typeset_raw_html)
    app.connect("build-finished", remember)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}  # one engine, in one process
