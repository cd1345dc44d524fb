"""Two frozen tables of the scientific Python stack: what its functions say, and which files use which functions."""

from __future__ import annotations

import json
import lzma
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse


class Docstrings(NamedTuple):
    """Texts that document functions, classes and methods: the k-th is ``texts[k]``, of the object ``names[k]``.

    Attributes
    ----------
    names : tuple of str
        Dotted names in the order of the alphabet, such as "numpy.linalg.svd".
    texts : tuple of str
        Each text once, 200 to 20 000 characters.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]


class Usage(NamedTuple):
    """Which source files use which functions: implicit feedback, a 1 for each use and nothing for the rest.

    Attributes
    ----------
    uses : scipy.sparse.csr_array of float64, shape (files, functions)
    files : tuple of str
        A path in the folder of installed packages, such as "scipy/linalg/_basic.py".
    functions : tuple of str
        Dotted names of functions and classes of numpy and of the standard library.
    """

    uses: sparse.csr_array
    files: tuple[str, ...]
    functions: tuple[str, ...]


def docstrings() -> Docstrings:
    """Return the snapshot that tools/frozen/docstrings.py made."""
    table = _read("docstrings")
    return Docstrings(tuple(table["names"]), tuple(table["texts"]))


def usage() -> Usage:
    """Return the snapshot that tools/frozen/docstrings.py made."""
    table = _read("usage")
    columns = np.array([place for row in table["uses"] for place in row])
    starts = np.concatenate([[0], np.cumsum([len(row) for row in table["uses"]])])
    shape = (len(table["files"]), len(table["functions"]))
    uses = sparse.csr_array((np.ones(len(columns)), columns, starts), shape=shape)
    return Usage(uses, tuple(table["files"]), tuple(table["functions"]))


def _read(name: str) -> dict[str, Any]:
    packed = resources.files("lowrank_helpers").joinpath(f"data/tables/{name}.xz").read_bytes()
    table: dict[str, Any] = json.loads(lzma.decompress(packed))
    return table
