"""The claims of chapter 13, matrix completion."""

import numpy as np

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import above, close, rank, within
from lowrank_helpers import datasets
from lowrank_helpers.completion import als_complete

EPS = np.finfo(float).eps
RNG = np.random.default_rng(130)
fro = np.linalg.norm


def holes(X, share, seed=0):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


# Too few entries


def another(X, seen, step=1e-3):
    """Another matrix of rank at most r with the entries of X at the seen places, or None where none is promised."""
    r = rank(X)
    for A, S, turned in ((X, seen, False), (X.T, seen.T, True)):
        for i in np.nonzero(S.sum(axis=1) < r)[0]:
            rest = np.delete(A, i, axis=0)
            basis = np.linalg.svd(rest)[2][:r] if rank(rest) == r else np.eye(A.shape[1])
            free = np.linalg.svd(basis[:, S[i]].T)[2][-1] if S[i].any() else np.eye(len(basis))[0]
            Y = A.copy()
            Y[i] += free @ basis
            return Y.T if turned else Y
    if seen.sum() >= r * (sum(X.shape) - r):
        return None
    return along_the_fibre(X, seen, r, step)


def along_the_fibre(X, seen, r, step, correct=True):
    """A step in the kernel of the derivative of (C, R) ↦ (CR) on Ω, across the change of basis; then Newton."""
    U, s, Vt = np.linalg.svd(X)
    C, R = U[:, :r] * np.sqrt(s[:r]), np.sqrt(s[:r])[:, None] * Vt[:r]
    (m, n), places = X.shape, np.argwhere(seen)

    def derivative(C, R):
        J = np.zeros((len(places), r * (m + n)))
        for k, (i, j) in enumerate(places):
            J[k, r * i : r * i + r] = R[:, j]
            J[k, r * m + r * j : r * m + r * j + r] = C[i]
        return J

    gauge = []
    for k in range(r * r):
        G = np.zeros(r * r)
        G[k] = 1
        G = G.reshape(r, r)
        gauge.append(np.concatenate([(C @ G).ravel(), (-G @ R).T.ravel()]))
    J = np.vstack([derivative(C, R), gauge])
    direction = np.linalg.svd(J)[2][-1]
    C = C + step * direction[: r * m].reshape(m, r)
    R = R + step * direction[r * m :].reshape(n, r).T
    for _ in range(20 * correct):
        change = np.linalg.pinv(derivative(C, R), rcond=1e-10) @ (X - C @ R)[seen]
        C, R = C + change[: r * m].reshape(m, r), R + change[r * m :].reshape(n, r).T
    return C @ R


def not_determined(code, X, seen):
    """The code's matrix has rank at most r, agrees where X was seen, and is another one."""
    Y, r = code(X, seen), rank(X)
    if Y is None:
        return False
    size = np.linalg.norm(X, 2)
    s = np.append(np.linalg.svd(Y, compute_uv=False), 0)
    return bool(within([*np.abs(Y - X)[seen], s[r]], 1e-10 * size) and above(fro(Y - X), 1e-6 * size))


def first(shape, count, seed):
    """A mask with so many entries, spread over the table at random."""
    mask = np.zeros(shape[0] * shape[1], dtype=bool)
    mask[np.random.default_rng(seed).permutation(mask.size)[:count]] = True
    return mask.reshape(shape)


TWO = np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])
SQUARE5 = datasets.low_rank(5, 5, 2, rng=1)
TALL = datasets.low_rank(9, 4, 2, rng=2)
WIDE = datasets.low_rank(4, 8, 1, rng=3)
ROW_SHORT = np.ones((9, 4), dtype=bool)
ROW_SHORT[3, 1:] = False
COLUMN_GONE = np.ones((4, 8), dtype=bool)
COLUMN_GONE[:, 5] = False
LAST = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 0]], dtype=bool)
FEW = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 1], [1, 1, 0, 0, 1]], dtype=bool)
RANK_THREE = datasets.low_rank(6, 6, 3, rng=4)
FOUR_EACH = sum(np.roll(np.eye(6), k, axis=1) for k in range(4)) > 0  # 24 entries, 27 degrees of freedom


# Rank one


def rank_one(code, seen, X=None):
    """The code says whether X is determined: held against the completions found by following and scaling components."""
    m, n = seen.shape
    w, h = np.arange(1.0, m + 1), np.arange(2.0, n + 2)
    table = np.outer(w, h) if X is None else X
    return code(seen) == (other(table, seen) is None)


def other(X, seen):
    """Another matrix of rank at most 1 with the seen entries of X, by brute force, or None."""
    m, n = seen.shape
    for bits in range(1, 2 ** (m + n) - 1):
        chosen = np.array([bits >> k & 1 for k in range(m + n)], dtype=float)
        Y = X * 2.0 ** (chosen[:m, None] - chosen[None, m:])
        if np.abs(Y - X)[seen].max(initial=0) == 0 and np.abs(Y - X).max() > 0:
            return Y
    for k in np.ndindex(m, n):  # with zeros in X: change a single entry
        Y = X.copy()
        Y[k] += 1
        if not seen[k] and rank(Y) <= 1:
            return Y
    return None


CHAIN = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=bool)
BLOCKS = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
PAIRS = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)
ZERO_ROW = np.array([[0.0, 0.0], [1.0, 1.0]])
L_SHAPE = np.array([[1, 1], [1, 0]], dtype=bool)


# The step of ALS


SOLVE_ROWS = definitions(13, "solve_rows")


def objective(A, W, H, lam, nu):
    seen = ~np.isnan(A)
    return float(((A - W @ H)[seen] ** 2).sum() + lam @ (W**2).sum(axis=1) + nu @ (H**2).sum(axis=0))


def als_step(code, A, H, lam, nu, steps=30):
    """The exact rise away from the step's rows; zero rows where nothing was seen; the proved descent in turns."""
    seen, rng = ~np.isnan(A), np.random.default_rng(5)
    try:
        W = code(A, H, lam)
    except np.linalg.LinAlgError:
        return False
    f = objective(A, W, H, lam, nu)
    tol = 1e-9 * max(1.0, objective(A, 0 * W, H, lam, nu))
    if W[~seen.any(axis=1)].any():
        return False
    for _ in range(5):
        E = rng.standard_normal(W.shape)
        rise = sum(e @ (H[:, s] @ H[:, s].T + t * np.eye(len(H))) @ e for e, s, t in zip(E, seen, lam, strict=True))
        if not within(abs(objective(A, W + E, H, lam, nu) - f - rise), tol):
            return False
    values, changes = [f], []
    for _ in range(steps):
        before = W, H
        H = code(A.T, W.T, nu).T
        W = code(A, H, lam)
        values.append(objective(A, W, H, lam, nu))
        changes.append(fro(W - before[0]) ** 2 + fro(H - before[1]) ** 2)
    least = min(lam.min(), nu.min())
    return within([*(np.diff(values) + least * np.array(changes)), least * sum(changes) - values[0]], tol)


def case(A, r, lam=0.5, weighted=False, seed=0):
    A = np.asarray(A, dtype=float)
    H = np.random.default_rng(seed).standard_normal((r, A.shape[1]))
    counts = (~np.isnan(A)).sum(axis=1), (~np.isnan(A)).sum(axis=0)
    lam, nu = (lam * (np.maximum(c, 1) if weighted else np.ones(len(c))) for c in counts)
    return A, H, lam, nu


HOLED = holes(datasets.low_rank(12, 7, 2, noise=0.1, rng=5), 0.4)
UNSEEN_ROW = HOLED.copy()
UNSEEN_ROW[4] = np.nan
SPARSE = holes(datasets.low_rank(5, 11, 2, rng=6), 0.7, 3)
REPEATED = case(HOLED, 3)
REPEATED[1][2] = REPEATED[1][1]
NO_PENALTY = (*case(UNSEEN_ROW, 2)[:2], np.zeros(12), np.zeros(7))


# The nuclear norm by factors


def balanced(X, d):
    """Factors of inner dimension d with the least sum of squares, or None if there are none."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    k = rank(X)
    if d < k:
        return None
    root = np.sqrt(s[:k])
    W, H = np.zeros((len(X), d)), np.zeros((d, X.shape[1]))
    W[:, :k], H[:k] = U[:, :k] * root, root[:, None] * Vt[:k]
    return W, H


def variational(code, X, d, lam=0.7, half=1.0):
    """The code's factors reach ‖X‖_*; no others are lower; on the full matrix the product is thresholded at λ."""
    factors, complete = code
    found = factors(X, d)
    s = np.linalg.svd(X, compute_uv=False)
    tol = 1e-9 * max(1.0, s.sum())
    if found is None or d < rank(X):
        return found is None and d < rank(X) and half == 1.0
    W, H = found
    if W.shape != (len(X), d) or not within(fro(W @ H - X), tol):
        return False
    least = (fro(W) ** 2 + fro(H) ** 2) / 2
    if not within(abs(least - half * s.sum()), tol):
        return False
    turns = np.eye(d) + 0.3 * np.random.default_rng(6).standard_normal((20, d, d))
    others = [(fro(W @ G) ** 2 + fro(np.linalg.solve(G, H)) ** 2) / 2 for G in turns]
    if not within(least - np.array(others), 1e-6 * max(1.0, s.sum())):
        return False
    if d < min(X.shape):
        return True
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    shrunk = (U * np.maximum(s - lam, 0)) @ Vt
    W, H = factors(shrunk, d)
    best = fro(X - W @ H) ** 2 + lam * (fro(W) ** 2 + fro(H) ** 2)
    for scale in (0.0, 0.5, 0.9, 1.1):
        P, Q = factors((U * np.maximum(s - scale * lam, 0)) @ Vt, d)
        if not within(best - fro(X - P @ Q) ** 2 - lam * (fro(P) ** 2 + fro(Q) ** 2), tol):
            return False
    end = complete(X, min(X.shape), penalty=lam, max_iterations=4000, tolerance=1e-14)
    return within(fro(end.W @ end.H - shrunk), 2e-3 * max(1.0, s[0]))


def unbalanced(X, d):
    found = balanced(X, d)
    return found and (2 * found[0], found[1] / 2)


def all_on_one_side(X, d):
    found = balanced(X, d)
    return found and (found[0] * fro(found[1]), found[1] / max(fro(found[1]), 1e-300))


WORKED = np.array([[3.0, 1], [1, 3], [1, 1]])
DEFICIENT = datasets.low_rank(6, 5, 2, rng=7)


# Soft-impute

SOFT_STEPS = definitions(13, "soft_steps")


def threshold(Z, lam):
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    return (U * np.maximum(s - lam, 0)) @ Vt


def value(A, lam, X):
    seen = ~np.isnan(A)
    return float(((A - X)[seen] ** 2).sum() / 2 + lam * np.linalg.svd(X, compute_uv=False).sum())


def soft_impute_claim(code, A, lam, X0, star=None, steps=60):
    """Descent by half the squared step, the bound 1/(2k), distances that do not grow, a minimiser in the end."""
    seen = ~np.isnan(A)
    best = code(A, lam, 4000, X0)[0][-1] if star is None else star
    found, said = code(A, lam, steps, X0)
    found = [X0, *found]
    f, f_star = [value(A, lam, X) for X in found], value(A, lam, best)
    tol = 1e-7 * max(1.0, f[0])
    if not within(np.abs(said - f[1:]), tol):
        return False
    away = [fro(X - best) for X in found]
    if star is None:  # the certificate: no matrix in the dual ball does better
        residual = np.where(seen, A - best, 0)
        top = np.linalg.norm(residual, 2)
        D = residual * min(1.0, lam / top) if top > 0 else residual
        if not within(f_star - (D[seen] @ A[seen] - (D**2).sum() / 2), 1e-4 * max(1.0, f_star)):
            return False
    moved = fro(np.diff(found, axis=0), axis=(1, 2))
    if not (within(np.diff(f) + moved**2 / 2, tol) and within(np.diff(away), 1e-6)):
        return False
    return within(np.array(f[1:]) - f_star - away[0] ** 2 / (2 * np.arange(1, steps + 1)), tol)


def soft_variant(change):
    """Soft-impute with one thing wrong: change(A, lam, X, seen) gives the next matrix."""

    def code(A, lam, steps, X):
        found, seen = [X], ~np.isnan(A)
        for _ in range(steps):
            found.append(change(A, lam, found[-1], seen))
        return found[1:], np.array([value(A, lam, X) for X in found[1:]])

    return code


def hard(Z, lam):
    U, s, Vt = np.linalg.svd(Z, full_matrices=False)
    return (U * np.where(s > lam, s, 0)) @ Vt


GRID = np.outer([1.0, 2, 3, 4], [1.0, 2, 4])
GRID[0, 2] = GRID[3, 1] = np.nan
NOISY = holes(datasets.low_rank(9, 6, 2, noise=0.2, rng=8), 0.4, 2)
WIDE_HOLES = holes(datasets.low_rank(4, 9, 2, rng=9), 0.5, 4)
FULL = np.diag([3.0, 1.0])

CLAIMS = {
    "thm-never-determined": Claim(
        check=not_determined,
        code=another,
        cases=[
            (TWO, LAST),
            (TALL, ROW_SHORT),
            (WIDE, COLUMN_GONE),
            (SQUARE5, FEW),
            (RANK_THREE, FOUR_EACH),
            (WIDE, first((4, 8), 8, 1)),
            (TALL, np.zeros((9, 4), dtype=bool)),
        ],
        dropped={
            "a row with fewer than r entries, or too few in all: everything seen": (TALL, np.ones((9, 4), dtype=bool)),
            "|Ω| < r(m+n−r): one hole in a matrix of rank 1": (WIDE, np.arange(32).reshape(4, 8) > 0),
        },
        mutants={
            "the same matrix": lambda X, seen: X.copy(),
            "zeros in the holes": lambda X, seen: np.where(seen, X, 0),
            "one hole changed, whatever the rank": lambda X, seen: X + (~seen) * np.eye(*X.shape),
            "a step without the correction": lambda X, seen: along_the_fibre(X, seen, rank(X), 1e-2, correct=False),
            "another basis, the same product": lambda X, seen: X @ np.linalg.pinv(X, rcond=1e-9) @ X,
        },
    ),
    "thm-rank-one-completion": Claim(
        check=rank_one,
        code=Adapted(lambda components, seen: components(seen) == 1, definitions(13, "components")),
        cases=[
            (CHAIN,),
            (BLOCKS,),
            (PAIRS,),
            (CHAIN.T,),
            (~np.eye(3, dtype=bool),),
            (np.eye(3, dtype=bool),),
            (np.ones((2, 5), dtype=bool),),
            (np.ones((1, 1), dtype=bool),),
            (np.zeros((2, 3), dtype=bool),),
            (np.array([[1, 1], [1, 1], [0, 0]], dtype=bool),),
            (np.array([[1, 0], [1, 0]], dtype=bool),),
            (L_SHAPE,),
        ],
        dropped={"X has no zero entry": (L_SHAPE, ZERO_ROW)},
        mutants={
            "as many entries as degrees of freedom": lambda seen: bool(seen.sum() >= sum(seen.shape) - 1),
            "an entry in each row and each column": lambda seen: bool(
                seen.any(axis=0).all() and seen.any(axis=1).all()
            ),
            "a row that is seen in full": lambda seen: bool(seen.all(axis=1).any()),
            "more entries than degrees of freedom": lambda seen: bool(seen.sum() > sum(seen.shape) - 1),
        },
    ),
    "thm-als-step": Claim(
        check=als_step,
        code=SOLVE_ROWS,
        cases=[
            case(HOLED, 2),
            case(HOLED, 3, weighted=True),
            case(UNSEEN_ROW, 2),
            case(UNSEEN_ROW.T, 2, weighted=True),
            case(SPARSE, 4),
            case(SPARSE.T, 1, lam=0.01),
            case(datasets.low_rank(6, 6, 2, rng=1), 2),
            case(holes(np.zeros((4, 3)), 0.3), 2),
            REPEATED,
            (*case(HOLED, 2)[:2], np.linspace(0.1, 2, 12), np.linspace(3, 0.2, 7)),
        ],
        dropped={"λ > 0: no inverse for an unseen row": NO_PENALTY},
        mutants={
            "holes as zeros": lambda A, H, lam: SOLVE_ROWS(np.nan_to_num(A), H, lam),
            "one Gram matrix for all rows": lambda A, H, lam: np.array(
                [
                    np.linalg.solve(H @ H.T + t * np.eye(len(H)), H[:, s] @ a[s])
                    for a, s, t in zip(A, ~np.isnan(A), lam, strict=True)
                ]
            ),
            "half the penalty": lambda A, H, lam: SOLVE_ROWS(A, H, lam / 2),
            "a common penalty for all rows": lambda A, H, lam: SOLVE_ROWS(A, H, np.full(len(lam), lam.mean())),
            "no penalty, minimum norm": lambda A, H, lam: np.array(
                [np.linalg.pinv(H[:, s].T, rcond=1e-9) @ a[s] for a, s in zip(A, ~np.isnan(A), strict=True)]
            ),
        },
    ),
    "thm-nuclear-variational": Claim(
        check=variational,
        code=(balanced, als_complete),
        cases=[
            (WORKED, 2),
            (WORKED, 3),
            (WORKED.T, 2, 1.0),
            (DEFICIENT, 5, 0.3),
            (DEFICIENT, 2),
            (DEFICIENT, 1),
            (np.diag([3.0, 1.0]), 2, 2.0),
            (np.eye(3), 4, 0.4),
            (np.zeros((3, 2)), 2),
        ],
        dropped={"½ in front of the squares": (WORKED, 2, 0.7, 2.0)},
        mutants={
            "unbalanced factors": (unbalanced, als_complete),
            "all of the size on one side": (all_on_one_side, als_complete),
            "Σ on both sides": (
                lambda X, d: balanced(X, d) and tuple(np.asarray(F) * fro(F) for F in balanced(X, d)),
                als_complete,
            ),
            "truncated where d is too small": (
                lambda X, d: (
                    balanced(threshold(X, np.append(np.linalg.svd(X, compute_uv=False), 0)[min(d, min(X.shape))]), d)
                    or (np.zeros((len(X), d)), np.zeros((d, X.shape[1])))
                ),
                als_complete,
            ),
            "the penalty twice": (
                balanced,
                lambda X, r, penalty, **options: als_complete(X, r, penalty=2 * penalty, **options),
            ),
        },
    ),
    "thm-soft-impute": Claim(
        check=soft_impute_claim,
        code=SOFT_STEPS,
        cases=[
            (GRID, 0.5, np.zeros((4, 3))),
            (GRID, 30.0, np.ones((4, 3))),
            (NOISY, 0.4, np.zeros((9, 6))),
            (NOISY, 1.0, np.random.default_rng(1).standard_normal((9, 6)) * 3),
            (NOISY.T, 0.4, np.ones((6, 9))),
            (WIDE_HOLES, 0.5, np.zeros((4, 9))),
            (FULL, 2.0, np.zeros((2, 2))),
            (holes(np.zeros((3, 3)), 0.4), 0.2, np.eye(3)),
        ],
        dropped={
            "X* is a minimiser: distances to another matrix may grow": (GRID, 0.5, np.zeros((4, 3)), np.zeros((4, 3))),
            "λ > 0": (NOISY, -0.4, np.zeros((9, 6)), np.zeros((9, 6))),
        },
        mutants={
            "hard threshold": soft_variant(lambda A, lam, X, seen: hard(np.where(seen, A, X), lam)),
            "half the threshold": soft_variant(lambda A, lam, X, seen: threshold(np.where(seen, A, X), lam / 2)),
            "zeros in the holes at each step": soft_variant(
                lambda A, lam, X, seen: threshold(np.where(seen, A, 0), lam)
            ),
            "a gradient step of twice the length": soft_variant(
                lambda A, lam, X, seen: threshold(np.where(seen, 2 * A - X, X), 2 * lam)
            ),
            "an objective without its penalty": lambda A, lam, steps, X: (
                SOFT_STEPS(A, lam, steps, X)[0],
                SOFT_STEPS(A, 0.0, steps, X)[1],
            ),
            "seen entries put back after the threshold": soft_variant(
                lambda A, lam, X, seen: np.where(seen, A, threshold(np.where(seen, A, X), lam))
            ),
        },
    ),
}


def zeros_are_predicted():
    """On the generated ratings the zero-filled truncated SVD is far worse than one number for all."""
    data = datasets.load("ratings")
    known, table = ~data.held, np.zeros(data.shape)
    table[data.users[known], data.items[known]] = data.ratings[known]
    U, s, Vt = np.linalg.svd(table, full_matrices=False)
    X = ((U[:, :5] * s[:5]) @ Vt[:5])[data.users[data.held], data.items[data.held]]
    truth = data.ratings[data.held]
    return np.sqrt(np.mean((X - truth) ** 2)) > 2 * np.sqrt(np.mean((data.ratings[known].mean() - truth) ** 2))


def holes_are_filled():
    """Fitted to the seen entries alone, a matrix of rank 1 gives the hidden products."""
    result = als_complete(GRID, 1)
    X = result.W @ result.H
    return close([X[0, 2], X[3, 1]], [4, 8], atol=1e-6)


FOLKLORE = {
    30: Folklore(
        wrong="missing ratings are zeros, and the truncated SVD of the sparse table predicts them",
        fails=zeros_are_predicted,
        holds=holes_are_filled,
    ),
}
