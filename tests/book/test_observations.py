"""Every observation of the book: a fair protocol, a verdict from measurements alone, and what would overturn it.

``pytest tests/book/test_observations.py -k obs-norms-shuffled`` runs the tests of one observation.
"""

import functools
import importlib
import re

import pytest

from book import ledger
from book.observations import Contender, Observation, Protocol, faults, holds

FINDINGS = ledger.read_findings()
MODULES = [importlib.import_module(ledger.claims_module(path.stem)) for path in ledger.chapters()]
OBSERVATIONS: dict[str, Observation] = {
    label: observation for module in MODULES for label, observation in getattr(module, "OBSERVATIONS", {}).items()
}


@functools.cache
def measured(label):
    """An observation's measurements, taken once."""
    return OBSERVATIONS[label].measured()


def test_the_boxes_and_the_verdicts_have_the_same_labels():
    labels = [finding.label for finding in FINDINGS]
    assert len(set(labels)) == len(labels), "a label is used twice"
    assert set(labels) == set(OBSERVATIONS)
    for module in MODULES:
        of_it = {f.label for f in FINDINGS if ledger.claims_module(f.chapter) == module.__name__}
        assert set(getattr(module, "OBSERVATIONS", {})) == of_it, "a verdict stands in its chapter's file"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.label)
def test_the_box_says_how_it_was_found(finding):
    assert re.fullmatch(r"obs-[a-z0-9-]+", finding.label)
    assert finding.title
    statement, *rest = re.split(r"\*(?:Protocol|Rivals tried|It would be overturned by):\*", finding.text)
    assert len(rest) == 3, "*Protocol:*, *Rivals tried:* and *It would be overturned by:*, in this order"
    assert all(len(part.split()) > 3 for part in (statement, *rest))
    assert re.search(r"\d", statement), "it states a number"
    assert finding.cell is not None, "a cell shows it"
    assert re.search(r"\d", finding.output), "that cell prints its number"
    assert "assert" in finding.source, "that cell asserts it"


@pytest.mark.parametrize("label", OBSERVATIONS)
def test_the_measurements_bear_it_out(label):
    observation = OBSERVATIONS[label]
    assert faults(observation.protocol, observation.chosen(measured(label))) == []
    assert holds(observation, measured(label))


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.label)
def test_its_numbers_are_those_measured(finding):
    numbers = OBSERVATIONS[finding.label].numbers(measured(finding.label))
    assert numbers and all(re.search(r"\d", number) for number in numbers)
    for number in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", finding.text), f"the box does not say {number}"


@pytest.mark.parametrize(
    ("label", "change"),
    [(label, change) for label, observation in OBSERVATIONS.items() for change in observation.sharp],
)
def test_it_is_overturned_by(label, change):
    observation = OBSERVATIONS[label]
    assert not holds(observation, observation.sharp[change](measured(label)))
    assert holds(observation, measured(label)), "a change is made to a copy"


@pytest.mark.parametrize("label", OBSERVATIONS)
def test_it_can_be_overturned(label):
    assert OBSERVATIONS[label].sharp


FAIR = Protocol(
    baseline="mean",
    contenders=(
        Contender("mean", fixed="has no setting"),
        Contender("ridge", {"penalty": (0.1, 1, 10)}),
        Contender("factors", {"rank": (1, 2, 4)}, first={"rank": "1 is the least rank"}),
        Contender("library, defaults"),
    ),
    tested_on="held-out rows",
    tuned_on="a tenth of the other rows",
    runs=5,
    interval="95 %, paired",
)
CHOSEN = {"ridge": {"penalty": [1, 1]}, "factors": {"rank": [1, 2]}}


def changed(index, **changes):
    """FAIR with one contender changed."""
    contenders = list(FAIR.contenders)
    contenders[index] = contenders[index]._replace(**changes)
    return FAIR._replace(contenders=tuple(contenders))


UNFAIR = {
    "no baseline": (FAIR._replace(contenders=FAIR.contenders[1:]), CHOSEN),
    "the baseline not first": (FAIR._replace(contenders=FAIR.contenders[::-1]), CHOSEN),
    "one contender": (FAIR._replace(contenders=FAIR.contenders[:1]), CHOSEN),
    "a name twice": (changed(0, name="library, defaults")._replace(baseline="library, defaults"), CHOSEN),
    "one tried more often": (changed(1, grid={"penalty": (0.1, 0.3, 1, 10)}), CHOSEN),
    "the edge of the grid": (FAIR, CHOSEN | {"ridge": {"penalty": [1, 10]}}),
    "the edge of the grid, below": (changed(2, first={}), CHOSEN),
    "the edge that no reason excuses": (FAIR, CHOSEN | {"factors": {"rank": [1, 4]}}),
    "chosen, not said what": (FAIR, {"ridge": CHOSEN["ridge"]}),
    "chosen, but not tried": (FAIR, CHOSEN | {"ridge": {"penalty": [3, 3]}}),
    "a rival that nobody tuned": (changed(3, name="library"), CHOSEN),
    "tuned on the test": (FAIR._replace(tuned_on="held-out rows"), CHOSEN),
    "tuned on nothing": (FAIR._replace(tuned_on=""), CHOSEN),
    "no interval": (FAIR._replace(interval=""), CHOSEN),
    "an interval of two runs": (FAIR._replace(runs=2), CHOSEN),
}


def test_a_fair_comparison_is_fair():
    assert faults(FAIR, CHOSEN) == []
    assert faults(FAIR._replace(runs=1, interval="none: one exact computation"), CHOSEN) == []


@pytest.mark.parametrize("name", UNFAIR)
def test_an_unfair_comparison_is_found(name):
    assert len(faults(*UNFAIR[name])) == 1
