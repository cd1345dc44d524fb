"""Address and version stand wherever a reader meets them (tools/publish.py), and the pages with and without an address.

What is written is written into a copy of the repository, whose pages are built where a test asks for them.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from book import ledger
from book.setup_cell import published
from tests.book import rules
from tests.book.visit import CHAPTERS

REPOSITORY = "ada-l/low.rank"
URL = f"https://github.com/{REPOSITORY}"
RELEASED = ["low-rank.pdf", "lowrank-book-html.zip"]
PAGES = "https://ada-l.github.io/low.rank/"
ONE_CHAPTER = "format: jb-book\nroot: index\nparts: [{numbered: 2, chapters: [{file: chapters/01_norms}]}]\n"


def copied(folder):
    """A copy of the repository."""
    left_out = (
        ".git",
        ".venv*",
        ".*_cache",
        "_build",
        "build",
        "__pycache__",
        "*.egg-info",
        "node_modules",
        ".hypothesis",
    )
    return Path(shutil.copytree(ledger.ROOT, folder / "copy", ignore=shutil.ignore_patterns(*left_out)))


def publish(root, *repository):
    """Run the tool there; return what it did."""
    command = [sys.executable, "-m", "tools.publish", *repository]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def contents(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A copy of the repository, published there."""
    root = copied(tmp_path_factory.mktemp("published"))
    done = publish(root, REPOSITORY)
    assert done.returncode == 0, done.stderr
    return root


def test_all_is_stamped_here(tmp_path):
    root = copied(tmp_path)
    before = contents(root)
    done = publish(root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "run make publish"
    assert contents(root) == before


def test_an_address_goes_everywhere(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["repository-code"], citation["url"]) == (URL, PAGES)
    assert citation["license-url"] == f"{URL}/blob/main/LICENSE"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["urls"]["Homepage"], project["urls"]["Repository"]) == (PAGES, URL)
    assert all(url.startswith(f"{URL}/") for url in (project["urls"]["Issues"], project["urls"]["Changelog"]))
    assert yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"] == URL
    assert f"git+{URL}@v{project['version']}" in (root / "README.md").read_text(encoding="utf-8")
    for path in sorted((root / "chapters").glob("*.ipynb")):
        first = next(cell for _, cell in rules.cells(rules.read(path), "code"))
        assert f'"git+{URL}"' in first.source and f"@v{project['version']}" in first.source
    files = [root / name for name in ("README.md", "CITATION.cff", "pyproject.toml", "_config.yml", "index.md")]
    assert not any("your_account" in path.read_text(encoding="utf-8") for path in [*files, *root.glob("chapters/*")])


def test_a_second_time_changes_nothing(root):
    before = contents(root)
    for arguments in ([], [REPOSITORY]):
        assert publish(root, *arguments).stdout == ""
    assert contents(root) == before


def test_a_version_goes_everywhere(tmp_path):
    root = copied(tmp_path)
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    (root / "pyproject.toml").write_text(
        settings.replace(f'version = "{version}"', 'version = "9.8.7"'), encoding="utf-8"
    )
    assert publish(root, REPOSITORY).returncode == 0
    assert '__version__ = "9.8.7"' in (root / "lowrank_helpers" / "__init__.py").read_text(encoding="utf-8")
    assert yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))["version"] == "9.8.7"
    assert all("@v9.8.7" in path.read_text(encoding="utf-8") for path in [root / "README.md", *root.glob("chapters/*")])


@pytest.mark.parametrize("name", ["ada", "https://github.com/ada/low", "ada_l/low", "ada/", "ada/low/rank"])
def test_what_is_no_repository_is_refused(tmp_path, name):
    (tmp_path / "_config.yml").write_text("repository:\n  url: https://github.com/a/b\n", encoding="utf-8")
    for package in ("tools", "book"):
        shutil.copytree(ledger.ROOT / package, tmp_path / package)
    before = contents(tmp_path)
    done = publish(tmp_path, name)
    assert done.returncode == 1 and f"the repository is owner/name on GitHub; got {name}." in done.stderr
    assert contents(tmp_path) == before


def buttons(html, page):
    """Where the buttons at the top of a page lead, by their text."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    above = text[text.index('<div class="article-header-buttons">') : text.index("<article")]
    found = BeautifulSoup(above, "html.parser")
    return {" ".join(link.get_text().split()): link["href"] for link in found.select(".article-header-buttons a[href]")}


@pytest.mark.parametrize("page", [*CHAPTERS, "index"])
def test_without_an_address_no_button_leads_outside(book, page):
    leading = buttons(book, page)
    assert published() or not any("://" in link for link in leading.values())
    if page != "index":
        name = page.removeprefix("chapters/")
        assert leading[".ipynb"] == f"../notebooks/full/{name}.ipynb"
        assert leading[".ipynb without solutions"] == f"../notebooks/student/{name}.ipynb"


@pytest.mark.parametrize("what", ["rocket", *RELEASED])
def test_the_front_page_sends_nobody_to_what_is_not_there(book, what):
    assert (what in (book / "index.html").read_text(encoding="utf-8")) == published()


def test_a_release_has_the_files_that_the_front_page_links_to():
    steps = yaml.safe_load((ledger.ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    commands = "\n".join(step.get("run", "") for step in steps["release"]["steps"])
    assert "make pdf zip" in commands and all(f"_build/{name}" in commands for name in RELEASED)


def test_with_an_address(root):
    (root / "_toc.yml").write_text(ONE_CHAPTER, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(root), "--quiet"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    html = root / "_build" / "html"
    leading = buttons(html, "chapters/01_norms")
    notebook = f"{REPOSITORY}/blob/notebooks/full/01_norms.ipynb"
    assert leading["Colab"] == f"https://colab.research.google.com/github/{notebook}"
    assert leading["Repository"] == URL and leading["Open issue"].startswith(f"{URL}/issues/new")
    front = (html / "index.html").read_text(encoding="utf-8")
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert "by the rocket" in front
    assert all(f'href="{URL}/releases/download/v{version}/{name}"' in front for name in RELEASED)
    texts = [cell.source for _, cell in rules.cells(rules.read(html / "notebooks/student/01_norms.ipynb"), "markdown")]
    assert any(f"[Theorem 1.1]({PAGES}chapters/01_norms.html#" in text for text in texts)
