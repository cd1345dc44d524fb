"""The base model's weights at equal bytes: more levels, smaller blocks, factors for the error, or factors alone.

    python -m benchmarks.findings.bits_or_rank [2.63 3.63 4.63]

A budget is so many bits for each number of the linear layers, all counted: the code of an entry takes log2 of the
number of levels (as many codes as fit are packed into a word), the scale of a block 8 bits and its share of a second
scale (QLoRA's double quantisation), a factor 16 bits an entry, or fewer and scales of its own. Nothing is left over:
what the blocks do not take goes into levels, or into rank. Levels are quantiles of the normal distribution (chapter
15), but for one contender, whose levels are evenly spaced from the least to the largest entry of a block, with two
scales. Each contender but the first, which spends nothing beyond its whole number of bits, has six settings.

Files are divided as in chapter 15. Gram matrices come from the chapter's calibration windows; the setting is chosen by
the loss on other windows of the same files; the verdict is taken on eight stretches of the other files, twelve windows
each. Nothing is drawn at random. About five minutes.
"""

import copy
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.definitions import definitions
from lowrank_helpers import compression
from lowrank_helpers.costs import break_even_rank
from lowrank_helpers.svd import truncated_svd
from lowrank_helpers.training import load_base_model, load_corpus

BUDGETS = (2.63, 3.63, 4.63)  # a whole number of bits, .13 for scales, and half a bit to spend
SCALE = 8 + 32 / 256  # bits of a block's scale
BLOCKS = (8, 16, 32, 64, 128, 256)
# Block of the codes, bits of a factor's entry, share of what is to spend that goes into levels all the same
FACTORS = [(64, 16, 0), (64, 4, 0), (32, 4, 0), (64, 8, 0.5), (64, 4, 0.5), (64, 4, 0.75)]
ALONE = [(64, 8), (64, 6), (64, 5), (64, 4), (32, 4), (64, 3)]
DAMPING = 0.01  # GPTQ's, of the mean of the diagonal

levels_of, rounded = definitions(15, "normal_levels"), definitions(15, "rounded")


def levels_that_fit(bits: float) -> int:
    """The most levels of which a code takes no more bits."""
    return int(2**bits + 1e-9)


def rank_that_fits(W: Any, bits: float, width: int) -> int:
    """The largest rank of factors with entries of so many bits that takes no more for each number of W."""
    entry = width + (SCALE / 64 if width < 16 else 0)
    return int(bits * break_even_rank(*W.shape) / entry)


def stored(A: Any, width: int, block: int = 64) -> Any:
    """A factor, its vectors as rows, as it is kept: float16, or so many bits in blocks."""
    if width == 16:
        return A.astype(np.float16).astype(float)
    flat = np.pad(A.ravel(), (0, -A.size % block))
    return rounded(flat[None], levels_of(2**width), block)[0, : A.size].reshape(A.shape)


def pair(W: Any, rank: int, width: int, gram: Any = None) -> Any:
    """The best product of this rank, with its factors as they are kept."""
    if rank == 0:
        return np.zeros_like(W)
    rank = min(rank, *W.shape)
    if gram is None:
        U, s, Vt = truncated_svd(W, rank)
        A, B = U * np.sqrt(s), np.sqrt(s)[:, None] * Vt
    else:
        A, B, _ = compression.activation_aware_factor(W, rank, gram=gram)
    return stored(A.T, width).T @ stored(B, width)


def compensated(W: Any, levels: Any, block: int, gram: Any) -> Any:
    """GPTQ: column by column, each rounding error made up for by the columns that are still to come."""
    block = min(block, W.shape[1])
    H = gram + DAMPING * np.trace(gram) / len(gram) * np.eye(len(gram))
    R = np.linalg.cholesky(np.linalg.inv(H)).T  # inverse of H = RᵀR, R upper triangular
    left, done = W.copy(), np.zeros_like(W)
    middle = (levels[1:] + levels[:-1]) / 2
    for j in range(W.shape[1]):
        if j % block == 0:
            scales = np.abs(left[:, j : j + block]).max(axis=1)
            scales = np.where(scales > 0, scales, 1)
        done[:, j] = levels[np.searchsorted(middle, left[:, j] / scales)] * scales
        left[:, j + 1 :] -= np.outer((left[:, j] - done[:, j]) / R[j, j], R[j, j + 1 :])
    return done


def in_bits(W: Any, gram: Any, budget: float, block: int) -> Any:
    """All of the budget into levels and blocks."""
    return rounded(W, levels_of(levels_that_fit(budget - SCALE / block)), block)


def in_bits_compensated(W: Any, gram: Any, budget: float, block: int) -> Any:
    """The same, by GPTQ."""
    bits = budget - SCALE / min(block, W.shape[1])
    return compensated(W, levels_of(levels_that_fit(bits)), block, gram)


def in_even_steps(W: Any, gram: Any, budget: float, block: int) -> Any:
    """Evenly spaced levels from the least to the largest entry of each block."""
    steps = levels_that_fit(budget - 2 * SCALE / block) - 1
    blocks = W.reshape(-1, block)
    low, high = blocks.min(axis=1, keepdims=True), blocks.max(axis=1, keepdims=True)
    if steps == 0:
        return np.broadcast_to((low + high) / 2, blocks.shape).reshape(W.shape)
    step = np.where(high > low, high - low, 1) / steps
    return (low + np.round((blocks - low) / step) * step).reshape(W.shape)


def nothing_spent(W: Any, gram: Any, budget: float, block: int) -> Any:
    """A whole number of bits, and what is left of the budget unused."""
    return rounded(W, levels_of(2 ** math.floor(budget)), block)


def with_rank(correct: Callable[..., Any]) -> Callable[..., Any]:
    """A whole number of bits into codes, the scales of the blocks, and the rest into rank, or in part into levels."""

    def contender(W: Any, gram: Any, budget: float, setting: tuple[int, int, float]) -> Any:
        block, width, part = setting
        bits, left = math.floor(budget), budget - math.floor(budget) - SCALE / block
        levels = levels_that_fit(bits + part * left)
        rank = rank_that_fits(W, budget - SCALE / block - math.log2(levels), width)
        return correct(W, gram, levels_of(levels), block, rank, width)

    return contender


def of_the_error(W: Any, gram: Any, levels: Any, block: int, rank: int, width: int) -> Any:
    """Round, then truncate the error."""
    Q = rounded(W, levels, block)
    return Q + pair(W - Q, rank, width)


def alternating(W: Any, gram: Any, levels: Any, block: int, rank: int, width: int) -> Any:
    """LoftQ: round what the factors leave, truncate what the rounding leaves, five times."""
    product = np.zeros_like(W)
    for _ in range(5):
        Q = rounded(W - product, levels, block)
        product = pair(W - Q, rank, width)
    return Q + product


def first_the_rank(W: Any, gram: Any, levels: Any, block: int, rank: int, width: int) -> Any:
    """SVDQuant's order: truncate the weight, each input scaled by its size, and round the rest."""
    product = pair(W, rank, width, np.diag(np.diag(gram)))
    return product + rounded(W - product, levels, block)


def of_what_the_error_does(W: Any, gram: Any, levels: Any, block: int, rank: int, width: int) -> Any:
    """QERA: round, then the factors of the chapter's theorem for the error."""
    Q = rounded(W, levels, block)
    return Q + pair(W - Q, rank, width, gram)


def compensated_and_rank(W: Any, gram: Any, levels: Any, block: int, rank: int, width: int) -> Any:
    """GPTQ, then the factors of the chapter's theorem for what it leaves."""
    Q = compensated(W, levels, block, gram)
    return Q + pair(W - Q, rank, width, gram)


def factors_alone(W: Any, gram: Any, budget: float, setting: tuple[int, int]) -> Any:
    """Activation-aware factors, themselves in few bits, and nothing else; block is that of the factors' scales."""
    block, width = setting
    rank = min(int(budget * break_even_rank(*W.shape) / (width + SCALE / block)), *W.shape)
    A, B, _ = compression.activation_aware_factor(W, rank, gram=gram)
    return stored(A.T, width, block).T @ stored(B, width, block)


CONTENDERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "nothing spent": (nothing_spent, (64,)),
    "bits": (in_bits, BLOCKS),
    "bits in even steps": (in_even_steps, BLOCKS),
    "factors alone": (factors_alone, ALONE),
    "rank for the error": (with_rank(of_the_error), FACTORS),
    "rank and bits in turn": (with_rank(alternating), FACTORS),
    "rank first": (with_rank(first_the_rank), FACTORS),
    "rank for what the error does": (with_rank(of_what_the_error_does), FACTORS),
    "bits, compensated": (in_bits_compensated, BLOCKS),
    "compensated, and rank": (with_rank(compensated_and_rank), FACTORS),
}


def windows(text: bytes, count: int, size: int = 257) -> Any:
    """So many windows of a text, evenly spaced."""
    numbers = torch.tensor(list(text))
    starts = torch.linspace(0, len(numbers) - size, count).long()
    return torch.stack([numbers[i : i + size] for i in starts])


@torch.no_grad()
def loss(network: Any, text: Any) -> float:
    """Mean cross-entropy, nats per byte."""
    return float(F.cross_entropy(network(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()))


class Study:
    """The model, its layers, their Gram matrices, the text to choose by, and eight stretches of that of the verdict."""

    def __init__(self) -> None:
        self.model = load_base_model()
        self.names = [n for n, layer in self.model.named_modules() if isinstance(layer, torch.nn.Linear)]
        files = bytes(load_corpus("source", "validation").tolist()).split(b"\0")[:-1]
        self.own = b"\0".join(files[0::2])
        self.calibration = windows(self.own, 48)
        self.choosing = windows(self.own[500:-500], 24)  # between the others
        self.stretches = windows(b"\0".join(files[1::2]), 96).split(12)
        self.weights = {n: self.model.get_submodule(n).weight.detach().double().numpy() for n in self.names}
        self.grams = self._grams()
        self.base = [loss(self.model, text) for text in self.stretches]

    @torch.no_grad()
    def _grams(self) -> dict[str, Any]:
        grams: dict[str, Any] = {}

        def hook(name: str) -> Callable[..., None]:
            def add(layer: Any, inputs: Any, output: Any) -> None:
                H = inputs[0].flatten(0, 1).double().numpy()
                grams[name] = grams.get(name, 0) + H.T @ H

            return add

        hooks = [self.model.get_submodule(n).register_forward_hook(hook(n)) for n in self.names]
        for batch in self.calibration.split(16):
            self.model(batch[:, :-1])
        for one in hooks:
            one.remove()
        return grams

    def made(self, contender: Callable[..., Any], budget: float, setting: Any) -> Any:
        """The model with every linear weight replaced."""
        small = copy.deepcopy(self.model)
        for name in self.names:
            Z = contender(self.weights[name], self.grams[name], budget, setting)
            small.get_submodule(name).weight.data.copy_(torch.from_numpy(Z))
        return small

    def rows(self, budget: float) -> Iterator[dict[str, Any]]:
        """A row for each contender."""
        start = loss(self.model, self.choosing)
        for name, (contender, settings) in CONTENDERS.items():
            tried = [loss(self.made(contender, budget, s), self.choosing) - start for s in settings]
            best = settings[int(np.argmin(tried))]
            small = self.made(contender, budget, best)
            harm = [loss(small, text) - own for text, own in zip(self.stretches, self.base, strict=True)]
            row = {
                "budget": budget,
                "contender": name,
                "settings": [list(s) if isinstance(s, tuple) else s for s in settings],
                "tried": [round(x, 5) for x in tried],
                "chosen": list(best) if isinstance(best, tuple) else best,
                "harm": [round(x, 5) for x in harm],
            }
            print(budget, name, row["chosen"], round(float(np.mean(harm)), 4), row["tried"], flush=True)
            yield row


def main() -> None:
    """Measure the budgets that the command line names, or all, and store each as it is done."""
    torch.set_num_threads(1)
    path, study = RESULTS / "bits_or_rank.json", Study()
    for budget in [float(word) for word in sys.argv[1:]] or BUDGETS:
        known = json.loads(path.read_text())["rows"] if path.is_file() else []
        rows = [row for row in known if row["budget"] != budget] + list(study.rows(budget))
        result = provenance("numpy", "torch", threads=1) | {"base": [round(x, 5) for x in study.base]}
        result["rows"] = sorted(rows, key=lambda row: row["budget"])
        store(path, result)


if __name__ == "__main__":
    main()
