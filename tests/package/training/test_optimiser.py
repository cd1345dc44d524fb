"""Steps by hand, and steps in 16 bits."""

import functools
import json
import math

import pytest
import torch
import torch.nn.functional as F

from book.margins import close, within
from lowrank_helpers.training import evaluate
from lowrank_helpers.training.corpus import Batches
from tests.package.training._models import HAMLET, PORTIA, bits, distance, finetune, gpt, pretrain, whole


def by_hand(model, text, *, steps, batch_size, seed, peak, warmup, final, decay, betas, clip):
    """Loshchilov and Hutter 2019, algorithm 2, in float64, after Pascanu et al. 2013, algorithm 1."""
    sequences, moments, norms = Batches(torch.frombuffer(bytearray(text), dtype=torch.uint8), 8, seed), {}, []
    for t in range(1, steps + 1):
        tokens, targets = sequences((t - 1) * batch_size, batch_size)
        model.zero_grad()
        F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten()).backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        norms.append(math.sqrt(sum(g.square().sum().item() for g in gradients.values())))
        done = (t - warmup) / (steps - warmup) if t > warmup else None
        rate = peak * t / warmup if done is None else peak * (final + (1 - final) * (1 + math.cos(math.pi * done)) / 2)
        for name, p in model.named_parameters():
            g = gradients[name] * min(1, clip / (norms[-1] + 1e-6))
            m, v = moments.get(name, (0, 0))
            m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g.square()
            moments[name] = m, v
            update = (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)).sqrt() + 1e-8)
            with torch.no_grad():
                p -= rate * update + rate * (decay if p.ndim > 1 else 0) * p
    return norms


@pytest.mark.parametrize("clip", [0.05, 1.5, 1e9], ids="clip {}".format)
def test_steps_are_those_of_adamw_written_by_hand(clip):
    model, reference = gpt().double(), gpt().double()
    result = pretrain(
        model, HAMLET, steps=5, batch_size=4, seed=3, learning_rate=0.02, warmup=2, final_learning_rate=0.25,
        weight_decay=0.3, betas=(0.8, 0.9), clip=clip,
    )  # fmt: skip
    norms = by_hand(
        reference, HAMLET, steps=5, batch_size=4, seed=3, peak=0.02, warmup=2, final=0.25, decay=0.3, betas=(0.8, 0.9),
        clip=clip,
    )  # fmt: skip
    # In float64: 2⁻⁵³ of sums of hundreds of terms. Torch, too, adds 1e-6 to the norm before it clips.
    assert within(distance(model, reference), 1e-12) and distance(model, gpt().double()) > 0.01
    assert close([record["gradient_norm"] for record in result.log], norms, rtol=4e-6)
    assert min(norms) < 1.5 < max(norms), "the middle bound clips some steps and not others"


def test_four_batches_of_two_make_a_step_as_one_of_eight_does():
    one, four = gpt(), gpt()
    settings = {"steps": 4, "learning_rate": 1e-2, "validation": PORTIA}
    single = pretrain(one, HAMLET, batch_size=8, **settings)
    several = pretrain(four, HAMLET, batch_size=2, accumulate=4, **settings)
    # Gradients differ by 2⁻²⁴ of their sums' terms; Adam's steps, of up to 1e-2 each, magnify that where they cancel.
    assert within(distance(one, four), 2e-5)
    for a, b in zip(single.log, several.log, strict=True):
        assert a["tokens"] == b["tokens"] == a["step"] * 64
        assert close(a["loss"], b["loss"], rtol=1e-5)
        assert close(a["gradient_norm"], b["gradient_norm"], rtol=1e-4)
    precise, precisely = gpt().double(), gpt().double()
    pretrain(precise, HAMLET, batch_size=8, **settings)
    pretrain(precisely, HAMLET, batch_size=2, accumulate=4, **settings)
    assert within(distance(precise, precisely), 1e-12)  # and in float64 2⁻⁵³ in place of 2⁻²⁴


@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.02), ("float16", 0.002)])
def test_half_precision_trains_on_a_cpu_and_comes_near_float32(precision, near):
    exact, rounded = gpt(), gpt()
    settings = {"steps": 30, "batch_size": 8, "learning_rate": 1e-2, "validation": HAMLET}
    expected = pretrain(exact, HAMLET, precision="float32", **settings)
    found = pretrain(rounded, HAMLET, precision=precision, **settings)
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}
    # Logits are rounded by 2⁻⁸ or 2⁻¹¹ of some units, and training feeds that back thirty times.
    assert found.validation != expected.validation and found.validation < 0.7 * 5.5
    assert close(found.validation, expected.validation, atol=near)
    assert close(found.log[0]["gradient_norm"], expected.log[0]["gradient_norm"], rtol=near)
    assert close(found.validation, evaluate(rounded, HAMLET, precision=precision), rtol=1e-6)
    assert evaluate(rounded, HAMLET, precision=precision) != evaluate(rounded, HAMLET)


def test_on_a_cpu_auto_is_float32():
    one, other = gpt(), gpt()
    pretrain(one, HAMLET, steps=2, batch_size=2)
    pretrain(other, HAMLET, steps=2, batch_size=2, precision="float32")
    assert bits(one) == bits(other) and evaluate(one, HAMLET) == evaluate(one, HAMLET, precision="float32")


def scaled_by(monkeypatch, scale):
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=float(scale)))


def test_a_float16_gradient_that_overflows_leaves_the_step_out(monkeypatch):
    scaled_by(monkeypatch, 2**40)
    model = gpt()
    result = pretrain(model, HAMLET, steps=1, batch_size=4, precision="float16")
    assert bits(model) == bits(gpt()) and math.isfinite(result.loss)
    assert "gradient_norm" not in result.log[0]


def test_after_an_overflow_the_scale_falls_until_steps_are_taken(monkeypatch, tmp_path):
    scaled_by(monkeypatch, 2**30)
    model = gpt()
    result = pretrain(model, HAMLET, steps=40, batch_size=8, learning_rate=1e-2, precision="float16", folder=tmp_path)
    left_out = [record["step"] for record in result.log if "gradient_norm" not in record]
    assert left_out == list(range(1, len(left_out) + 1)) and 2 < len(left_out) < 20
    assert result.loss < 0.8 * result.log[0]["loss"]

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=refuse) for line in lines] == result.log


def test_in_bfloat16_and_float32_an_infinite_gradient_stops_the_run(monkeypatch):
    model = gpt()
    model.norm.weight.register_hook(lambda gradient: gradient * math.inf)
    for precision in ("float32", "bfloat16"):
        with pytest.raises(FloatingPointError, match=r"at step 1 it was 5\.\d+, its gradient's norm (inf|nan)\."):
            pretrain(model, HAMLET, steps=2, batch_size=2, precision=precision)


def test_weights_in_float16_are_refused_where_gradients_would_be_scaled():
    model = gpt().half()
    before = whole(model)
    with pytest.raises(
        ValueError, match=r"^pretrain: trained weights must not be float16 where products are.*float\(\)"
    ):
        pretrain(model, HAMLET, steps=1, batch_size=2, precision="float16")
    assert whole(model) == before
    finetune(model, HAMLET, method="lora", steps=1, batch_size=2, learning_rate=1e-3, precision="float16")
