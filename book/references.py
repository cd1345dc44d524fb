"""Small pieces of Sphinx's document tree that several pages are made of: links to claims and figures, titles."""

import html
import re

from docutils import nodes
from sphinx import addnodes


def raw(text: str) -> nodes.raw:
    """Text that goes into the page as it is."""
    return nodes.raw("", text, format="html")


def inline(text: str) -> list[nodes.Node]:
    """A title with its formulas, which stand between dollars."""
    parts = re.split(r"\$([^$]+)\$", text)
    return [nodes.math(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts) if part]


def link(address: str, text: str, *classes: str) -> nodes.raw:
    """A link to an address in the built book, relative to the page that has it."""
    named = f' class="{" ".join(classes)}"' if classes else ""
    return raw(f'<a{named} href="{html.escape(address)}">{html.escape(text)}</a>')


def to_claim(label: str, docname: str) -> addnodes.pending_xref:
    """A link to a claim that says its kind and number, once it has one: Theorem 6.1."""
    return pending("prf", "ref", label, docname)


def to_figure(label: str, docname: str) -> addnodes.pending_xref:
    """A link to a figure by its number."""
    return pending("std", "numref", label, docname)


def pending(domain: str, role: str, label: str, docname: str) -> addnodes.pending_xref:
    """What the role of a domain leaves behind, to be resolved when all numbers are known."""
    options = {"refdomain": domain, "reftype": role, "reftarget": label, "refdoc": docname}
    return addnodes.pending_xref("", nodes.inline("", label), refexplicit=False, refwarn=True, **options)


def listed(links: list[nodes.Node]) -> list[nodes.Node]:
    """Links in a row, with commas."""
    return [node for i, link in enumerate(links) for node in ([nodes.Text(", "), link] if i else [link])]
