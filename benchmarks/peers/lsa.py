"""LSA beside the libraries: seconds for 100 dimensions of the tf-idf of 5283 docstrings, and the energy lost.

    python -m benchmarks.peers.lsa [--rounds 7] [--small]

Contenders run in turns, with the threads that the environment grants (OMP_NUM_THREADS=2 for the book's table); the
median of the rounds counts, after one that warms up. The energy lost is ‖X − U diag(s) Vᵀ‖_F² over the least possible
at that rank, less 1, from X's norm and that of the projection X V. gensim takes part if it is installed. The result
goes into lowrank_helpers/data/results/lsa.json.
"""

import argparse
import importlib.util
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.datasets import load
from lowrank_helpers.decomposition import lsa

RESULT = RESULTS / "lsa.json"


def gensim_lsi(X: Any, rank: int) -> Any:
    """gensim's LsiModel, as it comes; its corpus is made outside the clock."""
    from gensim.matutils import Sparse2Corpus
    from gensim.models import LsiModel

    corpus = Sparse2Corpus(X, documents_columns=False)
    return lambda: LsiModel(corpus, num_topics=rank, random_seed=0).projection.u.T


def contenders(X: Any, rank: int) -> dict[str, Callable[[], Any]]:
    """Each returns directions in the space of terms, as rows."""
    found: dict[str, Callable[[], Any]] = {
        "ours, lsa": lambda: lsa(X, rank, rng=0).Vt,
        "scikit-learn TruncatedSVD": lambda: TruncatedSVD(rank, random_state=0).fit(X).components_,
        "scikit-learn TruncatedSVD, ARPACK": lambda: (
            TruncatedSVD(rank, algorithm="arpack", random_state=0).fit(X).components_
        ),
        "scipy svds, ARPACK": lambda: svds(X, rank)[2],
    }
    if importlib.util.find_spec("gensim"):
        found["gensim LsiModel"] = gensim_lsi(X, rank)
    return found


def energy(X: Any, Vt: Any) -> float:
    """‖X V‖² for an orthonormal basis V of the rows of Vt."""
    V = np.linalg.qr(Vt.T)[0]
    return float(((X @ V) ** 2).sum())


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    options = parser.parse_args(arguments)
    texts = load("docstrings").texts[: 200 if options.small else None]
    X = TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2).fit_transform(texts)
    rank = 10 if options.small else 100
    seconds: dict[str, list[float]] = {}
    kept: dict[str, float] = {}
    for turn in range(options.rounds + 1):
        for name, solve in contenders(X, rank).items():
            start = time.perf_counter()
            Vt = solve()
            if turn:
                seconds.setdefault(name, []).append(time.perf_counter() - start)
            kept[name] = energy(X, Vt)
    total = float(X.multiply(X).sum())
    least = total - kept["scipy svds, ARPACK"]
    rows = {
        name: {"seconds": statistics.median(times), "energy lost": (total - kept[name]) / least - 1}
        for name, times in seconds.items()
    }
    for name, row in rows.items():
        print(f"{name:36s}{row['seconds']:8.3f} s{row['energy lost']:12.2e}")
    result = {
        **provenance("numpy", "scipy", "scikit-learn"),
        "shape": list(X.shape),
        "stored entries": int(X.nnz),
        "rank": rank,
        "rounds": options.rounds,
        "methods": rows,
    }
    store(options.out, result)


if __name__ == "__main__":
    main()
