"""LoRA layers and models: the formula as oracle, shapes at random, wrong variants, and a message for each misuse."""

import copy
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from lowrank_helpers.lora import (
    LoRALinear,
    add_lora,
    disable_lora,
    load_lora,
    lora_parameters,
    merge_lora,
    save_lora,
    set_adapter,
    unmerge_lora,
)
from lowrank_helpers.svd import reconstruct, truncated_svd
from tests._matrices import PROPERTY
from tests.margins import close, within

EPS = {dtype: torch.finfo(dtype).eps for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16)}


@pytest.fixture(autouse=True)
def seeded():
    """The same random inputs in every run; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Block(nn.Module):
    """A residual block whose linear layers have the usual names."""

    def __init__(self, width, dtype):
        super().__init__()
        self.q_proj = nn.Linear(width, width, dtype=dtype)
        self.v_proj = nn.Linear(width, width - 2, bias=False, dtype=dtype)
        self.up_proj = nn.Linear(width - 2, width, dtype=dtype)

    def forward(self, x):
        return x + self.up_proj(torch.tanh(self.v_proj(torch.tanh(self.q_proj(x)))))


class Tiny(nn.Module):
    """Two blocks between an embedding and a head."""

    def __init__(self, width=12, dtype=torch.float32):
        super().__init__()
        self.embedding = nn.Embedding(7, width, dtype=dtype)
        self.blocks = nn.ModuleList([Block(width, dtype), Block(width, dtype)])
        self.head = nn.Linear(width, 5, dtype=dtype)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


TARGETS = ["q_proj", "v_proj", "up_proj"]
TOKENS = torch.tensor([[0, 3, 6], [1, 1, 5]])


def tiny(dtype=torch.float32, seed=0):
    """A model with random weights; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Tiny(dtype=dtype)


def fill(model, seed=1, size=0.3):
    """Random numbers added to the active adapter's B, which starts at 0."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key.endswith(".B") and p.requires_grad:
                p.add_(size * torch.randn(p.shape, generator=rng).to(p.dtype))
    return model


def layer(m=5, n=6, rank=2, *, dtype=torch.float32, bias=True, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        base = nn.Linear(n, m, bias=bias, dtype=dtype)
    return fill(LoRALinear(base, rank, **({"alpha": 3.0, "rng": seed} | options)), seed + 1)


def parts(made, name="default"):
    """W, b, A, B, s of a layer, in float64."""
    adapter = made.adapters[name]
    wide = [None if t is None else t.detach().clone().double() for t in (made.weight, made.bias, adapter.A, adapter.B)]
    return (*wide, adapter.settings.scale)


def dense(x, W, b, A, B, s):
    """The oracle: the sum formed, then one product."""
    return F.linear(x, W + s * B @ A, b)


def near(X, Y, bound):
    return close(X, Y, atol=bound)


def snapshot(model):
    """All that a failed call must leave alone."""
    modules = [(path, type(module), module.training) for path, module in model.named_modules()]
    tensors = [(key, t, t.detach().clone(), t.requires_grad) for key, t in model.state_dict(keep_vars=True).items()]
    layers = [(m.active, m.merged, m.enabled) for m in model.modules() if isinstance(m, LoRALinear)]
    return modules, tensors, layers


def unchanged(model, before):
    modules, tensors, layers = snapshot(model)
    return (modules, layers) == (before[0], before[2]) and all(
        (key, t.requires_grad) == (key0, grad0)
        and (t is t0 or key.endswith(".merged"))  # a name, written anew into each state
        and (t.is_meta or torch.equal(t.nan_to_num(7), value0.nan_to_num(7)))
        for (key, t, _, _), (key0, t0, value0, grad0) in zip(tensors, before[1], strict=True)
    )


# ------------------------------------------------------------------------------------------------- forward, backward


@PROPERTY
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([(), (1,), (4,), (0,), (2, 3), (2, 1, 3)]),
    st.booleans(),
    st.sampled_from([torch.float64, torch.float32]),
    st.sampled_from(["alpha/rank", "alpha/sqrt(rank)"]),
    st.integers(0, 99),
)
def test_forward_and_gradients_are_those_of_the_sum(m, n, rank, leading, bias, dtype, scaling, seed):
    rank = min(rank, m, n)
    made = layer(m, n, rank, dtype=dtype, bias=bias, scaling=scaling, seed=seed, init="gaussian")
    W, b, A, B, s = parts(made)
    assert s == 3.0 / (rank if scaling == "alpha/rank" else math.sqrt(rank))
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(*leading, n, generator=rng).to(dtype)
    dy = torch.randn(*leading, m, generator=rng).to(dtype)
    wide = [t.double().requires_grad_() for t in (x, A, B)]
    expected = dense(wide[0], W, b, wide[1], wide[2], s)
    expected.backward(dy.double())
    x = x.requires_grad_()
    y = made(x)
    y.backward(dy)
    adapter = made.adapters["default"]
    # two sums of at most 9 terms in each result, four in the gradients of A and B over at most 6 rows
    largest = max([1.0, *(float(t.abs().max()) for t in (expected.detach(), *(t.grad for t in wide)) if t.numel())])
    bound = 20 * EPS[dtype] * max(m, n) * largest
    assert y.dtype == dtype and near(y, expected, bound)
    for got, oracle in zip((x, adapter.A, adapter.B), wide, strict=True):
        assert got.grad.dtype == dtype and near(got.grad, oracle.grad, bound)
    assert made.weight.grad is None and (made.bias is None or made.bias.grad is None)


def test_gradcheck_in_float64():
    made = layer(dtype=torch.float64)
    adapter, x = made.adapters["default"], torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, A, B: made(x), (x, adapter.A, adapter.B))


class Products(TorchDispatchMode):
    """Counts the matrix products that run."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("xAB", 5), ("AB", 3), ("A", 2), ("B", 2), ("x", 3)],
)
def test_backward_computes_only_what_is_asked_for(wanted, expected):
    made = layer()
    adapter = made.adapters["default"]
    adapter.A.requires_grad_("A" in wanted)
    adapter.B.requires_grad_("B" in wanted)
    y = made(torch.randn(3, 6, requires_grad="x" in wanted))
    with Products() as products:
        y.sum().backward()
    assert products.count == expected  # dy B, dy W, g A; gᵀ x; dyᵀ h


def test_keeps_the_input_and_its_product_with_A_and_nothing_else():
    made, kept = layer(), []
    x = torch.randn(4, 7, 6, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        made(x)
    own = {p.data_ptr() for p in made.parameters()}
    kept = [t for t in kept if t.data_ptr() not in own]
    assert sorted(tuple(t.shape) for t in kept) == [(2, 28), (28, 6)]
    assert x.data_ptr() in {t.data_ptr() for t in kept}


def test_an_unfrozen_base_gets_its_gradient():
    made = layer(dtype=torch.float64)
    made.base.requires_grad_(True)
    x = torch.randn(3, 6, dtype=torch.float64)
    made(x).sum().backward()
    assert near(made.weight.grad, x.sum(0).expand(5, 6), 1e-14)  # the same three terms, in another order
    assert torch.equal(made.bias.grad, torch.full_like(made.bias, 3))


def test_a_gradient_of_a_gradient_is_that_of_the_sum():
    made = layer(dtype=torch.float64)
    adapter, x = made.adapters["default"], torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, A, B: made(x), (x, adapter.A, adapter.B))
    found = []
    for y in (made(x), dense(x, made.weight, made.bias, adapter.A, adapter.B, adapter.settings.scale)):
        (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)  # a gradient penalty
        found.append(torch.autograd.grad(dx.square().sum(), (x, adapter.A, adapter.B)))
    assert all(near(ours, plain, 1e-10 * float(plain.abs().max())) for ours, plain in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own, where it is first used
@pytest.mark.parametrize("dora", [False, True])
def test_torchs_function_transforms_run_through_it(dora):
    made = layer(dtype=torch.float64, dora=dora)
    plain, x = made.base, torch.randn(4, 6, dtype=torch.float64)
    W = merge_lora(nn.Sequential(copy.deepcopy(made)))[0].weight  # the same function, as one layer
    value = lambda z: made(z).tanh().sum()  # noqa: E731
    oracle = lambda z: F.linear(z, W, plain.bias).tanh().sum()  # noqa: E731
    for transform in (
        torch.func.grad,
        lambda f: torch.func.vmap(torch.func.grad(f)),
        torch.func.vmap,
        lambda f: lambda z: torch.func.jvp(f, (z,), (torch.ones_like(z),))[1],
        torch.func.hessian,
    ):
        assert near(transform(value)(x), transform(oracle)(x), 1e-12)
    with torch.autograd.forward_ad.dual_level():
        duals = [f(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))) for f in (value, oracle)]
        assert near(*(torch.autograd.forward_ad.unpack_dual(dual).tangent for dual in duals), 1e-12)


def test_gradients_of_each_example_by_vmap():
    model, x = with_lora(nn.Sequential(nn.Linear(6, 5)), targets=["0"], rng=0), torch.randn(4, 6)
    fill(model)
    weights = {key: p.detach() for key, p in model.named_parameters() if p.requires_grad}
    one = torch.func.grad(lambda given, row: torch.func.functional_call(model, given, (row,)).square().sum())
    found = torch.func.vmap(one, (None, 0))(weights, x)
    for i, row in enumerate(x):
        expected = torch.autograd.grad(model(row).square().sum(), lora_parameters(model))
        assert all(near(found[key][i], grad, 1e-4) for key, grad in zip(weights, expected, strict=True))


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


def test_the_output_may_be_changed_in_place():
    made, x = layer(), torch.randn(2, 3, 6, requires_grad=True)
    expected = torch.relu(made(x)).sum()
    expected.backward()
    grad, x.grad = x.grad, None
    torch.relu_(made(x)).sum().backward()
    assert torch.equal(x.grad, grad)


def test_under_autocast_products_are_rounded_and_gradients_are_not():
    made = layer(40, 50, 4)
    adapter, x = made.adapters["default"], torch.randn(3, 50, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16 and x.grad.dtype == adapter.A.grad.dtype == adapter.B.grad.dtype == torch.float32
    W, b, A, B, s = parts(made)
    wide = [t.detach().double().requires_grad_() for t in (x, A, B)]
    expected = dense(wide[0], W, b, wide[1], wide[2], s)
    expected.sum().backward()
    for got, oracle in (
        (y, expected),
        *zip((x.grad, adapter.A.grad, adapter.B.grad), (t.grad for t in wide), strict=True),
    ):
        # a few roundings to bfloat16, each relative to terms that are no larger than 8 times the largest result
        assert near(got, oracle, 8 * EPS[torch.bfloat16] * float(oracle.detach().abs().max()))
    assert not near(y, expected, 1e-4)  # it was computed in bfloat16


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


# --------------------------------------------------------------------------------------------------------------- DoRA


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


# ------------------------------------------------------------------------------------------------------ how it starts


@pytest.mark.parametrize("init", ["kaiming", "gaussian"])
def test_A_has_its_distribution_and_B_is_zero(init):
    base = nn.Linear(400, 300)
    adapter = LoRALinear(base, 25, alpha=1, init=init, rng=0).adapters["default"]
    A = adapter.A.detach()
    spread = 1 / math.sqrt(3 * 400) if init == "kaiming" else 1 / 25
    # of 10 000 draws the standard deviation is off by 0.7 % at one sigma, the mean by 1 % of the spread
    assert close(float(A.std()), spread, rtol=0.04) and within(abs(float(A.mean())), 0.06 * spread)
    largest = float(A.abs().max())
    assert 0.999 / 20 < largest <= 1 / 20 if init == "kaiming" else 3 / 25 < largest < 6 / 25
    assert not adapter.B.any()


def test_a_seed_gives_the_same_A_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    made = [LoRALinear(nn.utils.skip_init(nn.Linear, 6, 4, dtype=d), 2, alpha=1, rng=5) for d in EPS]
    A = [m.adapters["default"].A.detach().float() for m in made]
    assert all(torch.equal(a, A[0]) for a in A)
    fresh = [LoRALinear(made[0].base, 2, alpha=1).adapters["default"].A for _ in range(2)]
    assert not torch.equal(*fresh)
    drawn = torch.Generator().manual_seed(5)
    two = [LoRALinear(made[0].base, 2, alpha=1, rng=drawn).adapters["default"].A.float() for _ in range(2)]
    assert torch.equal(two[0], A[0]) and not torch.equal(two[1], A[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_layers_of_a_model_draw_one_after_another():
    model = add_lora(tiny(), 2, alpha=4, targets=TARGETS, rng=0)
    again = add_lora(tiny(), 2, alpha=4, targets=TARGETS[::-1], rng=0)
    first, second = (block.q_proj.adapters["default"].A for block in model.blocks)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(lora_parameters(model), lora_parameters(again), strict=True))


def best(W, rank):
    return torch.from_numpy(reconstruct(truncated_svd(W.numpy(), rank)))


def leading_qr(W, rank):
    Q, R = np.linalg.qr(W.numpy())
    return torch.from_numpy(Q[:, :rank] @ R[:rank])


@PROPERTY
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["pissa", "olora"]), st.integers(0, 99))
def test_pissa_and_olora_take_their_part_out_of_the_base(m, n, rank, init, seed):
    rank, rng = min(rank, m, n), np.random.default_rng(seed)
    base = nn.Linear(n, m, dtype=torch.float64)
    W = torch.from_numpy(rng.standard_normal((m, n)))
    with torch.no_grad():
        base.weight.copy_(W)
    made = LoRALinear(base, rank, alpha=3, init=init, scaling="alpha/sqrt(rank)")
    kept, _, A, B, s = parts(made)
    bound = 100 * EPS[torch.float64] * max(m, n) * float(torch.linalg.norm(W, 2))
    if init == "pissa":
        assert near(s * B @ A, best(W, rank), 1e3 * bound)  # near-ties of singular values: a gap of 1e-3
        assert near(B.T @ B, A @ A.T, bound)  # the roots of the singular values on both sides
    else:
        assert near(B @ A, leading_qr(W, rank), bound)
        assert near(B.T @ B, torch.eye(rank, dtype=torch.float64), bound)
    assert near(kept + s * B @ A, W, bound)
    assert not near(kept, W, 1e-3)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_switched_off_pissa_and_olora_are_the_model_before(init):
    model, before = tiny(torch.float64), tiny(torch.float64)
    add_lora(model, 3, alpha=4, targets=TARGETS, init=init)
    assert near(model(TOKENS), before(TOKENS), 1e-13)
    fill(model)
    assert not near(model(TOKENS), before(TOKENS), 1e-2)
    with disable_lora(model):
        assert near(model(TOKENS), before(TOKENS), 1e-13)


# ------------------------------------------------------------------------------------------------------------- models


def adapted(model):
    return [path for path, module in model.named_modules() if isinstance(module, LoRALinear)]


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


def test_several_adapters_are_switched_between():
    model = tiny(torch.float64)
    plain = model(TOKENS)
    fill(add_lora(model, 2, alpha=4, targets=["q_proj"], name="first"), 1)
    first = model(TOKENS)
    fill(add_lora(model, 1, alpha=5, targets=["v_proj", "head"], name="second", scaling="alpha/sqrt(rank)"), 2)
    assert model.blocks[0].q_proj.active is None and model.head.active == "second"
    second = model(TOKENS)
    assert not near(first, plain, 1e-3) and not near(second, plain, 1e-3) and not near(first, second, 1e-3)
    for name, expected in (("first", first), ("second", second), ("first", first)):
        assert set_adapter(model, name) is model
        assert torch.equal(model(TOKENS), expected)
        assert {id(p) for p in lora_parameters(model)} == {id(p) for p in model.parameters() if p.requires_grad}
        assert all(f".{name}." in key for key, p in model.named_parameters() if p.requires_grad)
    merge_lora(model)
    assert near(model(TOKENS), first, 1e-12) and model.head.merged is None


def test_disabled_blocks_nest_and_end_with_an_exception():
    model = tiny()
    plain = model(TOKENS)
    fill(add_lora(model, 2, alpha=4, targets=TARGETS))
    y = model(TOKENS)
    with pytest.raises(KeyError), disable_lora(model):
        with disable_lora(model):
            assert torch.equal(model(TOKENS), plain)
        assert torch.equal(model(TOKENS), plain)
        raise KeyError
    assert torch.equal(model(TOKENS), y)


# ------------------------------------------------------------------------------------------------------------ merging


@pytest.mark.parametrize("dtype", list(EPS))
@pytest.mark.parametrize("careless", [False, True])
def test_the_merged_weight_is_the_sum_rounded_once(dtype, careless):
    model = fill(add_lora(tiny(dtype), 3, alpha=4, targets=["q_proj"], rng=0))
    q = model.blocks[0].q_proj
    W, _, A, B, s = parts(q)
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium" if careless else "highest")
        with torch.autocast("cpu", torch.bfloat16, enabled=careless):
            merge_lora(model)
    finally:
        torch.set_float32_matmul_precision(precision)
    assert q.weight.dtype == dtype
    # in float64 the order of two roundings is left open; of numbers below 1
    assert near(q.weight, (W + s * (B @ A)).to(dtype), 4 * EPS[dtype] if dtype == torch.float64 else 0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_merged_the_model_does_the_same_and_unmerging_brings_it_back(dtype):
    model = fill(add_lora(tiny(dtype), 3, alpha=4, targets=TARGETS, rng=0))
    weights = {path: model.get_submodule(path).weight.clone() for path in adapted(model)}
    y = model(TOKENS)
    assert merge_lora(model) is model
    assert near(model(TOKENS), y, 1e3 * EPS[dtype])  # six layers of 12-term sums of numbers near 1
    assert unmerge_lora(model) is model
    assert all(near(model.get_submodule(path).weight, W, 4 * EPS[dtype]) for path, W in weights.items())
    assert near(model(TOKENS), y, 1e3 * EPS[dtype])
    merge_lora(model, unload=True)
    assert adapted(model) == [] and type(model.blocks[0].q_proj) is nn.Linear
    assert near(model(TOKENS), y, 1e3 * EPS[dtype])
    assert set(model.state_dict()) == set(tiny().state_dict())


def test_in_bfloat16_unmerging_does_not_bring_every_entry_back():
    rng = torch.Generator().manual_seed(0)
    base = nn.Linear(384, 384, bias=False, dtype=torch.bfloat16)
    with torch.no_grad():
        base.weight.copy_(0.02 * torch.randn(384, 384, generator=rng))
    model = fill(add_lora(nn.Sequential(base), 8, alpha=8, targets=["0"], rng=rng))
    W, _, A, B, s = parts(model[0])
    with torch.no_grad():
        model[0].adapters["default"].B.mul_(0.1 * W.norm() / (s * (B @ A).norm()))
    unmerge_lora(merge_lora(model))
    changed = float((model[0].weight.double() != W).double().mean())
    assert 0.07 < changed < 0.08  # the docstring says 7.5 %


# ------------------------------------------------------------------------------------------------- life of a module


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


# ------------------------------------------------------------------------------------------------------------- misuse


def changed(model, **tensors):
    """The model with other weights in its first q_proj."""
    q = model.blocks[0].q_proj
    for key, t in tensors.items():
        setattr(q, key, nn.Parameter(t, requires_grad=t.is_floating_point()))
    return model


def hooked(model):
    model.blocks[1].v_proj.register_forward_hook(lambda *_: None)
    return model


def tied(model):
    model.blocks[0].q_proj.weight = model.blocks[1].q_proj.weight
    return model


def with_lora(model, **options):
    return add_lora(model, 2, **({"alpha": 4, "targets": ["q_proj"]} | options))


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


def spoiled(model):
    with torch.no_grad():
        model.blocks[1].q_proj.adapters["default"].A[0, 0] = math.nan
    return model


def once_merged():
    return merge_lora(with_lora(tiny()))


MISUSE = [
    (lora_parameters, tiny, ValueError, "lora_parameters: model must have adapters; .* Call add_lora first"),
    (merge_lora, tiny, ValueError, "merge_lora: model must have adapters"),
    (unmerge_lora, tiny, ValueError, "unmerge_lora: model must have adapters"),
    (lora_parameters, list, TypeError, "lora_parameters: model must be a torch.nn.Module; got list"),
    (lambda m: add_lora(m, 2, alpha=4, targets=["0"]), list, TypeError, "add_lora: model must be a torch.nn.Module"),
    (
        merge_lora,
        once_merged,
        ValueError,
        "merge_lora: no adapter must be merged; got 'default' merged. Call unmerge",
    ),
    (lambda m: merge_lora(m, unload=True), once_merged, ValueError, "merge_lora: no adapter must be merged"),
    (lambda m: merge_lora(m, unload=1), lambda: with_lora(tiny()), TypeError, "unload must be True or False; got 1"),
    (lambda m: merge_lora(m, unload=True), layer, ValueError, "got a LoRALinear itself"),
    (merge_lora, lambda: spoiled(with_lora(tiny())), ValueError, "'default' must be finite; got NaN or infinite"),
    (merge_lora, lambda: with_lora(tied(tiny())), ValueError, "must be its own; it is tied to a Linear"),
    (unmerge_lora, lambda: with_lora(tiny()), ValueError, "unmerge_lora: an adapter must be merged; got none"),
    (lambda m: set_adapter(m, "x"), lambda: with_lora(tiny()), ValueError, "got 'x'. There are: 'default'"),
    (lambda m: set_adapter(m, None), lambda: with_lora(tiny()), ValueError, "got None. There are: 'default'"),
    (lambda m: set_adapter(m, "default"), once_merged, ValueError, "set_adapter: no adapter must be merged"),
    (lambda m: disable_lora(m).__enter__(), once_merged, ValueError, "disable_lora: no adapter must be merged"),
    (lambda m: save_lora(m, "folder"), tiny, ValueError, "save_lora: model must have adapters"),
]


@pytest.mark.parametrize(("call", "make", "error", "message"), MISUSE)
def test_the_others_say_what_is_wrong_and_leave_the_model_alone(call, make, error, message):
    model = make()
    before = snapshot(model) if isinstance(model, nn.Module) else None
    with pytest.raises(error, match=message):
        call(model)
    assert before is None or unchanged(model, before)


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


def test_merging_is_refused_where_adapters_are_disabled():
    model = with_lora(tiny())
    with disable_lora(model), pytest.raises(ValueError, match="merge_lora: adapters must be enabled"):
        merge_lora(model)
