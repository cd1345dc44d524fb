"""Tests of the study on a GPU."""
