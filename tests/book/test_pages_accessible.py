"""axe finds no serious or critical violation on any page of the built book, light or dark."""

import importlib.resources

import pytest

from tests.book.visit import PAGES, Visit

AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """([context, options]) => axe.run(context, {...options, resultTypes: ['violations']})
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
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
    const look = [color, fontSize, fontWeight, textShadow, behind(element)].join();
    if (!looks.has(look)) element.setAttribute('data-look', looks.add(look).size);
  }
  return looks.size;
}"""


def violations(page, scheme):
    """What is wrong with a page: in the light scheme all that axe knows, in the dark one what its colours change."""
    page.wait_for_load_state()
    page.wait_for_timeout(300)  # colours fade in
    page.add_script_tag(content=AXE)
    assert page.evaluate(ONE_OF_EACH_LOOK) > 0
    found = page.evaluate(SERIOUS, [{"include": [["[data-look]"]]}, {"runOnly": {"type": "rule", "values": COLOURS}}])
    if scheme == "light":
        whole = {"exclude": [["mjx-math"], ["mjx-assistive-mml"]]}
        found += page.evaluate(SERIOUS, [whole, {"rules": {"color-contrast": {"enabled": False}}}])
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(site, browser, name, scheme):
    """No serious or critical violation; axe needs minutes for typeset formulas, so one page alone is typeset."""
    typeset = name == "chapters/01_norms" and scheme == "light"
    with Visit(browser, site, name, scheme=scheme, block=() if typeset else ("/mathjax/",)) as visit:
        if typeset:
            visit.until_math()
        assert violations(visit.page, scheme) == []


FAINT = "color: #999"  # 2.8 : 1 on white
SMALL = "<!doctype html><html lang=en><title>t</title><main style='background: white'><h1>t</h1>{}</main>"


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
def test_one_faint_look_among_others_is_found(site, browser, body):
    with Visit(browser, site, "index", block=("/mathjax/",)) as visit:
        visit.page.set_content(SMALL.format(body))
        assert violations(visit.page, "dark")[0].startswith("color-contrast")
        visit.page.set_content(SMALL.format("<p>dark</p><img src=data:,>"))
        assert [text.partition(":")[0] for text in violations(visit.page, "light")] == ["image-alt"]
        assert violations(visit.page, "dark") == []
