"""The page of the ledger: each claim with its number and statement, and a diagram whose arcs are lit."""

import re

import pytest

from book import ledger, ledger_page
from tests.book.visit import HTML, Visit


@pytest.fixture(scope="module")
def page(book):
    """The built page."""
    return (HTML / "ledger.html").read_text(encoding="utf-8")


def test_each_claim_and_observation_has_its_number_and_its_statement(page):
    for item in (*ledger.read_book(), *ledger.read_findings()):
        entry = page.partition(f'id="ledger-{item.label}"')[2][:3000]
        assert re.search(r">(Theorem|Lemma|Corollary|Proposition|Observation) A?\d+\.\d+<", entry), item.label
        assert "What it says</summary>" in entry, item.label


def test_chapters_have_their_names(page):
    for entry in ledger.read_book():
        title = ledger.chapter_title(entry.chapter).partition("$")[0].replace("–", "–")
        assert f"{ledger.number(entry.chapter)}. {title}" in page


def test_an_arc_leads_from_a_claim_up_to_what_it_uses():
    assert ledger_page.arc("late", "early", {"late": 700, "early": 42}) == (
        '<path data-from="late" data-to="early" d="M150 700C8 700 8 42 150 42"/>'
    )


def test_the_arcs_of_a_claim_are_lit_by_the_pointer_and_by_the_focus(site, browser):
    used = next(entry for entry in ledger.read_book() if entry.uses)
    with Visit(browser, site, "ledger") as visit:
        graph = visit.page.locator(".ledger-graph")
        assert graph.locator("path.uses").count() == 0
        graph.locator(f"a[data-claim={used.label}]").hover()
        assert graph.locator("path.uses").count() == len(used.uses)
        graph.locator(f"a[data-claim={used.uses[0]}]").focus()
        assert graph.locator("path.used").count() == sum(used.uses[0] in (e.uses or ()) for e in ledger.read_book())


def test_the_diagram_is_legible_on_a_phone(site, browser):
    with Visit(browser, site, "ledger", width=390) as visit:
        link = visit.page.locator(".ledger-graph a").first
        assert link.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 13
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
