r"""The slides of some lectures, put together from the built pages: ``_build/html/slides/05_svd.html`` and so on.

``book/lectures/05_svd.txt`` lists what is shown, in order, one thing a line:

    = one-matrix-by-hand            a section of the chapter, by its id; its heading stands on the slides that follow
    ## The longest vector           a slide begins
    fig-svd-circle                  a figure or a box of the chapter, by its label: a claim without its proof
    $$ (Cv_1)^\top(Cv_2)            the one displayed formula of the chapter that has this in it
    code def largest_triple         the one cell of the chapter that has this in its code
    prints def largest_triple       what that cell printed
    remember 2                      the second line of "What to remember"
    - Let $x$ be a *unit* vector.   words

A slide shows what the chapter shows, and these words. Style sheets, fonts and pictures are the chapter's own files. A
line for which the chapter has nothing, or more than one thing, ends the build.
"""

import functools
import html
import pathlib
import posixpath
import re
import shutil
from typing import Any, NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

from book.front import name_of, text_of
from book.previews import element, previews
from book.references import link
from book.typeset import aligned, typeset_on

LISTS = pathlib.Path(__file__).with_name("lectures")
# The slides' own style and keys lie here: the theme puts all that is in _static on every page.
OWN = [pathlib.Path(__file__).with_name(name) for name in ("slides.css", "slides.js")]
LABEL = re.compile(r"(?:fig|thm|lem|cor|prop|def|obs|rem|exa|alg|ex)-[\w-]+")
DISPLAY = re.compile(r"^\$\$\n(.*?)\n\$\$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r'<(?P<tag>div) class="cell\b[^"]*"[^>]*>')
INPUT = re.compile(r'<(?P<tag>div) class="cell_input\b[^"]*"[^>]*>')
OUTPUT = re.compile(r'<(?P<tag>div) class="cell_output\b[^"]*"[^>]*>')
MORE = re.compile(r'<div class="claim-links\b')  # the last thing in a box: where a claim is shown, tested, used
REMEMBER = re.compile(r'<section id="what-to-remember">.*?<ul\b[^>]*>(.*?)</ul>', re.DOTALL)
WORDS = re.compile(r"\$([^$]+)\$|`([^`]+)`|\*([^*]+)\*")


class Unknown(SphinxError):
    """A line of a lecture's list that its chapter has nothing for."""

    category = "Lecture"


class Slide(NamedTuple):
    """A slide: its title, the section of the chapter that it belongs to, and the lines of its list."""

    title: str
    section: str
    lines: list[str]


class Chapter(NamedTuple):
    """A chapter's name, its built page, and what slides take out of it."""

    name: str
    page: str
    boxes: dict[str, str]
    cells: list[str]
    formulas: list[str]
    remember: list[str]


def lectures() -> list[str]:
    """The chapters that have a lecture, such as ``05_svd``."""
    return [path.stem for path in sorted(LISTS.glob("*.txt"))]


def slides(text: str) -> list[Slide]:
    """The slides of a list."""
    found: list[Slide] = []
    section = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("= "):
            section = line.removeprefix("= ")
        elif line.startswith("## "):
            found.append(Slide(line.removeprefix("## "), section, []))
        elif found:
            found[-1].lines.append(line)
        else:
            raise Unknown(f"a list begins with a section or a slide, not with: {line}")
    return found


@functools.cache
def listed(name: str) -> list[Slide]:
    """The slides of a chapter's lecture."""
    return slides((LISTS / f"{name}.txt").read_text(encoding="utf-8"))


def read(name: str, page: str) -> Chapter:
    """A chapter with what slides take out of its page."""
    remember = REMEMBER.search(page)
    return Chapter(
        name,
        page,
        previews(page),
        [element(page, start) for start in CELL.finditer(page)],
        DISPLAY.findall(text_of(f"chapters/{name}")),
        re.findall(r"<li>(.*?)</li>", remember[1], re.DOTALL) if remember else [],
    )


def one(chapter: Chapter, found: list[str], line: str) -> str:
    """The only thing that was found for a line."""
    if len(found) != 1:
        raise Unknown(f"book/lectures/{chapter.name}.txt: the chapter has {len(found)} of these, not one: {line}")
    return found[0]


def heading(chapter: Chapter, section: str) -> str:
    """A section's heading, with its number."""
    found = rf'<section\b[^>]*\bid="{re.escape(section)}">\s*<h[2-4]>(.*?)<a class="headerlink"'
    return one(chapter, re.findall(found, chapter.page, re.DOTALL), f"= {section}")


def within(cell: str, what: re.Pattern[str]) -> str:
    """The code of a cell, or what it printed; nothing where it has none."""
    start = what.search(cell)
    return element(cell, start) if start else ""


def plain(markup: str) -> str:
    """The text of a piece of a page."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def words(name: str, text: str) -> str:
    """A line of words: a formula between dollars, code between backticks, what is stressed between stars."""

    def made(found: re.Match[str]) -> str:
        tex, code, stressed = found.groups()
        if tex:
            return f'<span class="math">{typeset_on(name, html.unescape(tex))}</span>'
        return f"<code>{code}</code>" if code else f"<em>{stressed}</em>"

    return WORDS.sub(made, html.escape(text, quote=False))


def shown(chapter: Chapter, line: str) -> str:
    """What a line of a list shows."""
    if LABEL.fullmatch(line):
        return MORE.split(one(chapter, [chapter.boxes[line]] if line in chapter.boxes else [], line))[0] + (
            "</div>" if MORE.search(chapter.boxes[line]) else ""
        )
    kind, _, rest = line.partition(" ")
    if kind == "-":
        return f"<p>{words(chapter.name, rest)}</p>"
    if kind == "$$":
        tex = one(chapter, [tex for tex in chapter.formulas if rest in tex], line)
        return f'<div class="math">{typeset_on(chapter.name, aligned(tex), display=True)}</div>'
    if kind == "remember":
        return f'<div class="remember">{one(chapter, chapter.remember[int(rest) - 1 : int(rest)], line)}</div>'
    if kind in ("code", "prints"):
        cell = one(chapter, [cell for cell in chapter.cells if rest in plain(within(cell, INPUT))], line)
        return within(cell, INPUT if kind == "code" else OUTPUT)
    raise Unknown(f"book/lectures/{chapter.name}.txt: no such kind of line: {line}")


def moved(markup: str, name: str) -> str:
    """A piece of a chapter's page in another folder: no second place of a name, links that lead where they led."""
    markup = re.sub(r'<a class="headerlink".*?</a>', "", markup, flags=re.DOTALL)
    markup = re.sub(r'(<[a-z][^>]*?)\s+id="[^"]*"', r"\1", markup)

    def led(found: re.Match[str]) -> str:
        address = found[1]
        if address.startswith("#"):
            address = f"../chapters/{name}.html{address}"
        elif "://" not in address:
            address = posixpath.normpath(f"../chapters/{address}")
        return f'href="{address}"'

    return re.sub(r'\bhref="([^"]*)"', led, markup)


def slide_of(chapter: Chapter, slide: Slide, number: int, count: int) -> str:
    """One slide."""
    name = chapter.name
    above = ""
    if slide.section:
        text = re.sub(r"</?a\b[^>]*>", "", heading(chapter, slide.section))
        above = f'<p class="section"><a href="../chapters/{name}.html#{slide.section}">{text}</a></p>\n'
    body = moved("\n".join(shown(chapter, line) for line in slide.lines), name)
    return (
        f'<section class="slide" aria-labelledby="slide-{number}">\n{above}<h2 id="slide-{number}">'
        f'{words(name, slide.title)}</h2>\n<div class="shown">\n{body}\n</div>\n'
        f'<p class="number">{number} / {count}</p>\n</section>'
    )


def page_of(chapter: Chapter, given: list[Slide], book: str) -> str:
    """The page with all slides of a lecture."""
    name = chapter.name
    title = re.search(r'<h1>((?:(?!</h1>).)*?)<a class="headerlink"', chapter.page, re.DOTALL)
    assert title is not None  # the first h1 of a page is the printer's, and has no link
    sheets = "\n".join(re.findall(r'<link\b[^>]*rel="stylesheet"[^>]*>', chapter.page))
    count = len(given) + 1
    first = (
        f'<section class="slide first" aria-labelledby="slide-1">\n<h1 id="slide-1">{title[1]}</h1>\n'
        f'<div class="shown"><p>Slides for ninety minutes, out of <a href="../chapters/{name}.html">the chapter</a> of '
        f"<em>{html.escape(book)}</em>: its figures, its claims, its formulas. Text and figures: CC BY 4.0.</p>\n"
        "<p>← and → lead from slide to slide, Home and End to the first and the last. Printed, each is a page.</p>\n"
        f'</div>\n<p class="number">1 / {count}</p>\n</section>'
    )
    rest = "\n".join(slide_of(chapter, slide, number, count) for number, slide in enumerate(given, 2))
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides: {html.escape(plain(title[1]))} — {html.escape(book)}</title>
{sheets}
<link rel="stylesheet" href="slides.css">
<link rel="icon" href="../_static/logo.svg">
<script src="slides.js"></script>
</head>
<body>
<main><article>
{first}
{rest}
</article></main>
</body>
</html>
"""


class Lectures(SphinxDirective):
    """``{lectures}``: the lectures that have slides, with links to them."""

    def run(self) -> list[nodes.Node]:
        items = []
        for name in lectures():
            to_slides = link(f"slides/{name}.html", name_of(f"chapters/{name}"))
            words = nodes.Text(f": {len(listed(name)) + 1} slides")
            items.append(nodes.list_item("", nodes.paragraph("", "", to_slides, words)))
        return [nodes.bullet_list("", *items)]


def write(app: Sphinx, error: Exception | None) -> None:
    """Put the slides into the built book."""
    if error is not None or app.builder.format != "html":
        return
    built = pathlib.Path(app.outdir)
    (built / "slides").mkdir(exist_ok=True)
    for own in OWN:
        shutil.copy(own, built / "slides")
    for name in lectures():
        if f"chapters/{name}" in app.env.found_docs:
            chapter = read(name, (built / "chapters" / f"{name}.html").read_text(encoding="utf-8"))
            page = page_of(chapter, listed(name), app.config.html_title or app.config.project)
            (built / "slides" / f"{name}.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.add_directive("lectures", Lectures)
    app.connect("build-finished", write, priority=400)  # before the fonts are cut to what all pages show
    return {"parallel_read_safe": True, "parallel_write_safe": True}
