"""Fills a shop: a made-up one in seconds, or 92,331 real grocery products."""
