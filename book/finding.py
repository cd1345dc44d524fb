"""What the search page looks through: every section, numbered claim, exercise and function of the book, as plain text.

``write`` is called at the end of a build, when all numbers are known, and puts the index into a script file, because a
page that is opened from a folder may load scripts and nothing else. ``search/search.js`` reads it on the search page.
"""

import functools
import json
import pathlib
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config

from book.plain_math import plain_math

SEARCH = pathlib.Path(__file__).with_name("search")  # the page's template and scripts, and the synonyms
LEFT_OUT = (nodes.raw, nodes.comment, nodes.literal_block, nodes.doctest_block, nodes.title, nodes.caption, nodes.image)
TITLES_ALONE = ("ledger", "bibliography")  # pages that list what stands elsewhere
SAME_IN_MANY = 3  # a title that so many pages have, such as Exercises, says nothing about its section


class Found(NamedTuple):
    """One thing to find: its address, its kind, its title with its number, where it stands, and what it says.

    Sentences of the text are those of the book; a line of it is a paragraph.
    """

    address: str
    kind: str
    title: str
    place: str
    text: str


def plain(node: nodes.Node) -> str:
    """A paragraph or title as text on one line, with readable formulas."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math | nodes.math_block):
        return plain_math(node.astext())
    if isinstance(node, (*LEFT_OUT[:-1], nodes.footnote_reference)) and not isinstance(
        node, nodes.title | nodes.caption
    ):
        return ""
    return "".join(map(plain, node.children))


def line(node: nodes.Node) -> str:
    """`plain`, with single spaces."""
    return " ".join(plain(node).split())


def is_section(node: nodes.Node) -> bool:
    """Whether a node is a section of the text: boxes have their content in one that is none."""
    return isinstance(node, nodes.section) and not any(name.endswith("-content") for name in node["ids"])


def is_box(node: nodes.Node) -> bool:
    """Whether a node is a numbered claim, definition, observation, remark or exercise."""
    return isinstance(node, nodes.Admonition) and "label" in node and "solution" not in node["classes"]


def is_answer(node: nodes.Element) -> bool:
    """Whether a node is a solution, or an answer of the quiz, which no search gives away."""
    return bool({"solution", "sd-dropdown"} & set(node["classes"]))


def own(node: nodes.Node) -> bool:
    """Whether a node is found by itself, so that its words do not count for the section around it."""
    return is_section(node) or is_box(node) or isinstance(node, addnodes.desc | nodes.citation)


def paragraphs(node: nodes.Element) -> Iterator[tuple[nodes.TextElement, str]]:
    """What stands in a section or a box, paragraph by paragraph: captions too; no code, no output, no solution."""
    for child in node.children:
        if own(child) or (isinstance(child, LEFT_OUT) and not isinstance(child, nodes.caption)):
            continue
        if isinstance(child, nodes.Element) and is_answer(child):
            continue
        if isinstance(child, nodes.TextElement):
            text = line(child)
            if text and not text.startswith("Uses:"):
                yield child, text
        elif isinstance(child, nodes.Element):
            yield from paragraphs(child)


def text_of(node: nodes.Element) -> str:
    """What stands in a section or a box, a line for each paragraph; a displayed formula belongs to the one before."""
    lines: list[str] = []
    for block, text in paragraphs(node):
        if lines and isinstance(block, nodes.math_block):
            lines[-1] += f" {text}"
        else:
            lines.append(text)
    return "\n".join(lines)


def numbered(number: tuple[int, ...] | None, title: str) -> str:
    """A heading with its number, as the page has it."""
    return f"{'.'.join(map(str, number))}. {title}" if number else title


class Page:
    """One page on the way into the index."""

    def __init__(self, app: Sphinx, doctree: nodes.document, docname: str) -> None:
        self.docname, self.doctree, env = docname, doctree, app.env
        self.address = app.builder.get_target_uri(docname)
        self.sections = env.toc_secnumbers.get(docname, {})
        self.boxes = {
            label: number for kind in env.toc_fignumbers.get(docname, {}).values() for label, number in kind.items()
        }

    def found(self) -> Iterator[Found]:
        """All that is to be found on the page."""
        for section in filter(is_section, self.doctree.children):
            yield from self.section(section, ())

    def section(self, node: nodes.Element, above: tuple[str, ...]) -> Iterator[Found]:
        """A section, and what is in it; above are the headings around it."""
        anchor = f"#{node['ids'][0]}"
        number = self.sections.get(anchor) if above else self.sections.get("", self.sections.get(anchor))
        if len(above) > 1:
            number = None  # the table of contents gives these the number of what is around them
        title = numbered(number, line(node.next_node(nodes.title)))
        text = "" if self.docname in TITLES_ALONE else text_of(node)
        aside = not self.docname.startswith("chapters/")
        kind = "aside" if aside else "section" if above else "page"
        yield Found(self.address + (anchor if above else ""), kind, title, " › ".join(above), text)
        yield from self.inside(node, (*above, title))

    def inside(self, node: nodes.Element, above: tuple[str, ...]) -> Iterator[Found]:
        """What is found by itself under a node."""
        for child in node.children:
            if is_section(child):
                yield from self.section(child, above)
            elif is_box(child):
                yield self.box(child, " › ".join(above))
            elif isinstance(child, addnodes.desc):
                yield from self.function(child, " › ".join(above))
            elif isinstance(child, nodes.citation):
                label, said = child.children[:2]
                yield Found(f"{self.address}#{child['ids'][0]}", "source", line(label), " › ".join(above), line(said))
            elif isinstance(child, nodes.Element):
                yield from self.inside(child, above)

    def box(self, node: nodes.Element, place: str) -> Found:
        """A numbered box."""
        label = node["ids"][0]
        kind = node.get("realtype", "exercise")
        number = ".".join(map(str, self.boxes.get(label, ())))
        named = line(node.next_node(nodes.title)).removeprefix("Exercise").strip()
        return Found(f"{self.address}#{label}", kind, f"{kind.title()} {number} {named}".strip(), place, text_of(node))

    def function(self, node: addnodes.desc, place: str) -> Iterator[Found]:
        """A documented function or class."""
        signature = node.next_node(addnodes.desc_signature)
        if signature["ids"]:
            name = signature["ids"][0].removeprefix("lowrank_helpers.")
            content = node.next_node(addnodes.desc_content)
            yield Found(f"{self.address}#{signature['ids'][0]}", "function", f"{name}()", place, text_of(content))


def synonyms(text: str) -> list[list[str]]:
    """The groups of words that mean the same, from lines such as ``SVD = singular value decomposition``."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [[words.strip() for words in line.split("=")] for line in lines if line]


def everything(app: Sphinx, pages: dict[str, list[Found]]) -> list[Found]:
    """All that is to be found in the book. A section whose title many pages have is of the kind "recurring".

    pages holds what is on the pages that were written; one that was not, as it had not changed, is added.
    """
    for docname in app.env.found_docs - pages.keys():
        app.env.get_and_resolve_doctree(docname, app.builder)
    found = [entry for docname in sorted(app.env.found_docs) for entry in pages[docname]]
    named = Counter(entry.title.partition(". ")[2] or entry.title for entry in found if entry.kind == "section")
    often = {title for title, count in named.items() if count >= SAME_IN_MANY}
    return [
        entry._replace(kind="recurring")
        if entry.kind == "section" and (entry.title.partition(". ")[2] or entry.title) in often
        else entry
        for entry in found
    ]


def write(pages: dict[str, list[Found]], app: Sphinx, error: Exception | None) -> None:
    """Put the index into the built book."""
    if error is not None or app.builder.format != "html":
        return
    out = pathlib.Path(app.outdir) / "_static" / "search"
    out.mkdir(parents=True, exist_ok=True)
    for name in ("minisearch.js", "search.js", "LICENSE-minisearch.txt"):
        shutil.copy(SEARCH / name, out)
    groups = synonyms((SEARCH / "synonyms.txt").read_text(encoding="utf-8"))
    index = {"synonyms": groups, "entries": everything(app, pages)}
    script = f"window.searchIndex = {json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n"
    (out / "index.js").write_text(script, encoding="utf-8")


def own_page(app: Sphinx, config: Config) -> None:
    """Have the page search.html made from our template."""
    config.templates_path.append(str(SEARCH))
    config.html_additional_pages["search"] = "search.html"


def no_index_of_pages(app: Sphinx) -> None:
    """Keep Sphinx from making its own index, which knows pages alone."""
    app.builder.search = False  # type: ignore[attr-defined]


def setup(app: Sphinx) -> None:
    """Register the above."""
    pages: dict[str, list[Found]] = {}

    def note(app: Sphinx, doctree: nodes.document, docname: str) -> None:
        pages[docname] = list(Page(app, doctree, docname).found())

    app.connect("config-inited", own_page)
    app.connect("builder-inited", no_index_of_pages)
    app.connect("doctree-resolved", note, priority=900)  # when every reference says where it leads
    app.connect("build-finished", functools.partial(write, pages))
