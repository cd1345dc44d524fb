"""Pictures say how large they are; printed sentences are told from printed tables; plain code has no marks."""

import html
import io
import re

import pytest
from docutils import nodes
from PIL import Image
from pygments import highlight
from pygments.lexers import PythonLexer

from book import layout


def png(size, **options):
    made = io.BytesIO()
    Image.new("L", size).save(made, "PNG", **options)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png((300, 200)), (300, 200)),
        (png((300, 200), dpi=(192, 192)), (150, 100)),
        (png((300, 200), dpi=(72, 72)), (300, 200)),  # never larger than its pixels
    ],
    ids=["plain", "twice as fine", "coarse"],
)
def test_the_size_of_a_bitmap(data, size):
    assert layout.png_size(data) == size


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ('<svg width="360pt" height="180pt" viewBox="0 0 360 180">', (480, 240)),
        ('<?xml version="1.0"?>\n<svg height="20" width="10px">', (10, 20)),
        ('<svg viewBox="0 0 3 4">', (0, 0)),
    ],
    ids=["points", "pixels", "none"],
)
def test_the_size_of_a_drawing(head, size):
    assert layout.svg_size(head + '<rect width="7" height="7"/></svg>') == size


def test_all_but_the_first_picture_can_wait():
    body = '<img alt="a" src="../_images/a.png" /><p/><img src="../_images/b.svg" alt="b"><img src="c.png" width="3">'
    made = layout.sized(body, {"a.png": (30, 20), "b.svg": (6, 5)})
    assert '<img width="30" height="20" alt="a"' in made
    assert '<img width="6" height="5" loading="lazy" src="../_images/b.svg"' in made
    assert '<img src="c.png" width="3">' in made, "what says its size is left as it is"


SENTENCE = "Not yet: that is the share of the squared norm; the relative error is its root.\n"


@pytest.mark.parametrize(
    ("printed", "prose"),
    [
        (SENTENCE, True),
        ("rank 2, error 1e-01\nrank 5, error 3e-02\n", True),
        ("random      1.26 to 2.42\neven        1.40 to 3.00\n", False),
        ("[[1 2]\n [3 4]]\n", False),
        (SENTENCE + "rank   error\n", False),
    ],
    ids=["a sentence", "lines", "columns", "a matrix", "both"],
)
def test_sentences_and_tables(printed, prose):
    assert layout.is_prose(printed) is prose


def test_sentences_get_a_class():
    page = nodes.document(None, None)
    for classes in (["output", "stream"], []):
        page += nodes.literal_block(SENTENCE, SENTENCE, classes=classes)
    layout.mark_prose(None, page)
    assert [block["classes"] for block in page] == [["output", "stream", "prose"], []]


CODE = 'from a import b\nx = f"{y:.2f}" if y < 1 else np.sum([1, 2.5])  # <&>\n'


def test_code_is_marked_where_it_is_not_plain():
    marked = highlight(CODE, PythonLexer(), layout.PlainFormatter(nowrap=True))
    assert html.unescape(re.sub("<[^>]*>", "", marked)) == CODE
    classes = set(re.findall('<span class="([^"]*)"', marked))
    assert not classes & {"n", "nn", "p", "w"} and {"kn", "o", "mi", "c1"} <= classes


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_has_no_mark_has_the_colour_of_the_block(book, theme):
    sheet = (book / "_static" / "pygments.css").read_text(encoding="utf-8")
    rule = r'html\[data-theme="{}"\] \.highlight{} {{[^}}]*?(?<![-\w])color: (#\w+)'
    block = re.search(rule.format(theme, ""), sheet)[1]
    found = {name: re.search(rule.format(theme, rf" \.{name}"), sheet)[1] for name in ("n", "nn", "p", "w")}
    assert set(found.values()) == {block} and re.search(rule.format(theme, r" \.o"), sheet)[1] != block
