"""Bytes to learn from: the standard library's own source, frozen samples, and batches of them."""

import hashlib
import lzma
import sysconfig
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lowrank_helpers import _checks

Split = Literal["train", "validation"]
Sample = Literal["source", "tkinter", "book"]
# Tests, tables of characters, generated text; and what uses tkinter, because tkinter is a target to adapt to.
LEFT_OUT = set(
    "test tests site-packages dist-packages __pycache__ encodings pydoc_data lib2to3 distutils ensurepip "
    "tkinter idlelib turtledemo turtle.py".split()
)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
END = b"\x00"  # after each file


def in_validation(name: str) -> bool:
    """Whether a file is held out: 10 in 256, by the first byte of the SHA-256 of its name."""
    return hashlib.sha256(name.encode()).digest()[0] < 10


def standard_library(split: Split) -> Tensor:
    """Return the source of this Python's standard library, without tests and without tkinter.

    Whole files go into one split or the other, by a hash of their names, so that a file never stands in both, and one
    that is in both of two versions of Python stands in the same split of each. The text itself depends on the version.

    Parameters
    ----------
    split : {"train", "validation"}
        246 and 10 of 256 files, on average.

    Returns
    -------
    Tensor of uint8, shape (N,)
        The files in the order of their names, a zero byte after each.

    Raises
    ------
    ValueError
        The split is neither of the two, or this Python came without source.

    Examples
    --------
    >>> source = standard_library("train")
    >>> source.dtype, len(source) > 4_000_000
    (torch.uint8, True)
    """
    _checks.choice(split, get_args(Split), "split")
    root = Path(sysconfig.get_path("stdlib"))
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    kept = [name for name in names if LEFT_OUT.isdisjoint(name.split("/"))]
    chosen = [name for name in kept if in_validation(name) == (split == "validation")]
    if not chosen:
        raise _checks.invalid(
            f"this Python's library must hold source files; got {len(kept)} in its folder. "
            'Pass load_corpus("source", …), the sample that ships with the book.'
        )
    return _bytes(b"".join((root / name).read_bytes() + END for name in chosen))


def load_corpus(name: Sample, split: Split) -> Tensor:
    """Return a frozen sample of text, the same on every machine.

    Parameters
    ----------
    name : {"source", "tkinter", "book"}
        Source of the standard library of Python 3.11 from files that the base model was not trained on; its package
        tkinter, none of which the base model has seen; the prose of chapters 1 to 6 of this book.
    split : {"train", "validation"}
        "source" has "validation" alone: its training text is `standard_library`.

    Returns
    -------
    Tensor of uint8, shape (N,)

    Raises
    ------
    ValueError, TypeError
        There is no such sample or split.

    Examples
    --------
    >>> bytes(load_corpus("tkinter", "validation")[:36].numpy()).decode()
    '# base class for tk common dialogues'
    """
    _checks.choice(name, get_args(Sample), "name")
    _checks.choice(split, get_args(Split), "split")
    if (name, split) == ("source", "train"):
        raise _checks.invalid(
            "split must be 'validation' for 'source'; got 'train'. "
            'Pass standard_library("train") for text to train on.'
        )
    packed = resources.files("lowrank_helpers").joinpath(f"data/corpora/{name}_{split}.xz")
    return _bytes(lzma.decompress(packed.read_bytes()))


def _bytes(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy())


def tokens_of(corpus: object, vocabulary: int, name: str = "corpus") -> Tensor:
    """Read a corpus: bytes, or a tensor of whole numbers below the vocabulary; at least two tokens."""
    tokens = _bytes(corpus) if isinstance(corpus, bytes) else corpus
    if not isinstance(tokens, Tensor) or tokens.ndim != 1 or tokens.dtype not in INTEGERS:
        came = type(corpus).__name__
        if isinstance(tokens, Tensor):
            came = f"a tensor of {tokens.dtype}, shape {tuple(tokens.shape)}"
        raise _checks.mistyped(
            f"{name} must be bytes or a tensor of integers with 1 dimension; got {came}. "
            "Encode text with text.encode()."
        )
    if len(tokens) < 2:
        raise _checks.invalid(
            f"{name} must hold at least 2 tokens, one to read and one to guess; got {len(tokens)}. "
            'Pass load_corpus("book", "train"), for example.'
        )
    least, greatest = (int(bound) for bound in tokens.aminmax())
    if least < 0 or greatest >= vocabulary:
        raise _checks.invalid(
            f"{name} must hold tokens between 0 and the vocabulary − 1 = {vocabulary - 1}; "
            f"got {least if least < 0 else greatest}. Take a model with that vocabulary."
        )
    return tokens


class Batches:
    """The windows of a corpus, shuffled anew each epoch: any batch at once, from its number alone.

    An epoch cuts the corpus at an offset of its own into n windows of ``context`` tokens and the one that follows, and
    permutes them. Sequence k of the run is window k mod n of epoch k // n; so the position of a run in its data is one
    integer, and a run that is resumed, or spread over several processes, reads the same sequences.
    """

    def __init__(self, tokens: Tensor, context: int, seed: int) -> None:
        self.tokens, self.context, self.seed = tokens, context, seed
        shifts = context if len(tokens) >= 2 * context else 1  # offsets that an epoch may have
        self.windows = (len(tokens) - shifts) // context
        self.shifts = min(context, len(tokens) - self.windows * context)
        self._epoch, self._order, self._shift = -1, np.arange(0), 0

    def __call__(self, first: int, count: int) -> tuple[Tensor, Tensor]:
        """Sequences ``first`` to ``first + count − 1`` of the run: tokens and targets, int64, (count, context)."""
        starts = torch.tensor([self._start(k) for k in range(first, first + count)])
        rows = self.tokens[starts[:, None] + torch.arange(self.context + 1)].long()
        return rows[:, :-1], rows[:, 1:]

    def _start(self, k: int) -> int:
        epoch, index = divmod(k, self.windows)
        if epoch != self._epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._epoch, self._shift = epoch, int(rng.integers(self.shifts))
            self._order = rng.permutation(self.windows)
        return self._shift + int(self._order[index]) * self.context
