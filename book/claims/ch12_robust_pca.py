"""The claims of chapter 12, robust PCA."""

import functools
from typing import NamedTuple

import numpy as np

from book.claims import Adapted, Claim, each
from book.definitions import definitions
from book.margins import above, close, rank, within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results
from lowrank_helpers.decomposition import robust_pca, singular_value_threshold

RNG = np.random.default_rng(120)
TALL = RNG.standard_normal((6, 3))
WIDE = RNG.standard_normal((3, 5))
SQUARE = RNG.standard_normal((4, 4))
THIN = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 5))
TIES = np.linalg.qr(RNG.standard_normal((4, 3)))[0] * 2.0 @ np.linalg.qr(RNG.standard_normal((3, 3)))[0]
SPIKE = np.zeros((3, 4))
SPIKE[1, 2] = -5.0
fro = np.linalg.norm


def values(A):
    return np.linalg.svd(A, compute_uv=False)


def nuclear(A):
    return float(values(A).sum())


def slack(A, constant=1000.0):
    return constant * np.finfo(float).eps * max(A.shape) * max(float(values(A)[0]), 1.0) ** 2


# ------------------------------------------------------------------------------------------------- the soft threshold


soft = definitions(12, "soft")


def soft_claim(code, A, tau, penalty=np.abs):
    """φ(x) ≥ φ(x*) + ½(x − x*)² on a fine grid, at the kinks and at ±a, for every entry a of A."""
    found = np.asarray(code(A, tau), dtype=float)
    if found.shape != A.shape:
        return False
    reach = 2 * float(np.abs(A).max()) + 2 * abs(tau) + 1
    for a, best in zip(A.ravel(), found.ravel(), strict=True):
        x = np.concatenate([np.linspace(-reach, reach, 2001), [0.0, a, -a, a - tau, a + tau, best]])
        cost = (x - a) ** 2 / 2 + tau * penalty(x)
        least = (best - a) ** 2 / 2 + tau * float(penalty(np.array(best)))
        if not within(least + (x - best) ** 2 / 2 - cost, slack(np.array([[reach]]))):
            return False
    return True


# -------------------------------------------------------------------------------------- singular value thresholding


class Thresholded(NamedTuple):
    """What the theorem says of M and τ: the minimiser, its rank, and the spectral norm of what was taken away."""

    X: np.ndarray
    rank: int
    removed: float


def with_facts(threshold, M, tau):
    return Thresholded(threshold(M, tau), *facts(values(M), tau))


def facts(s, tau):
    return int(above(s - tau, 1e-12).sum()), float(min(s[0], tau))


formula = definitions(12, "threshold")
thresholded = Adapted(with_facts, formula)


def rivals(X, M, seed=0):
    """Other matrices: near X, truncations and scalings of M, X with turned singular vectors, signs changed."""
    rng = np.random.default_rng(seed)
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    x = values(X)
    yield from (M, 0 * M, M / 2, soft(M, 1.0), X + 1e-2 * M)
    for k in range(1, len(s)):
        yield (U[:, :k] * s[:k]) @ Vt[:k]
    for size in (1.0, 0.1, 1e-2):
        for _ in range(15):
            yield X + size * rng.standard_normal(M.shape)
            P = np.linalg.qr(np.eye(len(M)) + size * rng.standard_normal((len(M), len(M))))[0]
            yield P @ X
            yield (U * (x + size * rng.standard_normal(len(x)))) @ Vt
    for k in range(len(s)):
        flipped = x.copy()
        flipped[k] = -flipped[k] if x[k] else -(max(s[k], 1.0))
        yield (U * flipped) @ Vt
        if x[k] == 0:
            yield (U * np.where(np.arange(len(s)) == k, 1.0, x)) @ Vt


def svt_claim(code, M, tau, q=2):
    """Dearer are all rivals, by the growth ½‖X − X*‖²; rank and removed part as the theorem says."""
    try:
        X, kept, removed = code(M, tau)
    except ValueError:  # as the package says to τ < 0
        return False
    X = np.asarray(X, dtype=float)
    if X.shape != M.shape:
        return False

    def F(A):
        return float((np.abs(A - M) ** q).sum()) / q + tau * nuclear(A)

    eps = slack(M)
    if not within([F(X) + fro(A - X) ** 2 / 2 - F(A) for A in rivals(X, M)], eps):
        return False
    return kept == rank(X, size=max(1.0, values(M)[0])) and within(abs(values(M - X)[0] - removed), eps**0.5)


def swap_svt(change):
    return (lambda M, tau: thresholded(M, tau)._replace(X=change(M, tau)),)


def hard(M, tau):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return (U * np.where(s > tau, s, 0)) @ Vt


def signed_shift(M, tau):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    return (U * (s - tau)) @ Vt


def from_V(M, tau):
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    k = min(len(U), len(Vt))
    X = np.zeros(M.shape)
    if Vt.shape[0] == Vt.shape[1]:
        X = (U * np.maximum(s - tau, 0)[:k]) @ Vt.T
    return X


# ----------------------------------------------------------------------------------------- the gap, and the recovery


def cost(L, M, lam):
    return nuclear(L) + lam * float(np.abs(M - L).sum())


def lower_bound(Y, M, lam):
    """⟨Y, M⟩ after scaling Y until it is admitted."""
    size = max(values(Y)[0], float(np.abs(Y).max()) / lam, 1e-300)
    return float((Y * M).sum()) / max(1.0, size)


def gap_claim(code, M, lam, Y, times=1):
    """The bound is below every cost, and an admitted Y without gap makes the L that attains it a minimiser.

    The chapter's bound, for the best multiple of Y, is not lower and below every cost as well. The minimum is computed
    by the helper, whose own bound is not used. ``times`` takes so many times the Y that is admitted.
    """
    by_formula, best_multiple = code
    bound, largest = times * by_formula(Y, M, lam), times * best_multiple(Y, M, lam)
    eps = slack(M, 1e5)
    found = robust_pca(M, penalty=lam, tolerance=1e-8, max_iterations=20_000)
    candidates = [found.L, 0 * M, M, M / 2, formula(M, 1.0), M - soft(M, 0.5)]
    rng = np.random.default_rng(1)
    candidates += [found.L + 0.1 * rng.standard_normal(M.shape) for _ in range(20)]
    if not within([bound - largest, *(largest - cost(L, M, lam) for L in candidates)], eps):
        return False
    if not (within(values(Y)[0] - 1, 1e-12) and within(np.abs(Y) - lam, 1e-12)):
        return True
    if not within(abs(bound - float((Y * M).sum())), eps):  # an admitted Y is used as it comes
        return False
    for L in candidates:  # equality exactly under the two conditions: the gap is the sum of what misses them, all ≥ 0
        S = M - L
        misses = np.append(nuclear(L) - (Y * L).sum(), lam * np.abs(S) - Y * S)
        if not within([*-misses, abs(cost(L, M, lam) - bound - misses.sum())], eps):
            return False
    return True


BEST_MULTIPLE = definitions(12, "bound")


def dual(M, lam, steps=400):
    """An admitted Y, from the alternating directions, with next to no gap."""
    rho = M.size / (2 * float(np.abs(M).sum()))
    L, Y = 0 * M, 0 * M
    for _ in range(steps):
        S = soft(M - L + Y / rho, lam / rho)
        L = formula(M - S + Y / rho, 1 / rho)
        Y = Y + rho * (M - L - S)
    return Y / max(1.0, values(Y)[0], float(np.abs(Y).max()) / lam)


class Certificate(NamedTuple):
    """‖W‖₂, the largest |y_ij| / λ off the support, and the least eigenvalue of G (0: T and Ω meet)."""

    norm: float
    outside: float
    apart: float


def certified(certify, L, S, lam):
    """The chapter's code, which solves for W; where that cannot be, T and Ω meet, and there is no W to ask about."""
    try:
        return Certificate(*certify(L, S, lam))
    except np.linalg.LinAlgError:
        return Certificate(0.0, 0.0, 0.0)


CERTIFY = Adapted(certified, definitions(12, "certify"))


def recovery_claim(code, L, S, lam, wanted=True, without=""):
    """What the code certifies is the one minimiser; and it certifies where the hypotheses are met, and only there.

    ``without`` names a condition that is not asked for.
    """
    norm, outside, apart = code(L, S, lam)
    room = {"norm": 1 - norm, "outside": 1 - outside, "apart": apart}
    met = above([value for name, value in room.items() if name != without], 1e-9).all()
    return bool(met == wanted and (not met or unique_in_fact(L, S, lam)))


def unique_in_fact(L, S, lam):
    """Whether all other splittings, on the support and in the tangent directions too, are dearer."""
    M = L + S
    U, r = np.linalg.svd(L)[0], rank(L)
    rng = np.random.default_rng(2)
    directions = [rng.standard_normal(L.shape) for _ in range(20)]
    directions += [np.where(S != 0, H, 0) for H in directions]
    directions += [U[:, :r] @ (U[:, :r].T @ H) for H in directions[:20]]
    directions += [L, S, *(np.outer(np.eye(len(L))[i], np.eye(L.shape[1])[j]) for i, j in np.argwhere(S))]
    columns = np.flatnonzero((S != 0).any(axis=0))
    if r:
        directions += [np.outer(U[:, 0], np.eye(L.shape[1])[j]) for j in columns]
    steps = [t * H / fro(H) for H in directions if above(fro(H), 1e-9) for t in (0.01, -0.01)]
    if not above(min(cost(L + step, M, lam) for step in steps) - cost(L, M, lam), 1e-9):
        return False
    if not M.any():
        return True
    found = robust_pca(M, penalty=lam, tolerance=1e-9, max_iterations=50_000)
    return within(fro(found.L - L), 1e-4 * max(fro(M), 1.0))


def spread(n, r, share, seed):
    """As spread out as can be: singular vectors of signs; and errors at random places."""
    rng = np.random.default_rng(seed)
    L = sum(np.outer(*rng.choice([-1.0, 1.0], (2, n))) * (k + 1) for k in range(r)) if r else np.zeros((n, n))
    return L, np.where(rng.random((n, n)) < share, rng.standard_normal((n, n)), 0), n**-0.5


def one(n, size):
    S = np.zeros((n, n))
    S[0, 0] = size
    return np.ones((n, n)), S, n**-0.5


def rectangle():
    rng = np.random.default_rng(5)
    L = np.outer(rng.choice([-1.0, 1.0], 30), rng.choice([-2.0, 2.0], 20))
    return L, np.where(rng.random((30, 20)) < 0.05, 4.0, 0), 30**-0.5


def column_error():
    L, _, lam = spread(20, 1, 0, 3)
    S = np.zeros_like(L)
    S[:, 4] = np.random.default_rng(6).choice([-3.0, 3.0], 20)
    return L, S, lam


def spike():
    L = np.zeros((3, 3))
    L[0, 0] = 1.0
    return L, L, 1.0  # λ = 1: all of 2 e₁e₁ᵀ may be in either part


def sparse_background():
    L, S = np.zeros((6, 6)), np.zeros((6, 6))
    L[0, 0], S[3, 4] = 4.0, 1.0
    return L, S, 6**-0.5


def block_background():
    L, S = np.zeros((9, 9)), np.zeros((9, 9))
    L[:2, :2], S[4, 5] = 1.0, 1.0
    return L, S, 1 / 3


def flat_errors():
    S = np.ones((4, 4))
    S[3, 3] = 0
    return np.zeros((4, 4)), S, 0.5


def changed(**fields):
    """The book's code with one condition not asked for, or asked for wrongly."""
    return lambda L, S, lam: CERTIFY(L, S, lam)._replace(**{k: f(L, S, lam) for k, f in fields.items()})


def frobenius_of_W(L, S, lam):
    U, _, Vt = np.linalg.svd(L)
    r = rank(L)
    PU, PV = U[:, r:] @ U[:, r:].T, Vt[r:].T @ Vt[r:]
    return float(fro(PU @ (lam * np.sign(S)) @ PV))


# ------------------------------------------------------------------------------------------------ a corrupted column


class Column(NamedTuple):
    """L′, S′, and whether the rank has stayed."""

    L: np.ndarray
    S: np.ndarray
    kept: bool


def moved(L, S, j, d):
    other, rest = L.copy(), S.copy()
    other[:, j] += d
    rest[:, j] -= d
    inside = within(fro(d - L @ np.linalg.pinv(L, rcond=1e-9) @ d), 1e-9 * max(1.0, fro(d)))
    return Column(other, rest, inside)


def column_claim(code, L, S, j, d, spanned=True):
    other, rest, kept = code(L, S, j, d)
    r, changed_rank = rank(L), rank(other)
    return bool(
        close(other + rest, L + S, atol=1e-12)
        and close(other, L + np.outer(d, np.eye(L.shape[1])[j]), atol=1e-12)
        and not np.delete(rest, j, axis=1).any()
        and (not kept or changed_rank <= r)
        and (not spanned or kept == (changed_rank == r))
    )


def in_column(shape, j, seed=0):
    S = np.zeros(shape)
    S[:, j] = np.random.default_rng(seed).standard_normal(shape[0])
    return S


LOW = np.outer([1.0, 2, 3], [1.0, 1, 1, 2])
ALONE = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 1]])  # column 0 is the only one in its direction
ZERO = np.zeros((3, 2))

Y_HAND = np.array([[9.0, 3, 3, 3]] + 3 * [[3.0, 5, 5, 5]]) / 18
TYPO = np.ones((4, 4))
TYPO[0, 0] = 100.0
GROSS = THIN + SPIKE.repeat(2, 0)[:, [0, 1, 2, 3, 3]]

CLAIMS = {
    "lem-soft-threshold": Claim(
        check=soft_claim,
        code=soft,
        cases=[
            (np.array([[3.0, 1.0, -2.5, 0.0]]), 2.0),
            (np.array([[2.0, -2.0]]), 2.0),
            (TALL, 0.5),
            (WIDE, 0.0),
            (np.zeros((2, 2)), 1.0),
        ],
        dropped={
            "τ ≥ 0": (np.array([[0.0, 1.0]]), -1.0),
            "the penalty |x|: with x² the shrinking is by a factor": (np.array([[3.0]]), 2.0, np.square),
        },
        mutants={
            "hard threshold": lambda A, tau: np.where(np.abs(A) > tau, A, 0.0),
            "shift without the zero": lambda A, tau: A - tau * np.sign(A),
            "half of the level": lambda A, tau: soft(A, tau / 2),
            "without the sign": lambda A, tau: np.maximum(np.abs(A) - tau, 0),
            "clipping": lambda A, tau: np.clip(A, -tau, tau),
            "ridge, a factor": lambda A, tau: A / (1 + tau),
        },
    ),
    "thm-svt": Claim(
        check=each(svt_claim),
        code=(thresholded, Adapted(with_facts, singular_value_threshold)),
        cases=[
            (np.diag([3.0, 1.0]), 2.0),
            (TALL, 0.7),
            (WIDE, 1.1),
            (SQUARE, 0.4),
            (THIN, 0.5),
            (TIES, 1.0),
            (TIES, 2.0),
            (SPIKE, 1.0),
            (SQUARE, 0.0),
            (SQUARE, 100.0),
            (np.zeros((3, 2)), 1.0),
        ],
        dropped={
            "τ ≥ 0: below, the minimiser is not unique": (np.diag([1.0, 0.0]), -1.0),
            "the Frobenius norm: with entries to the fourth power": (SQUARE, 0.4, 4),
        },
        mutants={
            "hard threshold: 6.5 against 4.5": swap_svt(hard),
            "the entries thresholded": swap_svt(soft),
            "values below zero": swap_svt(signed_shift),
            "half of τ": swap_svt(lambda M, tau: formula(M, tau / 2)),
            "twice τ": swap_svt(lambda M, tau: formula(M, 2 * tau)),
            "V for Vᵀ": swap_svt(from_V),
            "τ = 0 only": swap_svt(lambda M, tau: M),
            "what is taken away is τ always": (lambda M, tau: thresholded(M, tau)._replace(removed=float(tau)),),
            "the rank counts σ ≥ τ": (
                lambda M, tau: thresholded(M, tau)._replace(rank=int((~above(tau - values(M), 1e-12)).sum())),
            ),
        },
    ),
    "thm-pcp-gap": Claim(
        check=gap_claim,
        code=(lower_bound, BEST_MULTIPLE),
        cases=[
            (TYPO, 0.5, Y_HAND),
            (TYPO, 0.5, 3 * Y_HAND),
            (TYPO, 0.5, np.ones((4, 4))),
            (TYPO, 0.5, -Y_HAND),
            (TYPO, 0.5, 0 * Y_HAND),
            (TYPO, 0.5, Y_HAND / 2),
            (TALL, 0.4, dual(TALL, 0.4)),
            (TALL, 0.4, TALL),
            (WIDE, 0.6, np.sign(WIDE)),
            (WIDE, 5.0, WIDE),
            (SQUARE, 0.5, dual(SQUARE, 0.5)),
            (GROSS, 0.45, dual(GROSS, 0.45)),
            (GROSS, 0.45, np.random.default_rng(3).standard_normal(GROSS.shape)),
            (SPIKE, 2.0, np.sign(SPIKE)),
            (SPIKE, 0.5, np.sign(SPIKE)),
        ],
        dropped={
            "‖Y‖₂ ≤ 1": (np.ones((4, 4)), 0.5, 0.5 * np.ones((4, 4)), 2),
            "|y| ≤ λ": (SPIKE, 0.5, np.sign(SPIKE), 2),
        },
        mutants={
            "not scaled": (lambda Y, M, lam: float((Y * M).sum()), BEST_MULTIPLE),
            "scaled by the spectral norm alone": (
                lambda Y, M, lam: float((Y * M).sum()) / max(1.0, values(Y)[0]),
                BEST_MULTIPLE,
            ),
            "scaled by the entries alone": (
                lambda Y, M, lam: float((Y * M).sum()) / max(1.0, float(np.abs(Y).max()) / lam),
                BEST_MULTIPLE,
            ),
            "entries up to 1, not λ": (
                lambda Y, M, lam: float((Y * M).sum()) / max(1.0, values(Y)[0], float(np.abs(Y).max())),
                BEST_MULTIPLE,
            ),
            "scaled by the Frobenius norm": (
                lambda Y, M, lam: float((Y * M).sum()) / max(1.0, float(fro(Y)), float(np.abs(Y).max()) / lam),
                BEST_MULTIPLE,
            ),
            "the best multiple for entries up to 1": (lower_bound, lambda Y, M, lam: BEST_MULTIPLE(Y, M, 1.0)),
        },
    ),
    "thm-pcp-recovery": Claim(
        check=recovery_claim,
        code=CERTIFY,
        cases=[
            one(4, 99.0),
            one(4, 0.01),
            one(5, -99.0),
            one(9, 5.0),
            one(6, -1.0),
            spread(40, 1, 0.1, 0),
            spread(40, 1, 0.05, 1),
            spread(12, 0, 0.05, 2),
            spread(12, 2, 0.01, 3),
            spread(12, 2, 0, 3),
            spread(5, 0, 0, 3),
            rectangle(),
            (*one(4, -99.0), False),
            (*column_error(), False),
            (*spike(), False),
            (*sparse_background(), False),
            (*block_background(), False),
            (*flat_errors(), False),
        ],
        dropped={
            "T and Ω meet only in 0: a spike": (*spike(), True, "apart"),
            "T and Ω meet only in 0: a whole column": (*column_error(), True, "apart"),
            "|y| < λ outside Ω: a sparse background": (*sparse_background(), True, "outside"),
            "‖W‖₂ < 1: errors of rank 1": (*flat_errors(), True, "norm"),
            "‖W‖₂ < 1: too many errors": (*spread(12, 1, 0.5, 4), True, "norm"),
        },
        mutants={
            "always": lambda L, S, lam: Certificate(0.0, 0.0, 1.0),
            "without the norm of W": changed(norm=lambda L, S, lam: 0.0),
            "without the room outside": changed(outside=lambda L, S, lam: 0.0),
            "without condition 3": changed(apart=lambda L, S, lam: 1.0),
            "outside at most 1, not λ": changed(outside=lambda L, S, lam: CERTIFY(L, S, lam).outside * lam),
            "the Frobenius norm of W": changed(norm=frobenius_of_W),
            "the sign of the errors turned": lambda L, S, lam: CERTIFY(L, -S, lam),
            "λ = 1": lambda L, S, lam: CERTIFY(L, S, 1.0),
            "λ = 1/n": lambda L, S, lam: CERTIFY(L, S, lam**2),
        },
    ),
    "prop-corrupted-column": Claim(
        check=column_claim,
        code=moved,
        cases=[
            (LOW, in_column((3, 4), 3), 3, np.array([2.0, 4, 6])),
            (LOW, in_column((3, 4), 3), 3, np.array([2.0, 4, 7])),
            (LOW, in_column((3, 4), 0), 0, np.zeros(3)),
            (LOW, 0 * LOW, 1, np.array([-1.0, -2, -3])),
            (THIN, in_column(THIN.shape, 2), 2, THIN @ np.arange(5.0)),
            (THIN, in_column(THIN.shape, 2), 2, np.arange(6.0)),
            (WIDE, in_column(WIDE.shape, 4), 4, np.array([1.0, -1, 2])),
            (ZERO, in_column((3, 2), 1), 1, np.array([1.0, 0, 0])),
            (ZERO, in_column((3, 2), 1), 1, np.zeros(3)),
            (ALONE, in_column((3, 3), 0), 0, np.array([-1.0, 0, 0]), False),
        ],
        dropped={
            "S vanishes outside column j": (LOW, np.ones((3, 4)), 3, np.array([2.0, 4, 6])),
            "the other columns span the column space": (ALONE, in_column((3, 3), 0), 0, np.array([0.0, 1, 0])),
        },
        mutants={
            "the rank always stays": lambda L, S, j, d: moved(L, S, j, d)._replace(kept=True),
            "the rank stays only for d = 0": lambda L, S, j, d: moved(L, S, j, d)._replace(kept=not d.any()),
            "S left as it was": lambda L, S, j, d: moved(L, S, j, d)._replace(S=S),
            "d in the row space": lambda L, S, j, d: moved(L, S, j, d)._replace(
                kept=within(fro(d - L.T[: len(d), : len(d)] @ d), 1e-9)
            ),
            "multiples of the old column only": lambda L, S, j, d: moved(L, S, j, d)._replace(
                kept=rank(np.column_stack([L[:, j], d])) <= 1
            ),
            "the next column": lambda L, S, j, d: moved(L, S, (j + 1) % L.shape[1], d),
        },
    ),
}

# ------------------------------------------------------------------------------------------------- the observations

WAYS = ("median", "median, light", "PCA, rank 2", "refitted, rank 2", "pursuit")
WANDERS, ALIKE, CONSTANT = "wanders", "changes everywhere alike", "is constant"


@functools.cache
def background_errors():
    """For each kind of light and each way, its errors in thousandths over two photographs and five draws."""
    stored = results.load("backgrounds")["errors"]
    return {light: {way: 1e3 * np.array(errors) for way, errors in runs.items()} for light, runs in stored.items()}


def closer(runs, way, rival, times=1.0):
    """Whether a way's error, so many times, is below the rival's by its interval."""
    gap, half = student(runs[rival] - times * runs[way])
    return gap > half


def light_decides(errors):
    """Medians where their model holds; the pursuit beyond it; refitting with the right rank closer still."""
    wanders, alike, constant = errors[WANDERS], errors[ALIKE], errors[CONSTANT]
    return (
        all(closer(wanders, "pursuit", way, 3) for way in ("median", "median, light", "PCA, rank 2"))
        and closer(wanders, "refitted, rank 2", "pursuit")
        and closer(alike, "median, light", "pursuit")
        and closer(constant, "median", "pursuit")
    )


def with_errors(errors, light, way, values):
    return {**errors, light: {**errors[light], way: values}}


contest = definitions(12, "contest")


@functools.cache
def repaired():
    """For each kind of typo and each method: the setting and cut-off that were chosen, and ten errors."""
    return {
        kind: {name: (best, np.array(tests)) for name, (best, tests) in contest(kind).items()}
        for kind in ("slip", "shift")
    }


def calendar_first(tables):
    """A running median is below the pursuit, and that below the month's median; below PCA after slips only."""
    slip, shift = ({name: tests for name, (_, tests) in tables[kind].items()} for kind in ("slip", "shift"))
    gap, half = student(shift["PCA"] - shift["pursuit"])
    return (
        all(closer(runs, "running median", "pursuit") for runs in (slip, shift))
        and all(closer(runs, "pursuit", "median") for runs in (slip, shift))
        and closer(slip, "pursuit", "PCA")
        and abs(gap) < half
    )


def with_tests(tables, kind, name, tests):
    return {**tables, kind: {**tables[kind], name: (tables[kind][name][0], tests)}}


def chosen_settings(tables):
    names = {"median": None, "running median": "months", "PCA": "rank", "pursuit": "price"}
    found = {}
    for name, setting in names.items():
        best = [table[name][0] for table in tables.values()]
        found[name] = {"cut-off": [cut for _, cut in best]} | ({setting: [x for x, _ in best]} if setting else {})
    return found


CUTS = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 300.0)
BEYOND = {"cut-off": "beyond the last nothing is repaired"}

OBSERVATIONS = {
    "obs-robust-pca-backgrounds": Observation(
        measured=background_errors,
        protocol=Protocol(
            baseline="median",
            contenders=[
                Contender("median", fixed="has no setting"),
                Contender("median, light", fixed="has no setting"),
                Contender("PCA, rank 2", fixed="told the largest rank of the three backgrounds"),
                Contender("refitted, rank 2", fixed="told the same rank, and the threshold of the marks"),
                Contender("pursuit", fixed="the price is given by theory"),
            ],
            tested_on="sequences with a known background: two photographs, five draws of noise, three kinds of light",
            runs=10,
            interval="95 %, paired, over photographs and draws",
        ),
        verdict=light_decides,
        numbers=lambda errors: [
            f"{errors[light][way].mean():.1f}"
            for light, ways in (
                (WANDERS, ("pursuit", "median, light", "refitted, rank 2")),
                (ALIKE, ("pursuit", "median, light", "refitted, rank 2")),
                (CONSTANT, ("pursuit", "median")),
            )
            for way in ways
        ],
        sharp={
            "a median as close where the light wanders": lambda errors: with_errors(
                errors, WANDERS, "median, light", errors[WANDERS]["pursuit"]
            ),
            "PCA as close": lambda errors: with_errors(errors, WANDERS, "PCA, rank 2", errors[WANDERS]["pursuit"]),
            "the pursuit as close as refitting, in five of ten": lambda errors: with_errors(
                errors, WANDERS, "pursuit", errors[WANDERS]["refitted, rank 2"] + np.array([1.0, -1] * 5)
            ),
            "the pursuit as close in constant light": lambda errors: with_errors(
                errors, CONSTANT, "pursuit", errors[CONSTANT]["median"]
            ),
            "the pursuit closer under one brightness": lambda errors: with_errors(
                errors, ALIKE, "pursuit", errors[ALIKE]["median, light"] - 0.1
            ),
        },
    ),
    "obs-robust-pca-typos": Observation(
        measured=repaired,
        protocol=Protocol(
            baseline="as it comes",
            contenders=[
                Contender("as it comes", fixed="nothing is repaired"),
                Contender("median", {"cut-off": tuple(np.geomspace(0.5, 300, 45))}, last=BEYOND),
                Contender(
                    "running median", {"months": (3, 5, 7, 9, 11), "cut-off": CUTS}, first={"months": "3 is the least"}
                ),
                Contender(
                    "PCA",
                    {"rank": (1, 2, 3, 4, 5), "cut-off": CUTS},
                    first={"rank": "1 is the least rank"},
                    last=BEYOND,
                ),
                Contender("pursuit", {"price": (0.7, 1.0, 1.4, 2.0, 2.8), "cut-off": CUTS}),
            ],
            tested_on="ten spoilings of the table, seeds 0 to 9",
            tuned_on="ten other spoilings, seeds 100 to 109",
            runs=10,
            interval="95 %, paired, over the ten",
        ),
        verdict=calendar_first,
        numbers=lambda tables: [
            *(f"{tests.mean():.2f}" for table in tables.values() for _, tests in table.values()),
            *(f"{(table['pursuit'][1] - table['running median'][1]).mean():.2f}" for table in tables.values()),
        ],
        sharp={
            "the pursuit within the interval of the running median": lambda tables: with_tests(
                tables, "slip", "pursuit", tables["slip"]["running median"][1] + np.array([0.1, -0.1] * 5)
            ),
            "the month's median as good as the pursuit": lambda tables: with_tests(
                tables, "shift", "median", tables["shift"]["pursuit"][1]
            ),
            "PCA as good as the pursuit after slips": lambda tables: with_tests(
                tables, "slip", "PCA", tables["slip"]["pursuit"][1]
            ),
            "PCA decided after shifts": lambda tables: with_tests(
                tables, "shift", "PCA", tables["shift"]["pursuit"][1] + 0.1
            ),
            "a price at the edge of its grid": lambda tables: {
                **tables,
                "slip": {**tables["slip"], "pursuit": ((2.8, 4.0), tables["slip"]["pursuit"][1])},
            },
        },
        chosen=chosen_settings,
    ),
}
