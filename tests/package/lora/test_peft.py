"""LoRA here against LoRA in the PEFT library: the same weights in both, and files of each read by the other."""

import copy
import math

import peft
import pytest
import torch

from book.margins import close, within
from lowrank_helpers.lora import LoRALinear, add_lora, load_lora, lora_parameters, merge_lora, save_lora
from tests.package.lora._models import EPS, TARGETS, TOKENS, fill, near, tiny

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
SCALINGS = pytest.mark.parametrize("scaling", ["alpha/rank", "alpha/sqrt(rank)"])


def theirs(base, *, rank=3, alpha=4, scaling="alpha/rank", init=True, seed=0, **options):
    """PEFT's model around this base."""
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=options.pop("targets", TARGETS),
        use_rslora=scaling == "alpha/sqrt(rank)",
        init_lora_weights=init,
        **options,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return peft.get_peft_model(base, config)


def layers(model):
    """The adapted layers of a model of either kind, by name."""
    kinds = (LoRALinear, peft.tuners.lora.Linear)
    return {path.removeprefix("base_model.model."): m for path, m in model.named_modules() if isinstance(m, kinds)}


def factors(layer):
    """A, B and, for DoRA, the magnitude of a layer of either kind."""
    if isinstance(layer, LoRALinear):
        adapter = layer.adapters["default"]
        return [p for p in (adapter.A, adapter.B, adapter.magnitude) if p is not None]
    found = [layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    return found + [m.weight for m in layer.lora_magnitude_vector.values()]


def pair(dtype=torch.float32, *, scaling="alpha/rank", dora=False, rank=3, alpha=4):
    """The same model twice, with the same random A, B and magnitudes, ours and theirs."""
    ours = add_lora(tiny(dtype), rank, alpha=alpha, targets=TARGETS, scaling=scaling, dora=dora, rng=0)
    other = theirs(tiny(dtype), scaling=scaling, use_dora=dora, rank=rank, alpha=alpha)
    fill(ours, size=0.6)
    mine, other_layers = layers(ours), layers(other)
    assert list(mine) == list(other_layers)
    with torch.no_grad():
        for path, layer in mine.items():
            for p, q in zip(factors(layer), factors(other_layers[path]), strict=True):
                assert (p.dtype, p.shape, p.requires_grad) == (q.dtype, q.shape, q.requires_grad)
                if p.ndim == 1:
                    p.mul_(torch.linspace(0.8, 1.2, len(p)))
                q.copy_(p)
    return ours, other


def loss(model):
    return model(TOKENS).float().square().mean()


def gradients(model):
    model.zero_grad()
    loss(model).backward()
    return [p.grad.clone() for layer in layers(model).values() for p in factors(layer)]


def bound(dtype, oracle, constant=None):
    """The roundings of six layers, relative to the largest number, on both sides.

    In float32 a layer is a sum of 12 terms, each rounded by half an eps: 6 × 12 / 2. In bfloat16 sums are kept in
    float32, and what is rounded are a layer's x, A x, B A x, W x, the sum and tanh: 6 × 6 / 2.
    """
    constant = constant or {torch.float32: 36, torch.bfloat16: 18}[dtype]
    return constant * EPS[dtype] * float(oracle.detach().abs().max())


@BOTH
@SCALINGS
@pytest.mark.parametrize("dora", [False, True])
def test_forward_and_gradients_agree(dtype, scaling, dora):
    ours, other = pair(dtype, scaling=scaling, dora=dora)
    y, oracle = ours(TOKENS), other(TOKENS)
    assert y.dtype == oracle.dtype == dtype and near(y, oracle, bound(dtype, oracle))
    for mine, grad in zip(gradients(ours), gradients(other), strict=True):
        assert mine.dtype == grad.dtype and near(mine, grad, 2 * bound(dtype, grad))  # and back again
    assert {key for key, p in ours.named_parameters() if p.grad is not None} == {
        key for key, p in ours.named_parameters() if p.requires_grad
    }


def test_another_scale_would_not_agree():
    ours, other = pair(alpha=12)
    wrong = pair(alpha=12 * math.sqrt(3))[0]  # as if α/√r
    # adapters three times as long as elsewhere stretch a rounding before them as much, in each of the two blocks
    assert near(ours(TOKENS), other(TOKENS), 9 * bound(torch.float32, other(TOKENS)))
    assert not near(wrong(TOKENS), other(TOKENS), bound(torch.bfloat16, other(TOKENS)))


@BOTH
@pytest.mark.parametrize("dora", [False, True])
def test_ten_steps_of_adamw_agree(dtype, dora, rate=1e-2):
    ours, other = pair(dtype, dora=dora)
    start, curves, ends = [p.detach().clone() for p in lora_parameters(ours)], [], []
    for model in (ours, other):
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=rate)
        curve = []
        for _ in range(10):
            optimiser.zero_grad()
            value = loss(model)
            value.backward()
            optimiser.step()
            curve.append(float(value.detach()))
        curves.append(torch.tensor(curve))
        ends.append([p.detach() for layer in layers(model).values() for p in factors(layer)])
    assert curves[0][-1] < 0.7 * curves[0][0]
    # a step moves each entry by the rate times a ratio of gradients, whose error is that of the gradients above
    relative = 100 * EPS[dtype] if dtype == torch.float32 else 4 * EPS[dtype]
    assert near(curves[0], curves[1], relative * float(curves[1].max()))
    moved = math.sqrt(sum(float((p - p0).square().sum()) for p, p0 in zip(ends[1], start, strict=True)))
    apart = math.sqrt(sum(float((p - q).square().sum()) for p, q in zip(*ends, strict=True)))
    assert within(apart, 10 * relative * moved)


@BOTH
@SCALINGS
@pytest.mark.parametrize("dora", [False, True])
def test_merged_weights_agree(dtype, scaling, dora):
    ours, other = pair(dtype, scaling=scaling, dora=dora)
    before = ours.blocks[0].q_proj.weight.clone()
    merge_lora(ours)
    merged = other.merge_and_unload()
    for path in layers(ours):
        mine, oracle = ours.get_submodule(path).weight, merged.get_submodule(path).weight
        assert mine.dtype == oracle.dtype == dtype
        assert near(mine, oracle, bound(dtype, oracle, 16))  # W + s B A: sums of three, scaled, added, rounded
    assert not near(before, ours.blocks[0].q_proj.weight, 0.1)


# -------------------------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("init", ["kaiming", "gaussian"])
def test_starts_have_the_same_distribution(init):
    base = torch.nn.Sequential(torch.nn.Linear(400, 300))
    other = theirs(base, rank=25, init=True if init == "kaiming" else init, targets=["0"])
    A, B = factors(layers(other)["0"])
    ours = add_lora(torch.nn.Sequential(torch.nn.Linear(400, 300)), 25, alpha=4, targets=["0"], init=init, rng=0)
    A1, B1 = factors(ours[0])
    # of 10 000 draws a standard deviation is off by 0.7 % at one sigma
    assert close(float(A1.detach().std()), float(A.detach().std()), rtol=0.06)
    if init == "kaiming":  # the bound of a uniform distribution
        assert close(float(A1.detach().abs().max()), float(A.detach().abs().max()), rtol=1e-3)
    assert not B.any() and not B1.any()


@BOTH
@SCALINGS
@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_pissa_and_olora_take_out_the_same(dtype, scaling, init):
    ours = add_lora(tiny(dtype), 3, alpha=4, targets=TARGETS, scaling=scaling, init=init)
    other = theirs(tiny(dtype), scaling=scaling, init=init)
    for layer, oracle in zip(layers(ours).values(), layers(other).values(), strict=True):
        (A, B), (A1, B1) = factors(layer), factors(oracle)
        W = oracle.base_layer.weight
        # a decomposition in float32, of matrices of norm near 1 with gaps near 0.05 between the singular values;
        # PEFT then rounds the factors, though not the weight that is left, to the dtype of the base
        own = 1e3 * EPS[torch.float32]
        assert A.dtype == A1.dtype == torch.float32
        assert near(B @ A, B1 @ A1, own if dtype == torch.float32 else own + 4 * EPS[dtype])
        assert near(layer.weight, W, own + bound(dtype, W, 2))


# --------------------------------------------------------------------------------------------------------------- files


def same(model, oracle):
    """Whether they are the same function: in float64, where no rounding hides a scale, a rank or a layer left out."""
    y, expected = (copy.deepcopy(m).double()(TOKENS) for m in (model, oracle))
    return near(y, expected, bound(torch.float32, expected))  # PEFT adds up some lengths in float32


@BOTH
@SCALINGS
@pytest.mark.parametrize("dora", [False, True])
def test_what_is_saved_here_loads_there(tmp_path, dtype, scaling, dora):
    ours, _ = pair(dtype, scaling=scaling, dora=dora)
    save_lora(ours, tmp_path / "adapter")
    other = peft.PeftModel.from_pretrained(tiny(dtype), tmp_path / "adapter")
    assert same(ours, other) and not same(other, tiny(dtype))
    for layer, loaded in zip(layers(ours).values(), layers(other).values(), strict=True):
        assert all(torch.equal(p, q) for p, q in zip(factors(layer), factors(loaded), strict=True))
    config = other.peft_config["default"]
    assert (config.r, config.lora_alpha, config.target_modules) == (3, 4, set(TARGETS))


@pytest.mark.parametrize("init", ["pissa", "olora"])
@SCALINGS
@pytest.mark.parametrize("dora", [False, True])
def test_what_took_from_its_base_loads_there_on_the_base_before(tmp_path, init, scaling, dora):
    ours = add_lora(tiny(), 3, alpha=4, targets=TARGETS, scaling=scaling, init=init, dora=dora)
    fill(ours)
    save_lora(ours, tmp_path / "adapter")
    other = peft.PeftModel.from_pretrained(tiny(), tmp_path / "adapter")
    assert other.peft_config["default"].r == 6
    assert near(other(TOKENS), ours(TOKENS), 1e3 * EPS[torch.float32])  # of numbers near 1, decomposed and put together
    assert near(load_lora(tiny(), tmp_path / "adapter")(TOKENS), ours(TOKENS), 1e3 * EPS[torch.float32])
    assert not same(other, tiny())


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaling": "alpha/sqrt(rank)", "use_dora": True, "lora_dropout": 0.25},
        {"rank_pattern": {"v_proj": 5, "blocks.1.q_proj": 2}, "alpha_pattern": {"1.q_proj": 7, "^blocks.*up_proj": 9}},
        {"rank_pattern": {r"blocks\.0\..*": 1}, "scaling": "alpha/sqrt(rank)"},
        {"targets": r".*blocks\.\d\.(q|up)_proj", "init": "gaussian"},
        {"layers_to_transform": [1], "layers_pattern": "blocks"},
        {"targets": "all-linear", "exclude_modules": ["head"]},
    ],
)
def test_what_is_saved_there_loads_here(tmp_path, dtype, options):
    other = theirs(tiny(dtype), **options)
    with torch.no_grad():
        for layer in layers(other).values():
            factors(layer)[1].normal_(0, 1.0, generator=torch.Generator().manual_seed(1))
    other.eval().save_pretrained(tmp_path)
    ours = load_lora(tiny(dtype).eval(), tmp_path)
    assert list(layers(ours)) == list(layers(other))
    assert same(ours, other) and not same(ours, tiny(dtype))
    if "lora_dropout" in options:
        assert all(layer.adapters["default"].settings.dropout == 0.25 for layer in layers(ours).values())
    again = save_lora(ours, tmp_path / "again")  # and back
    assert same(peft.PeftModel.from_pretrained(tiny(dtype), again), other)


@pytest.mark.filterwarnings("ignore:(PiSSA|OLoRA) changes the base weights:UserWarning")  # PEFT's, while converting
@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_what_took_from_its_base_there_loads_here(tmp_path, init):
    other = theirs(tiny(), init=init)
    other.peft_config["default"].init_lora_weights = True
    other.save_pretrained(tmp_path / "start")
    other.peft_config["default"].init_lora_weights = init
    with torch.no_grad():
        for layer in layers(other).values():
            factors(layer)[1].add_(0.3)
    raw, converted = tmp_path / "raw", tmp_path / "converted"
    other.save_pretrained(raw)
    other.save_pretrained(converted, path_initial_model_for_weight_conversion=str(tmp_path / "start"))
    for folder in (raw, converted):
        ours = load_lora(tiny(), folder)
        assert near(ours(TOKENS), other(TOKENS), 1e3 * EPS[torch.float32])
    assert not same(other, tiny())
