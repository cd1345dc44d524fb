"""The book's figures: matrices drawn to scale, spectra, heat maps and photographs.

Every function takes arrays and an ``Axes``, draws, and returns the ``Axes``; none calls ``show`` and none
changes global state, except :func:`use_book_style`, which says so.
"""

import io
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import ArrayLike

from lowrank_helpers import _checks

#: One colour per method through the whole book: the palette of Okabe and Ito, safe for colour-blind readers.
COLORS = {
    "exact": "#000000",
    "svd": "#0072B2",
    "pca": "#0072B2",
    "als": "#D55E00",
    "gradient": "#CC79A7",
    "randomized": "#009E73",
    "krylov": "#E69F00",
    "nmf": "#E69F00",
    "lora": "#56B4E9",
    "full": "#555555",
    "last block": "#D55E00",
    "adapters": "#009E73",
    "prompt": "#E69F00",
    "normal equations": "#D55E00",
    "qr": "#009E73",
    "cholesky": "#009E73",
    "lu": "#E69F00",
    "tikhonov": "#CC79A7",
    "spectral": "#0072B2",
    "frobenius": "#D55E00",
    "nuclear": "#009E73",
}

#: Lettering is that of the book's pages, drawn as outlines, so that it is the same where the font is missing.
BOOK_STYLE: dict[Any, Any] = {
    "figure.dpi": 192,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": ["Inter", "DejaVu Sans"],
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",
    "svg.hashsalt": "low-rank",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "figure.constrained_layout.use": True,
}


class Shape(NamedTuple):
    """A matrix to draw: its name, its rows and columns, and the colour of its box."""

    name: str
    rows: int
    columns: int
    color: str = "#56B4E9"


def use_book_style() -> None:
    """Set matplotlib's defaults for the book's figures in this session (global, and meant to be).

    In a notebook figures become SVG; photographs, and what would be larger than 200 kB, become PNG of twice the size
    at which they are shown.

    Examples
    --------
    >>> use_book_style()
    >>> import matplotlib as mpl
    >>> mpl.rcParams["font.family"]
    ['Inter', 'DejaVu Sans']
    """
    with resources.as_file(resources.files("lowrank_helpers") / "data/fonts/Inter-Regular.ttf") as font:
        font_manager.fontManager.addfont(font)
    plt.rcParams.update(BOOK_STYLE)
    try:
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.backend_inline import configure_inline_support
    except ModuleNotFoundError:  # no notebook can have asked
        return
    shell: Any = get_ipython()
    inline: Any = configure_inline_support
    if shell is not None:
        inline(shell, plt.get_backend())  # else it would take the formatters back after this cell
        formatters = shell.display_formatter.formatters
        formatters["image/svg+xml"].for_type(Figure, _line_art)
        formatters["image/png"].for_type(Figure, _bitmap)


#: Grey that can be read on white and on black: the lettering of photographs, which have no ground of their own.
_ON_ANY_GROUND = "#767676"
_LARGEST_SVG = 200_000  # bytes
_SHOWN = 96  # pixels of a page for an inch of a figure


def _is_photograph(picture: AxesImage) -> bool:
    """Whether a picture has colours of its own, or shades of grey, rather than a scale's."""
    return np.asarray(picture.get_array()).ndim == 3 or picture.get_cmap().name == "gray"


def _line_art(figure: Figure) -> str | None:
    """A figure as SVG, the same for the same drawing; None where it has a photograph, or is larger than 200 kB."""
    if any(map(_is_photograph, figure.findobj(AxesImage))):
        return None
    written = io.StringIO()
    figure.savefig(written, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = written.getvalue()
    return text if len(text) <= _LARGEST_SVG else None


def _bitmap(figure: Figure) -> tuple[bytes, dict[str, int]] | None:
    """A figure as PNG, with the width and height at which to show it; None where `_line_art` has it.

    Where all axes show photographs, the ground is transparent and the lettering of a grey that is legible on any.
    """
    if _line_art(figure) is not None:
        return None
    only = all(any(map(_is_photograph, ax.images)) or not ax.axison for ax in figure.axes)
    if only:
        figure.patch.set_alpha(0.0)
        for words in figure.findobj(Text):
            if to_rgb(words.get_color()) == (0.0, 0.0, 0.0):
                words.set_color(_ON_ANY_GROUND)
    written = io.BytesIO()
    figure.savefig(written, format="png", bbox_inches="tight", facecolor=figure.get_facecolor())
    png = written.getvalue()
    sides = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    width, height = (round(side * _SHOWN / figure.dpi) for side in sides)
    return png, {"width": width, "height": height}


def matrix_shapes(ax: Axes, parts: Sequence[Shape | str], *, gap: float = 0.08) -> Axes:
    """Draw matrices to scale in a row, with symbols such as "=" or "≈" between them.

    Parameters
    ----------
    ax : Axes
        Where to draw; its frame and ticks are removed.
    parts : sequence of Shape or str
        What stands in the row, from left to right: a ``Shape`` is a box of its rows and columns, a string a symbol.
    gap : float
        Space between neighbours, as a share of the largest side.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    TypeError, ValueError
        If no part is a Shape, or a shape has a side that is no whole number from 1 on, or gap is no number from 0 on.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> parts = [Shape("M", 60, 40), "≈", Shape("A", 60, 5), Shape("B", 5, 40)]
    >>> ax = matrix_shapes(ax, parts)
    >>> [(p.get_width(), p.get_height()) for p in ax.patches]
    [(40, 60), (5, 60), (40, 5)]
    >>> plt.close(fig)
    """
    _check_axes(ax)
    gap = _checks.number(gap, "gap", least=0.0)
    shapes = _read_shapes(parts)
    side = max(max(shape.rows, shape.columns) for shape in shapes)
    tallest = max(shape.rows for shape in shapes)
    space, x = gap * side, 0.0
    for part in parts:
        if isinstance(part, str):
            ax.text(x + space / 2, 0, part, ha="center", va="center", fontsize=16)
            x += 2 * space
            continue
        corner = (x, -part.rows / 2)
        ax.add_patch(Rectangle(corner, part.columns, part.rows, facecolor=part.color, edgecolor="black", alpha=0.75))
        middle = x + part.columns / 2
        inside = min(part.rows, part.columns) >= 0.12 * side
        if inside:
            ax.text(middle, 0, part.name, ha="center", va="center", fontsize=14)
        else:
            ax.text(middle, part.rows / 2 + 0.02 * side, part.name, ha="center", va="bottom", fontsize=14)
        size = f"{part.rows}×{part.columns}"
        ax.text(middle, -part.rows / 2 - 0.03 * side, size, ha="center", va="top", fontsize=10)
        x += part.columns + max(space, 0.16 * side if part.columns < 0.16 * side else 0)
    ax.set_xlim(-space, x)
    ax.set_ylim(-tallest / 2 - 0.16 * side, tallest / 2 + 0.14 * side)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _read_shapes(parts: object) -> list[Shape]:
    """The shapes among the parts of a row, all checked."""
    step = 'Pass a list such as [Shape("A", 60, 5), "=", …].'
    if isinstance(parts, str | Shape) or not isinstance(parts, Sequence):
        raise _checks.mistyped(f"parts must be a list of Shape and str; got {type(parts).__name__}. {step}")
    for i, part in enumerate(parts):
        if not isinstance(part, Shape | str):
            raise _checks.mistyped(f"parts[{i}] must be a Shape or a str; got {type(part).__name__}. {step}")
    shapes = [part for part in parts if isinstance(part, Shape)]
    if not shapes:
        raise _checks.invalid(f"parts must hold at least one Shape; got {len(parts)} str. {step}")
    for name, rows, columns, color in shapes:
        _checks.text(name, "the name of a Shape in parts")
        _checks.text(color, f"the color of {name!r} in parts")
        for side, size in (("rows", rows), ("columns", columns)):
            _checks.integer(size, 1, None, f"{side} of {name!r} in parts")
    return shapes


def _check_axes(ax: object) -> None:
    """Refuse what is no Axes."""
    if not isinstance(ax, Axes):
        raise _checks.mistyped(
            f"ax must be an Axes of matplotlib; got {type(ax).__name__}. Make one with fig, ax = plt.subplots()."
        )


def spectrum(
    ax: Axes,
    s: ArrayLike,
    *,
    label: str | None = None,
    color: str | None = None,
    marker: str | None = None,
    linestyle: str = "-",
) -> Axes:
    """Plot singular values against their index, on a logarithmic scale.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    s : array_like, shape (p,)
        Singular values, or other sizes from 0 on, in any order; zeros cannot be shown on a logarithmic scale and are
        left out.
    label : str, optional
        Name in the legend.
    color, marker, linestyle : str, optional
        As in ``Axes.plot``.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    TypeError, ValueError
        If s is no vector of finite numbers from 0 on, or an option no string.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> spectrum(ax, [3.0, 2.0, 0.0]).get_yscale()
    'log'
    >>> plt.close(fig)
    """
    _check_axes(ax)
    values = _checks.vector(s, "s").astype(float)
    if (values < 0).any():
        i = int(np.argmax(values < 0))
        raise _checks.invalid(
            f"s must be non-negative; got {values[i]:.6g} at {i}. "
            "A logarithmic scale shows sizes: pass np.abs(s) if these are meant."
        )
    options: dict[str, Any] = {"label": label, "color": color, "marker": marker, "linestyle": linestyle}
    for name, option in options.items():
        if option is not None or name == "linestyle":
            _checks.text(option, name)
    shown = values > 0
    index = np.arange(1, values.size + 1)
    ax.plot(index[shown], values[shown], **options)
    ax.set_yscale("log")
    ax.set_xlabel("index $i$")
    ax.set_ylabel(r"singular value $\sigma_i$")
    return ax


def heatmap(
    ax: Axes,
    A: ArrayLike,
    *,
    signed: bool | None = None,
    numbers: Literal["none", "integers", "decimals"] = "none",
    limit: float | None = None,
) -> Axes:
    """Show a matrix as colours: a diverging map with symmetric limits where it is signed, else a sequential one.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    A : array_like, shape (m, n)
        The matrix.
    signed : bool, optional
        Use the diverging map; by default, whether A has a negative entry.
    numbers : {"none", "integers", "decimals"}
        Whether the entries are also written into the cells, rounded to integers or to two decimals.
    limit : float, optional
        The largest absolute value on the colour scale; by default, of A. Give it to compare several matrices.

    Returns
    -------
    Axes
        The same axes, its first image being the matrix.

    Raises
    ------
    TypeError, ValueError
        If A is no finite real matrix, or an option of the wrong kind or out of its range.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> heatmap(ax, [[1.0, -2.0], [0.0, 1.0]]).images[0].get_clim()
    (-2.0, 2.0)
    >>> plt.close(fig)
    """
    _check_axes(ax)
    values = _checks.matrix(A).astype(float)
    _checks.choice(numbers, ("none", "integers", "decimals"), "numbers")
    top = float(np.abs(values).max()) if limit is None else _checks.number(limit, "limit", above=0.0)
    signed = bool((values < 0).any()) if signed is None else _checks.flag(signed, "signed")
    cmap, low = ("RdBu_r", -top) if signed else ("viridis", 0.0)
    ax.imshow(values, cmap=cmap, vmin=low, vmax=top)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set(visible=True, color="#999999", linewidth=0.6)
    ax.grid(False)
    if numbers != "none":
        digits = 0 if numbers == "integers" else 2
        for (i, j), value in np.ndenumerate(values):
            share = (value - low) / (top - low) if top > low else 0.5
            dark = share < 0.15 or share > 0.85 if signed else share < 0.55
            text = f"{round(value, digits) + 0.0:.{digits}f}"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    return ax


def image(ax: Axes, A: ArrayLike, *, title: str | None = None) -> Axes:
    """Show a photograph: (m, n) in shades of grey between 0 and 1, or (m, n, 3) in colour; values are clipped.

    Parameters
    ----------
    ax : Axes
        Where to draw; its ticks are removed.
    A : array_like, shape (m, n) or (m, n, 3)
        Values in [0, 1], or uint8 in 0 … 255.
    title : str, optional
        Stands above the picture.

    Returns
    -------
    Axes
        The same axes.

    Raises
    ------
    TypeError, ValueError
        If A is no finite real array of one of the two shapes, or title no string.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> fig, ax = plt.subplots()
    >>> image(ax, np.eye(4)).images[0].get_clim()
    (0.0, 1.0)
    >>> plt.close(fig)
    """
    _check_axes(ax)
    if title is not None:
        _checks.text(title, "title")
    values = _checks.real_array(A, "A")
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] == 3)):
        raise _checks.invalid(
            f"A must have shape (m, n) or (m, n, 3); got {values.shape}. "
            "Put the channels last, and leave out what is no colour."
        )
    if np.asarray(A).dtype == np.uint8:
        values = values / 255.0
    ax.imshow(np.clip(values, 0.0, 1.0), cmap="gray", vmin=0.0, vmax=1.0)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.grid(False)
    if title is not None:
        ax.set_title(title)
    return ax
