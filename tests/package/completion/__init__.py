"""Tests of lowrank_helpers.completion."""
