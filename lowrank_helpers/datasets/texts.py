"""Texts: Tiny Shakespeare and CLINC150 online, the reference manual inside every Python offline."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Topics of the manual, by the field they belong to: the offline stand-in for CLINC150's intents and domains.
FIELDS = {
    "statements": ("assignment", "function", "import", "raise", "try", "with"),
    "expressions": ("binary", "calls", "comparisons", "subscriptions"),
    "text": ("formatstrings", "identifiers", "strings"),
    "objects": ("attribute-access", "objects", "types"),
    "containers": ("typesseq", "typesseq-mutable"),
    "execution": ("debugger", "naming"),
}


class Intents(NamedTuple):
    """Short labelled texts: the k-th is ``texts[k]``, with its label, its domain and its split.

    Attributes
    ----------
    texts : tuple of str
    labels, domains : ndarray of str, shape (N,)
        What each text is about, finely and coarsely; "oos" in both marks what is out of scope.
    split : ndarray of str, shape (N,)
        "train", "val" or "test".
    """

    texts: tuple[str, ...]
    labels: NDArray[np.str_]
    domains: NDArray[np.str_]
    split: NDArray[np.str_]


def clinc150(content: bytes) -> Intents:
    """Read CLINC150's data_full.json."""
    names = resources.files("lowrank_helpers").joinpath("data/tables/clinc150_domains.json").read_text("utf-8")
    domain_of = {label: domain for domain, labels in json.loads(names).items() for label in labels}
    domain_of["oos"] = "oos"
    rows = [
        (text, label, domain_of[label], part.removeprefix("oos_"))
        for part, pairs in json.loads(content.decode("utf-8")).items()
        for text, label in pairs
    ]
    return _intents(rows)


def clinc150_sample() -> Intents:
    """Return the sample that tools/frozen/clinc150.py made."""
    rows = resources.files("lowrank_helpers").joinpath("data/tables/clinc150_sample.json").read_text("utf-8")
    return _intents([(text, label, domain, part) for text, label, domain, part in json.loads(rows)])


def manual_intents() -> Intents:
    """Return the paragraphs of twenty topics of Python's manual, labelled by topic; of each five, one val, one test."""
    topics = _topics()
    seen: set[str] = set()
    rows = []
    fields = {topic: field for field, names in FIELDS.items() for topic in names}
    present = fields.keys() & topics.keys()
    for topic in sorted(
        present, key=lambda topic: (len(topics[topic]), topic)
    ):  # narrow first: it keeps what is shared
        paragraphs = [p for p in _paragraphs(topics[topic]) if p not in seen]
        seen.update(paragraphs)
        for place, paragraph in enumerate(paragraphs):
            split = {3: "val", 4: "test"}.get(place % 5, "train")
            rows.append((paragraph, topic, fields[topic], split))
    return _intents(rows)


def manual_prose() -> str:
    """Return the prose of Python's manual: each paragraph once, on one line, a blank line between two."""
    topics = _topics()
    return "\n\n".join(dict.fromkeys(p for topic in sorted(topics) for p in _paragraphs(topics[topic]))) + "\n"


def _topics() -> dict[str, str]:
    from pydoc_data.topics import topics

    return topics


def _paragraphs(text: str) -> list[str]:
    """Return the whole sentences at the left margin: no headings, no grammar, no indented examples."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", text):
        example = block[:1].isspace() or "::=" in block
        heading = re.search(r"(?m)^\W{3,}$", block)  # the line under it
        paragraph = " ".join(block.split())
        if not example and not heading and len(paragraph) >= 60 and paragraph[-1] in ".:":
            paragraphs.append(paragraph)
    return paragraphs


def _intents(rows: list[tuple[str, str, str, str]]) -> Intents:
    texts, labels, domains, split = zip(*rows, strict=True)
    return Intents(texts, np.array(labels), np.array(domains), np.array(split))
