"""The singular value decomposition: by hand, from scratch, truncated, read, and of large matrices.

All functions take real, finite arrays and leave them as they are; `randomized_svd`, `block_krylov_svd` and
`estimate_error` take sparse matrices, dask arrays and operators too; `one_pass_svd`, `merge_svd` and
`frequent_directions` take a matrix in blocks of rows. ``float32`` stays ``float32``; integers and booleans become
``float64``; what the dtype of a result cannot hold is a ValueError. Vt is Vᵀ: its first r *rows* belong to the first
r singular values. `truncated_svd`, `schatten_norm` and `ky_fan_norm` call LAPACK through scipy; the rest is computed
from scratch.
"""

from lowrank_helpers.svd.exact import SVDFactors as SVDFactors
from lowrank_helpers.svd.exact import WorkedSVD as WorkedSVD
from lowrank_helpers.svd.exact import fix_signs as fix_signs
from lowrank_helpers.svd.exact import jacobi_svd as jacobi_svd
from lowrank_helpers.svd.exact import reconstruct as reconstruct
from lowrank_helpers.svd.exact import truncated_svd as truncated_svd
from lowrank_helpers.svd.exact import worked_svd as worked_svd
from lowrank_helpers.svd.randomized import block_krylov_svd as block_krylov_svd
from lowrank_helpers.svd.randomized import estimate_error as estimate_error
from lowrank_helpers.svd.randomized import randomized_svd as randomized_svd
from lowrank_helpers.svd.spectrum import energy as energy
from lowrank_helpers.svd.spectrum import rank_for_error as rank_for_error
from lowrank_helpers.svd.spectrum import tail_error as tail_error
from lowrank_helpers.svd.streaming import DirectionSketch as DirectionSketch
from lowrank_helpers.svd.streaming import frequent_directions as frequent_directions
from lowrank_helpers.svd.streaming import merge_directions as merge_directions
from lowrank_helpers.svd.streaming import merge_svd as merge_svd
from lowrank_helpers.svd.streaming import one_pass_svd as one_pass_svd
