"""The editor's list: what compares is found, unless an observation, a theorem or a citation carries it."""

import json

import pytest

from tools.comparatives import comparatives


@pytest.fixture
def chapter(tmp_path):
    """A function that makes a chapter of text cells."""

    def make(*texts):
        path = tmp_path / "00_norms.ipynb"
        cells = [{"cell_type": "markdown", "metadata": {}, "source": text} for text in texts]
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return path

    return make


def test_a_comparison_is_found_with_its_cell(chapter):
    found = list(comparatives(chapter("A plain text.", "First this. The second method is *faster* here.\nIt ends.")))
    assert found == [(1, "The second method is *faster* here.")]


@pytest.mark.parametrize(
    "text",
    [
        ":::{prf:observation} Title\n:label: obs-norms-x\n\nOurs is faster: 3 s against 4 s.\n:::",
        ":::{exercise} Which is better?\n:label: ex-norms-x\n\nIs it faster?\n:::",
        "It is faster on large tables {cite}`strang2016introduction`.",
        "It is better by {prf:ref}`obs-norms-x`.",
        "```\nbetter = 1\n```",
    ],
    ids=["observation", "exercise", "citation", "reference", "code"],
)
def test_what_carries_its_evidence_is_left_out(chapter, text):
    assert list(comparatives(chapter(text))) == []


def test_what_stands_beside_it_is_not(chapter):
    text = ":::{prf:observation} Title\nFaster.\n:::\n\nSo it is better.\n\n- It is worse.\n- Fine."
    assert [sentence for _, sentence in comparatives(chapter(text))] == ["So it is better.", "It is worse."]
