"""A batch whose sequences have an adapter each."""

import copy

import pytest
import torch
from torch import nn

from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    assign_lora,
    disable_lora,
    lora_parameters,
    merge_lora,
    set_adapter,
)
from tests.package.lora._models import EPS, TARGETS, fill, near, tiny

TOKENS = torch.tensor([[0, 3, 6], [1, 1, 5], [2, 2, 2], [6, 5, 4], [0, 3, 6]])
NAMES = ["wide", "narrow", None, "wide", "narrow"]
OF = {
    "narrow": {"rank": 1, "alpha": 5, "targets": ["v_proj", "head"], "scaling": "alpha/sqrt(rank)"},
    "wide": {"rank": 3, "alpha": 4, "targets": TARGETS},
}


def mixed(dtype=torch.float64, **options):
    """A model with two adapters that differ in rank, scale and targets."""
    model = tiny(dtype)
    for seed, (name, given) in enumerate(OF.items()):
        given = given | options
        fill(add_lora(model, given.pop("rank"), name=name, rng=seed, **given), seed)
    return model


def alone(model, names, tokens):
    """Each sequence by a call of its own: the oracle."""
    found = []
    for name, row in zip(names, tokens, strict=True):
        if name is None:
            with disable_lora(model):
                found.append(model(row[None]))
        else:
            found.append(set_adapter(model, name)(row[None]))
    return torch.cat(found)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("names", [NAMES, ["narrow", "wide"], ["wide"], [None, None], ["narrow", "narrow", None]])
def test_one_batch_is_what_single_calls_are(names, dora):
    model = mixed(dora=dora)
    tokens = TOKENS[: len(names)]
    expected = alone(model, names, tokens)
    with assign_lora(model, names):
        y = model(tokens)
    assert near(y, expected, 1e-12)  # sums of some dozens of numbers near 1, in float64
    others = [None if name is None else {"wide": "narrow", "narrow": "wide"}[name] for name in names]
    assert names == others or not near(y, alone(model, others, tokens), 1e-3)  # negative control
    assert near(model(tokens[:1]), alone(model, [model.blocks[0].v_proj.active], tokens[:1]), 1e-12), "as it was"


def test_rows_without_tokens_and_with_several_axes_are_sequences_too():
    model = mixed()
    layer = model.blocks[0].v_proj
    for shape in ((2, 12), (2, 3, 12), (2, 3, 4, 12)):
        x = torch.randn(shape, dtype=torch.float64)
        with assign_lora(nn.Sequential(layer), ["wide", "narrow"]):
            y = layer(x)
        assert y.shape == (*shape[:-1], 10)
        for k, name in enumerate(("wide", "narrow")):
            layer.activate(name)
            assert near(y[k], layer(x[k : k + 1])[0], 1e-13)


def test_gradients_are_those_of_single_calls():
    model = mixed()
    layers = [module for module in model.modules() if isinstance(module, LoRALinear)]

    def gradients(loss):
        for layer in layers:
            layer.adapters.requires_grad_(True)
        model.zero_grad()
        loss().square().sum().backward()
        return [p.grad.clone() for layer in layers for p in layer.adapters.parameters()]

    def together():
        with assign_lora(model, NAMES):
            return model(TOKENS)

    def one_by_one():
        found = []
        for name, row in zip(NAMES, TOKENS, strict=True):
            for layer in layers:
                layer.active = name if name in layer.adapters else None
            found.append(model(row[None]))
        return torch.cat(found)

    for got, expected in zip(gradients(together), gradients(one_by_one), strict=True):
        assert near(got, expected, 1e-11) and bool(expected.any())


def test_gradients_reach_the_active_adapter_unless_others_require_them():
    model = set_adapter(mixed(), "narrow")
    with assign_lora(model, NAMES):
        model(TOKENS).sum().backward()
    assert {id(p) for p in model.parameters() if p.grad is not None} == {id(p) for p in lora_parameters(model)}


def test_each_sequence_has_its_adapters_dropout():
    model = mixed(torch.float64)
    layer = model.blocks[0].v_proj
    layer.adapters["wide"].settings = layer.adapters["wide"].settings._replace(dropout=0.5)
    x = torch.randn(2, 2000, 12, dtype=torch.float64)
    with assign_lora(nn.Sequential(layer), ["wide", "narrow"]):
        kept = layer.eval()(x)
        y = layer.train()(x)
        layer.generator = torch.Generator().manual_seed(3)
        before = torch.get_rng_state()
        again = layer(x)
        layer.generator.manual_seed(3)
        assert torch.equal(layer(x), again) and torch.equal(torch.get_rng_state(), before)
    assert torch.equal(y[1], kept[1]) and not near(y[0], kept[0], 1e-2)
    W = layer.weight
    means = [(z[0] - x[0] @ W.T).abs().mean() for z in (y, kept)]
    assert 1.1 < means[0] / means[1] < 1.8  # twice the entries, or none: √2 times as large for many of them


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dora", [False, True])
def test_under_autocast_it_is_what_single_calls_are(dtype, dora):
    model = mixed(torch.float32, dora=dora)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32), torch.no_grad():
        expected = alone(model, NAMES, TOKENS)
        with assign_lora(model, NAMES):
            y = model(TOKENS)
    # sums in another order, through seven layers
    assert y.dtype == expected.dtype
    assert near(y.float(), expected.float(), 64 * EPS[dtype] * float(expected.detach().abs().max()))


def test_a_sequence_without_an_adapter_is_the_bases_whatever_the_others_hold():
    model = mixed(torch.float32)
    with disable_lora(model):
        plain = model(TOKENS[:2])
    model.blocks[0].v_proj.adapters["wide"].A.data.fill_(torch.inf)
    with assign_lora(model, [None, "wide"]):
        assert near(model(TOKENS[:2])[0], plain[0], 8 * EPS[torch.float32] * float(plain.detach().abs().max()))


def test_blocks_nest_end_with_an_exception_and_refuse_what_does_not_fit():
    model = mixed()
    with pytest.raises(KeyError), assign_lora(model, NAMES):
        with assign_lora(model, ["wide"]):
            assert model(TOKENS[:1]).shape == (1, 3, 5)
        assert model(TOKENS).shape == (5, 3, 5)
        with disable_lora(model), pytest.raises(ValueError, match=r"^assign_lora: adapters must be enabled"):
            assign_lora(model, NAMES).__enter__()
        with disable_lora(model):
            assert model(TOKENS[:1]).shape == (1, 3, 5)
        with pytest.raises(ValueError, match=r"^merge_lora: one adapter can be merged; got .* Merge outside"):
            merge_lora(model)
        with pytest.raises(ValueError, match=r"a batch must have a sequence for each of the 5 names; got .*\(2, 3, 12"):
            model(TOKENS[:2])
        twin = copy.deepcopy(model)
        assert torch.equal(twin(TOKENS), model(TOKENS))
        raise KeyError
    assert all(module.assigned is None for module in model.modules() if isinstance(module, LoRALinear))


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("wide", TypeError, "names must be a list, a name for each sequence; got 'wide'"),
        (None, TypeError, "names must be a list"),
        ([], ValueError, "got an empty list. There are: 'wide', 'narrow'"),
        (["wide", "poems"], ValueError, "names must be those of adapters, or None; got 'poems'. There are"),
        (["wide", 0], ValueError, "names must be those of adapters, or None; got 0"),
    ],
)
def test_it_says_what_is_wrong(names, error, message):
    with pytest.raises(error, match=f"^assign_lora: .*{message}"):
        assign_lora(mixed(), names).__enter__()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: tiny(), "model must have adapters"),
        (lambda: merge_lora(mixed()), "no adapter must be merged; got 'wide'"),
        (
            lambda: add_lora(tiny(), 2, alpha=4, targets=TARGETS, init="pissa", name="wide"),
            "no adapter must have taken its part out",
        ),
    ],
)
def test_it_says_which_model_it_cannot_serve(model, message):
    with pytest.raises(ValueError, match=f"^assign_lora: {message}"):
        assign_lora(model(), ["wide"]).__enter__()
