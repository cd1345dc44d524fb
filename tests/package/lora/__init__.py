"""Tests of lowrank_helpers.lora."""
