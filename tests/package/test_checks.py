"""Messages in full, and the checks that modules call themselves; every argument's misuse: sweeps/test_misuse.py."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from lowrank_helpers import _checks, decomposition, linalg, svd

NAN, INF = float("nan"), float("inf")


def test_messages_in_full():
    with pytest.raises(ValueError) as caught:
        svd.truncated_svd(np.ones((60, 40)), 55)
    assert str(caught.value) == (
        "truncated_svd: rank must be between 1 and min(m, n) = 40; got 55 for A of shape (60, 40)."
    )
    A = np.ones((20, 3))
    A[12:16, 0] = NAN
    with pytest.raises(ValueError) as caught:
        linalg.lstsq(A, np.ones(20))
    assert str(caught.value) == ("lstsq: A has 4 NaN entries, first at (12, 0). Fill them in or drop their rows first.")
    with pytest.raises(ValueError) as caught:
        linalg.tikhonov([[1.0]], [1.0], 0)
    assert str(caught.value) == "tikhonov: lam must be finite and above 0; got 0. For lam = 0 use lstsq."


def test_the_function_that_was_called_is_named_and_not_the_one_that_it_calls():
    with pytest.raises(ValueError, match=r"^lsa: X has 1 NaN entry"):  # by svd's reader of matrices
        decomposition.lsa([[NAN, 1.0], [1.0, 1.0]], 1)
    with pytest.raises(ValueError, match=r"^optimal_rank: s must be non-negative"):
        decomposition.optimal_rank([-1.0], (1, 1))

    class Mapped(LinearOperator):
        """An operator whose products call the package themselves."""

        def _matmat(self, X):
            return linalg.pinv(np.zeros(3))

        def _rmatmat(self, Y):
            return Y

    with pytest.raises(ValueError, match=r"^pinv: A must be a matrix"):
        svd.randomized_svd(Mapped(np.float64, (3, 3)), 1)
    assert _checks.caller() == ""


def test_generator_takes_none_a_seed_or_a_generator():
    own = np.random.default_rng(1)
    assert _checks.generator(own) is own
    assert _checks.generator(7).random() == _checks.generator(np.int32(7)).random()
    assert _checks.generator(None).random() != _checks.generator(None).random()


@pytest.mark.parametrize("rng", [1.0, True, np.True_, "0", np.random.RandomState(0), np.random, [1, 2]])
def test_generator_refuses_all_else(rng):
    with pytest.raises(TypeError, match=r"^rng must be None, an int or a numpy Generator; got .*default_rng\(seed\)"):
        _checks.generator(rng)


def test_generator_refuses_a_negative_seed():
    with pytest.raises(ValueError, match=r"^rng as a seed must be at least 0; got -1\."):
        _checks.generator(-1)


def test_numbers_come_in_many_types():
    for one in (1, 1.0, np.float32(1), np.int8(1), Fraction(1)):
        assert _checks.number(one, "x", least=0.5, above=0, below=2) == 1.0
    for two in (2, np.uint8(2), np.int64(2)):
        assert _checks.integer(two, 1, None, "x") == 2
    assert _checks.norm_order(np.float32(INF)) == INF
    assert _checks.flag(np.True_, "x") is True
    assert _checks.choice("b", ("a", "b"), "x") == "b"


def test_a_matrix_that_needs_no_conversion_is_not_copied():
    A = np.ones((3, 2))
    assert _checks.matrix(A) is A
