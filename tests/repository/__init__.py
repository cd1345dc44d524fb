"""Tests of what stands around the book: make, tools, versions, the wheel."""
