"""How sparse the parts are that NMF finds in pictures, on an empty ground and on none (chapter 11).

    python -m benchmarks.findings.nmf_parts

Sixteen parts from five random starts, and sixteen principal components, of seven tables with a picture in each row:
the digits; the same digits on grey paper, a constant added; in negative, ink where paper was; with the values of each
pixel in random order, a control with the same zeros and no strokes; 300 crops of one portrait; the same crops, of
which only that is kept by which a pixel is above its median; and the hundred faces of as many people that scikit-image
0.26 carries, the only part that needs scikit-image. Sparsity is Hoyer's, by the chapter's own function, and its median
over pictures, parts or components is kept. About two minutes.
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers.datasets import load
from lowrank_helpers.decomposition import nmf, pca

PARTS, SEEDS = 16, range(5)
hoyer, portrait, crop = (definitions(11, name) for name in ("hoyer", "portrait", "crop"))


def tables() -> dict[str, np.ndarray]:
    """The pictures, one a row."""
    from skimage.data import lfw_subset

    digits = load("digits").X
    rng, photo = np.random.default_rng(0), portrait()
    crops = np.array([crop(photo, rng).ravel() for _ in range(300)])
    return {
        "digits": digits,
        "digits on grey paper": digits + digits.max() / 4,
        "digits, negative": digits.max() - digits,
        "digits, each pixel shuffled": np.random.default_rng(0).permuted(digits, axis=0),
        "crops of one face": crops,
        "crops, above the median": np.maximum(crops - np.median(crops, axis=0), 0),
        "faces of 100 people": lfw_subset()[:100].reshape(100, -1),
    }


def sparsity(rows: np.ndarray) -> float:
    """The median over the rows that are not zero."""
    return round(float(np.median([hoyer(row) for row in rows if row.any()])), 3)


def measured(A: np.ndarray) -> dict[str, Any]:
    """The share of entries that are the least of their pixel, and the sparsity of pictures, components and parts."""
    runs = [nmf(A, PARTS, init="random", rng=seed, max_iterations=3000) for seed in SEEDS]
    return {
        "shape": list(A.shape),
        "at their least": round(float((A.min(axis=0) == A).mean()), 3),
        "pictures": sparsity(A),
        "PCA": sparsity(pca(A, PARTS).components),
        "NMF": [sparsity(run.H) for run in runs],
        "converged": all(run.converged for run in runs),
    }


def main(arguments_given: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "nmf_parts.json")
    arguments = parser.parse_args(arguments_given)
    result: dict[str, Any] = {
        **provenance("numpy", "scipy", "scikit-learn", "scikit-image"),
        "seeds": list(SEEDS),
        "tables": {},
    }
    for name, A in tables().items():
        result["tables"][name] = measured(A)
        print(name, result["tables"][name], flush=True)
    store(arguments.out, result)


if __name__ == "__main__":
    main()
