"""Norms, rank, the pseudo-inverse and least squares, and the factorisations behind them: QR, LU, Cholesky.

All functions take real, dense, finite arrays and leave them as they are. ``float32`` stays ``float32``; integers
and booleans are computed in ``float64``; what the dtype of a result cannot hold is a ValueError. Norms are Python
floats. The norms that need singular values, and `numerical_rank`, take them from LAPACK through
``scipy.linalg.svdvals``; the rest is computed here from scratch.
"""

from lowrank_helpers.linalg.factorizations import LU as LU
from lowrank_helpers.linalg.factorizations import QR as QR
from lowrank_helpers.linalg.factorizations import cholesky as cholesky
from lowrank_helpers.linalg.factorizations import householder_qr as householder_qr
from lowrank_helpers.linalg.factorizations import lu as lu
from lowrank_helpers.linalg.factorizations import lu_solve as lu_solve
from lowrank_helpers.linalg.factorizations import solve_lower as solve_lower
from lowrank_helpers.linalg.factorizations import solve_upper as solve_upper
from lowrank_helpers.linalg.least_squares import lstsq as lstsq
from lowrank_helpers.linalg.least_squares import pinv as pinv
from lowrank_helpers.linalg.least_squares import tikhonov as tikhonov
from lowrank_helpers.linalg.norms import frobenius_norm as frobenius_norm
from lowrank_helpers.linalg.norms import ky_fan_norm as ky_fan_norm
from lowrank_helpers.linalg.norms import nuclear_norm as nuclear_norm
from lowrank_helpers.linalg.norms import schatten_norm as schatten_norm
from lowrank_helpers.linalg.norms import spectral_norm as spectral_norm
from lowrank_helpers.linalg.norms import vector_norm as vector_norm
from lowrank_helpers.linalg.rank import RankFactorization as RankFactorization
from lowrank_helpers.linalg.rank import degrees_of_freedom as degrees_of_freedom
from lowrank_helpers.linalg.rank import numerical_rank as numerical_rank
from lowrank_helpers.linalg.rank import rank_factorization as rank_factorization
