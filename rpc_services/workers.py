"""How many calls one process of a service serves at once, unless it is told."""

MAX_WORKERS = 64
"""Greenlets that mostly wait. What they share, such as connections and cores, has limits of its own."""
