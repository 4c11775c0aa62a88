"""A tiny service that uses everything of the RPC plane, run as a real process by the contract tests."""

NEWS_SECONDS = 3.0
"""What the demo service leaves for news to come back in, and to be told in: a machine may stand still for so long."""
