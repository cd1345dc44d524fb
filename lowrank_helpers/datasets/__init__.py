"""Every dataset of the book behind one function, and matrices whose rank or spectrum is known.

``load(name)`` returns the offline default at once; ``load(name, online=True)`` downloads, verifies and caches.
The page `data` of the book lists each dataset with its shape, licence, size and digest.
"""

from lowrank_helpers.datasets.catalogue import Graph as Graph
from lowrank_helpers.datasets.catalogue import Table as Table
from lowrank_helpers.datasets.catalogue import gray as gray
from lowrank_helpers.datasets.catalogue import load as load
from lowrank_helpers.datasets.docstrings import Docstrings as Docstrings
from lowrank_helpers.datasets.docstrings import Usage as Usage
from lowrank_helpers.datasets.random import low_rank as low_rank
from lowrank_helpers.datasets.random import with_spectrum as with_spectrum
from lowrank_helpers.datasets.ratings import Ratings as Ratings
from lowrank_helpers.datasets.texts import Intents as Intents
