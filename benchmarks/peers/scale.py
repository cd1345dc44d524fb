"""Past one machine, piece by piece: each is a module of its own, benchmarks/peers/scale_NAME.py, and says what it does.

    python -m benchmarks.peers.scale disk|dask|rows [its options]

A piece writes lowrank_helpers/data/results/scale_NAME.json.
"""

import sys
from importlib import import_module

PIECES = ("disk", "dask", "rows")


def main(arguments: list[str]) -> None:
    """Run one piece with the options that come after its name."""
    if not arguments or arguments[0] not in PIECES:
        sys.exit(f"usage: python -m benchmarks.peers.scale {'|'.join(PIECES)} [options of the piece]")
    import_module(f"benchmarks.peers.scale_{arguments[0]}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
