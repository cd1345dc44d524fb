"""Spark for the tests here; where Java is missing they end with one sentence."""

import pytest

from benchmarks.peers.spark import session


@pytest.fixture(scope="session")
def spark():
    """One session for all of them: it takes seconds to start."""
    try:
        with session(java_options="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC") as started:  # less to compile
            yield started
    except RuntimeError as missing:
        pytest.exit(str(missing), returncode=1)
