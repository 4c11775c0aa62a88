"""Contract of the identity service: users, sessions, tokens and signing keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from shared.contracts.identity_grants import ClientToken, GrantClientToken, ScopeText
from shared.contracts.identity_operators import (
    AddClient,
    Client,
    ListClients,
    ListSigningKeys,
    NewClient,
    RemoveClient,
    RotateSigningKeys,
    SigningKey,
    SwitchUser,
)
from shared.contracts.mail_addresses import EmailAddress
from shared.contracts.mail_addresses import faults_in as faults_of_address
from shared.contracts.method import Answer, Methods, Nothing, Request
from shared.contracts.passwords import AnyPassword, ChosenPassword, faults_in
from shared.contracts.refusals import Refusal

METHODS = Methods("identity")

Username = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(?!\n)$",
        description="A letter or digit first, then letters, digits, dots, underscores and hyphens.",
    ),
]
ShortText = Annotated[
    str,
    Meta(max_length=100, pattern=r"^[^\x00-\x1f]*(?!\n)$", description="Text of one line, without control characters."),
]
PhoneNumber = Annotated[
    str,
    Meta(
        max_length=32,
        pattern=r"^[0-9+() .-]*(?!\n)$",
        description="Digits, spaces, dots, hyphens, brackets and a plus sign.",
    ),
]

ADMIN_SCOPES = ("catalog:write", "orders:manage", "edge:admin")
"""What the shop's own administrator may do."""


class RegisterUser(Request, frozen=True, kw_only=True):
    """Open an account. Passwords must agree and be at least 12 characters, and not a common one."""

    username: Username
    password: ChosenPassword
    password2: AnyPassword
    email: EmailAddress
    first_name: ShortText = ""
    last_name: ShortText = ""
    phone_number: PhoneNumber = ""

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """What is wrong with the password and the address, too."""
        return [*faults_in(given), *faults_of_address(given)]


class User(Answer, frozen=True, kw_only=True):
    """A person who shops here, as they may see themselves."""

    id: str
    username: str
    email: str
    first_name: str
    last_name: str
    phone_number: str


class UpdateUser(Request, frozen=True, kw_only=True):
    """Change some fields of one's own profile. The username stays."""

    user_id: str
    email: EmailAddress | UnsetType = UNSET
    first_name: ShortText | UnsetType = UNSET
    last_name: ShortText | UnsetType = UNSET
    phone_number: PhoneNumber | UnsetType = UNSET

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """That no message can be sent to the address, too."""
        return faults_of_address(given)


class ChangePassword(Request, frozen=True, kw_only=True):
    """A new password for who knows the old one. Every other session ends; the one that asks for it goes on."""

    user_id: Annotated[str, Meta(max_length=64)]
    session_id: Annotated[str, Meta(max_length=64)]
    current_password: AnyPassword
    password: ChosenPassword
    password2: AnyPassword
    client_address: str = ""

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> list[dict[str, str]]:
        """What is wrong with the new password, too; whose it is, only the service knows."""
        return faults_in(given)


class GetUser(Request, frozen=True, kw_only=True):
    """Ask for one user."""

    user_id: str


class GetUsers(Request, frozen=True, kw_only=True):
    """Ask for many users at once; unknown ids are left out of the answer."""

    user_ids: Annotated[list[str], Meta(max_length=1000)]


class IssueTokens(Request, frozen=True, kw_only=True):
    """Log in. ``client_address`` is what throttling counts besides the account."""

    username: Annotated[str, Meta(max_length=256)]
    password: AnyPassword
    client_address: str = ""


class TokenPair(Answer, frozen=True, kw_only=True):
    """An access token (JWS, ``typ: at+jwt``), and the opaque refresh token that continues the session."""

    access: str
    refresh: str
    token_type: str
    expires_in: int
    scope: str
    user_id: str


class RefreshTokens(Request, frozen=True, kw_only=True):
    """Exchange a refresh token for a new pair (rotation with reuse detection, 30 s grace).

    ``scope`` may ask for less than the account has, for the new access token only. A client that says who it is must
    prove it, though the token belongs to a person.
    """

    refresh: Annotated[str, Meta(max_length=512)]
    scope: ScopeText | None = None
    client_id: Annotated[str, Meta(max_length=256)] | None = None
    client_secret: Annotated[str, Meta(max_length=256)] = ""


class ListSessions(Request, frozen=True, kw_only=True):
    """Where one is logged in."""

    user_id: Annotated[str, Meta(max_length=64)]
    session_id: Annotated[str, Meta(max_length=64)]


class OpenSession(Answer, frozen=True, kw_only=True):
    """A login that has not ended. ``is_current`` marks the one that asks."""

    id: str
    opened_at: str
    expires_at: str
    is_current: bool


class RevokeSession(Request, frozen=True, kw_only=True):
    """End one session: its refresh family and every access token that names it."""

    session_id: Annotated[str, Meta(max_length=64)]
    user_id: Annotated[str, Meta(max_length=64)]


class ListRevokedSessions(Request, frozen=True, kw_only=True):
    """Sessions ended recently enough that an access token of theirs could still be alive."""


class RevokedUser(Answer, frozen=True, kw_only=True):
    """Whose sessions all ended but one: see ``UserSessionsRevoked`` in the events, whose members these are."""

    issued_before: int
    kept_session_id: str
    forget_at: int


class RevokedSessions(Answer, frozen=True, kw_only=True):
    """Ended sessions with the time (seconds since the epoch) after which they may be forgotten; and users by id."""

    sessions: dict[str, int]
    users: dict[str, RevokedUser] = field(default_factory=dict)


class GetJwks(Request, frozen=True, kw_only=True):
    """Ask for the public signing keys: current, next and retiring."""


class Jwks(Answer, frozen=True, kw_only=True):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


class EnsureStaff(Request, frozen=True, kw_only=True):
    """Create a user with scopes, or set the password and scopes of the one who has that name."""

    username: Username
    password: ChosenPassword
    email: EmailAddress
    scopes: list[str]


class MintAccessToken(Request, frozen=True, kw_only=True):
    """An access token without a password, for the operator's own terminal."""

    username: Username


class AccessToken(Answer, frozen=True, kw_only=True):
    """A bare access token and its life in seconds."""

    access: str
    expires_in: int


class UsernameTaken(Refusal):
    """Another account has this username."""

    code = "identity.username_taken"
    sentence = "This username is already taken."


class EmailTaken(Refusal):
    """Another account has this e-mail address."""

    code = "identity.email_taken"
    sentence = "This e-mail address already belongs to an account."


class InvalidCredentials(Refusal):
    """Wrong password or unknown user: the same answer in the same time."""

    code = "identity.invalid_credentials"
    sentence = "The username or the password is wrong."


class TooManyAttempts(Refusal):
    """Logins are throttled by account and by address. ``details['retry_after']`` is in seconds."""

    code = "identity.too_many_attempts"
    sentence = "Too many attempts to log in. Wait before trying again."


class InvalidRefreshToken(Refusal):
    """Unknown, expired, revoked or replayed refresh token."""

    code = "identity.invalid_refresh_token"
    sentence = "This refresh token is not valid. Log in again."


class UserNotFound(Refusal):
    """No such user."""

    code = "identity.user_not_found"
    sentence = "There is no such user."


REGISTER_USER = METHODS.changes("register_user", RegisterUser, User)
GET_USER = METHODS.reads("get_user", GetUser, User)
GET_USERS = METHODS.reads("get_users", GetUsers, list[User])
ISSUE_TOKENS = METHODS.changes("issue_tokens", IssueTokens, TokenPair, keeps_answer=False)
UPDATE_USER = METHODS.changes("update_user", UpdateUser, User)
CHANGE_PASSWORD = METHODS.changes("change_password", ChangePassword, Nothing)
GRANT_CLIENT_TOKEN = METHODS.changes("grant_client_token", GrantClientToken, ClientToken, keeps_answer=False)
LIST_SESSIONS = METHODS.reads("list_sessions", ListSessions, list[OpenSession])
REFRESH_TOKENS = METHODS.changes("refresh_tokens", RefreshTokens, TokenPair, keeps_answer=False)
REVOKE_SESSION = METHODS.changes("revoke_session", RevokeSession, Nothing)
LIST_REVOKED_SESSIONS = METHODS.reads("list_revoked_sessions", ListRevokedSessions, RevokedSessions)
GET_JWKS = METHODS.reads("get_jwks", GetJwks, Jwks)
ENSURE_STAFF = METHODS.changes("ensure_staff", EnsureStaff, User, operator_only=True)
MINT_ACCESS_TOKEN = METHODS.changes(
    "mint_access_token", MintAccessToken, AccessToken, keeps_answer=False, operator_only=True
)
SWITCH_USER = METHODS.changes("switch_user", SwitchUser, User, operator_only=True)
ADD_CLIENT = METHODS.changes("add_client", AddClient, NewClient, keeps_answer=False, operator_only=True)
LIST_CLIENTS = METHODS.reads("list_clients", ListClients, list[Client], operator_only=True)
REMOVE_CLIENT = METHODS.changes("remove_client", RemoveClient, Nothing, operator_only=True)
LIST_SIGNING_KEYS = METHODS.reads("list_signing_keys", ListSigningKeys, list[SigningKey], operator_only=True)
ROTATE_SIGNING_KEYS = METHODS.changes("rotate_signing_keys", RotateSigningKeys, list[SigningKey], operator_only=True)
