"""What a reader's file may hold, and what is said of one that does not."""

import json

import pytest

from lowrank_helpers.finetuning import Examples, read_examples, split_examples
from tests.package.finetuning._data import SUMS

ASK, TELL = {"role": "user", "content": "1 and 1?"}, {"role": "assistant", "content": "2"}
ORDER = {"role": "system", "content": "Add."}


@pytest.fixture
def file(tmp_path):
    """Write lines, objects or texts, into a file of this name."""

    def write(*lines, name="mine.jsonl"):
        place = tmp_path / name
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        return place

    return write


@pytest.mark.parametrize(
    ("line", "kind", "row"),
    [
        ({"prompt": "a", "answer": "b", "id": 3}, "answers", {"prompt": "a", "answer": "b"}),
        ({"prompt": "a", "completion": "b"}, "answers", {"prompt": "a", "answer": "b"}),
        ({"prompt": "a", "response": "b"}, "answers", {"prompt": "a", "answer": "b"}),
        ({"text": " ä "}, "text", {"text": " ä "}),
        ({"messages": [ASK, TELL]}, "messages", {"messages": [ASK, TELL]}),
        ({"messages": [ORDER, ASK, {**TELL, "name": "x"}]}, "messages", {"messages": [ORDER, ASK, TELL]}),
    ],
)  # fmt: skip
def test_each_kind_is_read(file, line, kind, row):
    found = read_examples(file("", line, ""))
    assert (found.kind, found.rows, found.lines, found.source) == (kind, (row,), (2,), "mine.jsonl")


def test_repeated_lines_are_left_out_and_contradictions_counted(file):
    found = read_examples(
        file(
            {"prompt": "a", "answer": "b"},
            {"answer": "b", "prompt": "a"},
            {"prompt": "a", "answer": "c"},
            {"prompt": "d", "answer": "b"},
        )
    )
    assert (len(found), found.repeated, found.contradicted, found.lines) == (3, 1, 1, (1, 3, 4))
    assert repr(found) == "Examples(3 of 'answers' from 'mine.jsonl')"


@pytest.mark.parametrize("name", ["notes.txt", "notes.md"])
def test_paragraphs_of_a_text(file, name):
    found = read_examples(file("", "one", "two ", " ", "", "three", name=name))
    assert [row["text"] for row in found.rows] == ["one\ntwo", "three"] and found.lines == (2, 6)


def test_a_mark_of_byte_order_is_no_part_of_the_text(file):
    assert read_examples(file('\ufeff{"text": "a"}')).rows == ({"text": "a"},)


GOOD = {"text": "a"}
BAD = {
    "no JSON": ([GOOD, "{'text': 1}"], r"line 2 of mine\.jsonl must be one JSON object; it is not: Expecting"),
    "a list": (["[1]"], "line 1 of mine.jsonl must be a JSON object with 'messages'.*; got a list"),
    "other keys": ([{"instruction": "a", "output": "b"}], "line 1 .* must have .*; got 'instruction', 'output'"),
    "no answer": ([{"prompt": "a"}], "must have 'messages', or 'prompt' and 'answer', or 'text'; got 'prompt'"),
    "no text": ([{"text": 3}], "must have a text as 'text'; got 3"),
    "empty": ([{"prompt": " ", "answer": "b"}], "must have a text as 'prompt'; got an empty string"),
    "no turns": ([{"messages": []}], "by turns .*; got none"),
    "no list": ([{"messages": "hello"}], "must have a list of objects as 'messages'"),
    "a question last": ([{"messages": [ASK, TELL, ASK]}], "end with .*; got 'user', 'assistant', 'user'"),
    "two questions": ([{"messages": [ASK, ASK, TELL, TELL]}], "by turns"),
    "the system late": ([{"messages": [ASK, ORDER, ASK, TELL]}], "by turns"),
    "no content": ([{"messages": [ASK, {"role": "assistant"}]}], "must have a text as 'content'; got None"),
    "two kinds": ([GOOD, "", {"prompt": "a", "answer": "b"}], "line 1 is of 'text' and line 3 of 'answers'"),
    "nothing": (["", " "], r"mine\.jsonl must hold an example; it has none"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_named_with_its_number(file, case):
    lines, message = BAD[case]
    with pytest.raises(ValueError, match=rf"^read_examples: .*{message}.*\. [A-Z].*\.$"):
        read_examples(file(*lines))


def test_a_bad_file_is_named(file, tmp_path):
    with pytest.raises(ValueError, match=r"path must be that of a file; got 'none\.jsonl'"):
        read_examples(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match=r"path must end in \.jsonl .*; got 'mine\.csv'"):
        read_examples(file("a,b", name="mine.csv"))
    with pytest.raises(TypeError, match="path must be a path; got 3"):
        read_examples(3)
    place = file(GOOD, GOOD)
    place.write_bytes(b'{"text": "a"}\n{"text": "\xe4"}\n')
    with pytest.raises(ValueError, match=r"mine\.jsonl must be UTF-8; line 2 is not"):
        read_examples(place)


def test_no_prompt_is_on_both_sides():
    rows = [{"prompt": f"{i % 10}", "answer": str(i)} for i in range(40)]
    train, test = split_examples(Examples("answers", tuple(rows), tuple(range(40)), "x"), held_out=0.3, rng=1)
    asked = [{row["prompt"] for row in part.rows} for part in (train, test)]
    assert not asked[0] & asked[1] and [len(a) for a in asked] == [7, 3] and len(train) + len(test) == 40
    assert list(train.lines) == sorted(train.lines)


def test_conversations_are_held_apart_by_all_that_comes_before_the_first_answer():
    rows = tuple({"messages": [ORDER, ASK, {**TELL, "content": str(i)}]} for i in range(3))
    rows += ({"messages": [ASK, TELL]},)
    train, test = split_examples(Examples("messages", rows, (1, 2, 3, 4), "x"), held_out=0.5, rng=0)
    assert {len(train), len(test)} == {3, 1}


def test_a_seed_gives_the_same_parts_and_each_has_an_example():
    assert split_examples(SUMS, rng=3) == split_examples(SUMS, rng=3) != split_examples(SUMS, rng=4)
    assert [len(part) for part in split_examples(SUMS, held_out=1e-9, rng=0)] == [23, 1]
    assert [len(part) for part in split_examples(SUMS, held_out=0.999, rng=0)] == [1, 23]


def test_what_cannot_be_split():
    one = Examples("text", ({"text": "a"},), (1,), "x")
    with pytest.raises(ValueError, match="split_examples: examples must have two prompts or more; got one"):
        split_examples(one)
    with pytest.raises(ValueError, match="held_out must be finite and above 0 and below 1; got 1"):
        split_examples(SUMS, held_out=1)
    with pytest.raises(TypeError, match=r"examples must be Examples; got list\. Read them"):
        split_examples([])
    with pytest.raises(ValueError, match="examples must not be empty"):
        split_examples(Examples("text", (), (), "x"))
