"""Three noisy photographs, denoised as one matrix, by patches, and by filters: decibels by picture, noise and draw.

    python -m benchmarks.findings.pictures [--draws 5] [--output FILE]

The functions of chapter 8 are taken from its text. Each filter tries nine settings, on 256 × 384 pixels of each picture
and with another draw of the noise. What is stored is the better of two: with the setting that is best on the two other
pictures together, and with the one that is best on the picture itself. The patches keep the settings that the chapter's
function has, and windows that are shrunk without cutting patches from them have one setting as well.
"""

import argparse
import itertools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import cbook
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage, signal

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers import datasets
from lowrank_helpers.decomposition import optimal_rank

RESULT = RESULTS / "pictures.json"
LEVELS = (0.05, 0.1, 0.2)
TUNING = 100  # the seed of the draw on which settings are chosen
Array = NDArray[np.float64]

errors_by_rank, bi_cross_validation, shrink, by_patches = (
    definitions(8, name) for name in ("errors_by_rank", "bi_cross_validation", "shrink", "by_patches")
)


def cosines(A: Array, sigma: float, factor: float, size: int = 8) -> Array:
    """Drop each cosine coefficient of each patch below factor · σ, but for the mean; average the patches."""
    patches = np.lib.stride_tricks.sliding_window_view(A, (size, size))
    C = fft.dctn(patches, axes=(2, 3), norm="ortho")
    keep = np.abs(C) > factor * sigma
    keep[:, :, 0, 0] = True
    X = fft.idctn(C * keep, axes=(2, 3), norm="ortho")
    total, count = np.zeros((2, *A.shape))
    for a, b in np.ndindex(size, size):
        place = np.s_[a : a + X.shape[0], b : b + X.shape[1]]
        total[place] += X[:, :, a, b]
        count[place] += 1
    return np.asarray(total / count)


def by_windows(A: Array, sigma: float, size: int = 16, step: int = 4) -> Array:
    """Shrink each window as it stands, its rows those of the picture; average. The control for the patches."""
    total, count = np.zeros((2, *A.shape))
    places = [[*range(0, n - size, step), n - size] for n in A.shape]
    for i, j in itertools.product(*places):
        place = np.s_[i : i + size, j : j + size]
        mean = A[place].mean()
        total[place] += shrink(A[place] - mean, sigma) + mean
        count[place] += 1
    return np.asarray(total / count)


# Each filter: what it does with the noisy picture, σ and its setting, and the nine settings.
FILTERS: dict[str, tuple[Callable[[Array, float, float], Array], tuple[float, ...]]] = {
    "blur": (lambda A, sigma, width: ndimage.gaussian_filter(A, width), (0.3, 0.4, 0.5, 0.65, 0.85, 1.2, 1.6, 2.2, 3)),
    "median": (lambda A, sigma, size: ndimage.median_filter(A, int(size)), (1, 3, 5, 7, 9, 11, 13, 15, 17)),
    "Wiener": (lambda A, sigma, size: signal.wiener(A, int(size), sigma**2), (3, 5, 7, 9, 11, 13, 15, 17, 19)),
    "cosines": (cosines, (1.8, 2.1, 2.4, 2.6, 2.8, 3.0, 3.3, 3.6, 4.0)),
}


def photographs() -> dict[str, Array]:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    pictures = {name: datasets.load(name) for name in ("china", "flower")} | {"hopper": hopper}
    return {name: np.asarray(datasets.gray(picture)) for name, picture in pictures.items()}


def noisy(M: Array, sigma: float, seed: int) -> Array:
    """In single precision: twice as fast, and enough for a thousandth of a decibel."""
    return np.asarray(M + sigma * np.random.default_rng(seed).standard_normal(M.shape), dtype=np.float32)


def decibels(X: Array, M: Array) -> float:
    return float(-10 * np.log10(np.mean((X - M) ** 2)))


def settings(pictures: dict[str, Array], sigma: float) -> dict[str, dict[str, dict[str, float]]]:
    """For each picture and filter the setting chosen on a part of the two others, and on the same part of its own."""
    levels: dict[str, dict[str, Array]] = {}
    for name, picture in pictures.items():
        M = picture[:256, 100:484]
        A = noisy(M, sigma, TUNING)
        levels[name] = {
            way: np.array([decibels(apply(A, sigma, value), M) for value in grid])
            for way, (apply, grid) in FILTERS.items()
        }
    chosen: dict[str, dict[str, dict[str, float]]] = {}
    for name in pictures:
        chosen[name] = {}
        for way, (_, grid) in FILTERS.items():
            others = sum(levels[other][way] for other in pictures if other != name)
            chosen[name][way] = {
                "on the others": grid[int(np.argmax(others))],
                "on its own": grid[int(np.argmax(levels[name][way]))],
            }
    return chosen


def whole(A: Array, M: Array, sigma: float) -> dict[str, float]:
    """The rules for the rank, the best rank by hindsight, and shrinkage, on the picture as one matrix."""
    by_rank, _ = errors_by_rank(A, M)
    s = np.linalg.svd(A, compute_uv=False)
    ranks = {
        "best rank": int(by_rank.argmin()),
        "σ known": optimal_rank(s, A.shape, noise=sigma),
        "σ unknown": optimal_rank(s, A.shape),
        "held out": int(bi_cross_validation(A, 160).argmin()),
    }
    found = {way: float(-10 * np.log10(by_rank[rank] / M.size)) for way, rank in ranks.items()}
    return found | {"noisy": decibels(A, M), "shrunk": decibels(shrink(A, sigma), M)}


def line(M: Array, sigma: float, draws: int, chosen: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """The decibels of each way, a number for each draw."""
    found: dict[str, list[float]] = {}
    rng = np.random.default_rng(TUNING)
    row, column = (rng.permutation(k) for k in M.shape)
    for seed in range(draws):
        A = noisy(M, sigma, seed)
        level = whole(A, M, sigma)
        for way, (apply, _) in FILTERS.items():
            level[way] = max(decibels(apply(A, sigma, value), M) for value in set(chosen[way].values()))
        level["windows"] = decibels(by_windows(A, sigma), M)
        level["patches"] = decibels(by_patches(A, sigma), M)
        if seed == 0:
            level["patches, shuffled"] = decibels(by_patches(A[row][:, column], sigma), M[row][:, column])
        for way, value in level.items():
            found.setdefault(way, []).append(round(value, 3))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=5, help="of the noise (5)")
    parser.add_argument("--output", type=pathlib.Path, default=RESULT)
    options = parser.parse_args()
    study: dict[str, Any] = provenance("numpy", "scipy", "pillow")
    study["grids"] = {way: list(grid) for way, (_, grid) in FILTERS.items()}
    study["seeds"] = {"of the draws": [*range(options.draws)], "of the draw on which settings are chosen": TUNING}
    study["lines"] = []
    pictures = photographs()
    for sigma in LEVELS:
        chosen = settings(pictures, sigma)
        for name, M in pictures.items():
            values = line(M, sigma, options.draws, chosen[name])
            study["lines"].append({"picture": name, "σ": sigma, "chosen": chosen[name], "dB": values})
            print(name, sigma, {way: round(float(np.mean(level)), 2) for way, level in values.items()}, flush=True)
    study["lines"].sort(key=lambda entry: (list(pictures).index(entry["picture"]), entry["σ"]))
    store(options.output, study)


if __name__ == "__main__":
    main()
