"""The claims of chapter 11, non-negative matrix factorisation."""

import functools
from itertools import permutations
from typing import NamedTuple

import numpy as np
import scipy.special
import scipy.stats

from book.claims import Adapted, Claim
from book.definitions import definitions
from book.margins import close, rank, within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results

RNG = np.random.default_rng(110)
EPS = np.finfo(float).eps
fro = np.linalg.norm


def sparse_table(m, n, share=0.5):
    return RNG.random((m, n)) * (RNG.random((m, n)) < share)


TALL, WIDE, SQUARE = RNG.random((9, 4)), RNG.random((3, 8)) + 0.1, RNG.poisson(2.0, (6, 6)).astype(float)
HOLED = sparse_table(7, 5)
ZERO_LINE = HOLED.copy()
ZERO_LINE[2] = 0
ZERO_LINE[:, 1] = 0
LOW = RNG.random((8, 2)) @ RNG.random((2, 6))
SIGNED = np.array([[1.0, -1.0], [-1.0, 1.0]])


# The best approximation of rank one


def with_signs(A):
    """A first singular pair as it may come back from a tie: of the identity, (1, -1)."""
    U, s, Vt = np.linalg.svd(A)
    if np.array_equal(A, A[0, 0] * np.eye(*A.shape)) and A.shape[0] == A.shape[1] > 1 and A[0, 0]:
        v = np.zeros(len(A))
        v[:2] = [0.5**0.5, -(0.5**0.5)]
        return s[0], v, v
    return s[0], U[:, 0], Vt[0]


def rank_one(code, A):
    """The pair is non-negative and singular, and no matrix of rank one is closer."""
    sigma, u, v = code(A)
    s = np.linalg.svd(A, compute_uv=False)
    eps = 100 * EPS * max(A.shape) * max(s[0], 1e-300)
    best = np.sqrt((s[1:] ** 2).sum())
    far = [fro(A @ v - sigma * u), fro(A.T @ u - sigma * v), fro(A - sigma * np.outer(u, v)) - best]
    return bool(u.min() >= 0 and v.min() >= 0 and within(far, eps))


def signless(A):
    """The book's code, from a pair that has signs where a pair can have them."""
    sigma, u, v = with_signs(A)
    return sigma, abs(u), abs(v)


def clipped_pair(A):
    sigma, u, v = with_signs(A)
    return sigma, np.maximum(u, 0), np.maximum(v, 0)


def last_pair(A):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return s[-1], abs(U[:, -1]), abs(Vt[-1])


def column_of_vt(A):
    U, s, Vt = np.linalg.svd(A)
    return s[0], abs(U[:, 0]), abs(Vt[:, 0])


def squared_value(A):
    sigma, u, v = signless(A)
    return sigma**2, u, v


# Rank and non-negative rank


def fewest_terms(A):
    """N / d, the number of positive entries over the largest number in a row or column."""
    positive = A > 0
    return positive.sum() / max(positive.sum(axis=0).max(), positive.sum(axis=1).max())


CYCLE = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 1]])


def enough_terms(code, W, H, low=None):
    """A = WH needs at least code(A) terms; and where its rank is given, the bound is above it."""
    needed = code(W @ H)
    return within(needed - W.shape[1], 1e-12) and (low is None or bool(needed > low and rank(W @ H) == low))


SIGNED_THREE = (np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 1, 1]]), CYCLE[:3])  # row 4 = −1 + 2 + 3


# The best column


def column_claim(code, A, W, H, rivals=()):
    """Each column in its turn is w* ≥ 0, and every other w ≥ 0 is worse by at least half of ‖h‖² ‖w − w*‖²."""
    swept, rng = W.copy(), np.random.default_rng(0)
    code(swept, H @ H.T, A @ H.T)
    if not np.isfinite(swept).all() or swept.min() < 0:
        return False
    for k, h in enumerate(H):
        others = np.hstack([swept[:, :k], W[:, k + 1 :]]) @ np.delete(H, k, axis=0)
        if not best_column(A - others, h, swept[:, k], rng, rivals):
            return False
    return True


def best_column(R, h, w, rng, rivals):
    def loss(x):
        return 0.5 * fro(R - np.outer(x, h)) ** 2

    others = [*rivals, np.zeros(len(R)), np.maximum(R @ h, 0)]
    others += [rng.random(len(R)) * scale for scale in (0.01, 0.1, 1, 10) for _ in range(10)]
    others += [np.maximum(w + 0.01 * rng.standard_normal(len(R)), 0) for _ in range(20)]
    eps = 1e-10 * (1 + fro(R) ** 2)
    missing = [0.5 * (h @ h) * ((x - w) ** 2).sum() - loss(x) + loss(w) for x in others]
    unique = h.any() or all((x == w).all() for x in others)  # where h = 0 all columns are as good
    return unique and within(missing, eps)


def sweeping(update):
    """A sweep that puts update(w, c, h²) in the place of column w; c is the residual without it, times h."""

    def code(W, gram, product):
        for k in range(W.shape[1]):
            c = product[:, k] - W @ gram[:, k] + W[:, k] * gram[k, k]
            W[:, k] = update(W[:, k], c, gram[k, k])

    return code


SWEEP = definitions(11, "sweep")


def columns(m, n, r, seed, signs=False):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((r, n)) if signs else rng.random((r, n))
    return rng.standard_normal((m, n)), rng.random((m, r)), H


# Multiplicative updates


class Steps(NamedTuple):
    """The two updates of H, the losses, and whether W and H are updated in turn or both from the old values."""

    frobenius: object
    kullback_leibler: object
    half_error: object
    divergence: object
    in_turn: bool = True


quotient = definitions(11, "quotient")
FROBENIUS, KULLBACK_LEIBLER = definitions(11, "frobenius_step"), definitions(11, "kl_step")
STEPS = Steps(FROBENIUS, KULLBACK_LEIBLER, definitions(11, "half_error"), definitions(11, "divergence"))


def weighted_change(A, W, H, new):
    """What the theorem promises for the Frobenius loss."""
    G = W.T @ W @ H
    used = (H > 0) & (G > 0)
    return 0.5 * float((G[used] / H[used] * (new - H)[used] ** 2).sum())


def kl_change(A, W, H, new):
    return float((W.sum(axis=0)[:, None] * scipy.special.kl_div(new, H)).sum())


def frobenius_rule(A, W, H):
    """The new H of the statement: its promise stands, whatever the code does, or code that does nothing would pass."""
    G = W.T @ W @ H
    return np.divide(H * (W.T @ A), G, out=H.copy(), where=G > 0)


def kl_rule(A, W, H):
    sums, ratios = W.sum(axis=0)[:, None], np.divide(A, W @ H, out=np.zeros_like(H, shape=A.shape), where=A > 0)
    return np.divide(H * (W.T @ ratios), sums, out=H.copy(), where=sums > 0)


LOSSES = {
    "frobenius": ("half_error", lambda A, P: 0.5 * fro(A - P) ** 2, weighted_change, frobenius_rule),
    "kullback_leibler": ("divergence", lambda A, P: scipy.special.kl_div(A, P).sum(), kl_change, kl_rule),
}


def monotone(code, A, W, H, size=1.0, rounds=15):
    """Some rounds of updates of H and W: non-negative, and each lowers its loss by as much as promised.

    ``size`` scales the step: size 1 is the update itself.
    """
    for name, (loss_name, formula, promise, rule) in LOSSES.items():
        step, loss, W1, H1 = getattr(code, name), getattr(code, loss_name), W.copy(), H.copy()
        if name == "kullback_leibler" and ((W @ H == 0) & (A != 0)).any():
            continue
        for _ in range(rounds):
            W0, H0 = W1, H1
            H1 = H0 + size * (step(A, W0, H0) - H0)
            eps = 1e-11 * (1 + fro(A) ** 2 + abs(A).sum() + fro(W0 @ H0) ** 2)
            if not within(abs(loss(A, W0, H0) - formula(A, W0 @ H0)), eps):
                return False
            W1 = W0 + size * (step(A.T, (H1 if code.in_turn else H0).T, W0.T).T - W0)
            if not (np.isfinite(H1).all() and np.isfinite(W1).all() and H1.min() >= 0 and W1.min() >= 0):
                return False
            if code.in_turn:
                after_h = loss(A, W0, H0) - loss(A, W0, H1)
                after_w = loss(A, W0, H1) - loss(A, W1, H1)
                missing = [promise(A, W0, H0, new) - after_h for new in (H1, rule(A, W0, H0))]
                turned = A.T, H1.T, W0.T
                missing += [promise(*turned, new) - after_w for new in (W1.T, rule(*turned))]
                if not within(missing, eps):
                    return False
            elif not within(loss(A, W1, H1) - loss(A, W0, H0), eps):
                return False
    return True


def starts(A, r, seed=0, zeros=False):
    rng = np.random.default_rng(seed)
    W, H = rng.random((A.shape[0], r)) + 0.1, rng.random((r, A.shape[1])) + 0.1
    if zeros:
        W[0, 0] = H[0, 0] = 0
        W[:, r - 1] = 0
    return A, W, H


ONE = (np.array([[4.0]]), np.ones((1, 1)), np.ones((1, 1)))
UPDATES = [
    ONE,
    starts(TALL, 2),
    starts(WIDE, 3, 1),
    starts(SQUARE, 4, 2),
    starts(SQUARE, 8, 2),
    starts(HOLED, 2, 3),
    starts(ZERO_LINE, 3, 4),
    starts(LOW, 2, 5),
    starts(HOLED, 3, 6, zeros=True),
    starts(np.zeros((3, 4)), 2, 7),
    (TALL, 100 * RNG.random((9, 2)), RNG.random((2, 4))),
    (TALL, 0.001 + 0.001 * RNG.random((9, 2)), RNG.random((2, 4))),
    (np.array([[2.0], [1.0]]), np.array([[1.0], [0.0]]), np.ones((1, 1))),  # a locked zero, where D is infinite
]


def additive(A, W, H):
    """A gradient step of one length for all entries, cut off at 0."""
    return np.maximum(H - 1.0 * (W.T @ W @ H - W.T @ A), 0)


def clipped_least_squares(A, W, H):
    return np.maximum(np.linalg.lstsq(W, A, rcond=None)[0], 0)


def upside_down(A, W, H):
    return H * quotient(W.T @ W @ H, W.T @ A)


def unguarded(A, W, H):
    with np.errstate(all="ignore"):
        return H * (W.T @ A) / (W.T @ W @ H)


def transposed_sums(A, W, H):
    ratios = np.divide(A, W @ H, out=np.zeros_like(A), where=A > 0)
    return H * quotient(W.T @ ratios, H.sum(axis=1)[:, None])


def without_sums(A, W, H):
    return H * (W.T @ np.divide(A, W @ H, out=np.zeros_like(A), where=A > 0))


def squared(A, W, H):
    return H * quotient(W.T @ A, W.T @ W @ H) ** 2


# Positive factors


class Slide(NamedTuple):
    """The interval of ε, and Q for one ε."""

    low: float
    high: float
    Q: object


def both_ends(slide, W, H):
    """The chapter's end of the interval, and the other end as that of the transposed factors."""
    r = W.shape[1]
    k, l = 0, min(1, r - 1)
    E = np.zeros((r, r))
    E[k, l] = r > 1
    with np.errstate(divide="ignore"):
        low, high = -slide(W.T, l, k), slide(H, k, l)
    return Slide(low, high, lambda eps: np.eye(r) + eps * E)


SLIDE = Adapted(both_ends, definitions(11, "slide"))


def equivalent(first, second):
    """Whether (W', H') = (WS, S⁻¹H) with a scaled permutation S."""
    parts, wanted = (np.einsum("ik,kj->kij", W, H) for W, H in (first, second))
    # part order[k] of the first is part k of the second, up to a positive factor that both factors agree on
    return any(close(parts[list(order)], wanted, atol=1e-9) for order in permutations(range(len(parts))))


def not_unique(code, W, H):
    """Within the interval all pairs are non-negative with the same product, outside not; no two are equivalent."""
    found = code(W, H)
    if not found.low < 0 < found.high:
        return False
    inside = [found.low, 0.4 * found.low, 0.0, 0.3 * found.high, found.high]
    pairs = []
    for eps in inside:
        Q = found.Q(eps)
        W1, H1 = W @ Q, np.linalg.inv(Q) @ H
        if not within([-W1.min(), -H1.min()], 1e-10) or not close(W1 @ H1, W @ H, atol=1e-10):
            return False
        pairs.append((W1, H1))
    for eps in (1.01 * found.low, 1.01 * found.high):
        Q = found.Q(eps)
        if within([-(W @ Q).min(), -(np.linalg.inv(Q) @ H).min()], 1e-10):
            return False
    return not any(equivalent(pairs[i], pairs[j]) for i in range(5) for j in range(i))


def positive(m, r, n, seed):
    rng = np.random.default_rng(seed)
    return rng.random((m, r)) + 0.1, rng.random((r, n)) + 0.1


def transposed(E_change):
    """The slide with another Q."""

    def code(W, H):
        found, r = SLIDE(W, H), W.shape[1]
        return found._replace(Q=lambda eps: E_change(eps, r))

    return code


def single(r, i, j):
    E = np.zeros((r, r))
    E[i, j] = 1
    return E


# Separable factors


def finds_parts(code, W, H):
    """r different columns of WH are picked, and with them as W' the only H' is non-negative and equivalent to H."""
    A, r = W @ H, W.shape[1]
    with np.errstate(all="ignore"):
        picked = code(A, r)
    if len(set(picked)) < r:
        return False
    W1 = A[:, picked]
    H1 = np.linalg.lstsq(W1, A, rcond=None)[0]
    return within(-H1.min(), 1e-9) and close(W1 @ H1, A, atol=1e-9) and equivalent((W1, H1), (W, H))


def picking(column, reduced, normalised=True):
    """Successive projection with another choice of the column, or another way to go on from it."""

    def code(A, r):
        R = A / np.where(A.sum(axis=0) > 0, A.sum(axis=0), 1) if normalised else A
        picked = []
        for _ in range(r):
            picked.append(int(column((R**2).sum(axis=0))))
            R = reduced(R, R[:, picked[-1]])
        return picked

    return code


def without_direction(R, q):
    return R - np.outer(q, q @ R) / (q @ q)


def separable(m, r, mixtures, seed, scale=1.0):
    """W > 0, and in H mixtures and a multiple of each unit vector, in random order."""
    rng = np.random.default_rng(seed)
    H = np.hstack([scale * rng.random((r, mixtures)), np.diag(rng.random(r) + 0.5)])
    return rng.random((m, r)) + 0.1, H[:, rng.permutation(mixtures + r)]


CORNERS = np.array([[1.0, 0, 0.5], [0, 1, 0.5]])  # the third is the mean of the first two
SUCCESSIVE = definitions(11, "successive_projection")


CLAIMS = {
    "thm-nonnegative-rank-one": Claim(
        check=rank_one,
        code=signless,
        cases=[
            (A,)
            for A in (
                TALL,
                WIDE,
                SQUARE,
                HOLED,
                ZERO_LINE,
                LOW,
                CYCLE,
                np.eye(2),
                np.eye(3),
                3 * np.eye(4),
                np.zeros((3, 2)),
                np.array([[0.0, 2.0], [1.0, 0.0]]),
                np.array([[5.0]]),
                np.ones((1, 4)),
            )
        ],
        dropped={"A ≥ 0": (SIGNED,)},
        mutants={
            "the singular vectors as they come": with_signs,
            "negative entries cut off": clipped_pair,
            "the last pair": last_pair,
            "sigma squared": squared_value,
            "a column of Vᵀ for a row": column_of_vt,
        },
    ),
    "prop-nonnegative-rank": Claim(
        check=enough_terms,
        code=fewest_terms,
        cases=[
            (CYCLE, np.eye(4), 3),
            (np.eye(4), CYCLE, 3),
            (np.eye(5), np.eye(5)),
            (np.ones((4, 1)), np.ones((1, 1))),
            (np.ones((1, 1)), np.ones((1, 6))),
            (np.eye(3), np.array([[1.0, 1, 0], [0, 1, 0], [0, 1, 1]])),
            (np.array([[2.0, 0], [3.0, 0], [0, 1.0]]), np.array([[1.0, 0, 0], [0, 5.0, 7.0]])),
        ],
        dropped={
            "the factors are non-negative": SIGNED_THREE,
            "no two rows and columns meet in four positive entries": (np.ones((2, 1)), np.ones((1, 2))),
        },
        mutants={
            "every positive entry for itself": lambda A: (A > 0).sum(),
            "columns alone": lambda A: (A > 0).sum() / (A > 0).sum(axis=0).max(),
            "rows alone": lambda A: (A > 0).sum() / (A > 0).sum(axis=1).max(),
            "the rank": rank,
            "one less": lambda A: fewest_terms(A) - 1,
        },
    ),
    "prop-hals-step": Claim(
        check=column_claim,
        code=SWEEP,
        cases=[
            (np.array([[3.0, 1], [-2, 1], [0, 2]]), np.ones((3, 1)), np.array([[2.0, 1]])),
            columns(6, 4, 1, 0),
            columns(6, 4, 1, 1, signs=True),
            columns(6, 5, 3, 2),
            columns(4, 7, 3, 3, signs=True),
            (-RNG.random((3, 5)), RNG.random((3, 2)), RNG.random((2, 5))),
            (np.zeros((3, 2)), np.ones((3, 1)), np.array([[0.0, 2.0]])),
            (RNG.standard_normal((1, 3)), np.zeros((1, 2)), np.array([[0.1, 0.0, 0.0], [0.2, 0.3, 0.0]])),
        ],
        dropped={
            "the rivals are non-negative": (
                np.array([[-2.0, 1.0]]),
                np.ones((1, 1)),
                np.array([[1.0, 0.0]]),
                (np.array([-2.0]),),
            ),
            "h ≠ 0": (np.ones((2, 2)), np.ones((2, 1)), np.zeros((1, 2))),
        },
        mutants={
            "not cut off": sweeping(lambda w, c, square: c / square),
            "the length, not its square": sweeping(lambda w, c, square: np.maximum(c / square**0.5, 0)),
            "not divided": sweeping(lambda w, c, square: np.maximum(c, 0)),
            "the absolute value": sweeping(lambda w, c, square: abs(c) / square),
            "the change cut off, not the column": sweeping(lambda w, c, square: w + np.maximum(c / square - w, 0)),
            "all columns at once from the old values": lambda W, gram, product: W.__iadd__(
                np.maximum(W + (product - W @ gram) / np.diag(gram), 0) - W
            ),
        },
    ),
    "thm-mu-monotone": Claim(
        check=monotone,
        code=STEPS,
        cases=UPDATES,
        dropped={
            "one step, no longer": (*starts(TALL, 2), 2.5),
            "A ≥ 0": starts(TALL - 0.9, 2),
            "W ≥ 0": (TALL, starts(TALL, 2)[1] - 0.6, starts(TALL, 2)[2]),
            "H ≥ 0": (TALL, starts(TALL, 2)[1], starts(TALL, 2)[2] - 0.6),
        },
        mutants={
            "both factors at once from the old values": STEPS._replace(in_turn=False),
            "a gradient step cut off at 0": STEPS._replace(frobenius=additive),
            "an update that does nothing": STEPS._replace(frobenius=lambda A, W, H: H),
            "an update that does nothing to the divergence": STEPS._replace(kullback_leibler=lambda A, W, H: H),
            "clipped least squares": STEPS._replace(frobenius=clipped_least_squares),
            "the quotient upside down": STEPS._replace(frobenius=upside_down),
            "0 / 0 not handled": STEPS._replace(frobenius=unguarded),
            "the quotient squared": STEPS._replace(frobenius=squared),
            "sums of H for sums of W": STEPS._replace(kullback_leibler=transposed_sums),
            "the loss without its half": STEPS._replace(half_error=lambda A, W, H: fro(A - W @ H) ** 2),
            "the divergence without its sums": STEPS._replace(
                divergence=lambda A, W, H: scipy.special.rel_entr(A, W @ H).sum()
            ),
            "not divided by the sums": STEPS._replace(kullback_leibler=without_sums),
            "the Frobenius update for the divergence": STEPS._replace(kullback_leibler=FROBENIUS),
            "the update of the divergence for Frobenius": STEPS._replace(
                frobenius=lambda A, W, H: KULLBACK_LEIBLER(A, W, np.maximum(H, 1e-300))
            ),
        },
    ),
    "thm-nmf-separable": Claim(
        check=finds_parts,
        code=SUCCESSIVE,
        cases=[
            (
                np.array([[2.0, 0, 1], [0, 1, 1], [1, 1, 0], [0, 3, 1]]),
                np.array([[1.0, 0, 1, 2, 0], [2, 0, 1, 0, 1], [3, 2, 1, 0, 0]]),
            ),
            separable(6, 3, 9, 0),
            separable(5, 4, 3, 1),
            separable(4, 4, 6, 2, scale=100.0),
            separable(7, 1, 4, 3),
            (np.array([[1.0, 0.5], [0, 0.5]]), np.array([[1.0, 0, 0.9], [0, 2.0, 0.1]])),  # a mixture next to a corner
            (
                np.eye(3),
                np.hstack([np.eye(3), 2 * np.eye(3), np.ones((3, 2)), np.zeros((3, 1))]),
            ),  # ties, a zero column
            (np.array([[3.0, 0, 1], [0, 2, 0], [0, 0, 1], [0, 0, 0]]), np.hstack([np.ones((3, 1)), np.eye(3)])),
            (np.array([[1.0, 10], [10, 1]]), np.array([[0.01, 0, 5], [0, 0.02, 5]])),
        ],
        dropped={
            "each part has a column of its own": (np.eye(3), np.array([[1.0, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]])),
            "rank W = r": (CORNERS, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])),
            "W ≥ 0": (np.array([[1.0, 1.0], [0.0, -2.0]]), np.array([[1.0, 0, 1.0], [0, 1, 0.9]])),
            "H ≥ 0": (np.array([[1.0, 0.3], [0.2, 0.6]]), np.array([[1.0, 0, 3.0], [0, 1, -1.0]])),
        },
        mutants={
            "columns as long as they come": picking(np.argmax, without_direction, normalised=False),
            "the shortest column": picking(np.argmin, without_direction),
            "nothing taken away but the column itself": picking(
                np.argmax, lambda R, q: np.where((q[:, None] == R).all(axis=0), 0, R)
            ),
            "q with its length": picking(np.argmax, lambda R, q: R - np.outer(q, q @ R)),
            "what points along q is kept": picking(np.argmax, lambda R, q: np.outer(q, q @ R) / (q @ q)),
            "rows for columns": lambda A, r: SUCCESSIVE(A.T, r),
        },
    ),
    "thm-nmf-not-unique": Claim(
        check=not_unique,
        code=SLIDE,
        cases=[
            (np.array([[1.0, 1], [2, 1], [1, 3]]), np.array([[2.0, 1, 1], [1, 2, 1]])),
            positive(5, 2, 4, 0),
            positive(6, 3, 7, 1),
            positive(4, 4, 4, 2),
            positive(6, 3, 2, 3),  # H has rank 2, W rank 3
            positive(2, 3, 6, 4),  # W has rank 2, H rank 3
            (np.ones((1, 2)), np.array([[1.0, 2.0], [2.0, 1.0]])),
        ],
        dropped={
            "r ≥ 2": positive(4, 1, 5, 5),
            "W > 0": (np.eye(2), np.array([[2.0, 1], [1, 2]])),
            "H > 0": (np.array([[2.0, 1], [1, 2]]), np.eye(2)),
            "rank W = r or rank H = r: the ends exchange their parts": (np.ones((1, 2)), np.array([[2.0], [1.0]])),
        },
        mutants={
            "the inverse for Q": transposed(lambda eps, r: np.eye(r) - eps * single(r, 0, 1)),
            "a scaling, which is no change": transposed(lambda eps, r: np.eye(r) + eps * single(r, 0, 0)),
            "E transposed": transposed(lambda eps, r: np.eye(r) + eps * single(r, 1, 0)),
            "E symmetric": transposed(lambda eps, r: np.eye(r) + eps * (single(r, 0, 1) + single(r, 1, 0))),
            "the largest quotient": lambda W, H: SLIDE(W, H)._replace(high=float((H[0] / H[1]).max())),
            "no negative ε": lambda W, H: SLIDE(W, H)._replace(low=0.0),
            "half of the interval": lambda W, H: SLIDE(W, H)._replace(high=SLIDE(W, H).high / 2),
        },
    ),
}

# What is measured: angles to planted parts

four_ways = definitions(11, "four_ways")
ANY, PROJECTION, NMF, BOTH = "any columns", "projection", "NMF", "projection, NMF"
PURE, NOISY, IMPURE = "separable, noise 1 %", "separable, noise 10 %", "not separable, noise 1 %"
MIXTURES = {PURE: (0.01, True), NOISY: (0.1, True), IMPURE: (0.01, False)}


@functools.cache
def angles():
    """For each kind of table and each way to parts, the mean angle on each of ten tables."""
    found = {kind: [four_ways(*setting, seed) for seed in range(10)] for kind, setting in MIXTURES.items()}
    return {kind: {way: [row[way] for row in rows] for way in rows[0]} for kind, rows in found.items()}


def paired(rows, first, second):
    """The mean of first − second, and half of its interval."""
    return student(np.subtract(rows[first], rows[second]))


def nearer(rows, first, second):
    """Whether the first way is nearer to the parts than the second, by more than the interval."""
    mean, half = paired(rows, second, first)
    return bool(mean > half)


def projection_is_a_start(found):
    undecided = [abs(x) <= half for x, half in [paired(found[IMPURE], NMF, BOTH)]]
    return (
        nearer(found[PURE], PROJECTION, NMF)
        and nearer(found[NOISY], NMF, PROJECTION)
        and nearer(found[IMPURE], NMF, PROJECTION)
        and all(nearer(rows, PROJECTION, ANY) for rows in found.values())
        and all(b < p for rows in found.values() for b, p in zip(rows[BOTH], rows[PROJECTION], strict=True))
        and all(undecided)
    )


def angle_numbers(found):
    means = [np.mean(angle) for rows in found.values() for angle in rows.values()]
    pairs = [(PURE, NMF, PROJECTION), (NOISY, PROJECTION, NMF), (IMPURE, PROJECTION, NMF), (IMPURE, BOTH, NMF)]
    return [f"{x:.1f}" for x in [*means, *(y for kind, a, b in pairs for y in paired(found[kind], a, b))]]


def instead(found, kind, way, values):
    return {**found, kind: {**found[kind], way: values}}


# What is measured: the sparsity of parts

SHUFFLED = "digits, each pixel shuffled"


def parts_of_pictures():
    return results.load("nmf_parts")["tables"]


def empty_ground(tables):
    """The tables in which four entries in ten are the least of their pixel, and the others."""
    return [[row for row in tables.values() if (row["at their least"] > 0.4) == many] for many in (True, False)]


def ground_counts(tables):
    rich, poor = empty_ground(tables)
    return (
        min(x for row in rich for x in row["NMF"]) > max(x for row in poor for x in row["NMF"])
        and min(tables[SHUFFLED]["NMF"]) > max(tables["digits"]["NMF"])
        and all(min(row["NMF"]) > row["PCA"] for row in rich)
        and all(row["converged"] for row in tables.values())
    )


def sparsities(tables):
    ends = [x for row in tables.values() for x in (min(row["NMF"]), max(row["NMF"]))]
    return [f"{x:.2f}" for x in [*ends, *(tables[name]["PCA"] for name in ("digits", "faces of 100 people"))]]


def with_parts(tables, name, like):
    return {**tables, name: {**tables[name], "NMF": tables[like]["NMF"]}}


# What is measured: time beside scikit-learn

race = definitions(11, "race")


def races():
    """For each case the shares of scikit-learn's time, and the differences of the last losses."""
    return {name: race(case) for name, case in results.load("nmf")["cases"].items()}


def counts_are_faster(found):
    """SQUAREM from all starts, sooner and lower; HALS sooner where it gets there, and who ends lower is undecided."""
    return all(
        (len(shares) == 5 and max(ends) < 0)
        if "kullback" in name
        else (0 < len(shares) < 5 and min(ends) < 0 < max(ends))
        for name, (shares, ends) in found.items()
    ) and all(max(shares) < 1 for shares, _ in found.values())


def race_numbers(found):
    shares = [f"{x:.2f}" for shares, _ in found.values() for x in (min(shares), max(shares))]
    return [*shares, *(f"{100 * abs(x):.1f}" for _, ends in found.values() for x in (min(ends), max(ends)))]


# What is measured: the planted rank

ONE, THREE, ERROR, VALUES = "one split", "three splits", "one standard error", "singular values"
EVEN, PROPORTIONAL = "the same everywhere", "proportional to the entry"


def planted_rank():
    return results.load("nmf_rank")["chosen"]


def right(ranks):
    """How often the planted 5 was chosen, and the interval of that share (Wilson)."""
    share = scipy.stats.binomtest(list(ranks).count(5), len(ranks)).proportion_ci(0.95, method="wilson")
    return list(ranks).count(5), share.low, share.high


def one_split_is_luck(chosen):
    """With even noise, averages with a margin are better than one split; with proportional noise nothing is good."""
    even, proportional = chosen[EVEN], chosen[PROPORTIONAL]
    return (
        right(even[ONE])[2] < right(even[ERROR])[1]
        and right(even[ONE])[2] < right(even[VALUES])[1]
        and right(even[THREE])[1] < right(even[ONE])[2]
        and all(right(row)[2] < 0.6 for row in proportional.values())
    )


def rank_numbers(chosen):
    counts = [str(right(row)[0]) for rows in chosen.values() for row in rows.values()]
    return [*counts, *(f"{100 * x:.0f}" for name in (ONE, ERROR) for x in right(chosen[EVEN][name])[1:])]


SETTING_FREE = "has no setting, and the rank is given"

OBSERVATIONS = {
    "obs-nmf-separable": Observation(
        measured=angles,
        protocol=Protocol(
            baseline=ANY,
            contenders=[
                Contender(ANY, fixed=SETTING_FREE),
                Contender(PROJECTION, fixed=SETTING_FREE),
                Contender("NMF, defaults, the best loss of four starts"),
                Contender("projection, then NMF, defaults"),
            ],
            tested_on="ten tables of each of three kinds, whose parts are known",
            runs=10,
            interval="95 %, paired, over ten tables (Student's t)",
        ),
        verdict=projection_is_a_start,
        numbers=angle_numbers,
        sharp={
            "NMF as near at 1 % of noise": lambda m: instead(m, PURE, NMF, m[PURE][PROJECTION]),
            "projection as near at 10 %": lambda m: instead(m, NOISY, NMF, m[NOISY][PROJECTION]),
            "projection as near without pure columns": lambda m: instead(m, IMPURE, NMF, m[IMPURE][PROJECTION]),
            "any columns as near as those picked": lambda m: instead(m, NOISY, ANY, m[NOISY][PROJECTION]),
            "a table on which NMF makes its start worse": lambda m: instead(
                m, PURE, BOTH, [m[PURE][PROJECTION][0] + 0.1, *m[PURE][BOTH][1:]]
            ),
            "a start that decides without pure columns": lambda m: instead(
                m, IMPURE, BOTH, [x - 2 for x in m[IMPURE][NMF]]
            ),
        },
    ),
    "obs-nmf-ground": Observation(
        measured=parts_of_pictures,
        protocol=Protocol(
            baseline="PCA",
            contenders=[
                Contender("PCA", fixed="has no setting; sixteen components as of NMF"),
                Contender("NMF, defaults, sixteen parts"),
                Contender("NMF, defaults, of the same pixels in random order"),
            ],
            tested_on="seven tables of pictures",
            runs=5,
            interval="the range over five random starts",
        ),
        verdict=ground_counts,
        numbers=sparsities,
        sharp={
            "shuffled pixels with less sparse parts": lambda m: with_parts(m, SHUFFLED, "crops, above the median"),
            "faces with parts as sparse as the digits'": lambda m: with_parts(m, "faces of 100 people", "digits"),
            "negatives with parts as sparse as the digits'": lambda m: with_parts(m, "digits, negative", "digits"),
            "grey paper that makes the parts dense": lambda m: with_parts(
                m, "digits on grey paper", "faces of 100 people"
            ),
            "components as sparse as parts": lambda m: {**m, "digits": {**m["digits"], "PCA": max(m["digits"]["NMF"])}},
        },
    ),
    "obs-nmf-scikit-learn": Observation(
        measured=races,
        protocol=Protocol(
            baseline="scikit-learn's multiplicative updates, defaults",
            contenders=[
                Contender("scikit-learn's multiplicative updates, defaults"),
                Contender("scikit-learn's coordinate descent, defaults"),
                Contender("SQUAREM, defaults"),
                Contender("extrapolated HALS, defaults"),
            ],
            tested_on="the digits and the tf-idf table of the docstrings",
            runs=5,
            interval="the range over five random starts, paired",
        ),
        verdict=counts_are_faster,
        numbers=race_numbers,
        sharp={
            "scikit-learn sooner at an equal divergence": lambda m: {
                **m,
                "digits, kullback-leibler": (
                    [*m["digits, kullback-leibler"][0][1:], 1.2],
                    m["digits, kullback-leibler"][1],
                ),
            },
            "a start from which SQUAREM ends higher": lambda m: {
                **m,
                "tf-idf, kullback-leibler": (
                    m["tf-idf, kullback-leibler"][0],
                    [*m["tf-idf, kullback-leibler"][1][1:], 0.01],
                ),
            },
            "HALS lower from every start": lambda m: {
                **m,
                "digits, frobenius": (m["digits, frobenius"][0], -abs(m["digits, frobenius"][1])),
            },
            "HALS slower to an equal loss": lambda m: {**m, "tf-idf, frobenius": ([1.3], m["tf-idf, frobenius"][1])},
        },
    ),
    "obs-nmf-planted-rank": Observation(
        measured=planted_rank,
        protocol=Protocol(
            baseline=VALUES,
            contenders=[
                Contender(VALUES, fixed="theory gives the threshold"),
                Contender(ONE, fixed="has no setting; three blocks, ranks 1 to 9"),
                Contender(THREE, fixed="has no setting; nine blocks, ranks 1 to 9"),
                Contender(ERROR, fixed="has no setting; the same nine blocks"),
            ],
            tested_on="twenty tables with five planted parts for each of two kinds of noise",
            runs=20,
            interval="95 % (Wilson), over twenty tables",
        ),
        verdict=one_split_is_luck,
        numbers=rank_numbers,
        sharp={
            "one split as good as the margin": lambda m: instead(m, EVEN, ONE, m[EVEN][ERROR]),
            "the margin no better than one split": lambda m: instead(m, EVEN, ERROR, m[EVEN][ONE]),
            "singular values that miss it": lambda m: instead(m, EVEN, VALUES, [6] * 20),
            "averages alone far better than one split": lambda m: instead(m, EVEN, THREE, [5] * 20),
            "a way that finds it in proportional noise": lambda m: instead(m, PROPORTIONAL, THREE, [5] * 20),
        },
    ),
}
