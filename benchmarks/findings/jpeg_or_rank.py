"""A photograph at the same error: a JPEG file, or its factors, as float16 and as an encoder would write them.

    python -m benchmarks.findings.jpeg_or_rank

For each picture and each quality the JPEG file is made first; its error is the Frobenius norm of the difference of the
unfolded pictures (chapter 6). Then the factors have to reach that error:

- float16: the least rank whose truncation does, two bytes a number;
- coded: the columns of U Σ and V Σ rounded to multiples of one step, which spreads the error evenly, with the coarsest
  step that does. Bytes are the entropy of each column's own histogram, which no header and no real coder goes below;
  of the ranks of RATIOS, times the float16 rank, the one with the fewest bytes counts.

Nothing is drawn at random. The result goes into lowrank_helpers/data/results/jpeg_or_rank.json.
"""

import io
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import costs, datasets, svd

QUALITIES = (5, 10, 20, 35, 50, 75, 90)
RATIOS = (1.02, 1.1, 1.2, 1.3, 1.45, 1.6, 1.8, 2.0)


def unfold(image: Any) -> Any:
    """Red, green and blue side by side."""
    return np.hstack([image[:, :, c] for c in range(3)]).astype(float)


def entropy(columns: Any) -> float:
    """Bytes of whole numbers, each column with a code of its own."""
    bits = 0.0
    for column in columns.T:
        counts = np.unique(column, return_counts=True)[1]
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return bits / 8


def coded(factors: Any, whole: Any, rank: int, error: float) -> float:
    """Bytes of rounded factors of this rank that reach the error, with the coarsest step found by halving."""
    U, s, Vt = (X[..., :rank] if i < 2 else X[:rank] for i, X in enumerate(factors))
    left, right = U * s, Vt.T * s

    def rounded(step: float) -> tuple[Any, Any]:
        return np.round(left / step), np.round(right / step)

    low, high = 1e-3 * s[0], s[0]
    for _ in range(18):
        step = float(np.sqrt(low * high))
        L, R = rounded(step)
        reached = np.linalg.norm((L * (step**2 / s)) @ R.T - whole) <= error
        low, high = (step, high) if reached else (low, step)
        low = low if reached or high > 2e-3 * s[0] else low / 8
    L, R = rounded(low)
    if np.linalg.norm((L * (low**2 / s)) @ R.T - whole) > error:
        return float("inf")
    return entropy(L) + entropy(R)


def measure(picture: Any) -> list[dict[str, Any]]:
    """The frontier of one picture: a row for each quality."""
    whole = unfold(picture)
    factors = np.linalg.svd(whole, full_matrices=False)
    rows = []
    for quality in QUALITIES:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        error = float(np.linalg.norm(unfold(np.asarray(Image.open(file))) - whole))
        rank = svd.rank_for_error(factors[1], error, relative=False)
        ranks = sorted({min(round(ratio * rank), len(whole)) for ratio in RATIOS} | {rank + 1})
        tried = {r: coded(factors, whole, r, error) for r in ranks}
        best = min(tried, key=lambda r: tried[r])
        rows.append(
            {
                "quality": quality,
                "relative error": round(error / float(np.linalg.norm(whole)), 4),
                "jpeg": len(file.getvalue()),
                "float16": 2 * costs.factor_parameters(*whole.shape, rank),
                "rank": rank,
                "coded": round(tried[best]),
                "coded rank": best,
                "ranks tried": ranks,
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure, and store."""
    result = provenance("numpy", "pillow", threads=1)
    result["pictures"] = {name: measure(datasets.load(name)) for name in ("china", "flower")}
    store(RESULTS / "jpeg_or_rank.json", result)


if __name__ == "__main__":
    main()
