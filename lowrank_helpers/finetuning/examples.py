"""A reader's own examples: read, checked, and split; no model and no torch is needed for that."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lowrank_helpers import _checks

Kind = Literal["messages", "answers", "text"]
ANSWERS = ("answer", "completion", "response")  # names under which an answer is found
FORMS = "'messages', or 'prompt' and 'answer', or 'text'"


@dataclass(frozen=True)
class Examples:
    """Checked examples of one kind.

    Attributes
    ----------
    kind : {'messages', 'answers', 'text'}
    rows : tuple of dict
        {'messages': [{'role': …, 'content': …}, …]}, {'prompt': …, 'answer': …}, or {'text': …}.
    lines : tuple of int
        The line of the file that each came from, counted from 1.
    source : str
        The name of the file.
    repeated : int
        How many were left out because the same example had come before.
    contradicted : int
        How many prompts have more than one answer; all of these are kept.
    """

    kind: Kind
    rows: tuple[dict[str, Any], ...]
    lines: tuple[int, ...]
    source: str
    repeated: int = 0
    contradicted: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Examples({len(self)} of {self.kind!r} from {self.source!r})"


def read_examples(path: str | os.PathLike[str]) -> Examples:
    """Read the examples that a model is to learn from, check each, and leave out those that come twice.

    Parameters
    ----------
    path : path
        A file in UTF-8. Of a name that ends in .jsonl each line is one JSON object, and all lines are of one kind:
        ``{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}`` with turns that
        alternate and end with the assistant's, maybe after one of the system's; or ``{"prompt": "…", "answer": "…"}``
        ('completion' and 'response' are read as 'answer'); or ``{"text": "…"}``. Of a name that ends in .txt or .md
        each paragraph, up to an empty line, is a text. Other keys are ignored.

    Returns
    -------
    Examples
        In the order of the file.

    Raises
    ------
    TypeError, ValueError
        If there is no such file, or no example in it, or a line is not of one of these forms: the message names it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from lowrank_helpers.finetuning import read_examples
    >>> with tempfile.TemporaryDirectory() as place:
    ...     file = Path(place, "capitals.jsonl")
    ...     print(file.write_text('{"prompt": "Peru?", "answer": "Lima"}\\n' * 2, encoding="utf-8"), "characters")
    ...     read_examples(file), read_examples(file).repeated
    76 characters
    (Examples(1 of 'answers' from 'capitals.jsonl'), 1)
    """
    file = _checks.folder(path, "path")
    if not file.is_file():
        raise _checks.invalid(f"path must be that of a file; got {file.name!r}, which is none. Look at its name.")
    if file.suffix not in (".jsonl", ".txt", ".md"):
        raise _checks.invalid(
            f"path must end in .jsonl (a JSON object in each line), .txt or .md; got {file.name!r}. Save it as one."
        )
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _checks.invalid(f"{file.name} must be UTF-8; line {line} is not. Save the file as UTF-8.") from None
    found = _paragraphs(text) if file.suffix != ".jsonl" else _objects(text, file.name)
    return _gathered(list(found), file.name)


def _objects(text: str, name: str) -> Iterable[tuple[int, Kind, dict[str, Any]]]:
    """The lines that are not empty, each as a checked row of its kind."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number} of {name}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = str(error).partition(": line")[0]
            raise _checks.invalid(f"{where} must be one JSON object; it is not: {what}. Mend that line.") from None
        if not isinstance(row, dict):
            raise _checks.invalid(
                f"{where} must be a JSON object with {FORMS}; got a {type(row).__name__}. Mend that line."
            )
        kind, checked = _row(row, where)
        yield number, kind, checked


def _row(row: dict[str, Any], where: str) -> tuple[Kind, dict[str, Any]]:
    """The kind of a row, and what of it counts."""
    if "messages" in row:
        return "messages", {"messages": _messages(row["messages"], where)}
    answer = next((name for name in ANSWERS if name in row), None)
    if "prompt" in row and answer:
        return "answers", {
            "prompt": _content(row["prompt"], "prompt", where),
            "answer": _content(row[answer], answer, where),
        }
    if "text" in row:
        return "text", {"text": _content(row["text"], "text", where)}
    keys = ", ".join(map(repr, row)) or "no key"
    raise _checks.invalid(f"{where} must have {FORMS}; got {keys}. Rename the keys.")


def _content(value: object, name: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        got = "an empty string" if isinstance(value, str) else f"{value!r:.60}"
        raise _checks.invalid(f"{where} must have a text as {name!r}; got {got}. Fill it in, or delete that line.")
    return value


def _messages(value: object, where: str) -> list[dict[str, str]]:
    """The turns of a conversation: a system's or none, then the user's and the assistant's by turns."""
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise _checks.invalid(f"{where} must have a list of objects as 'messages'; got {value!r:.60}. Mend that line.")
    roles = [turn.get("role") for turn in value]
    talk = roles[1:] if roles[:1] == ["system"] else roles
    if not talk or len(talk) % 2 or talk != ["user", "assistant"] * (len(talk) // 2):
        raise _checks.invalid(
            f"the messages in {where} must be of 'user' and 'assistant' by turns and end with the assistant's, after "
            f"one of 'system' or none; got {', '.join(map(repr, roles)) or 'none'}. Mend that line."
        )
    return [
        {"role": role, "content": _content(turn.get("content"), "content", where)}
        for role, turn in zip(roles, value, strict=True)
    ]


def _paragraphs(text: str) -> Iterable[tuple[int, Kind, dict[str, Any]]]:
    start, lines = 0, text.split("\n")
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            start = start or number
        elif start:
            yield start, "text", {"text": "\n".join(lines[start - 1 : number - 1]).strip()}
            start = 0


def _gathered(found: Sequence[tuple[int, Kind, dict[str, Any]]], name: str) -> Examples:
    """All rows of one kind, each once."""
    if not found:
        raise _checks.invalid(f"{name} must hold an example; it has none. Write one a line.")
    kind = found[0][1]
    for number, other, _ in found:
        if other != kind:
            raise _checks.invalid(
                f"all lines of {name} must be of one kind; line {found[0][0]} is of {kind!r} and line {number} of "
                f"{other!r}. Make a file of each."
            )
    once: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, _, row in found:
        once.setdefault(" ".join(json.dumps(row, sort_keys=True).split()), (number, row))
    lines, rows = zip(*once.values(), strict=True)
    asked = [prompt_of(row) for row in rows]
    doubled = sum(asked.count(prompt) > 1 for prompt in dict.fromkeys(asked)) if kind != "text" else 0
    return Examples(kind, rows, lines, name, len(found) - len(rows), doubled)


def prompt_of(row: dict[str, Any]) -> str:
    """What two examples must not share if one of them is held out: all that comes before the first answer."""
    if "messages" in row:
        first = [turn["role"] for turn in row["messages"]].index("assistant")
        return json.dumps(row["messages"][:first])
    return str(row["prompt"] if "prompt" in row else row["text"])


def split_examples(examples: Examples, *, held_out: float = 0.1, rng: _checks.Seed = None) -> tuple[Examples, Examples]:
    """Divide examples by chance into those to learn from and those to judge by; the same prompt is never in both.

    Parameters
    ----------
    examples : Examples
        Of `read_examples`, at least two prompts.
    held_out : float
        The share of the prompts that is held out, between 0 and 1; of each part at least one.
    rng : int, numpy.random.Generator or None
        A seed gives the same parts everywhere.

    Returns
    -------
    tuple of two Examples
        To train on, and held out, both in the order of the file.

    Raises
    ------
    TypeError, ValueError
        If examples are none, or all have one prompt, or another argument is out of bounds.

    Examples
    --------
    >>> from lowrank_helpers.finetuning import Examples, split_examples
    >>> rows = tuple({"prompt": f"{i} + {i}?", "answer": str(2 * i)} for i in range(20))
    >>> train, test = split_examples(Examples("answers", rows, tuple(range(1, 21)), "sums.jsonl"), rng=0)
    >>> len(train), len(test)
    (18, 2)
    """
    examples = read(examples)
    share = _checks.number(held_out, "held_out", above=0.0, below=1.0)
    drawn = _checks.generator(rng)
    prompts = list(dict.fromkeys(map(prompt_of, examples.rows)))
    if len(prompts) < 2:
        raise _checks.invalid("examples must have two prompts or more; got one. There is nothing to hold out.")
    count = min(max(round(share * len(prompts)), 1), len(prompts) - 1)
    out = {prompts[i] for i in drawn.permutation(len(prompts))[:count]}
    here = [prompt_of(row) in out for row in examples.rows]
    return _part(examples, [not held for held in here]), _part(examples, here)


def _part(examples: Examples, chosen: Sequence[bool]) -> Examples:
    kept = [i for i, wanted in enumerate(chosen) if wanted]
    rows, lines = tuple(examples.rows[i] for i in kept), tuple(examples.lines[i] for i in kept)
    return Examples(examples.kind, rows, lines, examples.source)


def read(examples: object, name: str = "examples") -> Examples:
    """Refuse what are no examples."""
    if not isinstance(examples, Examples):
        raise _checks.mistyped(
            f"{name} must be Examples; got {type(examples).__name__}. Read them with read_examples(path)."
        )
    if not len(examples):
        raise _checks.invalid(f"{name} must not be empty; got none. Read them with read_examples(path).")
    return examples
