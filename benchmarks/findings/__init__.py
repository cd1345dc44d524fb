"""Measurements of observations that take longer than seconds: each program stores its own, a chapter reads them."""
