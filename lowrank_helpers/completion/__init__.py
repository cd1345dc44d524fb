"""Completing a table of which some entries were seen, A ≈ W H: least squares, gradients, nuclear norm, sampling.

``als``, ``sgd``, ``soft_impute``, ``implicit`` and ``bayes`` hold one method each; ``results`` what they return, and
the predictions made from it; ``_observations`` reads a table.
"""

from lowrank_helpers.completion.als import als_complete as als_complete
from lowrank_helpers.completion.bayes import BayesianCompletion as BayesianCompletion
from lowrank_helpers.completion.bayes import Interval as Interval
from lowrank_helpers.completion.bayes import bayesian_complete as bayesian_complete
from lowrank_helpers.completion.bayes import predict_interval as predict_interval
from lowrank_helpers.completion.implicit import implicit_als as implicit_als
from lowrank_helpers.completion.results import Completion as Completion
from lowrank_helpers.completion.results import predict as predict
from lowrank_helpers.completion.sgd import sgd_complete as sgd_complete
from lowrank_helpers.completion.soft_impute import soft_impute as soft_impute
from lowrank_helpers.completion.soft_impute import soft_impute_path as soft_impute_path
