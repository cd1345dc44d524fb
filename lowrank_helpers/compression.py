"""In the place of a trained weight: low-rank factors and the layer that holds them, or its entries in few bits.

A weight W is (out, in), as torch keeps it, and acts as y = W x. In its place stand A (out, rank) and B (rank, in),
W ≈ A B, or a code for each entry with a scale for each block of entries. `activation_aware_factor` takes and returns
numpy arrays; `factor_linear` is about a torch layer, `quantise` and `dequantise` about tensors on any device: these
import torch when they are called.
"""

import math
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, get_args, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks, _extra
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.svd import truncated_svd

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Levels = Literal["nf4", "absmax4", "absmax8"]

NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)  # as published, in float32; chapter 15 derives them
LEVELS = {
    "nf4": NF4,
    "absmax4": tuple(k / 7 for k in range(-7, 8)),
    "absmax8": tuple(k / 127 for k in range(-127, 128)),
}


class ActivationAwareFactors(NamedTuple, Generic[F]):
    """Factors of a weight that keep what it does to its inputs: A (out, rank), B (rank, in), W ≈ A B.

    ``s`` holds the singular values of W X, at most min(out, in) of them: the squared error of rank r is the sum of
    their squares from the (r + 1)th on.
    """

    A: NDArray[F]
    B: NDArray[F]
    s: NDArray[F]


@overload
def activation_aware_factor(
    W: NDArray[F], rank: int, *, inputs: NDArray[F] | None = ..., gram: NDArray[F] | None = ...
) -> ActivationAwareFactors[F]: ...
@overload
def activation_aware_factor(
    W: Float64, rank: int, *, inputs: ArrayLike | None = ..., gram: ArrayLike | None = ...
) -> ActivationAwareFactors[np.float64]: ...
def activation_aware_factor(
    W: ArrayLike, rank: int, *, inputs: ArrayLike | None = None, gram: ArrayLike | None = None
) -> ActivationAwareFactors[Any]:
    """Return the factors of rank r that change the outputs of a layer least on given inputs.

    With the inputs as the columns of X, A B minimises ‖(W − Z) X‖_F over all Z of rank at most r: A holds the first r
    left singular vectors of W X, and B = Aᵀ W. Where X has not full row rank or W X a tie there are other minimisers;
    if σ_r > σ_{r+1}, this one is the closest to W.

    Parameters
    ----------
    W : array_like, shape (out, in)
        The weight, as a ``torch.nn.Linear`` keeps it.
    rank : int
        r, from 1 to min(out, in).
    inputs : array_like, shape (N, in), optional
        One input to a row, as a layer gets them: Xᵀ.
    gram : array_like, shape (in, in), optional
        X Xᵀ = inputsᵀ inputs instead, which can be added up batch by batch. Symmetric, positive semidefinite up to
        rounding. Forming it squares the condition number of X, and directions of X below √ε of the largest drown.

    Returns
    -------
    ActivationAwareFactors
        float32 if W and the inputs are, else float64.

    Raises
    ------
    TypeError, ValueError
        Not exactly one of inputs and gram came, shapes do not fit, the rank is out of bounds, or gram is not symmetric
        or has a negative eigenvalue.

    References
    ----------
    Chen, Yu, Dhillon and Hsieh 2021 (DRONE); Wang, Zheng, Wan and Zhang 2025 (SVD-LLM).

    Examples
    --------
    >>> import numpy as np
    >>> from lowrank_helpers.compression import activation_aware_factor
    >>> W, G = np.diag([1.0, 1.01]), np.array([[1.0, 0.9], [0.9, 1.0]])
    >>> A, B, s = activation_aware_factor(W, 1, gram=G)
    >>> E = W - A @ B
    >>> float(round(np.trace(E @ G @ E.T) ** 0.5, 3)), float(round(s[1], 3))
    (0.318, 0.318)
    """
    W = _checks.matrix(W, "W")
    r = _checks.rank(rank, W.shape, of="W")
    return _factors(W, r, inputs, gram)


def _factors(W: Array, r: int, inputs: ArrayLike | None, gram: ArrayLike | None) -> ActivationAwareFactors[Any]:
    """Do what `activation_aware_factor` says for a weight that was read."""
    if (inputs is None) == (gram is None):
        came = "neither" if inputs is None else "both"
        raise _checks.mistyped(
            f"exactly one of inputs and gram must be given; got {came}. "
            "Pass inputs=X with one input to a row, or gram=X.T @ X."
        )
    S, j = _root_of_inputs(inputs, W.shape[1]) if gram is None else _root_of_gram(gram, W.shape[1])
    k = _checks.exponent(W)  # the product of W and S may be out of range where they are not
    U, s, _ = scipy.linalg.svd(np.ldexp(W, -k) @ S, full_matrices=False)
    A = U[:, :r].copy()
    B = _checks.times_power(A.T @ np.ldexp(W, -k), k, "B")
    return ActivationAwareFactors(A, B, _checks.times_power(s, k + j, "s"))


def _root_of_inputs(inputs: ArrayLike | None, width: int) -> tuple[Array, int]:
    """An S of a size of about 1 and a j with 4ʲ S Sᵀ = X Xᵀ: Rᵀ of the thin QR of the inputs, without loss."""
    rows = _checks.matrix(inputs, "inputs")
    if rows.shape[1] != width:
        step = "Pass its transpose." if rows.shape[0] == width else "Take the inputs of this layer."
        raise _checks.invalid(
            f"inputs must have in = {width} columns, one input to a row; got shape {rows.shape}. {step}"
        )
    j = _checks.exponent(rows)
    R: Array = scipy.linalg.qr(np.ldexp(rows, -j), mode="r", check_finite=False)[0][: min(rows.shape)]
    return np.hstack([R.T, np.zeros((width, width - len(R)), dtype=R.dtype)]), j


def _root_of_gram(gram: ArrayLike | None, width: int) -> tuple[Array, int]:
    """An S of a size of about 1 and a j with 4ʲ S Sᵀ = gram, by its eigenvectors: a singular one will do too."""
    G = _checks.matrix(gram, "gram")
    if G.shape != (width, width):
        raise _checks.invalid(
            f"gram must be in×in = {(width, width)}; got shape {G.shape}. "
            "Pass inputs.T @ inputs with one input to a row."
        )
    j = (_checks.exponent(G) + 1) // 2
    G = np.ldexp(G, -2 * j)
    slack = 1e3 * width * float(np.finfo(G.dtype).eps) * float(np.abs(G).max())
    if float(np.abs(G - G.T).max()) > slack:
        raise _checks.invalid(
            f"gram must be symmetric; got entries that differ by "
            f"{np.ldexp(np.abs(G - G.T).max(), 2 * j):.3g} from the transpose. Pass inputs.T @ inputs."
        )
    lam, V = scipy.linalg.eigh((G + G.T) / 2, check_finite=False)
    if lam[0] < -slack:
        raise _checks.invalid(
            f"gram must have no negative eigenvalue; got {np.ldexp(lam[0], 2 * j):.3g}. "
            "Pass inputs.T @ inputs, in float64 if there are many."
        )
    return V * np.sqrt(np.maximum(lam, 0)), j


def factor_linear(
    layer: "nn.Linear", rank: int, *, inputs: ArrayLike | None = None, gram: ArrayLike | None = None
) -> "nn.Sequential":
    """Return two linear layers of rank r in the place of one.

    Without inputs the weight is truncated; with inputs, or their Gram matrix, `activation_aware_factor` chooses. The
    decomposition is computed in float64.

    Parameters
    ----------
    layer : torch.nn.Linear
        Left as it is.
    rank : int
        r, from 1 to min(out, in). Below `break_even_rank` the two layers are the smaller ones.
    inputs, gram : array_like, optional
        As in `activation_aware_factor`; not both. On the CPU.

    Returns
    -------
    torch.nn.Sequential
        ``Linear(in, r)`` without a bias, then ``Linear(r, out)`` with a copy of the layer's bias, if it has one; dtype,
        device, mode and ``requires_grad`` as the layer's.

    Raises
    ------
    TypeError, ValueError
        The layer is no ``torch.nn.Linear``, or what the matrix functions raise.

    Examples
    --------
    >>> import torch
    >>> from lowrank_helpers.compression import factor_linear
    >>> layer = torch.nn.Linear(6, 4)
    >>> pair = factor_linear(layer, 4)  # full rank
    >>> x = torch.ones(3, 6)
    >>> bool(torch.allclose(pair(x), layer(x), atol=1e-6))
    True
    """
    try:
        import torch
        from torch import nn
    except ModuleNotFoundError as error:
        raise _extra.advice(error, "factor_linear") from None
    if type(layer) is not nn.Linear:
        raise _checks.mistyped(
            f"layer must be a torch.nn.Linear itself, not a subclass; got {type(layer).__name__}. "
            "Pass one of the model's linear layers."
        )
    weight, bias = layer.weight, layer.bias
    if weight.is_meta:
        raise _checks.invalid(
            "layer must hold numbers; got a weight on the meta device. Load the model's weights first."
        )
    W: NDArray[Any] = _checks.matrix(weight.detach().double().cpu().numpy(), "the weight")
    r = _checks.rank(rank, W.shape, of="the weight")
    if inputs is None and gram is None:
        U, s, Vt = truncated_svd(W, r)
        A, B = U * np.sqrt(s), np.sqrt(s)[:, None] * Vt
    else:
        A, B, _ = _factors(W, r, inputs, gram)
    with torch.device("meta"):  # no random numbers are drawn
        inner = nn.Linear(W.shape[1], r, bias=False, dtype=weight.dtype)
        outer = nn.Linear(r, W.shape[0], bias=bias is not None, dtype=weight.dtype)
    inner, outer = inner.to_empty(device=weight.device), outer.to_empty(device=weight.device)
    with torch.no_grad():
        inner.weight.copy_(torch.from_numpy(np.ascontiguousarray(B)))
        outer.weight.copy_(torch.from_numpy(np.ascontiguousarray(A)))
        if bias is not None:
            outer.bias.copy_(bias)
            outer.bias.requires_grad_(bias.requires_grad)
    inner.weight.requires_grad_(weight.requires_grad)
    outer.weight.requires_grad_(weight.requires_grad)
    return nn.Sequential(inner, outer).train(layer.training)


class Quantised(NamedTuple):
    """A tensor in few bits: a code for each entry, and a scale for each block of entries; made by `quantise`.

    Attributes
    ----------
    codes : Tensor of uint8, 1-D
        The numbers of the levels, from 0, of all entries, row by row. Those of 4 bits stand two to a byte, the first
        in the upper half, as in the library bitsandbytes; where the number of entries is odd, a code of 0 fills up.
    scales : Tensor, 1-D
        The largest magnitude in each block: float64 for a float64 tensor, else float32.
    shape : tuple of int
        The tensor's.
    dtype : torch.dtype
        The tensor's.
    levels : {'nf4', 'absmax4', 'absmax8'}
        What the codes mean.
    block : int
        Entries to a block; the last may be shorter.
    """

    codes: "Tensor"
    scales: "Tensor"
    shape: tuple[int, ...]
    dtype: "torch.dtype"
    levels: Levels
    block: int


def quantise(W: "Tensor", *, levels: Levels = "nf4", block: int = 64) -> Quantised:
    """Return a tensor in 4 or 8 bits an entry, and one scale for each block of entries.

    Blocks are runs of entries in the tensor's order, row by row. Each is divided by its largest magnitude, its scale
    c, and each entry replaced by the nearest of the levels, the lower one at a tie. `dequantise` multiplies back: an
    entry is off by at most c g/2, with g the widest gap between two levels (chapter 15), and rounding.

    Parameters
    ----------
    W : Tensor of floats
        On any device; left as it is. No gradient passes.
    levels : {'nf4', 'absmax4', 'absmax8'}
        'nf4': sixteen, quantiles of the normal distribution scaled to [−1, 1], 0 among them; g/2 = 0.152.
        'absmax4': k/7, k = −7 … 7; g/2 = 1/14. 'absmax8': k/127, k = −127 … 127; g/2 = 1/254.
    block : int
        Entries to a scale.

    Returns
    -------
    Quantised
        On the device of W.

    Raises
    ------
    TypeError, ValueError
        If W is no tensor of floats, has no dimension or no entry, is on the meta device or not finite, or another
        argument is out of bounds.

    References
    ----------
    T. Dettmers, A. Pagnoni, A. Holtzman and L. Zettlemoyer, QLoRA, arXiv:2305.14314, §3 and Appendix E (the levels).

    Examples
    --------
    >>> import torch
    >>> from lowrank_helpers.compression import dequantise, quantise
    >>> few = quantise(torch.tensor([[0.5, -2.0, 0.0], [1.0, 0.1, 2.0]]), block=3)
    >>> few.scales, few.codes
    (tensor([2., 2.]), tensor([160, 124, 143], dtype=torch.uint8))
    >>> dequantise(few)
    tensor([[ 0.4922, -2.0000,  0.0000],
            [ 0.8814,  0.1592,  2.0000]])
    """
    torch = _torch("quantise")
    if not isinstance(W, torch.Tensor) or not W.is_floating_point():
        came = f"a tensor of {W.dtype}" if isinstance(W, torch.Tensor) else type(W).__name__
        raise _checks.mistyped(f"W must be a tensor of floats; got {came}. Pass torch.as_tensor(W, dtype=…).")
    if W.ndim == 0 or W.numel() == 0:
        raise _checks.invalid(f"W must have an entry and a dimension; got shape {tuple(W.shape)}. Pass a whole weight.")
    if W.is_meta:
        raise _checks.invalid("W must hold numbers; got a tensor on the meta device. Load the model's weights first.")
    _checks.choice(levels, get_args(Levels), "levels")
    block = _checks.integer(block, 1, None, "block")
    exact = torch.float64 if W.dtype == torch.float64 else torch.float32
    entries = W.detach().reshape(-1).to(exact)
    if not bool(entries.isfinite().all()):
        raise _checks.invalid("W must be finite; got NaN or infinite entries. Look for an overflow where it was made.")
    blocks = _in_blocks(entries, block)
    scales = blocks.abs().amax(dim=1)
    units = blocks / torch.where(scales > 0, scales, 1)[:, None]
    table = torch.tensor(LEVELS[levels], dtype=exact, device=W.device)
    codes = torch.bucketize(units, (table[1:] + table[:-1]) / 2).view(-1)[: len(entries)].to(torch.uint8)
    if len(table) <= 16:
        pairs = torch.nn.functional.pad(codes, (0, len(codes) % 2)).view(-1, 2)
        codes = pairs[:, 0] * 16 + pairs[:, 1]
    return Quantised(codes, scales, tuple(W.shape), W.dtype, levels, block)


def dequantise(quantised: Quantised) -> "Tensor":
    """Return the tensor that `quantise` made codes of, each entry its level times the scale of its block.

    Parameters
    ----------
    quantised : Quantised
        What `quantise` returned.

    Returns
    -------
    Tensor
        In the shape and dtype of the tensor that was quantised, on the device of the codes, rounded once.

    Raises
    ------
    TypeError, ValueError
        If it is no Quantised, or its parts do not fit together.

    Examples
    --------
    >>> import torch
    >>> from lowrank_helpers.compression import dequantise, quantise
    >>> dequantise(quantise(torch.tensor([1.0, 0.51, 0.0]), levels="absmax8"))
    tensor([1.0000, 0.5118, 0.0000])
    """
    torch = _torch("dequantise")
    if not isinstance(quantised, Quantised):
        came = type(quantised).__name__
        raise _checks.mistyped(f"quantised must be a Quantised; got {came}. Pass what quantise returned.")
    codes, scales, shape, dtype, levels, block = quantised
    count, packed = math.prod(shape), len(LEVELS[levels]) <= 16
    if len(codes) != (-(-count // 2) if packed else count) or len(scales) != -(-count // block):
        raise _checks.invalid(
            f"quantised must have the codes and scales of shape {shape} in blocks of {block}; got {len(codes)} bytes "
            f"of codes and {len(scales)} scales. Pass what quantise returned, unchanged."
        )
    if packed:
        codes = torch.stack([codes >> 4, codes & 15], dim=1).view(-1)[:count]
    entries = torch.tensor(LEVELS[levels], dtype=scales.dtype, device=codes.device)[codes.int()]
    scaled: Tensor = (_in_blocks(entries, block) * scales[:, None]).view(-1)[:count]
    return scaled.view(shape).to(dtype)


def _in_blocks(entries: "Tensor", block: int) -> "Tensor":
    """A vector in rows of this length, the last filled up with zeros; one row where the vector is shorter."""
    size = min(block, len(entries))
    filled = entries.new_zeros(-(-len(entries) // size) * size)
    filled[: len(entries)] = entries
    return filled.view(-1, size)


def _torch(name: str) -> Any:
    """Torch, or an error that says which extra has it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise _extra.advice(error, name) from None
    return torch
