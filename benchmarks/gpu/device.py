"""The device: its name, its memory, its clock, and how fast it multiplies matrices.

Bytes are those of torch's caching allocator; the driver's own context, about half a gigabyte, is not among them. On a
CPU there is no such count, and every number of bytes that would have to be measured is None.
"""

import functools
import gc
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

Variant = Literal["large", "small", "tiny"]  # the study's: for a GPU; on the book's base model, on a CPU; to try it


def name_of(device: torch.device) -> str:
    """Return the name that goes into the results."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"


@functools.cache
def driver_of(device: torch.device) -> str | None:
    """Return the version of the GPU's driver, if the driver's own tool is there to tell."""
    if device.type != "cuda":
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.split("\n")[0].strip() or None


@functools.cache
def versions() -> dict[str, str | None]:
    """Return the versions of everything that the figures may depend on."""
    found: dict[str, str | None] = {"python": platform.python_version(), "cuda": torch.version.cuda}
    for package in ("torch", "triton", "numpy", "safetensors", "peft", "transformers"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def now(device: torch.device) -> float:
    """Wait until the device has done all that it was given, then read the clock, in seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def free() -> None:
    """Give back what nobody holds any more, so that a measurement starts from an empty device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def make_workspaces(device: torch.device) -> None:
    """Let cuBLAS take its workspaces, of the threads of the forward and of the backward pass, 32 MiB each on Hopper.

    They come out of torch's allocator with the first product and are kept; without this they would count among what
    the first model needs.
    """
    A = torch.ones(64, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
    (A @ A).sum().backward()  # type: ignore[no-untyped-call]


def allocated(device: torch.device) -> int | None:
    """Return the bytes of all tensors on the device."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else None


def reset_peak(device: torch.device) -> None:
    """Begin to look for the peak anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int | None:
    """Return the greatest `allocated` since `reset_peak`."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def difference(more: int | None, less: int | None) -> int | None:
    """Return more − less, or None where one was not measured."""
    return None if more is None or less is None else more - less


def bytes_of(tensors: Sequence[Tensor]) -> int:
    """Return the bytes of the entries of these tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def cap_memory(device: torch.device, most: float) -> int | None:
    """Let torch allocate at most this many bytes, or what the device has if that is less; return the cap."""
    if device.type != "cuda":
        return None
    total = torch.cuda.get_device_properties(device).total_memory
    fraction = min(1.0, most / total)
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    return int(fraction * total)


def matrix_rate(device: torch.device, size: int, repeats: int = 20, *, warm_up: float = 0.5) -> float:
    """Return the rate of a square bfloat16 product of random normal matrices, in FLOP/s: the median, after a warm-up.

    Random, because a product of zeros draws less power and runs faster than any that a model needs. The warm-up is of
    so many seconds, because an idle device has a low clock and takes a while to leave it.
    """
    generator = torch.Generator(device).manual_seed(0)
    A, B = (torch.randn(size, size, device=device, generator=generator).to(torch.bfloat16) for _ in range(2))
    C = torch.empty_like(A)
    began = now(device)
    while now(device) < began + warm_up:
        for _ in range(10):
            torch.mm(A, B, out=C)
    return 2 * size**3 / statistics.median(_product_times(A, B, C, repeats))


def _product_times(A: Tensor, B: Tensor, C: Tensor, repeats: int) -> list[float]:
    """Seconds of each product: between events on a GPU, where a clock on the host would count the launch too."""
    if A.device.type != "cuda":
        times = [time.perf_counter()]
        for _ in range(repeats):
            torch.mm(A, B, out=C)
            times.append(time.perf_counter())
        return [end - start for start, end in pairwise(times)]
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]  # type: ignore[no-untyped-call]
    events[0].record()
    for event in events[1:]:
        torch.mm(A, B, out=C)
        event.record()
    torch.cuda.synchronize(A.device)
    return [start.elapsed_time(end) / 1e3 for start, end in pairwise(events)]


def study_device(variant: Variant) -> torch.device:
    """Return the GPU, or the CPU for a smaller study; an error where there is no GPU that could do it."""
    if variant != "large":
        return torch.device("cpu")
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0):
        came = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
        sys.exit(f"benchmarks.gpu: a GPU with bfloat16 is needed; there is {came}. On a CPU pass --small or --tiny.")
    torch.cuda.set_device(0)
    return torch.device("cuda", 0)
