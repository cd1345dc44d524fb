"""The rules that every chapter keeps: each takes a notebook and returns its complaints, none where all is well.

``tests/book/test_notebooks.py`` holds every chapter to them and shows, for each rule, a notebook that it rejects.
"""

import ast
import base64
import importlib
import pathlib
import re
import statistics
from collections.abc import Callable, Iterator

import nbformat
from nbformat import NotebookNode

from book import moving
from book.setup_cell import setup_cell

Rule = Callable[[NotebookNode], list[str]]
RULES: list[Rule] = []

CELL_METADATA = {"code": {"tags", "claim", "folklore", "observation", "moving", "mystnb"}, "markdown": set()}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TAGS = {"hide-cell", "hide-input", "nbval-ignore-output"}
CLOSING = ["Exercises", "What to remember", "Quiz", "Where to read on"]

EXERCISE = re.compile(
    r"^:::\{exercise\}[^\n]*\n:label: *(?P<label>\S+)\n(?::class: difficulty-(?P<difficulty>[123])\n)?"
    r"(?P<text>.*?)^:::\s*$(?P<after>.*?)(?=^:::\{exercise\}|\Z)",
    re.M | re.S,
)
START = re.compile(r"^:::\{solution-start\} *(?P<label>\S+)\s*\n(?::\w+:[^\n]*\n)*:::\s*$")
END = re.compile(r"^:::\{solution-end\}\s*\n:::\s*$")
FORMULA = re.compile(r"[‖√₀-₉ᵢⱼᵣₙₘᵀ⁺⁻²³⊤σλκΣ]|\b[A-Za-z]_\w|\^")
CHECKER = re.compile(r"exercises\.(\w+)\.(\w+)")

# What differs from machine to machine, from run to run, or from what a reader should see.
STRAY = {
    "an absolute path": re.compile(r"(?:^|[\s\"'(=])(?:/[\w.+-]+){2,}|\b[A-Za-z]:\\\w", re.MULTILINE),
    "a memory address": re.compile(r"\b0x[0-9a-fA-F]{6,}"),
    "a warning": re.compile(r"\b\w*Warning\b"),
}


def rule(function: Rule) -> Rule:
    """Add a rule to the list."""
    RULES.append(function)
    return function


def stem(notebook: NotebookNode) -> str:
    """The chapter's name, such as 01_norms: the tests keep it beside the notebook's cells."""
    return str(notebook["stem"])


def module(notebook: NotebookNode) -> str:
    """The name of the chapter's module of checkers: norms for 01_norms, real_model for project_real_model."""
    return stem(notebook).partition("_")[2]


def slug(notebook: NotebookNode) -> str:
    """The chapter's part of a label: eckart-young for 06_eckart_young."""
    return module(notebook).replace("_", "-")


def read(path: pathlib.Path) -> NotebookNode:
    """A notebook with its chapter's name."""
    notebook = nbformat.read(path, as_version=4)
    notebook["stem"] = path.stem
    return notebook


def cells(notebook: NotebookNode, kind: str) -> Iterator[tuple[int, NotebookNode]]:
    """The cells of one kind, each with its place in the notebook."""
    return ((i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == kind)


def texts(cell: NotebookNode) -> Iterator[str]:
    """All that a code cell's stored outputs say."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join(output.traceback)
        else:
            yield from (text for kind, text in output.data.items() if kind.startswith("text/"))


def pictures(cell: NotebookNode) -> list[bytes]:
    """The PNG and SVG files in a code cell's outputs."""
    found = [o.data for o in cell.outputs if "data" in o]
    bitmaps = [base64.b64decode(data["image/png"]) for data in found if "image/png" in data]
    return bitmaps + [data["image/svg+xml"].encode() for data in found if "image/svg+xml" in data]


def sections(notebook: NotebookNode) -> list[tuple[str, str]]:
    """The headings of second level, each with the text below it."""
    text = "\n\n".join(cell.source for _, cell in cells(notebook, "markdown"))
    parts = re.split(r"^## +(.*)$", text, flags=re.MULTILINE)
    return [(title.strip(), body.strip()) for title, body in zip(parts[1::2], parts[2::2], strict=True)]


def section(notebook: NotebookNode, title: str) -> str:
    """The text below one heading, empty where there is none."""
    return next((body for name, body in sections(notebook) if name == title), "")


def bullets(text: str) -> list[str]:
    """The points of a list that is not inside another."""
    return re.split(r"^- ", text, flags=re.MULTILINE)[1:]


# How it is stored


@rule
def is_a_valid_notebook(notebook: NotebookNode) -> list[str]:
    bare = nbformat.from_dict({key: value for key, value in notebook.items() if key != "stem"})
    try:
        nbformat.validate(bare)
    except nbformat.ValidationError as error:
        return [str(error).splitlines()[0]]
    return []


@rule
def is_below_two_megabytes(notebook: NotebookNode) -> list[str]:
    size = len(nbformat.writes(notebook).encode())
    return [f"{size / 1e6:.1f} MB"] if size > 2_000_000 else []


@rule
def keeps_only_known_metadata(notebook: NotebookNode) -> list[str]:
    found = []
    if notebook.metadata != {"kernelspec": KERNEL, "language_info": {"name": "python"}}:
        found.append("the notebook's metadata is not just the kernel python3 and the language")
    for i, cell in enumerate(notebook.cells):
        if unknown := set(cell.metadata) - CELL_METADATA.get(cell.cell_type, set()):
            found.append(f"cell {i}: {', '.join(sorted(unknown))} in its metadata")
        if unknown := set(cell.metadata.get("tags", [])) - TAGS:
            found.append(f"cell {i}: tagged {', '.join(sorted(unknown))}")
        if "attachments" in cell:
            found.append(f"cell {i}: has attachments")
    return found


# How it was run


@rule
def was_executed_in_order(notebook: NotebookNode) -> list[str]:
    counts = [cell.execution_count for _, cell in cells(notebook, "code")]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"the execution counts are {counts}"]


@rule
def has_no_empty_cell(notebook: NotebookNode) -> list[str]:
    return [f"cell {i} is empty" for i, cell in enumerate(notebook.cells) if not cell.source.strip()]


@rule
def stores_no_error(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i}: {output.ename}"
        for i, cell in cells(notebook, "code")
        for output in cell.outputs
        if output.output_type == "error"
    ]


@rule
def stores_nothing_of_the_machine(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i}: {what}: {match[0]!r}"
        for i, cell in cells(notebook, "code")
        for text in texts(cell)
        for what, pattern in STRAY.items()
        if (match := pattern.search(text))
    ]


@rule
def stores_no_stderr(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i}: {output.text.splitlines()[0]}"
        for i, cell in cells(notebook, "code")
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


@rule
def ends_no_cell_in_a_value(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i} ends in a value"
        for i, cell in cells(notebook, "code")
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]


@rule
def asserts_where_outputs_are_not_compared(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i} is tagged nbval-ignore-output and asserts nothing"
        for i, cell in cells(notebook, "code")
        if "nbval-ignore-output" in cell.metadata.get("tags", []) and not asserts(cell.source)
    ]


def asserts(source: str) -> bool:
    """Whether an assert statement stands in the source, not in a comment or a string."""
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))


@rule
def switches_nbval_by_tags_alone(notebook: NotebookNode) -> list[str]:
    return [f"cell {i} has an NBVAL comment" for i, cell in cells(notebook, "code") if "NBVAL_" in cell.source]


@rule
def reads_the_package_by_its_functions(notebook: NotebookNode) -> list[str]:
    """Results by `results.load`, data by `datasets.load`: where their files lie is for the package to know."""
    own = re.compile(r"\bimportlib\b.*\bresources\b|lowrank_helpers.*__file__")
    return [f"cell {i} looks for the package's files" for i, cell in cells(notebook, "code") if own.search(cell.source)]


# Figures


@rule
def draws_what_it_shows(notebook: NotebookNode) -> list[str]:
    found = []
    for i, cell in cells(notebook, "code"):
        if "plt.show()" in cell.source and not pictures(cell):
            found.append(f"cell {i} shows a figure and stores none")
        if pictures(cell) and not cell.source.endswith("plt.show()"):
            found.append(f"cell {i} stores a figure and does not end in plt.show()")
        found += [f"cell {i}: a picture of {len(png)} bytes" for png in pictures(cell) if len(png) < 4000]
    return found


@rule
def describes_each_figure(notebook: NotebookNode) -> list[str]:
    found = []
    for i, cell in cells(notebook, "code"):
        if not pictures(cell):
            continue
        options = cell.metadata.get("mystnb", {})
        figure, alt = options.get("figure", {}), options.get("image", {}).get("alt", "")
        if len(alt.split()) < 6:
            found.append(f"cell {i}: no alt text of at least six words (mystnb: image: alt)")
        if len(figure.get("caption", "").split()) < 4:
            found.append(f"cell {i}: no caption of at least four words (mystnb: figure: caption)")
        if not re.fullmatch(rf"fig-{slug(notebook)}-[a-z0-9-]+", figure.get("name", "")):
            found.append(f"cell {i}: its name is not fig-{slug(notebook)}-… (mystnb: figure: name)")
        if letters := re.search(FORMULA, re.sub(r"`[^`]*`|\$[^$]*\$", "", figure.get("caption", ""))):
            found.append(f"cell {i}: {letters[0]!r} stands in the caption outside of $…$")
    return found


@rule
def folds_what_draws(notebook: NotebookNode) -> list[str]:
    return [
        f"cell {i} draws, and is not tagged hide-input"
        for i, cell in cells(notebook, "code")
        if pictures(cell) and "hide-input" not in cell.metadata.get("tags", [])
    ]


@rule
def moves_a_picture(notebook: NotebookNode) -> list[str]:
    """A figure to move stands below a picture, which notebooks and paper show in its place; each has its own."""
    named = [(i, cell, cell.metadata["moving"]) for i, cell in cells(notebook, "code") if "moving" in cell.metadata]
    found = [f"cell {i} is to move and draws nothing" for i, cell, _ in named if not pictures(cell)]
    found += [f"cell {i}: no figure {name} in book/moving" for i, _, name in named if name not in moving.names()]
    figures = [name for _, _, name in named]
    return found + [f"the figure {name} stands there twice" for name in set(figures) if figures.count(name) > 1]


@rule
def opens_with_a_picture(notebook: NotebookNode) -> list[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search("^## ", cell.source, re.MULTILINE):
            break
        if cell.cell_type == "code" and pictures(cell):
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            right = f"fig-{slug(notebook)}-opening"
            return [] if name == right else [f"the picture that opens it is named {name}, not {right}"]
    return ["no picture above the first heading"]


# How it opens


@rule
def opens_with_one_title(notebook: NotebookNode) -> list[str]:
    text = "\n\n".join(cell.source for _, cell in cells(notebook, "markdown"))
    titles = re.findall(r"^# .*$", text, re.MULTILINE)
    found = [] if len(titles) == 1 else [f"{len(titles)} titles"]
    if not notebook.cells[0].source.startswith("# "):
        found.append("the first cell does not start with the title")
    if deep := re.findall(r"^####+ .*$", text, re.MULTILINE):
        found.append(f"headings below the third level: {deep}")
    return found


@rule
def sets_colab_up_first(notebook: NotebookNode) -> list[str]:
    first = next((cell for _, cell in cells(notebook, "code")), None)
    if first is None or first.source != setup_cell():
        return ["the first code cell is not the one that book/setup_cell.py prints: run make publish"]
    return [] if first.metadata.get("tags") == ["hide-cell"] else ["the set-up cell is not tagged hide-cell alone"]


@rule
def says_what_to_expect(notebook: NotebookNode) -> list[str]:
    opening = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            break
        opening.append(cell.source)
    start = re.search(r"^:::\{admonition\} Before you start\n(.*?)^:::", "\n".join(opening), re.MULTILINE | re.DOTALL)
    if not start:
        return ["no admonition “Before you start” above the first code cell"]
    parts = re.split(r"\*\*(You will be able to|You need|Time)\*\*", start[1])
    if parts[1::2] != ["You will be able to", "You need", "Time"]:
        return [f"“Before you start” has the parts {parts[1::2]}"]
    found = []
    if not 3 <= len(bullets(parts[2])) <= 5:
        found.append(f"{len(bullets(parts[2]))} lines say what you will be able to do, not three to five")
    if not re.search(r"^ \d+ minutes of reading, \d+ of exercises\.$", parts[6], re.MULTILINE):
        found.append("the time is not given in minutes, those of reading and those of exercises apart")
    return found


# How it closes


@rule
def closes_in_order(notebook: NotebookNode) -> list[str]:
    last = [title for title, _ in sections(notebook)][-len(CLOSING) :]
    return [] if last == CLOSING else [f"the last sections are {last}"]


@rule
def remembers_five_points(notebook: NotebookNode) -> list[str]:
    count = len(bullets(section(notebook, "What to remember")))
    return [] if count == 5 else [f"{count} points to remember"]


@rule
def asks_three_questions(notebook: NotebookNode) -> list[str]:
    quiz = section(notebook, "Quiz")
    questions = re.split(r"^\*\*(\d)\. ", quiz, flags=re.MULTILINE)
    found = [] if questions[1::2] == ["1", "2", "3"] else [f"the questions are numbered {questions[1::2]}"]
    for number, question in zip(questions[1::2], questions[2::2], strict=True):
        options = re.findall(r"(?:^|\s)\(?([a-e])\)\s", question.split(":::{dropdown}")[0])
        if options not in (["a", "b", "c"], ["a", "b", "c", "d"]):
            found.append(f"question {number} has the options {options}")
        if len(re.findall(r"^:::\{dropdown\} Answer\n.+?^:::\s*$", question, re.MULTILINE | re.DOTALL)) != 1:
            found.append(f"question {number} has no dropdown with one answer")
    return found


@rule
def says_where_to_read_on(notebook: NotebookNode) -> list[str]:
    sources = bullets(section(notebook, "Where to read on"))
    found = [] if 3 <= len(sources) <= 5 else [f"{len(sources)} sources, not three to five"]
    return found + [f"no {{cite}} in: {source.strip()}" for source in sources if "{cite" not in source]


@rule
def links_no_chapter_of_another_book(notebook: NotebookNode) -> list[str]:
    """A book that is cited has chapters of its own: "chapter 10" after it is no link to this one's."""
    cited = re.compile(r"\{cite\}`[^`]+`[\s,.;:(]*(?:their |in )?\[[^\]]+\]\((?P<page>(?:\d\d|A\d)_\w+\.ipynb)[^)]*\)")
    return [
        f"cell {i}: a link to {match['page']} directly after a citation"
        for i, cell in cells(notebook, "markdown")
        for match in cited.finditer(cell.source)
    ]


# Exercises


@rule
def has_three_to_six_exercises(notebook: NotebookNode) -> list[str]:
    labels = [match["label"] for match in exercises(notebook)]
    found = [] if 3 <= len(labels) <= 6 else [f"{len(labels)} exercises"]
    wrong = [label for label in labels if not re.fullmatch(rf"ex-{slug(notebook)}-[a-z0-9-]+", label)]
    return found + [f"the label {label} is not ex-{slug(notebook)}-…" for label in wrong]


def exercises(notebook: NotebookNode) -> list[re.Match[str]]:
    """The exercises, each with its label and its text."""
    return [match for _, cell in cells(notebook, "markdown") for match in EXERCISE.finditer(cell.source)]


@rule
def rates_and_hints_each_exercise(notebook: NotebookNode) -> list[str]:
    found = []
    for exercise in exercises(notebook):
        if not exercise["difficulty"]:
            found.append(f"{exercise['label']}: no line :class: difficulty-1, -2 or -3 below its label")
        if len(re.findall(r"^:::\{dropdown\} Hint\n.+?^:::\s*$", exercise["after"], re.M | re.S)) != 1:
            found.append(f"{exercise['label']}: not one :::{{dropdown}} Hint below it, in its cell")
    return found


def solutions(notebook: NotebookNode) -> tuple[dict[str, list[NotebookNode]], list[str]]:
    """The cells of each solution by the label of its exercise, and what is wrong with the way they are marked."""
    found: dict[str, list[NotebookNode]] = {}
    complaints, current = [], None
    for i, cell in enumerate(notebook.cells):
        start, end = START.match(cell.source), END.match(cell.source)
        if cell.source.count("{solution-start}") != bool(start) or cell.source.count("{solution-end}") != bool(end):
            complaints.append(f"cell {i}: solution-start and solution-end stand in cells of their own")
        elif start:
            if current or start["label"] in found:
                complaints.append(f"cell {i}: a solution starts inside another, or for the second time")
            current = start["label"]
            found[current] = []
        elif end:
            if not current:
                complaints.append(f"cell {i}: a solution ends that did not start")
            current = None
        elif current:
            found[current].append(cell)
    if current:
        complaints.append(f"the solution of {current} does not end")
    return found, complaints


@rule
def solves_each_exercise(notebook: NotebookNode) -> list[str]:
    found, complaints = solutions(notebook)
    labels = [match["label"] for match in exercises(notebook)]
    if list(found) != labels:
        complaints.append(f"exercises {labels}, solutions {list(found)}")
    return complaints + [f"the solution of {label} is empty" for label, inside in found.items() if not inside]


@rule
def checks_its_own_solutions(notebook: NotebookNode) -> list[str]:
    found, complaints = solutions(notebook)[0], []
    for exercise in exercises(notebook):
        for name, function in set(CHECKER.findall(exercise["text"])):
            checker = f"exercises.{name}.{function}"
            if name != module(notebook):
                complaints.append(f"{checker} is not in the chapter's own module")
                continue
            if not callable(getattr(importlib.import_module(f"lowrank_helpers.exercises.{name}"), function, None)):
                complaints.append(f"{checker} does not exist")
            calls = [c for c in found.get(exercise["label"], []) if c.cell_type == "code" and f"{checker}(" in c.source]
            if not calls:
                complaints.append(f"the solution of {exercise['label']} does not call {checker}")
            elif not any(re.search(r"^Right\b", text, re.MULTILINE) for cell in calls for text in texts(cell)):
                complaints.append(f"{checker} does not call the solution right")
    return complaints


# How it reads


@rule
def keeps_code_short(notebook: NotebookNode) -> list[str]:
    code = [(i, cell.source.splitlines()) for i, cell in cells(notebook, "code") if cell.source != setup_cell()]
    found = [f"cell {i} has {len(lines)} lines" for i, lines in code if len(lines) > 20]
    found += [f"cell {i}: {len(line)} columns: {line}" for i, lines in code for line in lines if len(line) > 72]
    open_code = [lines for i, lines in code if "hide-input" not in notebook.cells[i].metadata.get("tags", [])]
    if (median := statistics.median(map(len, open_code))) > 8:
        found.append(f"the median of the open code cells' lines is {median:g}")
    return found


@rule
def speaks_between_code_cells(notebook: NotebookNode) -> list[str]:
    kinds = "".join(cell.cell_type[0] for cell in notebook.cells)
    return [f"four code cells in a row from cell {match.start()}" for match in re.finditer("cccc+", kinds)]


@rule
def keeps_lists_together(notebook: NotebookNode) -> list[str]:
    """A formula inside of a list is indented like its item; one that is not ends the list, and what follows runs on."""
    broken = re.compile(r"^\$\$\n\n? {2,}\S.*", re.MULTILINE)
    return [
        f"cell {i}: {match.group().split()[1]} … follows a formula that has ended its list"
        for i, cell in cells(notebook, "markdown")
        for match in broken.finditer(cell.source)
    ]


def long_texts(notebook: NotebookNode) -> list[str]:
    """Text cells of more than 150 words; those with a directive, which cannot be split, may be longer."""
    return [
        f"cell {i} has {len(cell.source.split())} words"
        for i, cell in cells(notebook, "markdown")
        if len(cell.source.split()) > 150 and ":::{" not in cell.source
    ]
