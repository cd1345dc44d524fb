"""What `svd` reads off singular values: oracle, property, negative control, and what is particular."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from book.margins import close
from lowrank_helpers.svd import (
    energy,
    rank_for_error,
    reconstruct,
    tail_error,
    truncated_svd,
)
from tests.package._matrices import PROPERTY, eps


def rng():
    return np.random.default_rng(5)


@st.composite
def spectra(draw):
    """Singular values as they come: descending, with ties and zeros, in either dtype."""
    values = st.sampled_from([0.0, 1e-3, 0.5, 1.0, 2.0]) | st.floats(0, 10, width=32)
    s = sorted(draw(st.lists(values, min_size=1, max_size=8)), reverse=True)
    return np.array(s, dtype=draw(st.sampled_from([np.float32, np.float64])))


NORMS = {"frobenius": "fro", "spectral": 2, "nuclear": "nuc"}


@PROPERTY
@given(spectra(), st.sampled_from(list(NORMS)))
def test_tail_error_is_the_norm_of_what_is_left(s, norm):
    assert tail_error(s, len(s), norm=norm) == 0
    for r in range(len(s)):
        oracle = np.linalg.norm(np.diag(s[r:].astype(float)), NORMS[norm])
        assert close(tail_error(s, r, norm=norm), oracle, rtol=1e-13, atol=1e-300)


def test_tail_error_is_the_error_of_a_truncation():
    A = rng().standard_normal((7, 5))
    s = np.linalg.svd(A, compute_uv=False)
    residual = A - reconstruct(truncated_svd(A, 2))
    for norm, order in NORMS.items():
        assert close(tail_error(s, 2, norm=norm), np.linalg.norm(residual, order), rtol=1e-12)


def test_tail_error_check_rejects_the_first_omitted_value():
    error = tail_error([3, 2, 1], 1)
    assert close(error, 5**0.5, rtol=1e-14) and not close(error, 2, atol=0.01)
    assert tail_error([3, 2, 1], 1, norm="spectral") == 2
    assert tail_error([3, 2, 1], 1, norm="nuclear") == 3


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_tail_error_neither_overflows_nor_underflows(scale):
    assert close(tail_error([9 * scale, 4 * scale, 3 * scale], 1), 5 * scale, rtol=1e-14)
    assert tail_error([1.0, 1e-200], 1) == 1e-200


@PROPERTY
@given(spectra(), st.sampled_from(list(NORMS)), st.floats(0, 1.5), st.booleans())
def test_rank_for_error_is_the_smallest_that_fits(s, norm, tolerance_, relative):
    assume(not relative or tolerance_ < 1)
    r = rank_for_error(s, tolerance_, norm=norm, relative=relative)
    allowed = tolerance_ * (tail_error(s, 0, norm=norm) if relative else 1)
    assert tail_error(s, r, norm=norm) <= allowed
    assert r == 0 or tail_error(s, r - 1, norm=norm) > allowed


def test_rank_for_error_at_its_ends():
    assert rank_for_error([3, 2, 1], 0) == 3 and rank_for_error([3, 2, 0], 0) == 2
    assert rank_for_error([3, 2, 1], 4, relative=False) == 0, "the zero matrix has the error ‖A‖"
    assert rank_for_error([0, 0], 0) == 0
    assert rank_for_error([3, 2, 1], 2.0, norm="spectral", relative=False) == 1, "at most: 2 is allowed"
    assert rank_for_error([1, 1e-200], 0) == 2, "squares do not underflow"


@pytest.mark.parametrize("tolerance_", [1, 2.5])
def test_a_relative_error_of_the_whole_matrix_is_taken_for_an_absolute_one(tolerance_):
    with pytest.raises(ValueError, match=rf"tolerance must be .* below 1; got {tolerance_}.* pass relative=False\."):
        rank_for_error([3, 2, 1], tolerance_)


@PROPERTY
@given(spectra().filter(lambda s: s[0] > 0))
def test_energy_and_relative_error_add_up_to_one(s):
    share = energy(s)
    assert share.dtype == s.dtype and share.shape == s.shape and share[-1] == 1
    error = [tail_error(s, r + 1) / tail_error(s, 0) for r in range(len(s))]
    assert close(share + np.square(error), np.ones(len(s)), atol=20 * eps(s))


def test_energy_is_of_squares():
    assert close(energy([3, 1]), [0.9, 1], atol=1e-15)
    assert not close(np.cumsum([3, 1]) / 4, energy([3, 1]), atol=0.01), "the share of the values themselves"
    assert energy([1e200, 1e200]).tolist() == energy([1e-200, 1e-200]).tolist() == [0.5, 1]


def test_energy_of_a_zero_matrix_is_refused():
    with pytest.raises(ValueError, match=r"^energy: s must have a positive value; got zeros only.* use tail_error\."):
        energy([0.0, 0.0])
