"""Tools for those who work on the book; each is run as ``python -m tools.NAME``."""
