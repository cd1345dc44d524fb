"""Chapter 18 scales intruders down as PEFT does, whose function then cuts the update to the adapter's rank."""

import peft
import pytest
import torch
from peft.tuners.lora.intruders import reduce_intruder_dimension

from book.definitions import definitions
from book.margins import close
from lowrank_helpers import training

KEY = "blocks.1.attention.v_proj.weight"


def adapter_for(weight, length):
    """A PEFT model of one layer with this weight, and an adapter of rank 4 of this length, relative to the weight."""
    net = torch.nn.Sequential(torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False))
    net[0].weight.data = weight.clone()
    model = peft.get_peft_model(net, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"]))
    layer = model.base_model.model[0]
    rng = torch.Generator().manual_seed(0)
    layer.lora_A["default"].weight.data = torch.randn(4, weight.shape[1], generator=rng)
    layer.lora_B["default"].weight.data = torch.randn(weight.shape[0], 4, generator=rng)
    layer.lora_B["default"].weight.data *= length * weight.norm() / layer.get_delta_weight("default").norm()
    return model, layer


@pytest.mark.parametrize("length", [0.05, 0.5])
def test_scaled_down_as_in_peft(length):
    parameters = dict(training.load_base_model().named_parameters())

    model, layer = adapter_for(parameters[KEY].detach(), length)
    update = {KEY: layer.get_delta_weight("default").detach().double()}
    ours = definitions(18, "cut")(definitions(18, "eased")(update, 0.75, threshold=0.5), 4)[KEY]
    reduce_intruder_dimension(model, mitigation_lambda=0.75, threshold_epsilon=0.5, logging_sink=None)
    theirs = layer.get_delta_weight("intruder_reduced").detach().double()
    size = float(update[KEY].norm())
    assert close(ours, theirs, atol=1e-5 * size)
    changed = not close(ours, update[KEY], atol=1e-3 * size)
    assert changed == (length > 0.1), "a short update has no intruders, a long one has some"
