"""Fine-tuning a real decoder of the hub on one's own examples, with the libraries that people use for it.

``examples`` reads and checks them, ``tokens`` marks what is to be learned, ``recipe`` says what will be done and
whether it fits, ``session`` loads, trains, measures, asks and exports. Transformers, PEFT, TRL, datasets and
bitsandbytes are imported when a function needs them, and so is torch.
"""

from lowrank_helpers.finetuning.examples import Examples as Examples
from lowrank_helpers.finetuning.examples import read_examples as read_examples
from lowrank_helpers.finetuning.examples import split_examples as split_examples
from lowrank_helpers.finetuning.recipe import Device as Device
from lowrank_helpers.finetuning.recipe import Forecast as Forecast
from lowrank_helpers.finetuning.recipe import Recipe as Recipe
from lowrank_helpers.finetuning.recipe import find_device as find_device
from lowrank_helpers.finetuning.recipe import forecast as forecast
from lowrank_helpers.finetuning.session import Loaded as Loaded
from lowrank_helpers.finetuning.session import Run as Run
from lowrank_helpers.finetuning.session import Scores as Scores
from lowrank_helpers.finetuning.session import answer as answer
from lowrank_helpers.finetuning.session import export_model as export_model
from lowrank_helpers.finetuning.session import load_model as load_model
from lowrank_helpers.finetuning.session import load_trained as load_trained
from lowrank_helpers.finetuning.session import measure as measure
from lowrank_helpers.finetuning.session import train_adapter as train_adapter
from lowrank_helpers.finetuning.stand_in import tiny_decoder as tiny_decoder
from lowrank_helpers.finetuning.tokens import Row as Row
from lowrank_helpers.finetuning.tokens import Tokens as Tokens
from lowrank_helpers.finetuning.tokens import tokenise as tokenise
