"""Six ways to fine-tune: exactly which parameters are trained, from where, and how an error undoes it all."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from book.margins import close
from lowrank_helpers.lora import LoRALinear
from lowrank_helpers.training import ALL_LINEAR, GPT, GPTConfig, evaluate, losses, prepare
from lowrank_helpers.training.methods import BottleneckAdapter, undone_on_error
from tests.package.training._models import finetune

SIZES = GPTConfig(vocabulary=40, context=8, width=16, heads=2, layers=2, hidden=24)
TOKENS = torch.arange(16).reshape(2, 8)
TEXT = torch.arange(200) * 7 % 40


def gpt(**sizes):
    """A small model with weights large enough to matter, and one frozen parameter, so that freezing is noticed."""
    model = GPT(GPTConfig(**{**vars(SIZES), **sizes}), seed=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 10 if weight.ndim == 2 else 1.5
    model.position_embedding.weight.requires_grad_(False)
    return model


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def snapshot(model):
    """All that a caller can see of a model: its modules, parameters, buffers, modes and gradients."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "modules": {name: (id(module), type(module), module.training) for name, module in model.named_modules()},
        "tensors": {name: (id(x), x.requires_grad, x.grad is None) for name, x in tensors.items()},
        "bits": {name: x.detach().flatten().view(torch.uint8).numpy().tobytes() for name, x in tensors.items()},
        "state": list(model.state_dict()),
        "prompt": model.prompt is None,
    }


METHODS = {
    "full": {},
    "last block": {},
    "adapters": {"bottleneck": 3},
    "prompt": {"prompt_tokens": 5},
    "lora": {"rank": 2},
    "trainable": {},
}
LINEAR = [f"blocks.{i}.{part}_proj" for i in range(2) for part in (
    "attention.q", "attention.k", "attention.v", "attention.o", "mlp.gate", "mlp.up", "mlp.down")]  # fmt: skip


# ------------------------------------------------------------------------------------------------- what is trained


def expected(method, model):
    names = {name for name, _ in model.named_parameters()}
    written = ("attention.o_proj", "mlp.down_proj")
    return {
        "full": names,
        "last block": {n for n in names if n.startswith("blocks.1.")} | {"norm.weight", "head.weight"},
        "adapters": {f"blocks.{i}.{part}.{side}" for i in range(2) for part in written for side in ("down", "up")},
        "prompt": {"prompt"},
        "lora": {f"{layer}.adapters.default.{side}" for layer in LINEAR for side in "AB"},
        "trainable": names - {"position_embedding.weight"},
    }[method]


@pytest.mark.parametrize("method", METHODS)
def test_exactly_these_are_trained(method):
    model = gpt()
    names = expected(method, model)
    assert prepare(model, method, **METHODS[method]) is None
    assert trained(model) == names
    loss = model(TOKENS, TOKENS)
    loss.backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == names


@pytest.mark.parametrize("options", [{}, {"dora": True}, {"init": "pissa"}, {"scaling": "alpha/sqrt(rank)"}], ids=str)
@pytest.mark.parametrize("chunks", [1, 3], ids="{} chunks".format)
def test_an_adapted_head_is_in_the_loss(monkeypatch, options, chunks):
    model = gpt().double()
    prepare(model, "lora", rank=2, targets=["head", "q_proj"], **options)
    monkeypatch.setattr(losses, "ENTRIES", model.config.vocabulary * (TOKENS.numel() // chunks))
    with torch.no_grad():
        model.head.adapters["default"].B.normal_(generator=torch.Generator().manual_seed(0))
    loss, plain = model(TOKENS, TOKENS), F.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.flatten())
    assert close(loss, plain, atol=1e-12)
    adapted = [p for p in model.parameters() if p.requires_grad]
    found, expected = torch.autograd.grad(loss, adapted), torch.autograd.grad(plain, adapted)
    assert all(close(x, y, atol=1e-12) for x, y in zip(found, expected, strict=True))
    assert found[-1].any(), "the head's too"
    frozen = F.cross_entropy(model.hidden_states(TOKENS).flatten(0, 1) @ model.head.weight.T, TOKENS.flatten())
    assert not close(loss, frozen, atol=1e-3), "its weight alone gives another loss"


def test_lora_on_the_head_alone_trains():
    model = gpt()
    before = evaluate(model, TEXT)
    finetune(model, TEXT, method="lora", targets=["head"], rank=2, steps=60, batch_size=4, learning_rate=0.02)
    assert model.head.adapters["default"].B.any() and evaluate(model, TEXT) < before - 0.5


def test_a_hook_on_the_head_is_in_the_loss():
    model = gpt().double()
    before = model(TOKENS, TOKENS)
    model.head.register_forward_hook(lambda module, inputs, logits: 2 * logits)
    plain = F.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.flatten())
    assert close(model(TOKENS, TOKENS), plain, atol=1e-12) and not close(plain, before, atol=1e-4)


@pytest.mark.parametrize(
    ("method", "options", "count"),
    [
        ("adapters", {"bottleneck": 3}, 2 * 2 * 2 * 3 * 16),
        ("prompt", {"prompt_tokens": 5}, 5 * 16),
        ("lora", {"rank": 2}, 2 * 2 * (4 * (16 + 16) + 3 * (16 + 24))),
        ("lora", {"rank": 3, "targets": ["q_proj"]}, 2 * 3 * (16 + 16)),
        ("lora", {"rank": 1, "targets": ["blocks.0.mlp.up_proj", "head"]}, (16 + 24) + (16 + 40)),
        ("lora", {"rank": 2, "targets": ["v_proj"], "dora": True}, 2 * (2 * 32 + 16)),
        ("last block", {}, 4 * 16 * 16 + 3 * 16 * 24 + 3 * 16 + 40 * 16),
    ],
    ids=str,
)
def test_numbers_of_trained_parameters(method, options, count):
    model = gpt()
    prepare(model, method, **options)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


def test_lora_is_on_all_seven_linear_layers_of_a_block_and_passes_its_options_on():
    assert len(ALL_LINEAR) == 7
    model = gpt()
    prepare(model, "lora", rank=3, alpha=5.0, dropout=0.25, scaling="alpha/sqrt(rank)", init="gaussian", dora=True)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}
    assert sorted(layers) == sorted(LINEAR)
    for layer in layers.values():
        assert tuple(layer.adapters["default"].settings) == (3, 5.0, 0.25, "alpha/sqrt(rank)", "gaussian", True)


def test_a_tied_head_is_trained_with_the_last_block():
    model = gpt(tied=True)
    prepare(model, "last block")
    assert model.head.weight.requires_grad and model.embed.weight.requires_grad


# ---------------------------------------------------------------------------------------------------- where it starts


@pytest.mark.parametrize("method", METHODS)
def test_only_a_prompt_changes_what_the_model_says_at_first(method):
    model = gpt()
    before = model(TOKENS)
    prepare(model, method, **METHODS[method])
    after = model(TOKENS)
    if method == "prompt":
        assert (after - before).abs().max() > 0.01
    else:
        assert torch.equal(after, before)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_what_is_taken_out_of_the_weights_is_in_the_adapter(init):
    model = gpt()
    before = model(TOKENS)
    prepare(model, "lora", rank=2, init=init)
    # W − s B A + s B A is rounded a few times, by 2⁻²⁴ of weights of about 1, through two blocks of sums of 24.
    assert close(model(TOKENS), before, atol=1e-4)
    assert not torch.equal(model.blocks[0].attention.q_proj.weight, gpt().blocks[0].attention.q_proj.weight)


def test_an_adapter_is_that_of_houlsby():
    model = gpt()
    prepare(model, "adapters", bottleneck=3)
    layer = model.blocks[0].mlp.down_proj
    assert type(layer) is BottleneckAdapter and type(layer.base) is nn.Linear
    assert (layer.down.shape, layer.up.shape) == ((3, 16), (16, 3)) and not layer.up.any()
    with torch.no_grad():
        layer.up.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(4, 24, generator=torch.Generator().manual_seed(1))
    h = x @ layer.base.weight.T
    z = h @ layer.down.T
    gelu = z * (1 + torch.erf(z / 2**0.5)) / 2
    assert close(layer(x), h + gelu @ layer.up.T, atol=1e-5)  # float32, sums of 24


def test_a_prompt_starts_as_embeddings_of_different_tokens():
    model = gpt()
    prepare(model, "prompt", prompt_tokens=40)
    rows = {tuple(row) for row in model.embed.weight.tolist()}
    assert {tuple(row) for row in model.prompt.tolist()} == rows and len(rows) == 40
    model.prompt.data.zero_()
    assert model.embed.weight.any(), "a copy"


@pytest.mark.parametrize("method", ["adapters", "prompt", "lora"])
def test_a_seed_means_the_same_start(method):
    def start(seed):
        model = gpt()
        prepare(model, method, **METHODS[method], seed=seed)
        return torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])

    before = torch.get_rng_state()
    assert torch.equal(start(0), start(0)) and not torch.equal(start(0), start(1))
    assert torch.equal(torch.get_rng_state(), before), "torch's own generator is left alone"


def test_adapters_of_different_layers_start_differently():
    for method, kind in (("adapters", "down"), ("lora", "A")):
        model = gpt()
        prepare(model, method, **METHODS[method])
        starts = [tuple(p.flatten().tolist()) for name, p in model.named_parameters() if name.endswith(f".{kind}")]
        assert len(set(starts)) == len(starts) > 3


# ---------------------------------------------------------------------------------------------------------- undoing


class Stop(Exception):
    pass


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_an_error_leaves_the_model_as_it_was(method, training):
    model = gpt().train(training)
    before, said = snapshot(model), model(TOKENS)
    with pytest.raises(Stop), undone_on_error(model):
        prepare(model, method, **METHODS[method])
        raise Stop
    assert snapshot(model) == before and torch.equal(model(TOKENS), said)
    prepare(model, method, **METHODS[method])  # nothing of the first try is in the way


@pytest.mark.parametrize("init", ["kaiming", "gaussian", "pissa", "olora"])
@pytest.mark.parametrize("dora", [False, True])
def test_an_error_leaves_the_weights_as_they_were_to_the_bit(init, dora):
    model = gpt()
    before = snapshot(model)
    with pytest.raises(Stop), undone_on_error(model, weights=init in ("pissa", "olora")):
        prepare(model, "lora", rank=2, init=init, dora=dora)
        raise Stop
    assert snapshot(model) == before


def test_an_interrupt_is_an_error_too():
    model = gpt()
    before = snapshot(model)
    with pytest.raises(KeyboardInterrupt), undone_on_error(model):
        prepare(model, "lora")
        raise KeyboardInterrupt
    assert snapshot(model) == before


def test_without_an_error_all_remains():
    model = gpt()
    with undone_on_error(model, weights=True):
        prepare(model, "lora", rank=2, init="pissa")
    assert trained(model) == expected("lora", gpt())
    assert isinstance(model.blocks[0].attention.q_proj, LoRALinear)


def test_an_error_keeps_a_prompt_and_adapters_that_were_there():
    model = gpt()
    prepare(model, "lora", rank=2)
    model.prompt = nn.Parameter(torch.ones(2, 16))
    before = snapshot(model)
    with pytest.raises(ValueError, match="adapters go behind linear layers; o_proj is a LoRALinear"), \
            undone_on_error(model):  # fmt: skip
        prepare(model, "adapters")
    assert snapshot(model) == before


# ------------------------------------------------------------------------------------------------------------- errors


def test_options_are_read_whatever_the_method():
    wrong = {"rank": 0, "alpha": 0, "dropout": 1.0, "scaling": "alpha", "init": "svd", "dora": 1, "seed": -1}
    for name, value in (wrong | {"bottleneck": 0, "prompt_tokens": 0}).items():
        with pytest.raises((TypeError, ValueError), match=f"^prepare: {name} must be "):
            prepare(gpt(), "full", **{name: value})


def test_what_is_there_already_is_not_put_in_twice():
    model = gpt()
    prepare(model, "adapters")
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"^prepare: adapters go behind linear layers; o_proj is a BottleneckAdapter"):
        prepare(model, "adapters")
    assert snapshot(model) == before
    model = gpt()
    prepare(model, "prompt")
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"^prepare: model must have no prompt yet; it has one\. Take a fresh"):
        prepare(model, "prompt")
    assert snapshot(model) == before
    model = gpt()
    prepare(model, "lora")
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"^prepare: name .*'default'"):
        prepare(model, "lora")
    assert snapshot(model) == before


def test_a_frozen_model_has_nothing_to_train():
    model = gpt().requires_grad_(False)
    with pytest.raises(ValueError, match=r"^prepare: a parameter must require a gradient for method 'trainable'"):
        prepare(model, "trainable")


def test_no_model_is_named():
    with pytest.raises(TypeError, match=r"^prepare: model must be a GPT; got Linear\. Make one with GPT"):
        prepare(nn.Linear(2, 2), "full")
