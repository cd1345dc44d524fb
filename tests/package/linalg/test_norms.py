"""Norms of vectors and matrices against numpy and against their axioms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.margins import close, within
from lowrank_helpers.linalg import (
    frobenius_norm,
    ky_fan_norm,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
    vector_norm,
)
from tests.package._matrices import PROPERTY, cases, eps, tolerance


def rng():
    return np.random.default_rng(3)


def near(x, y, A, constant=20.0):
    """Two norms of A equal to rounding."""
    return isinstance(x, float) and close(x, y, rtol=constant * eps(A) * max(np.shape(A)))


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 50, np.inf])
def test_vector_norm_agrees_with_numpy(p):
    x = rng().uniform(-1, 1, 20)
    assert near(vector_norm(x, p), np.linalg.norm(x, p), x)
    assert near(vector_norm(x.astype(np.float32), p), np.linalg.norm(x, p), np.float32([1]), 100)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e200])
def test_vector_norm_neither_overflows_nor_underflows(scale):
    assert close(vector_norm([3 * scale, 4 * scale]), 5 * scale, rtol=1e-14)
    assert vector_norm([scale, 0, scale], 1) == 2 * scale
    assert close(vector_norm([scale, -scale], 1e6), scale * 2**1e-6, rtol=1e-14)


@PROPERTY
@given(st.integers(1, 20), st.integers(0, 99), st.sampled_from([1, 1.5, 2, 4, np.inf]))
def test_vector_norm_obeys_the_axioms_and_falls_with_p(n, seed, p):
    x, y = np.random.default_rng(seed).standard_normal((2, n))
    both = vector_norm(x, p) + vector_norm(y, p)
    assert within(vector_norm(x + y, p) - both, 1e-14 * both)
    assert close(vector_norm(-3 * x, p), 3 * vector_norm(x, p), rtol=1e-14)
    assert vector_norm(0 * x, p) == 0 < vector_norm(x, p)
    assert within(vector_norm(x, p + 1) - vector_norm(x, p), 1e-14 * vector_norm(x, p))


def test_vector_norm_check_rejects_a_forgotten_root_and_signs():
    x = [3.0, -4.0]
    assert not near(25.0, np.linalg.norm(x), x)
    assert not near(float(np.sum(x)), np.linalg.norm(x, 1), x)


NORMS = {frobenius_norm: "fro", spectral_norm: 2, nuclear_norm: "nuc"}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(7, 4), (5, 5), (3, 6), (1, 1)])
def test_matrix_norms_agree_with_numpy(norm, shape):
    A = rng().standard_normal(shape)
    assert near(norm(A), np.linalg.norm(A, NORMS[norm]), A)


@PROPERTY
@given(cases())
def test_matrix_norms_follow_from_the_singular_values(case):
    A, s = case
    assert near(frobenius_norm(A), np.sqrt((s**2).sum()), A)
    assert near(spectral_norm(A), s[0], A)
    assert near(nuclear_norm(A), s.sum(), A)


@PROPERTY
@given(cases())
def test_matrix_norms_stand_in_their_chain(case):
    A, slack = case.A, tolerance(case.A)
    spectral, frobenius, nuclear = spectral_norm(A), frobenius_norm(A), nuclear_norm(A)
    assert within(spectral - frobenius, slack) and within(frobenius - nuclear, slack)
    assert within(nuclear - np.sqrt(case.rank) * frobenius, slack * max(A.shape))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_matrix_norms_neither_overflow_nor_underflow(norm, scale):
    A = rng().standard_normal((4, 3))
    assert close(norm(scale * A) / scale, norm(A), rtol=1e-14)


def test_matrix_norm_checks_reject_eigenvalues_for_singular_values():
    A = np.array([[0.0, 2.0], [0.0, 0.0]])  # nilpotent: all eigenvalues are 0
    eigenvalues = np.abs(np.linalg.eigvals(A))
    assert near(spectral_norm(A), 2.0, A) and not near(float(eigenvalues.max()), 2.0, A)
    assert near(nuclear_norm(A), 2.0, A) and not near(float(eigenvalues.sum()), 2.0, A)
    assert not near(float(np.abs(A).sum(axis=0).max()), spectral_norm(np.ones((2, 2)) + A), A), "a column sum"


BOOK = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])


@PROPERTY
@given(cases(), st.sampled_from([1, 1.5, 2, 7, np.inf]), st.integers(1, 9))
def test_schatten_and_ky_fan_norms_follow_from_the_singular_values(case, p, k):
    A, s = case
    bound = 10 * tolerance(A)
    assert close(schatten_norm(A, p), np.linalg.norm(s, p), atol=bound)
    k = min(k, len(s))
    assert close(ky_fan_norm(A, k), s[:k].sum(), atol=bound)
    assert isinstance(schatten_norm(A, p), float) and isinstance(ky_fan_norm(A, k), float)


@pytest.mark.parametrize(("p", "order"), [(1, "nuc"), (2, "fro"), (np.inf, 2)])
def test_schatten_norms_agree_with_numpy(p, order):
    A = rng().standard_normal((6, 4))
    assert close(schatten_norm(A, p), np.linalg.norm(A, order), atol=1e-13)


def test_schatten_and_ky_fan_checks_reject_near_misses():
    A = np.diag([3.0, 4.0])
    assert close(schatten_norm(A, 2), 5, atol=1e-14) and not close(schatten_norm(A, 2), 25, atol=0.1), "no root"
    assert close(ky_fan_norm(A, 2), 7, atol=1e-14) and not close(ky_fan_norm(A, 2), 3, atol=0.1), "the k-th value alone"
    entrywise = np.linalg.norm(BOOK.ravel(), 1)
    assert not close(schatten_norm(BOOK, 1), entrywise, atol=0.1), "the p-norm of the entries"
