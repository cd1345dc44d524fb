"""Two moving figures in which places and parts are pressed: a table of holes, and a digit of parts."""

import re

import numpy as np
import pytest

from tests.book import moved


@pytest.fixture
def table(show):
    page = show(moved.body("holes"))
    page.wait_for_selector(".moving[data-ready]")
    return page


def place(page, i, j):
    return page.locator(".table [role=row]").nth(i).locator("button").nth(j)


def focused(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def said(page):
    return page.locator(".moving output").inner_text()


def test_one_place_of_the_table_is_reached_by_the_tabulator_and_the_others_by_arrows(table):
    place(table, 0, 0).focus()
    assert table.locator(".table button[tabindex='0']").count() == 1
    for key, where in (
        ("ArrowRight", "Row 1, column 2:"),
        ("ArrowDown", "Row 2, column 2:"),
        ("ArrowUp", "Row 1, column 2:"),
        ("ArrowUp", "Row 1, column 2:"),
        ("End", "Row 1, column 10:"),
        ("ArrowRight", "Row 1, column 10:"),
        ("ArrowLeft", "Row 1, column 9:"),
        ("Home", "Row 1, column 1:"),
    ):
        table.keyboard.press(key)
        assert focused(table).startswith(where), key
        assert table.locator(".table button[tabindex='0']").get_attribute("aria-label") == focused(table)


@pytest.mark.parametrize("how", ["Space", "Enter", "mouse"])
def test_a_place_is_hidden_and_shown_again(table, how):
    def press():
        place(table, 0, 1).focus()
        place(table, 0, 1).click() if how == "mouse" else table.keyboard.press(how)

    assert focused(table) is None and place(table, 0, 1).get_attribute("aria-pressed") == "false"
    assert place(table, 0, 1).get_attribute("aria-label") == "Row 1, column 2: 2 is seen"
    press()
    assert place(table, 0, 1).get_attribute("aria-pressed") == "true" and "29 entries seen" in said(table)
    assert focused(table) == "Row 1, column 2: a hole, filled with 0.0; the entry is 2"
    press()
    assert focused(table) == "Row 1, column 2: 2 is seen" and "30 entries seen" in said(table)


def test_sweeps_fill_the_holes_and_not_the_empty_row(table):
    for _ in range(41):
        table.locator("button[name=more]").click()
    assert "After 40 sweeps" in said(table)
    found = moved.numbers("holes", sweeps=40)
    for i, j in ((0, 2), (3, 5), (4, 0)):
        assert place(table, i, j).inner_text() == f"{found['filled'][i][j]:.1f}"
    assert [place(table, 4, j).inner_text() for j in range(10)] == ["0.0"] * 10
    assert "that nothing determines" in place(table, 4, 0).get_attribute("aria-label")
    table.locator("button[name=all]").click()
    assert "70 entries seen" in said(table) and "0 open holes" in said(table) and "none" in said(table)
    table.locator("button[name=again]").click()
    assert "30 entries seen" in said(table) and "After 0 sweeps" in said(table)


def test_parts_are_pressed_one_by_one(show):
    page = show(moved.body("parts"))
    page.wait_for_selector(".moving[data-ready]")
    parts = page.locator(".parts button")
    on = np.array(moved.start("parts")["on"])
    assert parts.count() == 16 and "5 of 16 parts of the 6" in said(page)
    page.locator("select[name=digit]").select_option("3")
    for k in (0, 8):
        parts.nth(k).focus()
        page.keyboard.press("Space")
        on[k] = not on[k]
        assert parts.nth(k).get_attribute("aria-pressed") == str(bool(on[k])).lower()
        found = moved.numbers("parts", digit="3", on=on.tolist())
        assert f"{found['count']} of 16 parts of the 3: relative error {100 * found['error']:.0f} %" in said(page)
        assert parts.nth(k).get_attribute("aria-label") == f"Part {k + 1}, {found['shares'][k]:.2f} times"


def test_the_next_part_is_the_one_with_most_ink(show):
    page = show(moved.body("parts"))
    page.wait_for_selector(".moving[data-ready]")
    found = moved.numbers("parts")
    ink = np.array(found["shares"]) * np.sum(found["parts"], axis=1)
    page.locator("button[name=none]").click()
    assert "0 of 16" in said(page) and "Nothing is written yet" in said(page)
    errors = []
    for count in range(1, 4):
        page.locator("button[name=next]").click()
        pressed = [part.get_attribute("aria-pressed") for part in page.locator(".parts button").all()]
        assert [k for k, state in enumerate(pressed) if state == "true"] == sorted(np.argsort(-ink)[:count])
        errors.append(int(re.search(r"error (\d+) %", said(page))[1]))
    page.locator("button[name=all]").click()
    assert "16 of 16" in said(page)
    page.locator("button[name=next]").click()
    assert "16 of 16" in said(page), "none is left"
    errors.append(int(re.search(r"error (\d+) %", said(page))[1]))
    assert errors[-1] == round(100 * moved.numbers("parts", on=[True] * 16)["error"]) and errors[-1] < errors[0]
