"""A picture whose rank the reader drags.

The page holds the picture, without loss, and the figures for every rank; a script computes the singular vectors once
and then adds or takes away one rank-one matrix a step, up to the picture itself.
"""

import base64
import html
import io
import json
import math
import string
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks

_BYTES = 2  # of a number in a factor, where the cost of a rank is compared with that of the pixels: 16 bits


@dataclass(frozen=True, eq=False)
class RankSlider:
    """A picture and its SVD, with what each rank costs and loses; a notebook shows it as a slider.

    Attributes
    ----------
    image : uint8 array (rows, columns) or (rows, columns, 3)
        The picture that the factors approximate.
    U, s, Vt : arrays (rows, p), (p,), (p, channels * columns)
        The factors of the matrix with the channels side by side, p its smaller side.
    psnr : array (max_rank + 1,)
        ``psnr[r]`` in dB, measured on the 8-bit picture that is shown at rank r; infinite where it is exact.
    start : int
        The rank shown first.
    alt : str
        What the picture shows, for those who do not see it.
    play : bool
        Whether the picture sharpens once by itself, from rank 1 to ``start``.
    """

    image: NDArray[np.uint8]
    U: NDArray[np.float64]
    s: NDArray[np.float64]
    Vt: NDArray[np.float64]
    psnr: NDArray[np.float64]
    start: int
    alt: str
    play: bool = False

    @property
    def max_rank(self) -> int:
        """The largest rank on the slider."""
        return len(self.psnr) - 1

    def picture(self, rank: int) -> NDArray[np.uint8]:
        """The 8-bit picture shown at this rank."""
        self._check_rank("picture", rank)
        return _fold(_to_bytes((self.U[:, :rank] * self.s[:rank]) @ self.Vt[:rank]), self.image.shape)

    def relative_error(self, rank: int) -> float:
        """The relative Frobenius error of the best approximation of this rank, from the exact spectrum."""
        self._check_rank("relative_error", rank)
        return float(np.linalg.norm(self.s[rank:]) / np.linalg.norm(self.s)) if self.s[0] > 0 else 0.0

    def numbers(self, rank: int) -> int:
        """How many numbers the factors of this rank have."""
        self._check_rank("numbers", rank)
        return int(rank * (self.U.shape[0] + self.Vt.shape[1]))

    def bytes(self, rank: int) -> int:
        """The bytes of the factors at this rank, 16 bits a number; a pixel has 8 bits a channel."""
        self._check_rank("bytes", rank)
        return _BYTES * self.numbers(rank)

    def figures(self, rank: int) -> tuple[str, str, str, str]:
        """The four readings under the picture: rank, numbers and bytes, energy and error, PSNR."""
        self._check_rank("figures", rank)
        psnr, error, size = self.psnr[rank], self.relative_error(rank), self.bytes(rank)
        return (
            f"rank {rank} of {len(self.s)}",
            f"{_spaced(self.numbers(rank))} numbers, {size / 1e3:.1f} kB: "
            + f"{100 * size / self.image.size:.0f} % of the pixels' {self.image.size / 1e3:.1f} kB",
            f"{100 * (1 - error**2):.2f} % of the energy, relative error {100 * error:.1f} %",
            f"PSNR {psnr:.1f} dB" if math.isfinite(psnr) else "exact in 8 bits",
        )

    def __repr__(self) -> str:
        rows, columns = self.image.shape[:2]
        return f"RankSlider({rows} × {columns} pixels, ranks 1 to {self.max_rank})"

    def _repr_html_(self) -> str:
        rows, columns = self.image.shape[:2]
        figures = [self.figures(rank) for rank in range(1, self.max_rank + 1)]
        return string.Template(_part("rank_slider.html")).substitute(
            figures=html.escape(json.dumps(figures, separators=(",", ":"), ensure_ascii=False)),
            picture=_data_url(self.image, "webp", lossless=True, method=4),
            still=_data_url(self.picture(self.start), "jpeg", quality=75),
            rows=rows,
            columns=columns,
            start=self.start,
            alt=html.escape(self.alt),
            max_rank=self.max_rank,
            readings="".join(f"<span>{html.escape(reading)}</span>" for reading in self.figures(self.start)),
            bars=_bars(self.s[: self.max_rank]),
            even=f"{10 * self._break_even():.1f}",
            play="" if self.play else "hidden",
            script=_part("rank_slider.js"),
        )

    def _break_even(self) -> float:
        """The rank at which the factors have as many bytes as the pixels."""
        return self.image.size / self.bytes(1)

    def _check_rank(self, what: str, rank: int) -> None:
        _checks.integer(rank, 0, self.max_rank, "rank")


def rank_slider(
    image: ArrayLike,
    *,
    max_rank: int | None = None,
    width: int = 320,
    start: int = 12,
    alt: str = "The picture",
    play: bool = False,
) -> RankSlider:
    """Show a picture at the rank that the reader drags to.

    The picture is averaged over square blocks until it is at most ``width`` pixels wide. Its channels are put side
    by side (red | green | blue) as one matrix, and that matrix, uncentred, gets one SVD: here for the figures, and once
    more in the reader's browser, since the singular vectors of a photograph are larger than the photograph.

    Parameters
    ----------
    image : array (rows, columns) or (rows, columns, 3)
        An 8-bit picture (dtype uint8).
    max_rank : int or None
        The largest rank on the slider, between 1 and the smaller side of the matrix. With None it is that side, so
        that the slider ends at the picture itself.
    width : int
        The greatest width of the picture shown, in pixels.
    start : int
        The rank shown first, and the one that a page without scripts shows; at most ``max_rank``.
    alt : str
        What the picture shows, in a few words, for those who do not see it.
    play : bool
        Whether the picture sharpens once by itself, from rank 1 to ``start``, with a button that stops it and plays
        it again. Readers who asked their system for less motion have the button alone.

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
    play = _checks.flag(play, "play")
    small = _average_blocks(pixels, -(-pixels.shape[1] // width))
    M = _unfold(small).astype(float)
    if max_rank is None:
        max_rank = min(M.shape)
    got = f"for the {M.shape[0]}×{M.shape[1]} matrix of the picture at width {small.shape[1]}"
    max_rank = _checks.integer(max_rank, 1, min(M.shape), "max_rank", limit="its smaller side", got=got)
    start = _checks.integer(start, 1, max_rank, "start", limit="max_rank")

    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    total, psnr = np.zeros_like(M), [_psnr(M, np.zeros_like(M))]
    for k in range(max_rank):  # term by term, as the script adds them
        total += np.outer(s[k] * U[:, k], Vt[k])
        psnr.append(_psnr(M, _to_bytes(total).astype(float)))
    return RankSlider(small, U, s, Vt, np.array(psnr), start, alt, play)


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


def _data_url(pixels: NDArray[np.uint8], kind: str, **options: Any) -> str:
    """The picture as an address that holds all of it."""
    from PIL import Image  # Pillow comes with matplotlib

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _spaced(number: int) -> str:
    """14076 with a space that does not break after the thousands."""
    return f"{number:,}".replace(",", "\u00a0")


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
