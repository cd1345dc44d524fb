"""The claims of chapter 10, latent semantic analysis."""

import functools
from typing import NamedTuple

import numpy as np

from book.claims import Adapted, Claim
from book.definitions import definitions
from book.margins import above, close, within
from book.observations import Contender, Observation, Protocol
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

TEXTS = 5283  # as many dimensions keep everything
learn, known_text, related_texts = (definitions(10, name) for name in ("learn", "known_text", "related_texts"))
bootstrap = definitions(10, "bootstrap")


@functools.cache
def by_labels():
    """With one, two and eight labels: what each way chose, and its scores on the same draws."""
    return {size: {name: way[:2] for name, way in learn(size).items()} for size in (1, 2, 8)}


known_texts = functools.cache(lambda: known_text())
answers_related = functools.cache(lambda: related_texts())


def ahead(ways, name, base="tf-idf"):
    """The mean of the paired differences, and the half-width of its 95 % interval, in points."""
    difference = 100 * (ways[name][1] - ways[base][1])
    return difference.mean(), 1.96 * difference.std(ddof=1) / len(difference) ** 0.5


def unlabelled_texts_help(learnt):
    """Both gain with one and two labels, self-training more with two; with eight it loses and LSA does not."""
    gains = [np.subtract(*ahead(learnt[size], name)) for size in (1, 2) for name in ("LSA", "self-training")]
    more, eight = np.subtract(*ahead(learnt[2], "self-training", "LSA")), learnt[8]
    inside = all(ways["self-training"][0] < 128 for ways in learnt.values())
    loses = np.add(*ahead(eight, "self-training")) < 0 < np.subtract(*ahead(eight, "LSA"))
    return inside and min(*gains, more) > 0 and loses


def ends(answers, name, base="tf-idf"):
    """The interval of a paired difference over queries, in points."""
    return 100 * bootstrap(answers[name][1] - answers[base][1])


def words_find(answers):
    """BM25 above tf-idf; LSA below with 200 dimensions, and left whole where it may choose; the sums undecided."""
    sums = [ends(answers, "tf-idf + LSA"), ends(answers, "BM25 + LSA", "BM25")]
    return (
        ends(answers, "BM25")[0] > 0
        and ends(answers, "LSA 200")[1] < -10
        and answers["LSA"][0] == (TEXTS,)
        and all(low <= 0 <= high for low, high in sums)
        and max(answers[name][0][1] for name in ("tf-idf + LSA", "BM25 + LSA")) < 1
    )


def rise(answers):
    """What the sum gained on the queries that chose it."""
    chosen, _, means = answers["tf-idf + LSA"]
    return 100 * (means[chosen] - means[TEXTS, 0])


def words_relate(answers):
    """LSA with 200 dimensions below tf-idf; nobody who may choose truncates or adds."""
    return ends(answers, "LSA 200")[1] < 0 and answers["LSA"][0] == (TEXTS,) and answers["tf-idf + LSA"][0][1] == 0


def answered(answers, name, change):
    """The answers with one way's scores changed."""
    way = answers[name]
    return answers | {name: (way[0], change(way[1]), *way[2:])}


def choosing(answers, name, setting):
    """The answers with another setting chosen by one way."""
    return answers | {name: (setting, *answers[name][1:])}


def settings_chosen(answers):
    """What was chosen, by the names of the settings; a sum with α = 0 is tf-idf alone, whatever its dimensions."""
    found = {"LSA": {"dimensions": [answers["LSA"][0][0]]}}
    if "BM25" in answers:
        found["BM25"] = dict(zip(("k1", "b"), ([value] for value in answers["BM25"][0]), strict=True))
    for name in answers:
        if "+" in name:
            k, a = answers[name][0]
            found[name] = {"dimensions": [k if a else TEXTS], "alpha": [a]}
    return found


WHOLE = {"dimensions": "the last keeps everything: it is tf-idf itself"}
NOTHING = {"alpha": "0 is no sum", **WHOLE}
SUM = {"dimensions": (20, 50, 100, 200, TEXTS), "alpha": (0, 0.05, 0.1, 0.2, 0.5, 1.0)}
LSA_ALONE = Contender("LSA", {"dimensions": [*map(int, np.geomspace(10, 200, 29).round()), TEXTS]}, ends=WHOLE)
TEXTBOOK = Contender("LSA 200", fixed="a few hundred dimensions, as textbooks have it")
PLAIN = Contender("tf-idf", fixed="has no setting")

OBSERVATIONS = {
    "obs-lsa-few-labels": Observation(
        measured=by_labels,
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[
                PLAIN,
                Contender("LSA", {"dimensions": (20, 50, 100, 150, 200, TEXTS)}, ends=WHOLE),
                Contender(
                    "self-training",
                    {"adopted": (0, 8, 16, 32, 64, 128)},
                    ends={"adopted": "0 is no self-training"},
                ),
            ],
            tested_on="texts of fourteen subpackages",
            tuned_on="texts of nineteen other subpackages",
            runs=24,
            interval="95 %, paired, over draws of labels",
        ),
        verdict=unlabelled_texts_help,
        numbers=lambda learnt: [
            f"{learnt[1]['tf-idf'][1].mean():.0%}".replace("%", " %"),
            *(
                f"{abs(gain):.1f} ± {half:.1f}"
                for gain, half in (
                    *(ahead(learnt[size], name) for size in (1, 2, 8) for name in ("LSA", "self-training")),
                    ahead(learnt[2], "self-training", "LSA"),
                )
            ),
        ],
        sharp={
            "raw tf-idf as good with one label": lambda learnt: (
                learnt | {1: answered(learnt[1], "tf-idf", lambda x: x + ahead(learnt[1], "LSA")[0] / 100)}
            ),
            "LSA as good as self-training with two": lambda learnt: (
                learnt | {2: answered(learnt[2], "LSA", lambda x: learnt[2]["self-training"][1])}
            ),
            "self-training level with eight": lambda learnt: (
                learnt | {8: answered(learnt[8], "self-training", lambda x: learnt[8]["tf-idf"][1])}
            ),
            "the most texts adopted, at the edge": lambda learnt: (
                learnt | {1: choosing(learnt[1], "self-training", 128)}
            ),
        },
        chosen=lambda learnt: {
            name: {setting: [ways[name][0] for ways in learnt.values()]}
            for name, setting in (("LSA", "dimensions"), ("self-training", "adopted"))
        },
    ),
    "obs-lsa-known-text": Observation(
        measured=known_texts,
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[
                PLAIN,
                TEXTBOOK,
                Contender(
                    "BM25",
                    {"k1": (0.3, 0.6, 1.2, 2.4, 4.8, 9.6), "b": (0, 0.25, 0.5, 0.75, 1)},
                    ends={"b": "from no price of length to the full one"},
                ),
                LSA_ALONE,
                Contender("tf-idf + LSA", SUM, ends=NOTHING),
                Contender("BM25 + LSA", SUM, ends=NOTHING),
            ],
            tested_on="1500 first paragraphs as queries",
            tuned_on="500 others",
            runs=1500,
            interval="95 %, paired, bootstrap over queries",
        ),
        verdict=words_find,
        numbers=lambda answers: [
            *(f"{100 * answers[name][1].mean():.1f}" for name in ("tf-idf", "BM25", "LSA 200")),
            *(f"{x:.1f}" for x in ends(answers, "BM25")),
            *(
                f"{x:+.1f}".replace("-", "−")
                for pair in (("tf-idf + LSA", "tf-idf"), ("BM25 + LSA", "BM25"))
                for x in ends(answers, *pair)
            ),
            f"{rise(answers):.1f}",
        ],
        sharp={
            "BM25 level with tf-idf": lambda answers: answered(answers, "BM25", lambda x: answers["tf-idf"][1]),
            "a truncated space preferred": lambda answers: choosing(answers, "LSA", (200,)),
            "200 dimensions as good as all": lambda answers: answered(
                answers, "LSA 200", lambda x: answers["tf-idf"][1]
            ),
            "a sum above tf-idf on new queries": lambda answers: answered(
                answers, "tf-idf + LSA", lambda x: answers["tf-idf"][1] + 0.02
            ),
            "LSA that adds to BM25": lambda answers: answered(
                answers, "BM25 + LSA", lambda x: answers["BM25"][1] + 0.02
            ),
            "a weight at the edge of its grid": lambda answers: choosing(answers, "tf-idf + LSA", (50, 1.0)),
        },
        chosen=settings_chosen,
    ),
    "obs-lsa-see-also": Observation(
        measured=answers_related,
        protocol=Protocol(
            baseline="tf-idf",
            contenders=[PLAIN, TEXTBOOK, LSA_ALONE, Contender("tf-idf + LSA", SUM, ends=NOTHING)],
            tested_on="1000 texts with a list of related ones",
            tuned_on="300 others",
            runs=1000,
            interval="95 %, paired, bootstrap over texts",
        ),
        verdict=words_relate,
        numbers=lambda answers: [
            *(f"{100 * answers[name][1].mean():.1f}" for name in ("tf-idf", "LSA 200")),
            *(f"{-x:.1f}" for x in ends(answers, "LSA 200")),
        ],
        sharp={
            "200 dimensions as good as all": lambda answers: answered(
                answers, "LSA 200", lambda x: answers["tf-idf"][1]
            ),
            "a truncated space preferred": lambda answers: choosing(answers, "LSA", (200,)),
            "a sum preferred": lambda answers: choosing(answers, "tf-idf + LSA", (100, 0.1)),
        },
        chosen=settings_chosen,
    ),
}
