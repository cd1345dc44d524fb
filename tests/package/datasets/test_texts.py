"""Texts: the manual of Python offline, published files online."""

import collections
import json

from lowrank_helpers.datasets import load
from tests import ROOT


def test_offline_prose_has_no_paragraph_twice():
    text = load("shakespeare")
    paragraphs = text.rstrip("\n").split("\n\n")
    assert len(text) > 100_000 and len(paragraphs) == len(set(paragraphs))
    assert text == load("shakespeare")


def test_offline_intents_are_labelled_and_split():
    texts, labels, domains, split = load("intents")
    assert len(texts) == len(set(texts)) == labels.size == domains.size == split.size > 300
    counts = collections.Counter(zip(labels.tolist(), split.tolist(), strict=True))
    assert all(counts[label, part] for label in set(labels.tolist()) for part in ("train", "val", "test"))
    assert len({*zip(labels.tolist(), domains.tolist(), strict=True)}) == len(set(labels.tolist()))


def test_shakespeare(published):
    content, real = published("shakespeare")
    text = load("shakespeare", online=True)
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")
    assert len(text) == len(content) == (1_115_394 if real else len(content))


def test_intents(published):
    content, real = published("intents")
    texts, labels, domains, split = load("intents", online=True)
    raw = json.loads(content)
    assert sorted(zip(texts, labels.tolist(), strict=True)) == sorted((t, c) for rows in raw.values() for t, c in rows)
    counts = {part: len(raw[part]) + len(raw.get(f"oos_{part}", [])) for part in ("train", "val", "test")}
    assert collections.Counter(split.tolist()) == counts
    assert (domains[labels == "balance"] == "banking").all() and (domains[labels == "oos"] == "oos").all()
    assert ((domains == "oos") == (labels == "oos")).all()
    if real:
        assert (len(texts), len(set(labels.tolist())), len(set(domains.tolist()))) == (23_700, 151, 11)


def test_the_sample_is_of_thirty_intents():
    texts, labels, domains, split = load("requests")
    assert len(texts) == len(set(texts)) == 600 and len(set(labels.tolist())) == 30
    counts = collections.Counter(zip(domains.tolist(), labels.tolist(), split.tolist(), strict=True))
    assert len(counts) == 60 and {(part, n) for (*_, part), n in counts.items()} == {("train", 16), ("test", 4)}
    names = json.loads((ROOT / "lowrank_helpers" / "data" / "tables" / "clinc150_domains.json").read_text("utf-8"))
    assert all(label in names[domain] for domain, label, _ in counts)


def test_the_sample_is_a_part_of_the_whole(published):
    _, real = published("intents")
    if real:
        whole, part = (
            set(zip(*found[:1], *(x.tolist() for x in found[1:]), strict=True))
            for found in (load("intents", online=True), load("requests"))
        )
        assert part < whole


def test_domains_have_fifteen_intents_each():
    names = json.loads((ROOT / "lowrank_helpers" / "data" / "tables" / "clinc150_domains.json").read_text("utf-8"))
    assert len(names) == 10 and all(len(set(labels)) == 15 for labels in names.values())
    assert len(set().union(*names.values())) == 150
