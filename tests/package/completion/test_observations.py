"""How a table is read, and what all methods refuse alike."""

import numpy as np
import pytest
import scipy.sparse

from book.margins import close
from lowrank_helpers.completion import (
    als_complete,
    bayesian_complete,
    implicit_als,
    sgd_complete,
    soft_impute,
    soft_impute_path,
)
from lowrank_helpers.completion._observations import gram_rows


def test_ids_out_of_range_in_a_broken_sparse_matrix():
    A = scipy.sparse.csr_array(([1.0, 2.0], [0, 1], [0, 1, 2]), shape=(2, 2))
    A.indices[1] = 5
    with pytest.raises(ValueError, match=r"als_complete: (row and )?column ids must be"):
        als_complete(A, 1, penalty=1.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [1, 12, 13, 20])
def test_gram_matrices_of_rows_few_or_many_factors(k, dtype):
    rng = np.random.default_rng(0)
    S = np.where(rng.random((60, 90)) < rng.random((60, 1)) ** 3, rng.standard_normal((60, 90)), 0).astype(dtype)
    S[7] = 0
    F = rng.standard_normal((90, k)).astype(dtype)
    found = np.full((60, k, k), np.nan, dtype=dtype)
    for rows, gram in gram_rows(scipy.sparse.csr_array(S), F, limit=10 * k * k):
        found[rows] = gram
    wanted = np.einsum("ij,jk,jl->ikl", S, F, F)
    # sums of at most 90 terms of size 10
    assert found.dtype == dtype and close(found, wanted, atol=1e3 * np.finfo(dtype).eps)


METHODS = {
    "als_complete": lambda A: als_complete(A, 1, penalty=0.1),
    "sgd_complete": lambda A: sgd_complete(A, 1),
    "soft_impute": lambda A: soft_impute(A, 0.5),
    "soft_impute_path": lambda A: soft_impute_path(A, [1.0, 0.5]),
    "bayesian_complete": lambda A: bayesian_complete(A, 1),
    "implicit_als": lambda C: implicit_als(C, 1),
}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_refused_is_named_as_the_caller_does(name):
    argument = "C" if name == "implicit_als" else "A"
    repeated = scipy.sparse.coo_array((np.ones(2), ([0, 0], [0, 0])), (3, 3))
    for table, message in (
        (repeated, " must have at most one observation"),
        (np.full((3, 3), np.nan), " must have observations"),
        (np.ones(3), " must be a matrix"),
        (scipy.sparse.coo_array(([np.inf], ([0], [0])), (3, 3)), ".data has 1 infinite entry"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: {argument}{message}"):
            METHODS[name](table)
