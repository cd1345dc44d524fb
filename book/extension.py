"""The Sphinx extension of this book: the ledger and folklore pages, links from claims to their uses, offline math,
the notebooks to download, and no button that leads nowhere while the book has no address."""

import html
import importlib
import importlib.util
import pathlib
import re
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc import _CLASS_NEW_BLACKLIST
from sphinx.ext.autodoc.mock import _MockObject
from sphinx.util.docutils import SphinxDirective
from sphinx.util.fileutil import copy_asset

from book import edition, finding, ledger
from book.observations import Contender
from book.setup_cell import published, repository_url

ENTRIES = ledger.read_book()
FINDINGS = ledger.read_findings()
FOLKLORE_CELLS = ledger.folklore_cells()
PROOF_TARGET = "chapters/{chapter}.html#{label}"
MATHJAX = ["tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions", "ui/lazy.js"]


def claims_of(chapter: str) -> dict[str, Any]:
    """The Claim of each label in one chapter, from the tests."""
    return importlib.import_module(ledger.claims_module(chapter)).CLAIMS


def observations_of(chapter: str) -> dict[str, Any]:
    """The Observation of each label in one chapter, from the same file."""
    return getattr(importlib.import_module(ledger.claims_module(chapter)), "OBSERVATIONS", {})


def chapter_number(chapter: str) -> int:
    """1 for ``01_norms``."""
    return int(chapter[:2])


def raw(text: str) -> nodes.raw:
    """Text that goes into the page as it is."""
    return nodes.raw("", text, format="html")


def claim_link(entry: ledger.Entry) -> str:
    """A link to the place where the claim is stated."""
    return f'<a href="{PROOF_TARGET.format(chapter=entry.chapter, label=entry.label)}">{html.escape(entry.title)}</a>'


class LedgerTable(SphinxDirective):
    """``{ledger-table}``: the claims of each chapter, with their proofs, cells and tests."""

    def run(self) -> list[nodes.Node]:
        by_label = {entry.label: entry for entry in ENTRIES}
        out = []
        for chapter in dict.fromkeys(entry.chapter for entry in ENTRIES):
            claims = claims_of(chapter)
            out.append(f'<h3>Chapter {chapter_number(chapter)}</h3><dl class="ledger">')
            for entry in (e for e in ENTRIES if e.chapter == chapter):
                claim = claims[entry.label]
                uses = ", ".join(claim_link(by_label[label]) for label in entry.uses or ()) or "the definitions only"
                tried = f"holds on {len(claim.cases)} cases"
                if claim.dropped:
                    tried += "; fails without: " + "; ".join(map(html.escape, claim.dropped))
                tried += ". Wrong code rejected: " + "; ".join(map(html.escape, claim.mutants)) + "."
                out.append(
                    f'<dt id="ledger-{entry.label}">{claim_link(entry)} <code>{entry.label}</code></dt>'
                    f'<dd><span class="ledger-line"><b>Proof uses</b> {uses}.</span>'
                    f'<span class="ledger-line"><b>Shown by</b> <a href="chapters/{chapter}.html'
                    f'#shows-{entry.label}">cell {entry.cell}</a>.</span>'
                    f'<span class="ledger-line"><b>Guarded by</b> a check that {tried}</span></dd>'
                )
            out.append("</dl>")
        return [raw("\n".join(out))]


class LedgerGraph(SphinxDirective):
    """``{ledger-graph}``: an arc diagram, as inline SVG, of what each proof uses."""

    def run(self) -> list[nodes.Node]:
        step, left = 26, 150
        at = {entry.label: 20 + step * i for i, entry in enumerate(ENTRIES)}
        arcs, names = [], []
        for entry in ENTRIES:
            y = at[entry.label]
            for label in entry.uses or ():
                reach = min(left - 12, 10 + (y - at[label]) * 0.32)
                arcs.append(f'<path d="M{left} {y}C{left - reach} {y} {left - reach} {at[label]} {left} {at[label]}"/>')
            names.append(
                f'<a href="{PROOF_TARGET.format(chapter=entry.chapter, label=entry.label)}">'
                f'<circle cx="{left}" cy="{y}" r="4"/>'
                f'<text x="{left + 12}" y="{y + 5}">{chapter_number(entry.chapter)} · '
                f"{html.escape(entry.title)}</text></a>"
            )
        count = sum(len(entry.uses or ()) for entry in ENTRIES)
        return [
            raw(
                f'<svg class="ledger-graph" viewBox="0 0 560 {40 + step * len(ENTRIES)}" role="group" '
                f'aria-label="{len(ENTRIES)} claims in the order of the book, joined by {count} arcs from each '
                'proof to the earlier claims that it uses">'
                f'<g class="arcs">{"".join(arcs)}</g>{"".join(names)}</svg>'
            )
        ]


class ObservationTable(SphinxDirective):
    """``{observation-table}``: the observations of each chapter, their contenders and what would overturn them."""

    def run(self) -> list[nodes.Node]:
        out = []
        for chapter in dict.fromkeys(finding.chapter for finding in FINDINGS):
            observations = observations_of(chapter)
            out.append(f'<h3>Chapter {chapter_number(chapter)}</h3><dl class="ledger">')
            for finding in (f for f in FINDINGS if f.chapter == chapter):
                place = PROOF_TARGET.format(chapter=chapter, label=finding.label)
                protocol = observations[finding.label].protocol
                contenders = "; ".join(html.escape(contender_line(c)) for c in protocol.contenders)
                sharp = "; ".join(map(html.escape, observations[finding.label].sharp))
                tuned = f", settings chosen on {html.escape(protocol.tuned_on)}" if protocol.tuned_on else ""
                out.append(
                    f'<dt id="ledger-{finding.label}"><a href="{place}">{html.escape(finding.title)}</a> '
                    f"<code>{finding.label}</code></dt>"
                    f'<dd><span class="ledger-line"><b>Compared</b> {contenders}.</span>'
                    f'<span class="ledger-line"><b>Measured</b> on {html.escape(protocol.tested_on)}{tuned}; '
                    f"interval: {html.escape(protocol.interval)}.</span>"
                    f'<span class="ledger-line"><b>Shown by</b> <a href="chapters/{chapter}.html'
                    f'#shows-{finding.label}">cell {finding.cell}</a>.</span>'
                    f'<span class="ledger-line"><b>Overturned by</b> {sharp}.</span></dd>'
                )
            out.append("</dl>")
        return [raw("\n".join(out))]


def contender_line(contender: Contender) -> str:
    """A contender's name, with how its settings came about."""
    grid = [f"{setting} out of {', '.join(map(str, values))}" for setting, values in contender.grid.items()]
    return f"{contender.name} ({'; '.join(grid) or contender.fixed or 'nothing chosen'})"


class FolkloreRow(SphinxDirective):
    """``{folklore-row} 8``: where the misstatement is shown failing, and the test that guards it."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        row = int(self.arguments[0])
        places = ", ".join(
            f'<a href="chapters/{chapter}.html#folklore-{row}">chapter {chapter_number(chapter)}, '
            f"cell {cell['execution_count']}</a>"
            for chapter, cell in FOLKLORE_CELLS[row]
        )
        return [raw(f'<p class="guard">Shown failing in {places}; guarded by <code>test_folklore[{row}]</code>.</p>')]


def mark_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give the cell that shows a claim an anchor, and each claim a line that says where it is used."""
    docname = app.env.docname
    for container in doctree.findall(nodes.container):
        metadata = container.get("cell_metadata") or {}
        for key, prefix in (("claim", "shows-"), ("observation", "shows-"), ("folklore", "folklore-")):
            container["ids"] += [f"{prefix}{value}" for value in ledger.marked({"metadata": metadata}, key)]
    if not docname.startswith("chapters/"):
        return
    chapter = docname.removeprefix("chapters/")
    for finding in (f for f in FINDINGS if f.chapter == chapter):
        box = next(node for node in doctree.findall(nodes.Element) if finding.label in node.get("ids", []))
        box += raw(
            f'<p class="claim-links"><a href="#shows-{finding.label}">shown by cell {finding.cell}</a>; '
            f'<a href="../ledger.html#ledger-{finding.label}">guarded by its verdict</a>.</p>'
        )
    for entry in (e for e in ENTRIES if e.chapter == chapter):
        users = [other for other in ENTRIES if entry.label in (other.uses or ())]
        links = [f'<a href="#shows-{entry.label}">shown by cell {entry.cell}</a>']
        links += [f'<a href="../ledger.html#ledger-{entry.label}">guarded by its test</a>']
        if users:
            used = ", ".join(
                f'<a href="{other.chapter}.html#{other.label}">{html.escape(other.title)}</a>' for other in users
            )
            links.append(f"used by {used}")
        stated = next(node for node in doctree.findall(nodes.Element) if entry.label in node.get("ids", []))
        stated += raw(f'<p class="claim-links">{"; ".join(links)}.</p>')


def keep_initials(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep an author's initial at the start of a reference from being read as the letter of a list."""
    lines[:] = [re.sub(r"^(\s*[A-Z])\. ", r"\1\\. ", line) for line in lines]


def fit_stand_ins() -> None:
    """Fit what autodoc puts in the place of torch, which the book is built without, to the package's networks."""
    _MockObject.__or__ = _MockObject.__ror__ = lambda self, other: self  # as in `Tensor | None`
    _CLASS_NEW_BLACKLIST.append("sphinx.ext.autodoc.mock._MockObject.__new__")  # a class shows its own __init__


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put the part of MathJax that the pages load into the built book."""
    if error is not None or app.builder.format != "html":
        return
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    assert found is not None and found.submodule_search_locations
    source = pathlib.Path(found.submodule_search_locations[0]) / "static" / "mathjax"
    for part in MATHJAX:
        target = pathlib.Path(app.outdir) / "_static" / "mathjax" / part
        copy_asset(source / part, target if (source / part).is_dir() else target.parent)


def theme_settings(app: Sphinx, config: Any) -> None:
    """Set what _config.yml cannot without replacing the launch button: the name beside the logo, the first colours.

    Where _config.yml has a placeholder for the repository's address, no button may lead there, and index.md, by the tag
    "published", does not send its readers to Colab.
    """
    config.html_theme_options.setdefault("logo", {})["text"] = "Low Rank"
    config.html_context["default_mode"] = "auto"
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
    app.add_directive("ledger-table", LedgerTable)
    app.add_directive("ledger-graph", LedgerGraph)
    app.add_directive("observation-table", ObservationTable)
    app.add_directive("folklore-row", FolkloreRow)
    finding.setup(app)
    fit_stand_ins()
    app.connect("config-inited", theme_settings)
    app.connect("doctree-read", mark_cells)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", point_to_notebooks, priority=900)  # after the theme has made its buttons
    app.connect("autodoc-process-docstring", keep_initials)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", edition.write)
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
