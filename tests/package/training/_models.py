"""Small models and texts, and what is compared of them."""

import torch

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
