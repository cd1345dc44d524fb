"""Random matrices have the rank, the spectrum and the spread that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book.margins import above, close
from lowrank_helpers.datasets import low_rank, random, with_spectrum
from tests.package._matrices import PROPERTY, tolerance

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
    U = np.array([random._orthonormal(3, 2, generator) for _ in range(16_000)])
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
