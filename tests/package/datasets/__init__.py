"""Tests of lowrank_helpers.datasets."""
