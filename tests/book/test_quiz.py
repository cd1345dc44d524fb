"""The quiz on the front page, read from Markdown and answered in a browser."""

import re
import subprocess
import sys

import pytest

from tests import ROOT
from tests.book.visit import Visit

QUESTIONS = 14


def answered(page, wrong=()):
    """Answer all rightly but for some, by their place; return the advice."""
    for place, question in enumerate(page.locator("#quiz fieldset").all()):
        question.locator(f"input[value={'wrong' if place in wrong else 'right'}]").first.check()
    page.get_by_role("button", name="Where do I start?").click()
    return page.locator("#quiz output")


@pytest.fixture(scope="module")
def page(site, browser):
    with Visit(browser, site, "index") as visit:
        yield visit.page


def test_who_knows_all_is_sent_on_and_not_back(page):
    advice = answered(page)
    assert f"{QUESTIONS} of {QUESTIONS} right." in advice.inner_text()
    assert "06_eckart_young" not in advice.inner_html()


@pytest.mark.parametrize(
    ("wrong", "chapters"),
    [
        ([7], ["05_svd"]),
        ([10], ["09_pca"]),
        ([13], ["16_lora"]),
        ([11, 7, 8], ["05_svd", "13_matrix_completion"]),
    ],
)
def test_the_first_wrong_answer_names_the_chapter_and_others_come_later(page, wrong, chapters):
    advice = answered(page, wrong)
    assert f"{QUESTIONS - len(wrong)} of {QUESTIONS} right." in advice.inner_text()
    links = [link.get_attribute("href") for link in advice.locator("a").all()]
    assert links == [f"chapters/{name}.html" for name in chapters]


def test_every_reason_links_its_chapter(page):
    answered(page)
    for question in page.locator("#quiz fieldset").all():
        link = question.locator(".why a").last
        assert link.is_visible() and link.get_attribute("href") == question.get_attribute("data-href")
        assert re.fullmatch(r"chapter \d+, [\w– -]+", link.inner_text())


PROJECT = "extensions = ['myst_parser', 'book.quiz']\nmyst_enable_extensions = ['colon_fence', 'dollarmath']\n"
GOOD = "How?\n\n- so\n- thus (right)\n\nBecause."


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        (GOOD, ""),
        (GOOD.replace(" (right)", ""), "one of which ends in '(right)'"),
        (GOOD.replace("- so", "- so (right)"), "one of which ends in '(right)'"),
        (GOOD.replace("\n\nBecause.", ""), "an empty line between them"),
    ],
    ids=["good", "none is right", "two are right", "no reason"],
)
def test_a_question_that_cannot_be_answered_ends_the_build(tmp_path, question, complaint):
    (tmp_path / "conf.py").write_text(PROJECT, encoding="utf-8")
    text = f"# Page\n\n::::{{quiz}}\n:::{{question}} chapters/01_norms\n{question}\n:::\n::::\n"
    (tmp_path / "index.md").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert complaint in done.stderr and bool(complaint) == bool(done.stderr)
