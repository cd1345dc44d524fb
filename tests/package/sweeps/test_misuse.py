"""Every argument of every public function, misused in every way of its kind: one clear error, and nothing is changed.

The functions with their right calls stand in `functions.py`. What is wrong in the place of an argument follows
from its slot there (a matrix, a spectrum, a tensor), else from its annotation (an integer, a flag, one of some words),
else from its name (`BY_NAME`: a model, a folder). `PARTICULAR` adds what is wrong for one function alone.
"""

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import scipy.sparse
import torch

from lowrank_helpers import (
    attention,
    completion,
    datasets,
    decomposition,
    linalg,
    lora,
    plotting,
    results,
    svd,
    training,
    widgets,
)
from lowrank_helpers.datasets.catalogue import OFFLINE_ONLY, SOURCES
from lowrank_helpers.widgets.memory_calculator import PRESETS
from tests.package.sweeps.functions import LIMITS, PLAN, ROWS, TEXT, Made, Row, adapted, gpt, linear, matrix, snapshot
from tests.package.sweeps.test_functions import missing

NAN, INF = float("nan"), float("inf")


class Bad(NamedTuple):
    """What is wrong in the place of an argument, and how the message goes on after "function: ", as an expression.

    ``step`` is whether the message has to say what to do next. Where a number is out of bounds, the bounds say it.
    """

    value: Any
    error: type[Exception] | tuple[type[Exception], ...]
    message: str
    step: bool = True


EITHER = (TypeError, ValueError)
Wrong = Mapping[str, Bad]

# ------------------------------------------------------------------------------------------------------ arrays, by rule


def arrays(name: str, right: Any) -> dict[str, Bad]:
    """What no array argument takes: the same for matrices, vectors and right-hand sides."""
    right = np.asarray(right, dtype=float)
    nan, infinite = right.copy(), right.copy()
    nan.flat[:2], infinite.flat[-1] = NAN, -INF
    first = r"0" if nan.ndim == 1 else r"\(0, 0\)"
    last = r"\d+" if nan.ndim == 1 else r"\(\d+, \d+\)"
    return {
        "NaN": Bad(nan, ValueError, rf"{name} has 2 NaN entries, first at {first}\. (Fill them in|For missing)"),
        "-inf": Bad(infinite, ValueError, rf"{name} has 1 infinite entry, at {last}\. Look for"),
        "complex": Bad(
            right + 0j, TypeError, rf"{name} must be real; got dtype complex128\. .* pass np\.real\({name}\)"
        ),
        "strings": Bad(right.astype(str), TypeError, rf"{name} must hold real numbers; got dtype <U32"),
        "a word": Bad("matrix", TypeError, rf"{name} must hold real numbers; got dtype <U6"),
        "None": Bad(None, TypeError, rf"{name} must hold real numbers; got dtype object"),
        "objects": Bad(
            right.astype(object), TypeError, rf"{name} must hold .* np\.array\({name}, dtype=float\)"
        ),
        "dates": Bad(
            np.array(["2024-01-01"] * 2, dtype="M8[D]"), TypeError, rf"{name} must hold real numbers; got dtype"
        ),
        "half": Bad(
            right.astype(np.float16), TypeError, rf"{name} must be of dtype float32.*got float16\. Pass"
        ),
        "ragged": Bad([[1.0, 2.0], [3.0]], ValueError, rf"{name} must be a rectangular .*got a list .* equally long"),
        "sparse": Bad(
            scipy.sparse.csr_array(np.eye(2)), TypeError, rf"{name} must be dense; .* Pass {name}\.toarray\(\)"
        ),
        "masked": Bad(np.ma.masked_less(right, 2), TypeError, rf"{name} must be a plain array; got a masked array"),
        "np.matrix": Bad(
            np.ones((2, 2)).view(np.matrix), TypeError,
            rf"{name} must be a plain array; got np\.matrix.* Pass np\.asarray\({name}\)",
        ),
        "empty": Bad(np.zeros((0,) * nan.ndim), ValueError, rf"{name} must (not be empty|have .*); got shape \(0,"),
        "3-D": Bad(np.ones((2, 2, 2)), ValueError, rf"{name} must be a .*got 3.* \(shape \(2, 2, 2\)\)"),
        "0-D": Bad(3.0, ValueError, rf"{name} must be a .*got 0 .*\(shape \(\)\)"),
    }  # fmt: skip


def matrices(name, right):
    line = rf"{name} must be a matrix, with 2 dimensions; got 1 \(shape \(2,\)\)\. For one column pass np\.reshape"
    return arrays(name, right) | {"1-D": Bad([1.0, 2.0], ValueError, line)}


def squares(name, right):
    shape = rf"{name} must be (square; got shape \(3, 2\)\. .*lstsq|in×in = .*; got shape \(3, 2\)\.)"
    return matrices(name, right) | {"not square": Bad(np.ones((3, 2)), ValueError, shape)}


def symmetric(name, right):
    slanted = right.copy()
    slanted[0, 1] += 1
    indefinite = rf"{name} must (be positive definite|have no negative eigenvalue); got"
    return squares(name, right) | {
        "not symmetric": Bad(slanted, ValueError, rf"{name} must be symmetric; got"),
        "indefinite": Bad(-right, ValueError, indefinite),
    }


def triangles(name, right, kind):
    i, j = (0, 1) if kind == "lower" else (1, 0)
    full, singular = right.copy(), right.copy()
    full[i, j], singular[0, 0] = 1, 0
    step = rf"Pass np\.tri{kind[0]}\({name}\)"
    return squares(name, right) | {
        "full": Bad(full, ValueError, rf"{name} must be {kind} triangular; got {name}\[{i}, {j}\] = 1\. {step}"),
        "singular": Bad(singular, ValueError, rf"{name} must be invertible; got {name}\[0, 0\] = 0\."),
    }


def vectors(name, right):
    flat = rf"{name} must be a vector, with 1 dimension; got 2 \(shape \(3, 2\)\)\. Pass np\.ravel\({name}\)"
    return arrays(name, right) | {"2-D": Bad(np.ones((3, 2)), ValueError, flat)}


def spectra(name, right):
    return vectors(name, right) | {
        "negative": Bad([1.0, -2.0], ValueError, rf"{name} must be non-negative; got -2 at 1\. Singular values"),
        "ascending": Bad([1.0, 2.0], ValueError, rf"{name} must be in descending order; got 1 before 2 at 0\. Sort"),
    }


def right_sides(name, right):
    rows = len(right)
    rule = rf"{name} must have as many rows as [\w ]+, {rows}; got shape"
    return arrays(name, right) | {
        "length": Bad(np.ones(rows + 2), ValueError, rf"{rule} \({rows + 2},\)\. Make"),
        "rows": Bad(np.ones((rows + 2, rows)), ValueError, rf"{rule} .*\. Transpose {name}\."),
    }


def counts(name, right):
    rule = rf"{name} must (be non-negative|have no negative entries); got"
    return matrices(name, right) | {"negative": Bad(-right, ValueError, rule)}


def pictures(name, right):
    shape = rf"{name} must have shape \(m, n\) or \(m, n, 3\); got "
    return arrays(name, right) | {
        "3-D": Bad(np.ones((2, 2, 2)), ValueError, rf"{shape}\(2, 2, 2\)\. Put"),
        "1-D": Bad(np.ones(2), ValueError, rf"{shape}\(2,\)\. Put"),
        "0-D": Bad(3.0, ValueError, rf"{shape}\(\)\. Put"),
    }


def places(name, right):
    """Whole numbers that count rows or columns."""
    rule = rf"{name} must be whole numbers; got dtype"
    return {
        "floats": Bad([1.0, 2.0], TypeError, rule),
        "flags": Bad([True, False], TypeError, rule),
        "a word": Bad("first", TypeError, rule),
        "None": Bad(None, TypeError, rule),
        "object": Bad(object(), TypeError, rule),
        "ragged": Bad([[1], [2, 3]], ValueError, rf"{name} must be a rectangular .* equally long"),
        "negative": Bad([-1], ValueError, rf"{name} must be between 0 and \d+; got -1 to -1\."),
        "beyond": Bad([0, 99], ValueError, rf"{name} must be between 0 and \d+; got 0 to 99\."),
        "many": Bad([0] * 7, ValueError, "rows and columns must broadcast to one shape; got"),
    }  # fmt: skip


def images(name, right):
    kind, shape = rf"{name} must be uint8, .*; got", rf"{name} must have shape .*; got"
    return {
        "floats": Bad(np.ones((4, 4, 3)), TypeError, rf"{kind} float64\."),
        "a list": Bad([[1, 2], [3, 4]], TypeError, rf"{kind} int\d+\."),
        "None": Bad(None, TypeError, rf"{kind} object\."),
        "a word": Bad("china.jpg", TypeError, rf"{kind} <U9\."),
        "object": Bad(object(), TypeError, rf"{kind} object\."),
        "ragged": Bad([[1], [2, 3]], ValueError, rf"{name} must be a rectangular .* equally long"),
        "1-D": Bad(np.zeros(4, np.uint8), ValueError, rf"{shape} \(4,\)\."),
        "4 channels": Bad(np.zeros((4, 4, 4), np.uint8), ValueError, rf"{shape} \(4, 4, 4\)\."),
        "empty": Bad(np.zeros((0, 4), np.uint8), ValueError, rf"{shape} \(0, 4\)\."),
    }  # fmt: skip


def tensors(name, right):
    rule = rf"{name} must be a tensor.*; got "
    return {
        "None": Bad(None, TypeError, rf"{rule}NoneType"),
        "a word": Bad("weights", TypeError, rf"{rule}str"),
        "object": Bad(object(), TypeError, rf"{rule}object"),
        "a list": Bad([[1.0, 2.0]], TypeError, rf"{rule}list"),
        "an array": Bad(right.numpy(), TypeError, rf"{rule}ndarray"),
        "flags": Bad(torch.ones(3, 2, dtype=torch.bool), TypeError, rf"{rule}.*torch\.bool"),
        "complex": Bad(right + 0j, TypeError, rf"{rule}.*torch\.complex"),
        "floats for integers, or the reverse": Bad(
            right.long() if right.is_floating_point() else right.double(), TypeError, rf"{rule}.*torch\."
        ),
        "0-D": Bad(right.flatten()[0], ValueError, rf"{name} must (be|have|hold) .*; got shape \(\)\."),
    }


#: How messages call an argument that is a part of another.
CALLED = {"init[0]": "init's W", "init[1]": "init's H"}
RULES: dict[str, Callable[[str, Any], dict[str, Bad]]] = {
    "matrix": matrices,
    "orthonormal": matrices,
    "table": matrices,
    "square": squares,
    "symmetric": symmetric,
    "lower": lambda name, right: triangles(name, right, "lower"),
    "upper": lambda name, right: triangles(name, right, "upper"),
    "vector": vectors,
    "spectrum": spectra,
    "right side": right_sides,
    "counts": counts,
    "picture": pictures,
    "places": places,
    "image": images,
    "tensor": tensors,
}


def of_slot(name, slot):
    """What is wrong in the place of an array."""
    name = CALLED.get(name, name)
    wrong = RULES[slot.rule](name, slot.value)
    if slot.sparse:
        del wrong["sparse"]
        wrong["sparse, complex"] = Bad(
            scipy.sparse.csr_array(np.eye(*slot.value.shape) + 0j), TypeError, rf"{name}\.data must be real; got"
        )
        wrong["sparse, 1-D"] = Bad(scipy.sparse.coo_array([1.0, 2.0]), ValueError, rf"{name} must .*got .*\. Pass")
    if slot.rule == "table" or slot.sparse == "observations":
        del wrong["NaN"]
        nothing = scipy.sparse.csr_array(slot.value.shape)
        wrong["nothing seen"] = Bad(nothing, ValueError, rf"{name} must have observations; got none")
    return wrong


# ----------------------------------------------------------------------------------------- options, by their annotation


def interval(limits: str) -> tuple[float, float, str, str, str]:
    """The ends of an interval such as "[1, min(m, n) = 4]", its brackets, and what its upper end is called."""
    found = re.fullmatch(r"([\[(])([^,]+), (?:(.*) = )?([^ ]+)([\])])", limits)
    assert found, limits
    opening, least, called, greatest, closing = found.groups()
    number = int if greatest.isdigit() else float
    return float(least), number(greatest), opening, closing, called or ""


def whole(name: str, limits: str) -> dict[str, Bad]:
    """What no integer argument takes."""
    least, greatest, _, _, called = interval(limits)
    least = int(least)
    bad = {"float": 1.0, "bool": True, "numpy bool": np.True_, "a word": "2", "None": None, "array": np.array([1]),
           "list": [1], "NaN": NAN, "complex": 1j, "object": object(), "sparse": scipy.sparse.eye_array(1)}  # fmt: skip
    wrong = {key: Bad(value, TypeError, rf"{name} must be an integer; got ") for key, value in bad.items()}
    wrong["below"] = Bad(least - 1, ValueError, rf"{name} must be (at least|between) {least}.*; got {least - 1}", False)
    if greatest < INF:
        rule = rf"{name} must be between {least} and .*{re.escape(called)}( = {greatest})?; got {greatest + 1}"
        above = greatest + 1
        wrong["above"] = Bad(np.int64(above) if above < 2**63 else above, ValueError, rule, False)
    return wrong


def real(name: str, limits: str) -> dict[str, Bad]:
    """What no real number takes."""
    least, greatest, opening, closing, _ = interval(limits)
    bad = {"bool": True, "numpy bool": np.False_, "a word": "0.1", "None": None, "array": np.array([0.5]),
           "list": [0.5], "complex": 0.5j, "object": object()}  # fmt: skip
    wrong = {key: Bad(value, TypeError, rf"{name} must be a real number; got ") for key, value in bad.items()}
    outside = {"NaN": NAN, "-inf": -INF, "huge": -(10**400), "just below": least - 1e-9, "below": least - 1}
    outside |= {"least": least} if opening == "(" else {}
    if greatest < INF:
        outside |= {"just above": greatest + 1e-9, "above": greatest + 1.5}
        outside |= {"greatest": greatest} if closing == ")" else {}
    if limits[-4:] != "inf]":
        outside["inf"] = INF
    rule = rf"{name} must be finite and .*; got "
    return wrong | {key: Bad(value, ValueError, rule, False) for key, value in outside.items()}


def words(name, options):
    listed = (
        rf"{name} must be one of (?:{re.escape(', '.join(map(repr, options)))}|results\.names\(\), such as 'svd'); got "
    )
    return {
        "unknown": Bad("other", ValueError, listed),
        "case": Bad(options[0].swapcase(), ValueError, listed),
        "a number": Bad(2, TypeError, listed),
        "None": Bad(None, TypeError, listed),
        "a list": Bad(list(options), TypeError, listed),
    }  # fmt: skip


def flag(name):
    bad = {"one": 1, "float": 0.0, "a word": "yes", "None": None, "array": np.array([True]), "object": object()}
    return {key: Bad(value, TypeError, rf"{name} must be True or False; got ") for key, value in bad.items()}


def text(name):
    bad = {"a number": 3, "bytes": b"text", "None": None, "a list": ["text"], "object": object()}
    return {key: Bad(value, EITHER, rf"{name} must be a string; got ") for key, value in bad.items()}


def seed(name, generator):
    bad = {"float": 1.0, "bool": True, "a word": "0", "list": [1], "object": object(), "module": np.random}
    rule = rf"{name} must be None, an int or a {generator}; got .*\. Pass"
    return {key: Bad(value, TypeError, rule) for key, value in bad.items()} | {
        "numpy bool": Bad(np.True_, TypeError, rule),
        "negative": Bad(-1, ValueError, rf"{name} (as a seed )?must be .*; got -1", False),
    }


# ---------------------------------------------------------------------------------------------- the rest, by their name


def anything(name, none=False):
    """What stands for no argument that is more than a number, a word or an array."""
    bad = {"object": object(), "a number": 1.5, "a word": "nonsense", "bytes": b"x"} | ({} if none else {"None": None})
    return {key: Bad(value, EITHER, rf"(.*\b)?{name}\b") for key, value in bad.items()}


def instance(name, article_and_class):
    rule = rf"{name} must be {article_and_class}; got "
    bad = {"None": None, "a matrix": np.ones((3, 2)), "a pair": (1, 2), "a word": "result", "object": object()}
    return {key: Bad(value, TypeError, rule) for key, value in bad.items()}


def corpora(name, batch):
    """What is no corpus, or none of this model, or too short for a batch."""
    rule = f"{name} must be bytes or a tensor of integers with 1 dimension; got "
    tokens = rf"{name} must hold tokens between 0 and .* = 255; got"
    return {
        "str": Bad("to be", TypeError, rf"{rule}str\. Encode"),
        "list": Bad(list(TEXT), TypeError, f"{rule}list"),
        "None": Bad(None, TypeError, f"{rule}NoneType"),
        "floats": Bad(torch.ones(99), TypeError, f"{rule}a tensor of torch.float32"),
        "2-D": Bad(torch.ones(9, 9, dtype=torch.int64), TypeError, rf"{rule}a tensor of torch.int64, shape \(9, 9\)"),
        "empty": Bad(b"", ValueError, f"{name} must hold at least 2 tokens, one to read and one to guess; got 0"),
        "above": Bad(torch.tensor([1, 256] * 40), ValueError, rf"{tokens} 256"),
        "below": Bad(torch.tensor([1, -1] * 40), ValueError, rf"{tokens} -1"),
        "short": Bad(TEXT[: 8 * batch], ValueError, rf"{name} must hold more than {batch} × 8 .*; got {8 * batch}\."),
    }  # fmt: skip


def on_meta():
    with torch.device("meta"):
        return training.GPT(training.GPTConfig(context=8, width=16, heads=2, layers=1, hidden=24))


def gpts(name):
    rule = rf"{name} must be a GPT; got "
    return {
        "Linear": Bad(torch.nn.Linear(2, 2), TypeError, rule + r"Linear\. Make one with GPT\(GPTConfig"),
        "None": Bad(None, TypeError, rule + "NoneType"),
        "a word": Bad("gpt2", TypeError, rule + "str"),
        "class": Bad(training.GPT, TypeError, rule + "type"),
        "meta": Bad(on_meta(), ValueError, rf"{name} must hold numbers; got weights on the meta device\. Call"),
    }


def networks(name):
    rule = rf"{name} must be a torch\.nn\.Module; got "
    return {
        "None": Bad(None, TypeError, rule + r"NoneType\. Pass the model"),
        "a word": Bad("gpt2", TypeError, rule + "str"),
        "class": Bad(torch.nn.Linear, TypeError, rule + "type"),
        "tensor": Bad(torch.ones(2, 2), TypeError, rule + "Tensor"),
    }


def folders(name):
    rule = rf"{name} must be a path; got "
    bad = {"a number": 3, "empty": "", "bytes": b"run", "a list": ["run"], "object": object(), "None": None}
    return {key: Bad(value, TypeError, rule + re.escape(repr(value))) for key, value in bad.items()}


def betas(name):
    return {
        "number": Bad(0.9, TypeError, rf"{name} must be two numbers; got 0\.9\. Pass \(0\.9, 0\.95\)"),
        "one": Bad((0.9,), TypeError, rf"{name} must be two numbers; got "),
        "list": Bad([0.9, 0.95], TypeError, rf"{name} must be two numbers; got "),
        "above": Bad((0.9, 1.0), ValueError, rf"{name} must be finite and at least 0 and below 1; got 1", False),
        "below": Bad((-0.1, 0.9), ValueError, rf"{name} must be finite and at least 0 and below 1; got -0.1", False),
        "word": Bad(("0.9", 0.9), TypeError, rf"{name} must be a real number; got '0.9'"),
    }


def targets(name):
    names = rf"{name} must name linear layers of the model; got 'query'\. There are: 'q_proj', 'k_proj'"
    return {
        "unknown": Bad(["query"], ValueError, names),
        "one unknown": Bad(["q_proj", "query"], ValueError, names),
        "word": Bad("q_proj", TypeError, rf"{name} must be a list of names; got 'q_proj'"),
        "None": Bad(None, TypeError, rf"{name} must be a list of names; got NoneType"),
        "empty": Bad([], ValueError, rf"{name} must not be empty"),
        "block": Bad(["blocks"], TypeError, ".*'blocks' must be a torch.nn.Linear"),
        "number": Bad([3], TypeError, rf"{name} must be strings; got int"),
    }


def boxes(name):
    rule = rf"{name} must be a list of Shape and str; got "
    return {
        "a number": Bad(3, TypeError, rule + "int"),
        "None": Bad(None, TypeError, rule + "NoneType"),
        "a word": Bad("=", TypeError, rule + "str"),
        "one shape": Bad(plotting.Shape("A", 2, 3), TypeError, rule + "Shape"),
        "a number among them": Bad([3], TypeError, rf"{name}\[0\] must be a Shape or a str; got int"),
        "no shape": Bad(["="], ValueError, rf"{name} must hold at least one Shape; got 1 str"),
        "empty": Bad([], ValueError, rf"{name} must hold at least one Shape; got 0 str"),
        "no rows": Bad([plotting.Shape("A", 0, 3)], ValueError, rf"rows of 'A' in {name} must be at least 1", False),
        "half a column": Bad([plotting.Shape("A", 2, 0.5)], TypeError, rf"columns of 'A' in {name} must be an integer"),
        "no name": Bad([plotting.Shape(None, 2, 3)], TypeError, rf"the name of a Shape in {name} must be a string"),
        "no color": Bad([plotting.Shape("A", 2, 3, 5)], TypeError, rf"the color of 'A' in {name} must be a string"),
    }  # fmt: skip


def prompts(name):
    return {
        "str": Bad("to be", TypeError, rf"{name} must be bytes; got str\. Encode text with text\.encode\(\)"),
        "tensor": Bad(torch.tensor([1]), TypeError, rf"{name} must be bytes; got Tensor"),
        "None": Bad(None, TypeError, rf"{name} must be bytes; got NoneType"),
        "empty": Bad(b"", ValueError, rf"{name} must hold at least one byte; got none"),
    }


def adapters(name):
    """What names no adapter of the model."""
    there = rf"{name} must be that of an adapter; got "
    bad = {"unknown": "other", "None": None, "a number": 3, "a list": ["default"]}
    return {key: Bad(value, ValueError, rf"{there}.*\. There are: 'default'") for key, value in bad.items()}


def dictionaries(name):
    rule = rf"{name} must be a dict.*; got "
    bad = {"None": None, "a number": 3, "a list": [1], "a word": "weights", "object": object()}
    wrong = {key: Bad(value, TypeError, rule) for key, value in bad.items()}
    if name == "tensors":
        wrong["a list in it"] = Bad({"w": [1.0]}, TypeError, rf"{name}\['w'\] must be a tensor; got list")
        wrong["a number for a name"] = Bad({3: torch.ones(2)}, ValueError, "the names of tensors must be strings")
    else:
        wrong["a tuple in it"] = Bad({"a": (1, 2)}, TypeError, rf"{name} must come back from JSON as it is")
        wrong["NaN in it"] = Bad({"a": NAN}, TypeError, rf"{name} must be plain JSON")
    return wrong


def shapes(name):
    return {
        "a number": Bad(4, TypeError, rf"{name} must be a pair \(m, n\); got 4\. Pass A\.shape"),
        "None": Bad(None, TypeError, rf"{name} must be a pair \(m, n\); got None"),
        "three": Bad((4, 9, 2), TypeError, rf"{name} must be a pair \(m, n\); got \(4, 9, 2\)"),
        "floats": Bad((4.0, 9), TypeError, rf"{name}\[0\] must be an integer; got 4\.0"),
        "zero": Bad((4, 0), ValueError, rf"{name}\[1\] must be at least 1; got 0", False),
        "small": Bad((2, 9), ValueError, rf"s can hold at most min\(m, n\) = 2 singular values; got 4 for the {name}"),
    }  # fmt: skip


def penalties(name):
    rule = rf"{name} must be a sequence of numbers; got "
    return {
        "a number": Bad(0.5, TypeError, rule + "float"),
        "None": Bad(None, TypeError, rule + "NoneType"),
        "a word": Bad("0.5", TypeError, rule + "str"),
        "empty": Bad([], ValueError, rf"{name} must not be empty; got none"),
        **{
            f"among them {key}": bad._replace(value=[1.0, bad.value])
            for key, bad in real(rf"{name}\[1\]", "(0, inf)").items()
        },
    }


#: What is wrong in the place of an argument of this name that is no slot, no number, no word and no flag.
BY_NAME: dict[str, Callable[[Row, str], Wrong]] = {
    "corpus": lambda row, name: corpora(name, PLAN["batch_size"] if "plan" in row.arguments else 1),
    "validation": lambda row, name: corpora(name, 1),
    "plan": lambda row, name: instance(name, "a Plan"),
    "bookkeeping": lambda row, name: instance(name, "a Bookkeeping"),
    "model": lambda row, name: gpts(name) if "training" in row.function.__module__ else networks(name),
    "folder": lambda row, name: folders(name),
    "betas": lambda row, name: betas(name),
    "targets": lambda row, name: targets(name),
    "shape": lambda row, name: shapes(name),
    "penalties": lambda row, name: penalties(name),
    "factors": lambda row, name: instance(name, r"the triple \(.*\)"),
    "parts": lambda row, name: boxes(name),
    "prompt": lambda row, name: prompts(name),
    "tensors": lambda row, name: dictionaries(name),
    "state": lambda row, name: dictionaries(name),
    "pieces": lambda row, name: instance(name, "a list of one or more SVDFactors"),
    **dict.fromkeys(("sketch", "first", "second"), lambda row, name: instance(name, "a DirectionSketch")),
    "result": lambda row, name: instance(name, r"a \w+"),
    "quantised": lambda row, name: instance(name, "a Quantised"),
    "space": lambda row, name: instance(name, "a LatentSpace"),
    "weights": lambda row, name: instance(name, "LatentWeights"),
    "before": lambda row, name: instance(name, "a LatentCache"),
    "cache": lambda row, name: instance(name, "a LatentCache"),
    "start": lambda row, name: instance(name, "a Completion"),
    "layer": lambda row, name: instance(name, r"a torch\.nn\.Linear itself, not a subclass"),
    "base": lambda row, name: instance(name, r"a torch\.nn\.Linear itself, not a subclass"),
    "ax": lambda row, name: instance(name, "an Axes of matplotlib"),
}

# ----------------------------------------------------------------------------------------------- what one function adds

#: Arguments that are a word of a list, though their annotation is str.
WORDS = {
    (datasets.load, "name"): (*OFFLINE_ONLY, *SOURCES),
    (widgets.memory_calculator, "preset"): tuple(PRESETS),
    (results.load, "name"): results.names(),
}
#: Arguments that name an adapter of the model.
OF_ADAPTERS = [(lora.set_adapter, "name"), (lora.save_lora, "name")]
WITHOUT = Bad(gpt(), ValueError, r"model must have adapters; got a model without\. Call add_lora first")
LAYER = Bad(linear(), ValueError, r"model must contain linear layers; got a Linear itself, which")
OF_LAYER = {
    "rank": {"above": Bad(17, ValueError, r"rank must be between 1 and .* = 16; got 17 .*q_proj.*\(16, 16\)", False)}
}
#: Arguments that are read by the function that is given the answer.
LATER = {(training.Bookkeeping, "validation"): training.pretrain}


def plan(**options):
    return training.Plan(**PLAN | options)


PARTICULAR: dict[Callable[..., Any], dict[str, Wrong]] = {
    svd.worked_svd: {
        "A": {
            "three columns": Bad(np.eye(3), ValueError, r"A must have 2 columns and .*; got shape \(3, 3\)\. For"),
            "one row": Bad([[1.0, 2.0]], ValueError, r"A must have 2 columns and at least 2 rows; got shape"),
        }
    },
    svd.energy: {"s": {"zeros": Bad([0.0], ValueError, "s must have a positive value; got zeros")}},
    svd.reconstruct: {"U": {"full": Bad(np.eye(7), ValueError, r"U must have as many columns, and Vt as many rows")}},
    svd.fix_signs: {"U": {"full": Bad(np.eye(7), ValueError, r"U must have as many columns, and Vt as many rows")}},
    linalg.lu_solve: {
        "perm": {
            key: bad._replace(error=ValueError, message="perm must hold the row numbers")
            for key, bad in (places("perm", None) | {"twice": Bad([1, 1], ValueError, "")}).items()
            if key != "ragged"
        }
    },
    linalg.cholesky: {
        "A": {
            "slanted": Bad(
                [[2.0, 0.0], [1.0, 3.0]], ValueError, r"A must be symmetric; got A\[0, 1\] = 0 and A\[1, 0\] = 1\."
            ),
            "a pivot": Bad(
                [[-4.0, -1.0], [-1.0, -3.0]], ValueError, "A must be positive definite; got pivot -4 at index 0"
            ),
        }
    },
    linalg.solve_lower: {
        "L": {"no pivot": Bad(np.tri(5, 5, -1), ValueError, r"L must be invertible; got L\[0, 0\] = 0\. .*lstsq")}
    },
    svd.estimate_error: {
        "Q": {"1-D": Bad(np.ones(7), ValueError, r"Q must be a matrix, with 2 dimensions; got 1 .*\. For one")}
    },
    decomposition.nmf: {
        "init": {"three": Bad((1, 2, 3), ValueError, r"init as a tuple must be the pair \(W, H\); got 3 items")}
    },
    completion.implicit_als: {
        "C": {"zeros": Bad(np.zeros((8, 6)), ValueError, "C must have an entry above 0; got zeros only")}
    },
    plotting.spectrum: {
        "s": {"negative": Bad([1.0, -2.0], ValueError, r"s must be non-negative; got -2 at 1\. A logarithmic")}
    },
    datasets.load: {
        "base_url": {"offline": Bad("http://localhost", ValueError, r"base_url says .*; got it with online=False\.")}
    },
    lora.lora_parameters: {"model": {"without": WITHOUT}},
    lora.merge_lora: {"model": {"without": WITHOUT}},
    lora.unmerge_lora: {
        "model": {
            "without": WITHOUT,
            "not merged": Bad(adapted(), ValueError, r"an adapter must be merged; got none merged\. Call merge_lora"),
        }
    },
    lora.set_adapter: {"model": {"without": WITHOUT}},
    lora.disable_lora: {"model": {"without": WITHOUT}},
    lora.assign_lora: {"model": {"without": WITHOUT}},
    lora.save_lora: {"model": {"without": WITHOUT, "a layer": LAYER}},
    lora.load_lora: {"model": {"a layer": LAYER}},
    lora.add_lora: OF_LAYER | {"model": {"a layer": LAYER}},
    training.prepare: OF_LAYER,
    training.Bookkeeping: {
        "evaluate_every": {
            "without": Bad(1, ValueError, r"evaluate_every needs a validation corpus; got none\. Pass validation")
        },
        "save_every": {"without": Bad(1, ValueError, r"save_every needs a folder; got none\. Pass folder='run'")},
    },
    training.pretrain: {
        "plan": {
            "corpus": Bad(plan(batch_size=6), ValueError, r"corpus must hold more than 6 × 8 tokens.*; got 42\."),
            "context": Bad(
                plan(context=9), ValueError, r"context must be between 1 and config\.context = 8; got 9\.", False
            ),
        },
        "bookkeeping": {
            "too short": Bad(
                training.Bookkeeping(validation=b"short"), ValueError, r"validation must hold more than 1 × 8 tokens"
            ),
            "no corpus": Bad(training.Bookkeeping(validation="text"), TypeError, "validation must be bytes"),
        },
    },
    training.generate: {
        "model": {
            "vocabulary": Bad(
                training.GPT(training.GPTConfig(vocabulary=99, context=8, width=16, heads=2, layers=1, hidden=24)),
                ValueError,
                "model must have a vocabulary of 256.*; got 99",
            )
        },
    },
}  # fmt: skip
PARTICULAR[training.finetune] = PARTICULAR[training.pretrain] | OF_LAYER
TOGETHER = Bad(None, ValueError, "W_KR and W_QR must both be there or both be None; got one")
for latent in (attention.latent_cache, attention.latent_attention):
    PARTICULAR[latent] = {name: {"None": TOGETHER} for name in ("W_KR", "W_QR")}


# ------------------------------------------------------------------------------------------------------------ the sweep


#: Functions of which no right call is made elsewhere, or a class that is called like one.
MORE = [
    Row(lora.disable_lora, None, {"model": Made(adapted)}),
    Row(lora.assign_lora, None, {"model": Made(adapted), "names": ["default", None]}),
    Row(lora.LoRALinear, None, {"base": Made(linear), "rank": 2, "alpha": 4}, limits={"rank": "[1, min(m, n) = 4]"}),
    Row(training.standard_library, None, {"split": "validation"}),
]
#: What is not swept, and why.
LEFT_OUT = {
    "exercises": "its functions take whatever comes, and say what is wrong with it (tests/package/exercises)",
    "finetuning": "its own tests have every argument's misuse (tests/package/finetuning)",
    "plotting.use_book_style": "it takes nothing",
    "training.GPT": "it takes a GPTConfig, which checks itself (tests/package/training/test_model.py)",
}


def hints(function):
    """The annotations of the parameters, without None where that is among them, and whether it is."""
    called = function.__init__ if inspect.isclass(function) else function
    found = typing.get_type_hints(
        called, {**vars(inspect.getmodule(function)), "nn": torch.nn, "torch": torch, "Tensor": torch.Tensor}
    )
    for name in inspect.signature(function).parameters:
        hint = found[name]
        union = typing.get_origin(hint) in (typing.Union, types.UnionType)
        members = typing.get_args(hint) if union else (hint,)
        kept = [member for member in members if member is not types.NoneType]
        yield name, kept, len(kept) < len(members)


def of_option(row, name, kinds, none):
    """What is wrong in the place of an argument that is no array."""
    limits = row.limits.get(name, LIMITS.get(name))
    literal = next((kind for kind in kinds if typing.get_origin(kind) is Literal), None)
    if kinds == [int] or kinds == [float]:
        assert limits, f"tests/package/sweeps/functions.py must say between what {row.name}'s {name} lies"
        wrong = (whole if kinds == [int] else real)(name, limits)
    elif kinds == [bool]:
        wrong = flag(name)
    elif literal or (row.function, name) in WORDS:
        wrong = words(name, typing.get_args(literal) or WORDS[row.function, name])
    elif (row.function, name) in OF_ADAPTERS:
        wrong = adapters(name)
    elif np.random.Generator in kinds:
        wrong = seed(name, "numpy Generator")
    elif torch.Generator in kinds:
        wrong = seed(name, r"torch\.Generator")
    elif name in BY_NAME:
        wrong = BY_NAME[name](row, name)
    elif kinds == [str]:
        wrong = text(name)
    else:
        wrong = anything(name)
    return {key: bad for key, bad in wrong.items() if not (none and bad.value is None)}


def cases(row):
    """Each argument of a call by name, with its slot if it is an array, and what is wrong in its place."""
    slots = dict(row.slots)
    particular = dict(PARTICULAR.get(row.function, {}))
    for name, slot in slots.items():
        parameter = inspect.signature(row.function).parameters.get(name)
        optional = parameter is not None and parameter.default is None
        wrong = of_slot(name, slot) | particular.pop(name, {})
        yield name, slot, {key: bad for key, bad in wrong.items() if not (optional and bad.value is None)}
    for name, kinds, none in hints(row.function):
        if name not in slots and (row.function, name) not in LATER:
            yield name, None, of_option(row, name, kinds, none) | particular.pop(name, {})
    assert not particular, f"{row.name} has no {sorted(particular)}"


def once(rows):
    """The arguments of all functions, each with the first row that has it."""
    found = {}
    for row in rows:
        for name, slot, wrong in cases(row):
            found.setdefault((row.function, name), pytest.param(row, name, slot, wrong, id=f"{row.id}-{name}"))
    return list(found.values())


def call(row, name, slot, value):
    """The right call but for one argument: the arguments, and what calls the function with them."""
    arguments = row.built(lambda leaf: value if leaf is slot and slot is not None else leaf.value)
    if slot is None:
        arguments[name] = value
    for argument in arguments.values():
        if isinstance(argument, torch.nn.Module):
            argument.eval()  # neither is as a model begins, so that setting all to one value is seen
            next(argument.parameters()).requires_grad_(False)

    def run():
        answer = row.function(**arguments)
        if isinstance(answer, AbstractContextManager):
            with answer:
                pass

    return arguments, run


def complaint(row, arguments, run, bad):
    """What is wrong with the answer to a misuse, or nothing."""
    before = snapshot(arguments)
    try:
        run()
    except Exception as error:
        message = str(error)
        expected = bad.error if isinstance(bad.error, tuple) else (bad.error,)
        if type(error) not in expected:
            return f"{type(error).__name__} is not {' or '.join(kind.__name__ for kind in expected)}: {message}"
        if not re.match(f"{row.name}: {bad.message}", message, re.DOTALL):
            return f"another message: {message}"
        if not message.endswith(".") or "  " in message or len(message) > 400:
            return f"no plain sentence: {message}"
        if bad.step and not re.search(r"[.;:] [A-Z0-9].*\.$", message):
            return f"no next step: {message}"
    else:
        return "it is accepted"
    return None if snapshot(arguments) == before else "an argument was changed"


@pytest.mark.parametrize(("row", "name", "slot", "wrong"), once([*ROWS, *MORE]))
def test_misuse_is_named_and_changes_nothing(row, name, slot, wrong):
    assert wrong
    found = {key: complaint(row, *call(row, name, slot, bad.value), bad) for key, bad in wrong.items()}
    assert {key: sentence for key, sentence in found.items() if sentence} == {}


def test_every_public_function_is_swept_and_every_argument():
    assert missing([*ROWS, *MORE], LEFT_OUT) == ([], set())
    swept = {}
    for case in once([*ROWS, *MORE]):
        row, name, _, _ = case.values
        swept.setdefault(row.function, set()).add(name)
    for function, names in swept.items():
        parameters = set(inspect.signature(function).parameters)
        whole_tuples = {"init"} if function is decomposition.nmf else set()  # swept as a word, and its parts as arrays
        later = {name for of, name in LATER if of is function}
        assert parameters - whole_tuples - later <= names, function


# ------------------------------------------------------------------------------ that the sweep sees what it looks for


def accepting(k: int) -> None:
    pass


def another_name(k: int) -> None:
    raise ValueError("somebody: k must be at least 1; got 0.")


def another_argument(k: int) -> None:
    raise ValueError("another_argument: n must be at least 1; got 0.")


def raw(k: int) -> None:
    raise IndexError("raw: k must be at least 1; got 0.")


def without_step(k: int) -> None:
    raise ValueError("without_step: k must be at least 1; got 0.")


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (accepting, "it is accepted"),
        (another_name, "another message"),
        (another_argument, "another message"),
        (raw, "IndexError is not ValueError"),
        (without_step, "no next step"),
    ],
)
def test_a_bad_answer_to_misuse_is_found(function, found):
    row = Row(function, None, {"k": 1})
    bad = Bad(0, ValueError, "k must be at least 1; got 0")
    assert complaint(row, *call(row, "k", None, 0), bad).startswith(found)
    if function is without_step:
        assert complaint(row, *call(row, "k", None, 0), bad._replace(step=False)) is None


def test_a_changed_argument_is_found():
    def spoiling(A):
        A[0, 0] = 5
        raise ValueError("spoiling: A must be another. Pass it.")

    row = Row(spoiling, None, {"A": matrix(np.eye(2))})
    (_, slot) = row.slots[0]
    bad = Bad(np.ones((2, 2)), ValueError, "A must be another")
    assert complaint(row, *call(row, "A", slot, bad.value), bad) == "an argument was changed"


def test_an_option_without_limits_and_a_particular_of_nothing_are_found(monkeypatch):
    def unlimited(nothing: int) -> None:
        pass

    with pytest.raises(AssertionError, match="between what unlimited's nothing lies"):
        list(cases(Row(unlimited, None, {})))
    monkeypatch.setitem(PARTICULAR, accepting, {"n": {}})
    with pytest.raises(AssertionError, match=r"accepting has no \['n'\]"):
        list(cases(Row(accepting, None, {})))


def test_a_batch_must_be_a_multiple_of_the_processes(monkeypatch):
    (row,) = (row for row in ROWS if row.function is training.pretrain)
    monkeypatch.setenv("WORLD_SIZE", "3")
    row.function(**row.built())  # a variable that torchrun did not set means nothing
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(
        ValueError, match=r"^pretrain: batch_size must be a multiple of the number of processes, 3; got 2\. Take 3\.$"
    ):
        row.function(**row.built())


def test_bad_settings_come_to_light_before_anything_is_written(tmp_path):
    (row,) = (row for row in ROWS if row.function is training.finetune)
    books = training.Bookkeeping(folder=tmp_path / "run")
    for changed in ({"plan": plan(batch_size=99)}, {"rank": 99}, {"targets": ["query"]}):
        with pytest.raises(ValueError, match="must"):
            row.function(**row.built() | {"bookkeeping": books} | changed)
    books = training.Bookkeeping(folder=tmp_path / "run", validation=b"x")
    with pytest.raises(ValueError, match="must"):
        row.function(**row.built() | {"bookkeeping": books})
    assert not list(tmp_path.iterdir())


def test_nothing_to_train_is_named():
    model = gpt().requires_grad_(False)
    with pytest.raises(ValueError, match=r"^finetune: a parameter must require a gradient for method 'trainable'"):
        training.finetune(model, TEXT, plan(), method="trainable")
