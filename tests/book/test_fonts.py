"""Fonts and their style sheets hold what the pages show, and no more."""

import io
import re

from fontTools.ttLib import TTFont

from book import fonts, typeset

WOFF = typeset.mathjax_folder() / "output" / "chtml" / "fonts" / "woff-v2"


def glyphs(folder):
    """The characters that the fonts of a folder have."""
    found = set()
    for path in folder.iterdir():
        with TTFont(path) as font:
            found |= set(font.getBestCmap() or {})
    return found


def test_a_font_is_cut_to_its_characters():
    cut = fonts.cut(WOFF / "MathJax_Main-Regular.woff", "∑x2")
    font = TTFont(io.BytesIO(cut))
    assert set(font.getBestCmap()) == {ord("x"), ord("2")}, "its sum stands in another font"
    assert font.flavor == "woff2" and len(cut) < 3000


def test_the_sheet_keeps_what_is_used():
    sheet = typeset.sheet()
    small = fonts.sheet_for(sheet, {"mjx-c2211", "mjx-c1D465"})
    assert "mjx-c.mjx-c2211.TEX-S1::before" in small and "mjx-c1D465.TEX-I" in small
    assert "mjx-c2A" not in small and "mjx-c1D434" not in small
    assert "mjx-msubsup" in small and "MathJax_Zero.woff2" in small, "what is no character stays"
    assert len(small) < len(sheet) / 5


def test_icons_keep_what_is_used():
    sheet = '.fa-solid{font-weight:900}.fa-a:before,.fa-b:before{content:"\\41"}.fa-c:before{content:"\\42"}'
    assert fonts.icons_for(sheet, {"fa-b"}) == sheet.partition(".fa-c")[0]


def test_escapes_of_style_sheets():
    assert fonts.unescaped(r"\2211") == "∑" and fonts.unescaped(r"\f0f3 a") == "\uf0f3a"


def test_the_book_has_every_character_of_its_formulas(book):
    """Each class of a character on a page has its rule, and each character its glyph in the font of the rule."""
    pages = fonts.all_of(book / "chapters", ".html")
    sheet = (book / "_static" / "formulas.css").read_text(encoding="utf-8")
    ruled = set(re.findall(r"\.(mjx-c[0-9A-F]+)", sheet))
    known = set(re.findall(r"\.(mjx-c[0-9A-F]+)", typeset.sheet()))
    used = set(re.findall(r"mjx-c[0-9A-F]+", pages))
    assert used and used & known <= ruled
    cut, whole = (glyphs(folder) for folder in (book / "_static" / "formulas", WOFF))
    shown = {ord(character) for content in fonts.CONTENT.findall(sheet) for character in fonts.unescaped(content)}
    assert shown & whole and shown & whole <= cut
    assert not (book / "_static" / "mathjax").exists(), "no page loads MathJax"


def test_every_icon_on_a_page_is_in_the_fonts(book):
    sheet = (book / "_static" / fonts.ICONS / "css" / "all.min.css").read_text(encoding="utf-8")
    whole = (fonts.THEME / fonts.ICONS / "css" / "all.min.css").read_text(encoding="utf-8")
    named = set(re.findall(r"\.(fa-[\w-]+):{1,2}before", whole))
    used = set(re.findall(r"\bfa-[\w-]+", fonts.all_of(book / "chapters", ".html"))) & named
    assert used and used <= set(re.findall(r"\.(fa-[\w-]+):{1,2}before", sheet))
