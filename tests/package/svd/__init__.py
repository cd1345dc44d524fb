"""Tests of lowrank_helpers.svd."""
