"""The stored figures: each study by its name, with its provenance, and one error for a name that is none."""

import datetime
import json
from importlib import resources

import pytest

from lowrank_helpers import results

FOLDER = resources.files("lowrank_helpers") / "data" / "results"


def stored(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def test_names_are_those_of_the_files_in_order():
    files = sorted(file.name for file in FOLDER.iterdir())
    assert [f"{name}.json" for name in results.names()] == files
    assert {"completion", "cpu_grid", "lora", "lsa", "nmf", "svd"} <= set(results.names())


def _of_each(study):
    """The versions of each measurement, where a study goes on over days: that of the file has what must not change."""
    return [measurement["versions"] for measurement in study["measurements"]]


@pytest.mark.parametrize("name", results.names())
def test_every_study_says_when_with_what_and_on_what(name):
    study = results.load(name)
    assert datetime.date.fromisoformat(study["date"]).isoformat() == study["date"]
    for versions in [study["versions"]] if "python" in study["versions"] else _of_each(study):
        assert versions["python"] and {"numpy", "torch"} & versions.keys()
    assert study["device"].startswith("CPU" if not name.startswith("gpu_") else "NVIDIA")
    assert study["threads"] is None or type(study["threads"]) is int


@pytest.mark.parametrize("name", results.names())
def test_figures_come_as_they_are_stored(name):
    study, document = results.load(name), stored(name)
    assert {key: value for key, value in study.items() if key in document} == document
    assert set(study) - set(document) <= {"threads"} and study["threads"] == document.get("threads")


def test_threads_that_were_not_noted_are_none(monkeypatch, tmp_path):
    document = {"date": "2026-11-22", "versions": {"python": "3.11.7"}, "device": "CPU"}
    (tmp_path / "new.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "new.json.new").touch()  # which a study that was ended while it wrote may leave
    monkeypatch.setattr(results, "_FOLDER", tmp_path)
    assert results.names() == ["new"] and results.load("new")["threads"] is None


def test_a_second_load_is_a_copy_of_its_own():
    results.load("svd")["cases"].clear()
    assert results.load("svd")["cases"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("svd_benchmark", ValueError),
        ("svd.json", ValueError),
        ("../tables/clinc150_domains", ValueError),
        ("", ValueError),
        (None, TypeError),
        (["svd"], TypeError),
    ],
)
def test_another_name_is_answered_with_where_the_names_are(name, error):
    with pytest.raises(error) as caught:
        results.load(name)
    said = f"load: name must be one of results.names(), such as 'svd'; got {name!r}. Pass one of them."
    assert str(caught.value) == said
