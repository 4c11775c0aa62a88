"""Services and partners that ask for tokens in their own name: how they are made, granted tokens, and removed."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from rpc_services.identity.domain import Client, scopes_within
from rpc_services.identity.session_use_cases import SessionEnds
from rpc_services.identity.tokens import Mint
from shared.contracts import identity_operators as operators
from shared.contracts.identity import ADMIN_SCOPES
from shared.contracts.identity_grants import ClientToken, GrantClientToken, InvalidClient, InvalidScope
from shared.contracts.method import Nothing
from shared.contracts.refusals import InvalidRequest
from shared.values.identifiers import NewId, is_id
from shared.values.times import Clock, to_rfc3339

_DIGEST_OF_NOBODY = bytes(32)


class Clients(Protocol):
    """Everything that may ask for tokens in its own name."""

    def add(self, client: Client) -> None:
        """Raises ``ClientNameTaken``."""
        ...

    def find(self, client_id: str) -> Client | None:
        """By id; it is not removed until this transaction ends."""
        ...

    def all(self) -> list[Client]:
        """By name."""
        ...

    def remove(self, client_id: str) -> bool:
        """Gives whether there was one."""
        ...


@dataclass(frozen=True)
class Granting:
    """Gives clients their tokens. Our own secrets have 256 random bits, so that a plain digest keeps them."""

    clients: Clients
    mint: Mint
    clock: Clock
    new_id: NewId

    def authenticated(self, client_id: str, secret: str) -> Client:
        """Raises ``InvalidClient`` for an unknown client and a wrong secret alike."""
        client = self.clients.find(client_id) if is_id(client_id) else None
        is_right = hmac.compare_digest(digest_of(secret), client.secret_digest if client else _DIGEST_OF_NOBODY)
        if client is None or not is_right:
            raise InvalidClient
        return client

    def grant(self, request: GrantClientToken) -> ClientToken:
        """Raises ``InvalidClient`` or ``InvalidScope``."""
        client = self.authenticated(request.client_id, request.client_secret)
        scopes = scopes_within(request.scope, client.scopes)
        if scopes is None:
            raise InvalidScope
        token = self.mint.grant(client, self.new_id(), scopes, self.clock())
        return ClientToken(access=token.access, expires_in=token.expires_in, scope=" ".join(scopes))


def digest_of(secret: str) -> bytes:
    """What is kept of a client's secret."""
    return sha256(secret.encode()).digest()


def add_client(
    request: operators.AddClient, *, clients: Clients, new_id: NewId, new_secret: Callable[[], str], clock: Clock
) -> operators.NewClient:
    """Make a client. Raises ``InvalidRequest`` for unknown scopes, ``ClientNameTaken``."""
    faults = [
        {"pointer": f"/scopes/{place}", "detail": "There is no such scope."}
        for place, scope in enumerate(request.scopes)
        if scope not in ADMIN_SCOPES
    ]
    if faults:
        raise InvalidRequest(errors=faults)
    secret, scopes = new_secret(), tuple(dict.fromkeys(request.scopes))
    client = Client(id=new_id(), name=request.name, scopes=scopes, secret_digest=digest_of(secret), created_at=clock())
    clients.add(client)
    return operators.NewClient(client_id=client.id, client_secret=secret)


def list_clients(*, clients: Clients) -> list[operators.Client]:
    """All of them, by name."""
    return [
        operators.Client(
            client_id=each.id, name=each.name, scopes=list(each.scopes), created_at=to_rfc3339(each.created_at)
        )
        for each in clients.all()
    ]


def remove_client(request: operators.RemoveClient, *, clients: Clients, ends: SessionEnds) -> Nothing:
    """Forget a client; its tokens count no more. Raises ``ClientNotFound``."""
    if not is_id(request.client_id) or not clients.remove(request.client_id):
        raise operators.ClientNotFound
    ends.cut_off(request.client_id)
    return Nothing()
