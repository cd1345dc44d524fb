"""A page of the built book, visited in a browser whose network is cut."""

import time

from tests import ROOT

HTML = ROOT / "_build" / "html"
PAGES = ["index", "notation", *(f"chapters/{p.stem}" for p in sorted((ROOT / "chapters").glob("*.ipynb")))]
PAGES += ["choosing", "ledger", "folklore", "helpers", "data", "bibliography"]
PAGES.append("search")
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
MATHJAX = ("/mathjax/",)  # blocked where no formula is asked for: to typeset a chapter takes most of a visit
MATH_IS_SET = """!document.querySelector('.math')
  || (window.MathJax?.startup?.promise && MathJax.startup.promise.then(() => true))"""

NOTE_FIRST_FORMULA = """new MutationObserver((_, observer) => {
  if (!document.querySelector('mjx-container')) return;
  window.firstFormula = performance.now();
  observer.disconnect();
}).observe(document, {childList: true, subtree: true});"""


class Visit:
    """A page opened with the network cut, with what it asked for and complained about."""

    def __init__(self, browser, site, name, *, width=1440, scheme="light", block=()):
        self.foreign, self.failed, self.errors, self.own_bytes = [], [], [], 0
        self.site, self.block = site, block
        self.context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.processor = self.context.new_cdp_session(self.page)
        self.processor.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.add_init_script(NOTE_FIRST_FORMULA)
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

    def first_math(self):
        """Seconds until the formulas of the first screen were typeset (all at once); 0 on a page without any."""
        return self.page.evaluate("window.firstFormula ?? 0") / 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()
