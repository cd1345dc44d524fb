"""The search page: what a reader types finds the right place, served and from a folder, with the network cut."""

import json
import re

import pytest

from book import finding, ledger
from tests.book.visit import HTML, Visit

# What is typed, and where one of the first three results has to lead.
QUERIES = {
    "condition number": "03_.*#def-condition-number",
    "singular value": "05_svd.html$|#def-svd",
    "singular values of a sum": "#thm-weyl",
    "Eckart": "#thm-eckart-young-",
    "pseudoinverse": "chapters/03_",
    "Moore-Penrose": "chapters/03_",
    "low rank approximation": "chapters/06_",
    "PCA": "chapters/09_",
    "principal components": "chapters/09_",
    "how many components": "09_.*#how-many-components",
    "NMF": "chapters/11_",
    "topics": "11_.*#topics",
    "recommender": "chapters/13_",
    "ALS": "#thm-als-step",
    "LoRA merge": "16_.*#(merging|thm-lora-merge)",
    "alpha/r": "16_.*#the-scale-and-who-needs-it",
    "KV cache": "14_.*#what-a-token-costs",
    "randomized svd": "chapters/07_",
    "denoising": "08_.*#(denoising-photographs|which-terms-of-a-noisy-matrix-to-keep)",
    "memory fine-tuning 7B": "17_.*#the-memory-wall",
    # Words that the book does not use, other spellings, other forms, a slip, a name of a function.
    "ridge regression": "#thm-tikhonov",
    "trace norm": "#def-nuclear",
    "SVD": "#def-svd",
    "conditon number": "#def-condition-number",
    "image compression": "08_.*#what-a-jpeg",
    "missing data": "09_.*#a-table-with-holes",
    "QLoRA": "17_.*#a-base-of-four-bits",
    "quantization": "15_.*#fewer-bits",
    "power method": "07_.*#(thm-)?power-iteration",
    "Gram Schmidt": "04_.*#gram-and-schmidt",
    "centering": "09_.*#(prop-uncentred|centre-first)",
    "cross validation": "08_.*cross-validation",
    "orthogonal initialization": "A2_.*#obs-orthogonal-networks-deep-start",
    "truncated_svd": r"#lowrank_helpers\.svd\.truncated_svd",
    "softmax rank": "#thm-logit-rank",
    "word vectors": "10_.*#words-in-the-space",
    "background subtraction": "12_.*#background-and-foreground",
    "stable rank": "#def-stable-rank",
    "does LoRA forget less": "folklore.html#does-lora-forget-less",
    "parameters of LLaMA 7B": "16_.*#llama-7b-line-by-line",
}
FOUND = "#search-results li a"


def first(page, query):
    """The addresses of the first three results for what is typed into the field of an open search page."""
    page.evaluate("document.getElementById('search-summary').textContent = ''")
    page.locator(".bd-search-container input").fill(query)
    page.wait_for_selector("#search-summary:not(:empty)")
    return [link.get_attribute("href") for link in page.locator(FOUND).all()[:3]]


def missed(visit):
    """The queries whose place is not among the first three results, with these."""
    page = visit.page
    page.goto(f"{visit.site}search.html?q=norm")
    page.wait_for_selector(FOUND)
    results = {query: first(page, query) for query in QUERIES}
    return {query: found for query, found in results.items() if not any(re.search(QUERIES[query], a) for a in found)}


def test_what_readers_type_finds_its_place_with_the_network_cut(site, browser):
    with Visit(browser, site, "search") as visit:
        assert missed(visit) == {}
        assert visit.foreign == [] and visit.errors == []


def test_what_readers_type_finds_its_place_from_a_folder(book, browser):
    with Visit(browser, f"{book.as_uri()}/", "search", block=("woff2",)) as visit:
        assert missed(visit) == {}
        assert visit.foreign == []


def test_a_result_shows_where_it_stands_and_a_sentence_with_the_words_marked(site, browser):
    with Visit(browser, site, "search") as visit:
        visit.page.goto(f"{site}search.html?q=condition+number")
        result = visit.page.locator("#search-results li").first
        assert result.locator("a").inner_text() == "Definition 3.2 (Condition number)"
        assert "›" in result.locator(".place").inner_text()
        assert result.locator("p:not(.place) mark").all_inner_texts()[:2] == ["condition", "number"]


def test_the_dialog_leads_to_the_results_and_these_to_an_unmarked_page(site, browser):
    with Visit(browser, site, "index") as visit:
        page = visit.page
        page.wait_for_load_state()
        page.keyboard.press("Control+k")
        page.wait_for_function("document.activeElement.id === 'search-input'")
        page.keyboard.type("Weyl")
        page.keyboard.press("Enter")
        page.wait_for_selector(FOUND)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/chapters/05_svd.html#thm-weyl")
        assert page.locator("article .highlighted, article mark").count() == 0
        page.wait_for_function(
            "Math.abs(document.getElementById('thm-weyl').getBoundingClientRect().top) < innerHeight"
        )


def test_where_nothing_is_found_a_sentence_says_so(site, browser):
    with Visit(browser, site, "search") as visit:
        visit.page.goto(f"{site}search.html?q=%3Ci%3Ehyperloop")
        visit.page.wait_for_selector("#search-summary:not(:empty)")
        visit.page.wait_for_function("!document.getElementById('search-summary').textContent.includes('Looking')")
        assert visit.page.locator("#search-summary").inner_text().startswith("Nothing in the book has “<i>hyperloop”")
        assert visit.page.locator(FOUND).count() == 0


@pytest.fixture(scope="module")
def index(book):
    """The index as the built book has it."""
    script = (HTML / "_static" / "search" / "index.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("window.searchIndex = ").rstrip(";\n"))


def test_every_entry_is_a_place_of_a_page_and_reads_as_text(index):
    pages = {}
    for address, _, title, _, text in index["entries"]:
        name, _, anchor = address.partition("#")
        html = pages.setdefault(name, (HTML / name).read_text(encoding="utf-8"))
        assert not anchor or f'id="{anchor}"' in html, address
        assert title and "\\" not in title + re.sub(r"\\n", "", text), address


def test_the_index_holds_every_claim_and_gives_no_answer_away(index):
    kinds = {kind for _, kind, *_ in index["entries"]}
    assert {"page", "section", "theorem", "definition", "observation", "exercise", "function"} <= kinds
    labels = {address.partition("#")[2] for address, *_ in index["entries"]}
    assert {entry.label for entry in ledger.read_book()} <= labels
    assert not any("Solution to" in title for _, _, title, *_ in index["entries"])
    assert not any(line == "Answer" for *_, text in index["entries"] for line in text.split("\n"))


def test_synonyms_are_read_from_lines():
    assert finding.synonyms("# why\n\nSVD = singular value decomposition  # all\n") == [
        ["SVD", "singular value decomposition"]
    ]


def test_the_index_of_sphinx_is_not_made(book):
    assert not (book / "searchindex.js").exists()
