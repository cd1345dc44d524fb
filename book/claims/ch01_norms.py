"""The claims of chapter 1, Norms."""

import functools

import numpy as np

from book import margins
from book.claims import Adapted, Claim, Folklore, each, rank
from book.definitions import definitions
from book.margins import within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import linalg

RNG = np.random.default_rng(20)
A32 = np.array([[3.0, 1.0], [1.0, 3.0], [1.0, 1.0]])
TALL, WIDE, SQUARE = RNG.standard_normal((7, 3)), RNG.standard_normal((3, 7)), RNG.standard_normal((5, 5))
RANK_TWO = RNG.standard_normal((6, 2)) @ RNG.standard_normal((2, 5))
RANK_ONE = np.outer(RNG.standard_normal(4), RNG.standard_normal(6))
ZERO = np.zeros((3, 4))
MATRICES = [A32, TALL, WIDE, SQUARE, RANK_TWO, RANK_ONE, ZERO, np.eye(4), np.diag([1.0, 0.0, 0.0])]

fro, spec, nuc = linalg.frobenius_norm, linalg.spectral_norm, linalg.nuclear_norm


def close(x, y, scale=1.0):
    return margins.close(x, y, atol=1e-12 * max(1.0, scale))


def orthonormal(m, n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, n)))[0]


def cauchy_schwarz(inner, x, y):
    """The inequality, with equality exactly for multiples, and the triangle inequality."""
    bound = np.linalg.norm(x) * np.linalg.norm(y)
    equal = close(abs(inner(x, y)), bound, bound)
    triangle = np.sqrt(max(inner(x + y, x + y), 0.0)) - np.linalg.norm(x) - np.linalg.norm(y)
    below = within([abs(inner(x, y)) - bound, triangle], 1e-12 * max(1.0, bound))
    return below and equal == (rank(np.array([x, y])) < 2)


def frobenius_trace(products, A, B):
    """<A, B> = tr AᵀB = tr BAᵀ; squared columns on diag AᵀA, squared rows on diag AAᵀ; tr XY = tr YX."""
    gram, outer, norm = products
    inner = float((A * B).sum())
    return (
        close(np.trace(gram(A, B)), inner)
        and close(np.trace(outer(B, A)), inner)
        and close(norm(A) ** 2, (A**2).sum())
        and np.diag(gram(A, A)).shape == (A.shape[1],)
        and close(np.diag(gram(A, A)), [c @ c for c in A.T])
        and close(np.diag(outer(A, A)), [r @ r for r in A])
    )


def bilinear(norm, A):
    """norm(A) = norm(Aᵀ) = max yᵀAx: attained by a pair of unit vectors, and passed by none."""
    x = np.linalg.eigh(A.T @ A)[1][:, -1]
    image = A @ x
    y = image / np.linalg.norm(image) if image.any() else np.eye(A.shape[0])[0]
    rng = np.random.default_rng(3)
    pairs = [(rng.standard_normal(A.shape[0]), rng.standard_normal(A.shape[1])) for _ in range(50)]
    largest = norm(A)
    below = within([v @ A @ w - largest * np.linalg.norm(v) * np.linalg.norm(w) for v, w in pairs], 1e-12)
    return below and close(y @ A @ x, largest) and close(largest, norm(A.T))


def products(norms, A, B):
    """The product rules."""
    s, f = norms
    excess = [
        s(A @ B) - s(A) * s(B),
        f(A @ B) - s(A) * f(B),
        f(A @ B) - f(A) * s(B),
        s(A) * f(B) - f(A) * f(B),
    ]
    return within(excess, 1e-12 * max(1.0, f(A) * f(B)))


def trace_duality(norms, A, B):
    """|tr AᵀB| ≤ |A| |B|*, and the bound is attained for B by the polar factor of B."""
    primal, dual = norms
    U, _, Vt = np.linalg.svd(B, full_matrices=False)
    attains = U @ Vt
    slack = 1e-12 * max(1.0, dual(B))
    below = abs(np.trace(A.T @ B)) - primal(A) * dual(B)
    return within([below, abs(np.trace(attains.T @ B) - primal(attains) * dual(B)) / 10], slack)


def invariance(norms, P, A, Q):
    """All norms agree on A and on P A Qᵀ."""
    return all(close(norm(P @ A @ Q.T), norm(A), norm(A)) for norm in norms)


def sharp_chain(low, high):
    """low ≤ high ≤ bound(A)·low, with equality on the right for the diagonal matrix with r ones of the same shape."""

    def check(code, A):
        factor = code(A)
        r = rank(A)
        E = np.zeros(A.shape)
        E[range(r), range(r)] = 1.0
        slack = 1e-12 * max(1.0, high(A))
        equal = close(high(E), code(E) * low(E))
        left_sharp = r > 1 or within(abs(low(A) - high(A)), slack)
        return within([low(A) - high(A), high(A) - factor * low(A)], slack) and equal and left_sharp

    return check


root_rank = Adapted(lambda rank, A: np.sqrt(rank(A, rtol=1e-10)), linalg.numerical_rank)


def root_smaller_side(A):
    return np.sqrt(min(A.shape))


PRODUCTS = [
    (A32, np.array([[1.0, 2.0], [0.0, 1.0]])),
    (TALL, WIDE),
    (WIDE, TALL),
    (SQUARE, np.ones((5, 5))),
    (ZERO, ZERO.T),
]
PAIRS = [(A, np.random.default_rng(k).standard_normal(A.shape)) for k, A in enumerate(MATRICES)]

PRODUCTS_OF_TWO = (lambda A, B: A.T @ B, lambda A, B: A @ B.T)

CLAIMS = {
    "lem-cauchy-schwarz": Claim(
        check=cauchy_schwarz,
        code=np.dot,
        cases=[
            (A32[:, 0], A32[:, 1]),
            (A32[:, 0], -2 * A32[:, 0]),
            (np.zeros(3), A32[:, 0]),
            (np.array([1.0, 0.0]), np.array([0.0, 1.0])),
            (np.array([2.0]), np.array([-3.0])),
        ],
        dropped={},
        mutants={
            "the inner product of an indefinite form": lambda x, y: float(
                x @ np.diag([1.0, *[-1.0] * (x.size - 1)]) @ y
            ),
            "twice the inner product": lambda x, y: 2 * float(x @ y),
        },
    ),
    "thm-frobenius-trace": Claim(
        check=frobenius_trace,
        code=(*PRODUCTS_OF_TWO, fro),
        cases=PAIRS,
        dropped={"A and B have the same shape": (np.ones((2, 2)), np.ones((2, 1)))},
        mutants={
            "rows for columns": (*PRODUCTS_OF_TWO[::-1], fro),
            "the norm without its root": (*PRODUCTS_OF_TWO, lambda A: (A**2).sum()),
            "no transpose (passes on symmetric matrices)": (
                lambda A, B: A @ B if A.shape[0] == A.shape[1] else A.T @ B,
                PRODUCTS_OF_TWO[1],
                fro,
            ),
        },
    ),
    "lem-spectral-bilinear": Claim(
        check=each(bilinear),
        code=(definitions(1, "spectral_norm"), definitions(1, "spectral"), spec),
        cases=[(A,) for A in MATRICES],
        dropped={},
        mutants={
            "Frobenius for spectral": (fro,),
            "largest entry": (lambda A: float(np.abs(A).max()),),
            "largest column sum (not the same for the transpose)": (lambda A: float(np.linalg.norm(A, 1)),),
        },
    ),
    "thm-submultiplicative": Claim(
        check=products,
        code=(spec, fro),
        cases=PRODUCTS,
        dropped={},
        mutants={
            "the largest entry in place of the spectral norm": (lambda A: float(np.abs(A).max()), fro),
            "the root mean square in place of the Frobenius norm": (spec, lambda A: float(np.sqrt((A**2).mean()))),
            "the smallest stretch": (lambda A: float(np.linalg.norm(A, -2)), fro),
        },
    ),
    "thm-trace-duality": Claim(
        check=trace_duality,
        code=(spec, nuc),
        cases=[*PAIRS, (np.eye(2), np.diag([3.0, 1.0]))],
        dropped={},
        mutants={
            "Frobenius for nuclear": (spec, fro),
            "Frobenius for spectral (true, but not attained)": (fro, nuc),
            "largest entry for spectral": (lambda A: float(np.abs(A).max()), nuc),
        },
    ),
    "thm-orthogonal-invariance": Claim(
        check=invariance,
        code=(fro, spec, nuc),
        cases=[
            (orthonormal(A.shape[0] + 2, A.shape[0], 1), A, orthonormal(A.shape[1], A.shape[1], 2)) for A in MATRICES
        ],
        dropped={
            "P has columns of length 1": (np.diag([2.0, 1.0, 1.0]), A32, np.eye(2)),
            "the columns of P are orthogonal": (np.array([[1.0, 0.6, 0], [0, 0.8, 0], [0, 0, 1]]), A32, np.eye(2)),
            "P has orthonormal columns, not only rows": (np.eye(3)[:2], A32, np.eye(2)),
            "Q has orthonormal columns": (np.eye(3), A32, np.diag([1.0, 0.0])),
        },
        mutants={
            "the largest entry": (lambda A: float(np.abs(A).max()),),
            "the largest column sum": (lambda A: float(np.linalg.norm(A, 1)),),
            "the sum of the absolute entries": (lambda A: float(np.abs(A).sum()),),
        },
    ),
    "thm-norm-equivalence": Claim(
        check=sharp_chain(spec, fro),
        code=root_rank,
        cases=[(A,) for A in MATRICES],
        dropped={},
        mutants={
            "√min(m, n) for √rank: obeyed by all, not attained at diag(1, 0, 0)": root_smaller_side,
            "the rank without the root": rank,
            "1 for √rank": lambda A: 1.0,
        },
    ),
    "thm-nuclear-chain": Claim(
        check=sharp_chain(fro, nuc),
        code=root_rank,
        cases=[(A,) for A in MATRICES],
        dropped={},
        mutants={
            "√min(m, n) for √rank": root_smaller_side,
            "the rank without the root": rank,
            "1 for √rank": lambda A: 1.0,
        },
    ),
}

against_shuffles = definitions(1, "against_shuffles")
SHUFFLED = "the same pixels in random order"


@functools.cache
def shuffled_pixels():
    """For each photograph and each way of reading it, its stable rank and those of its shuffled pixels."""
    return {name: against_shuffles(name) for name in ("china", "flower")}


def order_is_what_counts(pictures):
    """Centred, each picture is far below all its shuffles; as it is, it is not."""
    centred = all(20 * own < min(others) for own, others in (rows["mean taken off"] for rows in pictures.values()))
    return centred and all(2 * own > min(others) for own, others in (rows["as it is"] for rows in pictures.values()))


def replaced_row(pictures, how, row):
    return {name: {**rows, how: row(*rows[how])} for name, rows in pictures.items()}


COLUMN, ONE, ALL = "the longest column", "power iteration", "all vectors kept"


@functools.cache
def races():
    """For each matrix what the longest column misses, and the products that one vector, and all, need."""
    return {name: definitions(1, "race")(name) for name in ("Gaussian", "china", "flower")}


def keeping_saves_where_the_top_is_crowded(races):
    """On every Gaussian draw a quarter of the products will do, on no photograph a half; a column alone never does."""
    few = all(4 * every < one for one, every in zip(races["Gaussian"]["one"], races["Gaussian"]["all"], strict=True))
    photographs = [races["china"], races["flower"]]
    alike = all(one < 2 * every for r in photographs for one, every in zip(r["one"], r["all"], strict=True))
    return few and alike and min(min(rows["longest column"]) for rows in races.values()) > 0.1


def raced(races, name, **rows):
    return {**races, name: {**races[name], **{key: change(races[name]) for key, change in rows.items()}}}


OBSERVATIONS = {
    "obs-norms-keep-the-vectors": Observation(
        measured=races,
        protocol=Protocol(
            baseline=COLUMN,
            contenders=[
                Contender(COLUMN, fixed="has no setting"),
                Contender(ONE, fixed="its only setting is the number of products, which is measured"),
                Contender(ALL, fixed="its only setting is the number of products, which is measured"),
            ],
            tested_on="ten Gaussian 500×500 matrices, and two photographs from ten starts each",
            runs=10,
            interval="the range over the ten draws, and over the ten starts",
        ),
        verdict=keeping_saves_where_the_top_is_crowded,
        numbers=lambda races: [
            *(str(end(races["Gaussian"][kept])) for kept in ("one", "all") for end in (min, max)),
            *(
                str(end(races[name][kept]))
                for name in ("china", "flower")
                for kept in ("one", "all")
                for end in (min, max)
            ),
            str(int(100 * min(races["Gaussian"]["longest column"]))),
        ],
        sharp={
            "one vector as quick as all": lambda races: raced(races, "Gaussian", one=lambda rows: rows["all"]),
            "one Gaussian draw on which the old vectors save half": lambda races: raced(
                races, "Gaussian", one=lambda rows: [2 * rows["all"][0], *rows["one"][1:]]
            ),
            "photographs like Gaussian matrices": lambda races: {**races, "china": races["Gaussian"]},
            "a column that is long enough": lambda races: raced(
                races, "flower", **{"longest column": lambda rows: [0.0]}
            ),
        },
    ),
    "obs-norms-shuffled-pixels": Observation(
        measured=shuffled_pixels,
        protocol=Protocol(
            baseline=SHUFFLED,
            contenders=[
                Contender(SHUFFLED, fixed="has no setting"),
                Contender("the photograph", fixed="has no setting"),
            ],
            tested_on="two photographs, china and flower, with their mean and without",
            runs=19,
            interval="the range over 19 shuffles of each",
        ),
        verdict=order_is_what_counts,
        numbers=lambda pictures: [
            f"{number:.1f}"
            for rows in pictures.values()
            for own, others in rows.values()
            for number in (own, min(others))
        ],
        sharp={
            "shuffled pixels as low as the picture": lambda pictures: replaced_row(
                pictures, "mean taken off", lambda own, others: (own, [*others[1:], own])
            ),
            "a picture as high as its shuffled pixels": lambda pictures: replaced_row(
                pictures, "mean taken off", lambda own, others: (min(others), others)
            ),
            "a picture that differs before its mean is gone": lambda pictures: replaced_row(
                pictures, "as it is", lambda own, others: (own, [100 * x for x in others])
            ),
        },
    ),
}


FOLKLORE = {
    2: Folklore(
        wrong="diag(AᵀA) holds the squared lengths of A's rows",
        fails=lambda: np.diag(A32.T @ A32).shape != (A32**2).sum(axis=1).shape,
        holds=lambda: (
            close(np.diag(A32.T @ A32), (A32**2).sum(axis=0)) and close(np.diag(A32 @ A32.T), (A32**2).sum(axis=1))
        ),
    ),
    35: Folklore(
        wrong="a photograph has a stable rank near 1 and noise has not: that is low rank",
        fails=lambda: min(shuffled_pixels()["china"]["as it is"][1]) < 1.5,
        holds=lambda: order_is_what_counts(shuffled_pixels()),
    ),
}
