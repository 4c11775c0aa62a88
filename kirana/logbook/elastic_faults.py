"""Says in one line why Elasticsearch does not tell of the log, and what to do about it."""

from __future__ import annotations

from elasticsearch import exceptions as of

from kirana.stack.faults import StackFault
from shipper.settings import Destination
from shipper.setup.elasticsearch import STREAMS

READER = "kirana_reader"
"""The role of people that ``kirana elastic setup`` makes: ``logging/kibana/reader-role.json``."""

_LONGEST = 300


def fault_of(fault: of.ApiError | of.TransportError, place: Destination) -> StackFault:
    """What it means to an operator."""
    if isinstance(fault, of.UnsupportedProductError):
        return StackFault(f"What answers at {_at(place)} is no Elasticsearch.", mend=_LOOK)
    if isinstance(fault, of.ApiError):
        return _refused(fault, place)
    return _unreached(fault, place)


def no_lines(place: Destination) -> StackFault:
    """Elasticsearch gives the same answer to who may not read any stream, where it knows others."""
    return StackFault(
        f"Elasticsearch at {_at(place)} has no data stream {STREAMS}, or none that {_who(place)} may read.",
        cause="no shipper brings lines there, or the role is of other streams.",
        mend=f"see which there are: GET /_data_stream/{STREAMS} in Kibana's console",
    )


_LOOK = "see that the address is Elasticsearch's own: --elasticsearch https://HOST:9200"


def _refused(fault: of.ApiError, place: Destination) -> StackFault:
    match fault.meta.status:
        case 401:
            return StackFault(
                f"Elasticsearch at {_at(place)} does not know {_who(place)} (401).",
                mend="set KIRANA_ELASTICSEARCH_USER and KIRANA_ELASTICSEARCH_PASSWORD_FILE, or "
                "KIRANA_ELASTICSEARCH_API_KEY_FILE",
            )
        case 403:
            return StackFault(
                f"Elasticsearch at {_at(place)} does not let {_who(place)} read the log (403): {_reason_of(fault)}",
                mend=f"take a user with the role {READER}, or any with the index privilege 'read' on {STREAMS}",
            )
        case 404:
            return StackFault(
                f"Elasticsearch at {_at(place)} no longer has what it was asked for (404): {_reason_of(fault)}",
                mend="ask once more",
            )
    return StackFault(
        f"Elasticsearch at {_at(place)} answered {fault.meta.status}: {_reason_of(fault)}",
        mend="ask once more, of a shorter time (--since, --until)",
    )


def _unreached(fault: of.TransportError, place: Destination) -> StackFault:
    told = _first_cause(fault)
    match fault:
        case of.ConnectionTimeout():
            return StackFault(
                f"Elasticsearch at {_at(place)} did not answer within {place.request_seconds} s.",
                mend="ask of a shorter time (--since, --until), or wait longer: KIRANA_ELASTICSEARCH_TIMEOUT=120",
            )
        case of.SSLError() if "mismatch" in told or "not valid for" in told:
            return StackFault(
                f"The certificate at {_at(place)} is made out to another name: {told}",
                cause="the address is that of a port-forward.",
                mend="give 127.0.0.1 a name of the certificate in /etc/hosts, and use that: docs/debugging.md",
            )
        case of.SSLError() if "WRONG_VERSION_NUMBER" in told:
            return StackFault(f"{_at(place)} does not speak TLS.", mend="begin the address with http://")
        case of.SSLError():
            return StackFault(
                f"The certificate at {_at(place)} is not one that we trust: {told}",
                mend="name the file of its authority in KIRANA_ELASTICSEARCH_CA",
            )
        case of.ConnectionError():
            return StackFault(
                f"Elasticsearch at {_at(place)} cannot be reached: {told}",
                mend="see that it runs and that this is its address (https, or a kubectl port-forward that ended?)",
            )
    return StackFault(f"Elasticsearch at {_at(place)} answered what nobody can read: {told}", mend=_LOOK)


def _at(place: Destination) -> str:
    return ", ".join(place.urls)


def _who(place: Destination) -> str:
    if place.api_key:
        return "this API key"
    return f"the user {place.user}" if place.user else "somebody without a name"


def _reason_of(fault: of.ApiError) -> str:
    body = fault.body if isinstance(fault.body, dict) else {}
    error = body.get("error")
    reason = error.get("reason") if isinstance(error, dict) else error
    return str(reason or fault.message)[:_LONGEST]


def _first_cause(fault: of.TransportError) -> str:
    return str(fault.errors[0] if fault.errors else fault.message)[:_LONGEST]
