"""What a token pair is made of, so that the same exchange always gives the very same pair."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from rpc_services.identity.domain import ACCESS_LIFE, Account, Session
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


@dataclass(frozen=True, kw_only=True)
class Mint:
    """Makes tokens in the name of one issuer for one audience."""

    signer: Signer
    issuer: str
    audience: str

    def pair(self, account: Account, session: Session, seed: Seed, at: datetime) -> TokenPair:
        """The pair that this seed stands for."""
        access = self.access(account, session, seed, at)
        return TokenPair(
            access=access.access,
            refresh=seed.refresh,
            token_type="Bearer",  # noqa: S106 - the name of a scheme, no secret
            expires_in=access.expires_in,
            scope=account.scope,
            user_id=account.id,
        )

    def access(self, account: Account, session: Session, seed: Seed, at: datetime) -> AccessToken:
        """An access token (RFC 9068) that does not outlive its session."""
        issued_at = int(at.timestamp())
        expires_at = int(min(at + ACCESS_LIFE, session.expires_at).timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": account.id,
            "jti": seed.token_id,
            "sid": session.id,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": expires_at,
            "scope": account.scope,
        }
        return AccessToken(access=self.signer.sign(claims), expires_in=expires_at - issued_at)
