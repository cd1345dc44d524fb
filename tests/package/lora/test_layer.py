"""A layer with adapters: as a module of torch, with dropout, with DoRA."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    disable_lora,
    load_lora,
    lora_parameters,
    merge_lora,
    save_lora,
    unmerge_lora,
)
from tests.package.lora._models import (
    EPS,
    TARGETS,
    TOKENS,
    dense,
    fill,
    layer,
    near,
    parts,
    tiny,
    with_lora,
)


@pytest.mark.parametrize("dora", [False, True])
def test_a_state_says_what_is_merged_in_its_weights(dora):
    def model():
        return fill(with_lora(tiny(torch.float64), dora=dora, rng=0))

    merged, apart = merge_lora(model()), model()
    y = apart(TOKENS)
    for target, state in ((model(), merged.state_dict()), (merge_lora(model()), apart.state_dict())):
        before = target(TOKENS)
        with pytest.raises(RuntimeError, match=r"q_proj: the state must have merged what the model has.*merge_lora"):
            target.load_state_dict(state)
        assert near(target(TOKENS), before, 1e-12)
    other = merge_lora(fill(with_lora(tiny(torch.float64, seed=3), dora=dora, rng=3), seed=8))
    other.load_state_dict(merged.state_dict())
    assert near(other(TOKENS), y, 1e-12) and near(unmerge_lora(other)(TOKENS), y, 1e-12)
    assert not any(key.endswith("merged") for key in apart.state_dict())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_base_of_16_bits_has_an_adapter_of_32(dtype):
    made = layer(40, 50, 4, dtype=dtype)
    adapter, x = made.adapters["default"], torch.randn(3, 50).to(dtype)
    assert adapter.A.dtype == adapter.B.dtype == torch.float32
    y = made(x)
    y.float().sum().backward()
    assert y.dtype == dtype and adapter.A.grad.dtype == torch.float32
    W, b, A, B, s = parts(made)
    assert near(y, dense(x.double(), W, b, A, B, s), 8 * EPS[dtype] * float(y.detach().abs().max()))
    with pytest.raises(RuntimeError, match="dtype"):
        made(x.float())


def compiled(function, backend):
    torch.compiler.reset()
    return torch.compile(function, backend=backend, fullgraph=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated.*:DeprecationWarning")  # torch's own, while tracing
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("backend", "amp", "dora"), [("eager", True, False), ("aot_eager", False, False), ("aot_eager", True, True)]
)
def test_compiled_it_gives_the_same(backend, amp, dora):
    made = layer(dora=dora)
    x, results = torch.randn(2, 3, 6), []
    for function in (made, compiled(made, backend)):
        made.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            y = function(x)
        y.float().square().sum().backward()
        results.append([y, *(p.grad.clone() for p in lora_parameters(made))])
    # the same products in the same dtype; a compiler may sum in another order
    bound = 8 * EPS[torch.bfloat16 if amp else torch.float32]
    for eager, traced in zip(*results, strict=True):
        assert eager.dtype == traced.dtype and near(eager, traced, bound * float(eager.detach().abs().max()))


def test_a_compiled_model_is_saved_and_loaded_under_the_names_of_its_own(tmp_path):
    model = fill(add_lora(tiny(), 2, alpha=4, targets=TARGETS, rng=0))
    save_lora(torch.compile(model, backend="eager"), tmp_path / "adapter")  # only wrapped here, never run
    assert torch.equal(load_lora(tiny(), tmp_path / "adapter")(TOKENS), model(TOKENS))
    again = load_lora(torch.compile(tiny(), backend="eager"), tmp_path / "adapter")
    assert torch.equal(again._orig_mod(TOKENS), model(TOKENS))


@pytest.mark.parametrize("reentrant", [True, False])
def test_under_activation_checkpointing_it_gives_the_same(reentrant):
    model = fill(add_lora(tiny(), 2, alpha=4, targets=TARGETS, rng=0))
    model(TOKENS).square().sum().backward()
    expected = [p.grad.clone() for p in lora_parameters(model)]
    model.zero_grad()
    x = model.embedding(TOKENS).requires_grad_()
    for block in model.blocks:
        x = checkpoint(block, x, use_reentrant=reentrant)
    model.head(x).square().sum().backward()
    assert all(torch.equal(p.grad, grad) for p, grad in zip(lora_parameters(model), expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 16, 999])
def test_on_a_cpu_a_generator_gives_torchs_own_dropout(dtype, rows):
    x, before = torch.randn(rows, 6).to(dtype).requires_grad_(), torch.get_rng_state()
    made = layer(dropout=0.3, dtype=dtype)
    made.generator = torch.Generator().manual_seed(3)
    y = made(x)
    assert torch.equal(torch.get_rng_state(), before)
    made.generator = None
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = made(x)
    assert torch.equal(y, expected) and not torch.equal(y, made.eval()(x))
    gradients = (torch.autograd.grad(z.float().square().sum(), (x, *lora_parameters(made))) for z in (y, expected))
    assert all(map(torch.equal, *gradients))


def test_dropout_drops_in_front_of_A_in_training_only():
    made = layer(dropout=0.5, dtype=torch.float64)
    W, b, A, B, s = parts(made)
    x = torch.randn(50, 6, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        y = made(x)
        torch.manual_seed(3)
        dropped = F.dropout(x, 0.5)
    assert near(y, F.linear(x, W, b) + s * dropped @ A.T @ B.T, 1e-13)  # 6-term sums of numbers near 1
    assert not near(y, dense(dropped, W, b, A, B, s), 0.1)  # the base sees all of x
    assert near(made.eval()(x), dense(x, W, b, A, B, s), 1e-13)


def test_dora_scales_the_rows_of_the_sum():
    made = layer(dtype=torch.float64, dora=True)
    adapter = made.adapters["default"]
    W, b, _, _, s = parts(made)
    assert near(adapter.magnitude, W.norm(dim=1), 1e-14)
    with torch.no_grad():
        adapter.magnitude.mul_(torch.linspace(0.5, 2, 5, dtype=torch.float64))
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    made(x).square().sum().backward()
    wide = [t.detach().clone().requires_grad_() for t in (x, adapter.A, adapter.B, adapter.magnitude)]
    V = W + s * wide[2] @ wide[1]
    y = F.linear(wide[0], (wide[3] / V.norm(dim=1).detach())[:, None] * V, b)
    y.square().sum().backward()
    assert near(made(x), y, 1e-13)  # 6-term sums of numbers near 1
    for got, oracle in zip((x, adapter.A, adapter.B, adapter.magnitude), wide, strict=True):
        assert near(got.grad, oracle.grad, 1e-12)
    through = [t.detach().clone().requires_grad_() for t in wide]
    V = W + s * through[2] @ through[1]  # negative control: the gradient also through the lengths
    F.linear(through[0], (through[3] / V.norm(dim=1))[:, None] * V, b).square().sum().backward()
    assert not near(adapter.A.grad, through[1].grad, 1e-3)


@pytest.mark.parametrize("init", ["kaiming", "pissa"])
def test_dora_starts_at_the_base_and_merges(init):
    model, before = tiny(torch.float64), tiny(torch.float64)
    add_lora(model, 2, alpha=4, targets=TARGETS, dora=True, init=init, rng=0)
    assert near(model(TOKENS), before(TOKENS), 1e-13)
    assert len(lora_parameters(model)) == 18  # A, B and the magnitude of six layers
    fill(model)
    y, W = model(TOKENS), model.blocks[0].q_proj.weight.clone()
    merge_lora(model)
    assert near(model(TOKENS), y, 1e-12) and not near(y, before(TOKENS), 1e-2)
    unmerge_lora(model)
    assert near(model(TOKENS), y, 1e-12) and near(model.blocks[0].q_proj.weight, W, 1e-13)


def test_dora_takes_lengths_in_float32_also_under_autocast():
    weights = []
    for amp in (False, True):
        model = fill(add_lora(tiny(), 2, alpha=4, targets=["q_proj"], dora=True, rng=0))
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            weights.append(merge_lora(model).blocks[0].q_proj.weight)
    assert near(*weights, 4 * EPS[torch.float32])  # the same numbers below 1, to rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])  # of the base; the magnitude is in float32
def test_dora_under_autocast_a_magnitude_moves_its_row_by_as_much(dtype):
    """The factor of a row, here 1.01, rounds to 1.0078 in bfloat16; so it must be multiplied before the rounding."""
    made, x = layer(8, 64, dtype=dtype, bias=False, dora=True), torch.randn(1000, 64)
    adapter = made.adapters["default"]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        adapter.magnitude.copy_(adapter.magnitude / made._row_scale(adapter))  # the rows' own lengths: the factor is 1
        before = made(x)
        adapter.magnitude.mul_(1.01)
        after = made(x)
    assert before.dtype == after.dtype == torch.bfloat16
    for factor, least, most in ((1.01, 0.98, 1.0), (torch.tensor(1.01, dtype=torch.bfloat16).float(), 0.0, 0.8)):
        share = float((after == (before.float() * factor).to(torch.bfloat16)).float().mean())
        assert least <= share <= most


def test_a_copy_a_state_and_a_move_keep_the_layer():
    for init in ("kaiming", "pissa", "olora"):
        model = fill(add_lora(tiny(), 2, alpha=4, targets=TARGETS, init=init, rng=0))
        assert all(parameter.is_contiguous() for parameter in model.parameters())  # or safetensors would refuse it
        y = model(TOKENS)
        twin = copy.deepcopy(model)
        assert torch.equal(twin(TOKENS), y)
        assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in model.parameters()}
        fresh = add_lora(tiny(seed=9), 2, alpha=4, targets=TARGETS, init=init, rng=7)
        assert not near(fresh(TOKENS), y, 1e-3)
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(TOKENS), y)
        with disable_lora(fresh), disable_lora(model):
            assert torch.equal(fresh(TOKENS), model(TOKENS))
        assert near(model.double()(TOKENS), y, 1e-4) and model(TOKENS).dtype == torch.float64
        assert model.to(torch.bfloat16)(TOKENS).dtype == torch.bfloat16
    meta = layer().to("meta")
    assert meta(torch.ones(2, 6, device="meta")).shape == (2, 5)


def test_a_merged_copy_unmerges():
    model = fill(add_lora(tiny(torch.float64), 2, alpha=4, targets=TARGETS, dora=True, rng=0))
    y = model(TOKENS)
    twin = copy.deepcopy(merge_lora(model))
    assert near(unmerge_lora(twin)(TOKENS), y, 1e-12) and model.blocks[0].q_proj.merged == "default"


def test_the_layer_takes_over_the_mode_and_follows_it():
    model = add_lora(tiny().eval(), 2, alpha=4, targets=TARGETS, dropout=0.5)
    assert not any(module.training for module in model.modules())
    model.train()
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("base", "options", "error", "message"),
    [
        (nn.ReLU(), {}, TypeError, "base must be a torch.nn.Linear itself, not a subclass; got ReLU"),
        (nn.Linear(4, 3), {"rank": 4}, ValueError, r"between 1 and min\(m, n\) = 3; got 4 for the weight of base"),
        (nn.Linear(4, 3), {"alpha": -1}, ValueError, "alpha must be finite and above 0 and below 3.4.*; got -1"),
        (nn.Linear(4, 3), {"dropout": 1}, ValueError, "dropout must be"),
        (nn.Linear(4, 3), {"scaling": "r"}, ValueError, "scaling must be one of"),
        (nn.Linear(4, 3), {"name": ""}, ValueError, "name must not be empty"),
        (nn.Linear(4, 3, device="meta"), {}, ValueError, "the weight of base must hold numbers"),
    ],
)
def test_the_layer_says_what_is_wrong(base, options, error, message):
    options = {"rank": 2, "alpha": 4} | options
    with pytest.raises(error, match=f"^LoRALinear: .*{message}"):
        LoRALinear(base, options.pop("rank"), **options)
    assert all(p.requires_grad for p in base.parameters())
