"""What a model's adapters do: trained, merged, switched, switched off; public through `lowrank_helpers.lora`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from lowrank_helpers import _checks
from lowrank_helpers.lora.layer import LoRALinear
from lowrank_helpers.lora.places import (
    check_alone,
    check_model,
    check_unmerged,
    layers_of,
    listed,
    names_of,
    owners_of,
    places_of,
)

Model = TypeVar("Model", bound=nn.Module)


def lora_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return what is trained: A, B and the magnitudes of the active adapter, as far as they require gradients.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters.

    Returns
    -------
    list of torch.nn.Parameter
        In the order of the model, to pass to an optimiser.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, lora_parameters
    >>> model = add_lora(torch.nn.Sequential(torch.nn.Linear(8, 4)), 2, alpha=4, targets=["0"])
    >>> [tuple(p.shape) for p in lora_parameters(model)]
    [(2, 8), (4, 2)]
    """
    layers = layers_of(model)
    active = [layer.adapter(layer.active) for layer in layers if layer.active is not None]
    return [p for adapter in active for p in adapter.parameters() if p.requires_grad]


def merge_lora(model: Model, *, unload: bool = False) -> Model:
    """Add the active adapter to the weights, W ← W + s B A, so that the model runs at its old speed.

    The sum is computed in float64 (float32 on devices that have no float64) and rounded once, to the dtype of W.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters, none of them merged.
    unload : bool, default False
        Put plain torch.nn.Linear layers back afterwards; all adapters are then gone, and nothing requires
        gradients.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters, an adapter is merged already, disabled or has entries that are not finite, or a
        weight is tied to another module's. The model is then as it was.

    Notes
    -----
    A state_dict of a merged model holds the merged weights and the adapter.

    References
    ----------
    E. J. Hu et al., LoRA: Low-rank adaptation of large language models, arXiv:2106.09685, §4.1.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, merge_lora
    >>> model = add_lora(torch.nn.Sequential(torch.nn.Linear(8, 4)), 2, alpha=4, targets=["0"])
    >>> type(merge_lora(model, unload=True)[0]).__name__
    'Linear'
    """
    layers = layers_of(model)
    unload = _checks.flag(unload, "unload")
    check_unmerged(layers)
    if unload:
        check_model(model)
    if not all(layer.enabled for layer in layers):
        raise _checks.invalid("adapters must be enabled; got a model inside disable_lora. Merge outside of it.")
    if any(layer.assigned is not None for layer in layers):
        raise _checks.invalid("one adapter can be merged; got a model inside assign_lora. Merge outside of it.")
    active, owners = [layer for layer in layers if layer.active is not None], owners_of(model)
    for layer in active:
        check_alone(owners, layer.base, f"a layer ({layer.out_features}, {layer.in_features})")
        if not all(bool(torch.isfinite(p).all()) for p in layer.adapter(layer.active or "").parameters()):
            raise _checks.invalid(
                f"the adapter {layer.active!r} must be finite; got NaN or infinite entries, which would "
                "spoil the weights. Load an earlier adapter."
            )
    for layer in active:
        layer.merge()
    if unload:
        for place in list(places_of(model)):
            if isinstance(place.module, LoRALinear):
                setattr(place.parent, place.attribute, place.module.base.train(place.module.training))
    return model


def unmerge_lora(model: Model) -> Model:
    """Take the merged adapter out of the weights again: W ← W − s B A, rounded once.

    W comes back up to rounding only. In bfloat16, where W was 384 × 384 with normal entries and s B A a tenth of its
    size (Frobenius norms), 7.5 % of the entries came back changed. To have W itself again, keep a copy.

    Parameters
    ----------
    model : torch.nn.Module
        A model with a merged adapter.

    Returns
    -------
    torch.nn.Module
        The same model; the adapter is active again.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters, or none is merged.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, merge_lora, unmerge_lora
    >>> model = add_lora(torch.nn.Sequential(torch.nn.Linear(8, 4)), 2, alpha=4, targets=["0"])
    >>> W = model[0].weight.clone()
    >>> torch.allclose(unmerge_lora(merge_lora(model))[0].weight, W)
    True
    """
    layers = layers_of(model)
    if all(layer.merged is None for layer in layers):
        raise _checks.invalid("an adapter must be merged; got none merged. Call merge_lora first.")
    for layer in layers:
        layer.unmerge()
    return model


def set_adapter(model: Model, name: str) -> Model:
    """Make the adapter of this name the active one, in all layers that have it; the others get none.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters, none of them merged.
    name : str
        The name that `add_lora` or `load_lora` gave it.

    Returns
    -------
    torch.nn.Module
        The same model. Of all adapters' parameters only those of this one require gradients.

    Raises
    ------
    TypeError, ValueError
        If no layer has an adapter of this name, or an adapter is merged.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, set_adapter
    >>> model = add_lora(torch.nn.Sequential(torch.nn.Linear(8, 4)), 2, alpha=4, targets=["0"], name="legal")
    >>> model = add_lora(model, 1, alpha=4, targets=["0"], name="medical")
    >>> set_adapter(model, "legal")[0].active
    'legal'
    """
    layers = layers_of(model)
    names = names_of(layers)
    if not isinstance(name, str) or name not in names:
        raise _checks.invalid(f"name must be that of an adapter; got {name!r}. There are: {listed(names)}.")
    check_unmerged(layers)
    for layer in layers:
        layer.activate(name)
    return model


@contextmanager
def disable_lora(model: nn.Module) -> Iterator[None]:
    """Run the model without its adapters inside a ``with`` block; afterwards all is as before.

    What 'pissa' and 'olora' took out of the weights is added back, so that the model is the one that it was before
    `add_lora`, up to rounding. Blocks may be nested.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters, none of them merged.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters, or one is merged.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, disable_lora
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4))
    >>> before = model(torch.ones(8))
    >>> model = add_lora(model, 2, alpha=4, targets=["0"], init="gaussian")
    >>> torch.nn.init.ones_(model[0].adapters["default"].B).shape
    torch.Size([4, 2])
    >>> with disable_lora(model):
    ...     print(torch.equal(model(torch.ones(8)), before))
    True
    """
    layers = layers_of(model)
    check_unmerged(layers)
    enabled = [layer.enabled for layer in layers]
    try:
        for layer in layers:
            layer.enabled = False
        yield
    finally:
        for layer, value in zip(layers, enabled, strict=True):
            layer.enabled = value


@contextmanager
def assign_lora(model: nn.Module, names: Sequence[str | None]) -> Iterator[None]:
    """Give each sequence of a batch an adapter of its own, inside a ``with`` block; afterwards all is as before.

    Sequence i is computed with the adapter ``names[i]``, or with the base alone where that is None. The product with
    W is one for the whole batch; that with A and B is a batch of thin products. A layer that lacks an adapter leaves
    its sequences as they are. Adapters may differ in rank, scale, dropout and targets, and one may serve several
    sequences. Blocks may be nested; the inner one counts.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters, none of them merged, whose layers see batches of shape (batch, …, in).
    names : sequence of str or None
        For each sequence of every batch in the block, the name of its adapter.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters, one is merged or disabled, a name is unknown, or an adapter took its part out of the
        weights ('pissa', 'olora'), which the other sequences would miss. In the block: if a batch has another number
        of sequences.

    Notes
    -----
    Gradients reach the adapters that require them, which is the active one alone, unless you say
    ``requires_grad_(True)`` of the others.

    References
    ----------
    L. Chen et al., Punica: Multi-tenant LoRA serving, arXiv:2310.18547, which has a kernel of its own for it.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, assign_lora, set_adapter
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4))
    >>> for name in ("legal", "medical"):
    ...     model = add_lora(model, 2, alpha=4, targets=["0"], name=name)
    >>> torch.nn.init.ones_(model[0].adapters["legal"].B).shape
    torch.Size([4, 2])
    >>> x = torch.randn(2, 3, 8)
    >>> with assign_lora(model, ["medical", "legal"]):
    ...     y = model(x)
    >>> torch.allclose(y[1], set_adapter(model, "legal")(x[1]), atol=1e-5)
    True
    """
    layers = layers_of(model)
    check_unmerged(layers)
    there = names_of(layers)
    if isinstance(names, str) or not isinstance(names, Sequence):
        shown = repr(names) if isinstance(names, str) else type(names).__name__
        raise _checks.mistyped(f"names must be a list, a name for each sequence; got {shown}. Pass a list of names.")
    unknown = [name for name in names if name is not None and (not isinstance(name, str) or name not in there)]
    if unknown or not names:
        shown = repr(unknown[0]) if unknown else "an empty list"
        raise _checks.invalid(f"names must be those of adapters, or None; got {shown}. There are: {listed(there)}.")
    if not all(layer.enabled for layer in layers):
        raise _checks.invalid("adapters must be enabled; got a model inside disable_lora. Assign them outside of it.")
    if any(layer.A0 is not None for layer in layers):
        raise _checks.invalid(
            "no adapter must have taken its part out of the weights; got one with init='pissa' or init='olora', which "
            "serves all sequences or none. Save it, and load it on the base as it was."
        )
    before = [layer.assigned for layer in layers]
    try:
        for layer in layers:
            layer.assigned = tuple(names)
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.assigned = value
