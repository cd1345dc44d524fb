"""The study on a GPU: `python -m benchmarks.gpu --out DIR`; README.md beside this file says what it asks."""

import time

BEGAN = time.monotonic()  # read before torch is imported, which belongs to the time that --minutes allows
