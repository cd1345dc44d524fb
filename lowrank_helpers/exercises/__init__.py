"""Checkers for the book's exercises: one module a chapter, one function an exercise.

The exercise labelled ``ex-norms-by-hand`` is checked by ``exercises.norms.by_hand(answer)``. A checker takes
your function or your number and returns a sentence that begins with "Right" or "Not yet"; it says what is wrong
and never what the answer is.
"""

from . import (
    attention,
    compression,
    eckart_young,
    factorizations,
    gaussian_processes,
    graphs,
    images,
    lora,
    lora_training,
    lora_updates,
    lsa,
    matrix_completion,
    nmf,
    norms,
    orthogonal_networks,
    pca,
    pseudoinverse,
    randomized_svd,
    rank,
    real_model,
    robust_pca,
    scale,
    svd,
)

__all__ = [
    "attention",
    "compression",
    "eckart_young",
    "factorizations",
    "gaussian_processes",
    "graphs",
    "images",
    "lora",
    "lora_training",
    "lora_updates",
    "lsa",
    "matrix_completion",
    "nmf",
    "norms",
    "orthogonal_networks",
    "pca",
    "pseudoinverse",
    "randomized_svd",
    "rank",
    "real_model",
    "robust_pca",
    "scale",
    "svd",
]
