"""Texts that are split by file and frozen to the byte, and batches that visit every window once."""

import hashlib
import re
import sysconfig

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowrank_helpers.training import load_corpus, standard_library
from lowrank_helpers.training.corpus import Batches, tokens_of
from tests.package._matrices import PROPERTY

# ----------------------------------------------------------------------------------------------- the standard library

LEFT_OUT = [
    "test/a.py", "json/tests/b.py", "site-packages/numpy/c.py", "dist-packages/d.py", "pkg/__pycache__/e.py",
    "encodings/f.py", "pydoc_data/topics.py", "lib2to3/g.py", "distutils/h.py", "ensurepip/i.py", "tkinter/j.py",
    "idlelib/k.py", "turtledemo/l.py", "turtle.py",
]  # fmt: skip


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A standard library of 400 files that are kept, some that are not, and what is no source at all."""
    texts = {f"pkg{i % 7}/module{i}.py": f"number = {i}\n" * (1 + i % 3) for i in range(399)}
    texts |= {"contest.py": "kept = True\n"} | {name: f"left_out = {name!r}\n" for name in LEFT_OUT}
    for name, text in (texts | {"pkg1/notes.txt": "no source", "pkg1/compiled.pyc": "no source"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    get_path = sysconfig.get_path
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path) if name == "stdlib" else get_path(name))
    return tmp_path, {name: text for name, text in texts.items() if name not in LEFT_OUT}


def files_of(split):
    """The texts in a split, in their order."""
    whole = standard_library(split).numpy().tobytes().decode()
    assert whole.endswith("\0")
    return whole.split("\0")[:-1]


def test_every_file_is_in_exactly_one_split(library):
    _, texts = library
    train, validation = files_of("train"), files_of("validation")
    assert sorted(train + validation) == sorted(texts.values())
    # Of 400 files each is held out with probability 10/256: 15.6 of them, give or take 3.9.
    assert len(validation) == sum(hashlib.sha256(name.encode()).digest()[0] < 10 for name in texts) == 20
    for split in (train, validation):
        names = [next(name for name, text in texts.items() if text == found) for found in split]
        assert names == sorted(names)


def test_nothing_left_out_is_in_either(library):
    whole = "".join(files_of("train") + files_of("validation"))
    assert "kept" in whole and "left_out" not in whole and "no source" not in whole


def test_a_file_stays_in_its_split_whatever_else_there_is(library):
    folder, _ = library
    before = {split: set(files_of(split)) for split in ("train", "validation")}
    for i in range(50):
        (folder / f"a_new_one{i}.py").write_text(f"new = {i}\n")
    (folder / "pkg1" / "module1.py").unlink()
    for split, texts in before.items():
        after = set(files_of(split))
        assert texts - {"number = 1\n" * 2} <= after
        assert all(text.startswith("new") for text in after - texts)


def test_the_same_library_is_the_same_text(library):
    one = standard_library("train")
    assert one.dtype == torch.uint8 and one.ndim == 1
    assert torch.equal(one, standard_library("train"))
    one.zero_()
    assert standard_library("train").any(), "two calls share no memory"


def test_a_python_without_source_is_named(library):
    folder, texts = library
    for name in texts:
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"^standard_library: this Python's library must hold source files; got 0 in"):
        standard_library("train")
    (folder / "contest.py").write_text("kept = True\n")  # in one split alone
    assert len(standard_library("train")) == 13
    with pytest.raises(ValueError, match=r"got 1 in .*load_corpus\(\"source\""):
        standard_library("validation")


@pytest.fixture(scope="module")
def own():
    """This Python's own library, by split."""
    return {split: standard_library(split).numpy().tobytes() for split in ("train", "validation")}


@pytest.mark.slow
def test_this_pythons_own_library(own):
    assert 4_000_000 < len(own["train"]) < 40_000_000 and 50_000 < len(own["validation"]) < len(own["train"]) / 10
    for source in own.values():
        assert source.endswith(b"\0") and b"\ndef " in source
        assert not re.search(rb"(?m)^\s*(import|from) (tkinter|idlelib)\b", source), "what is adapted to was never seen"


# ------------------------------------------------------------------------------------------------------------ samples

FROZEN = {
    ("source", "validation"): (149146, "ce2a4f9bb8a737ba1242307b6324f710064545d5579ba76c0526b290e13097d0"),
    ("tkinter", "train"): (298617, "c8954c3d807ebcb282dc4c3b2d8e5172bf3170b85151e7d7d80eabd880429da7"),
    ("tkinter", "validation"): (64541, "7c680437a380a7ded905ac746774f87d06b1a9f5c1dff015d4463b09838bb439"),
    ("book", "train"): (238734, "e1a81859ff0920207c7ecc7d94d3c75155502b9533ec64e38e14bc13e3433823"),
    ("book", "validation"): (34831, "e9c185e5933897e0599dad5289184d6ebc310ff9072c95abd35b55d538a11e24"),
}


def text_of(name, split):
    return load_corpus(name, split).numpy().tobytes()


@pytest.mark.parametrize(("name", "split"), FROZEN)
def test_samples_are_frozen(name, split):
    sample = load_corpus(name, split)
    assert sample.dtype == torch.uint8 and sample.ndim == 1
    assert (len(sample), hashlib.sha256(sample.numpy().tobytes()).hexdigest()) == FROZEN[name, split]
    sample.zero_()
    assert load_corpus(name, split).any(), "two calls share no memory"


def test_no_file_of_tkinter_is_in_both_splits():
    train, validation = (text_of("tkinter", split).split(b"\0")[:-1] for split in ("train", "validation"))
    assert (len(train), len(validation)) == (11, 3)
    assert not set(train) & set(validation)


def test_no_paragraph_of_the_book_is_in_both_splits():
    """But for what stands in every chapter: five headings and two lines of markup."""
    train, validation = (set(text_of("book", split).decode().split("\n\n")) for split in ("train", "validation"))
    shared = {part for part in train & validation if part}
    assert all(part.startswith(("## ", ":::")) and len(part) < 60 for part in shared), shared
    assert len(validation - shared) > 190 and len(shared) < 7
    long, whole = [part for part in validation if len(part) > 80], text_of("book", "train").decode()
    assert len(long) > 90 and not any(part in whole for part in long)


def test_no_file_of_the_source_sample_is_in_the_training_text(own):
    """Of any Python: what was held out under 3.11 is held out everywhere. Empty files apart."""
    held_out = {text for text in text_of("source", "validation").split(b"\0") if len(text) > 100}
    assert len(held_out) > 10
    assert not held_out & set(own["train"].split(b"\0"))


def long_lines(text):
    return {line for line in map(bytes.strip, text.split(b"\n")) if len(line) > 30}


def test_the_sample_of_the_source_is_what_is_held_out(own):
    """Of any Python, by lines, as few files go unchanged from one to the next; what is in both splits are idioms.

    Of the sample's lines 3.11 holds out 0.98, 3.12 to 3.14, as Pyodide has them, 0.84, 0.79 and 0.78; 0.07 are in the
    text to train on.
    """
    sample = long_lines(text_of("source", "validation"))
    held_out, seen = (len(sample & long_lines(own[split])) / len(sample) for split in ("validation", "train"))
    assert held_out > 0.5 and seen < 0.2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: load_corpus("shakespeare", "train"), ValueError, "load_corpus: name must be one of 'source', 't"),
        (lambda: load_corpus(3, "train"), TypeError, "load_corpus: name must be one of .*; got 3"),
        (lambda: load_corpus("book", "test"), ValueError, "load_corpus: split must be one of 'train', 'validation'"),
        (lambda: load_corpus("book", None), TypeError, "load_corpus: split must be one of .*; got None"),
        (lambda: load_corpus("source", "train"), ValueError, "load_corpus: split must be 'validation' for 'source'"),
        (lambda: standard_library("all"), ValueError, "standard_library: split must be one of 'train', 'validation'"),
        (lambda: standard_library(1), TypeError, "standard_library: split must be one of .*; got 1"),
    ],
)
def test_unknown_names_are_named(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


# ------------------------------------------------------------------------------------------------------------ batches


@st.composite
def corpora(draw):
    """A corpus whose tokens are their own places, and a context that fits into it."""
    context = draw(st.integers(1, 30))
    return torch.arange(draw(st.integers(context + 1, 300))), context


@PROPERTY
@given(corpora(), st.integers(0, 2**40), st.integers(0, 5))
def test_an_epoch_visits_each_window_once_and_nothing_outside(given_, seed, epoch):
    tokens, context = given_
    batches = Batches(tokens, context, seed)
    n = batches.windows
    # An offset of up to a window costs at most one; without room for it, none.
    assert max(1, (len(tokens) - 1) // context - 1) <= n <= (len(tokens) - 1) // context
    rows, targets = batches(epoch * n, n)
    assert rows.shape == targets.shape == (n, context) and rows.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, rows + 1), "the target is the token that follows"
    assert torch.equal(rows, rows[:, :1] + torch.arange(context))
    starts = sorted(rows[:, 0].tolist())
    assert starts == list(range(starts[0], starts[0] + n * context, context)), "each once, side by side"
    assert 0 <= starts[0] < context and int(targets.max()) < len(tokens)


@PROPERTY
@given(corpora(), st.lists(st.integers(0, 400), min_size=1, max_size=12))
def test_a_batch_is_the_same_in_whatever_order_it_is_asked_for(given_, numbers):
    tokens, context = given_
    whole = Batches(tokens, context, 5)(0, 404)
    batches = Batches(tokens, context, 5)
    for first in numbers:
        for part, all_ in zip(batches(first, 4), whole, strict=True):
            assert torch.equal(part, all_[first : first + 4])


def test_epochs_and_seeds_differ_in_order_and_offset():
    tokens = torch.arange(1000)
    epochs = {}
    for seed in range(3):
        batches = Batches(tokens, 10, seed)
        for epoch in range(5):
            starts = batches(epoch * batches.windows, batches.windows)[0][:, 0]
            epochs[seed, epoch] = (int(starts.min()), tuple((starts // 10).tolist()))
    assert len({order for _, order in epochs.values()}) == 15
    assert len({offset for offset, _ in epochs.values()}) > 5


@pytest.mark.parametrize(("length", "last"), [(45, 44), (49, 44), (9, 8), (6, 5)])
def test_all_offsets_come_up_and_with_them_all_tokens_but_a_few_at_the_end(length, last):
    """Fewer than a window's: eight windows of 5 tokens, from offset 4 on, end at number 44, of 49 as of 45."""
    context = 5
    batches = Batches(torch.arange(length), context, 0)
    rows, targets = batches(0, batches.windows * 80)
    assert set((rows[:, 0] % context).tolist()) == set(range(min(context, length - batches.windows * context)))
    assert set(rows.flatten().tolist()) == set(range(last)) and int(targets.max()) == last


def test_batches_of_bytes_are_wide_enough_for_an_embedding():
    tokens = torch.tensor([200, 255, 3, 0], dtype=torch.uint8)
    rows, targets = Batches(tokens, 3, 0)(0, 1)
    assert (rows.tolist(), targets.tolist()) == ([[200, 255, 3]], [[255, 3, 0]])


def test_batches_leave_global_random_state_alone():
    torch_before, numpy_before = torch.get_rng_state(), repr(np.random.get_state())  # noqa: NPY002
    Batches(torch.arange(100), 5, 0)(0, 50)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert repr(np.random.get_state()) == numpy_before  # noqa: NPY002


# ------------------------------------------------------------------------------------------------------------- tokens


def test_bytes_and_whole_numbers_are_tokens():
    assert tokens_of(b"\x00\xff", 256, "f").tolist() == [0, 255]
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        given_ = torch.tensor([0, 99], dtype=dtype)
        assert tokens_of(given_, 100, "f") is given_


RULE = "text must be bytes or a tensor of integers with 1 dimension; got"
WRONG = {
    "str": ("to be", TypeError, rf"{RULE} str\. Encode text with text\.encode\(\)\."),
    "long str": ("x" * 10_000, TypeError, rf"{RULE} str\. Encode"),
    "list": ([1, 2, 3], TypeError, rf"{RULE} list\. Encode"),
    "None": (None, TypeError, rf"{RULE} NoneType\. Encode"),
    "numpy": (np.arange(5), TypeError, rf"{RULE} ndarray\. Encode"),
    "float": (torch.ones(5), TypeError, rf"{RULE} a tensor of torch\.float32, shape \(5,\)\."),
    "bool": (torch.ones(5, dtype=torch.bool), TypeError, rf"{RULE} a tensor of torch\.bool, shape \(5,\)\."),
    "2-d": (torch.ones(2, 5, dtype=torch.int64), TypeError, rf"{RULE} a tensor of torch\.int64, shape \(2, 5\)\."),
    "0-d": (torch.tensor(3), TypeError, rf"{RULE} a tensor of torch\.int64, shape \(\)\."),
    "empty": (b"", ValueError, "text must hold at least 2 tokens, one to read and one to guess; got 0"),
    "one": (b"x", ValueError, "text must hold at least 2 tokens, one to read and one to guess; got 1"),
    "large": (torch.tensor([1, 100, 2]), ValueError, r"text must hold tokens between 0 and .* = 99; got 100\. Take"),
    "negative": (torch.tensor([1, -1, 2]), ValueError, r"text must hold tokens between 0 and .* = 99; got -1\. "),
    "bytes": (b"\x63\x64", ValueError, r"text must hold tokens between 0 and the vocabulary − 1 = 99; got 100\. "),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_corpus_is_named(case):
    value, error, message = WRONG[case]
    with pytest.raises(error, match=f"^tokens_of: {message}") as caught:
        tokens_of(value, 100, "text")
    assert len(str(caught.value)) < 300
