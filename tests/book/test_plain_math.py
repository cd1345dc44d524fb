"""Formulas as plain text."""

import pytest

from book.edition import FORMULA
from book.ledger import cells, chapters
from book.plain_math import plain_math


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\sigma_{r+1}^2", "σᵣ₊₁²"),
        (r"\lVert M-X\rVert_2 \ge \sigma_{r+1}", "‖M−X‖₂ ≥ σᵣ₊₁"),
        (r"A\in\mathbb{R}^{m\times n}", "A ∈ ℝ^(m×n)"),
        (r"\frac bw\cdot\frac{mn}{m+n}", "b/w·mn/(m+n)"),
        (r"\tfrac\alpha{\sqrt r}", "α/(√r)"),
        (r"\hat\beta_\lambda, \dots", "β̂_λ, …"),
        (r"n-\operatorname{rank}X", "n− rank X"),
        (r"\operatorname{rank}(X) = \{1,2\}", "rank(X) = {1,2}"),
        (r"\begin{pmatrix}1&-1\\1&1\end{pmatrix}", "1 −1 1 1"),
        (r"V^\top", "Vᵀ"),
    ],
)
def test_a_formula_as_text(tex, text):
    assert plain_math(tex) == text


def test_no_formula_of_the_book_keeps_a_command():
    formulas = {
        found.strip("$")
        for path in chapters()
        for cell in cells(path)
        if cell["cell_type"] == "markdown"
        for found in FORMULA.findall(cell["source"])
    }
    assert len(formulas) > 3000
    assert [tex for tex in formulas if "\\" in plain_math(tex) or "{}" in plain_math(tex)] == []
