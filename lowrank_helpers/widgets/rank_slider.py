"""A picture whose rank the reader drags.

The factors of one truncated SVD, the figures for every rank, and a script that adds or takes away one rank-one matrix a
step.
"""

import base64
import html
import io
import json
import math
import string
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks

_STEPS = 32767  # a factor is stored as 16-bit integers times one scale: -32767 … 32767


@dataclass(frozen=True, eq=False)
class RankSlider:
    """A picture in factors, with what each rank costs and loses; a notebook shows it as a slider.

    Attributes
    ----------
    image : uint8 array (rows, columns) or (rows, columns, 3)
        The picture that the factors approximate.
    s : array (p,)
        Its exact singular values: those of the matrix with the channels side by side.
    U, Vt : int16 arrays (rows, max_rank) and (max_rank, channels * columns)
        The stored factors.
    scale : array (max_rank,)
        Term k is ``scale[k] * outer(U[:, k], Vt[k])``.
    psnr : array (max_rank + 1,)
        ``psnr[r]`` in dB, measured on the 8-bit picture that is shown at rank r; infinite where it is exact.
    start : int
        The rank shown first.
    alt : str
        What the picture shows, for those who do not see it.
    """

    image: NDArray[np.uint8]
    s: NDArray[np.float64]
    U: NDArray[np.int16]
    Vt: NDArray[np.int16]
    scale: NDArray[np.float64]
    psnr: NDArray[np.float64]
    start: int
    alt: str

    @property
    def max_rank(self) -> int:
        """The largest rank on the slider."""
        return len(self.scale)

    def picture(self, rank: int) -> NDArray[np.uint8]:
        """The 8-bit picture shown at this rank."""
        self._check_rank("picture", rank)
        total = np.zeros((self.U.shape[0], self.Vt.shape[1]))
        for k in range(rank):
            total += np.outer(self.scale[k] * self.U[:, k], self.Vt[k])
        return _fold(_to_bytes(total), self.image.shape)

    def relative_error(self, rank: int) -> float:
        """The relative Frobenius error of the best approximation of this rank, from the exact spectrum."""
        self._check_rank("relative_error", rank)
        return float(np.linalg.norm(self.s[rank:]) / np.linalg.norm(self.s)) if self.s[0] > 0 else 0.0

    def bytes(self, rank: int) -> int:
        """The bytes of the stored 16-bit factors at this rank."""
        self._check_rank("bytes", rank)
        return int(2 * rank * (self.U.shape[0] + self.Vt.shape[1]))

    def figures(self, rank: int) -> tuple[str, str, str, str]:
        """The four readings under the picture: rank, relative error, PSNR, bytes."""
        self._check_rank("figures", rank)
        psnr = self.psnr[rank]
        return (
            f"rank {rank} of {len(self.s)}",
            f"relative error {100 * self.relative_error(rank):.1f} %",
            f"PSNR {psnr:.1f} dB" if math.isfinite(psnr) else "exact in 8 bits",
            f"{self.bytes(rank) / 1e3:.1f} kB, pixels {self.image.size / 1e3:.1f} kB",
        )

    def __repr__(self) -> str:
        rows, columns = self.image.shape[:2]
        return f"RankSlider({rows} × {columns} pixels, ranks 1 to {self.max_rank})"

    def _repr_html_(self) -> str:
        rows, columns = self.image.shape[:2]
        order = np.concatenate([self.U.T, self.Vt], axis=1)  # row k: u_k, then v_k
        data = {
            "rows": rows,
            "columns": columns,
            "scale": self.scale.tolist(),
            "factors": base64.b64encode(order.astype("<i2").tobytes()).decode("ascii"),
            "figures": [self.figures(rank) for rank in range(1, self.max_rank + 1)],
        }
        return string.Template(_part("rank_slider.html")).substitute(
            data=html.escape(json.dumps(data, separators=(",", ":"), ensure_ascii=False)),
            still=_jpeg(self.picture(self.start)),
            rows=rows,
            columns=columns,
            start=self.start,
            alt=html.escape(self.alt),
            max_rank=self.max_rank,
            caption=html.escape(" · ".join(self.figures(self.start))),
            bars=_bars(self.s[: self.max_rank]),
            script=_part("rank_slider.js"),
        )

    def _check_rank(self, what: str, rank: int) -> None:
        _checks.integer(rank, 0, self.max_rank, "rank")


def rank_slider(
    image: ArrayLike, *, max_rank: int = 64, width: int = 320, start: int = 12, alt: str = "The picture"
) -> RankSlider:
    """Show a picture at the rank that the reader drags to.

    The picture is averaged over square blocks until it is at most ``width`` pixels wide. Its channels are put side
    by side (red | green | blue) as one matrix, and that matrix, uncentred, gets one SVD. The factors are stored
    as 16-bit integers with one scale a term, as large as float16 and sixteen times as fine.

    Parameters
    ----------
    image : array (rows, columns) or (rows, columns, 3)
        An 8-bit picture (dtype uint8).
    max_rank : int
        The largest rank on the slider, between 1 and the smaller side of the matrix.
    width : int
        The greatest width of the picture shown, in pixels.
    start : int
        The rank shown first, and the one that a page without scripts shows; at most ``max_rank``.
    alt : str
        What the picture shows, in a few words, for those who do not see it.

    Returns
    -------
    RankSlider
        An object that a notebook shows as a slider.

    Raises
    ------
    TypeError, ValueError
        If the picture is not of dtype uint8, or its shape not that of a picture, or a parameter of the wrong kind or
        out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank_helpers.widgets import rank_slider
    >>> ramp = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    >>> slider = rank_slider(ramp, max_rank=2, start=1)
    >>> slider
    RankSlider(40 × 60 pixels, ranks 1 to 2)
    >>> slider.bytes(2), bool((slider.picture(2) == ramp).all())
    (400, True)
    """
    pixels = _checks.image(image)
    width = _checks.integer(width, 1, None, "width")
    alt = _checks.text(alt, "alt")
    small = _average_blocks(pixels, -(-pixels.shape[1] // width))
    M = _unfold(small).astype(float)
    got = f"for the {M.shape[0]}×{M.shape[1]} matrix of the picture at width {small.shape[1]}"
    max_rank = _checks.integer(max_rank, 1, min(M.shape), "max_rank", limit="its smaller side", got=got)
    start = _checks.integer(start, 1, max_rank, "start", limit="max_rank")

    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    U, Vt = U[:, :max_rank], Vt[:max_rank]
    peaks = np.abs(U).max(axis=0), np.abs(Vt).max(axis=1)
    U16 = np.rint(U / peaks[0] * _STEPS).astype(np.int16)
    Vt16 = np.rint(Vt / peaks[1][:, None] * _STEPS).astype(np.int16)
    scale = s[:max_rank] * peaks[0] * peaks[1] / _STEPS**2

    total, psnr = np.zeros_like(M), [_psnr(M, np.zeros_like(M))]
    for k in range(max_rank):  # term by term, in the order in which the script adds them
        total += np.outer(scale[k] * U16[:, k], Vt16[k])
        psnr.append(_psnr(M, _to_bytes(total).astype(float)))
    return RankSlider(small, s, U16, Vt16, scale, np.array(psnr), start, alt)


def _average_blocks(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Means over size×size blocks, rounded to 8 bits; what is left over at the bottom and right is cut off."""
    if size == 1:
        return pixels.copy()
    rows, columns = max(1, pixels.shape[0] // size), pixels.shape[1] // size
    cut = pixels[: rows * size, : columns * size].astype(float)
    blocks = cut.reshape(rows, -1, columns, size, *pixels.shape[2:])
    return _to_bytes(blocks.mean(axis=(1, 3)))


def _unfold(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, columns, 3) to rows × 3·columns, the channels side by side; a grey picture stays as it is."""
    return pixels if pixels.ndim == 2 else np.concatenate(np.moveaxis(pixels, 2, 0), axis=1)


def _fold(M: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The inverse of ``_unfold``."""
    return M if len(shape) == 2 else np.stack(np.split(M, 3, axis=1), axis=2)


def _to_bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round (ties to even, as a canvas does) and clip to 0 … 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _psnr(original: NDArray[np.float64], shown: NDArray[np.float64]) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in dB."""
    error = float(np.mean((original - shown) ** 2))
    return 10 * math.log10(255**2 / error) if error > 0 else math.inf


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    """The picture as a JPEG in base64."""
    from PIL import Image  # Pillow comes with matplotlib

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _bars(s: NDArray[np.float64]) -> str:
    """One SVG bar for each singular value, heights on a log scale over what is shown, 4 units at least."""
    logs = np.log(np.maximum(s, 1e-3 * s[0] if s[0] > 0 else 1.0))
    heights = 4 + 36 * (logs - logs.min()) / max(float(np.ptp(logs)), 1e-12)
    return "".join(
        f'<rect x="{10 * k + 1}" y="{40 - height:.1f}" width="8" height="{height:.1f}"/>'
        for k, height in enumerate(heights)
    )


def _part(name: str) -> str:
    """The text of a file of this package."""
    return files("lowrank_helpers.widgets").joinpath(name).read_text(encoding="utf-8")
