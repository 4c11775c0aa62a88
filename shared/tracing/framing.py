"""What is recorded of a frame: one message that carries many calls, and is caused by all of them."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.exchanges import CALLS
from shared.tracing.recording import UNRECORDED, part


def framed(callers: Sequence[str], routing_key: str, message_id: str) -> part:
    """The writing of one, until the broker has it, linked to every call's span."""
    if not callers:
        return UNRECORDED
    return part(
        f"send {routing_key}",
        {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": CALLS,
            "messaging.rabbitmq.destination.routing_key": routing_key,
            "messaging.message.id": message_id,
            "messaging.batch.message_count": len(callers),
        },
        kind="producer",
        links=callers,
    )
