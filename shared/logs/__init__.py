"""One way to log in every process: ECS JSON lines to stdout and to the spool, redacted, never in the way."""

from shared.logs.configuration import configure

__all__ = ["configure"]
