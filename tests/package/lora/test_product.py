"""s B A x and its gradients: the values, the work, the memory."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lowrank_helpers.lora import (
    lora_parameters,
    merge_lora,
)
from tests.package._matrices import PROPERTY
from tests.package.lora._models import (
    EPS,
    dense,
    fill,
    layer,
    near,
    parts,
    with_lora,
)


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
