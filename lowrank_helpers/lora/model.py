"""The adapters of a whole model: put in, saved, loaded."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from lowrank_helpers import _checks
from lowrank_helpers.lora import files, start
from lowrank_helpers.lora.layer import LoRALinear
from lowrank_helpers.lora.places import (
    Place,
    base_of,
    check_free,
    check_model,
    check_place,
    layers_of,
    listed,
    names_of,
    owners_of,
    places_of,
)
from lowrank_helpers.lora.product import sample, with_bias
from lowrank_helpers.lora.start import Adapter, Init, Scaling, Settings

Model = TypeVar("Model", bound=nn.Module)


def add_lora(
    model: Model,
    rank: int,
    *,
    alpha: float,
    targets: Sequence[str],
    dropout: float = 0.0,
    scaling: Scaling = "alpha/rank",
    init: Init = "kaiming",
    dora: bool = False,
    name: str = "default",
    rng: int | torch.Generator | None = None,
) -> Model:
    """Freeze a model and give its targeted linear layers a trainable adapter, in place.

    Parameters
    ----------
    model : torch.nn.Module
        A model that contains torch.nn.Linear layers.
    rank : int
        r, between 1 and the smaller side of each targeted layer.
    alpha : float
        α > 0.
    targets : sequence of str
        Names of linear layers. A layer is meant if its full name is one of them, or ends in a dot and one of them:
        'q_proj' means 'blocks.0.q_proj' and 'blocks.1.q_proj'.
    dropout, scaling, init, dora
        As for `LoRALinear`.
    name : str, default 'default'
        The adapter's name. A second adapter needs another name; it may have other targets, and becomes the active
        one.
    rng : int, torch.Generator or None
        As for `LoRALinear`; the layers draw one after another, in the order of the model.

    Returns
    -------
    torch.nn.Module
        The same model. Only A, B and the magnitudes of this adapter require gradients.

    Raises
    ------
    TypeError, ValueError
        If a target is unknown, or not a linear layer, or cannot carry the adapter (see `LoRALinear`), if the name
        is taken or an adapter is merged, or another argument is out of bounds. The model is then as it was.

    References
    ----------
    E. J. Hu et al., LoRA: Low-rank adaptation of large language models, arXiv:2106.09685, §4.

    Examples
    --------
    >>> from lowrank_helpers.lora import add_lora, lora_parameters
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    >>> model = add_lora(model, 2, alpha=4, targets=["0", "2"], rng=0)
    >>> sum(p.numel() for p in lora_parameters(model)), sum(p.numel() for p in model.parameters())
    (88, 300)
    >>> add_lora(model, 2, alpha=4, targets=["q_proj"], name="second")
    Traceback (most recent call last):
        ...
    ValueError: add_lora: targets must name linear layers of the model; got 'q_proj'. There are: '0', '2'.
    """
    check_model(model)
    given = start.settings(rank, alpha, dropout, scaling, init, dora)
    start.check_name(name)
    attach_new(model, given, targets, name, start.generator(rng))
    return model


def attach_new(model: nn.Module, given: Settings, targets: Sequence[str], name: str, drawn: torch.Generator) -> None:
    """Do what `add_lora` says, for a function whose name errors are to have."""
    places, owners = _targeted(model, targets), owners_of(model)
    for place in places:
        check_place(place, given, owners)
    check_free(model, name)
    modules = dict.fromkeys(place.module for place in places)  # each once, though it may hang at two places
    adapters = {module: Adapter(base_of(module).weight, given, drawn) for module in modules}
    _attach(model, places, adapters, name)


def _targeted(model: nn.Module, targets: object) -> list[Place]:
    """The places that the targets name."""
    if isinstance(targets, str) or not isinstance(targets, Sequence | set | frozenset):
        shown = repr(targets) if isinstance(targets, str) else type(targets).__name__
        raise _checks.mistyped(f"targets must be a list of names; got {shown}. Pass a list such as ['q_proj'].")
    linear = [place for place in places_of(model) if isinstance(place.module, nn.Linear | LoRALinear)]
    last = listed(list(dict.fromkeys(place.path.rpartition(".")[2] for place in linear)))
    there = f"There are: {last}." if linear else "There are none."
    if not targets:
        raise _checks.invalid(f"targets must not be empty. {there}")
    found: dict[str, Place] = {}
    for target in targets:
        if not isinstance(target, str):
            raise _checks.mistyped(f"targets must be strings; got {type(target).__name__}. {there}")
        meant = [p for p in places_of(model) if p.path == target or p.path.endswith(f".{target}")]
        if not meant or not target:
            raise _checks.invalid(f"targets must name linear layers of the model; got {target!r}. {there}")
        found |= {place.path: place for place in meant}
    return [found[place.path] for place in places_of(model) if place.path in found]


def _attach(model: nn.Module, places: list[Place], adapters: dict[nn.Module, Adapter], name: str) -> None:
    """Hang checked adapters in, and let nothing else be trainable."""
    made: dict[nn.Module, LoRALinear] = {}
    for place in places:
        module = place.module
        if isinstance(module, LoRALinear):
            if name not in module.adapters:
                module.attach(name, adapters[module])
            continue
        if module not in made:
            made[module] = LoRALinear.around(base_of(module), name, adapters[module])
        setattr(place.parent, place.attribute, made[module])
    model.requires_grad_(False)
    for layer in layers_of(model):
        layer.activate(name)


def save_lora(model: nn.Module, folder: str | os.PathLike[str], *, name: str | None = None) -> Path:
    """Save one adapter, without the base, in the layout of PEFT: PeftModel.from_pretrained reads it too.

    The folder holds ``adapter_model.safetensors`` and ``adapter_config.json``. It is written beside and then takes
    the place of an older one, so that a failed save leaves the older one whole. With the adapter goes a sample of 64
    entries of each frozen weight, by which `load_lora` knows the base again.

    An adapter that took its part out of the weights ('pissa', 'olora') is saved as its difference from where it
    started, B A − B₀ A₀, a plain adapter of rank 2r, so that it belongs to the base as it was before `add_lora`.

    Parameters
    ----------
    model : torch.nn.Module
        A model with adapters.
    folder : path
        A folder that is new, or empty, or holds an adapter only.
    name : str, optional
        The adapter; by default the active one.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    TypeError, ValueError
        If model has no adapters, or none of this name, or folder holds other files, or if the adapter's layers have
        different scalings, dropouts or kinds, for which the layout has no place.
    OSError
        If the files cannot be written. An older adapter in the folder is then still whole.

    References
    ----------
    F. Meng et al., PiSSA, arXiv:2404.02948, Appendix C (the conversion to rank 2r).

    Examples
    --------
    >>> import tempfile
    >>> from lowrank_helpers.lora import add_lora, load_lora, save_lora
    >>> model = add_lora(torch.nn.Sequential(torch.nn.Linear(8, 4)), 2, alpha=4, targets=["0"])
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = save_lora(model, f"{place}/adapter")
    ...     print(sorted(file.name for file in folder.iterdir()))
    ['adapter_config.json', 'adapter_model.safetensors']
    """
    check_model(model)
    layers = layers_of(model)
    name = _chosen(layers, name)
    found = {
        p.path: p.module for p in places_of(model) if isinstance(p.module, LoRALinear) and name in p.module.adapters
    }
    if len(set(found.values())) < len(found):
        _checks.warn(
            "a layer hangs at two places of the model; load_lora adapts it at both, PEFT at the first only. "
            "For PEFT, merge the adapter and save the model.",
            UserWarning,
        )
    kinds = {(s.dropout, s.scaling, s.dora) for s in (layer.adapter(name).settings for layer in found.values())}
    if len(kinds) > 1:
        raise _checks.invalid(
            f"all layers of an adapter must have one dropout, scaling and dora; got {len(kinds)} "
            f"combinations in {name!r}. Save them as adapters of different names."
        )
    settings = next(iter(found.values())).adapter(name).settings
    saved = files.SavedAdapter(
        {path: _saved_layer(layer, name) for path, layer in found.items()},
        _short(model, list(found)),
        settings.scaling,
        "kaiming",
        settings.dropout,
        {path: files.BaseSample(_dtype(layer), layer.sample().tolist()) for path, layer in found.items()},
    )
    return files.write_adapter(folder, saved)


def _chosen(layers: Sequence[LoRALinear], name: str | None) -> str:
    """The name of the adapter to save."""
    names = names_of(layers)
    active = list(dict.fromkeys(layer.active for layer in layers if layer.active is not None))
    if name is None and len(active) == 1:
        return active[0]
    if not isinstance(name, str) or name not in names:
        raise _checks.invalid(f"name must be that of an adapter; got {name!r}. There are: {listed(names)}.")
    return name


def _dtype(layer: nn.Module) -> str:
    return str(base_of(layer).weight.dtype).removeprefix("torch.")


def _saved_layer(layer: LoRALinear, name: str) -> files.SavedLayer:
    """A, B and α of one layer, as an adapter of the weight before this layer changed it."""
    adapter = layer.adapter(name)
    A, B, alpha = adapter.A.detach(), adapter.B.detach(), adapter.settings.alpha
    if layer.A0 is not None and layer.B0 is not None:
        A, B = torch.cat([A, -layer.A0]), torch.cat([B, layer.B0], dim=1)
        alpha *= 2 if adapter.settings.scaling == "alpha/rank" else 2**0.5  # the same s with twice the rank
    return files.SavedLayer(A, B, adapter.magnitude, alpha)


def _short(model: nn.Module, paths: list[str]) -> list[str]:
    """The last components of the names, if these mean the same layers; otherwise the whole names."""
    last = sorted({path.rpartition(".")[2] for path in paths})
    meant = {p.path for p in places_of(model) if p.attribute in last}
    return last if meant == set(paths) else sorted(paths)


def load_lora(model: Model, folder: str | os.PathLike[str], *, name: str = "default") -> Model:
    """Add an adapter that `save_lora` or PEFT saved, and make it the active one.

    Everything is checked before the model is touched: that the files are whole and as they were saved, that the
    numbers are finite, that there is a layer of the right shape for each, and, where `save_lora` wrote it, that the
    base is the one that the adapter was trained on, by 64 entries of each weight. They must be equal, or, if the
    dtype is another, equal to bfloat16's rounding.

    Parameters
    ----------
    model : torch.nn.Module
        The model without this adapter; other adapters may be there.
    folder : path
        With ``adapter_model.safetensors`` and ``adapter_config.json``. Pickled adapters are refused.
    name : str, default 'default'
        The name that the adapter gets.

    Returns
    -------
    torch.nn.Module
        The same model, frozen and trainable as after `add_lora`.

    Raises
    ------
    TypeError, ValueError
        If a file is missing, cut off, changed or of an unsupported kind, if the adapter does not fit the model, or
        if the name is taken or an adapter is merged. The model is then as it was.

    Examples
    --------
    >>> import copy, tempfile
    >>> from lowrank_helpers.lora import add_lora, load_lora, save_lora
    >>> base = torch.nn.Sequential(torch.nn.Linear(8, 4))
    >>> model = add_lora(copy.deepcopy(base), 2, alpha=4, targets=["0"])
    >>> torch.nn.init.ones_(model[0].adapters["default"].B).shape
    torch.Size([4, 2])
    >>> with tempfile.TemporaryDirectory() as place:
    ...     again = load_lora(base, save_lora(model, f"{place}/adapter"))
    >>> x = torch.ones(3, 8)
    >>> torch.equal(again(x), model(x))
    True
    """
    check_model(model)
    start.check_name(name)
    check_free(model, name)
    saved = files.read_adapter(folder)
    there = {place.path: place for place in places_of(model)}
    unknown = [path for path in saved.layers if path not in there]
    if unknown:
        linear = [path for path, place in there.items() if isinstance(place.module, nn.Linear | LoRALinear)]
        raise _checks.invalid(
            f"model must have every layer of the adapter; it has no {unknown[0]!r}. "
            f"Its linear layers are: {listed(linear)}."
        )
    given, owners = {path: _settings_of(saved, path) for path in saved.layers}, owners_of(model)
    for path in saved.layers:
        check_place(there[path], given[path], owners, any_rank=True)
        _check_fits(there[path], saved)
    drawn = start.generator(0)
    adapters = {there[path].module: Adapter(base_of(there[path].module).weight, given[path], drawn) for path in given}
    _attach(model, [there[path] for path in saved.layers], adapters, name)
    with torch.no_grad():
        for path, layer in saved.layers.items():
            adapter = adapters[there[path].module]  # in place only now: A and B as 'pissa' starts are in the base
            adapter.A.copy_(layer.A)
            adapter.B.copy_(layer.B)
            if adapter.magnitude is not None and layer.magnitude is not None:
                adapter.magnitude.copy_(layer.magnitude)
    return model


def _settings_of(saved: files.SavedAdapter, path: str) -> Settings:
    layer = saved.layers[path]
    dora = layer.magnitude is not None
    return start.settings(len(layer.A), layer.alpha, saved.dropout, saved.scaling, saved.init, dora)


def _check_fits(place: Place, saved: files.SavedAdapter) -> None:
    """Refuse a layer of another shape than the adapter's, or with other weights than it was trained on."""
    layer, base = saved.layers[place.path], base_of(place.module)
    if (len(layer.B), layer.A.shape[1]) != tuple(base.weight.shape):
        raise _checks.invalid(
            f"the adapter must be of the layer's shape {tuple(base.weight.shape)}; got "
            f"{(len(layer.B), layer.A.shape[1])} for {place.path!r}. Load it on the model that it was trained on."
        )
    if layer.weight is not None and (
        isinstance(place.module, LoRALinear) or not torch.equal(layer.weight.to(base.weight), base.weight)
    ):
        raise _checks.invalid(
            f"the base must be the one that the adapter was trained on; the adapter brings a weight for "
            f"{place.path!r}, which is another one or has adapters already. Load the base's own weights first, or "
            "save the adapter in PEFT with save_embedding_layers=False."
        )
    known = saved.base.get(place.path)
    if known is None:
        return
    now = place.module.sample() if isinstance(place.module, LoRALinear) else with_bias(sample(base.weight), base)
    then = torch.tensor(known.entries, dtype=torch.float32)
    if known.dtype == _dtype(base):
        same = torch.equal(now.cpu(), then)
    else:  # both may be rounded, each by half a unit of bfloat16 at most; the second term is float16's underflow
        same = now.shape == then.shape and torch.allclose(now.cpu(), then, rtol=2**-7, atol=2**-24)
    if not same:
        raise _checks.invalid(
            f"the base must be the one that the adapter was trained on; the weight of {place.path!r} is "
            "another one. Load the base's own weights first."
        )
