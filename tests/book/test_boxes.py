"""The boxes of claims: where each is shown, tested and used, where a proof ends, and how strong each kind looks."""

import re

import pytest

from book import ledger
from tests.book.visit import CHAPTERS, HTML, Visit


@pytest.fixture(scope="module")
def pages(book):
    """The chapters' pages by their names."""
    return {name.removeprefix("chapters/"): (HTML / f"{name}.html").read_text(encoding="utf-8") for name in CHAPTERS}


def below(page, label):
    """What stands below a claim: the HTML of its links."""
    return page.partition(f'id="{label}"')[2].partition('class="claim-links')[2].partition("</section>")[0][:20000]


@pytest.mark.parametrize("entry", ledger.read_book(), ids=lambda entry: entry.label)
def test_a_claim_says_where_it_is_shown_tested_and_used(pages, entry):
    links = below(pages[entry.chapter], entry.label)
    links = links[: links.index("ledger-" + entry.label) + 4000]
    assert (
        "shown in " in links if entry.figure else re.search(f'href="#shows-{entry.label}">shown (below|above)<', links)
    )
    using = [other for other in ledger.read_book() if entry.label in (other.uses or ())]
    if using:
        assert f"used by {len(using)}<" in links
        assert re.search(r">(Theorem|Lemma|Corollary|Proposition) A?\d+\.\d+<", links)


def test_every_proof_ends_with_its_sign(pages):
    for name, page in pages.items():
        assert page.count('class="qed"') == page.count('<div class="proof admonition" id="proof"'), name


LOOKS = """kinds => kinds.map(kind => {
  const box = document.querySelector(`div.proof.${kind}`);
  const {borderLeftWidth, backgroundColor} = getComputedStyle(box);
  return [parseFloat(borderLeftWidth), backgroundColor];
})"""


def test_claims_are_the_strongest_boxes_and_remarks_the_weakest(site, browser):
    with Visit(browser, site, "chapters/06_eckart_young") as visit:
        looks = visit.page.evaluate(LOOKS, ["theorem", "corollary", "definition", "observation", "remark"])
        (theorem, ground), corollary, (definition, _), (observation, _), (remark, nothing) = looks
        assert [theorem, ground] == corollary
        assert theorem > definition >= observation > remark
        assert nothing == "rgba(0, 0, 0, 0)" != ground
        bells = "[...document.querySelectorAll('.proof > .admonition-title, .exercise > .admonition-title')]"
        bells += ".map(e => getComputedStyle(e, '::after').content)"
        shown = set(visit.page.evaluate(bells))
        hard = {f'"{"●" * k:○<3}" / "difficulty {k} of 3"' for k in (1, 2, 3)}
        assert {"none", '"measured"'} <= shown <= {"none", '"measured"', *hard} and shown & hard
