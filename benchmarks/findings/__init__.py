"""Measurements behind the book's observations that take longer than seconds, or whose digits differ by processor."""
