"""Previews of what links lead to: cut out of the pages, shown on hover, on focus and at the first tap."""

import re

import pytest

from book import previews
from tests.book.visit import HTML, Visit

WIDTH = 390  # of a phone
PAGE = (
    '<div class="a" id="thm-x"><div>in</div><p>text</p></div><div id="other">no</div><figure id="fig-y"><img/></figure>'
)


def test_elements_with_labels_are_cut_out_whole():
    assert previews.previews(PAGE) == {
        "thm-x": '<div class="a" id="thm-x"><div>in</div><p>text</p></div>',
        "fig-y": '<figure id="fig-y"><img/></figure>',
    }


def test_an_element_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="not well formed"):
        previews.previews('<div id="thm-x"><div></div>')


def test_every_labelled_target_of_a_link_has_a_preview(book):
    wanted = re.compile(rf'<a [^>]*href="((?:[\w./-]+\.html)?)#({previews.LABELS}[^"]+)"')
    missing = set()
    for path in HTML.rglob("*.html"):
        for page, label in wanted.findall(path.read_text(encoding="utf-8")):
            target = (path.parent / page).resolve() if page else path
            script = HTML / "_static" / "previews" / target.relative_to(HTML.resolve()).with_suffix(".js")
            if not script.exists() or f'"{label}": ' not in script.read_text(encoding="utf-8"):
                missing.add((path.name, label))
    assert missing == set()


SHOWN = "#preview:not([hidden])"
LINK = "article .uses a[href*='#']"


@pytest.mark.parametrize("where", ["served", "from a folder"])
def test_a_link_to_another_page_shows_what_it_leads_to(site, book, browser, where):
    address = site if where == "served" else f"{book.as_uri()}/"
    with Visit(browser, address, "chapters/18_lora_updates", block=("woff2",)) as visit:
        page = visit.page
        page.wait_for_load_state()
        link = page.locator("article a[href='06_eckart_young.html#thm-eckart-young-spectral']").first
        link.hover()
        page.wait_for_selector(SHOWN)
        assert "Theorem 6.1" in page.locator("#preview").inner_text()
        assert link.get_attribute("aria-describedby") == "preview"
        assert page.locator("#preview [id], #preview .claim-links").count() == 0, "no id twice, no list of users"
        page.keyboard.press("Escape")
        assert page.locator(SHOWN).count() == 0
        assert visit.foreign == []


def test_the_keyboard_shows_a_preview_and_enter_follows_the_link(site, browser):
    with Visit(browser, site, "chapters/06_eckart_young") as visit:
        page = visit.page
        page.wait_for_load_state()
        link = page.locator(LINK).first
        target = link.get_attribute("href").partition("#")[2]
        link.evaluate("e => { const before = document.createElement('button'); e.before(before); before.focus(); }")
        page.keyboard.press("Tab")
        page.wait_for_selector(SHOWN)
        assert page.locator("#preview").get_attribute("role") == "tooltip"
        page.keyboard.press("Enter")
        page.wait_for_url(f"**#{target}")


def test_a_tap_shows_a_preview_within_the_window_and_its_link_leads_there(site, browser):
    context = browser.new_context(viewport={"width": WIDTH, "height": 800}, has_touch=True, is_mobile=True)
    context.route("**/mathjax/**", lambda route: route.abort())
    page = context.new_page()
    page.goto(f"{site}chapters/06_eckart_young.html")
    page.wait_for_load_state()
    link = page.locator(LINK).first
    link.scroll_into_view_if_needed()
    link.tap()
    page.wait_for_selector(SHOWN)
    box = page.locator("#preview").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= WIDTH
    assert page.locator("#preview").get_attribute("role") == "dialog"
    page.locator("article h1").dispatch_event("pointerdown", {"bubbles": True})
    assert page.locator(SHOWN).count() == 0, "a tap elsewhere closes it"
    link.tap()
    page.locator("#preview .preview-go").tap()
    page.wait_for_url("**#*")
    context.close()
