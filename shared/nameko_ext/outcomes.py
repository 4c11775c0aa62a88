"""What a call came to, written once as JSON, whichever kind of message will carry it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import orjson
from nameko.exceptions import MalformedRequest, serialize

from shared.contracts.refusals import Internal, Refusal

NULL = b"null"


class Outcome(NamedTuple):
    """``result`` or ``error`` as JSON, the other being ``null``; ``code`` names what went wrong, if anything did.

    ``reason`` is for the log only.
    """

    result: bytes = NULL
    error: bytes = NULL
    code: str | None = None
    reason: str | None = None

    def as_body(self) -> bytes:
        """The body of a reply of its own, in Nameko's layout."""
        return b'{"result":%b,"error":%b}' % (self.result, self.error)


def answered(result: Any) -> Outcome:
    """An answer. What cannot be written becomes :class:`Internal`, as nobody could read it."""
    try:
        return Outcome(msgspec.json.encode(result))
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return refused(Internal())


def refused(refusal: Refusal) -> Outcome:
    """A refusal. Details that are no JSON are left out rather than losing the refusal."""
    error = refusal.to_wire()
    try:
        return failed(msgspec.to_builtins(error), refusal.code)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return failed({**error, "exc_args": [refusal.code, str(refusal), {}]}, refusal.code)


def failed(error: Mapping[str, Any], code: str | None = None) -> Outcome:
    """An error in Nameko's layout."""
    return Outcome(error=orjson.dumps(error, option=orjson.OPT_NON_STR_KEYS), code=code or str(error["exc_type"]))


def malformed(reason: str) -> Outcome:
    """Stock Nameko's error for a message that makes no sense."""
    return stock_fault(MalformedRequest(reason))


def stock_fault(fault: Exception) -> Outcome:
    """One of Nameko's own errors in Nameko's own layout. It quotes its message, whose texts may be none in JSON."""
    error = serialize(fault)
    try:
        return failed(error)
    except TypeError:
        return failed(
            {**error, "exc_args": [_ascii(each) for each in error["exc_args"]], "value": _ascii(error["value"])}
        )


def _ascii(text: object) -> str:
    return str(text).encode("ascii", "replace").decode()
