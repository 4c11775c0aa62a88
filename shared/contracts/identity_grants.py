"""What a service or a partner asks of identity in its own name, and what it is told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.contracts.method import Answer, Request
from shared.contracts.refusals import Refusal

ScopeText = Annotated[
    str,
    Meta(
        max_length=512, pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]*(?!\n)$", description="Scopes, with a space between them."
    ),
]


class GrantClientToken(Request, frozen=True, kw_only=True):
    """An access token for a service or a partner (RFC 6749 §4.4). Without ``scope``: all that the client may do."""

    client_id: Annotated[str, Meta(max_length=256)]
    client_secret: Annotated[str, Meta(max_length=256)]
    scope: ScopeText | None = None


class ClientToken(Answer, frozen=True, kw_only=True):
    """The granted access token, its life in seconds and what it may do."""

    access: str
    expires_in: int
    scope: str


class InvalidClient(Refusal):
    """Unknown client or wrong secret: the same answer."""

    code = "identity.invalid_client"
    sentence = "The client could not be authenticated."


class InvalidScope(Refusal):
    """More was asked for than may be given."""

    code = "identity.invalid_scope"
    sentence = "The requested scope is unknown or exceeds what may be granted."
