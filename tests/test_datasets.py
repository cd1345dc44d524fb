"""The data loader: offline defaults, arguments, the published files, and the generators (the transport: test_download).

The published files are read from the folder that LOWRANK_DATA names. Where it is unset, or does not hold one, the same
test runs on a small file of the same format that it makes.
"""

import collections
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_helpers import _ratings, datasets
from lowrank_helpers.datasets import SOURCES, gray, load, low_rank, with_spectrum
from tests._matrices import PROPERTY, rank_of, tolerance
from tests.margins import above, close

ROOT = Path(__file__).resolve().parent.parent


# --- offline -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["china", "flower"])
def test_photographs_are_uint8_colour_and_the_caller_s_own(name):
    image = load(name)
    assert image.shape == (427, 640, 3) and image.dtype == np.uint8
    image[:] = 0
    assert load(name).any()


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("digits", (1797, 64), 10), ("wine", (178, 13), 3), ("breast_cancer", (569, 30), 2), ("diabetes", (442, 10), 0)],
)
def test_tables(name, shape, classes):
    X, y, feature_names, target_names = load(name)
    assert X.shape == shape and X.dtype == np.float64 and y.shape == shape[:1]
    assert len(feature_names) == shape[1] and len(target_names) == classes
    if classes:
        assert np.unique(y).tolist() == list(range(classes))


def test_diabetes_is_in_its_own_units():
    X, _, feature_names, _ = load("diabetes")
    age = X[:, feature_names.index("age")]
    assert (age == np.round(age)).all() and age.min() == 19 and age.max() == 79


def test_karate_is_zachary_s_club():
    adjacency, labels = load("karate")
    assert adjacency.shape == (34, 34) and adjacency.dtype == np.float64
    assert (adjacency == adjacency.T).all() and not np.diag(adjacency).any()
    assert set(np.unique(adjacency)) == {0.0, 1.0}
    assert adjacency.sum() / 2 == 78
    assert np.trace(adjacency @ adjacency @ adjacency) / 6 == 45  # triangles
    degree = [16, 9, 10, 6, 3, 4, 4, 4, 5, 2, 3, 1, 2, 5, 2, 2, 2, 2, 2, 3, 2, 2, 2, 5, 3, 3, 2, 4, 3, 4, 4, 6, 12, 17]
    assert adjacency.sum(axis=1).tolist() == degree
    assert labels[[0, 8, 33]].tolist() == [0, 0, 1] and labels.sum() == 17  # the 9th went with the instructor


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
    assert _ratings._latest_fifth(users, times).tolist() == [False, False, False, False, False, True, False]


def test_offline_prose_has_no_paragraph_twice():
    text = load("shakespeare")
    paragraphs = text.rstrip("\n").split("\n\n")
    assert len(text) > 100_000 and len(paragraphs) == len(set(paragraphs))
    assert text == load("shakespeare")


def test_offline_intents_are_labelled_and_split():
    texts, labels, domains, split = load("intents")
    assert len(texts) == len(set(texts)) == labels.size == domains.size == split.size > 300
    counts = collections.Counter(zip(labels.tolist(), split.tolist(), strict=True))
    assert all(counts[label, part] for label in set(labels.tolist()) for part in ("train", "val", "test"))
    assert len({*zip(labels.tolist(), domains.tolist(), strict=True)}) == len(set(labels.tolist()))


# --- arguments ---------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"name must be one of 'china'.*'intents'; got 'iris'"):
        load("iris")
    with pytest.raises(TypeError, match="name must be one of"):
        load(3)


def test_elnino_is_the_published_table():
    X, years, months, classes = load("elnino")
    assert X.shape == (61, 12) and classes == () and months[0] == "JAN" and months[-1] == "DEC"
    assert years.tolist() == list(range(1950, 2011))
    assert X[0, 0] == 23.11 and X[-1, -1] == 22.07 and np.isfinite(X).all()
    assert X[years == 1997, 11] == X[:, 11].max()  # the strongest El Niño of the century


def test_docstrings_are_named_once_and_are_those_of_the_snapshot():
    names, texts = load("docstrings")
    assert len(names) == len(set(names)) == len(texts) == len(set(texts)) == 5283
    assert list(names) == sorted(names)
    assert all(200 <= len(text) <= 20_000 for text in texts)
    assert texts[names.index("numpy.linalg.svd")].startswith("Singular Value Decomposition.")


def test_usage_has_a_one_for_each_use():
    uses, files, functions = load("usage")
    assert uses.shape == (len(files), len(functions)) == (3901, 1264)
    assert uses.nnz == 54_168 and set(uses.data) == {1.0} and uses.has_canonical_format
    assert min(uses.sum(axis=0)) >= 5 and min(uses.sum(axis=1)) >= 5
    row = uses[[files.index("scipy/linalg/_basic.py")]]
    assert row[0, functions.index("numpy.zeros")] == 1 and row[0, functions.index("os.path.join")] == 0


@pytest.mark.parametrize("name", list(datasets.OFFLINE_ONLY))
def test_offline_only_names_refuse_online(name):
    with pytest.raises(ValueError, match=f"'{name}' comes with the installed packages and is offline only"):
        load(name, online=True)


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m"])
def test_online_only_names_refuse_offline(name):
    with pytest.raises(ValueError, match="online only, as its licence forbids redistribution"):
        load(name)


def test_misused_options():
    with pytest.raises(ValueError, match="base_url says where to download from; got it with online=False"):
        load("ratings", base_url="https://example.org")
    with pytest.raises(ValueError, match=r"base_url must start with https:// or http://; got 'ftp://example.org'"):
        load("ratings", online=True, base_url="ftp://example.org")
    with pytest.raises(TypeError, match="online must be True or False"):
        load("ratings", online="yes")


# --- the published files, or small ones of the same format -------------------------------------------------------


def _zip(**contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return buffer.getvalue()


def _latest_small():
    return _zip(
        **{
            "ml-latest-small/ratings.csv": b"userId,movieId,rating,timestamp\r\n"
            + b"".join(b"%d,%d,%d.5,%d\r\n" % (u, 10 * i, (u + i) % 5, 9 - i) for u in (1, 7) for i in (2, 4, 5, 6, 8)),
            "ml-latest-small/movies.csv": b"movieId,title,genres\r\n"
            + b"".join(b'%d,"No. %d, The",Drama\r\n' % (i, i) for i in range(10, 100, 10)),
        }
    )


def _100k():
    rows = "".join(f"{u}\t{i}\t{1 + (u * i) % 5}\t{u + i}\n" for u in (3, 4) for i in (9, 8, 5, 6, 7))
    films = "".join(f"{i}|Misérables {i} (1995)|01-Jan-1995||http://x|0|1\n" for i in range(1, 10))
    return _zip(**{"ml-100k/u.data": rows.encode(), "ml-100k/u.item": films.encode("latin-1")})


def _1m():
    rows = "".join(f"{u}::{i}::{1 + (u * i) % 5}::{u + i}\n" for u in (3, 4) for i in (9, 8, 5, 6, 7))
    films = "".join(f"{i}::Misérables, Les {i} (1995)::Drama\n" for i in range(1, 10))
    return _zip(**{"ml-1m/ratings.dat": rows.encode(), "ml-1m/movies.dat": films.encode("latin-1")})


def _intents():
    pairs = [["what is my balance", "balance"], ["book me a table", "restaurant_reservation"]]
    return json.dumps({"oos_val": [["who won", "oos"]], "train": pairs, "test": pairs[:1], "val": pairs[1:]}).encode()


MADE = {
    "ratings": _latest_small,
    "ml-100k": _100k,
    "ml-1m": _1m,
    "shakespeare": lambda: b"First Citizen:\nBefore we proceed any further, hear me speak.\n",
    "intents": _intents,
}


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Put a small file in a cache of its own unless LOWRANK_DATA holds the real one; return (content, real)."""

    def prepare(name):
        source = SOURCES[name]
        real = Path(os.environ.get("LOWRANK_DATA") or tmp_path / "nowhere") / source.folder / source.filename
        if real.is_file():
            return real.read_bytes(), True
        content = MADE[name]()
        algorithm = source.digest.split(":")[0]
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        monkeypatch.setitem(SOURCES, name, source._replace(size=len(content), digest=digest))
        monkeypatch.setenv("LOWRANK_DATA", str(tmp_path))
        path = tmp_path / source.folder / source.filename
        path.parent.mkdir()
        path.write_bytes(content)
        return content, False

    return prepare


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
    reader = {"ml-100k": _ratings.movielens_100k, "ml-1m": _ratings.movielens_1m}[name]
    assert reader(MADE[name]()).titles[0].startswith("Misérables")


def test_shakespeare(published):
    content, real = published("shakespeare")
    text = load("shakespeare", online=True)
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")
    assert len(text) == len(content) == (1_115_394 if real else len(content))


def test_intents(published):
    content, real = published("intents")
    texts, labels, domains, split = load("intents", online=True)
    raw = json.loads(content)
    assert sorted(zip(texts, labels.tolist(), strict=True)) == sorted((t, c) for rows in raw.values() for t, c in rows)
    counts = {part: len(raw[part]) + len(raw.get(f"oos_{part}", [])) for part in ("train", "val", "test")}
    assert collections.Counter(split.tolist()) == counts
    assert (domains[labels == "balance"] == "banking").all() and (domains[labels == "oos"] == "oos").all()
    assert ((domains == "oos") == (labels == "oos")).all()
    if real:
        assert (len(texts), len(set(labels.tolist())), len(set(domains.tolist()))) == (23_700, 151, 11)


def test_domains_have_fifteen_intents_each():
    names = json.loads((ROOT / "lowrank_helpers" / "data" / "tables" / "clinc150_domains.json").read_text("utf-8"))
    assert len(names) == 10 and all(len(set(labels)) == 15 for labels in names.values())
    assert len(set().union(*names.values())) == 150


def test_the_data_page_lists_every_dataset():
    page = (ROOT / "data.md").read_text("utf-8")
    for name in (*datasets.OFFLINE_ONLY, *SOURCES):
        assert f"`{name}`" in page
    for source in SOURCES.values():
        digest = source.digest.split(":")[1]
        size = f"{source.size:,}".replace(",", " ")
        algorithm, path = source.digest.split(":")[0], f"{source.folder}/{source.filename}"
        entry = f"address  {source.address}\nsize     {size} bytes\n{algorithm:8} {digest}\ncache    {path}\n"
        assert entry in page


# --- matrices of known rank --------------------------------------------------------------------------------------

SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 30), st.integers(0, 2**32))


@settings(PROPERTY, max_examples=60)
@given(SHAPES)
def test_low_rank_has_its_rank(case):
    m, n, rank, seed = case
    rank = min(rank, m, n)
    A = low_rank(m, n, rank, rng=seed)
    assert A.shape == (m, n) and A.dtype == np.float64
    s = np.linalg.svd(A, compute_uv=False)
    assert above(s, tolerance(A)).sum() == rank


def test_low_rank_has_entries_of_variance_one_at_every_rank():
    for rank in (1, 5, 50):
        entries = np.concatenate([low_rank(200, 50, rank, rng=seed).ravel() for seed in range(400)])
        assert close(entries.mean(), 0, atol=0.05) and close(entries.var(), 1, atol=0.1)


def test_noise_lies_on_top_of_the_same_matrix():
    clean, noisy, noisier = (low_rank(300, 200, 3, noise=noise, rng=5) for noise in (0, 0.1, 0.2))
    assert close((noisy - clean).std(), 0.1, atol=0.002)
    assert close(noisier - clean, 2 * (noisy - clean), atol=1e-13)


@settings(PROPERTY, max_examples=60)
@given(SHAPES, st.lists(st.sampled_from([0.0, 1e-3, 1.0, 1.0, 7.5]), min_size=1, max_size=30))
def test_with_spectrum_has_its_singular_values(case, values):
    m, n, _, seed = case
    s = np.sort(values[: min(m, n)])[::-1]
    A = with_spectrum(s, m, n, rng=seed)
    expected = np.zeros(min(m, n))
    expected[: s.size] = s
    assert A.shape == (m, n)
    assert close(np.linalg.svd(A, compute_uv=False), expected, atol=tolerance(A))


def test_factors_are_uniform_on_the_sphere_and_have_no_preferred_sign():
    generator = np.random.default_rng(0)
    U = np.array([datasets._orthonormal(3, 2, generator) for _ in range(16_000)])
    assert close(U.mean(axis=0), 0, atol=0.05)
    assert close((U**2).mean(axis=0), 1 / 3, atol=0.03)
    raw = np.array([np.linalg.qr(generator.standard_normal((3, 2)))[0] for _ in range(4000)])
    assert not close(raw.mean(axis=0), 0, atol=0.05), "LAPACK's signs: the first entry is negative"


@pytest.mark.parametrize(
    "make", [lambda rng: low_rank(4, 3, 2, rng=rng), lambda rng: with_spectrum([1], 4, 3, rng=rng)]
)
def test_the_seed_decides_and_nothing_global_is_touched(make):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(make(3), make(3)) and not np.array_equal(make(3), make(4))
    generator = np.random.default_rng(3)
    assert np.array_equal(make(generator), make(3)) and not np.array_equal(make(generator), make(3))
    assert not np.array_equal(make(None), make(None))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: low_rank(4, 3, 4),
            ValueError,
            r"low_rank: rank must be between 0 and min\(m, n\) = 3; got 4 for shape",
        ),
        (lambda: low_rank(4, 3, 1.0), TypeError, "low_rank: rank must be an integer; got 1.0"),
        (lambda: low_rank(0, 3, 0), ValueError, "low_rank: m must be at least 1; got 0"),
        (lambda: low_rank(4, 3, 1, noise=-1), ValueError, "low_rank: noise must be .*at least 0"),
        (
            lambda: low_rank(4, 3, 1, rng=np.random),
            TypeError,
            "low_rank: rng must be None, an int or a numpy Generator",
        ),
        (
            lambda: with_spectrum([3, 2, 1], 2, 5),
            ValueError,
            r"at most min\(m, n\) = 2 values; got 3 for shape \(2, 5\)",
        ),
        (lambda: with_spectrum([1, 2], 4, 4), ValueError, "with_spectrum: s must be in descending order"),
        (lambda: with_spectrum([1, -2], 4, 4), ValueError, "with_spectrum: s must be non-negative"),
        (lambda: gray(np.zeros((2, 2, 3))), TypeError, "gray: image must be uint8.*got float64"),
        (
            lambda: gray(np.zeros((2, 2), np.uint8)),
            ValueError,
            r"gray: image must have shape \(m, n, 3\).*got \(2, 2\)",
        ),
        (lambda: gray(np.zeros((2, 2, 4), np.uint8)), ValueError, r"gray: image must have shape \(m, n, 3\)"),
    ],
)
def test_misuse_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_gray_weighs_the_channels():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
    assert close(gray(colours), [[0.2126, 0.7152, 0.0722, 1.0]], atol=1e-14)
    image = load("china")
    assert gray(image).shape == (427, 640)
    assert close(gray(image), image @ [0.2126, 0.7152, 0.0722] / 255, atol=1e-14)
