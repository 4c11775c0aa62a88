"""Decides what can go back to where it failed, and in what shape.

An event can: its handler's inbox makes a second copy harmless. A call cannot. Whoever sent it had the reason as an
answer at the moment it was parked, so that a call that runs now would change the shop for somebody who was told that
it did not; and one without an address for its answer would be parked again at once.
"""

from __future__ import annotations

from amqp.basic_message import Message

from kirana.parking.message import Kind, Parked
from shared.contracts import headers as wire

PERSISTENT = 2
_KEPT = ("content_type", "content_encoding", "correlation_id", "message_id")


def obstacle(parked: Parked, now_ms: int) -> str:
    """Why it cannot go back; empty if it can. ``now_ms`` is since the epoch."""
    match parked.summary.kind:
        case Kind.CALL:
            return _obstacle_of_call(parked, now_ms)
        case Kind.UNKNOWN:
            return "nothing says which queue it came from"
        case Kind.EVENT:
            owner = parked.handler["service"] if parked.handler else ""
            return "" if owner == parked.service else f"it names a queue of another service, {owner}"


def again(parked: Parked) -> Message:
    """The event as at its first delivery: no attempts, no reason, nothing of the broker's."""
    headers = {name: value for name, value in parked.headers.items() if name.startswith(wire.PREFIX)}
    kept = {name: parked.properties[name] for name in _KEPT if parked.properties.get(name) is not None}
    return Message(parked.body, delivery_mode=PERSISTENT, application_headers=headers, **kept)


def _obstacle_of_call(parked: Parked, now_ms: int) -> str:
    if not parked.properties.get("reply_to"):
        return "a call without an address for the answer: it would be parked again"
    deadline = parked.headers.get(wire.PREFIX + wire.DEADLINE)
    if isinstance(deadline, int) and deadline <= now_ms:
        return "a call that nobody waits for any more: its deadline has passed"
    return "a call whose sender has been told that it failed: it must not happen now"
