"""The browser in which the pages are tested: which one it is, and how to get one where there is none.

    python -m tools.browser     (or `make browser`)

names it. Where none works, it gets one and shows by which commands, or ends with one sentence on what to do.

CHROMIUM decides where it is set. Else Chromium, Chrome or Edge count where the system has them, then Playwright's own
build of Chromium in the user's cache. One that opens no file is passed over: Ubuntu's snap sees a /tmp of its own.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
APPLICATIONS = [
    Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Chromium", "Google Chrome", "Microsoft Edge")
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--renderer-process-limit=1"]  # none is started for a page that nobody opens
PLAYWRIGHT = [sys.executable, "-m", "playwright"]

# What may be wrong: the end of the sentence for somebody who runs tests, and where this command could not help.
NONE = "The tests of the pages need a browser, and none here opens a page: "
DRIVER = "Playwright, which drives the browser for the tests of the pages, does not start here: "
CURE = "`make browser` gets what is missing."
ADVICE = {
    NONE: "run `.venv/bin/playwright install --with-deps --only-shell chromium`, which may ask for your password, or "
    "install Chromium or Chrome (Debian: sudo apt install chromium), or set CHROMIUM to where one is.",
    DRIVER: "it says above what it lacks (Debian and Ubuntu: sudo apt install libatomic1).",
}


def installed() -> list[str]:
    """The browsers that the system has, by their paths."""
    on_path = [path for path in map(shutil.which, NAMES) if path]
    return on_path + [str(path) for path in APPLICATIONS if os.access(path, os.X_OK)]


def opens_a_file(browser: Browser) -> bool:
    """Whether it shows a file from a temporary folder, as the tests ask of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text("<title>seen</title>", encoding="utf-8")
        page = browser.new_page()
        try:
            page.goto(file.as_uri())
            return page.title() == "seen"
        except Error:
            return False
        finally:
            page.close()


def start(playwright: Playwright) -> tuple[Browser, str]:
    """Start the first browser that works, without a window, and say which.

    LookupError where none works, ValueError where CHROMIUM names one that does not.
    """
    named = os.environ.get("CHROMIUM")
    for path in [shutil.which(named) or named] if named else [*installed(), None]:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error:
            continue
        if opens_a_file(browser):
            return browser, path or "Playwright's own build"
        browser.close()
    if named:
        raise ValueError(f"CHROMIUM is set to {named}, which is no browser that opens a page: correct or unset it.")
    raise LookupError(NONE + CURE)


def found() -> str:
    """The browser that works, in words; errors as from `start`, and LookupError where Playwright itself fails."""
    try:
        playwright = sync_playwright().start()
    except Exception as error:  # Playwright raises no narrower one where its program ends at once
        raise LookupError(DRIVER + CURE) from error
    try:
        browser, where = start(playwright)
        return f"{where}, version {browser.version}"
    finally:
        playwright.stop()


def as_root() -> list[str] | None:
    """What has apt-get run as root, put before it; None without apt-get, or where it takes a password."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0
    return sudo if allowed else None


def run(*command: str) -> bool:
    """Show a command and run it; whether it succeeded."""
    print("$", shlex.join(command), flush=True)
    return subprocess.run(command).returncode == 0


def install(sudo: list[str], *packages: str) -> None:
    """Install packages of the system."""
    run(*sudo, "apt-get", "update", "--quiet")
    options = ["--yes", "--quiet", "--no-install-recommends"]
    run(*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", *options, *packages)


def get() -> str:
    """Get what is missing: for this user alone if that does, else from the system; errors as from `found`."""
    sudo = as_root()
    if sudo is not None and not run(*PLAYWRIGHT, "--version"):
        print("Playwright does not start, so apt-get installs the library that bare systems lack:")
        install(sudo, "libatomic1")
        with contextlib.suppress(LookupError):
            return found()
    print("No browser here opens a page, so Playwright fetches its own build of Chromium into your cache:")
    fetched = run(*PLAYWRIGHT, "install", "--only-shell", "chromium")
    with contextlib.suppress(LookupError):
        return found()
    if sudo is not None and fetched:
        print("That build does not start, so apt-get installs the libraries that it needs:")
        run(*PLAYWRIGHT, "install-deps", "chromium")  # by sudo where it has to
    elif sudo is not None:
        print("That failed, so apt-get installs the system's Chromium:")
        install(sudo, "chromium", "fonts-liberation")
    return found()


def main() -> None:
    """Name the browser; where none works, get one, or exit with what to do."""
    try:
        try:
            where = found()
        except LookupError:
            where = get()
    except (LookupError, ValueError) as error:
        problem = str(error).removesuffix(CURE)
        sys.exit(problem + ADVICE.get(problem, ""))
    print(f"The pages are tested in {where}.")


if __name__ == "__main__":
    main()
