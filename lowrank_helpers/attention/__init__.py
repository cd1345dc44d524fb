"""Attention small enough to read: heads that share keys and values, and multi-head latent attention in both its forms.

Tokens are rows: x is (…, tokens, width), and a projection is ``x @ W`` with W of shape (in, out), the transpose of a
``torch.nn.Linear``'s weight. Heads stand side by side in the columns of W_Q, W_K, W_V and in the rows of W_O.
"""

from lowrank_helpers import _extra

try:
    from lowrank_helpers.attention.heads import attention as attention
    from lowrank_helpers.attention.heads import multi_head_attention as multi_head_attention
    from lowrank_helpers.attention.heads import rotate as rotate
    from lowrank_helpers.attention.latent import LatentCache as LatentCache
    from lowrank_helpers.attention.latent import LatentKV as LatentKV
    from lowrank_helpers.attention.latent import LatentWeights as LatentWeights
    from lowrank_helpers.attention.latent import compress_kv as compress_kv
    from lowrank_helpers.attention.latent import latent_attention as latent_attention
    from lowrank_helpers.attention.latent import latent_cache as latent_cache
except ModuleNotFoundError as error:
    raise _extra.advice(error, __name__) from None
