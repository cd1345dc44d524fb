"""The built book, looked at in a browser whose network is cut: every page, two widths, light and dark.

The tests use ``_build/html`` and build it first where it is missing or older than its sources. Each run writes what it
measured to ``_build/pages.txt``. The browser is Chromium: on the path, or where the variable CHROMIUM says.
"""

import functools
import http.server
import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PAGES = ["index", "notation", *(f"chapters/{p.stem}" for p in sorted((ROOT / "chapters").glob("*.ipynb")))]
PAGES += ["ledger", "folklore", "data", "bibliography"]
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
AXE = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
MATH_IS_SET = """!document.querySelector('.math')
  || (window.MathJax?.startup?.promise && MathJax.startup.promise.then(() => true))"""
SERIOUS = """axe.run({exclude: [['mjx-math'], ['mjx-assistive-mml']]}, {resultTypes: ['violations']})
  .then(result => result.violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + n.failureSummary).join(' | ')))"""


def sources():
    """What the HTML is built from."""
    kept = [ROOT / "_config.yml", ROOT / "_toc.yml", ROOT / "references.bib", *ROOT.glob("*.md")]
    for folder in ("chapters", "_static", "tools", "tests/claims"):
        kept += [p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return kept


@pytest.fixture(scope="module")
def site():
    """The address of the built book, served on this machine."""
    stamp = HTML / "index.html"  # touched by every whole build, here and in the Makefile
    if not stamp.exists() or max(p.stat().st_mtime for p in sources()) > stamp.stat().st_mtime:
        tool = Path(sys.executable).with_name("jupyter-book")
        command = [str(tool), "build", str(ROOT), "--all", "-W", "-n", "--keep-going"]
        built = subprocess.run(command, capture_output=True, text=True)
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
        stamp.touch()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    path = path or shutil.which("google-chrome")
    assert path, "install Chromium (Debian and Ubuntu: apt install chromium) or set CHROMIUM to where it is"
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        yield playwright.chromium.launch(executable_path=path, args=flags)


class Visit:
    """A page opened with the network cut, with what it asked for and complained about."""

    def __init__(self, browser, site, name, *, width=1440, scheme="light", block=()):
        self.foreign, self.failed, self.errors, self.own_bytes = [], [], [], 0
        self.site, self.block = site, block
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.processor = self.context.new_cdp_session(self.page)
        self.processor.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.route("**/*", self._gate)
        self.page.on("response", self._count)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.start = time.perf_counter()
        self.page.goto(f"{site}{name}.html", wait_until="domcontentloaded")

    def _gate(self, route):
        url = route.request.url
        if any(part in url for part in self.block):
            return route.abort()
        if url.startswith((self.site, "data:", "blob:")):
            return route.continue_()
        self.foreign.append(url)
        return route.abort()

    def _count(self, response):
        if response.status >= 400:
            self.failed.append(response.url)
        if "/_static/" not in response.url:
            self.own_bytes += int(response.headers.get("content-length", 0))

    def until_math(self):
        """Wait until every formula is typeset; return the seconds since the page was asked for."""
        self.page.wait_for_function(MATH_IS_SET, timeout=60_000)
        return time.perf_counter() - self.start

    def worked(self):
        """Seconds of processor time of the page's main thread so far: unlike the clock, blind to other programs."""
        metrics = self.processor.send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    def until_first_math(self):
        """Wait until the first formula is typeset (all on the first screen are, together)."""
        self.page.wait_for_function("!document.querySelector('.math') || document.querySelector('mjx-container')")
        return time.perf_counter() - self.start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_desktop(site, browser, name):
    with Visit(browser, site, name) as visit:
        visit.until_math()
        assert visit.foreign == [], "asks nothing of other hosts"
        assert visit.failed == [] and visit.errors == []
        assert visit.page.locator("mjx-merror").count() == 0, "every formula is typeset"
        assert visit.page.locator("input[type=search]:visible").count() <= 1, "one search field at most"
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert visit.page.evaluate(broken) == []


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


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_phone(site, browser, name):
    with Visit(browser, site, name, width=390) as visit:
        visit.until_math()
        assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        clipped = """[...document.querySelectorAll('article mjx-container, article pre, article table')]
          .filter(box => {
            for (let b = box; b && b.tagName !== 'ARTICLE'; b = b.parentElement) {
              if (['auto', 'scroll'].includes(getComputedStyle(b).overflowX)) return false;
            }
            return box.getBoundingClientRect().right > innerWidth + 1;
          }).map(box => box.textContent.slice(0, 60))"""
        assert visit.page.evaluate(clipped) == [], "what is too wide has a scroll bar of its own"
        small = """[...document.querySelectorAll('article .cell_output img')]
          .filter(i => i.getBoundingClientRect().right > innerWidth + 1).map(i => i.src)"""
        assert visit.page.evaluate(small) == []


def test_size_and_speed(site, browser):
    """Limits: 1.5 MB a page, 1.5 s to the first screen's formulas, 4 s to the last; times of the processor."""
    rows, slow = [], []
    for name in CHAPTERS:
        times = []
        for _ in range(2):
            with Visit(browser, site, name) as visit:
                first = visit.until_first_math(), visit.worked()
                times.append((*first, visit.until_math(), visit.worked()))
                own = visit.own_bytes
        clock, first_worked, whole_clock, whole_worked = map(min, zip(*times, strict=True))
        formulas = (HTML / f"{name}.html").read_text(encoding="utf-8").count('class="math')
        rows.append(
            f"{name:28s} {own / 1e3:6.0f} kB {formulas:5d}    {first_worked:4.2f} s ({clock:4.2f} s)"
            f"      {whole_worked:4.2f} s ({whole_clock:4.2f} s)"
        )
        if own > 1.5e6 or first_worked > 1.5 or whole_worked > 4:
            slow.append(rows[-1])
    head = "page                        own bytes formulas first screen (clock)   all formulas (clock); best of 2"
    (ROOT / "_build" / "pages.txt").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    assert slow == []


class Anchors(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if found.get("id"):
            self.ids.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


def test_every_link_inside_the_book_leads_somewhere():
    pages = {
        path: Anchors(path.read_text(encoding="utf-8")) for path in HTML.rglob("*.html") if "_static" not in path.parts
    }
    lost = []
    for path, anchors in pages.items():
        for link in anchors.links:
            if re.match(r"[a-z]+:", link):
                continue
            address, fragment = urldefrag(urljoin(path.as_uri(), link))
            target = Path(unquote(address.removeprefix("file://")))
            known = pages[target].ids if target in pages else set()
            if not target.exists() or (fragment and target in pages and unquote(fragment) not in known):
                lost.append(f"{path.name}: {link}")
    assert lost == []


def test_search_works_with_the_network_cut(site, browser):
    with Visit(browser, site, "search") as visit:
        visit.page.goto(f"{site}search.html?q=Frobenius")
        visit.page.wait_for_selector("#search-results li a")
        assert any("Norms" in t for t in visit.page.locator("#search-results li a").all_inner_texts())


def test_a_click_on_a_theorem_leads_to_it_and_back(site, browser):
    with Visit(browser, site, "chapters/01_norms") as visit:
        visit.until_math()
        proof = visit.page.locator(".proof", has_text="Uses:").nth(3)
        link = proof.locator("a.reference").last
        target = link.get_attribute("href")
        link.click()
        visit.page.wait_for_function("h => location.hash === h", arg=target)
        claim = visit.page.locator(f"[id='{target[1:]}']").first
        on_screen = "id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < innerHeight"
        visit.page.wait_for_function(on_screen, arg=target[1:])
        back = claim.locator(".claim-links a", has_text=re.compile(".")).last
        back.click()
        assert visit.page.url.split("#")[1] != target[1:]


def test_the_quiz_points_to_a_chapter(site, browser):
    with Visit(browser, site, "index") as visit:
        page = visit.page
        for question in page.locator("#quiz fieldset").all():
            question.locator("input[value=right]").check()
        page.get_by_role("button", name="Where do I start?").click()
        assert "10 of 10" in page.locator("#quiz output").inner_text()
        page.locator("#quiz fieldset").nth(7).locator("input[value=wrong]").first.check()
        page.get_by_role("button", name="Where do I start?").click()
        advice = page.locator("#quiz output")
        assert "9 of 10" in advice.inner_text()
        assert advice.locator("a").get_attribute("href") == "chapters/05_svd.html"


def test_the_keyboard_reaches_the_page(site, browser):
    with Visit(browser, site, "index") as visit:
        page, reached = visit.page, set()
        for _ in range(140):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("(e => e.id || e.name || e.className || e.innerText)(document.activeElement)"))
        assert {f"q{i}" for i in range(1, 11)} <= reached, "each question of the quiz"
        assert any("search" in str(r) for r in reached) and any("theme-switch" in str(r) for r in reached)


def test_the_slider_on_its_page(site, browser):
    with Visit(browser, site, "chapters/06_eckart_young") as visit:
        visit.until_math()
        slider = visit.page.locator("input[type=range]").first
        slider.focus()
        before = slider.get_attribute("aria-valuetext")
        for _ in range(3):
            visit.page.keyboard.press("ArrowRight")
        after = slider.get_attribute("aria-valuetext")
        assert before != after and "rank" in after.lower()
        assert visit.foreign == []
