"""Reads a parked message without trusting it: whatever it holds, something can be said about it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import orjson

from kirana.parking.frames import UNREADABLE, returns_in
from shared.contracts import headers as wire
from shared.contracts import parked as names

MOST_METHODS = 3
_DIGITS = 24
_HANDLER = re.compile(r"evt-[^-]+-(?P<type>.+)--(?P<service>[\w-]+)\.(?P<method>\w+)")


class Kind(StrEnum):
    """What it was before it was parked."""

    EVENT = "event"
    CALL = "call"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Summary:
    """What a table says of a parked message. ``id`` is the same for copies, and only for them."""

    id: str
    service: str
    kind: Kind
    origin: str
    what: str
    parked_at: str
    reason: str
    request_id: str
    message_id: str
    attempts: int | None
    size: int


@dataclass(frozen=True)
class Parked:
    """A parked message of a service, as it came from the ``queue`` where it lies."""

    service: str
    body: bytes
    properties: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""

    @cached_property
    def headers(self) -> dict[str, Any]:
        """The application headers, or none if they are no table."""
        found = self.properties.get("application_headers")
        return found if isinstance(found, dict) else {}

    @cached_property
    def document(self) -> Any:
        """The body as JSON; ``None`` if it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @cached_property
    def summary(self) -> Summary:
        """Everything that can be said in a line."""
        origin, reason, at = self._origin, self._reason, self._parked_at
        message_id = _text(self.properties.get("message_id")) or _text(self._member("event_id"))
        parts = (self.service, origin, reason, at, message_id, _text(self.properties.get("correlation_id")))
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass") + b"\0" + self.body)
        return Summary(
            id=digest.hexdigest()[:_DIGITS],
            service=self.service,
            kind=self._kind,
            origin=origin,
            what=self._what,
            parked_at=at,
            reason=reason,
            request_id=self._request_id,
            message_id=message_id,
            attempts=_attempts(self.headers, self._kind),
            size=len(self.body),
        )

    @property
    def raw_properties(self) -> bytes | None:
        """The bytes of properties that could not be read; else ``None``."""
        kept = self.headers.get(UNREADABLE)
        return base64.b64decode(kept) if isinstance(kept, str) else None

    @property
    def returns(self) -> int:
        """How often it came back to its queue, as being looked at makes it do."""
        raw = self.raw_properties
        told = returns_in(raw) if raw is not None else self.headers.get(names.DELIVERY_COUNT)
        return told if isinstance(told, int) else 0

    @property
    def handler(self) -> re.Match[str] | None:
        """The parts of the name of the event queue that it came from."""
        return _HANDLER.fullmatch(self._origin)

    @property
    def _kind(self) -> Kind:
        if self.handler:
            return Kind.EVENT
        return Kind.CALL if self._origin.startswith("rpc-") else Kind.UNKNOWN

    @property
    def _death(self) -> Mapping[str, Any]:
        """What the broker did when it was not a service that parked the message."""
        deaths = self.headers.get(names.DEATHS)
        newest = deaths[0] if isinstance(deaths, list) and deaths else None
        return newest if isinstance(newest, dict) else {}

    @property
    def _origin(self) -> str:
        return _text(self.headers.get(names.FROM)) or _text(self._death.get("queue"))

    @property
    def _reason(self) -> str:
        if UNREADABLE in self.headers:
            return "its properties cannot be read"
        told = _text(self.headers.get(names.REASON))
        broker = _text(self._death.get("reason"))
        return told or (f"set aside by the broker: {broker}" if broker else "")

    @property
    def _parked_at(self) -> str:
        told = _text(self.headers.get(names.AT))
        try:
            return datetime.fromisoformat(told).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            at = self._death.get("time")
            return at.replace(tzinfo=UTC).isoformat() if isinstance(at, datetime) else ""

    @property
    def _what(self) -> str:
        if self.handler:
            return _text(self._member("type")) or self.handler["type"]
        if self._calls:
            methods = [_text(call.get("method")) for call in self._calls[:MOST_METHODS]]
            return ", ".join(methods) + (", …" if len(self._calls) > MOST_METHODS else "")
        return _text(self.headers.get(names.KEY)).removeprefix(f"{self.service}.")

    @property
    def _request_id(self) -> str:
        """Of a frame that of its first call: there is one frame for each call that is parked."""
        told = self.headers.get(wire.PREFIX + wire.REQUEST_ID) or self._member("request_id")
        context = self._calls[0].get("context") if self._calls else None
        return _text(told) or _text(context.get(wire.REQUEST_ID) if isinstance(context, dict) else None)

    @property
    def _calls(self) -> list[dict[str, Any]]:
        """What a frame of calls holds."""
        found = self._member("calls")
        return [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []

    def _member(self, name: str) -> Any:
        return self.document.get(name) if isinstance(self.document, dict) else None


def _attempts(headers: Mapping[str, Any], kind: Kind) -> int | None:
    if kind is Kind.UNKNOWN:
        return None
    before = headers.get(names.ATTEMPT)
    return before + 1 if isinstance(before, int) and before >= 0 else 1


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
