"""Makers of the frozen data in lowrank_helpers/data: each ran once, and stays to say how."""
