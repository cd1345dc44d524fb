"""The book as one PDF, tried on a small book of two chapters: contents, numbers, links, solutions at the end."""

import io

import pytest
from pypdf import PdfReader

from tests import ROOT
from tools import pdf

TOC = """
root: index
parts:
  - caption: One
    chapters:
      - file: chapters/a
        sections:
          - file: chapters/b
  - caption: Two
    chapters:
      - file: c
"""
PAGE = "<!doctype html><html lang=en><meta charset=utf-8>{style}<article><h1>{title}</h1>{body}</article>"
FAR = "<p style='break-before: page' id=far>Far away.</p>"
FOLDED = """<div class='exercise admonition'><p class=admonition-title>Exercise 1 (Why)</p><p>Why?</p></div>
<details class=sd-dropdown><summary>Hint</summary><div class=sd-summary-content><p>Think.</p></div></details>
<div class='solution dropdown'><details class=toggle-details><summary>Show</summary>
<p>Because of <a href='#claim'>the claim</a>.</p></details></div>
<p style='break-before: page' id=claim>Claimed.</p>
<details class=sd-dropdown><summary>Answer</summary><div class=sd-summary-content><p>b. So it is.</p></div></details>"""
CSS = (ROOT / "_static" / "text.css").read_text(encoding="utf-8")
STYLE = f"<style>{CSS}</style>"


def test_the_pages_come_in_the_order_of_the_contents_and_a_part_opens_once():
    assert list(pdf.order(TOC)) == [("index", ""), ("chapters/a", "One"), ("chapters/b", ""), ("c", "Two")]


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """A small book, printed."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "chapters").mkdir()
    first = f"<p>See <a href='b.html#far'>there</a>, <a href='lost.html'>lost</a>, <a href='https://x.org/'>out</a>.</p>{FOLDED}"
    second = f"<p>See <a href='#far'>below</a> and <a href='a.html'>above</a>.</p>{FAR}"
    for name, body in {"a": first, "b": second}.items():
        page = PAGE.format(title=f"Chapter {name}", body=body, style=STYLE)
        (folder / "chapters" / f"{name}.html").write_text(page, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "HTML", folder)
        window = browser.new_page()
        pieces = list(pdf.print_pages(window, [("chapters/a", "Part"), ("chapters/b", "")]))
        pdf.put_together(window, pieces).write(folder / "book.pdf")
        window.close()
    return PdfReader(folder / "book.pdf")


def links(book, page):
    """Where the links of a page lead: a page's number from 1, or an address."""
    found = [annotation.get_object() for annotation in book.pages[page - 1].get("/Annots", [])]
    numbers = {reference.indirect_reference.idnum: k for k, reference in enumerate(book.pages, 1)}
    return {
        str(link["/A"]["/URI"])
        if "/URI" in link.get("/A", {})
        else numbers[link.get("/Dest", link.get("/A", {}).get("/D"))[0].idnum]
        for link in found
    }


def test_contents_chapters_and_solutions_have_the_numbers_that_the_contents_give(book):
    texts = [page.extract_text() for page in book.pages]
    assert len(texts) == 6
    rows = [line.split() for line in texts[0].splitlines() if line.startswith(("Chapter", "Part", "Solutions"))]
    assert ["Chapter", "a", "2"] in rows and ["Chapter", "b", "4"] in rows and ["Chapter", "a", "6"] in rows
    for number, text in enumerate(texts, 1):
        assert text.strip().endswith(str(number))


@pytest.mark.parametrize(
    "folded",
    ["Exercise 1 (Why): Think.", "Because of the claim.", "1: b. So it is."],
    ids=["hint", "solution", "answer"],
)
def test_what_is_folded_stands_at_the_end_and_nowhere_else(book, folded):
    last = folded.partition(": ")[2] or folded
    assert [k for k, page in enumerate(book.pages, 1) if last in page.extract_text()] == [6]
    assert folded in " ".join(book.pages[5].extract_text().split())


def test_a_fold_whose_content_is_not_printed_leaves_no_button(book):
    assert not any(word in page.extract_text() for page in book.pages[:5] for word in ("Hint", "Answer"))


def test_links_lead_into_the_same_file_or_to_an_address_and_never_to_a_file_on_a_disk(book):
    assert links(book, 2) == {5, "https://x.org/"}
    assert links(book, 4) == {5, 2}


def test_a_link_in_a_solution_leads_into_its_chapter(book):
    assert links(book, 6) == {3}


def test_the_links_that_name_places_are_not_seen(browser):
    window = browser.new_page()
    window.set_content(PAGE.format(title="Named", body="<p id=here>Here.</p>", style=""))
    window.evaluate(pdf.NAMED, ["here"])
    looks = "e => { const s = getComputedStyle(e); return [s.color, s.textDecorationLine]; }"
    assert window.locator("a[href='#here']").evaluate(looks) == ["rgba(0, 0, 0, 0)", "none"]
    window.close()


def test_pages_are_packed(book):
    contents = [page["/Contents"].get_object() for page in book.pages]
    assert all("/Filter" in stream for stream in contents)


def test_bookmarks_name_the_parts_and_the_chapters(book):
    part, chapters, end, solutions = book.outline
    assert part.title == "Part" and [entry.title for entry in chapters] == ["Chapter a", "Chapter b"]
    assert end.title == "Solutions" and [entry.title for entry in solutions] == ["Chapter a"]


LINES = "<p style='margin: 0; height: 20mm'>A line.</p>"
CELL = "<div class=cell_input style='height: 60mm'>Code {}.</div>"
ROW = "<tr><td style='height: 20mm'>Row {}.</td></tr>"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (LINES * 8 + CELL.format(1) + CELL.format(2), "Code 1."),
        (LINES * 4 + f"<table><tbody>{''.join(map(ROW.format, range(1, 12)))}</tbody></table>", "Row 1."),
        (LINES * 4 + f"<div class='solution admonition'>{LINES.replace('line', 'step') * 9}</div>", "A step."),
    ],
    ids=["cells without output", "a long table", "a solution"],
)
def test_what_may_be_parted_leaves_no_page_half_empty(browser, body, kept):
    window = browser.new_page()
    window.set_content(PAGE.format(title="Parted", body=body, style=STYLE))
    first = PdfReader(io.BytesIO(pdf.printed(window))).pages[0].extract_text()
    window.close()
    assert kept in first
