"""What a run says of itself."""

import json
import re
import sys

from lowrank_helpers.training import evaluate
from tests.package.training._models import HAMLET, PORTIA, gpt, pretrain


def test_records_are_made_when_they_are_due_and_lie_in_the_log(tmp_path):
    model = gpt()
    result = pretrain(
        model, HAMLET, steps=10, batch_size=4, accumulate=2, validation=PORTIA, evaluate_every=4, log_every=3,
        save_every=5, folder=tmp_path / "run",
    )  # fmt: skip
    assert [record["step"] for record in result.log] == [3, 4, 5, 6, 8, 9, 10]
    assert [record["step"] for record in result.log if "validation" in record] == [4, 8, 10]
    assert [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()] == result.log
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == ["step-00000005", "step-00000010"]
    for record in result.log:
        assert record["tokens"] == record["step"] * 4 * 2 * 8 and record["tokens_per_second"] > 0
    last = result.log[-1]
    assert (result.loss, result.validation) == (last["loss"], last["validation"])
    assert result.validation == evaluate(model, PORTIA, batch_size=4)


def test_a_bar_is_drawn_only_when_asked_for_or_on_a_terminal(capsys, monkeypatch):
    def stderr(**options):
        pretrain(gpt(), HAMLET, steps=2, batch_size=2, **options)
        out, err = capsys.readouterr()
        assert out == ""
        return err

    assert stderr() == stderr(progress=False) == ""
    assert re.search(r"2/2 .*loss 5\.\d\d\d, [\d,]+ tokens/s", stderr(progress=True))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "2/2" in stderr() and stderr(progress=False) == ""
