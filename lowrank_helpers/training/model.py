"""A GPT small enough to read in one sitting: bytes in, logits of the next byte out.

The blocks are Llama's: root-mean-square norms, attention without biases, a gated feed-forward layer. A position is
either learned, as in GPT-2 (so that logits are exactly X Wq Wkᵀ Xᵀ), or a rotation, as in Llama: then `GPT` with the
published sizes has the published number of parameters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers._normal import normal
from lowrank_helpers.attention.heads import rotated
from lowrank_helpers.training.losses import chunked_cross_entropy, cross_entropy_of
from lowrank_helpers.training.schedule import recomputed

Positions = Literal["learned", "rotary"]


@dataclass(frozen=True)
class GPTConfig:
    """Sizes of a `GPT`; the defaults are those of the base model.

    Attributes
    ----------
    vocabulary : int
        Number of tokens: 256 for bytes.
    context : int
        Longest sequence, in tokens.
    width : int
        Size of the residual stream; a multiple of ``heads``.
    heads, layers : int
        Attention heads in a block, and blocks.
    hidden : int
        Width of the feed-forward layer.
    positions : {"learned", "rotary"}
        A vector for each position, or a rotation of queries and keys.
    tied : bool
        Whether the output head is the embedding itself.

    Raises
    ------
    ValueError, TypeError
        A size is no whole number ≥ 1, or the width no multiple of the heads (with rotations, of twice the heads).

    Examples
    --------
    >>> GPTConfig().width // GPTConfig().heads
    32
    """

    vocabulary: int = 256
    context: int = 256
    width: int = 128
    heads: int = 4
    layers: int = 4
    hidden: int = 384
    positions: Positions = "learned"
    tied: bool = False

    def __post_init__(self) -> None:
        for name in ("vocabulary", "context", "width", "heads", "layers", "hidden"):
            _checks.integer(getattr(self, name), 1, None, name)
        _checks.choice(self.positions, get_args(Positions), "positions")
        _checks.flag(self.tied, "tied")
        divisor = self.heads * (2 if self.positions == "rotary" else 1)
        if self.width % divisor:
            rule = "heads" if self.positions == "learned" else "2 heads (rotations turn pairs)"
            raise _checks.invalid(
                f"width must be a multiple of {rule} = {divisor}; got {self.width}. "
                f"Take {math.ceil(self.width / divisor) * divisor}."
            )


class RMSNorm(nn.Module):
    """x / √(mean of x²) · weight, over the last axis (Zhang and Sennrich 2019, equation 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # on a GPU it would make x float32
            return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), eps=1e-5)


class Attention(nn.Module):
    """Causal multi-head attention: o_proj of softmax(q kᵀ / √d) v, for each head."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.heads, self.rotary = config.heads, config.positions == "rotary"
        self.q_proj = nn.Linear(config.width, config.width, bias=False)
        self.k_proj = nn.Linear(config.width, config.width, bias=False)
        self.v_proj = nn.Linear(config.width, config.width, bias=False)
        self.o_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        if self.rotary:
            q, k = rotated(q), rotated(k)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return cast(Tensor, self.o_proj(mixed.transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) as (batch, heads, tokens, width of a head)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """down_proj(silu(gate_proj x) · up_proj x), the gated layer of Shazeer 2020 (equation 6, SwiGLU)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)))


class Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(config.width), Attention(config)
        self.mlp_norm, self.mlp = RMSNorm(config.width), FeedForward(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return cast(Tensor, x + self.mlp(self.mlp_norm(x)))


class GPT(nn.Module):
    """A decoder of ``config.layers`` blocks.

    Parameters
    ----------
    config : GPTConfig, optional
        The sizes; by default those of the base model, 951 424 parameters.
    seed : int, optional
        Seed of the initial weights: normal, of standard deviation 0.02, and 0.02 / √(2 layers) where a layer writes
        into the residual stream (Radford et al. 2019, section 2.3). torch's global generator is left alone.

    Attributes
    ----------
    prompt : Parameter of shape (tokens, width), or None
        Vectors put before every sequence: what prompt tuning learns. They take none of the learned positions; where
        positions are rotations, theirs are the first.
    checkpoint_activations : bool
        Whether a block forgets its activations and computes them again in the backward pass.
    generator : torch.Generator or None
        That of its `LoRALinear` layers, if they have one for their dropout: a block that is computed again draws the
        same numbers again.

    Examples
    --------
    >>> model = GPT(GPTConfig(width=32, heads=2, layers=2, hidden=64))
    >>> tokens = torch.tensor([list(b"low rank")])
    >>> model(tokens).shape
    torch.Size([1, 8, 256])
    >>> llama = GPTConfig(32000, 2048, 4096, heads=32, layers=32, hidden=11008, positions="rotary")
    >>> with torch.device("meta"):
    ...     sum(parameter.numel() for parameter in GPT(llama).parameters())
    6738415616
    """

    def __init__(self, config: GPTConfig | None = None, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config = config if config is not None else GPTConfig()
        self.checkpoint_activations = False
        self.generator: torch.Generator | None = None
        device = torch.get_default_device()
        with torch.device("meta"):  # where torch does not fill new layers from its global generator
            self.embed = nn.Embedding(config.vocabulary, config.width)
            self.position_embedding = (
                nn.Embedding(config.context, config.width) if config.positions == "learned" else None
            )
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
            self.norm = RMSNorm(config.width)
            self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.to_empty(device=device)
        if config.tied:
            self.head.weight = self.embed.weight
        self.prompt: nn.Parameter | None = None
        _initialise(self, seed)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the logits, or with targets the mean loss.

        Parameters
        ----------
        tokens : Tensor of int64, shape (batch, T)
            With T at most ``config.context``.
        targets : Tensor of int64, shape (batch, T), optional
            The token that follows each, or −100 where it does not count.

        Returns
        -------
        Tensor
            Logits of shape (batch, T, vocabulary); with targets the mean cross-entropy in nats, a float32 scalar, for
            which the logits are never held all at once.
        """
        h = self.hidden_states(tokens)
        if targets is None:
            return cast(Tensor, self.head(h))
        h, targets = h.flatten(0, 1), targets.flatten()
        if type(self.head) is nn.Linear and not (self.head._forward_hooks or self.head._forward_pre_hooks):
            return chunked_cross_entropy(h, self.head.weight, targets)
        # An adapted head's weight is not all of it.
        return cross_entropy_of(self.head, h, targets, self.config.vocabulary, generator=self.generator)

    def hidden_states(self, tokens: Tensor) -> Tensor:
        """Return the normed output of the last block, shape (batch, T, width)."""
        T, longest = tokens.shape[-1], self.config.context
        if longest < T:
            raise _checks.invalid(
                f"a sequence must have at most config.context = {longest} tokens; got {T}. Pass tokens[:, -{longest}:]."
            )
        h = self.embed(tokens)
        if self.position_embedding is not None:
            h = h + self.position_embedding.weight[:T]
        if self.prompt is not None:
            h = torch.cat([self.prompt.to(h.dtype).expand(len(h), -1, -1), h], dim=1)
        if torch.is_autocast_enabled(h.device.type):
            h = h.to(torch.get_autocast_dtype(h.device.type))
        for block in self.blocks:
            if self.checkpoint_activations and torch.is_grad_enabled():
                h = recomputed(self.generator, block, h)
            else:
                h = block(h)
        return cast(Tensor, self.norm(h[:, -T:]))


def in_files(name: str) -> str:
    """The name that files and digests have for a parameter, whatever it is called here."""
    return "place.weight" if name == "position_embedding.weight" else name


def from_files(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file under the names of `GPT`."""
    return {"position_embedding.weight" if name == "place.weight" else name: W for name, W in weights.items()}


def check_model(model: object) -> None:
    """Refuse what is no `GPT`, and one without numbers."""
    if not isinstance(model, GPT):
        raise _checks.mistyped(f"model must be a GPT; got {type(model).__name__}. Make one with GPT(GPTConfig(…)).")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise _checks.invalid(
            "model must hold numbers; got weights on the meta device. "
            "Call model.to_empty(device='cpu') and load its weights."
        )


@torch.no_grad()
def _initialise(model: GPT, seed: int) -> None:
    """Fill the embeddings and matrices, in the order of their names in the model, and the norms with ones."""
    generator = torch.Generator().manual_seed(_checks.seed(seed))
    for name, weight in model.named_parameters():
        if weight.is_meta:
            continue
        if weight.ndim < 2:
            weight.fill_(1)
            continue
        std = (
            0.02 / math.sqrt(2 * model.config.layers) if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
        )
        weight.copy_(normal(*weight.shape, std=std, generator=generator))
