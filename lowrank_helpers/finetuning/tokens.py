"""Examples in tokens, and which of these are to be learned; a tokenizer is needed for that, and no model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lowrank_helpers import _checks
from lowrank_helpers.finetuning.examples import Examples, read

SILENT = -100  # the label of a token that is read and not learned, as in transformers


class Row(NamedTuple):
    """An example in tokens: labels repeat the ids that are learned, and are -100 elsewhere."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Tokens:
    """Examples in tokens, with their counts.

    Attributes
    ----------
    rows : tuple of Row
    read, learned : int
        The tokens of all rows, and those of them that the loss asks for.
    longest : int
        The tokens of the longest row.
    """

    rows: tuple[Row, ...]
    read: int
    learned: int
    longest: int

    def __repr__(self) -> str:
        return f"Tokens({len(self.rows)} rows, {self.read} tokens, {self.learned} learned, longest {self.longest})"


def tokenise(examples: Examples, tokenizer: Any, *, context: int) -> Tokens:
    """Write examples in a tokenizer's tokens and mark what is to be learned: the answers, or all of a text.

    Conversations go through the tokenizer's chat template, and so do prompts with answers where there is one. What
    the template puts between a prompt and its answer is found by asking it for the prompt alone, as it will be asked
    when the model answers; each of the assistant's turns is learned, with the token that ends it. Without a template
    a prompt is followed by a line break, its answer, and the token that ends a text. Texts that are longer than the
    context are cut into pieces of its length; answers are never cut.

    Parameters
    ----------
    examples : Examples
        Of `read_examples`.
    tokenizer : tokenizer of transformers
        With the offsets of tokens, as all have that are called fast.
    context : int
        The most tokens of a row.

    Returns
    -------
    Tokens

    Raises
    ------
    TypeError, ValueError
        If the tokenizer has no chat template and the examples are conversations, or the template refuses one; if an
        example is longer than the context.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> from lowrank_helpers.finetuning import Examples, tokenise
    >>> words = Tokenizer(models.WordLevel({"Peru?": 0, "\\n": 1, "Lima": 2, "<e>": 3}, unk_token="<e>"))
    >>> words.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    >>> words.pre_tokenizer = pre_tokenizers.Split("\\n", "isolated")
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<e>")
    >>> capitals = Examples("answers", ({"prompt": "Peru?", "answer": "Lima"},), (1,), "capitals.jsonl")
    >>> tokenise(capitals, tokenizer, context=8).rows[0]
    Row(ids=[0, 1, 2, 3], labels=[-100, -100, 2, 3])
    """
    examples = read(examples)
    limit = _checks.integer(context, 2, None, "context")
    check_tokenizer(tokenizer, examples.kind)
    rows: list[Row] = []
    too_long: list[tuple[int, int]] = []
    for example, line in zip(examples.rows, examples.lines, strict=True):
        for row in _rows(example, line, examples, tokenizer):
            if examples.kind == "text":
                rows += _pieces(row.ids, limit)
            elif len(row.ids) > limit:
                too_long.append((len(row.ids), line))
            else:
                rows.append(row)
    if too_long:
        length, line = max(too_long)
        raise _checks.invalid(
            f"an example must have at most context = {limit} tokens; {len(too_long)} of {len(examples)} have more, "
            f"line {line} of {examples.source} {length}. Raise context, or shorten them."
        )
    counts = [len(row.ids) for row in rows]
    learned = sum(label != SILENT for row in rows for label in row.labels)
    return Tokens(tuple(rows), sum(counts), learned, max(counts))


def check_tokenizer(tokenizer: Any, kind: str) -> None:
    """Refuse a tokenizer that cannot write examples of this kind."""
    if not hasattr(tokenizer, "apply_chat_template"):
        raise _checks.mistyped(
            f"tokenizer must be one of transformers; got {type(tokenizer).__name__}. "
            "Pass AutoTokenizer.from_pretrained(name)."
        )
    if not tokenizer.is_fast:
        raise _checks.invalid(
            "tokenizer must know the places of its tokens; this one is not a fast one. Install the package tokenizers."
        )
    if kind == "messages" and not tokenizer.chat_template:
        raise _checks.invalid(
            "tokenizer must have a chat template for examples of 'messages'; this one has none. Take the model's "
            "instruct version, or write the examples as 'prompt' and 'answer'."
        )
    if tokenizer.eos_token_id is None:
        raise _checks.invalid(
            "tokenizer must have a token that ends a text; this one has none. Set tokenizer.eos_token."
        )


def opening(tokenizer: Any) -> list[int]:
    """What this tokenizer writes in front of any text: the token that begins one, or nothing."""
    start = tokenizer.bos_token_id
    return [start] if start is not None and tokenizer("a").input_ids[0] == start else []


def prompt_ids(prompt: str | list[dict[str, str]], tokenizer: Any) -> list[int]:
    """A prompt in tokens, as it stands in front of its answer."""
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return list(tokenizer(_written(turns, tokenizer, True), add_special_tokens=False).input_ids)
    return opening(tokenizer) + list(tokenizer(f"{prompt}\n", add_special_tokens=False).input_ids)


def _rows(example: dict[str, Any], line: int, examples: Examples, tokenizer: Any) -> Iterator[Row]:
    if examples.kind == "text":
        ids = opening(tokenizer) + tokenizer(example["text"], add_special_tokens=False).input_ids
        yield Row([*ids, tokenizer.eos_token_id], [])
    elif not tokenizer.chat_template:
        prompt, answer = f"{example['prompt']}\n", example["answer"]
        row = _marked(prompt + answer, [(len(prompt), len(prompt + answer))], tokenizer)
        start, end = opening(tokenizer), tokenizer.eos_token_id
        yield Row([*start, *row.ids, end], [*[SILENT] * len(start), *row.labels, end])
    else:
        turns = example.get("messages") or [
            {"role": "user", "content": example["prompt"]},
            {"role": "assistant", "content": example["answer"]},
        ]
        try:
            yield from _conversation(turns, tokenizer)
        except _Refused as error:
            raise _checks.invalid(
                f"the chat template must take line {line} of {examples.source}; it says: {error}. Leave out what it "
                "refuses, such as a turn of 'system'."
            ) from None


class _Refused(Exception):
    """What a chat template says of a conversation that it does not take."""


def _written(turns: list[dict[str, str]], tokenizer: Any, ask: bool) -> str:
    """A conversation as one text, open for the assistant's answer if ask."""
    try:
        written = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=ask, enable_thinking=False
        )  # templates of models that do not think leave the last one unread
        return str(written)
    except Exception as error:  # the template is a program of the model's, and raises what it likes
        raise _Refused(str(error).rstrip(".") or type(error).__name__) from None


def _conversation(turns: list[dict[str, str]], tokenizer: Any) -> Iterator[Row]:
    """One row with all answers marked; where the template writes earlier turns in another way, a row for each."""
    spans, texts = [], []
    for i, turn in enumerate(turns):
        if turn["role"] == "assistant":
            before, after = _written(turns[:i], tokenizer, True), _written(turns[: i + 1], tokenizer, False)
            if not after.startswith(before):
                raise _Refused("a prompt alone is written in another way than in front of its answer")
            spans.append((len(before), len(after.rstrip("\n"))))
            texts.append(after)
    if all(texts[-1].startswith(text.rstrip("\n")) for text in texts):
        yield _marked(texts[-1], spans, tokenizer)
    else:
        yield from (_marked(text, [span], tokenizer) for text, span in zip(texts, spans, strict=True))


def _marked(text: str, spans: list[tuple[int, int]], tokenizer: Any) -> Row:
    """A text in tokens, of which those are learned that begin in a span."""
    written = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    inside = [any(a <= start < b for a, b in spans) for start, _ in written["offset_mapping"]]
    ids = list(written["input_ids"])
    return Row(ids, [token if wanted else SILENT for token, wanted in zip(ids, inside, strict=True)])


def _pieces(ids: list[int], length: int) -> list[Row]:
    """A text in rows of at most this length; a last piece of one token, which nothing could predict, is left out."""
    parts = [ids[at : at + length] for at in range(0, len(ids), length)]
    return [Row(part, list(part)) for part in parts if len(part) > 1]
