"""The memory calculator: its page, its form, its numbers beside those of the function."""

import itertools
import re

import pytest

from lowrank_helpers.costs import training_memory
from lowrank_helpers.widgets import memory_calculator
from lowrank_helpers.widgets.memory_calculator import PRESETS


@pytest.mark.parametrize(
    ("given", "options", "error", "words"),
    [
        ((0, 64, 128), {}, ValueError, "training_memory: layers must be at least 1; got 0"),
        ((2, 64.0, 128), {}, TypeError, "width must be an integer; got 64.0"),
        ((2, 64, -1), {}, ValueError, "hidden must be at least 1; got -1"),
        ((2, 64, 128), {"rank": 0}, ValueError, "rank must be at least 1; got 0"),
        ((2, 64, 128), {"tokens": 0}, ValueError, "tokens must be at least 1"),
        ((2, 64, 128), {"vocabulary": 0}, ValueError, "vocabulary must be at least 1"),
        ((2, 64, 128), {"frozen_bytes": 0}, ValueError, "frozen_bytes must be"),
        ((2, 64, 128), {"recompute": 1}, TypeError, "recompute must be True or False"),
    ],
)
def test_misuse_is_refused(given, options, error, words):
    with pytest.raises(error, match=words):
        training_memory(*given, **options)


def test_a_size_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"preset must be one of '0\.1 B', '1 B', '3 B', '7 B'; got '2 B'"):
        memory_calculator("2 B")
    with pytest.raises(ValueError, match="rank must be at least 1"):
        memory_calculator(rank=0)


def test_the_page_is_small_the_same_each_time_and_has_no_ids():
    page = memory_calculator()._repr_html_()
    assert len(page) < 12_000 and page == memory_calculator()._repr_html_()
    assert not re.search(r"\sid=", page) and "http" not in page and "$" not in re.sub(r"\$\{", "", page)
    assert "13.8 GB for weights" in page and "12.3 GB for the activations" in page  # without scripts


# In a browser
def reading(page):
    return page.locator("output").first.inner_text()


@pytest.mark.parametrize(
    ("method", "frozen", "again"), [*itertools.product(["LoRA", "everything"], ["bfloat16", "4 bits"], [False, True])]
)
def test_the_form_computes_what_the_function_does(show, method, frozen, again):
    page = show(memory_calculator()._repr_html_())
    page.get_by_label("Train").select_option(method)
    if method == "LoRA":
        page.get_by_label("Frozen weights").select_option(frozen)
        page.get_by_label("Rank", exact=True).fill("32")
    else:
        assert page.get_by_label("Rank", exact=True).is_disabled()
    page.get_by_label("Activations").select_option("computed again" if again else "kept")
    page.get_by_label("Tokens in a batch").fill("5000")
    for preset, shape in PRESETS.items():
        page.get_by_label("Model").select_option(preset)
        rank = 32 if method == "LoRA" else None
        bytes_each = {"bfloat16": 2.0, "4 bits": 0.5}[frozen]
        found = training_memory(*shape, rank=rank, frozen_bytes=bytes_each, tokens=5000, recompute=again)
        state, activations = (
            f"{value / 1e9:.{2 if value < 1e9 else 1}f} GB" for value in (found.state, found.activations)
        )
        assert f"{state} for weights" in reading(page) and f"about {activations} for activations" in reading(page)
        for card in (16, 24, 80):
            fits = sum(found) <= 1e9 * card
            assert f"{card} GB: {'fits' if fits else 'too little'}" in reading(page)


def test_own_numbers_by_keyboard(show):
    page = show(memory_calculator("1 B")._repr_html_())
    page.get_by_label("Layers").focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_label("Layers").input_value() == "19"
    assert page.get_by_label("Model").input_value() == "your own"
    assert f"{training_memory(19, 2048, 5632, rank=8).state / 1e9:.1f} GB for weights" in reading(page)
    page.get_by_label("Layers").fill("")
    assert reading(page).strip() == "Type whole numbers from 1 on."
    page.get_by_label("Layers").fill("19")
    assert "GB for weights" in reading(page)


def test_two_on_a_page_and_no_overflow_on_a_phone(show):
    page = show(
        memory_calculator()._repr_html_() + memory_calculator("1 B")._repr_html_(),
        viewport={"width": 320, "height": 900},
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_label("Train").nth(1).select_option("everything")
    assert "108.8" not in reading(page) and "16.9 GB for weights" in page.locator("output").nth(1).inner_text()


def test_without_scripts_there_is_a_sentence(show):
    page = show(memory_calculator()._repr_html_(), java_script_enabled=False)
    assert page.locator("p").is_visible() and not page.locator("form").is_visible()
