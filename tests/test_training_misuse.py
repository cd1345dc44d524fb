"""Every keyword of the trainer misused: a message that says so, and a model that is left as it was.

`TABLE` has each parameter with what it must not be; a test fails when a public parameter is missing there.
"""

import inspect
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch

from lowrank_helpers.training import GPT, GPTConfig, evaluate, finetune, generate, learning_rate_at, pretrain

TEXT = b"to be or not to be, that is the question; "
NAN, INF = float("nan"), float("inf")


def gpt(**sizes):
    model = GPT(GPTConfig(**{"context": 8, "width": 16, "heads": 2, "layers": 1, "hidden": 24} | sizes))
    model.norm.weight.requires_grad_(False)
    return model.eval()


def on_meta():
    with torch.device("meta"):
        return gpt()


class Bad(NamedTuple):
    value: object
    error: type[Exception]
    message: str  # a regular expression for what follows "function: "


def whole(name, least, greatest=None):
    """What no integer takes."""
    rule = f"{name} must be an integer; got "
    bad = [Bad(value, TypeError, rule) for value in (1.0, True, "2", [1], np.array([1]))]
    bad += [Bad(least - 1, ValueError, f"{name} must be (at least|between) {least}.*; got {least - 1}")]
    return bad + ([Bad(greatest + 1, ValueError, f"{name} must be between .*; got {greatest + 1}")] if greatest else [])


def number(name, *outside):
    """What no real number takes."""
    bad = [Bad(value, TypeError, f"{name} must be a real number; got ") for value in (True, "0.1", [0.1], 1j)]
    return bad + [Bad(x, ValueError, f"{name} must be finite and .*; got ") for x in (NAN, INF, -INF, *outside)]


def word(name, *options):
    listed = re.escape(f"{name} must be one of {', '.join(map(repr, options))}; got ")
    return [Bad("other", ValueError, listed), Bad(options[0].upper(), ValueError, listed), Bad(1, TypeError, listed)]


def flag(name):
    return [Bad(value, TypeError, f"{name} must be True or False; got ") for value in (1, "yes", 0.0)]


def text(name, batch=8):
    """What is no corpus, or none of this model, or too short for a batch."""
    rule = f"{name} must be bytes or a tensor of integers with 1 dimension; got "
    return [
        Bad("to be", TypeError, rf"{rule}str\. Encode"),
        Bad(list(TEXT), TypeError, f"{rule}list"),
        Bad(torch.ones(99), TypeError, f"{rule}a tensor of torch.float32"),
        Bad(torch.ones(9, 9, dtype=torch.int64), TypeError, rf"{rule}a tensor of torch.int64, shape \(9, 9\)"),
        Bad(b"", ValueError, f"{name} must hold at least 2 tokens, one to read and one to guess; got 0"),
        Bad(torch.tensor([1, 256] * 40), ValueError, f"{name} must hold tokens between 0 and .* = 255; got 256"),
        Bad(torch.tensor([1, -1] * 40), ValueError, f"{name} must hold tokens between 0 and .* = 255; got -1"),
        Bad(TEXT[:batch], ValueError, rf"{name} must hold more than {batch // 8} × 8 tokens, one batch; got {batch}\."),
    ]


MODEL = [
    Bad(torch.nn.Linear(2, 2), TypeError, r"model must be a GPT; got Linear\. Make one with GPT\(GPTConfig"),
    Bad(None, TypeError, "model must be a GPT; got NoneType"),
    Bad(on_meta(), ValueError, r"model must hold numbers; got weights on the meta device\. Call"),
]
PRECISION = word("precision", "auto", "float32", "bfloat16", "float16")
PATH = "folder must be a path; got "
TRAINING = {
    "model": MODEL,
    "corpus": text("corpus", 16),
    "steps": whole("steps", 1),
    "batch_size": [*whole("batch_size", 1), Bad(6, ValueError, r"corpus must hold more than 6 × 8 tokens.*; got 42\.")],
    "context": [*whole("context", 1, 8)],
    "learning_rate": number("learning_rate", 0.0, -1e-3),
    "warmup": whole("warmup", 0, 2),
    "final_learning_rate": number("final_learning_rate", -0.1),
    "weight_decay": number("weight_decay", -0.1),
    "betas": [
        Bad(0.9, TypeError, r"betas must be two numbers; got 0\.9\. Pass \(0\.9, 0\.95\)"),
        Bad((0.9,), TypeError, "betas must be two numbers; got "),
        Bad([0.9, 0.95], TypeError, "betas must be two numbers; got "),
        Bad((0.9, 1.0), ValueError, "betas must be finite and at least 0 and below 1; got 1"),
        Bad((-0.1, 0.9), ValueError, "betas must be finite and at least 0 and below 1; got -0.1"),
        Bad(("0.9", 0.9), TypeError, "betas must be a real number; got '0.9'"),
    ],
    "clip": number("clip", 0.0, -1.0),
    "accumulate": whole("accumulate", 1),
    "precision": PRECISION,
    "compile": flag("compile"),
    "seed": whole("seed", 0, 2**63 - 1),
    "validation": text("validation"),
    "evaluate_every": [
        *whole("evaluate_every", 1),
        Bad(1, ValueError, r"evaluate_every needs a validation corpus; got none\. Pass validation"),
    ],
    "folder": [Bad(3, TypeError, f"{PATH}3"), Bad("", TypeError, f"{PATH}''"), Bad(b"run", TypeError, f"{PATH}b'run'")],
    "save_every": [
        *whole("save_every", 1),
        Bad(1, ValueError, r"save_every needs a folder; got none\. Pass folder='run'"),
    ],
    "log_every": whole("log_every", 1),
    "progress": flag("progress"),
}
LORA = r"targets must name linear layers of the model; got 'query'\. There are: 'q_proj', 'k_proj'"
ADAPTING = {
    "method": word("method", "full", "last block", "adapters", "prompt", "lora", "trainable"),
    "rank": [*whole("rank", 1), Bad(17, ValueError, r"rank must be between 1 and min\(m, n\) = 16; got 17")],
    "alpha": number("alpha", 0.0, -1.0),
    "targets": [
        Bad(["query"], ValueError, LORA),
        Bad(["q_proj", "query"], ValueError, LORA),
        Bad("q_proj", TypeError, "targets must be a list of names; got 'q_proj'"),
        Bad([], ValueError, "targets must not be empty"),
        Bad(["blocks"], TypeError, ".*'blocks' must be a torch.nn.Linear"),
        Bad([3], TypeError, "targets must be strings; got int"),
    ],
    "dropout": number("dropout", -0.1, 1.0),
    "scaling": word("scaling", "alpha/rank", "alpha/sqrt(rank)"),
    "init": word("init", "kaiming", "gaussian", "pissa", "olora"),
    "dora": flag("dora"),
    "bottleneck": whole("bottleneck", 1),
    "prompt_tokens": whole("prompt_tokens", 1, 256),
}
# function: (a call that is right, what is wrong in each parameter's place)
TABLE = {
    pretrain: ({"model": gpt, "corpus": TEXT, "steps": 2, "batch_size": 2}, TRAINING),
    finetune: (
        {"model": gpt, "corpus": TEXT, "method": "lora", "steps": 2, "learning_rate": 1e-3, "batch_size": 2},
        TRAINING | ADAPTING,
    ),
    evaluate: (
        {"model": gpt, "corpus": TEXT},
        {
            "model": MODEL,
            "corpus": text("corpus"),
            "batch_size": whole("batch_size", 1),
            "context": whole("context", 1, 8),
            "precision": PRECISION,
        },
    ),
    generate: (
        {"model": gpt, "prompt": b"to be", "length": 2},
        {
            "model": [*MODEL, Bad(gpt(vocabulary=99), ValueError, "model must have a vocabulary of 256.*; got 99")],
            "prompt": [
                Bad("to be", TypeError, r"prompt must be bytes; got str\. Encode text with text\.encode\(\)"),
                Bad(torch.tensor([1]), TypeError, "prompt must be bytes; got Tensor"),
                Bad(b"", ValueError, "prompt must hold at least one byte; got none"),
            ],
            "length": whole("length", 1),
            "temperature": number("temperature", -0.1),
            "rng": whole("rng", 0, 2**63 - 1),
        },
    ),
    learning_rate_at: (
        {"step": 1, "steps": 4, "peak": 1.0, "warmup": 2, "final": 0.1},
        {
            "step": whole("step", 1, 4),
            "steps": whole("steps", 1),
            "peak": number("peak", 0.0),
            "warmup": whole("warmup", 0, 4),
            "final": number("final", -0.1),
        },
    ),
}


def called(function, **changed):
    """The right call but for what is changed; it returns the model as well."""
    arguments = TABLE[function][0] | changed
    model = arguments.get("model")
    if model is gpt:
        model = arguments["model"] = gpt()
    return model, lambda: function(**arguments)


def state(model):
    if not isinstance(model, torch.nn.Module):
        return None
    return (
        [(name, id(module), type(module), module.training) for name, module in model.named_modules()],
        [(name, id(p), p.requires_grad, p.grad is None) for name, p in model.named_parameters()],
        [p.detach().clone() if not p.is_meta else None for p in model.parameters()],
    )


def same(one, other):
    return one is other is None or (one[:2] == other[:2] and all(a is b or torch.equal(a, b) for a, b in zip(
        one[2], other[2], strict=True)))  # fmt: skip


def test_every_parameter_of_every_function_is_in_the_table():
    for function, (_, slots) in TABLE.items():
        assert list(inspect.signature(function).parameters.keys() - slots.keys()) == [], function
        assert list(slots.keys() - inspect.signature(function).parameters.keys()) == [], function
    from lowrank_helpers.training import trainer

    public = {f for name, f in vars(trainer).items() if inspect.isfunction(f) and f.__module__ == trainer.__name__}
    assert {f for f in public if not f.__name__.startswith("_")} == TABLE.keys() - {learning_rate_at}


@pytest.mark.parametrize("function", TABLE, ids=lambda f: f.__name__)
def test_the_call_is_right_but_for_what_is_wrong(function):
    called(function)[1]()


@pytest.mark.parametrize(
    ("function", "parameter", "bad"),
    [
        pytest.param(f, parameter, bad, id=f"{f.__name__}-{parameter}-{i}")
        for f, (_, slots) in TABLE.items()
        for parameter, wrong in slots.items()
        for i, bad in enumerate(wrong)
    ],
)
def test_misuse_is_named_and_the_model_is_left_as_it_was(function, parameter, bad):
    changed = {parameter: bad.value}
    if parameter in ("bottleneck", "prompt_tokens"):
        changed["method"] = {"bottleneck": "adapters", "prompt_tokens": "prompt"}[parameter]
    model, call = called(function, **changed)
    before = state(model)
    name = "(finetune|add_lora)" if function is finetune else function.__name__
    with pytest.raises(bad.error, match=f"^{name}: {bad.message}") as caught:
        call()
    assert type(caught.value) is bad.error and str(caught.value).endswith(".") and len(str(caught.value)) < 400
    assert same(state(model), before)


def test_bad_settings_come_to_light_before_anything_is_written(tmp_path):
    for changed in ({"clip": 0}, {"batch_size": 99}, {"rank": 99}, {"targets": ["query"]}, {"validation": b"x"}):
        with pytest.raises(ValueError, match="must"):
            called(finetune, folder=tmp_path / "run", **changed)[1]()
    assert not list(tmp_path.iterdir())


def test_nothing_to_train_is_named():
    model = gpt().requires_grad_(False)
    with pytest.raises(ValueError, match=r"^finetune: a parameter must require a gradient for method 'trainable'"):
        finetune(model, TEXT, method="trainable", steps=1, learning_rate=1e-3, batch_size=2)


def test_a_batch_must_be_a_multiple_of_the_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    called(pretrain)[1]()  # a variable that torchrun did not set means nothing
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(
        ValueError, match=r"^pretrain: batch_size must be a multiple of the number of processes, 3; got 2\. Take 3\.$"
    ):
        called(pretrain)[1]()
