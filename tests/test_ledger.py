"""Every numbered claim of the book: proved, shown by a cell, guarded by a check that rejects what is false.

``pytest tests/test_ledger.py -k thm-penrose-unique`` runs the tests of one claim.
"""

import importlib
import inspect
import re

import pytest

from tests.claims import Claim, Folklore
from tests.margins import rejects
from tools import ledger

ENTRIES = ledger.read_book()
BY_LABEL = {entry.label: entry for entry in ENTRIES}
MODULES = [importlib.import_module(f"tests.claims.ch{path.stem}") for path in ledger.chapters()]
CLAIMS: dict[str, Claim] = {label: claim for module in MODULES for label, claim in module.CLAIMS.items()}
FOLKLORE: dict[int, list[Folklore]] = {}
for module in MODULES:
    for row, misstatement in getattr(module, "FOLKLORE", {}).items():
        FOLKLORE.setdefault(row, []).append(misstatement)

# What the book promises to prove (design: the list of chapters); a chapter may prove more, never less.
PROMISED = """
thm-frobenius-trace thm-orthogonal-invariance thm-norm-equivalence thm-submultiplicative thm-trace-duality
thm-row-rank-column-rank thm-rank-factorization thm-rank-inequalities
thm-least-squares-gradient thm-normal-equations thm-penrose-unique thm-minimum-norm thm-projectors
thm-spectral thm-courant-fischer thm-lu thm-qr thm-cholesky
thm-svd-exists thm-svd-unique thm-weyl thm-ky-fan thm-schatten-norms thm-pinv-svd thm-tikhonov-limit
thm-eckart-young-spectral thm-eckart-young-frobenius thm-mirsky thm-von-neumann thm-eckart-young-unique
thm-landscape thm-als-subspace
thm-range-finder thm-power-iteration
thm-storage
thm-pca-equivalence
thm-svt
thm-mu-monotone thm-nmf-not-unique
thm-folding-in
thm-als-step thm-nuclear-variational thm-soft-impute
thm-logit-rank thm-mla-absorption thm-johnson-lindenstrauss
thm-activation-aware
thm-lora-gradient thm-lora-init thm-lora-merge thm-lora-floor thm-lora-gauge
thm-chance-overlap thm-pissa
""".split()


def test_the_claims_and_the_tests_have_the_same_labels():
    assert [entry.label for entry in ENTRIES if entry.label in CLAIMS] == [entry.label for entry in ENTRIES]
    assert set(CLAIMS) == set(BY_LABEL)
    assert len(BY_LABEL) == len(ENTRIES), "a label is used twice"


def test_what_the_book_promises_is_there():
    assert set(PROMISED) <= set(BY_LABEL)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_stated_proved_shown(entry):
    assert re.fullmatch(r"(thm|lem|cor|prop)-[a-z0-9-]+", entry.label)
    assert entry.title, "a claim has a name"
    assert entry.proof is not None, "the proof follows the claim"
    assert len(entry.proof.split()) > 15
    assert not re.search(r"left (as an|to the) (exercise|reader)|it can be shown", entry.proof)
    assert entry.uses is not None, "the proof ends with its *Uses:* line"
    assert set(entry.mentioned) <= set(entry.uses), "what the proof refers to is in its *Uses:* line"
    assert entry.cell is not None, "a cell shows the claim"
    assert re.search(r"\d", entry.output), "that cell prints its number"


def test_proofs_use_only_what_is_proved_before():
    proved: set[str] = set()
    for entry in ENTRIES:  # in the book's order: nothing forward, hence no cycle
        assert set(entry.uses or ()) <= proved, f"{entry.label} uses what is not yet proved"
        proved.add(entry.label)


@pytest.mark.parametrize("label", CLAIMS)
def test_claim_holds_within_its_hypotheses(label):
    claim = CLAIMS[label]
    assert len(claim.cases) >= 3
    for number, case in enumerate(claim.cases):
        assert claim.check(claim.code, *case), f"case {number}"


@pytest.mark.parametrize(
    ("label", "hypothesis"), [(label, words) for label, claim in CLAIMS.items() for words in claim.dropped]
)
def test_claim_fails_without(label, hypothesis):
    claim = CLAIMS[label]
    assert rejects(claim.check, claim.code, *claim.dropped[hypothesis])


@pytest.mark.parametrize(
    ("label", "mutant"), [(label, words) for label, claim in CLAIMS.items() for words in claim.mutants]
)
def test_check_rejects_wrong_code(label, mutant):
    claim = CLAIMS[label]
    assert any(rejects(claim.check, claim.mutants[mutant], *case) for case in claim.cases)


@pytest.mark.parametrize("label", CLAIMS)
def test_claim_has_a_mutant(label):
    claim = CLAIMS[label]
    assert claim.mutants, "at least one wrong code"
    assert callable(claim.check) and len(inspect.signature(claim.check).parameters) >= 2


def test_each_folklore_row_has_a_cell_a_test_and_a_place_on_the_page():
    page = (ledger.ROOT / "folklore.md").read_text(encoding="utf-8")
    rows = {int(row) for row in re.findall(r"^## (\d+) ·", page, re.MULTILINE)}
    assert rows == set(range(1, 34))
    shown = ledger.folklore_cells()
    assert set(shown) == rows == set(FOLKLORE)
    for row, places in shown.items():
        for _, cell in places:
            assert "assert" in cell["source"], f"row {row}: its cell asserts"
            assert ledger.printed(cell), f"row {row}: its cell prints"


@pytest.mark.parametrize("row", sorted(FOLKLORE))
def test_folklore(row):
    for misstatement in FOLKLORE[row]:
        assert misstatement.wrong
        assert misstatement.fails(), "the misstatement fails"
        assert misstatement.holds(), "the correction holds"
