"""What it costs to convert the base model to latent attention, five ways, each at the best of seven settings.

    OMP_NUM_THREADS=1 python -m benchmarks.findings.attention_conversion [--small --out FILE]

Keys and values of all four layers go through as many numbers a token as `kept` says. Two separate decompositions of
W_K and W_V, or one of both side by side; of the weights, or of the keys and values on inputs of the layers; and one
with a weight on the right as well, the root of the moments of what meets a key (a head's queries) or a value (its rows
of W_O). Separate ones have the keys' share of the numbers to choose, joint ones the factor on the keys. All texts are
of the source that the model was not trained on: inputs from the first bytes, settings chosen on others, and the rise of
the loss on twelve pieces that neither has seen. Chapter 14 reads the result,
lowrank_helpers/data/results/attention_conversion.json.
"""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import attention
from lowrank_helpers.training import GPT, evaluate, load_base_model, load_corpus

RESULT = RESULTS / "attention_conversion.json"
KEPT, SHARES, FACTORS = (64, 32), (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
INPUTS, CHOOSING, TESTING, PIECE, PIECES = 32768, 32768, 49152, 4096, 12
Factors = tuple[Tensor, Tensor]


def layer_inputs(model: GPT, tokens: Tensor) -> list[Tensor]:
    """For each layer the triangular factor of its inputs, which has their moments: a conversion reads no more."""
    read: list[Tensor] = []
    hooks = [
        block.attention.register_forward_pre_hook(lambda _, args: read.append(args[0].double()))
        for block in model.blocks
    ]
    with torch.no_grad():
        model(tokens.long().view(-1, model.config.context))
    for hook in hooks:
        hook.remove()
    return [torch.linalg.qr(X.flatten(0, 1), mode="r").R / len(tokens) ** 0.5 for X in read]


def truncated(W: Tensor, rank: int, X: Tensor | None) -> Tensor:
    """The closest W of this rank, or the one with the closest X W."""
    V = torch.linalg.svd(W if X is None else X @ W, full_matrices=False).Vh[:rank].T
    return W @ V @ V.T


def separate(W_K: Tensor, W_V: Tensor, kept: int, share: float, X: Tensor | None) -> Factors:
    """Two decompositions, of which the keys' has its share of the numbers."""
    keys = round(share * kept)
    return truncated(W_K, keys, X), truncated(W_V, kept - keys, X)


def joint(W_K: Tensor, W_V: Tensor, kept: int, factor: float, X: Tensor | None) -> Factors:
    """One decomposition, in which an error in the keys counts ``factor`` times."""
    D, keys, values = attention.compress_kv(factor * W_K, W_V, kept, X=X)
    return D @ keys / factor, D @ values


def root(moments: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """The symmetric roots of the blocks of the heads on the diagonal, and their inverses."""
    width = len(moments) // heads
    blocks = [moments[h : h + width, h : h + width] for h in range(0, len(moments), width)]
    values, U = torch.linalg.eigh(torch.stack(blocks))
    values = values.clamp(min=1e-6 * float(values.max())).sqrt().unsqueeze(-2)
    return torch.block_diag(*(U * values @ U.mT)), torch.block_diag(*(U / values @ U.mT))


def converted(way: str, kept: int, setting: float, inputs: list[Tensor]) -> GPT:
    """The base model with keys and values of ``kept`` numbers."""
    model = load_base_model()
    for block, R in zip(model.blocks, inputs, strict=True):
        layer = block.attention
        Q, K, V, out = (p.weight.detach().double().T for p in (layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj))
        X = R if "inputs" in way else None
        if way.startswith("separate"):
            K, V = separate(K, V, kept, setting, X)
        elif "both sides" in way:
            (left, undo_left), (right, undo_right) = (
                root((R @ Q).T @ (R @ Q), layer.heads),
                root(out @ out.T, layer.heads),
            )
            K, V = joint(K @ left, V @ right, kept, setting, X)
            K, V = K @ undo_left, V @ undo_right
        else:
            K, V = joint(K, V, kept, setting, X)
        layer.k_proj.weight.data, layer.v_proj.weight.data = (W.T.float().contiguous() for W in (K, V))
    return model


WAYS = {
    "separate": SHARES,
    "separate, inputs": SHARES,
    "joint": FACTORS,
    "joint, inputs": FACTORS,
    "joint, inputs, both sides": FACTORS,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="another result of the same form, in seconds")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT, help="where to write")
    options = parser.parse_args(arguments)
    kept_numbers, pieces, length = ((32,), 2, 512) if options.small else (KEPT, PIECES, PIECE)
    torch.set_num_threads(1)
    text = load_corpus("source", "validation")
    starts = [TESTING + 8192 * i for i in range(pieces)]
    inputs = layer_inputs(load_base_model(), text[: 2048 if options.small else INPUTS])

    def losses(model: GPT, first: list[int], size: int = length) -> list[float]:
        return [evaluate(model, text[start : start + size + 1]) for start in first]

    before = losses(load_base_model(), starts)
    found: dict[str, Any] = provenance("torch", "lowrank_helpers", threads=1) | {
        "bytes": {"inputs from": 0, "chosen on those from": CHOOSING, "tested on those from": starts, "of": length},
        "grids": {way: list(grid) for way, grid in WAYS.items()},
        "before": [round(x, 6) for x in before],
        "kept": {},
    }
    report: Callable[..., None] = print
    for kept in kept_numbers:
        rows = found["kept"][str(kept)] = {}
        for way, grid in WAYS.items():
            tried = [losses(converted(way, kept, setting, inputs), [CHOOSING], 2 * length)[0] for setting in grid]
            best = grid[tried.index(min(tried))]
            rise = [a - b for a, b in zip(losses(converted(way, kept, best, inputs), starts), before, strict=True)]
            rows[way] = {
                "chosen": best,
                "tuning": [round(x, 6) for x in tried],
                "rise": [round(x, 6) for x in rise],
            }
            report(f"{kept} kept, {way}: {best}, {sum(rise) / len(rise):.3f}", flush=True)
    store(options.out, found)


if __name__ == "__main__":
    main()
