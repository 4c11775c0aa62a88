"""Names of what travels beside a call. On the wire each carries Nameko's ``nameko.`` prefix."""

from collections.abc import Mapping
from typing import Any

PREFIX = "nameko."

REQUEST_ID = "request_id"
"""The id that finds every log line of one HTTP request in every process."""

DEADLINE = "deadline"
"""Absolute, milliseconds since the epoch (int). After it nobody works for the caller."""

OPERATION_ID = "operation_id"
"""Identifies one intended effect: ``<caller>/<Idempotency-Key>``, ``request/<uuid>`` or, made by the service for a
caller who gave none, ``message/<sha256>``."""

OPERATION_FINGERPRINT = "operation_fingerprint"
"""A digest of what was asked; another fingerprint under one operation id is refused."""

USER_ID = "user_id"
"""The authenticated user on whose behalf the call is made; absent for guests and operators."""

BESIDE_VERSION = "beside_version"
"""What its caller saw of the figure that changes without a new version (int; of a product its stock). A change that
would write that figure is refused when it is another one now. Who has never heard of it goes by the version alone."""

TRACEPARENT = "traceparent"
"""W3C trace context: the span that caused the call."""

TRACESTATE = "tracestate"
"""W3C trace context: what tracing systems add, ours (``kirana``) the work whose log lines the span stands under."""

CALL_ID_STACK = "call_id_stack"
"""Nameko's list of ``<service>.<method>.<uuid>`` strings, outermost call first."""

SENT_AT = "sent_at"
"""When the call left its caller, milliseconds since the epoch (int): how long it queued, as far as clocks agree."""

REPLAYED = "replayed"
"""On a reply: the answer was stored by an earlier run of the same operation."""


RETURN_TO = "kirana-return-to"
"""Beside Nameko's headers: the caller's reply address, by which an expired call finds its way back."""


def on_the_wire(context: Mapping[str, Any]) -> dict[str, Any]:
    """The headers of a call whose context is this; what is ``None`` does not apply and is left out.

    W3C's trace context stands there by its own names as well, for tools that know nothing of Nameko.
    """
    known = {name: value for name, value in context.items() if value is not None}
    traced = {name: known[name] for name in (TRACEPARENT, TRACESTATE) if name in known}
    return {PREFIX + name: value for name, value in known.items()} | traced
