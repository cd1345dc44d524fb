"""Formulas are typeset while the book is built, once each, for eyes and for ears; what is wrong ends the build."""

import pytest
from docutils import nodes
from sphinx.errors import SphinxError

from book import typeset


def test_a_formula_becomes_boxes_and_mathml():
    made = typeset.typeset(r"\sigma_1^2 \le 4")
    assert made.startswith("<mjx-container") and made.endswith("</mjx-container>")
    assert 'aria-hidden="true"' in made.partition("<mjx-assistive-mml>")[0], "the boxes are for eyes alone"
    assert "<msubsup><mi>σ</mi><mn>1</mn><mn>2</mn></msubsup><mo>≤</mo><mn>4</mn>" in made


def test_a_display_has_its_limits_above_and_below():
    line, display = (typeset.typeset(r"\sum_{i=1}^n x_i", display=display) for display in (False, True))
    assert 'display="true"' in display and 'display="true"' not in line
    assert 'limits="false"' in line and 'limits="false"' not in display


@pytest.mark.parametrize(
    ("tex", "why"),
    [
        (r"\nosuch + 1", "Undefined control sequence"),
        (r"\frac{1", "Missing close brace"),
        (r"x^1^2", "Double exponent"),
    ],
)
def test_a_wrong_formula_ends_the_build_with_its_page_and_text(tex, why):
    with pytest.raises(SphinxError) as caught:
        typeset.typeset_on("chapters/99_wrong", tex)
    assert all(part in str(caught.value) for part in ("chapters/99_wrong", why, tex))


def test_the_same_formula_is_typeset_once(monkeypatch):
    first = typeset.typeset("a + b_{27}")
    monkeypatch.setattr(typeset, "engine", lambda: pytest.fail("asked again"))
    assert typeset.typeset("a + b_{27}") == first


def test_lines_and_equations_as_sphinx_reads_them():
    assert typeset.aligned("x = 1") == "x = 1"
    assert typeset.aligned(r"x &= 1 \\ y &= 2") == r"\begin{split}x &= 1 \\ y &= 2\end{split}"
    assert typeset.aligned("x = 1\n\ny = 2").startswith(r"\begin{align}\begin{aligned}x = 1\\y = 2")


def test_raw_html_is_typeset_outside_of_scripts():
    text = r"<b>a \(x &lt; 2\)</b><script>use(/\(a\)/)</script> \(y\)"
    made = typeset.in_html("index", text)
    assert made.count("<mjx-container") == 2 and "<mo>&lt;</mo>" in made
    assert r"<script>use(/\(a\)/)</script>" in made


def test_raw_nodes_of_a_page_are_typeset():
    page = nodes.document(None, None)
    page += [nodes.raw("", r"<p>\(x\)</p>", format="html"), nodes.raw("", r"\(x\)", format="latex")]
    typeset.typeset_raw_html(None, page, "index")
    assert "<mjx-container" in page[0].astext() and page[1].astext() == r"\(x\)"


def test_what_is_stored_comes_back_unless_mathjax_has_changed(tmp_path, monkeypatch):
    class App:
        doctreedir = tmp_path

    monkeypatch.setattr(typeset, "typeset_before", {"inline x": "<made/>"})
    typeset.remember(App, None)
    monkeypatch.setattr(typeset, "typeset_before", {})
    typeset.recall(App)
    assert typeset.typeset_before == {"inline x": "<made/>"}
    monkeypatch.setattr(typeset, "typeset_before", {})
    monkeypatch.setattr(typeset, "fingerprint", lambda: "another")
    typeset.recall(App)
    assert typeset.typeset_before == {}
