"""Measurements behind the book's observations that take longer than seconds; each program writes one result."""
