"""The claims of chapter 15, compression."""

import copy
import functools
import itertools
from typing import NamedTuple

import numpy as np

from book.claims import Adapted, Claim, Folklore, each
from book.definitions import definitions
from book.margins import above, close, rank, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import compression, results
from lowrank_helpers.compression import activation_aware_factor
from lowrank_helpers.costs import break_even_rank
from lowrank_helpers.svd import rank_for_error

RNG = np.random.default_rng(150)
fro = np.linalg.norm


def padded(A, count=0):
    s = np.linalg.svd(A, compute_uv=False)
    return np.concatenate([s, np.zeros(max(0, count - len(s)) + 1)])


TRUNCATED = definitions(15, "truncated")
truncated = Adapted(lambda truncated, W, r: truncated(W, min(r, *W.shape)), TRUNCATED)


def low_rank(m, n, r):
    return RNG.standard_normal((m, r)) @ RNG.standard_normal((r, n))


SKEWED = (np.diag([1.0, 1.01]), np.linalg.cholesky(np.array([[1.0, 0.9], [0.9, 1.0]])))
TALL = (RNG.standard_normal((7, 4)), RNG.standard_normal((4, 30)) * [[8.0], [3], [1], [0.3]])
WIDE = (RNG.standard_normal((4, 7)), (RNG.standard_normal((7, 7)) * [9.0, 5, 3, 2, 1, 0.5, 0.2]) @ np.eye(7, 25))
SQUARE = (RNG.standard_normal((5, 5)), RNG.standard_normal((5, 5)))
FEW = (RNG.standard_normal((6, 5)), RNG.standard_normal((5, 3)))  # fewer inputs than coordinates
DEGENERATE = (RNG.standard_normal((5, 6)), low_rank(6, 40, 4))
LOW = (low_rank(6, 5, 2), RNG.standard_normal((5, 20)))  # W X has rank 2
BLIND = (np.outer([1.0, 2, 3], [1.0, -1, 0, 0]), np.vstack([np.ones((2, 5)), RNG.standard_normal((2, 5))]))  # W X = 0
TIE = (np.diag([3.0, 2, 1]), np.diag([1.0, 1, 2]))  # W X = diag(3, 2, 2)
WHITE = (RNG.standard_normal((4, 5)), 3 * np.eye(5))
ZERO = (np.zeros((3, 4)), RNG.standard_normal((4, 9)))
SHADOW = (np.array([[1.0, 0, 0], [0, 1, 5]]), np.eye(3, 2))  # a tie, and an input that never comes


class Found(NamedTuple):
    """The matrix in the place of W, and whether there is no other as good."""

    Z: np.ndarray
    unique: bool


def gap(s, r):
    return bool(above(s[r - 1] - s[r], 1e-9 * s[0]))


def pseudo_inverse(A):
    """With a cut that is far from every singular value here, so that rounding does not decide what is inverted."""
    return np.linalg.pinv(A, rcond=1e-9)


def judged(factor, W, X, r):
    A, B = factor(W, X, r)
    s = padded(W @ X, r + 1)
    return Found(A @ B, rank(X) == len(X) and (gap(s, r) or within(s[r], 1e-9 * max(s[0], 1))))


aware = Adapted(judged, definitions(15, "activation_aware"))
by_package = Adapted(judged, Adapted(lambda factor, W, X, r: factor(W, r, inputs=X.T)[:2], activation_aware_factor))


def unseen(X):
    """An orthonormal basis, as columns, of the directions in which no input has a part."""
    return np.linalg.svd(X)[0][:, rank(X) :]


def others(W, X, r):
    """Rank-r matrices that equal W_r on the inputs, or where a tie is broken otherwise."""
    U = np.linalg.svd(W @ X)[0]
    best, N = U[:, :r] @ U[:, :r].T @ W, unseen(X)
    if N.shape[1]:
        c = np.linalg.svd(best)[0][:, 0] if rank(best) == r else np.ones(len(W))
        yield best + np.outer(c, N[:, 0])
    if r < len(W):
        turned = np.column_stack([U[:, : r - 1], (U[:, r - 1] + U[:, r]) / 2**0.5])
        yield turned @ turned.T @ W
        swapped = U[:, [*range(r - 1), r]]
        yield swapped @ swapped.T @ W


def aware_claim(code, W, X, r, rivals_rank=None, closest=None):
    """The least error, no better rival, unique as stated, and the closest to W where that is claimed."""
    found, s = code(W, X, r), padded(W @ X, r + 1)
    Z, slack = found.Z, 1e-9 * max(fro(W) * fro(X), 1.0)
    least, error = fro(s[r:]), fro((W - Z) @ X)
    if Z.shape != W.shape or not within(padded(Z, r + 1)[r], 1e-9 * max(fro(W), 1)):
        return False
    if not within(abs(error - least), slack):
        return False
    rng, k = np.random.default_rng(3), rivals_rank or r
    for U in (np.linalg.svd(W @ X)[0][:, :k], *(rng.standard_normal((len(W), k)) for _ in range(20))):
        P = U @ np.linalg.pinv(U)
        if not within(least - fro((W - P @ W) @ X), slack):
            return False
    equal = [Y for Y in others(W, X, r) if within(fro((W - Y) @ X) - least, 10 * slack)]
    if found.unique != within([fro(Y - Z) for Y in equal], 1e-5 * max(fro(W), 1)):
        return False
    if not (gap(s, r) if closest is None else closest):
        return True
    N, U = unseen(X), np.linalg.svd(W @ X)[0][:, :r]
    moved = [Z + U @ rng.standard_normal((r, N.shape[1])) * size @ N.T for size in (1, 0.01) for _ in range(10)]
    minimal = Z @ (np.eye(len(X)) - N @ N.T)
    return within([fro(W - Z) - fro(W - Y) for Y in [*equal, minimal, *moved]], slack)


def scaled(W, X, r):
    d = np.linalg.norm(X, axis=1) + 1e-12
    return truncated(W * d, r) / d


def projected(left):
    """Wrong code: other vectors in the place of the left singular vectors of W X."""

    def code(W, X, r):
        U = np.linalg.svd(left(W, X))[0][:, :r]
        return aware(W, X, r)._replace(Z=U @ (U.T @ W))

    return (code,)


def inputs_first(W, X, r):
    U = np.linalg.svd(X)[0][:, :r]
    return W @ U @ U.T


def changed(**what):
    return (lambda W, X, r: aware(W, X, r)._replace(**{name: change(W, X, r) for name, change in what.items()}),)


INSTANCES = [
    *((*SKEWED, 1), (*SKEWED, 2), (*TALL, 1), (*TALL, 3), (*TALL, 4), (*WIDE, 1), (*WIDE, 3), (*WIDE, 4)),
    *((*SQUARE, 2), (*SQUARE, 5), (*FEW, 1), (*FEW, 2), (*FEW, 3), (*FEW, 5), (*DEGENERATE, 2), (*DEGENERATE, 5)),
    *((*LOW, 1), (*LOW, 2), (*LOW, 3), (*BLIND, 1), (*BLIND, 2), (*TIE, 1), (*TIE, 2), (*TIE, 3)),
    *((*WHITE, 2), (*ZERO, 1), (*SHADOW, 1)),
]


# Any root of the Gram matrix


def roots(X):
    """Roots of X Xᵀ: by eigenvectors, a wide one, and Cholesky's where there is one.

    Eigenvalues that are zero but for rounding are set to zero: nothing may depend on their signs.
    """
    lam, V = np.linalg.eigh(X @ X.T)
    positive = above(lam, 1e-10 * lam[-1])
    S = V * np.sqrt(np.where(positive, lam, 0))
    found = [S, S @ V.T, np.hstack([X, 0 * X[:, :1]])]
    if positive.all():
        found.append(np.linalg.cholesky(X @ X.T))
    return found


from_root = Adapted(lambda factor, W, S, r: np.matmul(*factor(W, S, r)), definitions(15, "activation_aware"))


def root_claim(code, W, X, r, wrong_root=None, invert=False):
    """From every root the least error and the same singular values; through S⁻¹ the same matrix.

    ``invert`` asks for the last also where S is singular, through its pseudo-inverse.
    """
    s, slack = padded(W @ X, r + 1), 1e-9 * max(fro(W) * fro(X), 1.0)
    for S in roots(X) if wrong_root is None else [wrong_root(X)]:
        E = np.random.default_rng(4).standard_normal(W.shape)
        Z = code(W, S, r)
        if Z.shape != W.shape or not within([abs(fro(E @ X) - fro(E @ S)), abs(fro((W - Z) @ X) - fro(s[r:]))], slack):
            return False
        if not close(padded(W @ S, len(s))[: len(s) - 1], s[:-1], atol=slack):
            return False
        if gap(s, r) and not close(Z, from_root(W, X, r), atol=1e-6 * max(fro(W), 1)):
            return False
        square = S.shape[0] == S.shape[1]
        if invert or (square and rank(X) == len(X)):
            through = truncated(W @ S, r) @ pseudo_inverse(S)
            if gap(s, r) and not close(through, Z, atol=1e-6 * max(fro(W), 1)):
                return False
    return True


# What plain truncation costs


def condition(W, X, r):
    s = np.linalg.svd(X, compute_uv=False)
    return float(s[0] / s[rank(X) - 1])


def price(code, W, X, r):
    """Plain truncation stays within the factor, and for two numbers no smaller one would do."""
    code, truncate = code
    least, plain = fro(padded(W @ X, r + 1)[r:]), fro((W - truncate(W, r)) @ X)
    slack = 1e-9 * max(fro(W) * fro(X), 1.0)
    kappa = condition(W, X, r)
    needed = kappa / (1 + 1e-9)  # W = diag(1, 1 + δ), X = diag(κ, 1): κ against 1 + δ
    small = np.diag([1.0, 1 + 1e-9]), np.diag([kappa, 1.0])
    sharp = within([needed - code(*small, 1), code(*small, 1) - kappa], 1e-6 * kappa)
    return sharp and within(plain - code(W, X, r) * least, slack)


PRICED = [(W, X, r) for W, X, r in INSTANCES if rank(X) == len(X)]


# What rounding to levels costs

ROUNDED = definitions(15, "rounded")


def in_blocks(A, block):
    return A.reshape(-1, block)


def rounding(code, W, levels, block, X, r, rivals_rank=None):
    """Each entry at the nearest level of its block, within all bounds; a block reaches the first two of them."""
    half, E = np.diff(levels).max() / 2, W - code(W, levels, block)
    scales = np.abs(in_blocks(W, block)).max(axis=1)
    slack = 1e-12 * max(fro(W) * max(fro(X), 1), 1.0)
    off = np.abs(in_blocks(E, block))
    nearest = np.abs(in_blocks(W, block)[:, :, None] - scales[:, None, None] * levels).min(axis=2)
    constant = half * (block - 1) ** 0.5
    bounds = [fro(E) - constant * fro(scales), fro(scales) - fro(W)]
    if not within([*bounds, np.abs(off - nearest).max(), (off - half * scales[:, None]).max()], slack):
        return False
    k = int(np.diff(levels).argmax())
    worst = np.full((1, block), levels[k] + half)
    worst[0, 0] = 1
    wrong = np.abs(worst - code(worst, levels, block))
    if not within([abs(fro(wrong) - constant), abs(wrong.max() - (half if block > 1 else 0))], 1e-12):
        return False
    s, tail = padded(X, len(X) + 1), fro(padded(E @ X, r + 1)[r:])
    U, (A, B, _) = np.linalg.svd(X)[0], activation_aware_factor(E, r, inputs=X.T)
    P = U[:, : rivals_rank or r] @ U[:, : rivals_rank or r].T
    excess = [fro(E @ X) - s[0] * fro(E), abs(fro((E - A @ B) @ X) - tail), tail - fro((E - E @ P) @ X)]
    return within([*excess, tail - s[r] * fro(E)], slack)


NF4, EVEN = np.array(compression.NF4), np.arange(-7, 8) / 7
UNLIKE = RNG.standard_normal((4, 12)) * np.array([[1.0], [30], [0.01], [4]])
ROUNDINGS = [
    *((UNLIKE, levels, block, X, r) for levels in (NF4, EVEN, np.arange(-127, 128) / 127) for block in (3, 4, 12)
      for X, r in ((RNG.standard_normal((12, 20)) * np.geomspace(9, 0.1, 12)[:, None], 2), (np.eye(12, 5), 1))),
    (UNLIKE, NF4, 1, np.eye(12), 3),
    (np.vstack([np.zeros((1, 6)), RNG.standard_normal((2, 6))]), NF4, 6, RNG.standard_normal((6, 9)), 1),  # no scale
    (UNLIKE, np.array([-1.0, 0, 0.3, 1]), 4, np.ones((12, 3)), 1),
]  # fmt: skip

CLAIMS = {
    "thm-activation-aware": Claim(
        check=each(aware_claim),
        code=(aware, by_package),
        cases=INSTANCES,
        dropped={
            "rank at most r: rank r + 1 does better": (*TALL, 2, 3),
            "closest to W only where there is a gap": (*SHADOW, 1, None, True),
        },
        mutants={
            "plain truncation": changed(Z=lambda W, X, r: truncated(W, r)),
            "each input scaled by its size": changed(Z=scaled),
            "left singular vectors of W": projected(lambda W, X: W),
            "the Gram matrix for its root: of W X Xᵀ": projected(lambda W, X: W @ X @ X.T),
            "principal directions of the inputs": changed(Z=inputs_first),
            "the last singular vectors": changed(
                Z=lambda W, X, r: (lambda U: U @ U.T @ W)(np.linalg.svd(W @ X)[0][:, ::-1][:, :r])
            ),
            "(WX)_r X⁺, not the closest to W": changed(Z=lambda W, X, r: truncated(W @ X, r) @ pseudo_inverse(X)),
            "one term too many": changed(Z=lambda W, X, r: aware(W, X, min(r + 1, *W.shape)).Z),
            "unique wherever there is a gap": changed(
                unique=lambda W, X, r: gap(padded(W @ X, r + 1), r) or within(padded(W @ X, r + 1)[r], 1e-9)
            ),
            "unique only with a gap": changed(
                unique=lambda W, X, r: rank(X) == len(X) and gap(padded(W @ X, r + 1), r)
            ),
            "unique with a gap of W": changed(unique=lambda W, X, r: rank(X) == len(X) and gap(padded(W, r + 1), r)),
            "always unique": changed(unique=lambda W, X, r: True),
        },
    ),
    "prop-whitened-truncation": Claim(
        check=root_claim,
        code=from_root,
        cases=INSTANCES,
        dropped={
            "S Sᵀ = X Xᵀ: SᵀS will not do": (*TALL, 2, lambda X: np.linalg.cholesky(X @ X.T).T),
            "S invertible, for the way through its inverse": (*DEGENERATE, 2, lambda X: roots(X)[0], True),
        },
        mutants={
            "the Gram matrix for its root": lambda W, S, r: from_root(W, S @ S.T, r),
            "the root transposed": lambda W, S, r: from_root(W, np.linalg.qr(S.T)[1], r),
            "divided by the root on the wrong side": lambda W, S, r: truncated(W @ S, r) @ pseudo_inverse(S).T,
            "multiplied by the root, not by its inverse": lambda W, S, r: truncated(W @ S, r) @ S.T,
            "right singular vectors": lambda W, S, r: (lambda V: W @ V.T @ V)(np.linalg.svd(W)[2][:r]),
        },
    ),
    "prop-truncation-price": Claim(
        check=price,
        code=(condition, TRUNCATED),
        cases=PRICED,
        dropped={"X has rank n": (np.diag([1.0, 2.0]), np.array([[1.0, 1.0], [0.0, 0.0]]), 1)},
        mutants={
            "the root of the condition number": (lambda W, X, r: condition(W, X, r) ** 0.5, TRUNCATED),
            "the condition number of the Gram matrix": (lambda W, X, r: condition(W, X, r) ** 2, TRUNCATED),
            "nothing": (lambda W, X, r: 1.0, TRUNCATED),
            "that of W": (lambda W, X, r: condition(X, W, r), TRUNCATED),
            "one term too few is kept": (condition, lambda W, r: TRUNCATED(W, r) - TRUNCATED(W, 1)),
        },
    ),
    "prop-quantisation-error": Claim(
        check=rounding,
        code=ROUNDED,
        cases=ROUNDINGS,
        dropped={
            "levels reach -1 and 1": (UNLIKE, np.linspace(-0.5, 0.5, 5), 4, np.eye(12), 2),
            "Z of rank at most r: rank r + 1 does better": (UNLIKE, NF4, 4, np.diag(np.geomspace(99, 0.01, 12)), 1, 4),
        },
        mutants={
            "one scale for all": lambda W, levels, block: ROUNDED(W, levels, W.size),
            "blocks down the columns": lambda W, levels, block: ROUNDED(W.T.copy(), levels, block).T,
            "the next level below": lambda W, levels, block: (
                lambda blocks, c: (levels[np.searchsorted(levels, blocks / c, side="right") - 1] * c).reshape(W.shape)
            )(in_blocks(W, block), np.abs(in_blocks(W, block)).max(axis=1, keepdims=True) + 1e-300),
            "scaled by the root mean square": lambda W, levels, block: (
                lambda blocks, c: (levels[np.abs((blocks / c)[:, :, None] - levels).argmin(axis=2)] * c).reshape(
                    W.shape
                )
            )(in_blocks(W, block), np.sqrt((in_blocks(W, block) ** 2).mean(axis=1, keepdims=True)) + 1e-300),
            "no scale": lambda W, levels, block: levels[np.abs(W[:, :, None] - levels).argmin(axis=2)],
        },
    ),
}


# What was measured

mean_and_half = definitions(15, "mean_and_half")
STRETCHES = "eight stretches of twelve windows, from the evaluation half, by which nothing was chosen"
CHOSEN_ON = "24 other windows of the files of calibration"
PLAIN, DIAGONAL, AWARE = "plain", "diagonal", "activation-aware"
NOTHING, DAMPED = "none: plain truncation", "source, 1, damped"
DAMPING, RATES = (0.01, 0.1, 1.0, 10.0, 100.0), (3e-5, 1e-4, 3e-4, 1e-3)


def less(one, other):
    """Whether the first harm is below the second by the paired interval."""
    gain, half = mean_and_half(np.subtract(other, one))
    return bool(gain > half)


@functools.cache
def factored():
    """The base model in factors, as benchmarks/findings/factored.py measured it."""
    return results.load("factored")


def by_method(found, share):
    return {row["method"]: row for row in found["inputs"] if row["share"] == share}


def inputs_help(found):
    """At both sizes activation-aware factors do less harm than either rival."""
    tables = [by_method(found, share) for share in (0.8, 0.5)]
    return all(less(rows[AWARE]["harm"], rows[rival]["harm"]) for rows in tables for rival in (PLAIN, DIAGONAL))


def with_inputs(found, share, method, harm):
    """The measurements with another harm for one method at one size."""
    new = copy.deepcopy(found)
    by_method(new, share)[method]["harm"] = harm(by_method(found, share))
    return new


def sample_means(found):
    return {source: np.mean(draws, axis=1) for source, draws in found["calibration"].items()}


def calibration_needs(found):
    """In every draw: one window is no better than none unless damped; 24 better than four, four and prose than none."""
    harm = sample_means(found)
    [none] = harm[NOTHING]
    order = [harm["source, 24"], harm["source, 4"], [none], harm["source, 1"]]
    rising = all(max(one) < min(other) for one, other in itertools.pairwise(order))
    prose = [harm["prose, 24"], harm["prose, 96"]]
    damped = harm[DAMPED]
    helped = all(max(harm["source, 24"]) < min(draws) and max(draws) < none for draws in (*prose, damped))
    return bool(rising and helped)


def with_sample(found, source, draws):
    return {**found, "calibration": {**found["calibration"], source: draws(found["calibration"])}}


def after(found, start):
    return np.mean(found["repair"][start]["after"], axis=1)


def right_factors_first(found):
    """Both gain by training, by more than their intervals; and plain factors stay above the others untrained."""
    before = {start: np.mean(found["repair"][start]["before"]) for start in (PLAIN, AWARE)}
    (plain, wide), (aware, narrow) = (mean_and_half(after(found, start)) for start in (PLAIN, AWARE))
    return bool(before[AWARE] < plain - wide and plain + wide < before[PLAIN] and aware + narrow < before[AWARE])


def with_repair(found, start, **changes):
    repair = found["repair"]
    return {**found, "repair": {**repair, start: {**repair[start], **{k: f(repair) for k, f in changes.items()}}}}


@functools.cache
def bits_or_rank():
    """Budget by budget and contender by contender, as benchmarks/findings/bits_or_rank.py measured them."""
    found = {}
    for row in results.load("bits_or_rank")["rows"]:
        found.setdefault(row["budget"], {})[row["contender"]] = row
    return found


GPTQ, FOR_EX = "bits, compensated", "rank for what the error does"
SAID = ("nothing spent", "bits", "bits in even steps", "rank for the error", FOR_EX, "factors alone", GPTQ)
GPTQ_AND_RANK, BY_BLOCK = "compensated, and rank", ("bits", "bits in even steps", "bits, compensated")


@functools.cache
def settings_of_bits():
    """The settings tried, by contender; the same at every budget."""
    [first, *others] = bits_or_rank().values()
    tried = {name: [setting(s) for s in row["settings"]] for name, row in first.items()}
    assert all(tried == {name: [setting(s) for s in row["settings"]] for name, row in o.items()} for o in others)
    return tried


def setting(value):
    return tuple(value) if isinstance(value, list) else value


def making_up_wins(found):
    """At each budget GPTQ does less harm than all that makes up for nothing; rank for EX less than levels, at two."""
    rivals = [name for name in settings_of_bits() if name not in (GPTQ, GPTQ_AND_RANK)]
    wins = all(less(rows[GPTQ]["harm"], rows[name]["harm"]) for rows in found.values() for name in rivals)
    on_top = any(less(rows[GPTQ_AND_RANK]["harm"], rows[GPTQ]["harm"]) for rows in found.values())
    pays = all(less(found[budget][FOR_EX]["harm"], found[budget]["bits"]["harm"]) for budget in (2.63, 4.63))
    return wins and pays and not on_top


def with_bits(found, budget, name, harm):
    """The measurements with another harm for one contender at one budget."""
    rows = found[budget]
    return {**found, budget: {**rows, name: {**rows[name], "harm": harm(rows)}}}


RANDOM, TWINS, LEAST = "at random", "twins", "least output"


@functools.cache
def neurons():
    """Neurons that resemble each other, and the model without some, as benchmarks/findings/neurons.py measured them."""
    return results.load("neurons")


def without(found, share, which, made_up):
    """The harm for each stretch, on average over the draws, when this share of the neurons goes."""
    [row] = [r for r in found["removed"] if (r["share"], r["neurons"], r["made up"]) == (share, which, made_up)]
    return np.mean(row["harm"], axis=0)


def cosines(found, kind, place):
    """The medians (place 0) or the largest (1) of the twelve weights."""
    return [row[kind][place] for row in found["nearest"]]


def no_twins_and_all_used(found):
    """More alike than shuffled and no twins; least outputs cost less than twins and chance; and nothing is free."""
    pairs = zip(cosines(found, "trained", 0), cosines(found, "shuffled", 0), strict=True)
    alike = all(own > other for own, other in pairs) and max(cosines(found, "trained", 1)) < 0.9
    output = all(
        less(without(found, 0.1, LEAST, made_up), without(found, 0.1, rival, made_up))
        for made_up in (False, True)
        for rival in (TWINS, RANDOM)
    )
    harm = [mean_and_half(np.mean(row["harm"], axis=0)) for row in found["removed"]]
    cheapest = min(mean for mean, _ in harm) == mean_and_half(without(found, 0.05, LEAST, True))[0]
    return bool(alike and output and cheapest and all(mean > half for mean, half in harm))


def with_removed(found, share, which, made_up, harm):
    """The measurements with another harm, in one draw, for one way of removing neurons."""
    rows = [
        {**row, "harm": [harm]} if (row["share"], row["neurons"], row["made up"]) == (share, which, made_up) else row
        for row in found["removed"]
    ]
    return {**found, "removed": rows}


OBSERVATIONS = {
    "obs-compression-neurons": Observation(
        measured=neurons,
        protocol=Protocol(
            baseline=RANDOM,
            contenders=[
                Contender(RANDOM, fixed="has no setting; five draws"),
                Contender(TWINS, fixed="the share that goes is the same for all"),
                Contender(LEAST, fixed="the share that goes is the same for all"),
            ],
            tested_on=STRETCHES,
            runs=8,
            interval="95 %, paired, over the stretches",
        ),
        verdict=no_twins_and_all_used,
        numbers=lambda found: [
            *(f"{end(cosines(found, kind, 0)):.2f}" for kind in ("trained", "shuffled") for end in (min, max)),
            f"{max(cosines(found, 'trained', 1)):.2f}",
            *(
                f"{without(found, 0.1, which, made_up).mean():.3f}"
                for made_up in (False, True)
                for which in (RANDOM, TWINS, LEAST)
            ),
            *(f"{x:.3f}" for x in mean_and_half(without(found, 0.05, LEAST, True))),
        ],
        sharp={
            "a pair of twins": lambda found: {
                **found,
                "nearest": [{**found["nearest"][0], "trained": [0.45, 0.97, 2]}, *found["nearest"][1:]],
            },
            "neurons no more alike than shuffled": lambda found: {
                **found,
                "nearest": [{**row, "trained": row["shuffled"]} for row in found["nearest"]],
            },
            "twins that cost as little as the least outputs": lambda found: with_removed(
                found, 0.1, TWINS, True, without(found, 0.1, LEAST, True)
            ),
            "random neurons that cost as little": lambda found: with_removed(
                found, 0.1, RANDOM, False, without(found, 0.1, LEAST, False)
            ),
            "a removal that costs nothing": lambda found: with_removed(
                found, 0.05, LEAST, True, [0.001, -0.001, 0.002, -0.002, 0.001, 0.0, 0.0, -0.001]
            ),
        },
    ),
    "obs-compression-inputs": Observation(
        measured=factored,
        protocol=Protocol(
            baseline=PLAIN,
            contenders=[Contender(name, {"ranks": ("one share", "one error")}) for name in (PLAIN, DIAGONAL, AWARE)],
            tested_on=STRETCHES,
            tuned_on=CHOSEN_ON,
            runs=8,
            interval="95 %, paired, over the stretches",
        ),
        verdict=inputs_help,
        numbers=lambda found: [
            f"{np.mean(by_method(found, share)[name]['harm']):.{digits}f}"
            for share, digits in ((0.5, 2), (0.8, 3))
            for name in (PLAIN, DIAGONAL, AWARE)
        ],
        sharp={
            "scaling each input as good at half": lambda found: with_inputs(
                found, 0.5, DIAGONAL, lambda rows: rows[AWARE]["harm"]
            ),
            "plain truncation as good at 80 %": lambda found: with_inputs(
                found, 0.8, PLAIN, lambda rows: rows[AWARE]["harm"]
            ),
            "one stretch that decides all": lambda found: with_inputs(
                found, 0.8, AWARE, lambda rows: [*rows[PLAIN]["harm"][:7], -0.1]
            ),
        },
        chosen=lambda found: {
            name: {"ranks": [by_method(found, share)[name]["chosen"] for share in (0.8, 0.5)]}
            for name in (PLAIN, DIAGONAL, AWARE)
        },
    ),
    "obs-compression-calibration": Observation(
        measured=factored,
        protocol=Protocol(
            baseline=NOTHING,
            contenders=[
                Contender(name, fixed="the sample is all that differs")
                for name in (NOTHING, "source, 1", "source, 4", "source, 24", "source, 96", "prose, 24", "prose, 96")
            ]
            + [Contender(DAMPED, {"damping": DAMPING})],
            tested_on="96 windows of files that no sample is drawn from",
            tuned_on=CHOSEN_ON,
            runs=5,
            interval="the range over five draws of the sample",
        ),
        verdict=calibration_needs,
        numbers=lambda found: [
            f"{end(draws):.3f}"
            for source, draws in sample_means(found).items()
            for end in ((min, max) if len(draws) > 1 else (min,))
        ],
        sharp={
            "a draw of one window that is better than none": lambda found: with_sample(
                found, "source, 1", lambda c: [*c["source, 1"][1:], c["source, 24"][0]]
            ),
            "prose as good as source code": lambda found: with_sample(found, "prose, 24", lambda c: c["source, 24"]),
            "prose no better than nothing": lambda found: with_sample(
                found, "prose, 96", lambda c: [*c["prose, 96"][1:], c[NOTHING][0]]
            ),
            "four windows as good as 24": lambda found: with_sample(found, "source, 4", lambda c: c["source, 24"]),
            "damping that helps in four draws of five": lambda found: with_sample(
                found, DAMPED, lambda c: [*c[DAMPED][1:], c["source, 1"][0]]
            ),
            "damping that makes more windows needless": lambda found: with_sample(
                found, DAMPED, lambda c: c["source, 24"]
            ),
            "a damping at the edge of its grid": lambda found: {
                **found,
                "damping": {**found["damping"], "chosen": 100.0},
            },
        },
        chosen=lambda found: {DAMPED: {"damping": [found["damping"]["chosen"]]}},
    ),
    "obs-compression-repair": Observation(
        measured=factored,
        protocol=Protocol(
            baseline="as truncated",
            contenders=[
                Contender("as truncated", fixed="no training"),
                *(Contender(start, {"rate": RATES}) for start in (PLAIN, AWARE)),
            ],
            tested_on="six stretches of twelve windows, from files that no training saw",
            tuned_on="two other stretches of these files",
            runs=5,
            interval="95 %, Student, over five orders of the batches",
        ),
        verdict=right_factors_first,
        numbers=lambda found: [
            *(
                number
                for start in (PLAIN, AWARE)
                for number in (
                    f"{np.mean(found['repair'][start]['before']):.3f}",
                    f"{after(found, start).mean():.3f}",
                    f"{mean_and_half(after(found, start))[1]:.3f}",
                )
            ),
        ],
        sharp={
            "training that lowers nothing": lambda found: with_repair(
                found, PLAIN, after=lambda repair: [repair[PLAIN]["before"]] * 5
            ),
            "training that helps the right factors no more": lambda found: with_repair(
                found, AWARE, after=lambda repair: [repair[AWARE]["before"]] * 5
            ),
            "a start that does not matter": lambda found: with_repair(
                found, PLAIN, after=lambda repair: repair[AWARE]["after"]
            ),
            "a rate at the edge of its grid": lambda found: with_repair(found, PLAIN, rate=lambda repair: 1e-3),
        },
        chosen=lambda found: {start: {"rate": [found["repair"][start]["rate"]]} for start in (PLAIN, AWARE)},
    ),
    "obs-compression-bits-or-rank": Observation(
        measured=bits_or_rank,
        protocol=Protocol(
            baseline="nothing spent",
            contenders=[
                Contender("nothing spent", fixed="NF levels in blocks of 64, as they come"),
                *(
                    Contender(name, {"block" if name in BY_BLOCK else "block, bits of factors, share of levels": tried})
                    for name, tried in settings_of_bits().items()
                    if name != "nothing spent"
                ),
            ],
            tested_on=STRETCHES,
            tuned_on=CHOSEN_ON,
            runs=8,
            interval="95 %, paired, over the stretches",
        ),
        verdict=making_up_wins,
        numbers=lambda found: [
            f"{np.mean(rows[name]['harm']):.3f}" for name in (*SAID, GPTQ_AND_RANK) for rows in found.values()
        ],
        sharp={
            "levels as good at 3 bits": lambda found: with_bits(found, 3.63, "bits", lambda rows: rows[GPTQ]["harm"]),
            "a rank for what the error does as good at 4 bits": lambda found: with_bits(
                found, 4.63, FOR_EX, lambda rows: rows[GPTQ]["harm"]
            ),
            "factors alone as good at 2 bits": lambda found: with_bits(
                found, 2.63, "factors alone", lambda rows: rows[GPTQ]["harm"]
            ),
            "a rank on top that helps": lambda found: with_bits(
                found, 3.63, GPTQ_AND_RANK, lambda rows: [0.5 * x for x in rows[GPTQ]["harm"]]
            ),
            "a rank for what the error does no better than levels": lambda found: with_bits(
                found, 2.63, FOR_EX, lambda rows: rows["bits"]["harm"]
            ),
            "a block at the edge": lambda found: {
                **found,
                4.63: {**found[4.63], GPTQ: {**found[4.63][GPTQ], "chosen": 256}},
            },
        },
        chosen=lambda found: {
            name: {
                "block" if name in BY_BLOCK else "block, bits of factors, share of levels": [
                    setting(rows[name]["chosen"]) for rows in found.values()
                ]
            }
            for name in settings_of_bits()
            if name != "nothing spent"
        },
    ),
}


# Misstatements


def networks():
    from lowrank_helpers.training import load_base_model

    return load_base_model(), load_base_model(initial=True)


def head_energy():
    """One singular value has 90 % of the energy of the head, and the logits of rank 1 are far from the model's."""
    import torch

    model, _ = networks()
    text = torch.tensor([list(b"import os\nfor name in os.listdir(path):\n    print(name)\n")])
    W = model.head.weight.detach().double()
    with torch.no_grad():
        hidden = model.hidden_states(text)[0].double()
        U, s, Vt = torch.linalg.svd(W, full_matrices=False)
        exact, cut = (hidden @ Z.T for Z in (W, s[0] * torch.outer(U[:, 0], Vt[0])))
        right = [float(torch.log_softmax(y, -1)[:-1].gather(1, text[0, 1:, None]).mean()) for y in (exact, cut)]
    return bool(s[0] ** 2 > 0.9 * (s**2).sum() and right[0] > -1.5 and right[1] < right[0] - 1)


def part_that_does_nothing():
    """Taking the mean row away lowers σ₁ by a third or more, and leaves the softmax as it was."""
    import torch

    model, _ = networks()
    W = model.head.weight.detach().double()
    centred = W - W.mean(0)
    h = torch.from_numpy(np.random.default_rng(1).standard_normal((20, W.shape[1])))
    same = close(torch.softmax(h @ W.T, -1), torch.softmax(h @ centred.T, -1), atol=1e-12)
    return bool(same and torch.linalg.svdvals(centred)[0] < 0.67 * torch.linalg.svdvals(W)[0])


def weights(network):
    import torch

    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Linear):
            yield name, layer.weight.detach().double().numpy()


def not_low_rank():
    """A relative error of 10 % takes, on average without the head, nine tenths of the break-even rank or more."""
    share = [
        rank_for_error(np.linalg.svd(W, compute_uv=False), 0.1) / break_even_rank(*W.shape)
        for name, W in weights(networks()[0])
        if name != "head"
    ]
    return bool(np.mean(share) > 0.9)


def not_noise_either():
    """Trained spectra are steeper than initial ones; and a sparse matrix may have full rank."""
    trained, initial = (
        [rank_for_error(np.linalg.svd(W, compute_uv=False), 0.1**0.5) for _, W in weights(network)]
        for network in networks()
    )
    return bool(all(a < 0.85 * b for a, b in zip(trained, initial, strict=True)) and rank(np.eye(50)) == 50)


FOLKLORE = {
    12: Folklore(
        wrong="a few singular values hold 90 % of the energy, so they are enough",
        fails=head_energy,
        holds=part_that_does_nothing,
    ),
    17: Folklore(
        wrong="trained weights are low rank, hence LoRA; hence also pruning and distillation",
        fails=not_low_rank,
        holds=not_noise_either,
    ),
}
