"""The claims of chapter 2, Rank."""

import functools
from fractions import Fraction

import numpy as np

from book import margins
from book.claims import Adapted, Claim, Folklore, each, rank
from book.definitions import definitions
from book.margins import above
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import costs, datasets, linalg

RNG = np.random.default_rng(2)
HAND = np.array([[6.0, 3, -3, 0], [2, 2, -1, 2], [0, 2, 0, 4]])
ZERO = np.zeros((3, 4))
TIES = np.array([[1.0, -1, 1], [-1, 1, 1], [0, 0, 2], [1, -1, -1]])
REVERSED = np.eye(3)[::-1].copy()


def integers(m, n, r):
    """An m×n matrix of small integers and rank at most r (r for these seeds)."""
    return (RNG.integers(-3, 4, (m, r)) @ RNG.integers(-3, 4, (r, n))).astype(float)


TALL, WIDE, SQUARE, ONE = integers(7, 4, 2), integers(3, 8, 3), integers(5, 5, 4), integers(4, 6, 1)
MATRICES = [HAND, HAND.T, ZERO, TIES, REVERSED, TALL, WIDE, SQUARE, ONE, np.eye(3)]


def exact_rank(A):
    """The rank of a matrix of floats by Gauss in exact arithmetic: no tolerance."""
    rows = [[Fraction(float(a)) for a in row] for row in A]
    found = 0
    for j in range(A.shape[1]):
        i = next((i for i in range(found, len(rows)) if rows[i][j]), None)
        if i is None:
            continue
        rows[found], rows[i] = rows[i], rows[found]
        for below in rows[found + 1 :]:
            factor = below[j] / rows[found][j]
            below[:] = [b - factor * a for a, b in zip(rows[found], below, strict=True)]
        found += 1
    return found


def close(A, B, scale=None):
    """Equality up to rounding, relative to the size of A."""
    scale = max(1.0, np.abs(A).max(initial=0.0)) if scale is None else scale
    return margins.close(A, B, atol=1e-11 * scale)


# thm-row-rank-column-rank


def row_equals_column(independent_rows, A):
    """The number of independent rows, found row by row, is that of Aᵀ, is the rank, and is at most min(m, n)."""
    r = independent_rows(A)
    return r == independent_rows(A.T) == exact_rank(A) and r <= min(A.shape)


# the independent columns that the chapter's solution keeps, of Aᵀ
INDEPENDENT_ROWS = Adapted(lambda cr, A: cr(A.T)[0].shape[1], definitions(2, "cr"))


# thm-rank-factorization


def factorization(factor, A, X, Y):
    """A = CR through the rank, bases on both sides, no narrower pair, and X = CG, Y = G⁻¹R for one G only."""
    C, R = factor(A)
    r = exact_rank(A)
    if (C.shape, R.shape) != ((len(A), r), (r, A.shape[1])) or not close(A, C @ R):
        return False
    if r == 0:
        return not A.any()
    if X.shape != C.shape or Y.shape != R.shape:
        return False
    G = np.linalg.lstsq(C, X, rcond=None)[0]
    bases = rank(C) == rank(np.hstack([C, A])) == r == rank(np.vstack([R, A]))
    # G is unique because C has independent columns: no second solution of CG = X.
    unique = rank(C) == r == rank(G)
    return bool(bases and unique and close(C @ G, X) and close(np.linalg.solve(G, R), Y))


def pair(A):
    """Another rank factorisation of A: independent rows of A, and coefficients."""
    r = exact_rank(A)
    kept = []
    for i in range(len(A)):
        if len(kept) < r and exact_rank(A[[*kept, i]]) > len(kept):
            kept.append(i)
    Y = A[kept]
    X = np.linalg.lstsq(Y.T, A.T, rcond=None)[0].T if r else np.zeros((len(A), 0))
    return A, X, Y


def one_piece_less(A):
    C, R = linalg.rank_factorization(A)
    return C[:, :-1], R[:-1]


def without_the_pivot(A):
    """Elimination that forgets to divide the rows it returns by their pivots."""
    C, R = linalg.rank_factorization(A)
    return C, R * np.abs(C).max(axis=0)[:, None]


def diagonal_pivots(A):
    """Elimination that looks for pivots on the diagonal only."""
    E, columns, rows = A.astype(float), [], []
    for k in range(min(A.shape)):
        if above(abs(E[k, k]), 1e-12):
            columns.append(E[:, k].copy())
            rows.append(E[k] / E[k, k])
            E = E - np.outer(columns[-1], rows[-1])
    return np.reshape(columns, (-1, len(A))).T, np.reshape(rows, (-1, A.shape[1]))


# lem-wedderburn


def reduces(step, A, x, y):
    """The rank falls by exactly one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        B = step(A, x, y)
    if not np.isfinite(B).all():
        return False
    scale = max(np.abs(A).max(), np.abs(B).max())
    return int(above(np.linalg.svd(B, compute_uv=False), 1e-10 * scale).sum()) == exact_rank(A) - 1


def wedderburn(A, x, y):
    return A - np.outer(A @ x, y @ A) / (y @ A @ x)


def unit(n, j):
    return np.eye(n)[j]


# cor-rank-one-elimination


def stops_after_rank_steps(eliminate, A, seed):
    """Whatever the pivots, E = 0 after exactly rank A steps, and then A = CR."""
    C, R = eliminate(A, seed)
    r = exact_rank(A)
    return C.shape[1] == r == R.shape[0] and close(A, C @ R, 1e4 * max(1.0, np.abs(A).max()))


def eliminate(A, seed, *, step=np.outer, divide=True):
    """Rank-one elimination with pivots drawn at random among the entries that are not small."""
    E, columns, rows = A.astype(float), [], []
    rng = np.random.default_rng(seed)
    for _ in range(min(A.shape) + 1):
        choices = np.argwhere(above(np.abs(E), 1e-8 * max(1.0, np.abs(A).max())))
        if not len(choices):
            break
        i, j = rng.choice(choices)
        columns.append(E[:, j].copy())
        rows.append(E[i] / E[i, j] if divide else E[i].copy())
        E = E - step(columns[-1], rows[-1])
    return np.reshape(columns, (-1, len(A))).T, np.reshape(rows, (-1, A.shape[1]))


def cross_only(c, r):
    """A wrong step: clears the pivot's column and leaves the other columns alone."""
    out = np.zeros((c.size, r.size))
    out[:, int(np.abs(r).argmax())] = c
    return out


# thm-rank-inequalities


def bounds(a, b, d, m, n, q):
    """The bounds of the theorem for rank A = a, rank B = b, rank D = d, with A m×n and D n×q."""
    return {
        "sum, lower": abs(a - b),
        "sum, upper": a + b,
        "product, lower": a + d - n,
        "product, upper": min(a, d),
    }


def inequalities(bound, A, B, D, attained):
    """The ranks lie within the bounds, meet those named, and independent columns of A keep the rank of D."""
    a, b, d = exact_rank(A), exact_rank(B), exact_rank(D)
    limits = bound(a, b, d, *A.shape, D.shape[1])
    ranks = {"sum": exact_rank(A + B), "product": exact_rank(A @ D)}
    for name, limit in limits.items():
        what, side = name.split(", ")
        if (ranks[what] < limit) if side == "lower" else (ranks[what] > limit):
            return False
        if name in attained and ranks[what] != limit:
            return False
    if "keeps the rank of D" in attained and ranks["product"] != d:
        return False
    return "keeps the rank of A" not in attained or ranks["product"] == a


def changed(**kwargs):
    """The bounds with some of them replaced."""
    return lambda a, b, d, m, n, q: (
        bounds(a, b, d, m, n, q)
        | {key.replace("_", ", "): formula(a, b, d, m, n, q) for key, formula in kwargs.items()}
    )


F, H = np.diag([1.0, 1, 0]), np.diag([0.0, 1, 1])
PROJECT = np.array([[1.0, 0, 0]])

# thm-break-even


def pays(formulas, m, n, r):
    """Count entries of real arrays, and compare with the three formulas."""
    stored, break_even, freedom, largest = formulas
    two, one = np.empty((m, r)).size + np.empty((r, n)).size, np.empty((m, n)).size
    p, star = min(m, n), break_even(m, n)
    try:
        unused = one - freedom(m, n, r)
    except ValueError:  # as the package says to r > p
        return False
    best = max(k for k in range(p + 1) if k * m + k * n < one)
    return bool(
        stored(m, n, r) == two
        and (two < one) == (r < star)
        and best == int(np.ceil(star)) - 1 == largest(m, n)
        and p / 2 <= star < p
        and (star == p / 2) == (m == n)
        and unused == (m - r) * (n - r) >= 0
        and (unused == 0) == (r == p)
    )


FORMULAS = (
    costs.factor_parameters,
    costs.break_even_rank,
    linalg.degrees_of_freedom,
    definitions(2, "largest_paying_rank"),
)


# thm-rank-degrees-of-freedom


def freedom(code, C, R):
    """The derivative of (C, R) → CR and the graph H = G E⁻¹ F both count formula(m, n, r) directions."""
    (m, r), n = C.shape, R.shape[1]
    formula, jacobian = code
    d, J = formula(m, n, r), jacobian(C, R)
    rng = np.random.default_rng(1)
    E, F = rng.standard_normal(C.shape), rng.standard_normal(R.shape)  # the derivative along any move
    if not close(J @ np.concatenate([E.ravel(), F.ravel()]), (E @ R + C @ F).ravel()):
        return False
    wasted = [np.concatenate([(C @ G).ravel(), -(G @ R).ravel()]) for G in np.eye(r * r).reshape(r * r, r, r)]
    kernel = np.reshape(wasted, (r * r, r * (m + n))).T
    if rank(J) != d or rank(kernel) != r * r or not close(J @ kernel, 0 * (J @ kernel)):
        return False
    if r == 0:
        return d == 0
    # Move the free coordinates E, F, G at will; with H = G E⁻¹ F the rank stays r, with any other H it does not.
    X = C @ R
    rows, columns = independent(X, r), independent(X.T, r)
    others, rest = np.setdiff1d(np.arange(m), rows), np.setdiff1d(np.arange(n), columns)
    free = X + 1e-3 * np.random.default_rng(0).standard_normal((m, n))
    E, F, G = free[np.ix_(rows, columns)], free[np.ix_(rows, rest)], free[np.ix_(others, columns)]
    moved = free.copy()
    moved[np.ix_(others, rest)] = G @ np.linalg.solve(E, F)
    follows = rank(moved) == r
    if len(others) and len(rest):
        moved[others[0], rest[0]] += 1e-3
        follows = follows and rank(moved) == r + 1
    return bool(follows and E.size + F.size + G.size == d)


JACOBIAN = definitions(2, "jacobian")


def independent(X, r):
    """The first r independent rows of X."""
    kept = []
    for i in range(len(X)):
        if len(kept) < r and rank(X[[*kept, i]]) > len(kept):
            kept.append(i)
    return np.array(kept)


def factors(m, n, r, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((m, r)), rng.standard_normal((r, n))


# thm-rank-semicontinuity


def semicontinuous(radius, A, rows, columns, share, noise):
    """Pushes of norm share·radius leave rank ≥ r, the worst of norm radius lowers that of the block; noise fills."""
    block = A[np.ix_(rows, columns)]
    r = len(rows)
    limit = radius(block)
    U, _, Vt = np.linalg.svd(block)
    worst = np.zeros(A.shape)
    worst[np.ix_(rows, columns)] = -np.outer(U[:, -1], Vt[-1])
    rng = np.random.default_rng(1)
    pushes = [worst, *(rng.standard_normal(A.shape) for _ in range(20))]
    pushed = np.array([A + share * limit * P / linalg.spectral_norm(P) for P in pushes])
    if not above(np.linalg.svd(pushed, compute_uv=False)[:, r - 1], 1e-9).all():
        return False
    alone = np.zeros(A.shape)
    alone[np.ix_(rows, columns)] = block
    if above(np.linalg.svd(alone + limit * worst, compute_uv=False), 1e-9).sum() != r - 1:
        return False
    return rank(A + noise, rtol=1e-13) == min(A.shape)


def gaussian(A, size, seed):
    return size * np.random.default_rng(seed).standard_normal(A.shape)


NEARLY = np.array([[1.0, 2, 0], [2, 4.001, 0]])
D64 = np.diag([6.0, 4, 0])
COINS = np.array([[0.5, 0, 0.5], [0, 0.5, 0], [0, 0, 0]])  # a possible draw of entries that are 0 or ½


CLAIMS = {
    "thm-row-rank-column-rank": Claim(
        check=row_equals_column,
        code=INDEPENDENT_ROWS,
        cases=[(A,) for A in MATRICES],
        dropped={},
        mutants={
            "rows that differ from those above": lambda A: len({tuple(row) for row in A if row.any()}),
            "the smaller side": lambda A: min(A.shape),
            "the number of non-zero rows": lambda A: int(A.any(axis=1).sum()),
            "rows that are no multiple of the row above": lambda A: (
                int(A[0].any()) + sum(INDEPENDENT_ROWS(A[i : i + 2]) == 2 for i in range(len(A) - 1))
            ),
        },
    ),
    "thm-rank-factorization": Claim(
        check=each(factorization),
        code=(definitions(2, "peel"), definitions(2, "cr"), linalg.rank_factorization),
        cases=[pair(A) for A in MATRICES],
        dropped={
            "the inner dimension is the rank": (np.eye(2)[:, :1], np.array([[1.0, 1], [0, 0]]), np.ones((2, 1)) / 2),
            "XY = A": (HAND, HAND[:, :2], np.ones((2, 4))),
        },
        mutants={
            "one piece less": (one_piece_less,),
            "rows not divided by their pivots": (without_the_pivot,),
            "pivots on the diagonal only": (diagonal_pivots,),
            "all columns of A (inner dimension n)": (lambda A: (A, np.eye(A.shape[1])),),
        },
    ),
    "lem-wedderburn": Claim(
        check=reduces,
        code=wedderburn,
        cases=[
            (HAND, np.ones(4), np.ones(3)),
            (HAND, unit(4, 0), unit(3, 0)),
            (HAND, unit(4, 2), unit(3, 1)),
            (REVERSED, unit(3, 2), unit(3, 0)),
            (TALL, np.arange(1.0, 5), np.arange(1.0, 8)),
            (WIDE, np.arange(1.0, 9), np.array([1.0, 0, -1])),
            (np.outer([1.0, 2], [3.0, 4, 5]), np.ones(3), np.ones(2)),
        ],
        dropped={
            "yᵀAx is not 0": (np.eye(2), unit(2, 0), unit(2, 1)),
        },
        mutants={
            "not divided by the pivot": lambda A, x, y: A - np.outer(A @ x, y @ A),
            "yᵀx for yᵀAx": lambda A, x, y: A - np.outer(A @ x, y @ A) / (y[: x.size] @ x[: y.size]),
            "any outer product": lambda A, x, y: A - np.outer(y, x),
            "added, not subtracted": lambda A, x, y: A + np.outer(A @ x, y @ A) / (y @ A @ x),
            "a reflection: A − 2Axxᵀ/(xᵀx)": lambda A, x, y: A - 2 * np.outer(A @ x, x) / (x @ x),
        },
    ),
    "cor-rank-one-elimination": Claim(
        check=stops_after_rank_steps,
        code=eliminate,
        cases=[(A, seed) for A in MATRICES for seed in (0, 1)],
        dropped={},
        mutants={
            "rows not divided by the pivot": lambda A, seed: eliminate(A, seed, divide=False),
            "only the pivot's column is cleared": lambda A, seed: eliminate(A, seed, step=cross_only),
            "pivots on the diagonal only": lambda A, seed: diagonal_pivots(A),
        },
    ),
    "thm-rank-inequalities": Claim(
        check=inequalities,
        code=bounds,
        cases=[
            (F, H, H, {"product, lower"}),
            (F, -F, F, {"sum, lower", "product, upper"}),
            (F, np.diag([0.0, 0, 1]), H, {"sum, upper"}),
            (np.eye(3), F, H, {"keeps the rank of D"}),
            (np.eye(3), F - np.eye(3), REVERSED, {"sum, lower", "keeps the rank of D", "keeps the rank of A"}),
            (PROJECT, PROJECT, np.eye(3)[:, 1:], {"product, lower"}),
            (HAND, HAND[::-1], np.arange(8.0).reshape(4, 2), set()),
            (ZERO, HAND, np.zeros((4, 2)), {"sum, lower", "sum, upper", "product, upper"}),
            (TALL, 2 * TALL, np.eye(4), {"product, upper", "keeps the rank of A"}),
            (WIDE, WIDE, WIDE.T, {"product, upper"}),
        ],
        dropped={
            "A has independent columns": (F, F, np.diag([0.0, 0, 1]), {"keeps the rank of D"}),
            "D has independent rows": (np.diag([0.0, 0, 1]), F, F, {"keeps the rank of A"}),
        },
        mutants={
            "Sylvester with the rows of A for n": changed(product_lower=lambda a, b, d, m, n, q: a + d - m),
            "Sylvester with the columns of D for n": changed(product_lower=lambda a, b, d, m, n, q: a + d - q),
            "Sylvester without n": changed(product_lower=lambda a, b, d, m, n, q: a + d),
            "the larger rank for the smaller": changed(product_upper=lambda a, b, d, m, n, q: max(a, d)),
            "product of the ranks": changed(product_upper=lambda a, b, d, m, n, q: a * d),
            "the larger rank bounds the sum": changed(sum_upper=lambda a, b, d, m, n, q: max(a, b)),
            "a sum is never of lower rank": changed(sum_lower=lambda a, b, d, m, n, q: max(a, b)),
            "no lower bound for the sum": changed(sum_lower=lambda a, b, d, m, n, q: 0),
        },
    ),
    "thm-break-even": Claim(
        check=pays,
        code=FORMULAS,
        cases=[
            *[(3, 2, r) for r in range(3)],
            *[(6, 3, r) for r in range(4)],
            *[(8, 8, r) for r in (0, 3, 4, 5, 8)],
            (1, 9, 1),
            (427, 640, 256),
            (427, 640, 257),
            (128, 128, 64),
        ],
        dropped={"r is at most min(m, n)": (2, 5, 3)},
        mutants={
            "half of the smaller side": (FORMULAS[0], lambda m, n: min(m, n) / 2, *FORMULAS[2:]),
            "half of the geometric mean": (FORMULAS[0], lambda m, n: (m * n) ** 0.5 / 2, *FORMULAS[2:]),
            "scale factors stored too": (lambda m, n, r: r * (m + n + 1), *FORMULAS[1:]),
            "storage for degrees of freedom": (*FORMULAS[:2], FORMULAS[0], FORMULAS[3]),
            "even the rank that only breaks even pays": (*FORMULAS[:3], lambda m, n: m * n // (m + n)),
            "one scale for each piece, r(m+n-1)": (*FORMULAS[:2], lambda m, n, r: r * (m + n - 1), FORMULAS[3]),
        },
    ),
    "thm-rank-degrees-of-freedom": Claim(
        check=freedom,
        code=(linalg.degrees_of_freedom, JACOBIAN),
        cases=[
            factors(3, 2, 1, 0),
            factors(6, 5, 2, 1),
            factors(4, 7, 3, 2),
            factors(5, 5, 5, 3),
            factors(4, 6, 4, 4),
            factors(3, 3, 0, 5),
            (np.eye(4)[:, :2], np.eye(5)[1:3]),
        ],
        dropped={
            "C has rank r": (np.ones((4, 2)), factors(4, 5, 2, 6)[1]),
            "R has rank r": (factors(4, 5, 2, 6)[0], np.ones((2, 5))),
        },
        mutants={
            "storage r(m + n)": (costs.factor_parameters, JACOBIAN),
            "one scale for each piece: r(m + n - 1), right at r = 1": (lambda m, n, r: r * (m + n - 1), JACOBIAN),
            "σuvᵀ: r(m + n + 1)": (lambda m, n, r: r * (m + n + 1), JACOBIAN),
            "r² counted twice": (lambda m, n, r: r * (m + n - 2 * r), JACOBIAN),
            "the derivative column by column": (
                linalg.degrees_of_freedom,
                lambda C, R: np.hstack([np.kron(R.T, np.eye(len(C))), np.kron(np.eye(R.shape[1]), C)]),
            ),
        },
    ),
    "thm-rank-semicontinuity": Claim(
        check=semicontinuous,
        code=Adapted(lambda norm, block: 1 / norm(np.linalg.inv(block)), linalg.spectral_norm),
        cases=[
            (HAND, [0, 2], [0, 3], 0.999, gaussian(HAND, 1e-10, 0)),
            (HAND, [0], [0], 0.999, gaussian(HAND, 1e-6, 1)),
            (HAND.T, [0, 3], [0, 2], 0.999, gaussian(HAND.T, 1e-10, 2)),
            (D64, [0, 1], [0, 1], 0.999, gaussian(D64, 1e-8, 3)),
            (NEARLY, [0, 1], [0, 1], 0.999, gaussian(NEARLY, 1e-8, 4)),
            (TALL, [0], [int(np.abs(TALL[0]).argmax())], 0.999, gaussian(TALL, 1e-9, 5)),
        ],
        dropped={
            "the push is smaller than the radius": (D64, [0, 1], [0, 1], 1.0, gaussian(D64, 1e-8, 3)),
            "the noise has a density": (D64, [0, 1], [0, 1], 0.999, COINS),
        },
        mutants={
            "the norm of the block": linalg.spectral_norm,
            "the reciprocal of the largest entry of the inverse": lambda B: 1 / np.abs(np.linalg.inv(B)).max(),
            "the reciprocal of the inverse's Frobenius norm: safe, not sharp": lambda B: (
                1 / linalg.frobenius_norm(np.linalg.inv(B))
            ),
            "the determinant": lambda B: abs(np.linalg.det(B)),
        },
    ),
}


def derivative_of_triple(u, v, sigma):
    """The 6×6 derivative of (σ, u, v) → σuvᵀ at a 3×2 matrix."""
    m, n = u.size, v.size
    J = np.hstack([np.kron(np.eye(m), v[:, None]), np.kron(u[:, None], np.eye(n))])
    return np.hstack([np.outer(u, v).reshape(-1, 1), sigma * J])


EVEN, PIVOTS, ENTRY, DIRECTIONS = "even columns", "pivot columns", "largest entry", "directions"


@functools.cache
def pieces():
    """For two photographs and two numbers of pieces, the error in per cent that each way leaves."""
    photographs = {name: datasets.gray(datasets.load(name)) for name in ("china", "flower")}
    return {(name, k): definitions(2, "left_behind")(A, k) for name, A in photographs.items() for k in (10, 40)}


def directions_first(pieces):
    """On each picture the worst start beats even columns by a fifth; these, and the pivots' own, beat elimination."""
    return all(
        1.2 * max(ways[DIRECTIONS]) < min(ways[EVEN][0], ways[PIVOTS][0])
        and 1.2 * max(ways[EVEN][0], ways[PIVOTS][0]) < ways[ENTRY][0]
        for ways in pieces.values()
    )


def with_ways(pieces, key, **ways):
    return {**pieces, key: {**pieces[key], **{way.replace("_", " "): errors for way, errors in ways.items()}}}


NO_SETTING = "has no setting"
FLOWER = ("flower", 40)

OBSERVATIONS = {
    "obs-rank-pieces": Observation(
        measured=pieces,
        protocol=Protocol(
            baseline=EVEN,
            contenders=[
                Contender(EVEN, fixed=NO_SETTING),
                Contender(PIVOTS, fixed=NO_SETTING),
                Contender(ENTRY, fixed=NO_SETTING),
                Contender(DIRECTIONS, fixed="two rounds, as the chapter has them"),
            ],
            tested_on="two photographs, china and flower, 10 and 40 pieces",
            runs=5,
            interval="the range over five starts of the directions; the other ways have no chance in them",
        ),
        verdict=directions_first,
        numbers=lambda pieces: [
            f"{number:.1f}"
            for name in ("china", "flower")
            for ways in [pieces[name, 40]]
            for number in (max(ways[DIRECTIONS]), ways[ENTRY][0], ways[PIVOTS][0], ways[EVEN][0])
        ],
        sharp={
            "one start as bad as even columns": lambda pieces: with_ways(
                pieces, FLOWER, directions=[*pieces[FLOWER][DIRECTIONS][1:], pieces[FLOWER][EVEN][0]]
            ),
            "complete pivoting as good as even columns": lambda pieces: with_ways(
                pieces, FLOWER, largest_entry=pieces[FLOWER][EVEN]
            ),
            "the pivots' columns no better than elimination": lambda pieces: with_ways(
                pieces, FLOWER, pivot_columns=pieces[FLOWER][ENTRY]
            ),
            "even columns as good as directions": lambda pieces: with_ways(
                pieces, ("china", 10), even_columns=[max(pieces["china", 10][DIRECTIONS])]
            ),
        },
    ),
}


FOLKLORE = {
    10: Folklore(
        wrong="a rank-1 3×2 matrix has 6 parameters as σuvᵀ, 5 as AB",
        fails=lambda: 4 not in (1 + 3 + 2, costs.factor_parameters(3, 2, 1)),
        holds=lambda: (
            linalg.degrees_of_freedom(3, 2, 1)
            == rank(derivative_of_triple(np.array([2.0, 1, 2]), np.array([3.0, 1]), 2.0))
            == rank(derivative_of_triple(np.array([2.0, 1, 2]), np.array([3.0, 1]), 2.0)[:, 1:])
            == 4
        ),
    ),
    31: Folklore(
        wrong="rank < min(m, n) is low rank",
        fails=lambda: costs.factor_parameters(1000, 1000, 999) == 1_998_000 > 1000 * 1000,
        holds=lambda: (
            costs.factor_parameters(128, 128, 64) == 128 * 128
            and all(
                (costs.factor_parameters(m, n, r) < m * n) == (r < costs.break_even_rank(m, n))
                for m, n in [(128, 128), (30, 20), (6, 3)]
                for r in range(min(m, n) + 1)
            )
        ),
    ),
}
