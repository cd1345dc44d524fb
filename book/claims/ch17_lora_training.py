"""The claim of chapter 17, training with LoRA: the products of a training step; what was measured; misstatements."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from book.claims import Claim, Folklore
from book.definitions import definitions
from book.margins import close
from book.observations import Contender, Observation, Protocol, student
from lowrank_helpers import results

# The products of a training step


class Weight(NamedTuple):
    """W (m, n), applied to the sum of the outputs named by ``sources`` (-1 is the network's input), after tanh."""

    m: int
    n: int
    sources: tuple[int, ...]
    trained: bool
    bend: bool = True  # False: the sum itself, as between A and B


class Network(NamedTuple):
    """Weights in an order in which they can be computed; the last ones' outputs are summed into the loss."""

    T: int
    weights: tuple[Weight, ...]
    input_trained: bool  # as that of a trained embedding


def operations(work):
    """The operations in products of what this does, by torch's own counter."""
    import torch  # the book is built without it
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: definitions(17, "in_place")}) as counter:
        work()
    return counter.get_total_flops()


def step(network, twice=False, between=False, unused=()):
    """A forward and a backward pass; with every weight used twice, products of activations between, or ends unused."""
    import torch

    X = torch.ones(network.T, network.weights[0].n, requires_grad=network.input_trained)
    outputs = {-1: X}
    used = set()
    for number, weight in enumerate(network.weights):
        W = torch.full((weight.m, weight.n), 0.1, requires_grad=weight.trained)
        Z = sum(outputs[source] for source in weight.sources)
        Z = torch.tanh(Z) if weight.bend else Z
        if between:
            Z = (Z @ Z.T) @ Z
        outputs[number] = Z @ W.T
        if twice:
            outputs[number] = torch.tanh(outputs[number]) @ W.T
        used |= set(weight.sources)
    ends = [end for end in outputs if end not in used and end not in unused]
    sum((outputs[end] ** 2).sum() for end in ends).backward()


class Costs(NamedTuple):
    """Part 1, of any network; and part 3, of T, shapes (m, n), ranks, and whether each input depends."""

    step: Callable[[Network], int]
    lora: Callable[..., int]


def depends(network):
    """For each weight, whether its input depends on something trained."""
    moved = {-1: network.input_trained}
    found = []
    for number, weight in enumerate(network.weights):
        found.append(any(moved[source] for source in weight.sources))
        moved[number] = found[-1] or weight.trained
    return found


def step_cost(network):
    return (
        2
        * network.T
        * sum(w.m * w.n * (1 + w.trained + u) for w, u in zip(network.weights, depends(network), strict=True))
    )


def lora_cost(T, shapes, ranks, inputs_depend):
    N = sum(m * n for m, n in shapes)
    nu = sum(r * (m + n) for (m, n), r in zip(shapes, ranks, strict=True))
    spared = sum(m * n + r * n for (m, n), r, u in zip(shapes, ranks, inputs_depend, strict=True) if not u)
    return 4 * T * N + 6 * T * nu - 2 * T * spared


def with_lora(network, ranks):
    """Freeze a network and put A and B beside each weight: three weights in the place of one."""
    weights, outputs = [], {-1: (-1,)}
    for number, (weight, r) in enumerate(zip(network.weights, ranks, strict=True)):
        sources = tuple(place for source in weight.sources for place in outputs[source])
        first = len(weights)
        weights += [
            Weight(weight.m, weight.n, sources, trained=False),
            Weight(r, weight.n, sources, trained=True),
            Weight(weight.m, r, (first + 1,), trained=True, bend=False),
        ]
        outputs[number] = (first, first + 2)
    return Network(network.T, tuple(weights), network.input_trained)


def cost_claim(code, network, ranks, run=step):
    """torch counts what the formula says, for the network as it is, and with LoRA beside each weight."""
    adapted = with_lora(network, ranks)
    shapes = [(w.m, w.n) for w in network.weights]
    inputs = depends(adapted)[::3]
    full = operations(lambda: run(network))
    if full != code.step(network):
        return False
    found = operations(lambda: run(adapted))
    said = code.lora(network.T, shapes, ranks, inputs)
    everything = 2 * network.T * sum(w.m * w.n for w in network.weights)
    if all(w.trained for w in network.weights) and network.input_trained:
        saves = full - found
        if full != 3 * everything or not saves < everything:
            return False
    return found == code.step(adapted) == said


def chain(T, widths, trained, input_trained=False):
    """W₁, W₂, … one after the other, from width to width."""
    pairs = enumerate(itertools.pairwise(widths))
    return Network(T, tuple(Weight(m, n, (l - 1,), l in trained) for l, (n, m) in pairs), input_trained)


# A block: three projections of one input, then one of their sum; then two more.
FORKED = (
    Weight(4, 6, (-1,), True),
    Weight(4, 6, (-1,), False),
    Weight(4, 6, (-1,), True),
    Weight(6, 4, (0, 1, 2), False),
    Weight(3, 6, (3,), True),
)
CHAINS = [
    (chain(5, (4, 7, 3), {0, 1}), (2, 1)),  # all weights, the input not
    (chain(5, (4, 7, 3), {0, 1}, input_trained=True), (2, 1)),
    (chain(3, (2, 5, 5, 4, 6), {2}), (1, 2, 3, 1)),  # one in the middle
    (chain(3, (2, 5, 5, 4, 6), {3}), (1, 1, 1, 1)),  # the last alone
    (chain(1, (3, 8), {0}), (3,)),  # one weight, one row, full rank
    (chain(4, (3, 4, 4), set(), input_trained=True), (1, 1)),  # all frozen under a trained input: prompt tuning
    (Network(7, FORKED, False), (1, 2, 1, 2, 1)),
    (Network(7, FORKED, True), (2, 2, 2, 2, 2)),
]
COSTS = Costs(step_cost, lora_cost)
ONE = chain(5, (4, 4, 4), {0, 1}, input_trained=True)


def always(network):
    """6TN, trained or not."""
    return 6 * network.T * sum(w.m * w.n for w in network.weights)


CLAIMS = {
    "thm-step-cost": Claim(
        check=cost_claim,
        code=COSTS,
        cases=CHAINS,
        dropped={
            "applied once: each weight is used twice": (ONE, (2, 2), lambda network: step(network, twice=True)),
            "nothing but what is counted: products of activations lie between": (
                ONE,
                (2, 2),
                lambda network: step(network, between=True),
            ),
            "all outputs have an influence on the loss: one of two ends is not used": (
                Network(5, (Weight(4, 4, (-1,), True), Weight(4, 4, (0,), True), Weight(3, 4, (0,), True)), False),
                (1, 1, 1),
                lambda network: step(network, unused=(2,) if len(network.weights) == 3 else (6, 8)),
            ),
        },
        mutants={
            "6TN whatever is trained": COSTS._replace(step=always),
            "the way back through the frozen weights is free": COSTS._replace(
                step=lambda network: 2 * network.T * sum(w.m * w.n * (1 + 2 * w.trained) for w in network.weights)
            ),
            "the input's gradient is always formed": COSTS._replace(
                step=lambda network: 2 * network.T * sum(w.m * w.n * (2 + w.trained) for w in network.weights)
            ),
            "one operation for a multiplication and an addition": COSTS._replace(
                step=lambda network: step_cost(network) // 2
            ),
            "4TN + 6Tn, with nothing spared at the bottom": COSTS._replace(
                lora=lambda T, shapes, ranks, inputs: lora_cost(T, shapes, ranks, [True] * len(shapes))
            ),
            "at the bottom W alone is spared, not A": COSTS._replace(
                lora=lambda T, shapes, ranks, inputs: (
                    lora_cost(T, shapes, ranks, inputs)
                    + 2 * T * sum(r * n for (_, n), r, u in zip(shapes, ranks, inputs, strict=True) if not u)
                )
            ),
            "r m for r n: B spared in the place of A": COSTS._replace(
                lora=lambda T, shapes, ranks, inputs: (
                    lora_cost(T, shapes, ranks, inputs)
                    + 2 * T * sum(r * (n - m) for (m, n), r, u in zip(shapes, ranks, inputs, strict=True) if not u)
                )
            ),
            "the thin factors as if frozen": COSTS._replace(
                lora=lambda T, shapes, ranks, inputs: (
                    lora_cost(T, shapes, ranks, inputs)
                    - 2 * T * sum(r * (m + n) for (m, n), r in zip(shapes, ranks, strict=True))
                )
            ),
        },
    )
}

# What was measured

SEEDS, LEVELS, EASIER = (1, 2, 3, 4, 5), (1.70, 1.65, 1.62), 1.75
OF = {"full": {"method": "full"}, "lora": {"method": "lora", "layers": "all", "rank": 8}}
PROSE = "the book's prose, held out, and source code; seeds 1 to 5"


def interval(values):
    """Both ends of Student's 95 % interval of the mean."""
    mean, half = student(values)
    return mean - half, mean + half


def shown(values, digits=2):
    """Mean and half the interval, as the chapter prints them."""
    return [f"{number:.{digits}f}" for number in student(values)]


def replaced(measured, key, value):
    """A copy with another entry."""
    return {**measured, key: value}


def staircase(points, level):
    """The least source loss of all points at a target loss or below, with no lines between them."""
    return min(kept for target, kept in points if target <= level)


@functools.cache
def forgotten():
    """LoRA's source loss less that of full fine-tuning, by seed: on frontiers, in two other ways, and at best rates."""
    grid = results.load("cpu_grid")
    paths, more_forgotten, end, kept_at = (
        definitions(17, name) for name in ("paths", "more_forgotten", "end", "kept_at")
    )
    found = {level: [float(x) for x in more_forgotten(grid, "book", level)] for level in (EASIER, *LEVELS)}
    clouds = {name: [paths(grid, "book", seed, **of) for seed in SEEDS] for name, of in OF.items()}
    for level in LEVELS:
        pairs = list(zip(clouds["full"], clouds["lora"], strict=True))
        found[f"staircase, {level}"] = [staircase(lora, level) - staircase(full, level) for full, lora in pairs]
        # A path has its start and seven looks; the end of each, and the start, which is the same for all.
        ends = [[np.array([*cloud[7::8], cloud[0]]) for cloud in pair] for pair in pairs]
        found[f"ends, {level}"] = [float(kept_at(lora, level) - kept_at(full, level)) for full, lora in ends]
    found["at the best rates"] = [
        [float(x) for x in end(rate, **OF[name])] for name, rate in (("full", 3.162e-3), ("lora", 1e-2))
    ]
    found["at a third"] = [float(x) for x in end(1e-3, **OF["full"])]
    return found


def forgets_more(found):
    """On three levels by the whole interval, however the frontier is drawn, on an easier one not; and the best rates
    alone say otherwise."""
    ways = [found[key] for level in LEVELS for key in (level, f"staircase, {level}", f"ends, {level}")]
    (_, full_kept), (thin_target, thin_kept) = found["at the best rates"]
    target, kept = found["at a third"]
    return (
        all(interval(more)[0] > 0 for more in ways)
        and interval(found[EASIER])[0] < 0 < interval(found[EASIER])[1]
        and thin_kept < full_kept
        and target < thin_target
        and kept < thin_kept
    )


@functools.cache
def by_length():
    """After 50 and 100 steps, by seed: LoRA's loss over that of full fine-tuning, less 1; its part of the fall from the
    base; and the rates chosen."""
    tuned, excess, fallen = (definitions(17, name) for name in ("tuned", "excess", "fallen"))
    found = {}
    for steps, study, of in ((50, results.load("cpu_lengths"), {"steps": 50}), (100, results.load("cpu_grid"), {})):
        runs = {name: tuned(study, **method, **of) for name, method in OF.items()}
        found[steps] = [float(x) for x in excess(runs["full"], runs["lora"])]
        found[f"part {steps}"] = [float(x) for x in fallen(runs["full"], runs["lora"])]
        found["base"] = runs["full"][0]["path"][0][1]
        found[f"rates {steps}"] = [runs[name][0]["of"]["learning_rate"] for name in OF]
    return found


def grows(found):
    """The excess is greater after 100 steps by the whole interval, after 50 there is one already, the part of the fall
    is not known to differ; and the rates are the same."""
    low, high = interval(np.subtract(found["part 100"], found["part 50"]))
    more = interval(found[50])[0] > 0 and interval(np.subtract(found[100], found[50]))[0] > 0
    return more and low < 0 < high and found["rates 50"] == found["rates 100"]


def per_cent(values):
    return shown([100 * x for x in values], 1)


KINDS = ("float32", "nf4", "evenly spaced")


@functools.cache
def four_bits():
    """What a base of four bits costs, in nats per byte of prose: before any training, and after, by seed."""
    found = results.load("qlora")["of"]
    plain = [run[0] for run in found["float32"]["runs"]]
    return {
        "rates": {kind: found[kind]["rate"] for kind in KINDS},
        "untrained": {kind: found[kind]["untrained"][0] - found["float32"]["untrained"][0] for kind in KINDS},
        "trained": {
            kind: [run[0] - other for run, other in zip(found[kind]["runs"], plain, strict=True)] for kind in KINDS[1:]
        },
        "losses": plain,
    }


def costs_little(found):
    """After training neither kind of four bits is known from float32, nor one per cent of the loss above it, nor from
    the other."""
    ends = [interval(found["trained"][kind]) for kind in KINDS[1:]]
    low, high = interval(apart(found))
    return low < 0 < high and all(low < 0 < high and max(-low, high) < 0.02 for low, high in ends)


def apart(found):
    """By how much the even levels are above NF4, by seed."""
    return np.subtract(*(found["trained"][kind] for kind in KINDS[:0:-1]))


# Misstatements

# The LoRA paper's Table 2, RoBERTa-base: MNLI, SST-2, MRPC, CoLA, QNLI, QQP, RTE, STS-B.
FULL = np.array([87.6, 94.8, 90.2, 63.6, 92.8, 91.9, 78.7, 91.2])
LORA = np.array([87.5, 95.1, 89.7, 63.4, 93.3, 90.8, 86.6, 91.5])
WITHOUT_RTE = np.arange(8) != 6


def step_operations(method):
    """Operations in products of a training step of the base model, on 32 tokens."""
    from lowrank_helpers import training

    model = training.load_base_model().train()
    training.prepare(model, method)
    tokens = training.load_corpus("book", "train")[:33].long()[None]
    return operations(lambda: model(tokens[:, :-1], tokens[:, 1:]).backward())


def trained_in_gpt3(rank):
    """Parameters of a LoRA on the query and value projections of GPT-3."""
    return 96 * 2 * rank * (12_288 + 12_288)


FOLKLORE = {
    24: Folklore(
        wrong="LoRA trains faster and with 10 000 times less memory",
        fails=lambda: 16 * 175e9 / (2 * 175e9 + 16 * trained_in_gpt3(4)) < 8,
        holds=lambda: (
            9_000 < 175e9 / trained_in_gpt3(4) < 10_000
            and 2 / 3 < step_operations("lora") / step_operations("full") < 0.75
        ),
    ),
    38: Folklore(
        wrong="LoRA forgets less",
        fails=lambda: all(interval(forgotten()[level])[0] > 0 for level in LEVELS),
        holds=lambda: forgets_more(forgotten()),
    ),
    26: Folklore(
        wrong="LoRA on RoBERTa-base beats full fine-tuning on GLUE by 0.8 on average",
        fails=lambda: (LORA - FULL)[WITHOUT_RTE].mean() < 0,
        holds=lambda: (
            close([FULL.mean(), LORA.mean()], [86.35, 87.2375], atol=1e-9)
            and round(LORA[6] - FULL[6], 1) == 7.9
            and round((LORA - FULL)[WITHOUT_RTE].mean(), 1) == -0.1
        ),
    ),
}


OBSERVATIONS = {
    "obs-lora-training-forgetting": Observation(
        measured=forgotten,
        protocol=Protocol(
            baseline="full fine-tuning",
            contenders=[
                Contender("full fine-tuning", fixed="no rate is chosen: all three make the frontier"),
                Contender("LoRA of rank 8 on all layers", fixed="no rate is chosen: all three make the frontier"),
            ],
            tested_on=PROSE,
            runs=5,
            interval="95 %, paired by seed (Student's t)",
        ),
        verdict=forgets_more,
        numbers=lambda found: [number for level in (EASIER, *LEVELS) for number in shown(found[level])],
        sharp={
            "LoRA level at one loss": lambda m: replaced(m, LEVELS[0], [-0.01, 0.01, 0.02, -0.02, 0.0]),
            "LoRA forgets less at the lowest loss": lambda m: replaced(m, LEVELS[2], [-x for x in m[LEVELS[2]]]),
            "decided at the easier loss as well": lambda m: replaced(m, EASIER, [0.1, 0.11, 0.12, 0.1, 0.11]),
            "one seed far off the others": lambda m: replaced(m, LEVELS[1], [*m[LEVELS[1]][:4], -1.0]),
            "a verdict of the straight lines alone": lambda m: replaced(
                m, f"staircase, {LEVELS[1]}", [-0.1, 0.1, 0.0, 0.1, -0.1]
            ),
            "a verdict of the looks on the way": lambda m: replaced(
                m, f"ends, {LEVELS[1]}", [-0.1, 0.1, 0.0, 0.1, -0.1]
            ),
            "best rates that say the same": lambda m: replaced(m, "at the best rates", m["at the best rates"][::-1]),
            "a lower rate that learns less": lambda m: replaced(m, "at a third", [9.0, 1.0]),
        },
    ),
    "obs-lora-training-length": Observation(
        measured=by_length,
        protocol=Protocol(
            baseline="full fine-tuning",
            contenders=[
                Contender("full fine-tuning", dict.fromkeys(("rate, 50", "rate, 100"), (1.778e-3, 3.162e-3, 5.623e-3))),
                Contender("LoRA of rank 8", dict.fromkeys(("rate, 50", "rate, 100"), (5.623e-3, 1e-2, 1.778e-2))),
            ],
            tested_on=PROSE,
            tuned_on="the same prose, seed 0",
            runs=5,
            interval="95 %, paired by seed (Student's t)",
        ),
        chosen=lambda found: {
            name: {f"rate, {steps}": [found[f"rates {steps}"][k]] for steps in (50, 100)}
            for k, name in enumerate(("full fine-tuning", "LoRA of rank 8"))
        },
        verdict=grows,
        numbers=lambda found: (
            [
                number
                for short, long in ((50, 100), ("part 50", "part 100"))
                for values in (found[short], found[long], np.subtract(found[long], found[short]))
                for number in per_cent(values)
            ]
            + [f"{found['base']:.2f}"]
        ),
        sharp={
            "as far behind at both lengths": lambda m: replaced(m, 100, m[50]),
            "nearer in the longer run": lambda m: {**m, 50: m[100], 100: m[50]},
            "a part of the fall that becomes less": lambda m: replaced(m, "part 100", [x - 0.01 for x in m["part 50"]]),
            "a part of the fall that becomes more": lambda m: replaced(m, "part 100", [x + 0.01 for x in m["part 50"]]),
            "level in the shorter run": lambda m: replaced(m, 50, [-0.01, 0.01, 0.0, 0.02, -0.02]),
            "a rate at the edge": lambda m: replaced(m, "rates 50", [1.778e-3, 1e-2]),
        },
    ),
    "obs-lora-training-four-bits": Observation(
        measured=four_bits,
        protocol=Protocol(
            baseline="float32",
            contenders=[Contender(kind, {"rate": (5.623e-3, 1e-2, 1.778e-2, 3.162e-2)}) for kind in KINDS],
            tested_on="the book's prose, held out; seeds 1 to 5",
            tuned_on="the same prose, seed 0",
            runs=5,
            interval="95 %, paired by seed (Student's t)",
        ),
        chosen=lambda found: {kind: {"rate": [rate]} for kind, rate in found["rates"].items()},
        verdict=costs_little,
        numbers=lambda found: [
            *(number for kind in KINDS[1:] for number in shown(found["trained"][kind], 3)),
            *(f"{found['untrained'][kind]:.3f}" for kind in KINDS[1:]),
            *shown(apart(found), 3),
            f"{np.mean(found['losses']):.2f}",
        ],
        sharp={
            "NF4 two per cent above": lambda m: replaced(
                m, "trained", {**m["trained"], "nf4": [x + 0.04 for x in m["trained"]["nf4"]]}
            ),
            "NF4 below by its whole interval": lambda m: replaced(
                m, "trained", {**m["trained"], "nf4": [x - 0.017 for x in m["trained"]["nf4"]]}
            ),
            "even levels above NF4 on each seed": lambda m: replaced(
                m,
                "trained",
                {"nf4": [0.003, -0.004, 0.002, -0.003, 0.001], "evenly spaced": [0.005, -0.001, 0.004, 0.0, 0.003]},
            ),
            "even levels above by their whole interval": lambda m: replaced(
                m, "trained", {**m["trained"], "evenly spaced": [x + 0.003 for x in m["trained"]["evenly spaced"]]}
            ),
            "a rate at the edge": lambda m: replaced(m, "rates", {**m["rates"], "nf4": 3.162e-2}),
        },
    ),
}
