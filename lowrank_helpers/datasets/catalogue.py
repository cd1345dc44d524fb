"""The datasets by name: what `load` knows, offline and online."""

from __future__ import annotations

from importlib import resources
from typing import Any, Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from lowrank_helpers import _checks
from lowrank_helpers.datasets import docstrings, ratings, texts
from lowrank_helpers.datasets._download import Source, fetch
from lowrank_helpers.datasets.docstrings import Docstrings, Usage
from lowrank_helpers.datasets.ratings import Ratings
from lowrank_helpers.datasets.texts import Intents

FloatArray: TypeAlias = NDArray[np.float64]

OFFLINE_ONLY = (
    "china",
    "flower",
    "digits",
    "wine",
    "breast_cancer",
    "diabetes",
    "karate",
    "elnino",
    "docstrings",
    "usage",
    "requests",
)

SOURCES = {
    "ratings": Source(
        "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip",
        "ml-latest-small",
        978_202,
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    ),
    "ml-100k": Source(
        "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
        "ml-100k",
        4_924_029,
        "md5:0e33842e24a9c977be4e0107933c0723",
    ),
    "ml-1m": Source(
        "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        "ml-1m",
        5_917_549,
        "md5:c4d9eecfca2ab87c1945afe126590906",
    ),
    "shakespeare": Source(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "tinyshakespeare",
        1_115_394,
        "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "intents": Source(
        "https://raw.githubusercontent.com/clinc/oos-eval/828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json",
        "clinc150",
        2_495_390,
        "sha256:36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
    ),
}

# Zachary (1977): for each member, counted from 1, those with a higher number whom they met outside the club.
KARATE_TIES = {
    1: (2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 18, 20, 22, 32),
    2: (3, 4, 8, 14, 18, 20, 22, 31),
    3: (4, 8, 9, 10, 14, 28, 29, 33),
    4: (8, 13, 14),
    5: (7, 11),
    6: (7, 11, 17),
    7: (17,),
    9: (31, 33, 34),
    10: (34,),
    14: (34,),
    15: (33, 34),
    16: (33, 34),
    19: (33, 34),
    20: (34,),
    21: (33, 34),
    23: (33, 34),
    24: (26, 28, 30, 33, 34),
    25: (26, 28, 32),
    26: (32,),
    27: (30, 34),
    28: (34,),
    29: (32, 34),
    30: (33, 34),
    31: (33, 34),
    32: (33, 34),
    33: (34,),
}

KARATE_OFFICERS = (10, 15, 16, 19, 21, *range(23, 35))  # the members of the officers' club after the split


class Table(NamedTuple):
    """A data matrix X with one sample a row, y to be told from it, and the names of columns and classes."""

    X: FloatArray
    y: NDArray[Any]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]


class Graph(NamedTuple):
    """An undirected graph as its symmetric 0/1 adjacency matrix, and a label for each vertex."""

    adjacency: FloatArray
    labels: NDArray[np.int64]


@overload
def load(
    name: Literal["china", "flower"], *, online: bool = False, base_url: str | None = None
) -> NDArray[np.uint8]: ...
@overload
def load(
    name: Literal["digits", "wine", "breast_cancer", "diabetes", "elnino"],
    *,
    online: bool = False,
    base_url: str | None = None,
) -> Table: ...
@overload
def load(name: Literal["karate"], *, online: bool = False, base_url: str | None = None) -> Graph: ...
@overload
def load(
    name: Literal["ratings", "ml-100k", "ml-1m"], *, online: bool = False, base_url: str | None = None
) -> Ratings: ...
@overload
def load(name: Literal["shakespeare"], *, online: bool = False, base_url: str | None = None) -> str: ...
@overload
def load(name: Literal["intents", "requests"], *, online: bool = False, base_url: str | None = None) -> Intents: ...
@overload
def load(name: Literal["docstrings"], *, online: bool = False, base_url: str | None = None) -> Docstrings: ...
@overload
def load(name: Literal["usage"], *, online: bool = False, base_url: str | None = None) -> Usage: ...
def load(
    name: str, *, online: bool = False, base_url: str | None = None
) -> NDArray[np.uint8] | Table | Graph | Ratings | str | Intents | Docstrings | Usage:
    """Return a dataset by its name: offline at once, or the published file if `online` is True.

    Parameters
    ----------
    name : str
        - "china", "flower": colour photographs, uint8, shape (427, 640, 3), from scikit-learn;
        - "digits", "wine", "breast_cancer", "diabetes": a Table(X, y, feature_names, target_names) from
          scikit-learn; those of "diabetes" in their own units, with no target_names;
        - "elnino": a Table of 61 years, 1950 to 2010, by 12 months: the temperature of the sea off Peru in °C, with y
          the year and no target_names; it comes with this package;
        - "karate": Zachary's karate club, a Graph(adjacency, labels) of 34 members; label 1 went with the officers;
        - "docstrings": Docstrings(names, texts), what numpy, scipy, scikit-learn and matplotlib say of 5283 functions,
          classes and methods; a snapshot that comes with this package;
        - "usage": Usage(uses, files, functions), which of 3901 source files use which of 1264 functions, as a sparse
          matrix of ones; a snapshot too;
        - "requests": Intents, 600 requests to an assistant of thirty intents of CLINC150, 16 of each to train on and 4
          to test; it comes with this package;
        - "ratings": Ratings; offline a generated table of rank 5, online MovieLens Latest Small;
        - "ml-100k", "ml-1m": Ratings, MovieLens 100K and 1M, online only;
        - "shakespeare": a str; offline the prose of Python's reference manual, online Tiny Shakespeare;
        - "intents": Intents(texts, labels, domains, split); offline paragraphs of the same manual, online CLINC150.
    online : bool
        Fetch the published file: from the cache, else over the network. It is verified every time, by size and by the
        publisher's digest, before anything is read from it. The cache is the folder that the environment variable
        LOWRANK_DATA names, or the user's cache folder; a cache that holds the file may be read-only.
    base_url : str, optional
        The web address of a folder to download from where the publisher is out of reach; the file's name is appended.

    Returns
    -------
    ndarray, Table, Graph, Ratings, str, Intents, Docstrings or Usage
        New arrays each time: change them as you like.

    Raises
    ------
    ValueError
        If there is no such name, or not online (or offline); if the file is not the published one: then the message
        names both digests, and nothing is kept.
    OSError
        If the file is not in the cache and cannot be downloaded (ConnectionError), or not stored. The message says
        how to put it there by hand.

    Examples
    --------
    >>> adjacency, labels = load("karate")
    >>> int(adjacency.sum()) // 2, labels.sum().item()
    (78, 17)
    >>> load("wine").X.shape
    (178, 13)
    """
    _checks.choice(name, (*OFFLINE_ONLY, *SOURCES), "name")
    if base_url is not None:
        _checks.text(base_url, "base_url")
    if _checks.flag(online, "online"):
        return _online(name, base_url)
    if base_url is not None:
        raise _checks.invalid("base_url says where to download from; got it with online=False. Add online=True.")
    match name:
        case "china" | "flower":
            return _photograph(name)
        case "karate":
            return _karate()
        case "elnino":
            return _elnino()
        case "ratings":
            return ratings.generated_ratings()
        case "ml-100k" | "ml-1m":
            raise _checks.invalid(
                f"{name!r} is online only, as its licence forbids redistribution; got online=False. "
                "Add online=True, or load 'ratings', which has an offline default."
            )
        case "shakespeare":
            return texts.manual_prose()
        case "intents":
            return texts.manual_intents()
        case "docstrings":
            return docstrings.docstrings()
        case "usage":
            return docstrings.usage()
        case "requests":
            return texts.clinc150_sample()
        case _:
            return _table(name)


def _online(name: str, base_url: str | None) -> Ratings | str | Intents:
    if name in OFFLINE_ONLY:
        raise _checks.invalid(
            f"{name!r} comes with the installed packages and is offline only; got online=True. "
            f"Leave it out. Online are {', '.join(map(repr, SOURCES))}."
        )
    content = fetch(SOURCES[name], base_url)
    match name:
        case "ratings":
            return ratings.movielens_latest(content)
        case "ml-100k":
            return ratings.movielens_100k(content)
        case "ml-1m":
            return ratings.movielens_1m(content)
        case "intents":
            return texts.clinc150(content)
        case _:
            return content.decode("ascii")


def _photograph(name: str) -> NDArray[np.uint8]:
    from sklearn.datasets import load_sample_image

    return np.array(load_sample_image(f"{name}.jpg"), dtype=np.uint8)


def _table(name: str) -> Table:
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    return Table(
        np.array(bunch.data, dtype=np.float64),
        np.array(bunch.target),
        tuple(map(str, bunch.feature_names)),
        tuple(map(str, bunch.get("target_names", ()))),
    )


def _elnino() -> Table:
    text = resources.files("lowrank_helpers").joinpath("data/tables/elnino.csv").read_text("utf-8")
    names, *rows = [line.split(",") for line in text.split()]
    values = np.array(rows, dtype=np.float64)
    return Table(values[:, 1:], values[:, 0].astype(np.int64), tuple(name.strip('"') for name in names[1:]), ())


def _karate() -> Graph:
    adjacency = np.zeros((34, 34))
    for member, others in KARATE_TIES.items():
        for other in others:
            adjacency[member - 1, other - 1] = adjacency[other - 1, member - 1] = 1.0
    labels = np.zeros(34, dtype=np.int64)
    labels[np.array(KARATE_OFFICERS) - 1] = 1
    return Graph(adjacency, labels)


def gray(image: NDArray[np.uint8]) -> FloatArray:
    """Return a colour photograph in shades of grey: 0 is black, 1 is white.

    Each pixel becomes its luma 0.2126 R' + 0.7152 G' + 0.0722 B' (ITU-R Recommendation BT.709-6, item 3.2), the
    weighted mean of the stored, gamma-encoded values.

    Parameters
    ----------
    image : ndarray of uint8, shape (m, n, 3)
        Red, green and blue.

    Returns
    -------
    ndarray of float64, shape (m, n)

    Raises
    ------
    TypeError
        If the entries are not uint8.
    ValueError
        If the shape is not (m, n, 3), or there is no pixel.

    Examples
    --------
    >>> gray(np.array([[[0, 0, 0], [255, 255, 255], [0, 255, 0]]], dtype=np.uint8))
    array([[0.    , 1.    , 0.7152]])
    """
    image = _checks.image(image, color=True)
    red, green, blue = np.moveaxis(image.astype(np.int64), 2, 0)
    luma: FloatArray = (2126 * red + 7152 * green + 722 * blue) / 2_550_000  # whole numbers: white is exactly 1
    return luma
