"""What low rank costs and saves: numbers to store, bytes to move, operations to do. Sums of integers; no arrays."""

from typing import NamedTuple

from lowrank_helpers import _checks


def factor_parameters(m: int, n: int, rank: int) -> int:
    """Return r(m + n), the numbers stored in two factors, m×r and r×n.

    Parameters
    ----------
    m, n : int
        The shape of the product, each at least 1.
    rank : int
        r, at least 0; above min(m, n) it is allowed, since factors can be stored that waste space.

    Returns
    -------
    int
        r(m + n).

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.costs import factor_parameters
    >>> factor_parameters(1000, 1000, 50)
    100000
    """
    m, n = _checks.shape(m, n)
    return _checks.integer(rank, 0, None, "rank") * (m + n)


def break_even_rank(m: int, n: int) -> float:
    """Return mn/(m + n): two factors store fewer numbers than their m×n product exactly if r is below it.

    Parameters
    ----------
    m, n : int
        The shape of the matrix, each at least 1.

    Returns
    -------
    float
        mn/(m + n), in general not an integer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.costs import break_even_rank
    >>> break_even_rank(1000, 1000), break_even_rank(128, 128)
    (500.0, 64.0)
    """
    m, n = _checks.shape(m, n)
    return m * n / (m + n)


class LayerCost(NamedTuple):
    """Operations and bytes of one call of a linear layer, and their ratio, the arithmetic intensity."""

    flops: int
    bytes: int
    intensity: float


def layer_cost(m: int, n: int, *, rank: int | None = None, tokens: int = 1, width: int = 4) -> LayerCost:
    """Count what a linear layer of an m×n weight computes and moves for one batch.

    Every operand is read once and every result written once: a model of memory, not a measurement. A factored layer
    writes r numbers for each token in between, and reads them again.

    Parameters
    ----------
    m, n : int
        Outputs and inputs of the layer.
    rank : int, optional
        r of the factors; by default the layer is dense.
    tokens : int
        Inputs in the batch.
    width : int
        Bytes of a number.

    Returns
    -------
    LayerCost
        A multiplication and an addition are two operations.

    Raises
    ------
    TypeError, ValueError
        An argument is not an integer, or below 1.

    Examples
    --------
    >>> from lowrank_helpers.costs import layer_cost
    >>> layer_cost(4096, 4096, width=2).flops, layer_cost(4096, 4096, rank=1024, width=2).flops
    (33554432, 16777216)
    """
    m = _checks.integer(m, 1, None, "m")
    n = _checks.integer(n, 1, None, "n")
    tokens = _checks.integer(tokens, 1, None, "tokens")
    width = _checks.integer(width, 1, None, "width")
    r = 0 if rank is None else _checks.integer(rank, 1, None, "rank")
    weights = r * (m + n) if r else m * n
    flops, moved = 2 * tokens * weights, width * (weights + tokens * (m + n + 2 * r))
    return LayerCost(flops, moved, flops / moved)


def kv_cache_elements(kv_heads: int, head_dim: int) -> int:
    """Return the numbers kept for a token in a layer: a key and a value for each of the KV heads.

    Parameters
    ----------
    kv_heads, head_dim : int
        Heads of keys and values (of queries there may be more), and the width of one.

    Returns
    -------
    int
        2 kv_heads head_dim.

    Raises
    ------
    TypeError, ValueError
        A size is no whole number ≥ 1.

    Examples
    --------
    >>> kv_cache_elements(8, 128)
    2048
    """
    heads = _checks.integer(kv_heads, 1, None, "kv_heads")
    return 2 * heads * _checks.integer(head_dim, 1, None, "head_dim")


def latent_cache_elements(latent_dim: int, rope_dim: int = 0) -> int:
    """Return the numbers that latent attention keeps for a token in a layer: d_c + d_r.

    Parameters
    ----------
    latent_dim, rope_dim : int
        d_c, and d_r of the decoupled key.

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        A size is no whole number in its range.

    Examples
    --------
    >>> latent_cache_elements(512, 64)
    576
    """
    latent = _checks.integer(latent_dim, 1, None, "latent_dim")
    return latent + _checks.integer(rope_dim, 0, None, "rope_dim")


def kv_cache_bytes(elements: int, layers: int, *, tokens: int = 1, bits: int = 16) -> float:
    """Return the bytes of a cache.

    Parameters
    ----------
    elements : int
        Numbers for a token in a layer: of `kv_cache_elements` or `latent_cache_elements`.
    layers, tokens : int
        Layers that keep them, and tokens.
    bits : int, default 16
        Of one number.

    Returns
    -------
    float
        elements · layers · tokens · bits / 8.

    Raises
    ------
    TypeError, ValueError
        An argument is no whole number ≥ 1.

    Examples
    --------
    >>> kv_cache_bytes(kv_cache_elements(32, 128), 32)  # Llama 2 7B
    524288.0
    """
    sizes = {"elements": elements, "layers": layers, "tokens": tokens, "bits": bits}
    product = 1
    for name, size in sizes.items():
        product *= _checks.integer(size, 1, None, name)
    return product / 8


KEPT = 23  # numbers that a block keeps for each token and unit of width; counted in chapter 17


class TrainingMemory(NamedTuple):
    """Bytes of weights with gradients and moments, and of activations."""

    state: float
    activations: float


def training_memory(
    layers: int,
    width: int,
    hidden: int,
    *,
    rank: int | None = None,
    frozen_bytes: float = 2.0,
    tokens: int = 2048,
    recompute: bool = False,
    vocabulary: int = 32_000,
) -> TrainingMemory:
    """Return the bytes that a training step holds, of a Llama-shaped network with AdamW in mixed precision.

    A trained parameter counts 16 bytes: in full fine-tuning weight and gradient in bfloat16 with a master copy and two
    moments in float32; of an adapter weight, gradient and moments in float32. Activations are an estimate: 23 numbers
    in bfloat16 for each layer, token and unit of width, as the book's small model keeps them.

    Parameters
    ----------
    layers, width, hidden : int
        Blocks; the width of the residual stream; the width inside of the feed-forward layers.
    rank : int, optional
        Of LoRA on all seven linear layers of a block; None for full fine-tuning.
    frozen_bytes : float
        Bytes of a frozen weight: 2 in bfloat16, 0.5 in four bits. Without a rank nothing is frozen.
    tokens : int
        Tokens in a forward pass, over all sequences of the batch.
    recompute : bool
        Whether a block keeps only its input, and computes the rest again in the backward pass.
    vocabulary : int
        Tokens that there are; embedding and head are separate.

    Returns
    -------
    TrainingMemory

    Raises
    ------
    TypeError, ValueError
        A number is out of range.

    References
    ----------
    Touvron et al. 2023, arXiv:2302.13971, Table 2, for the sizes; Rajbhandari et al. 2020, "ZeRO", section 3.1, for the
    16 bytes.

    Examples
    --------
    >>> training_memory(32, 4096, 11008).state / 16
    6738415616.0
    >>> round(training_memory(32, 4096, 11008, rank=16, frozen_bytes=0.5).state / 1e9, 3)
    4.009
    """
    for name, value in (("layers", layers), ("width", width), ("hidden", hidden), ("tokens", tokens)):
        _checks.integer(value, 1, None, name)
    _checks.integer(vocabulary, 1, None, "vocabulary")
    _checks.number(frozen_bytes, "frozen_bytes", above=0.0)
    _checks.flag(recompute, "recompute")
    N = layers * (4 * width**2 + 3 * width * hidden + 2 * width) + (2 * vocabulary + 1) * width
    activations = 2.0 * KEPT * layers * tokens * width
    if recompute:
        activations = activations / layers + 2.0 * layers * tokens * width
    if rank is None:
        return TrainingMemory(16.0 * N, activations)
    _checks.integer(rank, 1, None, "rank")
    n = layers * rank * (4 * 2 * width + 3 * (width + hidden))
    return TrainingMemory(16.0 * n + frozen_bytes * N, activations)


def state_memory(trained: int, *, weight_bits: int = 32, moment_bits: int = 32) -> float:
    """Return the bytes that training holds for the parameters it changes: weight, gradient and Adam's two moments.

    Parameters
    ----------
    trained : int
        How many parameters are trained.
    weight_bits : {32, 16}
        Of a weight and of its gradient. With 16, a master copy of the weight in float32 is held beside them.
    moment_bits : {32, 16, 8}
        Of a moment; 8 is what optimisers in eight bits keep, without the scale of each of their blocks.

    Returns
    -------
    float
        16 for each parameter by default, and with weights in 16 bits; 10 with those and moments of eight.

    Raises
    ------
    TypeError, ValueError
        An argument is not one of these.

    References
    ----------
    S. Rajbhandari et al., ZeRO, SC 2020, section 3.1 (16 bytes in mixed precision); T. Dettmers et al., 8-bit
    optimizers via block-wise quantization, ICLR 2022, arXiv:2110.02861.

    Examples
    --------
    >>> state_memory(1_000_000), state_memory(1_000_000, weight_bits=16, moment_bits=8)
    (16000000.0, 10000000.0)
    """
    trained = _checks.integer(trained, 0, None, "trained")
    weight = _bits(weight_bits, (32, 16), "weight_bits")
    moment = _bits(moment_bits, (32, 16, 8), "moment_bits")
    master = 32 if weight == 16 else 0
    return trained * (2 * weight + master + 2 * moment) / 8


def logits_memory(tokens: int, vocabulary: int, *, bits: int = 16) -> float:
    """Return the bytes of a step's logits: as the head writes them, and twice in float32, for loss and gradient.

    For a large vocabulary that is more than all else but the weights; losses that take the tokens in tiles, such as
    `training.chunked_cross_entropy` and TRL's, have the logits of one tile at a time.

    Parameters
    ----------
    tokens : int
        Tokens whose logits are in memory at a time.
    vocabulary : int
        Logits of a token.
    bits : {16, 32}
        Of the head's products. In 32 the first copy is the loss's own.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        An argument is no whole number in its range.

    Examples
    --------
    >>> logits_memory(2048, 128_256) / 1e9  # Llama 3
    2.62668288
    """
    tokens = _checks.integer(tokens, 1, None, "tokens")
    vocabulary = _checks.integer(vocabulary, 1, None, "vocabulary")
    width = _bits(bits, (16, 32), "bits")
    return tokens * vocabulary * (64 + (16 if width == 16 else 0)) / 8


def _bits(value: object, options: tuple[int, ...], name: str) -> int:
    whole = _checks.integer(value, 1, None, name)
    if whole not in options:
        listed = ", ".join(map(str, options))
        raise _checks.invalid(f"{name} must be one of {listed}; got {whole}. Pass one of these.")
    return whole
