"""What nbval does not look at: how each chapter is stored, executed, drawn, opened, closed and checked.

The rules stand in ``rules.py``. Here every chapter keeps each of them, and each of them rejects a good chapter in which
one thing was broken. nbval itself is held to its word too: it runs, compares, and uses this environment.
"""

import copy
import re
import subprocess
import sys
import warnings
from collections.abc import Callable

import nbformat
import pytest
import yaml
from nbformat import NotebookNode

from book import ledger
from tests.book import rules

CHAPTERS = ledger.chapters()
NOTEBOOKS = {path.stem: rules.read(path) for path in CHAPTERS}
GOOD = NOTEBOOKS["01_norms"]


class LongText(UserWarning):
    """A text cell of more than 150 words."""


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_chapter(stem, rule):
    assert not rule(NOTEBOOKS[stem])


@pytest.mark.filterwarnings("default::tests.book.test_notebooks.LongText")
@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_text_cells_are_short(stem):
    for complaint in rules.long_texts(NOTEBOOKS[stem]):
        warnings.warn(f"{stem}: {complaint}", LongText, stacklevel=1)


# One thing broken at a time

Break = Callable[[NotebookNode], object]


def code_cell(notebook: NotebookNode, number: int = 2) -> NotebookNode:
    """The code cell with this execution count; the second holds the imports."""
    return next(cell for cell in notebook.cells if cell.get("execution_count") == number)


def figure(notebook: NotebookNode) -> NotebookNode:
    """The first code cell that draws."""
    return next(cell for _, cell in rules.cells(notebook, "code") if rules.pictures(cell))


def printing(notebook: NotebookNode) -> NotebookNode:
    """The first code cell that prints."""
    return next(cell for _, cell in rules.cells(notebook, "code") if any("text" in o for o in cell.outputs))


def checked(notebook: NotebookNode) -> NotebookNode:
    """The first solution's code cell that calls a checker."""
    return next(cell for _, cell in rules.cells(notebook, "code") if re.search(r"exercises\.\w+\.\w+\(", cell.source))


def text(pattern: str, replacement: str, times: int = 1) -> Break:
    """Replace a pattern in the first text cell that has it, so many times; with 0, everywhere."""

    def broken(notebook: NotebookNode) -> None:
        found = [cell for _, cell in rules.cells(notebook, "markdown") if re.search(pattern, cell.source, re.MULTILINE)]
        assert found, f"the chapter has no {pattern}"
        for cell in found[:1] if times else found:
            cell.source = re.sub(pattern, replacement, cell.source, count=times, flags=re.MULTILINE)

    return broken


def remove(pattern: str) -> Break:
    """Remove the text cells that match a pattern."""

    def broken(notebook: NotebookNode) -> None:
        kept = [c for c in notebook.cells if c.cell_type == "code" or not re.search(pattern, c.source, re.MULTILINE)]
        assert len(kept) < len(notebook.cells)
        notebook.cells = kept

    return broken


def says(words: str) -> Break:
    """Let a code cell print something else."""
    return lambda notebook: printing(notebook).outputs[0].update(text=words)


def stream(name: str, words: str) -> NotebookNode:
    return nbformat.v4.new_output("stream", name=name, text=words)


def error() -> NotebookNode:
    return nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])


def value() -> NotebookNode:
    return nbformat.v4.new_output("execute_result", {"text/plain": "3"}, execution_count=2)


def code(source: str) -> Break:
    """A cell with other code."""
    return lambda notebook: code_cell(notebook).update(source=source)


def ignored(source: str) -> Break:
    """A cell whose output nbval does not compare."""
    return lambda notebook: code_cell(notebook).update(source=source, metadata={"tags": ["nbval-ignore-output"]})


def without_alt(notebook: NotebookNode) -> None:
    del figure(notebook).metadata["mystnb"]["image"]


def captioned(caption: str) -> Break:
    """A figure with another caption."""
    return lambda notebook: figure(notebook).metadata["mystnb"]["figure"].update(caption=caption)


def renamed(name: str) -> Break:
    """A figure with another name."""
    return lambda notebook: figure(notebook).metadata["mystnb"]["figure"].update(name=name)


def without_picture(notebook: NotebookNode) -> None:
    figure(notebook).outputs = []


def tiny_picture(notebook: NotebookNode) -> None:
    output = next(o for o in figure(notebook).outputs if "image/svg+xml" in o.get("data", {}))
    output.data["image/svg+xml"] = "<svg/>"


def swapped(notebook: NotebookNode) -> None:
    counts = [code_cell(notebook, 2), code_cell(notebook, 3)]
    counts[0].execution_count, counts[1].execution_count = 3, 2


def twice_to_move(notebook: NotebookNode) -> None:
    drawing = [cell for _, cell in rules.cells(notebook, "code") if rules.pictures(cell)]
    for cell in drawing[:2]:
        cell.metadata["moving"] = "ellipse"


def four_in_a_row(notebook: NotebookNode) -> None:
    notebook.cells[4:4] = [nbformat.v4.new_code_cell("pass") for _ in range(4)]


R = rules
BROKEN: list[tuple[rules.Rule, str, Break]] = [
    (R.is_a_valid_notebook, "a stream with no name", lambda nb: printing(nb).outputs[0].pop("name")),
    (R.is_below_two_megabytes, "a long output", says("x" * 2_000_000)),
    (R.keeps_only_known_metadata, "times of execution", lambda nb: code_cell(nb).metadata.update(execution={})),
    (R.keeps_only_known_metadata, "widgets", lambda nb: nb.metadata.update(widgets={})),
    (R.keeps_only_known_metadata, "another kernel", lambda nb: nb.metadata.kernelspec.update(name="mine")),
    (R.keeps_only_known_metadata, "a skipped cell", lambda nb: code_cell(nb).metadata.update(tags=["nbval-skip"])),
    (R.was_executed_in_order, "a gap", lambda nb: nb.cells.remove(code_cell(nb, 4))),
    (R.was_executed_in_order, "a cell not run", lambda nb: code_cell(nb).update(execution_count=None)),
    (R.was_executed_in_order, "two cells swapped", swapped),
    (R.has_no_empty_cell, "an empty cell", lambda nb: nb.cells.append(nbformat.v4.new_markdown_cell(" "))),
    (R.stores_no_error, "an error", lambda nb: code_cell(nb).outputs.append(error())),
    (R.stores_nothing_of_the_machine, "a path", says("read /srv/ada/book/photo.png")),
    (R.stores_nothing_of_the_machine, "a path on Windows", says(r"read C:\ada\photo.png")),
    (R.stores_nothing_of_the_machine, "an address", says("<function f at 0x7f0123456789>")),
    (R.stores_nothing_of_the_machine, "a warning", says("RuntimeWarning: divide by zero")),
    (R.stores_no_stderr, "a progress bar", lambda nb: code_cell(nb).outputs.append(stream("stderr", "100%"))),
    (R.ends_no_cell_in_a_value, "a value", lambda nb: code_cell(nb).outputs.append(value())),
    (R.asserts_where_outputs_are_not_compared, "no assert", ignored("print(1)")),
    (R.asserts_where_outputs_are_not_compared, "an assert in a comment", ignored("print(1)  # assert True")),
    (R.switches_nbval_by_tags_alone, "a comment", lambda nb: code_cell(nb).update(source="# NBVAL_SKIP\npass")),
    (R.reads_the_package_by_its_functions, "resources", code("from importlib import resources")),
    (R.reads_the_package_by_its_functions, "files", code("from importlib.resources import files")),
    (R.reads_the_package_by_its_functions, "a path", code("Path(lowrank_helpers.__file__).parent")),
    (R.draws_what_it_shows, "no picture", without_picture),
    (R.draws_what_it_shows, "a picture of few bytes", tiny_picture),
    (R.draws_what_it_shows, "no plt.show()", lambda nb: figure(nb).update(source="fig, ax = plt.subplots()")),
    (R.describes_each_figure, "no alt text", without_alt),
    (R.describes_each_figure, "no caption", lambda nb: figure(nb).metadata["mystnb"]["figure"].pop("caption")),
    (R.describes_each_figure, "no name", lambda nb: figure(nb).metadata["mystnb"]["figure"].pop("name")),
    (R.describes_each_figure, "letters for a formula", captioned("All of ‖A‖₂ and its rank grow in proportion.")),
    (R.folds_what_draws, "an open cell", lambda nb: figure(nb).metadata.update(tags=[])),
    (R.moves_a_picture, "no such figure", lambda nb: figure(nb).metadata.update(moving="elipse")),
    (R.moves_a_picture, "no picture", lambda nb: code_cell(nb).metadata.update(moving="ellipse")),
    (R.moves_a_picture, "one figure twice", twice_to_move),
    (R.opens_with_a_picture, "none", lambda nb: nb.cells.remove(figure(nb))),
    (R.opens_with_a_picture, "another name", renamed("fig-norms-first")),
    (R.opens_with_one_title, "no title", text(r"^# .*$", "")),
    (R.opens_with_one_title, "two titles", text(r"^## ", "# ")),
    (R.opens_with_one_title, "a deep heading", text(r"^## ", "#### ")),
    (R.sets_colab_up_first, "another cell first", lambda nb: nb.cells.insert(1, nbformat.v4.new_code_cell("pass"))),
    (R.sets_colab_up_first, "another address", lambda nb: code_cell(nb, 1).update(source="%pip install other")),
    (R.sets_colab_up_first, "not hidden", lambda nb: code_cell(nb, 1).update(metadata={})),
    (R.says_what_to_expect, "no admonition", text("Before you start", "First of all")),
    (R.says_what_to_expect, "one line of what you will do", text(r"^- .*\n", "", 3)),
    (R.says_what_to_expect, "no needs", text(r"\*\*You need\*\*", "You need")),
    (R.says_what_to_expect, "no minutes", text(r"\d+ minutes", "an hour")),
    (R.says_what_to_expect, "minutes that are not told apart", text(r" of reading, \d+ of exercises", "")),
    (R.closes_in_order, "no quiz", text("^## Quiz$", "## Questions")),
    (R.closes_in_order, "a section too many", lambda nb: nb.cells.append(nbformat.v4.new_markdown_cell("## P.S."))),
    (R.remembers_five_points, "four points", text(r"(## What to remember\s+)- .*\n", r"\1")),
    (R.asks_three_questions, "two questions", text(r"^\*\*3\. ", "**")),
    (R.asks_three_questions, "no answer", text(r"^:::\{dropdown\} Answer", ":::{note}")),
    (R.asks_three_questions, "two options", text(r"^\(?c\)", "or")),
    (R.says_where_to_read_on, "a source without its key", text(r"(## Where to read on\s+- [^{]*)\{cite\}\S*", r"\1")),
    (R.has_three_to_six_exercises, "no exercises", text(r"^:::\{exercise\}", ":::{note}", 0)),
    (R.has_three_to_six_exercises, "another chapter's label", text("^:label: ex-norms-", ":label: ex-rank-")),
    (R.rates_and_hints_each_exercise, "no difficulty", text(r"^:class: difficulty-\d\n", "")),
    (R.rates_and_hints_each_exercise, "a fourth one", text(r"^:class: difficulty-\d", ":class: difficulty-4")),
    (R.rates_and_hints_each_exercise, "no hint", text(r"^:::\{dropdown\} Hint", ":::{note}")),
    (R.solves_each_exercise, "no start", remove(r"^:::\{solution-start\}")),
    (R.solves_each_exercise, "no end", remove(r"^:::\{solution-end\}")),
    (R.solves_each_exercise, "another label", text(r"\{solution-start\} \S+", "{solution-start} ex-norms-none")),
    (R.solves_each_exercise, "text beside the end", text(r"^:::\{solution-end\}\n:::", ":::{solution-end}\n:::\nQED")),
    (R.checks_its_own_solutions, "a wrong answer", lambda nb: checked(nb).update(outputs=[stream("stdout", "Not")])),
    (R.checks_its_own_solutions, "a checker not called", lambda nb: checked(nb).update(source="pass")),
    (R.checks_its_own_solutions, "no such checker", text(r"`exercises\.norms\.\w+", "`exercises.norms.nothing")),
    (R.checks_its_own_solutions, "another chapter's", text(r"`exercises\.norms", "`exercises.rank")),
    (R.keeps_code_short, "21 lines", lambda nb: code_cell(nb).update(source="pass\n" * 21)),
    (R.keeps_code_short, "73 columns", lambda nb: code_cell(nb).update(source="x" * 73)),
    (R.keeps_code_short, "long cells", lambda nb: [c.update(source="pass\n" * 9) for _, c in rules.cells(nb, "code")]),
    (R.speaks_between_code_cells, "four code cells", four_in_a_row),
    (
        R.links_no_chapter_of_another_book,
        "a chapter of Golub and Van Loan",
        lambda nb: nb.cells[0].update(source="See {cite}`golub2013matrix`, [chapter 10](10_lsa.ipynb), for more."),
    ),
    (R.keeps_lists_together, "ended list", lambda nb: nb.cells[0].update(source="1. It is\n\n$$\nx\n$$\n\n   here.")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "what", "broken"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_rule_rejects(rule, what, broken):
    notebook = copy.deepcopy(GOOD)
    before = rule(notebook)
    broken(notebook)
    assert set(rule(notebook)) - set(before), f"{what} goes unnoticed"


def test_each_rule_is_shown_to_reject():
    assert {rule for rule, _, _ in BROKEN} == set(rules.RULES)


def test_long_texts_are_noticed():
    notebook = copy.deepcopy(GOOD)
    notebook.cells = [nbformat.v4.new_markdown_cell("word " * 151)]
    assert rules.long_texts(notebook)
    notebook.cells[0].source += "\n:::{prf:theorem} A long one\n:::"
    assert not rules.long_texts(notebook)


# The book as a whole


def chapters_of_the_contents(toc: str) -> list[str]:
    """The chapters that _toc.yml lists, in its order."""
    files = [entry["file"] for part in yaml.safe_load(toc)["parts"] for entry in part["chapters"]]
    return [file.removeprefix("chapters/") for file in files if file.startswith("chapters/")]


def test_the_contents_list_every_chapter_in_order():
    toc = (ledger.ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert chapters_of_the_contents(toc) == list(NOTEBOOKS)
    assert chapters_of_the_contents(toc.replace("chapters/02_rank", "chapters/02_ranks")) != list(NOTEBOOKS)


def test_labels_are_used_once():
    names = [
        cell.metadata["mystnb"]["figure"]["name"]
        for notebook in NOTEBOOKS.values()
        for _, cell in rules.cells(notebook, "code")
        if rules.pictures(cell)
    ]
    text = "\n".join(cell.source for nb in NOTEBOOKS.values() for _, cell in rules.cells(nb, "markdown"))
    labels = names + re.findall(r"^(?::label: *|\()(\S+?)(?:\)=)?$", text, re.MULTILINE)
    assert sorted(labels) == sorted(set(labels))


# nbval itself

THREE = "import os, sys\nprint(sys.executable, os.environ['OPENBLAS_NUM_THREADS'], os.getcwd())"


def small_notebook(source: str, printed: str) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[stream("stdout", printed)])
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture(scope="module")
def by_nbval(tmp_path_factory):
    """What pytest says, with the settings of this project, of a chapter's first cells, of the same with something
    else stored, and of a notebook that asks where it runs: by their names, and in words."""
    folder = tmp_path_factory.mktemp("nbval")
    chapter = nbformat.from_dict({key: value for key, value in copy.deepcopy(GOOD).items() if key != "stem"})
    last = printing(chapter)
    chapter.cells = chapter.cells[: chapter.cells.index(last) + 1]
    nbformat.write(chapter, folder / "true.ipynb")
    last.outputs[0].text += "7"
    nbformat.write(chapter, folder / "false.ipynb")
    nbformat.write(small_notebook(THREE, f"{sys.executable} 1 {folder}\n"), folder / "here.ipynb")
    command = [sys.executable, "-m", "pytest", "-c", str(ledger.ROOT / "pyproject.toml"), "-n", "0", "-q", "-rA"]
    command += [f"--nbval-sanitize-with={ledger.ROOT / 'tests' / 'nbval.cfg'}"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, cwd=folder)
    said = re.findall(r"^(PASSED|FAILED|ERROR) \S*?(\w+)\.ipynb::Cell", done.stdout, re.MULTILINE)
    return {name: {how for how, of in said if of == name} for _, name in said}, done.stdout


@pytest.mark.slow
def test_nbval_compares_outputs(by_nbval):
    said, printed = by_nbval
    assert said["true"] == {"PASSED"} and said["false"] == {"PASSED", "FAILED"}, printed
    assert len(re.findall("^FAILED ", printed, re.MULTILINE)) == 1 and "Cell outputs differ" in printed


@pytest.mark.slow
def test_nbval_uses_this_environment_and_one_thread(by_nbval):
    said, printed = by_nbval
    assert said["here"] == {"PASSED"}, printed
