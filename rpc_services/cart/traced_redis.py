"""A client of Redis that records each command as a part of the call that sends it, while somebody collects spans."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.client import Pipeline

from shared.tracing import commands, recording


class TracedRedis(Redis):
    """Otherwise the client that it is."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the client does."""
        if recording.active is None:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # it carries no types here
        with commands.command(args[0], self.connection_pool.connection_kwargs):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # it carries no types here

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:  # noqa: FBT001, FBT002 - its own way
        """As the client gives it."""
        return _TracedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _TracedPipeline(Pipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as above
        if recording.active is None:
            return super().execute(raise_on_error)
        with commands.pipeline(len(self.command_stack), self.connection_pool.connection_kwargs):
            return super().execute(raise_on_error)
