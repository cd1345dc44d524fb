"""Putting adapters into a model."""

import math
import re

import pytest
import torch
from torch import nn

from lowrank_helpers.lora import (
    add_lora,
    merge_lora,
)
from tests.package.lora._models import TARGETS, changed, layer, snapshot, tied, tiny, unchanged, with_lora


def hooked(model):
    model.blocks[1].v_proj.register_forward_hook(lambda *_: None)
    return model


def attention():
    return nn.Sequential(nn.MultiheadAttention(8, 2), nn.TransformerEncoderLayer(8, 2, 8, batch_first=True))


W0 = torch.ones(12, 12)


THERE = re.escape("There are: 'q_proj', 'v_proj', 'up_proj', 'head'.")
ADD = [
    (tiny, {"targets": ["query"]}, ValueError, "must name linear layers of the model; got 'query'. " + THERE),
    (tiny, {"targets": ["q_proj", "proj"]}, ValueError, "got 'proj'. " + THERE),
    (tiny, {"targets": [""]}, ValueError, "got ''. " + THERE),
    (tiny, {"targets": "q_proj"}, TypeError, r"must be a list of names; got 'q_proj'. Pass a list such as"),
    (tiny, {"targets": None}, TypeError, "must be a list of names; got NoneType"),
    (tiny, {"targets": [3]}, TypeError, "must be strings; got int"),
    (tiny, {"targets": []}, ValueError, "must not be empty. " + THERE),
    (tiny, {"targets": ["blocks"]}, TypeError, "'blocks' must be a torch.nn.Linear itself, .* got ModuleList"),
    (tiny, {"targets": ["embedding"]}, TypeError, "'embedding' must be a torch.nn.Linear itself, .* got Embedding"),
    (attention, {"targets": ["out_proj"]}, TypeError, "got NonDynamicallyQuantizableLinear"),
    (attention, {"targets": ["linear1"]}, ValueError, "'1.linear1' must not be a part of torch.nn.TransformerEncoderL"),
    (lambda: nn.ReLU(), {}, ValueError, "got 'q_proj'. There are none"),
    (
        tiny,
        {"rank": 11},
        ValueError,
        r"rank must be between 1 and min\(m, n\) = 10; got 11 for the weight of 'blocks.0.v_",
    ),
    (tiny, {"rank": 0}, ValueError, "rank must be at least 1; got 0"),
    (tiny, {"rank": 2.0}, TypeError, "rank must be an integer; got 2.0"),
    (tiny, {"alpha": 0}, ValueError, "alpha must be finite and above 0 and below 3.40282e[+]38; got 0"),
    (tiny, {"alpha": math.inf}, ValueError, "alpha must be finite and above 0 and below 3.40282e[+]38; got inf"),
    (tiny, {"alpha": 1e39}, ValueError, r"alpha must be .* below 3.40282e[+]38; got 1e[+]39"),
    (tiny, {"alpha": "16"}, TypeError, "alpha must be a real number; got '16'"),
    (tiny, {"dropout": 1.0}, ValueError, "dropout must be finite and at least 0 and below 1; got 1"),
    (tiny, {"dropout": -0.1}, ValueError, "dropout must be finite and at least 0 and below 1; got -0.1"),
    (tiny, {"scaling": "alpha"}, ValueError, r"scaling must be one of 'alpha/rank', 'alpha/sqrt\(rank\)'; got 'alpha'"),
    (tiny, {"init": "zeros"}, ValueError, "init must be one of 'kaiming', 'gaussian', 'pissa', 'olora'; got 'zeros'"),
    (tiny, {"dora": 1}, TypeError, "dora must be True or False; got 1"),
    (tiny, {"name": "a.b"}, ValueError, "name must not be empty, have a dot .* got 'a.b'"),
    (tiny, {"name": ""}, ValueError, "name must not be empty"),
    (tiny, {"name": "keys"}, ValueError, "name must not .* be an attribute of torch.nn.ModuleDict; got 'keys'"),
    (tiny, {"name": 3}, TypeError, "name must be a string; got int"),
    (tiny, {"rng": -1}, ValueError, "rng must be between 0 and .* got -1"),
    (tiny, {"rng": "0"}, TypeError, "rng must be None, an int or a torch.Generator; got str"),
    (
        lambda: changed(tiny(), weight=W0.long()),
        {},
        TypeError,
        "weight of 'blocks.0.q_proj' must be float16.*got torch.int64",
    ),
    (
        lambda: changed(tiny(), weight=W0.to("meta")),
        {},
        ValueError,
        "'blocks.0.q_proj' must hold numbers; .* meta device",
    ),
    (lambda: changed(tiny(), weight=W0 / 0), {"init": "pissa"}, ValueError, "must be finite for init='pissa'"),
    (lambda: changed(tiny(), weight=W0 * 0), {"dora": True}, ValueError, "must have no zero rows for dora=True"),
    (lambda: hooked(tiny()), {}, ValueError, "'blocks.1.v_proj' must have no hooks"),
    (
        lambda: tied(tiny()),
        {"init": "olora"},
        ValueError,
        "weight of blocks.0.q_proj must be its own; it is tied to a Linear",
    ),
    (lambda: with_lora(tiny()), {}, ValueError, "name must be new; got 'default', which the model has"),
    (lambda: with_lora(tiny()), {"name": "b", "targets": ["base"]}, ValueError, "got 'base'. " + THERE),
    (lambda: with_lora(tiny()), {"name": "b", "init": "pissa"}, ValueError, "must be the only one on its layer"),
    (lambda: with_lora(tiny(), init="pissa"), {"name": "b"}, ValueError, "must be the only one on its layer"),
    (
        lambda: merge_lora(with_lora(tiny())),
        {"name": "b"},
        ValueError,
        "no adapter must be merged; got 'default' merged",
    ),
    (lambda: nn.Linear(3, 3), {}, ValueError, "must contain linear layers; got a Linear itself.*torch.nn.Sequential"),
    (layer, {}, ValueError, "must contain linear layers; got a LoRALinear itself"),
]


@pytest.mark.parametrize(("make", "options", "error", "message"), ADD)
def test_add_lora_says_what_is_wrong_and_leaves_the_model_alone(make, options, error, message):
    model, options = make(), {"rank": 2, "alpha": 4, "targets": TARGETS} | options
    before, state = snapshot(model), torch.get_rng_state()
    with pytest.raises(error, match=f"^add_lora: .*{message}"):
        add_lora(model, options.pop("rank"), **options)
    assert unchanged(model, before) and torch.equal(torch.get_rng_state(), state)


def test_a_generator_is_not_drawn_from_by_a_call_that_fails():
    rng = torch.Generator().manual_seed(0)
    state = rng.get_state()
    with pytest.raises(ValueError, match="rank"):
        add_lora(tiny(), 11, alpha=4, targets=TARGETS, rng=rng)
    assert torch.equal(rng.get_state(), state)
