"""The claims of chapter 9, principal component analysis."""

import functools
from typing import NamedTuple

import numpy as np

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import above, close, rank, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, results
from lowrank_helpers.decomposition import pca

RNG = np.random.default_rng(90)
FOUR = np.array([[7.0, 4], [6, 5], [3, 2], [4, 1]])
TALL = RNG.standard_normal((12, 4)) * [3, 2, 1, 0.5] + [5, -2, 0, 1]
WIDE = RNG.standard_normal((4, 7)) + 2
SQUARE = RNG.standard_normal((5, 5)) @ RNG.standard_normal((5, 5))
PLANE = RNG.standard_normal((9, 2)) @ RNG.standard_normal((2, 5)) + 3  # X_c has rank 2
CROSS = np.vstack([np.eye(3), -np.eye(3)]) * [2.0, 1.0, 1.0] + [4, 0, 1]  # σ₂ = σ₃
BALL = np.vstack([np.eye(3), -np.eye(3)]) + 2
EQUAL = np.full((4, 3), 2.0)  # does not vary
ONE = np.array([[3.0, 1.0]])
WINE = datasets.load("wine").X[::12]
fro = np.linalg.norm


def values(X):
    """The singular values of the centred matrix, followed by as many zeros as one asks for."""
    return np.concatenate([np.linalg.svd(X - X.mean(axis=0), compute_uv=False), np.zeros(40)])


def slack(X):
    return 1000 * np.finfo(float).eps * max(X.shape) * max(float((X**2).sum()), 1.0)


class Found(NamedTuple):
    """What a PCA of rank r answers: an offset, orthonormal directions as columns, and whether their space is unique.

    The squares of the first min(m, n, r) singular values as well: of the scores, and of the variances if m > 1.
    """

    offset: np.ndarray
    W: np.ndarray
    unique: bool
    squares: np.ndarray = np.zeros((2, 0))


def gap(s, r, n):
    return bool(r == n or above(s[r - 1] - s[r], 1e-9 * s[0]))


def by_the_chapter(principal, X, r):
    with np.errstate(all="ignore"):  # a single sample has no variance
        scores, Vt, variances, mu = principal(X, r)
    rest = np.linalg.svd(Vt)[2][len(Vt) : r]  # where there are fewer samples than directions asked for
    lengths = (scores**2).sum(axis=0)
    squares = np.array([lengths, variances * (len(X) - 1) if len(X) > 1 else lengths])
    return Found(mu, np.vstack([Vt, rest]).T, gap(values(X), r, X.shape[1]), squares)


best_space = Adapted(by_the_chapter, definitions(9, "principal"))


def spaces(found, n, seed=0):
    """Orthonormal bases of other subspaces of this dimension: random, axes, and small turns of the one found."""
    rng, r = np.random.default_rng(seed), found.W.shape[1]
    for _ in range(20):
        yield np.linalg.qr(rng.standard_normal((n, r)))[0]
        yield np.eye(n)[:, rng.choice(n, r, replace=False)]
        yield np.linalg.qr(found.W + 1e-2 * rng.standard_normal((n, r)))[0]


def unique_in_fact(X, r):
    """Whether the last direction of the best space can be turned without loss of variance."""
    Vt = np.linalg.svd(X - X.mean(axis=0))[2]
    if r == X.shape[1]:
        return True
    turned = np.vstack([Vt[: r - 1], (Vt[r - 1] + Vt[r])[None] / 2**0.5])
    loss = (values(X)[:r] ** 2).sum() - fro((X - X.mean(axis=0)) @ turned.T) ** 2
    return bool(above(loss, slack(X)))


def equivalence(code, X, r, rivals_rank=None, power=2):
    """Variance, one by one, distance with any offset, uniqueness, and the closest 1bᵀ + Z, for the code's answer.

    The package has the same mean, and a space of the same variance, where it does not refuse the rank or the table.
    """
    by_chapter, package = code
    found, n, eps = by_chapter(X, r), X.shape[1], slack(X)
    W, mu, s2 = found.W, X.mean(axis=0), values(X) ** 2
    if W.shape != (n, r) or not close(W.T @ W, np.eye(r), atol=1e-10):
        return False

    def variance(basis):
        return fro((X - mu) @ basis) ** 2

    def distance(b, basis):
        rest = (X - b) - (X - b) @ basis @ basis.T
        return float((np.linalg.norm(rest, axis=1) ** power).sum())

    if not close(found.squares, np.tile(s2[: found.squares.shape[1]], (2, 1)), atol=eps):
        return False
    if r <= min(len(X) - 1, n) and np.ptp(X, axis=0).any():
        other = package(X, r)
        if not close(other.mean, mu, atol=eps) or not within(abs(variance(other.components.T) - s2[:r].sum()), eps):
            return False
    one_by_one = ((X - mu) @ W) ** 2
    others = list(spaces(Found(mu, np.eye(n)[:, :rivals_rank], True) if rivals_rank else found, n))
    rng = np.random.default_rng(1)
    offsets = [mu, 0 * mu, np.median(X, axis=0), *(found.offset + 0.1 * rng.standard_normal((20, n)))]
    best = distance(found.offset, W)
    slid = found.offset + W @ rng.standard_normal(r)
    closest = found.offset + (X - found.offset) @ W @ W.T
    U, s, Vt = np.linalg.svd(X - mu, full_matrices=False)
    errors = [
        abs(variance(W) - s2[:r].sum()),
        *np.abs(one_by_one.sum(axis=0) - s2[:r]),
        *(variance(basis) - variance(W) for basis in others),
        abs(best - s2[r:].sum()) if power == 2 else 0.0,
        *(best - distance(b, basis) for b in offsets for basis in [W, *others]),
        abs(distance(slid, W) - best),
    ]
    return (
        within(errors, eps)
        and found.unique == unique_in_fact(X, r)
        and within(abs(fro(X - closest) - fro((U[:, r:] * s[r:]) @ Vt[r:])), eps**0.5)
    )


def uncentred(X, r):
    return Found(0 * X.mean(axis=0), np.linalg.svd(X)[2][:r].T, gap(values(X), r, X.shape[1]))


def changed(**what):
    """The book's code with one part changed."""
    return lambda X, r: best_space(X, r)._replace(**{name: change(X, r) for name, change in what.items()}), pca


TABLES = [
    (FOUR, 1),
    (FOUR, 2),
    (TALL, 1),
    (TALL, 3),
    (TALL, 4),
    (WIDE, 2),
    (WIDE, 3),
    (WIDE, 5),
    (SQUARE, 2),
    (PLANE, 1),
    (PLANE, 2),
    (PLANE, 4),
    (CROSS, 1),
    (CROSS, 2),
    (CROSS, 3),
    (BALL, 1),
    (BALL, 2),
    (PLANE, 5),
    (EQUAL, 2),
    (EQUAL, 3),
    (ONE, 1),
]


# What happens without centring


class Moment(NamedTuple):
    """XᵀX, and the bound on the sine of the angle between its first eigenvector and the mean."""

    matrix: np.ndarray
    bound: float


def moment(X):
    m, mu = len(X), X.mean(axis=0)
    center = X - mu
    bound = np.linalg.norm(center, 2) / (m**0.5 * max(np.linalg.norm(mu), 1e-300))
    return Moment(center.T @ center + m * np.outer(mu, mu), float(bound))


def moment_claim(code, X, direction=None):
    """The decomposition of XᵀX, and the angle of the first right singular vector (or of another direction)."""
    found, mu = code(X), X.mean(axis=0)
    v = np.linalg.svd(X)[2][0] if direction is None else direction
    rest = v - mu * (v @ mu) / max(mu @ mu, 1e-300)
    sine = np.linalg.norm(rest)
    return within(np.abs(found.matrix - X.T @ X), slack(X)) and within(sine - found.bound, 1e-9)


NEARLY = np.array([[1.0, 100.0], [-1.0, 100.0], [1.0, 100.0], [-1.0, 100.0], [0.1, 100.0]])
FAR = FOUR - FOUR.mean(axis=0) + [3.0, -3.0]
NEAR = FOUR - FOUR.mean(axis=0) + [1.0, -1.0]  # sin θ = 1, the bound 1.5


# Whitening


class Whitening(NamedTuple):
    """The nearest whitening, another one, and whether the covariance has one at all."""

    nearest: np.ndarray
    other: np.ndarray
    exists: bool


def covariance(X):
    center = X - X.mean(axis=0)
    return center.T @ center / (len(X) - 1)


def whiten(X):
    lam, V = np.linalg.eigh(covariance(X))
    exists = bool(above(lam[0], len(lam) * 1e-13 * lam[-1]))
    root = 1 / np.sqrt(np.where(lam > 0, lam, 1)) if exists else np.ones(len(lam))
    return Whitening((V * root) @ V.T, V * root, exists)


def whitening_claim(code, X, wanted=None):
    """Both whiten exactly if C is invertible; the nearest one is nearer than every C^{-1/2} Q."""
    formula, package = code
    found, C = formula(X), covariance(X)
    n = len(C)
    if found.exists != (rank(C) == n):
        return False
    if not found.exists and wanted is None:
        return True
    center = X - X.mean(axis=0)

    def white(T):
        return close(T.T @ C @ T, np.eye(n), atol=1e-7)

    def moved(T):
        return fro(center @ T - center)

    rng = np.random.default_rng(2)
    turns = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(20)]
    turns += [np.linalg.qr(np.eye(n) + 0.05 * rng.standard_normal((n, n)))[0] for _ in range(20)]
    turns = [Q * np.sign(np.diag(Q)) for Q in turns]
    lam, V = np.linalg.eigh(C)
    root = (V / np.sqrt(lam)) @ V.T if wanted is None else np.eye(n)
    nearer = within([moved(found.nearest) - moved(root @ Q) for Q in turns], 1e-9)
    scores = center @ found.other
    uncorrelated = close(np.atleast_2d(np.cov(scores.T)), np.eye(n), atol=1e-7)
    principal_axes = close(found.other @ found.other.T @ C, np.eye(n), atol=1e-6)
    same = True
    if wanted is None and above(np.diff(lam), 1e-6 * lam[-1]).all():  # simple eigenvalues: the same scores, up to signs
        cosines = np.abs(package(X, whiten=True).scores.T @ scores) / (len(X) - 1)
        same = close(cosines, np.eye(n)[::-1], atol=1e-6)
    return white(found.nearest) and white(found.other) and nearer and uncorrelated and principal_axes and same


def by_cholesky(X):
    found = whiten(X)
    return found._replace(nearest=np.linalg.inv(np.linalg.cholesky(covariance(X))).T) if found.exists else found


def powers(power):
    def code(X):
        found = whiten(X)
        lam, V = np.linalg.eigh(covariance(X))
        return found._replace(nearest=(V * np.abs(lam) ** power) @ V.T) if found.exists else found

    return code


# Filling in


def all_steps(fill_in, X, r, steps):
    """The chapter's last matrix after 1, 2, … steps, and its history; r is an int, or one for each number of steps."""
    ends = [fill_in(X, k, t + 1) for t, k in enumerate(r if isinstance(r, list) else [r] * steps)]
    return [L for L, _ in ends], ends[-1][1]


def closest_affine(Z, r):
    U, s, Vt = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
    return Z.mean(axis=0) + (U[:, :r] * s[:r]) @ Vt[:r]


def falls(code, X, r, steps):
    """The first matrices are those of PCA, and f falls by at least the squared change of the unseen entries."""
    seen, (found, history) = ~np.isnan(X), code(X, r, steps)
    eps = 1e-9 * max(1.0, float(np.nansum(X**2)))
    f = [float(((X - L)[seen] ** 2).sum()) for L in found]
    Z = np.where(seen, X, np.nanmean(X, axis=0))
    for t, L in enumerate(found):
        k = r[t] if isinstance(r, list) else r
        if t and not within(f[t] - f[t - 1] + ((L - found[t - 1])[~seen] ** 2).sum(), eps):
            return False
        if not within(fro(Z - L) ** 2 - (values(Z)[k:] ** 2).sum(), eps):
            return False
        if not within(values(L)[k], 1e-6 * max(1.0, values(L)[0])):
            return False
        Z = np.where(seen, X, L)
    return close(history, f, atol=eps)


def holes(X, share, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def variant(change):
    """Filling in with one thing wrong: change(Z, L, X, seen, r) gives the next filled table and the L reported."""

    def code(X, r, steps):
        seen = ~np.isnan(X)
        start = Z = np.where(seen, X, np.nanmean(X, axis=0))
        found = []
        for _ in range(steps):
            Z, L = change(Z, closest_affine(Z, r), X, seen, r, start)
            found.append(L)
        return found, [((X - L)[seen] ** 2).sum() for L in found]

    return code


def without_mean(Z, r):
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    return (U[:, :r] * s[:r]) @ Vt[:r]


# The likeliest model of the rows


class Law(NamedTuple):
    """A normal law: its mean and its covariance."""

    mean: np.ndarray
    M: np.ndarray


def law(likeliest, X, k):
    return Law(X.mean(axis=0), likeliest(np.atleast_2d(np.cov(X.T, bias=True)), k))


best_law = Adapted(law, definitions(9, "likeliest"))


def log_likelihood(X, mean, M):
    """The logarithm of the likelihood of all rows."""
    d = X - mean
    far = (d * np.linalg.solve(M, d.T).T).sum()
    return float(-(len(X) * np.linalg.slogdet(2 * np.pi * M)[1] + far) / 2)


def likelihood_claim(code, X, k, rivals=None, bound=False):
    """The law found has the form and the greatest likelihood of the theorem, and every other one less.

    rivals gives the other laws another number of directions; bound asks for a greatest likelihood where there is none.
    """
    (m, n), found = X.shape, code(X, k)
    lam = values(X)[:n] ** 2 / m
    tau = float(lam[k:].mean())
    if bound and not above(tau, 1e-9 * lam[0]):
        return False
    d = np.linalg.eigvalsh(found.M)[::-1]
    if not close(d, [*lam[:k], *[tau] * (n - k)], atol=1e-8 * lam[0]):
        return False
    best = log_likelihood(X, found.mean, found.M)
    formula = -m / 2 * (n * np.log(2 * np.pi) + np.log(lam[:k]).sum() + (n - k) * np.log(tau) + n)
    eps = 1e-7 * max(1.0, abs(formula))
    if not within(abs(best - formula), eps):
        return False
    rng, q = np.random.default_rng(5), k if rivals is None else rivals
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    lam_M, V = np.linalg.eigh(found.M)
    W = V[:, n - q :] * np.sqrt(np.maximum(lam_M[n - q :] - tau, 0))
    laws = [(found.mean + 0.1 * lam[0] ** 0.5 * Q[0], found.M)]
    for size in (0.01, 0.1, 1.0):
        other = W + size * lam[0] ** 0.5 * rng.standard_normal((n, q))
        for noise in (0.9 * tau, tau, 1.1 * tau):
            laws += [(found.mean, other @ other.T + noise * np.eye(n)), (found.mean, W @ W.T + noise * np.eye(n))]
    if rivals is not None:
        mu = X.mean(axis=0)
        laws += [(mu, law(definitions(9, "likeliest"), X, rivals).M)]
    return within([log_likelihood(X, mean, M) - best for mean, M in laws], eps)


def altered_law(noise=None, spectrum=lambda lam: lam, mean=None, S=None):
    """The theorem's law with one part changed: the noise of what is left out, the variances kept, the mean, S."""

    def code(X, k):
        lam, V = np.linalg.eigh((S or covariance_by_m)(X))
        lam, V = lam[::-1], V[:, ::-1]
        rest = (noise or np.mean)(lam[k:])
        kept = np.concatenate([spectrum(lam[:k]), np.full(len(lam) - k, rest)])
        return Law((mean or (lambda A: A.mean(axis=0)))(X), (V * kept) @ V.T)

    return code


def covariance_by_m(X):
    return np.atleast_2d(np.cov(X.T, bias=True))


def kept_and_noise(X, k):
    """W not lowered by the noise: the variances kept count it twice."""
    found = best_law(X, k)
    lam, V = np.linalg.eigh(found.M)
    n = len(lam)
    return found._replace(M=(V * np.where(np.arange(n) < n - k, lam, lam + lam[0])) @ V.T)


def last_directions(X, k):
    lam, V = np.linalg.eigh(covariance_by_m(X))
    n = len(lam)
    return Law(X.mean(axis=0), (V * np.where(np.arange(n) < k, lam, lam[k:].mean())) @ V.T)


GRID = np.outer([1.0, 2, 3, 4], [1.0, 2, 4])
GRID[0, 2] = GRID[3, 1] = np.nan
HOLED = holes(TALL, 0.2)

CLAIMS = {
    "thm-pca-equivalence": Claim(
        check=equivalence,
        code=(best_space, pca),
        cases=TABLES,
        dropped={
            "rivals of dimension r: r + 1 does better": (TALL, 1, 2),
            "distances are squared: for their sum the mean is not best": (
                np.array([[0.0, 0], [1, 0], [8, 1]]),
                1,
                None,
                1,
            ),
        },
        mutants={
            "not centred": (uncentred, pca),
            "directions of the uncentred matrix, offset the mean": changed(W=lambda X, r: uncentred(X, r).W),
            "the origin for the offset": changed(offset=lambda X, r: 0 * X.mean(axis=0)),
            "the median for the offset": changed(offset=lambda X, r: np.median(X, axis=0)),
            "the last directions": changed(W=lambda X, r: np.linalg.svd(X - X.mean(axis=0))[2][::-1][:r].T),
            "columns of Vᵀ": changed(W=lambda X, r: np.linalg.svd(X - X.mean(axis=0))[2][:, :r]),
            "the right space, a basis that is not found one by one": changed(
                W=lambda X, r: best_space(X, r).W @ np.linalg.qr(np.random.default_rng(3).standard_normal((r, r)))[0]
            ),
            "always unique": changed(unique=lambda X, r: True),
            "unique if the next value is 0, as for the approximation": changed(
                unique=lambda X, r: gap(values(X), r, X.shape[1]) or not above(values(X)[r], 1e-9)
            ),
            "unique only with a gap, for r = n too": changed(unique=lambda X, r: gap(values(X), r, n=None)),
        },
    ),
    "prop-uncentred": Claim(
        check=moment_claim,
        code=moment,
        cases=[(X,) for X in (FOUR, FAR, NEAR, TALL, WIDE, SQUARE, PLANE, CROSS, BALL, EQUAL, ONE, NEARLY, WINE)],
        dropped={"v is a first singular vector: the second one": (NEARLY, np.array([1.0, 0.0]))},
        mutants={
            "the mean counted once, not m times": lambda X: moment(X)._replace(
                matrix=(X - X.mean(axis=0)).T @ (X - X.mean(axis=0)) + np.outer(X.mean(axis=0), X.mean(axis=0))
            ),
            "covariance with m − 1 plus m μμᵀ": lambda X: moment(X)._replace(
                matrix=covariance(np.vstack([X, X])) + len(X) * np.outer(X.mean(axis=0), X.mean(axis=0))
            ),
            "the centred moment alone": lambda X: moment(X)._replace(
                matrix=(X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
            ),
            "the bound divided by m, not by its root": lambda X: moment(X)._replace(
                bound=moment(X).bound / len(X) ** 0.5
            ),
        },
    ),
    "thm-whitening": Claim(
        check=whitening_claim,
        code=(whiten, pca),
        cases=[(X,) for X in (FOUR, TALL, FAR, CROSS, BALL, WIDE, PLANE, EQUAL, np.array([[1.0], [4.0], [5.0]]))],
        dropped={"C is invertible": (PLANE, True)},
        mutants={
            "PCA whitening is the nearest": (lambda X: whiten(X)._replace(nearest=whiten(X).other), pca),
            "Cholesky whitening is the nearest": (by_cholesky, pca),
            "C^{-1} for C^{-1/2}": (powers(-1.0), pca),
            "C^{1/2} for its inverse": (powers(0.5), pca),
            "the divisor m": (
                lambda X: Whitening(*(T * ((len(X) - 1) / len(X)) ** -0.5 for T in whiten(X)[:2]), whiten(X).exists),
                pca,
            ),
            "the transpose of VΛ^{-1/2}": (lambda X: whiten(X)._replace(other=whiten(X).other.T), pca),
            "always possible": (lambda X: whiten(X)._replace(exists=True), pca),
            "scores that are not scaled": (whiten, lambda X, whiten: pca(X)),
        },
    ),
    "thm-ppca": Claim(
        check=likelihood_claim,
        code=best_law,
        cases=[
            (FOUR, 1),
            (FOUR, 0),
            (TALL, 0),
            (TALL, 1),
            (TALL, 3),
            (SQUARE[:, :3], 2),
            (PLANE, 1),
            (WIDE, 2),
            (CROSS, 1),
            (CROSS, 2),  # λ₂ = λ₃: several M are likeliest
            (BALL, 1),
            (np.array([[1.0], [4.0], [5.0]]), 0),
        ],
        dropped={
            "τ > 0: rows in a plane, two directions": (PLANE, 2, None, True),
            "W has k columns: with one more it is likelier": (TALL, 1, 2),
        },
        mutants={
            "the first variance left out": altered_law(noise=lambda lam: lam[0]),
            "the last variance": altered_law(noise=lambda lam: lam[-1]),
            "the sum of the variances left out": altered_law(noise=lambda lam: lam.sum()),
            "the median of the variances left out": altered_law(noise=np.median),
            "the divisor m − 1": altered_law(S=covariance),
            "not centred": altered_law(S=lambda X: X.T @ X / len(X)),
            "the origin for the mean": altered_law(mean=lambda X: 0 * X[0]),
            "the median for the mean": altered_law(mean=lambda X: np.median(X, axis=0)),
            "the noise added to the variances kept": kept_and_noise,
            "the variances kept are shrunk": altered_law(spectrum=lambda lam: 0.9 * lam),
            "the last directions": last_directions,
        },
    ),
    "prop-iterative-pca": Claim(
        check=falls,
        code=Adapted(all_steps, definitions(9, "fill_in")),
        cases=[
            (GRID, 1, 30),
            (HOLED, 1, 20),
            (HOLED, 2, 20),
            (HOLED, 4, 5),
            (holes(WIDE.T, 0.3, 4), 2, 20),
            (holes(SQUARE, 0.1, 1), 1, 20),
            (holes(PLANE, 0.2, 3), 2, 30),
            (TALL, 2, 3),
        ],
        dropped={"the rank stays: from 3 down to 1": (HOLED, [3, 3, 1, 1], 4)},
        mutants={
            "the means filled in again": variant(lambda Z, L, X, seen, r, start: (start, L + 0 * Z + 0.1 * (Z - L))),
            "seen entries overwritten": variant(lambda Z, L, X, seen, r, start: (0.9 * L, L)),
            "not centred": variant(
                lambda Z, L, X, seen, r, start: (
                    np.where(seen, X, without_mean(Z, r)),
                    without_mean(Z, r),
                )
            ),
            "one component too many": variant(
                lambda Z, L, X, seen, r, start: (np.where(seen, X, closest_affine(Z, r + 1)), closest_affine(Z, r + 1))
            ),
            "twice the step for the unseen": variant(
                lambda Z, L, X, seen, r, start: (np.where(seen, X, Z + 2 * (L - Z)), L)
            ),
        },
    ),
}


WAYS = {
    "90 % of the variance": "the share is a custom",
    "threshold": "theory gives it",
    "Minka's evidence": "has no setting",
    "parallel analysis": "above all of 19 shuffled tables, one chance in twenty",
    "hidden entries": "the number is what it chooses",
    "held-out rows": "the number is what it chooses",
    "held-out rows, columns scaled": "the number is what it chooses",
    "held-out rows, factor analysis": "the number is what it chooses",
}


def found_four(study):
    """For each case and each way, in how many tables the four components planted were found."""
    return {
        (case["noise"], case["strength"]): {name: case["chosen"][name].count(4) for name in WAYS}
        for case in study["cases"]
    }


def rows_choose_where_the_noise_is_theirs(study):
    """The likelihood of rows finds four where they stand out in equal noise, and only there; each model its noise."""
    found = found_four(study)
    hard, middle, easy, uneven = found.values()
    rows, factors = "held-out rows", "held-out rows, factor analysis"
    inside = all(max(case["chosen"][name]) < 8 for case in study["cases"] for name in ("hidden entries", factors))
    return (
        inside  # of the numbers 0 to 8
        and easy[rows] >= 18
        and min(easy[name] for name in ("threshold", "Minka's evidence", "hidden entries")) >= 18
        and min(middle[rows], middle["Minka's evidence"]) - max(middle["threshold"], middle["hidden entries"]) >= 10
        and easy[rows] - easy["90 % of the variance"] >= 10
        and max(hard.values()) <= 10  # a control: what cannot be seen is found by none
        and uneven[rows] <= 2
        and max(uneven["Minka's evidence"], uneven["held-out rows, columns scaled"]) <= 2
        and min(uneven[factors], uneven["parallel analysis"]) >= 18
    )


def chosen_instead(study, noise, strength, name, numbers):
    """The study with other numbers chosen in one case by one way."""
    cases = [
        case | {"chosen": case["chosen"] | {name: numbers}}
        if (case["noise"], case["strength"]) == (noise, strength)
        else case
        for case in study["cases"]
    ]
    return study | {"cases": cases}


hidings, normal_wines, gain_over = (definitions(9, name) for name in ("hidings", "normal_wines", "gain"))
RANKS = [1, 2, 3, 4, 6, 8, 12]


@functools.cache
def wines_and_normal_rows():
    """For the wines and for normal rows: errors and choices of eight hidings, and the shares inside the intervals."""
    wines, rows = datasets.load("wine").X, ("model", "similar wines")
    return {"wines": hidings(lambda seed: wines), "normal": hidings(normal_wines, rows)}


def held_back_is_better(measured):
    """Filling in to the end is below the means, what holds it back below that; similar wines are level."""
    runs, kept = measured["wines"]
    normal, kept_normal = measured["normal"]
    below = all(
        np.subtract(*gain_over(runs, name, base)) > 0
        for name, base in [
            ("filled in", "column means"),
            *((name, "filled in") for name in ("stopped early", "model", "penalty", "similar wines")),
            ("model", "stopped early"),
        ]
    )
    difference, half = gain_over(runs, "similar wines", "model")
    short = all(0.8 < np.mean(shares) < 0.9 for shares in (kept, kept_normal))
    return below and abs(difference) <= half and np.subtract(*gain_over(normal, "model", "similar wines")) > 0 and short


def with_runs(measured, change, table="wines"):
    """The measurements with each run of one table changed."""
    runs, kept = measured[table]
    return measured | {table: ([change(run) for run in runs], kept)}


def with_errors(measured, name, error, table="wines"):
    """The measurements with one way's errors changed."""
    return with_runs(measured, lambda run: {**run, name: (error(run), run[name][1])}, table)


OBSERVATIONS = {
    "obs-pca-how-many": Observation(
        measured=lambda: results.load("components"),
        protocol=Protocol(
            baseline="90 % of the variance",
            contenders=[Contender(name, fixed=reason) for name, reason in WAYS.items()],
            tested_on="tables with four planted components, white noise of three strengths and unequal noise",
            runs=20,
            interval="exact 95 % for the share of 20 tables: 20 of 20 is at least 83 %, 18 at least 68 %",
        ),
        verdict=rows_choose_where_the_noise_is_theirs,
        numbers=lambda study: (
            [
                str(number)
                for case, names in (
                    (
                        ("equal", 2.5),
                        ["90 % of the variance", "threshold", "held-out rows", "Minka's evidence", "hidden entries"],
                    ),
                    (
                        ("equal", 1.6),
                        [
                            "held-out rows",
                            "Minka's evidence",
                            "threshold",
                            "hidden entries",
                            "held-out rows, factor analysis",
                            "parallel analysis",
                        ],
                    ),
                    (("equal", 1.0), ["held-out rows"]),
                    (
                        ("unequal", 2.5),
                        ["held-out rows", "Minka's evidence", "parallel analysis", "held-out rows, factor analysis"],
                    ),
                )
                for number in (found_four(study)[case][name] for name in names)
            ]
            + [
                f"{pick(study['cases'][3]['chosen'][name])}"
                for name in ("held-out rows", "Minka's evidence")
                for pick in (min, max)
            ]
        ),
        sharp={
            "rows that find no number in equal noise": lambda study: chosen_instead(
                study, "equal", 2.5, "held-out rows", [8] * 20
            ),
            "a share of the variance that finds four as well": lambda study: chosen_instead(
                study, "equal", 2.5, "90 % of the variance", [4] * 20
            ),
            "rows that find four in unequal noise too": lambda study: chosen_instead(
                study, "unequal", 2.5, "held-out rows", [4] * 20
            ),
            "factor analysis that fails there": lambda study: chosen_instead(
                study, "unequal", 2.5, "held-out rows, factor analysis", [4] * 10 + [5] * 10
            ),
            "a threshold that finds as many at 1.6 times": lambda study: chosen_instead(
                study, "equal", 1.6, "threshold", [4] * 16 + [3] * 4
            ),
            "factor analysis at the end of its grid": lambda study: chosen_instead(
                study, "unequal", 2.5, "held-out rows, factor analysis", [4] * 19 + [8]
            ),
            "a way that sees what cannot be seen": lambda study: chosen_instead(
                study, "equal", 1.0, "threshold", [4] * 20
            ),
        },
    ),
    "obs-pca-holes": Observation(
        measured=wines_and_normal_rows,
        protocol=Protocol(
            baseline="column means",
            contenders=[
                Contender("column means", fixed="has no setting"),
                Contender("filled in", {"rank": RANKS}, first={"rank": "one component is the least"}),
                Contender("stopped early", {"rank": RANKS}, first={"rank": "one component is the least"}),
                Contender("model", {"rank": RANKS}, last={"rank": "of 13 columns, 12 directions are the most"}),
                Contender("penalty", {"penalty": [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0]}),
                Contender("similar wines", {"neighbours": [1, 2, 5, 10, 20, 40, 80]}),
            ],
            tested_on="30 % of the entries of the wine table, hidden",
            tuned_on="a further tenth of the entries, hidden from what is left",
            runs=8,
            interval="95 %, paired, over eight hidings",
        ),
        verdict=held_back_is_better,
        numbers=lambda measured: [
            *(f"{np.mean([run[name][0] for run in measured['wines'][0]]):.2f}" for name in measured["wines"][0][0]),
            *(
                "{:.2f} ± {:.2f}".format(*gain_over(measured[table][0], name, base))
                for table, name, base in (
                    ("wines", "stopped early", "filled in"),
                    ("wines", "penalty", "filled in"),
                    ("wines", "model", "filled in"),
                    ("wines", "model", "stopped early"),
                    ("wines", "similar wines", "model"),
                    ("normal", "model", "similar wines"),
                )
            ),
            *(f"{100 * np.mean(kept):.0f} %" for _, kept in measured.values()),
        ],
        sharp={
            "filling in to the end as good as the model": lambda measured: with_errors(
                measured, "filled in", lambda run: run["model"][0] + 0.001
            ),
            "the model no better than filling in, by its interval": lambda measured: with_errors(
                measured,
                "model",
                lambda run: run["model"][0] + gain_over(measured["wines"][0], "model", "filled in")[0],
            ),
            "stopping early as good as the model": lambda measured: with_errors(
                measured, "stopped early", lambda run: run["model"][0]
            ),
            "stopping early of no use": lambda measured: with_errors(
                measured, "stopped early", lambda run: run["filled in"][0]
            ),
            "the means as good as filling in": lambda measured: with_errors(
                measured, "column means", lambda run: run["filled in"][0]
            ),
            "a model below the similar wines": lambda measured: with_errors(
                measured, "model", lambda run: run["similar wines"][0] - 0.02
            ),
            "similar rows as good on the normal copy": lambda measured: with_errors(
                measured, "similar wines", lambda run: run["model"][0], "normal"
            ),
            "intervals that keep their word": lambda measured: measured | {"wines": (measured["wines"][0], [0.91] * 8)},
            "a number of neighbours at the edge": lambda measured: with_runs(
                measured, lambda run: {**run, "similar wines": (run["similar wines"][0], 80)}
            ),
        },
        chosen=lambda measured: {
            name: {setting: [run[name][1] for run in measured["wines"][0]]}
            for name, setting in (
                ("filled in", "rank"),
                ("stopped early", "rank"),
                ("model", "rank"),
                ("penalty", "penalty"),
                ("similar wines", "neighbours"),
            )
        },
    ),
}


def rows_have_a_top():
    """On the chapter's table: for 1 to 12 components, whether the rows' error falls, and the likeliest."""
    rng = np.random.default_rng(1)
    table = datasets.low_rank(200, 30, 4, rng=0) + np.arange(30.0) + 0.5 * rng.standard_normal((200, 30))
    held = np.arange(200) % 5 == 0
    fit, new = table[~held], table[held]
    density = definitions(9, "log_density")
    errors, likely = [], []
    for k in range(1, 13):
        W = pca(fit, k).components.T
        errors.append(float(fro((new - fit.mean(axis=0)) @ (np.eye(30) - W @ W.T))))
        likely.append(density(new, *best_law(fit, k)))
    return bool((np.diff(errors) < 0).all()), int(np.argmax(likely)) + 1


def first_is_the_mean():
    """Uncentred, the first direction of the wines is the mean, and that of the four points turns by 90 degrees."""
    X = datasets.load("wine").X
    v, mu = np.linalg.svd(X, full_matrices=False)[2][0], X.mean(axis=0)
    w = np.linalg.svd(FAR)[2][0]
    return abs(v @ mu) > 0.999 * np.linalg.norm(mu) and abs(w @ [1.0, -1.0]) > 1.4 and within(abs(w @ [1.0, 1.0]), 1e-9)


FOLKLORE = {
    9: Folklore(
        wrong="PCA is the SVD of the data matrix",
        fails=first_is_the_mean,
        holds=lambda: (
            equivalence((best_space, pca), FAR, 1)
            and close(
                FAR.T @ FAR / 4,
                covariance(FAR) * 3 / 4 + np.outer(FAR.mean(axis=0), FAR.mean(axis=0)),
                atol=slack(FAR),
            )
        ),
    ),
    37: Folklore(
        wrong="held-out rows cannot choose the number of components",
        fails=lambda: rows_have_a_top()[1] == 4,
        holds=lambda: rows_have_a_top()[0] and rows_choose_where_the_noise_is_theirs(results.load("components")),
    ),
}
