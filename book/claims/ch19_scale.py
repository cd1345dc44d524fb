"""The claims of chapter 19, past one machine."""

import math

import numpy as np

from book.claims import Claim
from book.definitions import definitions
from book.margins import close, within
from lowrank_helpers import datasets, linalg
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
    """Both sketches of a sum are the sums of the sketches, and so is what comes of them; products add block by block."""
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
    Qs, R = STACKED(blocks, log)
    return [np.linalg.qr(A)[0] for A in blocks], R


def first_triangle(blocks, log):
    return STACKED(blocks, log)[0], np.linalg.qr(blocks[0])[1]


def from_gram(blocks, log):
    """The triangle from the sum of the Gram matrices, as far as it goes."""
    values, V = np.linalg.eigh(sum(A.T @ A for A in blocks))
    s = np.sqrt(np.maximum(values, 0))
    Q, R = np.linalg.qr(s[:, None] * V.T)
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
    U, s, Vt = MERGED(pieces, r)
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
}
