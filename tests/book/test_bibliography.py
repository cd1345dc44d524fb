"""The list of sources: labels as the text cites, one link each, and the places that cite."""

import re

import pytest
from docutils import nodes
from pybtex.database import parse_string

from book import bibliography
from tests.book.visit import HTML

ENTRIES = """
@article{one, author = {von Luxburg, Ulrike}, title = {A}, year = {2007}}
@article{two, author = {Golub, Gene H. and Kahan, William M.}, title = {B}, year = {1965}}
@article{three, author = {Halko, N. and Martinsson, P. and Tropp, J.}, title = {C}, year = {2011}}
@article{four, author = {Halko, N. and Martinsson, P. and Tropp, J.}, title = {D}, year = {2011}}
"""
ADDRESS = r"""(?x)https://(doi\.org/10\. | arxiv\.org/abs/ | www\.jmlr\.org/ | hal\.inria\.fr/ | papers\.nips\.cc/paper
    | proceedings\.neurips\.cc/paper | proceedings\.mlr\.press/ | people\.csail\.mit\.edu/ | thinkingmachines\.ai/)"""


def test_labels_are_those_of_the_text_and_differ():
    entries = list(parse_string(ENTRIES, "bibtex").entries.values())
    assert list(bibliography.Labels().format_labels(entries)) == [
        "von Luxburg, 2007",
        "Golub and Kahan, 1965",
        "Halko et al., 2011a",
        "Halko et al., 2011b",
    ]


def test_the_formula_in_a_title_is_written_as_text():
    entry = nodes.citation(
        "",
        nodes.paragraph(
            "",
            "",
            nodes.Text(
                "Values is $4/\\sqrt 3$, and ",
            ),
            nodes.emphasis("", "more"),
        ),
    )
    bibliography.readable(entry)
    assert entry.astext() == "Values is 4/√3, and more"


@pytest.fixture(scope="module")
def sources(book):
    """The entries of the built page, as HTML, by their keys."""
    page = (HTML / "bibliography.html").read_text(encoding="utf-8")
    found = re.findall(r'<div class="citation" id="source-([\w-]+)".*?</div>', page, re.DOTALL)
    parts = re.split(r'<div class="citation" id="source-[\w-]+"', page)[1:]
    return dict(zip(found, parts, strict=True))


def test_most_sources_have_one_link_and_it_leads_to_the_source(sources):
    links = {key: re.findall(r'class="reference external" href="([^"]+)"', entry) for key, entry in sources.items()}
    assert all(len(found) <= 1 for found in links.values())
    known = [found[0] for found in links.values() if found]
    assert len(known) > 0.75 * len(sources)
    assert all(re.match(ADDRESS, address) for address in known)


def test_every_source_says_where_it_is_cited(sources):
    for key, entry in sources.items():
        places = re.findall(r'href="((?:chapters/)?\w+\.html)#([\w-]+)"', entry.partition('class="backrefs"')[2])
        assert places, key
        for page, anchor in places:
            assert f'id="{anchor}"' in (HTML / page).read_text(encoding="utf-8")


def test_sources_are_sorted_by_their_labels(sources):
    labels = [
        re.search(r'class="label">.*?fn-bracket">\[</span>(.*?)<span', entry, re.DOTALL)[1]
        for entry in sources.values()
    ]
    assert all(re.search(r", \d{4}[a-z]?$", label) for label in labels)
