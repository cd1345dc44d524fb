"""The claims of side trip A3, Graphs."""

import functools

import numpy as np
from scipy.sparse.csgraph import connected_components

from book import margins
from book.claims import Claim
from book.definitions import definitions
from book.margins import within
from book.observations import Contender, Observation, Protocol
from lowrank_helpers import datasets, results

KARATE = datasets.load("karate").adjacency


# Cuts


def cut_and_floor(W, part, number=1, scale=lambda s, n: s * (n - s) / n):
    lam = np.linalg.eigvalsh(np.diag(W.sum(axis=1)) - W)
    return float(W[np.ix_(part, ~part)].sum()), float(lam[number] * scale(part.sum(), len(W)))


def cut_claim(code, W):
    """Random splits, and the one by the Fiedler vector, obey the floor; the complete graph attains it."""
    n = len(W)
    rng = np.random.default_rng(2)
    fiedler = np.linalg.eigh(np.diag(W.sum(axis=1)) - W)[1][:, 1]
    parts = [np.argsort(rng.random(n)) < s for s in range(1, n) for _ in range(5)]
    parts.extend(fiedler > level for level in np.sort(fiedler)[:-1])
    parts = [part for part in parts if 0 < part.sum() < n]
    cuts, floors = np.array([code(W, part) for part in parts]).T
    complete = np.ones((n, n)) - np.eye(n)
    sharp, attained = np.array([code(complete, part) for part in parts]).T
    return within(floors - cuts, 1e-9) and within(abs(sharp - attained), 1e-9)


def cliques(k):
    """Two complete graphs on k vertices, joined by one edge."""
    W = np.kron(np.eye(2), np.ones((k, k))) - np.eye(2 * k)
    W[k - 1, k] = W[k, k - 1] = 1.0
    return W


# Components


spectral_rows = definitions("A3", "spectral_rows")


def union(*parts):
    """The graph whose components are these, each connected."""
    W = np.zeros((sum(map(len, parts)),) * 2)
    start = 0
    for part in parts:
        W[start : start + len(part), start : start + len(part)] = part
        start += len(part)
    return W


def weighted(n, seed):
    """A graph in which all are joined, with random weights of very different size."""
    X = np.triu(np.exp(2 * np.random.default_rng(seed).standard_normal((n, n))), 1)
    return X + X.T


def components_claim(code, W):
    """As many zero eigenvalues as components, of both Laplacians; rows equal within a component, else perpendicular."""
    k, component = connected_components(W != 0, directed=False)
    degrees = W.sum(axis=1)
    root = np.sqrt(degrees)
    with np.errstate(all="ignore"):
        try:
            rows = code(W, k)
        except np.linalg.LinAlgError:  # of what was divided by a degree of 0
            return False
        normalised = np.eye(len(W)) - W / np.outer(root, root)
    if not (np.isfinite(rows).all() and np.isfinite(normalised).all()):
        return False
    plain = np.diag(degrees) - W
    for L in (plain, normalised):
        lam = np.sort(np.linalg.eigvals(L).real) / max(1.0, np.abs(L).max())
        if not (within(np.abs(lam[:k]), 1e-10) and (k == len(W) or margins.above(lam[k], 1e-6))):
            return False
    return margins.close(rows @ rows.T, np.equal.outer(component, component) * 1.0, atol=1e-8)


def rows_of(W, columns, unit=True):
    """What the chapter's code does, with other columns of the eigenvectors."""
    root = np.sqrt(W.sum(axis=1))
    V = np.linalg.eigh(np.eye(len(W)) - W / np.outer(root, root))[1][:, columns]
    return V / np.linalg.norm(V, axis=1, keepdims=True) if unit else V


PATH = np.diag([1.0, 1, 0], 1)[:3, :3] + np.diag([1.0, 1, 0], 1)[:3, :3].T
CLAIMS = {
    "cor-cut": Claim(
        check=cut_claim,
        code=cut_and_floor,
        cases=[
            (KARATE,),
            (cliques(4),),
            (np.ones((5, 5)) - np.eye(5),),
            (np.diag([1.0, 1, 0], 1) + np.diag([1.0, 1, 0], -1),),
        ],
        dropped={"the weights of the edges are not negative": (np.array([[0.0, -1.0], [-1.0, 0.0]]),)},
        mutants={
            "the third smallest eigenvalue": lambda W, part: cut_and_floor(W, part, number=min(2, len(W) - 1)),
            "the smaller part for s(n−s)/n": lambda W, part: cut_and_floor(W, part, scale=lambda s, n: min(s, n - s)),
            "no division by n": lambda W, part: cut_and_floor(W, part, scale=lambda s, n: s * (n - s)),
            "half of it: true, but not attained": lambda W, part: cut_and_floor(
                W, part, scale=lambda s, n: s * (n - s) / n / 2
            ),
        },
    ),
    "prop-components": Claim(
        check=components_claim,
        code=spectral_rows,
        cases=[
            (KARATE,),
            (union(PATH, cliques(3)),),
            (union(weighted(3, 1), weighted(5, 2), weighted(4, 3)),),
            (np.kron(np.eye(3), 1 - np.eye(2)),),
            (1 - np.eye(2),),
        ],
        dropped={
            "the weights are not negative": (np.array([[0.0, 2, -1], [2, 0, 2], [-1, 2, 0]]),),
            "all degrees are positive": (union(PATH, np.zeros((1, 1))),),
        },
        mutants={
            "the largest eigenvalues": lambda W, k: rows_of(W, slice(len(W) - k, None)),
            "rows as they are": lambda W, k: rows_of(W, slice(0, k), unit=False),
            "the eigenvectors behind the first k": lambda W, k: rows_of(
                W, slice(min(k, len(W) - k), min(k, len(W) - k) + k)
            ),
            "one eigenvector too few": lambda W, k: rows_of(W, slice(0, max(1, k - 1))),
            "columns of length 1 for rows": lambda W, k: (
                spectral_rows(W, k) / np.linalg.norm(spectral_rows(W, k), axis=0)
            ),
        },
    ),
}


# Observations


@functools.cache
def digit_clusters():
    """The stored measurement of clusters of digits."""
    return results.load("digit_clusters")


apart_by = definitions("A3", "apart_by")


def spectral_above_k_means(study):
    """Spectral clusters are above k-means by more than the interval; ours and the library's cannot be told apart."""
    gain, width = apart_by("spectral", "k-means", study["splits"])
    other, other_width = apart_by("spectral", "scikit-learn", study["splits"])
    return gain > width and abs(other) <= other_width


def indices_changed(change):
    return lambda study: study | {"splits": [s | {"index": s["index"] | change(s["index"])} for s in study["splits"]]}


def digit_numbers(study):
    pairs = (apart_by("spectral", other, study["splits"]) for other in ("k-means", "scikit-learn"))
    means = [np.mean([s["index"][name] for s in study["splits"]]) for name in ("k-means", "spectral", "scikit-learn")]
    return [f"{gain:.2f} ± {width:.2f}" for gain, width in pairs] + [f"{mean:.2f}" for mean in means]


GRID = {"neighbours": tuple(digit_clusters()["grid"])}

OBSERVATIONS = {
    "obs-graphs-digits": Observation(
        measured=digit_clusters,
        protocol=Protocol(
            baseline="k-means",
            contenders=[
                Contender("k-means", fixed="has no setting but the number of clusters, which is given to all"),
                Contender("spectral", GRID),
                Contender("scikit-learn", GRID),
            ],
            tuned_on="one half of the images of each split",
            tested_on="the other half",
            runs=10,
            interval="95 %, paired, over random splits, widened for their overlap (Nadeau and Bengio)",
        ),
        verdict=spectral_above_k_means,
        numbers=digit_numbers,
        sharp={
            "k-means as good": indices_changed(lambda index: {"k-means": index["spectral"]}),
            "a gain within the interval": indices_changed(lambda index: {"k-means": index["k-means"] + 0.05}),
            "the library's far above": indices_changed(lambda index: {"scikit-learn": index["spectral"] + 0.2}),
            "a number of neighbours at the edge": lambda study: (
                study
                | {
                    "splits": [
                        s | {"neighbours": s["neighbours"] | {"spectral": GRID["neighbours"][0]}}
                        for s in study["splits"]
                    ]
                }
            ),
        },
        chosen=lambda study: {
            name: {"neighbours": [s["neighbours"][name] for s in study["splits"]]}
            for name in ("spectral", "scikit-learn")
        },
    ),
}
