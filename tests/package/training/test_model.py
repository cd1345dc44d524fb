"""The GPT against its formulas, against Llama in transformers, and what its parts promise."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import lowrank_helpers
from benchmarks.gpu import weights
from book.margins import above, close, within
from lowrank_helpers.attention.heads import rotated
from lowrank_helpers.training import GPT, GPTConfig, load_base_model
from lowrank_helpers.training.model import from_files, in_files
from lowrank_helpers.training.records import fingerprint
from tests.package._matrices import PROPERTY

SMALL = {"vocabulary": 50, "context": 12, "width": 24, "heads": 3, "layers": 2, "hidden": 40}


def drawn(*shape, seed=0, std=1.0):
    """Normal numbers in float64."""
    return std * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gpt(seed=0, **sizes):
    """A small model in float64 whose every weight, the norms' too, is large enough to matter."""
    model = GPT(GPTConfig(**SMALL | sizes)).double()
    with torch.no_grad():
        for i, weight in enumerate(model.parameters()):
            weight.copy_(drawn(*weight.shape, seed=1000 * seed + i, std=0.4) + (weight.ndim == 1))
    return model


def some_tokens(batch=3, length=12, vocabulary=50, seed=0):
    return torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------------------ the formulas


def normed(x, weight):
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def turned(x):
    """The pairs (x_i, x_{i+d/2}) as complex numbers, times exp(i t θ_i); x is (batch, T, d)."""
    half = x.shape[-1] // 2
    theta = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * theta
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([z.real, z.imag], dim=-1)


def reference_logits(model, tokens):
    """The logits as the papers write them: an explicit mask, one head at a time, float64."""
    W, config = {name: weight.detach() for name, weight in model.named_parameters()}, model.config
    W.setdefault("head.weight", W["embed.weight"])
    h, T = W["embed.weight"][tokens], tokens.shape[1]
    if config.positions == "learned":
        h = h + W["position_embedding.weight"][:T]
    if "prompt" in W:
        h = torch.cat([W["prompt"].expand(len(h), *W["prompt"].shape), h], dim=1)
    later = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool).triu(1)
    for i in range(config.layers):
        of = {name.removeprefix(f"blocks.{i}."): weight for name, weight in W.items() if f"blocks.{i}." in name}
        x, heads = normed(h, of["attention_norm.weight"]), []
        for rows in torch.arange(config.width).split(config.width // config.heads):
            q, k, v = (x @ of[f"attention.{name}_proj.weight"][rows].T for name in "qkv")
            if config.positions == "rotary":
                q, k = turned(q), turned(k)
            scores = (q @ k.mT / math.sqrt(len(rows))).masked_fill(later, -math.inf)
            heads.append(scores.softmax(-1) @ v)
        h = h + torch.cat(heads, dim=-1) @ of["attention.o_proj.weight"].T
        x = normed(h, of["mlp_norm.weight"])
        gate, up = x @ of["mlp.gate_proj.weight"].T, x @ of["mlp.up_proj.weight"].T
        h = h + (gate * gate.sigmoid() * up) @ of["mlp.down_proj.weight"].T
    return (normed(h, W["norm.weight"]) @ W["head.weight"].T)[:, -T:]


# Rotations are computed in float32 in any case: an angle below T = 15 is off by T·2⁻²³ = 2e-6, logits of some units by
# a few times that. The rest is float64's rounding through a few dozen products.
CLOSE = {"learned": 1e-11, "rotary": 2e-5}


@pytest.mark.parametrize("prompted", [False, True], ids=["plain", "prompt"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_logits_are_those_of_the_formulas(positions, tied, prompted):
    model = gpt(positions=positions, tied=tied)
    if prompted:
        model.prompt = torch.nn.Parameter(drawn(3, 24, seed=9))
    tokens = some_tokens()
    logits, expected = model(tokens), reference_logits(model, tokens)
    assert logits.shape == (3, 12, 50) and expected.std() > 1
    assert (logits - expected).abs().max() < CLOSE[positions]


@PROPERTY
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 12), st.booleans())
def test_logits_are_those_of_the_formulas_in_any_size(heads, half, layers, length, rotary):
    positions = "rotary" if rotary else "learned"
    model = gpt(heads, width=2 * half * heads, heads=heads, layers=layers, hidden=half + 2, positions=positions)
    tokens = some_tokens(2, length, seed=length)
    assert (model(tokens) - reference_logits(model, tokens)).abs().max() < CLOSE[positions]


def test_logits_are_llamas():
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        rms_norm_eps=1e-5, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip
    model, llama = gpt(positions="rotary").float(), LlamaForCausalLM(config)
    names = {
        "model.embed_tokens": "embed", "model.norm": "norm", "lm_head": "head", "model.layers": "blocks",
        "self_attn": "attention", "input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm",
    }  # fmt: skip
    own = {}
    for name in llama.state_dict():
        ours = name
        for theirs, replacement in names.items():
            ours = re.sub(rf"(^|\.){re.escape(theirs)}\.", rf"\1{replacement}.", ours)
        own[name] = model.state_dict()[ours]
    assert len(own) == len(model.state_dict())
    llama.load_state_dict(own)
    tokens = some_tokens()
    with torch.no_grad():
        theirs, ours = llama(tokens).logits, model(tokens)
    assert ours.std() > 1
    assert close(ours, theirs, atol=1e-4)  # float32: 2⁻²⁴ × logits up to 10 × sums over 40, a few times


def test_the_loss_is_the_cross_entropy_of_the_logits():
    model, tokens, targets = gpt(), some_tokens(seed=1), some_tokens(seed=2)
    loss = model(tokens, targets)
    assert loss.shape == () and loss.dtype == torch.float64
    expected = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    assert close(loss, expected, atol=1e-12)


# -------------------------------------------------------------------------------------------------------- its parts


@PROPERTY
@given(st.integers(0, 11), st.integers(0, 49), st.sampled_from(["learned", "rotary"]), st.booleans())
def test_no_token_is_seen_by_an_earlier_one(place, token, positions, prompted):
    model = gpt(positions=positions)
    if prompted:
        model.prompt = torch.nn.Parameter(drawn(2, 24))
    tokens = some_tokens(1)
    changed = tokens.clone()
    changed[0, place] = token
    before, after = model(tokens)[0], model(changed)[0]
    # Weights of later tokens are exactly 0; only the order of sums may differ.
    assert close(before[:place], after[:place], atol=1e-12)
    if token != tokens[0, place]:
        assert above((before[place:] - after[place:]).abs().amax(1), 1e-9).all(), "and all from there on do see it"


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_prefix_has_the_logits_that_it_has_in_the_whole(positions):
    model, tokens = gpt(positions=positions), some_tokens()
    assert close(model(tokens[:, :5]), model(tokens)[:, :5], atol=1e-12)


def test_rotations_keep_lengths_and_depend_on_differences_of_positions():
    q, k = drawn(8, seed=1), drawn(8, seed=2)
    queries, keys = (rotated(x.expand(1, 20, 8))[0] for x in (q, k))
    assert torch.equal(queries[0], q)  # position 0 is not turned
    assert close(queries.norm(dim=1), q.norm().expand(20), atol=1e-6)
    products = queries @ keys.T
    for t in range(1, 20):  # float32 angles up to 20
        assert close(products[t:, : 20 - t].diagonal(), products[t, 0].expand(20 - t), atol=2e-5)
        assert close(products[: 20 - t, t:].diagonal(), products[0, t].expand(20 - t), atol=2e-5)
    assert products[0].std() > 0.1, "and the difference matters"


def test_positions_matter():
    same = torch.full((1, 4), 7)
    learned, rotary = gpt()(same)[0], gpt(positions="rotary")(same)[0]
    assert (learned[0] - learned[3]).abs().max() > 0.1
    assert close(rotary[0], rotary[3], atol=1e-5), "rotations alone cannot tell equal tokens apart"
    assert gpt(positions="rotary").position_embedding is None


def test_a_tied_head_is_the_embedding():
    model = gpt(tied=True)
    assert model.head.weight is model.embed.weight
    assert sum(p.numel() for p in gpt().parameters()) - sum(p.numel() for p in model.parameters()) == 50 * 24
    tokens = some_tokens()
    model(tokens, tokens).backward()
    assert (model.embed.weight.grad != 0).any(1).all(), "through the head the gradient reaches words that did not occur"


def test_a_prompt_of_embeddings_is_a_prefix_of_tokens():
    model, tokens = gpt(positions="rotary"), some_tokens()
    whole = model(tokens)[:1, 4:]
    model.prompt = torch.nn.Parameter(model.embed.weight[tokens[0, :4]].detach())
    assert close(model(tokens[:1, 4:]), whole, atol=1e-12)
    assert model(tokens).shape == (3, 12, 50), "the prompt takes nothing of the context"
    model(tokens, tokens).backward()
    assert (model.prompt.grad != 0).all()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_checkpointed_activations_give_the_same_gradients_in_less_memory(positions):
    tokens, found = some_tokens(), []
    for checkpointed in (False, True):
        model, kept = gpt(positions=positions, layers=4), []
        model.checkpoint_activations = checkpointed
        with torch.autograd.graph.saved_tensors_hooks(lambda x, kept=kept: kept.append(x.numel()) or x, lambda x: x):
            loss = model(tokens, tokens)
        loss.backward()
        found.append((sum(kept), loss.item(), [p.grad for p in model.parameters()]))
    (all_kept, loss, gradients), (less_kept, same_loss, same) = found
    assert loss == same_loss and all(map(torch.equal, gradients, same))
    assert less_kept < all_kept / 3


def test_autocast_rounds_the_products_and_nothing_more():
    model, tokens = gpt().float(), some_tokens()
    with torch.autocast("cpu", torch.bfloat16):
        logits, loss = model(tokens), model(tokens, tokens)
    assert logits.dtype == torch.bfloat16 and loss.dtype == torch.float32
    # 2⁻⁹ a rounding, a few dozen of them one after another, of logits of about 2.
    assert (logits - model(tokens)).abs().mean() < 0.1
    assert abs((loss - model(tokens, tokens)).item()) < 0.1


# ---------------------------------------------------------------------------------------------------- sizes, weights


def test_the_base_model_and_llama_have_their_numbers_of_parameters():
    assert sum(p.numel() for p in GPT().parameters()) == 951_424
    llama = GPTConfig(32000, 2048, 4096, heads=32, layers=32, hidden=11008, positions="rotary")
    with torch.device("meta"):
        assert sum(p.numel() for p in GPT(llama).parameters()) == 6_738_415_616  # Touvron et al. 2023, table 2: 6.7 B


@pytest.mark.parametrize("tied", [False, True])
def test_initial_weights_are_normal_of_the_published_spread(tied):
    model = GPT(GPTConfig(tied=tied))
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            assert (weight == 1).all()
            continue
        std = 0.02 / math.sqrt(8) if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
        # Mean and spread of n numbers are off by std / √n and std / √(2n), in the worst of some thirty
        # matrices by two or three times that; sixteen times are allowed.
        assert within(abs(weight.mean().item()), 16 * std / math.sqrt(weight.numel())), name
        assert close(weight.std().item() / std, 1, atol=16 / math.sqrt(2 * weight.numel())), name


def test_a_seed_means_the_same_weights():
    one, again, other = GPT(GPTConfig(**SMALL)), GPT(GPTConfig(**SMALL), seed=0), GPT(GPTConfig(**SMALL), seed=1)
    assert all(map(torch.equal, one.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(one.head.weight, other.head.weight) and not torch.equal(one.embed.weight, other.embed.weight)


def test_initial_weights_are_those_that_the_base_model_started_from():
    file = Path(lowrank_helpers.__file__).parent / "data" / "models" / "base_model_initial.safetensors"
    frozen, made = from_files(safetensors.torch.load_file(file)), GPT(GPTConfig(), seed=0).state_dict()
    assert frozen.keys() == made.keys()
    for name, weight in made.items():
        # The file was drawn by `normal_`: off by last bits, of a logarithm near 0 by all of it, whose root is 2⁻¹².
        assert close(frozen[name], weight, atol=4 * 0.02 * 2**-12), name


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_global_random_state_is_left_alone(monkeypatch, device):
    """Nor is it put back, which would undo what another thread has drawn."""
    put_back = []
    monkeypatch.setattr(torch.random, "set_rng_state", put_back.append)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch.device(device):
        GPT(GPTConfig(**SMALL))
    assert torch.equal(torch.get_rng_state(), before) and not put_back


def test_a_model_for_the_meta_device_has_no_numbers():
    with torch.device("meta"):
        assert all(p.is_meta for p in GPT(GPTConfig(**SMALL)).parameters())


# ------------------------------------------------------------------------------------------------------------ errors

SIZES = ("vocabulary", "context", "width", "heads", "layers", "hidden")
BAD = [(name, 0, ValueError, f"{name} must be at least 1; got 0") for name in SIZES]
BAD += [(name, 2.0, TypeError, f"{name} must be an integer; got 2.0 of type float") for name in SIZES]
BAD += [
    ("layers", True, TypeError, "layers must be an integer; got True of type bool"),
    ("width", 25, ValueError, r"width must be a multiple of heads = 3; got 25\. Take 27"),
    ("heads", 5, ValueError, r"width must be a multiple of heads = 5; got 24\. Take 25"),
    ("positions", "absolute", ValueError, "positions must be one of 'learned', 'rotary'; got 'absolute'"),
    ("positions", None, TypeError, "positions must be one of 'learned', 'rotary'; got None"),
    ("tied", 1, TypeError, "tied must be True or False; got 1"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD, ids=[f"{name}-{value}" for name, value, *_ in BAD])
def test_bad_sizes_are_named(name, value, error, message):
    with pytest.raises(error, match=rf"^GPTConfig: {message}.*\.$"):
        GPTConfig(**SMALL | {name: value})


def test_every_size_is_in_the_table():
    assert {name for name, *_ in BAD} == {field.name for field in dataclasses.fields(GPTConfig)}


def test_rotations_need_an_even_head():
    with pytest.raises(ValueError, match=r"^GPTConfig: width must be a multiple of 2 heads .* = 8; got 20\. Take 24\."):
        GPTConfig(width=20, heads=4, positions="rotary")
    assert GPTConfig(width=20, heads=4).width == 20


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPTConfig().width = 64


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_too_long_a_sequence_is_refused(positions):
    model = gpt(positions=positions)
    model(some_tokens(length=12))
    with pytest.raises(
        ValueError, match=r"^GPT\.forward: a sequence must have at most config\.context = 12 tokens; got 13\. "
    ):
        model(some_tokens(length=13))


def test_targets_must_belong_to_the_tokens():
    model, tokens = gpt(), some_tokens()
    with pytest.raises(ValueError, match=r"targets must hold one token for each of 36 rows; got shape \(33,\)"):
        model(tokens, tokens[:, 1:])


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, "seed must be between 0 and 2⁶³ − 1 = 9223372036854775807; got -1"),
        (2**64, ValueError, "seed must be between 0 and .*; got 18446744073709551616"),
        (1.0, TypeError, "seed must be an integer; got 1.0"),
    ],
)
def test_a_bad_seed_is_named(seed, error, message):
    with pytest.raises(error, match=f"^GPT: {message}"):
        GPT(GPTConfig(**SMALL), seed=seed)


def test_the_greatest_seed_works():
    GPT(GPTConfig(**SMALL), seed=2**63 - 1)


def test_files_and_digests_keep_the_name_that_the_positions_had():
    """The base model's file has its checksum for good, and a digest of weights has their names in it."""
    state = GPT(GPTConfig(**SMALL)).state_dict()
    stored = {in_files(name): W for name, W in state.items()}
    assert set(stored) - set(state) == {"place.weight"} and set(state) - set(stored) == {"position_embedding.weight"}
    assert from_files(stored).keys() == state.keys()
    model = load_base_model()
    assert sum(W.numel() for W in model.state_dict().values()) == 951_424
    assert fingerprint(model.requires_grad_(False), torch.arange(9))["frozen"] == "1c83aff1248a6078"
    assert fingerprint(model.requires_grad_(True), torch.arange(9))["trained"] == "9a10faab796e53a7"
    base = weights.load_base(torch.device("cpu"), variant="small", out=Path(), results=Path(), weights=Path())
    assert base.digest == "28f31d35e736b005"
