"""One LoRA step on the CPU: ours against PEFT, in time and in memory above the model, on one model in one run.

    python -m benchmarks.peers.lora [--rounds 7] [--steps 3]

A GPT of 30 M parameters with GPT-2's vocabulary, batches of 4 × 128 tokens, rank 8 on all seven linear layers of a
block, float32, AdamW. Three contenders, in turns:

- ours: `finetune`, that is LoRALinear, the chunked loss, fused AdamW, and all bookkeeping of the trainer;
- PEFT, plain loop: PEFT's layers, all logits, torch's cross-entropy and AdamW, as its users write it;
- PEFT's layers in our loop: what LoRALinear alone makes of it.

Each starts from the same weights and adapters and sees the same batches; their losses must agree. Memory is by how much
the process's peak grows over the model, each contender in a process of its own. The result is written into
lowrank_helpers/data/results/lora.json.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F

from benchmarks.peers.provenance import RESULTS, provenance, store
from lowrank_helpers.lora import LoRALinear, add_lora
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig, Plan, finetune, losses
from lowrank_helpers.training.corpus import Batches

RESULT = RESULTS / "lora.json"
SHAPE = GPTConfig(vocabulary=50257, context=128, width=384, heads=6, layers=6, hidden=1024, tied=True)
RATE, BATCH, RANK, ALPHA = 1e-3, 4, 8, 16
Losses = list[float]
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}  # what is freed goes back at once


def text(steps: int) -> torch.Tensor:
    """Tokens for some steps: as frequent as words are, by Zipf's law."""
    ranks = torch.arange(1, SHAPE.vocabulary + 1)
    generator = torch.Generator().manual_seed(0)
    return torch.multinomial(1 / ranks, (steps + 1) * BATCH * SHAPE.context, replacement=True, generator=generator)


def ours() -> GPT:
    """The model with our layers; B is not zero, so that all gradients matter from the first step."""
    model = add_lora(GPT(SHAPE), RANK, alpha=ALPHA, targets=ALL_LINEAR, rng=0)
    generator = torch.Generator().manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, LoRALinear):
            layer.adapter("default").B.data.normal_(std=0.01, generator=generator)
    return model


def theirs() -> GPT:
    """The same model with PEFT's layers and the same adapters."""
    import peft

    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(ALL_LINEAR))
    model, source = GPT(SHAPE), dict(ours().named_modules())
    peft.inject_adapter_in_model(config, model)
    for name, layer in model.named_modules():
        if isinstance(layer, peft.tuners.lora.Linear):
            layer.lora_A["default"].weight.data.copy_(source[name].adapter("default").A)
            layer.lora_B["default"].weight.data.copy_(source[name].adapter("default").B)
    return model


def our_loop(model: GPT, tokens: torch.Tensor, steps: int) -> Losses:
    """Train through the package's own trainer."""
    constant = {"warmup": 0, "final_learning_rate": 1.0}
    plan = Plan(steps=steps, learning_rate=RATE, batch_size=BATCH, clip=1e9, betas=(0.9, 0.999), **constant)
    result = finetune(model, tokens, plan, method="trainable")
    return [record["loss"] for record in result.log]


def plain_loop(model: GPT, tokens: torch.Tensor, steps: int) -> Losses:
    """Train as PEFT's documentation shows it."""
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=RATE, weight_decay=0.0)
    batches, found = Batches(tokens, SHAPE.context, 0), []
    model.train()
    for step in range(steps):
        inputs, targets = batches(step * BATCH, BATCH)
        logits = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


CONTENDERS: dict[str, tuple[Callable[[], GPT], Callable[[GPT, torch.Tensor, int], Losses]]] = {
    "ours": (ours, our_loop),
    "PEFT, plain loop": (theirs, plain_loop),
    "PEFT's layers in our loop": (theirs, our_loop),
}


def status(key: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    for line in pathlib.Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def memory(name: str) -> None:
    """Print the losses of a few steps, and by how many megabytes they raised the process's peak over the model."""
    make, loop = CONTENDERS[name]
    model, tokens = make(), text(3)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    loop(model, tokens, 3)  # loads libraries, which are not the step's
    model.load_state_dict(start)
    del start
    losses._kept.__dict__.clear()  # memory for logits is the step's
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status("VmRSS")
    found = loop(model, tokens, 3)
    print(json.dumps({"losses": found, "megabytes": round(status("VmHWM") - before, 1)}))


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--memory")
    parser.add_argument("--out", type=pathlib.Path, default=RESULT)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="peft")
    if arguments.memory:
        return memory(arguments.memory)

    used = {}
    for name in CONTENDERS:
        command = [sys.executable, "-m", "benchmarks.peers.lora", "--memory", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **AT_ONCE})
        used[name] = json.loads(done.stdout.splitlines()[-1])
    reference = used["PEFT, plain loop"]["losses"]
    apart = max(abs(a - b) for found in used.values() for a, b in zip(found["losses"], reference, strict=True))
    assert apart < 1e-4, f"the contenders' losses differ by {apart}"

    models = {name: make() for name, (make, _) in CONTENDERS.items()}
    tokens = text(arguments.steps)
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.rounds + 1):
        for name, (_, loop) in CONTENDERS.items():
            start = time.perf_counter()
            loop(models[name], tokens, arguments.steps)
            seconds[name].append((time.perf_counter() - start) / arguments.steps)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first round warms up
    rows = {
        name: {"seconds per step": round(medians[name], 4), "megabytes above the model": used[name]["megabytes"]}
        for name in CONTENDERS
    }
    peer = "PEFT, plain loop"
    ratios = {
        "time, ours / PEFT, plain loop": medians["ours"] / medians[peer],
        "memory, ours / PEFT, plain loop": used["ours"]["megabytes"] / used[peer]["megabytes"],
        "time, ours / PEFT's layers in our loop": medians["ours"] / medians["PEFT's layers in our loop"],
    }
    for name, row in rows.items():
        print(f"{name:28s}{row['seconds per step']:9.3f} s/step{row['megabytes above the model']:9.0f} MB")
    for name, ratio in ratios.items():
        print(f"{name:42s}{ratio:6.2f}")
    result = {
        **provenance("torch", "peft", threads=torch.get_num_threads()),
        "rounds": arguments.rounds,
        "contenders": rows,
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "greatest difference of losses": apart,
    }
    store(arguments.out, result)


if __name__ == "__main__":
    main()
