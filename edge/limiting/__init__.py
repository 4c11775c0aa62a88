"""Limits: how many requests one address, and one caller, may send; exact across all edges, and kept without Redis."""
