"""Low-rank adaptation of a torch model: frozen weights W plus trainable products s B A of low rank.

W is (out, in), A is (rank, in), B is (out, rank), s is α/r or α/√r, and y = x Wᵀ + b + s (x Aᵀ) Bᵀ. A model keeps
its own modules; `add_lora` puts a `LoRALinear` in the place of each layer that is targeted. Adapters are saved in
the layout of the PEFT library, as safetensors and JSON; nothing is ever unpickled.

``product`` is the mathematics and its gradient, ``start`` how adapters begin, ``layer`` a layer that has some,
``places`` which layers can; ``model`` puts them in, saves and loads them in ``files``; ``switch`` merges and switches.
"""

from lowrank_helpers import _extra

try:
    from lowrank_helpers.lora.layer import LoRALinear as LoRALinear
    from lowrank_helpers.lora.model import add_lora as add_lora
    from lowrank_helpers.lora.model import load_lora as load_lora
    from lowrank_helpers.lora.model import save_lora as save_lora
    from lowrank_helpers.lora.start import Init as Init
    from lowrank_helpers.lora.start import Scaling as Scaling
    from lowrank_helpers.lora.switch import assign_lora as assign_lora
    from lowrank_helpers.lora.switch import disable_lora as disable_lora
    from lowrank_helpers.lora.switch import lora_parameters as lora_parameters
    from lowrank_helpers.lora.switch import merge_lora as merge_lora
    from lowrank_helpers.lora.switch import set_adapter as set_adapter
    from lowrank_helpers.lora.switch import unmerge_lora as unmerge_lora
except ModuleNotFoundError as error:
    raise _extra.advice(error, __name__) from None
