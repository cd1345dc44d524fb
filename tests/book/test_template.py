"""The chapter to start from would pass: executed from its text, it keeps every rule, and its claim is read."""

import pathlib
import subprocess
import sys

import pytest

from book import ledger
from tests import ROOT
from tests.book import rules


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The notebook made from the text, under the name that its labels have."""
    notebook = tmp_path_factory.mktemp("chapters") / "00_norms.ipynb"
    command = [sys.executable, "-m", "tools.execute", "--from", "book/template.md", str(notebook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(notebook)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rules(template, rule):
    assert rule(rules.read(template)) == []


def test_its_texts_are_short(template):
    assert rules.long_texts(rules.read(template)) == []


def test_its_claim_is_stated_proved_and_shown(template):
    (claim,) = ledger.read_chapter(template)
    assert claim.label == "prop-norms-transpose" and claim.proof and claim.uses == () and claim.cell == 4
    assert claim.output == "4.690416 = 4.690416\n"
