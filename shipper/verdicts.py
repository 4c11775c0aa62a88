"""Says what an answer of Elasticsearch means for a record: done, to be tried again, or refused for good.

Refused is only what is wrong with the record itself. Where the answer is about us or about the cluster (429, 5xx, and
401 and 403, which mean that a right is missing), the record waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from elasticsearch import ApiError, ConnectionTimeout, TransportError, UnsupportedProductError
from elasticsearch import ConnectionError as Unreachable

LONGEST_REASON: Final = 500
_WAITING: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
_OF_STATUS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "unauthorised",
    HTTPStatus.FORBIDDEN: "unauthorised",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
}
WORDS: Final = (
    "throttled",
    "server",
    "timeout",
    "unreachable",
    "unauthorised",
    "not_elasticsearch",
    "refused",
    "no_verdict",
)
"""Why something is tried again."""


class Kind(Enum):
    """What becomes of a record now."""

    DELIVERED = "delivered"
    REPEATED = "repeated"  # an earlier try had delivered it
    AGAIN = "again"
    DEAD = "dead"


class Verdict(NamedTuple):
    """``reason`` is a word of :data:`WORDS` for ``AGAIN``, a sentence for ``DEAD``."""

    kind: Kind
    reason: str = ""


_DELIVERED = Verdict(Kind.DELIVERED)
_REPEATED = Verdict(Kind.REPEATED)


def of_item(item: Any) -> Verdict:
    """The verdict on one record of a request that was answered."""
    told = item.get("create") if isinstance(item, Mapping) else None
    status = told.get("status") if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping) or not isinstance(status, int):
        return Verdict(Kind.AGAIN, "no_verdict")
    if told.get("failure_store") == "used":
        return Verdict(Kind.DEAD, f"failure_store: {_fault(told)}")
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _DELIVERED
    if status == HTTPStatus.CONFLICT:
        return _REPEATED
    if status in _WAITING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict(Kind.AGAIN, _word_of(status))
    return Verdict(Kind.DEAD, f"{status} {_fault(told)}")


def _fault(told: Mapping[str, Any]) -> str:
    error = told.get("error")
    if not isinstance(error, Mapping):
        return str(error or "")[:LONGEST_REASON]
    cause = error.get("caused_by")
    reason = f"{error.get('type')}: {error.get('reason')}"
    if isinstance(cause, Mapping):
        reason += f" ({cause.get('type')}: {cause.get('reason')})"
    return reason[:LONGEST_REASON]


def of_fault(fault: ApiError | TransportError) -> tuple[str, str]:
    """Why a whole request is to be tried again: a word of :data:`WORDS`, and a sentence for the log."""
    match fault:
        case UnsupportedProductError():
            return "not_elasticsearch", "what answers there is no Elasticsearch"
        case ApiError():
            word = _word_of(fault.meta.status)
            return word, f"{fault.meta.status} {fault.message}"[:LONGEST_REASON]
        case ConnectionTimeout():
            return "timeout", str(fault.message)[:LONGEST_REASON]
        case Unreachable():
            return "unreachable", str(fault.message)[:LONGEST_REASON]
    return "no_verdict", str(fault)[:LONGEST_REASON]


def _word_of(status: int) -> str:
    return _OF_STATUS.get(status) or ("server" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused")


def is_too_large(fault: ApiError | TransportError) -> bool:
    """Whether fewer records at once would be taken."""
    return isinstance(fault, ApiError) and fault.meta.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
