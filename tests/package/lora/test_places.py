"""Which layers are found, and which must not be written into."""

import pytest
import torch
from torch import nn

from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    lora_parameters,
    merge_lora,
)
from tests.package.lora._models import TOKENS, adapted, fill, near, tiny, with_lora


def tied_by_storage(model):
    model.head.weight.data = model.embedding.weight.data[:5]
    return model


@pytest.mark.parametrize("call", ["pissa", "merge"])
def test_a_weight_tied_by_its_memory_alone_is_not_written_into(call):
    model = tied_by_storage(tiny())
    before = model.embedding.weight.clone()
    if call == "merge":
        fill(with_lora(model, targets=["head"]))
    with pytest.raises(ValueError, match="must be its own; it is tied to a Embedding"):
        merge_lora(model) if call == "merge" else with_lora(model, targets=["head"], init="pissa")
    assert torch.equal(model.embedding.weight, before)


def test_parts_of_one_memory_that_do_not_overlap_are_not_tied():
    model, fused = tiny(), torch.randn(24, 12)
    model.blocks[0].q_proj.weight = nn.Parameter(fused[:12])
    model.blocks[1].q_proj.weight = nn.Parameter(fused[12:])
    y = fill(with_lora(model, rng=0))(TOKENS)
    assert near(merge_lora(model)(TOKENS), y, 1e-4)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["q_proj"], ["blocks.0.q_proj", "blocks.1.q_proj"]),
        (["blocks.1.q_proj"], ["blocks.1.q_proj"]),
        (["1.q_proj", "head"], ["blocks.1.q_proj", "head"]),
        ({"q_proj", "blocks.0.q_proj"}, ["blocks.0.q_proj", "blocks.1.q_proj"]),
    ],
)
def test_targets_are_whole_components_from_the_end(targets, expected):
    model = tiny()
    x = model(TOKENS)
    assert add_lora(model, 2, alpha=4, targets=targets) is model
    assert adapted(model) == expected
    assert torch.equal(model(TOKENS), x)  # B = 0
    trainable = {key for key, p in model.named_parameters() if p.requires_grad}
    assert trainable == {f"{path}.adapters.default.{part}" for path in expected for part in "AB"}
    assert [id(p) for p in lora_parameters(model)] == [id(p) for p in model.parameters() if p.requires_grad]


def test_a_layer_inside_a_container_is_replaced():
    model = add_lora(nn.Sequential(nn.Linear(4, 3)), 2, alpha=4, targets=["0"])
    assert isinstance(model[0], LoRALinear) and (model[0].in_features, model[0].out_features) == (4, 3)
    assert model[0].weight is model[0].base.weight and model[0].bias is model[0].base.bias


def test_a_layer_used_at_two_places_has_one_adapter_at_both():
    model = tiny()
    model.blocks[1].q_proj = model.blocks[0].q_proj
    fill(add_lora(model, 2, alpha=4, targets=["q_proj"]))
    assert isinstance(model.blocks[0].q_proj, LoRALinear) and model.blocks[1].q_proj is model.blocks[0].q_proj
    assert len(lora_parameters(model)) == 2
    y = model(TOKENS)
    assert near(merge_lora(model, unload=True)(TOKENS), y, 1e-5)
    assert type(model.blocks[1].q_proj) is nn.Linear and model.blocks[1].q_proj is model.blocks[0].q_proj


@pytest.mark.parametrize("call", ["merge_lora", "add_lora"])
def test_checking_for_tied_weights_takes_time_in_proportion_to_the_layers(monkeypatch, call):
    """Twice as many layers visit twice as many modules; a search for each layer would visit four times as many."""
    visits, plain = [], nn.Module.named_modules

    def counted(*given, **options):
        for found in plain(*given, **options):
            visits.append(found)
            yield found

    numbers = []
    for layers in (40, 80):
        model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
        options = {"alpha": 1, "targets": [str(i) for i in range(layers)], "init": "pissa"}  # writes into weights too
        if call == "merge_lora":
            add_lora(model, 1, **options)
        with monkeypatch.context() as patch:
            patch.setattr(nn.Module, "named_modules", counted)
            merge_lora(model) if call == "merge_lora" else add_lora(model, 1, **options)
        numbers.append(len(visits))
        visits.clear()
    assert 1.9 < numbers[1] / numbers[0] < 2.1
