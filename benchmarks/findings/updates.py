"""What a run of fine-tuning leaves in the weights, each rank at its own learning rate (chapter 18).

    OMP_NUM_THREADS=1 python -m benchmarks.findings.updates [--steps 30] [--seeds 1 2 3 4 5] [--out FILE]

The runs are the chapter's own: its functions are taken out of its text. LoRA of rank 1, 8 and 32 on all linear layers,
full fine-tuning, and the 28 matrices trained in full with all else frozen, which is what LoRA has to compare with. Each
tries five learning rates, a factor of 2 apart, on seed 0, and the best on one part of the validation text is taken;
an update that is to be cut to a rank gets the rate that is best after the cut. Seeds 1 to 5, which had no part in
this, are then measured on another part: losses on the book and on the source that the base model knows; lengths and
intruders; losses after each layer's update is cut to a rank; what is lost and what comes back when intruders' singular
values are scaled down, with controls; and the overlaps of the updates' leading left singular vectors, one control being
runs on another text. The observations of chapter 18 read the result. About ten minutes.
"""

import argparse
import functools
import pathlib
from typing import Any

import numpy as np
import torch

from benchmarks.peers.provenance import RESULTS, provenance, store
from book.claims.ch18_lora_updates import GRIDS
from book.definitions import definitions
from lowrank_helpers import training

fit, adapted, nats = (definitions(18, name) for name in ("fit", "adapted", "nats"))
updates, changed, cut = (definitions(18, name) for name in ("updates", "changed", "cut"))
intruders, length, eased = (definitions(18, name) for name in ("intruders", "length", "eased"))
overlap = definitions(18, "overlap")

CUTS = (1, 2, 4, 8, 16, 32)
LENGTHS = (0.05, 0.1, 0.2, 0.35)
THRESHOLDS = (0.4, 0.5, 0.6, 0.7)
KEEP = (1.0, 0.9, 0.75, 0.5)
SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)
PLACES = ("intruders", "others", "random")
TUNE, TEST = slice(8000, 16_000), slice(0, 8000)
Update = Any


corpus = functools.cache(training.load_corpus)


def load(name: str, part: slice) -> Any:
    """A part of the validation text of the book, or of the source that the base model knows."""
    return corpus(name, "validation")[part]


def train(kind: str, rate: float, seed: int, steps: int, text: str = "book") -> Any:
    """One run of the chapter's loop."""
    if kind.startswith("r = "):
        model = adapted(int(kind[4:]), seed)
    else:
        model = training.load_base_model()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(kind == "full" or name.endswith("proj.weight"))
    fit(model, rate, steps=steps, seed=seed, corpus=corpus(text, "train"))
    return model.requires_grad_(True) if kind == "matrices" else model  # as of a model without adapters


def both(model: Any, update: Update, part: slice) -> list[float]:
    """The losses on the book and on the source with this update in the place of the model's own."""
    other = changed(model, update)
    return [nats(other, load(name, part)) for name in ("book", "source")]


def weighted(model: Any, update: Update, r: int) -> Update:
    """Each update cut to rank r where its layer's inputs weigh the error."""
    moments: dict[str, Any] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, key=f"{name}.weight": moments.__setitem__(key, inputs[0].detach().flatten(0, -2).double())
        )
        for name, module in model.named_modules()
        if f"{name}.weight" in update
    ]
    with torch.no_grad():
        model(corpus("book", "train")[:16_000].long().view(250, 64))
    for hook in hooks:
        hook.remove()
    out: Update = {}
    for key, D in update.items():
        values, Q = torch.linalg.eigh(moments[key].T @ moments[key])
        left = torch.linalg.svd(D @ (Q * values.clamp_min(0).sqrt()), full_matrices=False)[0][:, :r]
        out[key] = left @ (left.T @ D)
    return out


def tuning(steps: int) -> dict[str, Any]:
    """What seed 0 tried: for each kind and rate, the losses on the part for tuning, also after cuts."""
    text, found = load("book", TUNE), {}
    for kind, rates in GRIDS.items():
        for rate in rates:
            model = train(kind, rate, 0, steps)
            update = updates(model)
            row = found.setdefault(kind, {})[str(rate)] = {
                "loss": nats(model, text),
                "source": nats(model, load("source", TUNE)),
                "length": float(length(update)),
                "intruders": intruders(update),
                "cut": {str(r): nats(changed(model, cut(update, r)), text) for r in cuts_of(kind)},
            }
            print(kind, rate, row, flush=True)
    return found


def cuts_of(kind: str) -> tuple[int, ...]:
    """The ranks for which a rate of its own is chosen."""
    return {"r = 32": (1, 8), "matrices": (1, 8, 32), "full": (1, 8, 32)}.get(kind, ())


def room(kind: str) -> int:
    """The rank that an update of this kind can have."""
    return int(kind[4:]) if kind.startswith("r = ") else 128


def best(tried: dict[str, Any], kind: str, r: int | None = None) -> float:
    """The rate of the least loss on the part for tuning, after a cut to rank r if one is to be made."""
    rows = tried[kind]
    return float(min(rows, key=lambda rate: rows[rate]["loss"] if r is None else rows[rate]["cut"][str(r)]))


def paths(model: Any, update: Update, threshold: float, places: tuple[str, ...], part: slice) -> dict[str, Any]:
    """Losses on book and source as the whole update, the intruders, or controls in their place, are scaled down."""
    whole = [both(model, {k: keep * D for k, D in update.items()}, part) for keep in SHRINK]
    lines = {
        where: [whole[0], *(both(model, eased(update, keep, where, threshold), part) for keep in KEEP[1:])]
        for where in places
    }
    return {"directions": intruders(update, threshold=threshold), "whole": whole, **lines}


def after(path: list[list[float]], more: float) -> float:
    """The source loss where a path has raised the book's loss by so much; where it never does, its last."""
    book, source = np.array(path).T
    first = int(np.argmax(book > book[0] + more)) if (book > book[0] + more).any() else len(book) - 1
    if book[first] <= book[0] + more:
        return float(source[-1])
    share = (book[0] + more - book[first - 1]) / (book[first] - book[first - 1])
    return float(source[first - 1] + share * (source[first] - source[first - 1]))


def rows_of(
    seed: int, run: Any, rates: dict[str, float], cut_rates: dict[str, Any], threshold: float
) -> dict[str, Any]:
    """All that is measured of the runs of one seed."""
    rows: dict[str, Any] = {"seed": seed, "kinds": {}, "cuts": {}, "easing": {}}
    for kind, rate in rates.items():
        model = run(kind, rate, seed)
        update = updates(model)
        size = float(length(update))
        target, source = both(model, update, TEST)
        rows["kinds"][kind] = {
            "loss": target,
            "source": source,
            "length": size,
            "intruders": intruders(update),
            "at length": {str(to): intruders(update, to / size) for to in LENGTHS},
            "cut": cuts(model, update, [r for r in CUTS if r < room(kind)]),
        }
        print(seed, kind, rows["kinds"][kind], flush=True)
    for kind, at in cut_rates.items():
        for r, rate in at.items():
            model = run(kind, rate, seed)
            rows["cuts"].setdefault(kind, {})[r] = cuts(model, updates(model), [int(r)])[r]
    model = run("matrices", cut_rates["matrices"]["8"], seed)
    rows["weighted"] = nats(changed(model, weighted(model, updates(model), 8)), load("book", TEST))
    print(seed, rows["cuts"], rows["weighted"], flush=True)
    for kind, places in (("r = 8", PLACES), ("r = 32", PLACES[:1])):
        model = run(kind, rates[kind], seed)
        rows["easing"][kind] = paths(model, updates(model), threshold, places, TEST)
        print(seed, kind, rows["easing"][kind], flush=True)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "updates.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    tried = tuning(options.steps)
    rates = {kind: best(tried, kind) for kind in GRIDS}
    cut_rates = {kind: {str(r): best(tried, kind, r) for r in cuts_of(kind)} for kind in ("r = 32", "matrices", "full")}
    run = functools.cache(lambda kind, rate, seed, text="book": train(kind, rate, seed, options.steps, text))
    eight = run("r = 8", rates["r = 8"], 0)
    easing = {str(t): paths(eight, updates(eight), t, ("intruders",), TUNE) for t in THRESHOLDS}
    threshold = min(THRESHOLDS, key=lambda t: after(easing[str(t)]["intruders"], 0.02))
    result: dict[str, Any] = provenance("numpy", "torch", "lowrank_helpers") | {
        "steps": options.steps,
        "seeds": {"tuning": [0], "verdict": options.seeds},
        "grids": {kind: list(grid) for kind, grid in GRIDS.items()},
        "tried": tried,
        "rates": rates,
        "rates for cuts": cut_rates,
        "thresholds": {"tried": easing, "chosen": threshold},
        "keep": {"whole": SHRINK, "the others": KEEP},
        "base": [nats(training.load_base_model(), load(name, TEST)) for name in ("book", "source")],
        "runs": [],
    }
    print(rates, cut_rates, threshold, result["base"], flush=True)
    for seed in options.seeds:
        result["runs"].append(rows_of(seed, run, rates, cut_rates, threshold))
        store(options.out, rounded(result))
    result["overlaps"] = overlaps(run, rates, options.seeds)
    print(result["overlaps"])
    store(options.out, rounded(result))


def cuts(model: Any, update: Update, ranks: list[int]) -> dict[str, float]:
    """The loss on the book after each layer's update is cut to a rank."""
    return {str(r): nats(changed(model, cut(update, r)), load("book", TEST)) for r in ranks}


def overlaps(run: Any, rates: dict[str, float], seeds: list[int]) -> dict[str, list[float]]:
    """φ at k = 8 of two updates, for each seed; the other run has the next seed unless it is said to have the same."""
    kinds, texts = ("r = 8", "r = 32", "full"), ("book", "tkinter")
    of = {
        (kind, text, seed): updates(run(kind, rates[kind], seed, text))
        for kind in kinds
        for text in (texts if kind != "r = 32" else texts[:1])
        for seed in seeds
    }
    W = {name: p.detach().double() for name, p in training.load_base_model().named_parameters()}

    def phi(first: tuple[str, str], second: tuple[str, str] | None, same: bool = False) -> list[float]:
        others = seeds if same else [*seeds[1:], seeds[0]]
        pairs = [(of[*first, s], W if second is None else of[*second, t]) for s, t in zip(seeds, others, strict=True)]
        return [float(overlap(*pair)[7]) for pair in pairs]

    eight, wide, full = ((kind, "book") for kind in kinds)
    found = {f"two of {kind}": phi((kind, "book"), (kind, "book")) for kind in kinds}
    found |= {f"{kind}, another text": phi((kind, "book"), (kind, "tkinter")) for kind in ("r = 8", "full")}
    found |= {f"{kind} and W": phi((kind, "book"), None) for kind in kinds}
    return found | {
        "r = 8 and r = 32": phi(eight, wide),
        "r = 8 and r = 32, same bytes": phi(eight, wide, same=True),
        "r = 8 and full": phi(eight, full),
    }


def rounded(value: Any) -> Any:
    """All losses and lengths to five decimals."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return [rounded(entry) for entry in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
