"""The claims of chapter 6, Eckart–Young."""

import functools

import numpy as np

from book.claims import Adapted, Claim, Folklore, rank
from book.definitions import definitions
from book.margins import above, close, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, linalg, results, svd

RNG = np.random.default_rng(60)
A32 = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
D321 = np.diag([3.0, 2.0, 1.0])
FLAT = np.diag([1.0, 0.0, 0.0])
R54, WIDE = RNG.standard_normal((5, 4)), RNG.standard_normal((3, 6))
RANK_TWO = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 5))
TIED = np.linalg.qr(RNG.standard_normal((5, 3)))[0] * [2.0, 2.0, 1.0]
ZERO = np.zeros((3, 4))
fro, spec, nuc = linalg.frobenius_norm, linalg.spectral_norm, linalg.nuclear_norm

# A matrix and a rank: tall, wide, square, deficient, zero, ties, and ranks 0, p and above p
PAIRS = [
    (A32, 1),
    (R54, 0),
    (R54, 1),
    (R54, 2),
    (R54, 4),
    (R54, 6),
    (R54.T, 3),
    (WIDE, 2),
    (D321, 1),
    (D321, 2),
    (FLAT, 2),
    (RANK_TWO, 1),
    (RANK_TWO, 3),
    (TIED, 1),
    (np.eye(3), 2),
    (ZERO, 1),
]


def values(M):
    """The singular values, followed by as many zeros as one asks for."""
    return np.concatenate([np.linalg.svd(M, compute_uv=False), np.zeros(10)])


def slack(M):
    return 200 * np.finfo(float).eps * max(M.shape) * max(values(M)[0], 1.0)


def at_any_rank(truncate, reconstruct, M, r):
    """The book's code, extended to the ranks 0 and above p."""
    factors = truncate(M, min(max(r, 1), min(M.shape)))
    return reconstruct(factors) if r else np.zeros(M.shape)


truncation = Adapted(at_any_rank, svd.truncated_svd, svd.reconstruct)


def thin(M):
    return svd.fix_signs(np.linalg.svd(M, full_matrices=False))


def columns_of_vt(M, r):
    U, s, Vt = thin(M)
    V = Vt.T if Vt.shape[0] == Vt.shape[1] else np.pad(Vt, ((0, Vt.shape[1] - Vt.shape[0]), (0, 0))).T
    return (U[:, :r] * s[:r]) @ V[: min(r, len(s)), : M.shape[1]]


def smallest_terms(M, r):
    U, s, Vt = thin(M)
    k = min(r, len(s))
    return (U[:, len(s) - k :] * s[len(s) - k :]) @ Vt[len(s) - k :]


def centred_terms(M, r):
    mean = M.mean(axis=0)
    return truncation(M - mean, r) + mean


def rivals(M, r, seed=0):
    """Matrices of rank at most r that might do better: fits to columns, crosses, perturbations, iterates, turns."""
    rng = np.random.default_rng(seed)
    m, n = M.shape
    r = min(r, m, n)
    yield np.zeros(M.shape)
    if r == 0:
        return
    best = truncation(M, r)
    U, _, Vt = np.linalg.svd(M, full_matrices=False)
    for _ in range(8):
        Q, _ = np.linalg.qr(M[:, rng.choice(n, r, replace=False)])
        yield Q @ (Q.T @ M)
        i, j = rng.choice(m, r, replace=False), rng.choice(n, r, replace=False)
        if rank(M[np.ix_(i, j)]) == r:
            yield M[:, j] @ np.linalg.solve(M[np.ix_(i, j)], M[i])
        for size in (1.0, 0.1, 1e-3):
            A = U[:, :r] + size * rng.standard_normal((m, r))
            yield A @ np.linalg.lstsq(A, M)[0]
            B = Vt[:r] + size * rng.standard_normal((r, n))
            yield np.linalg.lstsq(B.T, M.T)[0].T @ B
        yield best * (1 + 0.1 * rng.standard_normal())


def closest(norm, tail):
    """The code returns the closest matrix of rank at most r, and its error is the tail."""

    def check(code, M, r, rank_of_rivals=None):
        approximate, formula = code
        X = np.asarray(approximate(M, r))
        if X.shape != M.shape:
            return False
        allowed = r if rank_of_rivals is None else rank_of_rivals
        error, eps = norm(M - X), slack(M)
        errors = [values(X)[r], abs(error - formula(M, r)), abs(error - tail(values(M)[r:]))]
        return within([*errors, *(error - norm(M - Y) for Y in rivals(M, allowed))], eps)

    return check


def error_formula(norm):
    return Adapted(
        lambda tail, M, r: tail(np.linalg.svd(M, compute_uv=False), min(r, min(M.shape)), norm=norm), svd.tail_error
    )


def mirsky(code, norm, M, r, rank_of_rivals=None):
    """In this norm no rival of rank at most r is closer than the code's matrix."""
    X = np.asarray(code(M, r))
    if X.shape != M.shape or not within(values(X)[r], slack(M)):
        return False
    allowed = r if rank_of_rivals is None else rank_of_rivals
    return within([norm(M - X) - norm(M - Y) for Y in rivals(M, allowed)], slack(M) * sum(M.shape))


def schatten(q):
    return lambda A: linalg.schatten_norm(A, q)


def ky_fan(k):
    return lambda A: linalg.ky_fan_norm(A, min(k, min(A.shape)))


NORMS = [spec, fro, nuc, schatten(1.5), schatten(4), ky_fan(2), lambda A: spec(A) + 3 * fro(A) + 0.5 * ky_fan(2)(A)]


def align(B, A):
    """B, turned so that its singular vectors are those of A."""
    U, _, Vt = np.linalg.svd(A)
    P, _, Qt = np.linalg.svd(B)
    return U @ P.T @ B @ Qt.T @ Vt


def turned(B, seed, count=30):
    """B between random orthogonal matrices, rotations and reflections."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        P, Q = (np.linalg.qr(rng.standard_normal((k, k)))[0] * rng.choice([-1, 1], k) for k in B.shape)
        yield P @ B @ Q


def von_neumann(code, A, B):
    """|tr AᵀB| ≤ code(A, B), also after any turn of B, and the aligned turn attains it."""
    bound, aligned = code(A, B), align(B, A)
    eps = slack(A) * max(values(B)[0], 1.0)
    excess = [abs(np.trace(A.T @ X)) - bound for X in (B, *turned(B, seed=1))]
    return within([*excess, abs(np.trace(A.T @ aligned) - bound)], eps)


def spectra_apart(code, A, B):
    """code(A, B) is at most |A − B|² for B and every turn of B, and equals it for the aligned one."""
    bound, aligned = code(A, B), align(B, A)
    eps = slack(A) * max(values(A)[0], values(B)[0], 1.0) * 10
    excess = [bound - fro(A - X) ** 2 for X in (B, *turned(B, seed=2))]
    return within([*excess, abs(fro(A - aligned) ** 2 - bound)], eps)


def dot_of_spectra(A, B):
    return float(values(A)[:10] @ values(B)[:10])


def reversed_spectra(A, B):
    p = min(A.shape)
    return float(values(A)[:p] @ values(B)[:p][::-1])


def squared_gap(A, B):
    return float(((values(A)[:10] - values(B)[:10]) ** 2).sum())


def and_unique(procrustes, A, B):
    s = np.linalg.svd(A.T @ B, compute_uv=False)
    return *procrustes(A, B), bool(above(s[-1], 1e-12 * s[0]))


procrustes = Adapted(and_unique, definitions(6, "procrustes"))


def procrustes_claim(code, A, B):
    """Q is orthogonal, attains the value, and no other orthogonal matrix does better; unique if so said."""
    Q, value, unique = code(A, B)
    n, rng = A.shape[1], np.random.default_rng(3)
    eps = 1e-12 * max(1.0, fro(A) ** 2 + fro(B) ** 2)
    if not within(abs(fro(A @ Q - B) ** 2 - value), eps) or not close(Q.T @ Q, np.eye(n), atol=1e-12):
        return False
    others = [np.linalg.qr(rng.standard_normal((n, n)))[0] * rng.choice([-1, 1], n) for _ in range(100)]
    for size in (1e-1, 1e-2, 1e-3):
        S = rng.standard_normal((n, n)) * size
        others += [Q @ np.linalg.qr(np.eye(n) + S - S.T)[0] @ np.diag(rng.choice([-1, 1], n)) for _ in range(20)]
    U, _, Vt = np.linalg.svd(A.T @ B)
    flips = [U @ np.diag([*[1.0] * i, -1.0, *[1.0] * (n - i - 1)]) @ Vt for i in range(n)]
    if not within([value - fro(A @ O - B) ** 2 for O in others + flips], eps):
        return False
    no_worse = ~above([fro(A @ O - B) ** 2 - value for O in flips], eps)
    tie = any(no_worse & [not close(O, Q, atol=1e-6) for O in flips])
    return unique == (not tie)


def rotation_only(A, B):
    Q, (_, _, unique) = definitions(6, "rotation")(A, B), procrustes(A, B)
    return Q, fro(A @ Q - B) ** 2, unique


def by_gap_or_zero(s, r):
    """(unique in the Frobenius norm, unique in the spectral norm), from the singular values; 1 ≤ r ≤ p."""
    following = s[r] if r < len(s) else 0.0
    zero = not above(following, 1e-12 * s[0])
    return bool(zero or above(s[r - 1] - following, 1e-9 * s[0])), zero


def uniqueness(code, M, r):
    """What the code says about uniqueness agrees with a search for a second minimiser."""
    s = np.linalg.svd(M, compute_uv=False)
    X, rng, eps = truncation(M, r), np.random.default_rng(4), slack(M)
    U, _, Vt = np.linalg.svd(M)
    said_frobenius, said_spectral = code(s, r)
    # Frobenius: subspace iteration from many starts ends at a minimiser; do all starts end at the same one?
    ends = []
    for _ in range(6):
        A = rng.standard_normal((M.shape[0], r))
        for _ in range(200):
            A, _ = np.linalg.qr(M @ (M.T @ A) + 1e-300 * rng.standard_normal(A.shape))
        ends.append(A @ (A.T @ M))
    no_worse = ~above([fro(M - Y) - fro(M - X) for Y in ends], 1e-9 * max(s[0], 1))
    second = any(no_worse & above([fro(Y - X) for Y in ends], 1e-6 * max(s[0], 1)))
    # spectral: move X inside its own row and column spaces
    moved = [X + size * np.outer(U[:, i], Vt[i]) for i in range(r) for size in (1e-3, -1e-3)]
    third = any(~above([spec(M - Y) - spec(M - X) for Y in moved], eps))
    return said_frobenius == (not second) and said_spectral == (not third)


def tie_description(code, M, r):
    """At a tie the optimal X are PM for the spaces between, and no other space does as well."""
    s = np.linalg.svd(M, compute_uv=False)
    U = np.linalg.svd(M)[0]
    rng, tail = np.random.default_rng(5), fro(M - truncation(M, r))
    larger, smaller = above(s - s[r - 1], 1e-9 * s[0]).sum(), above(s[r - 1] - s, 1e-9 * s[0]).sum()
    level = U[:, larger : len(s) - smaller]
    for _ in range(5):
        part, _ = np.linalg.qr(level @ rng.standard_normal((level.shape[1], r - larger)))
        Q = np.hstack([U[:, :larger], part])
        if not within(abs(fro(M - Q @ (Q.T @ M)) - tail), slack(M)):
            return False
        tilted, _ = np.linalg.qr(Q + 0.05 * rng.standard_normal(Q.shape))
        apart = fro(tilted - level @ (level.T @ tilted)) if larger == 0 else 1.0
        if above(apart, 1e-9) and not above(fro(M - tilted @ (tilted.T @ M)) - tail, 1e-9):
            return False
    return True


def unique_claim(code, M, r):
    s = np.linalg.svd(M, compute_uv=False)
    tied = r < len(s) and above(s[r], 1e-12) and not above(s[r - 1] - s[r], 1e-9 * s[0])
    return uniqueness(code, M, r) and (not tied or tie_description(code, M, r))


escape, hessian = definitions(6, "escape"), definitions(6, "hessian")


def last_residual_triple(A, B, M):
    E, F = escape(A, B, M)
    U, s, Vt = np.linalg.svd(M - A @ B)
    k = max(above(s, 1e-9).sum() - 1, 0)
    return np.outer(U[:, k], U[:, 0] @ E), np.outer(F @ Vt[0], Vt[k])


def largest_kept_triple(A, B, M):
    X, tau, Yt = np.linalg.svd(A @ B)
    U, _, Vt = np.linalg.svd(M - A @ B)
    scale = max(tau[0], 1e-9)
    return np.outer(U[:, 0], A.T @ X[:, 0] / scale), np.outer(B @ Yt[0] / scale, Vt[0])


def one_factor(A, B, M):
    E, F = escape(A, B, M)
    return E, 0 * F


def landscape(code, M, A, B, weights=None, least=None):
    """A point with vanishing gradients is a global minimum, or f falls along the code's direction.

    And the code's second derivatives are those of f without weights.
    """
    direction, derivatives = code
    exact = weighted_hessian(M, A, B, np.ones(M.shape))
    if not close(derivatives(A, B, M), exact, atol=1e-9 * max(1.0, np.abs(exact).max())):
        return False
    with np.errstate(all="ignore"):  # where there is nowhere to go
        E, F = direction(A, B, M)
    W = np.ones(M.shape) if weights is None else weights
    R = W * (M - A @ B)
    f = 0.5 * np.sum(R**2)
    floor = 0.5 * np.sum(values(M)[A.shape[1] :] ** 2) if least is None else least
    if within(f - floor, 1e-10 * max(1.0, f)):
        return within(floor - f, 1e-10 * max(1.0, f))
    q = 0.5 * np.sum((W * (E @ B + A @ F)) ** 2) - np.sum(R * (E @ F))
    t = 1e-3 / max(fro(E), fro(F), 1.0)
    fall = f - 0.5 * np.sum((W * (M - (A + t * E) @ (B + t * F))) ** 2)
    curved = above([-q, -np.linalg.eigvalsh(weighted_hessian(M, A, B, W))[0]], 1e-9).all()
    critical = within([np.abs(A.T @ R).max(), np.abs(R @ B.T).max()], 1e-9)
    return critical and bool(curved and above(fall, 1e-13 * max(1.0, f)))


def kept(M, terms, r, mix=None):
    """The critical point that keeps these singular terms (from 0), in r columns, its factors mixed by G."""
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    A, B = np.zeros((M.shape[0], r)), np.zeros((r, M.shape[1]))
    for column, i in enumerate(terms):
        A[:, column], B[column] = U[:, i] * s[i], Vt[i]
    G = np.eye(r) if mix is None else mix
    return M, A @ G, np.linalg.solve(G, B)


def trapped():
    """Six of nine entries count (the others are not seen): a local minimum that is not global, and one below it."""
    M = np.array([[1.0, -2.0, 0.0], [0.0, -3.0, -2.0], [-2.0, 0.0, 1.0]])
    W = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])

    def newton(*x):
        """A critical point to the last bits; the cut leaves out the move cA, B/c, which changes nothing."""
        for _ in range(20):
            A, B = np.array(x[:3])[:, None], np.array(x[3:])[None]
            R = W * (M - A @ B)
            gradient = -np.concatenate([R @ B.T, (A.T @ R).T])[:, 0]
            x = x - np.linalg.lstsq(weighted_hessian(M, A, B, W), gradient, rcond=1e-3)[0]
        return A, B

    A, B = newton(1.6, 2.86, -2.14, 0.82, -1.1, -0.62)
    return M, W, 0.5 * np.sum((W * (M - A @ B)) ** 2), *newton(0.64, 1.96, 1.12, -0.96, -1.68, -0.55)


def weighted_hessian(M, A, B, W):
    """The Hessian of f with weights, by the second-order form on all pairs of unit moves."""
    size, cut = A.size + B.size, A.size
    moves = [(e[:cut].reshape(A.shape), e[cut:].reshape(B.shape)) for e in np.eye(size)]
    R = W * (M - A @ B)
    steps = [W * (E @ B + A @ F) for E, F in moves]
    return np.array(
        [
            [np.sum(steps[i] * steps[j]) - np.sum(R * (E @ K + G @ F)) for j, (G, K) in enumerate(moves)]
            for i, (E, F) in enumerate(moves)
        ]
    )


MASKED, SEEN, LOWER, TRAP_A, TRAP_B = trapped()
MIX = np.array([[2.0, 1.0], [0.5, 1.0]])
SMALL, IDLE = np.diag([2.0, 0.1, 0.0, 0.0]), np.array([[0.0, 0, 0, 0], [0, 0, 1, -1]]).T
CRITICAL = [
    (*kept(D321, [0, 1], 2),),
    (*kept(D321, [0, 2], 2, MIX),),
    (*kept(D321, [1, 2], 2, MIX),),
    (*kept(D321, [2], 2, MIX),),
    (*kept(D321, [], 2),),
    (*kept(R54, [1, 3], 2, MIX),),
    (*kept(R54, [1], 1),),
    (*kept(R54, [0, 2], 2, MIX),),
    (*kept(R54.T, [0, 1], 2, MIX),),
    (*kept(WIDE, [2], 1),),
    (*kept(TIED, [2], 1),),
    (*kept(TIED, [1], 1),),
    (*kept(RANK_TWO, [1], 3),),
    (*kept(np.eye(3), [2], 1),),
    (*kept(R54, [0, 1, 2], 6),),
    (np.diag([2.0, 1.0, 0.0]), np.zeros((3, 1)), np.array([[0.0, 0.0, 1.0]])),
    (np.diag([2.0, 1.0, 0.0]), np.array([[0.0], [0.0], [1.0]]), np.zeros((1, 3))),
    (np.diag([2.0, 1.0]), np.array([[0.0], [1.0]]), np.array([[0.0, 1.0]])),
    # a small residual beside a long idle column, or row: the way out needs a step that knows both
    (SMALL, np.eye(4, 2) * [2.0, 0.0] + 10 * IDLE, np.eye(2, 4) * [[1.0], [0.0]]),
    (SMALL, np.eye(4, 2) * [1.0, 0.0], np.eye(2, 4) * [[2.0], [0.0]] + 10 * IDLE.T),
    (ZERO, np.zeros((3, 2)), np.zeros((2, 4))),
]


als_step = definitions(6, "als_step")


def projector(A):
    Q, _ = np.linalg.qr(A)
    return Q @ Q.T


def subspace_iteration(code, M, A0, rate_asked=True):
    """Each half-step is the only minimiser, the space is multiplied by MMᵀ, and its tangent shrinks at the rate."""
    step, rate = code
    r = A0.shape[1]
    U, s, _ = np.linalg.svd(M)
    s = np.concatenate([s, np.zeros(10)])
    rounding = 1e3 * np.finfo(float).eps

    def tangent(A):
        inside = U[:, :r].T @ A
        if rank(inside, size=fro(A)) < r:
            return None
        return U[:, r:].T @ A @ np.linalg.inv(inside)

    T0 = tangent(A0)
    A, space = A0, A0
    for k in range(1, 5):
        new, B = step(A, M)
        if not rank(A) == rank(B) == r:
            return False
        first = close(A.T @ A @ B, A.T @ M, atol=rounding * fro(A) * (fro(A) * fro(B) + fro(M)))
        second = close(new @ B @ B.T, M @ B.T, atol=rounding * fro(B) * (fro(new) * fro(B) + fro(M)))
        space = np.linalg.qr(M @ (M.T @ space))[0]
        A = new
        if not (first and second and close(projector(A), projector(space), atol=1e-6)):
            return False
        T, share = tangent(A), rate(s, r) ** k
        if rate_asked and T0 is None:
            return False
        if rate_asked and T.size:
            size = np.linalg.norm(T0, 2)
            shrinks = within(np.linalg.norm(T, 2) - share * size, 1e-6 * share * size + 1e-9)
            sharp = within(abs(T[0, -1] - share * T0[0, -1]), 1e-6 * max(1.0, abs(T0[0, -1])))
            if not (shrinks and sharp):
                return False
    return True


def squared_ratio(s, r):
    return (s[r] / s[r - 1]) ** 2


STARTS = [
    (D321, np.ones((3, 1))),
    (D321, np.array([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]])),
    (A32, np.array([[1.0], [0.0], [2.0]])),
    (R54, RNG.standard_normal((5, 2))),
    (R54.T, RNG.standard_normal((4, 2))),
    (WIDE, RNG.standard_normal((3, 1))),
    (RANK_TWO, RNG.standard_normal((6, 2))),
    (R54, 5.0 * RNG.standard_normal((5, 3)) @ np.diag([1.0, 10.0, 0.1])),
    (np.diag([2.0, 1.0]), np.eye(2)),
]

TRACE_PAIRS = [
    (np.diag([3.0, 1.0]), np.array([[0.0, 1.0], [2.0, 0.0]])),
    (R54, RNG.standard_normal((5, 4))),
    (WIDE, RNG.standard_normal((3, 6))),
    (A32, -A32),
    (RANK_TWO, RNG.standard_normal((6, 5))),
    (np.eye(3), D321),
    (D321, FLAT),
    (ZERO, RNG.standard_normal((3, 4))),
    (TIED, RNG.standard_normal((5, 3))),
]

CLOUDS = [
    (RNG.standard_normal((8, 3)), RNG.standard_normal((8, 3))),
    (A32, A32 @ np.array([[0.0, 1.0], [-1.0, 0.0]])),
    (A32, A32 @ np.array([[0.0, 1.0], [1.0, 0.0]])),
    (RNG.standard_normal((4, 3)) @ np.diag([3.0, 2.0, 1.0]), RNG.standard_normal((4, 3))),
    (np.outer([1.0, 2.0, 3.0], [1.0, 0.0]), RNG.standard_normal((3, 2))),
    (np.zeros((3, 2)), A32),
]

CLAIMS = {
    "thm-eckart-young-spectral": Claim(
        check=closest(spec, lambda tail: tail[0]),
        code=(truncation, error_formula("spectral")),
        cases=PAIRS,
        dropped={"X has rank at most r: rank r + 1 does better": (R54, 1, 2)},
        mutants={
            "V for Vᵀ (passes on the 3×2 matrix)": (columns_of_vt, error_formula("spectral")),
            "σ_r for σ_{r+1}": (truncation, lambda M, r: values(M)[max(r - 1, 0)]),
            "the Frobenius tail": (truncation, error_formula("frobenius")),
            "the smallest terms kept": (smallest_terms, error_formula("spectral")),
            "one term too few": (lambda M, r: truncation(M, max(r - 1, 0)), error_formula("spectral")),
        },
    ),
    "thm-eckart-young-frobenius": Claim(
        check=closest(fro, np.linalg.norm),
        code=(truncation, error_formula("frobenius")),
        cases=PAIRS,
        dropped={"X has rank at most r: rank r + 1 does better": (D321, 1, 2)},
        mutants={
            "V for Vᵀ (passes on the 3×2 matrix)": (columns_of_vt, error_formula("frobenius")),
            "σ_{r+1} for the tail (passes on the 3×2 matrix)": (truncation, error_formula("spectral")),
            "the sum of the tail, not of its squares": (truncation, error_formula("nuclear")),
            "the smallest terms kept": (smallest_terms, error_formula("frobenius")),
            "centred first": (centred_terms, error_formula("frobenius")),
        },
    ),
    "thm-mirsky": Claim(
        check=mirsky,
        code=truncation,
        cases=[(norm, M, r) for norm in NORMS for M, r in PAIRS],
        dropped={
            "the norm is orthogonally invariant: the sum of absolute entries": (
                lambda A: float(np.abs(A).sum()),
                np.array([[2.0, 1.0], [1.0, 1.0]]),
                1,
            ),
            "the norm is orthogonally invariant: rows of different weight": (
                lambda A: fro(np.diag([1.0, 10.0, 1.0]) @ A),
                D321[::-1] + A32 @ np.ones((2, 3)),
                1,
            ),
            "X has rank at most r": (nuc, R54, 1, 2),
        },
        mutants={
            "V for Vᵀ (passes on the 3×2 matrix)": columns_of_vt,
            "the smallest terms kept": smallest_terms,
            "one term too few": lambda M, r: truncation(M, max(r - 1, 0)),
            "the singular values kept are not those of M: shrunk": lambda M, r: 0.9 * truncation(M, r),
        },
    ),
    "thm-von-neumann": Claim(
        check=von_neumann,
        code=dot_of_spectra,
        cases=TRACE_PAIRS,
        dropped={},
        mutants={
            "the product of the Frobenius norms: true, not attained": lambda A, B: fro(A) * fro(B),
            "spectral times nuclear: true, not attained": lambda A, B: spec(A) * nuc(B),
            "the spectra in opposite order": reversed_spectra,
            "the first term only": lambda A, B: spec(A) * spec(B),
        },
    ),
    "cor-spectra-apart": Claim(
        check=spectra_apart,
        code=squared_gap,
        cases=TRACE_PAIRS,
        dropped={},
        mutants={
            "the difference of the norms: true, not attained": lambda A, B: (fro(A) - fro(B)) ** 2,
            "the largest gap only: true, not attained": lambda A, B: float(
                np.abs(values(A)[:10] - values(B)[:10]).max() ** 2
            ),
            "the sum of the gaps, squared": lambda A, B: float(np.abs(values(A)[:10] - values(B)[:10]).sum() ** 2),
            "diagonals for spectra": lambda A, B: float(((np.diag(A) - np.diag(B)) ** 2).sum()),
        },
    ),
    "thm-procrustes": Claim(
        check=procrustes_claim,
        code=procrustes,
        cases=CLOUDS,
        dropped={},
        mutants={
            "the transpose": lambda A, B: (procrustes(A, B)[0].T, *procrustes(A, B)[1:]),
            "V for Vᵀ": lambda A, B: (
                (lambda U, _, Vt: U @ Vt.T)(*np.linalg.svd(A.T @ B)),
                *procrustes(A, B)[1:],
            ),
            "rotations only": rotation_only,
            "always unique": lambda A, B: (*procrustes(A, B)[:2], True),
        },
    ),
    "thm-eckart-young-unique": Claim(
        check=unique_claim,
        code=by_gap_or_zero,
        cases=[
            (np.diag([3.0, 1.0]), 1),
            (np.eye(2), 1),
            (FLAT, 2),
            (FLAT, 1),
            (D321, 2),
            (D321, 3),
            (A32, 1),
            (R54, 2),
            (WIDE, 3),
            (np.diag([3.0, 2.0, 2.0, 1.0]), 2),
            (np.diag([3.0, 2.0, 2.0, 1.0]), 1),
            (np.diag([3.0, 2.0, 2.0, 1.0]), 3),
            (np.diag([2.0, 2.0, 2.0, 0.0])[:, :3], 2),
            (RANK_TWO, 2),
            (RANK_TWO, 4),
            (TIED, 1),
            (ZERO, 2),
        ],
        dropped={"r ≥ 1, for the third part: X = 0 is the only competitor": (np.diag([3.0, 1.0]), 0)},
        mutants={
            "without the zero clause": lambda s, r: (
                bool(r == len(s) or above(s[r - 1] - s[r], 1e-9)),
                by_gap_or_zero(s, r)[1],
            ),
            "a gap is enough in the spectral norm too": lambda s, r: (by_gap_or_zero(s, r)[0],) * 2,
            "never unique in the spectral norm": lambda s, r: (by_gap_or_zero(s, r)[0], False),
            "always unique": lambda s, r: (True, by_gap_or_zero(s, r)[1]),
            "all singular values must differ": lambda s, r: (
                bool(above(-np.diff(s), 1e-9).all()),
                by_gap_or_zero(s, r)[1],
            ),
        },
    ),
    "thm-landscape": Claim(
        check=landscape,
        code=(escape, hessian),
        cases=CRITICAL,
        dropped={
            "both gradients vanish": (D321, *(1.1 * X for X in kept(D321, [0, 1], 2)[1:])),
            "every entry counts": (MASKED, TRAP_A, TRAP_B, SEEN, LOWER),
        },
        mutants={
            "the smallest triple of the residual": (last_residual_triple, hessian),
            "the largest triple kept": (largest_kept_triple, hessian),
            "one factor moves alone": (one_factor, hessian),
            "uphill": (lambda A, B, M: (escape(A, B, M)[0], -escape(A, B, M)[1]), hessian),
            "the residual's part with the other sign": (
                escape,
                lambda A, B, M: 2 * hessian(A, B, A @ B) - hessian(A, B, M),
            ),
            "the residual's part left out": (escape, lambda A, B, M: hessian(A, B, A @ B)),
        },
    ),
    "thm-als-subspace": Claim(
        check=subspace_iteration,
        code=(als_step, squared_ratio),
        cases=STARTS,
        dropped={
            "rank(MᵀA₀) = r": (FLAT, np.eye(3)[:, :2], False),
            "U_rᵀA₀ is invertible": (D321, np.array([[0.0], [1.0], [1.0]])),
        },
        mutants={
            "the ratio not squared: true, not the rate": (als_step, lambda s, r: s[r] / s[r - 1]),
            "the fourth power": (als_step, lambda s, r: (s[r] / s[r - 1]) ** 4),
            "σ_r/σ_{r−1}": (als_step, lambda s, r: (s[r - 1] / s[max(r - 2, 0)]) ** 2),
            "B = AᵀM: the right space, no least squares": (
                lambda A, M: (np.linalg.lstsq((A.T @ M).T, M.T)[0].T, A.T @ M),
                squared_ratio,
            ),
            "A = MBᵀ: the right space, no least squares": (
                lambda A, M: (M @ als_step(A, M)[1].T, als_step(A, M)[1]),
                squared_ratio,
            ),
            "A left as it was": (lambda A, M: (A, als_step(A, M)[1]), squared_ratio),
        },
    ),
}


over_floor = definitions(6, "over_floor")
RANDOM_COLUMNS, SPACED, PIVOTED, PIVOTED_V, GREEDY = (
    "random",
    "evenly spaced",
    "pivoted QR",
    "pivoted QR of Vᵣ",
    "greedy",
)


@functools.cache
def column_errors():
    """For each colour of two photographs, columns and rows: each way's errors over that of the truncated SVD."""
    colours = [X for name in ("china", "flower") for X in np.moveaxis(datasets.load(name) / 255, 2, 0)]
    return [{way: [float(x) for x in found] for way, found in over_floor(M).items()} for X in colours for M in (X, X.T)]


def pivoted_ahead(tables):
    """On how many matrices pivoted QR is ahead of the middle one of evenly spaced choices."""
    return sum(row[PIVOTED][0] < float(np.median(row[SPACED])) for row in tables)


def explaining_most_wins(tables):
    """The greedy choice has the least error everywhere; pivoted QR is neither ahead of even spacing nor behind it."""
    rivals = (RANDOM_COLUMNS, SPACED, PIVOTED, PIVOTED_V)
    greedy = all(1 <= row[GREEDY][0] < min(min(row[way]) for way in rivals) for row in tables)
    return greedy and 1 <= pivoted_ahead(tables) < len(tables) / 2


def with_ratio(tables, way, change):
    return [{**row, way: change(row)} for row in tables]


def jpeg_frontiers():
    return results.load("jpeg_or_rank")["pictures"]


def times_jpeg(pictures, name, kind):
    """Bytes over those of the JPEG file of the same error, for each quality."""
    return [row[kind] / row["jpeg"] for row in pictures[name]]


def jpeg_is_smaller(pictures):
    """At every quality both kinds of factors take more bytes; float16 at least eight times as many."""
    every = all(min(times_jpeg(pictures, name, kind)) > 1.5 for name in pictures for kind in ("float16", "coded"))
    inside = all(
        row["ranks tried"][0] < row["coded rank"] < row["ranks tried"][-1] for rows in pictures.values() for row in rows
    )
    return every and inside and all(min(times_jpeg(pictures, name, "float16")) > 8 for name in pictures)


def with_row(pictures, **changes):
    """The temple at its third quality, changed."""
    rows = pictures["china"]
    return {**pictures, "china": [*rows[:2], {**rows[2], **changes}, *rows[3:]]}


OBSERVATIONS = {
    "obs-eckart-young-columns": Observation(
        measured=column_errors,
        protocol=Protocol(
            baseline=RANDOM_COLUMNS,
            contenders=[
                Contender(way, fixed="has no setting")
                for way in (RANDOM_COLUMNS, SPACED, PIVOTED, PIVOTED_V, GREEDY, "the truncated SVD, a floor")
            ],
            tested_on="three colours of two photographs, columns and rows, r = 20",
            runs=12,
            interval="the range over 12 matrices; nine random draws and five offsets of even spacing for each",
        ),
        verdict=explaining_most_wins,
        numbers=lambda tables: [
            *(
                f"{end(end(row[way]) for row in tables):.2f}"
                for way in (GREEDY, SPACED, PIVOTED, RANDOM_COLUMNS)
                for end in (min, max)
            ),
            str(pivoted_ahead(tables)),
        ],
        sharp={
            "even spacing as good as the greedy choice on one matrix": lambda tables: [
                {**tables[0], SPACED: [tables[0][GREEDY][0], *tables[0][SPACED]]},
                *tables[1:],
            ],
            "random columns as good as the greedy choice": lambda tables: with_ratio(
                tables, RANDOM_COLUMNS, lambda row: row[GREEDY]
            ),
            "pivoted QR ahead of even spacing everywhere": lambda tables: with_ratio(
                tables, PIVOTED, lambda row: [0.99 * min(row[SPACED])]
            ),
            "columns that are closer than the theorem allows": lambda tables: with_ratio(
                tables, GREEDY, lambda row: [0.99]
            ),
        },
    ),
    "obs-eckart-young-jpeg": Observation(
        measured=jpeg_frontiers,
        protocol=Protocol(
            baseline="float16 factors, defaults",
            contenders=[
                Contender("float16 factors, defaults"),
                Contender(
                    "coded factors",
                    fixed="rank and step are found for each picture and error, as an encoder does",
                ),
                Contender("JPEG", fixed="its quality sets the error, and all qualities count"),
            ],
            tested_on="two photographs, at seven errors each",
            runs=1,
            interval="none: bytes at equal error are exact; all seven errors of both pictures count",
        ),
        verdict=jpeg_is_smaller,
        numbers=lambda pictures: [
            f"{end(times_jpeg(pictures, name, kind)):.1f}"
            for kind in ("float16", "coded")
            for name in ("china", "flower")
            for end in (min, max)
        ],
        sharp={
            "float16 factors as small as the file": lambda pictures: with_row(
                pictures, float16=pictures["china"][2]["jpeg"]
            ),
            "coded factors as small as the file at one quality": lambda pictures: with_row(
                pictures, coded=pictures["china"][2]["jpeg"]
            ),
            "a coded rank at the edge of those tried": lambda pictures: with_row(
                pictures, **{"coded rank": pictures["china"][2]["ranks tried"][-1]}
            ),
        },
    ),
}


def three_lines_fail():
    """The diagonal of a rank-one matrix has rank 2; an optimal Y is not diagonal; zero gradients are no optimum."""
    ones, half = np.ones((2, 2)), np.ones((2, 2)) / 2
    leaves = rank(ones) == 1 and rank(np.diag(np.diag(ones))) == 2
    best = fro(np.eye(2) - truncation(np.eye(2), 1))
    tie = within(abs(fro(np.eye(2) - half) - best), 1e-12) and rank(half) == 1 and half[0, 1] != 0
    A, B = np.zeros((3, 1)), np.zeros((1, 3))
    stationary = not (A.T @ (A @ B - D321)).any() and not ((A @ B - D321) @ B.T).any()
    return leaves and tie and stationary and fro(D321) > fro(D321 - truncation(D321, 1))


FOLKLORE = {
    5: Folklore(
        wrong="the off-diagonal of Y must vanish, so keep the r largest; or: both derivatives vanish, so it is optimal",
        fails=three_lines_fail,
        holds=lambda: within([squared_gap(A, B) - fro(A - B) ** 2 for A, B in TRACE_PAIRS], 1e-9),
    ),
    7: Folklore(
        wrong="the best approximation of rank r",
        fails=lambda: (
            # two best ones; and with "rank = r" the infimum 0 of diag(1, ε) → diag(1, 0) is not attained
            fro(np.eye(2) - np.diag([1.0, 0])) == fro(np.eye(2) - np.diag([0, 1.0])) == 1
            and rank(np.diag([1.0, 1e-3])) == 2 > rank(np.diag([1.0, 0.0]))
        ),
        holds=lambda: all(
            uniqueness(by_gap_or_zero, M, r) for M, r in ((np.eye(2), 1), (FLAT, 2), (np.diag([3.0, 1.0]), 1))
        ),
    ),
    8: Folklore(
        wrong="‖Δ − Δ_r‖_F ≤ σ_{r+1}",
        fails=lambda: fro(D321 - truncation(D321, 1)) > values(D321)[1] + 0.2,
        holds=lambda: (
            close(fro(D321 - truncation(D321, 1)), 5**0.5, atol=1e-12)
            and close(spec(D321 - truncation(D321, 1)), values(D321)[1], atol=1e-12)
        ),
    ),
}
