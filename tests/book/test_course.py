"""The page for lecturers: its weeks are open one after the other, and its tables say what the chapters say."""

import re

import pytest
from bs4 import BeautifulSoup

from book import course, ledger
from tests import ROOT
from tests.book import rules
from tests.book.test_front import PART_ONE, needed

PAGE = (ROOT / "course.md").read_text(encoding="utf-8")
WEEKS = [
    line.partition(": ")[0].split(", ") for line in re.search(r"```\{weeks\}\n(.*?)```", PAGE, re.S)[1].splitlines()
]


def test_there_are_twelve_weeks_and_each_needs_only_what_came_before():
    assert len(WEEKS) == 12
    known: set[str] = set()
    for week in WEEKS:
        pages = {f"chapters/{name}" for name in week}
        for page in pages:
            assert needed(page) - PART_ONE <= known | pages, page
        known |= pages
    assert known >= PART_ONE


@pytest.mark.parametrize(
    ("title", "text", "kind"),
    [
        ("An investigation: how far", "Write `far(A)`.", "investigation"),
        ("Lengths", "Write `lengths(A)`, and check it with `exercises.norms.lengths(lengths)`.", "code"),
        ("By hand", "Find the norm. Check it with `exercises.norms.by_hand(your_number)`.", "by hand"),
        ("Never", "Show that it is never smaller.", "proof"),
    ],
)
def test_the_kind_of_an_exercise(title, text, kind):
    assert course.kind(title, text) == kind and kind in course.KINDS


@pytest.mark.parametrize("page", course.pages())
def test_every_exercise_of_a_chapter_is_listed_with_its_difficulty(page):
    found = course.exercises(page)
    labels = [match["label"] for match in rules.exercises(rules.read(ROOT / f"{page}.ipynb"))]
    assert [exercise.label for exercise in found] == labels
    assert all(1 <= exercise.difficulty <= 3 for exercise in found)


def test_the_shortest_way_holds_what_is_used_and_nothing_else():
    way = course.needs({"16_lora"})
    used = {label for entry in way for label in entry.uses or ()}
    assert used <= {entry.label for entry in way}
    assert all(entry.chapter == "16_lora" or entry.label in used for entry in way)
    assert len(way) < len(ledger.read_book()) / 2


def test_a_chapter_that_no_proof_uses_stands_alone_in_the_map():
    uses = course.rests_on()
    assert "06_eckart_young" in uses["18_lora_updates"]
    assert not any("10_lsa" in used for used in uses.values()), "course.md lets chapter 10 be left out"
    assert all(chapter not in used for chapter, used in uses.items())


def test_the_page_has_all_rows(book):
    html = BeautifulSoup((book / "course.html").read_text(encoding="utf-8"), "html.parser")
    rows = [len(table.select("tbody tr")) for table in html.select("article table")]
    exercises = sum(len(course.exercises(page)) for page in course.pages())
    way = len({entry.chapter for entry in course.needs({"16_lora"})})
    assert rows == [12, len(course.pages()), way, len(course.KINDS), exercises]
    assert all(link["href"] for link in html.select("article table a"))
