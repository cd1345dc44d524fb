"""The chunked cross-entropy against torch's, in value, gradients and memory."""

import math
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from book.margins import close
from lowrank_helpers.training import chunked_cross_entropy, losses
from tests.package._matrices import PROPERTY


def arguments(rows=10, words=7, width=5, *, dtype=torch.float64, spread=1.0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    hidden = spread * torch.randn(rows, width, generator=rng, dtype=torch.float64)
    weight = torch.randn(words, width, generator=rng, dtype=torch.float64)
    targets = torch.randint(words, (rows,), generator=rng)
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), targets


def plain(hidden, weight, targets):
    return F.cross_entropy(F.linear(hidden, weight), targets)


def agree(found, exact, bound=1e-13):
    """In float64 to a few hundred roundings of numbers of about 1."""
    return all(close(one, other, atol=bound) for one, other in zip(found, exact, strict=True))


def results(function, hidden, weight, targets, upstream=1.0):
    """Value and both gradients."""
    loss = function(hidden, weight, targets)
    return (loss.detach(), *torch.autograd.grad(loss, (hidden, weight), torch.tensor(upstream, dtype=loss.dtype)))


def chunks_of(entries):
    return mock.patch.object(losses, "ENTRIES", entries)


class Watch(TorchDispatchMode):
    """Notes the names of all operations and the size of the largest tensor that they return."""

    def __init__(self):
        super().__init__()
        self.names, self.largest = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.names.append(function.__name__)
        tensors = result if isinstance(result, tuple | list) else [result]
        self.largest = max(self.largest, *(x.numel() for x in tensors if isinstance(x, torch.Tensor)), 0)
        return result


# -------------------------------------------------------------------------------------------------- value, gradients


@PROPERTY
@given(
    st.integers(1, 40), st.integers(1, 30), st.integers(1, 9), st.integers(1, 400), st.floats(-3, 3), st.floats(0, 100)
)
def test_value_and_gradients_are_torchs_in_chunks_of_any_size(rows, words, width, entries, upstream, spread):
    given_ = arguments(rows, words, width, spread=spread, seed=rows)
    with chunks_of(entries):
        found = results(chunked_cross_entropy, *given_, upstream)
    scale = 1 + spread  # of logits, and of what multiplies P − Y
    for one, other in zip(found, results(plain, *given_, upstream), strict=True):
        assert close(one, other, atol=1e-13 * scale * width * (1 + abs(upstream)))


@pytest.mark.parametrize("entries", [1, 7, 14, 21, 35, 64, 70, 2**22], ids="{} entries".format)
def test_ten_rows_in_chunks(entries):
    given_ = arguments()
    with chunks_of(entries):
        assert agree(results(chunked_cross_entropy, *given_), results(plain, *given_))
        assert torch.autograd.gradcheck(chunked_cross_entropy, given_)


def adapted(hidden, weight, targets):
    """The same by the way that an adapted head takes."""
    return losses.cross_entropy_of(lambda part: F.linear(part, weight), hidden, targets, len(weight))


@pytest.mark.parametrize("function", [chunked_cross_entropy, adapted])
def test_targets_of_minus_100_are_left_out_as_torch_leaves_them_out(function):
    hidden, weight, targets = arguments()
    targets[[0, 3, 4, 9]] = -100
    with chunks_of(14):  # chunks of two rows for one of the functions, of eight for the other
        assert agree(results(function, hidden, weight, targets), results(plain, hidden, weight, targets))
        targets[:] = -100
        found = results(function, hidden, weight, targets)
    assert found[0].isnan() and plain(hidden, weight, targets).isnan(), "a mean of nothing"
    assert targets.eq(-100).all()


def test_a_wrong_target_is_an_error():
    hidden, weight, targets = arguments()
    for wrong in (-1, 7):
        targets[2] = wrong
        with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
            chunked_cross_entropy(hidden, weight, targets)


def test_one_row_and_one_word():
    hidden, weight, targets = arguments(rows=1)
    assert agree(results(chunked_cross_entropy, hidden, weight, targets), results(plain, hidden, weight, targets))
    loss, of_hidden, of_weight = results(chunked_cross_entropy, *arguments(words=1))
    assert loss == 0 and not of_hidden.any() and not of_weight.any()


def test_huge_logits_neither_overflow_nor_become_nan():
    hidden, weight, targets = arguments(dtype=torch.float32, spread=1e6)
    found = results(chunked_cross_entropy, hidden, weight, targets)
    assert all(x.isfinite().all() for x in found)
    assert close(found[0], plain(hidden, weight, targets), rtol=1e-5)


def test_float32_stays_float32():
    found, exact = results(chunked_cross_entropy, *arguments(dtype=torch.float32)), results(plain, *arguments())
    assert {x.dtype for x in found} == {torch.float32}
    # 2⁻²⁴ × logits of about 5 × sums of 10.
    assert agree(found, exact, 5e-6)


def test_a_gradient_can_be_taken_twice_but_not_of_itself():
    hidden, weight, targets = arguments()
    loss = chunked_cross_entropy(hidden, weight, targets)
    one = torch.autograd.grad(loss, hidden, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, hidden, retain_graph=True)[0], one)
    for upstream in (None, torch.tensor(1.0, dtype=torch.float64, requires_grad=True)):
        with pytest.raises(RuntimeError, match=r"^chunked_cross_entropy: a gradient of its gradient is not "):
            torch.autograd.grad(loss, hidden, upstream, create_graph=True)


# ----------------------------------------------------------------------------------------------------- half precision


def rare_words():
    """512 rows over 256 words, of which the second half never comes and is thought unlikely; in float16."""
    hidden, weight, targets = arguments(512, 256, 8, spread=0.3)
    with torch.no_grad():
        hidden[:, 0] = 1.0
        weight[:, 0] = torch.cat([torch.zeros(128), torch.full((128,), -8.0)])
    hidden, weight = (x.detach().half().requires_grad_() for x in (hidden, weight))
    return hidden, weight, targets % 128


def test_float16_with_a_scaled_loss_loses_no_small_gradient():
    hidden, weight, targets = rare_words()
    scale = 1024.0

    def in_float16(hidden, weight, targets):
        """Torch's own, whose gradient of the logits, (P − Y) / N, is float16."""
        return F.cross_entropy(F.linear(hidden, weight).float(), targets)

    exact = results(plain, hidden.double(), weight.double(), targets, scale)
    found = results(chunked_cross_entropy, hidden, weight, targets, scale)
    assert found[1].dtype == found[2].dtype == torch.float16
    rare = exact[2][128:, 0]

    def worst(gradient):
        return float(((gradient[128:, 0].double() - rare) / rare).abs().max())

    # P is at least 2e-6, which float16 rounds by up to 2⁻²⁵ = 3e-8, 1.5 %; the mean of 512, scaled, by 2⁻¹¹ more.
    assert worst(found[2]) < 0.015
    assert close(found[1], exact[1], rtol=0.01, atol=1e-3 * float(exact[1].abs().max()))
    unscaled = results(in_float16, hidden, weight, targets)
    assert worst(unscaled[2] * scale) > 0.9, "of (P − Y) / N nothing is left: 2e-6 / 512 is below 2⁻²⁵"


def test_sums_over_many_tokens_do_not_overflow_float16():
    hidden = torch.tensor([[40.0, 1.0]]).half().repeat(3000, 1).requires_grad_()
    weight = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).half().requires_grad_()
    targets = torch.zeros(3000, dtype=torch.int64)
    found = results(chunked_cross_entropy, hidden, weight, targets)
    exact = results(plain, hidden.double(), weight.double(), targets)
    # The sum of 3000 × 40 × (1 − P) is above 65504, float16's greatest, the mean is not.
    assert close(found[2], exact[2], rtol=2**-7)  # P − Y, its products with 40 and their mean: 2⁻¹¹ each


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_near_what_its_rounded_input_gives_exactly(dtype):
    hidden, weight, targets = arguments(200, 50, 16, dtype=dtype)
    found = results(chunked_cross_entropy, hidden, weight, targets)
    exact = results(plain, hidden.double(), weight.double(), targets)
    eps = torch.finfo(dtype).eps
    assert found[0].dtype == torch.float32 and found[1].dtype == found[2].dtype == dtype
    logit = (hidden @ weight.T).detach().abs().max().item()
    assert close(found[0], exact[0], atol=logit * eps)  # each logit is rounded once, by half of that
    for one, other in zip(found[1:], exact[1:], strict=True):
        # P − Y is off by P times the logit's error and by its own rounding; entries of W and hidden are up to 4.
        assert close(one, other, atol=(2 + logit) * eps * float(other.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_under_autocast_only_the_products_are_rounded(dtype):
    hidden, weight, targets = arguments(200, 50, 16, dtype=torch.float32)
    with torch.autocast("cpu", dtype):
        found = results(chunked_cross_entropy, hidden, weight, targets)
    exact = results(plain, *arguments(200, 50, 16))
    assert {x.dtype for x in found} == {torch.float32}
    logit, eps = (hidden @ weight.T).detach().abs().max().item(), torch.finfo(dtype).eps
    assert found[0] != exact[0] and close(found[0], exact[0], atol=3 * logit * eps)  # hidden, W, logits are rounded
    for one, other in zip(found[1:], exact[1:], strict=True):
        assert close(one, other, atol=(4 + 3 * logit) * eps * float(other.abs().max())) and not (one == other).all()


# ------------------------------------------------------------------------------------------------ memory, needless work


def test_no_tensor_has_the_size_of_all_logits():
    hidden, weight, targets = arguments(256, 64, 4)
    with chunks_of(1000), Watch() as chunked:
        results(chunked_cross_entropy, hidden, weight, targets)
    with Watch() as all_at_once:
        results(plain, hidden, weight, targets)
    assert all_at_once.largest == 256 * 64
    assert chunked.largest == 16 * 64, "256 tokens in 17 chunks, rounded up to eights"


def test_what_is_kept_for_the_backward_pass_is_the_gradient():
    hidden, weight, targets = arguments(256, 64, 4)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        chunked_cross_entropy(hidden, weight, targets)
        assert sorted(kept) == [1, 64 * 4, 256 * 4], "and the number of targets"
        kept.clear()
        chunked_cross_entropy(hidden, weight.detach(), targets)
        assert sorted(kept) == [1, 256 * 4]


@pytest.mark.parametrize("frozen", ["hidden", "weight"])
def test_a_frozen_side_gets_no_gradient_and_costs_no_product(frozen):
    hidden, weight, targets = arguments()
    expected = dict(zip(("hidden", "weight"), results(plain, hidden, weight, targets)[1:], strict=True))
    trained = {"hidden": hidden, "weight": weight}
    trained.pop(frozen).requires_grad_(False)
    with Watch() as watch:
        chunked_cross_entropy(hidden, weight, targets).backward()
    ((name, tensor),) = trained.items()
    assert agree([tensor.grad], [expected[name]]) and {"hidden": hidden, "weight": weight}[frozen].grad is None
    assert sum("mm" in name for name in watch.names) == 2


def test_without_gradients_there_is_one_product():
    given_ = arguments()
    with Watch() as trained:
        chunked_cross_entropy(*given_)
    with torch.no_grad(), Watch() as measured:
        loss = chunked_cross_entropy(*given_)
    assert not loss.requires_grad
    assert [sum("mm" in name for name in watch.names) for watch in (trained, measured)] == [3, 1]
    assert agree([loss], [plain(*given_)])


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("hidden", "targets", "message"),
    [
        ((10, 5), 9, r"targets must hold one token for each of 10 rows; got shape \(9,\)"),
        ((10, 5), 11, r"targets must hold one token for each of 10 rows; got shape \(11,\)"),
        ((2, 5, 5), 10, r"hidden must be a matrix with at least one row; got shape \(2, 5, 5\)"),
        ((0, 5), 0, r"hidden must be a matrix with at least one row; got shape \(0, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(hidden, targets, message):
    with pytest.raises(ValueError, match=rf"^chunked_cross_entropy: {message}\. "):
        chunked_cross_entropy(torch.zeros(hidden), torch.zeros(7, 5), torch.zeros(targets, dtype=torch.int64))


def test_nothing_given_is_changed():
    given_ = arguments()
    before = [x.detach().clone() for x in given_]
    results(chunked_cross_entropy, *given_)
    assert all(map(torch.equal, before, given_))
    assert math.isfinite(float(chunked_cross_entropy(*(x.detach() for x in given_))))
