"""Read from the chapters the book's numbered claims, where each is stated, proved and shown, and its observations.

The tests (tests/book/test_ledger.py, test_observations.py) and the built book's ledger page (book/ledger_page.py) both
stand on this.
"""

import json
import pathlib
import re
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLAIM_KINDS = ("theorem", "lemma", "corollary", "proposition")

DIRECTIVE = re.compile(r"^:::\{prf:(?P<kind>\w+)\}(?P<title>[^\n]*)\n(?P<body>.*?)^:::\s*$", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"^:label:\s*(\S+)\s*$", re.MULTILINE)
USES = re.compile(r"^\*Uses:\*(.*)\Z", re.MULTILINE | re.DOTALL)
REFERENCE = re.compile(r"\{prf:ref\}`(?:[^`<]*<)?((?:thm|lem|cor|prop)-[^`>]+)>?`")


class Entry(NamedTuple):
    """One claim as the book has it.

    proof is None where no proof follows the claim; uses is None where the proof has no "Uses" line; cell is the
    execution count of the code cell that shows the claim, None where there is none, output what it prints, and figure
    the name of the figure that it draws, None where it draws none; text is the statement.
    """

    label: str
    kind: str
    title: str
    chapter: str
    proof: str | None
    uses: tuple[str, ...] | None
    mentioned: tuple[str, ...]
    cell: int | None
    output: str
    figure: str | None
    text: str


def chapters() -> list[pathlib.Path]:
    """The chapters' notebooks, in the order of the book: chapters, side trips, projects, which have no number."""
    return sorted((ROOT / "chapters").glob("*.ipynb"))


def number(chapter: str) -> int | str | None:
    """1 for ``01_norms``, "A1" for ``A1_gaussian_processes``, None for a project."""
    first = chapter.partition("_")[0]
    return int(first) if first.isdigit() else first if re.fullmatch(r"A\d", first) else None


def numbered(chapter: int | str) -> pathlib.Path:
    """The notebook of the chapter or the side trip of this number."""
    [path] = [path for path in chapters() if number(path.stem) == chapter]
    return path


def called(chapter: str) -> str:
    """What a chapter is called in a sentence: chapter 1, side trip A1."""
    return f"{'chapter' if chapter[0].isdigit() else 'side trip'} {number(chapter)}"


def claims_module(chapter: str) -> str:
    """The module with a chapter's claims: book.claims.ch01_norms, a1_gaussian_processes, project_real_model."""
    return f"book.claims.{'ch' if chapter[0].isdigit() else ''}{chapter.lower()}"


def cells(path: pathlib.Path) -> list[dict[str, Any]]:
    """A notebook's cells, with each source as one string."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in found:
        cell["source"] = "".join(cell["source"])
    return found


def marked(cell: dict[str, Any], key: str) -> list[Any]:
    """What a code cell's metadata says under "claim", "folklore" or "observation", as a list."""
    value = cell["metadata"].get(key, [])
    return value if isinstance(value, list) else [value]


def printed(cell: dict[str, Any]) -> str:
    """What a code cell printed."""
    return "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")


def figure(cell: dict[str, Any]) -> str | None:
    """The name of the figure that a code cell draws, if it has one."""
    name: str | None = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
    return name


def chapter_title(chapter: str) -> str:
    """The heading of a chapter."""
    text = next(
        cell["source"] for cell in cells(ROOT / "chapters" / f"{chapter}.ipynb") if cell["cell_type"] == "markdown"
    )
    return next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")


def read_chapter(path: pathlib.Path) -> list[Entry]:
    """The claims of one chapter, in the order in which they are stated."""
    notebook = cells(path)
    shown = {label: cell for cell in notebook if cell["cell_type"] == "code" for label in marked(cell, "claim")}
    text = "\n\n".join(cell["source"] for cell in notebook if cell["cell_type"] == "markdown")
    found = list(DIRECTIVE.finditer(text))
    entries = []
    for here, directive in enumerate(found):
        if directive["kind"] not in CLAIM_KINDS:
            continue
        label = LABEL.search(directive["body"])
        following = found[here + 1] if here + 1 < len(found) else None
        proof = following["body"] if following is not None and following["kind"] == "proof" else None
        uses = USES.search(proof.strip()) if proof else None
        cell = shown.get(label[1]) if label else None
        entries.append(
            Entry(
                label=label[1] if label else "",
                kind=directive["kind"],
                title=directive["title"].strip(),
                chapter=path.stem,
                proof=proof,
                uses=tuple(REFERENCE.findall(uses[1])) if uses else None,
                mentioned=tuple(REFERENCE.findall(proof[: -len(uses[0])] if uses else proof)) if proof else (),
                cell=cell["execution_count"] if cell else None,
                output=printed(cell) if cell else "",
                figure=figure(cell) if cell else None,
                text=LABEL.sub("", directive["body"]).strip(),
            )
        )
    return entries


def read_book() -> list[Entry]:
    """All claims of the book, in its order."""
    return [entry for path in chapters() for entry in read_chapter(path)]


class Finding(NamedTuple):
    """One observation as the book has it: text is what its box says; source is of the cell that shows it, if any."""

    label: str
    title: str
    chapter: str
    text: str
    cell: int | None
    source: str
    output: str
    figure: str | None


def read_findings() -> list[Finding]:
    """All observations of the book, in its order."""
    found = []
    for path in chapters():
        notebook = cells(path)
        shown = {
            label: cell for cell in notebook if cell["cell_type"] == "code" for label in marked(cell, "observation")
        }
        for directive in (d for cell in notebook for d in DIRECTIVE.finditer(cell["source"])):
            if directive["kind"] == "observation":
                label = LABEL.search(directive["body"])
                name = label[1] if label else ""
                cell = shown.get(name, {"execution_count": None, "source": "", "outputs": [], "metadata": {}})
                text = LABEL.sub("", directive["body"]).strip()
                found.append(
                    Finding(
                        name,
                        directive["title"].strip(),
                        path.stem,
                        text,
                        cell["execution_count"],
                        cell["source"],
                        printed(cell),
                        figure(cell),
                    )
                )
    return found


def folklore_cells() -> dict[int, list[tuple[str, dict[str, Any]]]]:
    """For each row of the folklore page, the chapters and cells that show the misstatement failing."""
    found: dict[int, list[tuple[str, dict[str, Any]]]] = {}
    for path in chapters():
        for cell in cells(path):
            for row in marked(cell, "folklore"):
                found.setdefault(row, []).append((path.stem, cell))
    return found
