"""axe finds no serious or critical violation on any page of the built book, light or dark."""

import functools
import importlib.resources

import pytest

from tests.book.visit import PAGES, Visit

AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """([context, options]) => axe.run(context ?? document, {...options, resultTypes: ['violations']})
  .then(result => result.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + n.failureSummary).join(' | ')))"""

COLOURS = ["color-contrast", "link-in-text-block"]
# Contrast depends on what is gathered in a look, and axe needs a minute for that of every element of a long page: it
# gets one element of each look.
ONE_OF_EACH_LOOK = """() => {
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(e);
      layers.push([backgroundColor, backgroundImage, opacity]);
      if (/^rgb\\(/.test(backgroundColor)) break;
    }
    return layers.map(layer => layer.join()).filter((layer, i, all) => layer !== all[i - 1]).join(';');
  };
  const looks = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest('mjx-assistive-mml')) continue; // nobody sees it, axe neither
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
    const look = [color, fontSize, fontWeight, textShadow, behind(element)].join();
    if (!looks.has(look)) element.setAttribute('data-look', looks.add(look).size);
  }
  return [...looks].sort();
}"""
# For colours axe notes first where each element of the page is, which takes most of its time: so the page keeps, with
# what is around them, only the elements that it asks about, one of each look and the blocks of text with links.
KEEP_WHAT_HAS_COLOURS = """() => {
  const whole = new Set(document.querySelectorAll('[data-look], style, link')), kept = new Set();
  const inline = element => /^(inline|contents)/.test(getComputedStyle(element).display);
  for (const link of document.links) {
    let block = link.parentElement;
    while (inline(block)) block = block.parentElement;
    whole.add(block);
  }
  for (const element of whole) for (let e = element; e; e = e.parentElement) kept.add(e);
  const prune = element => [...element.children].forEach(e => !kept.has(e) ? e.remove() : whole.has(e) || prune(e));
  prune(document.body);
}"""
ONLY_LOOKS = {"rules": [{"id": "color-contrast", "selector": "[data-look], [data-look] *"}]}
LETTERS_FOR_FORMULAS = "document.querySelectorAll('mjx-container').forEach(box => { box.textContent = 'x'; })"
SETTLED = """async () => {
  const running = () => document.getAnimations().filter(a => Number.isFinite(a.effect.getComputedTiming().endTime));
  for (let left; (left = running()).length;) await Promise.allSettled(left.map(animation => animation.finished));
}"""


def show(page, scheme):
    """Have the page light or dark, and wait until the colours have faded in."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("s => (document.documentElement.dataset.theme ?? s) === s", arg=scheme)
    page.evaluate(SETTLED)


def violations(page):
    """What is wrong with a page, by its scheme: in the light one all that axe knows, in the dark one its colours."""
    page.wait_for_load_state()
    page.add_script_tag(content=AXE)
    show(page, "light")
    rest = {"exclude": [["mjx-math"], ["mjx-assistive-mml"]]}
    found = {"light": page.evaluate(SERIOUS, [rest, {"rules": {rule: {"enabled": False} for rule in COLOURS}}])}
    looks = {}
    for scheme in ("light", "dark"):
        show(page, scheme)
        looks[scheme] = page.evaluate(ONE_OF_EACH_LOOK)
    assert all(looks.values())
    page.evaluate(KEEP_WHAT_HAS_COLOURS)
    page.evaluate("rules => axe.configure(rules)", ONLY_LOOKS)
    for scheme in ("dark", "light"):
        show(page, scheme)
        assert page.evaluate(ONE_OF_EACH_LOOK) == looks[scheme], "each look is still there"
        colours = page.evaluate(SERIOUS, [None, {"runOnly": {"type": "rule", "values": COLOURS}}])
        found[scheme] = colours + found.get(scheme, [])
    return found


@pytest.fixture(scope="module")
def window(site, browser):
    """One window for all pages but one: a new one takes longer than most pages do."""
    with Visit(browser, site, "index") as visit:
        yield visit.page


@pytest.fixture(scope="module")
def seen(site, browser, window):
    """The violations of a page, by its name; axe needs minutes for formulas, so one page alone keeps its own."""

    @functools.cache
    def of(name):
        if name == "chapters/01_norms":
            with Visit(browser, site, name) as visit:
                visit.until_read()
                return violations(visit.page)
        window.goto(f"{site}{name}.html", wait_until="domcontentloaded")
        window.evaluate(LETTERS_FOR_FORMULAS)
        return violations(window)

    return of


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(seen, name, scheme):
    """No serious or critical violation."""
    assert seen(name)[scheme] == []


def test_a_page_opened_in_the_dark_is_the_one_that_turned_dark(site, browser):
    looks = []
    for scheme in ("light", "dark"):
        with Visit(browser, site, "index", scheme=scheme) as visit:
            visit.page.wait_for_load_state()
            show(visit.page, "dark")
            looks.append(visit.page.evaluate(ONE_OF_EACH_LOOK))
    assert looks[0] == looks[1]


FAINT = "color: #999"  # 2.8 : 1 on white
SMALL = "<!doctype html><html lang=en><title>t</title><main style='background: white'><h1>t</h1>{}</main>"
LINKS = ["link-in-text-block"]
DIMMED = "<style>@media (prefers-color-scheme: dark) { .dim { color: #999 } }</style>"
LINK = "<a href='#' style='color: #222; text-decoration: none'>link</a>"


@pytest.mark.parametrize(
    "body",
    [
        f"<p>dark</p><p style='{FAINT}'>faint</p>",
        f"<p style='background: black; {FAINT}'>bright</p><p style='{FAINT}'>faint</p>",
        "<p style='color: #444'>dark</p><p style='background: #555'><b><i style='color: #444'>faint</i></b></p>",
        "<p>dark</p><div style='opacity: .3'><p>faint</p></div>",
    ],
    ids=["colour", "background", "background of a parent", "opacity"],
)
def test_one_faint_look_among_others_is_found(window, body):
    window.set_content(SMALL.format(body))
    found = violations(window)
    assert all(found[scheme][0].startswith("color-contrast") for scheme in ("light", "dark"))


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("<p>dark</p><img src=data:,>", {"light": ["image-alt"], "dark": []}),
        (f"<ul><li>{LINK}</ul><p style='color: #000'>before {LINK} after</p>", dict.fromkeys(("light", "dark"), LINKS)),
        (DIMMED + "<p class=dim>dim</p><p>dark</p>", {"light": [], "dark": ["color-contrast"]}),
    ],
    ids=["a picture", "a link like the text around it", "faint in the dark"],
)
def test_other_faults_are_found(window, body, wrong):
    window.set_content(SMALL.format(body))
    found = violations(window)
    assert {scheme: [text.partition(":")[0] for text in texts] for scheme, texts in found.items()} == wrong
