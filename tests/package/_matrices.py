"""What the tests of the algorithms share: random matrices with a known spectrum, and tolerances."""

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from book.margins import close, rank

# the same examples in every run, on every machine
PROPERTY = settings(max_examples=30, deadline=None, derandomize=True, database=None)


class Case(NamedTuple):
    """A matrix, and its singular values before rounding to its dtype."""

    A: np.ndarray
    s: np.ndarray

    @property
    def rank(self):
        return int((self.s > 0).sum())


def with_spectrum(s, m, n, rng):
    """An m×n matrix with these singular values and random orthogonal factors."""
    s = np.asarray(s, dtype=float)
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    return (U * s) @ V.T


@st.composite
def cases(draw, *, square=False, largest=9, spectra=("generic", "repeated", "deficient", "zero")):
    """Tall, wide and square matrices, float32 and float64, of condition at most 100 on their range."""
    m = draw(st.integers(1, largest))
    n = m if square else draw(st.integers(1, largest))
    p = min(m, n)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    s = np.sort(rng.uniform(0.01, 1, p))[::-1]
    spectrum = draw(st.sampled_from(spectra))
    if spectrum == "repeated":
        s[: p // 2 + 1] = s[0]
    elif spectrum == "deficient":
        s[draw(st.integers(1, p)) :] = 0
    elif spectrum == "zero":
        s[:] = 0
    s[:1] = 1 if spectrum != "zero" else 0
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    scale = draw(st.sampled_from([1.0, 1e-12, 1e12]))
    A = (scale * with_spectrum(s, m, n, rng)).astype(dtype)
    return Case(A, scale * s)


def eps(*arrays):
    """The machine epsilon of the coarsest dtype among these."""
    return max(float(np.finfo(np.asarray(a).dtype).eps) for a in arrays)


def tolerance(A, constant=20.0):
    """constant × eps × max(m, n) × σ₁, the size of rounding in a backward stable algorithm, five times that in float64.

    LAPACK's SVD lets off-diagonal entries of up to 5 eps σ₁ go in float32, and of up to 49 eps σ₁ in float64 (TOL in
    its DBDSQR). Over 30 000 small matrices a constant of at most 2 was measured in float32, and of 12 in float64.
    """
    A = np.asarray(A)
    lapack = 5.0 if eps(A) == eps(1.0) else 1.0
    return lapack * constant * eps(A) * max(A.shape) * float(np.linalg.norm(A.astype(float), 2))


def rank_of(A, rtol=1e-4):
    """How many singular values are above rtol σ₁, where none is near it: `cases` have none between 0 and 0.01 σ₁."""
    return rank(A, rtol)


def orthonormal(Q, constant=20.0):
    """Whether QᵀQ = I to rounding: over 30 000 small matrices a constant of at most 3 was measured."""
    return close(Q.T.astype(float) @ Q, np.eye(Q.shape[1]), atol=constant * eps(Q) * max(Q.shape))
