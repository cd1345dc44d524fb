"""The slides of lectures: what their lists name is in the chapters; each slide fits the screen, and a page on paper."""

import io
import re

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from book import course, slides
from book.ledger import ROOT
from tests.book.test_pages_accessible import violations
from tests.book.visit import Visit

LECTURES = slides.lectures()
OVERFLOWING = """() => [...document.querySelectorAll('.slide')].flatMap((slide, k) => {
  const box = slide.getBoundingClientRect(), shown = slide.querySelector('.shown');
  const over = [...slide.querySelectorAll('.shown > *, pre, mjx-container')].filter(e => {
    const at = e.getBoundingClientRect();
    return at.right > box.right + 1 || at.bottom > box.bottom + 1 || at.left < box.left - 1
      || (e.matches('pre, mjx-container[display]') && e.scrollWidth > e.clientWidth + 1);
  });
  return over.length || shown.scrollHeight > shown.clientHeight + 1 ? [k + 1] : [];
})"""
SMALLEST = """() => {
  const texts = document.createTreeWalker(document.querySelector('article'), NodeFilter.SHOW_TEXT), sizes = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest('mjx-container')) continue;
    sizes.push(parseFloat(getComputedStyle(element).fontSize));
  }
  return Math.min(...sizes);
}"""
HERE = """() => {
  const far = [...document.querySelectorAll('.slide')].map(slide => Math.abs(slide.getBoundingClientRect().top));
  return far.indexOf(Math.min(...far)) + 1;
}"""
WIDE_SCREEN = {"width": 1280, "height": 720}


@pytest.fixture(scope="module", params=LECTURES)
def lecture(request, book):
    """The name of a lecture, and its built page."""
    return request.param, BeautifulSoup((book / "slides" / f"{request.param}.html").read_text("utf-8"), "html.parser")


@pytest.fixture
def screen(lecture, site, browser):
    """A lecture on a screen of 1280 × 720."""
    with Visit(browser, site, f"slides/{lecture[0]}", width=1280) as visit:
        visit.page.set_viewport_size(WIDE_SCREEN)
        visit.until_read()
        yield visit


# ------------------------------------------------------------------------------------------------ lists

PAGE = """<section id="first">
<h2><span class="section-number">1.1. </span>First<a class="headerlink" href="#first">#</a></h2>
<figure id="fig-one"><img src="../_images/one.svg"><figcaption>One, by <a href="#thm-one">one</a></figcaption></figure>
<div class="proof theorem admonition" id="thm-one"><p id="inside">All is one. <a href="02_two.html#thm-two">Two</a>
<a href="../_images/one.svg">Large</a></p>
<div class="claim-links docutils container"><p>tested</p></div></div>
<div class="cell docutils container" id="shows-thm-one">
<div class="cell_input docutils container"><pre>print(<span>1</span>)</pre></div>
<div class="cell_output docutils container"><pre>one</pre></div></div></section>
<section id="what-to-remember"><h2>What to remember<a class="headerlink" href="#">#</a></h2>
<ul><li><p>It is one.</p></li></ul></section>"""


@pytest.fixture
def chapter():
    """A small chapter with one of each thing."""
    return slides.read("01_norms", PAGE)._replace(formulas=["x = 1", "y = 1 + x", "y = 2"])


@pytest.mark.parametrize(
    ("line", "shows"),
    [
        ("fig-one", "One, by"),
        ("thm-one", "All is one."),
        ("code print(1)", "print(1)"),
        ("prints print(1)", "one"),
        ("remember 1", "It is one."),
        ("- so `it` is *one*, & all", "so it is one, & all"),
    ],
)
def test_a_line_shows_the_one_thing_that_it_names(chapter, line, shows):
    assert slides.plain(slides.shown(chapter, line)).strip().startswith(shows)


def test_a_formula_is_named_by_a_piece_of_it(chapter):
    assert 'display="true"' in slides.shown(chapter, "$$ 1 + x")
    with pytest.raises(slides.Unknown, match=r"has 2 of these, not one: \$\$ y ="):
        slides.shown(chapter, "$$ y =")


@pytest.mark.parametrize(
    "line", ["fig-two", "thm-two", "$$ z", "code print(2)", "prints print(2)", "remember 2", "proof thm-one"]
)
def test_a_line_for_which_the_chapter_has_nothing_is_named(chapter, line):
    with pytest.raises(slides.Unknown, match=re.escape(line)):
        slides.shown(chapter, line)


def test_a_section_that_is_gone_is_named(chapter):
    assert slides.plain(slides.heading(chapter, "first")) == "1.1. First"
    with pytest.raises(slides.Unknown, match="= second"):
        slides.heading(chapter, "second")


def test_a_list_has_slides_each_in_its_section():
    found = slides.slides("= first\n\n## One\nfig-one\n- words\n## Two\n\n= second\n## Three\nthm-one\n")
    assert found == [("One", "first", ["fig-one", "- words"]), ("Two", "first", []), ("Three", "second", ["thm-one"])]
    with pytest.raises(slides.Unknown, match="not with: fig-one"):
        slides.slides("fig-one\n## One")


def test_a_claim_comes_without_what_stands_below_it_and_links_lead_where_they_led(chapter):
    moved = slides.moved(slides.shown(chapter, "thm-one"), "01_norms")
    assert "tested" not in moved and "id=" not in moved and moved.count("<div") == moved.count("</div>")
    assert 'href="../chapters/02_two.html#thm-two"' in moved and 'href="../_images/one.svg"' in moved
    assert 'href="../chapters/01_norms.html#thm-one"' in slides.moved(slides.shown(chapter, "fig-one"), "01_norms")


# ------------------------------------------------------------------------------------------------ pages


def test_lectures_are_those_of_the_weeks_that_have_slides(book):
    links = BeautifulSoup((book / "course.html").read_text("utf-8"), "html.parser").select('a[href^="slides/"]')
    assert [link["href"] for link in links] == [f"slides/{name}.html" for name in LECTURES]
    assert {f"chapters/{name}" for name in LECTURES} <= set(course.pages())


def test_a_lecture_of_ninety_minutes_has_25_to_35_slides(lecture):
    _, html = lecture
    count = len(html.select(".slide"))
    assert 25 <= count <= 35
    assert [number.get_text() for number in html.select(".number")] == [f"{k} / {count}" for k in range(1, count + 1)]


def test_no_slide_is_empty_or_a_wall_of_text(lecture):
    _, html = lecture
    for slide in html.select(".slide"):
        for formula in slide.select("mjx-container, pre"):
            formula.replace_with("x")
        assert slide.select_one(".shown").find_all(True), slide.h2
        assert len(slide.select_one(".shown").get_text().split()) <= 120, slide.h2


def test_proofs_come_in_steps_and_never_as_they_stand_in_the_chapter(lecture):
    name, html = lecture
    assert not html.select("#proof, .qed, .uses")
    steps = [h.get_text() for h in html.select("h2") if h.get_text().startswith("Proof")]
    assert len(steps) >= 3, name


def test_every_link_and_picture_of_a_slide_is_in_the_book(lecture, book):
    _, html = lecture
    for tag, key in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
        for address in (found[key] for found in html.find_all(tag)):
            file, _, place = address.partition("#")
            target = (book / "slides" / file.partition("?")[0]).resolve()
            assert target.is_relative_to(book.resolve()) and target.is_file(), address
            assert not place or f'id="{place}"' in target.read_text("utf-8"), address


def test_a_lecture_asks_nothing_of_another_host_and_has_no_error(screen):
    assert (screen.foreign, screen.failed, screen.errors) == ([], [], [])


def test_each_slide_fits_a_screen(screen):
    assert screen.page.evaluate(OVERFLOWING) == []
    assert screen.page.evaluate(SMALLEST) >= 16
    screen.page.set_viewport_size({"width": 1920, "height": 1080})
    assert screen.page.evaluate(OVERFLOWING) == []


def test_what_does_not_fit_is_found(screen):
    screen.page.evaluate("document.querySelectorAll('.shown')[1].append('much '.repeat(900))")
    screen.page.evaluate("document.querySelectorAll('.shown')[2].innerHTML += `<pre>${'x'.repeat(400)}</pre>`")
    assert screen.page.evaluate(OVERFLOWING) == [2, 3]


def test_keys_lead_through_the_slides(screen):
    page, count = screen.page, screen.page.locator(".slide").count()
    seen = [page.evaluate(HERE)]
    for key in (
        "ArrowRight",
        "ArrowRight",
        "PageDown",
        "ArrowLeft",
        "PageUp",
        "End",
        "ArrowRight",
        "Home",
        "ArrowLeft",
    ):
        page.keyboard.press(key)
        seen.append(page.evaluate(HERE))
    assert seen == [1, 2, 3, 4, 3, 2, count, count, 1, 1]
    page.keyboard.press("Control+ArrowRight")
    assert page.evaluate(HERE) == 1


def test_a_finger_leads_from_slide_to_slide(screen):
    devices = screen.context.new_cdp_session(screen.page)

    def touch(kind, *points):
        devices.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": 600, "y": y} for y in points]})

    touch("touchStart", 600)
    for y in range(560, 80, -40):
        touch("touchMove", y)
    touch("touchEnd")
    screen.page.wait_for_function(f"({HERE})() === 2")


def test_nothing_moves_by_itself(screen):
    assert screen.page.evaluate("document.getAnimations().length") == 0
    assert screen.page.evaluate("document.querySelectorAll('video, marquee, [autoplay]').length") == 0


def test_on_a_phone_the_slides_follow_one_another(lecture, site, browser):
    with Visit(browser, site, f"slides/{lecture[0]}", width=360) as visit:
        visit.until_read()
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
        assert visit.page.evaluate(SMALLEST) >= 12
        assert visit.page.evaluate("getComputedStyle(document.documentElement).scrollSnapType") == "none"


def test_each_slide_is_printed_on_a_page_of_its_own(screen, lecture):
    headings = [" ".join(h.get_text().split()) for h in lecture[1].select(".slide > h1, .slide > h2")]
    printed = PdfReader(io.BytesIO(screen.page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == len(headings)
    for heading, page in zip(headings, printed.pages, strict=True):
        assert (float(page.mediabox.width), float(page.mediabox.height)) == (960, 540)
        assert heading.split()[0] in page.extract_text()


def test_the_slides_are_accessible(screen):
    assert violations(screen.page) == {"light": [], "dark": []}


def test_pictures_and_style_are_the_chapters_own(lecture):
    _, html = lecture
    sources = [img["src"] for img in html.select("img")]
    assert sources and all(source.startswith("../_images/") for source in sources)
    assert not html.find_all("style")


@pytest.mark.parametrize("page", ["index", "chapters/05_svd"])
def test_no_other_page_has_the_style_or_the_keys_of_slides(book, page):
    """A theme may put on every page what lies in _static."""
    assert not re.search(r"slides\.(css|js)", (book / f"{page}.html").read_text("utf-8"))


def test_the_lists_are_named_by_chapters():
    assert LECTURES and all((ROOT / "chapters" / f"{name}.ipynb").exists() for name in LECTURES)
