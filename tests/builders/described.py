"""Hooks of Schemathesis, loaded in its process: who calls, from where, with which key, and whose things are touched."""

import atexit
import itertools
import json
import os
import secrets
import socket
import time
from collections import Counter, defaultdict
from pathlib import Path

import requests
import schemathesis
import urllib3.util.connection

CALLERS = json.loads(os.environ["KIRANA_CALLERS"])
"""Who calls: the tokens of ``customers``, of ``administrators`` and, per operation, of somebody it concerns ``alone``.
And what nobody guesses, per operation: ``known`` members of a body, with ``{unique}`` for a new word, and the ``paths``
of what is there and may be changed."""

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.3

EVERYWHERE = {
    "connection", "content-length", "content-type", "x-content-type-options", "x-frame-options", "referrer-policy",
    "content-security-policy", "vary", "allow", "transfer-encoding", "date",
}  # fmt: skip
"""Headers that say nothing of one operation alone, so the document does not repeat them."""

_addresses = (f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in itertools.count(1 << 16))
_request = requests.Session.request
_connect = urllib3.util.connection.create_connection
_calls = Counter()
_answered = defaultdict(Counter)


def connect(address, timeout=None, source_address=None, socket_options=None):
    """Each connection from an address of its own, so that limits by address hide nothing."""
    del source_address
    options = socket_options or [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    return _connect(address, timeout, (next(_addresses), 0), options)


urllib3.util.connection.create_connection = connect


def patiently(session, method, url, **options):
    """What a request is answered for good: a starved machine says 503 or 504 now and then, and to ask again."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = _request(session, method, url, **options)
        is_for_good = answer.status_code not in {503, 504} or not answer.json().get("retryable")
        if is_for_good or time.monotonic() > give_up_at:
            return answer
        time.sleep(PAUSE_SECONDS)


requests.Session.request = patiently


@schemathesis.hook
def before_call(context, case, kwargs):
    """Most calls with what gets them past the door, some with less."""
    del context, kwargs
    operation = case.operation.definition.raw
    name = operation["operationId"]
    number = _calls[name]
    _calls[name] += 1
    headers = {**(case.headers or {}), "Connection": "close"}
    token = _token(operation, number)
    if token:
        headers.setdefault("Authorization", f"Bearer {token}")
    if "Idempotency-Key" in headers and number % 5:
        headers["Idempotency-Key"] = secrets.token_hex(8)
    if number % 3:
        headers.pop("If-Match", None)
    case.headers = headers
    _touch_ones_own(case, name, number)


@schemathesis.hook
def after_call(context, case, response):
    """Count what came back, for whoever asks whether an operation was reached at all."""
    del context
    if response.request.method == case.operation.method.upper():
        _answered[case.operation.definition.raw["operationId"]][response.status_code] += 1


@atexit.register
def tell():
    """Leave the counts where the run was started."""
    Path("answered.json").write_text(json.dumps(_answered), encoding="utf-8")


@schemathesis.check
def headers_are_documented(ctx, response, case):
    """Every header of an answer stands in the document, for this operation and status."""
    del ctx
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if described is None or response.request.method != case.operation.method.upper():
        return
    unknown = response.headers.keys() - EVERYWHERE - {name.lower() for name in described.get("headers", {})}
    assert not unknown, f"Headers that no client can know of: {sorted(unknown)}"


def _touch_ones_own(case, name, number):
    """What is there and may be changed, in place of what was made up or belongs to the other tests."""
    there = CALLERS["paths"].get(name)
    if there and (number % 2 or "product_id" in there[0]):
        case.path_parameters = there[number % len(there)]
    known = CALLERS["known"].get(name, {})
    if isinstance(case.body, dict) and known.keys() & case.body.keys() and number % 3 == 0:
        word = secrets.token_hex(8)
        case.body |= {
            member: value.format(unique=word) if isinstance(value, str) else value for member, value in known.items()
        }


def _token(operation, number):
    wanted = [scopes for one in operation.get("security", []) for name, scopes in one.items() if name == "token"]
    if not wanted or number % 9 == 8:
        return None
    if alone := CALLERS["alone"].get(operation["operationId"]):
        return alone
    if wanted[0] and number % 9 != 7:
        return CALLERS["administrators"][number % len(CALLERS["administrators"])]
    return CALLERS["customers"][number % len(CALLERS["customers"])]
