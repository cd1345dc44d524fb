"""Tiny decoders, each made once for a file of tests, and no network."""

import functools

import pytest

from lowrank_helpers.finetuning import tiny_decoder
from tests.package.finetuning._data import TEXTS


@pytest.fixture(autouse=True)
def offline(no_network):
    """Nothing here may ask for a connection."""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """decoder("qwen") or decoder("gpt2", chat=False): the folder of one."""

    @functools.cache
    def made(family, chat=True):
        return tiny_decoder(tmp_path_factory.mktemp("hub") / family, TEXTS, family=family, chat=chat)

    return made
