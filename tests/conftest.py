"""The built book on a local server, and a browser, for the tests that look at pages.

The book is built first where ``_build/html`` is missing or older than its sources. tools/browser.py finds the browser.
"""

import functools
import http.server
import os
import socket
import subprocess
import threading

import pytest

from book import margins
from tests import ROOT
from tests.book.visit import HTML


def pytest_sessionfinish(session):
    """Leave what the ruler noted in the folder BOOK_MARGINS, a file for each process."""
    if "BOOK_MARGINS" in os.environ and margins.seen:
        margins.save(os.environ["BOOK_MARGINS"], str(os.getpid()))


def opens_pages(item):
    """Whether a test opens a page in a browser."""
    return "browser" in getattr(item, "fixturenames", ())


def pytest_itemcollected(item):
    """Opening pages is slow: such tests need no mark of their own."""
    if opens_pages(item):
        item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Run nothing where tests of pages are among the chosen ones and no browser works: say so once, and first."""
    if session.config.option.collectonly or not any(map(opens_pages, session.items)):
        return None
    from tools.browser import found

    try:
        found()
    except (LookupError, ValueError) as error:
        session.shouldstop = str(error)  # from a worker, xdist takes this to the terminal
        if hasattr(session.config, "workerinput"):
            return True
        raise session.Interrupted(session.shouldstop) from None
    return None


def build_if_stale():
    """Have make build the book, unless what is there is newer than its sources; one process at a time."""
    import fcntl  # Windows has none, and its tests visit no pages

    HTML.parent.mkdir(exist_ok=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    with (HTML.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["make", "book"], cwd=ROOT, env=plain, capture_output=True, text=True)
        assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    build_if_stale()
    return HTML


@pytest.fixture(scope="module")
def site(book):
    """The address of the built book, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    """A browser of Chromium's kind, without a window."""
    from playwright.sync_api import sync_playwright

    from tools.browser import start

    with sync_playwright() as playwright:
        started, _ = start(playwright)
        yield started


@pytest.fixture
def show(browser, tmp_path):
    """Show HTML in a fresh page that may ask for nothing; what it asked for or complained about fails the test."""
    contexts, complaints, asked = [], [], []

    def open_page(body, **options):
        context = browser.new_context(**{"viewport": {"width": 800, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        file = tmp_path / "page.html"
        head = "<meta charset=utf-8><meta name=viewport content='width=device-width'><title>t</title>"
        file.write_text(f"<!doctype html><html lang=en>{head}<body>{body}</body>", encoding="utf-8")
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith("data:")} == {(tmp_path / "page.html").as_uri()}


@pytest.fixture
def no_network(monkeypatch):
    """Fail where a connection is asked for."""

    def refuse(*_):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
