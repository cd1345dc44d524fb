"""The claims of chapter 7, randomised SVD."""

import copy
import functools

import numpy as np

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import above, close, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, linalg, results
from lowrank_helpers.svd import block_krylov_svd, estimate_error, randomized_svd

fro, spec = linalg.frobenius_norm, linalg.spectral_norm
LARGE = np.r_[np.full(20, 1e3), np.ones(200)]  # the range finder's bound is all but attained
SLOPE = 1 / np.arange(1.0, 61)
FAST = 0.5 ** np.arange(30.0)
STACK = 50


def matrix(s, m, n, seed=7):
    """An m×n matrix with these singular values."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((m, len(s))))[0]
    V = np.linalg.qr(rng.standard_normal((n, len(s))))[0]
    return (U * s) @ V.T


def values(A):
    return np.linalg.svd(A, compute_uv=False)


# A matrix, or a stack of matrices, goes into the functions below; a stack is many draws at once.


def squared_error(A, X):
    return ((A - X) ** 2).sum(axis=(-2, -1))


def truncated(A, r):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return (U[..., :r] * s[..., None, :r]) @ Vt[..., :r, :]


def basis(Y):
    """An orthonormal basis of the column space, by the singular vectors above rounding; one rank in all of a stack."""
    U, s, _ = np.linalg.svd(Y, full_matrices=False)
    return U[..., : np.unique(above(s, 1e-13 * s[..., :1]).sum(axis=-1)).item()]


def powered(A, Omega, q):
    """A basis of the range of (A Aᵀ)^q A Ω, normalised on the way."""
    Q = basis(A @ Omega)
    for _ in range(q):
        Q = basis(A @ basis(A.T @ Q))
    return Q


def krylov(A, Omega, q):
    """A basis of all blocks up to the q-th power."""
    P = block = basis(A @ Omega)
    for _ in range(q):
        block = A @ (A.T @ block)
        for _ in range(2):
            block = block - P @ (P.mT @ block)
            if not above(np.abs(block).max(), 1e-11 * np.linalg.norm(A) ** 2):
                return P
            block = basis(block)
        P = np.concatenate([P, block], axis=-1)
    return P


def mean_at_most(samples, bound, scale):
    """The mean is at most the bound, two standard errors and rounding allowed, and no fraction of it."""
    return bool(np.isfinite(bound)) and within(np.mean(samples) - bound, 2 * standard_error(samples) + 1e-12 * scale)


def mean_is(samples, exact, scale=0.0):
    """The mean is this number, eight standard errors and rounding allowed."""
    return within(abs(np.mean(samples) - exact), 8 * standard_error(samples) + 1e-12 * scale)


def standard_error(samples):
    return np.std(samples) / len(samples) ** 0.5


# Gaussian matrices


def gaussian(code, n, ell):
    """The code's value is the mean of |Ω⁺|² over many draws, and |SΩT|² has the mean |S|²|T|²."""
    rng = np.random.default_rng(n + 100 * ell)
    G = rng.standard_normal((20000, n, ell))
    exact = code(n, ell)
    samples = (values(G) ** -2.0).sum(axis=1)
    S, T = rng.standard_normal((2, n)), rng.standard_normal((ell, 3))
    products = ((S @ G @ T) ** 2).sum(axis=(1, 2))
    V = np.linalg.qr(rng.standard_normal((n, n)))[0]
    turned = (V.T @ G).reshape(len(G), -1)[:, : 2 * ell]
    correlation = np.cov(turned.T) if turned.shape[1] > 1 else np.array([[turned.var()]])
    return (
        bool(np.isfinite(exact))
        and mean_is(samples, exact)
        and within(samples.max(), 1e4 * exact)  # no heavier tail than the mean allows
        and mean_is(products, fro(S) ** 2 * fro(T) ** 2)
        and within(np.abs(correlation - np.eye(len(correlation))), 20 / len(G) ** 0.5)
    )


def inverse_mean(n, ell):
    return n / (ell - n - 1) if ell > n + 1 else np.inf


# The error of a sketch


def sketch_bound(A, r, Omega, phi):
    """Tail plus |D|², as the lemma has it."""
    _, s, Vt = np.linalg.svd(A)
    m, n = A.shape
    diagonal = np.zeros((m, n))
    diagonal[range(len(s)), range(len(s))] = s * phi(s**2)
    D = diagonal[r:, r:] @ (Vt[r:] @ Omega) @ np.linalg.pinv(Vt[:r] @ Omega, rtol=1e-10) / phi(s[:r] ** 2)
    return float(np.sum(s[r:] ** 2) + fro(D) ** 2) if D.size else float(np.sum(s[r:] ** 2))


def sketch_error(code, A, r, Omega, phi):
    """|A − PA|² ≤ |A − (PA)_r|² ≤ the code's bound, and the bound is not above the trivial one of the formula."""
    U, s, _ = np.linalg.svd(A)
    padded = np.r_[s**2, np.zeros(len(A) - len(s))] if len(A) > len(s) else s[: len(A)] ** 2
    formula, projected = code
    PA = projected(A, (U * phi(padded)) @ U.T @ A @ Omega)
    one, two, bound = squared_error(A, PA), squared_error(A, truncated(PA, r)), formula(A, r, Omega, phi)
    return within([one - two, two - bound], 1e-10 * s[0] ** 2)


PROJECTED = definitions(7, "projected")
RNG = np.random.default_rng(70)
TALL, WIDE = matrix(SLOPE[:6], 9, 6), matrix(SLOPE[:6], 6, 9)
DEFICIENT = matrix(np.array([3.0, 2.0]), 7, 6)
THREE_ONE = np.diag([2.0, 1.0])


def one(t):
    return np.ones_like(t)


def identity(t):
    return t


def square(t):
    return t**2


def shifted(t):
    return 1 + 0.5 * t - 0.1 * t**2


# Expectations


def draws(s, m, n, ell, find, count=600):
    """Bases from many sketches of one matrix, in stacks."""
    A = matrix(s, m, n) if (m, n) != (len(s), len(s)) else np.diag(s)
    rng = np.random.default_rng(0)
    for _ in range(count // STACK):
        Q = find(A, rng.standard_normal((STACK, n, ell)))
        yield A, Q, Q.mT @ A


def as_bounded(sketch, find, s, m, n, r, ell, q):
    """For one and the same Ω the code has the error of the draws whose mean is bounded, and rank at most r."""
    A = matrix(s, m, n) if (m, n) != (len(s), len(s)) else np.diag(s)
    for seed in range(3):
        U, found, Vt = sketch(A, r, ell, q, np.random.default_rng(seed))
        if not U.shape[1] == len(found) == len(Vt) == min(r, len(found)):
            return False
        Q = find(A, np.random.default_rng(seed).standard_normal((n, ell)), q)
        error = squared_error(A, Q @ truncated(Q.T @ A, r))
        if not within(abs(squared_error(A, (U * found) @ Vt) - error), 1e-9 * np.sum(s**2)):
            return False
    return True


def range_finder(code, s, m, n, r, ell):
    """The mean squared errors, before and after truncation, are at most the code's bound."""
    formula, sketch = code
    bound = formula(s, r, ell)
    if not as_bounded(sketch, powered, s, m, n, r, ell, 0):
        return False
    before, after = [], []
    for A, Q, B in draws(s, m, n, ell, lambda A, Omega: basis(A @ Omega)):
        before.extend(squared_error(A, Q @ B))
        after.extend(squared_error(A, Q @ truncated(B, r)))
    scale = np.sum(s**2)
    return (
        mean_at_most(before, bound, scale)
        and mean_at_most(after, bound, scale)
        and mean_at_most(np.sqrt(after), np.sqrt(bound), np.sqrt(scale))
        and within(np.subtract(before, after), 1e-9 * scale)
    )


def hmt(s, r, ell):
    return (1 + r / (ell - r - 1)) * np.sum(s[r:] ** 2) if ell > r + 1 else np.inf


def power_claim(code, s, m, n, r, ell, q):
    """Both parts: the spectral error, and the squared Frobenius error after truncation."""
    formula, sketch = code
    spectral, frobenius = formula(s, r, ell, q)
    if not as_bounded(sketch, powered, s, m, n, r, ell, q):
        return False
    one, two = [], []
    for A, Q, B in draws(s, m, n, ell, lambda A, Omega: powered(A, Omega, q), count=200):
        one.extend(np.linalg.norm(A - Q @ B, 2, axis=(1, 2)))
        two.extend(squared_error(A, Q @ truncated(B, r)))
    return mean_at_most(one, spectral, s[0]) and mean_at_most(two, frobenius, np.sum(s**2))


def power_bounds(s, r, ell, q):
    if ell <= r + 1:
        return np.inf, np.inf
    factor, k, following = r / (ell - r - 1), 4 * q + 2, s[r] if r < len(s) else 0.0
    spectral = ((1 + factor) * np.sum(s[r:] ** k)) ** (1 / k)
    return spectral, (1 + (following / s[r - 1]) ** (4 * q) * factor) * np.sum(s[r:] ** 2)


def power_without_sum(s, r, ell, q):
    """σ_{r+1} for the whole tail in the spectral bound."""
    return s[r] if r < len(s) else 0.0, power_bounds(s, r, ell, q)[1]


def power_of_doubled_gap(s, r, ell, q):
    """The factor of q + 1 iterations for q."""
    return power_bounds(s, r, ell, q)[0], power_bounds(s, r, ell, q + 1)[1]


def krylov_claim(code, s, m, n, r, ell, q):
    formula, sketch = code
    bound = formula(s, r, ell, q)
    if not as_bounded(sketch, krylov, s, m, n, r, ell, q):
        return False
    errors = []
    for A, Q, B in draws(s, m, n, ell, lambda A, Omega: krylov(A, Omega, q)):
        errors.extend(squared_error(A, Q @ truncated(B, r)))
    return mean_at_most(errors, bound, np.sum(s**2))


def chebyshev_bound(s, r, ell, q, order=2):
    if ell <= r + 1:
        return np.inf
    tau = np.cosh(order * q * np.arccosh(max(s[r - 1] / s[r], 1.0)))
    return (1 + r / (ell - r - 1) / tau**2) * np.sum(s[r:] ** 2)


SKETCH = definitions(7, "sketch_svd")
KRYLOV = Adapted(
    lambda krylov, A, r, ell, q, rng: krylov(A, r, block=ell, steps=q + 1, rng=rng),
    block_krylov_svd,
)
GAP = np.r_[np.full(5, 1.4), np.ones(60)]
CLUSTER = np.r_[np.full(5, 1.1), np.linspace(1, 0.02, 55)]
SMALL = [
    (SLOPE, 80, 60, 5, 12),
    (SLOPE, 60, 80, 5, 12),
    (FAST, 40, 50, 3, 10),
    (np.array([3.0, 2.0]), 20, 15, 2, 6),  # exact: the tail is zero
    (np.ones(20), 20, 30, 4, 12),  # all tied
    (np.array([2.0, 1.0]), 2, 2, 2, 5),  # r = min(m, n) and more columns than that
    (np.array([1.0, 0.5, 0.2]), 30, 3, 1, 4),
]


# A bound after the fact, and one pass


def estimate(code, E, alpha, k, reuse=False):
    """The bound holds at least as often as promised, and fails not much less often where that is the exact rate."""
    code, package = code
    rng = np.random.default_rng(5)
    norm, trials = spec(E), 200_000
    q = np.eye(len(E))[:, :1]
    same = code((E - q @ (q.T @ E)) @ np.random.default_rng(0).standard_normal((E.shape[1], k)), 10.0)
    if not close(package(E, q, probes=k, rng=0), same, rtol=1e-9):
        return False
    probes = rng.standard_normal((trials, E.shape[1], k))
    if reuse:  # E is made from the probes: what they span is projected away
        probes = probes[:200]
        Q = basis(E @ probes)
        left = E - Q @ (Q.mT @ E)
        failures = code(left @ probes, alpha) < np.linalg.norm(left, 2, axis=(1, 2))
        return within(failures.mean() - alpha**-k, 0.02)
    rate = np.mean(code(E @ probes, alpha) < norm)
    return within(rate - alpha**-k, 8 * np.sqrt(alpha**-k / trials))


def lengths(products):
    """Of the columns, for a matrix or a stack of matrices."""
    return np.sqrt((products**2).sum(axis=-2))


def after_the_fact(products, alpha):
    return alpha * np.sqrt(2 / np.pi) * lengths(products).max(axis=-1)


def by_itself(bound):
    """A bound, and the package's function as it would be with this bound."""

    def package(E, Q, *, probes, rng):
        products = E @ np.random.default_rng(rng).standard_normal((E.shape[1], probes))
        return bound(products - Q @ (Q.T @ products), 10.0)

    return bound, package


def estimate_by_powers(code, E, alpha, k, q, reuse=False):
    """The bound holds as often as promised, is never above its ceiling, and is the package's."""
    code, package = code
    rng = np.random.default_rng(6)
    norm, trials = spec(E), 20_000
    probes = rng.standard_normal((trials, E.shape[1], k))
    left = E
    if reuse:
        Q = basis(E @ probes[:200])
        left = E - Q @ (Q.mT @ E)
        bounds = np.array([code(one, vectors, alpha, q) for one, vectors in zip(left, probes, strict=False)])
        return within(np.mean(bounds < np.linalg.norm(left, 2, axis=(1, 2))) - alpha**-k, 0.02)
    bounds = code(left, probes, alpha, q)
    ceiling = (alpha * np.sqrt(2 / np.pi) * lengths(probes).max(axis=-1)) ** (1 / (2 * q + 1)) * norm
    u = np.eye(len(E))[:, :1]
    once = np.random.default_rng(0).standard_normal((E.shape[1], k))
    return (
        within(np.mean(bounds < norm) - alpha**-k, 8 * np.sqrt(alpha**-k / trials))
        and within(bounds - ceiling, 1e-12 * (1 + norm))
        and close(package(E, u, probes=k, power_iterations=q, rng=0), code(E - u @ (u.T @ E), once, 10.0, q), rtol=1e-9)
    )


def root_of_powers(E, probes, alpha, q):
    products = E @ probes
    for _ in range(q):
        products = E @ (E.T @ products)
    return after_the_fact(products, alpha) ** (1 / (2 * q + 1))


def powers_alone(bound):
    """A bound, and the package's function as it would be with this bound."""

    def package(E, Q, *, probes, power_iterations, rng):
        omega = np.random.default_rng(rng).standard_normal((E.shape[1], probes))
        return bound(E - Q @ (Q.T @ E), omega, 10.0, power_iterations)

    return bound, package


def one_pass_claim(code, A, Q, k, independent=True):
    """The mean squared error over many Ψ is what the code says; and from blocks of rows the code finds such a QX."""
    rng = np.random.default_rng(9)
    code, from_blocks = code
    Omega, once = rng.standard_normal((A.shape[1], Q.shape[1])), rng.standard_normal((k, len(A)))
    Q_once, X = from_blocks(np.array_split(A, 3), Omega, once)
    exact = np.linalg.pinv(once @ Q_once) @ (once @ A)
    apart = [np.abs(Q_once.T @ Q_once - np.eye(Q.shape[1])).max(), fro(A @ Omega - PROJECTED(A @ Omega, Q_once))]
    if not within([fro(X - exact), *apart], 1e-9 * (1 + fro(A) ** 2)):
        return False
    Psi = rng.standard_normal((32_000, k, len(A)))
    if not independent:  # Ψ sees twice as much of what Q spans
        Psi = Psi + Psi @ Q @ Q.T
    errors = squared_error(A, Q @ (np.linalg.pinv(Psi @ Q) @ (Psi @ A)))
    exact = code(A, Q, k)
    return bool(np.isfinite(exact)) and mean_is(errors, exact, fro(A) ** 2)


def two_sketches(A, Q, k):
    ell = Q.shape[1]
    return (1 + ell / (k - ell - 1)) * fro(A - Q @ (Q.T @ A)) ** 2 if k > ell + 1 else np.inf


FROM_BLOCKS = definitions(7, "one_pass")
ORTHO = np.linalg.qr(RNG.standard_normal((8, 2)))[0]


CLAIMS = {
    "lem-gaussian": Claim(
        check=gaussian,
        code=inverse_mean,
        cases=[(5, 13), (3, 9), (2, 8), (1, 7), (8, 30)],
        dropped={"two columns more than rows": (4, 5), "square": (4, 4)},
        mutants={
            "ℓ − n for ℓ − n − 1": lambda n, ell: n / (ell - n),
            "ℓ − n + 1 for ℓ − n − 1": lambda n, ell: n / (ell - n + 1),
            "without n": lambda n, ell: 1 / (ell - n - 1),
        },
    ),
    "lem-sketch-error": Claim(
        check=sketch_error,
        code=(sketch_bound, PROJECTED),
        cases=[
            (THREE_ONE, 1, np.ones((2, 1)), one),
            (THREE_ONE, 1, np.ones((2, 1)), identity),
            (TALL, 2, RNG.standard_normal((6, 4)), one),
            (TALL, 2, RNG.standard_normal((6, 2)), square),
            (WIDE, 3, RNG.standard_normal((9, 4)), shifted),
            (WIDE, 6, RNG.standard_normal((9, 7)), one),
            (DEFICIENT, 2, RNG.standard_normal((6, 3)), square),
            (DEFICIENT, 3, RNG.standard_normal((6, 5)), one),
            (np.eye(4), 2, RNG.standard_normal((4, 3)), one),
            (np.zeros((3, 4)), 1, RNG.standard_normal((4, 2)), one),
        ],
        dropped={
            "Ω₁ has rank r": (np.diag([3.0, 2.0, 1.0]), 2, np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]), one),
        },
        mutants={
            "the tail alone": (lambda A, r, Omega, phi: float(np.sum(values(A)[r:] ** 2)), PROJECTED),
            "D without the tail": (
                lambda A, r, Omega, phi: sketch_bound(A, r, Omega, phi) - float(np.sum(values(A)[r:] ** 2)),
                PROJECTED,
            ),
            "φ(σ⁴) for φ(σ²)": (
                lambda A, r, Omega, phi: sketch_bound(A, r, Omega, lambda t: phi(t**2)),
                PROJECTED,
            ),
            "no basis, but the sketch itself": (sketch_bound, lambda A, Y: Y @ (Y.T @ A)),
        },
    ),
    "thm-range-finder": Claim(
        check=range_finder,
        code=(hmt, SKETCH),
        cases=[*SMALL, (LARGE, 220, 220, 20, 30)],
        dropped={"ℓ ≥ r + 2": (SLOPE, 60, 60, 5, 6)},
        mutants={
            "p + 1 for p − 1": (lambda s, r, ell: (1 + r / (ell - r + 1)) * np.sum(s[r:] ** 2), SKETCH),
            "no factor": (lambda s, r, ell: np.sum(s[r:] ** 2), SKETCH),
            "σ_{r+1} for the tail": (
                lambda s, r, ell: (1 + r / (ell - r - 1)) * (s[r] ** 2 if r < len(s) else 0.0),
                SKETCH,
            ),
            "the tail after ℓ": (lambda s, r, ell: (1 + r / (ell - r - 1)) * np.sum(s[ell:] ** 2), SKETCH),
            "a sketch of r columns": (hmt, lambda A, r, ell, q, rng: SKETCH(A, r, r, q, rng)),
        },
    ),
    "thm-power-iteration": Claim(
        check=power_claim,
        code=(power_bounds, SKETCH),
        cases=[
            (LARGE[:120], 120, 120, 20, 30, 0),
            *[(*case, q) for case in SMALL for q in (0, 1, 2)],
            (GAP, 65, 65, 5, 12, 1),
            (GAP, 65, 70, 5, 8, 2),
        ],
        dropped={"ℓ ≥ r + 2": (SLOPE, 60, 60, 5, 6, 1)},
        mutants={
            "σ_{r+1} for the sum of powers": (power_without_sum, SKETCH),
            "one iteration more than was made": (power_of_doubled_gap, SKETCH),
            "no iteration": (power_bounds, lambda A, r, ell, q, rng: SKETCH(A, r, ell, 0, rng)),
        },
    ),
    "thm-block-krylov": Claim(
        check=krylov_claim,
        code=(chebyshev_bound, KRYLOV),
        cases=[
            (LARGE, 220, 220, 20, 30, 0),
            (CLUSTER, 60, 60, 5, 8, 1),
            (CLUSTER, 60, 70, 5, 8, 2),  # no tall one: the package turns those, and draws another Ω
            (CLUSTER, 60, 80, 5, 10, 3),
            (SLOPE, 60, 60, 4, 9, 1),
            (SLOPE, 60, 60, 4, 9, 0),
            (np.ones(20), 20, 20, 3, 8, 1),
        ],
        dropped={"ℓ ≥ r + 2": (CLUSTER, 60, 60, 5, 6, 1)},
        mutants={
            "no excess": (lambda s, r, ell, q: np.sum(s[r:] ** 2), KRYLOV),
            "p + 1 for p − 1": (
                lambda s, r, ell, q: (
                    (1 + r / (ell - r + 1)) * np.sum(s[r:] ** 2) if q == 0 else chebyshev_bound(s, r, ell, q)
                ),
                KRYLOV,
            ),
            "the power iteration": (chebyshev_bound, SKETCH),
        },
    ),
    "prop-error-estimate": Claim(
        check=estimate,
        code=(after_the_fact, estimate_error),
        cases=[
            (np.diag([1.0, 0.0]), 2.0, 1),
            (np.diag([1.0, 0.0]), 10.0, 1),
            (np.diag([1.0, 0.0]), 2.0, 3),
            (TALL, 2.0, 1),
            (WIDE, 1.5, 4),
            (np.zeros((3, 4)), 2.0, 2),
        ],
        dropped={"vectors independent of E": (matrix(SLOPE[:8], 12, 9), 10.0, 3, True)},
        mutants={
            "without α": by_itself(lambda products, alpha: after_the_fact(products, 1.0)),
            "2/π without the root": by_itself(
                lambda products, alpha: after_the_fact(products, alpha) * np.sqrt(2 / np.pi)
            ),
            "the mean for the largest": by_itself(
                lambda products, alpha: alpha * np.sqrt(2 / np.pi) * lengths(products).mean(axis=-1) / 2
            ),
        },
    ),
    "cor-error-estimate-powers": Claim(
        check=estimate_by_powers,
        code=(root_of_powers, estimate_error),
        cases=[
            (np.diag([1.0, 0.0]), 2.0, 1, 0),
            (np.diag([1.0, 0.0]), 2.0, 3, 2),
            (np.diag([3.0, 2.9, 1.0]), 2.0, 2, 1),
            (TALL, 2.0, 1, 2),
            (WIDE, 1.5, 4, 3),
            (np.zeros((3, 4)), 2.0, 2, 1),
        ],
        dropped={"vectors independent of E": (matrix(SLOPE[:8], 12, 9), 10.0, 3, 1, True)},
        mutants={
            "without α": powers_alone(lambda E, probes, alpha, q: root_of_powers(E, probes, 1.0, q)),
            "α outside of the root": powers_alone(
                lambda E, probes, alpha, q: alpha * root_of_powers(E, probes, 1.0, q)
            ),
            "the root of order 2q": powers_alone(
                lambda E, probes, alpha, q: root_of_powers(E, probes, alpha, q) ** ((2 * q + 1) / max(2 * q, 1))
            ),
            "no root": powers_alone(lambda E, probes, alpha, q: root_of_powers(E, probes, alpha, q) ** (2 * q + 1)),
        },
    ),
    "thm-one-pass": Claim(
        check=one_pass_claim,
        code=(two_sketches, FROM_BLOCKS),
        cases=[
            (np.diag([5.0, 4.0, 3.0, 2.0, 1.0, 1.0]), np.eye(6)[:, :2], 8),
            (matrix(SLOPE[:6], 8, 6), ORTHO, 9),
            (matrix(SLOPE[:8], 8, 12), ORTHO, 12),
            (ORTHO @ RNG.standard_normal((2, 5)), ORTHO, 8),
            (np.zeros((8, 3)), ORTHO, 8),
        ],
        dropped={
            "two rows of Ψ more than columns of Q": (matrix(SLOPE[:6], 8, 6), ORTHO, 3),
            "Ψ independent of Q": (matrix(SLOPE[:6], 8, 6), ORTHO, 9, False),
        },
        mutants={
            "the error of the projection": (lambda A, Q, k: fro(A - Q @ (Q.T @ A)) ** 2, FROM_BLOCKS),
            "k − ℓ + 1 for k − ℓ − 1": (
                lambda A, Q, k: (1 + Q.shape[1] / (k - Q.shape[1] + 1)) * fro(A - Q @ (Q.T @ A)) ** 2,
                FROM_BLOCKS,
            ),
            "the first columns of Ψ for every block": (
                two_sketches,
                lambda blocks, Omega, Psi: FROM_BLOCKS(
                    blocks, Omega, np.tile(Psi[:, : len(blocks[0])], 3)[:, : Psi.shape[1]]
                ),
            ),
        },
    ),
}


# Folklore


def columns_asked(q):
    operator, asked = definitions(7, "counting")(matrix(SLOPE, 90, 70))
    randomized_svd(operator, 5, power_iterations=q, rng=0)
    return [columns for columns in asked if columns > 1]


lanczos_steps, intensity = definitions(7, "lanczos_products"), definitions(7, "intensity")
SQUARE = matrix(SLOPE[:12], 12, 12)


def rank_three(columns):
    """The error of a rank-3 approximation from the rows of Vᵀ, or from its columns."""
    U, s, Vt = np.linalg.svd(SQUARE)
    return fro(SQUARE - (U[:, :3] * s[:3]) @ (Vt[:, :3].T if columns else Vt[:3]))


# Observations

at_equal_products = definitions(7, "at_equal_products")
SKETCH_ALONE = "one sketch with as many products"


@functools.cache
def equal_products():
    """For each matrix, five draws: the excess of one sketch, the best powers, the Krylov space, one of half blocks."""
    photo = datasets.gray(datasets.load("china"))
    centred = photo - photo.mean()
    matrices = {
        "slow": datasets.with_spectrum(1 / np.arange(1.0, 401) ** 0.5, 600, 400, rng=2),
        "photograph": centred,
        "shuffled": np.random.default_rng(0).permutation(centred.ravel()).reshape(centred.shape),
    }
    return {name: [at_equal_products(A, seed) for seed in range(5)] for name, A in matrices.items()}


def worst_and_best(rows):
    """The least excess of one sketch, the least of the powers, the largest of the Krylov space, and of its halves."""
    sketch, powers, krylov, halves = zip(*rows, strict=True)
    return min(sketch), min(powers), max(krylov), max(halves)


def all_blocks_are_ahead(draws):
    """The worst draw of the Krylov space is ahead of the best powers, its half blocks of it, each matrix in its way.

    The factor to the powers is above a thousand where the values fall, and below ten with the pixels shuffled.
    """
    for name, rows in draws.items():
        sketch, powers, krylov, halves = worst_and_best(rows)
        as_said = powers < 10 * krylov if name == "shuffled" else powers > 1000 * krylov
        if not halves < krylov < powers < sketch or not as_said:
            return False
    return True


def in_time(study, kind, target="1e-08"):
    """Seconds of each method that stayed below the target in every run, the fastest first."""
    rows = {name: row[target] for name, row in study["cases"][kind]["methods"].items()}
    good = {
        name: row["seconds"] for name, row in rows.items() if row["seconds"] and max(row["excess"]) <= float(target)
    }
    return dict(sorted(good.items(), key=lambda item: np.median(item[1])))


WINNERS = {
    "slow": "PROPACK",
    "tf-idf": "PROPACK",
    "photograph": "PROPACK",
    "tall": "Gram matrix",
}
LEVEL = ["ours, Krylov", "scikit, surplus r"]  # on the fast decay


def passes_of(study, methods, target="1e-08"):
    return [case["methods"][name][target]["passes"] for case in study["cases"].values() for name in methods]


def ahead(seconds, winners):
    """Whether each of the winners was faster than each of the others in every round."""
    others = [row for name, row in seconds.items() if name not in winners]
    return all(name in seconds and np.all(np.less(seconds[name], others)) for name in winners)


def no_method_is_fastest_everywhere(study):
    """Four kinds have a winner, the fast decay has two of which neither is ahead; the Krylov space takes few passes."""
    fast = in_time(study, "fast")
    one, other = (fast.get(name, [np.inf]) for name in LEVEL)
    return (
        all(ahead(in_time(study, kind), [winner]) for kind, winner in WINNERS.items())
        and ahead(fast, LEVEL)
        and not np.all(np.less(one, other))
        and not np.all(np.less(other, one))
        and 5 * max(passes_of(study, ["ours, Krylov"])) < min(passes_of(study, ["ARPACK", "PROPACK"]))
    )


def equal_accuracy_numbers(study):
    """Milliseconds of the first two of each kind, of the first three on the fast decay, and the passes."""
    firsts = [list(in_time(study, kind).values())[:2] for kind in WINNERS]
    firsts.append(list(in_time(study, "fast").values())[:3])
    return [
        *(f"{1000 * np.median(seconds):.0f}" for some in firsts for seconds in some),
        str(max(passes_of(study, ["ours, Krylov"]))),
        str(min(passes_of(study, ["ARPACK", "PROPACK"]))),
    ]


def stored_otherwise(study, kind, method, change):
    """The study with one entry for 1e-08 changed."""
    study = copy.deepcopy(study)
    change(study["cases"][kind]["methods"][method]["1e-08"])
    return study


def times(factor):
    return lambda entry: entry.update(seconds=[factor * seconds for seconds in entry["seconds"]])


def settings_chosen(study):
    """For each method with a grid, what it chose on each kind of matrix for each target."""
    found = {}
    for case in study["cases"].values():
        for name, row in case["methods"].items():
            if study["grids"][name]:
                settings = found.setdefault(name, {"setting": []})["setting"]
                settings += [entry["setting"] for entry in row.values() if entry["setting"] is not None]
    return found


GRIDS = results.load("svd_equal_accuracy")["grids"]
LONGER = "more of them than the least that suffices only take longer"
ENDS = {
    "ARPACK": ("0 asks for all digits", "1 asks for none"),
    "PROPACK": ("0 asks for all digits", "1 asks for none"),
    "LOBPCG, tol unset": ("one iteration, tried as well, reaches neither excess", LONGER),
    "scikit-learn": ("0 iterations are the plain sketch", LONGER),
    "scikit, surplus r": ("0 iterations are the plain sketch", LONGER),
    "torch": ("0 iterations are the plain sketch", LONGER),
    "ours, powers": ("0 iterations are the plain sketch", LONGER),
    "ours, Krylov": ("two blocks of half of the rank are the least that hold it", LONGER),
}


def extent(values):
    return min(values), max(values)


def ratios_of_growth(study):
    """The exact SVD's seconds over the randomised one's at the largest size, a number for each kind and round."""
    return [
        exact[-1] / fast[-1]
        for rows in study["kinds"].values()
        for exact, fast in zip(rows["exact"]["seconds"], rows["randomised"]["seconds"], strict=True)
    ]


def growth_is_ordered(study):
    """On both kinds the exact SVD grows fastest and the randomised one slowest, in every round; so do memory and steps.

    The order of the exact SVD's time is met, that of the randomised one is not reached, that of Lanczos exceeded.
    """
    for rows in study["kinds"].values():
        fast, steps, exact = (extent(rows[name]["slopes"]) for name in ("randomised", "Lanczos", "exact"))
        if not (
            fast[1] < steps[0] and steps[1] < exact[0] and fast[1] < 2 < steps[0] and 2.7 < exact[0] < exact[1] < 3.3
        ):
            return False
    slopes = {name: row["slope"] for name, row in study["memory"].items()}
    falling, noise = (study["kinds"][kind]["Lanczos"]["products"] for kind in ("falling", "noise"))
    return (
        len(set(falling)) == 1
        and noise == sorted(noise)
        and noise[-1] > 1.3 * noise[0]
        and abs(slopes["exact"] - 2) < 0.2
        and max(slopes["randomised"], slopes["Lanczos"]) < 1.2
        and min(ratios_of_growth(study)) > 30
    )


def growth_numbers(study):
    """What the box says: slopes of time and memory, megabytes and the ratio of times at the largest size, products."""
    kinds, memory = study["kinds"], study["memory"]
    slopes = [
        extent([slope for rows in kinds.values() for slope in rows[name]["slopes"]]) for name in ("exact", "randomised")
    ]
    slopes += [extent(rows["Lanczos"]["slopes"]) for rows in kinds.values()]
    products = [count for rows in kinds.values() for count in extent(rows["Lanczos"]["products"])]
    return [
        *(f"{value:.1f}" for pair in slopes for value in pair),
        *(f"{row['slope']:.1f}" for row in memory.values()),
        *(f"{row['megabytes'][-1]:.0f}" for row in memory.values()),
        *(f"{value:.0f}" for value in extent(ratios_of_growth(study))),
        *(str(count) for count in products),
        f"{max(rows['randomised']['excess'] for rows in kinds.values()):.0e}",
    ]


def grown_otherwise(study, kind, name, **changes):
    """The study with something else in the row of one method on one kind."""
    study = copy.deepcopy(study)
    study["kinds"][kind][name].update(changes)
    return study


def redrawn(draws, name, change):
    return {**draws, name: [change(*row) for row in draws[name]]}


OBSERVATIONS = {
    "obs-randomized-svd-krylov": Observation(
        measured=equal_products,
        protocol=Protocol(
            baseline=SKETCH_ALONE,
            contenders=[
                Contender(SKETCH_ALONE, fixed="its columns are given by the number of products"),
                Contender("powers", fixed="the best of q = 1 to 5 for each draw, by hindsight, in its favour"),
                Contender("Krylov", fixed="blocks of r columns, their number given by that of products"),
                Contender("Krylov, half blocks", fixed="blocks of r/2 columns, twice as many"),
            ],
            tested_on="a matrix with σ = 1/√i, a centred photograph, and one with its pixels shuffled",
            runs=5,
            interval="the worst of five draws against the best of five",
        ),
        verdict=all_blocks_are_ahead,
        numbers=lambda draws: [
            f"{number:.0e}"
            for sketch, powers, krylov, _ in map(worst_and_best, draws.values())
            for number in (krylov, powers, sketch)
        ],
        sharp={
            "one number of powers within a factor of 1000": lambda draws: redrawn(
                draws, "photograph", lambda sketch, powers, krylov, halves: (sketch, 900 * krylov, krylov, halves)
            ),
            "one draw of the Krylov space as bad as the powers": lambda draws: {
                **draws,
                "slow": [*draws["slow"][:4], (*draws["slow"][4][:2], draws["slow"][4][1], draws["slow"][4][3])],
            },
            "the plain sketch as good as the powers": lambda draws: redrawn(
                draws, "slow", lambda sketch, powers, krylov, halves: (powers, powers, krylov, halves)
            ),
            "as far ahead with the pixels shuffled": lambda draws: {**draws, "shuffled": draws["photograph"]},
            "half blocks behind": lambda draws: redrawn(
                draws, "slow", lambda sketch, powers, krylov, halves: (sketch, powers, krylov, 2 * krylov)
            ),
        },
    ),
    "obs-randomized-svd-equal-accuracy": Observation(
        measured=lambda: results.load("svd_equal_accuracy"),
        protocol=Protocol(
            baseline="LAPACK, all of it",
            contenders=[
                Contender("LAPACK, all of it", fixed="has no setting"),
                Contender("Gram matrix", fixed="has no setting"),
                *(
                    Contender(name, {"setting": GRIDS[name]}, first={"setting": first}, last={"setting": last})
                    for name, (first, last) in ENDS.items()
                ),
            ],
            tuned_on="one matrix of each kind: another draw, the odd docstrings, another photograph",
            tested_on="five draws of each random kind, the even docstrings, a photograph, new starts",
            runs=5,
            interval="every one of five rounds, paired",
        ),
        verdict=no_method_is_fastest_everywhere,
        numbers=equal_accuracy_numbers,
        sharp={
            "the Krylov space as fast on words as on a fast decay": lambda study: stored_otherwise(
                study, "tf-idf", "ours, Krylov", times(0.3)
            ),
            "one of two ahead on the fast decay": lambda study: stored_otherwise(
                study, "fast", "ours, Krylov", times(0.9)
            ),
            "vectors, one at a time, as fast on the fast decay": lambda study: stored_otherwise(
                study, "fast", "PROPACK", times(0.7)
            ),
            "a winner behind in one round": lambda study: stored_otherwise(
                study, "slow", "PROPACK", lambda entry: entry["seconds"].__setitem__(2, 10.0)
            ),
            "a winner that misses the accuracy": lambda study: stored_otherwise(
                study, "fast", "ours, Krylov", lambda entry: entry["excess"].__setitem__(0, 2e-8)
            ),
            "the baseline ahead on a tall matrix": lambda study: stored_otherwise(
                study, "tall", "LAPACK, all of it", times(0.15)
            ),
            "as many passes for blocks as for vectors": lambda study: stored_otherwise(
                study, "photograph", "ours, Krylov", lambda entry: entry.update(passes=200)
            ),
        },
        chosen=settings_chosen,
    ),
    "obs-randomized-svd-growth": Observation(
        measured=lambda: results.load("svd_growth"),
        protocol=Protocol(
            baseline="exact",
            contenders=[
                Contender("exact", fixed="has no setting"),
                Contender("randomised", fixed="ten surplus columns and q = 2, the package's defaults"),
                Contender("Lanczos", fixed="tolerance 0, and more steps allowed than it takes"),
            ],
            tested_on="square matrices of five sizes with σ = 1/i, and noise",
            runs=5,
            interval="the least and the largest slope of five rounds",
        ),
        verdict=growth_is_ordered,
        numbers=growth_numbers,
        sharp={
            "one round in which the randomised slope is that of Lanczos": lambda study: grown_otherwise(
                study, "noise", "randomised", slopes=[2.4, *study["kinds"]["noise"]["randomised"]["slopes"][1:]]
            ),
            "Lanczos as steep as the exact SVD": lambda study: grown_otherwise(
                study, "noise", "Lanczos", slopes=study["kinds"]["noise"]["exact"]["slopes"]
            ),
            "as many products on noise at every size": lambda study: grown_otherwise(
                study, "noise", "Lanczos", products=[300] * 5
            ),
            "more products at each size where the values fall": lambda study: grown_otherwise(
                study, "falling", "Lanczos", products=study["kinds"]["noise"]["Lanczos"]["products"]
            ),
            "memory of the randomised method that grows like that of the exact one": lambda study: {
                **study,
                "memory": study["memory"] | {"randomised": study["memory"]["exact"]},
            },
        },
    ),
}


def library_error(n_iter, normalizer, decay):
    """scikit-learn's error at rank 20 on a matrix of this decay, over the least one."""
    least = np.linalg.norm(decay[20:])
    A = datasets.with_spectrum(decay, 300, 200, rng=1)
    return definitions(7, "their_error")(n_iter, normalizer, A, least)


DECAYS = [10.0 ** (-np.arange(100) / step) for step in (4, 2)]


FOLKLORE = {
    6: Folklore(
        wrong="take the first r columns of Vᵀ",
        fails=lambda: rank_three(columns=True) > 1.5 * np.linalg.norm(SLOPE[3:12]),
        holds=lambda: (
            within(abs(rank_three(columns=False) - np.linalg.norm(SLOPE[3:12])), 1e-12)
            and randomized_svd(SQUARE, 3, rng=0).Vt.shape == (3, 12)
        ),
    ),
    15: Folklore(
        wrong="a randomised SVD takes O((m + n) r) memory and O(mnr) time",
        fails=lambda: (
            len(columns_asked(3)) > len(columns_asked(0))
            and lanczos_steps(1 + 0.001 * np.arange(500.0)[::-1] / 500)
            > 3 * lanczos_steps(np.r_[np.arange(10.0, 5, -1), np.ones(495)])
        ),
        holds=lambda: all(columns_asked(q) == [15] * (2 * q + 2) for q in range(4)),
    ),
    29: Folklore(
        wrong="two n×n matrices multiply in O(n³) operations, so operations tell the time",
        fails=lambda: intensity(2000, 60) > 50 * intensity(2000, 1),
        holds=lambda: all(
            sum(n + (n - 1) for _ in range(n * n)) == 2 * n**3 - n**2 and intensity(n, n) > intensity(n, 1)
            for n in range(2, 9)
        ),
    ),
    34: Folklore(
        wrong="scikit-learn's randomized_svd is safe by default",
        fails=lambda: (
            library_error(2, "auto", DECAYS[0]) > 10
            and library_error(2, "auto", DECAYS[1]) > 1e5
            and library_error(1, "auto", DECAYS[1]) > 1e3
        ),
        holds=lambda: all(
            within(library_error(n_iter, how, decay) - 1, 2e-3)
            for decay in DECAYS
            for n_iter, how in ((1, "LU"), (2, "QR"), (2, "LU"), (3, "auto"), ("auto", "auto"))
        ),
    ),
}
