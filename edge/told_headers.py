"""Says of every header of an answer what it is, for the description of the interface."""

from __future__ import annotations

from typing import Any

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"description": "Finds every log line of this request.", "schema": {"type": "string"}},
    "ETag": {"description": "For If-None-Match and If-Match.", "schema": {"type": "string"}},
    "Age": {"description": "Seconds since a kept answer was fetched.", "schema": {"type": "integer"}},
    "Cache-Status": {"description": "Where the answer came from (RFC 9211).", "schema": {"type": "string"}},
    "Location": {"description": "Where the new resource is.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page, as rel="next" (RFC 8288).', "schema": {"type": "string"}},
    "X-Cart-Token": {"description": "Opens this guest's cart; send it back.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of the limits.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limits that apply.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "true: this is the first answer again.", "schema": {"type": "string"}},
    "Server-Timing": {"description": "Milliseconds in the edge and in services.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "Whether and how long it may be kept.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds until it is worth another try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate (RFC 9110).", "schema": {"type": "string"}},
    "Pragma": {"description": "no-cache, beside Cache-Control (RFC 6749).", "schema": {"type": "string"}},
    "X-Cart-Merged": {
        "description": "Whether the guest's cart came along.",
        "schema": {"type": "string", "enum": ["true", "partly", "false"]},
    },
    "X-Cart-Left-Out": {
        "description": "Products of the guest's cart that found no room in the user's, by id.",
        "schema": {"type": "string"},
    },
}
