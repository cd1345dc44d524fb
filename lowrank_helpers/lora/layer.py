"""One linear layer with low-rank adapters; public through `lowrank_helpers.lora`, which has the whole model."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers.lora import start
from lowrank_helpers.lora.product import (
    accumulation_dtype,
    dropped_each,
    gathered,
    low_rank_linear,
    mixed_linear,
    product,
    sample,
    with_bias,
)
from lowrank_helpers.lora.start import Adapter, Init, Scaling

MERGED, MERGED_SCALE = "merged", "merged_scale"  # in the state of a merged layer: the adapter's name, DoRA's factors


class LoRALinear(nn.Module):
    """A linear layer whose weight W is frozen, plus a trainable product of low rank: y = x (W + s B A)ᵀ + b.

    A is (rank, in) and B (out, rank). s is α/r (Hu et al.) or α/√r (Kalajdzievski). The product is never formed
    in training: y = x Wᵀ + b + s (x Aᵀ) Bᵀ, and the backward pass keeps x and x Aᵀ only. A layer may carry several
    adapters, of which one at most is active; `add_lora` makes such layers out of a model's.

    Parameters
    ----------
    base : torch.nn.Linear
        The layer to adapt, (out, in), of dtype float16, bfloat16, float32 or float64. It is used, not copied: its
        parameters are frozen, and 'pissa' and 'olora' take their part out of its weight, in place.
    rank : int
        r, between 1 and min(out, in).
    alpha : float
        α > 0.
    dropout : float, default 0.0
        Probability, below 1, with which an entry of x is dropped in front of A, in training only.
    scaling : {'alpha/rank', 'alpha/sqrt(rank)'}
        The factor s.
    init : {'kaiming', 'gaussian', 'pissa', 'olora'}
        How A and B start. 'kaiming': A uniform on ±1/√in, B = 0. 'gaussian': A normal with standard deviation 1/r,
        B = 0. 'pissa': s B A is the best approximation of W of this rank, the singular values halved between the
        two by roots; the base keeps W − s B A. 'olora': B has the first r columns of Q, A the first r rows of R,
        W = Q R; the base keeps W − s B A.
    dora : bool, default False
        Learn the lengths of the rows of W + s B A as parameters of their own. The lengths that are divided by count
        as constants in the backward pass.
    name : str, default 'default'
        The adapter's name.
    rng : int, torch.Generator or None
        Seed or generator for A; None takes fresh entropy. torch's global generator is neither read nor changed.
        A is drawn in float32, on the CPU for a seed, so a seed gives the same A on every device.

    Attributes
    ----------
    base : torch.nn.Linear
        The frozen layer; `weight` and `bias` are its.
    adapters : torch.nn.ModuleDict
        By name, each with the parameters `A`, `B` and `magnitude` (None without DoRA). They are float32 where the
        base is float16 or bfloat16, and of its dtype elsewhere; the products are in the dtype of x.
    active : str or None
        The adapter that is added.
    merged : str or None
        The adapter that is in the weight at present.
    generator : torch.Generator or None
        What dropout is drawn from, on the device of x. None, as at first: torch's global generator, as in torch's
        own layers.

    Raises
    ------
    TypeError, ValueError
        If base is not a torch.nn.Linear itself, or its weight is of another dtype, on the meta device, not finite
        ('pissa', 'olora', DoRA), or has a zero row (DoRA), or if another argument is out of bounds.

    References
    ----------
    E. J. Hu et al., LoRA: Low-rank adaptation of large language models, arXiv:2106.09685, §4.1; D. Kalajdzievski,
    A rank stabilization scaling factor for fine-tuning with LoRA, arXiv:2312.03732, Theorem 3.2 (α/√r); F. Meng et
    al., PiSSA, arXiv:2404.02948, §3; K. Büyükakyüz, OLoRA, arXiv:2406.01775; S.-Y. Liu et al., DoRA,
    arXiv:2402.09353, Eq. 5 and §4.3.

    Examples
    --------
    >>> from lowrank_helpers.lora import LoRALinear
    >>> base = torch.nn.Linear(6, 4)
    >>> x = torch.ones(3, 6)
    >>> before = base(x)
    >>> layer = LoRALinear(base, 2, alpha=4, rng=0)
    >>> torch.equal(layer(x), before)
    True
    >>> [(key, tuple(p.shape)) for key, p in layer.named_parameters() if p.requires_grad]
    [('adapters.default.A', (2, 6)), ('adapters.default.B', (4, 2))]
    """

    base: nn.Linear
    A0: Tensor | None
    B0: Tensor | None
    original: Tensor | None
    merged_scale: Tensor | None

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        *,
        alpha: float,
        dropout: float = 0.0,
        scaling: Scaling = "alpha/rank",
        init: Init = "kaiming",
        dora: bool = False,
        name: str = "default",
        rng: int | torch.Generator | None = None,
    ) -> None:
        given = start.settings(rank, alpha, dropout, scaling, init, dora)
        start.check_name(name)
        start.check_base(base, given, "base")
        self._wrap(base, name, Adapter(base.weight, given, start.generator(rng)))

    @classmethod
    def around(cls, base: nn.Linear, name: str, adapter: Adapter) -> "LoRALinear":
        """Make a layer out of a base and an adapter that fit each other."""
        layer = cls.__new__(cls)
        layer._wrap(base, name, adapter)
        return layer

    def _wrap(self, base: nn.Linear, name: str, adapter: Adapter) -> None:
        nn.Module.__init__(self)
        self.base = base.requires_grad_(False)
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.merged: str | None = None
        self.enabled = True
        self.assigned: Sequence[str | None] | None = None  # inside `assign_lora`: each sequence's adapter
        self.generator: torch.Generator | None = None
        taken = adapter.settings.takes_from_base
        # A sample of W from before this layer changed it; in the state_dict only where it cannot be taken again.
        self.register_buffer("original", sample(base.weight) if taken else None, persistent=taken)
        self.register_buffer("A0", adapter.A.detach().clone() if taken else None)
        self.register_buffer("B0", adapter.B.detach().clone() if taken else None)
        self.register_buffer("merged_scale", None, persistent=False)  # DoRA's, of the rows, while merged
        if taken:
            with torch.no_grad():
                base.weight.copy_(self._sum(adapter, -1, accumulation_dtype(base.weight)))
        self.attach(name, adapter)
        self.train(base.training)

    def attach(self, name: str, adapter: Adapter) -> None:
        """Add an adapter that fits, and make it the active one."""
        self.adapters[name] = adapter
        self.activate(name)

    def activate(self, name: str | None) -> None:
        """Let this adapter be active and trainable, and no other; None, or a name that is not there: none."""
        self.active = name if name is not None and name in self.adapters else None
        for other, adapter in self.adapters.items():
            adapter.requires_grad_(other == self.active)

    @property
    def in_features(self) -> int:
        """The number of columns of W."""
        return self.base.in_features

    @property
    def out_features(self) -> int:
        """The number of rows of W."""
        return self.base.out_features

    @property
    def weight(self) -> Tensor:
        """The weight of the frozen base: W, without the adapter unless that is merged."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        """The bias of the frozen base, or None."""
        return self.base.bias

    def adapter(self, name: str) -> Adapter:
        """Return the adapter of this name."""
        found = self.adapters[name]
        assert isinstance(found, Adapter)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Map x, of shape (…, in), to y, of shape (…, out)."""
        W, b = self.base.weight, self.base.bias
        if self.merged is not None:
            return F.linear(x, W, b)
        if self.assigned is not None and self.enabled:
            return self._mixed(x, self.assigned)
        if self.active is None or not self.enabled:
            if self.A0 is None or self.B0 is None:
                return F.linear(x, W, b)
            (name,) = self.adapters  # it is alone on its layer
            return low_rank_linear(x, W, b, self.A0, self.B0, self.adapter(name).settings.scale)
        adapter = self.adapter(self.active)
        dropout = adapter.settings.dropout if self.training else 0.0
        if adapter.magnitude is None:
            return low_rank_linear(x, W, b, adapter.A, adapter.B, adapter.settings.scale, dropout, self.generator)
        y = low_rank_linear(x, W, None, adapter.A, adapter.B, adapter.settings.scale, dropout, self.generator)
        scaled = y * self._row_scale(adapter)  # in float32 if y is narrower, and rounded once, with the bias
        return (scaled if b is None else scaled + b).to(y.dtype)

    def _mixed(self, x: Tensor, names: Sequence[str | None]) -> Tensor:
        """Map x, of shape (len(names), …, in): each sequence with the adapter of its name, or with none."""
        if x.ndim < 2 or len(x) != len(names):
            raise _checks.invalid(
                f"a batch must have a sequence for each of the {len(names)} names; got a shape of {tuple(x.shape)} in "
                "front of a layer. Pass as many sequences, and no model that puts them into one."
            )
        W, b = self.base.weight, self.base.bias
        used = {name: self.adapter(name) for name in dict.fromkeys(names) if name is not None and name in self.adapters}
        if not used:
            return F.linear(x, W, b)
        place = {name: k for k, name in enumerate(used)}
        index = [place.get(name, len(used)) if name is not None else len(used) for name in names]
        A = gathered([adapter.A for adapter in used.values()], index, 0.0)
        B = gathered([adapter.B for adapter in used.values()], index, 0.0)
        settings = [used[name].settings if name is not None and name in used else None for name in names]
        s = x.new_tensor([given.scale if given else 0.0 for given in settings])
        dropouts = [given.dropout if given and self.training else 0.0 for given in settings]
        branch = dropped_each(x, dropouts, self.generator)
        if not any(given and given.dora for given in settings):
            return mixed_linear(x, W, b, A, B, s, branch)
        y = mixed_linear(x, W, None, A, B, s, branch)
        factors = [A.new_ones(len(W)) if a.magnitude is None else self._row_scale(a) for a in used.values()]
        scaled = y * gathered(factors, index, 1.0).view(len(x), *[1] * (x.ndim - 2), -1)
        return (scaled if b is None else scaled + b).to(y.dtype)

    def _row_scale(self, adapter: Adapter) -> Tensor:
        """DoRA's factor of each row: its magnitude over the length of that row of W + s B A, held constant."""
        assert adapter.magnitude is not None
        with torch.no_grad():
            length = torch.linalg.vector_norm(self._sum(adapter, 1, adapter.magnitude.dtype), dim=1)
        return adapter.magnitude.div(length)

    def _sum(self, adapter: Adapter, sign: int, dtype: torch.dtype) -> Tensor:
        """W ± s B A in this dtype."""
        return self.base.weight.to(dtype).add(product(adapter.B, adapter.A, dtype), alpha=sign * adapter.settings.scale)

    @torch.no_grad()
    def merge(self) -> None:
        """Put the active adapter into the weight, rounded once to its dtype; without an active one do nothing."""
        if self.active is None:
            return
        if self.original is None:
            self.original = sample(self.base.weight)
        adapter, W = self.adapter(self.active), self.base.weight
        V = self._sum(adapter, 1, accumulation_dtype(W))
        if adapter.magnitude is not None:
            self.merged_scale = self._row_scale(adapter).to(V.dtype)[:, None]
            V *= self.merged_scale
        W.copy_(V)
        self.merged = self.active

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the merged adapter out of the weight again, up to rounding."""
        if self.merged is None:
            return
        adapter, W = self.adapter(self.merged), self.base.weight
        V = W.to(accumulation_dtype(W)) if self.merged_scale is None else W / self.merged_scale
        W.copy_(V.sub(product(adapter.B, adapter.A, V.dtype), alpha=adapter.settings.scale))
        self.merged = self.merged_scale = None

    def sample(self) -> Tensor:
        """A sample of W, as it was before this layer changed it, and of the bias."""
        entries = sample(self.base.weight) if self.original is None else self.original.float()
        return with_bias(entries, self.base)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """While an adapter is merged, its name is in the state, so that nothing counts it twice or not at all."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.merged is not None:
            destination[prefix + MERGED] = torch.tensor(list(self.merged.encode()), dtype=torch.uint8)
            if self.merged_scale is not None:
                destination[prefix + MERGED_SCALE] = self.merged_scale

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take a state only where the same adapter, or none, is merged there and here; a part of one as it comes."""
        name, scale = state_dict.pop(prefix + MERGED, None), state_dict.pop(prefix + MERGED_SCALE, None)
        there = None if name is None else bytes(name.tolist()).decode()
        if there != self.merged and prefix + "base.weight" in state_dict:
            raise RuntimeError(
                f"{prefix.removesuffix('.') or 'LoRALinear'}: the state must have merged what the model has; it has "
                f"{there!r} in its weights, the model {self.merged!r}. Call merge_lora or unmerge_lora on one of them."
            )
        if scale is not None and self.merged_scale is not None:
            with torch.no_grad():
                self.merged_scale.copy_(scale)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
