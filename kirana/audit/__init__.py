"""Checks that the shop kept its word: what it acknowledged is there, once, with its goods and its mail."""
