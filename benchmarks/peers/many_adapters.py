"""Sixteen sequences, each with an adapter of its own: a call for each, or one batch.

    OMP_NUM_THREADS=1 python -m benchmarks.peers.many_adapters [--rounds 7]

Adapters of rank 8 on all linear layers of the model of 30 million parameters that `benchmarks.peers.lora` trains; 1, 8
or 128 tokens of each sequence; what is computed are the hidden states of the last layer, without gradients. Contenders:

- a call for each sequence, after `set_adapter`;
- one batch inside `assign_lora`;
- one batch of PEFT's model, with its argument ``adapter_names``;
- one batch of the base alone, which no method can beat: what the adapters cost is the rest.

All outputs must agree. Seconds of the processor on one thread, in interleaved rounds, so that a busy machine counts for
all alike. The result is written into lowrank_helpers/data/results/many_adapters.json, with the median seconds of
`merge_lora` of 126 layers of a small model, which is what its own work per layer takes.
"""

import argparse
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.peers.lora import ALPHA, RANK, SHAPE
from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.lora import LoRALinear, add_lora, assign_lora, disable_lora, merge_lora, set_adapter, unmerge_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig

RESULT = RESULTS / "many_adapters.json"
ADAPTERS, TOKENS = 16, (1, 8, 128)
NAMES = [f"adapter {number}" for number in range(ADAPTERS)]
Call = Callable[[Tensor], Tensor]


class Hidden(nn.Module):
    """The model up to its head, as a module whose forward pass PEFT can be asked for."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model.hidden_states(tokens)


def adapted(config: GPTConfig, count: int) -> GPT:
    """A model with several adapters, whose B is not zero."""
    model = GPT(config)
    for number in range(count):
        add_lora(model, RANK, alpha=ALPHA, targets=ALL_LINEAR, name=NAMES[number], rng=number)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith(".B"):
            parameter.data.normal_(std=0.01, generator=generator)
    return model.eval()


def ours(model: GPT) -> dict[str, Call]:
    """A call for each, one batch, and the base alone."""

    def one_by_one(tokens: Tensor) -> Tensor:
        return torch.cat([set_adapter(model, n).hidden_states(row[None]) for n, row in zip(NAMES, tokens, strict=True)])

    def together(tokens: Tensor) -> Tensor:
        with assign_lora(model, NAMES):
            return model.hidden_states(tokens)

    def without(tokens: Tensor) -> Tensor:
        with disable_lora(model):
            return model.hidden_states(tokens)

    return {"a call for each": one_by_one, "one batch": together, "the base alone": without}


def theirs(model: GPT) -> Call:
    """PEFT's model with the same adapters."""
    import peft

    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(ALL_LINEAR))
    made = peft.get_peft_model(Hidden(GPT(SHAPE)), config, adapter_name=NAMES[0])
    for name in NAMES[1:]:
        made.add_adapter(name, config)
    source = {f"base_model.model.model.{path}": layer for path, layer in model.named_modules()}
    with torch.no_grad():
        for path, layer in made.named_modules():
            if isinstance(layer, peft.tuners.lora.Linear):
                for name in NAMES:
                    layer.lora_A[name].weight.copy_(source[path].adapter(name).A)
                    layer.lora_B[name].weight.copy_(source[path].adapter(name).B)
    made.eval()
    return lambda tokens: made(tokens, adapter_names=NAMES)  # type: ignore[no-any-return]


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def merging(rounds: int) -> list[float]:
    """Seconds of merge_lora of 126 layers, each with 16 adapters, of width 16, so that the matrices are small."""
    model = adapted(GPTConfig(width=16, heads=2, layers=18, hidden=32, context=16), ADAPTERS)
    count = sum(isinstance(layer, LoRALinear) for layer in model.modules())
    assert count == 126
    found = []
    for _ in range(rounds + 1):
        found.append(seconds(lambda: merge_lora(model)))
        unmerge_lora(model)
    return found[1:]


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="peft")
    torch.set_num_threads(1)
    merge = merging(arguments.rounds)
    print(f"merge_lora of 126 layers: {statistics.median(merge):.3f} s")
    model = adapted(SHAPE, ADAPTERS)
    contenders = ours(model) | {"one batch, PEFT": theirs(model)}
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(SHAPE.vocabulary, (ADAPTERS, max(TOKENS)), generator=generator)
    found: dict[str, dict[str, list[float]]] = {}
    with torch.no_grad():
        for length in TOKENS:
            part = tokens[:, :length]
            outputs = {name: call(part) for name, call in contenders.items()}  # the first round warms up
            expected = outputs.pop("a call for each")
            assert float((outputs.pop("the base alone") - expected).abs().max()) > 1e-2
            apart = max(float((y - expected).abs().max()) for y in outputs.values())
            assert apart < 1e-4, f"outputs differ by {apart}"
            rows: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(arguments.rounds):
                for name, call in contenders.items():
                    rows[name].append(round(seconds(lambda call=call, part=part: call(part)), 5))
            found[str(length)] = rows
            print(f"{length:4d} tokens", {name: statistics.median(row) for name, row in rows.items()}, flush=True)
    result = {
        **provenance("torch", "peft", threads=1),
        "rounds": arguments.rounds,
        "adapters": ADAPTERS,
        "rank": RANK,
        "seconds of the processor": found,
        "merge_lora, 126 layers": [round(s, 5) for s in merge],
    }
    store(arguments.out, result)


if __name__ == "__main__":
    main()
