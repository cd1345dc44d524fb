"""List the sentences that compare, outside observations, theorems and citations, for an editor's eye.

    python -m tools.comparatives [chapters/01_norms.ipynb …]

What is better, faster, enough or safe on data belongs into an observation (CONTRIBUTING.md), or says that it speaks of
one cell, or goes. No rule can tell a comparison of data from one of ideas: this prints, and somebody reads.
"""

import pathlib
import re
import sys
from collections.abc import Iterator

from book import ledger

WORDS = re.compile(
    r"\b(better|best|worse|worst|faster|fastest|slower|slowest|cheaper|enough|need(?:s|ed)?|safe|safer|typical|typically"
    r"|usually|hardly|barely|beats?|beaten|wins?|won|loses?|lost|ahead of|behind|outperforms?|superior|suffices?"
    r"|more accurate|less accurate|method of choice|state of the art|never|nothing else)\b",
    re.IGNORECASE,
)
# What carries its own evidence, or is about the reader's work: directives, code, formulas.
ELSEWHERE = re.compile(r"^(:::+|```+|\$\$).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LIST = re.compile(r"^(?:- |\d+\. |#+ |\*\*\d)", re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z*\"“])")
CITED = re.compile(r"\{(?:cite(?::\w+)?|prf:ref)\}`")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text cell, without what stands in directives and displayed formulas."""
    for paragraph in re.split(r"\n\s*\n", LIST.sub("\n\n", ELSEWHERE.sub("\n\n", text))):
        yield from (" ".join(sentence.split()) for sentence in SENTENCE.split(paragraph) if sentence.strip())


def comparatives(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """The index of the cell and the sentence, for each one of a chapter that compares and cites nothing."""
    for index, cell in enumerate(ledger.cells(path)):
        if cell["cell_type"] == "markdown":
            for sentence in sentences(cell["source"]):
                if WORDS.search(sentence) and not CITED.search(sentence):
                    yield index, sentence


def main(arguments: list[str]) -> None:
    """Print them, chapter by chapter."""
    for path in [pathlib.Path(a) for a in arguments] or ledger.chapters():
        found = list(comparatives(path))
        print(f"{path.stem}: {len(found)}")
        for index, sentence in found:
            print(f"  [{index}] {sentence}")


if __name__ == "__main__":
    main(sys.argv[1:])
