"""Peers' own tests, pointed at the book's functions: numpy's cases here, scikit-learn's by the tool."""

import numpy as np
import pytest

from book.margins import close
from tools import peer_suites


def test_numpys_own_cases_hold_for_ours():
    count, failed = peer_suites.numpy_cases(step=16)
    assert count > 300
    assert failed == []


def test_a_wrong_answer_is_found(monkeypatch):
    monkeypatch.setattr(peer_suites.linalg, "nuclear_norm", np.linalg.norm)
    _, failed = peer_suites.numpy_cases(step=64)
    assert {name.partition(" ")[0] for name in failed} == {"nuclear_norm"}


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_ours_stand_in_with_the_conventions_of_theirs(shape):
    A = np.random.default_rng(0).standard_normal(shape)
    U, s, Vt = peer_suites.randomized(A, 12, random_state=0)
    assert close((U * s) @ Vt, A, atol=1e-12)
    V, t, Ut = peer_suites.krylov(A, 4, v0=np.ones(12))
    assert close(t, s[3::-1], rtol=1e-12)
    assert V.shape == (shape[0], 4) and Ut.shape == (4, shape[1])


def test_what_is_no_fault_has_a_reason_and_the_rest_is_left():
    known = "::test_nmf_minibatchnmf_equivalence[1]"
    assert peer_suites.unexplained([known, "::test_nmf_decreasing[cd]"]) == ["::test_nmf_decreasing[cd]"]
