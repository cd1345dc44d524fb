"""The page for lecturers: weeks, what proves what, and every exercise with its kind, all read from the chapters.

Nothing on it is counted by hand: minutes are what a chapter states, dependences are those of the ledger, and an
exercise is what its text asks for.
"""

import re
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book import ledger
from book.front import name_of, parts, text_of, times_of
from book.references import inline, link, listed, raw, to_claim

EXERCISE = re.compile(
    r"^:::\{exercise\} *(?P<title>[^\n]*)\n:label: *(?P<label>\S+)\n(?::class: difficulty-(?P<difficulty>[123])\n)?"
    r"(?P<text>.*?)^:::\s*$",
    re.MULTILINE | re.DOTALL,
)
KINDS = {
    "investigation": "an experiment of one's own, three quarters of an hour",
    "code": "a function to write, run by a checker",
    "by hand": "a number or a matrix, mostly found on paper, which a checker takes",
    "proof": "an argument, with a written solution and no checker",
    "in words": "what stored measurements say, or a plan, with a written solution and no checker",
}


class Exercise(NamedTuple):
    """One exercise of the book: where it stands, what it asks for, how hard it is (1 to 3)."""

    page: str
    label: str
    title: str
    kind: str
    difficulty: int


def pages() -> list[str]:
    """The chapters, side trips and projects, in the order of the book."""
    return [page for _, found in parts() for page in found]


def kind(title: str, text: str) -> str:
    """What an exercise asks for, as in KINDS."""
    if "investigation" in title.lower():
        return "investigation"
    if re.search(r"\b[Ww]rites? (?:it as |the answer as )?(?:a function )?`\w+\(", text):
        return "code"
    if "`exercises." in text:
        return "by hand"
    return "proof" if re.search(r"\b(?:[Pp]rove|[Ss]how)\b", text) else "in words"


def exercises(page: str) -> list[Exercise]:
    """The exercises of a chapter, in their order."""
    return [
        Exercise(
            page, found["label"], found["title"], kind(found["title"], found["text"]), int(found["difficulty"] or 0)
        )
        for found in EXERCISE.finditer(text_of(page))
    ]


def needs(chapters: set[str]) -> list[ledger.Entry]:
    """The claims that the proofs of some chapters rest on in the end, their own among them, in the book's order."""
    entries = {entry.label: entry for entry in ledger.read_book()}
    found: set[str] = set()
    waiting = [label for label, entry in entries.items() if entry.chapter in chapters]
    while waiting:
        label = waiting.pop()
        if label not in found:
            found.add(label)
            waiting += entries[label].uses or ()
    return [entry for label, entry in entries.items() if label in found]


def rests_on() -> dict[str, list[str]]:
    """For each chapter with claims the other chapters whose claims its own proofs name."""
    entries = ledger.read_book()
    home = {entry.label: entry.chapter for entry in entries}
    found: dict[str, list[str]] = {}
    for entry in entries:
        used = {home[label] for label in entry.uses or ()} - {entry.chapter}
        found[entry.chapter] = sorted({*found.get(entry.chapter, []), *used})
    return found


def to_page(page: str) -> nodes.raw:
    """A link to a chapter by its number and name."""
    return link(f"{page}.html", name_of(page))


def short(page: str) -> nodes.raw:
    """A link to a chapter by its number alone, or by its name where it has none."""
    number = ledger.number(page.removeprefix("chapters/"))
    return link(f"{page}.html", str(number) if number else name_of(page))


Cell = list[nodes.Node]


def table(head: list[str], rows: list[list[Cell]]) -> list[nodes.Node]:
    """A table whose cells hold words and links."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", row([text(name) for name in head]))
    group += nodes.tbody("", *map(row, rows))
    return [nodes.table("", group)]


def row(cells: list[Cell]) -> nodes.row:
    """One row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def to_exercise(exercise: Exercise) -> Cell:
    """A link to an exercise by its title."""
    return [
        nodes.reference("", "", *inline(exercise.title), refuri=f"{exercise.page}.html#{exercise.label}", internal=True)
    ]


def dots(difficulty: int) -> Cell:
    """How hard an exercise is, as its own page shows it."""
    shown = f"{'●' * difficulty:○<3}"
    return [raw(f'<span role="img" aria-label="difficulty {difficulty} of 3">{shown}</span>')]


def text(value: object) -> Cell:
    """A cell of plain words."""
    return [nodes.Text(str(value))]


class Weeks(SphinxDirective):
    """``{weeks}``: one week a line, ``PAGE, PAGE: what happens in it``, numbered, with minutes."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        rows = []
        for week, line in enumerate(self.content, 1):
            chapters, _, what = line.partition(": ")
            read = [f"chapters/{name}" for name in chapters.split(", ")]
            reading, working = (sum(minutes) for minutes in zip(*map(times_of, read), strict=True))
            links: list[nodes.Node] = [to_page(page) for page in read]
            rows.append(
                [
                    text(week),
                    listed(links),
                    self.parse_inline(what, lineno=self.lineno)[0],
                    text(reading),
                    text(working),
                ]
            )
        return table(["week", "chapter", "in the lecture", "reading, min", "exercises, min"], rows)


class ChapterMap(SphinxDirective):
    """``{chapter-map}``: each chapter with its minutes, the chapters that its proofs use, and those that use it."""

    def run(self) -> list[nodes.Node]:
        uses = rests_on()
        rows = []
        for page in pages():
            name = page.removeprefix("chapters/")
            users = [f"chapters/{other}" for other, used in uses.items() if name in used]
            below: list[nodes.Node] = [short(f"chapters/{other}") for other in uses.get(name, [])]
            above: list[nodes.Node] = [short(user) for user in users]
            own = sum(entry.chapter == name for entry in ledger.read_book())
            reading, working = times_of(page)
            rows.append([[to_page(page)], text(own), listed(below), listed(above), text(reading), text(working)])
        head = ["chapter", "claims", "its proofs use", "used by the proofs of", "reading, min", "exercises, min"]
        return table(head, rows)


class ShortestWay(SphinxDirective):
    """``{shortest-way} CHAPTER``: all claims that a chapter's proofs rest on in the end, by chapter."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows: dict[str, list[nodes.Node]] = {}
        for entry in needs({self.arguments[0]}):
            rows.setdefault(entry.chapter, []).append(to_claim(entry.label, self.env.docname))
        return table(
            ["chapter", "claims"],
            [[[to_page(f"chapters/{chapter}")], listed(claims)] for chapter, claims in rows.items()],
        )


class ExerciseTable(SphinxDirective):
    """``{exercise-table}``: each exercise of the book with its kind and its difficulty."""

    def run(self) -> list[nodes.Node]:
        rows = [
            [[to_page(page)], to_exercise(exercise), text(exercise.kind), dots(exercise.difficulty)]
            for page in pages()
            for exercise in exercises(page)
        ]
        return table(["chapter", "exercise", "kind", "difficulty"], rows)


class ExerciseKinds(SphinxDirective):
    """``{exercise-kinds}``: what the kinds are, and how many exercises of each the book has."""

    def run(self) -> list[nodes.Node]:
        all_of_them = [exercise for page in pages() for exercise in exercises(page)]
        rows = []
        for name, meaning in KINDS.items():
            kinds = [exercise.difficulty for exercise in all_of_them if exercise.kind == name]
            rows.append([text(name), text(meaning), text(len(kinds)), *(text(kinds.count(k)) for k in (1, 2, 3))])
        return table(["kind", "what it is", "in all", "●○○", "●●○", "●●●"], rows)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("weeks", Weeks)
    app.add_directive("chapter-map", ChapterMap)
    app.add_directive("shortest-way", ShortestWay)
    app.add_directive("exercise-table", ExerciseTable)
    app.add_directive("exercise-kinds", ExerciseKinds)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
