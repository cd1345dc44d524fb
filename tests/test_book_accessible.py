"""axe finds no serious or critical violation on any page of the built book, light or dark."""

import importlib.resources

import pytest

from tests.visit import PAGES, Visit

AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SERIOUS = """axe.run({exclude: [['mjx-math'], ['mjx-assistive-mml']]}, {resultTypes: ['violations']})
  .then(result => result.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + n.failureSummary).join(' | ')))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible(site, browser, name, scheme):
    """No serious or critical violation; axe needs minutes for typeset formulas, so one page alone is typeset."""
    typeset = name == "chapters/01_norms" and scheme == "light"
    with Visit(browser, site, name, scheme=scheme, block=() if typeset else ("/mathjax/",)) as visit:
        if typeset:
            visit.until_math()
        visit.page.wait_for_load_state()
        visit.page.wait_for_timeout(300)  # colours fade in
        visit.page.add_script_tag(content=AXE)
        assert visit.page.evaluate(SERIOUS) == []
