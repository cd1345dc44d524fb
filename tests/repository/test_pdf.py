"""The book as one PDF, tried on a small book of two chapters: contents, numbers, links, solutions at the end."""

import pytest
from pypdf import PdfReader

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
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><article><h1>{title}</h1>{body}</article>"
FAR = "<p style='break-before: page' id=far>Far away.</p>"
FOLDED = """<div class='solution dropdown'>
<details class=toggle-details><summary>Show</summary><p>Because.</p></details></div>
<style>@media print { details.toggle-details { display: none } }</style>"""


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
        page = PAGE.format(title=f"Chapter {name}", body=body)
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
    assert len(texts) == 5
    rows = [line.split() for line in texts[0].splitlines() if line.startswith(("Chapter", "Part", "Solutions"))]
    assert ["Chapter", "a", "2"] in rows and ["Chapter", "b", "3"] in rows and ["Chapter", "a", "5"] in rows
    for number, text in enumerate(texts, 1):
        assert text.strip().endswith(str(number))


def test_solutions_stand_at_the_end_and_nowhere_else(book):
    assert [k for k, page in enumerate(book.pages, 1) if "Because." in page.extract_text()] == [5]


def test_links_lead_into_the_same_file_or_to_an_address_and_never_to_a_file_on_a_disk(book):
    assert links(book, 2) == {4, "https://x.org/"}
    assert links(book, 3) == {4, 2}


def test_bookmarks_name_the_parts_and_the_chapters(book):
    part, chapters, end, solutions = book.outline
    assert part.title == "Part" and [entry.title for entry in chapters] == ["Chapter a", "Chapter b"]
    assert end.title == "Solutions" and [entry.title for entry in solutions] == ["Chapter a"]
