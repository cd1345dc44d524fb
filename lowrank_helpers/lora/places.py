"""Where the linear layers of a model hang, and which of them can carry an adapter."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from lowrank_helpers import _checks
from lowrank_helpers.lora import start
from lowrank_helpers.lora.layer import LoRALinear
from lowrank_helpers.lora.start import Settings


class Place(NamedTuple):
    """Where a module hangs in a model: ``parent.attribute`` is ``module``, of the full name ``path``."""

    parent: nn.Module
    attribute: str
    path: str
    module: nn.Module


class Owner(NamedTuple):
    """A module, and a parameter that it has."""

    module: nn.Module
    parameter: Tensor


def places_of(parent: nn.Module, prefix: str = "") -> Iterator[Place]:
    """All places of a model below its root, the same module at each of its places, not into a LoRALinear."""
    parent = getattr(parent, "_orig_mod", parent)  # what torch.compile wraps
    for attribute, module in parent._modules.items():
        if module is not None:
            path = f"{prefix}{attribute}"
            yield Place(parent, attribute, path, module)
            if not isinstance(module, LoRALinear):
                yield from places_of(module, f"{path}.")


def check_model(model: object) -> None:
    """Refuse what is not a model, or what is a linear layer itself."""
    if not isinstance(model, nn.Module):
        raise _checks.mistyped(f"model must be a torch.nn.Module; got {type(model).__name__}. Pass the model.")
    if isinstance(model, nn.Linear | LoRALinear):
        raise _checks.invalid(
            f"model must contain linear layers; got a {type(model).__name__} itself, which cannot be "
            "replaced in place. Pass torch.nn.Sequential(model), or make a LoRALinear of it."
        )


def layers_of(model: object) -> list[LoRALinear]:
    """The layers with adapters, each once; an error where there are none."""
    if not isinstance(model, nn.Module):
        raise _checks.mistyped(f"model must be a torch.nn.Module; got {type(model).__name__}. Pass the model.")
    layers = [module for module in model.modules() if isinstance(module, LoRALinear)]
    if not layers:
        raise _checks.invalid("model must have adapters; got a model without. Call add_lora first.")
    return layers


def check_unmerged(layers: Sequence[LoRALinear]) -> None:
    merged = next((layer.merged for layer in layers if layer.merged is not None), None)
    if merged is not None:
        raise _checks.invalid(f"no adapter must be merged; got {merged!r} merged. Call unmerge_lora first.")


def listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")


def names_of(layers: Sequence[LoRALinear]) -> list[str]:
    return list(dict.fromkeys(name for layer in layers for name in layer.adapters))


def base_of(module: nn.Module) -> nn.Linear:
    """The linear layer in a module that can carry an adapter."""
    base = module.base if isinstance(module, LoRALinear) else module
    assert isinstance(base, nn.Linear)
    return base


def check_place(place: Place, given: Settings, owners: Mapping[int, list[Owner]], *, any_rank: bool = False) -> None:
    """Refuse a place whose layer cannot carry this adapter, or would not use it; ``owners`` as from `owners_of`."""
    module = place.module.base if isinstance(place.module, LoRALinear) else place.module
    start.check_base(module, given, repr(place.path), any_rank=any_rank)
    if isinstance(place.module, LoRALinear) and (given.takes_from_base or place.module.A0 is not None):
        raise _checks.invalid(
            f"an adapter with init='pissa' or init='olora' must be the only one on its layer, since it "
            f"takes its part out of the weight; {place.path!r} would have a second. Start from a fresh model."
        )
    if isinstance(place.parent, nn.TransformerEncoderLayer):
        raise _checks.invalid(
            f"{place.path!r} must not be a part of torch.nn.TransformerEncoderLayer, which reads the "
            "weight itself in evaluation and would leave out the adapter. Use a block that calls its layers."
        )
    if given.takes_from_base:
        check_alone(owners, base_of(place.module), place.path)


def owners_of(model: nn.Module) -> dict[int, list[Owner]]:
    """Who has which parameter, by the storage: one pass, which serves the checks of all layers."""
    owners: dict[int, list[Owner]] = {}
    for module in model.modules():
        for parameter in {id(p): p for p in module._parameters.values() if p is not None}.values():
            owners.setdefault(_storage(parameter), []).append(Owner(module, parameter))
    return owners


def _storage(parameter: Tensor) -> int:
    """Where its numbers lie; without any, on the meta device, the parameter itself."""
    return id(parameter) if parameter.is_meta else parameter.untyped_storage().data_ptr()


def _bounds(parameter: Tensor) -> tuple[int, int]:
    """The first byte of its storage that it uses, and the first after the last."""
    start, size = int(parameter.storage_offset()), parameter.element_size()
    if parameter.is_contiguous():
        return start * size, (start + parameter.numel()) * size
    last = sum((int(length) - 1) * int(step) for length, step in zip(parameter.shape, parameter.stride(), strict=True))
    return start * size, (start + last + 1) * size


def check_alone(owners: Mapping[int, list[Owner]], base: nn.Linear, called: str) -> None:
    """Refuse to write into a weight that another module has too, as the same parameter or in the same memory."""
    start, end = _bounds(base.weight)
    bounds = [(owner, _bounds(owner.parameter)) for owner in owners[_storage(base.weight)]]
    found = [owner for owner, (first, after) in bounds if first < end and start < after]
    if len(found) > 1:
        other = next(owner.module for owner in found if owner.module is not base)
        raise _checks.invalid(
            f"the weight of {called} must be its own; it is tied to a {type(other).__name__}, which "
            "would change with it. Untie them first: layer.weight = torch.nn.Parameter(layer.weight.clone())."
        )


def check_free(model: nn.Module, name: str) -> None:
    """Refuse a name that is taken, and a model with a merged adapter."""
    layers = [module for module in model.modules() if isinstance(module, LoRALinear)]
    if any(name in layer.adapters for layer in layers):
        raise _checks.invalid(f"name must be new; got {name!r}, which the model has. Pass another name=.")
    check_unmerged(layers)
