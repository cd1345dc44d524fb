"""What the sweeps over all functions have found and nobody has mended yet: each a strict expected failure.

An entry that passes is a failure, and one that names no case too: then it goes.
"""

import pytest

KNOWN: dict[str, str] = {}


def case(*values, id):
    """A case of a sweep; it is expected to fail if it is known to."""
    marks = [pytest.mark.xfail(strict=True, reason=KNOWN[id])] if id in KNOWN else []
    return pytest.param(*values, id=id, marks=marks)
