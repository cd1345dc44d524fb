"""Robust PCA: optimality conditions as oracle, recovery, extremes, wrong variants rejected, and each misuse."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.margins import above, close, within
from lowrank_helpers.decomposition import robust, robust_pca, singular_value_threshold
from tests.package._matrices import PROPERTY, cases, eps, rank_of, tolerance, with_spectrum


def rng():
    return np.random.default_rng(12)


def planted(m, n, rank, share, seed=0, size=10.0):
    """L of this rank, and S with this share of its entries."""
    generator = np.random.default_rng(seed)
    L = generator.standard_normal((m, rank)) @ generator.standard_normal((rank, n))
    return L, np.where(generator.random((m, n)) < share, size * generator.standard_normal((m, n)), 0)


# ------------------------------------------------------------------------------------------- singular_value_threshold


def is_proximal(A, level, X, constant=20.0):
    """(A − X)/τ is a subgradient of ‖·‖_* at X: of spectral norm ≤ 1, and of inner product ‖X‖_* with X."""
    G, A = A.astype(float) - X, A.astype(float)
    s = np.linalg.svd(A, compute_uv=False)
    bound = constant * eps(X) * max(A.shape) * s[0]
    nuclear = np.linalg.svd(X.astype(float), compute_uv=False).sum()
    return within(np.linalg.norm(G, 2) - level, bound) and close((G * X).sum(), level * nuclear, atol=bound * s.sum())


@PROPERTY
@given(cases(), st.floats(0, 1.2))
def test_threshold_is_the_proximal_map_of_the_nuclear_norm(case, share):
    level = share * float(case.s[0])
    X = singular_value_threshold(case.A, level)
    assert X.dtype == case.A.dtype and X.shape == case.A.shape
    assert is_proximal(case.A, level, X)


def test_threshold_check_rejects_the_hard_threshold():
    A = np.diag([3.0, 1.0])
    assert is_proximal(A, 2.0, singular_value_threshold(A, 2.0))
    assert not is_proximal(A, 2.0, np.diag([3.0, 0.0])), "hard, of the same rank: 6 against 4.5"
    assert not is_proximal(A, 2.0, np.diag([2.0, 0.0])), "half of the level"
    assert not is_proximal(A, 2.0, np.diag([1.0, -1.0])), "below zero"
    assert close(singular_value_threshold(A, 0), A, atol=tolerance(A)) and not singular_value_threshold(A, 3.0).any()


# --------------------------------------------------------------------------------------------------------- robust_pca


def is_optimal(A, L, S, penalty, accuracy=1e-4):
    """The conditions of Karush, Kuhn and Tucker: one Y that is a subgradient of ‖·‖_* at L and of λ‖·‖₁ at S.

    Y is fixed on the singular spaces of L and on the support of S; elsewhere it is found by projecting in turn on the
    two convex sets until it is in both.
    """
    U, s, Vt = np.linalg.svd(L)
    r = int(above(s, 1e-6 * s[0]).sum())
    U1, V1, U2, V2 = U[:, :r], Vt[:r].T, U[:, r:], Vt[r:].T
    support = S != 0
    Y = U1 @ V1.T
    for _ in range(3000):
        Z = np.where(support, penalty * np.sign(S), np.clip(Y, -penalty, penalty))
        P, t, Qt = np.linalg.svd(U2.T @ Z @ V2, full_matrices=False)
        Y = U1 @ V1.T + U2 @ ((P * np.minimum(t, 1)) @ Qt) @ V2.T
        if np.abs(Y - Z).max() <= accuracy * penalty / 10:
            break
    return close(L + S, A, atol=accuracy * np.abs(A).max()) and close(Y, Z, atol=accuracy * penalty)


@pytest.mark.parametrize("shape", [(30, 30), (50, 20), (20, 50)])
def test_robust_pca_fulfils_the_optimality_conditions(shape):
    L, S = planted(*shape, 1, 0.05)
    found = robust_pca(L + S, tolerance=1e-9)
    assert found.converged and found.penalty == 1 / np.sqrt(max(shape))
    assert is_optimal(L + S, found.L, found.S, found.penalty)


def test_optimality_check_rejects_other_splits():
    L, S = planted(30, 30, 1, 0.05)
    A, penalty = L + S, 30**-0.5
    found = robust_pca(A, tolerance=1e-9)
    assert is_optimal(A, found.L, found.S, penalty)
    other = robust_pca(A, tolerance=1e-9, penalty=3 * penalty)
    assert not is_optimal(A, other.L, other.S, penalty), "another λ"
    U, s, Vt = np.linalg.svd(A)
    assert not is_optimal(A, s[0] * np.outer(U[:, 0], Vt[0]), A - s[0] * np.outer(U[:, 0], Vt[0]), penalty), "PCA"
    assert not is_optimal(A, found.L, found.S * 0.9, penalty), "not the whole of A"


@pytest.mark.parametrize("shape", [(80, 80), (150, 50), (50, 150)])
def test_robust_pca_recovers_what_was_planted_where_pca_does_not(shape):
    L, S = planted(*shape, 3, 0.05, seed=1)
    found = robust_pca(L + S)
    assert found.converged and found.rank == 3 == rank_of(found.L)
    assert within(np.linalg.norm(found.L - L), 1e-4 * np.linalg.norm(L))
    assert within(np.linalg.norm(found.S - S), 1e-4 * np.linalg.norm(S))
    U, s, Vt = np.linalg.svd(L + S, full_matrices=False)
    wrong = (U[:, :3] * s[:3]) @ Vt[:3]
    assert not within(np.linalg.norm(wrong - L), 0.01 * np.linalg.norm(L)), "PCA of the same rank"


def test_a_corrupted_column_is_not_told_apart():
    L, S = planted(60, 60, 2, 0.0)
    S[:, 7] = 30 * rng().standard_normal(60)
    found = robust_pca(L + S, tolerance=1e-5)
    assert found.rank > 2 and not within(np.linalg.norm(found.S - S), 0.003 * np.linalg.norm(S))


@PROPERTY
@given(cases(largest=7), st.floats(0.2, 0.9))
def test_the_gap_certifies_the_distance_to_the_minimum(case, penalty):
    A = case.A
    found = robust_pca(A, penalty=penalty, tolerance=1e-4, max_iterations=20_000)
    assert found.converged and found.L.dtype == found.S.dtype == A.dtype
    if not A.any():
        assert not found.L.any() and not found.S.any() and found.gap.shape == found.objective.shape == (0,)
        return
    assert within([found.gap[-1] - 1e-4, found.residual[-1] - 1e-4], 0), "the rule by which it stops"
    assert within(-found.gap, 1e-7)
    best = robust_pca(A, penalty=penalty, tolerance=1e-6, max_iterations=20_000).objective[-1]
    lower, upper = found.objective * (1 - found.gap), found.objective
    assert within(lower - best, 1e-7 * best), "no objective is below the bound"
    assert within(best - upper, 1e-5 * best), "the best is the minimum to 1e-6"
    nuclear = np.linalg.svd(found.L.astype(float), compute_uv=False).sum()
    rest = penalty * np.abs(A.astype(float) - found.L).sum()
    assert close(found.objective[-1], nuclear + rest, atol=tolerance(A, 100) * A.size)
    assert within(np.linalg.norm(A - found.L - found.S) - 1e-4 * np.linalg.norm(A), tolerance(A))


def test_extreme_penalties():
    A = rng().standard_normal((12, 7))
    dear, cheap = robust_pca(A, penalty=1.0), robust_pca(A, penalty=1 / np.sqrt(12 * 7))
    assert close(dear.L, A, atol=1e-5 * np.abs(A).max() * 10) and close(cheap.S, A, atol=1e-4)
    assert within(np.abs(dear.S), 1e-4) and within(np.abs(cheap.L), 1e-4)


@pytest.mark.parametrize("penalty", [np.nextafter(1, 2), 7.0, 1e300])
def test_above_1_nothing_goes_into_the_sparse_part(penalty):
    A = np.outer(np.arange(1.0, 13.0), np.arange(7.0)) + np.eye(12, 7)
    found = robust_pca(A, penalty=penalty)
    assert np.array_equal(found.L, A) and not found.S.any() and found.rank == 7
    assert found.converged and found.gap.tolist() == found.residual.tolist() == [0.0]
    assert close(found.objective, [np.linalg.svd(A, compute_uv=False).sum()], rtol=1e-13)
    assert close(robust_pca(A, penalty=1.0, tolerance=1e-9).objective[-1], found.objective[-1], rtol=1e-8)
    assert robust_pca(A[:, :1] * np.ones(7), penalty=penalty).rank == 1


def test_units_do_not_matter_and_the_argument_is_left_alone():
    L, S = planted(20, 30, 1, 0.05)
    A = L + S
    before = A.copy()
    found = robust_pca(A)
    assert np.array_equal(A, before)
    for unit in (2.0**-900, 2.0**900):
        other = robust_pca(A * unit)
        assert close(other.L / unit, found.L, atol=1e-12) and other.gap.tolist() == found.gap.tolist()
    turned = robust_pca(A.T)
    assert close(turned.L.T, found.L, atol=1e-4)
    assert close(robust_pca(A.astype(np.float32)).L, found.L, atol=1e-4)


@pytest.mark.parametrize("level", [1e-9, 0.5, 3.0])
@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6)])
def test_both_ways_to_shrink_agree(shape, level):
    X = rng().standard_normal(shape)
    t = np.linalg.svd(X, compute_uv=False)
    s = np.maximum(t - level, 0)
    for accuracy, loss in ((1e-30, 1.0), (1e30, t[0] / t[-1])):  # LAPACK, and the Gram matrix, which squares
        shrunk, nuclear, rank = robust._shrink_spectrum(X, level, accuracy)
        assert close(shrunk, singular_value_threshold(X, level), atol=loss * tolerance(X))
        assert close(nuclear, s.sum(), atol=loss * tolerance(X)) and rank == (s > 0).sum()


def test_tiny_levels_go_to_lapack():
    X = with_spectrum([1.0, 1e-6, 3e-7, 0.0], 6, 4, rng())
    shrunk, _, rank = robust._shrink_spectrum(X, 2e-7, 1e-8)
    assert rank == 3 and close(shrunk, singular_value_threshold(X, 2e-7), atol=1e-14)


def test_at_the_limit_it_warns_and_returns_what_there_is():
    L, S = planted(20, 20, 1, 0.05)
    with pytest.warns(
        RuntimeWarning, match=r"^robust_pca: not converged after 3 iterations; relative gap .* Raise max"
    ):
        found = robust_pca(L + S, max_iterations=3)
    assert not found.converged and len(found.gap) == len(found.objective) == len(found.residual) == 3


def test_an_interrupt_returns_what_there_is(monkeypatch):
    calls = []

    def interrupted(*arguments, original=robust._shrink_spectrum):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(robust, "_shrink_spectrum", interrupted)
    L, S = planted(20, 20, 1, 0.05)
    found = robust_pca(L + S)
    assert not found.converged and len(found.gap) == 4 and found.L.any()


def test_progress_draws_only_if_asked(capsys):
    L, S = planted(20, 20, 1, 0.05)
    robust_pca(L + S)
    assert capsys.readouterr().err == ""
    robust_pca(L + S, progress=True)
    assert "robust_pca" in capsys.readouterr().err


A = np.diag([2.0, 1.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: robust_pca([[1.0, np.nan]]), ValueError, "robust_pca: A has 1 NaN entry, at (0, 1)."),
        (lambda: robust_pca([1.0]), ValueError, "robust_pca: A must be a matrix"),
        (lambda: robust_pca(A, penalty=0), ValueError, "robust_pca: penalty must be finite and above 0; got 0. It is"),
        (lambda: robust_pca(A, penalty="1"), TypeError, "robust_pca: penalty must be a real number"),
        (lambda: robust_pca(A, tolerance=0), ValueError, "robust_pca: tolerance must be finite and at least 1e-10 and"),
        (lambda: robust_pca(A, max_iterations=0), ValueError, "robust_pca: max_iterations must be at least 1; got 0."),
        (lambda: robust_pca(A, progress="no"), TypeError, "robust_pca: progress must be True or False; got 'no'"),
        (lambda: singular_value_threshold(A, -1), ValueError, "singular_value_threshold: level must be finite and at"),
        (lambda: singular_value_threshold(A, None), TypeError, "singular_value_threshold: level must be a real number"),
        (lambda: singular_value_threshold([[np.inf]], 1), ValueError, "singular_value_threshold: A has 1 infinite"),
    ],
)
def test_misuse_is_told(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
