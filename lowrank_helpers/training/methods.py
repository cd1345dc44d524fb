"""Ways to fine-tune: which parameters are trained, and what is put into the model for them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers._normal import normal
from lowrank_helpers.lora import Init, Scaling
from lowrank_helpers.lora.model import attach_new
from lowrank_helpers.lora.start import Settings, settings
from lowrank_helpers.training.model import GPT, check_model

Method = Literal["full", "last block", "adapters", "prompt", "lora", "trainable"]
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class BottleneckAdapter(nn.Module):
    """A frozen linear layer, and on its output h the adapter h + U gelu(D h) of Houlsby et al. 2019 (section 2.1).

    D is (bottleneck, width), U (width, bottleneck) and zero at the start, so that the layer begins as it was.
    """

    def __init__(self, base: nn.Linear, bottleneck: int, generator: torch.Generator) -> None:
        super().__init__()
        self.base, width = base, base.out_features
        down = normal(bottleneck, width, std=width**-0.5, generator=generator)
        self.down = nn.Parameter(down.to(base.weight.device))
        self.up = nn.Parameter(torch.zeros(width, bottleneck, device=base.weight.device))

    def forward(self, x: Tensor) -> Tensor:
        h = cast(Tensor, self.base(x))
        return h + F.linear(F.gelu(F.linear(h, self.down.to(h.dtype))), self.up.to(h.dtype))


def prepare(
    model: GPT,
    method: Method,
    *,
    rank: int = 8,
    alpha: float = 16.0,
    targets: Sequence[str] = ALL_LINEAR,
    dropout: float = 0.0,
    scaling: Scaling = "alpha/rank",
    init: Init = "kaiming",
    dora: bool = False,
    bottleneck: int = 16,
    prompt_tokens: int = 16,
    seed: int = 0,
) -> None:
    """Freeze what the method leaves alone and put in what it trains. The model is changed in place.

    Parameters
    ----------
    model : GPT
    method : {"full", "last block", "adapters", "prompt", "lora", "trainable"}
        Train everything; the last block, the norm after it and the head; bottleneck adapters behind the attention and
        the feed-forward layer of each block; vectors before the sequence (Lester et al. 2021); LoRA; or whatever
        requires a gradient as the model comes.
    rank, alpha, targets, dropout, scaling, init, dora
        Of "lora", as in `lora.add_lora`; by default on all seven linear layers of a block.
    bottleneck : int
        Of "adapters": their inner width.
    prompt_tokens : int
        Of "prompt": how many vectors. They start as the embeddings of tokens drawn at random.
    seed : int
        Of what is drawn.

    Raises
    ------
    ValueError, TypeError
        A value is out of range, or the model holds what the method would put in already. Nothing is changed then.

    Examples
    --------
    >>> from lowrank_helpers.training.model import GPTConfig
    >>> model = GPT(GPTConfig(width=32, heads=2, layers=2, hidden=64))
    >>> prepare(model, "prompt", prompt_tokens=4)
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['prompt']
    """
    given = settings(rank, alpha, dropout, scaling, init, dora)
    put_in(model, method, given, targets, bottleneck, prompt_tokens, seed)


def put_in(
    model: GPT, method: Method, given: Settings, targets: Sequence[str], bottleneck: int, prompt_tokens: int, seed: int
) -> None:
    """Do what `prepare` says; ``given`` are the settings of LoRA."""
    check_model(model)
    _checks.choice(method, get_args(Method), "method")
    _checks.integer(bottleneck, 1, None, "bottleneck")
    _checks.integer(prompt_tokens, 1, model.config.vocabulary, "prompt_tokens", limit="the vocabulary")
    generator = torch.Generator().manual_seed(_checks.seed(seed))
    if method == "lora":
        attach_new(model, given, targets, "default", generator)
    elif method == "adapters":
        _add_adapters(model, bottleneck, generator)
    elif method == "prompt":
        if model.prompt is not None:
            raise _checks.invalid("model must have no prompt yet; it has one. Take a fresh model.")
        model.requires_grad_(False)
        drawn = torch.randperm(model.config.vocabulary, generator=generator)[:prompt_tokens]
        model.prompt = nn.Parameter(model.embed.weight[drawn.to(model.embed.weight.device)].detach().float())
    elif method == "last block":
        model.requires_grad_(False)
        for part in (model.blocks[-1], model.norm, model.head):
            part.requires_grad_(True)
    elif method == "full":
        model.requires_grad_(True)
    elif not any(parameter.requires_grad for parameter in model.parameters()):
        raise _checks.invalid(
            "a parameter must require a gradient for method 'trainable'; none of the model's does. "
            "Call requires_grad_(True) on what is to be trained."
        )


def _add_adapters(model: GPT, bottleneck: int, generator: torch.Generator) -> None:
    places = [(block.attention, "o_proj") for block in model.blocks] + [
        (block.mlp, "down_proj") for block in model.blocks
    ]
    for parent, name in places:
        if type(getattr(parent, name)) is not nn.Linear:
            kind = type(getattr(parent, name)).__name__
            raise _checks.invalid(f"adapters go behind linear layers; {name} is a {kind}. Take a fresh model.")
    model.requires_grad_(False)
    for parent, name in places:
        setattr(parent, name, BottleneckAdapter(getattr(parent, name), bottleneck, generator))


@contextmanager
def undone_on_error(model: GPT, *, weights: bool = False) -> Iterator[None]:
    """Take out again what was put into the model inside the block, should the block fail.

    With ``weights`` it also puts back all weights, of which it keeps a copy on the CPU: what `add_lora` takes out of
    the weights ('pissa', 'olora') does not come back to the bit otherwise.
    """
    modules = dict(model.named_modules())
    trained = {parameter: parameter.requires_grad for parameter in model.parameters()}
    copies = {parameter: parameter.detach().to("cpu", copy=True) for parameter in trained} if weights else {}
    prompt = model.prompt
    try:
        yield
    except BaseException:
        for name, module in modules.items():
            parent, _, child = name.rpartition(".")
            if name:
                setattr(modules[parent], child, module)
        model.prompt = prompt
        for parameter, required in trained.items():
            parameter.requires_grad_(required)
        with torch.no_grad():
            for parameter, copy in copies.items():
                parameter.copy_(copy)
        raise
