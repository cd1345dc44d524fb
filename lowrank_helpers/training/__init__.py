"""A byte-level GPT of the book's own, and the trainer that pretrains and adapts it.

``model`` is the network, ``losses`` its loss, ``corpus`` the text, ``base`` the model that ships with the book,
``methods`` what fine-tuning may train; ``plan`` has the options of a run, ``schedule``, ``optimiser``, ``checkpoints``
and ``records`` are the parts of its ``loop``, and ``trainer`` is what one calls.
"""

from lowrank_helpers import _extra

try:
    from lowrank_helpers.training.base import base_model_record as base_model_record
    from lowrank_helpers.training.base import load_base_model as load_base_model
    from lowrank_helpers.training.checkpoints import latest_checkpoint as latest_checkpoint
    from lowrank_helpers.training.checkpoints import save_checkpoint as save_checkpoint
    from lowrank_helpers.training.corpus import load_corpus as load_corpus
    from lowrank_helpers.training.corpus import standard_library as standard_library
    from lowrank_helpers.training.losses import chunked_cross_entropy as chunked_cross_entropy
    from lowrank_helpers.training.methods import ALL_LINEAR as ALL_LINEAR
    from lowrank_helpers.training.methods import prepare as prepare
    from lowrank_helpers.training.model import GPT as GPT
    from lowrank_helpers.training.model import GPTConfig as GPTConfig
    from lowrank_helpers.training.plan import Bookkeeping as Bookkeeping
    from lowrank_helpers.training.plan import Plan as Plan
    from lowrank_helpers.training.records import TrainingResult as TrainingResult
    from lowrank_helpers.training.schedule import learning_rate_at as learning_rate_at
    from lowrank_helpers.training.trainer import evaluate as evaluate
    from lowrank_helpers.training.trainer import finetune as finetune
    from lowrank_helpers.training.trainer import generate as generate
    from lowrank_helpers.training.trainer import pretrain as pretrain
except ModuleNotFoundError as error:
    raise _extra.advice(error, __name__) from None
