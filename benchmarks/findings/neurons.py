"""Whether the base model has neurons that resemble each other, and what it loses when neurons go.

    python -m benchmarks.findings.neurons

A neuron of a feed-forward layer is a row of the gate, a row of the up matrix and a column of the down matrix. "nearest"
has, for each of the three in each block, the cosine with the neuron that is most alike (largest absolute value), in
three figures: the median over the neurons, the largest, and how many reach 0.9; for the trained weights, for the same
weights with each input's entries shuffled among the neurons, and for normal random numbers. "removed" has what the
model loses when a share of the neurons of every block goes: at random (five draws), those whose nearest twin by gate
and up together is nearest, of each pair the one with the smaller output, or those with the least output. Output is the
norm of activation times column over the calibration windows. "made up" is the same with the columns of the
neurons that stay fitted again by least squares to the layer's outputs on these windows. Nothing else is chosen. Harm is
taken on the eight stretches of `bits_or_rank`. About four minutes.
"""

import copy
from typing import Any

import numpy as np
import torch

from benchmarks.findings.bits_or_rank import Study, loss
from benchmarks.peers.provenance import RESULTS, provenance, store

SHARES, DRAWS = (0.05, 0.1, 0.25), range(5)
PARTS = ("gate_proj", "up_proj", "down_proj")


def cosines(W: Any) -> Any:
    """Those of all pairs of rows, with zeros on the diagonal."""
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    return unit @ unit.T * (1 - np.eye(len(W)))


def figures(W: Any) -> list[float]:
    """Median and largest of what each row has as its nearest cosine, and how many reach 0.9."""
    nearest = np.abs(cosines(W)).max(axis=1)
    return [round(float(np.median(nearest)), 4), round(float(nearest.max()), 4), int((nearest >= 0.9).sum())]


class Neurons(Study):
    """The model without some of its neurons."""

    def part(self, block: int, part: str) -> Any:
        """A neuron in each row."""
        W = self.weights[f"blocks.{block}.mlp.{part}"]
        return W.T if part == "down_proj" else W

    def outputs(self, block: int) -> Any:
        """How large each neuron's contribution is."""
        gram = self.grams[f"blocks.{block}.mlp.down_proj"]
        return np.sqrt(np.diag(gram)) * np.linalg.norm(self.part(block, "down_proj"), axis=1)

    def nearest(self) -> list[dict[str, Any]]:
        """A row for each part of each block."""
        rng, rows = np.random.default_rng(0), []
        for part in PARTS:
            for block in range(4):
                W = self.part(block, part)
                shuffled = np.stack([rng.permutation(column) for column in W.T], axis=1)
                kinds = {"trained": W, "shuffled": shuffled, "normal": rng.standard_normal(W.shape)}
                rows.append({"part": part, "block": block} | {kind: figures(M) for kind, M in kinds.items()})
                print(rows[-1], flush=True)
        return rows

    def at_random(self, block: int, count: int, seed: int) -> Any:
        """Any neurons."""
        return np.random.default_rng([seed, block]).permutation(len(self.outputs(block)))[:count]

    def twins(self, block: int, count: int, seed: int) -> Any:
        """Of the pair most alike in both incoming rows, the one with the smaller output; and again."""
        like = np.clip(cosines(self.part(block, "gate_proj")), 0, None) * np.abs(cosines(self.part(block, "up_proj")))
        output, gone = self.outputs(block), []
        for _ in range(count):
            pair = np.unravel_index(like.argmax(), like.shape)
            gone.append(min(pair, key=lambda i: output[i]))
            like[gone[-1]], like[:, gone[-1]] = -1, -1
        return np.array(gone)

    def least(self, block: int, count: int, seed: int) -> Any:
        """Those that contribute least."""
        return np.argsort(self.outputs(block))[:count]

    def without(self, choose: Any, share: float, made_up: bool, seed: int) -> Any:
        """A copy of the model in which these neurons contribute nothing."""
        small = copy.deepcopy(self.model)
        for block in range(4):
            name = f"blocks.{block}.mlp.down_proj"
            down, gram = self.weights[name].copy(), self.grams[name]
            gone = choose(block, int(share * down.shape[1]), seed)
            kept = np.setdiff1d(np.arange(down.shape[1]), gone)
            if made_up:
                down[:, kept] = np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept] @ down.T).T
            down[:, gone] = 0
            small.get_submodule(name).weight.data.copy_(torch.from_numpy(down))
        return small

    def removed(self) -> list[dict[str, Any]]:
        """A row for each share and contender: the harm for each stretch, of one draw after the other."""
        rows = []
        for share in SHARES:
            for name, choose in (("at random", self.at_random), ("twins", self.twins), ("least output", self.least)):
                for made_up in (False, True):
                    draws = DRAWS if choose == self.at_random else [0]
                    harm = [self.harm(self.without(choose, share, made_up, seed)) for seed in draws]
                    rows.append({"share": share, "neurons": name, "made up": made_up, "harm": harm})
                    print(share, name, made_up, [round(float(np.mean(h)), 4) for h in harm], flush=True)
        return rows

    def harm(self, small: Any) -> list[float]:
        """What each stretch of text loses."""
        return [round(loss(small, text) - own, 5) for text, own in zip(self.stretches, self.base, strict=True)]


def main() -> None:
    """Measure, and store."""
    torch.set_num_threads(1)
    result = provenance("numpy", "torch", threads=1)
    study = Neurons()
    result |= {"nearest": study.nearest(), "removed": study.removed()}
    store(RESULTS / "neurons.json", result)


if __name__ == "__main__":
    main()
