"""Low rank in data: factors that say something about the rows and the columns of a table.

``pca`` is principal component analysis, ``lsa`` latent semantic analysis of texts, ``optimal`` the rank at which to
truncate a noisy matrix, ``robust`` low rank plus sparse, ``nmf`` factors without negative entries.
"""

from lowrank_helpers.decomposition.lsa import LatentSpace as LatentSpace
from lowrank_helpers.decomposition.lsa import fold_in as fold_in
from lowrank_helpers.decomposition.lsa import lsa as lsa
from lowrank_helpers.decomposition.nmf import NMFResult as NMFResult
from lowrank_helpers.decomposition.nmf import nmf as nmf
from lowrank_helpers.decomposition.pca import PCAResult as PCAResult
from lowrank_helpers.decomposition.pca import pca as pca
from lowrank_helpers.decomposition.pca import project as project
from lowrank_helpers.decomposition.pca import reconstruct as reconstruct
from lowrank_helpers.decomposition.rank_choice import marchenko_pastur_median as marchenko_pastur_median
from lowrank_helpers.decomposition.rank_choice import optimal_rank as optimal_rank
from lowrank_helpers.decomposition.rank_choice import optimal_threshold as optimal_threshold
from lowrank_helpers.decomposition.robust import RobustPCAResult as RobustPCAResult
from lowrank_helpers.decomposition.robust import robust_pca as robust_pca
from lowrank_helpers.decomposition.robust import singular_value_threshold as singular_value_threshold
