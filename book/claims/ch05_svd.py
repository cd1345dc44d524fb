"""The claims of chapter 5, The singular value decomposition."""

import functools
import itertools
import math

import numpy as np
import scipy.linalg

from book import margins
from book.claims import Adapted, Claim, Folklore
from book.claims import rank as rank_of
from book.definitions import definitions
from book.margins import above, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import linalg, svd

EPS = np.finfo(float).eps
RNG = np.random.default_rng(50)
A32 = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
TALL, WIDE, SQUARE = RNG.standard_normal((7, 3)), RNG.standard_normal((3, 7)), RNG.standard_normal((5, 5))
RANK_TWO = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 5))
TIES = np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 0.0, 0.0])[:, :6]
ZERO = np.zeros((3, 4))
COLUMN = np.array([[3.0], [0.0], [4.0]])
MATRICES = [A32, TALL, WIDE, SQUARE, RANK_TWO, TIES, ZERO, COLUMN, COLUMN.T, np.eye(4), np.diag([1.0, 0.0, 0.0])]
RANKS = [2, 3, 3, 5, 2, 5, 0, 1, 1, 4, 1]


values = definitions(5, "values")


def full(A):
    return np.linalg.svd(A, full_matrices=True)


def sigma(s, m, n):
    S = np.zeros((m, n))
    S[range(len(s)), range(len(s))] = s
    return S


def orthogonal(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def near(X, Y, scale=1.0):
    X, Y = np.asarray(X), np.asarray(Y)
    return X.shape == Y.shape and margins.close(X, Y, atol=100 * EPS * max((1, *X.shape)) * max(scale, 1e-300))


def unitary(Q):
    return near(Q.T @ Q, np.eye(Q.shape[1])) and Q.shape[0] == Q.shape[1]


def exists(code, A, rank):
    """A = U Σ Vᵀ with square orthogonal factors, descending s ≥ 0; its columns are bases of the four spaces.

    Where the columns of A are independent, the chapter's own algorithm finds the thin factors as well.
    """
    m, n = A.shape
    by_proof, by_jacobi = code
    U, s, Vt = by_proof(A)
    if U.shape != (m, m) or Vt.shape != (n, n) or s.shape != (min(m, n),):
        return False
    size = max(np.linalg.norm(A), EPS)
    spaces = (
        above(s, 100 * EPS * max(m, n) * size).sum() == rank
        and near(U[:, :rank] @ (U[:, :rank].T @ A), A, size)
        and near((A @ Vt[:rank].T) @ Vt[:rank], A, size)
        and near(A @ Vt[rank:].T, np.zeros((m, n - rank)), size)
        and near(A.T @ U[:, rank:], np.zeros((n, m - rank)), size)
    )
    if rank == n > 1:
        thin, found, thin_vt, _ = by_jacobi(A)
        if not (near(thin.T @ thin, np.eye(n)) and unitary(thin_vt) and near(found, s, size)):
            return False
        spaces = spaces and near((thin * found) @ thin_vt, A, size)
    ordered = within([*np.diff(s), *-s], 100 * EPS * size)  # at a tie rounding decides which of two comes first
    return unitary(U) and unitary(Vt) and ordered and near(U @ sigma(s, m, n) @ Vt, A, size) and spaces


def by_deflation(A):
    """The proof as a program: maximise, complete to orthogonal matrices, go on with the block that is left."""
    m, n = A.shape
    if min(m, n) == 0:
        return np.eye(m), np.zeros(0), np.eye(n)
    v = np.linalg.eigh(A.T @ A)[1][:, -1]
    image = A @ v
    s1 = np.linalg.norm(image)
    s1 = s1 if above(s1, 1e-13) else 0.0
    u = image / s1 if s1 else np.eye(m)[0]
    P, Q = completed(u), completed(v)
    U, s, Vt = by_deflation(P[:, 1:].T @ A @ Q[:, 1:])
    return (
        P @ scipy.linalg.block_diag(1.0, U),
        np.append(s1, s),
        scipy.linalg.block_diag(1.0, Vt) @ Q.T,
    )


JACOBI = definitions(5, "jacobi_svd")


def completed(u):
    """An orthogonal matrix with the unit vector u as first column (a reflection)."""
    w = u - np.eye(len(u))[0]
    return np.eye(len(u)) - (2 / (w @ w) * np.outer(w, w) if w @ w > 0 else 0)


def ascending(A):
    U, s, Vt = full(A)
    k = len(s)
    return (
        np.column_stack([U[:, :k][:, ::-1], U[:, k:]]),
        s[::-1],
        np.vstack([Vt[:k][::-1], Vt[k:]]),
    )


def eigen(A):
    """One orthonormal basis for both sides, as if A were symmetric."""
    if A.shape[0] != A.shape[1]:
        return full(A)
    w, V = np.linalg.eigh((A + A.T) / 2)
    return V[:, ::-1], w[::-1], V[:, ::-1].T


def from_gram(A):
    """Vectors from AᵀA, and a U with zero columns where σ = 0."""
    U, s, Vt = full(A)
    U = U.copy()
    U[:, above(s, 1e-10).sum() :] = 0
    return U, s, Vt


def unique(code, A, first, second):
    """Both have the same σ, and the second is the first with the block orthogonal matrices that code finds."""
    (U, s, Vt), (U2, s2, Vt2) = first, second
    m, n = A.shape
    r = above(s, 1e-12).sum()
    P, Q = code(first, second)
    if not near(s, s2, max(s[0], EPS)):
        return False
    S = sigma(s, m, n)
    return (
        unitary(P)
        and unitary(Q)
        and near(P[:r, :r], Q[:r, :r], 10)
        and near(P @ S, S @ Q, 10 * max(s[0], EPS))
        and near(U @ P, U2, 10)
        and near(Vt.T @ Q, Vt2.T, 10)
    )


def blocks(s):
    """Slices of equal positive singular values."""
    r = int(above(s, 1e-12).sum())
    cuts = [0, *(np.flatnonzero(above(-np.diff(s[:r]), 1e-8)) + 1), r]
    return [slice(a, b) for a, b in itertools.pairwise(cuts) if b > a], r


def relate(first, second):
    """Q_k from V alone, used on both sides; the null blocks each on their own."""
    (U, s, Vt), (U2, _, Vt2) = first, second
    P, Q = np.zeros((len(U), len(U))), np.zeros((len(Vt), len(Vt)))
    groups, r = blocks(s)
    for k in groups:
        P[k, k] = Q[k, k] = Vt[k] @ Vt2[k].T
    P[r:, r:], Q[r:, r:] = U[:, r:].T @ U2[:, r:], Vt[r:] @ Vt2[r:].T
    return P, Q


def signs_only(first, second):
    (_, s, Vt), (_, _, Vt2) = first, second
    P, Q = relate(first, second)
    r = blocks(s)[1]
    D = np.diag(np.where((Vt[:r] * Vt2[:r]).sum(axis=1) < 0, -1.0, 1.0))
    P[:r, :r] = Q[:r, :r] = D
    return P, Q


def same_null_block(first, second):
    P, Q = relate(first, second)
    r = blocks(first[1])[1]
    k = min(len(P), len(Q))
    P[r:k, r:k] = Q[r:k, r:k]
    return P, Q


def left_untouched(first, second):
    P, Q = relate(first, second)
    r = blocks(first[1])[1]
    P[:r, :r] = np.eye(r)
    return P, Q


def turned(A, seed):
    """Another decomposition of A: each block turned, the null blocks each on their own."""
    U, s, Vt = (X.copy() for X in full(A))
    groups, r = blocks(s)
    for number, k in enumerate(groups):
        Q = orthogonal(k.stop - k.start, seed + number)
        U[:, k], Vt[k] = U[:, k] @ Q, Q.T @ Vt[k]
    if len(U) > r:
        U[:, r:] = U[:, r:] @ orthogonal(len(U) - r, seed + 50)
    if len(Vt) > r:
        Vt[r:] = orthogonal(len(Vt) - r, seed + 60) @ Vt[r:]
    return U, s, Vt


def weyl(code, A, B):
    """σ of A + B at the index that code gives for (i, j) is at most σᵢ(A) + σⱼ(B); perturbation and rank forms.

    What is certified of A + B, known up to ‖B‖₂, is no more than the rank of A, and all of it where B is nearly 0.
    """
    index, certified = code
    a, b, c = values(A), values(B), values(A + B)
    p, slack = len(a), 100 * EPS * max(A.shape) * (values(A)[0] + values(B)[0] + 1e-300)
    pad = lambda s, i: s[i - 1] if i <= p else 0.0  # noqa: E731
    two = [
        pad(c, index(i, j)) - pad(a, i) - pad(b, j)
        for i in range(1, p + 2)
        for j in range(1, p + 2)
        if index(i, j) >= 1
    ]
    r = rank_of(B)
    low = [pad(c, i + r) - a[i - 1] for i in range(1, p + 1)]
    certain, all_of_it = certified(A + B, (1 + 1e-9) * b[0]), certified(A, 1e-9)
    if certain > rank_of(A) or all_of_it != rank_of(A):
        return False
    return within([*two, *(np.abs(c - a) - b[0]), *low], slack)


INDEX, CERTIFIED = lambda i, j: i + j - 1, definitions(5, "certified_rank")


def ky_fan(norm, A, B, k, X, Y):
    """norm(A, k) is attained at the singular vectors, passed by no frames X, Y, and is a norm."""
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    slack = 100 * EPS * max(A.shape) * (np.linalg.norm(A) + np.linalg.norm(B))
    errors = [
        abs(np.trace(U[:, :k].T @ A @ Vt[:k].T) - norm(A, k)),  # attained
        np.trace(X.T @ A @ Y) - norm(A, k),  # passed by no frames
        norm(A + B, k) - norm(A, k) - norm(B, k),
        abs(norm(-3 * A, k) / 3 - norm(A, k)),
    ]
    return within(errors, slack) and (norm(A, k) > 0 or not A.any())


def frames(A, k, seed):
    return orthogonal(A.shape[0], seed)[:, :k], orthogonal(A.shape[1], seed + 1)[:, :k]


def top_frames(A, k):
    U, _, Vt = np.linalg.svd(A)
    return U[:, :k], Vt[:k].T


def schatten(A, q):
    s = values(A)
    return s[0] if q == math.inf else float((s**q).sum() ** (1 / q))


def both_by(norm):
    return norm, norm


def schatten_norms(code, A, B, P, Q, q):
    """Norm axioms, orthogonal invariance, and the three values of q with a definition of their own."""
    norm, package = code
    slack = 1e3 * EPS * max(A.shape) * (norm(A, q) + norm(B, q) + 1e-300)
    spectral = np.sqrt(max(np.linalg.eigvalsh(A.T @ A)[-1], 0))
    U, _, Vt = np.linalg.svd(A, full_matrices=False)
    dual = float((A * (U @ Vt)).sum())
    root = math.sqrt(EPS) * (1 + spectral)
    return (
        within(
            [
                norm(A + B, q) - norm(A, q) - norm(B, q),
                abs(norm(-2 * A, q) - 2 * norm(A, q)),
                abs(norm(P @ A @ Q, q) - norm(A, q)),
                abs(norm(A, max(q, 1)) - package(A, max(q, 1))),
            ],
            slack,
        )
        and within(abs(norm(A, math.inf) - spectral), root)
        and within(abs(norm(A, 2) - math.sqrt((A**2).sum())), 1e3 * EPS * (1 + norm(A, 2)))
        and within(abs(norm(A, 1) - dual), 1e3 * EPS * (1 + dual))
        and (norm(A, q) > 0 or not A.any())
    )


def penrose(code, U, s, Vt):
    """X = code(U, s, Vt) satisfies Penrose's four equations for A = U Σ Vᵀ, and its norm is 1/σ_r."""
    m, n = len(U), len(Vt)
    A = U @ sigma(s, m, n) @ Vt
    X = code(U, s, Vt)
    if X.shape != (n, m):
        return False
    positive = s[above(s, 1e-12 * s[0])]
    size = (positive[0] / positive[-1]) if positive.size else 1.0
    norm = 1 / positive[-1] if positive.size else 0.0
    return (
        bool(np.isfinite(X).all())
        and within(abs(np.linalg.norm(X, 2) - norm), 100 * EPS * max(m, n) * size * max(norm, EPS))
        and near(A @ X @ A, A, size * max(s[0], EPS))
        and near(X @ A @ X, X, size * max(norm, EPS))
        and near((A @ X).T, A @ X, size)
        and near((X @ A).T, X @ A, size)
    )


def inverse_filter(U, s, Vt):
    m, n = len(U), len(Vt)
    positive = above(s, 1e-12 * s[0])
    return Vt.T @ sigma(np.where(positive, 1 / np.where(positive, s, 1), 0), n, m) @ U.T


def no_cut(U, s, Vt):
    with np.errstate(divide="ignore", invalid="ignore"):
        return Vt.T @ sigma(1 / s, len(Vt), len(U)) @ U.T


def three_equations(U, s, Vt):
    """A generalised inverse that satisfies all but XAX = X, or all but (XA)ᵀ = XA."""
    X = inverse_filter(U, s, Vt)
    A = U @ sigma(s, len(U), len(Vt)) @ Vt
    return X + (np.eye(len(Vt)) - X @ A) @ np.ones(X.shape) @ A @ X


def tikhonov(code, A, b, lam):
    """code(A, b, lam) gives x and a bound: x is the minimiser; the bound holds, is sharp; the derivative is right."""
    x, bound = code(A, b, lam)
    gram, n = A.T @ A, A.shape[1]
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    r = above(s, 1e-12 * s[0]).sum()
    U, s, Vt = U[:, :r], s[:r], Vt[:r]
    best = Vt.T @ (U.T @ b / s)
    slack = 1e3 * EPS * (1 + np.linalg.norm(best) + (s[0] if r else 0)) * (1 + (1 / s[-1] if r else 0)) ** 2
    residual = np.abs((gram + lam * np.eye(n)) @ x - A.T @ b)
    stationary = within(residual, slack * (1 + abs(lam)) * (1 + np.linalg.norm(gram)))
    objective = lambda y: ((A @ y - b) ** 2).sum() + lam * (y @ y)  # noqa: E731
    rng = np.random.default_rng(0)
    moved = [objective(x + h * rng.standard_normal(n)) for h in (1e-3, 0.1, 1, 10)]
    least = within(objective(x) - moved, slack)
    if r == 0:
        return stationary and least and not x.any() and not best.any()
    x_worst, bound_worst = code(A, U[:, -1], lam)
    excess = np.linalg.norm(x - best) - bound * np.linalg.norm(best)
    sharp = within([excess, abs(np.linalg.norm(x_worst - Vt[-1] / s[-1]) - bound_worst / s[-1])], slack)
    small = 1e-6 * s[-1] ** 2
    slope = (best - code(A, b, small)[0]) / small
    limit = Vt.T @ (U.T @ b / s**3)
    first_order = within(np.linalg.norm(slope - limit), 1e-4 * (np.linalg.norm(limit) + 1))
    return stationary and least and sharp and first_order


def filtered(path):
    """The filter factors of the chapter on the positive singular values, and the bound of the claim."""

    def code(path, A, b, lam):
        U, s, Vt = np.linalg.svd(A, full_matrices=False)
        r = above(s, 1e-12 * s[0]).sum()
        return path(U[:, :r], s[:r], Vt[:r], b, [lam])[:, 0], lam / (s[r - 1] ** 2 + lam) if r else 0.0

    return Adapted(code, path)


def filtering(factor):
    return filtered(lambda U, s, Vt, b, lams: (Vt.T @ (factor(s, lams[0]) * (U.T @ b)))[:, None])


def as_copied(U, s, Vt, b, lams):
    """U and V exchanged, where that is possible."""
    return RIDGE_PATH(Vt.T, s, U.T, b, lams) if len(U) == len(Vt.T) else RIDGE_PATH(U, s, Vt, b, lams)


def weakest_first(A, b, lam):
    s = values(A)
    return filtered(RIDGE_PATH)(A, b, lam)[0], lam / (s[0] ** 2 + lam) if s[0] else 0.0


RIDGE_PATH = definitions(5, "ridge_path")


def wedin(code, A, B, k):
    """What sticks out of the first k singular spaces of A, left and right, is at most code(A, B, k)."""
    U, _, Vt = np.linalg.svd(A)
    W, _, Zt = np.linalg.svd(B)
    left, right = U[:, k:].T @ W[:, :k], Vt[k:] @ Zt[:k].T
    out = (left**2).sum() + (right**2).sum()
    noise_norm, g = np.linalg.norm(B - A, 2), own_gap(A, B, k)
    uniform = 2 * k * (noise_norm / (g - noise_norm)) ** 2 if noise_norm < g else math.inf
    limit = min(code(A, B, k), uniform)
    return within(out - limit, 1e-9 * limit + 1e-24)


def residual_bound(gap, left=1.0, right=1.0):
    def code(A, B, k):
        W, _, Zt = np.linalg.svd(B)
        E = B - A
        rest = right * np.linalg.norm(E @ Zt[:k].T) ** 2 + left * np.linalg.norm(E.T @ W[:, :k]) ** 2
        return rest / max(abs(gap(A, B, k)), 1e-150) ** 2

    return code


def next_value(A, k):
    s = values(A)
    return s[k] if k < len(s) else 0.0


def mixed_gap(A, B, k):
    return values(B)[k - 1] - next_value(A, k)


def own_gap(A, B, k):
    return values(A)[k - 1] - next_value(A, k)


def noise(A, size, seed):
    return A + size * np.random.default_rng(seed).standard_normal(A.shape)


PAIRS = [(A, np.random.default_rng(k).standard_normal(A.shape)) for k, A in enumerate(MATRICES)]
DIAGONALS = (np.diag([3.0, 1.0]), np.diag([0.0, 2.5]))
TIE = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
TIE_TURNED_ON_THE_LEFT = (scipy.linalg.block_diag(TURN, 1.0), np.array([2.0, 2.0]), np.eye(2))
U32, S32, VT32 = full(A32)
NOT_ORTHOGONAL = np.array([[1.0, 0.6, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 1.0]])
SWAP = (np.diag([1.0, 0.0]), np.diag([0.45, 0.55]), 1)

CLAIMS = {
    "thm-svd-exists": Claim(
        check=exists,
        code=(by_deflation, JACOBI),
        cases=list(zip(MATRICES, RANKS, strict=True)),
        dropped={},
        mutants={
            "V in the place of Vᵀ": (lambda A: (full(A)[0], full(A)[1], full(A)[2].T), JACOBI),
            "ascending order, as eigh returns": (ascending, JACOBI),
            "one basis for both sides, as for eigenvectors": (eigen, JACOBI),
            "U not completed where σ = 0": (from_gram, JACOBI),
            "the thin decomposition": (lambda A: np.linalg.svd(A, full_matrices=False), JACOBI),
            "squares of the singular values": (lambda A: (full(A)[0], full(A)[1] ** 2, full(A)[2]), JACOBI),
            "one sweep of rotations": (by_deflation, lambda A: JACOBI(A, max_sweeps=1)),
        },
    ),
    "thm-svd-unique": Claim(
        check=unique,
        code=relate,
        cases=[
            *[(A, full(A), turned(A, seed)) for seed, A in enumerate(MATRICES)],
            (RANK_TWO, turned(RANK_TWO, 1), turned(RANK_TWO, 2)),
            (A32, full(A32), by_deflation(A32)),
            (SQUARE, full(SQUARE), tuple(svd.jacobi_svd(SQUARE))),
        ],
        dropped={
            "the second one is a decomposition of A (turned on one side only)": (
                TIE,
                (np.eye(3), np.array([2.0, 2.0]), np.eye(2)),
                TIE_TURNED_ON_THE_LEFT,
            ),
            "one sign changed on one side only": (A32, (U32, S32, VT32), (U32 * [-1, 1, 1], S32, VT32)),
            "singular values are in descending order": (A32, full(A32), ascending(A32)),
            "singular values are not negative": (A32, full(A32), (U32 * [-1, 1, 1], S32 * [-1, 1], VT32)),
        },
        mutants={
            "only signs, also at a tie": signs_only,
            "the same Q in the null blocks": same_null_block,
            "u kept while v is turned": left_untouched,
            "Q transposed": lambda first, second: tuple(Q.T for Q in relate(first, second)),
        },
    ),
    "thm-weyl": Claim(
        check=weyl,
        code=(INDEX, CERTIFIED),
        cases=[
            *PAIRS,
            DIAGONALS,
            (A32, -A32),
            (RANK_TWO, RANK_TWO[::-1]),
            (SQUARE, np.outer(np.arange(5.0), np.ones(5))),
        ],
        dropped={},
        mutants={
            "σ of index max(i, j): σ₂(A+B) ≤ σ₂(A) + σ₂(B)": (max, CERTIFIED),
            "σ of index i + j − 2": (lambda i, j: max(i + j - 2, 1), CERTIFIED),
            "half of the bound certifies": (INDEX, lambda M, bound: CERTIFIED(M, bound / 2)),
        },
    ),
    "thm-ky-fan": Claim(
        check=ky_fan,
        code=linalg.ky_fan_norm,
        cases=[
            *[
                (A, B, 1 + seed % min(A.shape), *frames(A, 1 + seed % min(A.shape), seed))
                for seed, (A, B) in enumerate(PAIRS)
            ],
            (*DIAGONALS, 2, np.eye(2), np.eye(2)),
            (np.diag([3.0, 1.0]), np.diag([1.0, 3.0]), 1, np.eye(2)[:, :1], np.eye(2)[:, :1]),
            (A32, -A32, 2, *top_frames(A32, 2)),
        ],
        dropped={
            "the columns of X have length 1": (A32, A32, 1, 2 * top_frames(A32, 1)[0], top_frames(A32, 1)[1]),
            "the columns of Y are orthogonal": (
                A32,
                A32,
                2,
                top_frames(A32, 1)[0] @ np.ones((1, 2)),
                top_frames(A32, 1)[1] @ np.ones((1, 2)),
            ),
        },
        mutants={
            "the k smallest": lambda A, k: float(values(A)[-k:].sum()),
            "the k-th singular value alone": lambda A, k: float(values(A)[k - 1]),
            "k times the largest: a bound, not attained": lambda A, k: k * float(values(A)[0]),
            "squares": lambda A, k: float((values(A)[:k] ** 2).sum()),
            "absolute eigenvalues": lambda A, k: float(
                np.sort(np.abs(np.linalg.eigvals(A)))[::-1][:k].sum()
                if A.shape[0] == A.shape[1]
                else values(A)[:k].sum()
            ),
        },
    ),
    "thm-schatten-norms": Claim(
        check=schatten_norms,
        code=(schatten, linalg.schatten_norm),
        cases=[
            *[
                (A, B, orthogonal(A.shape[0], seed), orthogonal(A.shape[1], seed + 9), q)
                for seed, (A, B) in enumerate(PAIRS)
                for q in (1, 1.5, 2, 3, math.inf)
            ],
            (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), np.eye(2), np.eye(2), 1.0),
            (A32, -A32, orthogonal(3, 1), orthogonal(2, 1), 4.0),
        ],
        dropped={
            "q is at least 1": (np.diag([1.0, 0.0]), np.diag([0.0, 1.0]), np.eye(2), np.eye(2), 0.5),
            "P is orthogonal": (A32, A32, NOT_ORTHOGONAL, np.eye(2), 2.0),
            "Q is orthogonal": (A32, A32, np.eye(3), np.diag([2.0, 1.0]), 1.0),
        },
        mutants={
            "the exponent 1/2 in the place of q: no triangle inequality": both_by(
                lambda A, q: schatten(A, q if q != 1.5 else 0.5)
            ),
            "the q-norm of the entries": both_by(lambda A, q: float(np.linalg.norm(A.ravel(), q))),
            "without the root": both_by(
                lambda A, q: float((values(A) ** q).sum()) if q != math.inf else float(values(A)[0])
            ),
            "the trace for the nuclear norm": both_by(lambda A, q: float(np.trace(A)) if q == 1 else schatten(A, q)),
        },
    ),
    "thm-pinv-svd": Claim(
        check=penrose,
        code=inverse_filter,
        cases=[*[full(A) for A in MATRICES], turned(RANK_TWO, 3), turned(TIES, 4)],
        dropped={
            "the columns of U are orthonormal": (NOT_ORTHOGONAL, np.array([3.0, 1.0]), np.eye(2)),
            "V is orthogonal": (np.eye(3), np.array([3.0, 1.0]), np.array([[1.0, 0.6], [0.0, 0.8]])),
        },
        mutants={
            "the transpose: U Σ⁺ Vᵀ": lambda U, s, Vt: inverse_filter(U, s, Vt).T,
            "also zero values inverted": no_cut,
            "three of the four equations": three_equations,
            "V for Vᵀ: passes on the book's 3×2 with its signs": lambda U, s, Vt: inverse_filter(U, s, Vt.T),
            "the squares inverted": lambda U, s, Vt: inverse_filter(U, s**2, Vt),
        },
    ),
    "thm-tikhonov-limit": Claim(
        check=tikhonov,
        code=filtered(RIDGE_PATH),
        cases=[
            *[
                (A, np.random.default_rng(seed).standard_normal(A.shape[0]), lam)
                for seed, A in enumerate(MATRICES)
                for lam in (1e-3, 0.7, 20.0)
            ],
            (A32, np.array([1.0, 0.0, 0.0]), 0.1),
        ],
        dropped={
            "λ is positive (here −1, below σ²)": (A32, np.array([1.0, 0.0, 0.0]), -1.0),
            "λ is positive (here −10, between the σ²)": (A32, np.array([1.0, 0.0, 0.0]), -10.0),
        },
        mutants={
            "the regularised factors U, s/(s²+λ), Vᵀ": filtered(as_copied),
            "λ² for λ": filtering(lambda s, lam: s / (s**2 + lam**2)),
            "the filter without the division by σ": filtering(lambda s, lam: s**2 / (s**2 + lam)),
            "1/(σ+λ)": filtering(lambda s, lam: 1 / (s + lam)),
            "the bound with σ₁ for σ_r": weakest_first,
            "no filter": filtering(lambda s, lam: 1 / s),
        },
    ),
    "thm-wedin": Claim(
        check=wedin,
        code=residual_bound(mixed_gap),
        cases=[
            *[(A, noise(A, 0.05, seed), 1) for seed, A in enumerate([A32, TALL, WIDE, SQUARE, COLUMN])],
            (RANK_TWO, noise(RANK_TWO, 0.05, 1), 2),
            (TIES, noise(TIES, 0.05, 2), 3),
            (TIES, noise(TIES, 0.05, 3), 5),
            (np.eye(4), noise(np.eye(4), 0.05, 4), 4),
            (TALL, noise(TALL, 0.2, 5), 3),
            (WIDE, noise(WIDE, 0.2, 6), 3),
            (np.diag([1.0, 0.999]), np.diag([1.0, 0.999]) + 1e-3 * np.eye(2)[::-1], 1),
            SWAP,
            (np.eye(2), np.diag([1.0, 1.5]), 1),
        ],
        dropped={
            "δ is positive": (np.diag([3.0, 2.0, 1.0]), np.diag([0.5, 0.5, 1.0]), 1),
        },
        mutants={
            "the gap of A alone": residual_bound(own_gap),
            "left residual only": residual_bound(mixed_gap, right=0.0),
            "half of the bound": residual_bound(mixed_gap, left=0.5, right=0.5),
            "σ₁ of the perturbed matrix for its σ_k": residual_bound(lambda A, B, k: values(B)[0] - next_value(A, k)),
        },
    ),
}

right_digits, longest_first = definitions(5, "right_digits"), definitions(5, "longest_first")
NUMPY, COLUMNS_SORTED, BOTH_SORTED = "numpy, defaults", "numpy, columns sorted", "numpy, both sorted"
LAPACKS, CHAPTERS, PACKAGES = "LAPACK's Jacobi", "this chapter's Jacobi", "the package's Jacobi"
METHODS = {
    NUMPY: values,
    COLUMNS_SORTED: lambda M: values(longest_first(M, 0)),
    BOTH_SORTED: lambda M: values(longest_first(longest_first(M, 0), 1)),
    LAPACKS: definitions(5, "gejsv"),
    CHAPTERS: lambda M: JACOBI(M)[1],
    PACKAGES: lambda M: svd.jacobi_svd(M).s,
}


@functools.cache
def graded():
    """For each method and each side that was scaled, its right digits on twenty matrices, the fewest first."""
    return {name: {w: right_digits(method, w) for w in ("columns", "rows")} for name, method in METHODS.items()}


def jacobi_or_an_order(digits):
    """Jacobi and numpy on a sorted matrix keep all digits that count, numpy as it is has half of its results wrong."""
    sides = ("columns", "rows")
    kept = all(min(digits[name][w]) == 11 for name in (BOTH_SORTED, CHAPTERS, PACKAGES) for w in sides)
    one_side = all(
        min(digits[name]["columns"]) == 11 and sorted(digits[name]["rows"])[10] == 0
        for name in (COLUMNS_SORTED, LAPACKS)
    )
    return kept and one_side and all(sorted(digits[NUMPY][w])[10] == 0 for w in sides)


def with_digits(digits, name, side, change):
    return {**digits, name: {**digits[name], side: change(digits[name][side])}}


forty = definitions(5, "forty")
MEAN, PSEUDO_INVERSE, TIKHONOV, CUT = "the mean", "A⁺b", "Tikhonov's filter", "the cut"
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0)
CUTS = (1, 2, 3, 4, 6, 8, 12, 20, 30)


@functools.cache
def forty_draws():
    """The errors of all draws of forty patients, by method, and what the forty chose."""
    draws = [forty(seed) for seed in range(40)]
    by_method = zip(
        (MEAN, PSEUDO_INVERSE, TIKHONOV, CUT), zip(*(e.tolist() for e, _ in draws), strict=True), strict=True
    )
    return {
        "errors": {name: list(errors) for name, errors in by_method},
        "penalty": [float(penalty) for _, (penalty, _) in draws],
        "rank": [int(rank) for _, (_, rank) in draws],
    }


def below_the_mean(draws, name):
    errors = draws["errors"]
    return sum(error < mean for error, mean in zip(errors[name], errors[MEAN], strict=True))


def a_filter_helps(draws):
    """The chosen penalty beats the mean in all draws, the cut in almost all, the pseudo-inverse in hardly any."""
    count = len(draws["penalty"])
    filtered = below_the_mean(draws, TIKHONOV) == count and below_the_mean(draws, CUT) >= 0.95 * count
    return filtered and below_the_mean(draws, PSEUDO_INVERSE) <= 0.1 * count


def with_errors(draws, name, change):
    return {**draws, "errors": {**draws["errors"], name: change(draws["errors"][name])}}


OBSERVATIONS = {
    "obs-svd-graded": Observation(
        measured=graded,
        protocol=Protocol(
            baseline=NUMPY,
            contenders=[
                Contender(NUMPY),
                Contender(COLUMNS_SORTED, fixed="has no setting"),
                Contender(BOTH_SORTED, fixed="has no setting"),
                Contender(LAPACKS, fixed="its options ask for relative accuracy and for no values to be dropped"),
                Contender(CHAPTERS, fixed="turns until the cosines are at the rounding error"),
                Contender(PACKAGES, fixed="turns until the cosines are at the rounding error"),
            ],
            tested_on="integer 5×5 matrices with columns, or rows, scaled by powers of two; exact determinants",
            runs=20,
            interval="the fewest right digits over 20 matrices, and their median",
        ),
        verdict=jacobi_or_an_order,
        numbers=lambda digits: [str(sorted(digits[NUMPY]["columns"])[10]), str(min(digits[CHAPTERS]["columns"]))],
        sharp={
            "Jacobi loses digits on one matrix": lambda digits: with_digits(
                digits, CHAPTERS, "columns", lambda found: [9, *found[1:]]
            ),
            "a sorted matrix loses digits": lambda digits: with_digits(
                digits, BOTH_SORTED, "rows", lambda found: [5, *found[1:]]
            ),
            "numpy keeps them as it is": lambda digits: with_digits(
                digits, NUMPY, "columns", lambda found: [11] * len(found)
            ),
            "sorting the columns is enough on both sides": lambda digits: with_digits(
                digits, COLUMNS_SORTED, "rows", lambda found: [11] * len(found)
            ),
        },
    ),
    "obs-svd-forty-patients": Observation(
        measured=forty_draws,
        protocol=Protocol(
            baseline=MEAN,
            contenders=[
                Contender(MEAN, fixed="has no setting"),
                Contender(PSEUDO_INVERSE, fixed="has no setting"),
                Contender(TIKHONOV, {"penalty": PENALTIES}),
                Contender(
                    CUT,
                    {"rank": CUTS},
                    first={"rank": "1 is the least rank"},
                    last={"rank": "30 cuts nothing"},
                ),
            ],
            tested_on="the other 529 patients",
            tuned_on="the forty patients, five of them left out at a time",
            runs=40,
            interval="the range over 40 draws of forty patients, which overlap",
        ),
        verdict=a_filter_helps,
        numbers=lambda draws: [
            *(f"{float(np.median(draws['errors'][name])):.3f}" for name in (MEAN, PSEUDO_INVERSE, TIKHONOV, CUT)),
            *(f"{end(draws['errors'][name]):.3f}" for name in (PSEUDO_INVERSE, TIKHONOV) for end in (min, max)),
            *(f"{below_the_mean(draws, name)}" for name in (PSEUDO_INVERSE, TIKHONOV, CUT)),
        ],
        sharp={
            "the penalty is worse than the mean in one draw": lambda draws: with_errors(
                draws, TIKHONOV, lambda errors: [1.0, *errors[1:]]
            ),
            "the cut is no better than the mean": lambda draws: with_errors(
                draws, CUT, lambda errors: draws["errors"][MEAN]
            ),
            "the pseudo-inverse does no harm": lambda draws: with_errors(
                draws, PSEUDO_INVERSE, lambda errors: draws["errors"][TIKHONOV]
            ),
            "a penalty at the edge of its grid": lambda draws: {**draws, "penalty": [0.01, *draws["penalty"][1:]]},
        },
        chosen=lambda draws: {TIKHONOV: {"penalty": draws["penalty"]}, CUT: {"rank": draws["rank"]}},
    ),
}

U_WORKED = svd.worked_svd(A32).U
U_COPIED = np.column_stack([U_WORKED[:, :2], np.array([1.0, 1.0, -2.0]) / 3])
RANDOM = np.random.default_rng(0).standard_normal((5, 4))
LAM = 0.5
NON_SYMMETRIC = np.array([[3.0, 0.0], [4.0, 5.0]])


def truncated(rows, M, r):
    return definitions(5, "truncation_errors")(M, r)[0 if rows else 1]


def hilbert(n):
    """LAPACK's and the true smallest singular value over σ₁, of an exactly stored multiple of the Hilbert matrix."""
    found, true = definitions(5, "hilbert_values")(n)
    return found[-1] / found[0], true[-1] / found[0]


def regularised(order):
    U, s, Vt = np.linalg.svd(NON_SYMMETRIC)
    factors = s / (s**2 + LAM)
    return Vt.T * factors @ U.T if order == "VU" else U * factors @ Vt


def tikhonov_inverse():
    C = NON_SYMMETRIC
    return np.linalg.solve(C.T @ C + LAM * np.eye(2), C.T)


FOLKLORE = {
    1: Folklore(
        wrong="the SVD of [[3, 1], [1, 3], [1, 1]] is completed by u₃ = (1, 1, −2)/3",
        fails=lambda: bool(
            near(U_COPIED @ sigma(S32, 3, 2) @ svd.worked_svd(A32).V.T, A32, S32[0])
            and not near(U_COPIED.T @ U_COPIED, np.eye(3))
        ),
        holds=lambda: unitary(U_WORKED) and near(np.abs(np.sqrt(18) * U_WORKED[:, 2]), [1, 1, 4], 10),
    ),
    6: Folklore(
        wrong="take the first r columns of Vᵀ",
        fails=lambda: bool(truncated(False, RANDOM, 2) > 1.5 * truncated(True, RANDOM, 2)),
        holds=lambda: near(truncated(True, RANDOM, 2), np.linalg.norm(values(RANDOM)[2:]), values(RANDOM)[0]),
    ),
    13: Folklore(
        wrong="U, s/(s²+λ), Vᵀ are the regularised factors",
        fails=lambda: (
            not near(regularised("UV"), tikhonov_inverse()) and near(regularised("UV"), tikhonov_inverse().T, 10)
        ),
        holds=lambda: (
            near(regularised("VU"), tikhonov_inverse(), 10)
            and near(regularised("VU") @ np.ones(2), linalg.tikhonov(NON_SYMMETRIC, np.ones(2), LAM), 10)
        ),
    ),
    16: Folklore(
        wrong="a large condition number makes the SVD unstable",
        fails=lambda: within([abs(found - true) for found, true in map(hilbert, (12, 16))], 1e-14),
        holds=lambda: bool(above(abs(hilbert(16)[0] / hilbert(16)[1] - 1), 1)),
    ),
}
