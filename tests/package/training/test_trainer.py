"""`pretrain` and `finetune`: what they learn, what they leave alone, what a seed means."""

import copy
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from book.margins import within
from lowrank_helpers.lora import product
from lowrank_helpers.training import evaluate, generate, prepare
from tests.package.training._models import HAMLET, KINDS, METHODS, PORTIA, bits, distance, finetune, gpt, pretrain


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
