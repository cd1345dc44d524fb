"""What pyproject.toml cannot say: build in a temporary folder.

setuptools' own, build/, would stay in the repository, and modules that are there no more would get into the next wheel.
"""

import tempfile

from setuptools import setup

with tempfile.TemporaryDirectory() as folder:
    setup(options={"build": {"build_base": folder}})
