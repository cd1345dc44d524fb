"""Freeze the samples of text that the base model is measured on and adapted to, into data/corpora/ of the package.

    python -m tools.frozen.corpora

They were made once, under Python 3.11, and stay as they are: "source" holds those files of the standard library that
are held out of pretraining, "tkinter" the package of that name, "book" the prose of the chapters that there were then.
"""

import lzma
import pathlib
import re
import sysconfig

import nbformat

from lowrank_helpers.training.corpus import END, standard_library

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAPTERS = ("01_norms", "02_rank", "03_pseudoinverse", "04_factorizations", "05_svd", "06_eckart_young")


def freeze(name: str, content: bytes) -> None:
    """Write a sample, packed."""
    path = ROOT / "lowrank_helpers" / "data" / "corpora" / f"{name}.xz"
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(f"{path.name:32s}{len(content):9d} bytes, packed {path.stat().st_size:7d}")


def package(name: str) -> dict[str, bytes]:
    """Return the source of a package of the standard library, by file."""
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    files = sorted((root / name).rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_bytes() + END for path in files if "test" not in path.parts}


def paragraphs(chapter: str) -> list[str]:
    """Return the paragraphs of a chapter's text cells, set-up and blank ones left out."""
    cells = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def main() -> None:
    """Write all five."""
    freeze("source_validation", standard_library("validation").numpy().tobytes())
    files = package("tkinter")
    held_out = set(sorted(files)[3::5])
    freeze("tkinter_train", b"".join(files[name] for name in files if name not in held_out))
    freeze("tkinter_validation", b"".join(files[name] for name in files if name in held_out))
    parts = [part for chapter in CHAPTERS for part in paragraphs(chapter)]
    # Runs of paragraphs, so that a window of text reads on; two splits share none.
    runs = ["\n\n".join(parts[i : i + 8]) + "\n\n" for i in range(0, len(parts), 8)]
    freeze("book_train", "".join(run for i, run in enumerate(runs) if i % 8).encode())
    freeze("book_validation", "".join(runs[::8]).encode())


if __name__ == "__main__":
    main()
