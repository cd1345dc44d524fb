"""The claims of chapter 18, what the run learned."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from book.claims import Claim, Folklore
from book.definitions import definitions
from book.margins import close, rank, within

RNG = np.random.default_rng(180)


def draw(*shape):
    return RNG.standard_normal(shape)


def basis(n, k):
    return np.linalg.qr(draw(n, k))[0]


# Chance overlap


class Overlap(NamedTuple):
    """φ of two orthonormal bases, the means of ‖UᵀV‖² and of φ by chance, and bases of random subspaces, a stack."""

    phi: Callable[..., float]
    mean_square: Callable[..., float]
    mean_phi: Callable[..., float]
    random: Callable[..., Any]


OVERLAP = Overlap(
    phi=lambda U, V: float(((U.T @ V) ** 2).sum() / min(U.shape[1], V.shape[1])),
    mean_square=lambda n, k, l: k * l / n,
    mean_phi=lambda n, k, l: max(k, l) / n,
    random=lambda rng, count, n, l: np.linalg.qr(rng.standard_normal((count, n, l)))[0],
)


def signed_permutations(n, signs=True, orders=True):
    """The signed permutation matrices of n coordinates, or only the signs, or only the permutations."""
    for order in itertools.permutations(range(n)) if orders else [range(n)]:
        for sign in itertools.product((-1.0, 1.0), repeat=n) if signs else [np.ones(n)]:
            yield np.diag(sign) @ np.eye(n)[list(order)]


def near_means(values, wanted):
    """Whether the mean of each row is the wanted one, within twelve standard errors.

    About one mean in 400 is off by more than three of them, and an error has to stay below a quarter of its bound.
    """
    return within(np.abs(values.mean(axis=1) - wanted), 12 * values.std(axis=1) / values.shape[1] ** 0.5 + 1e-9)


def overlap_claim(code, U, V, signs=True, orders=True, chosen=None, columns=None, pushed=0.0):
    """Bounds with their cases of equality, independence of bases, and means over images of V and over random subspaces.

    U may be ``chosen`` by a function of the image of V; the random matrices may have so many ``columns``, other than
    V, and be ``pushed`` away from mean 0. The theorem allows none of this.
    """
    (n, k), l = U.shape, V.shape[1]
    phi = code.phi(U, V)
    if not within([-phi, phi - 1], 1e-12) or within(1 - phi, 1e-10) != (rank(np.hstack([U, V])) == max(k, l)):
        return False
    if within(phi, 1e-12) != within(np.abs(U.T @ V), 1e-6):
        return False
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((k, k)))[0]
    if not close([code.phi(U @ Q, -V), code.phi(V, U)], phi, atol=1e-12):
        return False
    images = [S @ V for S in signed_permutations(n, signs, orders)]
    of = chosen or (lambda image: U)
    squares = np.mean([((of(image).T @ image) ** 2).sum() for image in images])
    means = np.mean([code.phi(of(image), image) for image in images])
    other = np.linalg.qr(np.random.default_rng(2).standard_normal((n, k)))[0]
    drawn = np.mean([code.phi(P, image) for P in (U, other) for image in images]) if chosen is None else means
    if not close([squares, means, drawn], [code.mean_square(n, k, l), *2 * [code.mean_phi(n, k, l)]], atol=1e-12):
        return False
    rng, q = np.random.default_rng(3), columns or l
    bases = np.linalg.qr(rng.standard_normal((10_000, n, q)) + pushed)[0] if pushed else code.random(rng, 10_000, n, q)
    if not within(np.abs(bases.transpose(0, 2, 1) @ bases - np.eye(bases.shape[2])), 1e-10):
        return False
    others = U, np.full((n, 1), n**-0.5), np.eye(n)[:, :1]
    found = np.array([((P.T @ bases) ** 2).sum(axis=(1, 2)) for P in others])
    return near_means(found, [code.mean_square(n, P.shape[1], q) for P in others])


FLAT = np.full((4, 1), 0.5)

# PiSSA


class Start(NamedTuple):
    """The factors and the residual, a bound for the rank of the update, the update's factors, and the floor."""

    factors: Callable[..., Any]
    residual: Callable[..., Any]
    most_rank: Callable[..., int]
    as_lora: Callable[..., Any]
    floor: Callable[..., float]


def pissa_factors(W, r, s, columns=lambda U, r: U[:, :r], rows=lambda Vt, r: Vt[:r], powers=(0.5, 0.5)):
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = ((sigma[:r] / s) ** power for power in powers)
        return columns(U, r) * left, right[:, None] * rows(Vt, r)


def truncation(M, r):
    U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    return (U[:, :r] * sigma[:r]) @ Vt[:r]


def tail(M, r):
    return float((np.linalg.svd(M, compute_uv=False)[r:] ** 2).sum())


PISSA = Start(
    factors=pissa_factors,
    residual=lambda W, B, A, s: W - s * B @ A,
    most_rank=lambda r: 2 * r,
    as_lora=definitions(18, "as_lora"),
    floor=lambda W, D, r: tail(truncation(W, r) + D, r),
)


def pissa_claim(code, W, r, s, D, rival_rank=None, trained_rank=None, moved=0.0):
    """The start, the residual's spectrum and its rivals, the update's rank and factors, and the attained floor.

    The frozen part may have ``moved``, which the theorem forbids.
    """
    (m, n), rng = W.shape, np.random.default_rng(7)
    eps = 1e-9 * max(1.0, float(np.linalg.norm(W) + np.linalg.norm(D)) ** 2)
    B0, A0 = code.factors(W, r, s)
    if B0.shape != (m, r) or A0.shape != (r, n) or not np.isfinite(B0).all():
        return False
    R = code.residual(W, B0, A0, s) + moved
    if not close(R + s * B0 @ A0, W, atol=eps):
        return False
    Z, Y = rng.standard_normal((m, r)), rng.standard_normal((r, n))
    if not close(code.residual(W, Z, Y, s) + s * Z @ Y, W, atol=eps):  # any other factors
        return False
    sigma = np.linalg.svd(W, compute_uv=False)
    wanted = np.append(sigma[r:], np.zeros(r))
    if not close(s * B0 @ A0, truncation(W, r), atol=eps):
        return False
    if not close(np.linalg.svd(R, compute_uv=False), wanted, atol=eps):
        return False
    k = rival_rank or r
    rivals = [rng.standard_normal((m, k)) @ rng.standard_normal((k, n)) for _ in range(30)]
    best = truncation(W, k)
    rivals += [best, best * 1.01, truncation(best + 1e-3 * rng.standard_normal((m, n)), k)]
    closer = [(wanted[0] - np.linalg.norm(W - X, 2), np.linalg.norm(R) - np.linalg.norm(W - X)) for X in rivals]
    if not within(closer, eps):
        return False
    q = trained_rank or r
    B, A = rng.standard_normal((m, q)), rng.standard_normal((q, n))
    update = R + s * B @ A - W
    left, right = code.as_lora(B, A, B0, A0)
    if not close(s * left @ right, update, atol=eps) or rank(update) > code.most_rank(r):
        return False
    # The least distance of R + sBA from W + D is attained by a truncation, and no rival of rank q is below.
    gap = W + D - R
    if not within(abs(np.linalg.norm(gap - truncation(gap, r)) ** 2 - code.floor(W, D, r)), eps):
        return False
    others = [truncation(gap, q), truncation(D, q), truncation(gap + 1e-2 * rng.standard_normal((m, n)), q)]
    return within([code.floor(W, D, r) - np.linalg.norm(gap - X) ** 2 for X in others], eps)


WHOLE = draw(5, 7)


def qr_factors(W, r, s):
    Q, R = np.linalg.qr(W)
    return Q[:, :r], R[:r] / s


def last_factors(W, r, s):
    U, sigma, Vt = np.linalg.svd(W, full_matrices=False)
    root = np.sqrt(sigma[-r:] / s)
    return U[:, -r:] * root, root[:, None] * Vt[-r:]


CLAIMS = {
    "thm-chance-overlap": Claim(
        check=overlap_claim,
        code=OVERLAP,
        cases=[
            (np.array([[0.6], [0.8], [0]]), np.linalg.qr(np.array([[1.0, 0], [2, 1], [3, 5]]))[0]),
            (basis(4, 2), basis(4, 2)),
            (basis(4, 3), basis(4, 1)),
            (np.eye(4)[:, :2], np.eye(4)[:, 2:]),  # orthogonal
            (np.eye(4)[:, :1], np.eye(4)[:, :3]),  # one contains the other
            (basis(3, 3), basis(3, 2)),
            (np.ones((1, 1)), -np.ones((1, 1))),
        ],
        dropped={
            "orthonormal columns of U": (2 * basis(4, 2), basis(4, 2)),
            "orthonormal columns of V": (basis(4, 2), draw(4, 2)),
            "signs: permutations alone fix the constant vector": (FLAT, FLAT, False, True),
            "permutations: signs alone fix the axes": (np.eye(4)[:, :1], np.eye(4)[:, :2], True, False),
            "U independent of V: it is V": (basis(4, 2), basis(4, 2), True, True, lambda image: image),
            "U independent of V: it avoids V": (
                basis(4, 2),
                basis(4, 2),
                True,
                True,
                lambda image: np.linalg.qr(image, "complete")[0][:, 2:],
            ),
            "no more columns than rows: orthonormal rows instead, in U": (basis(4, 3).T, basis(3, 1)),
            "l at most n in the random matrix": (basis(3, 2), basis(3, 1), True, True, None, 4),
            "entries of mean 0": (basis(4, 2), basis(4, 1), True, True, None, None, 1.0),
        },
        mutants={
            "min for max": OVERLAP._replace(mean_phi=lambda n, k, l: min(k, l) / n),
            "chance is zero": OVERLAP._replace(mean_phi=lambda n, k, l: 0.0, mean_square=lambda n, k, l: 0.0),
            "kl/n²": OVERLAP._replace(mean_square=lambda n, k, l: k * l / n**2),
            "φ over the larger": OVERLAP._replace(
                phi=lambda U, V: float(((U.T @ V) ** 2).sum() / max(U.shape[1], V.shape[1]))
            ),
            "cosines of basis vectors": OVERLAP._replace(
                phi=lambda U, V: (
                    float(sum((U[:, i] @ V[:, i]) ** 2 for i in range(min(U.shape[1], V.shape[1]))))
                    / min(U.shape[1], V.shape[1])
                )
            ),
            "entries of [0, 1)": OVERLAP._replace(
                random=lambda rng, count, n, l: np.linalg.qr(rng.random((count, n, l)))[0]
            ),
            "one vector repeated in all columns, nearly": OVERLAP._replace(
                random=lambda rng, count, n, l: np.linalg.qr(
                    np.ones((n, 1)) + 0.1 * rng.standard_normal((count, n, l))
                )[0]
            ),
            "not made orthonormal": OVERLAP._replace(
                random=lambda rng, count, n, l: rng.standard_normal((count, n, l)) / n**0.5
            ),
            "no square": OVERLAP._replace(
                phi=lambda U, V: float(np.linalg.norm(U.T @ V) / min(U.shape[1], V.shape[1]))
            ),
        },
    ),
    "thm-pissa": Claim(
        check=pissa_claim,
        code=PISSA,
        cases=[
            (np.diag([3.0, 0]), 1, 1.0, np.diag([0.0, 1])),
            (np.diag([3.0, 2, 2]), 2, 2.0, np.diag([0.0, 0, 5])),  # a tie
            (WHOLE, 2, 2.0, draw(5, 7)),
            (draw(7, 4), 3, 0.5, draw(7, 4)),
            (draw(4, 4), 4, 1.5, draw(4, 4)),  # nothing is frozen
            (np.outer(draw(4), draw(5)), 2, 2.0, draw(4, 5)),  # r above the rank
            (np.zeros((3, 4)), 1, 2.0, draw(3, 4)),
            (draw(9, 9), 2, 0.3, np.zeros((9, 9))),
        ],
        dropped={
            "s positive: negative": (WHOLE, 2, -1.0, draw(5, 7)),
            "s positive: zero": (WHOLE, 2, 0.0, draw(5, 7)),
            "r at most min(m, n)": (draw(4, 6), 5, 1.0, draw(4, 6)),
            "rivals of rank r: one of rank r + 1 has a smaller residual": (WHOLE, 2, 2.0, draw(5, 7), 3),
            "trained factors of rank r": (draw(9, 9), 2, 1.0, draw(9, 9), None, 5),
            "the residual is frozen": (WHOLE, 2, 2.0, draw(5, 7), None, None, 0.01),
        },
        mutants={
            "W stays whole": PISSA._replace(residual=lambda W, B, A, s: W),
            "s is forgotten in the residual": PISSA._replace(residual=lambda W, B, A, s: W - B @ A),
            "s is forgotten in the factors": PISSA._replace(factors=lambda W, r, s: pissa_factors(W, r, 1.0)),
            "rows of U for its columns": PISSA._replace(
                factors=partial(pissa_factors, columns=lambda U, r: U.T[:, :r])
            ),
            "columns of V as they stand for A's rows": PISSA._replace(
                factors=partial(pissa_factors, rows=lambda Vt, r: Vt.T[:r])
            ),
            "the last singular values for the first": PISSA._replace(factors=last_factors),
            "no roots": PISSA._replace(factors=partial(pissa_factors, powers=(1, 1))),
            "a root in B alone": PISSA._replace(factors=partial(pissa_factors, powers=(0.5, 0))),
            "OLoRA's factors": PISSA._replace(factors=qr_factors),
            "the update has rank r": PISSA._replace(most_rank=lambda r: r),
            "the plus sign": PISSA._replace(as_lora=lambda B, A, B0, A0: (np.hstack([B, B0]), np.vstack([A, A0]))),
            "LoRA's floor": PISSA._replace(floor=lambda W, D, r: tail(D, r)),
            "the floor of W + D": PISSA._replace(floor=lambda W, D, r: tail(W + D, r)),
        },
    ),
}

# Misstatements

ONES = np.ones((16, 16)) / 16


def share(M, r):
    return 1 - tail(M, r) / tail(M, 0)


FOLKLORE = {
    17: Folklore(
        wrong="trained weights are of low rank, hence LoRA",
        fails=lambda: within(1 - share(ONES, 1), 1e-12) and share(np.eye(16) - ONES, 1) < 0.1,
        holds=lambda: share(np.eye(16), 1) < 0.1 and within(tail(ONES, 1), 1e-20),
    ),
}
