"""The page for lecturers: its weeks are open one after the other, and its tables say what the chapters say."""

import re

import pytest
from bs4 import BeautifulSoup

from book import course, ledger
from book.front import minutes_of
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


def test_a_week_takes_the_minutes_that_the_page_says():
    said = re.search(r"a week takes\s(\d+) to (\d+) minutes", PAGE)
    taken = [sum(minutes_of(f"chapters/{name}") for name in week) for week in WEEKS]
    assert [int(said[1]), int(said[2])] == [min(taken), max(taken)]


@pytest.mark.parametrize(
    ("chapter", "weeks"),
    [("08_images", 7), ("12_robust_pca", 7), ("14_attention", 7), ("10_lsa", 8), ("11_nmf", 8), ("19_scale", 10)],
)
def test_a_chapter_left_for_choice_is_open_after_the_weeks_that_the_page_names(chapter, weeks):
    known = {f"chapters/{name}" for week in WEEKS[:weeks] for name in week}
    assert needed(f"chapters/{chapter}") <= known
    assert weeks == 7 or not needed(f"chapters/{chapter}") <= known - {f"chapters/{name}" for name in WEEKS[weeks - 1]}


@pytest.mark.parametrize(
    ("title", "text", "kind"),
    [
        ("An investigation: how far", "Write `far(A)`.", "investigation"),
        ("Lengths", "Write `lengths(A)`, and check it with `exercises.norms.lengths(lengths)`.", "code"),
        ("Freedom", "Derive it, write it as `freedom(n)`. Check it with `exercises.rank.freedom(freedom)`.", "code"),
        ("By hand", "Find the norm. Check it with `exercises.norms.by_hand(your_number)`.", "by hand"),
        ("Never", "Show that it is never smaller.", "proof"),
        ("A rate", "Describe how you would choose it.", "in words"),
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
