"""Tests of lowrank_helpers: the path of a module is the path of its tests."""
