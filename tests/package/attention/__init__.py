"""Tests of lowrank_helpers.attention."""
