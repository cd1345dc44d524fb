"""What holds for every test, the notebooks' kernels included: they inherit this environment."""

import os
import pathlib

from hypothesis import settings

# One BLAS thread, as when the outputs were stored, unless the caller asks for more (tools/portable.py does).
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Models are looked for on this machine alone.
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_configure(config):
    """Have nbval compare no drawings, from whichever folder it is started."""
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(pathlib.Path(__file__).parent / "tests" / "nbval.cfg")


# The same examples on every run, and no failure because a machine is busy.
settings.register_profile("book", deadline=None, derandomize=True)
settings.load_profile("book")
