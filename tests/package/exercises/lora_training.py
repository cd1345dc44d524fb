"""Right answers to the exercises of chapter 17, and the usual wrong ones with a word of what the checker says."""

from lowrank_helpers.exercises import lora_training as e


def top(L, k, N, n, T):
    return 2 * T * ((L + k - 1) * N + 3 * k * n - n / 2)


RIGHT = [
    (e.bytes_needed, 4.009),
    (e.bytes_needed, 4.01),
    (e.top_layers, top),
    (e.top_layers, lambda L, k, N, n, T: T * (2 * (L + k - 1) * N + 6 * k * n - n)),
    (e.checkpoint, 479.7),
    (e.checkpoint, 480),
]
WRONG = [
    (e.bytes_needed, 4_008_839_168, "in bytes"),
    (e.bytes_needed, 3.7335, "GiB"),
    (e.bytes_needed, 27.593, "half a byte"),
    (e.bytes_needed, 14.116, "bfloat16"),
    (e.bytes_needed, 3.369, "gradients and moments"),
    (e.bytes_needed, 108.454, "only the adapter"),
    (e.bytes_needed, 7, "add the bytes"),
    (e.top_layers, lambda *given: top(*given) / 2, "multiplication and an addition"),
    (e.top_layers, lambda *given: top(*given) / given[-1], "one row"),
    (e.top_layers, lambda L, k, N, n, T: 2 * T * ((L + k - 1) * N + 3 * k * n), "ends at B"),
    (e.top_layers, lambda L, k, N, n, T: 2 * T * ((L + k) * N + 3 * k * n - n / 2), "first adapted W"),
    (e.top_layers, lambda L, k, N, n, T: 2 * T * ((L + k) * N + 3 * k * n), "the way back ends"),
    (e.top_layers, lambda L, k, N, n, T: T * (4 * L * N + 6 * k * n), "below the first"),
    (e.top_layers, lambda L, k, N, n, T: T * (2 * L * N + 6 * k * n), "does pass through"),
    (e.top_layers, lambda *_: 1.0, "part 1"),
    (e.checkpoint, 479_723_520, "unit"),
    (e.checkpoint, 457.5, "MiB"),
    (e.checkpoint, 159.9, "alone"),
    (e.checkpoint, 639.6, "anew"),
    (e.checkpoint, 319.8, "two moments"),
    (e.checkpoint, 13_956.6, "frozen base"),
    (e.checkpoint, 1, "optimiser"),
]
