"""A decoder made on the spot, for machines without a network: a folder such as the hub has, with a tiny model in it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from lowrank_helpers import _checks
from lowrank_helpers.finetuning._libraries import library

Family = Literal["llama", "qwen", "gemma", "mistral", "gpt2"]
SPECIAL = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
CHAT = """\
{%- for message in messages -%}
{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}
"""
ROWS, WIDTH = 8, 64  # of a step: rows, and tokens of each


def tiny_decoder(
    folder: str | os.PathLike[str],
    texts: Sequence[str],
    *,
    family: Family = "llama",
    chat: bool = True,
    steps: int = 0,
    seed: int = 0,
) -> Path:
    """Make a decoder of some 140 000 parameters with a tokenizer of its own, and save both as the hub has them.

    The tokenizer has 512 tokens, bytes and pairs of them, counted in the texts; the model is one of transformers' own,
    two blocks wide 64. It stands in for one from the hub wherever a name is asked for: the folder's path is its name.

    Parameters
    ----------
    folder : path
        Where to; made if it is not there.
    texts : sequence of str
        What the tokenizer is made from, and what the model reads.
    family : {'llama', 'qwen', 'gemma', 'mistral', 'gpt2'}
        Whose blocks it has.
    chat : bool, default True
        Whether the tokenizer has a chat template.
    steps : int, default 0
        Of training on the texts, with 512 tokens a step; 0 leaves the model as it was drawn.
    seed : int, default 0
        Of the weights and of the rows that are read.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    TypeError, ValueError
        The texts are too short, or another argument is out of bounds.
    ModuleNotFoundError
        The extra finetune is not installed; the message says how.

    Examples
    --------
    >>> import tempfile
    >>> from lowrank_helpers.finetuning import tiny_decoder
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = tiny_decoder(place, ["low rank " * 20], family="gpt2")
    ...     print(sorted(file.name for file in made.glob("*.safetensors")))
    ['model.safetensors']
    """
    place = _checks.folder(folder)
    if isinstance(texts, str) or not isinstance(texts, Sequence) or not all(isinstance(t, str) for t in texts):
        raise _checks.mistyped(f"texts must be a list of strings; got {type(texts).__name__}. Pass [text].")
    if sum(map(len, texts)) < 2 * WIDTH:
        raise _checks.invalid(f"texts must have {2 * WIDTH} characters or more; got fewer. Pass more of them.")
    _checks.choice(family, get_args(Family), "family")
    with_chat, count = _checks.flag(chat, "chat"), _checks.integer(steps, 0, None, "steps")
    start = _checks.seed(seed)
    torch, tokenizer = library("torch"), _tokenizer(texts, with_chat)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(start)
        model = library("transformers").AutoModelForCausalLM.from_config(_config(family, len(tokenizer)))
        _read(model, tokenizer, texts, count)
    place.mkdir(parents=True, exist_ok=True)
    bars = library("transformers").utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        model.save_pretrained(place)
    finally:
        if shown:
            bars.enable_progress_bar()
    tokenizer.save_pretrained(place)
    return place


def _tokenizer(texts: Sequence[str], chat: bool) -> Any:
    """Byte pairs counted in the texts."""
    made, hf = library("tokenizers"), library("transformers")
    pieces = made.Tokenizer(made.models.BPE())
    pieces.pre_tokenizer = made.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = made.decoders.ByteLevel()
    alphabet = made.pre_tokenizers.ByteLevel.alphabet()
    trainer = made.trainers.BpeTrainer(
        vocab_size=512, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(texts, trainer)
    special = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL, strict=False))
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=pieces, **special, additional_special_tokens=SPECIAL[3:])
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def _config(family: str, vocabulary: int) -> Any:
    hf = library("transformers")
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if family == "gpt2":
        dropped = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        return hf.GPT2Config(vocab_size=vocabulary, n_embd=64, n_layer=2, n_head=4, n_positions=512, **dropped, **ends)
    shape = {
        "vocab_size": vocabulary, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
    }  # fmt: skip
    if family == "qwen":
        return hf.Qwen3Config(**shape, **ends, head_dim=16)
    if family == "gemma":
        return hf.Gemma3TextConfig(**shape, **ends, head_dim=16, query_pre_attn_scalar=16)
    return (hf.LlamaConfig if family == "llama" else hf.MistralConfig)(**shape, **ends)


def _read(model: Any, tokenizer: Any, texts: Sequence[str], steps: int) -> None:
    """Train on windows of the texts, drawn by chance."""
    torch = library("torch")
    ids = torch.tensor([i for text in texts for i in [*tokenizer(text, verbose=False).input_ids, 2]])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    model.train()
    for _ in range(steps):
        starts = torch.randint(max(len(ids) - WIDTH, 1), (ROWS,)).tolist()
        rows = torch.stack([ids[at : at + WIDTH] for at in starts])
        logits = model(input_ids=rows, use_cache=False).logits[:, :-1].flatten(0, 1)
        torch.nn.functional.cross_entropy(logits, rows[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    model.eval()
