"""Tests of lowrank_helpers.decomposition."""
