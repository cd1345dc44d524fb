"""What is Chinese is marked as Chinese; the guide has every misstatement, with the numbers of the English page."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from book import languages, ledger
from tests.book.visit import PAGES

CONF = f"""
import sys
sys.path.insert(0, {str(ledger.ROOT)!r})
extensions = ["myst_parser", "sphinx_proof", "book.languages"]
myst_enable_extensions, suppress_warnings = ["colon_fence", "dollarmath"], ["myst.header"]
language = "en"
"""
ENGLISH = """# Words

:::{prf:theorem} One
:label: thm-one
It.
:::

By {prf:ref}`thm-one`.

| English | 中文 | Chapter |
|---|---|---|
| rank | 秩 | 2 |

```{toctree}
zh
```
"""
CHINESE = """---
language: zh-Hans
---

# 导读

:::{container} language-en
In English.
:::

见{prf:ref}`thm-one`。若 $a=b$，则 $b=a$。又 $a$ 是 $b$

```{misstatement} 8
```
"""


class Spoken(HTMLParser):
    """What a page says in each language, in the order of the page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.said = [], {}
        self.feed(text)

    def handle_startendtag(self, tag, attributes):
        """Such a tag holds no text."""

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "link", "img", "br", "hr", "input", "col"):
            self.open.append((tag, dict(attributes).get("lang") or (self.open[-1][1] if self.open else None)))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if data.strip() and self.open:
            self.said.setdefault(self.open[-1][1], []).append(data.strip())


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """What is said in which language on an English and a Chinese page."""
    folder = tmp_path_factory.mktemp("languages")
    for name, text in {"conf.py": CONF, "index.md": ENGLISH, "zh.md": CHINESE}.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-b", "html", str(folder), str(folder / "html")]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {name: (folder / "html" / f"{name}.html").read_text(encoding="utf-8") for name in ("index", "zh")}
    return {name: Spoken(text).said for name, text in pages.items()}


def test_a_page_that_says_so_is_chinese(small_book):
    said = small_book["zh"]
    assert said["zh-Hans"][0] == "导读" and "In English." not in said["zh-Hans"]
    assert said["en"][-1] != "导读" and "In English." in said["en"]


def test_a_column_of_chinese_is_marked_and_no_other(small_book):
    assert small_book["index"]["zh-Hans"] == ["中文", "秩"]


def test_a_reference_is_in_the_language_of_its_page(small_book):
    assert "定理 1" in small_book["zh"]["zh-Hans"] and "Theorem 1" in small_book["index"]["en"]


def test_a_mark_stays_on_the_line_of_its_formula(small_book):
    text = " ".join(small_book["zh"]["zh-Hans"])
    assert r"\(a=b\) ， 则 \(b=a\) 。 又 \(a\) 是 \(b\)" in text, "the marks stand alone, in a box with the formula"


def test_a_correction_leads_to_its_cells_and_to_the_english_one(small_book):
    chapter, cell = ledger.folklore_cells()[8][0]
    assert f"{languages.in_chinese(chapter)}单元格 {cell['execution_count']}" in small_book["zh"]["zh-Hans"]
    assert "第 8 条" in small_book["zh"]["zh-Hans"]


def read(name):
    """The text of a page."""
    return (ledger.ROOT / name).read_text(encoding="utf-8")


ROW = re.compile(
    r"^\((?P<label>\S+)-(?P<target>\d+)\)=\n"
    r"##+ (?P<row>\d+) · .*\n"
    r"(?P<text>(?:(?!^\().*\n?)*)",
    re.MULTILINE,
)
CORRECTIONS = [found.groupdict() for found in ROW.finditer(read("zh.md"))]
ORIGINALS = [found.groupdict() for found in ROW.finditer(read("folklore.md"))]
NUMBER = re.compile(r"\d+(?: \d{3})*(?:\.\d+)?")


def test_the_guide_has_every_misstatement_in_order():
    rows = [int(row["row"]) for row in ORIGINALS]
    assert rows == sorted(ledger.folklore_cells()) and [int(row["row"]) for row in CORRECTIONS] == rows
    assert all(row["label"] == "misstatement" for row in ORIGINALS), "where the links of {misstatement} lead"
    assert all(row["target"] == row["row"] for row in ORIGINALS + CORRECTIONS)


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row["row"])
def test_a_correction_quotes_what_is_wrong_and_has_its_links(row):
    wrong, right, links = row["text"].strip().split("\n\n")
    assert wrong.startswith("**误**：") and "“" in wrong
    assert right.startswith("**正**：")
    assert links == f"```{{misstatement}} {row['row']}\n```"


def numbers(text):
    """The numbers of two and more digits in a text, without the spaces of thousands; those in references are none."""
    text = re.sub(r"\{\w+(?::\w+)?\}`[^`]*`", "", text.split("```")[0])
    return {found.replace(" ", "") for found in NUMBER.findall(text) if len(found) > 1}


@pytest.mark.parametrize("place", range(len(CORRECTIONS)), ids=lambda place: str(place + 1))
def test_a_correction_has_the_numbers_of_the_english_one(place):
    correction = CORRECTIONS[place]["text"].split("**正**：")[1]
    original = ORIGINALS[place]["text"].split("*What holds:*")[1]
    assert numbers(correction) == numbers(original)


def glossary():
    """The rows of the glossary: English, Chinese, the link to a chapter."""
    text = read("notation.md").split("\n## Glossary\n")[1]
    return re.findall(r"^\| ([^|]+) \| ([^|]+) \| \[(A?\d+)\]\((\S+)\.ipynb\) \|$", text, re.MULTILINE)


def test_the_glossary_is_in_the_order_of_the_alphabet():
    english = [re.sub(r"[–-]", " ", row[0].lower()) for row in glossary()]
    assert len(english) > 200 and english == sorted(set(english))


def test_each_term_of_the_glossary_stands_in_the_book_and_is_given_in_chinese():
    chapters = [" ".join(cell["source"] for cell in ledger.cells(path)) for path in ledger.chapters()]
    book = re.sub(r"\s+", " ", " ".join(chapters)).lower()
    for english, chinese, number, page in glossary():
        assert english.lower() in book, english
        assert re.search(r"[\u4e00-\u9fff]", chinese), english
        assert page in PAGES and str(ledger.number(page.removeprefix("chapters/"))) == number, english
