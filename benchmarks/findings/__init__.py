"""Measurements behind observations of the chapters that take longer than seconds; each program writes one result."""
