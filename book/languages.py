"""What is Chinese on a page says so, for screen readers, fonts and line breaks, and refers to the book in Chinese.

A page whose first lines have ``language: zh-Hans`` is Chinese, and so is a table's column under the heading "中文". To
both docutils writes the attribute ``lang``, because of a class that begins with "language-".
"""

import functools
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book import ledger

CHINESE = "zh-Hans"
COLUMN = "中文"
KINDS = {
    "Theorem": "定理",
    "Lemma": "引理",
    "Corollary": "推论",
    "Proposition": "命题",
    "Definition": "定义",
    "Algorithm": "算法",
    "Remark": "注",
    "Observation": "观察",
}
REFERENCE = re.compile(rf"({'|'.join(KINDS)}) (?=A?\d)")
CLOSING = re.compile("[，。；：、？！）”’]+")

folklore_cells = functools.cache(ledger.folklore_cells)


def is_chinese(app: Sphinx, page: str) -> bool:
    """Whether a page's first lines say that it is Chinese."""
    return app.env.metadata[page].get("language") == CHINESE


def mark_language(app: Sphinx, doctree: nodes.document) -> None:
    """Mark a Chinese page, and the Chinese columns of tables on the other ones."""
    if is_chinese(app, app.env.docname):
        for section in (node for node in doctree.children if isinstance(node, nodes.section)):
            section["classes"].append(f"language-{CHINESE}")
        keep_marks(doctree)
    else:
        for table in doctree.findall(nodes.table):
            mark_column(table)


def keep_marks(doctree: nodes.document) -> None:
    """Keep the marks that follow a formula on its line: browsers break before them, which Chinese never does."""
    for formula in list(doctree.findall(nodes.math)):
        line, place = formula.parent, formula.parent.index(formula)
        following = line[place + 1] if place + 1 < len(line) else None
        if isinstance(following, nodes.Text) and (marks := CLOSING.match(following)):
            together = nodes.inline("", "", formula, nodes.Text(marks[0]), classes=["together"])
            line[place : place + 2] = [together, nodes.Text(following[marks.end() :])]


def mark_column(table: nodes.table) -> None:
    """Mark the cells under the heading "中文", the heading included."""
    rows = [row.children for row in table.findall(nodes.row)]
    for place, heading in enumerate(rows[0]):
        if heading.astext() == COLUMN:
            for row in rows:
                row[place]["classes"].append(f"language-{CHINESE}")


def translate_references(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Let a Chinese page say 定理 5.1 where it refers to Theorem 5.1."""
    if not is_chinese(app, page):
        return
    for reference in doctree.findall(nodes.reference):
        for text in list(reference.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(REFERENCE.sub(lambda found: f"{KINDS[found[1]]} ", text)))


def in_chinese(chapter: str) -> str:
    """What a chapter is called in Chinese, or a side trip."""
    return f"第 {int(chapter[:2])} 章" if chapter[0].isdigit() else f"专题 {chapter[:2]} "


class Misstatement(SphinxDirective):
    """``{misstatement} 8``: links from a correction in Chinese to the cells that show it, and to the English one."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        row = int(self.arguments[0])
        cells = "、".join(
            f'<a href="chapters/{chapter}.html#folklore-{row}">'
            f"{in_chinese(chapter)}单元格 {cell['execution_count']}</a>"
            for chapter, cell in folklore_cells()[row]
        )
        english = f'<a href="folklore.html#misstatement-{row}">第 {row} 条</a>'
        return [nodes.raw("", f'<p class="guard">反例：{cells}。英文原文：{english}。</p>', format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of the above."""
    app.add_directive("misstatement", Misstatement)
    app.connect("doctree-read", mark_language)
    app.connect("doctree-resolved", translate_references)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
