"""How an adapter starts: its settings and the checks of them, and the first values of A and B."""

import math
import secrets
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers._normal import normal

Scaling: TypeAlias = Literal["alpha/rank", "alpha/sqrt(rank)"]
Init: TypeAlias = Literal["kaiming", "gaussian", "pissa", "olora"]

SCALINGS = ("alpha/rank", "alpha/sqrt(rank)")
INITS = ("kaiming", "gaussian", "pissa", "olora")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Settings(NamedTuple):
    """What one adapter is made with, after the checks."""

    rank: int
    alpha: float
    dropout: float
    scaling: str
    init: str
    dora: bool

    @property
    def scale(self) -> float:
        """The factor s of s B A."""
        return self.alpha / (self.rank if self.scaling == "alpha/rank" else math.sqrt(self.rank))

    @property
    def takes_from_base(self) -> bool:
        """Whether A and B start as a part of W, which is taken out of the base."""
        return self.init in ("pissa", "olora")


def generator(rng: int | torch.Generator | None) -> torch.Generator:
    """Read ``rng``: None (fresh entropy), an int (a seed) or a torch Generator (used as it is)."""
    if isinstance(rng, torch.Generator):
        return rng
    if rng is not None and (not isinstance(rng, int) or isinstance(rng, bool)):
        raise _checks.mistyped(
            f"rng must be None, an int or a torch.Generator; got {type(rng).__name__}. Pass a seed such as 0."
        )
    seed = secrets.randbits(63) if rng is None else _checks.seed(rng, "rng")
    return torch.Generator().manual_seed(seed)


def settings(rank: object, alpha: object, dropout: object, scaling: object, init: object, dora: object) -> Settings:
    """Check what an adapter is made with, as far as that is possible without its layer."""
    return Settings(
        _checks.integer(rank, 1, None, "rank"),
        _checks.number(alpha, "alpha", above=0.0, below=torch.finfo(torch.float32).max),
        _checks.number(dropout, "dropout", least=0.0, below=1.0),
        _checks.choice(scaling, SCALINGS, "scaling"),
        _checks.choice(init, INITS, "init"),
        _checks.flag(dora, "dora"),
    )


def check_name(name: object) -> None:
    """Refuse a name for an adapter that torch could not give to a module."""
    if not isinstance(name, str):
        raise _checks.mistyped(f"name must be a string; got {type(name).__name__}. Pass one such as 'default'.")
    if not name or "." in name or hasattr(nn.ModuleDict(), name):
        raise _checks.invalid(
            f"name must not be empty, have a dot or be an attribute of torch.nn.ModuleDict; got {name!r}. "
            "Pass one such as 'default'."
        )


def check_base(base: object, given: Settings, called: str, *, any_rank: bool = False) -> None:
    """Refuse a layer that cannot carry this adapter; ``called`` is how a message calls it."""
    if type(base) is not nn.Linear:
        raise _checks.mistyped(
            f"{called} must be a torch.nn.Linear itself, not a subclass; got {type(base).__name__}. "
            "Target another layer."
        )
    W = base.weight
    if W.dtype not in DTYPES:
        raise _checks.mistyped(
            f"the weight of {called} must be float16, bfloat16, float32 or float64; got {W.dtype}. "
            "Load the model in one of these."
        )
    if W.is_meta:
        raise _checks.invalid(
            f"the weight of {called} must hold numbers; got a weight on the meta device. "
            "Load the model's weights first."
        )
    if given.takes_from_base or not any_rank:
        _checks.rank(given.rank, tuple(W.shape), of=f"the weight of {called}")
    if base._forward_hooks or base._forward_pre_hooks or base._backward_hooks or base._backward_pre_hooks:
        raise _checks.invalid(
            f"{called} must have no hooks, since they would not run any more; got some. "
            "Register them afterwards, on the LoRALinear."
        )
    if (given.takes_from_base or given.dora) and not bool(torch.isfinite(W).all()):
        raise _checks.invalid(
            f"the weight of {called} must be finite for init='pissa', init='olora' and dora=True; "
            "got NaN or infinite entries. Repair the model first."
        )
    if given.dora and not bool((W != 0).any(dim=1).all()):
        raise _checks.invalid(
            f"the weight of {called} must have no zero rows for dora=True, which divides by their length; "
            "got some. Leave the layer out of the targets."
        )


def initial_factors(W: Tensor, given: Settings, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return A (rank, in) and B (out, rank) as they start, in the adapters' dtype, on the device of W."""
    (m, n), r = W.shape, given.rank
    dtype = torch.promote_types(W.dtype, torch.float32)
    if given.takes_from_base:
        V = W.detach().to(dtype)
        if given.init == "pissa":
            U, sigma, Vt = torch.linalg.svd(V, full_matrices=False)
            root = (sigma[:r] / given.scale).sqrt()
            return (root[:, None] * Vt[:r]).contiguous(), (U[:, :r] * root).contiguous()
        Q, R = torch.linalg.qr(V)
        return R[:r].clone(memory_format=torch.contiguous_format), Q[:, :r].clone(memory_format=torch.contiguous_format)
    if given.init == "kaiming":  # float32, so that a seed means the same A for every dtype; the bound is a = √5's
        A = torch.empty(r, n, device=rng.device).uniform_(-1 / math.sqrt(n), 1 / math.sqrt(n), generator=rng)
    else:
        A = normal(r, n, std=1 / r, generator=rng)
    return A.to(W.device, dtype), torch.zeros(m, r, device=W.device, dtype=dtype)


class Adapter(nn.Module):
    """The trainable part of a layer: A (rank, in), B (out, rank) and, for DoRA, a magnitude (out,)."""

    def __init__(self, W: Tensor, given: Settings, rng: torch.Generator) -> None:
        super().__init__()
        self.settings = given
        A, B = initial_factors(W, given, rng)
        self.A, self.B = nn.Parameter(A), nn.Parameter(B)
        length = W.detach().to(A.dtype).norm(dim=1) if given.dora else None
        self.magnitude = None if length is None else nn.Parameter(length)

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.settings._asdict().items())
