"""Names the intended effect, so that however often it is asked for, it happens once and is answered the same."""

from __future__ import annotations

import re
from hashlib import sha256

import orjson
from sanic import HTTPResponse

from edge.composing import only_for
from edge.exchange import Exchange, Operation, Target
from edge.kept_answers import answer_once
from edge.problems import Rejected
from edge.targets.declared import DECLARED
from shared.values.identifiers import new_id

_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_BARE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
LONGEST_KEY = 255
KEPT_HERE = frozenset(name for name, target in DECLARED.items() if target.kept_here)


@only_for(lambda route: route.mutating)
async def replay(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Give the operation its id; the service that has the effect keeps the first answer under it.

    Without a key nobody can ask for that again: the id then only tells a redelivered message from a new one. The same
    goes for a key where no answer is kept.
    """
    route = exchange.matched
    key = None if route.policy.idempotency == "ignored" else _key(exchange)
    if key is None and route.policy.idempotency == "required":
        raise Rejected(
            "idempotency.key_required", "Send an Idempotency-Key, so that a repetition has no second effect."
        )
    caller = _caller(exchange)
    if key is None or caller is None:
        exchange.operation = Operation(f"request/{new_id()}")
        return await proceed(exchange)
    exchange.operation = operation = Operation(f"{caller}/{key}", _fingerprint(exchange))
    if route.policy.local in KEPT_HERE:
        response = await answer_once(exchange, operation, proceed)
    else:
        response = await proceed(exchange)
    if exchange.replayed:
        response.headers["idempotency-replayed"] = "true"
    return response


def _key(exchange: Exchange) -> str | None:
    """The key, bare or as a structured-field string. Raises :class:`Rejected`."""
    headers = exchange.request.headers.getall("idempotency-key", [])
    if not headers:
        return None
    text = str(headers[0]).strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text
    is_broken = quoted is None and text.startswith('"')
    if is_broken or len(headers) > 1 or not _BARE.fullmatch(key) or len(key) > LONGEST_KEY:
        raise Rejected("idempotency.key_invalid", "Send one Idempotency-Key of 1 to 255 printable ASCII characters.")
    return key


def _caller(exchange: Exchange) -> str | None:
    """Keys belong to whoever sent them. A cart token opens a cart, so only its hash may be stored.

    ``None`` for a guest who has no cart yet: behind one address two strangers with the same key and the same wish
    would be given one cart, so their keys cannot be honoured before they have a token to be known by.
    """
    if exchange.caller is not None:
        return f"user:{_segment(exchange.caller.user_id)}"
    cart_token = exchange.header("x-cart-token")
    if cart_token:
        return f"cart:{sha256(cart_token.encode(errors='replace')).hexdigest()[:32]}"
    return None if exchange.matched.policy.auth == "optional" else f"address:{exchange.address}"


def _segment(user_id: str) -> str:
    """A plugin's caller may have a slash; one that is told apart from the slash before the key, nobody else has."""
    return user_id.replace("%", "%25").replace("/", "%2F")


def _fingerprint(exchange: Exchange) -> str:
    """Of all that the effect depends on; a text is not taken apart, and a session is nobody else's."""
    request, route = exchange.request, exchange.matched
    text = request.body.decode(errors="replace") if route.policy.body == "text" else None
    by_session = "caller.session_id" in route.binding.sources.values()
    session = exchange.caller.session_id if exchange.caller and by_session else None
    asked = [
        request.method,
        route.policy.path,
        exchange.variables,
        sorted(request.query_args),
        exchange.body,
        exchange.header("if-match"),
        text,
        session,
    ]
    return exchange.equipment.cursors.fingerprint(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))
