"""The wrong code that cosmic-ray plants into the package: where none is planted, and which tests it meets."""

import pathlib

from tests import ROOT
from tools.mutate_package import annotated, steps


def test_no_mutant_is_planted_where_nothing_is_computed():
    path = "lowrank_helpers/svd/randomized.py"
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    skipped = {lines[number - 1].strip() for number in annotated(path)}
    assert "A: NDArray[F], rank: int, *, block: int | None = ..., steps: int = ..., rng: Seed = ..." in skipped
    assert not any(line.startswith(("return", "if", "for")) for line in skipped)


def test_a_mutant_meets_the_tests_of_its_module_first_and_then_those_of_its_room():
    own, room = steps(pathlib.Path("lowrank_helpers/svd/exact.py"))
    assert own == ["tests/package/svd/test_exact.py", "lowrank_helpers/svd/exact.py"]
    assert room == ["tests/package/svd"]
    assert steps(pathlib.Path("lowrank_helpers/svd/_bases.py")) == [["tests/package/svd"]]
