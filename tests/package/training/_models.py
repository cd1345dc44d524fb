"""Small models and texts, and what is compared of them."""

import dataclasses

import torch

from lowrank_helpers import training
from lowrank_helpers.training import GPT, GPTConfig

SIZES = {"context": 8, "width": 16, "heads": 2, "layers": 2, "hidden": 24}
HAMLET = b"to be or not to be, that is the question; " * 12
PORTIA = b"the quality of mercy is not strained. " * 12
METHODS = ("full", "last block", "adapters", "prompt", "lora", "trainable")
KINDS = [{"init": "pissa"}, {"init": "olora"}, {"dora": True}, {"scaling": "alpha/sqrt(rank)"}]


def gpt(seed=0, **sizes):
    return GPT(GPTConfig(**SIZES | sizes), seed=seed)


def bits(model):
    """Weights and buffers by name, to the bit."""
    return {name: x.detach().flatten().view(torch.uint8).numpy().tobytes() for name, x in model.state_dict().items()}


def whole(model):
    """All that an error must leave alone: weights, kinds of modules, what requires a gradient, modes, gradients."""
    return (
        bits(model),
        [(name, id(module), type(module), module.training) for name, module in model.named_modules()],
        [(name, id(p), p.requires_grad, p.grad is None) for name, p in model.named_parameters()],
    )


def distance(one, other):
    """The greatest difference of two models' weights."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def parted(options, **usual):
    """Options in one dict as a Plan, a Bookkeeping, and what is left of them."""
    left, made = usual | options, []
    for kind in (training.Plan, training.Bookkeeping):
        names = {field.name for field in dataclasses.fields(kind)}
        made.append(kind(**{name: left.pop(name) for name in names & left.keys()}))
    return *made, left


def pretrain(model, corpus, **options):
    plan, bookkeeping, left = parted(options, learning_rate=1e-3, weight_decay=0.1)
    return training.pretrain(model, corpus, plan, bookkeeping, **left)


def finetune(model, corpus, **options):
    plan, bookkeeping, left = parted(options)
    return training.finetune(model, corpus, plan, bookkeeping, **left)
