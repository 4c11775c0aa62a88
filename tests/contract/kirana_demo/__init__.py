"""A tiny service that uses everything of the RPC plane, run as a real process by the contract tests."""
