"""Which browser the pages are tested in, and how one is got where there is none."""

import http.server
import io
import shutil
import subprocess
import sys
import threading
import zipfile

import pytest
from playwright.sync_api import Error

from tests.book.visit import ROOT
from tools import browser as tool


def write_command(file, line):
    file.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without a browser: its folder of commands, which is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "cache"))
    monkeypatch.setattr(tool, "APPLICATIONS", [])
    return folder


@pytest.fixture(scope="module")
def executable(browser):
    """The file of a browser that works here."""
    return browser.new_browser_cdp_session().send("SystemInfo.getInfo")["commandLine"].split(" --")[0]


def ask():
    """Run the command, in the environment of this test: its exit status, what it printed, what it complained about."""
    command = [sys.executable, "-m", "tools.browser"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


# ------------------------------------------------------------------------------------------------ one is there


@pytest.mark.parametrize("name", tool.NAMES)
def test_browsers_on_the_path_count(bare, name):
    assert tool.installed() == []
    path = write_command(bare / name, "")
    assert tool.installed() == [path]


def test_applications_of_macos_count(tmp_path, bare, monkeypatch):
    there = write_command(tmp_path / "Google Chrome", "")
    monkeypatch.setattr(tool, "APPLICATIONS", [tmp_path / "Chromium", tmp_path / "Google Chrome"])
    assert tool.installed() == [there]


def test_one_on_the_path_is_used_and_none_is_fetched(bare, executable):
    path = write_command(bare / "google-chrome-stable", f'exec "{executable}" "$@"')
    write_command(bare / "chromium", "exit 1")  # looked at first, and passed over
    status, printed, complaints = ask()
    assert (status, complaints) == (0, [])
    assert len(printed) == 1 and printed[0].startswith(f"The pages are tested in {path}, version ")


def test_chromium_decides_by_name_or_path(bare, executable, monkeypatch):
    write_command(bare / "chromium", "exit 1")
    path = write_command(bare / "mine", f'exec "{executable}" "$@"')
    monkeypatch.setenv("CHROMIUM", "mine")
    assert ask()[1][0].startswith(f"The pages are tested in {path}, version ")


@pytest.mark.parametrize("line", [None, "exit 0"], ids=["missing", "no browser"])
def test_a_wrong_file_in_chromium_is_one_sentence(bare, executable, monkeypatch, line):
    write_command(bare / "chromium", f'exec "{executable}" "$@"')  # not what was asked for
    path = bare / "wrong"
    if line:
        write_command(path, line)
    monkeypatch.setenv("CHROMIUM", str(path))
    sentence = f"CHROMIUM is set to {path}, which is no browser that opens a page: correct or unset it."
    assert ask() == (1, [], [sentence])


class Sandboxed:
    """A browser that starts and sees no files of others."""

    closed = False

    def new_page(self):
        return self

    def goto(self, _):
        raise Error("net::ERR_FILE_NOT_FOUND")

    def close(self):
        self.closed = True


def test_one_that_opens_no_file_is_passed_over(bare):
    write_command(bare / "chromium", "")
    started = []

    class Type:
        def launch(self, **_):
            started.append(Sandboxed())
            return started[-1]

    playwright = type("Playwright", (), {"chromium": Type()})
    with pytest.raises(LookupError, match=tool.NONE + tool.CURE):
        tool.start(playwright)
    assert len(started) == 2 and all(browser.closed for browser in started)  # Playwright's own build is the second


# ------------------------------------------------------------------------------------------------ none is there


@pytest.fixture
def download_host(executable, monkeypatch):
    """In place of the host that Playwright asks: archives whose script starts the browser of this machine."""

    class Archives(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            archive = io.BytesIO()
            stem = self.path.rpartition("/")[2].removesuffix(".zip")
            with zipfile.ZipFile(archive, "w") as file:
                shells = f"{stem}/chrome-headless-shell", "chrome-linux/headless_shell"
                for name in (stem,) if stem.startswith("ffmpeg") else shells:
                    entry = zipfile.ZipInfo(name)
                    entry.external_attr = 0o755 << 16
                    file.writestr(entry, f'#!/bin/sh\nexec "{executable}" "$@"\n')
            self.send_response(200)
            self.send_header("Content-Length", str(len(archive.getvalue())))
            self.end_headers()
            self.wfile.write(archive.getvalue())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archives) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.mark.usefixtures("bare", "download_host")
def test_playwright_fetches_its_own_build_once():
    status, printed, complaints = ask()
    assert (status, complaints) == (0, [])
    assert "Playwright fetches its own build of Chromium into your cache" in printed[0]
    assert printed[1].endswith("-m playwright install --only-shell chromium")
    assert printed[-1].startswith("The pages are tested in Playwright's own build, version ")
    assert ask() == (0, printed[-1:], [])


@pytest.mark.parametrize(
    ("fails", "sudo", "cured_by", "ran"),
    [
        ("", None, "fetch", "fetch"),
        ("", [], "fetch", "version fetch"),
        ("", [], "libraries", "version fetch libraries"),
        ("", [], "", "version fetch libraries"),
        ("", None, "", "fetch"),
        ("fetch", [], "chromium", "version fetch update chromium"),
        ("fetch", ["sudo", "--non-interactive"], "chromium", "version fetch update chromium"),
        ("fetch", ["sudo", "--non-interactive"], "", "version fetch update chromium"),
        ("fetch", None, "", "fetch"),
        ("version", [], "driver", "version update driver"),
        ("version", [], "fetch", "version update driver fetch"),
        ("version", [], "", "version update driver fetch libraries"),
    ],
)
def test_ways_to_get_one(monkeypatch, capsys, fails, sudo, cured_by, ran):
    """What is tried, and in which order: each command is only noted."""
    done = []
    apt = " ".join([*(sudo or []), "env DEBIAN_FRONTEND=noninteractive apt-get install"])
    name_of = {
        f"{sys.executable} -m playwright --version": "version",
        f"{sys.executable} -m playwright install --only-shell chromium": "fetch",
        f"{sys.executable} -m playwright install-deps chromium": "libraries",
        " ".join([*(sudo or []), "apt-get update --quiet"]): "update",
        f"{apt} --yes --quiet --no-install-recommends libatomic1": "driver",
        f"{apt} --yes --quiet --no-install-recommends chromium fonts-liberation": "chromium",
    }

    def run(*command):
        done.append(name_of[" ".join(command)])
        return done[-1] != fails

    def found():
        if cured_by in done:
            return "a browser"
        raise LookupError(tool.NONE + tool.CURE)

    monkeypatch.setattr(tool, "run", run)
    monkeypatch.setattr(tool, "found", found)
    monkeypatch.setattr(tool, "as_root", lambda: sudo)
    if cured_by:
        tool.main()
        assert capsys.readouterr().out.endswith("The pages are tested in a browser.\n")
    else:
        with pytest.raises(SystemExit) as ended:
            tool.main()
        assert str(ended.value) == tool.NONE + tool.ADVICE[tool.NONE]
    assert done == ran.split()


def test_playwright_that_does_not_start_is_one_sentence(bare, monkeypatch):
    """So it is on a bare Debian, whose shared libraries are too few for the program inside Playwright."""
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", write_command(bare / "node", "exit 1"))
    status, printed, complaints = ask()
    assert status == 1 and complaints == [tool.DRIVER + tool.ADVICE[tool.DRIVER]]
    assert printed[-1].endswith("-m playwright install --only-shell chromium")


def test_commands_are_shown_before_they_run(capfd):
    assert tool.run(sys.executable, "-c", "print('done')")
    assert not tool.run(sys.executable, "-c", "raise SystemExit(3)")
    shown = capfd.readouterr().out.splitlines()
    assert shown[0].startswith("$ ") and shown[0].endswith("""-c 'print('"'"'done'"'"')'""") and shown[1] == "done"


@pytest.mark.parametrize(
    ("commands", "user", "expected"),
    [
        ({}, 0, None),
        ({"apt-get": ""}, 0, []),
        ({"apt-get": ""}, 1000, None),
        ({"apt-get": "", "sudo": "exit 1"}, 1000, None),
        ({"apt-get": "", "sudo": '[ "$*" = "--non-interactive true" ]'}, 1000, ["sudo", "--non-interactive"]),
        ({"sudo": ""}, 1000, None),
    ],
    ids=["no apt-get", "root", "no sudo", "password", "no password", "sudo alone"],
)
def test_nobody_is_asked_for_a_password(bare, monkeypatch, commands, user, expected):
    for name, line in commands.items():
        write_command(bare / name, line)
    monkeypatch.setattr(tool.os, "geteuid", lambda: user)
    assert tool.as_root() == expected


# ------------------------------------------------------------------------------------------------ the tests without it


def pytest_here(*arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


UNIT = "tests/repository/test_browser.py::test_commands_are_shown_before_they_run"
PAGE = "tests/book/test_pages_accessible.py"


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_a_browser_tests_of_pages_end_before_they_begin(workers):
    done = pytest_here("-n", workers, UNIT, PAGE)
    assert done.returncode == 2 and "no tests ran" in done.stdout
    assert (done.stdout + done.stderr).count(tool.NONE + tool.CURE) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_without_a_browser_other_tests_run():
    done = pytest_here("-n", "0", UNIT)
    assert done.returncode == 0 and "1 passed" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_without_a_browser_tests_can_be_listed():
    done = pytest_here("-n", "0", "--collect-only", PAGE)
    assert done.returncode == 0 and "tests collected" in done.stdout


@pytest.mark.usefixtures("browser")
def test_a_test_that_opens_a_page_is_slow(request):
    assert request.node.get_closest_marker("slow")


def test_one_that_opens_none_is_not(request):
    assert not request.node.get_closest_marker("slow")


def test_make_test_runs_nothing_where_no_browser_can_be_had(tmp_path):
    """Stand-ins for make, Python and what is installed already: only the order is looked at."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in (".venv/bin", "_build/html"):
        (tmp_path / name).mkdir(parents=True)
    line = 'echo "$*" >> ran; case "$*" in *tools.browser*) echo one sentence >&2; exit 1;; esac'
    write_command(tmp_path / ".venv/bin/python", line)
    for name in (".venv/.book", ".venv/.test"):
        (tmp_path / name).touch()
    command = ["make", "--no-print-directory", "test"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.splitlines()[0] == "one sentence"
    assert (tmp_path / "ran").read_text(encoding="utf-8").splitlines() == ["-m tools.browser"]
