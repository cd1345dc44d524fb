"""The base model in factors: what inputs are worth, what calibration needs, and what twenty steps of training repair.

    python -m benchmarks.findings.factored

"inputs": each way of truncating, at two sizes, with its ranks chosen in two ways: the same share of the break-even rank
for each layer, or the same relative error of each layer (of W, of W scaled, of W X), by the loss on text of the
calibration half that no Gram matrix has seen. "calibration": activation-aware factors at a share of .6 from five draws
of so many windows of source code, or of prose; "damped" are Gram matrices with a multiple of the identity added, of
which "damping" has the choice. "repair": twenty steps of AdamW at half of the numbers, with a rate chosen for each
start on two stretches of the other half, by the first order of the batches, and harm on the six others, for five
orders. Harm is the loss on files of the other half, less that of the model. About four minutes.
"""

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.findings.bits_or_rank import Study, loss
from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers import compression, costs
from lowrank_helpers.svd import rank_for_error
from lowrank_helpers.training import load_corpus

SHARES, DRAWS, RATES = (0.8, 0.5), range(5), (3e-5, 1e-4, 3e-4, 1e-3)
DAMPING = (0.01, 0.1, 1.0, 10.0, 100.0)  # of the mean of the diagonal
CHOOSING, TESTED = [0, 4], [1, 2, 3, 5, 6, 7]  # stretches, of the repair
WINDOWS = (1, 4, 24, 96)


class Factored(Study):
    """The model with its linear layers in factors."""

    def factored(self, ranks: dict[str, int], grams: dict[str, Any] | None) -> Any:
        """A copy with layers of these ranks in the place of each."""
        small = copy.deepcopy(self.model)
        for name in self.names:
            parent, _, last = name.rpartition(".")
            gram = None if grams is None else grams[name]
            pair = compression.factor_linear(self.model.get_submodule(name), ranks[name], gram=gram)
            setattr(small.get_submodule(parent), last, pair)
        return small

    def one_share(self, share: float, grams: dict[str, Any] | None = None) -> dict[str, int]:
        """The same share of the break-even rank for each layer."""
        return {name: int(share * costs.break_even_rank(*W.shape)) for name, W in self.weights.items()}

    def one_error(self, share: float, grams: dict[str, Any] | None) -> dict[str, int]:
        """The same relative error of each layer, the least that takes no more numbers than one share does."""
        spectra = {}
        for name, W in self.weights.items():
            if grams is None:
                spectra[name] = np.linalg.svd(W, compute_uv=False)
            else:
                spectra[name] = compression.activation_aware_factor(W, 1, gram=grams[name]).s
        most = self.numbers(self.one_share(share))
        low, high = 1e-3, 1.0
        for _ in range(30):
            error = (low + high) / 2
            ranks = {name: max(1, rank_for_error(s, error)) for name, s in spectra.items()}
            low, high = (low, error) if self.numbers(ranks) <= most else (error, high)
        return {name: max(1, rank_for_error(s, high)) for name, s in spectra.items()}

    def numbers(self, ranks: dict[str, int]) -> int:
        """How many numbers factors of these ranks have."""
        return sum(costs.factor_parameters(*self.weights[name].shape, r) for name, r in ranks.items())

    def harm(self, small: Any) -> list[float]:
        """What each stretch of text loses."""
        return [round(loss(small, text) - own, 5) for text, own in zip(self.stretches, self.base, strict=True)]

    def grams_of(self, text: Any) -> dict[str, Any]:
        """The Gram matrices of the inputs on this text."""
        kept, self.calibration = self.calibration, text
        try:
            return self._grams()
        finally:
            self.calibration = kept

    def inputs(self) -> list[dict[str, Any]]:
        """A row for each size and way of truncating."""
        diagonal = {name: np.diag(np.diag(G)) for name, G in self.grams.items()}
        rows = []
        for share in SHARES:
            for method, grams in (("plain", None), ("diagonal", diagonal), ("activation-aware", self.grams)):
                tried = {}
                for how, ranks in (("one share", self.one_share), ("one error", self.one_error)):
                    small = self.factored(ranks(share, grams), grams)
                    tried[how] = (loss(small, self.choosing), small)
                best = min(tried, key=lambda how: tried[how][0])
                losses = {how: round(found[0], 5) for how, found in tried.items()}
                rows.append(
                    {"share": share, "method": method, "tried": losses, "chosen": best}
                    | {"harm": self.harm(tried[best][1])}
                )
                print(rows[-1], flush=True)
        return rows

    def calibrated(self) -> dict[str, list[list[float]]]:
        """For each source of inputs the harm, for each draw, at a share of .6."""
        joined = torch.tensor(list(self.own))
        prose = load_corpus("book", "train").long()
        ranks = self.one_share(0.6)
        found = {"none: plain truncation": [self.harm(self.factored(ranks, None))]}

        def measured(text: Any, count: int) -> list[list[float]]:
            results = []
            for seed in DRAWS:
                starts = np.random.default_rng(seed).integers(0, len(text) - 257, count)
                drawn = torch.stack([text[i : i + 257] for i in starts.tolist()])
                results.append(self.harm(self.factored(ranks, self.grams_of(drawn))))
            return results

        for count in WINDOWS:
            found[f"source, {count}"] = measured(joined, count)
        found["prose, 24"] = measured(prose, 24)
        found["prose, 96"] = measured(prose, 96)
        found["the text of the verdict"] = [self.harm(self.factored(ranks, self.grams_of(torch.cat(self.stretches))))]
        for name, harm in found.items():
            print(name, [round(float(np.mean(x)), 4) for x in harm], flush=True)
        return found

    def damped(self) -> tuple[dict[str, Any], list[list[float]]]:
        """One window, with a multiple of the identity: what was tried on a sixth draw, and the harm for each draw."""
        joined, ranks = torch.tensor(list(self.own)), self.one_share(0.6)

        def small(seed: int, factor: float) -> Any:
            [start] = np.random.default_rng(seed).integers(0, len(joined) - 257, 1).tolist()
            grams = self.grams_of(joined[None, start : start + 257])
            more = {name: factor * np.trace(G) / len(G) * np.eye(len(G)) for name, G in grams.items()}
            return self.factored(ranks, {name: G + more[name] for name, G in grams.items()})

        tried = {str(factor): round(loss(small(99, factor), self.choosing), 5) for factor in DAMPING}
        best = min(DAMPING, key=lambda factor: tried[str(factor)])
        print(tried, flush=True)
        return {"tried": tried, "chosen": best}, [self.harm(small(seed, best)) for seed in DRAWS]

    def trained(self, small: Any, rate: float, seed: int, steps: int = 20) -> Any:
        """The factors after some steps of AdamW on the calibration windows."""
        small = copy.deepcopy(small).train()
        optimiser = torch.optim.AdamW(small.parameters(), lr=rate)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            text = self.calibration[torch.randint(len(self.calibration), (4,), generator=generator)]
            error = F.cross_entropy(small(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
            optimiser.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return small.eval()

    def repaired(self) -> dict[str, Any]:
        """For each start the rate and what each gave on the stretches to choose by, and harm for each order."""
        found: dict[str, Any] = {}
        ranks = self.one_share(0.5)
        for method, grams in (("plain", None), ("activation-aware", self.grams)):
            small = self.factored(ranks, grams)
            first = {rate: self.harm(self.trained(small, rate, DRAWS[0])) for rate in RATES}
            tried = {rate: round(float(np.mean([harm[i] for i in CHOOSING])), 5) for rate, harm in first.items()}
            rate = min(tried, key=lambda rate: tried[rate])
            after = [first[rate], *(self.harm(self.trained(small, rate, seed)) for seed in DRAWS[1:])]
            before = self.harm(small)
            found[method] = {
                "before": [before[i] for i in TESTED],
                "tried": list(tried.values()),
                "rate": rate,
                "after": [[harm[i] for i in TESTED] for harm in after],
            }
            print(method, found[method], flush=True)
        return found


def main() -> None:
    """Measure, and store."""
    torch.set_num_threads(1)
    result = provenance("numpy", "torch", threads=1)
    study = Factored()
    result |= {"seeds": list(DRAWS), "rates": list(RATES)}
    result |= {"inputs": study.inputs(), "calibration": study.calibrated(), "repair": study.repaired()}
    result["damping"], result["calibration"]["source, 1, damped"] = study.damped()
    store(RESULTS / "factored.json", result)


if __name__ == "__main__":
    main()
