"""What a token pair is made of, so that the same exchange always gives the very same pair."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from rpc_services.identity.domain import ACCESS_LIFE, Account, Client, Session
from shared.contracts.identity import AccessToken, TokenPair

SEED_BYTES = 48
_REFRESH_BYTES = 32


class Signer(Protocol):
    """Signs claims with the current key."""

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWS in compact form."""
        ...


@dataclass(frozen=True)
class Seed:
    """Forty-eight secret bytes from which a refresh token and the id of its access token are cut."""

    secret: bytes = field(repr=False)

    @property
    def refresh(self) -> str:
        """The opaque refresh token."""
        return "krt_" + urlsafe_b64encode(self.secret[:_REFRESH_BYTES]).decode().rstrip("=")

    @property
    def token_id(self) -> str:
        """The ``jti`` of the access token beside it."""
        return str(UUID(bytes=self.secret[_REFRESH_BYTES:SEED_BYTES], version=4))


def seed_of_successor(refresh: str, *, salt: bytes, secret: bytes) -> Seed:
    """The one successor of a spent token. It takes the token itself, the salt kept with it, and our secret."""
    return Seed(hmac.new(secret, salt + refresh.encode(), "sha512").digest()[:SEED_BYTES])


def fingerprint(refresh: str) -> bytes:
    """What is stored of a refresh token. It is random enough that a plain digest cannot be guessed back."""
    return sha256(refresh.encode()).digest()


def _from_the_beginning(subject: str) -> int:
    del subject
    return 0


@dataclass(frozen=True, kw_only=True)
class Mint:
    """Makes tokens in the name of one issuer for one audience."""

    signer: Signer
    issuer: str
    audience: str
    dated_from: Callable[[str], int] = _from_the_beginning
    """The earliest time (seconds since the epoch) on which a subject's tokens may be dated."""

    def pair(
        self, account: Account, session: Session, seed: Seed, at: datetime, *, scope: str | None = None
    ) -> TokenPair:
        """The pair that this seed stands for. ``scope`` may narrow what the access token allows."""
        granted = account.scope if scope is None else scope
        access = self.access(account, session, seed, at, scope=granted)
        return TokenPair(
            access=access.access,
            refresh=seed.refresh,
            token_type="Bearer",  # noqa: S106 - the name of a scheme, no secret
            expires_in=access.expires_in,
            scope=granted,
            user_id=account.id,
        )

    def access(
        self, account: Account, session: Session, seed: Seed, at: datetime, *, scope: str | None = None
    ) -> AccessToken:
        """An access token (RFC 9068) that does not outlive its session."""
        own = {"sub": account.id, "jti": seed.token_id, "sid": session.id}
        return self._signed(own, account.scope if scope is None else scope, at, ends=session.expires_at)

    def grant(self, client: Client, grant_id: str, scopes: Sequence[str], at: datetime) -> AccessToken:
        """An access token in a client's own name. Each grant is a session of its own that cannot be carried on."""
        own = {"sub": client.id, "client_id": client.id, "jti": grant_id, "sid": grant_id}
        return self._signed(own, " ".join(scopes), at, ends=at + ACCESS_LIFE)

    def _signed(self, own: dict[str, str], scope: str, at: datetime, *, ends: datetime) -> AccessToken:
        """Dated on the subject's cut-off, where that lies ahead: else it would be taken for one of those it refuses."""
        issued_at = max(int(at.timestamp()), self.dated_from(own["sub"]))
        expires_at = int(min(at + ACCESS_LIFE, ends).timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            **own,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": expires_at,
            "scope": scope,
        }
        return AccessToken(access=self.signer.sign(claims), expires_in=expires_at - issued_at)
