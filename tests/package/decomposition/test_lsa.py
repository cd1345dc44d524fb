"""LSA: scikit-learn and ARPACK as oracles, folding in, sparse and dense alike, wrong variants, and each misuse."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.peers import lsa as benchmark
from book.margins import close, within
from lowrank_helpers import datasets
from lowrank_helpers.decomposition import LatentSpace, fold_in, lsa
from tests.package._matrices import PROPERTY, eps, orthonormal

DENSE = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]])


def corpus():
    texts = datasets.load("intents").texts[:400]
    vectoriser = TfidfVectorizer()
    return vectoriser, vectoriser.fit_transform(texts)


def is_lsa(X, space, constant=50.0):
    """Orthogonal documents U diag(s), orthonormal directions, each document at its projection."""
    A = X.toarray() if scipy.sparse.issparse(X) else X
    documents, s, Vt = space
    bound = constant * eps(s) * max(A.shape) * s[0]
    return (
        (documents.shape, Vt.shape) == ((A.shape[0], len(s)), (len(s), A.shape[1]))
        and orthonormal(Vt.T, constant)
        and close(documents.T @ documents, np.diag(s**2), atol=bound * s[0])
        and close(documents, A @ Vt.T, atol=bound)
    )


# ------------------------------------------------------------------------------------------------------------- oracle


def test_lsa_agrees_with_arpack_and_loses_no_more_energy_than_scikit_learn():
    _, X = corpus()
    space = lsa(X, 20, rng=0)
    s = svds(X, 20, return_singular_vectors=False, v0=np.ones(min(X.shape)))
    assert is_lsa(X, space)
    assert close(space.s, np.sort(s)[::-1], atol=1e-6 * s.max())  # what 16 blocks of 10 leave: the gaps are small
    theirs = TruncatedSVD(20, random_state=0).fit(X)
    kept = (theirs.transform(X) ** 2).sum()
    assert within(kept - (space.s**2).sum(), 1e-12 * kept)


@PROPERTY
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_lsa_is_the_truncated_svd(m, n, rank, seed, single):
    rank = min(rank, m, n)
    generator = np.random.default_rng(seed)
    X = np.where(generator.random((m, n)) < 0.3, generator.uniform(0.1, 1, (m, n)), 0)
    X = scipy.sparse.csr_array(X.astype(np.float32 if single else np.float64))
    if X.nnz == 0:
        return
    before = X.copy()
    space = lsa(X, rank, rng=seed)
    s = np.linalg.svd(X.toarray().astype(float), compute_uv=False)
    bound = 50 * eps(X.data) * max(m, n) * s[0]
    assert is_lsa(X, space) and space.documents.dtype == space.s.dtype == space.Vt.dtype == X.dtype
    assert close(space.s, s[:rank], atol=bound)  # the Krylov space is the whole one here
    assert close(fold_in(space, X), space.documents, atol=bound)
    assert close(lsa(X.toarray(), rank, rng=seed).s, space.s, atol=bound)
    assert np.array_equal(X.toarray(), before.toarray())


def test_every_kind_of_sparse_matrix_gives_the_same():
    exact = np.linalg.svd(DENSE, compute_uv=False)[:2]
    for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia"):
        for X in (scipy.sparse.csr_array(DENSE).asformat(kind), scipy.sparse.csr_matrix(DENSE).asformat(kind)):
            assert close(lsa(X, 2, rng=0).s, exact, atol=1e-14)
    assert close(lsa(scipy.sparse.csr_array(DENSE.astype(int)), 2, rng=0).s, exact, atol=1e-14)
    doubled = scipy.sparse.coo_array(([1.0, 1.0], ([0, 0], [1, 1])), shape=(2, 3))  # 2 in one place
    assert close(lsa(doubled, 1, rng=0).s, [2.0], atol=1e-14)


def test_the_same_seed_gives_the_same_space_and_no_global_state_is_touched():
    _, X = corpus()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = lsa(X, 5, rng=3), lsa(X, 5, rng=np.random.default_rng(3))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert (first.Vt.max(axis=1) >= -first.Vt.min(axis=1)).all()


# --------------------------------------------------------------------------------------------------------- folding in


def test_a_query_finds_the_document_that_shares_no_word_with_it():
    space = lsa(DENSE, 2, rng=0)
    query = np.array([[1.0, 0.0, 0.0, 0.0]])  # shares its word with the first document alone
    near = (fold_in(space, query) @ space.documents.T)[0]
    assert near[1] > 0.1 > abs(near[2]) and (query @ DENSE.T)[0, 1] == 0
    assert not space.documents[3].any() and not fold_in(space, scipy.sparse.csr_array((1, 4))).any()


def test_folding_in_is_linear_and_no_new_svd():
    vectoriser, X = corpus()
    space = lsa(X, 10, rng=0)
    new = vectoriser.transform(["import the module again", "a string in a loop"])
    places = fold_in(space, new)
    assert close(places, new.toarray() @ space.Vt.T, atol=1e-14)
    assert close(fold_in(space, 2 * new[:1] + new[1:]), 2 * places[:1] + places[1:], atol=1e-13)


def test_check_rejects_what_is_often_written():
    _, X = corpus()
    documents, s, Vt = lsa(X, 10, rng=0)
    assert is_lsa(X, (documents, s, Vt))
    assert not is_lsa(X, (documents / s, s, Vt)), "U for U diag(s)"
    assert not is_lsa(X, (documents * s, s, Vt)), "the values twice"
    assert not is_lsa(X, (documents, s**2, Vt)), "eigenvalues"
    assert not is_lsa(X, (documents, s, -Vt)), "signs of one side alone"
    weak = TruncatedSVD(10, n_iter=0, random_state=0).fit(X)  # too few iterations: not the leading directions
    assert (s**2).sum() > 1.05 * (weak.transform(X) ** 2).sum()


# ------------------------------------------------------------------------------------------------------------- misuse

BAD = scipy.sparse.csr_array(DENSE)
BAD.data = np.array([1.0, np.nan, 1.0, 1.0, 1.0])
SPACE = lsa(DENSE, 2, rng=0)
TRAINED = torch.from_numpy(DENSE).requires_grad_()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: lsa(scipy.sparse.csr_array((5, 0)), 1),
            ValueError,
            "lsa: X must have at least one term; got shape (5, 0), an empty vocabulary. Let the vectoriser drop",
        ),
        (lambda: lsa(np.empty((5, 0)), 1), ValueError, "lsa: X must have at least one term"),
        (lambda: lsa(scipy.sparse.csr_array((0, 5)), 1), ValueError, "lsa: X must have at least one document; got"),
        (
            lambda: lsa(scipy.sparse.csr_array((3, 4)), 1),
            ValueError,
            "lsa: X must have a weight other than 0; got zeros only, in shape (3, 4): no term of the vocabulary occurs",
        ),
        (lambda: lsa(np.zeros((3, 4)), 1), ValueError, "lsa: X must have a weight other than 0"),
        (lambda: lsa(BAD, 1), ValueError, "lsa: X.data has 1 NaN entry, at 1."),
        (lambda: lsa(["a text"], 1), TypeError, "lsa: X must hold real numbers"),
        (lambda: lsa(scipy.sparse.csr_array(DENSE + 1j), 1), TypeError, "lsa: X.data must be real"),
        (lambda: lsa(DENSE, 5), ValueError, "lsa: rank must be between 1 and min(m, n) = 4; got 5 for X of shape"),
        (lambda: lsa(DENSE, 1, steps=1), ValueError, "lsa: steps must be at least 8; got 1."),
        (lambda: lsa(DENSE, 1, rng="0"), TypeError, "lsa: rng must be None, an int or a numpy Generator; got str."),
        (lambda: fold_in(tuple(SPACE), DENSE), TypeError, "fold_in: space must be a LatentSpace; got tuple. Pass what"),
        (
            lambda: fold_in(SPACE, DENSE[:, :3]),
            ValueError,
            "fold_in: X must have a column for each of the 4 terms of the space; got shape (4, 3). Use the vectoriser",
        ),
        (lambda: fold_in(SPACE, DENSE[0]), ValueError, "fold_in: X must be a matrix"),
        (lambda: fold_in(SPACE, scipy.sparse.coo_array(DENSE[0])), ValueError, "fold_in: X must have 2 dimensions"),
        (lambda: fold_in(SPACE, BAD), ValueError, "fold_in: X.data has 1 NaN entry, at 1."),
        (lambda: lsa(np.ma.empty((5, 0)), 1), TypeError, "lsa: X must be a plain array; got a masked array"),
        (lambda: lsa(TRAINED, 1), TypeError, "lsa: X must be what numpy can read; got a Tensor, of which it says"),
        (lambda: fold_in(SPACE, TRAINED), TypeError, "fold_in: X must be what numpy can read; got a Tensor, of which"),
    ],
)
def test_misuse_is_told(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("kind", [pd.DataFrame, torch.from_numpy, np.ndarray.tolist], ids=lambda kind: kind.__name__)
def test_whatever_numpy_reads_will_do(kind):
    assert all(map(np.array_equal, lsa(kind(DENSE), 2, rng=0), SPACE))
    assert np.array_equal(fold_in(SPACE, kind(DENSE)), fold_in(SPACE, DENSE))


def test_the_result_unpacks():
    documents, s, Vt = SPACE
    assert isinstance(SPACE, LatentSpace) and (documents.shape, s.shape, Vt.shape) == ((4, 2), (2,), (2, 4))


def test_the_benchmark_runs(tmp_path, capsys):
    benchmark.main(["--small", "--rounds", "1", "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["shape"][0] == 200 and "TruncatedSVD" in capsys.readouterr().out
    # ours projects onto the best directions, as ARPACK does; the randomised peer may lose a little
    assert within(abs(found["methods"]["ours, lsa"]["energy lost"]), 1e-6)
