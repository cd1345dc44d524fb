"""The claims of chapter 10, latent semantic analysis."""

from typing import NamedTuple

import numpy as np

from book.claims import Adapted, Claim
from book.definitions import definitions
from book.margins import above, close, within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import results
from lowrank_helpers.decomposition import LatentSpace, fold_in, lsa

RNG = np.random.default_rng(100)
TINY = np.array([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]])  # σ² = 4, 3, 1
TALL = RNG.random((9, 4))
WIDE = RNG.random((3, 8)) * (RNG.random((3, 8)) < 0.6)
SQUARE = RNG.standard_normal((5, 5))
THIN = np.outer([1.0, 2, 0, 1], [1.0, 0, 1, 2, 0]) + np.outer([0.0, 1, 1, 0], [0.0, 1, 1, 0, 3])  # rank 2
TIES = np.vstack([np.eye(3), np.eye(3)]) * [2.0, 1.0, 1.0]  # σ₂ = σ₃
ZERO = np.zeros((3, 4))
ONE = np.array([[2.0]])
WORD = np.array([1.0, 0, 0, 0])  # car
PAIR = np.array([1.0, 0, 1, 0])  # car engine
APART = np.array([1.0, 0, -1, 0])  # orthogonal to the first two directions of TINY
norm = np.linalg.norm


class Folded(NamedTuple):
    """What folding a row x into k dimensions of X answers.

    V and documents as the program keeps them; the place of x beside UΣ and (or None) beside U; the scores with all
    documents; a bound on the energy that the old space misses, and whether it misses none.
    """

    V: np.ndarray
    documents: np.ndarray
    place: np.ndarray
    scaled: np.ndarray | None
    scores: np.ndarray
    bound: float
    exact: bool


def small(X, x):
    """What counts as zero for squares of this size."""
    return 1000 * np.finfo(float).eps * max(X.shape) * max(float((X**2).sum() + x @ x), 1.0)


def folded(lsa, fold_in, X, k, x):
    """The package's code, and condition (b) of the theorem; zeros, which the package refuses, by the full SVD."""
    nothing = LatentSpace(np.zeros((len(X), k)), np.zeros(k), np.eye(k, X.shape[1]))
    space = lsa(X, k, rng=0) if X.any() else nothing
    V, s = space.Vt.T, space.s
    d = fold_in(space, x[None])[0]
    e = x - V @ d
    tol = small(X, x)
    complement = np.linalg.svd(V, full_matrices=True)[0][:, k:]
    beyond = np.linalg.svd(np.vstack([X, x]) @ complement, compute_uv=False)
    weak = within(beyond[:1] - s[-1], tol)
    exact = within(norm(e), tol) or (within(norm(d), tol) and weak)
    scaled = d / s if above(s[-1], tol) else None
    return Folded(V, space.documents, d, scaled, space.documents @ d, float(e @ e), exact)


fold = Adapted(folded, lsa, fold_in)


def folding(code, X, k, x, as_row=None, scaled=None, basis=None):
    """All five statements for one case, with decompositions of numpy.

    The rest drops hypotheses: as_row takes x for this row of the corpus; scaled asks for the place beside U; basis
    takes these directions for those of X.
    """
    found, tol = code(X, k, x), small(X, x)
    V = found.V if basis is None else basis
    s = np.concatenate([np.linalg.svd(X, compute_uv=False), np.zeros(k)])
    if V.shape != (X.shape[1], k) or not close(V.T @ V, np.eye(k), atol=1e-9):
        return False
    if not (close(norm(X @ V, axis=0), s[:k], atol=tol) and close(X @ V, found.documents, atol=tol)):
        return False

    rows = [code(X, k, row) for row in X]
    best = np.linalg.lstsq(V, x, rcond=None)[0]  # least squares by numpy
    if not (close(found.place, best, atol=tol) and close([row.place for row in rows], found.documents, atol=tol)):
        return False
    if as_row is not None and not close(found.place, found.documents[as_row], atol=tol):
        return False

    if found.scaled is not None and above(s[k - 1], tol):
        best, loose = np.linalg.lstsq(V * s[:k], x, rcond=None)[0], tol * max(1, 1 / s[k - 1])
        if not close([found.scaled, *(row.scaled for row in rows)], [best, *(found.documents / s[:k])], atol=loose):
            return False
    elif scaled or above(s[k - 1], tol):
        return False

    if not close(found.scores, X @ V @ V.T @ x, atol=tol * max(1, norm(X))):
        return False

    longer = np.vstack([X, x])
    values = np.linalg.svd(longer, compute_uv=False)
    missed = (values[:k] ** 2).sum() - norm(longer @ V) ** 2
    if not within([-missed, missed - found.bound, abs(found.bound - norm(x - V @ V.T @ x) ** 2)], tol):
        return False
    if found.exact != within(missed, tol):
        return False
    following = values[k] if k < len(values) else 0.0
    if found.exact and above(values[k - 1] - following, tol):  # then the recomputed places are determined
        W = np.linalg.svd(longer)[2][:k].T
        return within(norm(longer @ (W @ W.T - V @ V.T) @ longer.T), tol * max(1, norm(longer)))
    return True


def changed(**what):
    """The book's code with some answers changed, each by a function of (answer, X, k, x)."""
    return lambda X, k, x: (found := fold(X, k, x))._replace(
        **{name: change(found, X, k, x) for name, change in what.items()}
    )


def along(choose):
    """All places in other columns than v₁, …, v_k."""

    def code(X, k, x):
        V = choose(np.linalg.svd(X)[2], k)
        rest = x - V @ V.T @ x
        return fold(X, k, x)._replace(
            V=V, documents=X @ V, place=V.T @ x, scores=X @ V @ V.T @ x, bound=float(rest @ rest)
        )

    return code


def values(X, k):
    s = np.linalg.svd(X, compute_uv=False)[:k]
    return np.where(above(s, 1e-9), s, 1.0)


def left_factor(found, X, k, x):
    """Uᵀ x, cut or filled to the length that fits."""
    return np.linalg.svd(X)[0][:, :k].T @ np.resize(x, len(X))


def as_unit(vector):
    return vector / max(norm(vector), 1e-300)


# The first direction of a matrix without negative entries


class First(NamedTuple):
    """First singular vectors, and whether any other right one may keep one sign where v is positive."""

    u: np.ndarray
    v: np.ndarray
    others_mixed: bool


def first(X):
    """Absolute values of the first right singular vector, and X times it."""
    v = np.abs(np.linalg.svd(X)[2][0])
    return First(as_unit(X @ v), v, True)


def first_claim(code, X, power=2):
    """v, u ≥ 0 of length 1 with Xv = σ₁u, Xᵀu = σ₁v; and for a gap the signs of all other right singular vectors."""
    found = code(X)
    s, Vt = np.concatenate([np.linalg.svd(X, compute_uv=False), np.zeros(1)]), np.linalg.svd(X)[2]
    u, v = found.u, found.v
    if not within([*-u, *-v, abs(norm(v) - 1)], 1e-12):
        return False
    if not within([norm(X @ v - s[0] * u), norm(X.T @ u - s[0] * v)], 1e-10 * s[0]):
        return False
    if above(s[0] - s[1], 1e-9 * s[0]):
        for w in Vt[1:, above(v, 1e-9)]:
            mixed = above(w.max(), 1e-9) and above(-w.min(), 1e-9)
            absent = within(np.abs(w), 1e-9)
            if not (mixed or (absent and found.others_mixed)):
                return False
    return True


BLOCKS = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 1]])
EQUAL_BLOCKS = np.kron(np.eye(2), [[1.0, 2], [2, 1]])  # σ₁ = σ₂ = 3, and vectors of both signs among the first ones
TURNED = np.array([[1.0, -2], [0, 1]])

CASES = [
    (TINY, 2, WORD),
    (TINY, 2, PAIR),
    (TINY, 2, np.array([1.0, 2, 1, 0])),  # lies in the space
    (TINY, 2, TINY[1]),
    (TINY, 2, 0.9 * APART),  # orthogonal and weak: exact
    (TINY, 2, 1.1 * APART),  # orthogonal, shorter than σ₂, and too strong with what is there
    (TINY, 2, 2 * APART),  # orthogonal and strong
    (TINY, 2, np.zeros(4)),
    (TINY, 1, PAIR),
    (TINY, 3, PAIR),
    (TALL, 2, RNG.random(4)),
    (TALL, 4, RNG.random(4)),  # k = n: nothing is left over
    (WIDE, 1, RNG.random(8)),
    (WIDE, 3, RNG.random(8)),
    (SQUARE, 2, RNG.standard_normal(5)),
    (SQUARE, 3, 5 * RNG.standard_normal(5)),
    (THIN, 1, RNG.random(5)),
    (THIN, 2, THIN[0] + THIN[1]),
    (THIN, 3, RNG.random(5)),  # σ₃ = 0
    (TIES, 1, np.array([1.0, 1, 0])),
    (TIES, 2, np.array([0.0, 1, 1])),
    (TIES, 2, np.array([3.0, 0, 0])),
    (ZERO, 2, np.array([0.0, 0, 0, 3])),  # ℓ = ‖e‖²: the bound is attained
    (ZERO, 2, np.zeros(4)),
    (ONE, 1, np.array([3.0])),
]

CLAIMS = {
    "thm-folding-in": Claim(
        check=folding,
        code=fold,
        cases=CASES,
        dropped={
            "x has the weights of the corpus (here: row 0 with other ones)": (TINY, 2, np.array([1.0, 3, 0, 0]), 0),
            "σ_k > 0, for the place beside U": (THIN, 3, THIN[0], None, True),
            "V_k holds right singular vectors of X": (TALL, 2, TALL[0], None, None, np.eye(4)[:, :2]),
        },
        mutants={
            "divided by the singular values beside UΣ": changed(place=lambda f, X, k, x: f.place / values(X, k)),
            "multiplied by the singular values": changed(place=lambda f, X, k, x: f.place * values(X, k)),
            "Σ⁻¹ missing beside U": changed(scaled=lambda f, X, k, x: None if f.scaled is None else f.place),
            "Σ⁻² beside U": changed(scaled=lambda f, X, k, x: None if f.scaled is None else f.scaled / values(X, k)),
            "U for V": changed(place=left_factor),
            "the place scaled to length 1": changed(place=lambda f, X, k, x: as_unit(f.place)),
            "the query divided by its largest weight": lambda X, k, x: fold(X, k, x / max(np.abs(x).max(), 1e-300)),
            "the query centred": lambda X, k, x: fold(X, k, x - X.mean(axis=0)),
            "scores without Σ": changed(
                scores=lambda f, X, k, x: (f.documents / values(X, k)) @ f.place,
            ),
            "scores of the text itself, not of its projection": changed(scores=lambda f, X, k, x: X @ x),
            "always exact": changed(exact=lambda f, X, k, x: True),
            "never exact": changed(exact=lambda f, X, k, x: False),
            "exact only inside the space": changed(exact=lambda f, X, k, x: within(f.bound, small(X, x))),
            "exact for everything orthogonal": changed(
                exact=lambda f, X, k, x: within(min(f.bound, f.place @ f.place), small(X, x))
            ),
            "exact if orthogonal and shorter than σ_k": changed(
                exact=lambda f, X, k, x: (
                    within(f.bound, small(X, x))
                    or (within(f.place @ f.place, small(X, x)) and norm(x) <= values(X, k)[-1])
                )
            ),
            "the bound ‖e‖, not its square": changed(bound=lambda f, X, k, x: f.bound**0.5),
            "half of the bound": changed(bound=lambda f, X, k, x: f.bound / 2),
            "the bound ‖x‖²": changed(bound=lambda f, X, k, x: float(x @ x)),
            "the first k columns of Vᵀ": along(lambda Vt, k: Vt[:, :k]),
            "the last k directions": along(lambda Vt, k: Vt[-k:].T),
        },
    ),
    "prop-nonnegative-direction": Claim(
        check=first_claim,
        code=first,
        cases=[
            (A,) for A in (TINY, TALL, WIDE, np.abs(SQUARE), THIN, TIES, ONE, BLOCKS, EQUAL_BLOCKS, np.ones((3, 5)))
        ],
        dropped={"no entry is negative": (TURNED,)},
        mutants={
            "as the library returns it, with one sign turned": lambda X: first(X)._replace(v=-first(X).v),
            "the negative part set to zero": lambda X: First(
                as_unit(X @ (v := as_unit(np.maximum(np.linalg.svd(X)[2][0], 0)))), v, True
            ),
            "the mean instead": lambda X: First(as_unit(X @ (v := as_unit(X.mean(axis=0)))), v, True),
            "the centred matrix": lambda X: First(
                as_unit(X @ (v := np.abs(np.linalg.svd(X - X.mean(axis=0))[2][0]))), v, True
            ),
            "the second direction": lambda X: First(
                as_unit(X @ (v := np.abs(np.linalg.svd(X)[2][min(1, X.shape[1] - 1)]))), v, True
            ),
            "the others always have both signs": lambda X: first(X)._replace(others_mixed=False),
        },
    ),
}

bootstrap = definitions(10, "bootstrap")
STUDY = results.load("search")


def ahead(ways, name, base="tf-idf"):
    """The mean of the paired differences, and the half-width of its 95 % interval, in points."""
    difference = 100 * np.subtract(ways[name]["shares"], ways[base]["shares"])
    return difference.mean(), 1.96 * difference.std(ddof=1) / len(difference) ** 0.5


def unlabelled_texts_help(learnt):
    """Both gain with one and two labels, self-training more with two; with eight it loses and LSA does not."""
    gains = [np.subtract(*ahead(learnt[size], name)) for size in "12" for name in ("LSA", "self-training")]
    more, eight = np.subtract(*ahead(learnt["2"], "self-training", "LSA")), learnt["8"]
    loses = np.add(*ahead(eight, "self-training")) < 0 < np.subtract(*ahead(eight, "LSA"))
    most = max(STUDY["grids of labels"]["self-training"]["adopted"])
    inside = all(ways["self-training"]["chosen"] < most for ways in learnt.values())
    return inside and min(*gains, more) > 0 and loses


def ends(ways, name, base="tf-idf"):
    """The interval of a paired difference over queries, in points."""
    return 100 * bootstrap(np.subtract(ways[name]["shares"], ways[base]["shares"]))


def undecided(ways, name, base="tf-idf"):
    """Whether the interval of the difference has zero within it."""
    low, high = ends(ways, name, base)
    return low <= 0 <= high


def rise(ways, name, base="tf-idf"):
    """What the chosen setting gained on the queries that chose it, in points."""
    best, other = (max(tried[-1] for tried in ways[way]["tried"]) for way in (name, base))
    return 100 * (best - other)


def mean(ways, name):
    """The share in per cent, as printed."""
    return f"{100 * np.mean(ways[name]['shares']):.1f}"


def signed(*numbers):
    """As the chapter prints them."""
    return [f"{x:+.1f}".replace("-", "−") for x in numbers]


def truncated(ways):
    """LSA that may choose keeps more than a few hundred dimensions, and not all."""
    [k] = ways["LSA"]["chosen"]
    return k != "all" and k > 400


def inside(ways, name):
    """The weight of a sum is not the largest that was tried."""
    return ways[name]["chosen"][1] < max(STUDY["grids"][name]["alpha"])


def words_find(ways):
    """BM25 above tf-idf, LSA below with 200 dimensions; where tuning truncates or adds, new queries see no gain."""
    return (
        ends(ways, "BM25")[0] > 0
        and ends(ways, "LSA 200")[1] < -10
        and truncated(ways)
        and undecided(ways, "LSA")
        and undecided(ways, "tf-idf + LSA")
        and undecided(ways, "BM25 + LSA", "BM25")
        and inside(ways, "tf-idf + LSA")
        and inside(ways, "BM25 + LSA")
    )


def words_relate(ways):
    """LSA with 200 dimensions below tf-idf; truncated or added as tuned, at most a point and a half above."""
    return (
        ends(ways, "LSA 200")[1] < 0
        and truncated(ways)
        and all(low > -1 and high < 1.5 for low, high in (ends(ways, name) for name in ("LSA", "tf-idf + LSA")))
        and inside(ways, "tf-idf + LSA")
    )


def answered(ways, name, change):
    """One way's scores changed."""
    return ways | {name: ways[name] | {"shares": change(np.array(ways[name]["shares"]))}}


def choosing(ways, name, *setting):
    """Another setting chosen by one way."""
    return ways | {name: ways[name] | {"chosen": setting}}


def as_good(name, base="tf-idf"):
    """One way with the scores of another."""
    return lambda ways: answered(ways, name, lambda x: ways[base]["shares"])


def above_it(name, base="tf-idf", points=2):
    """One way as many points above another on new queries."""
    return lambda ways: answered(ways, name, lambda x: np.array(ways[base]["shares"]) + points / 100)


def settings_chosen(ways):
    """What was chosen, by the names of the settings."""
    return {
        name: {setting: [value] for setting, value in zip(STUDY["grids"][name], ways[name]["chosen"], strict=True)}
        for name in STUDY["grids"]
        if name in ways
    }


FEW = STUDY["grids"]["LSA"]["dimensions"][20]  # 125
WHOLE = {"dimensions": "the last keeps everything: it is tf-idf itself"}
NO_SUM = {"alpha": "0 is no sum"}
ENDS = {
    "BM25": ({"b": "0 is no price of length"}, {"b": "1 is the full one"}),
    "LSA": ({}, WHOLE),
    "tf-idf + LSA": (NO_SUM, WHOLE),
    "BM25 + LSA": (NO_SUM, WHOLE),
}
TUNED = {name: Contender(name, grid, first=ENDS[name][0], last=ENDS[name][1]) for name, grid in STUDY["grids"].items()}
TEXTBOOK = Contender("LSA 200", fixed="a few hundred dimensions, as textbooks have it")
PLAIN = Contender("tf-idf", fixed="has no setting")

OBSERVATIONS = {
    "obs-lsa-few-labels": Observation(
        measured=lambda: results.load("search")["labels"],
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[
                PLAIN,
                Contender("LSA", STUDY["grids of labels"]["LSA"], last=WHOLE),
                Contender(
                    "self-training",
                    STUDY["grids of labels"]["self-training"],
                    first={"adopted": "0 is no self-training"},
                ),
            ],
            tested_on="texts of fourteen subpackages",
            tuned_on="texts of nineteen other subpackages",
            runs=24,
            interval="95 %, paired, over draws of labels",
        ),
        verdict=unlabelled_texts_help,
        numbers=lambda learnt: [
            f"{np.mean(learnt['1']['tf-idf']['shares']):.0%}".replace("%", " %"),
            *(
                f"{abs(gain):.1f} ± {half:.1f}"
                for gain, half in (
                    *(ahead(learnt[size], name) for size in "128" for name in ("LSA", "self-training")),
                    ahead(learnt["2"], "self-training", "LSA"),
                )
            ),
        ],
        sharp={
            "raw tf-idf as good with one label": lambda learnt: learnt | {"1": as_good("LSA")(learnt["1"])},
            "LSA as good as self-training with two": lambda learnt: (
                learnt | {"2": as_good("LSA", "self-training")(learnt["2"])}
            ),
            "self-training level with eight": lambda learnt: learnt | {"8": as_good("self-training")(learnt["8"])},
            "the most texts adopted, at the edge": lambda learnt: (
                learnt | {"1": learnt["1"] | {"self-training": learnt["1"]["self-training"] | {"chosen": 256}}}
            ),
        },
        chosen=lambda learnt: {
            name: {setting: [ways[name]["chosen"] for ways in learnt.values()]}
            for name, setting in (("LSA", "dimensions"), ("self-training", "adopted"))
        },
    ),
    "obs-lsa-known-text": Observation(
        measured=lambda: results.load("search")["known text"],
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[PLAIN, TEXTBOOK, *TUNED.values()],
            tested_on="1500 first paragraphs as queries",
            tuned_on="500 others",
            runs=1500,
            interval="95 %, paired, bootstrap over queries",
        ),
        verdict=words_find,
        numbers=lambda ways: [
            *(mean(ways, name) for name in ("tf-idf", "BM25", "LSA 200")),
            *(f"{x:.1f}" for x in ends(ways, "BM25")),
            str(ways["LSA"]["chosen"][0]),
            *(f"{rise(ways, name):.1f}" for name in ("LSA", "tf-idf + LSA")),
            *signed(*ends(ways, "LSA"), *ends(ways, "tf-idf + LSA"), *ends(ways, "BM25 + LSA", "BM25")),
        ],
        sharp={
            "BM25 level with tf-idf": as_good("BM25"),
            "200 dimensions as good as all": as_good("LSA 200"),
            "a few hundred dimensions preferred": lambda ways: choosing(ways, "LSA", FEW),
            "all dimensions preferred": lambda ways: choosing(ways, "LSA", "all"),
            "the truncated space above tf-idf on new queries": above_it("LSA"),
            "a sum above tf-idf on new queries": above_it("tf-idf + LSA"),
            "LSA that adds to BM25": above_it("BM25 + LSA", "BM25"),
            "a weight at the edge of its grid": lambda ways: choosing(ways, "tf-idf + LSA", 50, 2),
        },
        chosen=settings_chosen,
    ),
    "obs-lsa-see-also": Observation(
        measured=lambda: results.load("search")["see also"],
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[PLAIN, TEXTBOOK, TUNED["LSA"], TUNED["tf-idf + LSA"]],
            tested_on="1000 texts with a list of related ones",
            tuned_on="300 others",
            runs=1000,
            interval="95 %, paired, bootstrap over texts",
        ),
        verdict=words_relate,
        numbers=lambda ways: [
            *(mean(ways, name) for name in ("tf-idf", "LSA 200")),
            *(f"{-x:.1f}" for x in ends(ways, "LSA 200")),
            str(ways["LSA"]["chosen"][0]),
            *(f"{rise(ways, name):.1f}" for name in ("LSA", "tf-idf + LSA")),
            *signed(*ends(ways, "LSA"), *ends(ways, "tf-idf + LSA")),
        ],
        sharp={
            "200 dimensions as good as all": as_good("LSA 200"),
            "a few hundred dimensions preferred": lambda ways: choosing(ways, "LSA", FEW),
            "all dimensions preferred": lambda ways: choosing(ways, "LSA", "all"),
            "the truncated space two points above tf-idf on new texts": above_it("LSA"),
            "the truncated space two points below": above_it("LSA", points=-2),
            "a sum two points above tf-idf on new texts": above_it("tf-idf + LSA"),
        },
        chosen=settings_chosen,
    ),
}
