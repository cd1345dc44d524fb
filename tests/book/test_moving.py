"""The figures that readers move: each tried by keyboard, mouse and finger, alone on a page and on its chapter's."""

import re

import pytest

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
    """Places on a way from a handle towards the middle of its panel, slanting, or away from there if that is near."""
    x, y = middle(hold)
    box = page.evaluate_handle("e => e.ownerSVGElement", hold.element_handle()).bounding_box()
    to_x, to_y = box["x"] + box["width"] / 2 - x, box["y"] + box["height"] / 2 - y
    far = max(abs(to_x), abs(to_y))
    dx, dy = (40 * (to_x - to_y) / far, 40 * (to_y + to_x) / far) if far > 30 else (45, -45)
    return [(x + share * dx, y + share * dy) for share in (0, 0.3, 0.7, 1)]


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
        assert hold.get_attribute("aria-valuetext") != before
        after = hold.get_attribute("aria-valuetext")
        page.mouse.move(x, y)
        assert hold.get_attribute("aria-valuetext") == after, "it is let go"
    for button in page.locator(".moving button").all():
        if button.is_enabled():
            button.click()
    assert "NaN" not in page.locator(".moving output").inner_text()


@pytest.mark.parametrize("name", NAMES)
def test_by_finger(show, name):
    """On a phone: a finger moves each handle, and the page does not scroll away under it."""
    page = shown(show, name, viewport={"width": 390, "height": 1600}, has_touch=True, is_mobile=True)
    finger = page.context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": x, "y": y} for x, y in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for hold in holds(page):
        before = hold.get_attribute("aria-valuetext")
        way = inwards(page, hold)
        touch("touchStart", way[0])
        for place in way[1:]:
            touch("touchMove", place)
        touch("touchEnd")
        assert hold.get_attribute("aria-valuetext") != before
        assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_finger_on_a_handle_does_not_scroll(show, name):
    """Neither upwards nor downwards, in a page that could be scrolled either way."""
    page = shown(show, name, viewport={"width": 390, "height": 400}, has_touch=True, is_mobile=True)
    page.add_style_tag(content="main { padding: 400px 0 }")
    page.evaluate("addEventListener('pointercancel', () => { document.title = 'taken away'; }, true)")
    finger = page.context.new_cdp_session(page)
    for hold in holds(page):
        for way in (-1, 1):
            hold.evaluate("e => e.scrollIntoView({ block: 'center' })")
            (x, y), at = middle(hold), page.evaluate("scrollY")
            finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
            for far in (20, 50, 80):
                place = [{"x": x, "y": y + way * far}]
                finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": place})
            finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            assert page.evaluate("scrollY") == at > 100 and page.title() != "taken away"


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
