"""What pages show of the claims and their tests: the ledger, its diagram, and the rows of the folklore page."""

import html
import importlib
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book import ledger
from book.observations import Contender
from book.references import inline, link, listed, raw, to_claim, to_figure

ENTRIES = ledger.read_book()
FINDINGS = ledger.read_findings()
FOLKLORE_CELLS = ledger.folklore_cells()
SCRIPT = pathlib.Path(__file__).with_name("ledger_arcs.js")
EQUATION_LABEL = re.compile(r"(\$\$) *\([\w-]+\)")
SHORT = {"theorem": "Thm ", "lemma": "Lem ", "corollary": "Cor ", "proposition": "Prop "}
ROW, REACH = 28, 150  # pixels: the height of a claim's row in the diagram, and how far its arcs may reach


def module_of(chapter: str) -> Any:
    """The module with a chapter's CLAIMS, OBSERVATIONS and FOLKLORE."""
    return importlib.import_module(ledger.claims_module(chapter))


def place(chapter: str, label: str) -> str:
    """The address of what has a label in a chapter."""
    return f"chapters/{chapter}.html#{label}"


class LedgerPart(SphinxDirective):
    """What the two tables of the ledger have in common: a heading for each chapter, an entry for each of its items."""

    items: tuple[Any, ...] = ()

    def run(self) -> list[nodes.Node]:
        return [self.chapter(chapter) for chapter in dict.fromkeys(item.chapter for item in self.items)]

    def chapter(self, chapter: str) -> nodes.section:
        """A section with the claims of one chapter."""
        title = f"{ledger.number(chapter)}. {ledger.chapter_title(chapter)}"
        section = nodes.section(ids=[f"{self.name}-{chapter}"], names=[f"{self.name} {chapter}"], classes=["ledger"])
        section += nodes.title(title, "", *inline(title))
        section += [self.entry(item) for item in self.items if item.chapter == chapter]
        return section

    def entry(self, item: Any) -> nodes.container:
        """One claim or observation: its number, its name, what it says, folded, and what holds it."""
        name = nodes.paragraph(
            "",
            "",
            to_claim(item.label, self.env.docname),
            nodes.Text(" "),
            *inline(item.title),
            classes=["ledger-name"],
        )
        statement = self.parse_text_to_nodes(EQUATION_LABEL.sub(r"\1", item.text))
        folded = [raw("<details><summary>What it says</summary>"), nodes.container("", *statement), raw("</details>")]
        lines = [
            nodes.paragraph("", "", nodes.strong("", f"{head} "), *rest, classes=["ledger-line"])
            for head, rest in self.lines(item)
        ]
        return nodes.container("", name, *folded, *lines, ids=[f"ledger-{item.label}"], classes=["ledger-entry"])

    def lines(self, item: Any) -> Iterator[tuple[str, list[nodes.Node]]]:
        """What is to be said of one claim or observation: heads, and what follows each."""
        raise NotImplementedError

    def shown(self, item: Any) -> tuple[str, list[nodes.Node]]:
        """Where the chapter shows it."""
        if item.figure:
            return "Shown in", [to_figure(item.figure, self.env.docname), nodes.Text(".")]
        return "Shown by", [link(place(item.chapter, f"shows-{item.label}"), "a cell of the chapter"), nodes.Text(".")]


class LedgerTable(LedgerPart):
    """``{ledger-table}``: the claims of each chapter, with their proofs, cells and tests."""

    items = tuple(ENTRIES)

    def lines(self, item: ledger.Entry) -> Iterator[tuple[str, list[nodes.Node]]]:
        claim = module_of(item.chapter).CLAIMS[item.label]
        uses: list[nodes.Node] = listed([to_claim(label, self.env.docname) for label in item.uses or ()])
        yield "Proof uses", [*(uses or [nodes.Text("the definitions only")]), nodes.Text(".")]
        yield self.shown(item)
        tried = f"a check that holds on {len(claim.cases)} cases"
        if claim.dropped:
            tried += f"; fails without: {'; '.join(claim.dropped)}"
        yield (
            "Guarded by",
            [nodes.Text(f"{tried}. Wrong code rejected: {'; '.join(claim.mutants)}. "), nodes.literal("", item.label)],
        )


class ObservationTable(LedgerPart):
    """``{observation-table}``: the observations of each chapter, their contenders and what would overturn them."""

    items = tuple(FINDINGS)

    def lines(self, item: ledger.Finding) -> Iterator[tuple[str, list[nodes.Node]]]:
        observation = module_of(item.chapter).OBSERVATIONS[item.label]
        protocol = observation.protocol
        tuned = f", settings chosen on {protocol.tuned_on}" if protocol.tuned_on else ""
        yield "Compared", [nodes.Text(f"{'; '.join(map(contender_line, protocol.contenders))}.")]
        yield "Measured", [nodes.Text(f"on {protocol.tested_on}{tuned}; interval: {protocol.interval}.")]
        yield self.shown(item)
        yield "Overturned by", [nodes.Text(f"{'; '.join(observation.sharp)}. "), nodes.literal("", item.label)]


def contender_line(contender: Contender) -> str:
    """A contender's name, with how its settings came about."""
    grid = [f"{setting} out of {', '.join(map(str, values))}" for setting, values in contender.grid.items()]
    return f"{contender.name} ({'; '.join(grid) or contender.fixed or 'nothing chosen'})"


class arc_diagram(nodes.General, nodes.Element):
    """The place of the diagram, which is drawn when all claims have their numbers."""


class LedgerGraph(SphinxDirective):
    """``{ledger-graph}``: the claims in the order of the book, with an arc for each use of one by a proof."""

    def run(self) -> list[nodes.Node]:
        return [arc_diagram()]


def arc(user: str, used: str, at: dict[str, int]) -> str:
    """The arc from a claim up to an earlier one that its proof uses."""
    low, high = at[user], at[used]
    x = round(REACH - min(REACH - 8, 10 + (low - high) * 0.3))
    return f'<path data-from="{user}" data-to="{used}" d="M{REACH} {low}C{x} {low} {x} {high} {REACH} {high}"/>'


def diagram(numbers: dict[str, str]) -> str:
    """The diagram: a list of links, so that its words have the size of words on any screen, beside arcs as SVG."""
    at = {entry.label: ROW * i + ROW // 2 for i, entry in enumerate(ENTRIES)}
    arcs = [arc(entry.label, label, at) for entry in ENTRIES for label in entry.uses or ()]
    rows = [
        f'<li><a data-claim="{entry.label}" href="{place(entry.chapter, entry.label)}"><b>{numbers[entry.label]}</b> '
        f"{html.escape(entry.title.replace('$', ''))}</a></li>"
        for entry in ENTRIES
    ]
    said = f"{len(arcs)} arcs, from each claim to the earlier ones that its proof uses"
    size = f'viewBox="0 0 {REACH} {ROW * len(ENTRIES)}" preserveAspectRatio="none"'
    return (
        f'<div class="ledger-graph"><svg {size} role="img" aria-label="{said}">{"".join(arcs)}</svg>'
        f"<ol>{''.join(rows)}</ol></div><script>{SCRIPT.read_text(encoding='utf-8')}</script>"
    )


def draw(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the diagram into its place."""
    for node in list(doctree.findall(arc_diagram)):
        numbers = {
            entry.label: ".".join(
                map(str, app.env.toc_fignumbers[f"chapters/{entry.chapter}"][entry.kind][entry.label])
            )
            for entry in ENTRIES
        }
        node.replace_self(raw(diagram(numbers)))


class FolkloreRow(SphinxDirective):
    """``{folklore-row} 8``: where the misstatement is shown failing, and the test that guards it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        row = int(self.arguments[0])
        places = [
            link(f"chapters/{chapter}.html#folklore-{row}", ledger.called(chapter))
            for chapter in dict.fromkeys(chapter for chapter, _ in FOLKLORE_CELLS[row])
        ]
        text = [
            nodes.Text("Shown failing in "),
            *listed(places),
            nodes.Text("; guarded by "),
            nodes.literal("", f"test_folklore[{row}]"),
        ]
        return [nodes.paragraph("", "", *text, nodes.Text("."), classes=["guard"])]


def setup(app: Sphinx) -> None:
    """Register the above."""
    app.add_node(arc_diagram)
    app.add_directive("ledger-table", LedgerTable)
    app.add_directive("ledger-graph", LedgerGraph)
    app.add_directive("observation-table", ObservationTable)
    app.add_directive("folklore-row", FolkloreRow)
    app.connect("doctree-resolved", draw)
