"""Tests of lowrank_helpers.linalg."""
