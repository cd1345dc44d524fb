"""PCA: scikit-learn as oracle, what defines it as a property, wrong variants rejected, and each misuse."""

import re

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from book.margins import close, within
from lowrank_helpers import datasets
from lowrank_helpers.decomposition import pca, project, reconstruct
from tests.package._matrices import PROPERTY, eps, orthonormal, tolerance


def rng():
    return np.random.default_rng(9)


def table(m=40, n=6, dtype=np.float64):
    """Correlated features of different sizes, far from the origin."""
    generator = rng()
    X = generator.standard_normal((m, n)) @ generator.standard_normal((n, n)) * 3.0 ** np.arange(n)
    return (X + 5 * generator.standard_normal(n)).astype(dtype)


def is_pca(X, result, *, center=True, constant=20.0):
    """Mean, orthonormal components, uncorrelated scores of these variances, and the variance left out minimal."""
    B = X.astype(float)
    B = (B - B.mean(axis=0)) if center else B
    divisor = len(X) - center
    s = np.linalg.svd(B, compute_uv=False)
    r = len(result.variances)
    bound = constant * eps(X) * max(X.shape) * max(s[0], np.abs(X).max())
    residual = B - result.scores @ result.components
    return (
        close(result.mean, X.mean(axis=0, dtype=float) * center, atol=bound)
        and orthonormal(result.components.T, constant)
        and close(result.scores.T @ result.scores, np.diag(result.variances * divisor), atol=bound * s[0])
        and close(result.variances * divisor, s[:r] ** 2, atol=bound * s[0])
        and close(result.ratios, s[:r] ** 2 / (s**2).sum(), atol=bound / s[0])
        and close(np.linalg.norm(residual), np.sqrt((s[r:] ** 2).sum()), atol=bound * 10)
    )


# ------------------------------------------------------------------------------------------------------------- oracle


@pytest.mark.parametrize("name", ["wine", "digits", "breast_cancer"])
def test_pca_agrees_with_scikit_learn(name):
    X = datasets.load(name)[0][:300]
    X = X.reshape(len(X), -1).astype(float)
    ours, theirs = pca(X, 5), PCA(5, svd_solver="full").fit(X)
    assert close(ours.variances, theirs.explained_variance_, atol=1e-12 * ours.variances[0])
    assert close(ours.ratios, theirs.explained_variance_ratio_, atol=1e-12)
    assert close(ours.mean, theirs.mean_, atol=1e-12 * np.abs(X).max())
    projector = theirs.components_.T @ theirs.components_
    assert close(ours.components.T @ ours.components, projector, atol=1e-8)  # eps over the relative gap after the fifth
    assert close(np.abs(ours.scores), np.abs(theirs.transform(X)), atol=1e-8 * np.abs(ours.scores).max())


def test_scaling_and_whitening_agree_with_scikit_learn():
    X = table()
    scaled = StandardScaler().fit_transform(X) * np.sqrt(39 / 40)  # theirs divides by the root of the sum over m
    ours, theirs = pca(X, 4, scale=True, whiten=True), PCA(4, whiten=True, svd_solver="full").fit(scaled)
    assert close(ours.variances, theirs.explained_variance_, atol=1e-12)
    assert close(ours.scores @ ours.scores.T, theirs.transform(scaled) @ theirs.transform(scaled).T, atol=1e-10)
    assert close(ours.scores.T @ ours.scores, 39 * np.eye(4), atol=1e-11)
    new = table()[::-1][:7] + 1.0
    assert close(ours.scale, X.std(axis=0, ddof=1), atol=1e-11)
    theirs_new = theirs.transform((new - X.mean(axis=0)) / X.std(axis=0, ddof=1))
    assert close(np.abs(project(ours, new)), np.abs(theirs_new), atol=1e-10)


# ----------------------------------------------------------------------------------------------------------- property


@st.composite
def tables(draw):
    m, n = draw(st.integers(2, 12)), draw(st.integers(1, 9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rank = draw(st.integers(1, 9))
    X = generator.standard_normal((m, rank)) @ generator.standard_normal((rank, n))
    X = (X + draw(st.sampled_from([0.0, 10.0]))) * draw(st.sampled_from([1.0, 1e-5, 1e5]))
    return X.astype(draw(st.sampled_from([np.float64, np.float32])))


@PROPERTY
@given(tables(), st.integers(1, 9), st.booleans())
def test_pca_is_the_svd_of_the_centred_matrix(X, rank, center):
    before = X.copy()
    most = min(len(X) - center, X.shape[1])
    result = pca(X, min(rank, most), center=center)
    assert is_pca(X, result, center=center)
    dtypes = {name: a.dtype for name, a in vars(result).items() if isinstance(a, np.ndarray)}
    assert dtypes.pop("mean") == dtypes.pop("scale") == np.float64 and set(dtypes.values()) == {X.dtype}
    assert np.array_equal(X, before)


@PROPERTY
@given(tables(), st.booleans(), st.booleans(), st.booleans())
def test_all_components_give_the_data_back_and_project_gives_the_scores(X, center, scale, whiten):
    most, bound = min(len(X) - center, X.shape[1]), 50 * eps(X) * max(X.shape) * np.abs(X).max()
    try:
        result = pca(X, center=center, scale=scale, whiten=whiten)
    except ValueError as error:  # of lower rank
        B = X.astype(float) - center * X.mean(axis=0, dtype=float)
        assert whiten and "whiten=True" in str(error) and within(np.linalg.svd(B, compute_uv=False)[most - 1], bound)
        return
    assert len(result.variances) == most
    assert close(reconstruct(result), X, atol=bound) and reconstruct(result).dtype == X.dtype
    undone = np.sqrt(result.variances) if whiten else 1
    spread = np.abs((X.astype(float) - result.mean) / result.scale).max()
    rounding = 50 * eps(X) * max(X.shape) * spread + 4 * np.finfo(float).eps * np.abs(X).max() / result.scale.min()
    assert close(project(result, X) * undone, result.scores * undone, atol=rounding)
    assert close(result.ratios.sum(), 1, atol=50 * eps(X))


def test_the_largest_entry_of_each_component_is_positive():
    for X in (table(), -table()):
        components = pca(X).components
        assert (components.max(axis=1) >= -components.min(axis=1)).all()


def test_float32_data_far_from_the_origin_keep_their_variance():
    X = (1e4 + rng().integers(-8, 9, (5000, 3)) / 8).astype(np.float32)  # exact in float32
    exact = pca(X.astype(np.float64)).variances
    assert close(pca(X).variances, exact, atol=1e-5 * exact[0])  # 100 eps; a float32 mean is off by 1e-3


@pytest.mark.parametrize("scale", [False, True])
def test_float32_data_far_from_the_origin_get_their_scores_again(scale):
    """A float32 mean would be off by up to half a unit: of scores from −10 to 10 by up to 0.5."""
    X = (1e7 + rng().normal(0, 3, (400, 5))).astype(np.float32)
    result = pca(X, 3, scale=scale)
    assert close(project(result, X), result.scores, atol=1e-5 * np.abs(result.scores).max())
    assert close(reconstruct(pca(X, scale=scale)), X, atol=2.0)  # two units of float32 there
    assert reconstruct(result).dtype == project(result, X).dtype == np.float32


@pytest.mark.parametrize("size", [1e-150, 1e-170, 1e-290])
def test_scaled_a_feature_may_be_as_small_as_it_likes(size):
    """Its square is 0 from 1e-162 on."""
    X = table()
    small = X * np.r_[np.ones(5), size]
    one, other = pca(X, 3, scale=True), pca(small, 3, scale=True)
    assert close(other.scores, one.scores, atol=1e-11) and close(other.scale[5] / size, one.scale[5], rtol=1e-12)
    assert close(project(other, small), one.scores, atol=1e-11)
    assert close(reconstruct(pca(small, scale=True))[:, 5] / size, X[:, 5], rtol=1e-11)


def test_the_mean_loses_nothing_in_a_long_table():
    X = 1e12 + rng().standard_normal((20_000, 2))
    assert close(pca(X).scores.mean(axis=0), np.zeros(2), atol=1e-12)  # one pass leaves about √m · eps · 1e12 = 0.03


def test_a_constant_feature_has_no_weight_unless_it_is_scaled():
    X = np.column_stack([table()[:, :3], np.full(40, 0.1)])
    result = pca(X, 3)
    assert close(result.components[:, 3], np.zeros(3), atol=1e-12)
    assert close(pca(X, scale=True, center=False).scale[3], 0.1, atol=1e-15), "not centred, its mean square is not zero"


# --------------------------------------------------------------------------------------------------- negative control


def test_check_rejects_what_is_often_written():
    X = table() + 300
    right = pca(X, 3)
    assert is_pca(X, right)
    assert not is_pca(X, pca(X, 3, center=False)), "folklore 9: the SVD of the data matrix"
    _, s, Vt = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    parts = vars(right)
    assert not is_pca(X, type(right)(**{**parts, "variances": s[:3] ** 2 / 40})), "m for m − 1"
    assert not is_pca(X, type(right)(**{**parts, "variances": s[:3]})), "singular values for variances"
    assert not is_pca(X, type(right)(**{**parts, "components": Vt[:, :3].T})), "columns of Vᵀ for rows"
    assert not is_pca(X, type(right)(**{**parts, "ratios": s[:3] ** 2 / (s[:3] ** 2).sum()})), "shares of what is kept"
    rows = X - X.mean(axis=1, keepdims=True)
    assert not is_pca(X, type(right)(**{**parts, "scores": rows @ right.components.T})), "rows centred for columns"


def test_not_centred_the_first_component_is_the_mean():
    X = table() + 3000
    mean = X.mean(axis=0) / np.linalg.norm(X.mean(axis=0))
    assert within(1 - abs(pca(X, 1, center=False).components[0] @ mean), 1e-3)
    moment = pca(X, center=False)
    C = np.cov(X.T, ddof=0) + np.outer(X.mean(axis=0), X.mean(axis=0))
    assert close((moment.components.T * moment.variances) @ moment.components, C, atol=tolerance(C))


# ------------------------------------------------------------------------------------------------------------- misuse

NAN = table()
NAN[12, 0] = NAN[30, 2] = np.nan
FLAT = np.column_stack([table(), np.full(40, 0.1)])
TWINS = np.column_stack([table(), table()[:, 0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: pca(NAN, 2),
            ValueError,
            "pca: X has 2 NaN entries, first at (12, 0). For missing values use als_complete.",
        ),
        (lambda: pca(NAN.tolist()), ValueError, "pca: X has 2 NaN entries, first at (12, 0). For missing"),
        (lambda: pca([[1.0, np.inf], [0, 1]]), ValueError, "pca: X has 1 infinite entry, at (0, 1). Look for"),
        (lambda: pca(scipy.sparse.eye_array(3)), TypeError, "pca: X must be dense"),
        (lambda: pca([1.0, 2.0]), ValueError, "pca: X must be a matrix"),
        (lambda: pca([[1.0, 2.0]]), ValueError, "pca: X must have at least 2 rows, its samples; got shape (1, 2)"),
        (
            lambda: pca(table(4, 6), 4),
            ValueError,
            "pca: rank must be between 1 and min(m − 1, n) = 3; got 4 for X of shape (4, 6), centred.",
        ),
        (lambda: pca(table(), 0), ValueError, "pca: rank must be between 1 and min(m − 1, n) = 6; got 0"),
        (lambda: pca(table(), 2.0), TypeError, "pca: rank must be an integer"),
        (lambda: pca(table(), center=1), TypeError, "pca: center must be True or False; got 1"),
        (lambda: pca(table(), scale=None), TypeError, "pca: scale must be True or False; got None"),
        (lambda: pca(table(), whiten="yes"), TypeError, "pca: whiten must be True or False; got 'yes'"),
        (
            lambda: pca(FLAT, scale=True),
            ValueError,
            "pca: scale=True divides each feature by its standard deviation; feature 6 of X is constant, 0.1. Drop",
        ),
        (
            lambda: pca(FLAT, whiten=True),
            ValueError,
            "from component 6 on (counted from 0). Feature 6 is constant. Pass rank=6, or whiten=False.",
        ),
        (lambda: pca(TWINS, whiten=True), ValueError, "from component 6 on (counted from 0). Pass rank=6"),
        (lambda: pca(np.full((5, 3), 0.1)), ValueError, "pca: X must have two different rows; it does not vary"),
        (lambda: pca(np.zeros((5, 3)), center=False), ValueError, "pca: X must have an entry other than 0"),
        (lambda: pca(1e200 * table()), ValueError, "neither overflow nor underflow in float64; got"),
        (lambda: pca((1e-30 * table()).astype(np.float32)), ValueError, "neither overflow nor underflow in float32"),
        (
            lambda: pca(table() * np.r_[np.ones(5), 1e-312], scale=True),
            ValueError,
            "that of feature 5 of X, 6.2e-310, has lost digits",
        ),
        (lambda: project(None, table()), TypeError, "project: result must be a PCAResult; got NoneType. Pass what"),
        (
            lambda: project(pca(table()), table()[:, :4]),
            ValueError,
            "project: X must have the 6 features that pca has seen, as columns; got shape (40, 4).",
        ),
        (lambda: project(pca(table()), NAN), ValueError, "project: X has 2 NaN entries, first at (12, 0). For missing"),
        (lambda: reconstruct((1, 2)), TypeError, "reconstruct: result must be a PCAResult; got tuple."),
        (
            lambda: reconstruct(pca(table(), 2), np.ones((3, 3))),
            ValueError,
            "reconstruct: scores must have a column for each of the 2 components; got shape (3, 3).",
        ),
    ],
)
def test_misuse_is_told(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
