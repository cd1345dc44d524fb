"""Rating tables: the MovieLens files, and a generated table whose rank is known."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowrank_helpers.datasets._download import members

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Ratings(NamedTuple):
    """Ratings as a list: the k-th is what user ``users[k]`` gave to item ``items[k]``.

    Attributes
    ----------
    users, items : ndarray of int64, shape (N,)
        Row and column of each rating, counted from 0 without gaps.
    ratings : ndarray of float64, shape (N,)
        Stars.
    timestamps : ndarray of int64, shape (N,)
        Seconds since 1970-01-01 UTC.
    held : ndarray of bool, shape (N,)
        True for the ratings to hold out: of each user the latest fifth, rounded down. So no user's later rating
        helps to predict an earlier one; for a test without other users' later ratings too, cut `timestamps`.
    user_ids, item_ids : ndarray of int64
        The publisher's number of each row and of each column.
    titles : tuple of str
        The title of each column.
    truth : ndarray of float64, shape (m, n), or None
        Of a generated table, the matrix of low rank behind the ratings.
    """

    users: IntArray
    items: IntArray
    ratings: FloatArray
    timestamps: IntArray
    held: NDArray[np.bool_]
    user_ids: IntArray
    item_ids: IntArray
    titles: tuple[str, ...]
    truth: FloatArray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of users and of items."""
        return len(self.user_ids), len(self.item_ids)


def movielens_latest(archive: bytes) -> Ratings:
    """Read ml-latest-small.zip."""
    table, movies = members(archive, "ml-latest-small/ratings.csv", "ml-latest-small/movies.csv")
    titles = {int(row[0]): row[1] for row in list(csv.reader(io.StringIO(movies.decode("utf-8"))))[1:]}
    return _movielens(np.loadtxt(io.BytesIO(table), delimiter=",", skiprows=1, ndmin=2), titles)


def movielens_100k(archive: bytes) -> Ratings:
    """Read ml-100k.zip."""
    table, movies = members(archive, "ml-100k/u.data", "ml-100k/u.item")
    rows = (line.split("|") for line in movies.decode("latin-1").splitlines())
    return _movielens(np.loadtxt(io.BytesIO(table), ndmin=2), {int(row[0]): row[1] for row in rows})


def movielens_1m(archive: bytes) -> Ratings:
    """Read ml-1m.zip."""
    table, movies = members(archive, "ml-1m/ratings.dat", "ml-1m/movies.dat")
    rows = (line.split("::") for line in movies.decode("latin-1").splitlines())
    table = table.replace(b"::", b",")
    return _movielens(np.loadtxt(io.BytesIO(table), delimiter=",", ndmin=2), {int(row[0]): row[1] for row in rows})


def _movielens(table: FloatArray, titles: dict[int, str]) -> Ratings:
    """Number the users and the items that occur, from 0; the columns are user, item, rating, time."""
    user_ids, users = np.unique(table[:, 0].astype(np.int64), return_inverse=True)
    item_ids, items = np.unique(table[:, 1].astype(np.int64), return_inverse=True)
    timestamps = table[:, 3].astype(np.int64)
    return Ratings(
        users,
        items,
        table[:, 2].copy(),
        timestamps,
        _latest_fifth(users, timestamps),
        user_ids,
        item_ids,
        tuple(titles[number] for number in item_ids.tolist()),
    )


def _latest_fifth(users: IntArray, timestamps: IntArray) -> NDArray[np.bool_]:
    """Mark the latest fifth of each user's ratings, rounded down; of equal times the later row is the later."""
    order = np.lexsort((timestamps, users))
    counts = np.bincount(users)
    place = np.arange(users.size) - np.repeat(np.cumsum(counts) - counts, counts)
    held = np.zeros(users.size, dtype=bool)
    held[order] = place >= np.repeat(counts - counts // 5, counts)
    return held


def generated_ratings(m: int = 400, n: int = 300, factors: int = 3) -> Ratings:
    """Draw a rating table: biases and tastes of rank 2 + `factors`, seen through noise, half stars and popularity.

    User u would give item i the rating truth[u, i] = 3.5 + b[u] + c[i] + P[u] @ Q[i]; noise of standard deviation
    0.5 is added, the sum is rounded to half stars and clipped to 0.5 … 5. Good items are rated more often.
    """
    rng = np.random.default_rng(1997)
    b, c = rng.normal(0, 0.4, (m, 1)), rng.normal(0, 0.5, n)
    P, Q = rng.normal(0, 0.7 / np.sqrt(factors), (m, factors)), rng.normal(0, 1.0, (n, factors))
    truth = 3.5 + b + c + P @ Q.T

    appeal = rng.gumbel(size=(m, n)) + c + rng.normal(0, 0.7, n)  # the largest of a row: a draw without replacement
    counts = np.minimum(20 + rng.geometric(1 / 25, m), n // 2)
    seen = np.argsort(np.argsort(-appeal, axis=1), axis=1) < counts[:, np.newaxis]
    users, items = np.nonzero(seen)
    stars = truth[seen] + rng.normal(0, 0.5, users.size)

    year = 365 * 86400
    joined = rng.integers(1_500_000_000, 1_500_000_000 + 3 * year, m)
    timestamps = joined[users] + rng.integers(0, year // 4, users.size)
    order = np.lexsort((timestamps, users))
    users, items, timestamps, stars = users[order], items[order], timestamps[order], stars[order]
    return Ratings(
        users,
        items,
        np.clip(np.round(2 * stars) / 2, 0.5, 5.0),
        timestamps,
        _latest_fifth(users, timestamps),
        np.arange(m),
        np.arange(n),
        tuple(f"item {i}" for i in range(n)),
        truth,
    )
