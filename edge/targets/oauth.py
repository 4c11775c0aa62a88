"""OAuth's own endpoints, which speak as its RFCs want it: forms in, ``{"error": …}`` out, and what this server can."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson
from sanic import HTTPResponse

from edge.answers import JSON, plain_json, respond
from edge.exchange import Exchange
from edge.policies import RoutePolicy
from edge.problems import Rejected
from edge.rpc.failures import RemoteRefusal
from edge.targets.rpc import arguments_of, ask
from shared.contracts.identity import ADMIN_SCOPES, GRANT_CLIENT_TOKEN, REFRESH_TOKENS

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
CHALLENGE = 'Basic realm="kirana", charset="UTF-8"'
TOKEN_TYPE = "Bearer"  # noqa: S105  # the name of a scheme, no secret
UNAUTHORIZED = 401

ERRORS = {
    "identity.invalid_client": "invalid_client",
    "identity.invalid_refresh_token": "invalid_grant",
    "identity.invalid_scope": "invalid_scope",
    "request.invalid": "invalid_request",
}
"""What a refusal of identity is called in RFC 6749 §5.2."""


class OAuthError(Exception):
    """The token endpoint says no, in a word of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True)
class Credentials:
    """What a client authenticates with. ``secret`` is never shown."""

    client_id: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.client_id!r})"


async def grant_token(exchange: Exchange) -> HTTPResponse:
    """``client_credentials`` for services and partners, ``refresh_token`` for whoever holds one."""
    try:
        _refuse_query(exchange)
        form = _fields(exchange)
        given = _grant_of(form)
        credentials = _credentials(exchange, form)
        if given == "client_credentials":
            return await _client_credentials(exchange, form, credentials)
        return await _refresh(exchange, form, credentials)
    except OAuthError as fault:
        return _refused(fault.error, str(fault))
    except RemoteRefusal as refusal:
        if refusal.code not in ERRORS:
            raise
        return _refused(ERRORS[refusal.code], refusal.sentence)


async def oauth_metadata(exchange: Exchange) -> HTTPResponse:
    """What this authorization server can, and where (RFC 8414). The issuer is the one in every token."""
    arguments_of(exchange)  # there are none, and who sends some is told so
    settings = exchange.equipment.collaborators.settings
    base = settings.public_url
    document = {
        "issuer": settings.jwt_issuer,
        "token_endpoint": f"{base}{_path(exchange, 'grant_token')}",
        "jwks_uri": f"{base}{_path(exchange, 'get_jwks')}",
        "service_documentation": f"{base}/docs",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "scopes_supported": list(ADMIN_SCOPES),
    }
    return plain_json(document, cache_control=exchange.matched.policy.answer.cache_control)


async def _client_credentials(
    exchange: Exchange, form: dict[str, str], credentials: Credentials | None
) -> HTTPResponse:
    if credentials is None:
        raise OAuthError("invalid_client", "This grant needs a client's id and secret.")
    arguments = {
        "client_id": credentials.client_id,
        "client_secret": credentials.secret,
        "scope": form.get("scope"),
    }
    reply = await ask(exchange, GRANT_CLIENT_TOKEN, arguments, operation=exchange.operation)
    return _granted(exchange, reply.result)


async def _refresh(exchange: Exchange, form: dict[str, str], credentials: Credentials | None) -> HTTPResponse:
    """A client that says who it is must be that client; the token itself was given to no client but to a person."""
    if "refresh_token" not in form:
        raise OAuthError("invalid_request", "The field refresh_token is missing.")
    arguments: dict[str, Any] = {"refresh": form["refresh_token"], "scope": form.get("scope")}
    if credentials is not None:
        arguments |= {"client_id": credentials.client_id, "client_secret": credentials.secret}
    reply = await ask(exchange, REFRESH_TOKENS, arguments, operation=exchange.operation)
    return _granted(exchange, reply.result)


def _refuse_query(exchange: Exchange) -> None:
    """What stands in an address is kept by logs and proxies: no secret belongs there (RFC 6749 §2.3.1)."""
    if exchange.request.query_string:
        raise OAuthError("invalid_request", "Everything belongs into the form: nothing is taken from the address.")


def _fields(exchange: Exchange) -> dict[str, str]:
    """Fields that nobody knows are passed over, as the RFC wants it; none may stand twice."""
    fields = exchange.body or {}
    if repeated := [name for name, value in fields.items() if not isinstance(value, str)]:
        raise OAuthError("invalid_request", f"The field {_plain(repeated[0])} stands more than once.")
    return fields


def _grant_of(form: dict[str, str]) -> str:
    kind = form.get("grant_type")
    if kind is None:
        raise OAuthError("invalid_request", "The field grant_type is missing.")
    if kind not in {"client_credentials", "refresh_token"}:
        raise OAuthError("unsupported_grant_type", "Only client_credentials and refresh_token are granted here.")
    return kind


def _credentials(exchange: Exchange, form: dict[str, str]) -> Credentials | None:
    """From the header or from the form, but not from both (RFC 6749 §2.3)."""
    headers = exchange.request.headers.getall("authorization", [])
    in_form = "client_id" in form or "client_secret" in form
    if len(headers) > 1 or (headers and "client_secret" in form):
        raise OAuthError("invalid_request", "Authenticate in one way only.")
    if headers:
        known = _basic(str(headers[0]))
        if form.get("client_id", known.client_id) != known.client_id:
            raise OAuthError("invalid_request", "The header and the form name different clients.")
        return known
    return Credentials(form.get("client_id", ""), form.get("client_secret", "")) if in_form else None


def _basic(header: str) -> Credentials:
    scheme, _, encoded = header.strip().partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    name, colon, secret = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise OAuthError("invalid_client", "The Authorization header is not usable: Basic is taken here.")
    try:
        return Credentials(unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_client", "The Authorization header is not usable: it is not UTF-8.") from None


def _granted(exchange: Exchange, result: dict[str, Any]) -> HTTPResponse:
    answer = {
        "access_token": result["access"],
        "token_type": TOKEN_TYPE,
        "expires_in": result["expires_in"],
        "scope": result["scope"],
    }
    if "refresh" in result:
        answer["refresh_token"] = result["refresh"]
    response = respond(exchange, answer)
    response.headers.update(NO_STORE)
    return response


def _refused(error: str, description: str) -> HTTPResponse:
    status = UNAUTHORIZED if error == "invalid_client" else 400
    challenge = {"www-authenticate": CHALLENGE} if status == UNAUTHORIZED else {}
    body = orjson.dumps({"error": error, "error_description": description})
    return HTTPResponse(body, status=status, headers={**NO_STORE, **challenge}, content_type=JSON)


def _plain(name: str) -> str:
    """As RFC 6749 lets it stand in a description: no quotes, no backslash, printable ASCII."""
    return "".join(mark for mark in name[:40] if "\x20" <= mark <= "\x7e" and mark not in '"\\')


def _path(exchange: Exchange, name: str) -> str:
    """Where the table in force has this route. Raises :class:`Rejected` if it has none."""
    policies: list[RoutePolicy] = [route.policy for route in exchange.snapshot.table.routes]
    for policy in policies:
        if policy.name == name:
            return policy.path
    raise Rejected("route.not_found", "The route table in force publishes no token endpoint.")
