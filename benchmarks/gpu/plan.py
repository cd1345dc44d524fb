"""How many seconds a measurement may take, before any has been made: arithmetic on a slower device than those in mind.

The study is laid out for an H100 or H200, whose rate in a large bfloat16 product is about 8e14 FLOP/s. The constants
below are on the safe side of what such a device is expected to do; none of them has been measured there yet. Once
measurements of a part are there, its next ones are judged by these (`study.estimate`).
"""

from benchmarks.gpu.shapes import flops_per_token
from lowrank_helpers.training import GPTConfig

RATE = 2e14  # FLOP/s of a training step: a quarter of the rate of a large product
SMALL_RATE = 1e14  # and of the small base model, whose matrices have 384 columns
BLOCK = 5e-3  # seconds in which a step is launched, for each block: some 300 kernels and the Python around them
MEMORY = 2e10  # bytes a second that the driver hands out, and takes back
DISK = 1.5e8  # bytes a second of a checked file from disk to device
MODEL = 1.5  # seconds for building a model and its adapters, and for collecting the garbage before
START = 20.0  # seconds for imports, the driver's context, and the first kernels


def step_seconds(config: GPTConfig, batch: int, *, rank: int | None, again: bool = False) -> float:
    """Return the seconds of a training step: of its operations, a third more if activations are computed again."""
    flops = batch * config.context * flops_per_token(config, config.context, rank=rank) * (4 / 3 if again else 1)
    return max(flops / RATE, BLOCK * config.layers)
