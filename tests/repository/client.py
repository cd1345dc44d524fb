"""What an engineer may write with the helpers: it passes `mypy --strict`, and it runs (test_distribution.py).

`f32` and `f64` take arrays of one dtype. A type checker refuses the other one, and so do they when they run.
"""

import numpy as np
from numpy.typing import NDArray

import lowrank_helpers as lr
from lowrank_helpers import compression, linalg, svd
from lowrank_helpers.completion import (
    BayesianCompletion,
    Completion,
    als_complete,
    bayesian_complete,
    predict,
    predict_interval,
)
from lowrank_helpers.decomposition import (
    fold_in,
    lsa,
    nmf,
    pca,
    project,
    reconstruct,
    robust_pca,
    singular_value_threshold,
)
from lowrank_helpers.svd import block_krylov_svd, randomized_svd


def f32(*arrays: NDArray[np.float32]) -> None:
    assert all(array.dtype == np.float32 for array in arrays)


def f64(*arrays: NDArray[np.float64]) -> None:
    assert all(array.dtype == np.float64 for array in arrays)


ints = [[3, 1], [1, 3], [1, 1]]
counts: NDArray[np.int64] = np.array(ints)
A64: NDArray[np.float64] = np.random.default_rng(0).standard_normal((6, 4))
S64: NDArray[np.float64] = A64.T @ A64
L64: NDArray[np.float64] = np.tril(S64)
b64: NDArray[np.float64] = A64[:, 0]
P64: NDArray[np.float64] = A64[:, :2]
A32, S32, L32, b32, P32 = (array.astype(np.float32) for array in (A64, S64, L64, b64, P64))

# float32 in, float32 out
f32(*linalg.rank_factorization(A32))
f32(linalg.pinv(A32))
f32(linalg.lstsq(A32, b32))
f32(linalg.tikhonov(A32, A32, 0.1))
f32(*linalg.householder_qr(A32))
f32(linalg.lu(S32).U)
f32(linalg.cholesky(S32))
f32(linalg.solve_lower(L32, S32))
f32(linalg.solve_upper(L32.T, S32))
f32(linalg.lu_solve(linalg.lu(S32), S32))
f32(*svd.truncated_svd(A32, 2))
f32(*svd.jacobi_svd(A32))
f32(*svd.worked_svd(P32))
f32(*svd.fix_signs(svd.truncated_svd(A32, 2)))
f32(svd.reconstruct(svd.truncated_svd(A32, 2)))
f32(svd.energy(svd.truncated_svd(A32, 2).s))
f32(*randomized_svd(A32, 2, rng=0))
f32(*block_krylov_svd(A32, 2, rng=0))
f32(pca(A32, 2).scores)
f32(project(pca(A32, 2), A64))
f32(reconstruct(pca(A32, 2)))
f32(*lsa(A32, 2, rng=0))
f32(fold_in(lsa(A32, 2, rng=0), A32))
f32(robust_pca(A32).L)
f32(singular_value_threshold(A32, 0.5))
f32(*compression.activation_aware_factor(A32, 2, inputs=A32))

# float64 in, float64 out
f64(*linalg.rank_factorization(A64))
f64(linalg.pinv(A64))
f64(linalg.lstsq(A64, b64))
f64(linalg.tikhonov(A64, A64, 0.1))
f64(*linalg.householder_qr(A64))
f64(linalg.lu(S64).U)
f64(linalg.cholesky(S64))
f64(linalg.solve_lower(L64, S64))
f64(linalg.solve_upper(L64.T, S64))
f64(linalg.lu_solve(linalg.lu(S32), S64))
f64(*svd.truncated_svd(A64, 2))
f64(*svd.jacobi_svd(A64))
f64(*svd.worked_svd(P64))
f64(*svd.fix_signs(svd.truncated_svd(A64, 2)))
f64(svd.reconstruct(svd.truncated_svd(A64, 2)))
f64(svd.energy(svd.truncated_svd(A64, 2).s))
f64(*randomized_svd(A64, 2, rng=0))
f64(*block_krylov_svd(A64, 2, rng=0))
f64(pca(A64, 2).scores)
f64(project(pca(A64, 2), A32))
f64(reconstruct(pca(A64, 2)))
f64(*lsa(A64, 2, rng=0))
f64(fold_in(lsa(A64, 2, rng=0), A64))
f64(robust_pca(A32).gap)
f64(singular_value_threshold(A64, 0.5))
f64(*compression.activation_aware_factor(A64, 2, gram=S64))

# lists and integers become float64
f64(linalg.pinv(ints))
f64(linalg.lstsq(A32, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
f64(linalg.tikhonov(A32, b64, 0.1))
f64(linalg.solve_lower(L64, S32))
f64(*linalg.householder_qr(counts))
f64(*svd.truncated_svd(counts, 1))
f64(svd.energy([3.0, 2.0, 1.0]))
f64(pca(ints).mean)

# what may be sparse, whose dtype no type checker sees, fits any annotation; what is made from a result keeps its dtype
table: Completion[np.float32] = als_complete(A32, 2, penalty=0.1)
draws: BayesianCompletion[np.float32] = bayesian_complete(A32, 1, draws=2, burn_in=0, rng=0)
f32(nmf(np.abs(A32), 2).W)
f32(table.H)
f32(predict(table, [0, 1], [2, 3]))
f32(*predict_interval(draws, 0, 1))
f64(table.objective)

# modules are attributes of the package, options are words
rank: int = lr.svd.rank_for_error([3.0, 2.0, 1.0], 2.5, norm="nuclear", relative=False)
shares: list[float] = [lr.svd.tail_error([3.0, 2.0, 1.0], r, norm="spectral") for r in range(rank)]
f64(lr.datasets.load("digits").X)
