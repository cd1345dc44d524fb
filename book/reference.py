"""The pages of the helpers: a table of all modules; for each module a table of its functions, then their docstrings.

A page names what it shows, in the order in which it is read; a class that shows methods names them after a colon:

    .. reference:: widgets

       rank_slider
       RankSlider: picture, bytes
"""

import html
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book.ledger import ROOT

TITLE = re.compile(r"# (.*): `(\w+)`")


def listed(page: str) -> dict[str, str]:
    """What a page of helpers/ shows: each name with its methods."""
    block = re.search(r"\.\. reference:: \w+\n\n(.*?)```", page, re.DOTALL)
    assert block is not None
    return named(block[1].splitlines())


def named(lines: list[str]) -> dict[str, str]:
    """Names with their methods, from lines such as ``GPT: forward``."""
    pairs = [line.strip().partition(": ") for line in lines if line.strip()]
    return {name: methods for name, _, methods in pairs}


def pages() -> dict[str, str]:
    """The text of each page of helpers/, by its module, in the order of _toc.yml."""
    order = re.findall(r"- file: helpers/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return {module: (ROOT / "helpers" / f"{module}.md").read_text(encoding="utf-8") for module in order}


def described(name: str, methods: str) -> list[str]:
    """The lines of reStructuredText that have autodoc show one name."""
    kind = "class" if name[0].isupper() else "function"  # not asked of the module: the book is built without torch
    members = [f"   :members:{'' if methods == '*' else ' ' + methods}"] if methods else []
    return [f".. auto{kind}:: {name}", *members, ""]


class Reference(SphinxDirective):
    """``.. reference:: svd``: what the module is for, a table of its functions, and their docstrings."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module, names = f"lowrank_helpers.{self.arguments[0]}", named(list(self.content))
        lines = [f".. automodule:: {module}", "", f".. currentmodule:: {module}", ""]
        lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names), ""]
        for name, methods in names.items():
            lines += described(name, methods)
        out = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, out)
        return out.children


class Rooms(SphinxDirective):
    """``{rooms}``: a table of the modules, with a link to the page of each."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for module, page in pages().items():
            title = TITLE.match(page)
            assert title is not None
            functions = sum(name.islower() for name in listed(page))
            rows.append(
                f'<tr><td><a href="helpers/{module}.html"><code>{module}</code></a></td>'
                f"<td>{html.escape(title[1])}</td><td>{functions}</td></tr>"
            )
        head = "<tr><th>module</th><th>what it is for</th><th>functions</th></tr>"
        table = f'<table class="table"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
        return [nodes.raw("", f'<div class="pst-scrollable-table-container">{table}</div>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("reference", Reference)
    app.add_directive("rooms", Rooms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
