"""Non-negative matrix factorisation: oracles, stationarity, monotony, locked zeros, and what is particular."""

import importlib
import json
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import NMF
from sklearn.decomposition import non_negative_factorization as sklearn_nmf

from benchmarks.peers import nmf as benchmark
from book.margins import close, within
from lowrank_helpers.decomposition import _nmf_hals, _nmf_start, nmf
from lowrank_helpers.decomposition._nmf_multiplicative import kullback_leibler, sampled_product
from tests.package._matrices import PROPERTY

METHODS = [
    ("frobenius", "hals"),
    ("frobenius", "multiplicative"),
    ("frobenius", "squarem"),
    ("kullback-leibler", "multiplicative"),
    ("kullback-leibler", "squarem"),
]
every_method = pytest.mark.parametrize(("loss", "method"), METHODS)


def rng():
    return np.random.default_rng(7)


def table(m=12, n=9, rank=4, noise=0.3):
    generator = rng()
    return generator.random((m, rank)) @ generator.random((rank, n)) + noise * generator.random((m, n))


def start(A, rank, seed=1):
    generator = np.random.default_rng(seed)
    return generator.random((A.shape[0], rank)) + 0.1, generator.random((rank, A.shape[1])) + 0.1


def quiet(A, rank, **options):
    """Nmf without its warning, for runs that are cut short on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "nmf: not converged", RuntimeWarning)
        return nmf(A, rank, **options)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def frobenius(A, W, H):
    return 0.5 * ((A - W @ H) ** 2).sum()


def divergence(A, W, H):
    P = W @ H
    return np.where(A > 0, A * np.log(np.where(A > 0, A, 1) / np.where(A > 0, P, 1)), 0).sum() - A.sum() + P.sum()


LOSSES = {"frobenius": frobenius, "kullback-leibler": divergence}


def gradients(loss, A, W, H):
    R = W @ H - A if loss == "frobenius" else 1 - A / (W @ H)
    return R @ H.T, W.T @ R


def never_rises(objective, dtype=np.float64, size=0.0):
    """Rounding of one evaluation is at most a few hundred eps of the terms that are added."""
    return within(np.diff(objective), 300 * np.finfo(dtype).eps * (size + objective[0]))


# -------------------------------------------------------------------------------------------------------------- oracles


@pytest.mark.parametrize("loss", LOSSES)
def test_multiplicative_updates_are_the_two_lines_of_lee_and_seung(loss):
    A = table()
    W, H = start(A, 3)
    found = quiet(A, 3, loss=loss, method="multiplicative", init=(W, H), max_iterations=7, tolerance=0.0)
    for _ in range(7):
        if loss == "frobenius":
            W = W * (A @ H.T) / (W @ H @ H.T)
            H = H * (W.T @ A) / (W.T @ W @ H)
        else:
            W = W * ((A / (W @ H)) @ H.T) / H.sum(axis=1)
            H = H * (W.T @ (A / (W @ H))) / W.sum(axis=0)[:, None]
    assert close(found.W @ found.H, W @ H, rtol=1e-12)  # some hundred roundings of positive terms
    assert len(found.objective) == 8 and close(found.objective[-1], LOSSES[loss](A, W, H), rtol=1e-9)


def test_one_plain_sweep_is_scikit_learns_coordinate_descent(monkeypatch):
    monkeypatch.setattr(_nmf_hals, "SWEEPS", 1)
    monkeypatch.setattr(_nmf_hals, "FIRST_STEP", 0.0)
    A = table()
    W, H = start(A, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own: not converged
        W_theirs, H_theirs, _ = sklearn_nmf(A, W=W.copy(), H=H.copy(), n_components=3, init="custom", max_iter=5, tol=0)
    steps = _nmf_hals.hals(A.T, H.T, W.T)  # scikit-learn updates the left factor first, ours the right one
    Ht, Wt, _ = [next(steps) for _ in range(6)][-1]
    assert close(Wt.T, W_theirs, atol=1e-9) and close(Ht.T, H_theirs, atol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_as_low_as_scikit_learns_from_the_same_start(loss):
    A = table(30, 20)
    W, H = start(A, 4)
    options = {"solver": "cd"} if loss == "frobenius" else {"solver": "mu", "beta_loss": loss}
    model = NMF(4, init="custom", max_iter=3000, tol=1e-9, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        W_theirs = model.fit_transform(A, W=W.copy(), H=H.copy())
    found = quiet(A, 4, loss=loss, init=(W, H), tolerance=1e-6, max_iterations=3000)
    theirs = LOSSES[loss](A, W_theirs, model.components_)
    assert within(found.objective[-1] - theirs, 0.01 * theirs)


def test_separable_data_are_recovered():
    H = rng().random((3, 10))
    W = np.vstack([np.eye(3), rng().dirichlet(np.ones(3), 30)])  # each part occurs alone in a row
    H[np.arange(3), :3] = 0
    H[0, 1:3] = H[1, [0, 2]] = H[2, :2] = 0
    H[np.arange(3), np.arange(3)] = 1  # and each part has a column of its own: the factors are unique up to scale
    A = W @ H
    found = nmf(A, 3, tolerance=1e-9, max_iterations=5000)
    parts = found.H / np.linalg.norm(found.H, axis=1, keepdims=True)
    cosines = parts @ (H / np.linalg.norm(H, axis=1, keepdims=True)).T
    assert close(found.W @ found.H, A, atol=1e-7) and found.converged
    assert within(1 - cosines.max(axis=1), 1e-10) and sorted(cosines.argmax(axis=1)) == [0, 1, 2]


# ----------------------------------------------------------------------------------------------------------- properties


@PROPERTY
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 1000), st.sampled_from(METHODS), st.booleans(), st.data())
def test_losses_never_rise_and_factors_are_non_negative(m, n, seed, method, single, data):
    generator = np.random.default_rng(seed)
    A = generator.random((m, n)) * (generator.random((m, n)) < 0.7)
    A = A.astype(np.float32 if single else np.float64)
    rank = data.draw(st.integers(1, min(m, n)))
    before = A.copy()
    found = quiet(A, rank, loss=method[0], method=method[1], init="random", rng=seed, max_iterations=30)
    assert found.W.shape == (m, rank) and found.H.shape == (rank, n) and found.W.dtype == found.H.dtype == A.dtype
    assert (found.W >= 0).all() and (found.H >= 0).all() and np.array_equal(A, before)
    assert never_rises(found.objective, A.dtype, float((A**2).sum() + A.sum()) + 1)
    value = LOSSES[method[0]](A.astype(float), found.W.astype(float), found.H.astype(float))
    assert close(found.objective[-1], value, rtol=1e-3, atol=1e-4 if single else 1e-8)


@every_method
def test_converged_means_that_the_conditions_of_kkt_hold(loss, method):
    A = table()
    found = nmf(A, 3, loss=loss, method=method, tolerance=1e-5, max_iterations=100_000)
    assert found.converged and within(found.stationarity - 1e-5, 0), "the rule by which it stops"
    for F, gradient in zip((found.W, found.H), gradients(loss, A, found.W, found.H), strict=True):
        # the measure is relative to ‖A‖ or ΣA, of order 20; in plain units a factor of 100 is allowed for
        assert within(np.abs(np.minimum(F, gradient)), 100 * 20 * 1e-5)


@every_method
def test_a_factor_of_a_changes_neither_path_nor_stationarity(loss, method):
    A = table()
    one = quiet(A, 3, loss=loss, method=method, max_iterations=20, tolerance=0.0)
    many = quiet(2.0**40 * A, 3, loss=loss, method=method, max_iterations=20, tolerance=0.0)
    assert close(many.W @ many.H / 2.0**40, one.W @ one.H, rtol=1e-9)
    assert close(one.stationarity, many.stationarity, rtol=1e-6)


@every_method
def test_sparse_and_dense_agree(loss, method):
    A = table() * (rng().random((12, 9)) < 0.5)
    dense = quiet(A, 3, loss=loss, method=method, init="random", rng=0, max_iterations=20)
    for form in (scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.coo_array):
        B = form(A)
        sparse = quiet(B, 3, loss=loss, method=method, init="random", rng=0, max_iterations=20)
        assert close(sparse.W @ sparse.H, dense.W @ dense.H, atol=1e-8)
        assert (B.toarray() == A).all()


def test_products_at_sampled_places_go_block_by_block():
    W, H = rng().random((50, 3)), rng().random((3, 400))
    rows, columns = rng().integers(0, 50, 10_000), rng().integers(0, 400, 10_000)
    assert close(sampled_product(W, H, rows, columns), (W @ H)[rows, columns], rtol=1e-14)


# --------------------------------------------------------------------------------------------------- particular answers


@pytest.mark.parametrize("loss", LOSSES)
def test_multiplicative_updates_cannot_leave_a_zero_and_do_not_call_that_converged(loss):
    A = table()
    W, H = start(A, 3)
    W[0] = [0, 0, 1]
    W[1, 0] = 0
    with pytest.warns(RuntimeWarning, match="nmf: not converged after 2000 iterations; stationarity is"):
        locked = nmf(A, 3, loss=loss, method="multiplicative", init=(W, H), max_iterations=2000)
    assert (locked.W[W == 0] == 0).all() and not locked.converged
    assert not within(locked.stationarity, 1e-4)
    change = locked.objective[-2] - locked.objective[-1]
    assert within(change, 1e-4 * locked.objective[-1])  # the change alone would have called this converged
    assert (gradients(loss, A, locked.W, locked.H)[0][W == 0] < 0).any()


def test_hals_leaves_a_zero():
    A = table()
    W, H = start(A, 3)
    W[0] = [0, 0, 1]
    found = nmf(A, 3, init=(W, H), max_iterations=5000)
    assert found.converged and (found.W[0, :2] > 0).any()


@every_method
def test_a_component_of_zeros_stays_and_half_of_one_is_filled_by_hals(loss, method):
    A = table()
    W, H = start(A, 3)
    W[:, 0], H[0] = 0, 0
    dead = quiet(A, 3, loss=loss, method=method, init=(W, H), max_iterations=30)
    assert not dead.W[:, 0].any() and not dead.H[0].any() and np.isfinite(dead.objective).all()
    half = quiet(A, 3, loss=loss, method=method, init=(start(A, 3)[0], H), max_iterations=30)
    assert np.isfinite(half.objective).all() and half.H[0].any() == (method == "hals")


def test_a_hals_that_updates_all_columns_at_once_would_rise():
    A = table()
    W, H = start(A, 3)
    at_once = np.maximum(W + (A @ H.T - W @ H @ H.T) / np.diag(H @ H.T), 0)
    assert frobenius(A, at_once, H) > frobenius(A, W, H) > quiet(A, 3, init=(W, H), max_iterations=1).objective[1]


@every_method
def test_rows_and_columns_of_zeros_stay_zero(loss, method):
    A = table()
    A[3], A[:, 5] = 0, 0
    found = quiet(A, 3, loss=loss, method=method, max_iterations=50)
    assert (found.W[3] == 0).all() and (found.H[:, 5] == 0).all() and np.isfinite(found.objective).all()


@every_method
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_a_matrix_of_zeros_has_factors_zero(loss, method, form):
    for init in ("nndsvda", "random"):
        found = nmf(form(np.zeros((4, 3))), 2, loss=loss, method=method, init=init, rng=0)
        assert found.converged and found.objective[-1] == 0 and not (found.W @ found.H).any()


def test_columns_of_w_and_rows_of_h_are_balanced():
    found = nmf(table(), 3)
    assert close(np.linalg.norm(found.W, axis=0), np.linalg.norm(found.H, axis=1), rtol=1e-12)


def test_squarem_needs_fewer_updates_than_multiplicative_updates():
    A = rng().poisson(5 * table(40, 30)).astype(float)
    slow = quiet(A, 4, loss="kullback-leibler", method="multiplicative", max_iterations=200, tolerance=0.0)
    fast = quiet(A, 4, loss="kullback-leibler", max_iterations=50, tolerance=0.0)
    assert fast.objective[-1] < slow.objective[-1] and never_rises(fast.objective, size=float(A.sum()))


def test_an_interruption_returns_what_there_is(monkeypatch):
    def interrupted(A, W, H):
        yield W, H, 5.0
        yield 2 * W, H, 4.0
        raise KeyboardInterrupt

    module = importlib.import_module(
        "lowrank_helpers.decomposition.nmf"
    )  # the package has the function under this name
    monkeypatch.setattr(module, "hals", interrupted)
    A = table()
    W, H = start(A, 3)
    found = nmf(A / (2 * A.max()), 3, init=(W, H))  # its entries are in [0, 1/2], where none is scaled
    assert not found.converged and found.objective.tolist() == [5, 4]
    assert close(found.W @ found.H, 2 * W @ H, rtol=1e-13)


def test_a_bar_is_shown_on_request_only(capsys):
    nmf(table(), 3)
    assert capsys.readouterr().err == ""
    nmf(table(), 3, progress=True)
    assert "nmf" in capsys.readouterr().err


def test_a_seed_repeats_and_leaves_the_global_state_alone():
    A, before = table(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (quiet(A, 3, init="random", rng=3, max_iterations=5) for _ in range(2))
    assert (one.W == two.W).all() and (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_nndsvd_of_a_large_matrix_is_that_of_a_small_one():
    A = table(310, 305, 3, 0.01)
    padded = nmf(A, 2, init="nndsvd", max_iterations=2000)
    small = nmf(scipy.sparse.csr_array(A)[:, :299], 2, init="nndsvd", max_iterations=2000)
    assert padded.converged and small.converged
    assert padded.objective[0] < 0.5 * _nmf_hals.squared_norm(A) / 2  # the start is already near


def test_kullback_leibler_is_zero_at_its_minimum():
    evaluate, _ = kullback_leibler(np.array([[2.0, 0.0]]))
    assert within(abs(evaluate(np.ones((1, 1)), np.array([[2.0, 0.0]]))[0]), 1e-14)


def softmax_rows(sd):
    logits = sd * np.random.default_rng(3).standard_normal((20, 15))
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("method", ["multiplicative", "squarem"])
@pytest.mark.parametrize("case", ["subnormal column", "soft-max"])
def test_entries_next_to_nothing_leave_the_divergence_finite(case, method):
    """In float32, W H underflows where A is subnormal or nearly so; those entries count next to nothing."""
    if case == "soft-max":
        A = softmax_rows(30)
    else:
        A = np.abs(np.random.default_rng(0).standard_normal((20, 15))).astype(np.float32)
        A[:, 2] = 1e-45
    found = quiet(A, 3, loss="kullback-leibler", method=method, max_iterations=400, tolerance=0)
    exact = quiet(A.astype(float), 3, loss="kullback-leibler", method=method, max_iterations=400, tolerance=0)
    assert np.isfinite(found.objective).all() and np.isfinite(found.W).all() and np.isfinite(found.H).all()
    assert never_rises(found.objective, np.float32)
    assert found.objective[-1] < 1.1 * exact.objective[-1]


@pytest.mark.parametrize("A", [
    np.kron(np.eye(40), np.ones((10, 10))), np.eye(1000, 320)[np.arange(1000) % 320],
    np.eye(350) + np.roll(np.eye(350), 1, 0), np.repeat(table(32, 320, 4), 12, axis=0), np.ones((400, 400)),
], ids=["cliques", "one-hot", "ring", "duplicated", "ones"])  # fmt: skip
def test_the_default_start_is_the_same_each_time_also_where_a_krylov_space_runs_out(A):
    for form in (A, scipy.sparse.csr_array(A)):
        first = _nmf_start.nndsvd(form, 5, 0.1)
        for _ in range(2):
            assert all((one == again).all() for one, again in zip(first, _nmf_start.nndsvd(form, 5, 0.1), strict=True))


@every_method
def test_one_iteration_updates_both_factors_and_restarts_arrive_where_one_call_does(loss, method):
    A = table(30, 20, 4, 0.1)
    W, H = begun = start(A, 4)
    whole = quiet(A, 4, loss=loss, method=method, init=begun, max_iterations=200, tolerance=0)
    for iteration in range(200):
        before = W, H
        found = quiet(A, 4, loss=loss, method=method, init=before, max_iterations=1, tolerance=0)
        W, H = found.W, found.H
        if iteration == 0:
            turned = [np.abs(unit(new) - unit(old)).max() for new, old in ((W.T, before[0].T), (H, before[1]))]
            assert min(turned) > 0.01
    assert whole.objective[-1] < 0.3 * whole.objective[0] and found.objective[-1] < 1.3 * whole.objective[-1]


def test_the_benchmark_runs(tmp_path, capsys):
    benchmark.main(["--tiny", "--rounds", "1", "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert len(found["cases"]) == 4 and "extrapolated HALS" in capsys.readouterr().out
    rows = found["cases"]["digits, frobenius"]["methods"]
    assert all("seconds to 0.1%" in row and row["starts that reach 1.0%"] <= 2 for row in rows.values())


# --------------------------------------------------------------------------------------------------------------- misuse

ONES = np.ones((3, 2))


@pytest.mark.parametrize(
    ("error", "arguments", "options", "message"),
    [
        (ValueError, (-ONES, 1), {}, "nmf: A must have no negative entries; got 6, the least -1"),
        (ValueError, (scipy.sparse.csr_array(-ONES), 1), {}, "nmf: A must have no negative entries; got 6"),
        (ValueError, (ONES * np.nan, 1), {}, "nmf: A has 6 NaN entries"),
        (ValueError, (scipy.sparse.csr_array(ONES * np.inf), 1), {}, r"nmf: A.data has 6 infinite entries"),
        (ValueError, (scipy.sparse.csr_array((0, 2)), 1), {}, "nmf: A must be a matrix and not empty; got"),
        (ValueError, (ONES * 1e200, 1), {}, "nmf: squares of A must neither overflow nor underflow; got 1.0e[+]200"),
        (TypeError, (scipy.sparse.csr_array(ONES * 1j), 1), {}, "nmf: A.data must be real"),
        (ValueError, (ONES[0], 1), {}, "nmf: A must be a matrix"),
        (ValueError, (ONES, 3), {}, r"nmf: rank must be between 1 and min\(m, n\) = 2; got 3"),
        (ValueError, (ONES, 1), {"loss": "kl"}, "nmf: loss must be one of 'frobenius', 'kullback-leibler'; got 'kl'"),
        (ValueError, (ONES, 1), {"method": "cd"}, "nmf: method must be one of 'hals', 'multiplicative', 'squarem'"),
        (ValueError, (ONES, 1), {"loss": "kullback-leibler", "method": "hals"}, "nmf: method 'hals' must go with loss"),
        (ValueError, (ONES, 1), {"init": "zeros"}, "nmf: init must be one of 'nndsvda', 'nndsvd', 'random'"),
        (ValueError, (ONES, 1), {"init": "nndsvd", "method": "squarem"}, "nmf: init must be without zeros for"),
        (ValueError, (ONES, 1), {"init": (ONES,)}, r"nmf: init as a tuple must be the pair \(W, H\); got 1 items"),
        (ValueError, (ONES, 1), {"init": (ONES, ONES)}, r"nmf: init's W must have shape \(3, 1\)"),
        (ValueError, (ONES, 2), {"init": (ONES, -ONES[:2])}, "nmf: init's H must have no negative entries; got -1"),
        (
            ValueError,
            (ONES, 2),
            {"init": (0 * ONES, ONES[:2]), "loss": "kullback-leibler"},
            "nmf: init must have W H > 0 wherever A > 0",
        ),
        (ValueError, (ONES, 2), {"init": (ONES[:, :2] * 1e-160, ONES[:2])}, "nmf: squares of init's W must neither"),
        (ValueError, (ONES, 2), {"init": (ONES * 1e100, ONES[:2] * 1e100)}, "nmf: squares of init's W H must neither"),
        (
            ValueError,
            (np.float32(ONES), 2),
            {"init": (ONES, ONES[:2] * 1e100)},
            "nmf: squares of init's H must neither",
        ),
        (ValueError, (ONES, 1), {"max_iterations": 0}, "nmf: max_iterations must be at least 1; got 0"),
        (ValueError, (ONES, 1), {"tolerance": -1.0}, "nmf: tolerance must be finite and at least 0"),
        (TypeError, (ONES, 1), {"rng": "a"}, "nmf: rng must be None, an int or a numpy Generator"),
        (TypeError, (ONES, 1), {"progress": 1}, "nmf: progress must be True or False"),
    ],
)
def test_misuse_is_explained(error, arguments, options, message):
    with pytest.raises(error, match=message):
        nmf(*arguments, **options)
