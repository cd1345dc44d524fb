"""Tables of ratings: generated, and as MovieLens publishes them."""

import io
import zipfile

import numpy as np
import pytest

from book.margins import close
from lowrank_helpers.datasets import load, ratings
from tests.package._matrices import rank_of
from tests.package.datasets._files import MADE


def test_generated_ratings_have_the_rank_they_claim():
    table = load("ratings")
    assert table.truth is not None and table.truth.shape == table.shape == (400, 300)
    assert rank_of(table.truth) == 5
    assert set(np.unique(table.ratings)) <= set(np.arange(0.5, 5.5, 0.5))
    error = table.ratings - np.clip(table.truth, 0.5, 5)[table.users, table.items]
    assert close(np.sqrt(np.mean(error**2)), 0.5, atol=0.1)
    assert np.bincount(table.users).min() >= 20
    _check_ratings(table)
    again = load("ratings")
    assert all(np.array_equal(a, b) for a, b in zip(table, again, strict=True))


def _check_ratings(table):
    """What holds for any rating table: no gaps, no pair twice, and the latest fifth of every user is held."""
    m, n = table.shape
    assert np.unique(table.users).tolist() == list(range(m)) and np.unique(table.items).tolist() == list(range(n))
    assert len(table.titles) == n == len(table.item_ids)
    assert np.unique(table.users * n + table.items).size == table.users.size
    assert all(len(column) == len(table.users) for column in table[:5])
    for user in range(m):
        mine = table.users == user
        held, kept = table.timestamps[mine & table.held], table.timestamps[mine & ~table.held]
        assert held.size == mine.sum() // 5
        assert not held.size or held.min() >= kept.max()


def test_held_breaks_ties_of_time_by_the_row():
    users, times = np.array([1, 0, 1, 1, 1, 1, 0]), np.array([7, 1, 7, 7, 7, 7, 0])
    assert ratings._latest_fifth(users, times).tolist() == [False, False, False, False, False, True, False]


@pytest.mark.parametrize(
    ("name", "member", "separator", "first_row"),
    [
        ("ratings", "ml-latest-small/ratings.csv", ",", 1),
        ("ml-100k", "ml-100k/u.data", "\t", 0),
        ("ml-1m", "ml-1m/ratings.dat", "::", 0),
    ],
)
def test_movielens(published, name, member, separator, first_row):
    content, real = published(name)
    table = load(name, online=True)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        lines = file.read(member).decode().splitlines()[first_row:]
    rows = np.array([line.split(separator) for line in lines], dtype=float)
    assert np.array_equal(table.user_ids[table.users], rows[:, 0])
    assert np.array_equal(table.item_ids[table.items], rows[:, 1])
    assert np.array_equal(table.ratings, rows[:, 2]) and np.array_equal(table.timestamps, rows[:, 3])
    assert table.truth is None
    sizes = {"ratings": (610, 9724, 100_836), "ml-100k": (943, 1682, 100_000), "ml-1m": (6040, 3706, 1_000_209)}
    assert (*table.shape, len(lines)) == (sizes[name] if real else (2, 5, 10))
    if not real or name == "ratings":
        _check_ratings(table)


def test_titles_follow_their_items(published):
    _, real = published("ratings")
    table = load("ratings", online=True)
    if real:
        expected = {1: "Toy Story (1995)", 50: "Usual Suspects, The (1995)", 2959: "Fight Club (1999)"}
    else:
        expected = {20: "No. 20, The", 80: "No. 80, The"}
    assert {number: table.titles[table.item_ids.tolist().index(number)] for number in expected} == expected


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_titles_are_latin_1(name):
    reader = {"ml-100k": ratings.movielens_100k, "ml-1m": ratings.movielens_1m}[name]
    assert reader(MADE[name]()).titles[0].startswith("Misérables")
