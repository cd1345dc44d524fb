"""The notebooks made from the chapters (book/edition.py): no markup of Sphinx is left, and nothing else is lost.

Markdown is read here by MyST's own parser, which knows what Sphinx would take for markup, and numbers are compared with
those in the built pages. tests/book/test_colab.py runs these notebooks.
"""

import functools
import itertools
import re
import subprocess
import sys
from collections import Counter

import nbformat
import pytest
from bs4 import BeautifulSoup
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from sphinx.errors import ExtensionError

from book import edition, ledger
from tests.book import rules

CHAPTERS = [path.stem for path in ledger.chapters()]
EXTENSIONS = {"amsmath", "colon_fence", "deflist", "dollarmath", "substitution"}  # those in _config.yml
PARSER = create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)

# What every notebook program knows. The rest (fences with a name in braces, roles, targets …) belongs to Sphinx.
PLAIN = """
    blockquote_close blockquote_open bullet_list_close bullet_list_open code_block code_inline em_close
    em_open heading_close heading_open html_block html_inline inline link_close link_open list_item_close
    list_item_open math_block math_inline ordered_list_close ordered_list_open paragraph_close paragraph_open
    softbreak strong_close strong_open table_close table_open tbody_close tbody_open td_close td_open text
    th_close th_open thead_close thead_open tr_close tr_open
""".split()


@pytest.fixture(scope="module")
def notebooks(book):
    """Read a built notebook: notebooks("full", "01_norms")."""
    return lambda folder, stem: rules.read(book / "notebooks" / folder / f"{stem}.ipynb")


def tokens(text):
    """All tokens of a text, those in lines and in directives too."""
    for token in PARSER.parse(text):
        for part in [token, *(token.children or [])]:
            yield part
            if part.type == "colon_fence":
                yield from tokens(f"{part.info.partition('}')[2]}\n\n{part.content}")


def texts(notebook):
    return [cell.source for _, cell in rules.cells(notebook, "markdown")]


def markup(text):
    """What is left in a text for Sphinx; a fence with the name of a language is anybody's."""
    types = {token.type for token in tokens(text) if token.type != "fence" or "{" in token.info}
    return sorted(types - set(PLAIN)) + re.findall(r"^:::.*|\{\w[\w:]*\}`", text, re.M)


def formulas(texts):
    found = (token.content for text in texts for token in tokens(text) if token.type.startswith("math"))
    return Counter("".join(formula.split()) for formula in found)


def code(cells):
    return [
        (cell.source, [output | {"metadata": {}} for output in cell.outputs], cell.execution_count)
        for cell in cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("folder", ["full", "student"])
@pytest.mark.parametrize("stem", CHAPTERS)
def test_no_markup_is_left(notebooks, stem, folder):
    assert {text: found for text in texts(notebooks(folder, stem)) if (found := markup(text))} == {}


def test_markup_would_be_found():
    assert markup("```python\n1\n```") == [] and markup("```{note}\n1\n```") == ["fence"]
    cells = texts(rules.read(ledger.ROOT / "chapters" / "06_eckart_young.ipynb"))
    found = [markup(text) for text in cells]
    assert sum(map(bool, found)) > 30 and {"colon_fence", "myst_role"} <= {name for names in found for name in names}


@pytest.mark.parametrize("stem", CHAPTERS)
def test_code_and_formulas_are_those_of_the_chapter(notebooks, stem):
    chapter = rules.read(ledger.ROOT / "chapters" / f"{stem}.ipynb")
    full, student = notebooks("full", stem), notebooks("student", stem)
    solved = [cell for cells in rules.solutions(chapter)[0].values() for cell in cells]
    assert code(full.cells) == code(chapter.cells)
    assert code(student.cells) == code(cell for cell in chapter.cells if cell not in solved)
    captions = [c.metadata.get("mystnb", {}).get("figure", {}).get("caption", "") for c in chapter.cells]
    titles = [text for text in texts(full) if text.startswith("### Solution")]  # an exercise's title, once more
    assert formulas(texts(full)) == formulas([*texts(chapter), *captions, *titles])
    answers = formulas([*(cell.source for cell in solved if cell.cell_type == "markdown"), *titles])
    assert formulas(texts(full)) - formulas(texts(student)) == answers


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_student_has_no_answer(notebooks, stem):
    full, student = notebooks("full", stem), notebooks("student", stem)
    assert full.cells[: len(student.cells)] == student.cells
    assert full | {"cells": [], "metadata": full.metadata | {"colab": {}}} == (
        student | {"cells": [], "metadata": student.metadata | {"colab": {}}}
    )
    said = ["\n".join(t for _, cell in rules.cells(n, "code") for t in rules.texts(cell)) for n in (full, student)]
    assert [bool(re.search(r"^Right\b", text, re.MULTILINE)) for text in said] == [True, False]


@pytest.mark.parametrize("stem", CHAPTERS)
def test_each_solution_is_folded(notebooks, stem):
    full = notebooks("full", stem)
    asked = re.findall(r"^> \*\*(Exercise \S+)\*\*", "\n".join(texts(full)), re.MULTILINE)
    behind = full.cells[len(notebooks("student", stem).cells) :]
    heads = [cell for cell in behind if cell.source.startswith("### ")]
    assert behind[0].source.startswith("## Solutions\n") and behind[1] == heads[0]
    assert [re.match(r"### Solution to (Exercise \S+)", cell.source)[1] for cell in heads] == asked
    assert all(cell.metadata["jp-MarkdownHeadingCollapsed"] for cell in heads)
    assert full.metadata["colab"]["collapsed_sections"] == [cell.metadata["id"] for cell in heads]
    assert not any(
        re.search("^#", cell.source, re.M) for cell in behind[1:] if cell.cell_type == "markdown" and cell not in heads
    )


def pictures_in_words(notebook):
    """What the data of each picture and the cell that follows say of it, which is the same."""
    found = []
    for cell, following in itertools.pairwise(notebook.cells):
        for output in cell.get("outputs", []):
            for kind in {"image/png", "image/svg+xml"} & set(output.get("data", {})):
                found.append(output.metadata[kind]["alt"])
                assert f"\n\n{found[-1]}\n\n</details>" in following.source
    return found


@functools.cache
def built(path):
    """A built page, without its formulas and without the links beside its headings; read once."""
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    for extra in page.select("article .math, article .headerlink"):
        extra.decompose()
    return page


@pytest.mark.parametrize("stem", CHAPTERS)
def test_each_picture_is_there_in_words(book, notebooks, stem):
    page = built(book / "chapters" / f"{stem}.html")
    shown = [picture["alt"] for picture in page.select("article .cell_output figure img")]
    full, student = (pictures_in_words(notebooks(folder, stem)) for folder in ("full", "student"))
    assert full == shown and student == full[: len(student)] and student


def plain(text):
    """A title without its formulas and stresses; the pages bend quotation marks."""
    text = text.translate(str.maketrans("“”‘’", "\"\"''"))
    return " ".join(re.sub(r"\$[^$]*\$|[*`]", "", text).split())


def numbered_on_the_page(book, stem):
    """What the page numbers: headings, claims, exercises and figures, with their titles."""
    page = built(book / "chapters" / f"{stem}.html")
    numbers = page.select("article .section-number, article .caption-number")
    return [plain(number.parent.get_text()) for number in numbers]


def numbered_in_the_notebook(notebook):
    found = []
    for text in texts(notebook):
        found += re.findall(r"^##? (?=A?\d).+|^> \*\*\w+ A?[\d.]+\*\*.*", text, re.MULTILINE)
        found += re.findall(r"\A\*\*Fig\. A?[\d.]+\*\*(?:\$[^$]*\$|[^|$])*?(?=\n\n<details>)", text)
    return [plain(line.lstrip("#> ")).rstrip(" ●○") for line in found]  # the page's style adds how hard an exercise is


@pytest.mark.parametrize("stem", CHAPTERS)
def test_numbers_are_those_of_the_page(book, notebooks, stem):
    expected = numbered_on_the_page(book, stem)
    assert len(expected) > (15 if ledger.number(stem) else 4)  # a project's headings have no numbers
    assert numbered_in_the_notebook(notebooks("full", stem)) == expected


def test_references_say_what_the_pages_say(book, notebooks):
    """For each label the number of its claim on the page; each chapter refers to as many claims as its text does."""
    named = {}
    for stem in CHAPTERS:
        page = built(book / "chapters" / f"{stem}.html")
        for number in page.select("article .proof > .admonition-title > .caption-number"):
            named[number.parent.parent["id"]] = plain(number.get_text())
    for stem in CHAPTERS:
        source = "\n".join(texts(rules.read(ledger.ROOT / "chapters" / f"{stem}.ipynb")))
        written = "\n".join(
            line for line in "\n".join(texts(notebooks("full", stem))).splitlines() if line[:4] != "> **"
        )
        claim = r"(?:Theorem|Lemma|Corollary|Proposition|Definition|Algorithm|Remark|Example|Observation) A?\d+\.\d+"
        expected = [named[label] for label in re.findall(r"\{prf:ref\}`([\w-]+)`", source)]
        assert Counter(re.findall(claim, written)) - Counter(re.findall(claim, source)) == Counter(expected)


# ---------------------------------------------------------------------------------------------- a book of one page

PAGE = edition.Page(
    name="chapters/01_page",
    address="https://ada.github.io/book/chapters/01_page.html",
    sections=iter(()),
    numbers={"thm-a": "1.1", "ex-a": "1.1", "eq-a": "1"},
    references={":prf:ref:`thm-a`": "[Theorem 1.1](https://ada.github.io/book/chapters/01_page.html#thm-a)"},
    titles={},
)


@pytest.mark.parametrize(
    "text",
    [
        ":::{note}\nUnknown.\n:::",
        "::::{admonition} A\n:::{margin}\nInside.\n:::\n::::",
        ":::{prf:theorem} Without a label\nText.\n:::",
        "```{figure} a.png\n```",
        "{term}`rank`",
        "{prf:ref}`thm-b`",
        "(a-target)=\n",
        "% a comment",
        "above\n\n+++\n\nbelow",
        "a term\n: its definition",
        "a note[^1]",
        "{{ version }}",
        "[a file](../_static/logo.svg)",
        "## A heading too many",
    ],
)
def test_what_is_not_known_is_an_error(text):
    with pytest.raises(ExtensionError):
        edition.converted(text, PAGE)


CONF = f"""
import sys
sys.path.insert(0, {str(ledger.ROOT)!r})
from book import edition
edition.pages_url = lambda: {"https://ada.github.io/book/"!r}
extensions = ["myst_nb", "sphinx_proof", "sphinx_exercise", "sphinx_design", "sphinxcontrib.bibtex"]
bibtex_bibfiles, bibtex_reference_style = ["a.bib"], "author_year"
myst_enable_extensions = {sorted(EXTENSIONS)}
nb_execution_mode, numfig, math_numfig, suppress_warnings = "off", True, False, ["myst.header"]

def setup(app):
    app.connect("build-finished", edition.write)
"""
INDEX = """
# Book

```{toctree}
:numbered: 2
chapters/01_one
chapters/02_two
notes
```

```{bibliography}
```
"""
FIRST = """# One

:::{prf:theorem} Other
:label: thm-other

Text.
:::
"""
SOURCE = r"""# A title

:::{admonition} Before you start
:class: tip
- a $x$,
- and
  $$
  a = b \\
  c
  $$
:::
## A section
(see {prf:ref}`thm-other`
{cite}`ada` and {cite:t}`ada`,
[a page](../notes.md) and [chapter 1](01_one.ipynb))
:::{prf:theorem} Of $n$
:label: thm-own

For $a
+ b$ see {numref}`fig-one`,
{eq}`eq-one` and {ref}`ex-own`.
:::
:::{prf:proof}
By {doc}`01_one`.
:::

$$
a = b
$$ (eq-one)

### A part

:::{exercise} Do
:label: ex-own
:class: difficulty-2
It.
:::

:::{dropdown} Answer
No.
:::
"""
WRITTEN = r"""# 2. A title

> **Before you start**
>
> - a $x$,
> - and
>   $$ a = b \\ c $$

## 2.1. A section
(see [Theorem 1.1]({chapters}/01_one.html#thm-other)
[[Lovelace, 1843]({index}#id2)] and Lovelace [[1843]({index}#id2)],
[a page](https://ada.github.io/book/notes.html) and [chapter 1]({chapters}/01_one.html))

> **Theorem 2.1** (Of $n$)
>
> For $a + b$ see [Fig. 2.1]({chapters}/02_two.html#fig-one),
> [(1)]({chapters}/02_two.html#equation-eq-one) and [Exercise 2.1]({chapters}/02_two.html#ex-own).

**Proof.** By [One]({chapters}/01_one.html).

$$
a = b \tag{1}
$$

### A part

> **Exercise 2.1** (Do) ●●○
>
> It.

<details>
<summary>Answer</summary>

No.

</details>"""
KERNEL = {"kernelspec": rules.KERNEL, "language_info": {"name": "python"}}
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


def small_book(folder, second, words="One dot."):
    """Build a book of two chapters, the second with the given text and one figure; return what the build said."""
    (folder / "chapters").mkdir()
    text = {"conf.py": CONF, "index.md": INDEX, "notes.md": "# Notes\n"}
    text["a.bib"] = "@book{ada, author={Ada Lovelace}, title={Notes}, publisher={Taylor}, year={1843}}"
    for name, content in text.items():
        (folder / name).write_text(content, encoding="utf-8")
    picture = nbformat.v4.new_output("display_data", {"image/png": DOT})
    figure = {"caption": "A *dot*, by {prf:ref}`thm-other`.", "name": "fig-one"}
    shown = {"figure": figure, "image": {"alt": words} if words else {}}
    dot = nbformat.v4.new_code_cell("dot()", outputs=[picture], execution_count=1, metadata={"mystnb": shown})
    dot.metadata |= {"tags": ["hide-input"], "moving": "ellipse"}
    for name, cells in {
        "01_one": [nbformat.v4.new_markdown_cell(FIRST)],
        "02_two": [nbformat.v4.new_markdown_cell(second), dot],
    }.items():
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)
        nbformat.write(notebook, folder / "chapters" / f"{name}.ipynb")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-b", "html", str(folder), str(folder / "html")]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_page_with_everything(tmp_path):
    built = small_book(tmp_path, SOURCE)
    assert built.returncode == 0, built.stderr
    first, dot, caption, moves = rules.read(tmp_path / "html" / "notebooks" / "full" / "02_two.ipynb").cells
    pages = "https://ada.github.io/book"
    chapters, index = f"{pages}/chapters", f"{pages}/index.html"
    assert first.source == WRITTEN.replace("{chapters}", chapters).replace("{index}", index)
    assert dot.metadata == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}, "cellView": "form"}
    assert dot.outputs[0].metadata == {"image/png": {"alt": "One dot."}}
    assert caption.source == (
        f"**Fig. 2.1** A *dot*, by [Theorem 1.1]({chapters}/01_one.html#thm-other).\n\n"
        "<details>\n<summary>The figure in words</summary>\n\nOne dot.\n\n</details>"
    )
    assert moves.source == f"*On [the chapter's page]({chapters}/02_two.html) a figure to move stands here.*"


def test_a_figure_without_words_is_not_built(tmp_path):
    built = small_book(tmp_path, SOURCE, words=None)
    assert built.returncode != 0 and "chapters/02_two: the figure fig-one has no alternative text" in built.stderr


def test_a_page_with_an_unknown_directive_is_not_built(tmp_path):
    built = small_book(tmp_path, SOURCE + ":::{note}\nUnknown.\n:::\n")
    assert built.returncode != 0 and "does not know the directive {note}" in built.stderr


def test_a_code_cell_behind_a_solution_is_not_moved(tmp_path):
    marks = ":::{solution-start} ex-a\n:::", ":::{solution-end}\n:::"
    cells = [*map(nbformat.v4.new_markdown_cell, marks), nbformat.v4.new_code_cell("x = 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    page = PAGE._replace(titles={"ex-a": " (A)"})
    with pytest.raises(ExtensionError, match="follows a solution"):
        edition.editions(tmp_path / "a.ipynb", page)
