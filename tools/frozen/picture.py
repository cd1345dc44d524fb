"""Draw the picture of the book that README.md and shared links show: one photograph at four ranks.

    python -m tools.frozen.picture

It writes ``_static/picture.jpg``, drawn once and kept.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from book.ledger import ROOT
from lowrank_helpers import datasets

RANKS = {"rank 1": 1, "rank 8": 8, "rank 48": 48, "the photograph, rank 427": 427}
INK, PAPER = "#1b1b1b", "#ffffff"


def at_rank(picture: np.ndarray, rank: int) -> np.ndarray:
    """The picture whose channels, side by side, are the best matrix of this rank."""
    M = np.concatenate(np.moveaxis(picture, 2, 0), axis=1).astype(float)
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    near = np.clip(np.rint((U[:, :rank] * s[:rank]) @ Vt[:rank]), 0, 255).astype(np.uint8)
    return np.stack(np.split(near, 3, axis=1), axis=2)


def draw() -> None:
    """Draw and save."""
    picture = datasets.load("china")
    figure = plt.figure(figsize=(12, 6.3), dpi=80, facecolor=PAPER)
    figure.text(0.035, 0.87, "Low Rank: from norms to LoRA", size=33, weight="bold", color=INK)
    figure.text(0.035, 0.785, "An executable book. Every claim proved, shown and tested.", size=19, color=INK)
    for k, (name, rank) in enumerate(RANKS.items()):
        axes = figure.add_axes((0.035 + 0.2355 * k, 0.2, 0.2235, 0.5))
        axes.imshow(at_rank(picture, rank)[:, 20:380], aspect="auto", interpolation="lanczos")
        axes.set_axis_off()
        axes.set_title(name, y=-0.14, size=15, color=INK)
    figure.text(0.035, 0.045, "Least squares · SVD · Eckart–Young · PCA · completion · attention · LoRA", size=17)
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    Image.fromarray(drawn).save(ROOT / "_static" / "picture.jpg", quality=70, optimize=True, progressive=True)


if __name__ == "__main__":
    draw()
