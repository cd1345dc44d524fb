"""Ten clusters of handwritten digits: by k-means of the images, and by spectral clustering, ours and scikit-learn's.

    OMP_NUM_THREADS=1 python -m benchmarks.findings.digit_clusters [--small --out FILE]

The functions are those of side trip A3. The 1797 images are split in halves ten times, with the seeds 0 to 9. The
number of neighbours, out of six, is chosen by the adjusted Rand index on the first half, by each of the two methods
for itself; the index on the second half is the result. All k-means have ten starts. The result goes into
lowrank_helpers/data/results/digit_clusters.json.
"""

import argparse
import pathlib
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers import datasets

RESULT = RESULTS / "digit_clusters.json"
NEIGHBOURS, SEEDS = (2, 3, 6, 12, 25, 50), range(10)
heaps = definitions("A3", "heaps")
METHODS = {
    name: definitions("A3", f"{code}_clusters")
    for name, code in (("spectral", "spectral"), ("scikit-learn", "library"))
}


def index(method: Any, X: Any, y: Any, *setting: int) -> float:
    """The adjusted Rand index of ten clusters that a method makes of these images."""
    return float(adjusted_rand_score(y, method(X, 10, *setting)))


def split(seed: int, limit: int) -> dict[str, Any]:
    """Choose the number of neighbours on one half of the images, and measure on the other."""
    digits = datasets.load("digits")
    order = np.random.default_rng(seed).permutation(len(digits.y))[:limit]
    (X, y), (X_test, y_test) = ((digits.X[half], digits.y[half]) for half in np.array_split(order, 2))
    found: dict[str, Any] = {"index": {"k-means": index(heaps, X_test, y_test)}, "neighbours": {}, "tuning": {}}
    for name, method in METHODS.items():
        tried = {count: index(method, X, y, count) for count in NEIGHBOURS}
        best = max(tried, key=lambda count: tried[count])
        found["tuning"][name] = {str(count): round(value, 4) for count, value in tried.items()}
        found["neighbours"][name] = best
        found["index"][name] = index(method, X_test, y_test, best)
    found["index"] = {name: round(value, 4) for name, value in found["index"].items()}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="another result of the same form, in seconds")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT, help="where to write")
    options = parser.parse_args(arguments)
    splits = []
    for seed in SEEDS:
        splits.append(split(seed, 200 if options.small else 1797))
        print(seed, splits[-1]["index"], splits[-1]["neighbours"], flush=True)
    found = provenance("numpy", "scikit-learn", "lowrank_helpers")
    store(options.out, found | {"grid": list(NEIGHBOURS), "splits": splits})


if __name__ == "__main__":
    main()
