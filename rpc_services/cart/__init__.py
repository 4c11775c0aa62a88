"""Carts: what somebody means to buy, kept fast in Redis and durable in a journal."""
