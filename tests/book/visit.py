"""A page of the built book, visited in a browser whose network is cut."""

import time

from tests import ROOT

HTML = ROOT / "_build" / "html"
HELPERS = [f"helpers/{p.stem}" for p in sorted((ROOT / "helpers").glob("*.md"))]
PAGES = ["index", "notation", "install", *(f"chapters/{p.stem}" for p in sorted((ROOT / "chapters").glob("*.ipynb")))]
PAGES += ["choosing", "course", "ledger", "folklore", "zh", "helpers", *HELPERS, "data", "measured", "bibliography"]
PAGES.append("search")
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
LETTERS_ARE_THERE = "document.fonts.ready.then(() => document.fonts.status === 'loaded')"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


class Visit:
    """A page opened with the network cut, with what it asked for and complained about."""

    def __init__(self, browser, site, name, *, width=1440, scheme="light", block=()):
        self.asked, self.foreign, self.failed, self.errors, self.own_bytes = [], [], [], [], 0
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
        self.asked.append(url)
        if url.startswith((self.site, "data:", "blob:")):
            return route.continue_()
        self.foreign.append(url)
        return route.abort()

    def _count(self, response):
        if response.status >= 400:
            self.failed.append(response.url)
        if "/_static/" not in response.url:
            self.own_bytes += int(response.headers.get("content-length", 0))

    def until_read(self):
        """Wait until the whole page is there with all its letters; return the seconds since it was asked for."""
        self.page.wait_for_function(LETTERS_ARE_THERE, timeout=60_000)
        return time.perf_counter() - self.start

    def worked(self):
        """Seconds of processor time of the page's main thread so far: unlike the clock, blind to other programs."""
        metrics = self.processor.send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    def first_paint(self):
        """Seconds until the first screen was shown, formulas and all."""
        self.page.wait_for_function(FIRST_PAINT)
        return self.page.evaluate(FIRST_PAINT) / 1000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()
