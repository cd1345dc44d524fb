"""PCA of dask arrays: what dense arrays give, in few readings of each chunk; what is refused."""

import dask
import dask.array
import numpy as np
import pytest

from book.margins import close
from lowrank_helpers.decomposition import PCAResult, pca, project
from tests.package._matrices import eps, orthonormal
from tests.package.decomposition.test_pca import is_pca, table

OPTIONS = {"plain": {}, "scaled": {"scale": True}, "whitened": {"whiten": True}, "not centred": {"center": False}}


def chunked(X, chunks):
    return dask.array.from_array(X, chunks=chunks)


def alike(found, want):
    """The same to rounding, in units of the largest entry."""
    room = 3e3 * eps(want.scores)
    return all(
        close(x, y, atol=room * max(1e-300, np.abs(y).max())) and x.dtype == y.dtype
        for x, y in zip(vars(found).values(), vars(want).values(), strict=True)
        if isinstance(y, np.ndarray)
    )


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (12, 12)])
def test_the_answer_is_that_of_the_whole_array(options, dtype, shape):
    X = table(*shape) if shape[0] >= shape[1] else table(*shape[::-1]).T
    X = np.ascontiguousarray(30 * X).astype(dtype)
    want = pca(X, 2, **OPTIONS[options])
    for chunks in (shape, (5, 4)):
        assert alike(pca(chunked(X, chunks), 2, **OPTIONS[options]), want)
    assert not alike(pca(chunked((X * np.linspace(1, 2, len(X))[:, None]).astype(dtype), shape), 2), want)


def test_components_without_variance_are_orthonormal_too():
    X = np.outer(np.arange(20.0), np.ones(8)) + np.arange(8)
    for Y in (X, X.T):
        found = pca(chunked(Y, (3, 5)), 4)
        assert is_pca(Y, found) and orthonormal(found.components.T)
        with pytest.raises(ValueError, match=r"^pca: whiten=True divides .* which is 0 to rounding from component 1"):
            pca(chunked(Y, (3, 5)), 4, whiten=True)


def test_a_far_origin_costs_no_more_digits_than_in_memory():
    X = table() + 1e8
    assert is_pca(X, pca(chunked(X, (7, 4)), 3))
    plain = np.linalg.svd(X - X.astype(np.float32).mean(axis=0), compute_uv=False)  # a mean of few digits
    assert not close(plain[:3] ** 2 / 39, pca(X, 3).variances, rtol=1e-6)


@pytest.mark.parametrize(("options", "passes"), [({}, 4), ({"scale": True}, 5), ({"center": False}, 3)])
def test_each_chunk_is_read_as_often_as_the_docstring_says(options, passes):
    reads = []

    def read(chunk):
        reads.append(chunk.shape)
        return chunk

    X = chunked(table(), (7, 4)).map_blocks(read, dtype=float, meta=np.empty((0, 0)))
    assert isinstance(pca(X, 2, **options), PCAResult)
    assert len(reads) == passes * 6 * 2


X = table()
HOLED, INFINITE = X.copy(), X.copy()
HOLED[12, 3] = np.nan
INFINITE[12, 3] = -np.inf


@pytest.mark.parametrize(
    ("matrix", "options", "kind", "message"),
    [
        (HOLED, {}, ValueError, r"X has 1 NaN entry, at \(12, 3\), in X\.blocks\[1, 0\]\. For missing .* als_complete"),
        (INFINITE, {}, ValueError, r"X has 1 infinite entry, at \(12, 3\), in X\.blocks\[1, 0\]\. Look"),
        (X, {"rank": None}, TypeError, r"rank must be given for a dask array, since all components are as large"),
        (X, {"rank": 7}, ValueError, r"rank must be between 1 and min\(m − 1, n\) = 6; got 7"),
        (np.ones((5, 3)), {}, ValueError, r"X must have two different rows; it does not vary"),
        (0 * X, {"center": False}, ValueError, r"X must have an entry other than 0"),
        (X[:1], {}, ValueError, r"X must have at least 2 rows"),
        (1e300 * X, {}, ValueError, r"the variances of X must neither overflow nor underflow in float64"),
        (
            np.c_[X, X[:, :1] * 0 + 3],
            {"scale": True},
            ValueError,
            r"scale=True divides .*; feature 6 of X is constant, 3",
        ),
        (1j * X, {}, TypeError, r"X must be real; got dtype complex128"),
        (X[0], {}, ValueError, r"X must be a matrix, with 2 dimensions"),
    ],
    ids="nan inf no-rank rank constant zero row range scale complex vector".split(),
)
def test_refused_as_in_memory(matrix, options, kind, message):
    with pytest.raises(kind, match=r"^pca: " + message):
        pca(chunked(matrix, 7 if matrix.ndim == 1 else (7, 4)), **({"rank": 2} | options))


def test_projecting_wants_samples_in_memory():
    with pytest.raises(TypeError, match=r"^project: X must be in memory; got a dask array\. Pass X\.compute\(\)"):
        project(pca(X, 2), chunked(X, (7, 4)))
