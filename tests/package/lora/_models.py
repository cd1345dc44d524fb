"""Models to adapt, and how near two of them are."""

import torch
import torch.nn.functional as F
from torch import nn

from book.margins import close
from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
)

EPS = {dtype: torch.finfo(dtype).eps for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)}


class Block(nn.Module):
    """A residual block whose linear layers have the usual names."""

    def __init__(self, width, dtype):
        super().__init__()
        self.q_proj = nn.Linear(width, width, dtype=dtype)
        self.v_proj = nn.Linear(width, width - 2, bias=False, dtype=dtype)
        self.up_proj = nn.Linear(width - 2, width, dtype=dtype)

    def forward(self, x):
        return x + self.up_proj(torch.tanh(self.v_proj(torch.tanh(self.q_proj(x)))))


class Tiny(nn.Module):
    """Two blocks between an embedding and a head."""

    def __init__(self, width=12, dtype=torch.float32):
        super().__init__()
        self.embedding = nn.Embedding(7, width, dtype=dtype)
        self.blocks = nn.ModuleList([Block(width, dtype), Block(width, dtype)])
        self.head = nn.Linear(width, 5, dtype=dtype)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


TARGETS = ["q_proj", "v_proj", "up_proj"]
TOKENS = torch.tensor([[0, 3, 6], [1, 1, 5]])


def tiny(dtype=torch.float32, seed=0):
    """A model with random weights; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny(dtype=dtype)


def fill(model, seed=1, size=0.3):
    """Random numbers added to the active adapter's B, which starts at 0."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key.endswith(".B") and p.requires_grad:
                p.add_(size * torch.randn(p.shape, generator=rng).to(p.dtype))
    return model


def layer(m=5, n=6, rank=2, *, dtype=torch.float32, bias=True, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        base = nn.Linear(n, m, bias=bias, dtype=dtype)
    return fill(LoRALinear(base, rank, **({"alpha": 3.0, "rng": seed} | options)), seed + 1)


def parts(made, name="default"):
    """W, b, A, B, s of a layer, in float64."""
    adapter = made.adapters[name]
    wide = [None if t is None else t.detach().clone().double() for t in (made.weight, made.bias, adapter.A, adapter.B)]
    return (*wide, adapter.settings.scale)


def dense(x, W, b, A, B, s):
    """The oracle: the sum formed, then one product."""
    return F.linear(x, W + s * B @ A, b)


def near(X, Y, bound):
    return close(X, Y, atol=bound)


def snapshot(model):
    """All that a failed call must leave alone."""
    modules = [(path, type(module), module.training) for path, module in model.named_modules()]
    tensors = [(key, t, t.detach().clone(), t.requires_grad) for key, t in model.state_dict(keep_vars=True).items()]
    layers = [(m.active, m.merged, m.enabled) for m in model.modules() if isinstance(m, LoRALinear)]
    return modules, tensors, layers


def unchanged(model, before):
    modules, tensors, layers = snapshot(model)
    return (modules, layers) == (before[0], before[2]) and all(
        (key, t.requires_grad) == (key0, grad0)
        and (t is t0 or key.endswith(".merged"))  # a name, written anew into each state
        and (t.is_meta or torch.equal(t.nan_to_num(7), value0.nan_to_num(7)))
        for (key, t, _, _), (key0, t0, value0, grad0) in zip(tensors, before[1], strict=True)
    )


def adapted(model):
    return [path for path, module in model.named_modules() if isinstance(module, LoRALinear)]


def changed(model, **tensors):
    """The model with other weights in its first q_proj."""
    q = model.blocks[0].q_proj
    for key, t in tensors.items():
        setattr(q, key, nn.Parameter(t, requires_grad=t.is_floating_point()))
    return model


def tied(model):
    model.blocks[0].q_proj.weight = model.blocks[1].q_proj.weight
    return model


def with_lora(model, **options):
    return add_lora(model, 2, **({"alpha": 4, "targets": ["q_proj"]} | options))
