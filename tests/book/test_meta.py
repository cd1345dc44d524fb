"""What pages say of themselves in their heads: a sentence, a title, a picture, and the address once there is one."""

import re

import pytest
from bs4 import BeautifulSoup
from docutils.core import publish_doctree
from PIL import Image

from book import meta
from book.setup_cell import published
from tests import ROOT
from tests.book.visit import PAGES

TEXTS = [page for page in PAGES if page != "search"]


def read(text):
    return publish_doctree(text, settings_overrides={"doctitle_xform": False})


def test_a_description_is_what_the_page_begins_with():
    page = read("Title\n=====\n\nA *short* one. Another.\n\n* in a list\n")
    assert meta.description(page) == "A short one. Another."


def test_a_formula_is_said_in_letters_or_its_sentence_is_left_out():
    page = read(
        "Title\n=====\n\nThe matrix :math:`4\\times 4`. All :math:`\\begin{pmatrix}1\\end{pmatrix}` hold. So.\n"
    )
    assert meta.description(page) == "The matrix 4 × 4."
    page = read("Title\n=====\n\nAll :math:`\\begin{pmatrix}1\\end{pmatrix}` hold. Yet some do not. So.\n")
    assert meta.description(page) == "So."


def test_what_is_too_long_ends_at_a_word():
    said = meta.description(read(f"Title\n=====\n\n{'lengthy ' * 40}\n"))
    assert len(said) <= meta.LONGEST and re.fullmatch(r"(lengthy )+…", said)
    said = meta.description(read(f"Title\n=====\n\nShort. {'lengthy ' * 40}\n"))
    assert said == "Short."


def test_a_page_without_a_sentence_has_no_description():
    assert meta.description(read("Title\n=====\n")) == ""
    assert "description" not in meta.tags("genindex", "Index", "", "picture.jpg")


def test_addresses_are_whole_where_there_is_one(monkeypatch):
    monkeypatch.setattr(meta, "pages_url", lambda: "https://ada.github.io/book/")
    tags = meta.tags("chapters/01_norms", "Norms", "How large?", "../_static/picture.jpg")
    assert tags["og:url"] == "https://ada.github.io/book/chapters/01_norms.html"
    assert tags["og:image"] == "https://ada.github.io/book/_static/picture.jpg"
    monkeypatch.setattr(meta, "pages_url", lambda: None)
    tags = meta.tags("chapters/01_norms", "Norms", "How large?", "../_static/picture.jpg")
    assert "og:url" not in tags and tags["og:image"] == "../_static/picture.jpg"


@pytest.fixture(scope="module")
def heads(book):
    """The head of each page, parsed."""
    texts = {page: (book / f"{page}.html").read_text(encoding="utf-8") for page in TEXTS}
    return {page: BeautifulSoup(text.partition("</head>")[0], "html.parser") for page, text in texts.items()}


@pytest.mark.parametrize("page", TEXTS)
def test_each_page_says_what_it_is(heads, book, page):
    head = heads[page]
    said = head.select_one("meta[name=description]")["content"]
    assert 20 <= len(said) <= meta.LONGEST and not set(said) & set("\\$\0<")
    tags = {tag["property"]: tag["content"] for tag in head.select("meta[property]")}
    assert tags["og:description"] == said and tags["og:title"] and "<" not in tags["og:title"]
    assert head.html["lang"] == "en"
    if not published():
        assert (book / page).parent.joinpath(tags["og:image"]).resolve() == book / "_static" / "picture.jpg"
        assert head.select("link[rel=canonical]") == []


def test_descriptions_differ(heads):
    said = [head.select_one("meta[name=description]")["content"] for head in heads.values()]
    assert len(set(said)) == len(said)


def test_the_picture_is_small_and_wide():
    path = ROOT / "_static" / "picture.jpg"
    with Image.open(path) as picture:
        width, height = picture.size
    assert path.stat().st_size <= 60_000 and 1.8 < width / height < 2
