"""The claims of chapter 3, Least squares and the pseudo-inverse."""

import functools
import pathlib
import re

import numpy as np
from scipy.linalg import invhilbert

from book import margins
from book.claims import Adapted, Claim, Folklore, rank
from book.definitions import definitions
from book.margins import above, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import linalg, results

EPS = np.finfo(float).eps
RNG = np.random.default_rng(33)
TALL, WIDE, SQUARE = RNG.standard_normal((7, 3)), RNG.standard_normal((3, 7)), RNG.standard_normal((5, 5))
DEFICIENT_TALL = RNG.standard_normal((8, 2)) @ RNG.standard_normal((2, 5))
DEFICIENT_WIDE = RNG.standard_normal((4, 2)) @ RNG.standard_normal((2, 6))
DUMMIES = np.hstack([np.eye(3)[[0, 0, 1, 1, 1, 2]], np.ones((6, 1))])
CORNER, ZERO, JORDAN = np.diag([1.0, 0.0]), np.zeros((4, 3)), np.array([[0.0, 1.0], [0.0, 0.0]])
FULL = [TALL, WIDE, SQUARE, np.eye(3), np.diag([3.0, 3.0, 1e-3]), np.array([[2.0]])]
MATRICES = [*FULL, DEFICIENT_TALL, DEFICIENT_WIDE, DUMMIES, CORNER, JORDAN, np.ones((4, 2)), ZERO]
PROBLEMS = [(A, np.random.default_rng(k).standard_normal((len(A), 2))) for k, A in enumerate(MATRICES)]
LINE = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([[2.0], [1.0], [6.0]])

fro, spec = linalg.frobenius_norm, linalg.spectral_norm
CUT = 1e-10  # far below the singular values of these matrices, far above what rounding makes of a 0


pinv = Adapted(lambda pinv, A: pinv(A, rtol=CUT), linalg.pinv)
lstsq = Adapted(lambda lstsq, A, M: lstsq(A, M, rtol=CUT), linalg.lstsq)


def plus(A):
    """numpy's pseudo-inverse, the oracle."""
    return np.linalg.pinv(A, rtol=CUT)


def close(X, Y, scale=1.0):
    """Equal in shape, and in value up to a modest multiple of eps · scale."""
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    return margins.close(X, Y, atol=200 * max(X.size, 1) * EPS * max(scale, 1e-300))


def survives(check):
    """A check that is False where the code raises, as wrong code may."""

    def checked(code, *case):
        try:
            return bool(check(code, *case))
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError):
            return False

    checked.__doc__ = check.__doc__
    return checked


def size(A):
    return max(np.linalg.norm(A, 2), 1e-300)


# --- thm-least-squares-gradient


def cost(A, B, M):
    return float(((A @ B - M) ** 2).sum())


@survives
def gradients(code, A, B, M):
    """Both gradients agree with exact differences, and the expansion in B holds with equality."""
    formula, differences = code
    by_A, by_B = formula(A, B, M)
    H = np.random.default_rng(7).standard_normal(B.shape)
    scale = 1 + (fro(A) + 1) ** 2 * (fro(B) + 1) ** 2 + fro(M) ** 2
    expansion = cost(A, B, M) + float((np.asarray(by_B) * H).sum()) + fro(A @ H) ** 2
    return (
        close(by_A, differences(lambda X: cost(X, B, M), A), scale)
        and close(by_B, differences(lambda X: cost(A, X, M), B), scale)
        and close(expansion, cost(A, B + H, M), 10 * scale)
    )


def gradient(A, B, M):
    E = A @ B - M
    return 2 * E @ B.T, 2 * A.T @ E


DIFFERENCES = definitions(3, "central_difference")

FACTORS = [
    (RNG.standard_normal((4, 2)), RNG.standard_normal((2, 3)), RNG.standard_normal((4, 3))),
    (RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3))),
    (LINE[0], np.zeros((2, 1)), LINE[1]),
    (np.zeros((3, 2)), np.zeros((2, 4)), np.ones((3, 4))),
    (np.array([[2.0]]), np.array([[3.0]]), np.array([[5.0]])),
]


# --- lem-gram-rank


@survives
def gram_rank(code, A):
    """The product has the rank and the null space of A, and is invertible exactly at full column rank."""
    G = code(A)
    null = np.eye(A.shape[1]) - plus(A) @ A
    return (
        G.shape == (A.shape[1],) * 2
        and rank(G) == rank(A)
        and close(G @ null, np.zeros(G.shape), size(A) ** 2)
        and (rank(G) == len(G)) == (rank(A) == A.shape[1])
    )


# --- thm-normal-equations


def residual_is_normal(A, B, M):
    scale = size(A) * (size(A) * fro(B) + fro(M))
    return close(A.T @ (A @ B - M), np.zeros(B.shape), scale)


@survives
def normal_equations(code, A, M, lowest=None):
    """code(A, M) solves them, is a global minimiser, and is unique exactly at full column rank."""
    B = np.asarray(code(A, M))
    if B.shape != (A.shape[1], M.shape[1]) or not residual_is_normal(A, B, M):
        return False
    best = fro(A @ np.linalg.lstsq(A, M, rcond=CUT)[0] - M) if lowest is None else lowest
    least = within(abs(fro(A @ B - M) - best), 1e-11 * (1 + fro(M)))
    null = np.eye(A.shape[1]) - plus(A) @ A  # accurate to eps times the condition number of A
    other = B + null @ np.ones(B.shape) + null @ np.eye(*B.shape)
    moved = not close(other, B, (1 + fro(B)) * (1 + size(A) * size(plus(A))))
    same_fit = close(A @ other, A @ B, size(A) * (1 + fro(other)))
    same_null = moved == (rank(A) < A.shape[1])
    nudged = B + 1e-3 * np.random.default_rng(5).standard_normal(B.shape)
    return least and same_fit and same_null and within(best - fro(A @ nudged - M), 1e-12 * (1 + fro(M)))


# --- thm-penrose-unique


def equations(A, X):
    """Which of Penrose's four equations hold."""
    P, Q, a, x = A @ X, X @ A, size(A), size(X)
    return [
        close(P @ A, A, a * a * x),
        close(Q @ X, X, a * x * x),
        close(P, P.T, a * x),
        close(Q, Q.T, a * x),
    ]


@survives
def penrose_claim(codes, A, X=None, which=(0, 1, 2, 3)):
    """Each code(A) satisfies all four; a given X that satisfies the equations named is code(A); they are told apart."""
    *ways, tells = codes
    return all([satisfies(code, tells, A, X, which) for code in ways])


def satisfies(code, tells, A, X, which):
    found = np.asarray(code(A))
    if found.shape != A.T.shape or not all(equations(A, found)) or tells(A, found) != [True] * 4:
        return False
    scale = size(found) ** 2 * size(A) + size(found)
    rules = close(code(found), A, size(A) ** 2 * size(found) + size(A)) and close(code(A.T.copy()), found.T, scale)
    if X is None:
        return rules
    held = equations(A, X)
    assert all(held[k] for k in which)  # the case is what it says it is
    return rules and tells(A, X) == held and close(X, found, scale)


from_factors = Adapted(
    lambda pinv, factor, A: pinv(*factor(A, rtol=CUT)), definitions(3, "pinv_from_factors"), linalg.rank_factorization
)
# the chapter's function says by how much each equation is missed; here 1e-8 is rounding, and more is a miss
TELLS = Adapted(
    lambda missed, A, X: [not above(miss, 1e-8 * (1 + size(A) * size(X)) ** 2) for miss in missed(A, X)],
    definitions(3, "penrose"),
)


def off(A, left, right):
    """A⁺ + L Z R with L and R among the four projectors: it misses exactly one of the equations."""
    X = plus(A)
    rows, columns = X @ A, A @ X
    Z = np.random.default_rng(9).standard_normal(A.T.shape)
    L = rows if left == "rows" else np.eye(len(rows)) - rows
    R = columns if right == "columns" else np.eye(len(columns)) - columns
    return X + L @ Z @ R


def left_inverse(A, M=None):
    if rank(A.T @ A) < A.shape[1]:  # said here, since rounding may let inv pass
        raise np.linalg.LinAlgError("AᵀA is singular")
    X = np.linalg.inv(A.T @ A) @ A.T
    return X if M is None else X @ M


# --- thm-projectors


@survives
def projectors(code, A):
    """Symmetric, idempotent, the right column spaces, complements the right null spaces, trace = rank."""
    both, leverages = code
    onto_columns, onto_rows = both(A)
    m, k = A.shape
    r = rank(A)
    if np.shape(onto_columns) != (m, m) or np.shape(onto_rows) != (k, k):
        return False
    condition = np.linalg.norm(A, 2) * np.linalg.norm(plus(A), 2) + 1
    if not close(leverages(A), np.diag(onto_columns), condition):
        return False
    for P, kept in ((onto_columns, A), (onto_rows, A.T)):
        complement = np.eye(len(P)) - P
        if not (close(P, P.T, condition) and close(P @ P, P, condition)):
            return False
        if not close(P @ kept, kept, condition * size(A)) or not close(np.trace(P), r, condition * len(P)):
            return False
        if not close(kept.T @ complement, np.zeros(kept.T.shape), condition * size(A)):
            return False
    return True


LEVERAGES = definitions(3, "leverages")


# --- thm-minimum-norm


def frobenius(B):
    return float(np.sqrt((B**2).sum()))


@survives
def minimum_norm(code, A, M, norm=frobenius, rival=None):
    """code(A, M) is a minimiser, no other is smaller, and the squared norms of the two parts add up."""
    B = np.asarray(code(A, M))
    if B.shape != (A.shape[1], M.shape[1]) or not residual_is_normal(A, B, M):
        return False
    null = np.eye(A.shape[1]) - plus(A) @ A
    rng = np.random.default_rng(11)
    others = [B + null @ rng.standard_normal(B.shape) for _ in range(5)] + ([] if rival is None else [rival])
    unit = (1 + frobenius(B)) ** 2
    for other in others:
        if not residual_is_normal(A, other, M) or not within(norm(B) - norm(other), 1e-10 * unit):
            return False
        if norm is frobenius and not close(norm(other) ** 2, norm(B) ** 2 + norm(other - B) ** 2, 100 * unit):
            return False
    return close(null @ B, np.zeros(B.shape), 10 * unit)


def basic_solution(A, M):
    """A minimiser that uses as few columns of A as possible."""
    chosen = []
    for j in range(A.shape[1]):
        if rank(A[:, [*chosen, j]]) > len(chosen):
            chosen.append(j)
    B = np.zeros((A.shape[1], M.shape[1]))
    if chosen:
        B[chosen] = np.linalg.lstsq(A[:, chosen], M, rcond=None)[0]
    return B


# --- thm-pinv-continuity


@survives
def continuity(code, A, path, claim):
    """Along path(t) → A as t → 0: "converges", or "jumps" with |(A+E)⁺| ≥ 1/|E|."""
    limit = code(A)
    changes, norms, sizes = [], [], []
    for t in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        found = code(path(t))
        changes.append(np.linalg.norm(found - limit, 2))
        norms.append(np.linalg.norm(found, 2))
        sizes.append(np.linalg.norm(path(t) - A, 2))
    if claim == "converges":
        small = 1e-4 * (1 + np.linalg.norm(limit, 2)) ** 2
        return within([changes[-1], changes[-1] - changes[0]], [small, 1e-12])
    return within(1 - np.array(norms) * sizes, 1e-6)


def same_rank(A, seed):
    C, R = linalg.rank_factorization(A, rtol=CUT)
    rng = np.random.default_rng(seed)
    dC, dR = rng.standard_normal(C.shape), rng.standard_normal(R.shape)
    return lambda t: (C + t * dC) @ (R + t * dR)


def higher_rank(A, seed):
    E = np.random.default_rng(seed).standard_normal(A.shape)
    return lambda t: A + t * E


# --- thm-condition-number


@survives
def condition(code, A):
    """The bounds hold on random errors, and the worst vectors meet the first one exactly."""
    rng = np.random.default_rng(13)
    U, s, Vt = np.linalg.svd(A)
    r = rank(A)
    pairs = [(rng.standard_normal((len(A), 2)), rng.standard_normal((len(A), 2))) for _ in range(20)]
    pairs += [(A @ Vt[:1].T + 50 * U[:, -1:], U[:, r - 1 : r])]  # a large residual (or an odd M), the worst error
    pairs += [(A @ Vt[:1].T, U[:, r - 1 : r])]
    X = plus(A)
    change = np.array([fro(X @ dM) / fro(X @ M) for M, dM in pairs])
    bound = code(A) * np.array([fro(dM) / fro(A @ X @ M) for M, dM in pairs])
    if not within(change - bound, 1e-9 * bound) or not margins.close(change[-1], bound[-1], rtol=1e-9):
        return False
    if A.shape == (r, r):
        M, dA = rng.standard_normal((r, 1)), 1e-3 * s[-1] * rng.standard_normal((r, r))
        exact, hat = np.linalg.solve(A, M), np.linalg.solve(A + dA, M)
        bound = code(A) * np.linalg.norm(dA, 2) / s[0] * fro(hat)
        return within(fro(hat - exact) - bound, 1e-9 * bound + 1e-12)
    return True


@survives
def condition_case(code, A, *perturbed):
    """condition(code, A), and on a given (dA, M) the second bound."""
    if not condition(code, A):
        return False
    if not perturbed:
        return True
    dA, M = perturbed
    exact, hat = plus(A) @ M, plus(A + dA) @ M
    bound = code(A) * np.linalg.norm(dA, 2) / np.linalg.norm(A, 2) * fro(hat)
    return within(fro(hat - exact) - bound, 1e-9 * bound)


kappa = Adapted(lambda norm, pinv, A: norm(A) * norm(pinv(A)), spec, pinv)


# --- thm-gram-condition


@survives
def gram_condition(code, A, other=None):
    """code(A) is the condition number of AᵀA; |AᵀA| = |A|² and (AᵀA)⁺ = A⁺(A⁺)ᵀ."""
    G = A.T @ A if other is None else other @ A
    gram_plus = np.linalg.pinv(G, rtol=1e-12)
    condition_number = np.linalg.norm(G, 2) * np.linalg.norm(gram_plus, 2)
    share = 1e3 * EPS * condition_number  # a rounding of G moves G⁺ by this times the condition of G
    return (
        margins.close(code(A), condition_number, rtol=share)
        and margins.close(np.linalg.norm(G, 2), np.linalg.norm(A, 2) ** 2, rtol=1e3 * EPS)
        and margins.close(gram_plus, plus(A) @ plus(A).T, atol=share * np.linalg.norm(gram_plus, 2))
    )


lauchli = definitions(3, "lauchli")


# --- thm-tikhonov


@survives
def tikhonov(code, A, M, lam):
    """The gradient of g vanishes, only there; the stacked and the dual form agree; the condition is bounded."""
    B = np.asarray(code(A, M, lam))
    m, k = A.shape
    if B.shape != (k, M.shape[1]):
        return False
    scale = (size(A) + 1) * (size(A) * fro(B) + fro(M)) + lam * fro(B)
    stationary = close(A.T @ (A @ B - M) + lam * B, np.zeros(B.shape), scale)
    unique = rank(A.T @ A + lam * np.eye(k)) == k
    stacked = np.vstack([A, np.sqrt(lam) * np.eye(k)])
    limit = np.sqrt(1 + np.linalg.norm(A, 2) ** 2 / lam)
    kappa_ok = within(np.linalg.cond(stacked) - limit, 1e-9 * limit)
    by_stack = np.linalg.lstsq(stacked, np.vstack([M, np.zeros((k, M.shape[1]))]), rcond=None)[0]
    dual = A.T @ np.linalg.solve(A @ A.T + lam * np.eye(m), M)
    rel = 1e-9 * (1 + fro(B))
    return (
        stationary
        and unique
        and kappa_ok
        and within(fro(B - by_stack), rel)
        and within(fro(B - dual), rel * (1 + size(A) ** 2 / lam))
    )


def stacked_with(block):
    def code(A, M, lam):
        k = A.shape[1]
        stacked = np.vstack([A, block(lam) * np.eye(k)])
        return lstsq(stacked, np.vstack([M, np.zeros((k, M.shape[1]))]))

    return code


CLAIMS = {
    "thm-least-squares-gradient": Claim(
        check=gradients,
        code=(gradient, DIFFERENCES),
        cases=FACTORS,
        dropped={},
        mutants={
            "without the 2": (lambda A, B, M: tuple(G / 2 for G in gradient(A, B, M)), DIFFERENCES),
            "the residual with the other sign": (lambda A, B, M: tuple(-G for G in gradient(A, B, M)), DIFFERENCES),
            "Bᵀ and Aᵀ swapped": (lambda A, B, M: gradient(A, B, M)[::-1], DIFFERENCES),
            "A for Aᵀ (passes where A is symmetric)": (
                lambda A, B, M: (
                    gradient(A, B, M)[0],
                    2 * (A if A.shape[0] == A.shape[1] else A.T) @ (A @ B - M),
                ),
                DIFFERENCES,
            ),
            "differences over a step, not over two": (gradient, lambda g, X: 2 * DIFFERENCES(g, X)),
        },
    ),
    "lem-gram-rank": Claim(
        check=gram_rank,
        code=lambda A: A.T @ A,
        cases=[(A,) for A in MATRICES if rank(A) < min(A.shape) or np.linalg.cond(A) < 1e3],
        dropped={},
        mutants={
            "A A for AᵀA (the nilpotent matrix has square 0)": lambda A: A @ A if A.shape[0] == A.shape[1] else A.T @ A,
            "A Aᵀ for AᵀA": lambda A: A @ A.T,
            "AᵀDA with an indefinite D": lambda A: A.T @ np.diag([1.0, *[-1.0] * (len(A) - 1)]) @ A,
        },
    ),
    "thm-normal-equations": Claim(
        check=normal_equations,
        code=lstsq,
        cases=[*PROBLEMS, LINE, (TALL, TALL @ np.ones((3, 1))), (TALL, np.zeros((7, 1)))],
        dropped={
            "A is given: stationary in both factors is not a minimum over both": (
                np.zeros((2, 1)),
                np.eye(2),
                1.0,  # what the best A of one column attains
            )
        },
        mutants={
            "(AᵀA)⁻¹Aᵀ M, which needs full column rank": lambda A, M: left_inverse(A, M),
            "Aᵀ M": lambda A, M: A.T @ M,
            "a small penalty": lambda A, M: linalg.tikhonov(A, M, 1e-6),
            "zero": lambda A, M: np.zeros((A.shape[1], M.shape[1])),
            "the solution with the other sign": lambda A, M: -lstsq(A, M),
        },
    ),
    "thm-penrose-unique": Claim(
        check=penrose_claim,
        code=(pinv, from_factors, TELLS),
        cases=[
            *[(A,) for A in MATRICES],
            (DEFICIENT_TALL, from_factors(DEFICIENT_TALL)),
            (DEFICIENT_WIDE, from_factors(DEFICIENT_WIDE)),
            (TALL, left_inverse(TALL)),
            (WIDE, left_inverse(WIDE.T).T),
            (SQUARE, np.linalg.inv(SQUARE)),
            (ZERO, np.zeros((3, 4))),
        ],
        dropped={
            "(P1)": (DEFICIENT_TALL, np.zeros(DEFICIENT_TALL.T.shape), (1, 2, 3)),
            "(P2)": (DEFICIENT_TALL, off(DEFICIENT_TALL, "null", "rest"), (0, 2, 3)),
            "(P3)": (DEFICIENT_TALL, off(DEFICIENT_TALL, "rows", "rest"), (0, 1, 3)),
            "(P4)": (DEFICIENT_TALL, off(DEFICIENT_TALL, "null", "columns"), (0, 1, 2)),
            "(P4), on a 2×4 matrix of full rank": (
                WIDE[:2, :4].copy(),
                off(WIDE[:2, :4], "null", "columns"),
                (0, 1, 2),
            ),
        },
        mutants={
            "(AᵀA)⁻¹Aᵀ": (left_inverse, TELLS),
            "the transpose": (lambda A: A.T, TELLS),
            "A⁺ + (I − A⁺A)Z: three of four": (lambda A: off(A, "null", "columns"), TELLS),
            "A⁺ + (I − A⁺A)Z(I − AA⁺): three of four": (lambda A: off(A, "null", "rest"), TELLS),
            "A⁺ + A⁺AZ(I − AA⁺): three of four": (lambda A: off(A, "rows", "rest"), TELLS),
            "zero: three of four": (lambda A: np.zeros(A.T.shape), TELLS),
            "the inverse Gram matrices swapped": (
                lambda A: (lambda C, R: R.T @ np.linalg.inv(C.T @ C) @ np.linalg.inv(R @ R.T) @ C.T)(
                    *linalg.rank_factorization(A, rtol=CUT)
                ),
                TELLS,
            ),
            "the reciprocal of each entry": (
                lambda A: np.where(A.T == 0, 0.0, 1 / np.where(A.T == 0, 1.0, A.T)),
                TELLS,
            ),
            "the third equation for the fourth": (pinv, lambda A, X: [*TELLS(A, X)[:3], TELLS(A, X)[2] and X.size < 9]),
        },
    ),
    "thm-projectors": Claim(
        check=projectors,
        code=(Adapted(lambda pinv, A: (A @ pinv(A), pinv(A) @ A), pinv), LEVERAGES),
        cases=[(A,) for A in MATRICES],
        dropped={},
        mutants={
            "A(AᵀA)⁻¹Aᵀ": (lambda A: (A @ left_inverse(A), left_inverse(A) @ A), LEVERAGES),
            "AA⁺ and A⁺A swapped": (lambda A: (pinv(A) @ A, A @ pinv(A)), LEVERAGES),
            "AAᵀ and AᵀA": (lambda A: (A @ A.T, A.T @ A), LEVERAGES),
            "a matrix with (P1) only: oblique": (
                lambda A: (A @ off(A, "rows", "rest"), off(A, "null", "columns") @ A),
                LEVERAGES,
            ),
            "identities": (lambda A: (np.eye(len(A)), np.eye(A.shape[1])), LEVERAGES),
            "the complements": (
                lambda A: (np.eye(len(A)) - A @ pinv(A), np.eye(A.shape[1]) - pinv(A) @ A),
                LEVERAGES,
            ),
            "leverages of the columns": (
                lambda A: (A @ pinv(A), pinv(A) @ A),
                lambda A: np.diag(pinv(A) @ A)[np.arange(len(A)) % A.shape[1]],
            ),
        },
    ),
    "thm-minimum-norm": Claim(
        check=minimum_norm,
        code=Adapted(lambda pinv, A, M: pinv(A) @ M, pinv),
        cases=[*PROBLEMS, LINE, *[(A, np.eye(len(A))) for A in (TALL, WIDE, DEFICIENT_TALL, CORNER, ZERO)]],
        dropped={
            "the Frobenius norm, for the sum of absolute entries": (
                np.array([[1.0, 2.0]]),
                np.array([[5.0]]),
                lambda B: float(np.abs(B).sum()),
                np.array([[0.0], [2.5]]),
            ),
            "the Frobenius norm, for the largest entry": (
                np.array([[1.0, 2.0]]),
                np.array([[5.0]]),
                lambda B: float(np.abs(B).max()),
                np.full((2, 1), 5 / 3),
            ),
            "among the minimisers": (TALL, np.ones((7, 1)), frobenius, np.zeros((3, 1))),
        },
        mutants={
            "a solution with as few columns as possible": basic_solution,
            "(AᵀA)⁻¹AᵀM": left_inverse,
            "A⁺ itself, whatever M": lambda A, M: pinv(A),
            "a minimiser with a part in the null space": lambda A, M: (
                pinv(A) @ M + (np.eye(A.shape[1]) - pinv(A) @ A) @ np.ones((A.shape[1], M.shape[1]))
            ),
            "Tikhonov with a small penalty": lambda A, M: linalg.tikhonov(A, M, 1e-4),
        },
    ),
    "thm-pinv-continuity": Claim(
        check=continuity,
        code=Adapted(lambda pinv, A: pinv(A, rtol=1e-12), linalg.pinv),
        cases=[
            (CORNER, lambda t: np.array([[1.0, t], [t, t * t]]), "converges"),
            (DEFICIENT_TALL, same_rank(DEFICIENT_TALL, 1), "converges"),
            (DEFICIENT_WIDE, same_rank(DEFICIENT_WIDE, 2), "converges"),
            (TALL, higher_rank(TALL, 3), "converges"),  # full rank stays full
            (WIDE, higher_rank(WIDE, 4), "converges"),
            (ZERO, lambda t: ZERO, "converges"),
            (CORNER, lambda t: np.diag([1.0, t]), "jumps"),
            (DEFICIENT_TALL, higher_rank(DEFICIENT_TALL, 5), "jumps"),
            (DUMMIES, higher_rank(DUMMIES, 6), "jumps"),
            (ZERO, lambda t: np.eye(4, 3) * t, "jumps"),
        ],
        dropped={
            "the rank is constant: diag(1, ε)": (CORNER, lambda t: np.diag([1.0, t]), "converges"),
            "the rank is constant: dummy columns with noise": (DUMMIES, higher_rank(DUMMIES, 6), "converges"),
            "the rank rises": (CORNER, lambda t: np.array([[1.0, t], [t, t * t]]), "jumps"),
        },
        mutants={
            "a large tolerance hides the jump": lambda A: np.linalg.pinv(A, rtol=1e-2),
            "a penalty makes it continuous": lambda A: linalg.tikhonov(A, np.eye(len(A)), 1e-3),
            "the transpose": lambda A: A.T,
        },
    ),
    "thm-condition-number": Claim(
        check=condition_case,
        code=kappa,
        cases=[
            *[(A,) for A in MATRICES if A.any()],
            (np.diag([1.0, 1e-3]), np.diag([0.0, 1e-6]), np.array([[0.0], [1e-3]])),
            (SQUARE, 0.01 * np.eye(5), np.ones((5, 1))),
        ],
        dropped={
            "A is invertible, in the second bound": (CORNER, np.diag([0.0, 1e-3]), np.array([[1.0], [1e-3]])),
        },
        mutants={
            "Frobenius norms: true, but never attained from rank 2 on": lambda A: fro(A) * fro(pinv(A)),
            "the square": lambda A: kappa(A) ** 2,
            "the root": lambda A: kappa(A) ** 0.5,
            "one norm forgotten": lambda A: spec(pinv(A)),
            "largest over smallest nonzero entry": lambda A: np.abs(A).max() / np.abs(A[A != 0]).min(),
            "largest over smallest column": lambda A: (
                np.linalg.norm(A, axis=0).max() / max(np.linalg.norm(A, axis=0).min(), 1e-300)
            ),
        },
    ),
    "thm-gram-condition": Claim(
        check=gram_condition,
        code=Adapted(lambda kappa, A: kappa(A) ** 2, kappa),
        cases=[*[(A,) for A in MATRICES if A.any()], (lauchli(1e-1),), (lauchli(1e-2),), (lauchli(1e-3),)],
        dropped={
            "the transpose: AA for AᵀA": (np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])),
            "the same A: BᵀA": (TALL, WIDE[:, :7]),
        },
        mutants={
            "not squared": kappa,
            "doubled": lambda A: 2 * kappa(A),
            "Frobenius norms": lambda A: (fro(A) * fro(pinv(A))) ** 2,
            "the number of rows comes in": lambda A: kappa(A) ** 2 * len(A),
        },
    ),
    "thm-tikhonov": Claim(
        check=tikhonov,
        code=linalg.tikhonov,
        cases=[(A, M, lam) for A, M in PROBLEMS for lam in (0.5, 3.0)] + [(*LINE, 2.0), (TALL, TALL[:, :1], 1e-3)],
        dropped={
            "λ > 0: with λ = 0 nothing is unique": (CORNER, np.ones((2, 1)), 0.0),
            "λ > 0: a negative one": (np.eye(2), np.ones((2, 1)), -1.0),
        },
        mutants={
            "λ for √λ in the stacked matrix": stacked_with(lambda lam: lam),
            "2λ": lambda A, M, lam: linalg.tikhonov(A, M, 2 * lam),
            "λ averaged over the rows": lambda A, M, lam: linalg.tikhonov(A, M, lam * len(A)),
            "no penalty": lambda A, M, lam: lstsq(A, M),
            "the least solution, shrunk": lambda A, M, lam: lstsq(A, M) / (1 + lam),
        },
    ),
}


# --- what was measured

RAW, CENTRED, STANDARDISED = "raw", "centred", "standardised"
LEVEL = "level alone"
PATIENTS = 442


@functools.cache
def units():
    """R² of the chapter's four ways on three tables, for all patients and for ten random halves of them."""
    explained = definitions(3, "explained")
    halves = [np.random.default_rng(k).permutation(PATIENTS)[: PATIENTS // 2] for k in range(10)]
    return [explained(rows) for rows in (np.arange(PATIENTS), *halves)]


def only_plain_steps_mind_the_units(runs):
    """Standardised steps arrive and raw ones do not, however long; centred ones are worse than the level; LSQR is."""
    return all(
        best - run[STANDARDISED][0] < 1e-3
        and best - run[RAW][1] > 0.05
        and best - run[RAW][0] > 0.05
        and run[CENTRED][0] < run[LEVEL][0] < run[RAW][0]
        and all(best - run[name][2] < 1e-3 for name in (RAW, CENTRED, STANDARDISED))
        for run in runs
        for best in [run[RAW][3]]
    )


def one_run(runs, k, **rows):
    return [
        {**run, **{name: change(run) for name, change in rows.items()}} if i == k else run for i, run in enumerate(runs)
    ]


NORMAL, UNIT, ONCE, TWICE = "normal equations", "columns of length 1", "corrected once", "corrected twice"
THRICE, QR, LSTSQ = "corrected three times", "QR", "lstsq, defaults"


def stored_digits():
    """By the number of unknowns, the residual and the power of κ, the right digits of each contender, seed by seed."""
    cases = results.load("normal_equations")["cases"]
    return {(case["shape"][1], case["residual"], case["power"]): case["digits"] for case in cases}


def behind(digits):
    """Where κ ≤ 10⁶, how many digits two corrections are behind QR, seed by seed."""
    return [
        [q - twice for twice, q in zip(right[TWICE], right[QR], strict=True)]
        for (_, _, power), right in digits.items()
        if power <= 6
    ]


def two_corrections_are_enough(digits):
    """To κ = 10⁶ they are near QR by the median; without them digits are lost; at 10⁸ they fail; one is too few."""
    near = max(map(np.median, behind(digits))) < 0.5
    lost = all(
        np.median(digits[20, rho, 6][QR]) - np.median(digits[20, rho, 6][NORMAL]) > 1 for rho in (0.0, 1e-3, 1.0)
    )
    scaling = all(abs(np.median(right[UNIT]) - np.median(right[NORMAL])) < 0.5 for right in digits.values())
    short = np.median(digits[20, 0.0, 8][QR]) - np.median(digits[20, 0.0, 8][TWICE]) > 3
    once = np.median(digits[20, 0.0, 6][QR]) - np.median(digits[20, 0.0, 6][ONCE]) > 1
    return near and lost and scaling and short and once


def with_digits(digits, case, **right):
    return {**digits, case: {**digits[case], **right}}


NO_SETTING = "has no setting"

OBSERVATIONS = {
    "obs-pseudoinverse-units": Observation(
        measured=units,
        protocol=Protocol(
            baseline=LEVEL,
            contenders=[
                Contender(LEVEL, fixed=NO_SETTING),
                *(
                    Contender(f"{name}, {way}", fixed=fixed)
                    for name in (RAW, CENTRED, STANDARDISED)
                    for way, fixed in {
                        "steps 1/|A|²": "the step that is promised to converge",
                        "steps 1.9/|A|²": "a step near the longest that converges",
                        "LSQR": NO_SETTING,
                    }.items()
                ),
            ],
            tested_on="the diabetes table and ten random halves of its patients, at their own least squares",
            runs=10,
            interval="the range over the halves",
        ),
        verdict=only_plain_steps_mind_the_units,
        numbers=lambda runs: [
            f"{runs[0][RAW][0]:.3f}",
            f"{runs[0][RAW][1]:.3f}",
            f"{runs[0][STANDARDISED][0]:.3f}",
            f"{runs[0][CENTRED][0]:.3f}",
        ],
        sharp={
            "raw columns arrive on one half": lambda runs: one_run(
                runs, 3, raw=lambda run: [run[RAW][3], run[RAW][3], *run[RAW][2:]]
            ),
            "long steps arrive on the raw columns": lambda runs: one_run(
                runs, 0, raw=lambda run: [run[RAW][0], run[RAW][3], *run[RAW][2:]]
            ),
            "LSQR minds the units too": lambda runs: one_run(
                runs, 5, raw=lambda run: [*run[RAW][:2], run[RAW][0], run[RAW][3]]
            ),
            "standardised columns fall short": lambda runs: one_run(
                runs, 1, standardised=lambda run: [0.9 * run[STANDARDISED][0], *run[STANDARDISED][1:]]
            ),
            "centred columns beat the level": lambda runs: one_run(
                runs, 0, centred=lambda run: [0.1, *run[CENTRED][1:]]
            ),
        },
    ),
    "obs-pseudoinverse-corrected": Observation(
        measured=stored_digits,
        protocol=Protocol(
            baseline=NORMAL,
            contenders=[
                Contender(NORMAL, fixed=NO_SETTING),
                Contender(UNIT, fixed=NO_SETTING),
                Contender(TWICE, fixed="one, two and three corrections are all in the box"),
                Contender(QR, fixed=NO_SETTING),
                Contender(LSTSQ),
            ],
            tested_on="random systems of three shapes, up to five condition numbers, three residuals",
            runs=20,
            interval="paired over twenty seeds: the median and the largest of the differences",
        ),
        verdict=two_corrections_are_enough,
        numbers=lambda digits: [
            *(f"{np.median(digits[20, 0.0, 6][name]):.1f}" for name in (NORMAL, QR, TWICE, ONCE, UNIT)),
            *(f"{np.median(digits[20, 0.0, 8][name]):.1f}" for name in (NORMAL, QR, TWICE)),
            *(f"{np.median(digits[20, 1.0, 6][name]):.1f}" for name in (NORMAL, QR, TWICE)),
            *(f"{np.median(digits[20, 0.0, 7][name]):.1f}" for name in (THRICE, QR)),
            f"{max(map(np.median, behind(digits))):.1f}",
            f"{max(map(max, behind(digits))):.1f}",
        ],
        sharp={
            "QR better by more than half a digit for one shape and residual": lambda digits: with_digits(
                digits, (5, 1e-3, 4), **{TWICE: [q - 0.6 for q in digits[5, 1e-3, 4][QR]]}
            ),
            "no better than without corrections": lambda digits: with_digits(
                digits, (20, 0.0, 6), **{TWICE: digits[20, 0.0, 6][NORMAL]}
            ),
            "the normal equations as good as QR": lambda digits: with_digits(
                digits, (20, 0.0, 6), **{NORMAL: digits[20, 0.0, 6][QR]}
            ),
            "scaled columns as good as QR": lambda digits: with_digits(
                digits, (20, 0.0, 6), **{UNIT: digits[20, 0.0, 6][QR]}
            ),
            "one correction as good as two": lambda digits: with_digits(
                digits, (20, 0.0, 6), **{ONCE: digits[20, 0.0, 6][TWICE]}
            ),
            "no limit at 10⁸": lambda digits: with_digits(digits, (20, 0.0, 8), **{TWICE: digits[20, 0.0, 8][QR]}),
        },
    ),
}


def scalar_argmin_is_not_the_pseudo_inverse():
    A, M = np.array([[2.0]]), np.array([[6.0]])
    return not close(lstsq(A, M), pinv(A)) and close(A @ lstsq(A, M), M, 6)


def penrose_entry():
    """The entry of Penrose's paper in the bibliography."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "references.bib").read_text(encoding="utf-8")
    entry = re.search(r"@article\{penrose1955generalized,.*?\n", text)
    return dict(re.findall(r"(\w+) = \{([^{}]*)\}", entry[0])) if entry else {}


def hilbert_solved():
    """Backward and forward error of numpy's solver on the Hilbert system of size 12, and of exact arithmetic."""
    H, b = definitions(3, "hilbert_system")(12)
    x, exact = np.linalg.solve(H, b), definitions(3, "solve_exactly")(H, b)
    backward = np.linalg.norm(H @ x - b) / (np.linalg.norm(H, 2) * np.linalg.norm(x))
    return backward, abs(x - 1).max(), abs(exact - 1).max()


def hilbert_condition_explains_it():
    condition_number = spec(definitions(3, "hilbert_system")(12)[0]) * spec(invhilbert(12))
    backward, _, of_exact_arithmetic = hilbert_solved()
    return backward_stable(backward) and condition_number > 1e16 and bool(above(of_exact_arithmetic, 1e-2))


def backward_stable(error):
    return within(error, 10 * 12 * EPS)


FOLKLORE = {
    3: Folklore(
        wrong="the pseudo-inverse is argmin_B |AB − M|, and A⁻¹M the inverse of A",
        fails=scalar_argmin_is_not_the_pseudo_inverse,
        holds=lambda: all(minimum_norm(lambda A, M: pinv(A) @ M, *case) for case in PROBLEMS),
    ),
    4: Folklore(
        wrong="Penrose's paper is of 1954",
        fails=lambda: penrose_entry().get("year") != "1954",
        holds=lambda: (
            penrose_entry().get("year") == "1955"
            and penrose_entry().get("volume") == "51"
            and penrose_entry().get("pages") == "406--413"
        ),
    ),
    16: Folklore(
        wrong="a large condition number means that the algorithm is unstable",
        fails=lambda: bool(above(hilbert_solved()[1], 1e-3)) and backward_stable(hilbert_solved()[0]),
        holds=hilbert_condition_explains_it,
    ),
}
