"""What chapter 19 says of torch's DistributedDataParallel and how it trips people, on two processes.

A version of torch in which one of these has changed is one for which the chapter has to be read again.
"""

import pytest
import safetensors.torch
import torch

from book.margins import close
from tests.torchrun import on_two_processes

pytestmark = pytest.mark.slow

SCRIPT = """
import os, pathlib, sys, time
from datetime import timedelta
import safetensors.torch, torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from lowrank_helpers import lora

torch.set_num_threads(1)
out = pathlib.Path(sys.argv[1])
dist.init_process_group("gloo", timeout=timedelta(seconds=8))
place = dist.get_rank()
X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
part = X[:1] if place == 0 else X[1:]
found = {}

def layer():
    made = nn.Linear(4, 3, bias=False)
    nn.init.constant_(made.weight, 0.5)
    return made

def gradient(model, rows, factor=1.0):
    model.zero_grad()
    (factor * (model(rows) ** 2).sum(dim=1).mean()).backward()
    return model.module.weight.grad.clone()

alone = layer()
(alone(X) ** 2).sum(dim=1).mean().backward()
found["whole"] = alone.weight.grad
model = DistributedDataParallel(layer())
found["means"] = gradient(model, part)
found["weighted"] = gradient(model, part, 2 * len(part) / len(X))

class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = layer(), layer()
    def forward(self, x):
        return self.used(x)

for name, given in (("refused", {}), ("allowed", {"find_unused_parameters": True})):
    model, said = DistributedDataParallel(Unused(), **given), "nothing"
    try:
        for _ in range(2):
            model(part).sum().backward()
    except RuntimeError as error:
        said = str(error)
    (out / f"{name}-{place}.txt").write_text(said)

base = nn.Sequential(layer())
for name in ("first", "second"):
    lora.add_lora(base, 2, alpha=2, targets=["0"], name=name, rng=0)
model = DistributedDataParallel(base)  # the second is active
for name in ("second", "first"):
    lora.set_adapter(base, name)
    base.zero_grad()
    (model(part) ** 2).sum().backward()
    found[f"adapter {name}"] = base[0].adapter(name).B.grad.clone()

safetensors.torch.save_file(found, out / f"{place}.safetensors")
model, said, start = DistributedDataParallel(layer()), "nothing", time.monotonic()
try:
    for _ in range(2 - place):  # the first has a batch more
        gradient(model, part)
    if place == 1:
        time.sleep(12)
except RuntimeError as error:
    said = str(error)
(out / f"waits-{place}.txt").write_text(f"{time.monotonic() - start:.1f} {said}")
os._exit(0)
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder that two processes have written into."""
    folder = tmp_path_factory.mktemp("data_parallel")
    ran = on_two_processes(SCRIPT, folder, limit=150)
    assert ran.returncode == 0, ran.stdout[-6000:]
    return folder


@pytest.fixture(scope="module")
def found(out):
    return [safetensors.torch.load_file(out / f"{place}.safetensors") for place in (0, 1)]


def test_parts_of_different_size_count_alike_unless_they_are_weighted(found):
    for mine in found:
        assert close(mine["weighted"], mine["whole"], rtol=1e-5)
        assert not close(mine["means"], mine["whole"], rtol=1e-2)


def test_parameters_that_the_loss_does_not_see_are_refused_in_the_second_step(out):
    for place in (0, 1):
        said = (out / f"refused-{place}.txt").read_text()
        assert said.startswith("Expected to have finished reduction in the prior iteration")
        assert "find_unused_parameters=True" in said
        assert (out / f"allowed-{place}.txt").read_text() == "nothing"


def test_an_adapter_that_is_switched_on_later_is_averaged_by_nobody(found):
    first, second = found
    assert torch.equal(first["adapter second"], second["adapter second"]) and first["adapter second"].any()
    assert not close(first["adapter first"], second["adapter first"], rtol=1e-2)


def test_a_process_with_a_batch_more_waits_until_the_limit_and_says_so(out):
    took, said = (out / "waits-0.txt").read_text().split(" ", 1)
    assert 6 < float(took) < 11 and "Timed out" in said, said
    assert (out / "waits-1.txt").read_text().endswith("nothing")
