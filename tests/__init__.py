"""The tests: of the package, its tree again; of the book; of the study on a GPU; of the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
