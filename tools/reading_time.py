"""How long a chapter takes: minutes of reading and of exercises, counted at fixed rates.

    python -m tools.reading_time [--write] [chapters/01_norms.ipynb …]

150 words of prose are read in a minute, 50 of a proof; a code cell takes a minute, an exercise 20 with its solution,
an investigation 45. A formula counts as one word, a displayed one too. Hints and solutions belong to their exercises,
and the set-up cell takes no time. Minutes are rounded to fives; more than 200 in all are marked with an asterisk. What
a chapter says of itself stands beside where it differs; ``--write`` puts the counted minutes there.
"""

import pathlib
import re
import sys
from typing import Any, NamedTuple

from book import ledger

PROSE, PROOF = 150, 50  # words a minute
CODE, EXERCISE, INVESTIGATION = 1, 20, 45  # minutes
LIMIT = 200

EXERCISES = re.compile(r"^:::\{exercise\} *(.*)\n(?:.*\n)*?:::$", re.MULTILINE)
HINTS = re.compile(r"^:::\{dropdown\} Hint\n(?:.*\n)*?:::$", re.MULTILINE)
PROOFS = re.compile(r"^:{3,}\{prf:proof\}.*\n((?:.*\n)*?):{3,}$", re.MULTILINE)
SOLUTIONS = re.compile(r"^:::\{solution-start\}(?:.|\n)*?^:::\{solution-end\}\n:::$", re.MULTILINE)
FORMULAS = re.compile(r"\$\$.*?\$\$|\$[^$]+\$", re.DOTALL)
MARKUP = re.compile(r"^:{3,}.*$|^:[\w-]+:.*$|^<!--.*?-->$|\{[\w:-]+\}(?=`)", re.MULTILINE)
STATED = re.compile(r"\*\*Time\*\* (\d+) minutes of reading, (\d+) of exercises")
CELL = "%code%"  # stands for a code cell in a chapter's text


class Times(NamedTuple):
    """Minutes, not rounded, of a chapter."""

    reading: float
    exercises: float


def words(text: str) -> int:
    """How many words a text has, without its markup; each formula is one."""
    return len(re.findall(r"\w[\w'’.,-]*", MARKUP.sub("", FORMULAS.sub(" formula ", text))))


def as_text(path: pathlib.Path) -> str:
    """A chapter's prose, with a mark for each code cell but the one that sets Colab up."""
    cells: list[dict[str, Any]] = ledger.cells(path)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    parts = [CELL if cell["cell_type"] == "code" else "".join(cell["source"]) for cell in cells if cell is not code[0]]
    return "\n\n".join(parts) + "\n"


def times(text: str) -> Times:
    """The minutes of a chapter from its text, as :func:`as_text` gives it."""
    titles = EXERCISES.findall(text)
    exercises = sum(INVESTIGATION if "investigation" in title.lower() else EXERCISE for title in titles)
    read = HINTS.sub("", SOLUTIONS.sub("", EXERCISES.sub("", text)))
    proofs = sum(map(words, PROOFS.findall(read)))
    prose = PROOFS.sub("", read)
    reading = words(prose.replace(CELL, "")) / PROSE + proofs / PROOF + CODE * prose.count(CELL)
    return Times(reading, exercises)


def rounded(minutes: float) -> int:
    """To the nearest five."""
    return 5 * round(minutes / 5)


def stated(text: str) -> Times | None:
    """What a chapter says of itself."""
    found = STATED.search(text)
    return Times(*map(float, found.groups())) if found else None


def write(path: pathlib.Path, counted: Times) -> None:
    """Put the counted minutes where a chapter says how long it takes."""
    text = path.read_text(encoding="utf-8")
    line = "**Time** {:d} minutes of reading, {:d} of exercises".format(*map(rounded, counted))
    new, count = re.subn(r"\*\*Time\*\* \d+ minutes( of reading, \d+ of exercises)?", line, text)
    if count != 1:
        raise ValueError(f"{path}: {count} lines begin with '**Time** 60 minutes'; one has to.")
    path.write_text(new, encoding="utf-8")


def main() -> None:
    """Print the table, and write the minutes into the chapters if that is asked for."""
    names = [name for name in sys.argv[1:] if name != "--write"]
    paths = [pathlib.Path(name) for name in names] or ledger.chapters()
    print(f"{'chapter':26s}{'reading':>9s}{'exercises':>11s}{'in all':>8s}")
    whole = 0.0
    for path in paths:
        text = as_text(path)
        counted, says = times(text), stated(text)
        if "--write" in sys.argv:
            write(path, counted)
        reading, exercises = map(rounded, counted)
        whole += reading + exercises
        mark = " *" if reading + exercises > LIMIT else ""
        other = "" if says == (reading, exercises) else f"   says {says and tuple(map(int, says))}"
        print(f"{path.stem:26s}{reading:9d}{exercises:11d}{reading + exercises:8d}{mark}{other}")
    print(f"{'hours':26s}{whole / 60:28.1f}")


if __name__ == "__main__":
    main()
