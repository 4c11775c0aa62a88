"""Events as they travel between services."""

import msgspec

from shared.contracts.events import SESSION_REVOKED, Event


def a_revocation(session_id, *, forget_at=2_000_000_000):
    """The message that tells of a session's end."""
    return an_event_of(SESSION_REVOKED, session_id, session_id=session_id, user_id="user-1", forget_at=forget_at)


def an_event_of(kind, aggregate_id, **data):
    """The message that tells of it."""
    return msgspec.json.encode(
        Event(
            event_id=f"event of {aggregate_id}",
            type=kind.name,
            version=kind.version,
            occurred_at="2026-01-01T00:00:00Z",
            aggregate_id=aggregate_id,
            sequence=1,
            request_id="request-1",
            data=data,
        )
    )
