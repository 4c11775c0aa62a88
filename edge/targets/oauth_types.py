"""What OAuth's own endpoints take and give, in the names of their RFCs."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from shared.contracts.method import Answer, Request


class GrantToken(Request, frozen=True, kw_only=True):
    """The form of the token endpoint. A client may also authenticate by HTTP Basic."""

    grant_type: Literal["client_credentials", "refresh_token"]
    scope: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET


class GrantedToken(Answer, frozen=True, kw_only=True):
    """The answer of the token endpoint (RFC 6749 §5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | UnsetType = UNSET


class OAuthMetadata(Answer, frozen=True, kw_only=True):
    """What the authorization server can, and where (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    service_documentation: str
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    scopes_supported: list[str]
