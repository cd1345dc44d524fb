"""The list of sources: one style, labels as the text cites, a link for each, and the places that cite it."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pybtex.plugin
from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.template import field, href, optional, sentence
from sphinx.application import Sphinx
from sphinx.config import Config

from book.ledger import called
from book.plain_math import plain_math
from book.references import link, listed, raw

NAME = "book"  # of the style, as bibliography.md asks for it
ANCHOR = "source-{key}"  # of an entry, to which the text's citations lead


class Labels(BaseLabelStyle):
    """Authors and year, as the text cites: Hu et al., 2022; the same twice gets letters."""

    def format_labels(self, sorted_entries: Iterable[Any]) -> Iterator[str]:
        labels = [label(entry) for entry in sorted_entries]
        seen: Counter[str] = Counter()
        for text in labels:
            seen[text] += 1
            yield text if labels.count(text) == 1 else text + chr(ord("a") + seen[text] - 1)


def label(entry: Any) -> str:
    """The authors, or editors, and the year of an entry."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    family = [" ".join(map(str, [*one.rich_prelast_names, *one.rich_last_names])) for one in people]
    names = " and ".join(family) if len(family) < 3 else f"{family[0]} et al."
    return f"{names}, {entry.fields['year']}"


class Sources(Style):
    """An entry ends in one link: its DOI, else its number on arXiv, else its address."""

    default_label_style = "book_labels"
    default_sorting_style = "author_year_title"

    def format_web_refs(self, e: Any) -> Any:
        if "doi" in e.fields:
            return sentence[optional[self.format_doi(e)]]
        if "eprint" in e.fields:
            return sentence[optional[self.format_eprint(e)]]
        return sentence[optional[href(field("url", raw=True))[field("url", raw=True)]]]


def anchors(app: Sphinx, config: Config) -> None:
    """Name the anchors of entries by their keys, which do not change from build to build as numbers do."""
    config.bibtex_cite_id = ANCHOR


def places(app: Sphinx, key: str) -> list[nodes.Node]:
    """Links to the places that cite a source, chapter by chapter."""
    domain: Any = app.env.get_domain("cite")
    cited: dict[str, list[str]] = {}
    for reference in domain.citation_refs:
        if key in {target.key for target in reference.targets}:
            cited.setdefault(reference.docname, []).append(reference.citation_ref_id)
    return listed([raw(chapter_links(app, docname, ids)) for docname, ids in sorted(cited.items())])


def chapter_links(app: Sphinx, docname: str, ids: list[str]) -> str:
    """A link to the first place of a page that cites a source, by its chapter, and small ones to others."""
    address, number = app.builder.get_target_uri(docname), app.env.toc_secnumbers.get(docname, {}).get("")
    name = called(docname.partition("/")[2]) if number else app.env.titles[docname].astext()
    others = " ".join(link(f"{address}#{id}", str(i)).astext() for i, id in enumerate(ids[1:], 2))
    return link(f"{address}#{ids[0]}", name).astext() + (f" <sup>{others}</sup>" if others else "")


def readable(entry: nodes.Element) -> None:
    """Write the formulas of a title, which stand between dollars in references.bib, as text."""
    for text in [node for node in entry.findall(nodes.Text) if "$" in node]:
        plain = re.sub(r"\$([^$]+)\$", lambda formula: plain_math(formula[1]), str(text))
        text.parent.replace(text, nodes.Text(plain))


def back_links(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Say below each source where it is cited, and write its title as text."""
    domain: Any = app.env.get_domain("cite")
    keys = {citation.citation_id: citation.key for citation in domain.citations}
    for entry in doctree.findall(nodes.citation):
        readable(entry)
        cited = places(app, keys[entry["ids"][0]])
        if cited:
            entry += nodes.paragraph("", "", nodes.Text("Cited in "), *cited, nodes.Text("."), classes=["backrefs"])


def setup(app: Sphinx) -> None:
    """Register the above."""
    # For every citation it would read what all installed packages say of themselves.
    pybtex.plugin._load_entry_point = functools.cache(pybtex.plugin._load_entry_point)
    register_plugin("pybtex.style.formatting", NAME, Sources)
    register_plugin("pybtex.style.labels", "book_labels", Labels)
    app.connect("config-inited", anchors)
    app.connect("doctree-resolved", back_links)
