"""The claims of chapter 19, past one machine."""

import copy
import math

import numpy as np

from book.claims import Claim
from book.definitions import definitions
from book.margins import close, within
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import datasets, linalg, results
from lowrank_helpers.svd import frequent_directions, merge_directions

fro = linalg.frobenius_norm
SLOPE = 1 / np.arange(1.0, 13)
FAST = 10.0 ** -np.arange(11.0)


def values(A):
    return np.linalg.svd(A, compute_uv=False)


def tail(A, k):
    """|A − A_k|², squared Frobenius norm."""
    return float(np.sum(values(A)[k:] ** 2))


# Products in pieces


def sketches_add(code, parts, rows, columns, seeds=None):
    """Sketches of a sum are the sums of the sketches, and so is what comes of them; products add block by block."""
    sketches, from_sketches, summed = code
    A, ell, k = sum(parts), 3, 7
    seeds = [4] * len(parts) if seeds is None else seeds
    Y, W = (
        sum(found)
        for found in zip(*(sketches(X, ell, k, seed) for X, seed in zip(parts, seeds, strict=True)), strict=True)
    )
    whole = sketches(A, ell, k, 4)
    scale = 1e-10 * (1 + sum(map(fro, parts)))
    if not (close(Y, whole[0], atol=scale) and close(W, whole[1], atol=scale)):
        return False
    m, n = A.shape
    rng = np.random.default_rng(2)
    Q, Omega = rng.standard_normal((m, ell)), rng.standard_normal((n, ell))
    grid = [np.split(block, columns, axis=1) for block in np.split(A, rows)]
    down = [summed(list(stack), np.split(Q, rows), []) for stack in zip(*grid, strict=True)]
    across = [summed([block.T for block in line], np.split(Omega, columns), []) for line in grid]
    return (
        close(np.vstack(down), A.T @ Q, atol=scale)
        and close(np.vstack(across), A @ Omega, atol=scale)
        and within(fro(from_sketches(Y, W, 4) - from_sketches(*whole, 4)), 1e3 * scale)
    )


SKETCHES, FROM_SKETCHES = definitions(19, "sketches"), definitions(19, "from_sketches")
SUMMED = definitions(19, "summed")
RNG = np.random.default_rng(19)
NOISE = 10 * RNG.standard_normal((2, 9, 6))
TOTAL = datasets.with_spectrum(0.5 ** np.arange(6.0), 9, 6, rng=1)
SHOPS = [NOISE[0], NOISE[1], TOTAL - NOISE[0] - NOISE[1]]


# The QR of a stack


def tall_skinny(code, A, cuts, signs=True):
    """Q of the blocks has n orthonormal columns, QR = A, R has A's singular values, and the same R from other cuts."""
    m, n = A.shape
    Qs, R = code(np.split(A, cuts), [])
    Q, scale = np.vstack(Qs), 1e-12 * (1 + fro(A))
    if Q.shape != (m, n) or R.shape != (n, n):
        return False
    right = (
        within(np.abs(Q.T @ Q - np.eye(n)).max(), 1e-12)
        and within(fro(Q @ R - A), scale)
        and within(np.abs(np.tril(R, -1)).max(), scale)
        and within(np.abs(values(R) - values(A)).max(), scale)
    )
    s = values(A)
    if not right or s[-1] < 1e-3 * s[0]:  # without full rank there is no one R
        return right
    once = np.linalg.qr(A)[1]
    if signs:
        R, once = (np.sign(np.diag(X))[:, None] * X for X in (R, once))
    return within(fro(R - once), 1e3 * scale)


STACKED = definitions(19, "stacked_qr")


def forgotten_blocks(blocks, log):
    R = STACKED(blocks, log)[1]
    return [np.linalg.qr(A)[0] for A in blocks], R


def first_triangle(blocks, log):
    return STACKED(blocks, log)[0], np.linalg.qr(blocks[0])[1]


def from_gram(blocks, log):
    """The triangle from the sum of the Gram matrices, as far as it goes."""
    values, V = np.linalg.eigh(sum(A.T @ A for A in blocks))
    s = np.sqrt(np.maximum(values, 0))
    R = np.linalg.qr(s[:, None] * V.T)[1]
    inverse = np.linalg.pinv(R, rtol=1e-15)
    return [A @ inverse for A in blocks], R


# Passes and numbers sent


class Counted:
    """A block that notes how often each of its entries is read."""

    def __init__(self, A, reads):
        self.A, self.reads, self.shape = A, reads, A.shape

    def __matmul__(self, X):
        self.reads.append(self.A.size)
        return self.A @ X

    @property
    def T(self):
        return Counted(self.A.T, self.reads)


def passes(code, A, cuts, r, ell, q):
    """What is sent is the code's number, each entry is read 2q + 2 times, and the result is that of one machine."""
    bill, reads_of, on_blocks = code
    log, reads = [], []
    blocks = [Counted(X, reads) for X in np.split(A, cuts)]
    Us, s, Vt = on_blocks(blocks, r, ell, q, np.random.default_rng(3), log)
    U, once, V = SKETCH_SVD(A, r, ell, q, np.random.default_rng(3))
    return (
        sum(log) == bill(len(blocks), *A.shape, r, ell, q)
        and sum(reads) == reads_of(q) * A.size
        and within(fro((np.vstack(Us) * s) @ Vt - (U * once) @ V), 1e-9 * (1 + fro(A)))
    )


SKETCH_SVD = definitions(7, "sketch_svd")
ON_BLOCKS = definitions(19, "blocks_svd")


def bill(p, m, n, r, ell, q):
    return p * ((2 * q + 1) * n * ell + 2 * (q + 1) * ell**2 + ell * r)


def reads(q):
    return 2 * q + 2


def read_again(blocks, r, ell, q, rng, log):
    """As the chapter has it, and once more at the end."""
    found = ON_BLOCKS(blocks, r, ell, q, rng, log)
    for A in blocks:
        A @ found[2].T
    return found


# Merging


def merging(code, A, cuts, r, levels=None, first=None):
    """The error of a tree, of one merge and of a chain is at most the root of its levels times the least."""
    root, truncated, merged, tree = code
    least, tiny = math.sqrt(tail(A, r)), 1e-9 * (1 + fro(A))
    leaves = [truncated(X, first or r) for X in np.split(A, cuts)]
    chain = leaves[0]
    for leaf in leaves[1:]:
        chain = merged([chain, leaf], r)
    height = 1 + math.ceil(math.log2(len(leaves)))
    found = {1: truncated(A, r), 2: merged(leaves, r), height: tree(leaves, r)}
    found = [*found.items(), (len(leaves), chain)]
    return all(
        within(fro(A - (U * s) @ Vt) - root(L) * least, tiny)
        and within(np.abs(U.T @ U - np.eye(len(s))).max(), 1e-10)
        and len(s) <= r
        for L, (U, s, Vt) in found
    ) and within(abs(fro(A - (found[0][1][0] * found[0][1][1]) @ found[0][1][2]) - least), tiny)


TRUNCATED, MERGED, TREE = (definitions(19, name) for name in ("truncated", "merged", "up_a_tree"))


def merged_without_weights(pieces, r):
    """The stack of the Vᵀ, without the singular values."""
    return MERGED([(U, np.ones_like(s), Vt) for U, s, Vt in pieces], r)


def merged_first(pieces, r):
    """The rows of U as they were."""
    _, s, Vt = MERGED(pieces, r)
    old = np.vstack([part[0] for part in pieces]) / math.sqrt(len(pieces))
    return old[:, : len(s)], s, Vt


# Frequent Directions


def directed(code, A, cuts, ell):
    """Both inequalities for the chapter's sketch and the package's, and for halves merged."""
    bound, shrink, directions, package, merge = code
    blocks = np.split(A, cuts)
    half = max(1, len(blocks) // 2)
    parts = [directions(some, ell) for some in (blocks[:half], blocks[half:]) if some]
    B, taken = shrink(np.vstack([part[0] for part in parts]), ell)
    fed = package(iter(blocks), ell)
    two = [package(iter(some), ell) for some in (blocks[:half], blocks[half:]) if some]
    both = merge(*two, ell) if len(two) == 2 else fed
    found = [
        (*directions(blocks, ell), ell - 1),
        (B, taken + sum(part[1] for part in parts), ell - 1),
        (fed.B, fed.loss**2, ell),
        (both.B, both.loss**2, ell),
    ]
    size = fro(A) ** 2
    return all(
        len(B) <= rows
        and covered(A, B, loss, size)
        and all(bounded(A, B, loss, ell, k, bound, size) for k in range(ell))
        for B, loss, rows in found
    )


def covered(A, B, loss, size):
    """0 ≤ |Ax|² − |Bx|² ≤ loss for all unit x."""
    between = np.linalg.eigvalsh(A.T @ A - B.T @ B)
    return within([-between[0], between[-1] - loss], 1e-10 * (1 + size))


def bounded(A, B, loss, ell, k, bound, size):
    """The loss is at most the code's bound for this k, and so is the error of projecting on the first k directions."""
    V = np.linalg.svd(B, full_matrices=True)[2][:k].T if len(B) else np.eye(A.shape[1])[:, :k]
    projected = fro(A - A @ V @ V.T) ** 2
    return within([loss - bound(A, ell, k), projected - tail(A, k) - k * bound(A, ell, k)], 1e-10 * (1 + size))


def liberty(A, ell, k):
    return tail(A, k) / (ell - k)


SHRINK, DIRECTIONS = definitions(19, "shrink"), definitions(19, "directions")


def with_shrink(shrink):
    """The chapter's method with another shrinking."""

    def directions(blocks, ell):
        B, loss = np.zeros((0, blocks[0].shape[1])), 0.0
        for rows in blocks:
            B, taken = shrink(np.vstack([B, rows]), ell)
            loss += taken
        return B, loss

    return liberty, shrink, directions, frequent_directions, merge_directions


def lowered(C, ell):
    """The singular values themselves lowered, and not their squares."""
    _, s, Vt = np.linalg.svd(C, full_matrices=False)
    t = s[ell - 1] if len(s) >= ell else 0.0
    return np.maximum(s - t, 0)[: ell - 1, None] * Vt[: ell - 1], t**2


def cut_off(C, ell):
    """The first rows as they are: a truncation."""
    _, s, Vt = np.linalg.svd(C, full_matrices=False)
    return s[: ell - 1, None] * Vt[: ell - 1], s[ell - 1] ** 2 if len(s) >= ell else 0.0


# Ratings


def splits_by_users(code, users, items, stars, H, lam, where, m):
    """Parts apart, sent nothing else, find the rows of the whole, which least squares finds too; so much is shipped."""
    solve, shipped = code
    r, n = H.shape
    part = np.zeros(m, dtype=int)
    part[users] = where
    try:
        whole, apart, sent = solve(users, items, stars, H, lam), {}, 0
        for k in np.unique(part):
            own = where == k
            columns = np.full_like(H, np.nan)
            columns[:, items[own]] = H[:, items[own]]
            apart |= solve(users[own], items[own], stars[own], columns, lam)
            sent += r * len(set(items[own]))
    except np.linalg.LinAlgError:
        return False
    if not set(whole) == set(apart) == set(users):
        return False
    for i, w in whole.items():
        own = users == i
        tall = np.vstack([H[:, items[own]].T, np.sqrt(lam * own.sum()) * np.eye(r)])
        best = np.linalg.lstsq(tall, np.append(stars[own], np.zeros(r)))[0]
        tol = 1e-9 * max(1.0, np.abs(best).max())
        if not within([*np.abs(w - best), *np.abs(apart[i] - best)], tol):
            return False
    there, back = shipped(users, items, part, r)
    parts = len(np.unique(part))
    return (there, back) == (sent, r * m) and r * len(set(items)) <= there <= r * min(parts * n, len(users))


def table(m, n, share, r, parts, lam=0.1, seed=0):
    """A list of ratings, factors of the items, and the part of each rating, that of its user."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((m, n)) < share)
    stars = rng.integers(1, 11, len(users)) / 2
    return users, items, stars, rng.standard_normal((r, n)), lam, rng.integers(parts, size=m)[users], m


def without(case, user):
    """The same table with a user who rated nothing."""
    users, items, stars, H, lam, where, m = case
    left = users != user
    return users[left], items[left], stars[left], H, lam, where[left], m


USUAL = table(9, 6, 0.5, 2, 2)
ALIKE = table(7, 8, 0.4, 3, 3, seed=1)
ALIKE[3][:, 2] = ALIKE[3][:, 1]
EVERYTHING = table(4, 5, 1.1, 2, 2, seed=2)
FEW = table(8, 12, 0.15, 5, 3, seed=3)
APART = definitions(19, "solve_users"), definitions(19, "shipped")


def by_another_penalty(weight):
    """Rows as in the chapter, but with another weight of the penalty, weight(lam, own ratings, all ratings)."""

    def solve(users, items, stars, H, lam):
        W = {}
        for i in np.unique(users):
            own = users == i
            F = H[:, items[own]]
            G = F @ F.T + weight(lam, own.sum(), len(users)) * np.eye(len(F))
            W[i] = np.linalg.solve(G, F @ stars[own])
        return W

    return solve


def holes_as_zeros(users, items, stars, H, lam):
    W = {}
    for i in np.unique(users):
        own = users == i
        G = H @ H.T + lam * own.sum() * np.eye(len(H))
        W[i] = np.linalg.solve(G, H[:, items[own]] @ stars[own])
    return W


# PowerSGD


GRADIENTS = np.random.default_rng(190)


def normal(*shape):
    return GRADIENTS.standard_normal(shape)


def split(M, w):
    """w matrices with the mean M that are nothing like it."""
    noise = normal(w, *M.shape)
    return list(M + noise - noise.mean(axis=0))


def with_values(s, m, n):
    """An m×n matrix with these singular values."""
    U = np.linalg.qr(normal(m, len(s)))[0]
    V = np.linalg.qr(normal(n, len(s)))[0]
    return (U * s) @ V.T


def tangent(U, P):
    """That of the greatest angle between two spaces of one dimension, P's columns being orthonormal."""
    return np.linalg.norm((P - U @ (U.T @ P)) @ np.linalg.inv(U.T @ P), 2)


def no_sum_needed(code, workers, others, Q, gradients, residuals, steps=60):
    """Parts 1 to 3: one step on two splits of a mean, repeated steps, and steps with error feedback."""
    step, feedback = code
    M, r = sum(workers) / len(workers), Q.shape[1]
    m, n = M.shape
    P, new = step(workers, Q)
    if P.shape != (m, r) or new.shape != (n, r):
        return False
    p, q = step(others, Q)
    one = (
        close(P.T @ P, np.eye(r), atol=1e-11)
        and close(P @ (P.T @ M @ Q), M @ Q, atol=1e-10 * np.linalg.norm(M) * np.linalg.norm(Q))
        and close(new, M.T @ P, atol=1e-11 * np.linalg.norm(M))
        and close(p @ q.T, P @ new.T, atol=1e-9 * np.linalg.norm(M))
    )
    return one and iterates(step, workers, Q, steps) and telescopes(feedback, gradients, residuals, Q)


def iterates(step, workers, Q, steps):
    """The tangents shrink as they have to, and the result of the last step is the truncation."""
    M, r = sum(workers) / len(workers), Q.shape[1]
    U, s, Vt = np.linalg.svd(M)
    rate = (s[r] / s[r - 1]) ** 2 if r < len(s) else 0.0
    tangents = []
    for _ in range(steps):
        P, Q = step(workers, Q)
        tangents.append(tangent(U[:, :r], P))
    bounds = tangents[0] * rate ** np.arange(steps)
    best = (U[:, :r] * s[:r]) @ Vt[:r]
    excess = np.array(tangents) - bounds
    return within(excess, 1e-9) and close(P @ Q.T, best, atol=1e-8 * s[0])


def telescopes(feedback, gradients, residuals, Q):
    """What is applied adds up to the gradients without the last residual; each worker's residual is what it lacks."""
    total, Es = 0.0, residuals
    for Gs in gradients:
        before = [G + E for G, E in zip(Gs, Es, strict=True)]
        applied, Es, Q = feedback(Gs, Es, Q)
        total = total + applied
        if not close(np.array(Es), np.array(before) - applied, atol=1e-10 * np.abs(before).max()):
            return False
    wanted = sum(np.mean(Gs, axis=0) for Gs in gradients) - np.mean(Es, axis=0)
    return close(total, wanted, atol=1e-10 * np.abs(wanted).max())


def case(s, m, n, r, w, v, T=5, **changes):
    """A mean with these singular values among w workers and among v, and T steps of other gradients."""
    M = with_values(np.array(s, dtype=float), m, n)
    given = {
        "workers": split(M, w),
        "others": split(M, v),
        "Q": normal(n, r),
        "gradients": [list(normal(w, m, n)) for _ in range(T)],
        "residuals": [np.zeros((m, n)) for _ in range(w)],
    }
    return tuple((given | changes).values())


def without_the_first_direction():
    """A case whose Q is orthogonal to v₁, and few steps: rounding would find it in the end."""
    workers, others, Q, gradients, residuals = case([9, 5, 1], 8, 6, 2, 3, 2)
    v = np.linalg.svd(sum(workers) / 3)[2][0]
    return workers, others, Q - np.outer(v, v @ Q), gradients, residuals, 3


# Wrong code


MEAN = definitions(19, "mean")


def right_step(Ms, Q):
    P = np.linalg.qr(MEAN([M @ Q for M in Ms]))[0]
    return P, MEAN([M.T @ P for M in Ms])


def feedback_by(step, residual=lambda G, M, X: M - X):
    def feedback(Gs, Es, Q):
        Ms = [G + E for G, E in zip(Gs, Es, strict=True)]
        P, Q = step(Ms, Q)
        return P @ Q.T, [residual(G, M, P @ Q.T) for G, M in zip(Gs, Ms, strict=True)], Q

    return feedback


def pair(step, *residual):
    return step, feedback_by(step, *residual)


def never_orthonormal(Ms, Q):
    P = MEAN([M @ Q for M in Ms])
    return P, MEAN([M.T @ P for M in Ms])


def sums(Ms, Q):
    P = np.linalg.qr(sum(M @ Q for M in Ms))[0]
    return P, sum(M.T @ P for M in Ms)


def own_bases(Ms, Q):
    P = np.linalg.qr(MEAN([np.linalg.qr(M @ Q)[0] for M in Ms]))[0]
    return P, MEAN([M.T @ P for M in Ms])


def first_worker_s_basis(Ms, Q):
    P = np.linalg.qr(Ms[0] @ Q)[0]
    return P, MEAN([M.T @ P for M in Ms])


def old_start(Ms, Q):
    return right_step(Ms, Q)[0], Q


ONE_BY_ONE = list(range(1, 40))
CLAIMS = {
    "thm-sketches-add": Claim(
        check=sketches_add,
        code=(SKETCHES, FROM_SKETCHES, SUMMED),
        cases=[
            (SHOPS, [3], [2]),
            (SHOPS, [1, 2, 8], [1, 5]),
            ([TOTAL], [], []),
            ([X.T for X in SHOPS], [4], [1, 2, 8]),
            ([np.zeros((9, 6)), TOTAL], [5], []),
        ],
        dropped={"the same Ω and Ψ": (SHOPS, [3], [2], [4, 5, 6])},
        mutants={
            "a seed from the data": (
                lambda A, ell, k, seed: SKETCHES(A, ell, k, int(abs(A).sum() * 1e6) % 1000),
                FROM_SKETCHES,
                SUMMED,
            ),
            "the mean for the sum": (
                SKETCHES,
                FROM_SKETCHES,
                lambda blocks, Qs, log: SUMMED(blocks, Qs, log) / len(blocks),
            ),
            "the last block forgotten": (
                SKETCHES,
                FROM_SKETCHES,
                lambda blocks, Qs, log: SUMMED(blocks[:-1] or blocks, Qs[:-1] or Qs, log),
            ),
        },
    ),
    "thm-tsqr": Claim(
        check=tall_skinny,
        code=STACKED,
        cases=[
            (datasets.with_spectrum(SLOPE[:4], 20, 4, rng=1), [5, 10, 15]),
            (datasets.with_spectrum(SLOPE[:4], 20, 4, rng=1), [1, 3, 17]),
            (datasets.with_spectrum(SLOPE[:4], 20, 4, rng=1), []),
            (datasets.with_spectrum(SLOPE[:4], 20, 4, rng=1), [0, 5, 5]),  # two blocks without rows
            (datasets.with_spectrum(FAST, 60, 11, rng=2), [20, 40]),
            (datasets.with_spectrum(np.ones(3), 9, 3, rng=3), list(range(1, 9))),
            (datasets.with_spectrum(np.array([2.0, 1.0]), 12, 5, rng=4), [6]),
            (datasets.with_spectrum(SLOPE[:5], 5, 5, rng=5), [2]),
            (np.zeros((6, 2)), [3]),
        ],
        dropped={
            "m ≥ n": (datasets.with_spectrum(SLOPE[:3], 3, 5, rng=6), [1]),
            "signs of R": (np.array([[2.0, 1.0], [1.0, 3.0], [1.0, 1.0], [0.0, 2.0]]), [2], False),
        },
        mutants={
            "the blocks' own Q": forgotten_blocks,
            "the first triangle alone": first_triangle,
            "from the Gram matrix": from_gram,
        },
    ),
    "prop-passes": Claim(
        check=passes,
        code=(bill, reads, ON_BLOCKS),
        cases=[(datasets.with_spectrum(SLOPE, 60, 12, rng=1), [20, 40], 3, 6, q) for q in (0, 1, 2)]
        + [
            (datasets.with_spectrum(SLOPE, 40, 30, rng=2), [8, 16, 24, 32], 2, 8, 1),
            (datasets.with_spectrum(SLOPE, 30, 12, rng=3), [], 5, 5, 1),
            (datasets.with_spectrum(SLOPE, 30, 12, rng=3), [12], 12, 12, 2),
        ],
        dropped={"ℓ rows on each machine": (datasets.with_spectrum(SLOPE, 60, 12, rng=1), [2, 40], 3, 6, 1)},
        mutants={
            "m for n": (lambda p, m, n, r, ell, q: bill(p, n, m, r, ell, q), reads, ON_BLOCKS),
            "2q + 2 sums of n × ℓ": (
                lambda p, m, n, r, ell, q: bill(p, m, n, r, ell, q) + p * n * ell,
                reads,
                ON_BLOCKS,
            ),
            "one triangle an iteration": (
                lambda p, m, n, r, ell, q: bill(p, m, n, r, ell, q) - p * (q + 1) * ell**2,
                reads,
                ON_BLOCKS,
            ),
            "2q + 1 passes": (bill, lambda q: 2 * q + 1, ON_BLOCKS),
            "a pass too many": (bill, reads, read_again),
        },
    ),
    "thm-merge": Claim(
        check=merging,
        code=(math.sqrt, TRUNCATED, MERGED, TREE),
        cases=[
            (datasets.with_spectrum(SLOPE, 40, 12, rng=1), [10, 20, 30], 3),
            (datasets.with_spectrum(SLOPE, 40, 12, rng=1), list(range(5, 40, 5)), 2),
            (datasets.with_spectrum(SLOPE, 12, 40, rng=2), list(range(1, 12)), 4),
            (datasets.with_spectrum(np.ones(8), 24, 8, rng=3), [6, 12, 18], 2),
            (datasets.with_spectrum(np.array([3.0, 2.0]), 20, 9, rng=4), [7], 2),
            (datasets.with_spectrum(SLOPE, 20, 12, rng=5), [4, 9, 16], 1),
            (np.zeros((8, 5)), [4], 2),
        ],
        dropped={
            "r triples at the first level": (
                datasets.with_spectrum(np.array([3.0, 2.0]), 20, 9, rng=4),
                [7],
                2,
                None,
                1,
            )
        },
        mutants={
            "no loss": (lambda L: 1.0, TRUNCATED, MERGED, TREE),
            "the leaves not counted": (lambda L: math.sqrt(max(L - 1, 1)), TRUNCATED, MERGED, TREE),
            "without singular values": (math.sqrt, TRUNCATED, merged_without_weights, TREE),
            "U not turned": (math.sqrt, TRUNCATED, merged_first, TREE),
        },
    ),
    "thm-frequent-directions": Claim(
        check=directed,
        code=(liberty, SHRINK, DIRECTIONS, frequent_directions, merge_directions),
        cases=[
            (datasets.with_spectrum(SLOPE, 40, 12, rng=1), [10, 20, 30], 6),
            (datasets.with_spectrum(SLOPE, 40, 12, rng=1), ONE_BY_ONE, 4),
            (np.eye(5), [1, 2, 3, 4], 5),  # the bound is attained, for every k
            (np.eye(40), ONE_BY_ONE, 4),
            (datasets.with_spectrum(np.ones(8), 24, 8, rng=3), [6, 12, 18], 3),
            (datasets.with_spectrum(np.array([3.0, 2.0]), 20, 9, rng=4), [7], 4),
            (datasets.with_spectrum(SLOPE[:3], 20, 3, rng=5), [4, 9], 6),  # more rows kept than columns
            (datasets.with_spectrum(SLOPE, 20, 12, rng=5), [4, 9, 16], 1),
            (np.zeros((8, 5)), [4], 2),
        ],
        dropped={},
        mutants={
            "ℓ for ℓ − k": (
                lambda A, ell, k: tail(A, k) / ell,
                SHRINK,
                DIRECTIONS,
                frequent_directions,
                merge_directions,
            ),
            "ℓ − k + 1 for ℓ − k": (
                lambda A, ell, k: tail(A, k) / (ell - k + 1),
                SHRINK,
                DIRECTIONS,
                frequent_directions,
                merge_directions,
            ),
            "σ lowered, not σ²": with_shrink(lowered),
            "truncated, not shrunk": with_shrink(cut_off),
        },
    ),
    "prop-als-split": Claim(
        check=splits_by_users,
        code=APART,
        cases=[
            USUAL,
            ALIKE,
            EVERYTHING,
            FEW,
            table(9, 6, 0.5, 2, 1),
            table(5, 30, 0.3, 4, 9, lam=2.0, seed=4),
            table(30, 4, 0.5, 1, 2, lam=1e-3, seed=5),
            without(USUAL, 4),
            (*USUAL[:2], 0 * USUAL[2], *USUAL[3:]),
        ],
        dropped={
            "each user in one part: a user's ratings in two": (
                *USUAL[:5],
                np.where(np.arange(len(USUAL[0])) == np.argmax(USUAL[0] == 3), 1 - USUAL[5], USUAL[5]),
                USUAL[6],
            ),
            "λ > 0: no inverse for a user with fewer ratings than factors": (
                np.array([0]),
                np.array([1]),
                np.array([3.0]),
                np.array([[1.0, 2], [0, 0]]),
                0.0,
                np.array([0]),
                1,
            ),
        },
        mutants={
            "the same λ for all": (by_another_penalty(lambda lam, own, everyone: lam), APART[1]),
            "λ by the ratings of the part": (by_another_penalty(lambda lam, own, everyone: lam * everyone), APART[1]),
            "half the penalty": (by_another_penalty(lambda lam, own, everyone: lam * own / 2), APART[1]),
            "holes as zeros, which need all columns": (holes_as_zeros, APART[1]),
            "a column for each rating": (APART[0], lambda u, items, part, r: (r * len(u), r * len(part))),
            "each item sent once": (APART[0], lambda u, items, part, r: (r * len(set(items)), r * len(part))),
            "all items to each part": (
                APART[0],
                lambda u, items, part, r: (r * len(set(items)) * len(set(part)), r * len(part)),
            ),
            "the rows stay where they are": (APART[0], lambda *case: (APART[1](*case)[0], 0)),
        },
    ),
    "prop-powersgd": Claim(
        check=no_sum_needed,
        code=(definitions(19, "power_sgd_step"), definitions(19, "with_feedback")),
        cases=[
            case([5, 4, 2, 1], 9, 6, 2, 4, 3),
            case([5, 4, 2, 1], 6, 9, 3, 2, 5),
            case([3, 2, 0.5], 7, 7, 1, 3, 1),
            case([4, 3, 1], 8, 3, 3, 3, 2),  # r = min(m, n)
            case([4, 3], 8, 6, 2, 3, 2),  # of rank r: exact in one step
        ],
        dropped={
            "the same mean": case([5, 4, 2, 1], 9, 6, 2, 4, 3, others=split(normal(9, 6), 3)),
            "σ_r above σ_{r+1}": case([5, 3, 3, 1], 9, 6, 2, 4, 3),
            "an invertible V_rᵀQ": without_the_first_direction(),
            "residuals that are 0 at first": case([5, 4, 2, 1], 9, 6, 2, 4, 3, residuals=list(normal(4, 9, 6))),
        },
        mutants={
            "P is not made orthonormal": pair(never_orthonormal),
            "sums for means": pair(sums),
            "each worker's basis, averaged": pair(own_bases),
            "the first worker's basis": pair(first_worker_s_basis),
            "the old Q for the new": pair(old_start),
            "the old residual is forgotten": pair(right_step, lambda G, M, X: G - X),
            "no residual": pair(right_step, lambda G, M, X: 0 * M),
        },
    ),
}


# Rows that come once, and chunks


def every(measured, kind, name, key):
    return np.array(measured[kind][name][key])


ROWS = ("Gram matrix", "frequent directions", "merged SVDs", "IncrementalPCA")


def times_the_gram_matrix(measured, kind):
    """How many times its processor seconds, in all five matrices, the other methods take."""
    whole = {name: every(measured, kind, name, "seconds").sum() for name in ROWS}
    return [whole[name] / whole["Gram matrix"] for name in ROWS[1:]]


def gram_where_columns_are_few(measured):
    """The Gram matrix is exact and the quickest, all keep their bounds, and where rows drift a tree loses least."""

    def all_of(kind, name, key, other, against, factor=1.0):
        return bool((every(measured, kind, name, key) * factor < every(measured, kind, other, against)).all())

    drift = ("drifting", "merged SVDs", "excess")
    return all(
        within(every(measured, kind, "Gram matrix", "sketch"), 1e-12)
        and min(times_the_gram_matrix(measured, kind)) > 3
        and all_of(kind, "frequent directions", "sketch", "frequent directions", "sketch, bound", 0.999999)
        and all_of(kind, "frequent directions", "sketch, bound", "frequent directions", "sketch, theorem")
        and all_of(kind, "merged SVDs", "error over the least", "merged SVDs", "error over the least, bound")
        for kind in ("alike", "drifting")
    ) and all(all_of(*drift, name, "excess", 100) for name in ("frequent directions", "IncrementalPCA"))


def rows_as_printed(measured):
    """The numbers of the observation: times over the Gram matrix's, and excesses."""
    others = ROWS[1:]
    ratios = [ratio for kind in ("alike", "drifting") for ratio in times_the_gram_matrix(measured, kind)]
    alike = max(every(measured, "alike", name, "excess").max() for name in others)
    return [
        f"{np.min(ratios):.0f} to {np.max(ratios):.0f}",
        f"{1e6 * alike:.1f}",
        f"{1e6 * every(measured, 'drifting', 'merged SVDs', 'excess').max():.0f}",
        *(
            "{:.0f} to {:.0f}".format(
                *(1e6 * end(every(measured, "drifting", name, "excess")) for end in (np.min, np.max))
            )
            for name in ("IncrementalPCA", "frequent directions")
        ),
    ]


def multiplied(kind, name, key, factor):
    """The measurements with those of one method multiplied."""

    def change(measured):
        changed = copy.deepcopy(measured)
        changed[kind][name][key] = [factor * value for value in changed[kind][name][key]]
        return changed

    return change


THEIRS, MAPPED = "svd_compressed, power, compute=True", "ours, mapped"
CHUNKED = ("ours", "ours, Krylov", THEIRS, "svd_compressed, power, compute=False")


def with_two_workers(measured, name, key):
    return np.array(measured["workers"]["2"][name][key])


def middle(measured, name, key="seconds"):
    return float(np.median(with_two_workers(measured, name, key)))


def level_through_dask(measured):
    """As many readings, errors level, at most 1.3 times the time; Krylov nearer; a mapped file quicker than all."""
    gap, half = student(
        with_two_workers(measured, "ours", "frobenius") - with_two_workers(measured, THEIRS, "frobenius")
    )
    reads = measured["readings of a chunk"]
    return (
        reads["ours, Krylov"] <= reads["ours"] == reads[THEIRS] == measured["passes"]
        and abs(gap) + half < 0.002
        and middle(measured, "ours") < 1.3 * middle(measured, THEIRS)
        and bool(
            (
                10 * with_two_workers(measured, "ours, Krylov", "frobenius")
                < with_two_workers(measured, "ours", "frobenius")
            ).all()
        )
        and all(2 * middle(measured, MAPPED) < middle(measured, name) for name in (*CHUNKED[:3],))
    )


def on_two_multiplied(name, key, factor):
    """The measurements with those of one method on two workers multiplied."""

    def change(measured):
        changed = copy.deepcopy(measured)
        row = changed["workers"]["2"][name]
        row[key] = [factor * value for value in row[key]]
        return changed

    return change


# What Spark costs


def star_errors(folds, name):
    return np.array([row[name]["rmse"] for row in folds.values()])


def stars_apart(folds, one, other):
    """The mean difference of two errors over the folds, and half of its 95 % interval."""
    return student(star_errors(folds, one) - star_errors(folds, other))


def processors(folds):
    """How many times the seconds of all processors that ours takes Spark takes, fold by fold."""
    return np.array([row["Spark"]["processor seconds"] / row["ours"]["processor seconds"] for row in folds.values()])


def objectives(folds):
    """How far Spark's objective is from ours, as a share of ours, fold by fold."""
    return np.array([row["Spark"]["objective"] / row["ours"]["objective"] - 1 for row in folds.values()])


def spark_does_not_pay_here(folds):
    """The same objective to 1 %, errors level and clearly behind the biases, and Spark's work over twice ours."""
    behind = [stars_apart(folds, "ours", "biases"), stars_apart(folds, "Spark", "biases")]
    gap, half = stars_apart(folds, "Spark", "ours")
    return (
        all(further > interval for further, interval in behind)
        and abs(gap) + half < 0.005
        and bool((np.abs(objectives(folds)) < 0.01).all())
        and bool((processors(folds) > 2).all())  # so Spark on two processors, all work divided, takes longer
    )


def in_folds(folds, name, key, change):
    """The same folds with one figure of a contender changed in each: change(row)."""
    altered = copy.deepcopy(folds)
    for row in altered.values():
        row[name][key] = change(row)
    return altered


# What PowerSGD costs


def study():
    return results.load("scale_training")


def apart(measured, one, other):
    """By how much the first's loss on held-out digits is above the second's, and half of its interval."""
    runs = (measured["of"][name]["runs"] for name in (one, other))
    return student([a["loss"] - b["loss"] for a, b in zip(*runs, strict=True)])


PLAIN, FEWER, ENTRIES, WITHOUT, FRESH, POWER = (
    "plain averaging",
    "plain averaging, as many bytes",
    "random entries",
    "PowerSGD, no error feedback",
    "PowerSGD, a new random Q",
    "PowerSGD",
)


def as_good_with_fewer_bytes(measured):
    """PowerSGD within 0.02 of plain averaging at a tenth of the numbers; its rivals of as many bytes above it."""
    near = all(abs(mean) + half < 0.02 for mean, half in (apart(measured, POWER, PLAIN), apart(measured, FRESH, POWER)))
    behind = (apart(measured, other, POWER) for other in (FEWER, ENTRIES, WITHOUT))
    numbers = {name: measured["of"][name]["runs"][0]["numbers"] for name in (PLAIN, FEWER, ENTRIES, POWER)}
    return (
        near
        and all(mean - half > 0.02 for mean, half in behind)
        and 10 * numbers[POWER] < numbers[PLAIN]
        and numbers[POWER] == numbers[ENTRIES] <= numbers[FEWER]
    )


def exchanged_runs(one, other):
    """Measurements in which the first had the runs of the second."""

    def change(measured):
        changed = copy.deepcopy(measured)
        changed["of"][one]["runs"] = changed["of"][other]["runs"]
        return changed

    return change


def at_the_edge(measured):
    changed = copy.deepcopy(measured)
    changed["of"][POWER]["rate"] = changed["rates"][-1]
    return changed


RATES = tuple(0.0125 * 2**k for k in range(8))
PENALTIES = (0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.17, 0.22, 0.3)


OBSERVATIONS = {
    "obs-scale-dask": Observation(
        measured=lambda: results.load("scale_dask"),
        protocol=Protocol(
            baseline=MAPPED,
            contenders=[
                Contender(MAPPED, fixed="as ours through Dask, in one process"),
                *(Contender(name, fixed="rank, columns and passes are the same for all") for name in CHUNKED),
            ],
            tested_on="one matrix of 100 000 rows and 1000 columns, ten draws of the random columns",
            runs=10,
            interval="95 %, Student's, of differences by draw",
        ),
        verdict=level_through_dask,
        numbers=lambda m: [
            *(f"{middle(m, name):.1f}" for name in (MAPPED, *CHUNKED)),
            *(f"{np.median(m['workers']['1'][name]['seconds']):.1f}" for name in CHUNKED[:3]),
            f"{1000 * with_two_workers(m, 'ours', 'frobenius').mean():.1f}",
            f"{1000 * with_two_workers(m, THEIRS, 'frobenius').mean():.1f}",
            f"{1000 * with_two_workers(m, 'ours, Krylov', 'frobenius').mean():.1f}",
            *(f"{middle(m, name, 'bytes, worker') / 1e6:.0f}" for name in ("ours", *CHUNKED[2:])),
            *(f"{middle(m, name, 'bytes, asking') / 1e6:.0f}" for name in CHUNKED[:3]),
        ],
        sharp={
            "ours a third slower": on_two_multiplied("ours", "seconds", 1.6),
            "ours less accurate": on_two_multiplied("ours", "frobenius", 2),
            "Krylov no nearer": on_two_multiplied("ours, Krylov", "frobenius", 20),
            "the mapped file as slow": on_two_multiplied(MAPPED, "seconds", 4),
        },
    ),
    "obs-scale-rows": Observation(
        measured=lambda: results.load("scale_rows"),
        protocol=Protocol(
            baseline="Gram matrix",
            contenders=[
                Contender("Gram matrix", fixed="has no setting"),
                *(Contender(name, fixed="twenty rows kept, as all the others") for name in ROWS[1:]),
            ],
            tested_on="a million rows of 100 columns, alike and drifting",
            runs=5,
            interval="the smallest and the largest of five matrices",
        ),
        verdict=gram_where_columns_are_few,
        numbers=rows_as_printed,
        sharp={
            "the Gram matrix as slow as the merge": multiplied("alike", "Gram matrix", "seconds", 20),
            "a sketch beyond its certificate": multiplied("drifting", "frequent directions", "sketch", 2),
            "a certificate beyond the theorem": multiplied("alike", "frequent directions", "sketch, bound", 5),
            "one running result as near": multiplied("drifting", "IncrementalPCA", "excess", 1e-3),
            "a merge beyond its bound": multiplied("drifting", "merged SVDs", "error over the least", 3),
        },
    ),
    "obs-scale-powersgd": Observation(
        measured=study,
        protocol=Protocol(
            baseline=PLAIN,
            contenders=[Contender(name, {"rate": RATES}) for name in (PLAIN, FEWER, ENTRIES, WITHOUT, FRESH, POWER)],
            tested_on="300 digits of each of the seeds 1 to 10",
            tuned_on="300 other digits, three other seeds",
            runs=10,
            interval="95 %, Student's, of differences by seed",
        ),
        verdict=as_good_with_fewer_bytes,
        numbers=lambda m: [
            *(f"{np.mean([run['loss'] for run in m['of'][name]['runs']]):.3f}" for name in m["of"]),
            *("{:.3f} ± {:.3f}".format(*apart(m, name, POWER)) for name in (FEWER, ENTRIES, WITHOUT)),
            "{:.3f} ± {:.3f}".format(*apart(m, POWER, PLAIN)),
        ],
        sharp={
            "no feedback, as good": exchanged_runs(WITHOUT, POWER),
            "fewer averages, as good": exchanged_runs(FEWER, POWER),
            "PowerSGD as without feedback": exchanged_runs(POWER, WITHOUT),
            "a rate at the edge of its grid": at_the_edge,
        },
        chosen=lambda m: {name: {"rate": [found["rate"]]} for name, found in m["of"].items()},
    ),
    "obs-scale-spark": Observation(
        measured=lambda: results.load("scale_spark")["folds"],
        protocol=Protocol(
            baseline="mean",
            contenders=[
                Contender("mean", fixed="has no setting"),
                Contender(
                    "biases",
                    {"users": (0.0, 6.0, 25.0), "items": (1.0, 2.5, 6.0)},
                    first={"users": "0 is no damping"},
                ),
                Contender("ours", {"penalty": PENALTIES}),
                Contender("Spark", fixed="the objective is that of ours, and so is its penalty"),
            ],
            tested_on="each of five random folds",
            tuned_on="a tenth of the other four",
            runs=5,
            interval="95 % by Student's t, paired, over the folds",
        ),
        verdict=spark_does_not_pay_here,
        numbers=lambda folds: [
            *(f"{star_errors(folds, name).mean():.4f}" for name in ("biases", "ours", "Spark")),
            *("{:.4f} ± {:.4f}".format(*(abs(x) for x in stars_apart(folds, "Spark", "ours"))),),
            "{:.3f} ± {:.3f}".format(*stars_apart(folds, "Spark", "biases")),
            *(f"{100 * end:.2f}" for end in (np.abs(objectives(folds)).max(),)),
            *(f"{end:.1f}" for end in (processors(folds).min(), processors(folds).max())),
        ],
        sharp={
            "Spark as near as biases": lambda folds: in_folds(
                folds, "Spark", "rmse", lambda row: row["biases"]["rmse"]
            ),
            "ours as near as biases": lambda folds: in_folds(folds, "ours", "rmse", lambda row: row["biases"]["rmse"]),
            "Spark nearer than ours": lambda folds: in_folds(
                folds, "Spark", "rmse", lambda row: row["ours"]["rmse"] - 0.01
            ),
            "another objective": lambda folds: in_folds(
                folds, "Spark", "objective", lambda row: 0.95 * row["ours"]["objective"]
            ),
            "Spark's work twice ours": lambda folds: in_folds(
                folds, "Spark", "processor seconds", lambda row: 2 * row["ours"]["processor seconds"]
            ),
            "a penalty at the edge": lambda folds: in_folds(folds, "ours", "chosen", lambda row: {"penalty": 0.3}),
        },
        chosen=lambda folds: {
            name: {setting: [row[name]["chosen"][setting] for row in folds.values()] for setting in settings}
            for name, settings in (("biases", ("users", "items")), ("ours", ("penalty",)))
        },
    ),
}
