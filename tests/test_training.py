"""The trainer against AdamW written by hand, in every precision, and what it does when something goes wrong."""

import copy
import functools
import json
import math
import random
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers.lora import product
from lowrank_helpers.training import GPT, GPTConfig, evaluate, finetune, generate, learning_rate_at, prepare, pretrain
from lowrank_helpers.training.corpus import Batches
from tests._matrices import PROPERTY
from tests.margins import close, within

SIZES = {"context": 8, "width": 16, "heads": 2, "layers": 2, "hidden": 24}
HAMLET = b"to be or not to be, that is the question; " * 12
PORTIA = b"the quality of mercy is not strained. " * 12
METHODS = ("full", "last block", "adapters", "prompt", "lora", "trainable")


def gpt(seed=0, **sizes):
    return GPT(GPTConfig(**SIZES | sizes), seed=seed)


def bits(model):
    """Weights and buffers by name, to the bit."""
    return {name: x.detach().flatten().view(torch.uint8).numpy().tobytes() for name, x in model.state_dict().items()}


def whole(model):
    """All that an error must leave alone: weights, kinds of modules, what requires a gradient, modes, gradients."""
    return (
        bits(model),
        [(name, id(module), type(module), module.training) for name, module in model.named_modules()],
        [(name, id(p), p.requires_grad, p.grad is None) for name, p in model.named_parameters()],
    )


def distance(one, other):
    """The greatest difference of two models' weights."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.fixture(scope="module")
def trained():
    """A model that knows Hamlet, and its run."""
    model = gpt()
    return model, pretrain(model, HAMLET, steps=150, batch_size=8, learning_rate=1e-2)


# ------------------------------------------------------------------------------------------------------- AdamW by hand


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


@PROPERTY
@given(st.integers(1, 60), st.integers(0, 60), st.floats(1e-5, 1e3), st.floats(0, 1))
def test_the_learning_rate_is_torchs_cosine_after_a_line(steps, warmup, peak, final):
    warmup = min(warmup, steps)
    rates = [learning_rate_at(t, steps=steps, peak=peak, warmup=warmup, final=final) for t in range(1, steps + 1)]
    assert close(rates[:warmup], peak * np.arange(1, warmup + 1) / max(warmup, 1), rtol=1e-14)
    dummy = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(dummy, max(1, steps - warmup), eta_min=final * peak)
    for rate in rates[warmup:]:
        dummy.step()
        cosine.step()
        assert close(rate, cosine.get_last_lr()[0], rtol=1e-9, atol=1e-12 * peak)
    assert within(max(rates) - peak, 1e-12 * peak)


def test_by_default_a_twentieth_of_the_steps_goes_up():
    result = pretrain(gpt(), HAMLET, steps=41, batch_size=2, learning_rate=0.5e-3)
    rates = [record["learning_rate"] for record in result.log]
    assert close([*rates[:3], rates[-1]], [0.5e-3 / 3, 1e-3 / 3, 0.5e-3, 0.5e-4], rtol=1e-12)
    assert rates == [learning_rate_at(t, steps=41, peak=0.5e-3, warmup=3, final=0.1) for t in range(1, 42)]


# ------------------------------------------------------------------------------------------------------- it does learn


def test_pretraining_learns_a_text_by_heart(trained):
    model, result = trained
    assert result.log[0]["loss"] > 5.4 and result.loss < 0.5
    assert evaluate(model, HAMLET) < 0.7  # worse at the beginning of a window
    assert result.trainable == sum(p.numel() for p in model.parameters())
    assert (result.resumed, result.validation) == (0, None)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_the_loss_and_leaves_the_rest_alone(trained, method):
    model = copy.deepcopy(trained[0])
    if method == "trainable":
        model.requires_grad_(False)
        model.head.weight.requires_grad_(True)
    before, frozen = evaluate(model, PORTIA), bits(model)
    result = finetune(
        model, PORTIA, method=method, steps=40, batch_size=8, learning_rate=5e-2, validation=PORTIA, rank=4,
    )  # fmt: skip
    assert result.validation < 0.85 * before
    changing = {name for name, p in model.named_parameters() if p.requires_grad}
    after = bits(model)
    assert result.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    for name, content in frozen.items():
        here = name if name in after else name.replace("_proj.weight", "_proj.base.weight")
        assert (after[here] == content) == (here not in changing), name


KINDS = [{"init": "pissa"}, {"init": "olora"}, {"dora": True}, {"scaling": "alpha/sqrt(rank)"}]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_every_kind_of_lora_lowers_the_loss(trained, options):
    model = copy.deepcopy(trained[0])
    before = evaluate(model, PORTIA)
    result = finetune(
        model, PORTIA, method="lora", rank=4, alpha=4.0, steps=30, batch_size=8, learning_rate=1e-2, validation=PORTIA,
        **options,
    )  # fmt: skip
    assert result.validation < 0.8 * before


def test_checkpointed_activations_change_nothing_but_memory():
    plain, saving = gpt(), gpt()
    saving.checkpoint_activations = True
    settings = {"method": "lora", "dropout": 0.3, "steps": 4, "batch_size": 4, "learning_rate": 1e-2}
    for model in (plain, saving):
        finetune(model, HAMLET, validation=HAMLET, **settings)
    assert bits(plain) == bits(saving)


def test_a_tied_model_is_trained_and_saved(tmp_path):
    model = gpt(tied=True)
    result = pretrain(model, HAMLET, steps=30, batch_size=8, learning_rate=1e-2, folder=tmp_path, save_every=30)
    assert result.loss < 4 and model.head.weight is model.embed.weight
    again = pretrain(gpt(seed=1, tied=True), HAMLET, steps=30, batch_size=8, learning_rate=1e-2, folder=tmp_path)
    assert (again.resumed, again.loss) == (30, result.loss)


# ----------------------------------------------------------------------------------------------- seeds, global state


def runs(seed, noise, **options):
    """The weights after three steps of LoRA with dropout, whatever the global generator's state."""
    torch.manual_seed(noise)
    model = gpt()
    settings = {"method": "lora", "steps": 3, "batch_size": 4, "learning_rate": 1e-2, "dropout": 0.5, "accumulate": 2}
    result = finetune(model, HAMLET, seed=seed, **settings | options)
    return bits(model), [record["loss"] for record in result.log]


def test_a_seed_means_the_same_run_to_the_bit():
    assert runs(0, 1) == runs(0, 2)
    assert runs(0, 1)[0] != runs(1, 1)[0]
    assert runs(2**63 - 1, 1) == runs(2**63 - 1, 2), "the greatest seed works"


@pytest.mark.parametrize("method", ["adapters", "prompt", "lora"])
def test_a_seed_also_draws_what_is_put_into_the_model(method):
    for seed in (0, 5):
        started, ran = gpt(), gpt()
        prepare(started, method, seed=seed)
        finetune(ran, HAMLET, method=method, seed=seed, steps=1, batch_size=2, learning_rate=1e-12)
        assert within(distance(started, ran), 1e-11)


def test_dropout_differs_from_step_to_step_and_depends_on_the_seed(monkeypatch):
    drawn = []
    plain = product.dropped

    def dropped(*arguments):
        y = plain(*arguments)
        drawn.append(tuple((y == 0).flatten().tolist()))
        return y

    monkeypatch.setattr(product, "dropped", dropped)
    for seed in (0, 1):
        runs(seed, 0, targets=["q_proj"])
    assert len(drawn) == 2 * 3 * 2 * 2, "two seeds, three steps, two batches, two layers"
    assert len(set(drawn)) == len(drawn)


def global_state():
    return (
        torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate(), torch.get_default_dtype(),  # noqa: NPY002
        torch.is_grad_enabled(), torch.get_num_threads(), torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(), torch.distributed.is_initialized(),
    )  # fmt: skip


def test_global_state_is_left_alone():
    model, before = gpt(), global_state()
    for precision in ("float32", "bfloat16", "float16"):
        pretrain(model, HAMLET, steps=2, batch_size=2, validation=HAMLET, precision=precision)
    finetune(model, HAMLET, method="lora", dropout=0.5, steps=2, learning_rate=1e-3, batch_size=2)
    evaluate(model, HAMLET)
    generate(model, b"to be", 3, rng=0)
    generate(model, b"to be", 3)
    with torch.no_grad():
        model.norm.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError):
        finetune(model, HAMLET, method="trainable", steps=2, learning_rate=1e-3, batch_size=2, precision="bfloat16")
    assert global_state() == before


@pytest.mark.parametrize(
    ("targets", "again", "draws"),
    [
        pytest.param(["q_proj", "down_proj"], False, 500, id="kept"),
        # where torch computes again it puts its global generators back, whoever has drawn from them meanwhile
        pytest.param(["q_proj", "down_proj", "head"], True, 0, id="computed again"),
    ],
)
def test_runs_in_threads_are_those_that_they_are_alone(targets, again, draws):
    """With dropout; of each seed two runs at once, and somebody who draws from torch's global generator."""
    settings = {"method": "lora", "steps": 4, "batch_size": 4, "learning_rate": 1e-2, "dropout": 0.3}

    def work(seed):
        model = gpt()
        model.checkpoint_activations = again
        finetune(model, HAMLET, seed=seed, targets=targets, **settings)
        return bits(model)

    alone = [work(seed) for seed in (0, 1)]
    assert alone[0] != alone[1]
    with torch.random.fork_rng():
        expected = [torch.rand(()) for _ in range(draws)], torch.get_rng_state().tolist()
    with ThreadPoolExecutor(4) as pool:
        together = [pool.submit(work, seed) for seed in (0, 1, 0, 1)]
        drawn = []
        for _ in range(draws):
            drawn.append(torch.rand(()))
            time.sleep(1e-4)
    assert [run.result() for run in together] == alone * 2
    assert (drawn, torch.get_rng_state().tolist()) == expected


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_its_own_again_and_no_gradient_is_left(training):
    model = gpt().train(training)
    model.blocks[0].train(not training)
    modes = [module.training for module in model.modules()]
    pretrain(model, HAMLET, steps=2, batch_size=2, validation=HAMLET)
    evaluate(model, HAMLET)
    generate(model, b"to be", 3)
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


def test_a_gradient_that_was_there_before_is_no_part_of_the_first_step():
    fresh, used = gpt(), gpt()
    tokens = torch.arange(8)[None]
    used(tokens, tokens).backward()
    for model in (fresh, used):
        pretrain(model, HAMLET, steps=1, batch_size=2)
    assert bits(fresh) == bits(used)


# ---------------------------------------------------------------------------------------------------------- precision


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Function'> should not be instantiated:DeprecationWarning")  # dynamo does so
@pytest.mark.parametrize("method", ["full", "lora"])
def test_compile_runs_the_compiled_model(monkeypatch, method):
    """With dynamo and without a C++ compiler: its backend "eager" runs the graph that was found as it is."""
    compiled, real = [], torch.compile

    def compile_(model):
        compiled.append(model)
        return real(model, backend="eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", compile_)
    torch._dynamo.reset()
    plain, fast = gpt(), gpt()
    settings = {"method": method, "steps": 3, "batch_size": 4, "learning_rate": 1e-2, "validation": HAMLET}
    finetune(plain, HAMLET, **settings)
    assert not compiled
    finetune(fast, HAMLET, compile=True, **settings)
    assert compiled == [fast] and within(distance(plain, fast), 1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    torch._dynamo.reset()


# -------------------------------------------------------------------------------------------- records, logs, progress


def test_records_are_made_when_they_are_due_and_lie_in_the_log(tmp_path):
    model = gpt()
    result = pretrain(
        model, HAMLET, steps=10, batch_size=4, accumulate=2, validation=PORTIA, evaluate_every=4, log_every=3,
        save_every=5, folder=tmp_path / "run",
    )  # fmt: skip
    assert [record["step"] for record in result.log] == [3, 4, 5, 6, 8, 9, 10]
    assert [record["step"] for record in result.log if "validation" in record] == [4, 8, 10]
    assert [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()] == result.log
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == ["step-00000005", "step-00000010"]
    for record in result.log:
        assert record["tokens"] == record["step"] * 4 * 2 * 8 and record["tokens_per_second"] > 0
    last = result.log[-1]
    assert (result.loss, result.validation) == (last["loss"], last["validation"])
    assert result.validation == evaluate(model, PORTIA, batch_size=4)


def test_a_run_that_has_ended_is_not_run_again(tmp_path):
    settings = {"steps": 3, "batch_size": 4, "validation": PORTIA, "folder": tmp_path}
    first, second = gpt(), gpt(seed=7)
    done = pretrain(first, HAMLET, **settings)
    again = pretrain(second, HAMLET, **settings)
    assert again.resumed == 3 and again.log == done.log and again.validation == done.validation
    assert bits(first) == bits(second)


def test_measuring_and_saving_change_no_weights(tmp_path):
    plain, watched = gpt(), gpt()
    settings = {"method": "lora", "dropout": 0.5, "steps": 4, "batch_size": 4, "learning_rate": 1e-2}
    finetune(plain, HAMLET, **settings)
    finetune(
        watched, HAMLET, validation=PORTIA, evaluate_every=1, save_every=1, log_every=2, folder=tmp_path, progress=True,
        **settings,
    )  # fmt: skip
    assert bits(plain) == bits(watched)


def test_a_bar_is_drawn_only_when_asked_for_or_on_a_terminal(capsys, monkeypatch):
    def stderr(**options):
        pretrain(gpt(), HAMLET, steps=2, batch_size=2, **options)
        out, err = capsys.readouterr()
        assert out == ""
        return err

    assert stderr() == stderr(progress=False) == ""
    assert re.search(r"2/2 .*loss 5\.\d\d\d, [\d,]+ tokens/s", stderr(progress=True))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "2/2" in stderr() and stderr(progress=False) == ""


# ------------------------------------------------------------------------------------------------- evaluate, generate


@pytest.mark.parametrize(("length", "context", "batch_size"), [(9, None, 4), (100, None, 5), (101, 3, 32), (97, 8, 1)])
def test_evaluate_is_a_plain_loop_over_windows(trained, length, context, batch_size):
    model, text, T = trained[0], PORTIA[:length], context or 8
    losses = []
    for start in range(0, length - T, T):
        window = torch.tensor(list(text[start : start + T + 1]))
        losses.append(F.cross_entropy(model(window[None, :-1])[0], window[1:]).item())
    assert len(losses) == (length - 1) // T
    found = evaluate(model, text, context=context, batch_size=batch_size)
    assert type(found) is float and close(found, sum(losses) / len(losses), rtol=1e-5)


def test_what_does_not_fill_a_window_is_left_out(trained):
    assert evaluate(trained[0], HAMLET[:25]) == evaluate(trained[0], HAMLET[:25] + b"zzzzzzz")
    assert evaluate(trained[0], HAMLET[:25]) != evaluate(trained[0], HAMLET[:25] + b"zzzzzzzz")


def test_a_model_that_knows_nothing_pays_log_256():
    model = gpt()
    torch.nn.init.zeros_(model.head.weight)
    for text in (HAMLET, torch.randint(256, (99,))):
        assert close(evaluate(model, text), math.log(256), rtol=1e-6)


def test_evaluate_has_no_dropout_and_changes_nothing():
    model = gpt()
    finetune(model, HAMLET, method="lora", dropout=0.9, steps=2, learning_rate=1e-1, batch_size=2)
    before = whole(model)
    assert model.training and evaluate(model, HAMLET) == evaluate(model, HAMLET)
    assert whole(model) == before


def test_an_error_while_measuring_leaves_the_mode(monkeypatch):
    model = gpt()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "forward", fail)
    for call in (lambda: evaluate(model, HAMLET), lambda: generate(model, b"to", 3)):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert all(module.training for module in model.modules())


def test_greedy_text_is_what_was_learned(trained):
    model = trained[0]
    written = generate(model, b"to be or", 30, temperature=0)
    assert written == generate(model, b"to be or", 30, temperature=0.0, rng=5)
    expected = list(b"to be or")
    for _ in range(30):
        expected.append(int(model(torch.tensor([expected[-8:]]))[0, -1].argmax()))
    assert written == bytes(expected[8:]) and written in HAMLET


def test_a_seed_means_the_same_text():
    model = gpt()
    one = generate(model, b"to be", 40, rng=1)
    assert type(one) is bytes and len(one) == 40
    assert one == generate(model, b"to be", 40, rng=1) != generate(model, b"to be", 40, rng=2)
    assert generate(model, b"to be", 40) != generate(model, b"to be", 40)
    assert len(generate(model, b"a prompt that is longer than the context", 3)) == 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_bytes_are_drawn_with_their_probabilities(monkeypatch, temperature):
    model, logits = gpt(), torch.full((256,), -math.inf)
    logits[:4] = torch.tensor([0.0, 1.0, 2.0, -1.0])
    monkeypatch.setattr(model, "forward", lambda tokens: logits.expand(*tokens.shape, 256))
    counts = np.bincount(list(generate(model, b"x", 4000, temperature=temperature, rng=0)), minlength=256)
    p = np.exp(np.array([0, 1, 2, -1]) / temperature)
    p /= p.sum()
    # A count of N draws is off by √(N p (1 − p)); five times as much is allowed.
    assert (np.abs(counts[:4] - 4000 * p) < 5 * np.sqrt(4000 * p * (1 - p))).all() and not counts[4:].any()


def test_a_tiny_temperature_is_nearly_none(trained):
    model = trained[0]
    for temperature in (1e-6, 1e-42, 1e-300):
        assert generate(model, b"to be", 20, temperature=temperature) == generate(model, b"to be", 20, temperature=0)


# -------------------------------------------------------------------------------------------- when something goes wrong


def fails_at(monkeypatch, model, call, error):
    """Let the model raise at its n-th call."""
    calls, forward = [], model.forward

    def forwarding(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return forward(*arguments)

    monkeypatch.setattr(model, "forward", forwarding)


FULL = "^{}: out of memory with batches of 4 × 8 tokens. Lower batch_size and raise accumulate by as much, or set"
ADAPTED = [{"method": m} for m in METHODS if m not in ("full", "last block", "trainable")]
ADAPTED += [{"method": "lora"} | options for options in ({"init": "gaussian"}, *KINDS)]


@pytest.mark.parametrize("options", ADAPTED, ids=str)
@pytest.mark.parametrize("call", [1, 4])
def test_out_of_memory_leaves_the_model_as_it_was(monkeypatch, options, call):
    model = gpt()
    model.place.weight.requires_grad_(False)
    before = whole(model)
    fails_at(monkeypatch, model, call, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"))
    with pytest.raises(MemoryError, match=FULL.format("finetune")) as caught:
        finetune(model, HAMLET, steps=4, batch_size=4, accumulate=2, learning_rate=1e-2, **options)
    assert whole(model) == before
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


@pytest.mark.parametrize("method", ["full", "last block", "trainable"])
def test_out_of_memory_in_the_first_step_leaves_all_weights_as_they_were(monkeypatch, method):
    model = gpt()
    model.place.weight.requires_grad_(False)
    before = whole(model)
    fails_at(monkeypatch, model, 2, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"))
    with pytest.raises(MemoryError, match=FULL.format("finetune")):
        finetune(model, HAMLET, steps=4, batch_size=4, accumulate=2, learning_rate=1e-2, method=method)
    assert whole(model) == before


def test_a_real_lack_of_memory_on_the_cpu_is_one_too(monkeypatch):
    model = gpt()
    monkeypatch.setattr(model, "forward", lambda *_: torch.empty(2**50, dtype=torch.uint8))  # a petabyte
    before = whole(model)
    with pytest.raises(MemoryError, match=FULL.format("pretrain")):
        pretrain(model, HAMLET, steps=2, batch_size=4)
    assert whole(model) == before


def test_another_error_stays_what_it_is(monkeypatch):
    model = gpt()
    before = whole(model)
    fails_at(monkeypatch, model, 1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        pretrain(model, HAMLET, steps=2, batch_size=4)
    assert whole(model) == before


def test_a_loss_that_is_not_finite_stops_before_the_step_is_taken(tmp_path):
    """With a rate so great that the second loss is NaN: the weights are those after the first step."""
    settings = {"batch_size": 4, "learning_rate": 1e30, "warmup": 0, "final_learning_rate": 1.0, "weight_decay": 0.0}
    one, two = gpt(), gpt()
    pretrain(one, HAMLET, steps=1, **settings)
    with pytest.raises(
        FloatingPointError,
        match=r"^pretrain: the loss must stay finite; at step 2 it was .*, its gradient's norm nan\. That step was not "
        r"taken\. The last checkpoint is .*step-00000001\. Lower learning_rate, or lengthen warmup\.$",
    ):
        pretrain(two, HAMLET, steps=9, folder=tmp_path, save_every=1, **settings)
    assert bits(one) == bits(two)
    assert all(p.grad is None for p in two.parameters())
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1]
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-00000001"]


def test_after_a_loss_that_was_not_finite_the_same_model_trains(monkeypatch):
    model = gpt()
    hook = model.norm.weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(FloatingPointError, match="No checkpoint was saved"):
        pretrain(model, HAMLET, steps=2, batch_size=2)
    hook.remove()
    assert bits(model) == bits(gpt())
    assert math.isfinite(pretrain(model, HAMLET, steps=2, batch_size=2).loss)


def test_a_loss_that_is_not_finite_takes_the_adapter_out_again():
    model = gpt()
    with torch.no_grad():
        model.head.weight[3, 3] = math.nan
    before = whole(model)
    with pytest.raises(FloatingPointError, match=r"^finetune: the loss must stay finite; at step 1 it was nan"):
        finetune(model, HAMLET, method="lora", steps=2, batch_size=2, learning_rate=1e-3)
    assert whole(model) == before


def test_a_folder_of_another_run_is_refused_and_the_model_is_left_as_it_was(tmp_path):
    pretrain(gpt(), HAMLET, steps=2, batch_size=2, folder=tmp_path)
    model = gpt(seed=1)
    model.head.weight.requires_grad_(False)
    before, log = whole(model), (tmp_path / "log.jsonl").read_bytes()
    settings = {"steps": 2, "batch_size": 2, "folder": tmp_path}
    lora = {"method": "lora", "init": "pissa", "learning_rate": 1e-3}
    for call in (
        lambda: pretrain(model, HAMLET, **settings | {"steps": 3}),
        lambda: pretrain(model, PORTIA, **settings),
        lambda: pretrain(model, HAMLET, seed=1, **settings),
        lambda: finetune(model, HAMLET, **settings, **lora),
    ):
        with pytest.raises(ValueError, match=r"folder must be new or hold this very run; .*Pass another folder"):
            call()
    assert whole(model) == before and (tmp_path / "log.jsonl").read_bytes() == log


def test_numbers_of_numpy_are_numbers(tmp_path):
    """They are written into the checkpoints' JSON as what they are."""
    result = finetune(
        gpt(), HAMLET, method="lora", rank=np.int64(2), alpha=np.float32(16), dropout=np.float64(0.5), dora=np.False_,
        steps=np.int32(2), batch_size=np.int64(2), learning_rate=np.float32(1e-3), seed=np.uint8(3), folder=tmp_path,
    )  # fmt: skip
    assert result.log[-1]["step"] == 2
