"""Walks through the shop as a customer does, over HTTP, and looks closely at every answer."""
