"""The claims of chapter 4, Factorisations and their jobs."""

import functools
import operator

import numpy as np

from book import margins
from book.claims import Adapted, Claim, Folklore, each, rank
from book.definitions import definitions
from book.margins import above, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, linalg

EPS = np.finfo(float).eps
RNG = np.random.default_rng(40)
A32 = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
TALL, WIDE, SQUARE = RNG.standard_normal((7, 3)), RNG.standard_normal((3, 7)), RNG.standard_normal((6, 6))
SYMMETRIC = SQUARE + SQUARE.T
SPD = SQUARE @ SQUARE.T + np.eye(6)
RANK_TWO = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 5))
PSD_RANK_TWO = RANK_TWO @ RANK_TWO.T
LAUCHLI = np.vstack([np.ones(3), 1e-8 * np.eye(3)])
SWAP, SHEAR, TURN = np.eye(2)[::-1].copy(), np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0, -1.0], [1.0, 0.0]])
TILTED = np.array([[2.0, -1.0], [1.0, 2.0]])
KARATE = datasets.load("karate").adjacency


def close(X, Y, scale=1.0):
    """Equal up to rounding, of matrices whose size is about the scale."""
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    return X.shape == Y.shape and margins.close(X, Y, atol=200 * EPS * max((1, *X.shape)) * max(1.0, scale))


def size(A):
    return float(np.linalg.norm(A, 2))


def orthonormal(Q):
    return close(Q.T @ Q, np.eye(Q.shape[1]))


def refuses(code, *arguments):
    """Whether the code raises what numerical code raises."""
    try:
        code(*arguments)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        return True
    return False


# Schur complement


complement = definitions(4, "schur_complement")


def form_is(A, low):
    """Whether xᵀAx > 0 for all x ≠ 0 (low > 0), or ≥ 0 for all x (low = 0)."""
    least = float(np.linalg.eigvalsh((A + A.T) / 2)[0])
    return bool(above(least, 1e-10)) if low else within(-least, 1e-10)


def schur(code, A, k, parts):
    """The parts of the claim that are asked for: rank, determinant, definite, semidefinite."""
    try:
        S, corner = code(A, k), A[:k, :k]
    except ValueError:  # shapes do not fit, or there is no inverse
        return False
    if S.shape != (A.shape[0] - k, A.shape[1] - k):
        return False
    largest = np.prod(np.linalg.norm(A, axis=1))  # Hadamard: no determinant of such rows is larger
    holds = {
        "rank": lambda: rank(A) == k + rank(S, size=size(A)),
        "determinant": lambda: within(
            abs(np.linalg.det(A) - np.linalg.det(corner) * np.linalg.det(S)), 1e3 * EPS * len(A) * largest
        ),
        "definite": lambda: form_is(A, 1) == (form_is(corner, 1) and form_is(S, 1)),
        "semidefinite": lambda: form_is(A, 0) == form_is(S, 0),
    }
    return all(holds[part]() for part in parts)


GENERAL, DEFINITE = ("rank", "determinant"), ("rank", "determinant", "definite")
ALL = (*DEFINITE, "semidefinite")


# LU


lu_without_pivot = definitions(4, "lu_without_pivot")


def lu_signed_pivot(A):
    U, L, perm = A.copy(), np.zeros_like(A), np.arange(len(A))
    for k in range(len(A)):
        i = k + int(np.argmax(U[k:, k]))
        for X in (U, L, perm):
            X[[k, i]] = X[[i, k]]
        L[k, k] = 1
        if U[k, k]:
            L[k + 1 :, k] = U[k + 1 :, k] / U[k, k]
            U[k + 1 :] -= np.outer(L[k + 1 :, k], U[k])
    return perm, L, np.triu(U)


def lu_inverse_permutation(A):
    perm, L, U = linalg.lu(A)
    return np.argsort(perm), L, U


def unit_lower(L):
    return bool((np.triu(L, 1) == 0).all() and (np.diag(L) == 1).all())


def lu_claim(code, A, known=None, invertible=False):
    """PA = LU with entries of L at most 1; A = LU is the known factorisation; no minor of an invertible LU is 0."""
    *pivoted, plain = code
    for factor in pivoted:
        perm, L, U = factor(A)
        if not (sorted(perm) == list(range(len(A))) and unit_lower(L) and (np.tril(U, -1) == 0).all()):
            return False
        if not (np.isfinite(L).all() and np.abs(L).max() <= 1 and close(A[perm], L @ U, 10 * size(A))):
            return False
    if known is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            L, U = plain(A)
        if not (unit_lower(L) and close(L, known[0], 100 * size(A)) and close(U, known[1], 100 * size(A))):
            return False
    if invertible:
        minors = [np.linalg.det(A[:k, :k]) for k in range(1, len(A) + 1)]
        return bool(above(np.abs(minors), 1e-10).all())
    return True


def known_lu(n, seed, last=1.0):
    rng = np.random.default_rng(seed)
    L = np.tril(rng.uniform(-2, 2, (n, n)), -1) + np.eye(n)
    U = np.triu(rng.uniform(-1, 1, (n, n)), 1) + np.diag(rng.uniform(1, 2, n))
    U[-1, -1] *= last
    return L @ U, (L, U)


# Cholesky


def of_a_symmetric_matrix(cholesky, A):
    """The chapter's code reads the lower triangle alone, so that A is symmetric has to be asked apart."""
    L = cholesky(A)
    if not close(A, A.T, size(A)):
        raise ValueError("not symmetric")
    return L


def cholesky_claim(code, A, spd, known=None):
    """L exists and is the known one if A is symmetric positive definite; otherwise there is none."""
    if not spd:
        return refuses(code, A)
    if refuses(code, A):
        return False
    L = code(A)
    good = (np.triu(L, 1) == 0).all() and (np.diag(L) > 0).all() and close(L @ L.T, A, size(A))
    return bool(good and (known is None or close(L, known, 100 * size(A))))


def known_cholesky(n, seed):
    rng = np.random.default_rng(seed)
    L = np.tril(rng.uniform(-1, 1, (n, n)), -1) + np.diag(rng.uniform(1, 2, n))
    return L @ L.T, True, L


def cholesky_without_root(A):
    L, A = np.zeros_like(A), A.copy()
    for k in range(len(A)):
        if A[k, k] <= 0:
            raise ValueError("pivot")
        L[k:, k] = A[k:, k] / A[k, k]
        A[k:, k:] -= np.outer(L[k:, k], A[k, k:])
    return L


def symmetric_root(A):
    lam, Q = np.linalg.eigh(A)
    if not close(A, A.T, size(A)) or not above(lam[0], 1e-12):
        raise ValueError("not positive definite")
    return (Q * np.sqrt(lam)) @ Q.T


# QR


def classical_qr(A):
    Q = definitions(4, "gram_schmidt")(A[:, : min(A.shape)])
    return Q, np.triu(Q.T @ A)


def qr_claim(code, A, known=None):
    """Orthonormal columns, upper triangular with non-negative diagonal, product A; and the known pair if given."""
    Q, R = code(A)
    p = min(A.shape)
    if Q.shape != (A.shape[0], p) or R.shape != (p, A.shape[1]):
        return False
    good = orthonormal(Q) and (np.tril(R, -1) == 0).all() and (np.diag(R) >= 0).all() and close(Q @ R, A, size(A))
    if known is None:
        return bool(good)
    positive = (np.diag(R) > 0).all()
    return bool(good and positive and close(Q, known[0], 100) and close(R, known[1], 100 * size(A)))


def transposed_q(A):
    Q, R = linalg.householder_qr(A)
    return (Q.T if Q.shape[0] == Q.shape[1] else Q), R


def by_cholesky(A):
    R = np.linalg.cholesky(A.T @ A).T
    return A @ np.linalg.inv(R), R


# Jacobi


def one_rotation(jacobi, A, p, q):
    """The rotation that the chapter's code makes of the four entries, as it reads them above the diagonal."""
    J = np.eye(len(A))
    J[np.ix_([p, q], [p, q])] = jacobi(np.array([[A[p, p], A[p, q]], [A[p, q], A[q, q]]]))[1]
    return J


rotation = Adapted(one_rotation, definitions(4, "jacobi_eigh"))


def in_plane(n, p, q, angle):
    J = np.eye(n)
    J[[p, q], [p, q]] = np.cos(angle)
    J[p, q], J[q, p] = np.sin(angle), -np.sin(angle)
    return J


def off_squared(A):
    return float((A**2).sum() - (np.diag(A) ** 2).sum())


def jacobi_claim(code, A, pick=np.argmax):
    """A rotation takes 2 a_pq² from off², and with the largest entry off² shrinks as claimed."""
    n, first = len(A), off_squared(A)
    slack = 1e-13 * max(1.0, float((A**2).sum()))
    for k in range(1, 3 * n * n):
        upper = np.abs(np.triu(A, 1))
        if not upper.any():
            return True
        entries = upper if pick is np.argmax else np.where(upper > 0, upper, np.inf)
        p, q = np.unravel_index(pick(entries), A.shape)
        J = code(A, p, q)
        B = J.T @ A @ J
        taken = abs(off_squared(B) - off_squared(A) + 2 * A[p, q] ** 2)
        too_slow = off_squared(B) - (1 - 2 / (n * (n - 1))) ** k * first
        if not (orthonormal(J) and within([abs(B[p, q]), taken, too_slow], slack)):
            return False
        A = B
    return within(np.abs(np.triu(A, 1)), 1e-9 * max(1.0, np.abs(A).max()))


# Spectral theorem


# of the symmetric part, since Jacobi's method need not end on another matrix
eigen = Adapted(lambda jacobi, A: jacobi((A + A.T) / 2)[:2], definitions(4, "jacobi_eigh"))


def spectral_claim(code, A):
    """A = QΛQᵀ with orthogonal Q, and Λ holds the roots of the characteristic polynomial."""
    lam, Q = code(A)
    same = close(np.sort(lam), np.linalg.eigvalsh(A), 10 * size(A)) if close(A, A.T, size(A)) else True
    return bool(orthonormal(Q) and close((Q * lam) @ Q.T, A, 10 * size(A)) and same)


# Diagonalisable matrices


diagonalise = definitions(4, "diagonalise")


def diagonalisable_claim(code, A, diagonalisable=True):
    """A = VΛV⁻¹ and Aᵏ = VΛᵏV⁻¹ where there are n independent eigenvectors; otherwise the code finds none."""
    if not diagonalisable:
        return refuses(code, A)
    if refuses(code, A):
        return False
    lam, V = code(A)
    if not within(np.linalg.cond(V), 1e12):
        return False

    def power(k):
        return (V * np.asarray(lam) ** k) @ np.linalg.inv(V)

    slack = 1e-9 * np.linalg.cond(V) * max(1.0, size(A)) ** 3
    eigenvectors = within(np.abs(A @ V - V * lam), slack)
    return eigenvectors and all(within(np.abs(power(k) - np.linalg.matrix_power(A, k)), slack) for k in (1, 2, 3))


def from_eigenvectors(lam, V):
    """The matrix with these eigenvalues and eigenvectors."""
    return V @ np.diag(lam) @ np.linalg.inv(V)


WHOLE = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 2]])
WEATHER = np.array([[0.9, 0.5], [0.1, 0.5]])
JORDAN = from_eigenvectors([2.0, 2.0, 1.0], WHOLE) + WHOLE[:, :1] @ np.linalg.inv(WHOLE)[1:2]


# PageRank


pagerank = definitions(4, "pagerank")


def pagerank_claim(code, T, d):
    """π solves Gπ = π, every start comes near it as dᵏ does, and the other eigenvalues are at most d."""
    n = len(T)
    G, pi = d * T + (1 - d) / n, code(T, d, 400)
    if not (np.isfinite(pi).all() and (pi >= 0).all() and close(pi.sum(), 1.0) and close(G @ pi, pi)):
        return False
    starts = [*np.eye(n), np.full(n, 1 / n)]
    far = [np.abs(np.linalg.matrix_power(G, k) @ x - pi).sum() - 2 * d**k for x in starts for k in range(12)]
    start = np.full(n, 1 / n)
    steps = [np.abs(code(T, d, k) - np.linalg.matrix_power(G, k) @ start).max() for k in (0, 1, 2)]
    others = np.sort(np.abs(np.linalg.eigvals(G)))[:-1]
    return within(far, 1e-10) and within(steps, 1e-12) and within(others - d, 1e-7)


def random_links(n, seed):
    """A web of n pages with random links; the last page has none."""
    rng = np.random.default_rng(seed)
    A = (rng.random((n, n)) < 0.4) * 1.0
    A[:, -1] = 0
    A[:, A.sum(axis=0) == 0] = 1
    return A / A.sum(axis=0)


THREE = np.array([[0.0, 1, 1], [1, 0, 0], [0, 0, 0]])


# Courant and Fischer


def extremal(A, k):
    """λ_k, a basis of a k-dimensional space with the largest minimum, one of an (n−k+1)-dimensional for the other."""
    Q = np.linalg.eigh((A + A.T) / 2)[1][:, ::-1]
    return float(np.sort(np.linalg.eigvals(A).real)[::-1][k - 1]), Q[:, :k], Q[:, k - 1 :]


def shifted(A, k):
    lam, Q = np.linalg.eigh((A + A.T) / 2)
    return float(lam[::-1][k - 1]), Q[:, ::-1][:, :k], Q[:, ::-1][:, min(k, len(A) - 1) :]


def ascending(A, k):
    lam, Q = np.linalg.eigh((A + A.T) / 2)
    return float(lam[k - 1]), Q[:, :k], Q[:, k - 1 :]


def courant_fischer(code, A, k):
    """The two spaces have the right dimensions and attain λ_k; no random space does better."""
    n = len(A)
    value, low_space, high_space = code(A, k)
    if low_space.shape != (n, k) or high_space.shape != (n, n - k + 1):
        return False
    slack = 1e-11 * max(1.0, size(A))

    def values(Z):
        return np.linalg.eigvalsh((Z.T @ A @ Z + Z.T @ A.T @ Z) / 2)

    attained = within([abs(values(low_space)[0] - value), abs(values(high_space)[-1] - value)], slack)
    rng = np.random.default_rng(1)
    spaces = [np.linalg.qr(rng.standard_normal((n, n)))[0] for _ in range(50)]
    lowest = np.array([values(Z[:, :k])[0] for Z in spaces])
    highest = np.array([values(Z[:, k - 1 :])[-1] for Z in spaces])
    return attained and within([lowest - value, value - highest], slack)


CLAIMS = {
    "thm-schur-complement": Claim(
        check=schur,
        code=complement,
        cases=[
            (np.ones((3, 3)) + np.eye(3), 1, ALL),
            (SPD, 2, ALL),
            (SPD, 5, ALL),
            (SYMMETRIC + 20 * np.diag([1.0, 1, 1, -1, -1, -1]), 3, DEFINITE),
            (np.array([[4.0, 2.0], [2.0, 1.0]]), 1, ALL),
            (np.diag([-1.0, 2.0]), 1, DEFINITE),
            (SQUARE, 3, GENERAL),
            (RANK_TWO, 2, ("rank",)),
            (RANK_TWO, 1, ("rank",)),
            (TALL, 2, ("rank",)),
            (WIDE, 1, ("rank",)),
        ],
        dropped={
            "the corner block is invertible": (SWAP, 1, ("rank",)),
            "A is symmetric (definiteness)": (np.array([[1.0, 10.0], [0.0, 1.0]]), 1, ("definite",)),
            "the corner block is positive definite (semidefiniteness)": (np.diag([-1.0, 1.0]), 1, ("semidefinite",)),
        },
        mutants={
            "plus for minus": lambda A, k: 2 * A[k:, k:] - complement(A, k),
            "no inverse": lambda A, k: A[k:, k:] - A[k:, :k] @ A[:k, k:],
            "the inverse transposed (passes on symmetric matrices)": lambda A, k: (
                A[k:, k:] - A[k:, :k] @ np.linalg.inv(A[:k, :k]).T @ A[:k, k:]
            ),
            "the block itself": lambda A, k: A[k:, k:],
        },
    ),
    "thm-lu": Claim(
        check=lu_claim,
        code=(definitions(4, "lu"), linalg.lu, lu_without_pivot),
        cases=[
            (SQUARE,),
            (SWAP,),
            (np.zeros((3, 3)),),
            (np.array([[5.0]]),),
            (np.eye(4)[[1, 2, 3, 0]],),
            (PSD_RANK_TWO,),
            (np.array([[0.0, 2.0, 1.0], [-4.0, 1.0, 0.0], [1.0, 1.0, 3.0]]),),
            (*known_lu(5, 1), True),
            (*known_lu(2, 2), True),
            (*known_lu(5, 3, last=0.0), False),  # singular, and still unique
            (np.array([[0.0]]), (np.eye(1), np.zeros((1, 1))), False),
        ],
        dropped={
            "the leading minors are not zero (existence)": (SWAP, (np.eye(2), SWAP)),
            "the leading minors are not zero (uniqueness)": (
                np.diag([0.0, 1.0]),
                (np.array([[1.0, 0.0], [5.0, 1.0]]), np.diag([0.0, 1.0])),
            ),
            "L is unit (uniqueness)": (np.diag([2.0, 1.0]), (np.diag([2.0, 1.0]), np.eye(2))),
            "A is invertible (only if)": (np.zeros((2, 2)), None, True),
        },
        mutants={
            "no pivoting": (lambda A: (np.arange(len(A)), *lu_without_pivot(A)), lu_without_pivot),
            "the inverse permutation (passes on one swap)": (lu_inverse_permutation, lu_without_pivot),
            "the largest entry with its sign": (lu_signed_pivot, lu_without_pivot),
            "pivoted factors for A = LU": (linalg.lu, lambda A: linalg.lu(A)[1:]),
        },
    ),
    "thm-cholesky": Claim(
        check=each(cholesky_claim),
        code=(Adapted(of_a_symmetric_matrix, definitions(4, "cholesky")), linalg.cholesky),
        cases=[
            known_cholesky(1, 1),
            known_cholesky(2, 2),
            known_cholesky(7, 3),
            (SPD, True),
            (np.array([[4.0, 2.0], [2.0, 3.0]]), True, np.array([[2.0, 0.0], [1.0, np.sqrt(2)]])),
            (np.array([[1.0, 2.0], [2.0, 1.0]]), False),
            (np.array([[1.0, 1.0], [1.0, 1.0]]), False),
            (-np.eye(2), False),
            (np.zeros((2, 2)), False),
            (TILTED, False),
        ],
        dropped={
            "A is positive definite": (np.array([[1.0, 2.0], [2.0, 1.0]]), True),
            "A is definite, not only semidefinite": (np.diag([0.0, 1.0]), True, np.array([[0.0, 0.0], [0.6, 0.8]])),
            "A is symmetric": (TILTED, True),
            "the diagonal of L is positive (uniqueness)": (np.eye(2), True, np.diag([1.0, -1.0])),
        },
        mutants={
            "the upper factor": (lambda A: linalg.cholesky(A).T,),
            "numpy's, which reads one triangle only": (np.linalg.cholesky,),
            "no root of the pivot": (cholesky_without_root,),
            "the symmetric square root": (symmetric_root,),
        },
    ),
    "thm-qr": Claim(
        check=each(qr_claim),
        code=(definitions(4, "householder_qr"), linalg.householder_qr),
        cases=[
            (A32, by_cholesky(A32)),
            (TALL, by_cholesky(TALL)),
            (SQUARE,),
            (WIDE,),
            (LAUCHLI,),
            (RANK_TWO,),
            (np.zeros((4, 2)),),
            (np.zeros((2, 4)),),
            (np.array([[-3.0]]), (np.array([[-1.0]]), np.array([[3.0]]))),
            (-np.eye(3), (-np.eye(3), np.eye(3))),
        ],
        dropped={
            "full column rank (uniqueness)": (
                np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]),
                (np.array([[1.0, 0.0], [0.0, 0.6], [0.0, 0.8]]), np.array([[1.0, 1.0], [0.0, 0.0]])),
            ),
            "the diagonal of R is positive (uniqueness)": (A32, tuple(-X for X in by_cholesky(A32))),
        },
        mutants={
            "Gram and Schmidt (passes on well-conditioned matrices)": (classical_qr,),
            "LAPACK's signs": (lambda A: tuple(np.linalg.qr(A)),),
            "Q transposed where that is possible (passes on symmetric Q)": (transposed_q,),
        },
    ),
    "thm-jacobi": Claim(
        check=jacobi_claim,
        code=rotation,
        cases=[
            (np.array([[2.0, 1.0], [1.0, 2.0]]),),
            (np.diag([2.0, 1.0, 0.0]) + 1,),
            (SYMMETRIC,),
            (PSD_RANK_TWO,),
            (np.ones((5, 5)),),
        ],
        dropped={
            "A is symmetric": (np.array([[1.0, 2.0], [0.0, 3.0]]),),
            "the entry is the largest (the rate)": (
                np.array([[0.0, 0.01, 5], [0.01, 1, 0.02], [5, 0.02, 2]]),
                np.argmin,
            ),
        },
        mutants={
            "the other sense of rotation": lambda A, p, q: rotation(A, p, q).T,
            "the angle not halved": lambda A, p, q: in_plane(len(A), p, q, np.arctan2(2 * A[p, q], A[q, q] - A[p, p])),
            "the angle of QR, which clears the entry from one side": lambda A, p, q: in_plane(
                len(A), p, q, np.arctan2(A[p, q], A[q, q])
            ),
            "always 45° (passes on equal diagonals)": lambda A, p, q: in_plane(len(A), p, q, np.pi / 4),
        },
    ),
    "thm-spectral": Claim(
        check=spectral_claim,
        code=eigen,
        cases=[
            (SYMMETRIC,),
            (SPD,),
            (PSD_RANK_TWO,),
            (np.eye(4),),
            (np.zeros((3, 3)),),
            (np.array([[-2.0]]),),
            (np.ones((4, 4)),),
            (SWAP,),
            (np.diag(KARATE.sum(axis=1)) - KARATE,),
        ],
        dropped={"A is symmetric": (TURN,), "A is symmetric (real eigenvalues do not suffice)": (SHEAR,)},
        mutants={
            "Q transposed (passes on symmetric Q)": lambda A: (eigen(A)[0], eigen(A)[1].T),
            "eigenvalues sorted, vectors not": lambda A: (np.sort(eigen(A)[0])[::-1], eigen(A)[1]),
            "absolute values (passes on semidefinite matrices)": lambda A: (np.abs(eigen(A)[0]), eigen(A)[1]),
        },
    ),
    "thm-diagonalisable": Claim(
        check=diagonalisable_claim,
        code=diagonalise,
        cases=[
            (WEATHER,),
            (TURN,),
            (SYMMETRIC,),
            (np.eye(3),),
            (np.zeros((2, 2)),),
            (from_eigenvectors([3.0, 3.0, 1.0], WHOLE),),
            (np.roll(np.eye(4), 1, axis=0),),
            (SHEAR, False),
            (JORDAN, False),
            (np.diag([1.0, 1.0], 1), False),
        ],
        dropped={
            "there are n independent eigenvectors": (SHEAR,),
            "there are n independent eigenvectors (two eigenvalues of three)": (JORDAN,),
            "there are too few (only if)": (WEATHER, False),
        },
        mutants={
            "the rows of V": lambda A: (diagonalise(A)[0], diagonalise(A)[1].T),
            "real parts (passes on real eigenvalues)": lambda A: tuple(X.real for X in diagonalise(A)),
            "eigenvalues sorted, vectors not": lambda A: (np.sort(diagonalise(A)[0])[::-1], diagonalise(A)[1]),
            "the inverse of V": lambda A: (diagonalise(A)[0], np.linalg.inv(diagonalise(A)[1])),
            "the orthogonal V of the symmetric part": lambda A: tuple(np.linalg.eigh((A + A.T) / 2)),
            "whatever eig returns": lambda A: tuple(np.linalg.eig(A)),
        },
    ),
    "thm-pagerank": Claim(
        check=pagerank_claim,
        code=pagerank,
        cases=[
            (THREE, 0.5),
            (SWAP, 0.85),
            (np.eye(3), 0.85),
            (random_links(6, 1), 0.85),
            (random_links(9, 2), 0.3),
            (random_links(5, 3), 0.0),
            (np.ones((1, 1)), 0.5),
        ],
        dropped={
            "the columns sum to 1": (np.array([[0.0, 0.0], [1.0, 0.0]]), 0.85),
            "no entry is negative": (np.array([[2.0, -1.0], [-1.0, 2.0]]), 0.85),
            "d < 1": (THREE, 1.0),
        },
        mutants={
            "rows for columns (passes on symmetric links)": lambda T, d, steps: pagerank(T.T, d, steps),
            "no jumps": lambda T, d, steps: pagerank(T, 1.0, steps),
            "d for 1 − d": lambda T, d, steps: pagerank(T, 1 - d, steps),
            "jumps not divided by n": lambda T, d, steps: pagerank(T, d, steps) * len(T),
            "one step too few": lambda T, d, steps: pagerank(T, d, max(0, steps - 1)),
        },
    ),
    "thm-courant-fischer": Claim(
        check=courant_fischer,
        code=extremal,
        cases=[
            *[(np.diag([3.0, 2.0, 1.0]), k) for k in (1, 2, 3)],
            *[(SYMMETRIC, k) for k in (1, 3, 6)],
            (PSD_RANK_TWO, 3),
            (np.eye(4), 2),
            (np.array([[5.0]]), 1),
        ],
        dropped={"A is symmetric": (np.array([[0.0, 4.0], [0.0, 0.0]]), 1)},
        mutants={
            "dimension n − k for n − k + 1": shifted,
            "eigenvalues from the smallest": ascending,
            "the next eigenvalue": lambda A, k: (extremal(A, min(k + 1, len(A)))[0], *extremal(A, k)[1:]),
        },
    ),
}


# Observations


@functools.cache
def good_columns():
    """For each condition number, how many of ten results are orthonormal, by each way."""
    count = definitions(4, "orthonormal_of_ten")
    return {condition: count(condition) for condition in (1e2, 1e4, 1e8, 1e14, np.inf)}


def twice_until_dependent(good):
    """Mirrors always; two passes at every finite condition number and not at low rank; the others fail before."""
    finite = [row for condition, row in good.items() if condition < np.inf]
    return (
        all(row["mirrors"] == 10 for row in good.values())
        and all(row["twice"] == 10 for row in finite)
        and good[np.inf]["twice"] == 0
        and [row["classical"] for row in finite] == [10, 0, 0, 0]
        and [row["modified"] for row in finite] == [10, 10, 0, 0]
        and good[np.inf]["three times"] == 10
    )


def recounted(condition, way, count):
    return lambda good: good | {condition: good[condition] | {way: count}}


OBSERVATIONS = {
    "obs-factorizations-gram-schmidt": Observation(
        measured=good_columns,
        protocol=Protocol(
            baseline="classical",
            contenders=[
                Contender(name, fixed="has no setting")
                for name in ("classical", "modified", "twice", "three times", "mirrors")
            ],
            tested_on="random 50×40 matrices of four condition numbers, and of rank 5",
            runs=10,
            interval="all ten draws are counted, and they agree",
        ),
        verdict=twice_until_dependent,
        numbers=lambda good: [
            f"10 at $\\kappa = 10^2$, {good[1e4]['classical']} at",
            f"{good[1e4]['modified']} up to $10^4$, {good[1e8]['modified']} at",
            f"{good[1e14]['twice']} at each of these, and {good[np.inf]['twice']} of 10 at rank 5",
            f"also gave {good[np.inf]['three times']} of 10 at rank 5",
        ],
        sharp={
            "one draw on which two passes fail": recounted(1e8, "twice", 9),
            "one draw on which mirrors fail": recounted(np.inf, "mirrors", 9),
            "a low rank at which two passes are enough": recounted(np.inf, "twice", 10),
            "a modified form that is as good as two passes": recounted(1e14, "modified", 10),
        },
    ),
}


class Tally(float):
    """A float that counts the arithmetic done with it."""

    flops = 0


def _counting(operation):
    def method(self, other):
        Tally.flops += 1
        return Tally(operation(float(self), float(other)))

    return method


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Tally, f"__{_name}__", _counting(getattr(operator, _name)))


def elimination_flops(n, name):
    """Flops of the chapter's elimination: lu on the whole trailing block, cholesky on its lower triangle alone."""
    Tally.flops = 0
    definitions(4, name)(np.vectorize(Tally, otypes=[object])(np.ones((n, n)) + n * np.eye(n)))
    return Tally.flops


def cholesky_is_half_to_leading_order():
    ratios = []
    for n in (12, 24, 48):
        full, half = elimination_flops(n, "lu"), elimination_flops(n, "cholesky")
        if full != (4 * n**3 - 3 * n**2 - n) // 6 or half != (2 * n**3 + 3 * n**2 - 5 * n) // 6:
            return False
        ratios.append(half / full)
    return ratios[0] > ratios[1] > ratios[2] > 0.5 and ratios[2] < 0.53


FOLKLORE = {
    28: Folklore(
        wrong="Cholesky costs half of LU, always applicable",
        fails=lambda: (
            refuses(linalg.cholesky, np.array([[1.0, 2.0], [2.0, 1.0]]))
            and refuses(linalg.cholesky, TILTED)
            and not close(np.linalg.cholesky(TILTED) @ np.linalg.cholesky(TILTED).T, TILTED)
            and close(TILTED[linalg.lu(TILTED).perm], linalg.lu(TILTED).L @ linalg.lu(TILTED).U)
        ),
        holds=cholesky_is_half_to_leading_order,
    ),
}
