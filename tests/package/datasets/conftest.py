"""What the tests of this folder are given."""

import hashlib
import os
from pathlib import Path

import pytest

from lowrank_helpers.datasets.catalogue import SOURCES
from tests.package.datasets._files import MADE


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Put a small file in a cache of its own unless LOWRANK_DATA holds the real one; return (content, real)."""

    def prepare(name):
        source = SOURCES[name]
        real = Path(os.environ.get("LOWRANK_DATA") or tmp_path / "nowhere") / source.folder / source.filename
        if real.is_file():
            return real.read_bytes(), True
        content = MADE[name]()
        algorithm = source.digest.split(":")[0]
        digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        monkeypatch.setitem(SOURCES, name, source._replace(size=len(content), digest=digest))
        monkeypatch.setenv("LOWRANK_DATA", str(tmp_path))
        path = tmp_path / source.folder / source.filename
        path.parent.mkdir()
        path.write_bytes(content)
        return content, False

    return prepare
