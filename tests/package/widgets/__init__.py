"""Tests of lowrank_helpers.widgets."""
