"""The snapshots of docstrings and of who uses what."""

from lowrank_helpers.datasets import load


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
