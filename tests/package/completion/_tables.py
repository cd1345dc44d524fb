"""Tables with holes, and misuse that several methods meet."""

import numpy as np
import scipy.sparse

from lowrank_helpers.datasets import low_rank

nan = np.nan


def holes(m, n, share, rng, full=None):
    """A table of rank 2 (or `full`) of which this share was seen, as a dense array with NaN."""
    full = low_rank(m, n, 2, rng=rng) if full is None else full
    return np.where(rng.random((m, n)) < share, full, nan)


def as_sparse(A):
    i, j = np.nonzero(~np.isnan(A))
    return scipy.sparse.coo_array((A[i, j], (i, j)), shape=A.shape)


TABLE = np.array([[1, 2, nan], [2, nan, 3], [4, 1, 2.0]])


class Interrupted:
    """A progress bar in whose third iteration Ctrl-C is pressed."""

    def __init__(self, total, progress):
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def update(self):
        self.count += 1
        if self.count == 3:
            raise KeyboardInterrupt

    def close(self):
        pass
