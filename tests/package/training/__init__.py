"""Tests of lowrank_helpers.training."""
