"""The front page: what it says of the chapters is what they say, and its ways are open to who goes them."""

import gzip
import re

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from book import front
from tests import ROOT
from tests.book.visit import CHAPTERS, Visit
from tools import reading_time

PAGE = (ROOT / "index.md").read_text(encoding="utf-8")
PART_ONE = {"chapters/01_norms", "chapters/02_rank", "chapters/03_pseudoinverse"}
WAYS = re.findall(r"^(.+), (\d+) hours\n: ((?:.+\n)+)", PAGE, re.MULTILINE)


def linked(text):
    """The chapters that a text links, in order."""
    return re.findall(r"\]\((chapters/\w+)\.ipynb\)", text)


def needed(page):
    """The chapters that one names as needed in its first sentence; what is only compared with does not count."""
    first = re.search(r"\*\*You need\*\*(.*?)(?:\. |\.$|\n\n)", front.text_of(page), re.DOTALL)[1]
    return {f"chapters/{name}" for name in re.findall(r"\]\((\w+)\.ipynb\)(?!\s+for comparison)", first)}


def test_names_and_minutes_are_read_from_the_chapters():
    assert [front.name_of(page) for page in CHAPTERS[:2]] == ["1 Norms", "2 Rank"]
    assert front.name_of("chapters/project_real_model") == "A real model, on your own data"
    reading, exercises = reading_time.stated(front.text_of("chapters/01_norms"))
    assert front.minutes_of("chapters/01_norms") == reading + exercises > 60


def test_a_chapter_without_a_time_is_named(monkeypatch):
    monkeypatch.setattr(front, "text_of", lambda page: "# A chapter")
    with pytest.raises(ValueError, match=r"chapters/20_new: no line"):
        front.minutes_of("chapters/20_new")


def test_the_hours_of_the_book_are_those_of_its_chapters():
    hours = int(re.search(r"(\d+) hours with all exercises", PAGE)[1])
    assert abs(hours - sum(map(front.minutes_of, CHAPTERS)) / 60) <= 0.5


@pytest.mark.parametrize(("name", "hours", "text"), WAYS, ids=[name for name, *_ in WAYS])
def test_a_way_is_open_step_by_step(name, hours, text):
    way = linked(text)
    assert 4 <= len(way) <= 6
    assert abs(int(hours) - sum(map(front.minutes_of, way)) / 60) <= 0.5
    known = set(PART_ONE)
    for page in way:
        assert needed(page) <= known | {page}, page
        known.add(page)


def test_there_are_four_ways_and_the_needs_are_read():
    assert [name for name, *_ in WAYS] == ["LoRA in a weekend", "Recommenders", "Numerics", "Data"]
    assert needed("chapters/06_eckart_young") == {
        "chapters/01_norms",
        "chapters/03_pseudoinverse",
        "chapters/05_svd",
    }


def test_the_road_leads_to_every_chapter(book):
    road = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser").select_one(".road")
    assert [link["href"] for link in road.select("a")] == [f"{page}.html" for page in CHAPTERS]
    assert all(re.fullmatch(r"[\w–, -]+ \d+ min", link.get_text()) for link in road.select("a"))


def test_no_answer_of_an_exercise_is_given_away():
    from lowrank_helpers import exercises

    calls = re.findall(r"exercises\.(\w+)\.(\w+)\((.*?)\)", PAGE)
    assert calls
    for module, checker, given in calls:
        assert not re.fullmatch(r"-?[\d.]+", given), f"{given} could be right"
        assert callable(getattr(getattr(exercises, module), checker))


def test_the_picture_sharpens_and_ends_at_itself(site, browser):
    with Visit(browser, site, "index") as visit:
        slider = visit.page.get_by_role("slider", name="Rank")
        expect(slider).to_be_enabled()
        slider.press("Home")
        expect(slider).to_have_attribute("aria-valuetext", re.compile("^rank 1 of 213, 1\u00a0173 numbers"))
        slider.press("End")
        expect(slider).to_have_attribute("aria-valuetext", re.compile("^rank 213 of 213"))
        assert visit.foreign == []


def test_the_page_is_light(book):
    """Its own bytes, picture and all, as a server sends them."""
    assert len(gzip.compress((book / "index.html").read_bytes())) < 160_000


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_set_up_cell_says_that_it_is_for_colab_alone(book, page):
    html = BeautifulSoup((book / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    folded = next(cell for cell in html.select(".cell") if "google.colab" in cell.get_text())
    assert folded.select_one("summary .collapsed").get_text() == "Set-up for Colab: nothing to do elsewhere"
