"""The chapters as Colab, Jupyter and VS Code show them: plain Markdown with the book's numbers, in two editions.

A chapter is written for Sphinx; a notebook program knows neither its directives nor its roles. ``write`` is called at
the end of a build (book/extension.py), when every number and reference is known, and puts notebooks into ``notebooks/``
beside the pages: ``full/`` with the solutions, folded, behind everything else, and ``student/`` without them. Cells of
code keep their source and their outputs, whose pictures get their alternative texts.

A directive, role or other markup that is not turned into Markdown here is an error, lest a reader meet it.
"""

import itertools
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urljoin

import nbformat
from docutils import nodes
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from book.setup_cell import pages_url

DIRECTIVE = re.compile(
    r"^(?P<fence>:{3,})\{(?P<name>[\w:-]+)\} *(?P<title>.*)\n"
    r"(?P<options>(?::[\w-]+:.*\n)*)(?P<body>(?:.*\n)*?)(?P=fence)[ \t]*$",
    re.MULTILINE,
)
LABEL = re.compile(r"^:label: *(\S+)", re.MULTILINE)
DIFFICULTY = re.compile(r"^:class: difficulty-([123])$", re.MULTILINE)
HEADING = re.compile(r"^(##?) (?=\S)", re.MULTILINE)
ROLE = re.compile(r"\{(\w+(?::\w+)?)\}`([^`]+)`")
PAGE_LINK = re.compile(r"\[([^\]]*)\]\(([\w./-]+)\.(ipynb|md)\)")
FORMULA = re.compile(r"\$\$.+?\$\$|\$(?:[^$\n]|\n(?!\n))+\$", re.DOTALL)
EQUATION_LABEL = re.compile(r"\s*\$\$ *\(([\w-]+)\)$", re.MULTILINE)

# What Sphinx reads as markup and a notebook program shows as it stands: fences, roles, targets, comments, block
# breaks, definition lists, footnotes, substitutions, and links to files that do not lie beside the notebook.
UNKNOWN = re.compile(
    r"^[> ]*(?::{3,}|`{3,} *\{|\([\w-]+\)=|%|\+\+\+|: ).*|\{[\w:+-]+\}`.*|\[\^\w+\]|\{\{.*?\}\}"
    r"|\]\((?!https?://|\w+\.ipynb\))[^)]*\)",
    re.MULTILINE,
)

SOLUTIONS = """\
## Solutions

In Jupyter and Colab each is folded: the arrow beside its heading opens it."""


class Page(NamedTuple):
    """What the build knows of a chapter's page.

    address is where it is published, None as long as it is not; sections holds the numbers of its headings in their
    order; numbers has those of claims, exercises, figures and formulas by label; references has, for each role as it
    stands in the text, what it says; titles collects those of exercises.
    """

    name: str
    address: str | None
    sections: Iterator[str]
    numbers: dict[str, str]
    references: dict[str, str]
    titles: dict[str, str]


def markdown(node: nodes.Node, address: str | None) -> str:
    """A resolved reference as Markdown, linked to where it leads if the pages are published at an address."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math):
        return f"${node.astext()}$"
    if not isinstance(node, nodes.reference | nodes.inline | nodes.literal | nodes.emphasis | nodes.paragraph):
        raise ExtensionError(f"A reference holds a {type(node).__name__}, which book/edition.py does not know.")
    inner = "".join(markdown(child, address) for child in node.children)
    if isinstance(node, nodes.reference) and address:
        return f"[{inner}]({urljoin(address, node['refuri'] if 'refuri' in node else '#' + node['refid'])})"
    return inner


def read_page(app: Sphinx, docname: str, pages: str | None) -> Page:
    """Look up in Sphinx's environment what the chapter's text refers to."""
    env, address = app.env, f"{pages}{docname}.html" if pages else None
    doctree = env.get_doctree(docname)
    numbers = {id: number for kind in env.toc_fignumbers.get(docname, {}).values() for id, number in kind.items()}
    numbers |= {f["label"]: (f["number"],) for f in doctree.findall(nodes.math_block) if f["number"]}
    roles = [xref for xref in doctree.findall(addnodes.pending_xref) if xref.rawsource]  # a file's link has none
    said = {xref.rawsource: nodes.paragraph("", "", xref) for xref in roles}
    sections = [".".join(map(str, number)) for number in env.toc_secnumbers.get(docname, {}).values() if number]
    doctree.clear()
    doctree += list(said.values())
    env.resolve_references(doctree, docname, app.builder)
    return Page(
        docname,
        address,
        iter(sections) if sections else itertools.repeat(""),  # a project's headings have none
        {label: ".".join(map(str, number)) for label, number in numbers.items()},
        {role: markdown(paragraph, address) for role, paragraph in said.items()},
        {},
    )


def quoted(text: str) -> str:
    """A quoted block. A formula in it stays on one line: notebook programs look for formulas before quotes."""
    text = FORMULA.sub(lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text)
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def folded(title: str, body: str) -> str:
    """What HTML has for a text that a click on its title opens."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def directive(found: re.Match[str], page: Page) -> str:
    """A directive as a quoted block with a heading, a proof as text, a dropdown folded."""
    name, title, body = found["name"], found["title"].strip(), directives(found["body"], page)
    if name == "prf:proof":
        text = f"**Proof.** {body}"
    elif name == "dropdown":
        text = folded(title, body)
    elif name == "admonition":
        text = quoted(f"**{title}**\n\n{body}")
    elif name == "exercise" or name.startswith("prf:"):
        label = LABEL.search(found["options"])
        if not label:
            raise ExtensionError(f"{{{name}}} {title}: without a label it has no number in the notebooks.")
        page.titles[label[1]] = f" ({title})" if title else ""
        kind = name.removeprefix("prf:").title()
        difficulty = DIFFICULTY.search(found["options"])
        dots = f" {'●' * int(difficulty[1]):○<3}" if difficulty else ""
        text = quoted(f"**{kind} {page.numbers[label[1]]}**{page.titles[label[1]]}{dots}\n\n{body}")
    else:
        raise ExtensionError(f"book/edition.py does not know the directive {{{name}}}.")
    return f"\n{text}\n"


def directives(text: str, page: Page) -> str:
    """A text with its directives turned into Markdown, those in directives as well."""
    text = DIRECTIVE.sub(lambda found: directive(found, page), text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def heading(found: re.Match[str], page: Page) -> str:
    """A heading with its number: the pages number those of the first two levels, those of a project excepted."""
    number = next(page.sections, None)
    if number is None:
        raise ExtensionError(f"{page.name}: the headings of the first two levels have no number each.")
    return f"{found[1]} {number}. " if number else found[0]


def role(found: re.Match[str], page: Page) -> str:
    """What a role says in the pages."""
    try:
        return page.references[f":{found[1]}:`{found[2]}`"]
    except KeyError:
        raise ExtensionError(f"book/edition.py does not know the role {found[0]}.") from None


def page_link(found: re.Match[str], page: Page) -> str:
    """A link to a file of the book: to its page if it is published, else to the notebook beside, else none."""
    text, file, suffix = found.groups()
    if page.address:
        return f"[{text}]({urljoin(page.address, f'{file}.html')})"
    return f"[{text}]({file}.ipynb)" if suffix == "ipynb" and "/" not in file else text


def converted(text: str, page: Page) -> str:
    """The text of a Markdown cell, without markup that only Sphinx knows."""
    text = directives(text, page)
    text = HEADING.sub(lambda found: heading(found, page), text)
    text = EQUATION_LABEL.sub(lambda found: rf" \tag{{{page.numbers[found[1]]}}}" + "\n$$", text)
    text = ROLE.sub(lambda found: role(found, page), text)
    text = PAGE_LINK.sub(lambda found: page_link(found, page), text)
    if left := UNKNOWN.search(text):
        raise ExtensionError(f"book/edition.py leaves this in a notebook: {left[0]}")
    return text


def below_figure(shown: NotebookNode, outputs: list[NotebookNode], page: Page) -> str:
    """The number and the caption of a figure, and what it shows in words, which its picture has as well.

    In both places, because nbconvert, and with it GitHub, reads the picture's, but JupyterLab passes over it.
    """
    figure, words = shown["figure"], shown.get("image", {}).get("alt")
    if not words:
        raise ExtensionError(f"{page.name}: the figure {figure['name']} has no alternative text.")
    for output in outputs:
        for kind in {"image/png", "image/svg+xml"} & set(output.get("data", {})):
            output.metadata.setdefault(kind, {})["alt"] = words
    number = page.numbers[nodes.make_id(figure["name"])]
    return f"**Fig. {number}** {converted(figure['caption'], page)}\n\n{folded('The figure in words', words)}"


def code_cells(cell: NotebookNode, page: Page) -> list[NotebookNode]:
    """A code cell as it is, folded where the page folds it, and below it what the page shows with its outputs."""
    shown, tags, moves = cell.metadata.get("mystnb", {}), cell.metadata.get("tags", []), "moving" in cell.metadata
    cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    if {"hide-cell", "hide-input"} & set(tags):
        cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}  # for Jupyter, for Colab
    below = []
    if "figure" in shown:
        below.append(below_figure(shown, cell.outputs, page))
    if any("text/html" in output.get("data", {}) for output in cell.outputs):
        works = f" On [the chapter's page]({page.address}) they work at once." if page.address else ""
        below.append(f"*If the controls above do not move, run their cell.{works}*")
    if moves and page.address:
        below.append(f"*On [the chapter's page]({page.address}) a figure to move stands here.*")
    return [cell, *(new_markdown_cell(text, id=f"{cell.id}-{number}") for number, text in enumerate(below))]


def editions(path: pathlib.Path, page: Page) -> tuple[NotebookNode, NotebookNode]:
    """A chapter's notebook with its solutions behind everything else, each folded under a heading, and without them.

    They are moved because only Jupyter and Colab can open a notebook with a part of it folded: elsewhere an answer
    would stand open below its exercise.
    """
    notebook = nbformat.read(path, as_version=4)
    chapter: list[NotebookNode] = []
    solutions: list[NotebookNode] = []
    cells = chapter
    for cell in notebook.cells:
        marker = DIRECTIVE.fullmatch(cell.source.strip())
        if marker and marker["name"] == "solution-start":
            label, cells = marker["title"].strip(), solutions
            cell.source = f"### Solution to Exercise {page.numbers[label]}{page.titles[label]}"
            cell.metadata = nbformat.from_dict({"jp-MarkdownHeadingCollapsed": True, "id": cell.id})
            cells.append(cell)
        elif marker and marker["name"] == "solution-end":
            cells = chapter
        elif cell.cell_type == "markdown":
            cell.source = converted(cell.source, page)
            cells.append(cell)
        else:
            if solutions and cells is chapter:
                raise ExtensionError(f"{path.name}: a code cell follows a solution, which is moved behind it.")
            cells += code_cells(cell, page)
    folded = [cell.id for cell in solutions if "jp-MarkdownHeadingCollapsed" in cell.metadata]  # where Colab looks
    if solutions:
        solutions.insert(0, new_markdown_cell(SOLUTIONS, id="solutions"))
    full, student = (nbformat.from_dict(notebook | {"cells": kept}) for kept in (chapter + solutions, chapter))
    full.metadata["colab"] = {"collapsed_sections": folded}
    return full, student


def write(app: Sphinx, error: Exception | None) -> None:
    """Put both editions of every chapter into the built book."""
    if error is not None or app.builder.format != "html":
        return
    out = pathlib.Path(app.outdir) / "notebooks"
    for folder in (out, pathlib.Path(app.outdir) / "_sources" / "chapters"):  # Sphinx's copies of what we convert
        shutil.rmtree(folder, ignore_errors=True)
    for docname in sorted(name for name in app.env.found_docs if name.startswith("chapters/")):
        path = pathlib.Path(app.env.doc2path(docname))
        for folder, notebook in zip(
            ("full", "student"), editions(path, read_page(app, docname, pages_url())), strict=True
        ):
            (out / folder).mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, out / folder / path.name)
