"""The figures' helpers: what they draw, what they leave alone, what they refuse."""

import io
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from lowrank_helpers import plotting


@pytest.fixture
def ax():
    fig, axes = plt.subplots()
    yield axes
    plt.close(fig)


def test_nothing_global_changes_at_import_or_by_drawing(ax):
    before = dict(mpl.rcParams)
    plotting.heatmap(ax, np.eye(3))
    plotting.spectrum(ax, [2.0, 1.0])
    assert dict(mpl.rcParams) == before
    code = "import matplotlib as m; a = dict(m.rcParams); import lowrank_helpers.plotting; assert dict(m.rcParams) == a"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_book_style_is_global_and_says_so():
    with mpl.rc_context():
        plotting.use_book_style()
        assert mpl.rcParams["figure.dpi"] == plotting.BOOK_STYLE["figure.dpi"]


def test_line_art_is_the_same_drawing_twice():
    with mpl.rc_context():
        plotting.use_book_style()
        fig, ax = plt.subplots()
        ax.set_title(r"$\sigma_1 \geq$ 3, ≤ 4 ‖ →")
        first, second = plotting._line_art(fig), plotting._line_art(fig)
        assert plotting._bitmap(fig) is None
        plt.close(fig)
    assert first == second and first.startswith("<?xml") and first.rstrip().endswith("</svg>")
    assert "<text" not in first, "lettering is drawn, not asked of the reader's fonts"


def png_size(png):
    return [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)]


def test_photographs_are_bitmaps_of_twice_their_size_on_no_ground(ax):
    with mpl.rc_context():
        plotting.use_book_style()
        fig, axes = plt.subplots()
        plotting.image(axes, np.eye(40), title="a diagonal")
        assert plotting._line_art(fig) is None
        png, shown = plotting._bitmap(fig)
        plt.close(fig)
    assert [round(side / 2) for side in png_size(png)] == [shown["width"], shown["height"]]
    assert plt.imread(io.BytesIO(png))[0, 0, 3] == 0, "transparent"
    assert axes.title.get_color() == "#767676"


def test_a_photograph_beside_a_curve_keeps_its_ground():
    fig, (left, right) = plt.subplots(1, 2)
    plotting.image(left, np.eye(4))
    right.plot([0, 1], [0, 1])
    png, _ = plotting._bitmap(fig)
    plt.close(fig)
    assert plt.imread(io.BytesIO(png))[0, 0, 3] == 1


def test_a_drawing_of_many_points_is_a_bitmap(ax):
    ax.plot(*np.random.default_rng(0).random((2, 9000)), ".")
    assert plotting._line_art(ax.figure) is None and plotting._bitmap(ax.figure)[0][1:4] == b"PNG"


def test_heatmaps_stay_drawings(ax):
    plotting.heatmap(ax, np.eye(4))
    assert plotting._line_art(ax.figure) is not None


def test_a_notebook_shows_figures_as_the_book_has_them():
    cells = ["from lowrank_helpers import plotting\nimport matplotlib.pyplot as plt\nplotting.use_book_style()"]
    cells += [
        "fig, ax = plt.subplots()\nplt.show()",
        "ax = plt.subplot()\nplotting.image(ax, [[0.0, 1.0]])\nplt.show()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    kinds = [[set(output.data) - {"text/plain"} for output in cell.outputs] for cell in notebook.cells]
    assert kinds == [[], [{"image/svg+xml"}], [{"image/png"}]]
    assert set(notebook.cells[2].outputs[0].metadata["image/png"]) == {"width", "height"}


def test_shapes_are_to_scale(ax):
    parts = [plotting.Shape("M", 30, 20), "=", plotting.Shape("A", 30, 2), plotting.Shape("B", 2, 20)]
    assert plotting.matrix_shapes(ax, parts) is ax
    assert [(p.get_width(), p.get_height()) for p in ax.patches] == [(20, 30), (2, 30), (20, 2)]
    assert ax.get_aspect() == 1
    texts = [text.get_text() for text in ax.texts]
    assert {"M", "=", "A", "B", "30×20", "30×2", "2×20"} <= set(texts)
    left = [p.get_x() for p in ax.patches]
    right = [p.get_x() + p.get_width() for p in ax.patches]
    assert all(end < start for end, start in zip(right, left[1:], strict=False)), "boxes do not overlap"


@pytest.mark.parametrize(
    ("parts", "message"),
    [(["="], "at least one Shape"), ([plotting.Shape("A", 0, 3)], "rows of 'A' in parts must be at least 1; got 0")],
)
def test_shapes_refused(ax, parts, message):
    with pytest.raises(ValueError, match=message):
        plotting.matrix_shapes(ax, parts)


def test_spectrum_leaves_zeros_out_and_keeps_the_index(ax):
    plotting.spectrum(ax, [3.0, 0.0, 1.0], label="s", color="#123456", marker="o")
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [1, 3] and line.get_ydata().tolist() == [3.0, 1.0]
    assert ax.get_yscale() == "log" and line.get_color() == "#123456"


def test_spectrum_drops_nothing_in_silence(ax):
    with pytest.raises(ValueError, match=r"^spectrum: s must be non-negative; got -1 at 1\. A logarithmic scale"):
        plotting.spectrum(ax, [3.0, -1.0])
    with pytest.raises(ValueError, match=r"^spectrum: s has 1 NaN entry, at 2\. Fill"):
        plotting.spectrum(ax, [3.0, 1.0, np.nan])
    assert not ax.lines


def test_heatmap_chooses_the_map_by_sign(ax):
    plotting.heatmap(ax, [[1.0, -2.0]])
    assert ax.images[0].get_clim() == (-2.0, 2.0) and ax.images[0].get_cmap().name == "RdBu_r"
    plotting.heatmap(ax, [[1.0, 2.0]])
    assert ax.images[1].get_clim() == (0.0, 2.0) and ax.images[1].get_cmap().name == "viridis"
    plotting.heatmap(ax, [[1.0, 2.0]], signed=True, limit=4)
    assert ax.images[2].get_clim() == (-4.0, 4.0)


def test_heatmap_writes_numbers_without_minus_zero(ax):
    plotting.heatmap(ax, [[-0.001, 1.0]], numbers="decimals")
    assert [text.get_text() for text in ax.texts] == ["0.00", "1.00"]


@pytest.mark.parametrize("A", [np.ones(3), np.ones((2, 2, 2))])
def test_heatmap_refuses_other_dimensions(ax, A):
    with pytest.raises(ValueError, match="A must be a matrix, with 2 dimensions; got"):
        plotting.heatmap(ax, A)


def test_heatmap_lists_its_words(ax):
    with pytest.raises(ValueError, match="'none', 'integers', 'decimals'; got 'digits'"):
        plotting.heatmap(ax, np.eye(2), numbers="digits")


def test_image_clips_and_leaves_the_argument_alone(ax):
    A = np.array([[-1.0, 2.0]])
    plotting.image(ax, A, title="t")
    assert ax.images[0].get_array().tolist() == [[0.0, 1.0]] and A.tolist() == [[-1.0, 2.0]]
    plotting.image(ax, np.full((2, 2, 3), 255, dtype=np.uint8))
    assert ax.images[1].get_array().max() == 1.0
    with pytest.raises(ValueError, match=r"shape \(m, n\) or \(m, n, 3\); got \(2, 2, 4\)"):
        plotting.image(ax, np.ones((2, 2, 4)))


def test_colours_are_those_of_the_palette():
    palette = {"#000000", "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#E69F00", "#56B4E9", "#555555"}
    assert set(plotting.COLORS.values()) <= palette
