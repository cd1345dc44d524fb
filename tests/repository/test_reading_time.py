"""The times that chapters state: counted at the book's rates, from small texts whose count is known."""

import pytest

from book import ledger
from tools import reading_time
from tools.reading_time import CELL, LIMIT, Times, stated, times, words


def counted(text):
    """The minutes of a text, without the last bits of a quotient."""
    return tuple(round(minutes, 6) for minutes in times(text))


def test_words_are_counted_without_markup_and_formulas_are_one_each():
    text = "# A title\n\n:::{note}\n:class: tip\nIt holds that $a + b = c$, by\n\n$$\nx = y\n$$\n:::\n"
    assert words(text) == 2 + 3 + 1 + 1 + 1


def test_a_role_is_no_word_and_its_target_is_one():
    assert words("see {prf:ref}`thm-qr`") == 2


@pytest.mark.parametrize(
    ("text", "reading", "exercises"),
    [
        ("word " * 300, 2.0, 0),
        (":::{prf:proof}\n" + "word " * 100 + "\n:::\n", 2.0, 0),
        (f"{CELL}\n\n{CELL}\n", 2.0, 0),
        (":::{exercise} One\n:label: ex-a\n\n" + "word " * 300 + "\n:::\n", 0.0, 20),
        (":::{exercise} An investigation: two\n:label: ex-b\n\nword\n:::\n", 0.0, 45),
    ],
)
def test_each_rate(text, reading, exercises):
    assert counted(text) == (reading, exercises)


def test_a_solution_belongs_to_its_exercise():
    solution = f":::{{solution-start}} ex-a\n:label: sol-a\n:::\n\nlong words\n\n{CELL}\n\n:::{{solution-end}}\n:::\n"
    assert counted("word " * 150 + "\n\n" + solution) == (1.0, 0)


def test_a_theorem_is_prose_and_a_second_proof_is_not_swallowed():
    proof = ":::{prf:proof}\n" + "word " * 50 + "\n:::\n"
    assert counted(f"{proof}\n" + "word " * 150 + f"\n\n{proof}") == (3.0, 0)


def test_what_a_chapter_says_of_itself():
    assert stated("**Time** 55 minutes of reading, 125 of exercises.") == Times(55, 125)
    assert stated("**Time** 60 minutes with the exercises.") is None


def test_the_counted_minutes_are_written_where_the_others_stood(tmp_path):
    chapter = tmp_path / "01_new.ipynb"
    for before in ("**Time** 60 minutes with the exercises.", "**Time** 5 minutes of reading, 20 of exercises."):
        chapter.write_text(before, encoding="utf-8")
        reading_time.write(chapter, Times(52.6, 120))
        assert stated(chapter.read_text(encoding="utf-8")) == Times(55, 120)
    chapter.write_text("No time.", encoding="utf-8")
    with pytest.raises(ValueError, match="0 lines begin"):
        reading_time.write(chapter, Times(52.6, 120))


@pytest.mark.parametrize("path", ledger.chapters(), ids=lambda path: path.stem)
def test_a_chapter_says_how_long_it_takes_and_is_not_too_long(path):
    text = reading_time.as_text(path)
    minutes = tuple(map(reading_time.rounded, times(text)))
    assert stated(text) == minutes, f"run python -m tools.reading_time --write {path.name}"
    assert sum(minutes) <= LIMIT


def test_minutes_are_rounded_to_fives():
    assert [reading_time.rounded(minutes) for minutes in (52.4, 52.6, 0.4)] == [50, 55, 0]
