"""What `load` knows, and what it refuses."""

import numpy as np
import pytest

from book.margins import close
from lowrank_helpers.datasets import gray, load, low_rank, with_spectrum
from lowrank_helpers.datasets.catalogue import OFFLINE_ONLY, SOURCES
from tests import ROOT


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


@pytest.mark.parametrize("name", list(OFFLINE_ONLY))
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


def test_the_data_page_lists_every_dataset():
    page = (ROOT / "data.md").read_text("utf-8")
    for name in (*OFFLINE_ONLY, *SOURCES):
        assert f"`{name}`" in page
    for source in SOURCES.values():
        digest = source.digest.split(":")[1]
        size = f"{source.size:,}".replace(",", " ")
        algorithm, path = source.digest.split(":")[0], f"{source.folder}/{source.filename}"
        entry = f"address  {source.address}\nsize     {size} bytes\n{algorithm:8} {digest}\ncache    {path}\n"
        assert entry in page


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
