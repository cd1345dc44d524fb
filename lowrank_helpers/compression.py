"""Low-rank factors in the place of a trained weight: which ones, what they cost, and the layer that holds them.

A weight W is (out, in), as torch keeps it, and acts as y = W x. In its place stand A (out, rank) and B (rank, in),
W ≈ A B. The matrix functions take and return numpy arrays; `factor_linear` is about a torch layer, and imports torch
when it is called.
"""

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, overload

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from lowrank_helpers import _checks, _extra
from lowrank_helpers._checks import Array, F, Float64
from lowrank_helpers.svd import truncated_svd

if TYPE_CHECKING:
    from torch import nn


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
