"""The figures that readers move: each tried by keyboard, mouse and finger, alone on a page and on its chapter's."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from book import moving
from tests import ROOT
from tests.book import moved
from tests.book.rules import pictures, read
from tests.book.test_pages_accessible import AXE, SERIOUS
from tests.book.visit import CHAPTERS, Visit

NAMES = moving.names()
PLACES = {
    cell.metadata["moving"]: (f"chapters/{path.stem}", cell)
    for path in sorted((ROOT / "chapters").glob("*.ipynb"))
    for cell in read(path).cells
    if "moving" in cell.metadata
}
STATE = """() => [...document.querySelectorAll('[role=slider], .moving input[name]')]
  .map(e => e.getAttribute('aria-valuetext') ?? e.value)"""
DRAWING = "() => [...document.querySelectorAll('.moving .panels')].map(e => e.innerHTML).join()"
SMALL = """() => [...document.querySelectorAll('.moving :is(input, select, button, [role=slider], [role=button])')]
  .filter(e => { const {width, height} = e.getBoundingClientRect(); return Math.min(width, height) < 24; })
  .map(e => e.outerHTML.slice(0, 80))"""
GROUND = {"light": "color: #000; background: #fff", "dark": "color: #fff; background: #14181e"}
TURN = "([scheme, look]) => { document.documentElement.dataset.theme = scheme; document.body.style = look; }"
WIDER = "() => document.documentElement.scrollWidth - innerWidth"


def shown(show, name, **options):
    """A page with one figure, drawn."""
    page = show(moved.body(name), **options)
    page.wait_for_selector(".moving[data-ready]")
    return page


def holds(page):
    """What can be taken hold of, which is on the screen."""
    return [hold for hold in page.locator(".moving [role=slider]").all() if hold.is_visible()]


def ranges(page):
    return [control for control in page.locator(".moving input[type=range]").all() if control.is_visible()]


def middle(hold):
    box = hold.locator(".knob").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def inwards(page, hold):
    """Places on a way from a handle, first across and then up or down, towards the middle of its panel."""
    x, y = middle(hold)
    box = page.evaluate_handle("e => e.ownerSVGElement", hold.element_handle()).bounding_box()
    dx = 40 if box["x"] + box["width"] / 2 > x - 15 else -40
    dy = 40 if box["y"] + box["height"] / 2 > y - 15 else -40
    return [(x, y), (x + dx / 2, y), (x + dx, y), (x + dx, y + dy / 2), (x + dx, y + dy)]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_drawn_and_says_its_numbers(show, name):
    page = shown(show, name)
    assert page.locator(".moving svg :is(polyline, circle, rect, text)").count() > 3
    said = page.locator(".moving output").inner_text()
    assert re.search(r"\d", said) and "NaN" not in said and "undefined" not in said
    assert not re.search(r"NaN|undefined|Infinity", page.evaluate(DRAWING))
    for hold in holds(page):
        assert hold.get_attribute("aria-label") and re.search(r"\d", hold.get_attribute("aria-valuetext"))
    for control in page.locator(".moving :is(input, select, button)").all():
        assert page.evaluate("e => Boolean(e.labels?.length || e.innerText || e.ariaLabel)", control.element_handle())


@pytest.mark.parametrize("name", NAMES)
def test_by_keyboard(show, name):
    """Arrow keys move each handle and each range, with shift by more, and the ends are one key away."""
    page = shown(show, name)
    assert holds(page) or ranges(page) or page.locator(".moving button").count()
    for hold in (*holds(page), *ranges(page)):
        hold.focus()
        page.keyboard.press("Home")
        seen = [page.evaluate(STATE)]
        drawn = page.evaluate(DRAWING)
        for key in ("ArrowRight", "ArrowUp", "End"):
            page.keyboard.press(key)
            seen.append(page.evaluate(STATE))
        assert len({tuple(state) for state in seen}) >= 3, hold.get_attribute("aria-label")
        assert page.evaluate(DRAWING) != drawn
    for hold in holds(page):
        hold.focus()
        steps = []
        for key in ("Home", "ArrowRight", "Shift+ArrowRight"):
            page.keyboard.press(key)
            steps.append(float(hold.get_attribute("aria-valuenow")))
        assert steps[2] - steps[1] > 2 * (steps[1] - steps[0]) or steps[1] == steps[0], "shift makes it more"


@pytest.mark.parametrize("name", NAMES)
def test_by_mouse(show, name):
    page = shown(show, name)
    for hold in holds(page):
        before = hold.get_attribute("aria-valuetext")
        (x, y), *way = inwards(page, hold)
        page.mouse.move(x, y)
        page.mouse.down()
        for place in way:
            page.mouse.move(*place)
        page.mouse.up()
        expect(hold).not_to_have_attribute("aria-valuetext", before)
        after = hold.get_attribute("aria-valuetext")
        page.mouse.move(x, y)
        assert hold.get_attribute("aria-valuetext") == after, "it is let go"
    for button in page.locator(".moving button").all():
        if button.is_enabled():
            button.click()
    assert "NaN" not in page.locator(".moving output").inner_text()


@pytest.mark.parametrize("name", NAMES)
def test_by_finger(show, name):
    """On a phone: a finger moves each handle as far as a mouse does, and the page does not scroll away under it."""
    phone = {"viewport": {"width": 390, "height": 1600}, "has_touch": True, "is_mobile": True}
    page, other = shown(show, name, **phone), shown(show, name, **phone)
    finger = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": x, "y": y} for x, y in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for hold, same in zip(holds(page), holds(other), strict=True):
        before, way = hold.get_attribute("aria-valuetext"), inwards(page, hold)
        other.mouse.move(*way[0])
        other.mouse.down()
        touch("touchStart", way[0])
        for place in way[1:]:
            other.mouse.move(*place)
            touch("touchMove", place)
        other.mouse.up()
        touch("touchEnd")
        expect(same).not_to_have_attribute("aria-valuetext", before)
        expect(hold).to_have_attribute("aria-valuetext", same.get_attribute("aria-valuetext"))
        assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("name", NAMES)
def test_on_a_phone(show, name):
    page = shown(show, name, viewport={"width": 390, "height": 800})
    assert page.evaluate(WIDER) <= 0
    assert page.evaluate(SMALL) == [], "at least 24 pixels for a finger"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_by_itself(show, name):
    page = shown(show, name)
    drawn = page.evaluate(DRAWING)
    page.wait_for_timeout(400)
    assert page.evaluate(DRAWING) == drawn


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_is_accessible(show, name, scheme):
    page = shown(show, name)
    page.evaluate(TURN, [scheme, GROUND[scheme]])
    page.add_script_tag(content=AXE)
    assert page.evaluate(SERIOUS, [None, {}]) == []


@pytest.mark.parametrize("name", NAMES)
def test_on_paper_there_is_the_picture_alone(show, name):
    page = shown(show, name)
    page.emulate_media(media="print")
    assert not page.locator(".moving").is_visible()


def test_each_figure_has_a_place_and_a_picture():
    assert sorted(PLACES) == NAMES
    for name, (_, cell) in PLACES.items():
        assert pictures(cell), name
        assert (moving.FOLDER / f"{name}.js").exists()


def test_a_figure_that_there_is_not_ends_the_build():
    with pytest.raises(moving.ExtensionError, match=r"moving: elipse must be one of .*ellipse"):
        moving.figure("elipse")


# What only one of them has


def test_other_lengths_have_other_balls(show):
    page = shown(show, "norms")
    seen = set()
    for p, name in (("1", "‖A‖1 = 1.60"), ("2", "‖A‖2 = 1.55"), ("inf", "‖A‖∞ = 1.60")):
        page.get_by_label("Length by").select_option(p)
        assert page.locator(".moving output span").first.inner_text().startswith(name)
        seen.add(page.evaluate(DRAWING))
    assert len(seen) == 3


def test_the_singular_vectors_are_at_right_angles(show):
    page = shown(show, "ellipse")
    said = page.locator(".moving output")
    assert "Av1 · Av2 = 3.20." in said.inner_text()
    page.get_by_role("button", name="Turn to the singular vectors").click()
    assert "v1 at 45°: Av1 · Av2 = 0.00, a right angle." in said.inner_text()
    page.get_by_role("button", name="Start again").click()
    assert "Av1 · Av2 = 3.20." in said.inner_text()


@pytest.mark.parametrize("how", ["mouse", "finger"])
def test_descent_starts_where_it_is_clicked(show, how):
    page = shown(show, "saddle", has_touch=True)
    box = page.locator(".moving svg").first.bounding_box()
    place = box["x"] + 0.62 * box["width"], box["y"] + 0.3 * box["height"]
    page.mouse.click(*place) if how == "mouse" else page.touchscreen.tap(*place)
    assert "From (0.5, 1.0)" in page.locator(".moving output").inner_text()
    page.get_by_role("button", name="Start on the line").click()
    assert "It has run into the saddle" in page.locator(".moving output").inner_text()


GREY = np.random.default_rng(3).integers(0, 256, (24, 40)).astype(np.uint8)


def png(pixels):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return {"name": "mine.png", "mimeType": "image/png", "buffer": written.getvalue()}


def table(rows):
    text = "name,a,b,c\n" + "".join(f"row,{','.join(map(str, row))}\n" for row in rows)
    return {"name": "mine.csv", "mimeType": "text/csv", "buffer": text.encode()}


def said_of(name, A, rank, error):
    """The readings that numpy gives."""
    s = np.linalg.svd(A, compute_uv=False)
    errors = [np.linalg.norm(s[k:]) / np.linalg.norm(s) for k in range(len(s) + 1)]
    m, n = A.shape
    needed, even = next(k for k, value in enumerate(errors) if value <= error / 100), -(-m * n // (m + n)) - 1
    dear = "more than" if rank * (m + n) > m * n else "instead of"
    return [
        f"{name}: {m} × {n}, uncentred, at most rank {min(m, n)}.",
        f"Rank {rank}: relative error {100 * errors[rank]:.1f} %, {100 * (1 - errors[rank] ** 2):.2f} % of the energy; "
        f"{rank * (m + n)} numbers, {dear} {m * n}.",
        f"An error of {error} % needs rank {needed}. "
        f"Break-even: up to rank {even} the factors have fewer numbers than the matrix.",
    ]


ROWS = np.round(np.random.default_rng(4).standard_normal((30, 3)) * [1, 5, 20], 3)


@pytest.mark.parametrize(
    ("file", "A"),
    [
        (png(GREY), GREY.astype(float)),
        (png(np.dstack([GREY, GREY // 2, 255 - GREY])), np.hstack([GREY, GREY // 2, 255 - GREY]).astype(float)),
        (table(ROWS), ROWS),
    ],
    ids=["grey", "colours", "table"],
)
def test_bring_your_own(show, file, A):
    """The numbers of what is brought are numpy's; the picture of the full rank is the picture itself."""
    page = shown(show, "bring")
    page.get_by_label("Picture or CSV").set_input_files(file)
    output = page.locator(".moving output")
    page.wait_for_function("name => document.querySelector('output').innerText.startsWith(name)", arg=file["name"])
    rank = min(4, min(A.shape))
    assert output.inner_text().splitlines() == said_of(file["name"], A, rank, 10)
    page.get_by_label("Error allowed").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Rank", exact=True).focus()
    page.keyboard.press("End")
    assert output.inner_text().splitlines() == said_of(file["name"], A, min(A.shape), 11)
    whole, best = page.evaluate("() => [...document.querySelectorAll('canvas')].map(c => c.toDataURL())")
    assert whole == best
    page.keyboard.press("Home")
    assert page.evaluate("() => document.querySelectorAll('canvas')[1].toDataURL()") != whole


def test_what_is_dropped_is_taken_and_what_cannot_be_read_is_said(show):
    page = shown(show, "bring")
    drop = """text => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'dropped.csv', {type: 'text/csv'}));
      const event = new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
      document.querySelector('.moving .panels').dispatchEvent(event);
    }"""
    page.evaluate(drop, "1,2\n3,4\n,6\n7,9\n")
    page.wait_for_function("document.querySelector('output').innerText.startsWith('dropped.csv: 3 × 2')")
    assert page.locator(".told").inner_text() == "Rows left out, because a number is missing: 1."
    page.evaluate(drop, "only words")
    page.wait_for_function("document.querySelector('.told').innerText.includes('cannot be read')")
    assert page.locator(".told").inner_text() == "dropped.csv cannot be read: there are no numbers in it."
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.get_by_label("Picture or CSV").set_input_files(broken)
    page.wait_for_function("document.querySelector('.told').innerText.startsWith('broken.png cannot be read')")
    assert page.locator(".moving output").inner_text().startswith("dropped.csv: 3 × 2"), "what was there stays"


def test_a_large_picture_is_taken_smaller(show):
    page = shown(show, "bring")
    page.get_by_label("Picture or CSV").set_input_files(png(np.tile(GREY, (20, 20))))
    page.wait_for_function("document.querySelector('output').innerText.startsWith('mine.png: 96 × 160')")
    assert page.locator(".told").inner_text() == "Taken at 160 × 96 pixels."


# On the built pages


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_page_loads_the_scripts_of_its_figures_alone(book, name):
    text = (book / f"{name}.html").read_text(encoding="utf-8")
    here = [figure for figure, (chapter, _) in PLACES.items() if chapter == name]
    loaded = re.findall(r'<script defer="defer" src="\.\./_static/moving/(\w+)\.js', text)
    assert sorted(loaded) == sorted(["base", *here] if here else [])
    assert re.findall(r'data-moving="(\w+)"', text) == here
    assert ("moving/base.css" in text) == bool(here)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_on_its_page(site, browser, name):
    """It stands below a picture, moves there, and a page without scripts has the picture alone."""
    chapter, cell = PLACES[name]
    with Visit(browser, site, chapter) as visit:
        page = visit.page
        root = page.locator(f".moving[data-moving={name}]")
        root.scroll_into_view_if_needed()
        page.wait_for_selector(f".moving[data-moving={name}][data-ready]")
        picture = page.locator(".cell", has=root).last.locator(".cell_output img").first
        assert picture.get_attribute("alt") == cell.metadata["mystnb"]["image"]["alt"]
        above, below = picture.bounding_box(), root.bounding_box()
        assert above["y"] + above["height"] <= below["y"]
        drawn = root.locator(".panels").inner_html() + root.locator("output").inner_text()
        hold = root.locator("[role=slider], input[type=range]").first
        if hold.count():
            hold.focus()
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowRight")
            assert root.locator(".panels").inner_html() + root.locator("output").inner_text() != drawn
        assert visit.foreign == [] and visit.errors == [] and visit.failed == []


def test_a_page_opened_from_a_folder_moves_as_well(book, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto((book / "chapters/05_svd.html").as_uri(), wait_until="domcontentloaded")
    page.locator(".moving").first.scroll_into_view_if_needed()
    page.wait_for_selector(".moving[data-ready]")
    context.close()


def test_without_scripts_there_is_the_picture_alone(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}chapters/05_svd.html", wait_until="domcontentloaded")
    assert page.locator(".moving").count() == 1 and not page.locator(".moving").first.is_visible()
    context.close()


def test_they_weigh_little():
    """All scripts of all figures together are smaller than one photograph."""
    assert sum(path.stat().st_size for path in moving.FOLDER.iterdir()) < 200_000
    assert not [path for path in (ROOT / "_static").iterdir() if path.name.startswith("moving")]
