"""The claims of chapter 13, matrix completion."""

import copy
import functools

import numpy as np
from scipy.sparse import csr_array as sparse

from book.claims import Adapted, Claim, Folklore
from book.definitions import definitions
from book.margins import above, close, rank, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, results
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
    """The code's factors reach ‖X‖_*; no others are lower; thresholding at λ is least, by at least ½‖·‖²."""
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
    for Y in (W @ H + E for E in 0.5 * np.random.default_rng(7).standard_normal((20, *X.shape))):
        gap = fro(X - Y) ** 2 + 2 * lam * np.linalg.norm(Y, "nuc") - best
        if not within(fro(Y - W @ H) ** 2 - gap, tol):
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


# What was measured

AGAINST_LINE, MEAN_AND_HALF = definitions(13, "against_line"), definitions(13, "mean_and_half")
RUNS = (1, 3, 6, 12)


@functools.cache
def series():
    """For each length of a hidden run the errors over twenty masks, and the penalties that were chosen."""
    return {run: AGAINST_LINE(run) for run in RUNS}


def lead(errors):
    return MEAN_AND_HALF(errors[:, 1] - errors[:, 2])


def line_is_ahead(measured):
    """Clearly up to half a year, not for years; and both know more than the month's mean."""
    for run, (errors, _) in measured.items():
        ahead, half = lead(errors)
        if (ahead > half) != (run < 12):
            return False
        for column in (1, 2):
            better, half = MEAN_AND_HALF(errors[:, 0] - errors[:, column])
            if better <= half:
                return False
    return True


def with_errors(measured, run, change):
    errors, penalties = measured[run]
    return {**measured, run: (change(errors.copy()), penalties)}


def as_column(errors, column, other):
    errors[:, column] = errors[:, other]
    return errors


def settings(rows, name):
    """What a contender chose, time by time, for each setting."""
    return {key: [row[name]["chosen"][key] for row in rows] for key in rows[0][name]["chosen"]}


CLICKERS = ("popularity", "item neighbours, power 1", "item neighbours", "EASE", "implicit ALS, rank 128")


def clicks():
    return results.load("clicks")


def clicks_apart(measured, one, other):
    """The mean over files of what one has more than the other in NDCG at 10, and two standard errors."""
    total = measured["ndcg of each file, summed over splits"]
    return MEAN_AND_HALF((np.array(total[one]) - np.array(total[other])) / len(measured["splits"]))


APART = ((4, 1), (2, 4), (3, 2), (3, 4))  # places in CLICKERS


def splits_apart(measured, one, other):
    """The mean difference in NDCG over the splits, and half of its 95 % interval."""
    each = np.array([split[one]["ndcg"] - split[other]["ndcg"] for split in measured["splits"].values()])
    return each.mean(), 2.776 * each.std(ddof=1) / np.sqrt(len(each))


def tuned_ones_are_level(measured):
    """All above popularity; ALS above plain neighbours, level with tuned ones; EASE undecided against both."""
    most, plain, near, linear, factors = CLICKERS
    clear = [clicks_apart(measured, *pair) for pair in ((factors, plain), (plain, most), (near, plain))]
    level = [clicks_apart(measured, *pair) for pair in ((factors, near), (linear, near))]
    level.append(splits_apart(measured, linear, factors))
    return all(gap > half for gap, half in clear) and all(abs(gap) <= half for gap, half in level)


def more_in_clicks(measured, name, more):
    """The contender of this name with so much more gain for every file."""
    altered = copy.deepcopy(measured)
    total = altered["ndcg of each file, summed over splits"]
    total[name] = [x + more * len(altered["splits"]) for x in total[name]]
    return altered


def in_clicks(measured, name, other):
    """The contender of this name with the gains of another."""
    altered = copy.deepcopy(measured)
    total = altered["ndcg of each file, summed over splits"]
    total[name] = total[other]
    return altered


def ndcg_in_clicks(measured, name, value):
    """The contender of this name with this mean gain in every split."""
    altered = copy.deepcopy(measured)
    for split in altered["splits"].values():
        split[name]["ndcg"] = value
    return altered


def chosen_clicks(measured, name, setting, value):
    altered = copy.deepcopy(measured)
    altered["splits"]["0"][name]["chosen"][setting] = value
    return altered


FOLDS = [f"fold {k}" for k in range(5)]
RATERS = {
    "mean": Contender("mean", fixed="has no setting"),
    "biases": Contender(
        "biases",
        {"users": (0.0, 6.0, 25.0), "items": (1.0, 2.5, 6.0)},
        first={"users": "0 is no damping"},
    ),
    **{
        f"ALS, rank {r}": Contender(f"ALS, rank {r}", {"penalty": (3.0, 5.0, 7.0, 9.0, 12.0, 15.0, 18.0, 22.0, 27.0)})
        for r in (1, 8, 32)
    },
    "ALS, implicit features, rank 16": Contender(
        "ALS, implicit features, rank 16", {"penalty": (9.0, 14.0, 22.0), "omega": (0.12, 0.35, 1.0)}
    ),
    "Gibbs sampling, rank 8, defaults": Contender("Gibbs sampling, rank 8, defaults"),
    "Surprise SVD, rank 32": Contender(
        "Surprise SVD, rank 32", {"penalty": (0.06, 0.09, 0.13), "rate": (0.0015, 0.004, 0.01)}
    ),
    "Surprise SVD, defaults": Contender("Surprise SVD, defaults"),
    "Surprise BaselineOnly, defaults": Contender("Surprise BaselineOnly, defaults"),
}
CHAIN = ("mean", "biases", "ALS, rank 1", "ALS, rank 32", "ALS, implicit features, rank 16")
CHAIN += ("Gibbs sampling, rank 8, defaults",)


def rated():
    return results.load("completion")["ratings"]["splits"]


def ratings_apart(splits, one, other):
    """The mean difference of two errors over the five folds, and half of its 95 % interval."""
    difference = np.array([splits[fold][one]["rmse"] - splits[fold][other]["rmse"] for fold in FOLDS])
    return difference.mean(), 2.776 * difference.std(ddof=1) / np.sqrt(5)


def late_apart(splits, one, other):
    """The difference of two errors on the latest fifths, and half of its 95 % interval over users."""
    late, each = splits["latest fifth"], np.array(splits["latest fifth"]["mean"]["ratings of each user"])
    squares = [np.array(late[name]["squared error of each user"]) for name in (one, other)]
    errors = [np.sqrt(s.sum() / each.sum()) for s in squares]
    # of a root of a ratio, to first order: what each user adds to the difference of the two
    parts = [(s - e**2 * each) / (2 * e * each.sum()) for s, e in zip(squares, errors, strict=True)]
    return errors[0] - errors[1], 1.96 * np.sqrt(((parts[0] - parts[1]) ** 2).sum())


def each_step_counts(splits):
    """Every contender of the chain is clearly below the one before; so is Surprise's SVD, tuned and not as it comes."""
    pairs = [*zip(CHAIN[1:], CHAIN, strict=False), ("Surprise SVD, rank 32", "biases")]
    pairs.append(("biases", "Surprise SVD, defaults"))
    surprise, factors = "Surprise SVD, rank 32", "ALS, rank 32"
    late = [*zip(CHAIN[4:], CHAIN[3:], strict=False), ("ALS, rank 1", "biases"), (surprise, "biases")]
    late.append((CHAIN[5], surprise))
    undecided = [(factors, "biases"), (factors, surprise), (CHAIN[4], surprise)]
    clear = [*(ratings_apart(splits, *pair) for pair in pairs), *(late_apart(splits, *pair) for pair in late)]
    level = [late_apart(splits, *pair) for pair in undecided]
    return all(gap < -half for gap, half in clear) and all(abs(gap) < half for gap, half in level)


def in_ratings(splits, name, other):
    """The contender of this name with the errors of another."""
    altered = copy.deepcopy(splits)
    for fold in FOLDS:
        altered[fold][name]["rmse"] = altered[fold][other]["rmse"]
    return altered


def late_in_ratings(splits, name, other):
    """The contender of this name with the errors of another on the latest fifths."""
    altered = copy.deepcopy(splits)
    altered["latest fifth"][name] = {
        **altered["latest fifth"][other],
        "chosen": altered["latest fifth"][name]["chosen"],
    }
    return altered


def chosen_ratings(splits, name, setting, value):
    altered = copy.deepcopy(splits)
    altered["fold 2"][name]["chosen"][setting] = value
    return altered


OBSERVATIONS = {
    "obs-matrix-completion-line": Observation(
        measured=series,
        protocol=Protocol(
            baseline="month's mean",
            contenders=[
                Contender("month's mean", fixed="has no setting"),
                Contender("low rank", {"penalty": (0.05, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 10.0)}),
                Contender("straight line", fixed="has no setting"),
            ],
            tested_on="the hidden 30 % of the sea's temperatures",
            tuned_on="a tenth of the seen cells of each mask",
            runs=20,
            interval="two standard errors of the paired difference, over masks",
        ),
        verdict=line_is_ahead,
        numbers=lambda measured: [
            f"{number:.2f}"
            for errors, _ in measured.values()
            for number in (errors[:, 1].mean(), errors[:, 2].mean(), *lead(errors))
        ],
        sharp={
            "low rank as good as the line": lambda measured: with_errors(
                measured, 6, lambda errors: as_column(errors, 1, 2)
            ),
            "the line no better than the month's mean": lambda measured: with_errors(
                measured, 3, lambda errors: as_column(errors, 0, 2)
            ),
            "low rank no better than the month's mean": lambda measured: with_errors(
                measured, 12, lambda errors: as_column(errors, 0, 1)
            ),
            "clear for whole years too": lambda measured: with_errors(
                measured, 12, lambda errors: errors + np.eye(3)[1]
            ),
            "a penalty at the edge": lambda measured: {**measured, 1: (measured[1][0], [0.05, *measured[1][1][1:]])},
        },
        chosen=lambda measured: {"low rank": {"penalty": [t for _, chosen in measured.values() for t in chosen]}},
    ),
    "obs-matrix-completion-clicks": Observation(
        measured=clicks,
        protocol=Protocol(
            baseline="popularity",
            contenders=[
                Contender("popularity", fixed="has no setting"),
                Contender(
                    "item neighbours, power 1",
                    {"other": (0.1, 0.25, 0.5), "shrinkage": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)},
                ),
                Contender(
                    "item neighbours",
                    {"other": (0.05, 0.2, 0.5), "shrinkage": (1.0, 5.0, 25.0), "power": (1.0, 2.5, 6.0)},
                ),
                Contender("EASE", {"penalty": tuple(round(float(2.0 ** (k / 2)), 2) for k in range(-6, 21))}),
                Contender(
                    "implicit ALS, rank 128",
                    {"penalty": (20.0, 60.0, 180.0), "ratio": (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)},
                ),
            ],
            tested_on="a fifth of the functions of each file",
            tuned_on="a fifth of the functions that are left",
            runs=976,
            interval="two standard errors over files of the paired difference, averaged over five splits",
        ),
        verdict=tuned_ones_are_level,
        numbers=lambda measured: [
            *(
                f"{np.mean([split[name][key] for split in measured['splits'].values()]):.3f}"
                for name in CLICKERS
                for key in ("recall", "ndcg")
            ),
            *(
                f"{number:.4f}"
                for one, other in APART
                for number in clicks_apart(measured, CLICKERS[one], CLICKERS[other])
            ),
            f"{splits_apart(measured, CLICKERS[3], CLICKERS[4])[1]:.4f}",
        ],
        sharp={
            "factors ahead of tuned neighbours": lambda measured: more_in_clicks(measured, CLICKERS[2], -0.011),
            "factors behind tuned neighbours": lambda measured: more_in_clicks(measured, CLICKERS[2], 0.0065),
            "plain neighbours as good as factors": lambda measured: in_clicks(measured, CLICKERS[1], CLICKERS[4]),
            "EASE ahead in every split": lambda measured: ndcg_in_clicks(measured, CLICKERS[3], 0.5),
            "EASE behind in every split": lambda measured: ndcg_in_clicks(measured, CLICKERS[3], 0.1),
            "popularity as good as plain neighbours": lambda measured: in_clicks(measured, CLICKERS[0], CLICKERS[1]),
            "a penalty at the edge": lambda measured: chosen_clicks(measured, CLICKERS[4], "penalty", 180.0),
            "a power at the edge": lambda measured: chosen_clicks(measured, CLICKERS[2], "power", 6.0),
        },
        chosen=lambda measured: {name: settings(list(measured["splits"].values()), name) for name in CLICKERS[1:]},
    ),
    "obs-matrix-completion-ratings": Observation(
        measured=rated,
        protocol=Protocol(
            baseline="mean",
            contenders=list(RATERS.values()),
            tested_on="each of five random folds",
            tuned_on="a tenth of the other four",
            runs=5,
            interval="95 % by Student's t, paired, over the folds",
        ),
        verdict=each_step_counts,
        numbers=lambda splits: [
            *(f"{np.mean([splits[fold][name]['rmse'] for fold in FOLDS]):.4f}" for name in CHAIN[1:]),
            *(
                f"{np.mean([splits[fold][f'Surprise SVD, {how}']['rmse'] for fold in FOLDS]):.4f}"
                for how in ("defaults", "rank 32")
            ),
            *(
                f"{splits['latest fifth'][name]['rmse']:.4f}"
                for name in ("biases", "ALS, rank 1", "ALS, rank 32", "Surprise SVD, rank 32", *CHAIN[4:])
            ),
        ],
        sharp={
            "biases as good as rank 1": lambda splits: in_ratings(splits, "biases", "ALS, rank 1"),
            "rank 1 as good as rank 32": lambda splits: in_ratings(splits, "ALS, rank 1", "ALS, rank 32"),
            "implicit features without use": lambda splits: in_ratings(
                splits, "ALS, implicit features, rank 16", "ALS, rank 32"
            ),
            "sampling no better": lambda splits: in_ratings(splits, CHAIN[-1], CHAIN[-2]),
            "Surprise tuned no better than biases": lambda splits: in_ratings(
                splits, "Surprise SVD, rank 32", "Surprise SVD, defaults"
            ),
            "by time, rank 32 clearly ahead of the biases": lambda splits: late_in_ratings(
                splits, "ALS, rank 32", "Gibbs sampling, rank 8, defaults"
            ),
            "by time, rank 1 no better than the biases": lambda splits: late_in_ratings(
                splits, "ALS, rank 1", "biases"
            ),
            "by time, tuned SVD no better than the biases": lambda splits: late_in_ratings(
                splits, "Surprise SVD, rank 32", "biases"
            ),
            "by time, sampling no better": lambda splits: late_in_ratings(splits, CHAIN[-1], CHAIN[-2]),
            "a penalty at the edge": lambda splits: chosen_ratings(splits, "ALS, rank 32", "penalty", 27.0),
        },
        chosen=lambda splits: {
            name: settings([splits[split] for split in splits], name)
            for name, contender in RATERS.items()
            if contender.grid
        },
    ),
}


def same_scores(shape=(8, 30)):
    """The chapter's EASE by users × users has the scores of its inverse of items × items."""
    X = (np.random.default_rng(3).random(shape) < 0.3).astype(float)
    return close(definitions(13, "ease")(X, 2.0), X @ definitions(13, "ease_weights")(sparse(X), 2.0), atol=1e-10)


def with_own_weights():
    """The weights have a diagonal of zeros: no item suggests itself, which the short way has to keep."""
    X = (np.random.default_rng(4).random((6, 20)) < 0.4).astype(float)
    return close(definitions(13, "ease_weights")(sparse(X), 0.5).diagonal(), np.zeros(20), atol=1e-10)


FOLKLORE = {
    30: Folklore(
        wrong="missing ratings are zeros, and the truncated SVD of the sparse table predicts them",
        fails=zeros_are_predicted,
        holds=holes_are_filled,
    ),
    39: Folklore(
        wrong="EASE needs the inverse of a matrix of items × items",
        fails=same_scores,
        holds=lambda: same_scores((20, 7)) and with_own_weights(),
    ),
    40: Folklore(
        wrong="the factorisation for implicit feedback is behind item neighbours",
        fails=lambda: sum(clicks_apart(clicks(), CLICKERS[4], CLICKERS[2])) > 0,
        holds=lambda: tuned_ones_are_level(clicks()),
    ),
}
