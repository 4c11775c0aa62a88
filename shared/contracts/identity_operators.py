"""What only operators may ask of identity: who is kept out, who may ask for tokens, which keys sign."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.contracts.method import Answer, Request
from shared.contracts.refusals import Refusal

ClientName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*(?!\n)$")]


class SwitchUser(Request, frozen=True, kw_only=True):
    """Keep a user out, which ends all their sessions; or let them in again."""

    username: Annotated[str, Meta(max_length=64)]
    disabled: bool


class AddClient(Request, frozen=True, kw_only=True):
    """Make a client of the token endpoint. Its secret is told once and never again."""

    name: ClientName
    scopes: list[str]


class NewClient(Answer, frozen=True, kw_only=True):
    """What the client authenticates with."""

    client_id: str
    client_secret: str


class ListClients(Request, frozen=True, kw_only=True):
    """Ask for all clients."""


class Client(Answer, frozen=True, kw_only=True):
    """A client of the token endpoint, without its secret."""

    client_id: str
    name: str
    scopes: list[str]
    created_at: str


class RemoveClient(Request, frozen=True, kw_only=True):
    """Forget a client: its tokens count no more at once."""

    client_id: Annotated[str, Meta(max_length=64)]


class ListSigningKeys(Request, frozen=True, kw_only=True):
    """Ask for the signing keys and where each is in its life."""


class SigningKey(Answer, frozen=True, kw_only=True):
    """A key pair by its id. ``turns_at`` is when it leaves its state; times are RFC 3339."""

    kid: str
    algorithm: str
    state: str
    since: str
    turns_at: str


class RotateSigningKeys(Request, frozen=True, kw_only=True):
    """Let the published key take over as soon as every cache knows it.

    With ``compromised`` all keys are forgotten at once, and whatever they signed counts no more.
    """

    compromised: bool = False


class ClientNameTaken(Refusal):
    """Another client has this name."""

    code = "identity.client_name_taken"
    sentence = "Another client has this name."


class ClientNotFound(Refusal):
    """No such client."""

    code = "identity.client_not_found"
    sentence = "There is no such client."
