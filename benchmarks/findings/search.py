"""Search and few labels, by words and by places: the three contests of chapter 10, in up to 2600 dimensions and in all.

    python -m benchmarks.findings.search

Texts, weights, scores and judges are the chapter's own functions. For each contest of
search a space of 2600 dimensions is computed once, by the eigenvectors of all inner products; its first k columns are
the space of k dimensions. Every contender with settings chooses from as many: 60 in the two contests of search, by
other queries than those of the verdict, and 8 with few labels, up to 400 dimensions, on other subpackages. Queries are
drawn with the seed 0, draw b of labels with [labels per class, b], and with [labels per class, 100 + b] for choosing.
The result, lowrank_helpers/data/results/search.json, has for each way what it chose, the mean for each setting that it
tried, and its share for each query of the verdict. About six minutes on one thread.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers import datasets

Array = Any
Shares = dict[str, dict[tuple[Any, ...], Array]]
words, vocabulary, count, parted = (definitions(10, name) for name in ("words", "vocabulary", "count", "parted"))
weigh, inverse_frequency, okapi = (definitions(10, name) for name in ("weigh", "inverse_frequency", "okapi"))
latent, unit = (definitions(10, name) for name in ("latent", "unit"))
found, see_also, recall = (definitions(10, name) for name in ("found", "see_also", "recall"))
members, without_names, share_right, draw = (
    definitions(10, name) for name in ("members", "without_names", "share_right", "draw")
)

MOST = 2600
ALONE = [*map(int, np.geomspace(25, MOST, 59).round())]
SUMMED = [25, 50, 100, 200, 400, 800, 1200, 1800, MOST]
SUMS: dict[str, list[Any]] = {"dimensions": [*SUMMED, "all"], "alpha": [0, 0.1, 0.2, 0.5, 1, 2]}
GRIDS: dict[str, dict[str, list[Any]]] = {
    "BM25": {"k1": [0.2, 0.4, 0.6, 0.9, 1.2, 1.8, 2.4, 3.6, 4.8, 9.6], "b": [0, 0.2, 0.4, 0.6, 0.8, 1]},
    "LSA": {"dimensions": [*ALONE, "all"]},
    "tf-idf + LSA": SUMS,
    "BM25 + LSA": SUMS,
}
LABELS: dict[str, dict[str, list[Any]]] = {
    "LSA": {"dimensions": [25, 50, 100, 150, 200, 300, 400, "all"]},
    "self-training": {"adopted": [0, 4, 8, 16, 32, 64, 128, 256]},
}


class Corpus(NamedTuple):
    """Counts and weights of texts by words; places of the texts and directions in 2600 dimensions."""

    counts: Array
    weights: Array
    places: Array
    directions: Array


def corpus(counts: Array, weights: Array) -> Corpus:
    """The decomposition by the eigenvectors of all inner products of texts, which loses nothing in these dimensions."""
    m = weights.shape[0]
    squares, U = eigh((weights @ weights.T).toarray(), subset_by_index=[m - MOST, m - 1], overwrite_a=True)
    s, U = np.sqrt(squares[::-1]), U[:, ::-1]
    return Corpus(counts, weights, U * s, weights.T @ (U / s))


def cosines(queries: Array, places: Array) -> Iterator[tuple[int, Array]]:
    """The cosines of all places, for each number of dimensions: sums over one block of dimensions after another."""
    done, products, here, there = 0, 0.0, 0.0, 0.0
    for k in sorted({*ALONE, *SUMMED, 200}):
        q, d = queries[:, done:k], places[:, done:k]
        products, here, there = products + q @ d.T, here + (q**2).sum(axis=1), there + (d**2).sum(axis=1)
        length = np.sqrt(np.outer(here, there))
        yield k, products / np.where(length == 0, 1, length)
        done = k


def by_bm25(texts: Corpus, Q: Array, k1: float, b: float) -> Array:
    """Scores of BM25, those of each query divided by the best one."""
    scores = (Q @ okapi(texts.counts, k1, b).T).toarray()
    return scores / np.maximum(scores.max(axis=1, keepdims=True), 1)


def measure(texts: Corpus, Q: Array, judge: Callable[[Array], Array], grids: Any, bm25: Any = None) -> Shares:
    """The share for each query with the counts Q, by way and setting; `bm25` has the numbers for the sum with it."""
    q = weigh(Q, inverse_frequency(texts.counts))
    by_word = (q @ texts.weights.T).toarray()
    shares: Shares = {name: {} for name in grids}
    for setting in grids.get("BM25", ()):
        shares["BM25"][setting] = judge(by_bm25(texts, Q, *setting))
    if set(grids) <= {"BM25"}:
        return shares
    bases = {"tf-idf + LSA": by_word} | ({"BM25 + LSA": by_bm25(texts, Q, *bm25)} if bm25 else {})
    for k, cosine in itertools.chain(cosines(q @ texts.directions, texts.places), [("all", by_word)]):
        for name in ("LSA", "LSA 200"):
            if (k,) in grids.get(name, ()):
                shares[name][k,] = judge(cosine)
        for name, base in bases.items():
            for setting in grids.get(name, ()):
                if setting[0] == k:
                    shares[name][setting] = judge(base + setting[1] * cosine)
    if "tf-idf" in grids:
        shares["tf-idf"][()] = judge(by_word)
    return shares


def contest(texts: Corpus, ask: Any, tune: Array, test: Array, names: list[str]) -> dict[str, Any]:
    """For each way what it chose, the mean of each setting tried, and its shares for the queries of the verdict."""
    grids: dict[str, list[tuple[Any, ...]]] = {"tf-idf": [()], "LSA 200": [(200,)]}
    grids |= {name: [*itertools.product(*GRIDS[name].values())] for name in names}
    Q, judge = ask(tune)
    tried, bm25 = {}, None
    if "BM25" in names:
        tried = measure(texts, Q, judge, {"BM25": grids["BM25"]})
        bm25 = max(tried["BM25"], key=lambda setting: tried["BM25"][setting].mean())
    tried |= measure(texts, Q, judge, {name: grid for name, grid in grids.items() if name != "BM25"}, bm25)
    best = {name: max(grids[name], key=lambda setting: tried[name][setting].mean()) for name in grids}
    Q, judge = ask(test)
    shares = measure(texts, Q, judge, {name: [setting] for name, setting in best.items()}, bm25)
    return {
        name: {
            "chosen": best[name],
            "tried": [[*setting, round(tried[name][setting].mean(), 6)] for setting in grids[name]],
            "shares": shares[name][best[name]].round(4).tolist(),
        }
        for name in grids
    }


def few_labels(Y: Array, places: Array, size: int) -> dict[str, Any]:
    """With so many labels per class the same for raw tf-idf, LSA and self-training."""

    def ways(at: Array) -> dict[str, dict[Any, tuple[Array, int]]]:
        return {
            "tf-idf": {None: (Y[at], 0)},
            "LSA": {k: (Y[at] if k == "all" else unit(places[at, :k]), 0) for k in LABELS["LSA"]["dimensions"]},
            "self-training": {number: (Y[at], number) for number in LABELS["self-training"]["adopted"]},
        }

    def measured(judged: bool, draws: range, settings: Any = None) -> dict[str, dict[Any, Array]]:
        at, y = members(judged)
        picks = [draw(y, size, np.random.default_rng([size, b])) for b in draws]
        return {
            name: {
                setting: np.array([share_right(R, y, train, adopt=adopt) for train in picks])
                for setting, (R, adopt) in tries.items()
                if settings is None or setting == settings[name]
            }
            for name, tries in ways(at).items()
        }

    tried = measured(False, range(100, 106))
    best = {name: max(found, key=lambda setting: found[setting].mean()) for name, found in tried.items()}
    return {
        name: {
            "chosen": best[name],
            "tried": [[setting, round(x.mean(), 6)] for setting, x in tried[name].items()],
            "shares": found[best[name]].round(6).tolist(),
        }
        for name, found in measured(True, range(24), best).items()
    }


def main() -> None:
    """Measure all three, and store it."""
    header = provenance("numpy", "scipy")
    texts = datasets.load("docstrings").texts
    m, rng = len(texts), np.random.default_rng

    first, rest, usable = parted(texts)
    column = vocabulary(rest)
    B = count(rest, column)
    at = rng(0).permutation(usable)
    known = contest(
        corpus(B, weigh(B, inverse_frequency(B))),
        lambda at: (count([first[i] for i in at], column), lambda scores: found(scores, at)),
        at[:500],
        at[500:2000],
        ["BM25", "LSA", "tf-idf + LSA", "BM25 + LSA"],
    )

    lists = [words(text) for text in texts]
    column = vocabulary(lists)
    C = count(lists, column)
    idf = inverse_frequency(C)
    at = rng(0).permutation([i for i in range(m) if see_also(i)])
    see = contest(
        corpus(C, weigh(C, idf)),
        lambda at: (C[at], lambda scores: recall(scores.copy(), at)),
        at[:300],
        at[300:1300],
        ["LSA", "tf-idf + LSA"],
    )

    fair = without_names(column)
    Y = weigh(C[:, fair], idf[fair])
    places = latent(Y, 400)[0]
    labels = {size: few_labels(Y, places, size) for size in (1, 2, 4, 8, 16, 32)}

    study = {"seed": 0, "texts": m, "grids": GRIDS, "grids of labels": LABELS}
    study |= {"known text": known, "see also": see, "labels": labels}
    store(RESULTS / "search.json", header | study, indent=None)


if __name__ == "__main__":
    main()
