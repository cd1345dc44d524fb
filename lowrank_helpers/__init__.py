"""Low-rank factorisation, written to be read: the code of the book *Low Rank: from norms to LoRA*.

linalg          norms, rank, the pseudo-inverse, least squares; QR, LU and Cholesky from scratch
svd             the singular value decomposition: by hand, from scratch, truncated, read, and of large matrices
decomposition   PCA, LSA, how many components, low rank plus sparse, NMF
completion      tables with holes: least squares, gradients, nuclear norm, sampling
compression     low-rank factors in the place of a trained weight
costs           what low rank costs and saves: parameters, bytes, operations
datasets        the book's data behind one function, and matrices of known rank or spectrum
results         what the book measured, each study with its provenance
plotting        figures: matrices drawn to scale, spectra, heat maps, photographs
widgets         what a reader moves: a picture's rank, the memory of a training step
exercises       checkers for the book's exercises
attention       multi-head, grouped-query and latent attention (extra: torch)
lora            low-rank adapters for any torch model (extra: torch)
finetuning      a real decoder on your own examples (extra: finetune)
training        a GPT over bytes, a base model, and a trainer (extra: torch)

A module is imported when it is first used, so ``import lowrank_helpers`` costs nothing:

    import lowrank_helpers as lr

    U, s, Vt = lr.svd.truncated_svd(A, 2)
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lowrank_helpers import attention as attention
    from lowrank_helpers import completion as completion
    from lowrank_helpers import compression as compression
    from lowrank_helpers import costs as costs
    from lowrank_helpers import datasets as datasets
    from lowrank_helpers import decomposition as decomposition
    from lowrank_helpers import exercises as exercises
    from lowrank_helpers import finetuning as finetuning
    from lowrank_helpers import linalg as linalg
    from lowrank_helpers import lora as lora
    from lowrank_helpers import plotting as plotting
    from lowrank_helpers import results as results
    from lowrank_helpers import svd as svd
    from lowrank_helpers import training as training
    from lowrank_helpers import widgets as widgets
else:  # a type checker would take any name for one of __getattr__'s

    def _modules():
        from pkgutil import iter_modules

        return [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]

    def __getattr__(name):
        from importlib import import_module

        if name.startswith("_") or name not in _modules():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:  # hasattr, help and completion by tab expect no other kind
            raise AttributeError(str(error)) from error

    def __dir__():
        return [*_modules(), "__version__"]
