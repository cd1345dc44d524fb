"""Every numbered claim of the book: proved, shown by a cell, guarded by a check that rejects what is false.

``pytest tests/book/test_ledger.py -k thm-penrose-unique`` runs the tests of one claim.
"""

import importlib
import inspect
import itertools
import re

import pytest

from book import definitions, ledger
from book.claims import Claim, Folklore, Helper, exchanged, functions_of
from book.margins import rejects

ENTRIES = ledger.read_book()
BY_LABEL = {entry.label: entry for entry in ENTRIES}
MODULES = [importlib.import_module(ledger.claims_module(path.stem)) for path in ledger.chapters()]
NUMBERS = [ledger.number(path.stem) for path in ledger.chapters()]
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
thm-spectral thm-diagonalisable thm-pagerank thm-courant-fischer thm-lu thm-qr thm-cholesky
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


class NotRun(BaseException):
    """Raised in the place of the code, past whatever a check catches."""


def stopped(*args, **kwargs):
    raise NotRun


@pytest.mark.parametrize("label", CLAIMS)
def test_no_verdict_without_the_code(label):
    claim = CLAIMS[label]
    without = exchanged(claim.code, lambda function: stopped)
    for case in (*claim.cases, *claim.dropped.values()):
        with pytest.raises(NotRun):
            claim.check(without, *case)


def counted(claim, index):
    """Whether the check runs the function of this index on one of the cases."""
    numbers = itertools.count()
    without = exchanged(claim.code, lambda function: stopped if next(numbers) == index else function)
    for case in claim.cases:
        try:
            claim.check(without, *case)
        except NotRun:
            return True
    return False


@pytest.mark.parametrize("label", [label for label, claim in CLAIMS.items() if len(functions_of(claim.code)) > 1])
def test_each_function_of_the_code_is_run(label):
    for index, function in enumerate(functions_of(CLAIMS[label].code)):
        assert counted(CLAIMS[label], index), function


FORMULA = "the formula of the statement: the book computes its value in place, for one instance"
PROOF = "the construction of the proof: the book carries it out on one instance, not as a function"
EXPRESSION = "one expression of numpy, which the book writes where it is used"

# The claims whose code, in part or all, is neither a chapter's function nor the package's, and why.
NO_CODE_IN_THE_BOOK = {
    "lem-cauchy-schwarz": EXPRESSION,
    "thm-frobenius-trace": EXPRESSION,
    "lem-wedderburn": EXPRESSION,
    "cor-rank-one-elimination": "pivots drawn at random; peel takes the largest, and thm-rank-factorization checks it",
    "thm-rank-inequalities": FORMULA,
    "prop-passes": FORMULA,
    "thm-merge": FORMULA,
    "thm-frequent-directions": FORMULA,
    "thm-least-squares-gradient": FORMULA,
    "lem-gram-rank": EXPRESSION,
    "thm-courant-fischer": PROOF,
    "cor-cut": FORMULA,
    "thm-svd-exists": PROOF,
    "thm-svd-unique": PROOF,
    "thm-weyl": FORMULA,
    "thm-schatten-norms": "the formula for q < 1, which the package refuses; for q ≥ 1 the package's beside it",
    "thm-pinv-svd": EXPRESSION,
    "thm-wedin": FORMULA,
    "thm-von-neumann": FORMULA,
    "cor-spectra-apart": FORMULA,
    "thm-eckart-young-unique": FORMULA,
    "thm-als-subspace": FORMULA,
    "lem-gaussian": FORMULA,
    "lem-sketch-error": FORMULA,
    "thm-range-finder": FORMULA,
    "thm-power-iteration": FORMULA,
    "thm-block-krylov": FORMULA,
    "prop-error-estimate": "the bound for any α and many draws at once; the package's, for α = 10, beside it",
    "cor-error-estimate-powers": "the bound for any α and many draws at once; the package's, for α = 10, beside it",
    "thm-one-pass": FORMULA,
    "thm-storage": PROOF,
    "prop-held-out": FORMULA,
    "prop-uncentred": FORMULA,
    "thm-whitening": PROOF,
    "prop-nonnegative-direction": EXPRESSION,
    "thm-nonnegative-rank-one": EXPRESSION,
    "prop-nonnegative-rank": FORMULA,
    "thm-pcp-gap": FORMULA,
    "prop-corrupted-column": EXPRESSION,
    "thm-never-determined": PROOF,
    "thm-nuclear-variational": PROOF,
    "thm-johnson-lindenstrauss": EXPRESSION,
    "prop-fixed-values": EXPRESSION,
    "prop-truncation-price": FORMULA,
    "thm-lora-gradient": FORMULA,
    "thm-lora-init": FORMULA,
    "thm-lora-gauge": EXPRESSION,
    "thm-lora-merge": FORMULA,
    "thm-step-cost": FORMULA,
    "thm-chance-overlap": FORMULA,
    "thm-pissa": FORMULA,
}


def of_the_book(function):
    """Whether a function is a chapter's or the package's."""
    module = getattr(function, "__module__", None) or ""
    return isinstance(function, definitions.Definition | Helper) or module.startswith("lowrank_helpers")


def test_the_ledger_runs_the_code_of_the_book():
    others = {label for label, claim in CLAIMS.items() if not all(map(of_the_book, functions_of(claim.code)))}
    assert others == set(NO_CODE_IN_THE_BOOK)


@pytest.mark.parametrize(
    ("number", "module"),
    [(n, module) for n, module in zip(NUMBERS, MODULES, strict=True) if n],  # a project's claims run none of its code
    ids=str,
)
def test_no_function_of_a_chapter_is_written_a_second_time(number, module):
    chapter = {s.node.name for s in definitions.functions(number)}
    written = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    assert written & chapter == set()


@pytest.mark.parametrize("label", CLAIMS)
def test_claim_has_a_mutant(label):
    claim = CLAIMS[label]
    assert claim.mutants, "at least one wrong code"
    assert callable(claim.check) and len(inspect.signature(claim.check).parameters) >= 2


def test_each_folklore_row_has_a_cell_a_test_and_a_place_on_the_page():
    page = (ledger.ROOT / "folklore.md").read_text(encoding="utf-8")
    rows = {int(row) for row in re.findall(r"^## (\d+) ·", page, re.MULTILINE)}
    assert rows == set(range(1, 41))
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
