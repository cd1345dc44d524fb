"""The claim of chapter 17, training with LoRA: the products of a training step; and two misstatements."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from book.claims import Claim, Folklore
from book.definitions import definitions
from book.margins import close

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

# Two misstatements

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
