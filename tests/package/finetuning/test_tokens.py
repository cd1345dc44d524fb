"""What is learned of an example: its answers to the last token, and nothing else."""

import pytest
import transformers

from lowrank_helpers.finetuning import Examples, tokenise
from lowrank_helpers.finetuning.stand_in import CHAT
from lowrank_helpers.finetuning.tokens import prompt_ids
from tests.package.finetuning._data import SUMS, TALK

LLAMA = """{{ bos_token }}{% for m in messages %}<|user|>{{ m['role'] }}
{{ m['content'] | trim }}<|end|>{% endfor %}{% if add_generation_prompt %}<|user|>assistant
{% endif %}"""
FORGETFUL = """{% for m in messages %}<|{{ m['role'] }}|>\
{% if m['role'] == 'assistant' and loop.last %}<s></s>{% endif %}{{ m['content'] }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"""
CHANGING = CHAT.replace("<|assistant|>'", "<|assistant|><s>'")
THINKING = """{% for m in messages %}<|{{ m['role'] }}|>
{% if m['role'] == 'assistant' and loop.last %}<s>

</s>

{% endif %}{{ m['content'] }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% if enable_thinking is defined and not enable_thinking %}<s>

</s>

{% endif %}{% endif %}"""
STRICT = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHAT


@pytest.fixture
def tokenizer(decoder):
    return transformers.AutoTokenizer.from_pretrained(decoder("llama"))


def learned(row, tokenizer):
    """The stretches that are learned, as text."""
    out, last = [], False
    for token, label in zip(row.ids, row.labels, strict=True):
        assert label in (-100, token)
        if label != -100:
            out = [*out[:-1], [*out[-1], token]] if last else [*out, [token]]
        last = label != -100
    return [tokenizer.decode(part) for part in out]


@pytest.mark.parametrize("template", [CHAT, LLAMA])
def test_an_answer_is_learned_with_its_end(tokenizer, template):
    tokenizer.chat_template = template
    found = tokenise(SUMS, tokenizer, context=64)
    assert [learned(row, tokenizer) for row in found.rows] == [[f"{row['answer']}<|end|>"] for row in SUMS.rows]
    assert found.longest == max(len(row.ids) for row in found.rows) and found.read == sum(
        len(r.ids) for r in found.rows
    )
    assert found.learned == sum(label != -100 for row in found.rows for label in row.labels)
    assert repr(found).startswith("Tokens(24 rows, ")


def test_what_stands_before_an_answer_is_what_the_model_will_be_asked(tokenizer):
    for row, example in zip(tokenise(SUMS, tokenizer, context=64).rows, SUMS.rows, strict=True):
        asked = prompt_ids(example["prompt"], tokenizer)
        assert row.ids[: len(asked)] == asked and row.labels[: len(asked)] == [-100] * len(asked)
        assert row.labels[len(asked)] != -100


def test_all_answers_of_a_conversation_are_learned(tokenizer):
    (row,) = tokenise(TALK, tokenizer, context=64).rows
    assert learned(row, tokenizer) == ["2<|end|>", "4<|end|>"]


def test_a_model_that_thinks_is_asked_not_to(tokenizer):
    """The empty thought stands in the prompt, as Qwen 3's template writes it, and is not learned."""
    tokenizer.chat_template = THINKING
    row = tokenise(SUMS, tokenizer, context=64).rows[0]
    assert learned(row, tokenizer) == ["It is 0.<|end|>"]
    asked = prompt_ids(SUMS.rows[0]["prompt"], tokenizer)
    assert row.ids[: len(asked)] == asked and tokenizer.decode(asked).endswith("<s>\n\n</s>\n\n")
    assert [learned(r, tokenizer) for r in tokenise(TALK, tokenizer, context=64).rows] == [["2<|end|>"], ["4<|end|>"]]


def test_where_earlier_turns_are_written_otherwise_each_answer_has_a_row(tokenizer):
    tokenizer.chat_template = FORGETFUL
    rows = tokenise(TALK, tokenizer, context=64).rows
    assert [learned(row, tokenizer) for row in rows] == [["<s></s>2<|end|>"], ["<s></s>4<|end|>"]]
    assert len(rows[1].ids) > len(rows[0].ids)


def test_without_a_template_an_answer_follows_its_prompt_on_a_new_line(decoder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder("gpt2", chat=False))
    row = tokenise(SUMS, tokenizer, context=64).rows[3]
    assert learned(row, tokenizer) == ["It is 6.</s>"]
    assert tokenizer.decode(row.ids) == "What is 3 and 3?\nIt is 6.</s>"
    asked = prompt_ids(SUMS.rows[3]["prompt"], tokenizer)
    assert row.ids[: len(asked)] == asked


def test_the_token_that_begins_a_text_is_there_where_the_tokenizer_writes_one(tokenizer):
    from tokenizers.processors import TemplateProcessing

    tokenizer.chat_template = None
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    rows = tokenise(SUMS, tokenizer, context=64).rows
    assert all(row.ids[:1] == [1] and row.labels[0] == -100 and 1 not in row.ids[1:] for row in rows)
    assert prompt_ids("a", tokenizer)[0] == 1


def test_texts_are_cut_and_learned_whole(tokenizer):
    text = Examples("text", ({"text": "low rank " * 30}, {"text": "short"}), (1, 2), "x.txt")
    found = tokenise(text, tokenizer, context=17)
    assert found.longest == 17 and all(row.ids == row.labels for row in found.rows)
    whole = [i for row in found.rows for i in row.ids]
    assert tokenizer.decode(whole) == "low rank " * 30 + "</s>short</s>"


MISUSE = {
    "no template": (TALK, {"chat_template": None}, "tokenizer must have a chat template for examples of 'messages'"),
    "no end": (SUMS, {"eos_token": None}, "tokenizer must have a token that ends a text"),
    "system": (TALK, {"chat_template": STRICT}, r"take line 7 of talk\.jsonl; it says: System role not supported\. L"),
    "another prompt": (SUMS, {"chat_template": CHANGING}, "line 1 .* a prompt alone is written in another way"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISUSE)
def test_what_a_tokenizer_lacks_is_said(tokenizer, case):
    examples, changes, message = MISUSE[case]
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    with pytest.raises(ValueError, match=rf"^tokenise: .*{message}"):
        tokenise(examples, tokenizer, context=64)


def test_an_example_that_is_too_long_is_named(tokenizer):
    long = Examples("answers", (*SUMS.rows[:2], {"prompt": "a" * 50, "answer": "b"}), (1, 2, 9), "x.jsonl")
    with pytest.raises(ValueError, match=r"at most context = 40 tokens; 1 of 3 have more, line 9 of x\.jsonl 5\d\."):
        tokenise(long, tokenizer, context=40)
    with pytest.raises(ValueError, match="context must be at least 2; got 1"):
        tokenise(SUMS, tokenizer, context=1)


def test_other_tokenizers_are_refused(tokenizer):
    with pytest.raises(TypeError, match="tokenizer must be one of transformers; got Tokenizer"):
        tokenise(SUMS, tokenizer.backend_tokenizer, context=64)
    with pytest.raises(TypeError, match="examples must be Examples"):
        tokenise("sums", tokenizer, context=64)
