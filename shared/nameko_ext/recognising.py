"""Names the operation of a change whose caller did not: what the broker brings again must have no second effect."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from shared.contracts.method import Method
    from shared.messaging.call import Call
    from shared.nameko_ext.sources import Key, Source


def recognisable(call: Call, method: Method, source: Source) -> Call:
    """The call under an operation id, if it is a change: its caller's, or else one of the message that brought it.

    Stock Nameko's clients and shells send none. Without a correlation id nothing tells one call from another, and a
    method that keeps no answer honours no operation ids: those stay as they are.
    """
    if call.operation_id is not None or not method.mutating:
        return call
    if not method.keeps_answer or not source.address.correlation_id:
        return call
    return replace(call, operation_id=operation_of(call.method, source.key))


def operation_of(method: str, key: Key) -> str:
    """The same whenever the broker brings the same call, and another for every other call.

    A correlation id alone would do if all clients made a new one for each call, as Nameko's do. What is asked is part
    of it because a sloppy one may use the same for all: its different wishes must not count as one. The id is kept for
    days, and what was asked, a password perhaps, cannot be guessed from it: a new correlation id salts it and is not.
    """
    return f"message/{sha256(ascii((method, *key)).encode()).hexdigest()}"
